//! Runs predicted by fits that have not seen them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use migsim::record::Observation;
use migsim_models::profile::Profile;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{FitError, Manner, fit};
use crate::validate::{Judged, judge};

/// The configurations of runs in random order: the place of each.
pub(crate) fn shuffled(runs: &[Observation], seed: u64) -> BTreeMap<&str, usize> {
    let configurations: BTreeSet<&str> =
        runs.iter().map(|run| run.configuration.as_str()).collect();
    let mut configurations: Vec<&str> = configurations.into_iter().collect();
    configurations.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    configurations
        .into_iter()
        .enumerate()
        .map(|(place, configuration)| (configuration, place))
        .collect()
}

/// Into which parts runs are dealt, each of which is predicted by a fit to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// So many, of the same number of configurations; repeats are never parted.
    Configurations(usize),
    /// The campaigns: each was made in hours of its own, and hosts are not the same in all.
    Campaigns,
}

impl Parts {
    /// How many there are, and in which each run is.
    fn deal(self, runs: &[Observation], seed: u64) -> (usize, Vec<usize>) {
        match self {
            Parts::Configurations(folds) => {
                let place = shuffled(runs, seed);
                let folds = folds.min(place.values().max().map_or(0, |last| last + 1));
                (folds, runs.iter().map(|run| place[run.configuration.as_str()] % folds).collect())
            }
            Parts::Campaigns => {
                let names: BTreeSet<&str> = runs.iter().map(|run| run.campaign.as_str()).collect();
                let place: BTreeMap<&str, usize> = names.into_iter().zip(0..).collect();
                (place.len(), runs.iter().map(|run| place[run.campaign.as_str()]).collect())
            }
        }
    }
}

/// Predicts each run by a profile fitted to the other parts.
///
/// # Errors
/// What is left of a part is too little to fit to, or it was interrupted.
pub fn cross_validate(
    runs: &[Observation],
    prior: &Profile,
    parts: Parts,
    manner: Manner,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Vec<Judged>, FitError> {
    // As many fits as parts: each looks less far about than the one that is shipped.
    let manner = Manner { starts: 3, refits: 15, ..manner };
    // How much of each part is done, in thousandths.
    let done: Vec<AtomicU64> = (0..runs.len()).map(|_| AtomicU64::new(0)).collect();
    held_out(runs, parts, manner.seed, |used, fold, folds| {
        let tell = |share: f64| {
            done[fold].store((share * 1000.0) as u64, Ordering::Relaxed);
            let all: u64 = done.iter().map(|part| part.load(Ordering::Relaxed)).sum();
            progress(all as f64 / 1000.0 / folds as f64);
        };
        Ok(fit(used, prior, manner, interrupted, &tell)?.profile)
    })
}

/// Predicts each run by the profile that `fit` makes of the other parts; it is told which of how
/// many it is. Parts are fitted beside each other.
pub(super) fn held_out(
    runs: &[Observation],
    parts: Parts,
    seed: u64,
    fit: impl Fn(&[Observation], usize, usize) -> Result<Profile, FitError> + Sync,
) -> Result<Vec<Judged>, FitError> {
    let (folds, parts) = parts.deal(runs, seed);
    let judged = (0..folds).into_par_iter().map(|fold| {
        let of = |held: bool| -> Vec<Observation> {
            runs.iter()
                .zip(&parts)
                .filter(|(_, part)| (**part == fold) == held)
                .map(|(run, _)| run.clone())
                .collect()
        };
        Ok(judge(&of(true), &fit(&of(false), fold, folds)?))
    });
    let mut judged: Vec<Judged> =
        judged.collect::<Result<Vec<_>, FitError>>()?.into_iter().flatten().collect();
    judged.sort_by_key(|one| one.run.line);
    Ok(judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_parts_than_configurations() {
        let text = include_str!("../../../tests/data/two-repeats.csv");
        let (runs, _) = migsim::record::observations("two-repeats.csv", text.as_bytes()).unwrap();
        let configurations: BTreeSet<&str> =
            runs.iter().map(|run| run.configuration.as_str()).collect();
        let (parts, dealt) = Parts::Configurations(usize::MAX).deal(&runs, 1);
        assert_eq!(parts, configurations.len());
        assert!(!runs.is_empty() && dealt.into_iter().all(|part| part < parts));
    }
}
