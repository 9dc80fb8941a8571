//! Expected counts: memory as a few dozen segments of like pages.
//!
//! Within a segment every page is as likely to be dirty as any other, so a segment is a handful of
//! numbers, and an iteration costs one or two exponentials for each segment that is written. For
//! random writers this is exact in the mean, since a Poisson process forgets: a page clean at a
//! sync counts from there, whatever came before. A sweeping writer is no chance at all and is kept
//! exactly, as intervals.

use migsim_models::units::SimTime;
use migsim_models::workload::{CatchUp, Order, WriterClock};

use super::intervals::Intervals;
use super::layout::Workplace;
use super::{Faults, GuestMemory, PageCount, Run, Sending};

/// Less than this many pages is none: what rounding leaves.
const NOTHING: f64 = 1e-6;
/// So many times the pages of XBZRLE's cache are cut apart.
const MOST_CUTS: u64 = 64;
/// Post-copy is followed in so many steps.
const POSTCOPY_STEPS: f64 = 64.0;
/// And an iteration with XBZRLE: what is still as it was sent becomes less while the iteration goes
/// on.
const XBZRLE_STEPS: f64 = 16.0;
/// And a first iteration over zero pages that the guest writes to meanwhile: written before they
/// are sent, they are zero no more.
const ZERO_STEPS: f64 = 64.0;

/// The work that fits between faults is found from this share of what is wanted on, in so many
/// steps, to about a thousandth.
const FIRST_SHARE: f64 = 1e-6;
const FAULT_STEPS: usize = 5;
/// So many segments are looked at in the steps between two plans.
const STEP_EFFORT: f64 = 20_000.0;
/// What a segment costs in such a step, and to clear a chunk's log for each writer, see
/// [`GuestMemory::take_effort`].
const EFFORT_OF_STEP: u64 = 16;
const EFFORT_OF_CLEAR: u64 = 5;
/// Post-copy's steps are no smaller than such a part of the pages that are written to and still to
/// be sent.
const FAULT_PARTS: f64 = 8.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Writer {
    None,
    /// Writes a second of work to each page.
    Random {
        term: usize,
        rate: f64,
    },
    /// The sweep that crosses the segment, and where the segment starts in its region.
    Sweep {
        sweep: usize,
        from: f64,
    },
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    pages: f64,
    /// Pages that were never sent and hold zeros.
    zero: f64,
    /// In the migration bitmap.
    dirty: f64,
    /// Of those, and of those sent since: how many were dirty at the last sync, so that their log
    /// bits wait to be cleared.
    known: f64,
    /// In XBZRLE's cache.
    cached: f64,
    /// Dirty pages that were at the last sync what the cache has of them.
    unchanged: f64,
    /// Pages sent since the last sync that the cache has.
    kept: f64,
    /// Its slots in that cache are those of other written pages too.
    contested: bool,
    writer: Writer,
    /// The writer's progress at the last sync, and when the chunk's log was cleared.
    at_sync: f64,
    at_clear: f64,
    /// And when it was last sent, where XBZRLE asks.
    at_sent: f64,
    chunk: u32,
    /// The segment behind belongs to the same pages; the cursor once stopped between them.
    parted: bool,
}

impl Segment {
    /// In two, `share` of it in front: each count in proportion.
    fn cut(&self, share: f64) -> (Segment, Segment) {
        let (mut front, mut back) = (*self, *self);
        let (a, b) = (&mut front, &mut back);
        for (front, back) in [
            (&mut a.pages, &mut b.pages),
            (&mut a.zero, &mut b.zero),
            (&mut a.dirty, &mut b.dirty),
            (&mut a.known, &mut b.known),
            (&mut a.cached, &mut b.cached),
            (&mut a.unchanged, &mut b.unchanged),
            (&mut a.kept, &mut b.kept),
        ] {
            *front *= share;
            *back -= *front;
        }
        (front, back)
    }
}

#[derive(Debug, Clone)]
struct Sweep {
    term: usize,
    pages: f64,
    rate: f64,
    /// Pages written so far, over all iterations of the sweep.
    written: f64,
    log: Intervals,
    /// The log as the last sync read it.
    copied: Intervals,
    bitmap: Intervals,
}

impl Sweep {
    /// Lets the writer go on until it has done `progress` seconds of work.
    fn advance(&mut self, progress: f64) {
        let to = self.rate * progress;
        let from = std::mem::replace(&mut self.written, to);
        for (a, b) in self.arc(from, to).into_iter().flatten() {
            self.log.insert(a, b);
        }
    }

