//! How sure a fit is of its parameters: fits to the same runs, weighted anew.
//!
//! Hours differ more than repeats, so a campaign counts more or less as a whole, and within it a
//! configuration with all its repeats (Bayesian bootstrap of clusters: Rubin 1981). No run is left
//! out altogether, for some parameters are seen in one campaign alone. Each refit is a search of
//! its own from a place near the estimate: one step of the regression would stay in its valley, and
//! say that the estimate is ten times as sure as it is.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use migsim::record::Observation;
use nalgebra::DVector;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};
use rayon::prelude::*;

use super::estimate::{Estimate, Problem};
use super::{FitError, SPREAD_NEARBY};

/// Positions of so many refits.
///
/// # Errors
/// It was interrupted.
pub(super) fn refits(
    problem: &Problem,
    best: &Estimate,
    count: usize,
    rng: &mut ChaCha8Rng,
    interrupted: &AtomicBool,
    done: &(dyn Fn() + Sync),
) -> Result<Vec<DVector<f64>>, FitError> {
    let starts: Vec<(Vec<f64>, DVector<f64>)> = (0..count)
        .map(|_| {
            let weights = weights(problem.runs, rng);
            (weights, nearby(&best.position, SPREAD_NEARBY, rng))
        })
        .collect();
    let refit = |(weights, from): (Vec<f64>, DVector<f64>)| {
        let problem = Problem { weights: Some(&weights), ..*problem };
        let position = problem.settle(from, interrupted)?;
        done();
        Some(position)
    };
    starts.into_par_iter().map(refit).collect::<Option<_>>().ok_or(FitError::Interrupted)
}

/// A place so near to another, in the prior's standard deviations.
pub(super) fn nearby(centre: &DVector<f64>, spread: f64, rng: &mut ChaCha8Rng) -> DVector<f64> {
    centre.map(|x| x + spread * (2.0 * rng.random::<f64>() - 1.0))
}

/// What each run counts, one on average.
fn weights(runs: &[Observation], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut drawn = || -> f64 { Exp1.sample(rng) };
    let mut campaigns: BTreeMap<&str, f64> = BTreeMap::new();
    let mut configurations: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for run in runs {
        campaigns.entry(&run.campaign).or_insert_with(&mut drawn);
        configurations.entry((&run.campaign, &run.configuration)).or_insert_with(&mut drawn);
    }
    if campaigns.len() == 1 {
        campaigns.values_mut().for_each(|weight| *weight = 1.0);
    }
    let of = |run: &Observation| {
        let (campaign, configuration) = (run.campaign.as_str(), run.configuration.as_str());
        campaigns[campaign] * configurations[&(campaign, configuration)]
    };
    let weights: Vec<f64> = runs.iter().map(of).collect();
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.into_iter().map(|weight| weight / mean).collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn repeats_count_alike_and_all_runs_count_something() {
        let text = include_str!("../../../tests/data/two-repeats.csv");
        let (runs, _) = migsim::record::observations("two-repeats.csv", text.as_bytes()).unwrap();
        let weights = weights(&runs, &mut ChaCha8Rng::seed_from_u64(1));
        let sum: f64 = weights.iter().sum();
        assert!((sum / runs.len() as f64 - 1.0).abs() < 1e-12, "{weights:?}");
        assert!(weights.iter().all(|weight| *weight > 0.0), "{weights:?}");
        for (run, weight) in runs.iter().zip(&weights) {
            for (other, others) in runs.iter().zip(&weights) {
                let alike = run.configuration == other.configuration;
                assert_eq!(alike, weight == others, "{} and {}", run.id, other.id);
            }
        }
    }
}
