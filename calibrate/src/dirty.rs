//! The dirty curve of a running guest: how many distinct pages it writes within windows of several lengths.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use migsim_models::units::{PageRate, Pages, SimTime};
use migsim_models::workload::{CatchUp, Pattern, Term, Workload, fit_classes};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use crate::domain::Files;
use crate::helper::Helper;
use crate::hosts::ffi::{self, Doing};
use crate::reach::Reach;

/// How dirty pages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Method {
    /// KVM's dirty log.
    DirtyBitmap,
    /// KVM's dirty ring, where the guest was started with one.
    DirtyRing,
    /// A sample of pages is compared with itself: works everywhere, and is coarse.
    PageSampling,
    /// The guest stands still twice, and all of its memory is compared: exact, for guests that may stand still. A page that is written and
    /// holds what it held before is not seen.
    Snapshots,
    /// The guest is migrated to nowhere and its dirty log counted, then the migration is given up: sees each write.
    Rehearsal,
}

/// libvirt's name of a measurement that is complete.
const MEASURED: f64 = 2.0;
/// What a rate in whole MiB/s, rounded down, stands for on average above what it says.
const HALF: f64 = 0.5;
const PAGES_PER_MIB: f64 = 256.0;

/// A measured curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// How it was measured.
    pub method: Method,
    /// Windows and the distinct pages dirtied in them; windows rise, pages do not fall.
    pub points: Vec<(SimTime, Pages)>,
    /// The guest's RAM.
    pub memory: Pages,
    /// Whether each point is only known to a MiB/s.
    pub coarse: bool,
}