    /// What a sweep from `from` to `to` covers: one or two intervals of the region.
    fn arc(&self, from: f64, to: f64) -> [Option<(f64, f64)>; 2] {
        let length = to - from;
        if length <= 0.0 {
            return [None, None];
        }
        if length >= self.pages {
            return [Some((0.0, self.pages)), None];
        }
        let start = libm::fmod(from, self.pages);
        let end = start + length;
        if end <= self.pages {
            [Some((start, end)), None]
        } else {
            [Some((start, self.pages)), Some((0.0, end - self.pages))]
        }
    }
}

/// The share of a segment's pages that a writer leaves alone while it does `work` seconds of work;
/// it writes `rate` seconds of that to each page, by chance or one after the other.
fn untouched(writer: Writer, rate: f64, work: f64) -> f64 {
    match writer {
        Writer::None => 1.0,
        Writer::Random { .. } => libm::exp(-rate * work),
        Writer::Sweep { .. } => (1.0 - rate * work).max(0.0),
    }
}

/// XBZRLE's cache, as far as expected counts know it.
#[derive(Debug, Clone, Copy)]
struct Cache {
    slots: f64,
    free: f64,
    /// It is used from the first time that the scan has been iteration.
    active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Log {
    /// Bits are cleared at the sync.
    Eager,
    /// Bits are cleared a chunk at a time.
    Chunked,
}

/// The guest's memory as expected counts.
#[derive(Debug, Clone)]
pub struct FlowMemory {
    segments: Vec<Segment>,
    sweeps: Vec<Sweep>,
    clocks: Vec<WriterClock>,
    catch_up: Vec<CatchUp>,
    log: Log,
    /// Chunks whose log has been cleared since the last sync.
    cleared: Vec<bool>,
    /// The segment that the scan goes on with.
    cursor: usize,
    pending: f64,
    cache: Option<Cache>,
    parted: bool,
    postcopy: bool,
    /// Post-copy: the scan is somewhere among the pages of this segment, with so many dirty ones
    /// from there to its end.
    scattered: Option<(usize, f64)>,
    /// Post-copy: faults since the scan was last moved to one.
    jumped: f64,
    /// Pages that are sent between two looks at what the writers have done meanwhile.
    step: f64,
    speed: f64,
    faults: Faults,
    /// What clears and post-copy's steps have cost since it was last asked, see
    /// [`GuestMemory::take_effort`].
    worked: u64,
}

impl FlowMemory {
    /// Builds the segments: regions, cut where a chunk ends.
    pub fn new(place: Workplace, catch_up: Vec<CatchUp>) -> FlowMemory {
        let mut segments = Vec::with_capacity(2 * place.regions.len());
        let mut sweeps = Vec::new();
        let chunk_pages = place.chunk_pages.unwrap_or(u64::MAX);
        let mut address = 0_u64;
        let mut written = 0_u64;
        let slots = place.cache_pages.unwrap_or(u64::MAX);
        let mut chunk = 0_u32;
        let mut in_firmware = false;
        for region in &place.regions {
            if region.firmware && !in_firmware {
                // A block of its own, with chunks of its own.
                (in_firmware, address) = (true, 0);
                chunk += 1;
            }
            let writer = region.class.map(|class| {
                let class = place.classes[class];
                if class.order == Order::Sequential {
                    let pages = class.pages as f64;
                    sweeps.push(Sweep {
                        term: class.term,
                        pages,
                        rate: class.rate,
                        written: 0.0,
                        log: Intervals::all(pages),
                        copied: Intervals::all(pages),
                        bitmap: Intervals::all(pages),
                    });
                }
                class
            });
            let mut done = 0;
            while done < region.pages {
                let room = chunk_pages - address % chunk_pages;
                // Whether slots are contested is known behind the first of them all; a few more
                // cuts make no difference.
                let cut = writer.is_some() && written / slots < MOST_CUTS;
                let slots_left = if cut { slots - written % slots } else { u64::MAX };
                let left = region.pages - done;
                let pages = if writer.is_none() && room == chunk_pages && left > chunk_pages {
                    // Whole chunks in which nobody writes: when each is cleared makes no
                    // difference.
                    left - left % chunk_pages
                } else {
                    room.min(left).min(slots_left)
                };
                let nonzero = match writer {
                    Some(_) => region.nonzero.saturating_sub(done).min(pages) as f64,
                    None => region.nonzero as f64 * (pages as f64 / region.pages as f64),
                };
                segments.push(Segment {
                    pages: pages as f64,
                    zero: pages as f64 - nonzero,
                    dirty: 0.0,
                    known: 0.0,
                    cached: 0.0,
                    unchanged: 0.0,
                    kept: 0.0,
                    contested: written >= slots,
                    writer: match writer {
                        None => Writer::None,
                        Some(class) if class.order == Order::Sequential => {
                            Writer::Sweep { sweep: sweeps.len() - 1, from: done as f64 }
                        }
                        Some(class) => Writer::Random {
                            term: class.term,
                            rate: class.rate / class.pages as f64,
                        },
                    },
                    at_sync: 0.0,
                    at_clear: 0.0,
                    at_sent: 0.0,
                    chunk,
                    parted: false,
                });
                done += pages;
                written += if writer.is_some() { pages } else { 0 };
                address = address.saturating_add(pages);
                if address.is_multiple_of(chunk_pages) {
                    chunk += 1;
                }
            }
        }
        FlowMemory {
            pending: 0.0,
            segments,
            sweeps,
            clocks: place.clocks,
            catch_up,
            log: if place.chunk_pages.is_some() { Log::Chunked } else { Log::Eager },
            cleared: vec![false; chunk as usize + 1],
            cursor: 0,
            cache: place.cache_pages.map(|pages| Cache {
                slots: pages as f64,
                free: pages as f64,
                active: false,
            }),
            parted: false,
            postcopy: false,
            scattered: None,
            jumped: 0.0,
            step: f64::INFINITY,
            speed: 1.0,
            faults: Faults::default(),
            worked: 0,
        }
    }

