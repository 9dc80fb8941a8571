//! What one or more numbers do: the same question over ranges of values, on all cores.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use migsim_models::profile::{FIELDS, Field, Profile, Slot};
use migsim_models::units::{BitRate, Bytes, PageRate, Pages, SimTime, UnitError};
use migsim_models::workload::{Pattern, Workload};
use rayon::prelude::*;
use serde::Serialize;

use super::shape::{Figures, QuantilesShape};
use crate::answer::{Between, Hosts, Quantiles, median_run, outside_of_all};
use crate::engine::{Fidelity, Outcome};
use crate::input::{Case, InputError, Key, Keys, Kind, Scenario, quoted};

/// Something that can be varied.
#[derive(Debug, Clone, Copy)]
pub enum Quantity {
    /// A key of a scenario.
    Key(&'static Key),
    /// The working set of a workload of one term.
    Wss,
    /// The write rate of all terms together, in their proportion; a measured curve counts with the
    /// writes of the classes that fit it.
    Rate,
    /// A parameter of the profile.
    Parameter(&'static Field),
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.name() == other.name()
    }
}

/// A value of a quantity: a number in its base unit, or a word.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Bytes, bit/s, seconds, pages/s, or a plain number.
    Number(f64),
    /// A mode, a version, a workload.
    Word(String),
}

impl Quantity {
    /// The one of that name: a scenario's key or its flag, `wss`, `rate`, or a profile's key like
    /// `network.queue_time`.
    fn find(name: &str) -> Option<Quantity> {
        let plain = name.trim().replace('-', "_");
        let plain = plain.strip_prefix("profile.").unwrap_or(&plain);
        match plain {
            "wss" => return Some(Quantity::Wss),
            "rate" => return Some(Quantity::Rate),
            _ => {}
        }
        if let Some(key) = Key::find(plain) {
            return Some(Quantity::Key(key));
        }
        let ends =
            |field: &&Field| field.key == plain || field.key.rsplit('.').next() == Some(plain);
        let mut fields = FIELDS.iter().filter(ends);
        match (fields.next(), fields.next()) {
            (Some(field), None) => Some(Quantity::Parameter(field)),
            // Two tables have a key of that name: it has to be said which is meant.
            _ => None,
        }
    }

    /// All names.
    fn names() -> String {
        let keys = Key::varied().map(Key::name);
        let fields = FIELDS.iter().map(|field| field.key);
        keys.chain(["wss", "rate"]).chain(fields).collect::<Vec<_>>().join(", ")
    }

