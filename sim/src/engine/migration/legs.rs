//! What happens until the next decision, laid out as legs within which every rate is constant.
//!
//! QEMU fills the socket as fast as its processor finds pages; the link drains it. In between stand
//! the socket's buffer and the network's own queue, so a stretch of pages passes through up to
//! three legs:
//!
//! ```text
//!   queued  |      ________        full: QEMU is held back to the link's rate
//!           |     /        \
//!           |    /          \      pages of zeros cost next to no bytes: the queue drains
//!           |___/            \___
//!                time ->
//! ```
//!
//! QEMU's bandwidth is what the socket *took* within a window of 100 ms, so it is high while the
//! buffer fills and low while zero pages pass. Windows are not events: the threshold at a time is
//! worked out from the leg that the time lies in.

use std::cell::Cell;

use migsim_models::qemu::{self, WINDOW};
use migsim_models::units::{PAGE_BYTES, SimTime};

use crate::engine::{PageCount, Run};

const PAGE: f64 = PAGE_BYTES as f64;
/// What rounding may do to a time in windows, as a share of the time: some ten units in the last
/// place of a double.
const ROUNDING: f64 = 1e-14;

/// What pages cost: wire bytes and seconds of the sending processor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speeds {
    pub(super) normal_wire: f64,
    pub(super) encoded_wire: f64,
    pub(super) normal_s: f64,
    pub(super) zero_s: f64,
    pub(super) encoded_s: f64,
    /// The migration's own cap on bytes per second.
    pub(super) cap: f64,
}

impl Speeds {
    /// The same on processors of which only a share is left.
    #[inline]
    pub(super) fn slowed(&self, share: f64) -> Speeds {
        Speeds {
            normal_s: self.normal_s / share,
            zero_s: self.zero_s / share,
            encoded_s: self.encoded_s / share,
            ..*self
        }
    }

    /// Bytes per second that the processor can put into a buffer.
    pub(super) fn buffer_rate(&self) -> f64 {
        self.normal_wire / self.normal_s
    }

    #[inline]
    pub(super) fn wire(&self, pages: &PageCount) -> f64 {
        pages.normal * self.normal_wire
            + pages.zero * qemu::ZERO_PAGE_WIRE
            + pages.encoded * self.encoded_wire
    }

    #[inline]
    fn seconds(&self, pages: &PageCount) -> f64 {
        pages.normal * self.normal_s
            + pages.zero * self.zero_s
            + pages.encoded * (self.encoded_s + self.normal_s)
            + pages.unchanged * self.encoded_s
    }
}

/// The state of the stream at a time: QEMU's bandwidth window, and what stands between QEMU and the
/// far end.
///
/// Spans are seconds from that time on or back, never times since the start: a float that has to
/// tell days has no room left for the picoseconds in which a fast processor fills a socket.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    /// The time that it is the state at.
    at: SimTime,
    /// How long the current window of [`WINDOW`] has lasted.
    age: f64,
    /// Bytes that the socket had taken when it began.
    sent_at_start: f64,
    /// Bytes that the socket has taken.
    sent: f64,
    /// From the last whole window: what may be pending at the stop. Zero before the first.
    pub(super) threshold: f64,
    /// Bytes that the socket has taken and the far end has not.
    pub(super) queued: f64,
    /// For so long QEMU is still busy with other things.
    idle: f64,
    /// For so long the current iteration has been sending: its iterations are counted from there.
    /// Below zero before it does.
    pub(super) sending: f64,
    /// How long an iteration of its loop takes while a full socket lets it sleep; zero before the
    /// first.
    slice: f64,
    /// QEMU has little enough left, and will find so when it looks after so long.
    look_in: Option<f64>,
}

impl Window {
    /// The stream when the first page is sent.
    pub(super) fn starting(now: SimTime) -> Window {
        Window { at: now, ..Window::default() }
    }

    /// Lets time pass until `now` in which nothing is put into the socket.
    pub(super) fn pass(&mut self, now: SimTime) {
        let seconds = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        if seconds > 0.0 {
            self.age += seconds;
            self.move_on(seconds);
        }
    }

    /// Lets time pass until `now` as if it had not.
    pub(super) fn skip(&mut self, now: SimTime) {
        self.at = self.at.max(now);
    }

