//! How far a writer has got: its speed is a function of time.

use super::{CatchUp, Phase, Term};
use crate::units::SimTime;

/// The work a writer has done, in seconds at its own pace, while phases, throttling and stops hold
/// it up.
///
/// `speed` is the share of the processor that the guest gets, 0 to 1. A closed writer slows down
/// with it and loses what it missed. An open writer needs only as much of the processor as its rate
/// takes: `headroom` says how many times faster than its rate it could write at full speed, which
/// is both how much throttling it bears and how fast it catches up.
#[derive(Debug, Clone)]
pub struct WriterClock {
    phase: Option<Phase>,
    offset: SimTime,
    catch_up: CatchUp,
    headroom: f64,
    speed: f64,
    now: SimTime,
    progress: f64,
    /// Work that an open writer should have done and has not.
    backlog: f64,
}

impl WriterClock {
    /// A writer at full speed at time zero, `offset` into its first phase.
    pub fn new(term: &Term, offset: SimTime, headroom: f64) -> WriterClock {
        let offset = term.phase.map_or(SimTime::ZERO, |phase| SimTime(offset.0 % phase.period().0));
        WriterClock {
            phase: term.phase,
            offset,
            catch_up: term.catch_up,
            headroom,
            speed: 1.0,
            now: SimTime::ZERO,
            progress: 0.0,
            backlog: 0.0,
        }
    }

    /// Seconds of work done so far.
    #[inline]
    pub fn progress(&self) -> f64 {
        self.progress
    }

    /// Seconds of work that an open writer still has to catch up with.
    pub fn backlog(&self) -> f64 {
        self.backlog
    }

    /// Sets the share of the processor from now on.
    pub fn set_speed(&mut self, now: SimTime, speed: f64) {
        self.advance(now);
        self.speed = speed;
    }

    /// How many times faster than its rate the writer could write at full speed.
    pub fn headroom(&self) -> f64 {
        self.headroom
    }

    /// Takes work off an open writer's backlog, or from a closed writer's loss: work done outside
    /// the clock's own reckoning.
    pub fn do_work(&mut self, seconds: f64) {
        self.progress += seconds;
        self.backlog = (self.backlog - seconds).max(0.0);
    }

    /// Lets time pass in which the writer could do nothing, and only the demand grows. Returns the
    /// work asked for meanwhile.
    pub fn hold(&mut self, to: SimTime) -> f64 {
        let demand = self.on_seconds(self.now, to);
        self.now = self.now.max(to);
        if self.catch_up == CatchUp::Open {
            self.backlog += demand;
        }
        demand
    }

    /// Lets the writer work until `to`; an earlier time changes nothing.
    pub fn advance(&mut self, to: SimTime) {
        if to <= self.now {
            return;
        }
        let capacity = if self.speed > 0.0 { self.speed * self.headroom } else { 0.0 };
        match self.catch_up {
            CatchUp::Closed => {
                let rate = self.speed.min(capacity);
                self.progress += rate * self.on_seconds(self.now, to);
            }
            CatchUp::Open if capacity >= 1.0 && self.backlog == 0.0 => {
                self.progress += self.on_seconds(self.now, to);
            }
            CatchUp::Open => self.advance_behind(to, capacity),
        }
        self.now = to;
    }

    /// Lets time pass until `to` as if it had not: the writer goes on then where it is now, in its
    /// phase too.
    pub fn skip(&mut self, to: SimTime) {
        let skipped = to - self.now;
        self.now = to.max(self.now);
        if let Some(phase) = self.phase {
            let period = phase.period().0;
            self.offset = SimTime((self.offset.0 + period - skipped.0 % period) % period);
        }
    }

    /// An open writer that is held up or catching up: phase by phase, since work waits from one
    /// into the next.
    ///
    /// Once a whole period has left the writer no less behind than it was, or as far behind to the
    /// digit, all that follow do alike; while it catches up, all of them do until it nearly
    /// has.
    fn advance_behind(&mut self, to: SimTime, capacity: f64) {
        let mut at = self.now;
        let Some(phase) = self.phase else {
            return self.work_behind(true, (to - at).as_secs_f64(), capacity);
        };
        while at < to {
            let periods = (to - at).0 / phase.period().0;
            let (progress, backlog) = (self.progress, self.backlog);
            let (mut idle, end) = (false, if periods > 0 { at + phase.period() } else { to });
            while at < end {
                let (on, until) = self.gate(at);
                let until = until.min(end);
                self.work_behind(on, (until - at).as_secs_f64(), capacity);
                idle |= self.backlog == 0.0;
                at = until;
            }
            let (done, change) = (self.progress - progress, self.backlog - backlog);
            // Rounding makes some difference between periods that are alike.
            let same = change.abs() <= 1e-12 * (phase.period().as_secs_f64() + backlog);
            let alike = match periods.saturating_sub(1) {
                left if same || (!idle && change > 0.0) => left,
                left if !idle => left.min(((self.backlog / -change) as u64).saturating_sub(1)),
                _ => 0,
            };
            self.progress += alike as f64 * done;
            self.backlog += alike as f64 * change;
            at += SimTime(alike * phase.period().0);
        }
    }

    /// Work done within a stretch of a phase.
    fn work_behind(&mut self, on: bool, seconds: f64, capacity: f64) {
        let due = self.backlog + if on { seconds } else { 0.0 };
        let done = if capacity == f64::INFINITY { due } else { due.min(capacity * seconds) };
        self.progress += done;
        self.backlog = due - done;
    }

