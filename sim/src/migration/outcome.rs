//! What came of a migration.

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::spec::Mode;
use migsim_models::units::SimTime;

use crate::memory::{Faults, PageCount};

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The guest runs at the destination and everything is there.
    Completed,
    /// Its timeout came first, and it was given up.
    TimedOut,
    /// Rounds no longer made progress, and there was no timeout to wait for.
    #[default]
    NoProgress,
    /// The path carries nothing any more.
    LinkDead,
}

/// One pass: from a sync to the next.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Round {
    /// Counted from 1. The last one is sent with the guest stopped, or behind it.
    pub n: u32,
    /// The sync that began it.
    pub start: SimTime,
    /// The sync that ended it.
    pub end: SimTime,
    /// What was sent, in expected counts.
    pub pages: PageCount,
    /// Bytes on the wire.
    pub wire_bytes: f64,
    /// Pages that were still to be sent when it ended: QEMU looks before a pass is through.
    pub unsent_pages: f64,
    /// Pages to be sent after the sync that ended it: what was left over and what had become dirty.
    pub dirty_pages_at_end: f64,
    /// How much the vCPUs were throttled, in percent.
    pub throttle_percent: u32,
}

/// What came of a migration. Times are since its start.
#[derive(Debug, Clone, PartialEq)]
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
    pub dirty_syncs: u32,
    /// The last throttle, in percent.
    pub throttle_percent: u32,
    /// What post-copy's faults cost.
    pub faults: Faults,
    /// Every pass.
    pub rounds: Vec<Round>,
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
            rounds: Vec::with_capacity(8),
        }
    }

    /// Pages left to send over time, in seconds: at the beginning and the end of each pass.
    pub fn left_over_time(&self) -> Vec<(f64, f64)> {
        let ends = self.rounds.iter().map(|round| {
            let pending = round.pages.total() + round.unsent_pages;
            [(round.start.as_secs_f64(), pending), (round.end.as_secs_f64(), round.unsent_pages)]
        });
        ends.flatten().collect()
    }

    /// Whether the guest got there.
    pub fn completed(&self) -> bool {
        self.ending == Ending::Completed
    }

    /// Total migration time, if it completed.
    pub fn tmt(&self) -> Option<SimTime> {
        self.completed().then(|| self.terms.tmt())
    }

    /// The downtime that QEMU and libvirt report. In post-copy that is the source's part alone: until the state has been
    /// handed to the socket (`migration/migration.c`, `postcopy_start`), not until it has arrived and the guest runs.
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
