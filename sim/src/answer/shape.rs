//! Answers as programs read them: one shape for JSON, JSON Lines and CSV, in SI units.
//!
//! The same quantity has the same name, unit and meaning wherever it stands. Seconds end in `_s`,
//! bytes in `_bytes` or `bytes`, rates in `_per_s`. What is not known, or does not apply, is
//! `null`.

use std::collections::BTreeMap;

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::profile::Outside;
use migsim_models::published;
use migsim_models::units::SimTime;
use migsim_models::workload::{APPS, App};
use serde::Serialize;

use super::advice::{self, Lever, Setting};
use super::interval::{Percentiles, Quantiles};
use super::verdict::{bound_word, bound_words, ending_word, outcome_word, why_not};
use super::{Answer, Asked};
use crate::engine::{Bound, Decision, Iteration as Followed, Outcome};
use crate::input::{Case, Key};

/// Version of the shapes here, the `schema` of each JSON. It grows when a program that reads one
/// would break.
pub const SCHEMA: u32 = 1;

/// The figures of a migration: what [`Prediction`], a sweep's point and a fleet's move have in
/// common.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Figures {
    /// precopy, postcopy, paused or offline.
    pub mode: String,
    /// completed, not-converged or failed.
    pub outcome: &'static str,
    /// How it ended, in finer words than `outcome`.
    pub ending: &'static str,
    /// Why it did not complete.
    pub reason: Option<String>,
    /// Total migration time: TI + OV.
    pub tmt_s: Option<f64>,
    /// Total downtime: DM + VS.
    pub downtime_s: Option<f64>,
    /// The downtime that QEMU and libvirt report; less than the guest's after post-copy.
    pub reported_downtime_s: Option<f64>,
    /// When the guest runs at the destination.
    pub resumed_s: Option<f64>,
    /// When the source has nothing left to give.
    pub source_free_s: Option<f64>,
    /// When it switches to post-copy.
    pub switched_s: Option<f64>,
    /// When its timeout strikes.
    pub timed_out_s: Option<f64>,
    /// When it is given up.
    pub given_up_s: Option<f64>,
    /// The terms of the four equations.
    pub terms: TermsShape,
    /// What the downtime is made of.
    pub downtime_parts: PartsShape,
    /// Bytes on the wire.
    pub wire_bytes: u64,
    /// Pages sent whole.
    pub normal_pages: u64,
    /// Pages sent as zero.
    pub zero_pages: u64,
    /// Pages sent as XBZRLE differences.
    pub encoded_pages: u64,
    /// Pages that XBZRLE found as they had been sent.
    pub unchanged_pages: u64,
    /// QEMU's dirty-sync-count.
    pub dirty_syncs: u64,
    /// Iterations over memory.
    pub iterations: u64,
    /// The last throttle of auto-converge, in percent.
    pub throttle_percent: u32,
    /// Seconds of the guest's service that throttling took.
    pub throttled_s: f64,
    /// Page faults of post-copy that waited for the source.
    pub faults: f64,
    /// Seconds that they stalled the guest for.
    pub stalled_s: f64,
    /// What held the stream of pages back for most of the time.
    pub bound_by: Option<BoundShape>,
    /// What held back the pages that the guest writes again and again.
    pub iterations_bound_by: Option<BoundShape>,
    /// The figures are the median over so many offsets into the workload's phases.
    pub median_of_phase_offsets: usize,
    /// The probability of converging, where the profile was fitted.
    pub p_converge: Option<f64>,
    /// How sure the times are, where the profile was fitted.
    pub intervals: Option<Intervals>,
}

/// The terms of the four equations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TermsShape {
    /// TI: all iterations over memory while the guest runs.
    pub ti_s: f64,
    /// OV: everything else.
    pub ov_s: f64,
    /// DM: the dirty memory, with the guest stopped.
    pub dm_s: f64,
    /// VS: the state of the virtual machine, until it runs.
    pub vs_s: f64,
}