    #[inline]
    fn advance(&mut self, now: SimTime) {
        for clock in &mut self.clocks {
            clock.advance(now);
        }
    }

    /// Clears the log of a chunk just before its first page is sent.
    fn clear(&mut self, index: usize, now: SimTime) {
        let chunk = self.segments[index].chunk;
        self.cleared[chunk as usize] = true;
        self.advance(now);
        self.worked += EFFORT_OF_CLEAR * self.clocks.len() as u64;
        let before = self.segments[..index].iter().rev().take_while(|s| s.chunk == chunk).count();
        let first = index - before;
        for segment in self.segments[first..].iter_mut().take_while(|s| s.chunk == chunk) {
            match segment.writer {
                Writer::None => {}
                Writer::Random { term, .. } => segment.at_clear = self.clocks[term].progress(),
                Writer::Sweep { sweep, from } => {
                    let sweep = &mut self.sweeps[sweep];
                    segment.at_clear = self.clocks[sweep.term].progress();
                    sweep.advance(segment.at_clear);
                    sweep.log.remove_all_within(&sweep.copied, from, from + segment.pages);
                }
            }
        }
    }

    /// How the dirty pages of a segment would be sent now.
    #[inline]
    fn count(&self, segment: &Segment) -> PageCount {
        if segment.zero > 0.0 {
            // A zero page that the guest has written meanwhile is zero no more.
            let zero = match segment.writer {
                Writer::None => segment.zero,
                Writer::Random { term, rate } => {
                    segment.zero * libm::exp(-rate * self.clocks[term].progress())
                }
                Writer::Sweep { sweep, .. } => {
                    let sweep = &self.sweeps[sweep];
                    segment.zero * (1.0 - (sweep.written / sweep.pages).min(1.0))
                }
            };
            let zero = zero.min(segment.dirty);
            return PageCount {
                normal: (segment.dirty - zero).max(0.0),
                zero,
                ..PageCount::default()
            };
        }
        let encoded = match self.cache {
            Some(cache) if cache.active && segment.cached > 0.0 => {
                segment.dirty * (segment.cached / segment.pages)
            }
            _ => 0.0,
        };
        let unchanged =
            if encoded > 0.0 { self.still_unchanged(segment).min(encoded) } else { 0.0 };
        PageCount {
            normal: (segment.dirty - encoded).max(0.0),
            zero: 0.0,
            encoded: encoded - unchanged,
            unchanged,
        }
    }

    /// Of the pages that were unchanged at the last sync, those that nobody has written since.
    fn still_unchanged(&self, segment: &Segment) -> f64 {
        let Some((term, rate)) = self.pace(segment.writer) else { return segment.unchanged };
        let since = self.clocks[term].progress() - segment.at_sync;
        segment.unchanged * untouched(segment.writer, rate, since)
    }

    /// Whose clock a writer goes by, and how much of a second of its work a page gets.
    fn pace(&self, writer: Writer) -> Option<(usize, f64)> {
        match writer {
            Writer::None => None,
            Writer::Random { term, rate } => Some((term, rate)),
            Writer::Sweep { sweep, .. } => {
                Some((self.sweeps[sweep].term, self.sweeps[sweep].rate / self.sweeps[sweep].pages))
            }
        }
    }

