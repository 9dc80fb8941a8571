//! What a student can watch: the guest's memory page by page, at moments of the migration.

use migsim_models::units::SimTime;

use super::{Faults, GuestMemory, PageCount, PageMemory, Run, Sending};

/// How a page is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum PageState {
    /// The destination has it as it is.
    Sent = 0,
    /// The destination knows that it is zero.
    Zero = 1,
    /// It is to be sent.
    Waiting = 2,
    /// Sent, and written since: the next look at the dirty log finds it.
    Dirtied = 3,
}

/// The guest's memory at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: SimTime,
    /// How often the dirty log has been read by then.
    pub syncs: u64,
    /// Each page, in the order of addresses.
    pub pages: Vec<PageState>,
}

impl Moment {
    /// How many pages are sent, zero, waiting and dirtied.
    pub fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        self.pages.iter().for_each(|page| counts[*page as usize] += 1);
        counts
    }
}

/// A memory that is looked at every so often.
pub(crate) struct Watched<F> {
    memory: PageMemory,
    every: SimTime,
    next: SimTime,
    syncs: u64,
    look: F,
}

impl<F> std::fmt::Debug for Watched<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<F: FnMut(Moment)> Watched<F> {
    /// The same memory, of which `look` gets a moment each `every`, and one after each sync.
    pub(crate) fn new(memory: PageMemory, every: SimTime, look: F) -> Watched<F> {
        Watched { memory, every, next: SimTime::ZERO, syncs: 0, look }
    }

    fn look(&mut self, at: SimTime) {
        // Writes are replayed when the migration needs them. To see them before, a copy goes ahead:
        // the migration's own order of draws stays as it is.
        let mut ahead = self.memory.clone();
        ahead.catch_up(at);
        (self.look)(Moment { at, syncs: self.syncs, pages: ahead.states() });
        self.next = at + self.every;
    }
}

impl<F: FnMut(Moment)> GuestMemory for Watched<F> {
    fn start(&mut self, now: SimTime) {
        self.memory.start(now);
        self.look(now);
    }

    fn pending(&self) -> f64 {
        self.memory.pending()
    }

    fn upcoming(&self, out: &mut Vec<Run>) {
        self.memory.upcoming(out);
    }

    fn send(&mut self, run: &Run, share: f64, sending: Sending) -> PageCount {
        let sent = self.memory.send(run, share, sending);
        if sending.until >= self.next || self.memory.pending() == 0.0 {
            self.look(sending.until);
        }
        sent
    }

    fn sync(&mut self, now: SimTime) -> f64 {
        let found = self.memory.sync(now);
        self.syncs += 1;
        self.look(now);
        found
    }

    fn set_speed(&mut self, now: SimTime, speed: f64) {
        self.memory.set_speed(now, speed);
    }

    fn skip(&mut self, to: SimTime) {
        self.memory.skip(to);
    }

    fn start_postcopy(&mut self, now: SimTime) {
        self.memory.start_postcopy(now);
    }

    fn faults(&self) -> Faults {
        self.memory.faults()
    }

    fn take_effort(&mut self) -> u64 {
        self.memory.take_effort()
    }

    fn replayed(&self) -> u64 {
        self.memory.replayed()
    }

    fn is_exhausted(&self) -> bool {
        self.memory.is_exhausted()
    }
}
