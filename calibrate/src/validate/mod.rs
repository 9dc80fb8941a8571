//! `migcal validate`: predictions against runs, beside the noise of the runs themselves and every
//! published model.

mod figures;
mod pictures;
mod theirs;

pub use figures::{Figures, NoiseFloor, Relative, figures, is_plain, lever, wilson};
pub use pictures::{page_result, pictures};
pub use theirs::{in_place, read_predictions};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use migsim::answer::{Draws, Scatter, outside_of_all, together};
use migsim::engine::{Fidelity, Outcome};
use migsim::input::Case;
use migsim::record::{DISTURBED, Observation, RowPrediction};
use migsim_models::profile::{Profile, Widths};
use migsim_models::published::{Inputs, MODELS};
use migsim_models::units::SimTime;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

/// A run and what was said of it by a profile that had not seen it, or had: the caller knows.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The run.
    pub run: Observation,
    /// The profile that predicted it: published models get the share of the link that is usable
    /// and the start of QEMU from it too.
    pub profile: Arc<Profile>,
    /// The simulator.
    pub said: RowPrediction,
    /// The simulator's iterations.
    pub outcome: Outcome,
    /// The scatter that is expected around it.
    pub scatter: Scatter,
    /// Whether a wrong verdict is one that a little less or more writing changes.
    pub near_border: bool,
}

impl Judged {
    /// How far the total time of a completed run is off, as a share; `None`: it was said not to
    /// complete.
    pub fn elapsed_error(&self) -> Option<f64> {
        let said = self
            .said
            .elapsed_ms
            .filter(|_| self.said.completed && self.run.completed == Some(true))?;
        Some((said / self.run.elapsed_ms? - 1.0).abs())
    }
}

/// Everything that a validation finds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// Completed plain pre-copy, by the simulator.
    #[serde(flatten)]
    pub top: Figures,
    /// Of them, the share whose total time is within 5 %, or within twice the standard deviation
    /// of the repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_pass_share: Option<f64>,
    /// Verdicts that were wrong.
    pub wrong: Vec<Wrong>,
    /// Published models on the same runs, on their own inputs: all of the guest's memory.
    pub models: BTreeMap<&'static str, Figures>,
    /// The same on inputs as good as the simulator's: what is not zero, with headers and the start
    /// of QEMU.
    pub models_fair: BTreeMap<&'static str, Figures>,
    /// The other modes.
    pub by_mode: BTreeMap<String, Figures>,
    /// Pre-copy with a lever.
    pub by_lever: BTreeMap<&'static str, Figures>,
    /// Guests moved at the same time over the same link: the time from the first start to the last
    /// end, and how many groups there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub makespan: Option<(usize, Relative)>,
    /// Runs that do not count, and why.
    pub left_out: BTreeMap<&'static str, usize>,
    /// What of the runs lies outside of those behind the profile that predicts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
}

/// A wrong verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wrong {
    /// The run.
    pub id: String,
    /// Whether it was said to converge.
    pub said_converges: bool,
    /// Whether writes slower or faster by 3 % would have changed the verdict.
    pub near_border: bool,
}

/// How much slower or faster a guest may write before a wrong verdict counts as one.
const BORDER: [f64; 2] = [0.97, 1.03];

/// Whether a little less or more writing changes the verdict.
fn near_border(run: &Observation, profile: &Profile, converges: bool) -> bool {
    BORDER.into_iter().any(|factor| {
        let mut case = run.case.clone();
        case.guest.workload = case.guest.workload.scaled(factor).unwrap_or(case.guest.workload);
        RowPrediction::of(&case, profile, Fidelity::Flow).completed != converges
    })
}

/// Predicts a run that had its link for itself.
fn alone(run: &Observation, profile: &Arc<Profile>, draws: &Draws) -> Judged {
    let (prediction, outcome) = RowPrediction::with_run(&run.case, profile, Fidelity::Flow);
    let (scatter, sure) = draws.judge(&run.case, profile, &outcome);
    judged(run, profile, prediction.with(sure), scatter, outcome)
}