    /// Its name, as `--vary` takes it.
    pub fn name(&self) -> &'static str {
        match self {
            Quantity::Key(key) => key.name(),
            Quantity::Wss => "wss",
            Quantity::Rate => "rate",
            Quantity::Parameter(field) => field.key,
        }
    }

    /// What its values are.
    pub fn kind(&self) -> Kind {
        match self {
            Quantity::Key(key) => key.kind,
            Quantity::Wss => Kind::Size,
            Quantity::Rate => Kind::PageRate,
            Quantity::Parameter(field) => match (field.slot)(&mut Profile::default()) {
                Slot::Time(_) => Kind::Time,
                Slot::Pages(_) => Kind::PageRate,
                Slot::Rate(_) => Kind::Rate,
                Slot::Bytes(_) => Kind::Size,
                Slot::Share(_) | Slot::Number(_) => Kind::Number,
                Slot::Count(_) => Kind::Whole,
            },
        }
    }

    /// The name of its column in files: with its unit, in which its values are plain numbers.
    pub fn column(&self) -> String {
        let name = self.name().replace('.', "_");
        match self.kind().unit() {
            "" => name,
            unit => format!("{name}_{unit}"),
        }
    }

    fn parse(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let of = |e: UnitError| e.to_string();
        Ok(Value::Number(match self.kind() {
            Kind::Size => text.parse::<Bytes>().map_err(of)?.as_f64(),
            Kind::PageRate => text.parse::<PageRate>().map_err(of)?.pages_per_s(),
            Kind::Rate => text.parse::<BitRate>().map_err(of)?.0 as f64,
            Kind::Time => text.parse::<SimTime>().map_err(of)?.as_secs_f64(),
            Kind::Number | Kind::Whole => match text.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => number,
                _ => return Err(format!("`{text}` is not a number of zero or more")),
            },
            _ => return Ok(Value::Word(text.to_owned())),
        }))
    }

    /// A value as a scenario has it.
    pub fn write(&self, value: &Value) -> String {
        let number = match value {
            Value::Word(word) => return word.clone(),
            Value::Number(number) => *number,
        };
        match self.kind() {
            Kind::Size => Bytes(number as u64).to_string(),
            Kind::PageRate => PageRate::new(number).unwrap_or_default().to_string(),
            Kind::Rate => BitRate(number as u64).to_string(),
            Kind::Time => SimTime::from_secs_f64(number).to_string(),
            Kind::Whole => libm::round(number).to_string(),
            _ => number.to_string(),
        }
    }

    /// The unit of a plot's axis and how many base units it is.
    pub fn axis(&self) -> (&'static str, f64) {
        match (self, self.kind()) {
            (_, Kind::Size) => ("GiB", (1_u64 << 30) as f64),
            (_, Kind::PageRate) => ("pages/s", 1.0),
            (_, Kind::Rate) => ("Mbit/s", 1e6),
            (Quantity::Key(key), Kind::Time) if key.name() == "timeout" => ("s", 1.0),
            (_, Kind::Time) => ("ms", 1e-3),
            _ => ("", 1.0),
        }
    }

    /// What has to be set first: a workload before its rate is.
    fn turn(&self) -> usize {
        match self {
            Quantity::Key(_) | Quantity::Parameter(_) => 0,
            Quantity::Wss => 1,
            Quantity::Rate => 2,
        }
    }

    /// Sets it in a question's keys, unless it is one of its profile.
    fn set(&self, value: &Value, keys: &mut Keys) -> Result<(), String> {
        match (self, value) {
            (Quantity::Key(key), _) => {
                key.set(keys, &self.write(value)).map_err(|why| format!("`{}`: {why}", key.key))
            }
            (Quantity::Wss, Value::Number(bytes)) => {
                set_working_set(keys.guest.workload.as_mut(), Bytes(*bytes as u64).pages())
            }
            (Quantity::Rate, Value::Number(rate)) => {
                let workload = keys.guest.workload.clone().unwrap_or_default();
                let now = workload
                    .classes(Pages(u64::MAX), Pages(u64::MAX))
                    .iter()
                    .fold(0.0, |sum, class| sum + class.rate);
                if now <= 0.0 {
                    return Err("`rate` cannot be varied: the workload writes nothing".to_owned());
                }
                keys.guest.workload =
                    Some(workload.scaled(rate / now).ok_or("the rate is too large")?);
                Ok(())
            }
            (Quantity::Parameter(_), _) => Ok(()),
            (_, Value::Word(word)) => Err(format!("`{word}` is not a number")),
        }
    }

    /// Sets it in a profile, if it is one of a profile.
    fn set_parameter(&self, value: &Value, profile: &mut Profile) -> Result<(), String> {
        let (Quantity::Parameter(field), Value::Number(number)) = (self, value) else {
            return Ok(());
        };
        let slot = (field.slot)(profile);
        // Rates of a profile are in bytes per second as numbers.
        let number = if self.kind() == Kind::Rate { number / 8.0 } else { *number };
        let nearest = slot.nearest(number);
        if (nearest - number).abs() > 1e-9 * number.abs() + 0.51 && self.kind() != Kind::Number
            || self.kind() == Kind::Number && nearest != number
        {
            return Err(format!("{} cannot be {}", field.key, self.write(value)));
        }
        slot.set(number, None);
        profile.check().map_err(|e| e.to_string())
    }
}

fn set_working_set(workload: Option<&mut Workload>, pages: Pages) -> Result<(), String> {
    let pages = Pages(pages.0.max(1));
    match workload.map(|w| w.terms.as_mut_slice()) {
        Some([term]) => match &mut term.pattern {
            Pattern::Uniform { wss, .. }
            | Pattern::Sweep { wss, .. }
            | Pattern::Zipf { wss, .. } => {
                *wss = pages;
                Ok(())
            }
            Pattern::Own { .. } => {
                Err("`wss` cannot be varied: the workload has its own".to_owned())
            }
            Pattern::Dirty { .. } => {
                Err("`wss` cannot be varied: of a `dirty(...)` it is not known; vary `rate`"
                    .to_owned())
            }
            Pattern::Curve { .. } => {
                Err("`wss` cannot be varied: a measured curve has none".to_owned())
            }
        },
        _ => Err("`wss` can be varied in a workload of one term only".to_owned()),
    }
}