/// What a downtime is made of, in seconds; the parts add up to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartsShape {
    /// Preparing both sides, of a guest that is paused already.
    pub setup_s: f64,
    /// Stopping the vCPUs.
    pub stop_s: f64,
    /// Flushing the disks.
    pub flush_s: f64,
    /// The last look at the dirty log.
    pub sync_s: f64,
    /// Bytes that were in flight at the stop.
    pub queued_bytes_s: f64,
    /// The pages that were still to be sent.
    pub rest_of_ram_s: f64,
    /// Saving and sending the devices' state.
    pub device_state_s: f64,
    /// Loading it at the destination.
    pub destination_load_s: f64,
    /// Round trips of the management layer.
    pub control_round_trips_s: f64,
    /// Offline: writing the image.
    pub suspend_s: f64,
    /// Offline: copying it.
    pub copy_s: f64,
    /// Offline: reading it.
    pub resume_s: f64,
}

/// What holds a stream back, and at how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BoundShape {
    /// link, cap, tcp-window, sending-thread or zero-page-scan.
    pub by: &'static str,
    /// Payload bytes per second; of the scan for zero pages, bytes of guest memory.
    pub bytes_per_s: f64,
}

/// How sure times are: percentiles over draws, in seconds. `null` where it is predicted not to
/// converge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Intervals {
    /// Of the total migration time.
    pub tmt_s: Option<Percentiles>,
    /// Of the downtime.
    pub downtime_s: Option<Percentiles>,
    /// Of the downtime that QEMU and libvirt report.
    pub reported_downtime_s: Option<Percentiles>,
    /// How many draws there were.
    pub draws: usize,
}

/// An iteration over memory; of very many, several in one.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Iteration {
    /// The number of the last one that it stands for.
    pub n: u64,
    /// How many it stands for.
    pub iterations: u64,
    /// The sync that began it.
    pub start_s: f64,
    /// The sync that ended it.
    pub end_s: f64,
    /// Pages sent whole.
    pub normal_pages: f64,
    /// Pages sent as zero.
    pub zero_pages: f64,
    /// Pages sent as XBZRLE differences.
    pub encoded_pages: f64,
    /// Pages that XBZRLE found as they had been sent.
    pub unchanged_pages: f64,
    /// Bytes on the wire.
    pub wire_bytes: f64,
    /// Pages to be sent after it.
    pub dirty_pages_at_end: f64,
    /// How much the vCPUs were throttled, in percent.
    pub throttle_percent: u32,
    /// Bytes that may have been left for the vCPUs to stop.
    pub threshold_bytes: f64,
    /// iterate, stop, stop-unsynced, forced-sync, switch-to-postcopy, end or give-up.
    pub decision: &'static str,
}

/// The answer to a question of one guest.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Prediction {
    /// Version of this shape.
    pub schema: u32,
    /// The guest.
    pub name: String,
    /// What comes of it.
    #[serde(flatten)]
    pub figures: Figures,
    /// What holds the stream of pages back, in words.
    pub bound_by_words: Option<String>,
    /// Its iterations.
    pub rounds: Vec<Iteration>,
    /// As `intervals`, in milliseconds: its shape of before.
    pub quantiles: Option<QuantilesShape>,
    /// What would let it converge, where it does not.
    pub would_converge_with: Option<AdviceShape>,
    /// Published models on the same question, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<BTreeMap<&'static str, ModelShape>>,
    /// The question as it was understood, by key.
    pub question: BTreeMap<&'static str, String>,
    /// The same in a line, defaults marked.
    pub question_line: String,
    /// Keys that nobody gave.
    pub defaults: Vec<&'static str>,
    /// Where a default decides.
    pub warnings: Vec<String>,
    /// What lies outside of the runs that the profile was fitted to: there intervals are wider.
    pub outside: Vec<OutsideShape>,
}

/// A quantity that lies outside of the runs that a profile was fitted to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OutsideShape {
    /// Which.
    pub quantity: &'static str,
    /// How much it is.
    pub value: String,
    /// The least and the most that was seen.
    pub seen: [String; 2],
    /// By what factor it lies outside, where it is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
}