    fn move_on(&mut self, seconds: f64) {
        self.idle = (self.idle - seconds).max(0.0);
        self.sending += seconds;
        if let Some(look) = &mut self.look_in {
            *look -= seconds;
        }
    }

    /// From `now` on QEMU is busy with other things for so long.
    pub(super) fn busy(&mut self, now: SimTime, time: SimTime) {
        self.pass(now);
        self.idle = time.as_secs_f64();
    }

    /// A new iteration begins to send after the sync, with which QEMU is busy for so long from
    /// `now` on.
    pub(super) fn begin_iteration(&mut self, now: SimTime, sync: SimTime) {
        self.busy(now, sync);
        self.sending = -self.idle;
        self.look_in = None;
    }

    /// From now on an iteration of QEMU's loop takes so long. Where it stands in the one under way
    /// stays as it is: what it would be, were all slices of the iteration as long, changes
    /// by many of them with each small change of the rate.
    fn keep_phase(&mut self, slice: f64) {
        let before = std::mem::replace(&mut self.slice, slice);
        if before > 0.0 && before != slice && self.sending > 0.0 {
            self.sending = libm::fmod(self.sending, before).min(slice * (1.0 - 1e-9));
        }
    }

    /// Lets the queue drain for a while at `rate`, with nothing coming in. Returns how much has
    /// drained.
    pub(super) fn drain(&mut self, rate: f64, time: SimTime) -> f64 {
        let drained = self.queued.min(rate * time.as_secs_f64());
        self.queued -= drained;
        drained
    }

    /// Since `before` so many bytes were put into the socket, whatever the plan said.
    pub(super) fn correct(&mut self, before: &Window, bytes: f64) {
        let more = bytes - (self.sent - before.sent);
        self.sent += more;
        // Less than was planned may be less than the window had seen.
        self.sent_at_start = self.sent_at_start.min(self.sent);
        self.queued = (self.queued + more).max(0.0);
    }

    /// Bytes that have left the queue, but for an amount that stays the same.
    pub(super) fn arrived(&self) -> f64 {
        self.sent - self.queued
    }

    /// Goes on for `seconds` in a leg, renewing the threshold at the end of each window.
    #[inline]
    fn advance(&mut self, seconds: f64, leg: &Leg, limit: SimTime) {
        let window = WINDOW.as_secs_f64();
        let sent = self.sent;
        let sent_by = |time: f64| sent + leg.input * time.max(0.0);
        let age = self.age + seconds;
        // A cast rounds down; a window that ends here by a rounding error has ended. Of several
        // only the last one counts.
        let ended = (age / window + 1e-9 + age * ROUNDING) as u64;
        if ended > 0 {
            let end = ended as f64 * window - self.age;
            let since = if ended == 1 { self.sent_at_start } else { sent_by(end - window) };
            self.sent_at_start = sent_by(end);
            self.threshold = qemu::threshold((self.sent_at_start - since) / window, limit);
            self.age = (age - ended as f64 * window).max(0.0);
        } else {
            self.age = age;
        }
        self.sent = sent_by(seconds);
        self.queued = leg.queued_after(self.queued, seconds);
        self.move_on(seconds);
    }
}

/// A stretch of time within which every rate is constant.
#[derive(Debug, Clone, Copy)]
struct Leg {
    /// Seconds from the plan's start to the leg's, and its length.
    from: f64,
    seconds: f64,
    /// The stretch of pages that is sent, if any.
    run: Option<u32>,
    /// Share of that stretch sent each second.
    share_rate: f64,
    /// Whether the stretch ends with the leg.
    ends_run: bool,
    /// Bytes per second into the socket, and out at the far end.
    input: f64,
    rate: f64,
    /// What is queued at its end, where it lasts until then: exact, where a sum of products would
    /// be nearly so.
    queued_at_end: Option<f64>,
}

impl Leg {
    fn queued_after(&self, queued: f64, seconds: f64) -> f64 {
        (queued + (self.input - self.rate) * seconds).max(0.0)
    }
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// Until little enough is left for QEMU to look again.
    Threshold,
    /// Until the last byte has arrived.
    Drain,
}