    /// Before a sync: how many of the pages that it will find dirty are what they were when they
    /// were sent. Written between the clearing of their log and their sending, they are marked
    /// dirty for nothing.
    fn find_unchanged(&mut self) {
        let eager = self.log == Log::Eager;
        for index in 0..self.segments.len() {
            let Some((term, rate)) = self.pace(self.segments[index].writer) else { continue };
            let unsent = self.still_unchanged(&self.segments[index]);
            let progress = self.clocks[term].progress();
            let segment = &mut self.segments[index];
            let untouched = |since: f64| untouched(segment.writer, rate, progress - since);
            let cleared = if eager { segment.at_sync } else { segment.at_clear };
            let marked = (untouched(segment.at_sent) - untouched(cleared)).max(0.0);
            segment.unchanged = unsent + segment.kept * marked;
            segment.kept = 0.0;
        }
    }

    /// Cuts a segment where the scan stopped, `share` of its dirty pages sent, of which the cache
    /// has `kept`, `inserted` of them new.
    fn part(&mut self, index: usize, share: f64, inserted: f64, kept: f64) {
        let segment = self.segments[index];
        let (cut, behind) = match segment.writer {
            Writer::Sweep { sweep, from } => {
                let end = from + segment.pages;
                let cut = self.sweeps[sweep].bitmap.take_first(from, end, segment.dirty * share);
                ((cut - from) / segment.pages, Writer::Sweep { sweep, from: cut })
            }
            writer => (share, writer),
        };
        let (mut front, mut back) = segment.cut(cut);
        (front.zero, front.dirty, front.unchanged) = (0.0, 0.0, 0.0);
        front.cached += inserted;
        front.kept = segment.kept + kept;
        front.parted = true;
        back.writer = behind;
        back.zero = segment.zero * (1.0 - share);
        back.dirty = segment.dirty * (1.0 - share);
        back.unchanged = segment.unchanged * (1.0 - share);
        back.kept = 0.0;
        self.segments[index] = front;
        self.segments.insert(index + 1, back);
        self.cursor = index + 1;
        self.parted = true;
    }

    /// Joins again what an earlier stop of the cursor had parted.
    fn join(&mut self) {
        let mut index = 0;
        self.parted = false;
        while index + 1 < self.segments.len() {
            if !self.segments[index].parted {
                index += 1;
            } else if index + 1 == self.cursor {
                self.parted = true;
                index += 1;
            } else {
                let back = self.segments.remove(index + 1);
                let front = &mut self.segments[index];
                front.pages += back.pages;
                front.zero += back.zero;
                front.dirty += back.dirty;
                front.known += back.known;
                front.cached += back.cached;
                front.unchanged += back.unchanged;
                front.kept += back.kept;
                front.parted = back.parted;
                if self.cursor > index {
                    self.cursor -= 1;
                }
            }
        }
    }

    /// The scan has come to the end of memory and starts at the front.
    fn wrap(&mut self) {
        self.cursor = 0;
        match &mut self.cache {
            Some(cache) if !cache.active => {
                cache.active = true;
                self.step = (self.pending / XBZRLE_STEPS).max(1.0);
            }
            Some(_) => {}
            // The zero pages have all been sent.
            None if !self.postcopy => self.step = f64::INFINITY,
            None => {}
        }
    }

    /// How many of `pages` of a segment find a slot in XBZRLE's cache: a slot that another page has
    /// used lately stays its own.
    fn insert(&mut self, index: usize, pages: f64) -> f64 {
        let Some(cache) = self.cache.as_mut().filter(|cache| cache.active) else {
            return 0.0;
        };
        let segment = &self.segments[index];
        let odds = if segment.contested { cache.free / cache.slots } else { 1.0 };
        let inserted = (pages * odds).min(cache.free).min(segment.pages - segment.cached);
        cache.free -= inserted;
        inserted
    }

    /// Sends `share` of one segment's dirty pages.
    fn send_segment(&mut self, index: usize, share: f64, sending: &Sending) -> PageCount {
        let Sending { from, until, .. } = *sending;
        let chunk = self.segments[index].chunk;
        if self.log == Log::Chunked && !self.postcopy && !self.cleared[chunk as usize] {
            self.clear(index, from);
        }
        if index < self.cursor {
            self.wrap();
        }
        if self.cache.is_some() {
            self.advance(SimTime(from.0 + until.since(from).0 / 2));
            let pace = self.pace(self.segments[index].writer);
            self.segments[index].at_sent =
                pace.map_or(0.0, |(term, _)| self.clocks[term].progress());
        }
        let sent = self.count(&self.segments[index]).scaled(share);
        let inserted = if self.postcopy { 0.0 } else { self.insert(index, sent.normal) };
        let kept = inserted + sent.encoded + sent.unchanged;
        self.pending -= sent.total();
        if share < 1.0 && self.postcopy {
            // No page is dirtied again: which of them are left makes no difference to what is
            // counted.
            let segment = &mut self.segments[index];
            let dirty = segment.dirty * share;
            segment.dirty -= dirty;
            segment.zero *= 1.0 - share;
            if let Writer::Sweep { sweep, from } = segment.writer {
                self.sweeps[sweep].bitmap.take_first(from, from + segment.pages, dirty);
            }
            self.cursor = index;
        } else if share < 1.0 {
            self.part(index, share, inserted, kept);
        } else {
            let segment = &mut self.segments[index];
            segment.cached += inserted;
            segment.kept += kept;
            if let Writer::Sweep { sweep, from } = segment.writer {
                self.sweeps[sweep].bitmap.remove(from, from + segment.pages);
            }
            segment.dirty = 0.0;
            segment.zero = 0.0;
            segment.unchanged = 0.0;
            self.cursor = index + 1;
        }
        self.forget_dust();
        sent
    }