impl From<&Outside> for OutsideShape {
    fn from(outside: &Outside) -> OutsideShape {
        OutsideShape {
            quantity: outside.quantity,
            value: outside.value.clone(),
            seen: outside.range.clone(),
            factor: outside.factor,
        }
    }
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuantilesShape {
    /// The probability of converging.
    pub p_converge: f64,
    /// How many draws there were.
    pub draws: usize,
    /// Of the total migration time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<Percentiles>,
    /// Of the downtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime_ms: Option<Percentiles>,
    /// Of the downtime that QEMU and libvirt report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_downtime_ms: Option<Percentiles>,
}

/// What would let a migration converge.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AdviceShape {
    /// Levers that would, alone.
    pub remedies: Vec<RemedyShape>,
    /// Levers that would not, however far they are turned.
    pub in_vain: Vec<&'static str>,
    /// Levers that QEMU refuses here, and why.
    pub refused: BTreeMap<&'static str, String>,
    /// Levers that were not tried.
    pub untried: Vec<&'static str>,
    /// The least link, in Mbit/s: its shape of before.
    pub link_mbit: Option<f64>,
    /// The least downtime limit: its shape of before.
    pub downtime_limit_s: Option<f64>,
    /// What comes of auto-converge: its shape of before.
    pub auto_converge: Option<RemedyFigures>,
    /// What comes of post-copy: its shape of before.
    pub postcopy: Option<RemedyFigures>,
}

/// A lever that lets a migration converge, all else equal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemedyShape {
    /// Which.
    pub lever: &'static str,
    /// What its value is: switched, bit_s, s, bytes or count.
    pub unit: &'static str,
    /// How far it has to be turned.
    pub value: SettingShape,
    /// What comes of it.
    #[serde(flatten)]
    pub figures: RemedyFigures,
}

/// How far a lever has to be turned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum SettingShape {
    /// It is switched.
    Switched(bool),
    /// So many.
    Whole(u64),
    /// So much.
    Number(f64),
}

/// What comes of turning a lever.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemedyFigures {
    /// Total migration time.
    pub tmt_s: Option<f64>,
    /// Downtime.
    pub downtime_s: Option<f64>,
    /// The last throttle of auto-converge, in percent.
    pub throttle_percent: u32,
}

/// What a published model says.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelShape {
    /// What it computes.
    pub formula: &'static str,
    /// Where it was published.
    pub reference: &'static str,
    /// Its digital object identifier.
    pub doi: Option<&'static str>,
    /// How the formula is known.
    pub known: &'static str,
    /// The mode that it speaks of.
    pub mode: String,
    /// On its own inputs.
    #[serde(flatten)]
    pub as_printed: ModelFigures,
    /// On inputs as good as the simulator's.
    pub fair: ModelFigures,
}

/// The figures of a published model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelFigures {
    /// Whether it comes to an end.
    pub converges: bool,
    /// Total migration time.
    pub tmt_s: Option<f64>,
    /// Downtime.
    pub downtime_s: Option<f64>,
}

/// What an answer hangs on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SensitivityAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// Each thing that is not known, what matters most first.
    pub results: Vec<super::Influence>,
}

/// The keys of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioKeys {
    /// Version of this shape.
    pub schema: u32,
    /// Each of them, table by table.
    pub keys: Vec<ScenarioKey>,
}

/// A key of a scenario.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioKey {
    /// The table of a file in which it stands: guest, link or migration.
    pub table: &'static str,
    /// Its name there; a fleet's inventory has those of guests as columns.
    pub key: &'static str,
    /// Its flag, without the dashes; `null`: in files only.
    pub flag: Option<&'static str>,
    /// What its values are: size, rate, time, page-rate, whole, number, word, switch, name or table.
    pub kind: &'static str,
    /// All of its values, where they are a closed list of words.
    pub words: &'static [&'static str],
    /// What it means, and what holds without it.
    pub meaning: &'static str,
}

impl Default for ScenarioKeys {
    fn default() -> ScenarioKeys {
        let key = |key: &Key| ScenarioKey {
            table: key.table.name(),
            key: key.key,
            flag: key.flag.map(|flag| flag.long),
            kind: key.kind.word(),
            words: key.words,
            meaning: key.doc.trim(),
        };
        ScenarioKeys { schema: SCHEMA, keys: Key::all().map(key).collect() }
    }
}

/// The applications that `app:NAME` takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Applications {
    /// Version of this shape.
    pub schema: u32,
    /// Each of them.
    pub applications: Vec<Application>,
}

