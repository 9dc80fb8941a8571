//! The log of a migration task of Proxmox, of all releases since 3: what QEMU says each second or
//! two, and what stands around it.

use migsim::input::Mistakes;
use migsim_models::spec::Transport;
use migsim_models::units::{BitRate, SimTime};
use serde_json::Value;

use super::{FoundRun, Snapshot, Status};
use crate::number::size;
use crate::run::snapshot::{Beside, run_of};
use crate::source::{Source, after};

fn bytes(text: &str) -> Option<f64> {
    size(text).map(|bytes| bytes.0 as f64)
}

/// Bytes a second, of `964.0 MiB/s`, `8589934592 B/s` or a bare number.
fn rate(text: &str) -> Option<f64> {
    bytes(text.trim_end_matches("/s"))
}

/// Seconds since midnight, of the `22:10:06` in a line.
fn second_of_day(line: &str) -> Option<f64> {
    let word = line.split_whitespace().take(4).find(|word| word.matches(':').count() == 2)?;
    hours(word)
}

/// Seconds of `01:02:03`.
fn hours(text: &str) -> Option<f64> {
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(f64::from(hours * 3600 + minutes * 60 + seconds))
}

pub(super) fn read(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let text = lines_of_api(&source.text).unwrap_or_else(|| source.text.clone());
    // Each task begins with a line of its own.
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.contains("starting migration of VM ") {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    match starts.len() {
        0 | 1 => Ok(vec![task(source, &text)?]),
        _ => starts.iter().zip(ends).map(|(start, end)| task(source, &text[*start..end])).collect(),
    }
}

fn task(source: &Source, text: &str) -> Result<FoundRun, Mistakes> {
    let mut beside = Beside::default();
    let keys = &mut beside.keys;
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let (mut begun, mut over): (Option<f64>, Option<f64>) = (None, None);
    let (mut downtime, mut completed, mut failed) = (None, false, None);
    let mut disks = false;
    let mut took: Option<f64> = None;
    for line in text.lines() {
        if let Some(number) = after(line, "starting migration of VM ", &[' ']) {
            beside.name = format!("VM {number}");
        }
        disks |= line.contains("drive mirror is starting") || line.contains("copying local disk");
        if line.contains("ssh tunnel") || line.contains("ssh migration tunnel") {
            keys.link.transport = Some(Transport::Ssh);
        }
        if line.contains("start migrate command to tcp") {
            keys.link.transport = Some(Transport::Tcp);
        }
        if line.contains("start migrate command")
            || line.contains("starting online/live migration on")
        {
            begun = second_of_day(line);
        }
        let limit = after(line, "migration downtime limit: ", &[' '])
            .and_then(|ms| Some(ms.parse::<f64>().ok()? / 1e3));
        let old = || after(line, "migrate_set_downtime: ", &[' ']).and_then(|s| s.parse().ok());
        if let Some(seconds) = limit.or_else(old) {
            keys.migration.downtime_limit = Some(SimTime::from_secs_f64(seconds));
        }
        let cap = after(line, "migration speed limit: ", &['\n']).and_then(rate);
        let old = || after(line, "migrate_set_speed: ", &[' ']).and_then(rate);
        // 8 GiB/s stand for none.
        if let Some(cap) = cap.or_else(old).filter(|cap| *cap > 0.0 && *cap < f64::from(u32::MAX)) {
            keys.migration.bandwidth_cap = Some(BitRate((cap * 8.0) as u64));
        }
        let now = second_of_day(line);
        snapshots.extend(snapshot(line).map(|one| Snapshot { total_ms: since(begun, now), ..one }));
        if let Some(ms) = after(line, "- downtime ", &[' ']).and_then(|ms| ms.parse::<f64>().ok()) {
            (downtime, over) = (Some(ms), now);
        }
        completed |= line.contains("migration status: completed");
        if let Some(why) =
            after(line, "migration status error: ", &['\n']).or(after(line, "ERROR: ", &['\n']))
        {
            failed.get_or_insert_with(|| why.to_owned());
        }
        if let Some(seconds) = after(line, "(duration ", &[')']).and_then(hours) {
            took = Some(seconds);
            let around = "the times here are those of QEMU, to the second; --manager proxmox has what stands around them";
            if completed {
                beside.notes.push(format!("the whole task took {seconds:.0} s; {around}"));
            }
        }
    }
    let last = snapshots.last().cloned().unwrap_or_default();
    if completed {
        let transferred = text
            .lines()
            .rev()
            .find_map(|line| bytes(after(line, "migration completed, transferred ", &['V'])?));
        snapshots.push(Snapshot {
            status: Status::Completed,
            total_ms: since(begun, over),
            downtime_ms: downtime,
            transferred: transferred.or(last.transferred),
            remaining: Some(0.0),
            total: last.total,
            ..Snapshot::default()
        });
    } else if let Some(why) = failed {
        snapshots.push(Snapshot { status: Status::Failed, error: Some(why), ..last.clone() });
    }
    if disks {
        beside.notes.push("local disks were copied too, which is not modelled yet: the times are those of memory alone".to_owned());
    }
    if last.total.is_some() && snapshots.iter().any(|one| one.rate.is_some()) {
        beside.notes.push(
            "its sizes have one digit behind the point: memory is known to some 50 MiB".to_owned(),
        );
    }
    // A clock that was set back tells nothing.
    if let Some(most) = took {
        for one in
            snapshots.iter_mut().filter(|one| one.total_ms.is_some_and(|ms| ms > most * 1e3 + 1e3))
        {
            one.total_ms = None;
        }
    }
    run_of(source, &snapshots, beside)
}

/// Milliseconds between two times of the day, over midnight too.
fn since(begun: Option<f64>, now: Option<f64>) -> Option<f64> {
    let seconds = now? - begun?;
    Some(1e3 * if seconds < 0.0 { seconds + 86_400.0 } else { seconds })
}

/// A line on how far it is: since 6.4 in words, before that in bytes.
fn snapshot(line: &str) -> Option<Snapshot> {
    let active = Snapshot { status: Status::Active, ..Snapshot::default() };
    if line.contains("VM-state") && line.contains("transferred") && line.contains(" of ") {
        return Some(Snapshot {
            transferred: bytes(after(line, "transferred ", &['o'])?),
            total: bytes(after(line, " of ", &['V'])?),
            rate: after(line, "VM-state, ", &['(', ',', '+']).and_then(rate),
            ..active
        });
    }
    line.contains("migration status: active").then_some(())?;
    Some(Snapshot {
        transferred: after(line, "transferred ", &[',']).and_then(bytes),
        remaining: after(line, "remaining ", &[')']).and_then(bytes),
        total: after(line, "total ", &[')']).and_then(bytes),
        ..active
    })
}

/// The lines of what the API answers: a list of `{"n": 1, "t": "..."}`.
fn lines_of_api(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let lines = value.get("data").unwrap_or(&value).as_array()?;
    Some(lines.iter().filter_map(|line| line["t"].as_str()).collect::<Vec<_>>().join("\n"))
}
