//! The dirty curve of a running guest: how many distinct pages it writes within windows of several
//! lengths.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use migsim_models::units::{BitRate, PageRate, Pages, SimTime};
use migsim_models::workload::{self, CatchUp, Pattern, Term, Workload};
use virt::connect::Connect;
use virt::domain::Domain;
use virt::sys;

use crate::helper::{Helper, undo};
use crate::hosts::ffi::{self, Doing};
use crate::hosts::identity::Described;
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
    /// The guest stands still while all of its memory is written down, at first and after each
    /// window, and it is compared: exact, for guests that may stand still. A page that is
    /// written and holds what it held before is not seen.
    Snapshots,
    /// The guest is migrated to nowhere and its dirty log counted, then the migration is given up:
    /// sees each write.
    Rehearsal,
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Method::DirtyBitmap => "dirty-bitmap",
            Method::DirtyRing => "dirty-ring",
            Method::PageSampling => "page-sampling",
            Method::Snapshots => "snapshots",
            Method::Rehearsal => "rehearsal",
        })
    }
}

/// libvirt's name of a measurement that is complete.
const MEASURED: f64 = 2.0;
/// What a rate in whole MiB/s, rounded down, stands for on average above what it says.
const HALF: f64 = 0.5;
const PAGES_PER_MIB: f64 = 256.0;

/// A guest whose memory is measured by way of its own QMP socket.
#[derive(Debug, Clone)]
pub struct Target {
    /// How commands get to its host.
    pub reach: Reach,
    /// Its socket, at its host.
    pub qmp: PathBuf,
    /// Its id, by which files about it are called.
    pub uuid: String,
    /// Its name, for people.
    pub name: String,
    /// Its RAM.
    pub memory: Pages,
    /// The longest that it may stand still at a time while its memory is written down.
    pub longest_stop: Duration,
}

/// The distinct pages that a guest dirtied within windows of one length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How long they were, on average.
    pub length: SimTime,
    /// In the one with fewest.
    pub least: Pages,
    /// On average.
    pub mean: Pages,
    /// In the one with most.
    pub most: Pages,
}

/// A measured curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// How it was measured.
    pub method: Method,
    /// What was counted; windows rise.
    pub windows: Vec<Window>,
    /// Windows and the distinct pages dirtied in them; windows rise, pages do not fall.
    pub points: Vec<(SimTime, Pages)>,
    /// The guest's RAM.
    pub memory: Pages,
    /// Whether each point is only known to a MiB/s.
    pub coarse: bool,
}

/// What is asked of a measurement.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Windows, whole seconds.
    pub windows: &'a [u32],
    /// How often each is measured, one after another, all of them again and again.
    pub repeats: usize,
    /// How; `None`: the best that the host has.
    pub method: Option<Method>,
    /// The guest's own QMP socket, where it is not the one of its command line.
    pub qmp: Option<PathBuf>,
    /// The longest that the guest may stand still at a time.
    pub longest_stop: Duration,
}

/// What a measurement finds of a domain beside its curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The curve.
    pub curve: Curve,
    /// How much of its memory its QEMU holds: what it has ever touched; `None`: that could not be
    /// seen.
    pub touched: Option<Pages>,
    /// The speed of the card that its host's default route goes through; `None`: that could not be
    /// seen.
    pub card: Option<BitRate>,
    /// Its processors.
    pub vcpus: u32,
    /// Its QEMU's version, as 7.2.22.
    pub qemu: String,
}