/// What is known of an application.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Application {
    /// As `app:NAME` takes it.
    pub name: &'static str,
    /// Distinct pages in the window, over its length, at full load.
    pub dirty_rate_pages_s: f64,
    /// The length of that window.
    pub window_s: f64,
    /// The share of touched pages that it dirties sooner or later.
    pub share: Option<f64>,
    /// By what factor two of three lie from that rate at most.
    pub factor: f64,
    /// Where that is from.
    pub source: &'static str,
}

impl Default for Applications {
    fn default() -> Applications {
        let application = |app: &App| Application {
            name: app.name,
            dirty_rate_pages_s: app.pages_per_s,
            window_s: seconds(app.window),
            share: app.share,
            factor: app.factor,
            source: app.source,
        };
        Applications { schema: SCHEMA, applications: APPS.iter().map(application).collect() }
    }
}

/// The published models.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Published {
    /// Version of this shape.
    pub schema: u32,
    /// Each of them.
    pub models: Vec<PublishedModel>,
}

/// A published model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishedModel {
    /// What `--model` takes.
    pub name: &'static str,
    /// The mode that it speaks of.
    pub mode: String,
    /// How the formula is known.
    pub known: &'static str,
    /// What it computes.
    pub formula: &'static str,
    /// Where it was published.
    pub reference: &'static str,
    /// Its digital object identifier.
    pub doi: Option<&'static str>,
}

impl Default for Published {
    fn default() -> Published {
        let model = |model: &published::Model| PublishedModel {
            name: model.name,
            mode: model.mode.to_string(),
            known: model.known.words(),
            formula: model.formula,
            reference: model.reference,
            doi: model.doi,
        };
        Published { schema: SCHEMA, models: published::MODELS.iter().map(model).collect() }
    }
}

/// Several answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Predictions {
    /// Version of this shape.
    pub schema: u32,
    /// One for each guest.
    pub results: Vec<Prediction>,
}

fn seconds(time: SimTime) -> f64 {
    time.as_secs_f64()
}

impl Figures {
    /// With nothing left out: it shows which places there are.
    #[doc(hidden)]
    pub fn full() -> Figures {
        let bound = Some(BoundShape { by: "link", bytes_per_s: 0.0 });
        let spread = Some(Percentiles { p5: 0.0, p25: 0.0, p50: 0.0, p75: 0.0, p95: 0.0 });
        let intervals =
            Intervals { tmt_s: spread, downtime_s: spread, reported_downtime_s: spread, draws: 0 };
        Figures {
            mode: String::new(),
            outcome: "completed",
            ending: "completed",
            reason: None,
            tmt_s: None,
            downtime_s: None,
            reported_downtime_s: None,
            resumed_s: None,
            source_free_s: None,
            switched_s: None,
            timed_out_s: None,
            given_up_s: None,
            terms: Terms::default().into(),
            downtime_parts: DowntimeParts::default().into(),
            wire_bytes: 0,
            normal_pages: 0,
            zero_pages: 0,
            encoded_pages: 0,
            unchanged_pages: 0,
            dirty_syncs: 0,
            iterations: 0,
            throttle_percent: 0,
            throttled_s: 0.0,
            faults: 0.0,
            stalled_s: 0.0,
            bound_by: bound,
            iterations_bound_by: bound,
            median_of_phase_offsets: 1,
            p_converge: None,
            intervals: Some(intervals),
        }
    }

