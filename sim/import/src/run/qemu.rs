//! QEMU's own answers: QMP's query-migrate, one or a series, and HMP's info migrate in both of its
//! layouts.

use migsim::input::{InputError, Mistakes};
use migsim_models::qemu::Version;
use serde_json::Value;

use super::{FoundRun, Snapshot, Status};
use crate::number::size;
use crate::run::snapshot::runs_of;
use crate::source::{Source, no_json};

fn status(word: &str) -> (Status, bool) {
    match word {
        "completed" => (Status::Completed, false),
        "failed" | "failing" | "cancelled" | "cancelling" => (Status::Failed, false),
        "none" | "" => (Status::None, false),
        other => (Status::Active, other.starts_with("postcopy")),
    }
}

/// `query-migrate`: bare or in its `return`, one or a series, among greetings, events and other
/// answers, each with or without a time before it.
pub(super) fn qmp(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let (mut snapshots, mut qemu) = (Vec::new(), None);
    let mut rest = source.text.as_str();
    while let Some(start) = rest.find(['{', '[']) {
        let here = &rest[start..];
        let mut values = serde_json::Deserializer::from_str(here).into_iter::<Value>();
        let line = || source.text[..source.text.len() - here.len()].matches('\n').count() + 1;
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => {
                return Err(source.error(line(), no_json(&e)).into());
            }
            None => break,
        };
        let list = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        for value in list {
            let number = |key: &str| {
                value.pointer(&format!("/QMP/version/qemu/{key}")).and_then(Value::as_u64)
            };
            if let Some((major, minor)) = number("major").zip(number("minor")) {
                qemu = format!("{major}.{minor}").parse::<Version>().ok();
            }
            // The answer of `human-monitor-command` is HMP's text.
            let inner = value.get("return").unwrap_or(&value);
            if let Some(text) = inner.as_str() {
                let (more, release) = hmp_snapshots(source, text)?;
                snapshots.extend(more);
                qemu = qemu.or(release);
            }
            if inner.get("status").is_some() {
                snapshots.push(snapshot(inner));
            }
        }
        rest = &here[values.byte_offset()..];
    }
    runs_of(source, snapshots, qemu)
}

fn snapshot(value: &Value) -> Snapshot {
    let figure = |at: &str| value.pointer(at).and_then(Value::as_f64);
    let (status, postcopy) = status(value["status"].as_str().unwrap_or(""));
    Snapshot {
        status,
        postcopy: postcopy
            || figure("/ram/postcopy-bytes")
                .or(figure("/ram/postcopy-requests"))
                .is_some_and(|n| n > 0.0),
        total_ms: figure("/total-time"),
        downtime_ms: figure("/downtime"),
        setup_ms: figure("/setup-time"),
        transferred: figure("/ram/transferred"),
        remaining: figure("/ram/remaining"),
        total: figure("/ram/total"),
        rate: figure("/ram/mbps").map(|mbit| mbit * 1e6 / 8.0),
        dirty_rate: figure("/ram/dirty-pages-rate"),
        dirty_syncs: figure("/ram/dirty-sync-count"),
        zero_pages: figure("/ram/duplicate"),
        normal_pages: figure("/ram/normal"),
        page_size: figure("/ram/page-size"),
        throttle: figure("/cpu-throttle-percentage"),
        xbzrle_cache: figure("/xbzrle-cache/cache-size"),
        multifd_bytes: figure("/ram/multifd-bytes"),
        disks: figure("/disk/total"),
        vfio: figure("/vfio/transferred"),
        dirty_limit: figure("/dirty-limit-throttle-time-per-round"),
        error: value["error-desc"].as_str().map(str::to_owned),
    }
}

/// `info migrate`, once or several times in a session.
pub(super) fn hmp(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let (snapshots, qemu) = hmp_snapshots(source, &source.text)?;
    runs_of(source, snapshots, qemu)
}