/// Predicts runs that shared their link.
fn shared(runs: &[&Observation], profile: &Arc<Profile>, draws: &Draws) -> Vec<Judged> {
    let start =
        |run: &Observation| run.together.as_ref().map_or(SimTime::ZERO, |(_, began)| *began);
    let cases: Vec<(&Case, SimTime)> = runs.iter().map(|run| (&run.case, start(run))).collect();
    let outcomes = together(&cases, profile);
    let pairs = runs.iter().zip(outcomes);
    let judge = |(run, outcome): (&&Observation, Outcome)| {
        // Draws are of a guest alone on its link: how far they scatter is known of it, not where
        // they lie.
        let scatter = draws.scatter(&run.case, profile, &outcome);
        let prediction = RowPrediction::of_run(&outcome);
        let widths = profile.noise.intervals.map(|intervals| intervals.of(run.case.policy.mode));
        let around = |centre: Option<f64>, scatter: f64, factors: fn(&Widths) -> [f64; 2]| {
            let range = |factor: f64| {
                let centre = centre?;
                Some([centre - factor * scatter, centre + factor * scatter])
            };
            widths.map_or([None; 2], |widths| factors(&widths).map(range))
        };
        let prediction = RowPrediction {
            elapsed_within: around(prediction.elapsed_ms, scatter.elapsed_ms, |w| {
                [w.elapsed_50, w.elapsed_90]
            }),
            downtime_within: around(prediction.downtime_ms, scatter.downtime_ms, |w| {
                [w.downtime_50, w.downtime_90]
            }),
            ..prediction
        };
        judged(run, profile, prediction, scatter, outcome)
    };
    pairs.map(judge).collect()
}

fn judged(
    run: &Observation,
    profile: &Arc<Profile>,
    prediction: RowPrediction,
    scatter: Scatter,
    outcome: Outcome,
) -> Judged {
    let said = RowPrediction { p_converge: Some(scatter.p_converge), ..prediction };
    let wrong = run.completed.is_some_and(|completed| completed != said.completed);
    let near_border = wrong && near_border(run, profile, said.completed);
    Judged { run: run.clone(), profile: Arc::clone(profile), said, outcome, scatter, near_border }
}

/// Predicts runs by one profile.
pub fn judge(runs: &[Observation], profile: &Profile) -> Vec<Judged> {
    let draws = Draws::around(profile);
    let profile = Arc::new(profile.clone());
    groups(runs.iter(), |run| run)
        .par_iter()
        .flat_map_iter(|group| match group[..] {
            [run] if run.together.is_none() => vec![alone(run, &profile, &draws)],
            _ => shared(group, &profile, &draws),
        })
        .collect()
}

/// Things by the runs that they are of: those of guests that were moved at the same time together,
/// all others by themselves.
fn groups<'a, T>(
    all: impl Iterator<Item = &'a T>,
    run: impl Fn(&T) -> &Observation,
) -> Vec<Vec<&'a T>> {
    let mut groups: Vec<Vec<&T>> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        match &run(one).together {
            Some((name, _)) if known.contains_key(name) => groups[known[name]].push(one),
            shared => {
                if let Some((name, _)) = shared {
                    known.insert(name.clone(), groups.len());
                }
                groups.push(vec![one]);
            }
        }
    }
    groups
}

/// How far the time from the first start to the last end is off, for each group of guests that were
/// moved at the same time.
fn makespans<'a>(judged: impl Iterator<Item = &'a Judged>) -> Vec<f64> {
    let whole = |group: &[&Judged]| -> Option<f64> {
        let span = |of: &dyn Fn(&Judged) -> Option<f64>| -> Option<f64> {
            group.iter().try_fold(0.0, |most: f64, one| {
                let (_, began) = one.run.together.as_ref()?;
                Some(most.max(began.as_millis_f64() + of(one)?))
            })
        };
        Some((span(&|one| one.said.elapsed_ms)? / span(&|one| one.run.elapsed_ms)? - 1.0).abs())
    };
    groups(judged.filter(|one| one.run.together.is_some()), |one| &one.run)
        .iter()
        .filter_map(|group| whole(group))
        .collect()
}

