//! Pre-copy: iterations until little enough is left, then the stop, the rest of RAM and the
//! devices' state.

use migsim_models::qemu;
use migsim_models::spec::{Mode, Switch};
use migsim_models::units::{PAGE_BYTES, SimTime};

use super::legs::Window;
use super::rule::{Look, OwnRule};
use super::{Decision, Iteration, Migration, Stage};
use crate::engine::{GuestMemory, PageCount};

/// Before 1.3 an iteration is but one quota of the rate limit. Where so many lie before QEMU could
/// stop, one look stands for several.
const QUOTAS_AHEAD: f64 = 1024.0;
/// An iteration that leaves more than this of what the one before left got nowhere: chance makes
/// that differ by a few percent.
const NOWHERE: f64 = 0.95;

impl<M: GuestMemory> Migration<M> {
    /// The first page is about to be sent.
    pub(super) fn begin(&mut self, now: SimTime) {
        self.memory.start(now);
        self.syncs = 1;
        self.last_sync = now;
        self.last_decision = now;
        self.window = Window::starting(now);
        self.stage = Stage::Iterating;
        self.iteration = Iteration { n: 1, stands_for: 1, start: now, ..Iteration::default() };
    }

    /// QEMU looks at what is left (`migration/migration.c`, `migration_iteration_run`).
    pub(super) fn look(&mut self, now: SimTime) {
        if !self.plan.crossed && self.memory.pending() > 0.0 {
            return; // only the stretch that was planned is done
        }
        let qemu = self.settings.policy.qemu;
        if qemu.measures_its_own_buffer() {
            let s = &self.settings;
            self.window.threshold =
                qemu::threshold(s.speeds.buffer_rate(), s.policy.downtime_limit);
            // The quotas that were filled since the last look had a sync each.
            let quotas = libm::round(self.window.sending / self.quota_s()).max(1.0) as u64;
            self.syncs += quotas - 1;
            self.iteration.stands_for += quotas - 1;
            self.iteration.n += quotas - 1;
        }
        if self.own_rule.is_some() {
            return self.ask_own_rule(now);
        }
        // It syncs below the threshold, which is 0 in the first 100 ms.
        let threshold = self.window.threshold;
        if threshold == 0.0 && !qemu.syncs_at_its_threshold() {
            self.iteration.unsent_pages = self.memory.pending();
            self.end_iteration(now, Decision::StopUnsynced);
            return self.prepare_stop(now, SimTime::ZERO);
        }
        let sync = self.settings.sync;
        self.sync(now);
        if qemu::may_stop(self.pending_bytes(), threshold, qemu) {
            self.end_iteration(now, Decision::Stop);
            return self.prepare_stop(now, sync);
        }
        if self.is_forced_to_stop() {
            self.end_iteration(now, Decision::ForcedStop);
            return self.prepare_stop(now, sync);
        }
        self.iterate(now);
        if self.settings.policy.mode == Mode::Postcopy
            && self.settings.policy.switch
                == Switch::AfterIterations(u32::try_from(self.syncs - 1).unwrap_or(u32::MAX))
        {
            self.switch_at = Some(now + self.settings.switch_delay);
        }
    }

    /// Another iteration, unless it gets nowhere.
    fn iterate(&mut self, now: SimTime) {
        self.end_iteration(now, Decision::Iterate);
        self.window.begin_iteration(now, self.settings.sync);
        self.looks += 1;
        self.judge_progress(now);
    }

    /// An iteration has gone through all pages, and an own rule says whether it was the last.
    fn ask_own_rule(&mut self, now: SimTime) {
        let dirtied = self.sync(now);
        let look = Look {
            now,
            iterations: self.iteration.n,
            pending_pages: self.memory.pending(),
            dirtied_pages: dirtied,
            wire_bytes: self.settings.speeds.wire(&self.sent),
            bytes_per_s: self.rate,
        };
        let stops = self.own_rule.as_mut().is_some_and(|OwnRule(rule)| rule(&look));
        if !stops {
            return self.iterate(now);
        }
        self.end_iteration(now, Decision::Stop);
        self.prepare_stop(now, self.settings.sync);
    }

    fn pending_bytes(&self) -> f64 {
        self.memory.pending() * PAGE_BYTES as f64
    }

    /// How long it takes QEMU before 1.3 to fill one quota of its rate limit, or the link to take
    /// it.
    pub(super) fn quota_s(&self) -> f64 {
        let quota = self.settings.speeds.cap.min(f64::MAX) * qemu::WINDOW.as_secs_f64();
        (quota / self.rate.max(1.0)).clamp(qemu::WINDOW.as_secs_f64(), 1.0)
    }

    /// After how many quotas QEMU before 1.3 is to look: after each, but where it is far from what
    /// would let it stop.
    pub(super) fn quotas_ahead(&self) -> f64 {
        let s = &self.settings;
        let threshold = qemu::threshold(s.speeds.buffer_rate(), s.policy.downtime_limit);
        let quota = s.speeds.cap.min(self.rate).max(1.0) * self.quota_s();
        libm::floor((self.pending_bytes() - threshold) / quota / QUOTAS_AHEAD).max(1.0)
    }

