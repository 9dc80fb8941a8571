//! Every page in a bitmap, every write replayed: the reference for the expected counts, and what a
//! student can watch.

use migsim_models::units::SimTime;
use migsim_models::workload::{Order, Own, Pattern, Term, WriterClock};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::layout::Workplace;
use super::{Faults, GuestMemory, PageCount, PageState, Run, Sending};
use migsim_models::qemu::XBZRLE_LIFETIME;

/// Pages that are planned at a time before post-copy; within a chunk the order of writes and pages
/// does not matter.
const BATCH: u64 = 2048;
/// And in post-copy, where the writer's faults steer what comes next.
const POSTCOPY_BATCH: u64 = 64;
/// So many writes are replayed, no more: a second or two.
const MOST_WRITES: u64 = 25_000_000;

/// A set of pages, a bit each.
#[derive(Debug, Clone)]
struct Bitmap {
    words: Vec<u64>,
    pages: u64,
}

impl Bitmap {
    fn new(pages: u64) -> Bitmap {
        Bitmap { words: vec![0; pages.div_ceil(64) as usize], pages }
    }

    fn fill(&mut self) {
        self.words.fill(!0);
        let rest = self.pages % 64;
        if rest > 0
            && let Some(last) = self.words.last_mut()
        {
            *last = (1 << rest) - 1;
        }
    }

    #[inline]
    fn has(&self, page: u64) -> bool {
        self.words[(page / 64) as usize] >> (page % 64) & 1 == 1
    }

    #[inline]
    fn set(&mut self, page: u64) {
        self.words[(page / 64) as usize] |= 1 << (page % 64);
    }

    #[inline]
    fn unset(&mut self, page: u64) {
        self.words[(page / 64) as usize] &= !(1 << (page % 64));
    }

    /// The first page of the set at or behind `from` and before `to`.
    fn next(&self, from: u64, to: u64) -> Option<u64> {
        let mut word = (from / 64) as usize;
        let mut bits = *self.words.get(word)? & (!0 << (from % 64));
        loop {
            if bits != 0 {
                let page = word as u64 * 64 + u64::from(bits.trailing_zeros());
                return (page < to).then_some(page);
            }
            word += 1;
            if word as u64 * 64 >= to {
                return None;
            }
            bits = *self.words.get(word)?;
        }
    }
}

/// What a term writes to, page by page.
#[derive(Debug, Clone)]
enum Source {
    /// Any of `pages` behind `start`, alike.
    Uniform { start: u64, pages: u64 },
    /// One after the other.
    Sweep { start: u64, pages: u64 },
    /// By rank.
    Zipf { start: u64, ranks: Zipf<f64> },
    /// Classes, each with the sum of rates up to and with it.
    Classes(Vec<(f64, u64, u64)>),
    /// As it says itself.
    Own { start: u64, pages: u64, writes: Own },
}

#[derive(Debug, Clone)]
struct Writer {
    source: Source,
    rate: f64,
    written: u64,
    clock: WriterClock,
}

impl Writer {
    /// The page of the next write.
    fn page(&self, rng: &mut ChaCha8Rng) -> u64 {
        match &self.source {
            Source::Uniform { start, pages } => start + rng.random_range(0..*pages),
            Source::Sweep { start, pages } => start + self.written % pages,
            Source::Zipf { start, ranks } => start + ranks.sample(rng) as u64 - 1,
            Source::Classes(classes) => {
                let total = classes.last().map_or(0.0, |c| c.0);
                let at = rng.random::<f64>() * total;
                let index = classes.partition_point(|c| c.0 < at).min(classes.len() - 1);
                let (_, start, pages) = classes[index];
                start + rng.random_range(0..pages)
            }
            Source::Own { start, pages, writes } => {
                start + writes.writes().page(self.written, rng.random()).min(pages - 1)
            }
        }
    }

    /// How many writes the clock says should have been done.
    fn due(&self) -> u64 {
        (self.rate * self.clock.progress()) as u64
    }
}

/// One slot of XBZRLE's cache: a page and the iteration in which it was last used.
type CacheSlot = Option<(u64, u64)>;

/// A write of the guest that waits for its page at the destination.
#[derive(Debug, Clone, Copy)]
struct Blocked {
    page: u64,
    requested: SimTime,
    /// When the page will be there, once it has been sent.
    until: Option<SimTime>,
}

