//! Post-copy: the guest runs at the destination, and its pages follow.

use migsim_models::units::SimTime;

use super::{Decision, Migration, Stage};
use crate::engine::GuestMemory;

impl<M: GuestMemory> Migration<M> {
    /// Post-copy: the guest stops here, to run there (`migration/migration.c`, `postcopy_start`).
    pub(super) fn switch_over(&mut self, now: SimTime) {
        self.switch_at = None;
        self.iteration.unsent_pages = self.memory.pending();
        self.end_iteration(now, Decision::SwitchOver);
        self.halt(now);
        // The dirty bitmap of the last sync is what the destination throws away and pulls again.
        self.iteration.start = now;
        self.terms.ti = self.stopped_at.since(self.settings.first_page);
        self.outcome.switched_at = Some(now);
        self.memory.start_postcopy(now);
        self.window.queued += self.settings.device_bytes;
        self.stage = Stage::SwitchOver;
    }

    /// The guest's state has arrived; it starts there while its pages follow.
    pub(super) fn send_rest_behind(&mut self, now: SimTime) {
        let s = &self.settings;
        self.waited_for_path |= now > self.overhead_end;
        self.parts.queued = self.queued_part.min(now - self.overhead_end);
        self.parts.device_state = now - self.overhead_end - self.parts.queued + s.device_state;
        self.parts.destination_load = s.destination_load;
        self.parts.control = s.postcopy_control;
        let resume = now + s.device_state + s.destination_load + s.postcopy_control;
        self.terms.vs = resume - self.stopped_at;
        // A timeout may have suspended it before: that standstill is its own, not one of the named
        // parts.
        self.parts.rest_of_ram = self.terms.vs.since(self.parts.total());
        self.outcome.state_saved_in = s.device_state;
        self.outcome.resumed_at = Some(resume);
        self.resume_at = Some(resume);
        self.stage = Stage::Postcopy;
    }

    pub(super) fn finish_postcopy(&mut self, now: SimTime) {
        // Only the stretch that was planned may be done; and what faults have pulled beside it may
        // still be under way.
        if self.memory.pending() > 0.0 || self.window.queued > 0.5 {
            return;
        }
        self.end_iteration(now, Decision::End);
        // Everything may be there before the guest runs.
        let resumed = self.outcome.resumed_at.unwrap_or(now);
        self.waited_for_path |= now > resumed;
        self.finish(now.max(resumed), resumed, now);
    }
}