/// What a plan is laid out from, beside the stretches of pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) goal: Goal,
    /// Payload bytes per second at the far end.
    pub(super) rate: f64,
    /// The most bytes per second that QEMU sends.
    pub(super) cap: f64,
    /// The most bytes that stand in the queue at this rate.
    pub(super) queue_bytes: f64,
    /// Bytes that drain from a full socket before QEMU wakes and goes on; zero: it is not put to
    /// sleep by a socket of TCP.
    pub(super) wake_bytes: f64,
    pub(super) downtime_limit: SimTime,
    /// Pages pending, more than are in the stretches if those are only the first.
    pub(super) pending: f64,
    /// Whether the stretches are all there is.
    pub(super) complete: bool,
    /// QEMU looks after so many seconds whatever is left: how it was before 1.3.
    pub(super) look_in: Option<f64>,
}

thread_local! {
    /// Room of a plan that is done: asking for it anew is a tenth of what a migration costs.
    static SPARE: Cell<Option<(Vec<Run>, Vec<Leg>)>> = const { Cell::new(None) };
}

/// The legs until the next decision.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) start: SimTime,
    pub(super) end: SimTime,
    /// Whether it ends because little enough is left.
    pub(super) crossed: bool,
    /// Whether a full socket holds QEMU back in it.
    pub(super) held_back: bool,
    pub(super) runs: Vec<Run>,
    legs: Vec<Leg>,
    /// The stream at its start and at its end.
    first: Window,
    last: Window,
    downtime_limit: SimTime,
    /// What it was laid out from.
    from: Option<(Speeds, Request)>,
}

impl Plan {
    /// A plan of nothing, in the room that an earlier one of this thread has left, or with room for
    /// a guest of a few segments.
    pub(super) fn empty() -> Plan {
        let (runs, legs) =
            SPARE.take().unwrap_or_else(|| (Vec::with_capacity(16), Vec::with_capacity(32)));
        Plan {
            start: SimTime::ZERO,
            end: SimTime::ZERO,
            crossed: false,
            held_back: false,
            runs,
            legs,
            first: Window::default(),
            last: Window::default(),
            downtime_limit: SimTime::ZERO,
            from: None,
        }
    }

