//! What a helper at a host has said, made sense of: QEMU's events and figures, queues at the stop,
//! the end of a log.

use serde_json::Value;

use super::Observed;

/// Makes sense of what the helper at the source has said.
pub(super) fn observed_from(lines: &[Value], begun: f64) -> Observed {
    let mut observed = Observed::default();
    let mut cpu: Vec<[f64; 4]> = Vec::new();
    let mut waited: Vec<f64> = Vec::new();
    for line in lines {
        let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64);
        if let Some(load) = number(line, "loadavg") {
            observed.loadavg = Some(load);
        }
        if let Some(at) = line.get("cpu") {
            let figures =
                ["t", "busy", "steal", "others"].map(|key| number(at, key).unwrap_or(0.0));
            cpu.push(figures);
            waited.extend(number(at, "waited"));
            observed.host_cpus = number(at, "cpus").or(observed.host_cpus);
        }
        if let (Some(event), Some(s)) =
            (line.get("event").and_then(Value::as_str), number(line, "s"))
        {
            let data = &line["data"];
            let detail = match (data.get("status").and_then(Value::as_str), data.get("pass")) {
                (Some(status), _) => format!(" {status}"),
                (None, Some(pass)) => format!(" {pass}"),
                (None, None) => String::new(),
            };
            observed.events.push((format!("{event}{detail}"), (s - begun) * 1e3));
        }
        if let Some(answer) = line.get("migrate").and_then(Value::as_object) {
            let ram = answer.get("ram").and_then(Value::as_object);
            for (key, value) in answer.iter().chain(ram.into_iter().flatten()) {
                if let Some(value) = value.as_f64() {
                    observed.qemu.insert(key.clone(), value);
                }
            }
        }
        if let (Some(queued), None) = (line.get("queued"), observed.stop_socket_bytes) {
            let text = |key: &str| queued.get(key).and_then(Value::as_str).unwrap_or("");
            let (socket, unsent) = queued_in_sockets(text("ss"));
            observed.stop_socket_bytes = Some(socket);
            observed.stop_unsent_bytes = Some(unsent);
            observed.stop_shaper_bytes = backlog(text("tc"));
        }
    }
    if let [first, .., last] = cpu[..] {
        let seconds = (last[0] - first[0]).max(1e-9);
        observed.busy_cpu = Some((last[1] - first[1]) / seconds);
        // A processor that was taken away is as disturbing as one that was used by others.
        observed.background_cpu =
            Some((last[2] - first[2] + last[3] - first[3]).max(0.0) / seconds);
        if observed.host_cpus.is_some() {
            observed.steal_cpu = Some((last[2] - first[2]).max(0.0) / seconds);
        }
        if let [before, .., after] = waited[..] {
            observed.cpu_pressure = Some(((after - before) / seconds).clamp(0.0, 1.0));
        }
    }
    observed
}

/// Whether the last lines of a guest's log tell of an end that nobody asked for: libvirt signs what
/// it ends itself.
pub(super) fn was_killed(log: &str) -> bool {
    let asked =
        log.lines().any(|line| line.contains("terminating on signal") && line.contains("libvirt"));
    !asked
        && log.lines().any(|line| line.contains("reason=crashed") || line.contains("reason=failed"))
}

/// Bytes queued in the migration's sockets by `ss -tinmH`, and those of them not yet sent once.
/// libvirtd's and sshd's do not count.
fn queued_in_sockets(ss: &str) -> (f64, f64) {
    let (mut queued, mut unsent) = (0.0, 0.0);
    let mut counts = false;
    for line in ss.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        // State, receive queue, send queue, local, peer; the details follow, indented, or on the
        // same line.
        if let [_, _, send_queue, _, peer, ..] = words[..]
            && let Ok(bytes) = send_queue.parse::<f64>()
            && !line.starts_with([' ', '\t'])
        {
            let port = peer.rsplit(':').next().unwrap_or("");
            counts = !matches!(port, "16509" | "16514" | "22");
            if counts {
                queued += bytes;
            }
        }
        if counts {
            unsent += words
                .iter()
                .filter_map(|w| w.strip_prefix("notsent:")?.parse::<f64>().ok())
                .sum::<f64>();
        }
    }
    (queued, unsent)
}

/// Bytes queued in a device's shaper by `tc -s qdisc`.
fn backlog(tc: &str) -> Option<f64> {
    let line = tc.lines().find(|line| line.trim_start().starts_with("backlog"))?;
    let word = line.split_whitespace().nth(1)?.strip_suffix('b')?;
    let (digits, scale) = match word.strip_suffix(['K', 'M']) {
        Some(digits) => (digits, if word.ends_with('K') { 1024.0 } else { 1024.0 * 1024.0 }),
        None => (word, 1.0),
    };
    Some(digits.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_libvirt_ends_was_not_killed() {
        let ended = "qemu-system-x86_64: terminating on signal 15 from pid 9 (libvirtd)\nshutting down, reason=failed";
        assert!(
            !was_killed(ended) && !was_killed("shutting down, reason=migrated") && !was_killed("")
        );
        assert!(was_killed("qemu: could not load\nshutting down, reason=crashed"));
    }

    #[test]
    fn queues_are_read_from_ss_and_tc() {
        let ss = "ESTAB 0 2896000 10.77.0.1:41234 10.77.0.2:49152\n\t skmem:(r0,rb131072,t0,tb87040,f0,w99,o0,bl0,d0) cubic rto:204 unacked:3 notsent:1448000\n\
                  ESTAB 0 77 10.77.0.1:41235 10.77.0.2:16509\n\t cubic notsent:77\n";
        assert_eq!(queued_in_sockets(ss), (2_896_000.0, 1_448_000.0));
        assert_eq!(
            backlog("qdisc tbf 10: root rate 1Mbit\n Sent 1 bytes\n backlog 256Kb 7p requeues 0\n"),
            Some(262_144.0)
        );
        assert_eq!(backlog(" backlog 312b 2p requeues 0"), Some(312.0));
    }
}
