//! The guest's memory as a migration sees it: one trait, two memories.
//!
//! [`FlowMemory`] keeps expected counts of pages and is what predictions use; [`PageMemory`] keeps
//! every page in a bitmap, replays the guest's writes one by one, and is the reference that the
//! first is tested against. The hypervisor's algorithm is written once, over [`GuestMemory`].
//!
//! Both carry the two bitmaps of a real migration and the way that they interact:
//!
//! ```text
//!   guest writes ──> log ──(sync)──> migration bitmap ──(send, in address order, round and round)──> wire
//!                     ^                                        |
//!                     └──(clear, a chunk at a time)────────────┘
//! ```
//!
//! A sync copies the log into the migration bitmap, but the log's bits are cleared later, a chunk
//! at a time, just before the first page of that chunk is sent (`migration/ram.c`,
//! `migration_clear_memory_region_dirty_bitmap`). What is written to a page that was dirty at
//! the sync counts only from that clearing on; what is written to a clean page counts from the
//! sync.

mod flow;
mod intervals;
mod layout;
mod page;
mod watch;

pub use flow::FlowMemory;
pub use layout::{Region, Workplace, headroom};
pub use page::PageMemory;
pub(crate) use watch::Watched;
pub use watch::{Moment, PageState};

use migsim_models::units::SimTime;

/// Pages next to each other in the order of the scan that cost alike.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Run {
    /// How many there are of each kind.
    pub pages: PageCount,
    /// The memory's own name for the stretch.
    pub key: u32,
}

/// Pages by what they cost. Expected counts need not be whole.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PageCount {
    /// Sent whole.
    pub normal: f64,
    /// Found to be zero.
    pub zero: f64,
    /// In XBZRLE's cache: the difference is sent.
    pub encoded: f64,
    /// In XBZRLE's cache and unchanged since they were sent: written between a sync and their
    /// sending, they are marked dirty again for nothing. Found so, they cost no bytes
    /// (`migration/ram.c`, `save_xbzrle_page`).
    pub unchanged: f64,
}

impl PageCount {
    /// All of them.
    #[inline]
    pub fn total(&self) -> f64 {
        self.normal + self.zero + self.encoded + self.unchanged
    }

    /// Adds `other` to this.
    #[inline]
    pub fn add(&mut self, other: &PageCount) {
        self.normal += other.normal;
        self.zero += other.zero;
        self.encoded += other.encoded;
        self.unchanged += other.unchanged;
    }

    /// This times `factor`.
    #[inline]
    #[must_use]
    pub fn scaled(&self, factor: f64) -> PageCount {
        PageCount {
            normal: self.normal * factor,
            zero: self.zero * factor,
            encoded: self.encoded * factor,
            unchanged: self.unchanged * factor,
        }
    }
}

/// When a stretch of pages was sent, and what a fault would have cost meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// Its first page went out.
    pub from: SimTime,
    /// Its last page went out.
    pub until: SimTime,
    /// Post-copy: seconds from a fault at the destination until the page is there.
    pub fault_s: f64,
}

/// What the guest lost by post-copy's faults.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Faults that had to wait for a page.
    pub count: f64,
    /// Seconds that the writer stood still in them.
    pub stalled_s: f64,
}

/// The guest's memory, its writers and the dirty log.
pub trait GuestMemory {
    /// Everything is dirty, and the log starts: the setup of a migration.
    fn start(&mut self, now: SimTime);

    /// Pages in the migration bitmap.
    fn pending(&self) -> f64;

    /// The next stretches in the order of the scan. All of them, or as many as the memory wants to
    /// be asked about at a time; none if nothing is pending.
    fn upcoming(&self, out: &mut Vec<Run>);

    /// Sends `share` (above 0, up to 1) of a stretch that [`GuestMemory::upcoming`] named next.
    /// Returns what was sent.
    fn send(&mut self, run: &Run, share: f64, sending: Sending) -> PageCount;

    /// Moves the log into the migration bitmap. Returns the pages newly dirty there.
    fn sync(&mut self, now: SimTime) -> f64;

    /// Sets the share of the processor that the writers get from now on; 0 stops them.
    fn set_speed(&mut self, now: SimTime, speed: f64);

    /// Lets time pass until `to` in which all goes on as it does: the writers are then where they
    /// are now.
    fn skip(&mut self, to: SimTime);

    /// From now on the guest runs at the destination: pages are pulled by its faults as well as
    /// pushed in order, and none twice.
    fn start_postcopy(&mut self, now: SimTime);

    /// What post-copy's faults have cost so far.
    fn faults(&self) -> Faults;

    /// How much work the iteration over it was that has just ended, in units of some ten
    /// nanoseconds.
    fn take_effort(&mut self) -> u64;

    /// Writes that have been replayed one by one.
    fn replayed(&self) -> u64 {
        0
    }

    /// Whether more would have to be replayed than a person waits for; what comes then is no
    /// answer.
    fn is_exhausted(&self) -> bool {
        false
    }
}
