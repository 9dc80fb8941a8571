//! What one or two numbers do: the same question over a range of values, on all cores.

use std::fmt::{self, Display};
use std::str::FromStr;

use migsim_models::profile::Profile;
use migsim_models::units::{BitRate, Bytes, PageRate, Pages, SimTime, UnitError};
use migsim_models::workload::{Pattern, Workload};
use rayon::prelude::*;

use crate::migration::Outcome;
use crate::predict::predict;
use crate::scenario::{Case, InputError, Keys, Scenario};
use crate::world::Fidelity;

/// A quantity that can be varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// RAM of the guest; what is touched keeps its share of it.
    Memory,
    /// Pages that are not zero.
    Touched,
    /// The working set of a workload of one term.
    Wss,
    /// The write rate of all terms together, in their proportion.
    Rate,
    /// Capacity of the link.
    Link,
    /// Round-trip time.
    Rtt,
    /// QEMU's downtime limit.
    DowntimeLimit,
    /// The migration's own cap.
    BandwidthCap,
    /// Time until it is given up.
    Timeout,
}

const NAMES: [(&str, Quantity); 9] = [
    ("memory", Quantity::Memory),
    ("touched", Quantity::Touched),
    ("wss", Quantity::Wss),
    ("rate", Quantity::Rate),
    ("link", Quantity::Link),
    ("rtt", Quantity::Rtt),
    ("downtime_limit", Quantity::DowntimeLimit),
    ("bandwidth_cap", Quantity::BandwidthCap),
    ("timeout", Quantity::Timeout),
];

impl Quantity {
    /// Its name, as `--vary` takes it.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, q)| *q == self).map_or("", |(name, _)| name)
    }

    /// Reads a value in its unit: bytes, bits per second, nanoseconds or pages per second.
    fn parse(self, text: &str) -> Result<f64, UnitError> {
        Ok(match self {
            Quantity::Memory | Quantity::Touched | Quantity::Wss => text.parse::<Bytes>()?.as_f64(),
            Quantity::Rate => text.parse::<PageRate>()?.pages_per_s(),
            Quantity::Link | Quantity::BandwidthCap => text.parse::<BitRate>()?.0 as f64,
            Quantity::Rtt | Quantity::DowntimeLimit | Quantity::Timeout => text.parse::<SimTime>()?.0 as f64,
        })
    }

    /// Writes a value with its unit.
    pub fn write(self, value: f64) -> String {
        match self {
            Quantity::Memory | Quantity::Touched | Quantity::Wss => Bytes(value as u64).to_string(),
            Quantity::Rate => PageRate::new(value).unwrap_or_default().to_string(),
            Quantity::Link | Quantity::BandwidthCap => BitRate(value as u64).to_string(),
            Quantity::Rtt | Quantity::DowntimeLimit | Quantity::Timeout => SimTime(value as u64).to_string(),
        }
    }

    /// The unit of a plot's axis and how many base units it is.
    pub fn axis(self) -> (&'static str, f64) {
        match self {
            Quantity::Memory | Quantity::Touched | Quantity::Wss => ("GiB", (1_u64 << 30) as f64),
            Quantity::Rate => ("pages/s", 1.0),
            Quantity::Link | Quantity::BandwidthCap => ("Mbit/s", 1e6),
            Quantity::Rtt | Quantity::DowntimeLimit => ("ms", 1e6),
            Quantity::Timeout => ("s", 1e9),
        }
    }

    /// Sets it in a question's keys.
    fn set(self, keys: &mut Keys, value: f64) -> Result<(), String> {
        let (g, l, m) = (&mut keys.guest, &mut keys.link, &mut keys.migration);
        let pages = Bytes(value as u64).pages();
        match self {
            Quantity::Memory => {
                if let (Some(memory), Some(touched)) = (g.memory, g.touched) {
                    let share = touched.as_f64() / memory.as_f64().max(1.0);
                    g.touched = Some(Pages((pages.as_f64() * share) as u64));
                }
                g.memory = Some(pages);
            }
            Quantity::Touched => g.touched = Some(pages),
            Quantity::Wss => set_working_set(g.workload.as_mut(), pages)?,
            Quantity::Rate => {
                let workload = g.workload.clone().unwrap_or_default();
                let rate: f64 = workload.classes(Pages(u64::MAX)).iter().map(|class| class.rate).sum();
                if rate <= 0.0 {
                    return Err("`rate` cannot be varied: the workload writes nothing".to_owned());
                }
                g.workload = workload.scaled(value / rate);
            }
            Quantity::Link => l.capacity = Some(BitRate(value as u64)),
            Quantity::Rtt => l.rtt = Some(SimTime(value as u64)),
            Quantity::DowntimeLimit => m.downtime_limit = Some(SimTime(value as u64)),
            Quantity::BandwidthCap => m.bandwidth_cap = Some(BitRate(value as u64)),
            Quantity::Timeout => m.timeout = Some(SimTime(value as u64)),
        }
        Ok(())
    }
}

