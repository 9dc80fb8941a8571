//! What QEMU says of a migration at one moment, whoever passes it on, and the run that follows from
//! several.

use migsim::input::{Keys, Mistakes};
use migsim::record::{Measured, UnderWay};
use migsim_models::qemu::Version;
use migsim_models::spec::Mode;
use migsim_models::units::{BitRate, Bytes, human_bytes, human_rate};

use super::FoundRun;
use crate::source::Source;

/// How a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Status {
    /// Nothing is known to migrate.
    #[default]
    None,
    /// It goes on.
    Active,
    /// It is over, and well.
    Completed,
    /// It is over, and was not.
    Failed,
}

/// What is said at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    /// It has switched to post-copy.
    pub(crate) postcopy: bool,
    pub(crate) total_ms: Option<f64>,
    pub(crate) downtime_ms: Option<f64>,
    pub(crate) setup_ms: Option<f64>,
    pub(crate) transferred: Option<f64>,
    pub(crate) remaining: Option<f64>,
    /// Of all of memory, display and firmware too.
    pub(crate) total: Option<f64>,
    /// Bytes a second.
    pub(crate) rate: Option<f64>,
    /// Pages of the guest's size a second; `None` or 0: not known yet.
    pub(crate) dirty_rate: Option<f64>,
    pub(crate) dirty_syncs: Option<f64>,
    pub(crate) zero_pages: Option<f64>,
    pub(crate) normal_pages: Option<f64>,
    pub(crate) page_size: Option<f64>,
    pub(crate) throttle: Option<f64>,
    pub(crate) xbzrle_cache: Option<f64>,
    pub(crate) multifd_bytes: Option<f64>,
    /// Bytes of disks, copied beside memory.
    pub(crate) disks: Option<f64>,
    /// Bytes of devices that are passed through.
    pub(crate) vfio: Option<f64>,
    /// Microseconds that dirty-limit holds vCPUs back.
    pub(crate) dirty_limit: Option<f64>,
    pub(crate) error: Option<String>,
}

/// Of memory beyond the guest's own a machine has so much at most: display and firmware.
const BESIDE_RAM: u64 = 128 << 20;
/// Guests come in multiples of so much.
const STEP: u64 = 64 << 20;
/// The share of a link that is left by Ethernet, IP and TCP with time stamps, at 1500 bytes a
/// packet.
const PAYLOAD: f64 = 1448.0 / 1538.0;
/// What an idle guest writes, where nothing else is known.
const LITTLE: &str = "app:linux-idle";
/// The channels that multifd has where nobody sets them (QEMU's multifd-channels).
const CHANNELS: u32 = 2;

/// What is known of a run beside its snapshots.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beside {
    pub(crate) name: String,
    pub(crate) place: String,
    pub(crate) keys: Keys,
    pub(crate) qemu: Option<Version>,
    pub(crate) assumed: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// The memory of a guest of which QEMU migrates so many bytes.
fn memory_of(total: u64) -> Bytes {
    let whole = total / STEP * STEP;
    Bytes(if whole > 0 && total - whole <= BESIDE_RAM { whole } else { total })
}