/// Measures a domain. `reach`: how commands get to its host, or why they do not; without them what
/// libvirt measures itself is left. `step` hears of each window before it begins.
///
/// # Errors
/// The domain does not run, what was asked for is not there, a measurement does not end, or it was
/// interrupted. Whatever a measurement has changed of the guest has been put back then, or the
/// error says that it could not be.
pub fn measure(
    connect: &Connect,
    reach: &anyhow::Result<Reach>,
    name: &str,
    asked: &Asked,
    interrupted: &AtomicBool,
    mut step: impl FnMut(u32),
) -> anyhow::Result<Found> {
    ffi::start_event_loop();
    let domain = connect
        .lookup_domain_by_name(name)
        .doing(format!("no domain `{name}`; `virsh list` shows those that run"))?;
    let info = domain.info().doing(format!("asking about `{name}`"))?;
    let memory = Pages(info.max_mem / 4);
    let uuid = domain.uuid_string().doing("asking for the domain's id")?;
    let described = Described::of(&domain)?;
    // Pages that hold something, where they are counted.
    let mut counted = None;
    let curve = match asked.method {
        Some(method @ (Method::Snapshots | Method::Rehearsal)) => {
            let reach = match reach {
                Ok(reach) => reach.clone(),
                Err(why) => {
                    bail!(
                        "this method works at the guest's host: {why:#}; methods of libvirt's own work without"
                    )
                }
            };
            let Some(qmp) = asked.qmp.clone().or(described.qmp.map(PathBuf::from)) else {
                bail!(
                    "`{name}` has no QMP socket beside libvirt's, which this method takes. Give it one in its XML, as \
                     <qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='unix:/run/NAME.qmp,server=on,wait=off'/></qemu:commandline>, \
                     and start it anew (--qmp PATH names one that stands elsewhere); dirty-bitmap, dirty-ring and page-sampling work without"
                );
            };
            let longest_stop = asked.longest_stop;
            let target = Target {
                reach,
                qmp,
                uuid: uuid.clone(),
                name: name.to_owned(),
                memory,
                longest_stop,
            };
            let windows_ms: Vec<u64> = asked.windows.iter().map(|s| u64::from(*s) * 1000).collect();
            let mut measured = Vec::new();
            for _ in 0..asked.repeats {
                step(asked.windows.iter().sum());
                measured.extend(match method {
                    Method::Snapshots => {
                        let (points, pages) = snapshots(&target, &windows_ms, interrupted)?;
                        counted = Some(pages);
                        points
                    }
                    _ => rehearsal(&target, &windows_ms, interrupted)?,
                });
            }
            Curve::of(method, asked.windows.len(), &measured, memory, false)
        }
        _ => by_libvirt(&domain, described.kvm, asked, memory, interrupted, &mut step)
            .with_context(|| format!("measuring `{name}`"))?,
    };
    let seen = reach.as_ref().ok().and_then(|reach| resident(reach, &uuid, memory).ok());
    let (touched, card) = seen.unwrap_or((None, None));
    let qemu = connect.hyp_version().map_or(String::new(), ffi::dotted);
    Ok(Found { curve, touched: counted.or(touched), card, vcpus: info.nr_virt_cpu, qemu })
}

/// How much of a guest's memory its QEMU holds, and the speed of its host's card.
fn resident(
    reach: &Reach,
    uuid: &str,
    memory: Pages,
) -> anyhow::Result<(Option<Pages>, Option<BitRate>)> {
    let helper = Helper::start(reach, &["resident", uuid, &memory.bytes().0.to_string()])?;
    let said = helper.next(Duration::from_secs(20))?.context("nothing came")?;
    let number = |key: &str| said.get(key).and_then(serde_json::Value::as_u64);
    Ok((
        number("resident").map(|bytes| Pages(bytes / 4096)),
        number("speed_mbit").map(|mbit| BitRate(mbit * 1_000_000)),
    ))
}