    /// What rounding left in the segments is no page.
    fn forget_dust(&mut self) {
        let rest = NOTHING * (self.segments.len() + 1) as f64;
        // A sum over thousands of millions of pages is off by more than the pages that are left.
        if self.pending < rest || (self.pending < 1.0 && self.next_dirty().is_none()) {
            self.pending = 0.0;
        }
    }

    /// Whether what is pending is what is dirty in the segments, but for rounding.
    fn adds_up(&self) -> bool {
        let all: f64 = self.segments.iter().map(|segment| segment.pages).sum();
        let dirty: f64 = self.segments.iter().map(|segment| segment.dirty).sum();
        (dirty - self.pending).abs() <= 1.0 + 1e-9 * all
    }

    /// Sends `pages` in the order of the scan.
    fn send_in_order(&mut self, mut pages: f64, sending: &Sending) -> PageCount {
        let mut sent = PageCount::default();
        while pages > NOTHING && self.pending > 0.0 {
            let Some(index) = self.next_dirty() else { break };
            let dirty = self.segments[index].dirty;
            let share = if dirty - pages < NOTHING { 1.0 } else { pages / dirty };
            pages -= dirty * share;
            sent.add(&self.send_segment(index, share, sending));
        }
        sent
    }

    fn next_dirty(&self) -> Option<usize> {
        let count = self.segments.len();
        (self.cursor..count).chain(0..self.cursor).find(|i| self.segments[*i].dirty > NOTHING)
    }

    /// Post-copy: sends `pages`, faults first, and lets the writer work in between. The scan goes
    /// on from each faulted page (`migration/ram.c`, `get_queued_page`), so it follows the
    /// writer about.
    fn send_postcopy(&mut self, pages: f64, sending: &Sending) -> PageCount {
        let mut sent = PageCount::default();
        let mut left = pages.min(self.pending);
        let seconds = sending.until.since(sending.from).as_secs_f64();
        let page_s = seconds / pages;
        let mut at = 0.0;
        // Fewer steps where each is a lot of work.
        let most = (STEP_EFFORT / self.segments.len() as f64).clamp(4.0, POSTCOPY_STEPS);
        while left > NOTHING && self.pending > 0.0 {
            let written: f64 =
                self.segments.iter().filter(|s| s.writer != Writer::None).map(|s| s.dirty).sum();
            // No further than a fault takes, or than changes how likely the next one is: at least
            // an eighth of what is written to.
            let step = (sending.fault_s / page_s + 1.0)
                .max(written / FAULT_PARTS)
                .max(pages / most)
                .min(left);
            at += step * page_s;
            let until = sending.from + SimTime::from_secs_f64(at);
            sent.add(&self.follow(step, step * page_s, until.min(sending.until), sending));
            self.worked += EFFORT_OF_STEP * self.segments.len() as u64;
            left -= step;
        }
        self.advance_held(sending.until);
        sent
    }

    /// The demand of writers whose time has passed in faults or between them.
    fn advance_held(&mut self, until: SimTime) {
        for clock in &mut self.clocks {
            clock.hold(until);
        }
    }