/// The run that snapshots of one migration show; the last decides.
///
/// # Errors
/// None of them is of a migration.
pub(crate) fn run_of(
    source: &Source,
    snapshots: &[Snapshot],
    beside: Beside,
) -> Result<FoundRun, Mistakes> {
    let Beside { name, place, mut keys, qemu, mut assumed, mut notes } = beside;
    let nothing =
        || source.error(1, "tells of no migration: none was asked for, or it is not begun");
    let last = snapshots.iter().rfind(|one| one.status != Status::None).ok_or_else(nothing)?;
    let is_gone = last.status == Status::Active
        && snapshots.last().is_some_and(|one| one.status == Status::None);
    if is_gone {
        notes.push("the last answers know of no migration any more: it is over, how is not told (`virsh domjobinfo --completed` does)".to_owned());
    }
    // What only some moments tell, like the rest while it goes on.
    let latest = |of: fn(&Snapshot) -> Option<f64>| snapshots.iter().rev().find_map(of);
    let most = |of: fn(&Snapshot) -> Option<f64>| {
        snapshots.iter().filter_map(of).max_by(f64::total_cmp).filter(|value| *value > 0.0)
    };
    let total = most(|one| one.total);
    if keys.guest.memory.is_none()
        && let Some(total) = total
    {
        let memory = memory_of(total as u64);
        keys.guest.memory = Some(memory.pages());
        if memory.0 as f64 != total {
            let sent = human_bytes(total);
            assumed.push(format!(
                "memory: {memory}, of {sent} that it sends with display and firmware"
            ));
        }
    }
    keys.migration.qemu = keys.migration.qemu.or(qemu);
    if most(|one| one.throttle).is_some() {
        keys.migration.auto_converge = Some(true);
    }
    if let Some(cache) = most(|one| one.xbzrle_cache) {
        keys.migration.xbzrle = Some(true);
        keys.migration.xbzrle_cache = Some(Bytes(cache as u64));
    }
    if most(|one| one.multifd_bytes).is_some() {
        keys.migration.multifd_channels = Some(CHANNELS);
        assumed.push(format!(
            "multifd_channels: {CHANNELS}, QEMU's default; the file says only that there are some"
        ));
    }
    if snapshots.iter().any(|one| one.postcopy) {
        keys.migration.mode = Some(Mode::Postcopy);
    }
    let syncs = latest(|one| one.dirty_syncs).unwrap_or(0.0);
    let over = last.status == Status::Completed;
    let page = last.page_size.unwrap_or(4096.0);
    if let (Some(zero), Some(memory)) = (latest(|one| one.zero_pages), keys.guest.memory)
        && keys.guest.touched.is_none()
        && zero > 0.0
    {
        let all = memory.bytes().as_f64() / page;
        // In the first iteration what is not looked at yet is taken to be like the rest.
        let normal = latest(|one| one.normal_pages).unwrap_or(0.0);
        let is_first = !over && syncs <= 1.0;
        let share =
            if is_first { normal / (normal + zero).max(1.0) } else { 1.0 - (zero / all).min(1.0) };
        let touched = Bytes(((all * share).max(1.0) * page) as u64);
        keys.guest.touched = Some(touched.pages());
        let said = human_bytes(touched.as_f64());
        let why = if is_first {
            "as large a share as of the pages sent so far"
        } else {
            "all that was not sent as zero pages"
        };
        assumed.push(format!("touched: {said}, {why}"));
    }
    if keys.guest.workload.is_none() {
        workload(snapshots, last.status == Status::Active, &mut keys, &mut assumed);
    }
    if keys.link.capacity.is_none()
        && !over
        && let Some(rate) = latest(|one| one.rate.filter(|rate| *rate > 0.0))
    {
        let capacity = BitRate((rate * 8.0 / PAYLOAD) as u64);
        keys.link.capacity = Some(capacity);
        let said = human_rate(capacity);
        assumed.push(format!(
            "link: {said}, as fast as it is being sent, with headers; --link says what it is"
        ));
    }
    notes.extend(last.error.as_ref().map(|why| match last.status {
        Status::Failed => format!("it failed: {why}"),
        _ => format!("QEMU says: {why}"),
    }));
    if most(|one| one.dirty_limit).is_some() {
        notes.push(
            "dirty-limit throttles it, which is not modelled yet: what is predicted is without"
                .to_owned(),
        );
    }
    if most(|one| one.disks).is_some() {
        notes.push(
            "disks are copied too, which is not modelled yet: what is predicted is memory alone"
                .to_owned(),
        );
    }
    if most(|one| one.vfio).is_some() {
        notes.push(
            "a device is passed through, which is not modelled yet: its state adds to the downtime"
                .to_owned(),
        );
    }
    let measured = match last.status {
        Status::Completed | Status::Failed => Measured {
            outcome: Some(if over { "completed" } else { "failed" }),
            elapsed_ms: last.total_ms.map(|ms| (ms * 10.0).round() / 10.0),
            downtime_ms: last.downtime_ms.filter(|_| over),
            setup_ms: last.setup_ms,
            rounds: last.dirty_syncs,
            wire_bytes: last.transferred,
            normal_pages: last.normal_pages,
            zero_pages: last.zero_pages,
        },
        _ => Measured::default(),
    };
    let under_way = (last.status == Status::Active && !is_gone).then(|| UnderWay {
        elapsed_s: last.total_ms.unwrap_or(0.0) / 1e3,
        remaining_bytes: last.remaining.map(|bytes| bytes as u64),
        bytes_per_s: last.rate,
        dirty_pages_per_s: last.dirty_rate.filter(|rate| *rate > 0.0),
        iteration: last.dirty_syncs.filter(|syncs| *syncs >= 1.0).map(|syncs| syncs as u64),
    });
    let place = if place.is_empty() { source.place.clone() } else { place };
    let name = if name.is_empty() { source.stem().to_owned() } else { name };
    Ok(FoundRun { place, name, keys, measured, under_way, assumed, notes })
}

