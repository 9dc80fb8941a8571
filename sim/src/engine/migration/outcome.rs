//! What came of a migration.

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::spec::Mode;
use migsim_models::units::SimTime;

use crate::engine::{Faults, PageCount};

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The guest runs at the destination and everything is there.
    Completed,
    /// Its timeout came first, and it was given up.
    TimedOut,
    /// Iterations no longer made progress, and there was no timeout to wait for: it does not
    /// converge.
    #[default]
    NoProgress,
    /// The path carries nothing any more.
    PathCut,
    /// It might have come to an end some day; the simulator did not wait for it.
    GaveUp(Patience),
}

/// What the simulator has too little patience for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// More iterations than it follows.
    Iterations,
    /// More writes than it replays page by page.
    Writes,
    /// A time beyond [`SimTime::HORIZON`], 292 years.
    Time,
}

/// What holds the stream of pages back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bottleneck {
    /// The link, or what others leave of it.
    Link,
    /// The migration's own cap on bandwidth.
    Cap,
    /// The window of TCP over the path's round trip.
    TcpWindow,
    /// What carries the stream: encryption, a tunnel.
    Transport,
    /// How fast the sending threads put pages on the wire.
    SendingThread,
    /// How fast pages are found to be zero.
    ZeroPageScan,
}

/// What holds the stream of pages back, and at how many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// What.
    pub by: Bottleneck,
    /// Payload bytes per second; of the scan for zero pages, bytes of guest memory per second.
    pub bytes_per_s: f64,
}

/// What QEMU decided at the end of an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decision {
    /// Too much is left: another iteration.
    #[default]
    Iterate,
    /// Little enough is left: the vCPUs stop.
    Stop,
    /// But for 8.0 to 8.2 a threshold of zero is met without a sync: the vCPUs stop.
    StopUnsynced,
    /// Too much is left, but whoever runs the migration has seen enough of that: the vCPUs stop.
    ForcedStop,
    /// Auto-converge's own sync in the middle of an iteration, which goes on.
    ForcedSync,
    /// Post-copy begins.
    SwitchOver,
    /// It was the last: the guest does not run, or runs at the destination.
    End,
    /// It was given up here.
    GiveUp,
}

/// One iteration: from a sync to the next; of very many, several in one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Iteration {
    /// The number of its last iteration, counted from 1. The last one is sent with the guest
    /// stopped, or behind it.
    pub n: u64,
    /// How many iterations it stands for: one, but where there were so many that the list was
    /// thinned.
    pub stands_for: u64,
    /// The sync that began it.
    pub start: SimTime,
    /// The sync that ended it.
    pub end: SimTime,
    /// What was sent, in expected counts.
    pub pages: PageCount,
    /// Bytes on the wire.
    pub wire_bytes: f64,
    /// Pages that were still to be sent when it ended: QEMU looks before an iteration is through.
    pub unsent_pages: f64,
    /// Pages to be sent after the sync that ended it: what was left over and what had become
    /// dirty.
    pub dirty_pages_at_end: f64,
    /// How much the vCPUs were throttled, in percent.
    pub throttle_percent: u32,
    /// Bytes of memory that may have been left for the vCPUs to stop, when QEMU looked at its end.
    pub threshold_bytes: f64,
    /// What QEMU decided then.
    pub decision: Decision,
}

impl Iteration {
    /// This and the next in one.
    fn and(&self, next: &Iteration) -> Iteration {
        let mut pages = self.pages;
        pages.add(&next.pages);
        Iteration {
            stands_for: self.stands_for + next.stands_for,
            start: self.start,
            pages,
            wire_bytes: self.wire_bytes + next.wire_bytes,
            ..*next
        }
    }
}

/// Passes that an outcome keeps one by one; of more, those in the middle are put together in pairs.
const MOST_KEPT: usize = 4096;
/// So many at the beginning, and as many at the end, stay as they are.
const KEPT_WHOLE: usize = 512;

/// What came of a migration. Times are since its start.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// How the guest was moved.
    pub mode: Mode,
    /// How it ended.
    pub ending: Ending,
    /// When everything was there and the guest ran, or it was given up.
    pub ended_at: SimTime,
    /// When the guest ran at the destination.
    pub resumed_at: Option<SimTime>,
    /// When the source had nothing left to give.
    pub source_free_at: Option<SimTime>,
    /// When it switched to post-copy.
    pub switched_at: Option<SimTime>,
    /// When its timeout struck, whatever came of that.
    pub timed_out_at: Option<SimTime>,
    /// How long the source took to save the devices' state.
    pub state_saved_in: SimTime,
    /// The terms of the four equations.
    pub terms: Terms,
    /// What the downtime is made of.
    pub downtime_parts: DowntimeParts,
    /// Bytes on the wire.
    pub wire_bytes: u64,
    /// Pages sent whole.
    pub normal_pages: u64,
    /// Pages sent as zero.
    pub zero_pages: u64,
    /// Pages sent as XBZRLE differences.
    pub encoded_pages: u64,
    /// Pages that XBZRLE found as they had been sent: they cost no bytes.
    pub unchanged_pages: u64,
    /// QEMU's dirty-sync-count.
    pub dirty_syncs: u64,
    /// The last throttle, in percent.
    pub throttle_percent: u32,
    /// What post-copy's faults cost.
    pub faults: Faults,
    /// What held the stream of pages back for most of the time; `None`: no page was sent.
    pub bound: Option<Bound>,
    /// What held back the pages that a guest writes again and again; as [`Outcome::bound`], but
    /// never the scan for zero pages.
    pub bound_of_iterations: Option<Bound>,
    /// Every iteration, or where there were very many, several in one.
    pub iterations: Vec<Iteration>,
    /// How many iterations there were.
    pub iteration_count: u64,
    /// How much work it was to find out, in units of some ten nanoseconds; the same on every
    /// machine.
    pub effort: u64,
    /// Of iterations that were not kept.
    forgotten: Option<Gist>,
}