    /// A step of post-copy in which `pages` are sent within `seconds`, until `until`.
    fn follow(&mut self, pages: f64, seconds: f64, until: SimTime, sending: &Sending) -> PageCount {
        let mut wanted: Vec<f64> = Vec::with_capacity(self.clocks.len());
        for (clock, catch_up) in self.clocks.iter_mut().zip(&self.catch_up) {
            let demand = clock.hold(until);
            wanted.push(if *catch_up == CatchUp::Open { clock.backlog() } else { demand });
        }
        if self.speed == 0.0 || seconds <= 0.0 {
            return self.send_in_order(pages, sending);
        }
        let headroom =
            self.clocks.first().map_or(f64::INFINITY, WriterClock::headroom) * self.speed;
        for work in &mut wanted {
            *work = work.min(headroom * seconds);
        }
        let mut sent = PageCount::default();
        let mut swept = 0.0;
        for sweep in 0..self.sweeps.len() {
            let (faults, work) = self.meet(
                sweep,
                wanted[self.sweeps[sweep].term],
                pages,
                seconds,
                sending,
                &mut sent,
            );
            swept += faults * sending.fault_s;
            let term = self.sweeps[sweep].term;
            wanted[term] = wanted[term].min(work);
        }
        let faults_of = |segment: &Segment, share: f64| -> f64 {
            match segment.writer {
                Writer::Random { term, rate } => {
                    segment.dirty * -libm::expm1(-rate * wanted[term] * share)
                }
                _ => 0.0,
            }
        };
        let (most, free) = ((pages - sent.total()).max(0.0), (seconds - swept).max(0.0));
        let busiest = wanted.iter().copied().fold(0.0, f64::max) / headroom;
        // Working and waiting fit into the time, and faults cannot come faster than pages are sent.
        // Faults rise ever more slowly with the work done, so stretching it in proportion
        // comes closer each time and never too far.
        let mut share = FIRST_SHARE;
        for _ in 0..FAULT_STEPS {
            let faults: f64 = self.segments.iter().map(|s| faults_of(s, share)).sum();
            let taken = busiest * share + faults * sending.fault_s;
            share = (share * (free / taken).min(most / faults)).min(1.0);
            if share == 1.0 {
                break;
            }
        }
        let mut by_segment: Vec<(usize, f64)> = Vec::new();
        for index in 0..self.segments.len() {
            let faults = faults_of(&self.segments[index], share);
            if faults > NOTHING {
                sent.add(&self.take(index, faults));
                by_segment.push((index, faults));
            }
        }
        for (term, work) in wanted.iter().enumerate() {
            let swept = self.sweeps.iter().any(|sweep| sweep.term == term);
            self.clocks[term].do_work(if swept { *work } else { work * share });
        }
        for sweep in &mut self.sweeps {
            sweep.written = sweep.written.max(sweep.rate * self.clocks[sweep.term].progress());
        }
        let random: f64 = by_segment.iter().map(|(_, faults)| faults).sum();
        self.count_faults(random, sending);
        // What is sent beside the faulted pages goes on from where the scan was, and from each
        // fault: as far as that is from the next.
        let stretch = (pages - sent.total()).max(0.0) / (random + 1.0);
        self.jumped += random;
        let (before, jump) = (self.cursor, self.jumped >= 1.0);
        let mut to_its_end = Vec::with_capacity(by_segment.len());
        for (index, faults) in &by_segment {
            // From a page anywhere among the dirty ones to the end of the segment, and on behind
            // it.
            let dirty = self.segments[*index].dirty;
            let within = if stretch < dirty {
                stretch - stretch * stretch / (2.0 * dirty)
            } else {
                dirty / 2.0
            };
            to_its_end.push(dirty / 2.0 - within);
            let taken = (faults * within).min(dirty);
            sent.add(&self.take(*index, taken));
            self.cursor = index + 1;
            sent.add(&self.send_in_order(faults * stretch - taken, sending));
        }
        if jump {
            self.jumped -= libm::floor(self.jumped);
            let busiest = by_segment.iter().zip(&to_its_end).max_by(|a, b| a.0.1.total_cmp(&b.0.1));
            self.scattered = busiest.map(|((index, _), rest)| (*index, *rest));
        } else {
            self.cursor = before;
        }
        sent.add(&self.go_on((pages - sent.total()).max(0.0), sending));
        sent
    }

    /// Lets the scan go on from where it is: from somewhere among the pages of a segment to its
    /// end, then in order.
    fn go_on(&mut self, mut pages: f64, sending: &Sending) -> PageCount {
        let mut sent = PageCount::default();
        if let Some((index, to_its_end)) = self.scattered {
            let taken = pages.min(to_its_end).min(self.segments[index].dirty);
            sent.add(&self.take(index, taken));
            pages -= taken;
            self.cursor = index;
            self.scattered = Some((index, to_its_end - taken)).filter(|_| pages <= NOTHING);
            if pages <= NOTHING {
                return sent;
            }
            self.cursor = index + 1;
        }
        sent.add(&self.send_in_order(pages, sending));
        sent
    }

    /// Sends so many of a segment's dirty pages, from all over it.
    fn take(&mut self, index: usize, pages: f64) -> PageCount {
        if pages <= 0.0 || self.segments[index].dirty <= 0.0 {
            return PageCount::default();
        }
        let count = self.count(&self.segments[index]);
        let count = count.scaled((pages / count.total()).min(1.0));
        let segment = &mut self.segments[index];
        segment.zero = (segment.zero - count.zero).max(0.0);
        segment.dirty = (segment.dirty - count.total()).max(0.0);
        self.pending -= count.total();
        count
    }

    fn count_faults(&mut self, faults: f64, sending: &Sending) {
        self.faults.count += faults;
        self.faults.stalled_s += faults * sending.fault_s;
    }

