//! OpenStack: a server's migrations as its API and client tell of them, and nova-compute's log.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use migsim::input::{InputError, Mistakes};

use super::{FoundRun, Snapshot, Status};
use crate::run::snapshot::{Beside, run_of};
use crate::source::{Source, after};
use crate::table::{Row, Table};

/// Seconds of a time as OpenStack and Kubernetes write it, with or without a zone.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let zoned = text.parse::<Timestamp>().ok();
    let at = zoned.or_else(|| {
        Some(text.parse::<DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(at.as_microsecond() as f64 / 1e6)
}

/// `openstack server migration list` or `show`, or the API's `{"migrations": [...]}`.
pub(super) fn migrations(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let table = Table::of(source, &["migrations", "migration"])?;
    let mut found = Vec::new();
    for row in table.rows() {
        // The list has cold migrations and resizes, too.
        let live = row
            .text("type")
            .or(row.text("migration_type"))
            .is_none_or(|kind| kind.starts_with("live"));
        if live {
            found.push(migration(source, &row)?);
        }
    }
    if found.is_empty() {
        return Err(InputError::new(&source.place, "has no live migration").into());
    }
    Ok(found)
}

fn migration(source: &Source, row: &Row) -> Result<FoundRun, Mistakes> {
    // Its API has other names than its client.
    let text = |name: &str| row.text(name).or_else(|| row.text(&name.replace(' ', "_")));
    let bytes = |name: &str| -> Result<Option<f64>, InputError> {
        Ok(row.number(name)?.or(row.number(&name.replace(' ', "_"))?).filter(|bytes| *bytes > 0.0))
    };
    let time = |name: &str| text(name).and_then(seconds);
    let elapsed = time("created at").zip(time("updated at")).map(|(from, to)| (to - from) * 1e3);
    let status = match text("status").unwrap_or("") {
        "completed" | "finished" | "done" => Status::Completed,
        "error" | "failed" | "cancelled" => Status::Failed,
        _ => Status::Active,
    };
    let mut beside = Beside {
        name: text("server uuid").unwrap_or("server").to_owned(),
        place: row.place(),
        ..Beside::default()
    };
    beside.notes.push(
        "its times are those of Nova's records, with its own work before and after: --manager nova"
            .to_owned(),
    );
    let snapshot = Snapshot {
        status,
        total_ms: elapsed,
        transferred: bytes("memory processed bytes")?,
        remaining: bytes("memory remaining bytes")?,
        total: bytes("memory total bytes")?,
        ..Snapshot::default()
    };
    run_of(source, &[snapshot], beside)
}

/// nova-compute's log: a line each five or thirty seconds, of any number of servers.
pub(super) fn log(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let mut servers: BTreeMap<String, Vec<Snapshot>> = BTreeMap::new();
    let mut began: BTreeMap<String, f64> = BTreeMap::new();
    for (index, line) in source.text.lines().enumerate() {
        let Some(server) = after(line, "[instance: ", &[']']) else { continue };
        let now = line.get(..23).and_then(|time| seconds(&time.replace(' ', "T")));
        let snapshots = servers.entry(server.to_owned()).or_default();
        if let Some(running) = after(line, "Migration running for ", &[' ']) {
            let number =
                |key: &str| after(line, key, &[',', ')']).and_then(|text| text.parse::<f64>().ok());
            let (Ok(seconds), Some(total)) = (running.parse::<f64>(), number("total=")) else {
                return Err(source
                    .error(index + 1, "has no `bytes processed=..., remaining=..., total=...`")
                    .into());
            };
            if let Some(now) = now {
                began.entry(server.to_owned()).or_insert(now - seconds);
            }
            snapshots.push(Snapshot {
                status: Status::Active,
                total_ms: Some(seconds * 1e3),
                transferred: number("processed="),
                remaining: number("remaining="),
                total: Some(total),
                ..Snapshot::default()
            });
        }
        let over = line.contains("Migration operation has completed");
        if over
            || line.contains("Migration operation was cancelled")
            || line.contains("Migration operation has aborted")
            || line.contains("Live Migration failure")
        {
            let since = now.zip(began.get(server)).map(|(now, began)| (now - began) * 1e3);
            let last = snapshots.last().cloned().unwrap_or_default();
            snapshots.push(Snapshot {
                status: if over { Status::Completed } else { Status::Failed },
                total_ms: since.or(last.total_ms),
                ..last
            });
        }
    }
    let mut found = Vec::new();
    for (name, snapshots) in servers.into_iter().filter(|(_, all)| !all.is_empty()) {
        found.push(run_of(source, &snapshots, Beside { name, ..Beside::default() })?);
    }
    Ok(found)
}
