//! How sure a prediction is: quantiles of total time and downtime, and the probability of converging.
//!
//! Three things make a prediction unsure. The profile's parameters are estimates: profiles drawn within their standard
//! errors are asked as well. What a guest dirties is random: each draw's writers are a little faster or slower. And runs
//! scatter: the profile's noise. The scatter of a figure is their sum in squares; the width of an interval is that times a
//! factor which the fit has found on runs of the same mode that it had not seen, so that the interval holds as often as it
//! says (split-conformal prediction with normalised scores, mode by mode: Vovk, Gammerman and Shafer 2005; Lei et al. 2018).

use migsim_models::profile::{FIELDS, Profile};
use migsim_models::units::SimTime;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::statistics::Statistics;

use crate::migration::Outcome;
use crate::predict::predict;
use crate::scenario::Case;
use crate::world::Fidelity;

/// Draws that are always asked, few because records are predicted by the hundred thousand: they say how wide the scatter is ...
const FEW: usize = 3;
/// ... and where they do not agree whether it converges, so many, for the probability.
const MANY: usize = 24;
/// Relative standard deviation of a draw's write rates: chance makes the distinct pages of a pass differ by about as much.
pub(crate) const WRITERS: f64 = 0.01;

/// Profiles that could be the true one, each with a factor on what guests write.
#[derive(Debug, Clone)]
pub struct Draws(Vec<(Profile, f64)>);

/// The scatter that is expected of runs around a prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scatter {
    /// Standard deviation of the total time, ms.
    pub elapsed_ms: f64,
    /// The same of the reported downtime.
    pub downtime_ms: f64,
    /// The probability of converging.
    pub p_converge: f64,
}

/// How sure a prediction is. Times in ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// 5th, 50th and 95th percentile of the total time.
    pub elapsed_ms: [f64; 3],
    /// The same of the downtime that QEMU and libvirt report.
    pub downtime_ms: [f64; 3],
    /// The probability of converging.
    pub p_converge: f64,
}

impl Draws {
    /// Draws around a profile, always the same ones.
    pub fn around(profile: &Profile) -> Draws {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut draw = || {
            let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
            (drawn(profile, &mut rng), libm::exp(WRITERS * normal(&mut rng)))
        };
        Draws((0..MANY).map(|_| draw()).collect())
    }

    /// Draws around a fitted profile. `None`: it was not fitted, so nothing is known of its errors.
    pub fn of_fitted(profile: &Profile) -> Option<Draws> {
        profile.noise.intervals.map(|_| Draws::around(profile))
    }

    /// The scatter around the prediction `outcome` of a case by `profile`.
    pub fn scatter(&self, case: &Case, profile: &Profile, outcome: &Outcome) -> Scatter {
        let mut case = case.clone();
        let workload = case.guest.workload.clone();
        let mut ask = |draws: &[(Profile, f64)]| -> Vec<Option<(f64, f64)>> {
            let asked = draws.iter().map(|(profile, factor)| {
                if let Some(scaled) = workload.scaled(*factor) {
                    case.guest.workload = scaled;
                }
                let outcome = predict(&case, profile, Fidelity::Flow);
                Some((outcome.ended_at.as_millis_f64(), outcome.reported_downtime()?.as_millis_f64()))
            });
            asked.collect()
        };
        let mut drawn = ask(&self.0[..FEW]);
        if drawn.iter().any(|one| one.is_some() != outcome.completed()) {
            drawn.extend(ask(&self.0[FEW..]));
        }
        let variance = |of: fn(&(f64, f64)) -> f64| {
            let values: Vec<f64> = drawn.iter().flatten().map(of).collect();
            if values.len() > 1 { values.variance() } else { 0.0 }
        };
        let (elapsed, downtime) = figures(outcome);
        let total = |noise: f64, variance: f64| libm::sqrt(noise * noise + variance);
        Scatter {
            elapsed_ms: total(profile.noise.elapsed_sigma_ms(elapsed), variance(|d| d.0)),
            downtime_ms: total(profile.noise.downtime_sigma_ms(downtime), variance(|d| d.1)),
            p_converge: drawn.iter().flatten().count() as f64 / drawn.len() as f64,
        }
    }

    /// The quantiles of a case whose prediction by `profile` is `outcome`: so wide as the fit has found that they have to be.
    pub fn quantiles(&self, case: &Case, profile: &Profile, outcome: &Outcome) -> Option<Quantiles> {
        let widths = profile.noise.intervals?.of(case.policy.mode);
        let scatter = self.scatter(case, profile, outcome);
        let (elapsed, downtime) = figures(outcome);
        let around = |centre: f64, half: f64| [(centre - half).max(0.0), centre, centre + half];
        Some(Quantiles {
            elapsed_ms: around(elapsed, widths.elapsed_90 * scatter.elapsed_ms),
            downtime_ms: around(downtime, widths.downtime_90 * scatter.downtime_ms),
            p_converge: scatter.p_converge,
        })
    }
}

/// A profile that could be the true one: each estimate within its standard error.
pub(crate) fn drawn(profile: &Profile, rng: &mut ChaCha8Rng) -> Profile {
    let mut drawn = profile.clone();
    for field in FIELDS {
        let slot = (field.slot)(&mut drawn);
        if let Some(error) = slot.error() {
            let (value, normal): (f64, f64) = (slot.value(), StandardNormal.sample(rng));
            // A rate or a time that is hardly known is not drawn below a tenth of itself.
            slot.set((value + error * normal).max(value / 10.0), None);
        }
    }
    drawn
}

/// Total time and reported downtime, ms.
fn figures(outcome: &Outcome) -> (f64, f64) {
    (outcome.ended_at.as_millis_f64(), outcome.reported_downtime().map_or(0.0, SimTime::as_millis_f64))
}