/// The guest's memory page by page.
#[derive(Debug, Clone)]
pub struct PageMemory {
    bitmap: Bitmap,
    log: Bitmap,
    /// The log as the last sync read it.
    copied: Bitmap,
    nonzero: Bitmap,
    /// Written since it was last sent.
    changed: Bitmap,
    /// Chunks whose log has been cleared since the last sync; empty where all are cleared at the
    /// sync.
    cleared: Vec<bool>,
    chunk_pages: u64,
    /// Where the block of firmware starts, with chunks of its own.
    firmware: u64,
    cursor: u64,
    pending: u64,
    rng: ChaCha8Rng,
    writers: Vec<Writer>,
    cache: Option<Vec<CacheSlot>>,
    cache_active: bool,
    iteration: u64,
    /// Part of a page that was due at the last stop.
    owed: f64,
    speed: f64,
    postcopy: bool,
    blocked: Option<Blocked>,
    faults: Faults,
    /// Writes that may still be replayed.
    budget: u64,
}

impl PageMemory {
    /// Lays out the pages. The same seed gives the same writes.
    pub fn new(place: Workplace, terms: &[Term], seed: u64) -> PageMemory {
        let pages: u64 = place.regions.iter().map(|r| r.pages).sum();
        let mut nonzero = Bitmap::new(pages);
        let mut starts = vec![0; place.classes.len()];
        let mut firmware = pages;
        let mut start = 0;
        for region in &place.regions {
            if region.firmware {
                firmware = firmware.min(start);
            }
            if let Some(class) = region.class {
                starts[class] = start;
                (start..start + region.nonzero).for_each(|page| nonzero.set(page));
            } else {
                // Evenly spread: page i is the k-th that is not zero when i r / n passes k.
                let (r, n) = (u128::from(region.nonzero), u128::from(region.pages));
                (0..n)
                    .filter(|i| (i + 1) * r / n > i * r / n)
                    .for_each(|i| nonzero.set(start + i as u64));
            }
            start += region.pages;
        }
        let writers = terms
            .iter()
            .zip(place.clocks)
            .enumerate()
            .map(|(term, (spec, clock))| Self::writer(term, spec, clock, &place.classes, &starts))
            .collect();
        let chunk_pages = place.chunk_pages.unwrap_or(u64::MAX);
        let chunks = firmware.div_ceil(chunk_pages) + (pages - firmware).div_ceil(chunk_pages);
        PageMemory {
            bitmap: Bitmap::new(pages),
            log: Bitmap::new(pages),
            copied: Bitmap::new(pages),
            nonzero,
            changed: Bitmap::new(pages),
            cleared: if place.chunk_pages.is_some() {
                vec![false; chunks as usize]
            } else {
                Vec::new()
            },
            chunk_pages,
            firmware,
            cursor: 0,
            pending: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            writers,
            cache: place.cache_pages.map(|n| vec![None; n as usize]),
            cache_active: false,
            iteration: 1,
            owed: 0.0,
            speed: 1.0,
            postcopy: false,
            blocked: None,
            faults: Faults::default(),
            budget: MOST_WRITES,
        }
    }

    /// How each page is now.
    pub(super) fn states(&self) -> Vec<PageState> {
        let state = |page: u64| match (self.bitmap.has(page), self.log.has(page)) {
            (true, _) => PageState::Waiting,
            // In a chunk whose log is not cleared yet, the log is as the last sync read it.
            (_, true) if self.is_cleared(page) => PageState::Dirtied,
            _ if self.nonzero.has(page) => PageState::Sent,
            _ => PageState::Zero,
        };
        (0..self.bitmap.pages).map(state).collect()
    }

    fn is_cleared(&self, page: u64) -> bool {
        self.cleared.get(self.chunk(page).0 as usize).is_none_or(|cleared| *cleared)
    }

    /// What is written until `now` is written.
    pub(super) fn catch_up(&mut self, now: SimTime) {
        if !self.postcopy {
            self.write_until(now);
        }
    }

    fn writer(
        term: usize,
        spec: &Term,
        clock: WriterClock,
        classes: &[migsim_models::workload::Class],
        starts: &[u64],
    ) -> Writer {
        let mine = || classes.iter().zip(starts).filter(|(class, _)| class.term == term);
        let rate: f64 = mine().map(|(class, _)| class.rate).sum();
        let first = mine().map(|(_, start)| *start).next().unwrap_or(0);
        let pages: u64 = mine().map(|(class, _)| class.pages).sum();
        let source = match &spec.pattern {
            Pattern::Zipf { exponent, .. } => match Zipf::new(pages as f64, *exponent) {
                Ok(ranks) => Source::Zipf { start: first, ranks },
                Err(_) => Source::Uniform { start: first, pages },
            },
            Pattern::Curve { .. } | Pattern::Dirty { .. } => {
                let mut sum = 0.0;
                Source::Classes(
                    mine()
                        .map(|(class, start)| {
                            sum += class.rate;
                            (sum, *start, class.pages)
                        })
                        .collect(),
                )
            }
            Pattern::Own { writes, .. } => {
                Source::Own { start: first, pages, writes: writes.clone() }
            }
            _ if mine().any(|(class, _)| class.order == Order::Sequential) => {
                Source::Sweep { start: first, pages }
            }
            _ => Source::Uniform { start: first, pages },
        };
        Writer { source, rate, written: 0, clock }
    }