fn set_working_set(workload: Option<&mut Workload>, pages: Pages) -> Result<(), String> {
    let pages = Pages(pages.0.max(1));
    match workload.map(|w| w.terms.as_mut_slice()) {
        Some([term]) => match &mut term.pattern {
            Pattern::Uniform { wss, .. } | Pattern::Sweep { wss, .. } | Pattern::Zipf { wss, .. } => {
                *wss = pages;
                Ok(())
            }
            Pattern::Curve(_) => Err("`wss` cannot be varied: a measured curve has none".to_owned()),
        },
        _ => Err("`wss` can be varied in a workload of one term only".to_owned()),
    }
}

/// One range: `KEY=FROM..TO:N`, with `:log` at the end for steps of equal ratio.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// What is varied.
    pub quantity: Quantity,
    from: f64,
    to: f64,
    count: usize,
    /// Whether steps have equal ratios.
    pub log: bool,
}

/// A range could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{input}`: {problem}; it is written like `link=100Mbit/s..10Gbit/s:20` or `rate=1000p/s..50000p/s:40:log`, with a key of {keys}"
)]
pub struct RangeError {
    input: String,
    problem: String,
    keys: String,
}

/// The most points of a sweep.
const MOST_POINTS: usize = 100_000;

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(input: &str) -> Result<Range, RangeError> {
        let error = |problem: String| RangeError {
            input: input.to_owned(),
            problem,
            keys: NAMES.map(|(name, _)| name).join(", "),
        };
        let (key, rest) = input.split_once('=').ok_or_else(|| error("has no `=`".to_owned()))?;
        let quantity = NAMES
            .iter()
            .find(|(name, _)| *name == key.trim())
            .map(|(_, q)| *q)
            .ok_or_else(|| error(format!("unknown key `{key}`")))?;
        let (rest, log) = match rest.strip_suffix(":log") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (range, count) =
            rest.rsplit_once(':').ok_or_else(|| error("lacks `:N`, the number of points".to_owned()))?;
        let (from, to) = range.split_once("..").ok_or_else(|| error("lacks `..` between its ends".to_owned()))?;
        let value = |text: &str| quantity.parse(text.trim()).map_err(|e| error(e.to_string()));
        let (from, to) = (value(from)?, value(to)?);
        let count: usize = count.trim().parse().map_err(|_| error(format!("`{count}` is not a number of points")))?;
        if !(2..=MOST_POINTS).contains(&count) {
            return Err(error(format!("{count} points; it takes 2 to {MOST_POINTS}")));
        }
        if from >= to {
            return Err(error("its ends do not rise".to_owned()));
        }
        if log && from <= 0.0 {
            return Err(error("steps of equal ratio start above zero".to_owned()));
        }
        Ok(Range { quantity, from, to, count, log })
    }
}

impl Range {
    /// Its points in order, both ends included.
    pub fn points(&self) -> Vec<f64> {
        let last = (self.count - 1) as f64;
        (0..self.count)
            .map(|i| {
                let at = i as f64 / last;
                if i + 1 == self.count {
                    self.to
                } else if self.log {
                    self.from * libm::pow(self.to / self.from, at)
                } else {
                    self.from + (self.to - self.from) * at
                }
            })
            .collect()
    }
}

