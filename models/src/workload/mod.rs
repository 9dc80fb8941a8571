//! How a guest dirties its memory: the workload notation, and the distinct pages D(t) that follow
//! from it.
//!
//! A [`Workload`] is a sum of [`Term`]s over disjoint regions of the guest's memory. What migration
//! sees of a writer is not its writes but the *distinct* pages that they touch between two looks at
//! the dirty log. Every pattern is therefore broken down into [`Class`]es, each a set of pages that
//! are written alike, for which that number has a closed form:
//!
//! | class | distinct pages after the writer has worked for u seconds |
//! | --- | --- |
//! | uniform over W pages at r pages/s | W (1 - exp(-r u / W)): each page waits for its next write like a radioactive atom |
//! | sweep over W pages at r pages/s | min(W, r u) |
//!
//! A zipf term becomes some sixty uniform classes by rank; a measured curve becomes the
//! non-negative sum of uniform classes that fits it best. How far the writer has got, u(t), is kept
//! by a [`WriterClock`]: it stands still between phases, runs slower under throttling, and catches
//! up where the writer is open.

mod app;
mod clock;
mod curve;
mod dirty;
mod notation;
mod own;

pub use app::{APPS, App};
pub use clock::WriterClock;
pub use curve::Curve;
pub use dirty::{MEDIAN_SHARE, Unknown};
pub use notation::{NAMES, NotationError, is_name};
pub use own::{Own, Part, Writes};

use crate::units::{PageRate, Pages, SimTime};

/// What a guest writes: terms over disjoint regions of its memory. No terms: an idle guest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Workload {
    /// The terms, in the order in which their regions lie in memory.
    pub terms: Vec<Term>,
}

/// One writer and its region.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Which pages are written, and how fast.
    pub pattern: Pattern,
    /// Whether what the writer missed while it was held up is made up for afterwards.
    pub catch_up: CatchUp,
    /// When the writer works; `None`: always.
    pub phase: Option<Phase>,
}

/// What becomes of the writes that a stopped or throttled writer missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// They are made up for, as fast as the processor allows: requests arrive whether or not they
    /// are served.
    #[default]
    Open,
    /// They are lost: the next request waits for the answer to the last.
    Closed,
}

/// A writer that works for `on`, rests for `off`, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// How long it works, above zero.
    pub on: SimTime,
    /// How long it rests.
    pub off: SimTime,
}

impl Phase {
    /// After so long it begins again.
    pub fn period(&self) -> SimTime {
        self.on + self.off
    }
}

/// Which pages a writer touches.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// Writes fall independently and uniformly on the working set.
    Uniform {
        /// Pages of the working set, at least 1.
        wss: Pages,
        /// Writes, each to a page.
        rate: PageRate,
    },
    /// The working set is written front to back, over and over.
    Sweep {
        /// Pages of the working set, at least 1.
        wss: Pages,
        /// Pages written per second.
        rate: PageRate,
    },
    /// The page of rank i is written with a probability proportional to i^-s; ranks lie in memory
    /// in their order.
    Zipf {
        /// Pages of the working set, at least 1.
        wss: Pages,
        /// Writes, each to a page.
        rate: PageRate,
        /// The exponent s, from 0 (uniform) to 10.
        exponent: f64,
    },
    /// Measured: how many distinct pages were dirtied within a window of each length. Lengths rise,
    /// pages do not fall.
    Curve {
        /// Lengths of windows and their distinct pages.
        curve: Curve,
        /// So many times as fast as it was measured, above 0.
        pace: f64,
    },
    /// Known by one number: distinct pages in a window, over its length.
    Dirty {
        /// Distinct pages in a window over its length.
        rate: PageRate,
        /// Its length, above zero.
        window: SimTime,
        /// The share of touched pages that is dirtied sooner or later, above 0 to 1; `None`:
        /// unknown, and as [`Unknown`] says.
        share: Option<f64>,
        /// By what factor two of three guests lie from that rate at most, above 1; `None`: it was
        /// measured, at some time.
        factor: Option<f64>,
        /// What runs in it, where a profile may know guests of that application.
        application: Option<String>,
    },
    /// An own way of writing, which the notation has no words for.
    Own {
        /// What it is.
        writes: Own,
        /// So many times as fast as it says, above 0.
        pace: f64,
    },
}

/// Pages that are written alike, next to each other in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// Which term of the workload writes them, from 0.
    pub term: usize,
    /// How many pages, at least 1.
    pub pages: u64,
    /// Writes to the class in a second of the writer's work.
    pub rate: f64,
    /// In what order they are written.
    pub order: Order,
}

