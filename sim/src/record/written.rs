//! A question as the columns of a run record.

use crate::input::Keys;

/// The columns that ask a question (docs/run-record.md), of the keys that are given. Where zero
/// pages lie is always said: a record without it has the lab's guest.
pub fn question_columns(keys: &Keys) -> Vec<(&'static str, String)> {
    let (g, l, m) = (&keys.guest, &keys.link, &keys.migration);
    let mib = |bytes: f64| (bytes / f64::from(1 << 20)).to_string();
    let flag = |on: bool| u8::from(on).to_string();
    let throttle = m.throttle.clone().unwrap_or_default();
    let percent = |value: Option<u32>| value.map(|value| value.to_string());
    let all = [
        ("id", g.name.clone()),
        ("mode", Some(m.mode.unwrap_or(migsim_models::spec::Mode::Precopy).to_string())),
        ("qemu", m.qemu.map(|version| version.to_string())),
        ("vcpus", g.vcpus.map(|vcpus| vcpus.to_string())),
        ("memory_mib", g.memory.map(|memory| (memory.bytes().0 >> 20).to_string())),
        ("touched_pages", g.touched.map(|touched| touched.0.to_string())),
        ("layout", Some(g.layout.unwrap_or_default().to_string())),
        ("zero_head_pages", g.zero_head.map(|pages| pages.0.to_string())),
        ("workload", g.workload.as_ref().map(ToString::to_string)),
        ("phase_offset_ms", g.phase_offset.map(|time| time.as_millis_f64().to_string())),
        ("delta_bytes", g.delta_bytes.map(|bytes| bytes.to_string())),
        ("transport", l.transport.map(|transport| transport.to_string())),
        ("link_mbit", l.capacity.map(|rate| (rate.0 as f64 / 1e6).to_string())),
        ("rtt_us", l.rtt.map(|rtt| (rtt.as_secs_f64() * 1e6).to_string())),
        ("send_buffer_bytes", l.send_buffer.map(|bytes| bytes.0.to_string())),
        ("bandwidth_cap_mib", m.bandwidth_cap.map(|cap| mib(cap.0 as f64 / 8.0))),
        ("postcopy_bandwidth_mib", m.postcopy_bandwidth.map(|cap| mib(cap.0 as f64 / 8.0))),
        ("downtime_limit_ms", m.downtime_limit.map(|limit| limit.as_millis_f64().to_string())),
        ("auto_converge", m.auto_converge.map(flag)),
        ("throttle_initial", percent(throttle.initial)),
        ("throttle_increment", percent(throttle.increment)),
        ("throttle_max", percent(throttle.max)),
        ("throttle_trigger", percent(throttle.trigger)),
        ("xbzrle", m.xbzrle.map(flag)),
        ("xbzrle_cache_mib", m.xbzrle_cache.map(|cache| mib(cache.as_f64()))),
        ("multifd_channels", m.multifd_channels.map(|channels| channels.to_string())),
        ("postcopy_after_passes", m.postcopy_after_passes.map(|passes| passes.to_string())),
        ("postcopy_after_ms", m.postcopy_after.map(|time| time.as_millis_f64().to_string())),
        ("timeout_s", m.timeout.map(|timeout| timeout.as_secs_f64().to_string())),
        ("on_timeout", m.on_timeout.map(|action| action.to_string())),
        ("offline_files_bytes", m.offline_files.map(|bytes| bytes.0.to_string())),
        ("log_chunk_mib", m.log_chunk.map(|chunk| mib(chunk.as_f64()))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use csv::StringRecord;

    use crate::input::{Case, Keys, Scenario};
    use crate::record::Columns;

    use super::*;

    #[test]
    fn what_is_written_asks_the_same_question() {
        let text = "link = { capacity = \"2.5Gbit/s\", rtt = \"1ms\", transport = \"tls\" }\n\
                    migration = { qemu = \"8.2\", downtime_limit = \"123.5ms\", bandwidth_cap = \"64MiB/s\", auto_converge = true, throttle = { initial = 30 }, \
                    xbzrle = true, xbzrle_cache = \"128MiB\", timeout = \"90s\", on_timeout = \"postcopy\", log_chunk = \"0B\" }\n\
                    [[guest]]\nname = \"web\"\nmemory = \"4GiB\"\ntouched = \"3GiB\"\nvcpus = 3\nlayout = \"mixed\"\n\
                    workload = \"dirty(5000p/s)\"\ndelta_bytes = 99\n";
        for text in [
            text,
            "link = { capacity = \"1Gbit/s\" }\n[[guest]]\nname = \"a\"\nmemory = \"1GiB\"\nworkload = \"idle\"\n",
        ] {
            let read =
                Scenario::parse(Path::new("f.toml"), text.to_owned(), &Keys::default()).unwrap();
            let keys = read.keys().next().unwrap();
            let (names, cells): (Vec<_>, Vec<_>) = question_columns(keys).into_iter().unzip();
            let columns = Columns::new("f.csv", &StringRecord::from(names)).unwrap();
            let mut written = columns.case(&StringRecord::from(cells)).unwrap();
            // Names of guests are of no use to a record.
            let asked = Case::build(keys).unwrap();
            written.guest.name.clone_from(&asked.guest.name);
            assert_eq!(written, asked);
        }
    }
}