    /// Of what came of a case; over so many offsets into its phases it is the median.
    pub fn new(
        case: &Case,
        outcome: &Outcome,
        offsets: usize,
        sure: Option<&Quantiles>,
    ) -> Figures {
        let completed = outcome.completed();
        Figures {
            mode: outcome.mode.to_string(),
            outcome: outcome_word(outcome),
            ending: ending_word(outcome),
            reason: (!completed).then(|| why_not(case, outcome)),
            tmt_s: outcome.tmt().map(seconds),
            downtime_s: outcome.downtime().map(seconds),
            reported_downtime_s: outcome.reported_downtime().map(seconds),
            resumed_s: outcome.resumed_at.map(seconds),
            source_free_s: outcome.source_free_at.filter(|_| completed).map(seconds),
            switched_s: outcome.switched_at.map(seconds),
            timed_out_s: outcome.timed_out_at.map(seconds),
            given_up_s: (!completed).then(|| seconds(outcome.ended_at)),
            terms: outcome.terms.into(),
            downtime_parts: outcome.downtime_parts.into(),
            wire_bytes: outcome.wire_bytes,
            normal_pages: outcome.normal_pages,
            zero_pages: outcome.zero_pages,
            encoded_pages: outcome.encoded_pages,
            unchanged_pages: outcome.unchanged_pages,
            dirty_syncs: outcome.dirty_syncs,
            iterations: outcome.iteration_count,
            throttle_percent: outcome.throttle_percent,
            throttled_s: outcome.throttled_s(),
            faults: outcome.faults.count,
            stalled_s: outcome.faults.stalled_s,
            bound_by: outcome.bound.map(BoundShape::from),
            iterations_bound_by: outcome.bound_of_iterations.map(BoundShape::from),
            median_of_phase_offsets: offsets,
            p_converge: sure.map(|sure| sure.p_converge),
            intervals: sure.map(Intervals::from),
        }
    }
}

impl From<Terms> for TermsShape {
    fn from(terms: Terms) -> TermsShape {
        let Terms { ti, ov, dm, vs } = terms;
        TermsShape { ti_s: seconds(ti), ov_s: seconds(ov), dm_s: seconds(dm), vs_s: seconds(vs) }
    }
}

impl From<DowntimeParts> for PartsShape {
    fn from(parts: DowntimeParts) -> PartsShape {
        PartsShape {
            setup_s: seconds(parts.setup),
            stop_s: seconds(parts.stop),
            flush_s: seconds(parts.flush),
            sync_s: seconds(parts.sync),
            queued_bytes_s: seconds(parts.queued),
            rest_of_ram_s: seconds(parts.rest_of_ram),
            device_state_s: seconds(parts.device_state),
            destination_load_s: seconds(parts.destination_load),
            control_round_trips_s: seconds(parts.control),
            suspend_s: seconds(parts.suspend),
            copy_s: seconds(parts.copy),
            resume_s: seconds(parts.resume),
        }
    }
}

impl From<Bound> for BoundShape {
    fn from(bound: Bound) -> BoundShape {
        BoundShape { by: bound_word(bound), bytes_per_s: bound.bytes_per_s }
    }
}

impl From<&Quantiles> for Intervals {
    fn from(sure: &Quantiles) -> Intervals {
        let of = |ms: Percentiles| ms.map(|ms| ms / 1e3);
        Intervals {
            tmt_s: sure.times.map(|times| of(times.elapsed_ms)),
            downtime_s: sure.times.map(|times| of(times.downtime_ms)),
            reported_downtime_s: sure.times.map(|times| of(times.reported_ms)),
            draws: sure.draws,
        }
    }
}

impl From<&Quantiles> for QuantilesShape {
    fn from(sure: &Quantiles) -> QuantilesShape {
        QuantilesShape {
            p_converge: sure.p_converge,
            draws: sure.draws,
            elapsed_ms: sure.times.map(|times| times.elapsed_ms),
            downtime_ms: sure.times.map(|times| times.downtime_ms),
            reported_downtime_ms: sure.times.map(|times| times.reported_ms),
        }
    }
}

impl From<&Followed> for Iteration {
    fn from(iteration: &Followed) -> Iteration {
        Iteration {
            n: iteration.n,
            iterations: iteration.stands_for,
            start_s: seconds(iteration.start),
            end_s: seconds(iteration.end),
            normal_pages: iteration.pages.normal,
            zero_pages: iteration.pages.zero,
            encoded_pages: iteration.pages.encoded,
            unchanged_pages: iteration.pages.unchanged,
            wire_bytes: iteration.wire_bytes,
            dirty_pages_at_end: iteration.dirty_pages_at_end,
            throttle_percent: iteration.throttle_percent,
            threshold_bytes: iteration.threshold_bytes,
            decision: match iteration.decision {
                Decision::Iterate => "iterate",
                Decision::Stop => "stop",
                Decision::StopUnsynced => "stop-unsynced",
                Decision::ForcedStop => "forced-stop",
                Decision::ForcedSync => "forced-sync",
                Decision::SwitchOver => "switch-to-postcopy",
                Decision::End => "end",
                Decision::GiveUp => "give-up",
            },
        }
    }
}

