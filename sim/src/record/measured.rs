//! What was measured of a migration, beside what is predicted of it.

use migsim_models::units::{PAGE_BYTES, SimTime};
use serde::Serialize;

use crate::answer::Answer;
use crate::answer::shape::{Prediction, SCHEMA};
use crate::engine::Outcome;

/// How a migration went: the columns of a run record of the same names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Measured {
    /// completed or failed; `null`: it is under way.
    pub outcome: Option<&'static str>,
    /// Total migration time, ms.
    pub elapsed_ms: Option<f64>,
    /// The downtime that QEMU or libvirt reports, ms.
    pub downtime_ms: Option<f64>,
    /// QEMU's setup time, ms.
    pub setup_ms: Option<f64>,
    /// QEMU's dirty-sync-count.
    pub rounds: Option<f64>,
    /// Bytes on the wire.
    pub wire_bytes: Option<f64>,
    /// Pages sent whole.
    pub normal_pages: Option<f64>,
    /// Pages sent as zero.
    pub zero_pages: Option<f64>,
}

/// How far a migration is that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnderWay {
    /// Seconds since its start.
    pub elapsed_s: f64,
    /// Bytes that are still to be sent.
    pub remaining_bytes: Option<u64>,
    /// Bytes a second that it sends.
    pub bytes_per_s: Option<f64>,
    /// Distinct pages a second that the guest dirties; `null`: QEMU does not know yet.
    pub dirty_pages_per_s: Option<f64>,
    /// Which iteration it is in, from 1.
    pub iteration: Option<u64>,
}

impl Measured {
    /// The columns of a run record that have a value.
    pub fn columns(&self) -> Vec<(&'static str, String)> {
        let figures = [
            ("elapsed_ms", self.elapsed_ms),
            ("downtime_ms", self.downtime_ms),
            ("setup_ms", self.setup_ms),
            ("rounds", self.rounds),
            ("wire_bytes", self.wire_bytes),
            ("normal_pages", self.normal_pages),
            ("zero_pages", self.zero_pages),
        ];
        let outcome = self.outcome.map(|outcome| ("outcome", outcome.to_owned()));
        let figures =
            figures.into_iter().filter_map(|(name, value)| Some((name, value?.to_string())));
        outcome.into_iter().chain(figures).collect()
    }
}

/// A figure as it was measured and as it is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Compared {
    /// Which, with its unit: a column of a run record.
    pub figure: &'static str,
    /// As measured.
    pub measured: Option<f64>,
    /// As predicted; `null`: it is predicted not to complete.
    pub predicted: Option<f64>,
    /// The bounds of its 90 % interval, where there is one.
    pub interval: Option<[f64; 2]>,
}

/// When a migration that is under way ends, seconds from the moment of the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EndsIn {
    /// As predicted.
    pub expected_s: f64,
    /// The bounds of the 90 % interval, where there is one.
    pub interval_s: Option<[f64; 2]>,
    /// It has taken longer than the interval goes.
    pub is_late: bool,
}

/// A migration of a file beside its prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Against {
    /// Where it stands.
    pub place: String,
    /// What it is called.
    pub name: String,
    /// Figure by figure.
    pub figures: Vec<Compared>,
    /// How far it is, where it is not over.
    pub under_way: Option<UnderWay>,
    /// When it ends then, where it is predicted to.
    pub ends_in: Option<EndsIn>,
    /// What is not in the file and was taken to be so.
    pub assumed: Vec<String>,
    /// What the file says besides.
    pub notes: Vec<String>,
    /// What is predicted, in full.
    pub prediction: Prediction,
}

/// Migrations of files beside their predictions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AgainstAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// One for each migration.
    pub results: Vec<Against>,
}

impl AgainstAnswer {
    /// Those migrations.
    pub fn new(results: Vec<Against>) -> AgainstAnswer {
        AgainstAnswer { schema: SCHEMA, results }
    }
}

/// What is predicted of each figure that was, or will be, measured.
pub fn compared(measured: &Measured, answer: &Answer) -> Vec<Compared> {
    let outcome = &answer.outcome;
    let done = outcome.completed();
    let ms = |time: Option<SimTime>| time.filter(|_| done).map(SimTime::as_millis_f64);
    let times = answer.quantiles.and_then(|sure| sure.times);
    let count = |count: u64| done.then_some(count as f64);
    let of = |figure, measured, predicted, interval: Option<[f64; 2]>| Compared {
        figure,
        measured,
        predicted,
        interval: interval.filter(|_| done),
    };
    let elapsed = times.map(|times| [times.elapsed_ms.p5, times.elapsed_ms.p95]);
    let downtime = times.map(|times| [times.reported_ms.p5, times.reported_ms.p95]);
    vec![
        of("elapsed_ms", measured.elapsed_ms, ms(outcome.tmt()), elapsed),
        of("downtime_ms", measured.downtime_ms, ms(outcome.reported_downtime()), downtime),
        of("wire_bytes", measured.wire_bytes, count(outcome.wire_bytes), None),
        of("normal_pages", measured.normal_pages, count(outcome.normal_pages), None),
        of("zero_pages", measured.zero_pages, count(outcome.zero_pages), None),
        of("rounds", measured.rounds, count(outcome.dirty_syncs), None),
    ]
}

/// When a migration that is under way ends; `None`: it is predicted not to. From where the
/// predicted one is in the same iteration with as much left to send, or else after as long a time,
/// it has as long to go, and the interval is as wide as that of all of it in proportion.
pub fn ends_in(now: &UnderWay, answer: &Answer) -> Option<EndsIn> {
    let outcome = &answer.outcome;
    let total_s = outcome.tmt()?.as_secs_f64();
    let times = answer.quantiles.and_then(|sure| sure.times);
    let bounds = times.map(|times| [times.elapsed_ms.p5 / 1e3, times.elapsed_ms.p95 / 1e3]);
    let (at_s, more_pages) = alike(now, outcome).unwrap_or((now.elapsed_s, 0.0));
    let rate = now.bytes_per_s.filter(|rate| *rate > 0.0).unwrap_or(f64::INFINITY);
    let expected_s = (total_s - at_s).max(0.0) + more_pages * PAGE_BYTES as f64 / rate;
    Some(EndsIn {
        expected_s,
        interval_s: bounds.map(|bounds| bounds.map(|bound| expected_s * bound / total_s)),
        is_late: bounds.map_or(total_s, |[_, last]| last) < now.elapsed_s,
    })
}

/// When the predicted one is where this one is, and how many pages more this one has to send than
/// that ever had then.
fn alike(now: &UnderWay, outcome: &Outcome) -> Option<(f64, f64)> {
    let left = now.remaining_bytes? as f64 / PAGE_BYTES as f64;
    let wanted = now.iteration?;
    // Of more iterations than it is predicted to have, the last is the one that is meant.
    let last = outcome.iterations.last()?.n;
    let iteration = outcome.iterations.iter().find(|one| one.n >= wanted.min(last))?;
    let [start, end] = [iteration.start, iteration.end].map(SimTime::as_secs_f64);
    let points = outcome.left_over_time().into_iter();
    let within: Vec<(f64, f64)> = points.filter(|(at, _)| (start..=end).contains(at)).collect();
    let pair = within.windows(2).find(|pair| pair[1].1 <= left && pair[1].0 > pair[0].0)?;
    let [(from, more), (to, less)] = [pair[0], pair[1]];
    let share = if more > less { ((more - left) / (more - less)).clamp(0.0, 1.0) } else { 0.0 };
    Some((from + (to - from) * share, (left - more).max(0.0)))
}
