//! The end of a migration: completed, timed out or given up, and what is then said of it.

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::qemu;
use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::units::{PAGE_BYTES, SimTime};

use super::{Bottleneck, Bound, Decision, Ending, Migration, Patience, Stage};
use crate::engine::{GuestMemory, PageCount};

/// What a write that is replayed costs.
const EFFORT_OF_WRITE: u64 = 8;

impl<M: GuestMemory> Migration<M> {
    /// It is complete: `total` when all is there and runs, until which the management layer waits,
    /// `resumed` when the guest runs, `source_free` when the source has nothing left.
    pub(super) fn finish(&mut self, total: SimTime, resumed: SimTime, source_free: SimTime) {
        let total = match self.settings.policy.mode {
            Mode::Offline => total,
            _ => total + self.settings.finish,
        };
        if total >= SimTime::HORIZON {
            return self.give_up(SimTime::HORIZON, Ending::GaveUp(Patience::Time));
        }
        self.terms.ov = total - self.terms.ti;
        self.stage = Stage::Over;
        self.outcome.ending = Ending::Completed;
        self.outcome.resumed_at = Some(resumed);
        self.outcome.source_free_at = Some(source_free);
        self.outcome.ended_at = total;
        self.fill_in();
    }

    pub(super) fn time_out(&mut self, now: SimTime) {
        self.outcome.timed_out_at = Some(now);
        match self.settings.policy.on_timeout {
            OnTimeout::Abort => self.give_up(now, Ending::TimedOut),
            OnTimeout::Suspend => {
                if self.suspended_at.is_none() {
                    self.suspended_at = Some(now);
                    self.let_run(now, 0.0);
                }
            }
            OnTimeout::Postcopy => self.switch_at = Some(now),
        }
    }

    pub(super) fn give_up(&mut self, now: SimTime, ending: Ending) {
        if self.stage == Stage::Iterating {
            self.iteration.unsent_pages = self.memory.pending();
            self.end_iteration(now, Decision::GiveUp);
        }
        self.terms = Terms {
            ti: now.since(self.settings.first_page),
            ov: now.min(self.settings.first_page),
            ..Terms::default()
        };
        if self.settings.policy.mode == Mode::Offline || self.suspended_at == Some(SimTime::ZERO) {
            self.terms = Terms { ov: now, ..Terms::default() };
        }
        self.parts = DowntimeParts::default();
        self.stage = Stage::Over;
        self.outcome.ending = ending;
        self.outcome.ended_at = now;
        self.outcome.resumed_at = None;
        self.fill_in();
    }

    pub(super) fn fill_in(&mut self) {
        let o = &mut self.outcome;
        o.terms = self.terms;
        o.downtime_parts = self.parts;
        o.normal_pages = libm::round(self.sent.normal) as u64;
        o.zero_pages = libm::round(self.sent.zero) as u64;
        let whole = PageCount {
            normal: o.normal_pages as f64,
            zero: o.zero_pages as f64,
            encoded: libm::round(self.sent.encoded),
            unchanged: libm::round(self.sent.unchanged),
        };
        o.encoded_pages = whole.encoded as u64;
        o.unchanged_pages = whole.unchanged as u64;
        o.wire_bytes = libm::round(self.settings.speeds.wire(&whole)) as u64;
        o.dirty_syncs = self.syncs;
        o.throttle_percent = self.throttle.percent;
        o.faults = self.memory.faults();
        o.effort =
            self.effort + self.memory.take_effort() + EFFORT_OF_WRITE * self.memory.replayed();
        if whole.total() > 0.0 && self.settings.policy.mode != Mode::Offline {
            let iterations = self.bound();
            let speeds = self.settings.speeds.slowed(self.cpu);
            let sent_s = speeds.wire(&whole) / iterations.bytes_per_s;
            self.outcome.bound_of_iterations = Some(iterations);
            // Zero pages go first. They may have taken longer than all others, and under a cap that
            // post-copy does not have.
            let scanned_s = whole.zero * speeds.zero_s;
            let zero_wire = whole.zero * qemu::ZERO_PAGE_WIRE;
            let capped_s = if zero_wire <= self.wire_at_stop {
                zero_wire / self.settings.speeds.cap
            } else {
                0.0
            };
            self.outcome.bound = Some(if scanned_s.max(capped_s) <= sent_s {
                iterations
            } else if scanned_s > capped_s {
                Bound {
                    by: Bottleneck::ZeroPageScan,
                    bytes_per_s: whole.zero * PAGE_BYTES as f64 / scanned_s,
                }
            } else {
                Bound { by: Bottleneck::Cap, bytes_per_s: self.settings.speeds.cap }
            });
        }
    }

    /// What holds back the pages that are sent whole: the link, if it gives less than could be
    /// used, or what says how much could be.
    pub(super) fn bound(&self) -> Bound {
        let s = &self.settings;
        // Once the guest has stopped here there is no cap, or that of post-copy.
        let most_by_cap = match self.outcome.switched_at {
            _ if 2.0 * self.wire_at_stop > self.iteration_wire => s.speeds.cap,
            Some(_) => s.postcopy_cap,
            None => f64::INFINITY,
        };
        let thread = Bound {
            by: Bottleneck::SendingThread,
            bytes_per_s: s.speeds.slowed(self.cpu).buffer_rate(),
        };
        let cap = Bound { by: Bottleneck::Cap, bytes_per_s: most_by_cap };
        let window = Bound { by: Bottleneck::TcpWindow, bytes_per_s: s.window_rate };
        let carrier = Bound { by: Bottleneck::Transport, bytes_per_s: s.carrier_rate };
        let link = Bound { by: Bottleneck::Link, bytes_per_s: self.last_rate };
        let least =
            |a: Bound, b: Bound| if b.bytes_per_s < a.bytes_per_s * (1.0 - 1e-9) { b } else { a };
        let (own, path) = (least(thread, cap), least(least(window, carrier), link));
        // What always fits into the socket waits for the path only at the end, if there is one.
        if self.waited_for_path { least(own, path) } else { own }
    }
}
