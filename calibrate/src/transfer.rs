//! How many runs of a new pair of hosts a profile fitted elsewhere needs.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use migsim::record::Observation;
use migsim_models::profile::Profile;
use schemars::JsonSchema;
use serde::Serialize;

use crate::fit::{FitError, Manner, fit, shuffled};
use crate::validate::{Figures, Judged, judge, report};

/// Parts that the runs are dealt into; each is predicted by fits to runs of the others.
const FOLDS: usize = 4;
/// A handful is enough when the error is within so many times that of a full fit.
pub const ENOUGH: f64 = 1.5;

/// What so many runs bring.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Step {
    /// Runs of the new hosts; `None`: all of them.
    pub runs: Option<usize>,
    /// The parameters that were learnt anew, and in how many of the fits.
    pub learnt: BTreeMap<&'static str, usize>,
    /// Errors on the runs that were held back: completed plain pre-copy.
    pub figures: Figures,
}

/// The errors of predictions with 0, a few, and all runs of new hosts, on runs that no fit has
/// seen.
///
/// # Errors
/// There are too few runs, or it was interrupted.
pub fn study(
    runs: &[Observation],
    from: &Profile,
    sizes: &[usize],
    manner: Manner,
    interrupted: &AtomicBool,
    progress: &dyn Fn(f64),
) -> Result<Vec<Step>, FitError> {
    let place = shuffled(runs, manner.seed);
    let manner = Manner { display: true, ..manner.of_a_part() };
    let wanted: Vec<Option<usize>> =
        std::iter::once(Some(0)).chain(sizes.iter().copied().map(Some)).chain([None]).collect();
    let mut judged: Vec<Vec<Judged>> = vec![Vec::new(); wanted.len()];
    let mut learnt: Vec<BTreeMap<&'static str, usize>> = vec![BTreeMap::new(); wanted.len()];
    for fold in 0..FOLDS {
        let (held, used): (Vec<Observation>, Vec<Observation>) =
            runs.iter().cloned().partition(|run| place[run.configuration.as_str()] % FOLDS == fold);
        let used = repeats_last(used, &place);
        for (index, size) in wanted.iter().enumerate() {
            let handful = &used[..size.unwrap_or(used.len()).min(used.len())];
            let profile = if handful.is_empty() {
                from.clone()
            } else {
                let fitted = fit(handful, from, manner, interrupted, &|_| {})?;
                for one in &fitted.estimated {
                    *learnt[index].entry(one.key).or_default() += 1;
                }
                fitted.profile
            };
            judged[index].extend(judge(&held, &profile));
            progress((fold * wanted.len() + index + 1) as f64 / (FOLDS * wanted.len()) as f64);
        }
    }
    let steps = wanted.into_iter().zip(learnt).zip(judged);
    Ok(steps
        .map(|((runs, learnt), judged)| Step { runs, learnt, figures: report(&judged).top })
        .collect())
}

/// Runs in the order of their configurations, the second of each after the first of all: a handful
/// is of as many configurations as there are.
fn repeats_last(runs: Vec<Observation>, place: &BTreeMap<&str, usize>) -> Vec<Observation> {
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    let mut order: Vec<((usize, usize), Observation)> = Vec::with_capacity(runs.len());
    for run in runs {
        let place = place[run.configuration.as_str()];
        let repeat = seen.entry(place).or_default();
        order.push(((*repeat, place), run));
        *repeat += 1;
    }
    order.sort_by_key(|(key, _)| *key);
    order.into_iter().map(|(_, run)| run).collect()
}

/// The fewest runs whose errors, of total time and of downtime, are [`ENOUGH`]; `None`: only all of
/// them are.
pub fn enough(steps: &[Step]) -> Option<usize> {
    let errors =
        |step: &Step| Some((step.figures.elapsed?.p90_rel, step.figures.downtime?.p90_abs_ms));
    let full = errors(steps.last()?)?;
    steps.iter().find_map(|step| {
        let (elapsed, downtime) = errors(step)?;
        (elapsed <= ENOUGH * full.0 && downtime <= ENOUGH * full.1).then_some(step.runs).flatten()
    })
}