/// The values of one quantity: `KEY=FROM..TO:N`, with `:log` at the end for steps of equal ratio,
/// or a list, `KEY=A,B,C`.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// What is varied.
    pub quantity: Quantity,
    /// Its values, in the order in which they are asked.
    pub values: Vec<Value>,
    /// Whether steps have equal ratios.
    pub log: bool,
}

/// A range could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{input}`: {problem}; it is written like `link=100Mbit/s..10Gbit/s:20`, `rate=1000p/s..50000p/s:40:log` or `mode=precopy,postcopy`{keys}"
)]
pub struct RangeError {
    input: String,
    problem: String,
    keys: String,
}

/// The most points of a sweep that is kept as a whole, and of one range.
pub const MOST_POINTS: usize = 100_000;

/// Splits at commas outside of parentheses: a workload has some within.
fn split_list(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(input: &str) -> Result<Range, RangeError> {
        let error =
            |problem: String| RangeError { input: quoted(input), problem, keys: String::new() };
        let (key, rest) = input.split_once('=').ok_or_else(|| error("has no `=`".to_owned()))?;
        let quantity = Quantity::find(key).ok_or_else(|| RangeError {
            keys: format!(", with a key of {}", Quantity::names()),
            ..error(format!("unknown key `{}`", quoted(key)))
        })?;
        let value = |text: &str| quantity.parse(text).map_err(error);
        if !quantity.kind().is_number() || !rest.contains("..") {
            let values: Vec<Value> =
                split_list(rest).into_iter().map(value).collect::<Result<_, _>>()?;
            if values.len() > MOST_POINTS {
                return Err(error(format!("{} points; it takes 1 to {MOST_POINTS}", values.len())));
            }
            return Ok(Range { quantity, values, log: false });
        }
        let (rest, log) = match rest.strip_suffix(":log") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (range, count) = rest
            .rsplit_once(':')
            .ok_or_else(|| error("lacks `:N`, the number of points".to_owned()))?;
        let (from, to) = range
            .split_once("..")
            .ok_or_else(|| error("lacks `..` between its ends".to_owned()))?;
        let (Value::Number(from), Value::Number(to)) = (value(from)?, value(to)?) else {
            return Err(error("its ends are no numbers".to_owned()));
        };
        let count: usize = count
            .trim()
            .parse()
            .map_err(|_| error(format!("`{count}` is not a number of points")))?;
        if !(1..=MOST_POINTS).contains(&count) {
            return Err(error(format!("{count} points; it takes 1 to {MOST_POINTS}")));
        }
        if count == 1 && from != to {
            return Err(error("one point, but two ends".to_owned()));
        }
        if log && (from <= 0.0 || to <= 0.0) {
            return Err(error("steps of equal ratio start above zero".to_owned()));
        }
        let last = (count - 1).max(1) as f64;
        let whole = quantity.kind() == Kind::Whole;
        let values = (0..count).map(|i| {
            let at = i as f64 / last;
            let value = if i + 1 == count {
                to
            } else if log {
                from * libm::pow(to / from, at)
            } else {
                from + (to - from) * at
            };
            Value::Number(if whole { libm::round(value) } else { value })
        });
        let mut values: Vec<Value> = values.collect();
        // Of whole numbers there may be fewer than points.
        values.dedup_by(|a, b| whole && a == b);
        Ok(Range { quantity, values, log })
    }
}

/// A point of a sweep.
#[derive(Debug, Clone)]
pub struct Point {
    /// The values varied, in the order of the ranges.
    pub values: Vec<Value>,
    /// What comes of it, or why it cannot be.
    pub found: Result<Found, String>,
}

/// What comes of a point.
#[derive(Debug, Clone)]
pub struct Found {
    /// The case at that point.
    pub case: Case,
    /// What comes of it, without its iterations.
    pub outcome: Outcome,
    /// Over so many offsets into its phases this is the median.
    pub offsets: usize,
    /// How sure it is, where that was asked.
    pub quantiles: Option<Quantiles>,
}