/// A point of a sweep and its answer.
#[derive(Debug, Clone)]
pub struct Point {
    /// The values varied, in the order of the ranges.
    pub values: Vec<f64>,
    /// The case at that point.
    pub case: Case,
    /// What comes of it.
    pub outcome: Outcome,
}

/// Answers the scenario's guest at every point of one or two ranges; `done` hears of each.
///
/// # Errors
/// The scenario has more guests than one, or a point of the range cannot be.
pub fn sweep(
    scenario: &mut Scenario,
    ranges: &[Range],
    profile: &Profile,
    fidelity: Fidelity,
    done: impl Fn() + Sync,
) -> Result<Vec<Point>, InputError> {
    let mut grid: Vec<Vec<f64>> = vec![Vec::new()];
    for range in ranges {
        grid = grid
            .into_iter()
            .flat_map(|at| range.points().into_iter().map(move |value| [at.clone(), vec![value]].concat()))
            .collect();
    }
    if grid.len() > MOST_POINTS {
        return Err(InputError::new("--vary", format!("{} points in all; it takes up to {MOST_POINTS}", grid.len())));
    }
    let base: Vec<Keys> = scenario.keys_mut().map(|keys| keys.clone()).collect();
    if base.len() != 1 {
        return Err(InputError::new(
            "sweep",
            format!("the file has {} guests; a sweep takes a file of one", base.len()),
        ));
    }
    let mut cases = Vec::with_capacity(grid.len());
    for values in grid {
        for keys in scenario.keys_mut() {
            keys.clone_from(&base[0]);
            for (range, value) in ranges.iter().zip(&values) {
                range.quantity.set(keys, *value).map_err(|e| InputError::new("--vary", e))?;
            }
        }
        let at: Vec<String> = ranges
            .iter()
            .zip(&values)
            .map(|(r, v)| format!("{}={}", r.quantity.name(), r.quantity.write(*v)))
            .collect();
        let case = scenario
            .cases()
            .map_err(|e| InputError::new(e.place, format!("at {}: {}", at.join(", "), e.message)))?
            .remove(0);
        cases.push((values, case));
    }
    Ok(cases
        .into_par_iter()
        .map(|(values, case)| {
            let outcome = predict(&case, profile, fidelity);
            done();
            Point { values, case, outcome }
        })
        .collect())
}

impl Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let q = self.quantity;
        write!(f, "{}={}..{}:{}", q.name(), q.write(self.from), q.write(self.to), self.count)?;
        if self.log { write!(f, ":log") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_are_read_with_both_ends_and_their_steps() {
        let range: Range = "link=100Mbit/s..10Gbit/s:3:log".parse().unwrap();
        let points: Vec<String> = range.points().iter().map(|p| Quantity::Link.write(*p)).collect();
        assert_eq!(points, ["100Mbit/s", "1Gbit/s", "10Gbit/s"]);
        let range: Range = "downtime_limit=100ms..500ms:5".parse().unwrap();
        assert_eq!(range.points(), [1e8, 2e8, 3e8, 4e8, 5e8]);
        assert_eq!(range.to_string(), "downtime_limit=100ms..500ms:5");
    }

    #[test]
    fn mistakes_in_a_range_are_named() {
        for (text, problem) in [
            ("link", "has no `=`"),
            ("lnk=1Mbit/s..2Mbit/s:3", "unknown key `lnk`"),
            ("link=1Mbit/s..2Mbit/s", "lacks `:N`"),
            ("link=1Mbit/s:3", "lacks `..`"),
            ("link=1..2Mbit/s:3", "`1` has no unit"),
            ("link=2Mbit/s..1Mbit/s:3", "its ends do not rise"),
            ("link=1Mbit/s..2Mbit/s:1", "1 points; it takes 2 to"),
            ("rtt=0ms..2ms:3:log", "steps of equal ratio start above zero"),
        ] {
            let error = text.parse::<Range>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("it is written like"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text: String) {
            let _ = text.parse::<Range>();
            let _ = format!("link={text}..{text}:3").parse::<Range>();
        }
    }
}