/// The order in which a class's pages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each write falls on any of the pages.
    Random,
    /// One after the other, round and round.
    Sequential,
}

impl Class {
    /// Distinct pages written in `u` seconds of work, of those not yet among `already` dirty ones.
    ///
    /// For a sequential class the dirty pages are taken to lie behind the writer, who moves on into
    /// clean ones.
    pub fn newly_dirty(&self, already: f64, u: f64) -> f64 {
        let clean = (self.pages as f64 - already).max(0.0);
        match self.order {
            Order::Random => clean * self.hit_probability(u),
            Order::Sequential => clean.min(self.rate * u),
        }
    }

    /// The probability that a given page of a random class is written in `u` seconds of work.
    #[inline]
    pub fn hit_probability(&self, u: f64) -> f64 {
        -libm::expm1(-self.rate / self.pages as f64 * u)
    }
}

impl Pattern {
    /// The pages that can ever be dirtied; for a curve the most that its fit reaches, within
    /// `limit`.
    fn classes(&self, term: usize, limit: u64, touched: Pages, out: &mut Vec<Class>) {
        match self {
            Pattern::Uniform { wss, rate } => {
                out.push(Class {
                    term,
                    pages: wss.0,
                    rate: rate.pages_per_s(),
                    order: Order::Random,
                });
            }
            Pattern::Sweep { wss, rate } => {
                out.push(Class {
                    term,
                    pages: wss.0,
                    rate: rate.pages_per_s(),
                    order: Order::Sequential,
                });
            }
            Pattern::Zipf { wss, rate, exponent } => {
                zipf_classes(term, wss.0, rate.pages_per_s(), *exponent, out);
            }
            Pattern::Curve { curve, pace } => {
                out.extend(curve.classes(limit).into_iter().map(|(pages, rate)| Class {
                    term,
                    pages,
                    rate: rate * pace,
                    order: Order::Random,
                }));
            }
            Pattern::Dirty { rate, window, share, .. } => {
                let share = share.unwrap_or(MEDIAN_SHARE);
                dirty::classes(term, *rate, *window, share, touched.0, limit, out);
            }
            Pattern::Own { writes, pace } => {
                out.extend(writes.writes().parts().into_iter().map(|part| Class {
                    term,
                    pages: part.pages,
                    rate: part.rate * pace,
                    order: part.order,
                }));
            }
        }
    }

    /// Pages that it is known to dirty: the working set, or the most that a curve was seen to.
    fn reach(&self) -> u64 {
        match self {
            Pattern::Curve { curve, .. } => curve.points().last().map_or(0, |point| point.1.0),
            Pattern::Dirty { rate, window, .. } => dirty::reach(*rate, *window),
            pattern => pattern.wss().map_or(0, |wss| wss.0),
        }
    }

    /// A curve's windows and their pages, at its pace; `None` for what is no curve.
    pub fn measured(&self) -> Option<impl Iterator<Item = (SimTime, Pages)>> {
        let Pattern::Curve { curve, pace } = self else { return None };
        // At the pace that it was measured at it is what was given, to the nanosecond.
        let at_pace = move |t: SimTime| {
            if *pace == 1.0 { t } else { SimTime::from_secs_f64(t.as_secs_f64() / pace) }
        };
        Some(curve.points().iter().map(move |(t, pages)| (at_pace(*t), *pages)))
    }

    /// The pages of the working set as given; `None` for a curve, which does not say.
    pub fn wss(&self) -> Option<Pages> {
        match self {
            Pattern::Uniform { wss, .. }
            | Pattern::Sweep { wss, .. }
            | Pattern::Zipf { wss, .. } => Some(*wss),
            Pattern::Own { writes, .. } => Some(Pages(writes.pages())),
            Pattern::Curve { .. } | Pattern::Dirty { .. } => None,
        }
    }
}

/// Ranks up to this one get a class each; behind them a class spans a constant ratio of ranks.
const ZIPF_SINGLE_RANKS: u64 = 8;
/// Within a ratio of 1.15 the rates of the pages of a class differ so little that D(t) is within
/// 0.1 % of the exact sum.
const ZIPF_RANK_RATIO: f64 = 1.15;