/// The runs of snapshots that nothing else is known of; several are numbered.
///
/// # Errors
/// None of them is of a migration.
pub(crate) fn runs_of(
    source: &Source,
    snapshots: Vec<Snapshot>,
    qemu: Option<Version>,
) -> Result<Vec<FoundRun>, Mistakes> {
    let mut all = apart(snapshots);
    if all.is_empty() {
        all.push(Vec::new());
    }
    let several = all.len() > 1;
    let name = |index: usize| match several {
        true => format!("{} {}", source.stem(), index + 1),
        false => String::new(),
    };
    let run = |(index, run): (usize, &Vec<Snapshot>)| {
        run_of(source, run, Beside { name: name(index), qemu, ..Beside::default() })
    };
    all.iter().enumerate().map(run).collect()
}

/// Snapshots in a row, cut where another migration begins: where time goes back, or something goes
/// on that was over.
fn apart(snapshots: Vec<Snapshot>) -> Vec<Vec<Snapshot>> {
    let mut all: Vec<Vec<Snapshot>> = Vec::new();
    for one in snapshots {
        let before =
            all.last().and_then(|run| run.iter().rfind(|known| known.status != Status::None));
        let is_new = before.is_some_and(|before| {
            let back = before.total_ms.zip(one.total_ms).is_some_and(|(then, now)| now < then);
            let over = matches!(before.status, Status::Completed | Status::Failed);
            let other = before.total.zip(one.total).is_some_and(|(then, now)| differs(then, now));
            one.status != Status::None && (back || other || (over && one.status == Status::Active))
        });
        match all.last_mut() {
            Some(run) if !is_new => run.push(one),
            _ => all.push(vec![one]),
        }
    }
    all
}

/// Whether two totals are not one figure told in other digits.
fn differs(a: f64, b: f64) -> bool {
    (a - b).abs() > 0.01 * a.max(b)
}

/// What the guest writes, by the rates at which it was seen to dirty pages.
fn workload(snapshots: &[Snapshot], goes_on: bool, keys: &mut Keys, assumed: &mut Vec<String>) {
    // A guest that is throttled writes less than it would: in proportion, if it does not wait for
    // anything.
    let own = |one: &Snapshot| {
        let free = 1.0 - one.throttle.unwrap_or(0.0).clamp(0.0, 99.0) / 100.0;
        one.dirty_rate.filter(|rate| *rate > 0.0).map(|rate| rate / free)
    };
    let mut rates: Vec<f64> = snapshots.iter().filter_map(own).collect();
    let throttled = snapshots.iter().any(|one| one.throttle.is_some_and(|percent| percent > 0.0));
    rates.sort_by(f64::total_cmp);
    let middle = rates.get(rates.len() / 2).copied();
    let text = match middle {
        // QEMU counts over an iteration, of at least a second (migration/ram.c,
        // migration_update_rates).
        Some(rate) => {
            assumed.push(format!(
                "workload: dirty({rate:.0}p/s), the {} that QEMU saw{}; how far it reaches is not known",
                if rates.len() > 1 { "median of the dirty rates" } else { "dirty rate" },
                if throttled { ", without the throttling" } else { "" }
            ));
            format!("dirty({rate:.0}p/s)")
        }
        None if !goes_on => return,
        None => {
            assumed.push(format!(
                "workload: {LITTLE}, for QEMU knows no dirty rate before the first iteration is over; ask again then"
            ));
            LITTLE.to_owned()
        }
    };
    keys.guest.workload = text.parse().ok();
}
