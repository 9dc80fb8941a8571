//! Which parameters runs determine: the profile likelihood (Raue et al. 2009, Bioinformatics 25).
//!
//! Each parameter is held off its estimate and all others are sought anew. Where the errors hardly
//! grow, others make up for it, and the runs do not say what it is. How far an estimate moves when
//! the runs are weighted anew is another question: hours differ, and one can be sure of an hour.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use migsim::record::Observation;
use migsim_models::profile::Profile;
use nalgebra::DVector;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Serialize;

use super::estimate::Problem;
use super::parameters::{Parameter, parameters};
use super::{FitError, is_used};

/// How far it is held off, in standard errors by the refits.
const HELD_OFF: [f64; 6] = [-3.0, -1.5, -0.5, 0.5, 1.5, 3.0];
/// The objective is half of chi squared: by so much it grows at the bounds of a 95 % interval.
const RISE_95: f64 = 1.92;

/// What holding a parameter off its estimate does.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Held {
    /// Its key in the profile.
    pub key: &'static str,
    /// The estimate, in seconds, bytes, pages per second or shares.
    pub value: f64,
    /// Its standard error by the refits, in the same unit.
    pub error: f64,
    /// Values that it was held at, and by how much the objective grew there with all others sought
    /// anew: 1.92 is a bound of the 95 % interval.
    pub held: Vec<[f64; 2]>,
    /// The bounds of its 95 % interval; `None`: beyond three standard errors.
    pub interval: [Option<f64>; 2],
}

impl Held {
    /// Whether the runs bound it on both sides.
    pub fn is_determined(&self) -> bool {
        self.interval.iter().all(Option::is_some)
    }
}

/// What the runs say of each parameter that a profile was fitted with.
///
/// # Errors
/// It was interrupted, or no parameter of the profile was fitted with refits.
pub fn likelihood(
    runs: &[Observation],
    profile: &Profile,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Vec<Held>, FitError> {
    let used: Vec<Observation> = runs.iter().filter(|run| is_used(run)).cloned().collect();
    let free: Vec<Parameter> =
        parameters().into_iter().filter(|p| profile.refits.has(p.key)).collect();
    if free.is_empty() || used.is_empty() {
        return Err(FitError::TooLittle(format!(
            "{} runs that a fit can use, and a profile with {} parameters that have refits: `migcal fit` writes such a profile",
            used.len(),
            free.len()
        )));
    }
    // The profile's own values are what is believed: the belief pulls to them, a hundred times
    // weaker than the runs do.
    let lowest = |free: &[Parameter], at: &Profile| -> Result<f64, FitError> {
        let problem = Problem::of(&used, at, free);
        let found = problem.settle(DVector::zeros(free.len()), interrupted);
        Ok(problem.cost_at(&found.ok_or(FitError::Interrupted)?))
    };
    let unheld = lowest(&free, profile)?;
    let done = AtomicUsize::new(0);
    let all = free.len() * HELD_OFF.len();
    let held = |(parameter, off): (&Parameter, f64)| -> Result<[f64; 2], FitError> {
        let mut at = profile.clone();
        parameter.move_by(&mut at, off);
        let others: Vec<Parameter> =
            free.iter().filter(|other| other.key != parameter.key).copied().collect();
        let rise = lowest(&others, &at)? - unheld;
        progress((done.fetch_add(1, Ordering::Relaxed) + 1) as f64 / all as f64);
        Ok([parameter.value(&at), rise])
    };
    let points: Vec<(&Parameter, f64)> =
        free.iter().flat_map(|p| HELD_OFF.map(|off| (p, off))).collect();
    let rises: Vec<[f64; 2]> = points.into_par_iter().map(held).collect::<Result<_, _>>()?;
    let said = free.iter().zip(rises.chunks(HELD_OFF.len())).map(|(parameter, held)| {
        let value = parameter.value(profile);
        let (below, above) = held.split_at(HELD_OFF.len() / 2);
        let outwards: Vec<[f64; 2]> = below.iter().rev().copied().collect();
        Held {
            key: parameter.key,
            value,
            error: parameter.move_by(&mut profile.clone(), 1.0) - value,
            held: held.to_vec(),
            interval: [bound(value, &outwards), bound(value, above)],
        }
    });
    Ok(said.collect())
}

/// Where the objective first rises to the bound, on the way outwards from the estimate.
fn bound(estimate: f64, outwards: &[[f64; 2]]) -> Option<f64> {
    let mut before = [estimate, 0.0];
    for at in outwards {
        if at[1] >= RISE_95 {
            let share = ((RISE_95 - before[1]) / (at[1] - before[1])).clamp(0.0, 1.0);
            return Some(before[0] + share * (at[0] - before[0]));
        }
        before = *at;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_lies_where_the_objective_has_risen_enough() {
        for (outwards, expected) in [
            (vec![[11.0, 0.96], [12.0, 2.88]], Some(11.5)),
            (vec![[9.0, 3.84], [8.0, 9.0]], Some(9.5)),
            (vec![[11.0, 0.1], [12.0, 0.3]], None),
            // A step of the objective downwards, where an estimate was not the lowest place.
            (vec![[11.0, -0.5], [12.0, 1.92]], Some(12.0)),
        ] {
            assert_eq!(bound(10.0, &outwards), expected, "{outwards:?}");
        }
    }
}