    /// A sweeping writer that would do `work` within a step of `pages` sent in `seconds`: the
    /// faults that it meets, and the work that they leave it time for.
    ///
    /// It meets the first dirty page in its way, and the scan goes on from there, ahead of it. A
    /// writer slower than the link never meets it again in that stretch; a faster one does each
    /// time that it has run through what was sent while it waited.
    fn meet(
        &mut self,
        sweep: usize,
        work: f64,
        pages: f64,
        seconds: f64,
        sending: &Sending,
        sent: &mut PageCount,
    ) -> (f64, f64) {
        let Sweep { pages: region, rate, written, .. } = self.sweeps[sweep];
        let reach = rate * work;
        if reach <= 0.0 {
            return (0.0, work);
        }
        let head = libm::fmod(written, region);
        let next = self.sweeps[sweep].bitmap.first_within(head, region).map(|at| at - head);
        let next = next.or_else(|| {
            self.sweeps[sweep].bitmap.first_within(0.0, head).map(|at| region - head + at)
        });
        let Some(free) = next.filter(|free| *free < reach) else { return (0.0, work) };
        let at = libm::fmod(head + free, region);
        let mut faults = 0.0;
        if !self.scans_at(sweep, at) {
            let Some(index) = self.split(sweep, at) else { return (0.0, work) };
            (self.cursor, self.scattered) = (index, None);
            faults = pages.min(1.0);
        }
        let (link, writer) = (pages / seconds, reach / seconds);
        if writer > link {
            // So many pages are sent from one fault to the next.
            let apart = (sending.fault_s / (1.0 / link - 1.0 / writer)).max(1.0);
            faults += ((pages - faults).max(0.0) / apart).max(0.0);
        }
        let faults = faults.min(pages).min(seconds / sending.fault_s);
        // The faulted pages are the next in the order of the scan, and are sent with the others.
        sent.add(&self.send_in_order(faults, sending));
        self.count_faults(faults, sending);
        (faults, work.min((free + pages) / rate))
    }

    /// Whether the scan is at a place of a sweep's region already.
    fn scans_at(&self, sweep: usize, at: f64) -> bool {
        self.scattered.is_none()
            && self.next_dirty().is_some_and(|index| match self.segments[index].writer {
                Writer::Sweep { sweep: other, from } if other == sweep => {
                    let end = from + self.segments[index].pages;
                    let first = self.sweeps[sweep].bitmap.first_within(from, end);
                    first.is_some_and(|first| (first - at).abs() < 1.0)
                }
                _ => false,
            })
    }

    /// Cuts a sweep's segment in two at a place of its region. Returns which segment begins there.
    fn split(&mut self, sweep: usize, at: f64) -> Option<usize> {
        let holds = |segment: &Segment| match segment.writer {
            Writer::Sweep { sweep: other, from } => {
                other == sweep && from <= at && at < from + segment.pages
            }
            _ => false,
        };
        let index = self.segments.iter().position(holds)?;
        let segment = self.segments[index];
        let Writer::Sweep { from, .. } = segment.writer else { return None };
        if at - from < NOTHING {
            return Some(index);
        }
        let dirty = self.sweeps[sweep].bitmap.measure_within(from, at).min(segment.dirty);
        let (mut front, mut back) = segment.cut((at - from) / segment.pages);
        (front.dirty, back.dirty) = (dirty, segment.dirty - dirty);
        back.writer = Writer::Sweep { sweep, from: at };
        self.segments[index] = front;
        self.segments.insert(index + 1, back);
        if let Some((scattered, _)) = &mut self.scattered
            && *scattered > index
        {
            *scattered += 1;
        }
        if self.cursor > index {
            self.cursor += 1;
        }
        Some(index + 1)
    }
}

impl GuestMemory for FlowMemory {
    fn start(&mut self, now: SimTime) {
        self.advance(now);
        self.pending = 0.0;
        for segment in &mut self.segments {
            segment.dirty = segment.pages;
            segment.known = segment.pages;
            self.pending += segment.pages;
            if let Writer::Random { term, .. } = segment.writer {
                segment.at_sync = self.clocks[term].progress();
                segment.at_clear = segment.at_sync;
            }
        }
        for sweep in &mut self.sweeps {
            sweep.advance(self.clocks[sweep.term].progress());
            if self.log == Log::Eager {
                sweep.log.clear();
            }
        }
        if self.segments.iter().any(|segment| segment.zero > 0.0 && segment.writer != Writer::None)
        {
            self.step = (self.pending / ZERO_STEPS).max(1.0);
        }
    }

    fn pending(&self) -> f64 {
        self.pending
    }