    /// A sync, with which an iteration ends, and which may throttle. Returns the pages newly dirty
    /// (`migration/ram.c`, `migration_bitmap_sync`).
    fn sync(&mut self, now: SimTime) -> f64 {
        self.iteration.unsent_pages = self.memory.pending();
        self.iteration.threshold_bytes = self.window.threshold;
        let newly = self.memory.sync(now);
        self.syncs += 1;
        self.last_sync = now;
        self.dirtied_since_decision += newly;
        self.effort += self.memory.take_effort();
        if now - self.last_decision > qemu::THROTTLE_PERIOD {
            let wire = self.settings.speeds.wire(&self.sent);
            if let Some(rule) = &self.settings.policy.auto_converge {
                let dirtied = self.dirtied_since_decision * PAGE_BYTES as f64;
                let sent = wire - self.wire_at_decision;
                if self.throttle.decide(rule, self.settings.policy.qemu.throttling(), dirtied, sent)
                {
                    if self.suspended_at.is_none() {
                        self.let_run(now, self.throttle.speed());
                    }
                    self.best_pending = f64::INFINITY;
                    self.waiting = None;
                }
            }
            self.last_decision = now;
            self.dirtied_since_decision = 0.0;
            self.wire_at_decision = wire;
        }
        if self.settings.policy.auto_converge.is_some() && self.settings.policy.qemu.forces_syncs()
        {
            self.forced_sync_at = Some(self.next_tick(now));
        }
        newly
    }

    /// Whether whoever runs the migration stops the guest now, after so many iterations that got
    /// nowhere.
    fn is_forced_to_stop(&mut self) -> bool {
        let s = &self.settings;
        if s.forced_stop_after == 0
            || s.policy.mode != Mode::Precopy
            || s.policy.auto_converge.is_some()
        {
            return false;
        }
        let left = self.memory.pending();
        self.idle_iterations += u64::from(left > NOWHERE * self.left_before);
        self.left_before = left;
        self.idle_iterations >= s.forced_stop_after
    }

    /// When auto-converge's timer next strikes, which was started with the first page.
    pub(super) fn next_tick(&self, now: SimTime) -> SimTime {
        let (since, period) = (now - self.settings.first_page, qemu::FORCED_SYNC_PERIOD);
        self.settings.first_page + SimTime((since.0 / period.0 + 1).saturating_mul(period.0))
    }

    pub(super) fn end_iteration(&mut self, now: SimTime, decision: Decision) {
        if self.iteration.start == now && self.iteration.pages == PageCount::default() {
            return;
        }
        self.iteration.end = now;
        self.iteration.decision = decision;
        if decision == Decision::End {
            self.iteration.unsent_pages = 0.0;
        }
        self.iteration.dirty_pages_at_end = self.memory.pending();
        let wire = self.settings.speeds.wire(&self.sent);
        self.iteration.wire_bytes = wire - self.iteration_wire;
        self.iteration_wire = wire;
        let next = Iteration {
            n: self.iteration.n + 1,
            stands_for: 1,
            start: now,
            throttle_percent: self.throttle.percent,
            ..Iteration::default()
        };
        self.outcome.push(std::mem::replace(&mut self.iteration, next));
    }

    /// From 9.2 on auto-converge looks every five seconds whether a sync has come, and makes one if
    /// not.
    pub(super) fn force_sync(&mut self, now: SimTime) {
        if now - self.last_sync >= qemu::FORCED_SYNC_PERIOD {
            self.sync(now);
            self.end_iteration(now, Decision::ForcedSync);
            self.window.busy(now, self.settings.sync);
            self.looks += 1;
            self.run_out_of_patience(now);
        }
        self.forced_sync_at = Some(self.next_tick(now));
    }

    /// QEMU has decided to stop the guest; the sync that told it so takes until then.
    fn prepare_stop(&mut self, now: SimTime, sync: SimTime) {
        self.stage = Stage::Stopping;
        self.deadline = Some(now + sync);
        self.arrived += self.window.drain(self.rate, sync);
    }

    /// The vCPUs stop (`migration/migration.c`, `migration_completion`).
    pub(super) fn stop(&mut self, now: SimTime) {
        self.halt(now);
        self.stage = Stage::RestOfRam;
        self.terms.ti = self.stopped_at.since(self.settings.first_page);
        self.parts.setup = self.settings.first_page.since(self.stopped_at);
    }

    /// Stops the guest and syncs a last time; both, and the flush of the disks, take until
    /// `overhead_end`.
    pub(super) fn halt(&mut self, now: SimTime) {
        self.stopped_at = self.suspended_at.unwrap_or(now);
        self.wire_at_stop = self.iteration_wire;
        self.let_run(now, 0.0);
        self.memory.sync(now);
        self.syncs += 1;
        let [stop, flush] = self.settings.stop_and_flush;
        (self.parts.stop, self.parts.flush, self.parts.sync) = (stop, flush, self.settings.sync);
        self.overhead_end = now + stop + flush + self.settings.sync;
        self.window.busy(now, self.overhead_end - now);
        let drained = self.rate * (self.overhead_end - now).as_secs_f64();
        let queued = (self.window.queued - drained).max(0.0);
        self.queued_part = if self.rate > 0.0 {
            SimTime::from_secs_f64(queued / self.rate)
        } else {
            SimTime::ZERO
        };
    }

    pub(super) fn finish_precopy(&mut self, now: SimTime) {
        self.terms.dm = self.ram_received - self.stopped_at;
        self.terms.vs = now - self.ram_received;
        let after_overhead = self.ram_received - self.overhead_end;
        self.parts.queued = self.queued_part.min(after_overhead);
        let p = &self.parts;
        let named = p.setup + p.stop + p.flush + p.sync + p.queued;
        self.parts.rest_of_ram = self.terms.dm.since(named);
        self.finish(now, now, now.since(self.parts.control + self.parts.destination_load));
    }
}