    /// Whether the writer's phase is on at `at`, and when that changes next.
    fn gate(&self, at: SimTime) -> (bool, SimTime) {
        let Some(phase) = self.phase else {
            return (true, SimTime::MAX);
        };
        let period = phase.period();
        let within = ((u128::from(at.0) + u128::from(self.offset.0)) % u128::from(period.0)) as u64;
        if within < phase.on.0 {
            (true, at + SimTime(phase.on.0 - within))
        } else {
            (false, at + SimTime(period.0 - within))
        }
    }

    /// Seconds between `from` and `to` in which the phase is on.
    fn on_seconds(&self, from: SimTime, to: SimTime) -> f64 {
        let Some(phase) = self.phase else {
            return to.since(from).as_secs_f64();
        };
        let period = phase.period().0;
        let on_until = |at: u64| {
            let at = u128::from(at) + u128::from(self.offset.0);
            let (periods, within) = (at / u128::from(period), at % u128::from(period));
            periods * u128::from(phase.on.0) + within.min(u128::from(phase.on.0))
        };
        (on_until(to.0).saturating_sub(on_until(from.0))) as f64 * 1e-9
    }
}

#[cfg(test)]
mod tests {
    use super::super::Workload;
    use super::*;

    fn clock(notation: &str, headroom: f64) -> WriterClock {
        let workload: Workload = notation.parse().unwrap();
        WriterClock::new(&workload.terms[0], SimTime::ZERO, headroom)
    }

    /// Throttled to a half from 1 s to 3 s, then free until 5 s.
    fn work_after_a_throttled_stretch(notation: &str, headroom: f64) -> f64 {
        let mut clock = clock(notation, headroom);
        clock.set_speed(SimTime::from_secs(1), 0.5);
        clock.set_speed(SimTime::from_secs(3), 1.0);
        clock.advance(SimTime::from_secs(5));
        clock.progress()
    }

    #[test]
    fn an_open_writer_catches_up_and_a_closed_one_does_not() {
        for (term, headroom, work) in [
            ("uniform(wss=9p, rate=1p/s)", 4.0, 5.0), /* half a processor is enough for a
                                                       * quarter's load */
            ("uniform(wss=9p, rate=1p/s)", 1.5, 5.0), /* behind by half a second, made up for by
                                                       * 4 s */
            ("uniform(wss=9p, rate=1p/s)", 1.0, 4.0), // never has time to catch up
            ("uniform(wss=9p, rate=1p/s, closed)", 4.0, 4.0),
            ("phase(on=2s, off=1s, uniform(wss=9p, rate=1p/s))", 1.0, 4.0), /* the rest of the
                                                                             * first phase in
                                                                             * its pause */
            ("phase(on=2s, off=1s, uniform(wss=9p, rate=1p/s, closed))", 1.0, 3.5),
        ] {
            let got = work_after_a_throttled_stretch(term, headroom);
            assert!(
                (got - work).abs() < 1e-9,
                "{term} with headroom {headroom}: {got}, not {work}"
            );
        }
    }

    #[test]
    fn a_thousand_million_phases_are_not_walked_one_by_one() {
        for (on, off, capacity) in
            [(3, 1, 0.5), (3, 1, 0.75), (1, 3, 0.5), (1, 3, 0.25), (2, 2, 1.5), (3, 1, 0.0)]
        {
            let notation = format!("phase(on={on}us, off={off}us, uniform(wss=9p, rate=1p/s))");
            // The same stretch in one go and in pieces that are no whole periods.
            let mut whole = clock(&notation, capacity);
            whole.hold(SimTime::from_millis(1));
            let mut pieces = whole.clone();
            whole.advance(SimTime::from_secs(3600));
            for i in 1..=7 {
                pieces.advance(SimTime(3_600_000_000_000 / 7 * i));
            }
            pieces.advance(SimTime::from_secs(3600));
            let (a, b) = (whole.progress(), pieces.progress());
            assert!((a - b).abs() < 1e-4, "{notation} at {capacity}: {a}, not {b}");
            assert!((whole.backlog() - pieces.backlog()).abs() < 1e-4, "{notation} at {capacity}");
        }
    }

    #[test]
    fn a_writer_that_skips_a_while_goes_on_where_it_was_in_its_phase() {
        let notation = "phase(on=2s, off=3s, uniform(wss=9p, rate=1p/s))";
        let (mut here, mut there) = (clock(notation, 2.0), clock(notation, 2.0));
        let second = SimTime::from_secs(1);
        here.advance(second);
        there.advance(second);
        there.skip(SimTime::from_secs(1_000_001));
        here.advance(SimTime::from_secs(4));
        there.advance(SimTime::from_secs(1_000_004));
        assert_eq!((here.progress(), here.backlog()), (there.progress(), there.backlog()));
    }

    #[test]
    fn a_stopped_writer_does_nothing_and_an_unbounded_one_catches_up_at_once() {
        let mut clock = clock("uniform(wss=9p, rate=1p/s)", f64::INFINITY);
        clock.set_speed(SimTime::from_secs(1), 0.0);
        clock.advance(SimTime::from_secs(4));
        assert_eq!((clock.progress(), clock.backlog()), (1.0, 3.0));
        clock.set_speed(SimTime::from_secs(4), 0.01);
        clock.advance(SimTime::from_secs(5));
        assert_eq!((clock.progress(), clock.backlog()), (5.0, 0.0));
    }
}