/// What a published model says of a run, of the mode that it speaks of.
fn model_said(
    model: &migsim_models::published::Model,
    one: &Judged,
    fair: bool,
) -> Option<RowPrediction> {
    let (case, profile) = (&one.run.case, &*one.profile);
    if case.policy.mode != model.mode {
        return None;
    }
    let inputs =
        Inputs::new(&case.guest, &case.path, &case.policy, profile.share(case.path.transport));
    let prediction =
        if fair { model.on_fair_inputs(&inputs.fair(profile)) } else { (model.predict)(&inputs) };
    Some(RowPrediction {
        completed: prediction.converges,
        elapsed_ms: prediction.tmt_s.map(|s| s * 1e3),
        downtime_ms: prediction.downtime_s.map(|s| s * 1e3),
        ..RowPrediction::default()
    })
}

/// Sums judged runs up.
pub fn report(judged: &[Judged]) -> Report {
    let mut left_out = BTreeMap::new();
    let mut counted: Vec<&Judged> = Vec::new();
    for one in judged {
        if one.run.disturbed {
            *left_out.entry(DISTURBED).or_default() += 1;
        } else if one.run.completed.is_none() {
            *left_out.entry("failed").or_default() += 1;
        } else {
            counted.push(one);
        }
    }
    let sum = |of: &dyn Fn(&Judged) -> bool| -> Figures {
        let pairs: Vec<(&Observation, RowPrediction)> =
            counted.iter().filter(|one| of(one)).map(|one| (&one.run, one.said)).collect();
        figures(&pairs)
    };
    let plain: Vec<&Judged> = counted.iter().copied().filter(|one| is_plain(&one.run)).collect();
    let models = |fair: bool| {
        let judge = |model: &'static migsim_models::published::Model| {
            let pairs: Vec<(&Observation, RowPrediction)> = plain
                .iter()
                .filter_map(|one| Some((&one.run, model_said(model, one, fair)?)))
                .collect();
            (!pairs.is_empty()).then(|| (model.name, figures(&pairs)))
        };
        MODELS.iter().filter_map(judge).collect()
    };
    let modes: BTreeSet<String> = counted
        .iter()
        .map(|one| one.run.case.policy.mode.to_string())
        .filter(|mode| mode != "precopy")
        .collect();
    let levers: BTreeSet<&'static str> = counted
        .iter()
        .filter(|one| one.run.case.policy.mode == migsim_models::spec::Mode::Precopy)
        .filter_map(|one| lever(&one.run))
        .collect();
    let spans = makespans(counted.iter().copied());
    let top = sum(&|one| is_plain(&one.run));
    let twice = top.noise.map_or(0.0, |noise| 2.0 * noise.elapsed_rel);
    let errors: Vec<f64> = counted
        .iter()
        .filter(|one| is_plain(&one.run))
        .filter_map(|one| one.elapsed_error())
        .collect();
    let passes = errors.iter().filter(|error| **error <= twice.max(0.05)).count();
    Report {
        top,
        elapsed_pass_share: (!errors.is_empty()).then(|| passes as f64 / errors.len() as f64),
        wrong: counted
            .iter()
            .filter(|one| one.run.completed != Some(one.said.completed))
            .map(|one| Wrong {
                id: one.run.id.clone(),
                said_converges: one.said.completed,
                near_border: one.near_border,
            })
            .collect(),
        models: models(false),
        models_fair: models(true),
        by_mode: modes
            .into_iter()
            .map(|mode| {
                let found = sum(&|one| one.run.case.policy.mode.to_string() == mode);
                (mode, found)
            })
            .collect(),
        by_lever: levers
            .into_iter()
            .map(|name| {
                let of = |one: &Judged| {
                    one.run.case.policy.mode == migsim_models::spec::Mode::Precopy
                        && lever(&one.run) == Some(name)
                };
                (name, sum(&of))
            })
            .collect(),
        makespan: figures::relative(&spans).map(|errors| (spans.len(), errors)),
        left_out,
        outside: outside_of_all(
            "runs",
            counted.iter().map(|one| {
                let case = &one.run.case;
                one.profile.outside(&case.guest, &case.path, &case.policy)
            }),
        ),
    }
}