/// Measures a domain's curve. `step` hears of each window before it begins.
///
/// # Errors
/// The domain does not run, the host has none of the methods, or a measurement does not end.
pub fn measure(
    connect: &Connect,
    reach: &Reach,
    name: &str,
    windows: &[u32],
    method: Option<Method>,
    mut step: impl FnMut(u32),
) -> anyhow::Result<Curve> {
    ffi::start_event_loop();
    let domain =
        connect.lookup_domain_by_name(name).doing(format!("no domain `{name}`; `virsh list` shows those that run"))?;
    let memory = Pages(domain.info().doing(format!("asking about `{name}`"))?.memory / 4);
    let (qmp, windows_ms) = (Files::of(name).qmp(), windows.iter().map(|s| u64::from(*s) * 1000).collect::<Vec<_>>());
    match method {
        Some(Method::Snapshots) => return Ok(measure_snapshots(reach, &qmp, memory, &windows_ms)?.0),
        Some(Method::Rehearsal) => return measure_rehearsal(reach, &qmp, memory, &windows_ms),
        _ => {}
    }
    // Outside of KVM the dirty log is not kept while nothing migrates.
    let kvm = domain.xml_desc(0).is_ok_and(|xml| xml.contains("type='kvm'"));
    let candidates = match method {
        Some(one) => vec![one],
        None if kvm => vec![Method::DirtyBitmap, Method::DirtyRing, Method::PageSampling],
        None => vec![Method::PageSampling],
    };
    let mut last = None;
    for method in candidates {
        match measure_by(&domain, windows, method, &mut step) {
            Ok(points) => return Ok(Curve { method, points: rising(points), memory, coarse: true }),
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no method was tried")?.context(format!("measuring `{name}`")))
}

fn measure_by(
    domain: &Domain,
    windows: &[u32],
    method: Method,
    step: &mut impl FnMut(u32),
) -> anyhow::Result<Vec<(SimTime, Pages)>> {
    let mode = match method {
        Method::DirtyBitmap => sys::VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP,
        Method::DirtyRing => sys::VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING,
        _ => sys::VIR_DOMAIN_DIRTYRATE_MODE_PAGE_SAMPLING,
    };
    let mut points = Vec::with_capacity(windows.len());
    for &window in windows {
        step(window);
        ffi::start_dirty_rate(domain, window, mode).doing("starting a measurement")?;
        let length = Duration::from_secs(window.into());
        std::thread::sleep(length);
        let started = Instant::now();
        let mib_s = loop {
            let stats = ffi::dirty_rate(domain).doing("reading a measurement")?;
            let get = |key: &str| stats.get(key).copied();
            if get("dirtyrate.calc_status") == Some(MEASURED) {
                break get("dirtyrate.megabytes_per_second").context("the measurement has no result")?;
            }
            if started.elapsed() > length + Duration::from_secs(20) {
                bail!("the measurement over {window} s did not end");
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        // QEMU rounds down to whole MiB/s; nothing at all is taken for nothing.
        let mib_s = if mib_s > 0.0 { mib_s + HALF } else { 0.0 };
        points.push((SimTime::from_secs(window.into()), Pages((mib_s * f64::from(window) * PAGES_PER_MIB) as u64)));
    }
    Ok(points)
}

/// Measures by two looks at all of the guest's memory, over a guest's own QMP socket. Returns the curve and how many
/// pages hold something.
///
/// # Errors
/// The socket does not answer, or there is no room for the guest's memory at its host.
pub fn measure_snapshots(
    reach: &Reach,
    qmp: &Path,
    memory: Pages,
    windows_ms: &[u64],
) -> anyhow::Result<(Curve, Pages)> {
    let bytes = memory.bytes().0.to_string();
    let helper = Helper::start(reach, &["snapshots", &qmp.display().to_string(), &bytes, &listed(windows_ms)])?;
    let (points, touched) = points_of(&helper, windows_ms).context("comparing the guest's memory")?;
    Ok((Curve { method: Method::Snapshots, points, memory, coarse: false }, touched))
}

/// Measures by a migration to nowhere, over a guest's own QMP socket.
///
/// # Errors
/// The socket does not answer, a migration is under way, or the guest writes so little that QEMU would end this one.
pub fn measure_rehearsal(reach: &Reach, qmp: &Path, memory: Pages, windows_ms: &[u64]) -> anyhow::Result<Curve> {
    let helper = Helper::start(reach, &["rehearse", &qmp.display().to_string(), &listed(windows_ms)])?;
    let (points, _) = points_of(&helper, windows_ms).context("migrating the guest to nowhere")?;
    // It says so when the migration is given up: only then can another begin.
    helper.expect("over", Duration::from_secs(30)).context("giving up the migration to nowhere")?;
    Ok(Curve { method: Method::Rehearsal, points, memory, coarse: false })
}

fn listed(windows_ms: &[u64]) -> String {
    windows_ms.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// What a helper says of each window: the points, and how many pages held something at the last.
fn points_of(helper: &Helper, windows_ms: &[u64]) -> anyhow::Result<(Vec<(SimTime, Pages)>, Pages)> {
    let mut points = Vec::new();
    let mut touched = Pages(0);
    for &window in windows_ms {
        let patience = Duration::from_secs(120) + 2 * Duration::from_millis(window);
        let said =
            helper.next(patience)?.with_context(|| format!("nothing came of the window of {window} ms in time"))?;
        let number = |key: &str| said.get(key).and_then(serde_json::Value::as_f64);
        let ms = number("ms").context("the helper said nothing of the window")?;
        points.push((SimTime::from_millis(ms as u64), Pages(number("changed").unwrap_or(0.0) as u64)));
        touched = Pages(number("touched").unwrap_or(0.0) as u64);
    }
    Ok((rising(points), touched))
}

/// A longer window cannot hold fewer distinct pages: what a busy spell lifted early, lifts all that is later.
fn rising(mut points: Vec<(SimTime, Pages)>) -> Vec<(SimTime, Pages)> {
    points.sort();
    let mut most = Pages(0);
    for (_, pages) in &mut points {
        most = most.max(*pages);
        *pages = most;
    }
    points
}

impl Curve {
    /// As a workload: the measured points themselves.
    pub fn workload(&self) -> Workload {
        if self.points.iter().all(|(_, pages)| pages.0 == 0) {
            return Workload::idle();
        }
        Workload { terms: vec![term(Pattern::Curve { points: self.points.clone(), pace: 1.0 })] }
    }

    /// As a sum of uniform classes.
    pub fn fitted(&self) -> Workload {
        let classes = fit_classes(&self.points, self.memory.0);
        let terms = classes.into_iter().filter_map(|(pages, rate)| {
            let rate = PageRate::new(crate::record::round(rate, 1))?;
            Some(term(Pattern::Uniform { wss: Pages(pages), rate }))
        });
        Workload { terms: terms.collect() }
    }
}

fn term(pattern: Pattern) -> Term {
    Term { pattern, catch_up: CatchUp::Open, phase: None }
}