/// Breaks a zipf distribution over `wss` ranks into classes of neighbouring ranks.
fn zipf_classes(term: usize, wss: u64, rate: f64, exponent: f64, out: &mut Vec<Class>) {
    // Sum of i^-s over a..=b: exact for the first ranks, by the midpoint integral behind them
    // (error below 1e-4 of the sum).
    let mass = |a: u64, b: u64| -> f64 {
        if a == b {
            return libm::pow(a as f64, -exponent);
        }
        let (lo, hi) = (a as f64 - 0.5, b as f64 + 0.5);
        let e = 1.0 - exponent;
        if e.abs() < 1e-9 { libm::log(hi / lo) } else { (libm::pow(hi, e) - libm::pow(lo, e)) / e }
    };
    let first = out.len();
    let mut total = 0.0;
    let mut a = 1;
    while a <= wss {
        let b = if a <= ZIPF_SINGLE_RANKS {
            a
        } else {
            ((a as f64 * ZIPF_RANK_RATIO) as u64).clamp(a, wss)
        };
        let weight = mass(a, b);
        total += weight;
        out.push(Class { term, pages: b - a + 1, rate: weight, order: Order::Random });
        a = b + 1;
    }
    for class in &mut out[first..] {
        class.rate *= rate / total;
    }
}

impl Workload {
    /// A guest that writes nothing.
    pub fn idle() -> Workload {
        Workload::default()
    }

    /// A guest that writes in an own way, all the time; what it misses while it is held up it makes
    /// up for.
    pub fn own(writes: impl Writes + 'static) -> Workload {
        let pattern = Pattern::Own { writes: Own::new(writes), pace: 1.0 };
        Workload { terms: vec![Term { pattern, catch_up: CatchUp::Open, phase: None }] }
    }