fn by_libvirt(
    domain: &Domain,
    kvm: bool,
    asked: &Asked,
    memory: Pages,
    interrupted: &AtomicBool,
    step: &mut impl FnMut(u32),
) -> anyhow::Result<Curve> {
    // Outside of KVM the dirty log is not kept while nothing migrates.
    let candidates = match asked.method {
        Some(one) => vec![one],
        None if kvm => vec![Method::DirtyBitmap, Method::DirtyRing, Method::PageSampling],
        None => vec![Method::PageSampling],
    };
    let mut last = None;
    for method in candidates {
        let mut measured = Vec::new();
        let all: anyhow::Result<()> = (0..asked.repeats).try_for_each(|_| {
            measured.extend(measure_by(domain, asked.windows, method, interrupted, step)?);
            Ok(())
        });
        match all {
            Ok(()) => return Ok(Curve::of(method, asked.windows.len(), &measured, memory, true)),
            Err(error) if interrupted.load(Ordering::Relaxed) => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no method was tried")?)
}

fn measure_by(
    domain: &Domain,
    windows: &[u32],
    method: Method,
    interrupted: &AtomicBool,
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
        let started = Instant::now();
        let mib_s = loop {
            // QEMU ends its measurement by itself, and changes nothing of the guest.
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            std::thread::sleep(Duration::from_millis(100));
            if started.elapsed() < length {
                continue;
            }
            let stats = ffi::dirty_rate(domain).doing("reading a measurement")?;
            let get = |key: &str| stats.get(key).copied();
            if get("dirtyrate.calc_status") == Some(MEASURED) {
                break get("dirtyrate.megabytes_per_second")
                    .context("the measurement has no result")?;
            }
            if started.elapsed() > length + Duration::from_secs(20) {
                bail!("the measurement over {window} s did not end");
            }
        };
        // QEMU rounds down to whole MiB/s; nothing at all is taken for nothing.
        let mib_s = if mib_s > 0.0 { mib_s + HALF } else { 0.0 };
        points.push((
            SimTime::from_secs(window.into()),
            Pages((mib_s * f64::from(window) * PAGES_PER_MIB) as u64),
        ));
    }
    Ok(points)
}

/// Measures by looks at all of the guest's memory, over a guest's own QMP socket. Returns the curve
/// and how many pages hold something.
///
/// # Errors
/// The socket does not answer, there is no room for the guest's memory at its host, or it was
/// interrupted.
pub fn measure_snapshots(
    target: &Target,
    windows_ms: &[u64],
    interrupted: &AtomicBool,
) -> anyhow::Result<(Curve, Pages)> {
    let (points, touched) = snapshots(target, windows_ms, interrupted)?;
    Ok((Curve::of(Method::Snapshots, windows_ms.len(), &points, target.memory, false), touched))
}

/// Measures by a migration to nowhere, over a guest's own QMP socket.
///
/// # Errors
/// The socket does not answer, a migration is under way, the guest writes so little that QEMU would
/// end this one, or it was interrupted.
pub fn measure_rehearsal(
    target: &Target,
    windows_ms: &[u64],
    interrupted: &AtomicBool,
) -> anyhow::Result<Curve> {
    let points = rehearsal(target, windows_ms, interrupted)?;
    Ok(Curve::of(Method::Rehearsal, windows_ms.len(), &points, target.memory, false))
}

type Points = Vec<(SimTime, Pages)>;

fn snapshots(
    target: &Target,
    windows_ms: &[u64],
    interrupted: &AtomicBool,
) -> anyhow::Result<(Points, Pages)> {
    let bytes = target.memory.bytes().0.to_string();
    let longest = target.longest_stop.as_secs_f64().to_string();
    let words = [
        "snapshots",
        &target.socket(),
        &target.uuid,
        &target.name,
        &bytes,
        &listed(windows_ms),
        &longest,
    ];
    target.ask(&words, windows_ms, interrupted).context("comparing the guest's memory")
}

fn rehearsal(
    target: &Target,
    windows_ms: &[u64],
    interrupted: &AtomicBool,
) -> anyhow::Result<Points> {
    let words = ["rehearse", &target.socket(), &target.uuid, &target.name, &listed(windows_ms)];
    Ok(target.ask(&words, windows_ms, interrupted).context("migrating the guest to nowhere")?.0)
}

fn listed(windows_ms: &[u64]) -> String {
    windows_ms.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

impl Target {
    fn socket(&self) -> String {
        self.qmp.display().to_string()
    }

    /// What the helper says of each window: the points, and how many pages held something at the
    /// last. It has put back what it changed when this returns; what it could not is in the
    /// error.
    fn ask(
        &self,
        words: &[&str],
        windows_ms: &[u64],
        interrupted: &AtomicBool,
    ) -> anyhow::Result<(Points, Pages)> {
        // As long as its memory takes to be written once, at the least that is waited for.
        let patience =
            Duration::from_secs(60) + Duration::from_secs_f64(self.memory.bytes().0 as f64 / 50e6);
        let helper = Helper::start(&self.reach, words)?.patiently(2 * patience);
        let result = points_of(&helper, windows_ms, patience, interrupted);
        drop(helper);
        let Err(error) = result else { return result };
        // A helper that was killed has left a journal.
        let name = &self.name;
        match undo(&self.reach) {
            Ok(undone) => match undone.stands.into_iter().find(|(stands, _)| stands == name) {
                Some((_, why)) => Err(error.context(format!(
                    "`{name}` was changed by the measurement, and could not be put back: {why}; `migcal settle --connect` tries again"
                ))),
                None => Err(error),
            },
            Err(unknown) => Err(error.context(format!(
                "whether `{name}` was put back is not known ({unknown:#}); `migcal settle --connect` at its host looks"
            ))),
        }
    }
}

fn points_of(
    helper: &Helper,
    windows_ms: &[u64],
    each: Duration,
    interrupted: &AtomicBool,
) -> anyhow::Result<(Points, Pages)> {
    let patience = (windows_ms.len() as u32 + 2) * 2 * each
        + 2 * Duration::from_millis(windows_ms.iter().sum());
    let started = Instant::now();
    let mut points = Vec::new();
    let mut touched = Pages(0);
    while points.len() < windows_ms.len() {
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        let Some(said) = helper.next(Duration::from_millis(100))? else {
            if started.elapsed() > patience {
                bail!("nothing came of its windows in {} s", patience.as_secs());
            }
            continue;
        };
        if let Some(name) = said.get("stands").and_then(serde_json::Value::as_str) {
            let why = said
                .get("why")
                .and_then(serde_json::Value::as_str)
                .unwrap_or("no reason was given");
            bail!("`{name}` could not be put back: {why}");
        }
        let number = |key: &str| said.get(key).and_then(serde_json::Value::as_f64);
        let ms = number("ms").context("the helper said nothing of the window")?;
        points.push((
            SimTime::from_millis(ms as u64),
            Pages(number("changed").unwrap_or(0.0) as u64),
        ));
        touched = Pages(number("touched").unwrap_or(0.0) as u64);
    }
    Ok((points, touched))
}

/// A longer window cannot hold fewer distinct pages: what a busy spell lifted early, lifts all that
/// is later.
fn rising(mut points: Points) -> Points {
    points.sort();
    let mut most = Pages(0);
    for (_, pages) in &mut points {
        most = most.max(*pages);
        *pages = most;
    }
    points
}

/// The longest that a guest may stand still at a time, unless somebody allows more.
pub const LONGEST_STOP: Duration = Duration::from_secs(5);

/// Windows of one length that are further apart than this, as a share of their mean, are of a guest
/// that is not steady.
const STEADY: f64 = 0.25;

impl Curve {
    /// Of windows that were measured in the same order again and again, `lengths` of them each
    /// time.
    fn of(
        method: Method,
        lengths: usize,
        measured: &[(SimTime, Pages)],
        memory: Pages,
        coarse: bool,
    ) -> Curve {
        let mut windows: Vec<Window> = (0..lengths)
            .filter_map(|place| {
                let of_one: Points =
                    measured.iter().skip(place).step_by(lengths).copied().collect();
                let count = of_one.len() as u64;
                Some(Window {
                    length: SimTime::from_millis(
                        of_one.iter().map(|(length, _)| length.0).sum::<u64>()
                            / count.max(1)
                            / 1_000_000,
                    ),
                    least: of_one.iter().map(|(_, pages)| *pages).min()?,
                    mean: Pages(
                        of_one.iter().map(|(_, pages)| pages.0).sum::<u64>() / count.max(1),
                    ),
                    most: of_one.iter().map(|(_, pages)| *pages).max()?,
                })
            })
            .collect();
        windows.sort_by_key(|window| window.length);
        let points = rising(windows.iter().map(|window| (window.length, window.mean)).collect());
        Curve { method, windows, points, memory, coarse }
    }

    /// How much counts may differ by how they are counted and by chance, pages.
    fn tolerance(&self, window: &Window) -> f64 {
        let step = if self.coarse { PAGES_PER_MIB * window.length.as_secs_f64() } else { 0.0 };
        step + 3.0 * (2.0 * window.mean.0 as f64).sqrt() + STEADY * window.mean.0 as f64
    }

    /// Why the guest is not steady, if it is not: windows of one length that disagree, or a longer
    /// one that holds fewer pages than a shorter.
    pub fn unsteady(&self) -> Option<String> {
        let apart = self.windows.iter().find(|w| (w.most.0 - w.least.0) as f64 > self.tolerance(w));
        if let Some(Window { length, least, most, .. }) = apart {
            return Some(format!(
                "windows of {length} held from {} to {} distinct pages",
                least.0, most.0
            ));
        }
        let lifted =
            self.windows.iter().zip(&self.points).find(|(window, (_, pages))| {
                (pages.0 - window.mean.0) as f64 > self.tolerance(window)
            });
        lifted.map(|(Window { length, mean, .. }, (_, pages))| {
            format!(
                "windows of {length} held {} distinct pages, and shorter ones {}",
                mean.0, pages.0
            )
        })
    }

    /// As a workload: the measured points themselves.
    pub fn workload(&self) -> Workload {
        if self.points.iter().all(|(_, pages)| pages.0 == 0) {
            return Workload::idle();
        }
        Workload {
            terms: vec![term(Pattern::Curve {
                curve: workload::Curve::new(self.points.clone()),
                pace: 1.0,
            })],
        }
    }

    /// As a sum of uniform classes.
    pub fn fitted(&self) -> Workload {
        let classes = workload::Curve::new(self.points.clone()).classes(self.memory.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(coarse: bool, lengths: usize, counted: &[(u64, u64)]) -> Curve {
        let points: Points =
            counted.iter().map(|(ms, pages)| (SimTime::from_millis(*ms), Pages(*pages))).collect();
        Curve::of(Method::DirtyBitmap, lengths, &points, Pages(1 << 16), coarse)
    }

    #[test]
    fn windows_that_agree_are_steady_and_their_mean_is_the_curve() {
        let steady = curve(false, 2, &[(1000, 1180), (2000, 2100), (1000, 1220), (2002, 2140)]);
        assert_eq!(steady.unsteady(), None);
        assert_eq!(
            steady.points,
            [(SimTime::from_millis(1000), Pages(1200)), (SimTime::from_millis(2001), Pages(2120))]
        );
    }

    #[test]
    fn windows_that_disagree_are_told_with_their_range() {
        // A guest that writes for 3 s and rests for 12: it was met at work the first time, and at
        // rest the second.
        let phased = curve(true, 2, &[(1000, 11_904), (2000, 11_904), (1000, 0), (2000, 0)]);
        assert!(phased.unsteady().unwrap().contains("from 0 to 11904"), "{:?}", phased.unsteady());
        let warming = curve(false, 3, &[(1000, 3000), (2000, 9000), (5000, 4000)]);
        assert!(
            warming.unsteady().unwrap().contains("shorter ones 9000"),
            "{:?}",
            warming.unsteady()
        );
        // Whole MiB/s: one more or less says nothing.
        assert_eq!(curve(true, 1, &[(5000, 1280), (5000, 2560)]).unsteady(), None);
    }
}
