//! KubeVirt: virt-launcher's log, which has QEMU's figures, and a migration's own record, which has
//! its times.

use std::collections::BTreeMap;

use migsim::input::{InputError, Mistakes};
use migsim_models::spec::Mode;
use serde_json::Value;

use super::nova::seconds;
use super::{FoundRun, Snapshot, Status};
use crate::number::size;
use crate::run::snapshot::{Beside, run_of};
use crate::source::{Source, after, items};

/// The pages that its rates in bytes are of.
const PAGE: f64 = 4096.0;

/// virt-launcher's log: bytes up to KubeVirt 1.0, MiB and Mbit/s since 1.1.
pub(super) fn log(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let mut migrations: BTreeMap<String, (String, Vec<Snapshot>)> = BTreeMap::new();
    let mut latest = None;
    for (index, line) in source.text.lines().enumerate() {
        let name = after(line, "\"name\":\"", &['"']).unwrap_or("guest");
        if let Some(rest) = line.split("Migration info for ").nth(1) {
            let Some((id, figures)) = rest.split_once(": ") else { continue };
            let (_, all) =
                migrations.entry(id.to_owned()).or_insert_with(|| (name.to_owned(), Vec::new()));
            let snapshot = snapshot(figures)
                .ok_or_else(|| source.error(index + 1, "has a figure that cannot be read"))?;
            all.push(snapshot);
            latest = Some(id.to_owned());
        }
        let over = line.contains("Live migration succeeded");
        if (over || line.contains("Live migration failed") || line.contains("Live migration abort"))
            && let Some((_, all)) = latest.as_ref().and_then(|id| migrations.get_mut(id))
            && let Some(last) = all.last().cloned()
        {
            all.push(Snapshot {
                status: if over { Status::Completed } else { Status::Failed },
                ..last
            });
        }
    }
    let mut found = Vec::new();
    for (name, snapshots) in migrations.into_values() {
        found.push(run_of(source, &snapshots, Beside { name, ..Beside::default() })?);
    }
    if found.is_empty() {
        return Err(InputError::new(
            &source.place,
            "has no line `Migration info for ...`: the log of virt-launcher on the source has them",
        )
        .into());
    }
    Ok(found)
}

/// `TimeElapsed:2012ms DataProcessed:1807MiB ...`; `None`: a figure cannot be read.
fn snapshot(figures: &str) -> Option<Snapshot> {
    let mut now = Snapshot { status: Status::Active, page_size: Some(PAGE), ..Snapshot::default() };
    for (name, value) in figures
        .split(['"', '\n'])
        .next()?
        .split_whitespace()
        .filter_map(|pair| pair.split_once(':'))
    {
        let number = || value.trim_end_matches(char::is_alphabetic).parse::<f64>().ok();
        let bytes = || size(value).map(|bytes| bytes.0 as f64);
        let rate = || match value.strip_suffix("Mbps") {
            Some(mbit) => Some(mbit.parse::<f64>().ok()? * 1e6 / 8.0),
            None => size(value.trim_end_matches("/s")).map(|bytes| bytes.0 as f64),
        };
        match name {
            "TimeElapsed" => now.total_ms = Some(number()?),
            "MemoryProcessed" => now.transferred = Some(bytes()?),
            "MemoryRemaining" => now.remaining = Some(bytes()?),
            "MemoryTotal" => now.total = Some(bytes()?),
            "MemoryBandwidth" => now.rate = Some(rate()?),
            // Pages times their size.
            "DirtyRate" => now.dirty_rate = Some(rate()? / PAGE),
            "Iteration" => now.dirty_syncs = Some(number()?),
            "PostcopyRequests" => now.postcopy |= number()? > 0.0,
            "ConstantPages" => now.zero_pages = Some(number()?),
            "NormalPages" => now.normal_pages = Some(number()?),
            "Downtime" => now.downtime_ms = Some(number()?),
            "AutoConvergeThrottle" => now.throttle = Some(number()?),
            _ => {}
        }
    }
    Some(now)
}

/// VirtualMachineInstanceMigrations, one or a list.
pub(super) fn migration(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let value = source.json()?;
    let mut found = Vec::new();
    for item in items(value.get("items").unwrap_or(&value)) {
        let text = |at: &str| item.pointer(at).and_then(Value::as_str);
        let is = |at: &str| item.pointer(at).and_then(Value::as_bool).unwrap_or(false);
        let Some(begun) = text("/status/migrationState/startTimestamp").and_then(seconds) else {
            continue;
        };
        let end = text("/status/migrationState/endTimestamp").and_then(seconds);
        // One that failed is called completed, too.
        let status =
            match (is("/status/migrationState/failed"), is("/status/migrationState/completed")) {
                (true, _) => Status::Failed,
                (_, true) => Status::Completed,
                _ => Status::Active,
            };
        let mut beside = Beside {
            name: text("/spec/vmiName").unwrap_or("guest").to_owned(),
            ..Beside::default()
        };
        let keys = &mut beside.keys.migration;
        if text("/status/migrationState/mode") == Some("PostCopy") {
            keys.mode = Some(Mode::Postcopy);
        }
        keys.auto_converge =
            is("/status/migrationState/migrationConfiguration/allowAutoConverge").then_some(true);
        beside.notes.push("its times are whole seconds, with KubeVirt's own work: --manager kubevirt; the log of virt-launcher has QEMU's figures".to_owned());
        let snapshot = Snapshot {
            status,
            total_ms: end.map(|end| (end - begun) * 1e3),
            ..Snapshot::default()
        };
        found.push(run_of(source, &[snapshot], beside)?);
    }
    if found.is_empty() {
        return Err(InputError::new(&source.place, "has no migration that was begun").into());
    }
    Ok(found)
}