/// What is told of all iterations together.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Gist {
    least_left_pages: f64,
    threshold_bytes: f64,
    throttled_s: f64,
}

impl Outcome {
    pub(super) fn new(mode: Mode) -> Outcome {
        Outcome {
            mode,
            ending: Ending::default(),
            ended_at: SimTime::ZERO,
            resumed_at: None,
            source_free_at: None,
            switched_at: None,
            timed_out_at: None,
            state_saved_in: SimTime::ZERO,
            terms: Terms::default(),
            downtime_parts: DowntimeParts::default(),
            wire_bytes: 0,
            normal_pages: 0,
            zero_pages: 0,
            encoded_pages: 0,
            unchanged_pages: 0,
            dirty_syncs: 0,
            throttle_percent: 0,
            faults: Faults::default(),
            bound: None,
            bound_of_iterations: None,
            iterations: Vec::with_capacity(8),
            iteration_count: 0,
            effort: 0,
            forgotten: None,
        }
    }

    pub(super) fn push(&mut self, iteration: Iteration) {
        self.iteration_count = iteration.n;
        self.iterations.push(iteration);
        if self.iterations.len() >= MOST_KEPT {
            let last = self.iterations.split_off(self.iterations.len() - KEPT_WHOLE);
            let middle = self.iterations.split_off(KEPT_WHOLE);
            self.iterations.extend(middle.chunks(2).map(|pair| match pair {
                [a, b] => a.and(b),
                one => one[0],
            }));
            self.iterations.extend(last);
        }
    }

    /// Pages left to send over time, in seconds: at the beginning and the end of each iteration.
    pub fn left_over_time(&self) -> Vec<(f64, f64)> {
        let ends = self.iterations.iter().map(|iteration| {
            let pending = iteration.pages.total() + iteration.unsent_pages;
            [
                (iteration.start.as_secs_f64(), pending),
                (iteration.end.as_secs_f64(), iteration.unsent_pages),
            ]
        });
        ends.flatten().collect()
    }

    /// Lets the iterations go, of which there may be many, but not what is told of all together.
    pub fn forget_iterations(&mut self) {
        self.forgotten = Some(self.gist());
        self.iterations = Vec::new();
    }

    fn gist(&self) -> Gist {
        let share = |iteration: &Iteration| f64::from(iteration.throttle_percent) / 100.0;
        self.forgotten.unwrap_or_else(|| Gist {
            least_left_pages: self
                .iterations
                .iter()
                .map(|iteration| iteration.dirty_pages_at_end)
                .fold(f64::INFINITY, f64::min),
            threshold_bytes: self.iterations.last().map_or(0.0, |last| last.threshold_bytes),
            throttled_s: self.iterations.iter().fold(0.0, |sum, iteration| {
                sum + share(iteration) * (iteration.end - iteration.start).as_secs_f64()
            }),
        })
    }

    /// The fewest pages that an iteration left to be sent; endless if there was none.
    pub fn least_left_pages(&self) -> f64 {
        self.gist().least_left_pages
    }

    /// What may have been left for the vCPUs to stop at the end of the last iteration, in bytes.
    pub fn threshold_bytes(&self) -> f64 {
        self.gist().threshold_bytes
    }

    /// Seconds of the guest's service that throttling took.
    pub fn throttled_s(&self) -> f64 {
        self.gist().throttled_s
    }

    /// Seconds of its service that the guest lost to the migration itself: down, throttled, in
    /// post-copy's faults.
    pub fn lost_s(&self) -> f64 {
        let down = self.downtime().map_or(0.0, SimTime::as_secs_f64);
        down + self.throttled_s() + self.faults.stalled_s
    }

    /// Whether the guest got there.
    pub fn completed(&self) -> bool {
        self.ending == Ending::Completed
    }

    /// Total migration time, if it completed.
    pub fn tmt(&self) -> Option<SimTime> {
        self.completed().then(|| self.terms.tmt())
    }

    /// The downtime that QEMU and libvirt report. In post-copy that is the source's part alone:
    /// until the state has been handed to the socket (`migration/migration.c`,
    /// `postcopy_start`), not until it has arrived and the guest runs.
    pub fn reported_downtime(&self) -> Option<SimTime> {
        let parts = &self.downtime_parts;
        let source = parts.stop + parts.flush + parts.sync + self.state_saved_in;
        self.downtime().map(|all| if self.switched_at.is_some() { all.min(source) } else { all })
    }

    /// Total downtime, if it completed.
    pub fn downtime(&self) -> Option<SimTime> {
        self.completed().then(|| self.terms.tdt())
    }
}