    /// Replays all writes up to `now`.
    fn write_until(&mut self, now: SimTime) {
        for writer in &mut self.writers {
            writer.clock.advance(now);
            let due = writer.due().min(writer.written.saturating_add(self.budget));
            self.budget -= due - writer.written.min(due);
            for _ in writer.written..due {
                let page = writer.page(&mut self.rng);
                writer.written += 1;
                self.log.set(page);
                self.nonzero.set(page);
                self.changed.set(page);
            }
        }
    }

    /// The chunk of a page and the pages it spans. RAM and firmware are blocks with chunks of their
    /// own.
    fn chunk(&self, page: u64) -> (u64, std::ops::Range<u64>) {
        let (block, block_end, chunks_before) = if page < self.firmware {
            (0, self.firmware, 0)
        } else {
            (self.firmware, self.bitmap.pages, self.firmware.div_ceil(self.chunk_pages))
        };
        let chunk = (page - block) / self.chunk_pages;
        let start = block + chunk * self.chunk_pages;
        (chunks_before + chunk, start..start.saturating_add(self.chunk_pages).min(block_end))
    }

    fn clear(&mut self, page: u64, now: SimTime) {
        let (chunk, span) = self.chunk(page);
        if self.cleared.get(chunk as usize).is_none_or(|cleared| *cleared) {
            return;
        }
        self.cleared[chunk as usize] = true;
        self.write_until(now);
        let mut at = span.start;
        while let Some(page) = self.copied.next(at, span.end) {
            self.log.unset(page);
            at = page + 1;
        }
    }

    fn next_dirty(&self) -> Option<u64> {
        self.bitmap
            .next(self.cursor, self.bitmap.pages)
            .or_else(|| self.bitmap.next(0, self.cursor))
    }

    /// How a page would be sent now.
    fn kind(&self, page: u64) -> PageCount {
        if !self.nonzero.has(page) {
            return PageCount { zero: 1.0, ..PageCount::default() };
        }
        if let Some(cache) = &self.cache
            && self.cache_active
            && !self.postcopy
        {
            let slot = cache[(page % cache.len() as u64) as usize];
            if slot.is_some_and(|(cached, _)| cached == page) {
                return if self.changed.has(page) {
                    PageCount { encoded: 1.0, ..PageCount::default() }
                } else {
                    PageCount { unchanged: 1.0, ..PageCount::default() }
                };
            }
        }
        PageCount { normal: 1.0, ..PageCount::default() }
    }

    /// Sends one page and moves the cursor behind it.
    fn send_page(&mut self, page: u64) -> PageCount {
        if page < self.cursor && !self.postcopy {
            self.cache_active = true;
        }
        let kind = self.kind(page);
        if let Some(cache) = &mut self.cache
            && self.cache_active
            && kind.zero == 0.0
        {
            // `migration/page_cache.c`, `cache_insert`: a slot used lately is not given to another
            // page.
            let count = cache.len() as u64;
            let slot = &mut cache[(page % count) as usize];
            let fresh = |(cached, age): &(u64, u64)| {
                *cached != page && age + XBZRLE_LIFETIME > self.iteration
            };
            if !slot.as_ref().is_some_and(fresh) {
                *slot = Some((page, self.iteration));
            }
        }
        self.changed.unset(page);
        self.bitmap.unset(page);
        self.pending -= 1;
        self.cursor = page + 1;
        kind
    }

    /// Whole pages of a share, what is left over being owed to the next.
    fn whole(&mut self, pages: f64) -> u64 {
        let due = pages + self.owed;
        let whole = libm::floor(due + 1e-6);
        self.owed = (due - whole).max(0.0);
        (whole as u64).min(self.pending)
    }

    /// The guest writes at the destination until `now`, or until it meets a page that is not there.
    fn write_at_destination(&mut self, now: SimTime) {
        if self.speed == 0.0 {
            for writer in &mut self.writers {
                writer.clock.advance(now);
            }
            return;
        }
        for index in 0..self.writers.len() {
            if self.blocked.is_some() {
                // What an open writer misses meanwhile it makes up for afterwards, as fast as its
                // processor writes.
                self.writers[index].clock.hold(now);
                continue;
            }
            self.writers[index].clock.advance(now);
            while self.blocked.is_none()
                && self.writers[index].written < self.writers[index].due()
                && self.budget > 0
            {
                self.budget -= 1;
                let page = self.writers[index].page(&mut self.rng);
                if self.bitmap.has(page) {
                    self.faults.count += 1.0;
                    self.blocked = Some(Blocked { page, requested: now, until: None });
                } else {
                    self.nonzero.set(page);
                }
                self.writers[index].written += 1;
            }
        }
    }