impl Point {
    /// Its outcome, where it can be.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.found.as_ref().ok().map(|found| &found.outcome)
    }

    /// Whether it completes.
    pub fn completed(&self) -> bool {
        self.outcome().is_some_and(Outcome::completed)
    }
}

/// How a sweep is made.
#[derive(Debug, Clone, Copy)]
pub struct Manner<'a> {
    /// Between which hosts.
    pub between: &'a Between,
    /// How memory is kept.
    pub fidelity: Fidelity,
    /// Whether it is said how sure each point is.
    pub intervals: bool,
    /// Whether what is touched keeps its share of a memory that is varied.
    pub touched_in_proportion: bool,
}

/// A sweep: its points are answered by their number, in any order and as many at a time as one
/// likes.
#[derive(Debug)]
pub struct Sweep<'a> {
    base: Keys,
    ranges: &'a [Range],
    manner: Manner<'a>,
    /// The order in which the ranges' values are set.
    turns: Vec<usize>,
    varies_profile: bool,
    count: u64,
}

/// So many points are answered together.
const BATCH: u64 = 4096;

impl<'a> Sweep<'a> {
    /// The scenario's guest over the ranges.
    ///
    /// # Errors
    /// The scenario has more guests than one, a quantity is varied twice, there are more points
    /// than can be counted, or none of them can be, all for the same reason.
    pub fn new(
        scenario: &Scenario,
        ranges: &'a [Range],
        manner: Manner<'a>,
    ) -> Result<Sweep<'a>, InputError> {
        let refused = |message: String| Err(InputError::new("--vary", message));
        for (index, range) in ranges.iter().enumerate() {
            if ranges[..index].iter().any(|other| other.quantity == range.quantity) {
                return refused(format!("`{}` is varied twice", range.quantity.name()));
            }
        }
        let count = ranges
            .iter()
            .try_fold(1_u64, |product, range| product.checked_mul(range.values.len() as u64));
        let Some(count) = count else {
            return refused("more points than can be counted".to_owned());
        };
        let bases: Vec<&Keys> = scenario.keys().collect();
        let [base] = bases[..] else {
            let message =
                format!("the file has {} guests; a sweep takes a file of one", bases.len());
            return Err(InputError::new("sweep", message));
        };
        let mut turns: Vec<usize> = (0..ranges.len()).collect();
        turns.sort_by_key(|index| ranges[*index].quantity.turn());
        let varies_profile =
            ranges.iter().any(|range| matches!(range.quantity, Quantity::Parameter(_)));
        let sweep = Sweep { base: base.clone(), ranges, manner, turns, varies_profile, count };
        if let Err(why) = sweep.case(&sweep.values(0))
            && (1..count)
                .all(|index| sweep.case(&sweep.values(index)).is_err_and(|other| other == why))
        {
            // No point at all can be, all for the same reason: the question is at fault, not a
            // point.
            return refused(why);
        }
        Ok(sweep)
    }

    /// How many points it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The ranges that it goes over.
    pub fn ranges(&self) -> &'a [Range] {
        self.ranges
    }

    /// The values at a point, in the order of the ranges; the last range's change first.
    fn values(&self, index: u64) -> Vec<Value> {
        let mut rest = index;
        let mut values: Vec<Value> = Vec::with_capacity(self.ranges.len());
        for range in self.ranges.iter().rev() {
            let count = range.values.len() as u64;
            values.push(range.values[(rest % count) as usize].clone());
            rest /= count;
        }
        values.reverse();
        values
    }

    /// The case at a point, and its own hosts where their profile is varied; or why it cannot be.
    fn case(&self, values: &[Value]) -> Result<(Case, Option<Hosts>), String> {
        let mut keys = self.base.clone();
        for &index in &self.turns {
            self.ranges[index].quantity.set(&values[index], &mut keys)?;
        }
        let base = &self.base.guest;
        if self.manner.touched_in_proportion
            && let (Some(was), Some(touched), Some(memory)) =
                (base.memory, base.touched, keys.guest.memory)
        {
            let share = touched.as_f64() / was.as_f64().max(1.0);
            keys.guest.touched = Some(Pages((memory.as_f64() * share) as u64));
        }
        let case = Case::build(&keys).map_err(|error| error.to_string())?;
        self.manner.fidelity.check(&case.guest)?;
        if !self.varies_profile {
            return Ok((case, None));
        }
        let mut profile = self.manner.between.over(case.path.capacity).profile.clone();
        for (range, value) in self.ranges.iter().zip(values) {
            range.quantity.set_parameter(value, &mut profile)?;
        }
        Ok((case, Some(Hosts::given(profile))))
    }

    /// Answers the point of that number, from 0 to below [`Sweep::count`].
    pub fn point(&self, index: u64) -> Point {
        let values = self.values(index);
        let found = self.case(&values).map(|(case, own)| {
            let hosts = own.as_ref().unwrap_or(self.manner.between.over(case.path.capacity));
            let (mut outcome, offsets) = median_run(&case, &hosts.profile, self.manner.fidelity);
            let draws = self.manner.intervals.then(|| hosts.draws()).flatten();
            let quantiles =
                draws.and_then(|draws| draws.quantiles(&case, &hosts.profile, &outcome));
            outcome.forget_iterations();
            Found { case, outcome, offsets, quantiles }
        });
        Point { values, found }
    }

    /// Answers all points on all processors; `done` hears of each, and says whether to go on.
    pub fn answer(&self, done: impl Fn() -> bool + Sync) -> Vec<Point> {
        let point = |index| {
            let point = self.point(index);
            done().then_some(point)
        };
        (0..self.count).into_par_iter().filter_map(point).collect()
    }

    /// Answers all points on all processors, makes something of each there, and hands that to
    /// `take` in the order of the points: in memory are never more than some thousands.
    ///
    /// # Errors
    /// Those of `take`, and then no further point is answered.
    pub fn stream<T: Send, E>(
        &self,
        make: impl Fn(Point) -> T + Sync,
        take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream_part(0..self.count, make, take)
    }

    /// The same of some of the points.
    ///
    /// # Errors
    /// Those of `take`, and then no further point is answered.
    pub fn stream_part<T: Send, E>(
        &self,
        part: std::ops::Range<u64>,
        make: impl Fn(Point) -> T + Sync,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        for start in part.clone().step_by(BATCH as usize) {
            let batch = start..part.end.min(start + BATCH);
            let made: Vec<T> = batch.into_par_iter().map(|index| make(self.point(index))).collect();
            made.into_iter().try_for_each(&mut take)?;
        }
        Ok(())
    }
}

