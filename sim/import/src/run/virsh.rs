//! `virsh domjobinfo`, of a job under way or (`--completed`) over, in words or `--rawstats`.

use migsim::input::{InputError, Mistakes};

use super::{FoundRun, Snapshot, Status};
use crate::number::size;
use crate::run::snapshot::runs_of;
use crate::source::Source;

pub(super) fn read(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let mut raw = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        // A loop that asks on: the guest has left.
        if line.trim_start().starts_with("error:") {
            snapshots.push(Snapshot::default());
            raw.push(None);
            continue;
        }
        let Some((label, value)) = line.split_once(':') else { continue };
        let (label, value) = (label.trim(), value.trim());
        if label == "Job type" {
            snapshots.push(Snapshot { status: status(value), ..Snapshot::default() });
            // A number is the raw form, whose keys have other names.
            raw.push(value.parse::<u32>().ok());
            continue;
        }
        let (Some(now), Some(raw)) = (snapshots.last_mut(), raw.last()) else { continue };
        let wrong = || source.error(index + 1, format!("`{label}` has no number that can be read"));
        let operation = |outgoing: bool| -> Result<(), InputError> {
            if outgoing {
                Ok(())
            } else {
                Err(source
                    .error(index + 1, format!("is a job that is no outgoing migration: {value}")))
            }
        };
        match (raw, label) {
            (_, "operation") => operation(value == "5")?,
            (_, "Operation") => operation(value == "Outgoing migration")?,
            (Some(_), "errmsg") | (None, "Error message") => now.error = Some(value.to_owned()),
            (Some(kind), _) => take_raw(now, label, value, *kind).ok_or_else(wrong)?,
            (None, _) => take(now, label, value).ok_or_else(wrong)?,
        }
    }
    runs_of(source, snapshots, None)
}

/// libvirt's virDomainJobType, by name or number.
fn status(word: &str) -> Status {
    match word {
        "Bounded" | "Unbounded" | "1" | "2" => Status::Active,
        "Completed" | "3" => Status::Completed,
        "Failed" | "Cancelled" | "4" | "5" => Status::Failed,
        _ => Status::None,
    }
}

/// The number before a unit.
fn number(value: &str) -> Option<f64> {
    value.split_whitespace().next()?.parse().ok()
}

/// A line in words; `None`: its number cannot be read.
fn take(now: &mut Snapshot, label: &str, value: &str) -> Option<()> {
    let bytes = || size(value).map(|bytes| bytes.0 as f64);
    match label {
        "Time elapsed" => now.total_ms = Some(number(value)?),
        "Total downtime" => now.downtime_ms = Some(number(value)?),
        "Setup time" => now.setup_ms = Some(number(value)?),
        // In old releases memory is not told apart.
        "Data processed" | "Memory processed" => now.transferred = Some(bytes()?),
        "Data remaining" | "Memory remaining" => now.remaining = Some(bytes()?),
        "Data total" | "Memory total" => now.total = Some(bytes()?),
        "Memory bandwidth" => now.rate = Some(size(value.strip_suffix("/s")?)?.0 as f64),
        "Dirty rate" => now.dirty_rate = Some(number(value)?),
        "Page size" => now.page_size = Some(number(value)?),
        "Iteration" => now.dirty_syncs = Some(number(value)?),
        "Postcopy requests" => now.postcopy |= number(value)? > 0.0,
        "Constant pages" => now.zero_pages = Some(number(value)?),
        "Normal pages" => now.normal_pages = Some(number(value)?),
        "File total" => now.disks = Some(bytes()?),
        "VFIO data transferred" | "VFIO data" => now.vfio = Some(bytes()?),
        "Compression cache" => now.xbzrle_cache = Some(bytes()?),
        "Auto converge throttle" => now.throttle = Some(number(value)?),
        _ => {}
    }
    Some(())
}

/// A line of raw statistics (libvirt's VIR_DOMAIN_JOB_* names). A running job's downtime is the one
/// that is expected.
fn take_raw(now: &mut Snapshot, key: &str, value: &str, kind: u32) -> Option<()> {
    let figure = || value.parse::<f64>().ok();
    match key {
        "time_elapsed" => now.total_ms = Some(figure()?),
        "downtime" if kind == 3 => now.downtime_ms = Some(figure()?),
        "setup_time" => now.setup_ms = Some(figure()?),
        "memory_processed" => now.transferred = Some(figure()?),
        "memory_remaining" => now.remaining = Some(figure()?),
        "memory_total" => now.total = Some(figure()?),
        "memory_bps" => now.rate = Some(figure()?),
        "memory_dirty_rate" => now.dirty_rate = Some(figure()?),
        "memory_page_size" => now.page_size = Some(figure()?),
        "memory_iteration" => now.dirty_syncs = Some(figure()?),
        "memory_postcopy_requests" => now.postcopy |= figure()? > 0.0,
        "memory_constant" => now.zero_pages = Some(figure()?),
        "memory_normal" => now.normal_pages = Some(figure()?),
        "disk_total" => now.disks = Some(figure()?),
        "vfio_data_transferred" => now.vfio = Some(figure()?),
        "compression_cache" => now.xbzrle_cache = Some(figure()?),
        "auto_converge_throttle" => now.throttle = Some(figure()?),
        _ => {}
    }
    Some(())
}