    /// Whether some writer is known by its dirty rate alone.
    pub fn is_known_by_one_number(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.pattern, Pattern::Dirty { .. }))
    }

    /// Says what runs in it, of writers that are known by one number and do not say it themselves.
    pub fn of_application(&mut self, name: &str) {
        for term in &mut self.terms {
            if let Pattern::Dirty { application: application @ None, .. } = &mut term.pattern {
                *application = Some(name.to_owned());
            }
        }
    }

    /// The same, where it is known by one number, as it could be; `None`: nothing is unknown.
    pub fn as_it_could_be(&self, unknown: &Unknown) -> Option<Workload> {
        if !self.is_known_by_one_number() {
            return None;
        }
        let mut known = self.clone();
        for term in &mut known.terms {
            if let Pattern::Dirty { rate, share, factor, .. } = &mut term.pattern {
                *share = Some(share.unwrap_or_else(|| unknown.share()));
                *rate = unknown.rate(*rate, *factor);
            }
        }
        Some(known)
    }

    /// The classes of all terms in the order of memory, of a guest of so many `touched` pages,
    /// together no more than `limit`, the pages that it can dirty at all, where
    /// [`Workload::working_set`] is no more than that. A curve is fitted within what the other
    /// terms leave.
    pub fn classes(&self, limit: Pages, touched: Pages) -> Vec<Class> {
        let mut classes = Vec::with_capacity(self.terms.len());
        let mut spare = limit.0.saturating_sub(self.working_set().0);
        for (index, term) in self.terms.iter().enumerate() {
            let before = classes.len();
            let least = term.pattern.reach();
            term.pattern.classes(index, least.saturating_add(spare), touched, &mut classes);
            let pages: u64 = classes[before..].iter().map(|class| class.pages).sum();
            spare -= pages.saturating_sub(least).min(spare);
        }
        classes
    }

    /// Distinct pages D(t) dirtied within a window of length `window` that starts `offset` into the
    /// first phase, by writers at full speed.
    pub fn distinct(&self, window: SimTime, offset: SimTime) -> f64 {
        let classes = self.classes(Pages(u64::MAX), Pages(u64::MAX));
        classes
            .iter()
            .map(|class| {
                let mut clock = WriterClock::new(&self.terms[class.term], offset, f64::INFINITY);
                clock.advance(window);
                class.newly_dirty(0.0, clock.progress())
            })
            .sum()
    }

    /// Pages in all working sets together; a curve counts with the most that it was seen to dirty.
    pub fn working_set(&self) -> Pages {
        self.terms
            .iter()
            .fold(Pages(0), |sum, term| Pages(sum.0.saturating_add(term.pattern.reach())))
    }

    /// Whether some term is a curve measured with one window, which says nothing of longer ones.
    pub fn is_one_window(&self) -> bool {
        let one = |term: &Term| matches!(&term.pattern, Pattern::Curve { curve, .. } if curve.points().len() == 1);
        self.terms.iter().any(one)
    }

    /// Whether some term works in phases, so that it matters when in a phase the migration starts.
    pub fn has_phases(&self) -> bool {
        self.terms.iter().any(|term| term.phase.is_some())
    }

    /// The longest time after which a term's phases begin again; `None`: none works in phases.
    pub fn longest_period(&self) -> Option<SimTime> {
        self.terms.iter().filter_map(|term| term.phase).map(|phase| phase.period()).max()
    }

    /// The same workload with all write rates multiplied by `factor`, a curve's pace too.
    ///
    /// Returns `None` if a rate is no longer finite.
    pub fn scaled(&self, factor: f64) -> Option<Workload> {
        let scale = |rate: &PageRate| PageRate::new(rate.pages_per_s() * factor);
        let terms = self.terms.iter().map(|term| {
            let pattern = match &term.pattern {
                Pattern::Uniform { wss, rate } => {
                    Pattern::Uniform { wss: *wss, rate: scale(rate)? }
                }
                Pattern::Sweep { wss, rate } => Pattern::Sweep { wss: *wss, rate: scale(rate)? },
                Pattern::Zipf { wss, rate, exponent } => {
                    Pattern::Zipf { wss: *wss, rate: scale(rate)?, exponent: *exponent }
                }
                Pattern::Curve { curve, pace } => {
                    Pattern::Curve { curve: curve.clone(), pace: pace * factor }
                }
                Pattern::Dirty { rate, window, share, factor, application } => Pattern::Dirty {
                    rate: scale(rate)?,
                    window: *window,
                    share: *share,
                    factor: *factor,
                    application: application.clone(),
                },
                Pattern::Own { writes, pace } => {
                    Pattern::Own { writes: writes.clone(), pace: pace * factor }
                }
            };
            Some(Term { pattern, ..term.clone() })
        });
        Some(Workload { terms: terms.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct(notation: &str, seconds: u64) -> f64 {
        let workload: Workload = notation.parse().unwrap();
        workload.distinct(SimTime::from_secs(seconds), SimTime::ZERO)
    }

    #[test]
    fn distinct_pages_follow_the_closed_forms() {
        let e = |x: f64| 1.0 - libm::exp(-x);
        for (notation, seconds, expected) in [
            ("idle", 10, 0.0),
            ("uniform(wss=1000p, rate=500p/s)", 2, 1000.0 * e(1.0)),
            ("sweep(wss=1000p, rate=500p/s)", 1, 500.0),
            ("sweep(wss=1000p, rate=500p/s)", 9, 1000.0),
            ("phase(on=1s, off=3s, sweep(wss=1000p, rate=100p/s))", 6, 200.0),
            ("sweep(wss=10p, rate=1p/s) + uniform(wss=1p, rate=1p/s)", 4, 4.0 + e(4.0)),
        ] {
            let got = distinct(notation, seconds);
            assert!(
                (got - expected).abs() < 1e-6,
                "{notation} after {seconds} s: {got}, not {expected}"
            );
        }
    }

    #[test]
    fn zipf_classes_give_the_exact_sum_within_a_thousandth() {
        for exponent in [0.0, 0.5, 0.99, 1.0, 1.5] {
            let (wss, rate) = (5000_u64, 2000.0);
            let total: f64 = (1..=wss).map(|i| libm::pow(i as f64, -exponent)).sum();
            for seconds in [1, 5, 20] {
                let exact: f64 = (1..=wss)
                    .map(|i| {
                        1.0 - libm::exp(
                            -rate * seconds as f64 * libm::pow(i as f64, -exponent) / total,
                        )
                    })
                    .sum();
                let got =
                    distinct(&format!("zipf(wss=5000p, rate=2000p/s, s={exponent})"), seconds);
                assert!(
                    (got / exact - 1.0).abs() < 1e-3,
                    "s={exponent}, {seconds} s: {got}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn a_measured_curve_is_met_at_its_points() {
        let notation = "curve(1s:3000p, 2s:5200p, 5s:9100p)";
        for (seconds, pages) in [(1, 3000.0), (2, 5200.0), (5, 9100.0)] {
            let got = distinct(notation, seconds);
            assert!((got / pages - 1.0).abs() < 0.01, "{seconds} s: {got}");
        }
    }

    #[test]
    fn pages_already_dirty_are_not_dirtied_again() {
        let class = Class { term: 0, pages: 100, rate: 50.0, order: Order::Random };
        assert!((class.newly_dirty(40.0, 2.0) - 60.0 * (1.0 - libm::exp(-1.0))).abs() < 1e-9);
        let class = Class { order: Order::Sequential, ..class };
        assert!((class.newly_dirty(40.0, 1.0) - 50.0).abs() < 1e-9);
        assert!((class.newly_dirty(40.0, 9.0) - 60.0).abs() < 1e-9);
    }
}