/// What `text` says, which stands in `source`, and QEMU's release, where it says it.
fn hmp_snapshots(
    source: &Source,
    text: &str,
) -> Result<(Vec<Snapshot>, Option<Version>), InputError> {
    let mut snapshots: Vec<Snapshot> = Vec::new();
    let mut qemu = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(rest) = line.strip_prefix("QEMU ") {
            let release = rest.split_whitespace().next().unwrap_or("");
            let mut parts = release.split('.');
            if let (Some(major), Some(minor)) = (parts.next(), parts.next()) {
                qemu = format!("{major}.{minor}").parse::<Version>().ok();
            }
        }
        let Some((label, value)) = line.split_once(':') else { continue };
        let (label, value) = (label.trim(), value.trim());
        if label == "Migration status" || label == "Status" {
            let mut words = value.split_whitespace();
            let (status, postcopy) = status(words.next().unwrap_or(""));
            snapshots.push(Snapshot { status, postcopy, ..Snapshot::default() });
            continue;
        }
        let Some(now) = snapshots.last_mut() else { continue };
        take(now, label, value).ok_or_else(|| {
            source.error(index + 1, format!("`{label}` has no number that can be read"))
        })?;
    }
    Ok((snapshots, qemu))
}

/// A line; `None`: its number cannot be read. The layout up to 10.0 has a figure on each, the one
/// since 10.1 several as `name=value` (QEMU's migration/migration-hmp-cmds.c,
/// hmp_info_migrate).
fn take(now: &mut Snapshot, label: &str, value: &str) -> Option<()> {
    let number = || value.split_whitespace().next()?.parse::<f64>().ok();
    let bytes = || size(value).map(|bytes| bytes.0 as f64);
    match label {
        "total time" => now.total_ms = Some(number()?),
        "downtime" => now.downtime_ms = Some(number()?),
        "setup" => now.setup_ms = Some(number()?),
        "transferred ram" => now.transferred = Some(bytes()?),
        "remaining ram" => now.remaining = Some(bytes()?),
        "total ram" => now.total = Some(bytes()?),
        "throughput" => now.rate = Some(number()? * 1e6 / 8.0),
        "dirty pages rate" => now.dirty_rate = Some(number()?),
        "dirty sync count" => now.dirty_syncs = Some(number()?),
        "duplicate" => now.zero_pages = Some(number()?),
        "normal" => now.normal_pages = Some(number()?),
        "page size" => now.page_size = Some(number()? * 1024.0),
        "cpu throttle percentage" => now.throttle = Some(number()?),
        "cache size" => now.xbzrle_cache = Some(bytes()?),
        "total disk" => now.disks = Some(bytes()?),
        "vfio device transferred" => now.vfio = Some(bytes()?),
        "multifd bytes" => now.multifd_bytes = Some(bytes()?),
        "postcopy ram" => now.postcopy |= bytes()? > 0.0,
        "Throughput (Mbps)" => now.rate = Some(number()? * 1e6 / 8.0),
        "CPU Throttle (%)" => now.throttle = Some(number()?),
        // Of its figures only the size of the cache, which is in bytes.
        "XBZRLE" => {
            now.xbzrle_cache = Some(value.strip_prefix("size=")?.split(',').next()?.parse().ok()?);
        }
        "Time (ms)" | "Sizes" | "Transfers" | "Channels" | "Page Types" | "Page Rates (pps)"
        | "Others" => {
            for pair in value.split(',').filter_map(|pair| pair.split_once('=')) {
                take_pair(now, pair.0.trim(), pair.1.trim())?;
            }
        }
        _ => {}
    }
    Some(())
}

fn take_pair(now: &mut Snapshot, name: &str, value: &str) -> Option<()> {
    let number = || value.parse::<f64>().ok();
    let bytes = || size(value).map(|bytes| bytes.0 as f64);
    match name {
        "total" if value.ends_with('B') => now.total = Some(bytes()?),
        "total" => now.total_ms = Some(number()?),
        "setup" => now.setup_ms = Some(number()?),
        "down" => now.downtime_ms = Some(number()?),
        "pagesize" => now.page_size = Some(bytes()?),
        "transferred" => now.transferred = Some(bytes()?),
        "remain" => now.remaining = Some(bytes()?),
        "vfio" => now.vfio = Some(bytes()?),
        "multifd" => now.multifd_bytes = Some(bytes()?),
        "postcopy" => now.postcopy |= bytes()? > 0.0,
        "normal" => now.normal_pages = Some(number()?),
        "zero" => now.zero_pages = Some(number()?),
        "dirty" => now.dirty_rate = Some(number()?),
        "dirty_syncs" => now.dirty_syncs = Some(number()?),
        _ => {}
    }
    Some(())
}