impl From<&Outcome> for RemedyFigures {
    fn from(outcome: &Outcome) -> RemedyFigures {
        RemedyFigures {
            tmt_s: outcome.tmt().map(seconds),
            downtime_s: outcome.downtime().map(seconds),
            throttle_percent: outcome.throttle_percent,
        }
    }
}

impl From<&advice::Remedy> for RemedyShape {
    fn from(remedy: &advice::Remedy) -> RemedyShape {
        let (unit, value) = match remedy.setting {
            Setting::Switched => ("switched", SettingShape::Switched(true)),
            Setting::Rate(rate) => ("bit_s", SettingShape::Whole(rate.0)),
            Setting::Time(time) => ("s", SettingShape::Number(seconds(time))),
            Setting::Size(size) => ("bytes", SettingShape::Whole(size.0)),
            Setting::Count(count) => ("count", SettingShape::Whole(count.into())),
        };
        RemedyShape { lever: remedy.lever.key(), unit, value, figures: (&remedy.outcome).into() }
    }
}

impl From<&advice::Advice> for AdviceShape {
    fn from(advice: &advice::Advice) -> AdviceShape {
        let keys = |levers: &[Lever]| levers.iter().map(|lever| lever.key()).collect();
        let figures =
            |lever: Lever| advice.by(lever).map(|remedy| RemedyFigures::from(&remedy.outcome));
        AdviceShape {
            remedies: advice.remedies.iter().map(RemedyShape::from).collect(),
            in_vain: keys(&advice.in_vain),
            refused: advice.refused.iter().map(|(lever, why)| (lever.key(), why.clone())).collect(),
            untried: keys(&advice.untried),
            link_mbit: advice.by(Lever::Link).and_then(|remedy| match remedy.setting {
                Setting::Rate(rate) => Some(rate.0 as f64 / 1e6),
                _ => None,
            }),
            downtime_limit_s: advice.by(Lever::DowntimeLimit).and_then(|remedy| {
                match remedy.setting {
                    Setting::Time(time) => Some(seconds(time)),
                    _ => None,
                }
            }),
            auto_converge: figures(Lever::AutoConverge),
            postcopy: figures(Lever::Postcopy),
        }
    }
}

impl From<published::Prediction> for ModelFigures {
    fn from(said: published::Prediction) -> ModelFigures {
        ModelFigures { converges: said.converges, tmt_s: said.tmt_s, downtime_s: said.downtime_s }
    }
}

impl From<&Answer> for Prediction {
    fn from(answer: &Answer) -> Prediction {
        let Answer { case, outcome, offsets, quantiles, advice, models, understood } = answer;
        let model = |(model, asked): &(&'static published::Model, Option<Asked>)| {
            let Asked { as_printed, fair } = (*asked)?;
            let shape = ModelShape {
                formula: model.formula,
                reference: model.reference,
                doi: model.doi,
                known: model.known.words(),
                mode: model.mode.to_string(),
                as_printed: as_printed.into(),
                fair: fair.into(),
            };
            Some((model.name, shape))
        };
        Prediction {
            schema: SCHEMA,
            name: case.guest.name.clone(),
            figures: Figures::new(case, outcome, *offsets, quantiles.as_ref()),
            bound_by_words: outcome.bound.map(|bound| bound_words(bound, case)),
            rounds: outcome.iterations.iter().map(Iteration::from).collect(),
            quantiles: quantiles.as_ref().map(QuantilesShape::from),
            would_converge_with: advice.as_ref().map(AdviceShape::from),
            models: (!models.is_empty()).then(|| models.iter().filter_map(model).collect()),
            question: understood.quantities.iter().map(|one| (one.key, one.said.clone())).collect(),
            question_line: understood.line(),
            defaults: understood.defaults(),
            warnings: understood.warnings.clone(),
            outside: understood.outside.iter().map(OutsideShape::from).collect(),
        }
    }
}
