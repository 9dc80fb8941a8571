//! How many runs of a new pair of hosts a profile fitted elsewhere needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use migsim::records::Observation;
use migsim_models::profile::Profile;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::fit::{FitError, Manner, fit};
use crate::validate::{Figures, Judged, judge, report};

/// Parts that the runs are dealt into; each is predicted by fits to runs of the others.
const FOLDS: usize = 4;
/// A handful is enough when the error is within so many times that of a full fit.
pub const ENOUGH: f64 = 1.5;

/// What so many runs bring.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Runs of the new hosts; `None`: all of them.
    pub runs: Option<usize>,
    /// The parameters that were learnt anew, and in how many of the fits.
    pub learnt: BTreeMap<&'static str, usize>,
    /// Errors on the runs that were held back: completed plain pre-copy.
    pub figures: Figures,
}

/// The errors of predictions with 0, a few, and all runs of new hosts, on runs that no fit has seen.
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
    let configurations: BTreeSet<&str> = runs.iter().map(|run| run.configuration.as_str()).collect();
    let mut configurations: Vec<&str> = configurations.into_iter().collect();
    configurations.shuffle(&mut ChaCha8Rng::seed_from_u64(manner.seed));
    let place: BTreeMap<&str, usize> = configurations.iter().enumerate().map(|(i, c)| (*c, i)).collect();
    let manner = Manner { starts: 1, resamples: 60, intervals: false, ..manner };
    let steps = std::iter::once(Some(0)).chain(sizes.iter().copied().map(Some)).chain([None]);
    let all = (sizes.len() + 2) as f64;
    let mut found = Vec::new();
    for (index, size) in steps.enumerate() {
        let mut judged: Vec<Judged> = Vec::new();
        let mut learnt: BTreeMap<&'static str, usize> = BTreeMap::new();
        for fold in 0..FOLDS {
            let (held, used): (Vec<Observation>, Vec<Observation>) =
                runs.iter().cloned().partition(|run| place[run.configuration.as_str()] % FOLDS == fold);
            // A handful is of as many configurations as there are.
            let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
            let mut order: Vec<(usize, usize, usize)> = Vec::with_capacity(used.len());
            for (index, run) in used.iter().enumerate() {
                let repeat = seen.entry(run.configuration.as_str()).or_default();
                order.push((*repeat, place[run.configuration.as_str()], index));
                *repeat += 1;
            }
            order.sort_unstable();
            order.truncate(size.unwrap_or(order.len()));
            let used: Vec<Observation> = order.into_iter().map(|(.., index)| used[index].clone()).collect();
            let profile = if used.is_empty() {
                from.clone()
            } else {
                let fitted = fit(&used, from, manner, interrupted, &|_| {})?;
                for one in &fitted.estimated {
                    *learnt.entry(one.key).or_default() += 1;
                }
                fitted.profile
            };
            judged.extend(judge(&held, &profile));
            progress((index as f64 + (fold + 1) as f64 / FOLDS as f64) / all);
        }
        found.push(Step { runs: size, learnt, figures: report(&judged, from).top });
    }
    Ok(found)
}

/// The fewest runs whose errors, of total time and of downtime, are [`ENOUGH`]; `None`: only all of them are.
pub fn enough(steps: &[Step]) -> Option<usize> {
    let errors = |step: &Step| Some((step.figures.elapsed?.p90_rel, step.figures.downtime?.p90_abs_ms));
    let full = errors(steps.last()?)?;
    steps.iter().find_map(|step| {
        let (elapsed, downtime) = errors(step)?;
        (elapsed <= ENOUGH * full.0 && downtime <= ENOUGH * full.1).then_some(step.runs).flatten()
    })
}
