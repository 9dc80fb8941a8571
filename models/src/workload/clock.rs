//! How far a writer has got: its speed is a function of time.

use super::{CatchUp, Phase, Term};
use crate::units::SimTime;

/// The work a writer has done, in seconds at its own pace, while phases, throttling and stops hold it up.
///
/// `speed` is the share of the processor that the guest gets, 0 to 1. A closed writer slows down with it and loses what it missed.
/// An open writer needs only as much of the processor as its rate takes: `headroom` says how many times faster than its
/// rate it could write at full speed, which is both how much throttling it bears and how fast it catches up.
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

    /// Takes work off an open writer's backlog, or from a closed writer's loss: work done outside the clock's own reckoning.
    pub fn do_work(&mut self, seconds: f64) {
        self.progress += seconds;
        self.backlog = (self.backlog - seconds).max(0.0);
    }

    /// Lets time pass in which the writer could do nothing, and only the demand grows. Returns the work asked for meanwhile.
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

    /// An open writer that is held up or catching up: phase by phase, since work waits from one into the next.
    fn advance_behind(&mut self, to: SimTime, capacity: f64) {
        let mut at = self.now;
        while at < to {
            let (on, until) = self.gate(at);
            let end = until.min(to);
            let seconds = (end - at).as_secs_f64();
            let due = self.backlog + if on { seconds } else { 0.0 };
            let done = if capacity == f64::INFINITY { due } else { due.min(capacity * seconds) };
            self.progress += done;
            self.backlog = due - done;
            at = end;
        }
    }

    /// Whether the writer's phase is on at `at`, and when that changes next.
    fn gate(&self, at: SimTime) -> (bool, SimTime) {
        let Some(phase) = self.phase else {
            return (true, SimTime::MAX);
        };
        let period = phase.on + phase.off;
        let within = (at.0 + self.offset.0) % period.0;
        if within < phase.on.0 {
            (true, SimTime(at.0 + phase.on.0 - within))
        } else {
            (false, SimTime(at.0 + period.0 - within))
        }
    }

    /// Seconds between `from` and `to` in which the phase is on.
    fn on_seconds(&self, from: SimTime, to: SimTime) -> f64 {
        let Some(phase) = self.phase else {
            return to.since(from).as_secs_f64();
        };
        let period = phase.on.0 + phase.off.0;
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
            ("uniform(wss=9p, rate=1p/s)", 4.0, 5.0), // half a processor is enough for a quarter's load
            ("uniform(wss=9p, rate=1p/s)", 1.5, 5.0), // behind by half a second, made up for by 4 s
            ("uniform(wss=9p, rate=1p/s)", 1.0, 4.0), // never has time to catch up
            ("uniform(wss=9p, rate=1p/s, closed)", 4.0, 4.0),
            ("phase(on=2s, off=1s, uniform(wss=9p, rate=1p/s))", 1.0, 4.0), // the rest of the first phase in its pause
            ("phase(on=2s, off=1s, uniform(wss=9p, rate=1p/s, closed))", 1.0, 3.5),
        ] {
            let got = work_after_a_throttled_stretch(term, headroom);
            assert!((got - work).abs() < 1e-9, "{term} with headroom {headroom}: {got}, not {work}");
        }
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
