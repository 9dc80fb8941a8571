//! Migrations that get nowhere: given up, or not followed iteration by iteration until what they
//! wait for.

use migsim_models::spec::Mode;
use migsim_models::units::{PAGE_BYTES, SimTime};

use super::{Decision, Ending, Migration, Patience};
use crate::engine::{GuestMemory, PageCount};

/// A migration gets nowhere when so many iterations in a row left no less than an earlier one did
/// ...
pub(super) const STUCK_ITERATIONS: u64 = 40;
/// ... by more than this share. Without a timeout it is given up then.
const STUCK_PROGRESS: f64 = 0.995;
/// The simulator follows so many iterations at most ...
const MOST_ITERATIONS: u64 = 50_000;
/// ... and fewer of a memory whose iterations are costly: so much effort in all, some tenths of a
/// second.
const MOST_EFFORT: u64 = 12_000_000;
/// Iterations go on as they do when so little of what they send stays in the socket.
const STEADY: f64 = 0.01;

/// Iterations that do what those before did need not be followed one by one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// Since when the iterations are watched, and what had come of it all by then.
    pub(super) since: SimTime,
    pub(super) looks: u64,
    pub(super) syncs: u64,
    pub(super) iteration_count: u64,
    pub(super) sent: PageCount,
    pub(super) arrived: f64,
    pub(super) queued: f64,
    /// From when on they have been seen enough of, and until when they all are taken to be alike.
    pub(super) skips: Option<[SimTime; 2]>,
}

impl<M: GuestMemory> Migration<M> {
    pub(super) fn skips(&self) -> Option<[SimTime; 2]> {
        self.waiting.as_ref().and_then(|waiting| waiting.skips)
    }

    /// A migration that gets nowhere is given up, so that there is an answer, or is not followed
    /// further until what it waits for.
    pub(super) fn judge_progress(&mut self, now: SimTime) {
        // Before 1.3 the threshold may be most of the memory: what counts is how much is above it.
        let own_buffer = self.settings.policy.qemu.measures_its_own_buffer();
        let below = if own_buffer { self.window.threshold / PAGE_BYTES as f64 } else { 0.0 };
        let pending = self.memory.pending() - below;
        if pending < self.best_pending * STUCK_PROGRESS {
            (self.best_pending, self.best_look, self.best_at) = (pending, self.looks, now);
            self.waiting = None;
            return self.run_out_of_patience(now);
        }
        let waited = now - self.best_at > self.settings.longest_phase;
        // Before 1.3 an iteration is but one quota of the rate limit.
        let iterations = if own_buffer { 100 * STUCK_ITERATIONS } else { STUCK_ITERATIONS };
        if self.looks - self.best_look < iterations || !waited {
            return self.run_out_of_patience(now);
        }
        if self.awaited().is_some() {
            self.watch(now, self.settings.longest_phase);
        } else if self.settings.policy.mode != Mode::Postcopy
            && self.settings.policy.timeout.is_none()
        {
            return self.give_up(now, Ending::NoProgress);
        }
        self.run_out_of_patience(now);
    }

    /// What ends the iterations in any case.
    pub(super) fn awaited(&self) -> Option<SimTime> {
        [self.timeout(), self.pending_switch()].into_iter().flatten().min()
    }

    /// What takes too long to follow is not followed to its end.
    pub(super) fn run_out_of_patience(&mut self, now: SimTime) {
        let skips = self.waiting.is_some_and(|waiting| waiting.skips.is_some());
        if skips || self.looks < MOST_ITERATIONS && self.effort < MOST_EFFORT {
            return;
        }
        if self.awaited().is_some()
            && self.looks < 2 * MOST_ITERATIONS
            && self.effort < 2 * MOST_EFFORT
        {
            self.watch(now, SimTime::ZERO);
        } else {
            self.give_up(now, Ending::GaveUp(Patience::Iterations));
        }
    }

    /// Watches some iterations, and so long; what follows until shortly before the end that it
    /// waits for is taken to be alike.
    pub(super) fn watch(&mut self, now: SimTime, least: SimTime) {
        let Some(awaited) = self.awaited() else { return };
        let waiting = *self.waiting.get_or_insert(Waiting {
            since: now,
            looks: self.looks,
            syncs: self.syncs,
            iteration_count: self.outcome.iteration_count,
            sent: self.sent,
            arrived: self.arrived,
            queued: self.window.queued,
            skips: None,
        });
        let (watched, iterations) = (now - waiting.since, self.looks - waiting.looks);
        if iterations >= self.watched_iterations && watched >= least && watched > SimTime::ZERO {
            let until = awaited - watched;
            let wire =
                self.settings.speeds.wire(&self.sent) - self.settings.speeds.wire(&waiting.sent);
            // While the socket fills, iterations are not yet as they will be.
            if (self.window.queued - waiting.queued).abs() > STEADY * wire {
                self.waiting = None;
                self.watched_iterations = 2 * iterations;
            } else if until - now > watched {
                self.waiting = Some(Waiting { skips: Some([now, until]), ..waiting });
            }
        }
    }

    /// Until `now` the iterations were as those that were watched.
    pub(super) fn skip(&mut self, waiting: &Waiting, since: SimTime, now: SimTime) {
        let skipped = now - since;
        let times = skipped.as_secs_f64() / (since - waiting.since).as_secs_f64();
        let often = |count: u64| libm::round(count as f64 * times) as u64;
        let mut sent = self.sent;
        sent.add(&waiting.sent.scaled(-1.0));
        let (wire, arrived) = (self.settings.speeds.wire(&sent), self.arrived - waiting.arrived);
        // What the socket took up meanwhile it does not take up again.
        let sent = sent.scaled(if wire > 0.0 { times * arrived / wire } else { times });
        let count = often(self.outcome.iteration_count - waiting.iteration_count).max(1);
        self.syncs += often(self.syncs - waiting.syncs);
        self.arrived += arrived * times;
        self.memory.skip(now);
        self.sent.add(&sent);
        self.iteration.pages.add(&sent);
        self.iteration.stands_for = count;
        self.iteration.n += count - 1;
        self.iteration.unsent_pages = self.memory.pending();
        let wire_before = self.iteration_wire;
        self.end_iteration(now, Decision::Iterate);
        self.wire_at_decision += self.iteration_wire - wire_before;
        for time in [&mut self.last_sync, &mut self.last_decision, &mut self.best_at] {
            *time += skipped;
        }
        self.window.skip(now);
    }
}