    fn upcoming(&self, out: &mut Vec<Run>) {
        if self.step < f64::INFINITY {
            // A stretch at a time: faults and writes change what comes after it.
            let mut pages = PageCount::default();
            let count = self.segments.len();
            for segment in (self.cursor..count).chain(0..self.cursor).map(|i| &self.segments[i]) {
                let room = self.step - pages.total();
                if segment.dirty > NOTHING {
                    pages.add(&self.count(segment).scaled((room / segment.dirty).min(1.0)));
                }
                if segment.dirty >= room {
                    break;
                }
            }
            if pages.total() > 0.0 {
                out.push(Run { pages, key: 0 });
            }
            return;
        }
        let mut push = |index: usize| {
            let segment = &self.segments[index];
            if segment.dirty > NOTHING {
                out.push(Run { pages: self.count(segment), key: index as u32 });
            }
        };
        (self.cursor..self.segments.len()).for_each(&mut push);
        (0..self.cursor).for_each(&mut push);
    }

    fn send(&mut self, run: &Run, share: f64, sending: Sending) -> PageCount {
        if self.postcopy {
            let sent = self.send_postcopy(run.pages.total() * share, &sending);
            debug_assert!(
                self.adds_up(),
                "{} pages are pending, not those of the segments",
                self.pending
            );
            self.forget_dust();
            return sent;
        }
        if self.step < f64::INFINITY {
            let sent = self.send_in_order(run.pages.total() * share, &sending);
            self.advance(sending.until);
            // A whole stretch counts as the pages that it was named for; of one that was cut short,
            // those in front have been sent.
            return if share < 1.0 { sent } else { run.pages };
        }
        // Parting a segment shifts those behind it by one; the stretch asked about is then the
        // cursor's.
        let index = self.next_dirty().unwrap_or(run.key as usize);
        self.send_segment(index, share, &sending)
    }

    fn sync(&mut self, now: SimTime) -> f64 {
        debug_assert!(
            self.adds_up(),
            "{} pages are pending, not those of the segments",
            self.pending
        );
        self.advance(now);
        if self.cache.is_some() {
            self.find_unchanged();
        }
        if self.parted {
            self.join();
        }
        for sweep in &mut self.sweeps {
            sweep.advance(self.clocks[sweep.term].progress());
            sweep.bitmap.insert_all(&sweep.log);
            match self.log {
                Log::Chunked => sweep.copied.clone_from(&sweep.log),
                Log::Eager => sweep.log.clear(),
            }
        }
        let before = self.pending;
        let eager = self.log == Log::Eager;
        self.pending = 0.0;
        for segment in &mut self.segments {
            match segment.writer {
                Writer::None => {}
                Writer::Random { term, rate } => {
                    let progress = self.clocks[term].progress();
                    let hit = |since: f64| -libm::expm1(-rate * (progress - since));
                    let since_sync = hit(segment.at_sync);
                    let sent = segment.known - segment.dirty;
                    let since_clear = if segment.at_clear == segment.at_sync || eager || sent <= 0.0
                    {
                        since_sync
                    } else {
                        hit(segment.at_clear)
                    };
                    segment.dirty +=
                        (segment.pages - segment.known) * since_sync + sent * since_clear;
                    segment.at_sync = progress;
                    segment.at_clear = progress;
                }
                Writer::Sweep { sweep, from } => {
                    let sweep = &self.sweeps[sweep];
                    segment.dirty = sweep.bitmap.measure_within(from, from + segment.pages);
                    segment.at_sync = self.clocks[sweep.term].progress();
                    segment.at_clear = segment.at_sync;
                }
            }
            segment.known = segment.dirty;
            self.pending += segment.dirty;
        }
        self.forget_dust();
        self.cleared.fill(false);
        if self.cache.is_some_and(|cache| cache.active) {
            self.step = (self.pending / XBZRLE_STEPS).max(1.0);
        }
        self.pending - before
    }

    fn set_speed(&mut self, now: SimTime, speed: f64) {
        self.speed = speed;
        for clock in &mut self.clocks {
            clock.set_speed(now, speed);
        }
    }

    fn skip(&mut self, to: SimTime) {
        for clock in &mut self.clocks {
            clock.skip(to);
        }
    }

    fn start_postcopy(&mut self, now: SimTime) {
        self.advance(now);
        self.postcopy = true;
        self.step = (self.pending / POSTCOPY_STEPS).max(1.0);
    }

    fn faults(&self) -> Faults {
        self.faults
    }

    fn take_effort(&mut self) -> u64 {
        let intervals: usize =
            self.sweeps.iter().map(|sweep| sweep.log.len() + sweep.bitmap.len()).sum();
        (4 * self.segments.len() + 8 * intervals + 500) as u64 + std::mem::take(&mut self.worked)
    }
}