/// What of the points lies outside of the runs behind the hosts' profiles, in a sentence.
pub fn outside(points: &[Point], between: &Between) -> Option<String> {
    let cases = points.iter().filter_map(|point| Some(&point.found.as_ref().ok()?.case));
    let outside = cases.map(|case| {
        let hosts = between.over(case.path.capacity);
        hosts.profile.outside(&case.guest, &case.path, &case.policy)
    });
    outside_of_all("points", outside)
}

/// Answers the scenario's guest at every point of the ranges, up to [`MOST_POINTS`]; `done` hears
/// of each, and says whether to go on. Of an interrupted sweep the points that were answered are
/// returned.
///
/// # Errors
/// Those of [`Sweep::new`], and too many points.
pub fn sweep(
    scenario: &Scenario,
    ranges: &[Range],
    manner: Manner,
    done: impl Fn() -> bool + Sync,
) -> Result<Vec<Point>, InputError> {
    let sweep = Sweep::new(scenario, ranges, manner)?;
    let count = sweep.count();
    if count > MOST_POINTS as u64 {
        return Err(InputError::new(
            "--vary",
            format!("{count} points in all; it takes up to {MOST_POINTS}"),
        ));
    }
    Ok(sweep.answer(done))
}

/// A point of a sweep as programs read it; names and units are those of [`super::shape`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PointShape {
    /// The values that are varied, by the name of their column.
    pub varied: BTreeMap<String, ValueShape>,
    /// What comes of them.
    #[serde(flatten)]
    pub found: FoundShape,
    /// As `intervals`, in milliseconds: its shape of before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<QuantilesShape>,
}

/// A value that is varied.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum ValueShape {
    /// In the unit of its name.
    Number(f64),
    /// As a scenario has it.
    Word(String),
}

/// What comes of a point.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum FoundShape {
    /// An answer.
    Found(Box<Figures>),
    /// The question cannot be.
    Refused {
        /// failed.
        outcome: &'static str,
        /// refused.
        ending: &'static str,
        /// Why.
        reason: String,
    },
}

