//! Offline: suspend, copy, resume.

use migsim_models::units::SimTime;

use super::{Migration, Stage};
use crate::engine::GuestMemory;

impl<M: GuestMemory> Migration<M> {
    /// The guest is suspended, its image written: it is copied, with what goes with it.
    pub(super) fn begin_copy(&mut self, now: SimTime) {
        self.parts.suspend = now;
        self.stage = Stage::Copying;
        self.window.queued = self.settings.offline.image_bytes + self.settings.offline.files_bytes;
    }

    /// The copy is there: the guest is resumed from it.
    pub(super) fn end_copy(&mut self, now: SimTime) {
        let copied = now + self.settings.offline.copy;
        self.parts.copy = copied - self.parts.suspend;
        self.stage = Stage::Resuming;
        self.deadline = Some(copied + self.settings.offline.resume);
    }

    pub(super) fn finish_offline(&mut self, now: SimTime) {
        self.parts.resume = self.settings.offline.resume;
        self.terms.dm = self.parts.suspend + self.parts.copy;
        self.terms.vs = self.parts.resume;
        self.sent = self.settings.offline.pages;
        self.finish(now, now, self.parts.suspend + self.parts.copy);
        self.outcome.wire_bytes =
            libm::round(self.settings.offline.image_bytes + self.settings.offline.files_bytes)
                as u64;
    }
}