    fn send_postcopy(&mut self, pages: u64, sending: &Sending) -> PageCount {
        let mut sent = PageCount::default();
        let span = sending.until.since(sending.from).0;
        let fault = SimTime::from_secs_f64(sending.fault_s);
        for i in 0..pages {
            let now = SimTime(
                sending.from.0 + (u128::from(span) * u128::from(i) / u128::from(pages)) as u64,
            );
            if let Some(Blocked { until: Some(until), requested, page }) = self.blocked
                && until <= now
            {
                self.faults.stalled_s += until.since(requested).as_secs_f64();
                self.nonzero.set(page);
                self.blocked = None;
            }
            self.write_at_destination(now);
            let page = match &mut self.blocked {
                Some(blocked) if blocked.until.is_none() && self.bitmap.has(blocked.page) => {
                    blocked.until = Some(blocked.requested + fault);
                    Some(blocked.page)
                }
                _ => self.next_dirty(),
            };
            let Some(page) = page else { break };
            sent.add(&self.send_page(page));
        }
        sent
    }
}

impl GuestMemory for PageMemory {
    fn start(&mut self, now: SimTime) {
        self.write_until(now);
        self.bitmap.fill();
        self.pending = self.bitmap.pages;
        if self.cleared.is_empty() {
            self.log.words.fill(0);
        } else {
            self.log.fill();
            self.copied.fill();
        }
    }

    fn pending(&self) -> f64 {
        self.pending as f64
    }

    fn upcoming(&self, out: &mut Vec<Run>) {
        let Some(first) = self.next_dirty() else { return };
        let end = self.chunk(first).1.end;
        let most = if self.postcopy { POSTCOPY_BATCH } else { BATCH };
        // The scan's turn at the end of memory ends a stretch too: XBZRLE starts there.
        let end = if first < self.cursor { end.min(self.cursor) } else { end };
        let mut pages = PageCount::default();
        let mut at = first;
        for _ in 0..most {
            let Some(page) = self.bitmap.next(at, end) else { break };
            pages.add(&self.kind(page));
            at = page + 1;
        }
        out.push(Run { pages, key: 0 });
    }

    fn send(&mut self, run: &Run, share: f64, sending: Sending) -> PageCount {
        let pages = self.whole(run.pages.total() * share);
        if self.postcopy {
            return self.send_postcopy(pages, &sending);
        }
        let mut sent = PageCount::default();
        let span = sending.until.since(sending.from).0;
        for i in 0..pages {
            let Some(page) = self.next_dirty() else { break };
            self.clear(page, sending.from);
            if self.cache_active {
                // Whether it has been written since it was last sent is asked when it is sent.
                self.write_until(
                    sending.from
                        + SimTime((u128::from(span) * u128::from(i) / u128::from(pages)) as u64),
                );
            }
            sent.add(&self.send_page(page));
        }
        sent
    }

    fn sync(&mut self, now: SimTime) -> f64 {
        self.write_until(now);
        self.iteration += 1;
        let before = self.pending;
        self.pending = 0;
        for (bits, log) in self.bitmap.words.iter_mut().zip(&self.log.words) {
            *bits |= log;
            self.pending += u64::from(bits.count_ones());
        }
        if self.cleared.is_empty() {
            self.log.words.fill(0);
        } else {
            self.copied.words.copy_from_slice(&self.log.words);
            self.cleared.fill(false);
        }
        (self.pending - before) as f64
    }

    fn set_speed(&mut self, now: SimTime, speed: f64) {
        if !self.postcopy {
            self.write_until(now);
        }
        self.speed = speed;
        for writer in &mut self.writers {
            writer.clock.set_speed(now, speed);
        }
    }

    fn skip(&mut self, to: SimTime) {
        for writer in &mut self.writers {
            writer.clock.skip(to);
        }
    }

    fn start_postcopy(&mut self, now: SimTime) {
        self.write_until(now);
        self.postcopy = true;
    }

    fn faults(&self) -> Faults {
        self.faults
    }

    fn take_effort(&mut self) -> u64 {
        self.bitmap.words.len() as u64
    }

    fn replayed(&self) -> u64 {
        MOST_WRITES - self.budget
    }

    fn is_exhausted(&self) -> bool {
        self.budget == 0
    }
}