/// A sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SweepAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// What lies outside of the runs behind the profile.
    pub warnings: Vec<String>,
    /// One for each point.
    pub results: Vec<PointShape>,
}

impl Point {
    /// As programs read it.
    pub fn shape(&self, ranges: &[Range]) -> PointShape {
        let value = |value: &Value| match value {
            Value::Number(number) => ValueShape::Number(*number),
            Value::Word(word) => ValueShape::Word(word.clone()),
        };
        let varied =
            ranges.iter().zip(&self.values).map(|(range, at)| (range.quantity.column(), value(at)));
        PointShape {
            varied: varied.collect(),
            found: match &self.found {
                Ok(found) => FoundShape::Found(Box::new(Figures::new(
                    &found.case,
                    &found.outcome,
                    found.offsets,
                    found.quantiles.as_ref(),
                ))),
                Err(why) => FoundShape::Refused {
                    outcome: "failed",
                    ending: "refused",
                    reason: why.clone(),
                },
            },
            quantiles: self
                .found
                .as_ref()
                .ok()
                .and_then(|found| found.quantiles.as_ref())
                .map(QuantilesShape::from),
        }
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: BTreeMap<usize, String> =
            self.values.iter().map(|value| self.quantity.write(value)).enumerate().collect();
        write!(f, "{}={}", self.quantity.name(), values.into_values().collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Vec<String> {
        let range: Range = text.parse().unwrap();
        range.values.iter().map(|value| range.quantity.write(value)).collect()
    }

    #[test]
    fn ranges_are_read_with_both_ends_and_their_steps() {
        for (text, values) in [
            ("link=100Mbit/s..10Gbit/s:3:log", &["100Mbit/s", "1Gbit/s", "10Gbit/s"][..]),
            ("downtime_limit=100ms..500ms:5", &["100ms", "200ms", "300ms", "400ms", "500ms"]),
            ("downtime-limit=500ms..100ms:3", &["500ms", "300ms", "100ms"]),
            ("rtt=1ms..1ms:1", &["1ms"]),
            ("memory=4GiB", &["4GiB"]),
            ("mode=precopy,postcopy", &["precopy", "postcopy"]),
            ("vcpus=1..4:4", &["1", "2", "3", "4"]),
            ("queue_time=10ms,20ms", &["10ms", "20ms"]),
            (
                "profile.cpu.page_rate=100000p/s..300000p/s:3",
                &["100000p/s", "200000p/s", "300000p/s"],
            ),
            (
                "workload=idle,uniform(wss=1GiB, rate=1p/s)",
                &["idle", "uniform(wss=1GiB, rate=1p/s)"],
            ),
        ] {
            assert_eq!(written(text), values, "{text}");
        }
    }

    #[test]
    fn mistakes_in_a_range_are_named() {
        for (text, problem) in [
            ("link", "has no `=`"),
            ("lnk=1Mbit/s..2Mbit/s:3", "unknown key `lnk`"),
            ("link=1Mbit/s..2Mbit/s", "lacks `:N`"),
            ("link=1Mbit/s:3", "`1Mbit/s:3` has an unknown unit"),
            ("link=1..2Mbit/s:3", "`1` has no unit"),
            ("link=1Mbit/s..2Mbit/s:1", "one point, but two ends"),
            ("link=1Mbit/s..2Mbit/s:0", "0 points; it takes 1 to"),
            ("rtt=0ms..2ms:3:log", "steps of equal ratio start above zero"),
            ("vcpus=-1..2:3", "`-1` is not a number of zero or more"),
        ] {
            let error = text.parse::<Range>().unwrap_err().to_string();
            assert!(error.contains(problem) && error.contains("it is written like"), "{error}");
        }
    }

    #[test]
    fn every_key_and_parameter_can_be_varied() {
        for key in Key::varied() {
            assert!(Quantity::find(key.name()).is_some(), "{}", key.name());
            assert!(Quantity::find(&key.name().replace('_', "-")).is_some(), "{}", key.name());
        }
        for field in FIELDS {
            assert!(Quantity::find(field.key).is_some(), "{}", field.key);
        }
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text: String) {
            let _ = text.parse::<Range>();
            let _ = format!("link={text}..{text}:3").parse::<Range>();
            let _ = format!("workload={text}").parse::<Range>();
        }
    }
}