    /// Leaves its room to the next migration of this thread.
    pub(super) fn recycle(&mut self) {
        let (mut runs, mut legs) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.legs));
        runs.clear();
        legs.clear();
        SPARE.set(Some((runs, legs)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// Forgets the legs; `end` and `crossed` stay, for the decision that follows.
    pub(super) fn clear(&mut self, now: SimTime) {
        self.legs.clear();
        self.start = now;
    }

    /// Lays out `self.runs` from `now` on.
    pub(super) fn lay_out(
        &mut self,
        now: SimTime,
        window: &Window,
        speeds: &Speeds,
        request: &Request,
    ) {
        self.legs.clear();
        self.start = now;
        self.crossed = false;
        self.first = *window;
        self.first.pass(now);
        self.downtime_limit = request.downtime_limit;
        self.from = Some((*speeds, *request));
        if request.wake_bytes > 0.0 && request.rate > 0.0 {
            self.first.keep_phase(qemu::slice_seconds(request.wake_bytes / request.rate));
        }
        let mut layout = Layout {
            legs: &mut self.legs,
            request,
            elapsed: 0.0,
            window: self.first,
            pending: request.pending,
            held_back: false,
        };
        let end = layout.all(&self.runs, speeds);
        let (last, elapsed) = (layout.window, layout.elapsed);
        self.last = last;
        self.held_back = layout.held_back;
        self.crossed = end == End::Crossed;
        self.end =
            if end == End::Never { SimTime::MAX } else { now + SimTime::from_secs_f64(elapsed) };
    }

    /// Lays out the same from the same time on, at another rate.
    pub(super) fn lay_out_again(&mut self, rate: f64, queue_bytes: f64, wake_bytes: f64) {
        let Some((speeds, request)) = self.from else { return };
        let (start, window) = (self.start, self.first);
        self.lay_out(
            start,
            &window,
            &speeds,
            &Request { rate, queue_bytes, wake_bytes, ..request },
        );
    }

    /// What happened by `now`: calls `send` for each stretch of which something was sent, with its
    /// share, first and last moment.
    pub(super) fn happen(
        &self,
        now: SimTime,
        mut send: impl FnMut(&Run, f64, SimTime, SimTime),
    ) -> Window {
        let whole = now >= self.end;
        let elapsed = if whole { f64::INFINITY } else { now.since(self.start).as_secs_f64() };
        let mut window = if whole { self.last } else { self.first };
        let time = |seconds: f64| (self.start + SimTime::from_secs_f64(seconds)).min(now);
        let mut share = 0.0;
        let mut since = 0.0;
        for leg in &self.legs {
            if leg.from >= elapsed {
                break;
            }
            let finished = leg.from + leg.seconds <= elapsed;
            let seconds = if finished { leg.seconds } else { elapsed - leg.from };
            if !whole {
                window.advance(seconds, leg, self.downtime_limit);
            }
            let Some(run) = leg.run else { continue };
            if share == 0.0 {
                since = leg.from;
            }
            share += leg.share_rate * seconds;
            let last =
                !finished || leg.ends_run || std::ptr::eq(leg, self.legs.last().unwrap_or(leg));
            if last && share > 0.0 {
                let share = if finished && leg.ends_run { 1.0 } else { share.min(1.0) };
                send(&self.runs[run as usize], share, time(since), time(leg.from + seconds));
            }
            if leg.ends_run {
                share = 0.0;
            }
        }
        window.at = now;
        window
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Little enough is left.
    Crossed,
    /// What was to be done is done.
    Done,
    /// The link carries nothing.
    Never,
}

/// A plan being laid out: the time since its start, the stream and what is pending at its end so
/// far.
struct Layout<'a> {
    legs: &'a mut Vec<Leg>,
    request: &'a Request,
    elapsed: f64,
    window: Window,
    pending: f64,
    held_back: bool,
}

impl Layout<'_> {
    fn all(&mut self, runs: &[Run], speeds: &Speeds) -> End {
        if self.window.idle > 0.0 {
            let idle = self.leg(self.window.idle, 0.0);
            self.push(idle, 0.0);
        }
        for (index, run) in runs.iter().enumerate() {
            if let Some(end) = self.run(index as u32, run, speeds) {
                return end;
            }
        }
        match self.request.goal {
            Goal::Threshold if self.request.complete => End::Crossed,
            Goal::Drain if self.request.complete && self.window.queued > 0.0 => {
                if self.request.rate <= 0.0 {
                    return End::Never;
                }
                let seconds = self.window.queued / self.request.rate;
                let drain = Leg { queued_at_end: Some(0.0), ..self.leg(seconds, 0.0) };
                self.push(drain, 0.0);
                End::Done
            }
            _ => End::Done,
        }
    }

    /// A leg from now on without pages.
    fn leg(&self, seconds: f64, input: f64) -> Leg {
        Leg {
            from: self.elapsed,
            seconds,
            run: None,
            share_rate: 0.0,
            ends_run: false,
            input,
            rate: self.request.rate,
            queued_at_end: None,
        }
    }

    #[inline]
    fn push(&mut self, leg: Leg, page_rate: f64) {
        self.window.advance(leg.seconds, &leg, self.request.downtime_limit);
        if let Some(queued) = leg.queued_at_end {
            self.window.queued = queued;
        }
        self.pending -= page_rate * leg.seconds;
        self.elapsed += leg.seconds;
        self.legs.push(leg);
    }

    /// Lays out one stretch of pages, leg by leg: at most one until the queue has drained to its
    /// bound, one until it is full, and one for the rest. Returns how the plan ends if it ends
    /// within.
    #[inline]
    fn run(&mut self, index: u32, run: &Run, speeds: &Speeds) -> Option<End> {
        let request = self.request;
        let total = run.pages.total();
        let wire = speeds.wire(&run.pages) / total;
        let seconds = speeds.seconds(&run.pages) / total;
        // What QEMU would put into an empty socket.
        let supply = if wire > 0.0 { (wire / seconds).min(request.cap) } else { 0.0 };
        let mut left = total;
        loop {
            let room = request.queue_bytes - self.window.queued;
            // Bytes per second into the socket, and for how long at most before the queue says
            // otherwise.
            let (input, at_most) = if room < -1.0 {
                (0.0, -room / request.rate)
            } else if supply <= request.rate {
                (supply, f64::INFINITY)
            } else if room > 1.0 {
                (supply, room / (supply - request.rate))
            } else {
                self.held_back = true;
                (request.rate, f64::INFINITY)
            };
            let page_rate = match (wire > 0.0, room < -1.0) {
                (_, true) => 0.0,
                (true, false) => input / wire,
                (false, false) => 1.0 / seconds,
            };
            let finish = if page_rate > 0.0 { left / page_rate } else { f64::INFINITY };
            let duration = finish.min(at_most);
            if duration == f64::INFINITY {
                return Some(End::Never);
            }
            let ends_run = finish <= at_most;
            let mut leg = Leg {
                run: Some(index),
                share_rate: page_rate / total,
                ends_run,
                queued_at_end: (!ends_run).then_some(request.queue_bytes),
                ..self.leg(duration, input)
            };
            if request.goal == Goal::Threshold
                && let Some(seconds) = self.look(&leg, page_rate)
            {
                leg.ends_run &= seconds >= leg.seconds;
                if seconds < leg.seconds {
                    (leg.seconds, leg.queued_at_end) = (seconds, None);
                }
                self.push(leg, page_rate);
                return Some(End::Crossed);
            }
            self.push(leg, page_rate);
            if ends_run {
                return None;
            }
            left -= page_rate * duration;
        }
    }

    /// Whether what is pending at the end of the leg is above every threshold that may hold within:
    /// most legs need no closer look.
    #[inline]
    fn cannot_cross(&self, leg: &Leg, page_rate: f64) -> bool {
        let window = WINDOW.as_secs_f64();
        let most = (self.window.sent - self.window.sent_at_start) / window + leg.input;
        let threshold =
            qemu::threshold(most, self.request.downtime_limit).max(self.window.threshold);
        self.window.look_in.is_none() && (self.pending - page_rate * leg.seconds) * PAGE > threshold
    }

    /// How far into the leg QEMU looks and finds little enough left, if it does.
    ///
    /// It looks at the end of each iteration (see [`qemu::slice_seconds`]); the threshold at
    /// that time is that of the last whole window.
    #[inline]
    fn look(&mut self, leg: &Leg, page_rate: f64) -> Option<f64> {
        if let Some(look) = self.request.look_in {
            let look = (look - leg.from).max(0.0);
            return (look <= leg.seconds).then_some(look);
        }
        let limit = self.request.downtime_limit;
        if page_rate <= 0.0 || self.cannot_cross(leg, page_rate) {
            return None;
        }
        let slice = if leg.input >= self.request.cap {
            // Held back by its own cap, QEMU looks when a new window begins.
            WINDOW.as_secs_f64()
        } else {
            // At the link's own rate the socket is full, and QEMU asleep most of the time.
            let full = leg.input >= self.request.rate && self.request.rate > 0.0;
            let asleep = if full { self.request.wake_bytes / self.request.rate } else { 0.0 };
            qemu::slice_seconds(if asleep > 0.0 {
                asleep
            } else {
                qemu::MAX_WAIT_PAGES / page_rate
            })
        };
        let mut window = self.window;
        let (mut at, mut pending) = (0.0, self.pending);
        loop {
            if let Some(look) = self.window.look_in {
                // It may have been due while the link was cut.
                let look = look.max(at);
                if look > leg.seconds {
                    return None;
                }
                window.advance(look - at, leg, limit);
                pending -= page_rate * (look - at);
                at = look;
                self.window.look_in = None;
                if pending * PAGE < window.threshold {
                    return Some(at);
                }
            }
            // When the threshold of now would be met, were it to last.
            let over = pending - window.threshold / PAGE;
            let met = if over < 0.0 { at } else { at + over / page_rate };
            let renewed = at + (WINDOW.as_secs_f64() - window.age).max(0.0);
            // Two whole windows into a leg the bandwidth is its input, and the threshold no longer
            // changes.
            let steady = at - window.age >= WINDOW.as_secs_f64();
            if met <= leg.seconds && (met < renewed || steady) {
                let sending = self.window.sending;
                let slices = ((met + sending) / slice) as u64 as f64 + 1.0;
                let next = slices * slice - sending;
                // However long it has been sending: time goes on.
                self.window.look_in = Some(if next > at { next } else { at + slice });
                continue;
            }
            if renewed > leg.seconds || steady {
                return None;
            }
            window.advance(renewed - at, leg, limit);
            pending -= page_rate * (renewed - at);
            at = renewed;
        }
    }
}
