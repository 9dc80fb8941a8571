//! How sure a prediction is: quantiles of total time and downtime, and the probability of converging.
//!
//! Three things make a prediction unsure. The profile's parameters are estimates: so many draws within their standard
//! errors are predicted. What a guest dirties is random: each draw's writers are a little faster or slower. And runs
//! scatter: the profile's noise. The width of an interval is their sum in squares, times a factor that the fit has found on
//! runs it had not seen, so that the interval holds as often as it says (split-conformal prediction: Vovk, Gammerman and
//! Shafer 2005; Lei et al. 2018).

use migsim_models::profile::{FIELDS, Profile};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::migration::Outcome;
use crate::predict::runs;
use crate::scenario::Case;
use crate::world::Fidelity;

/// Draws of the profile and of the writers.
const DRAWS: usize = 24;
/// Relative standard deviation of a draw's write rates: chance makes the distinct pages of a pass differ by about as much.
const WRITERS: f64 = 0.01;

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

/// The quantiles of a case whose prediction is `outcome`. `None`: the profile was not fitted, so nothing is known of its errors.
pub fn quantiles(case: &Case, profile: &Profile, outcome: &Outcome) -> Option<Quantiles> {
    let intervals = profile.noise.intervals?;
    let draws = draws(case, profile);
    let converged = draws.iter().filter(|draw| draw.is_some()).count();
    let elapsed = outcome.ended_at.as_millis_f64();
    let downtime = outcome.reported_downtime().map_or(0.0, migsim_models::units::SimTime::as_millis_f64);
    let spread = |of: fn(&(f64, f64)) -> f64| {
        let values: Vec<f64> = draws.iter().flatten().map(of).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        if n > 1.0 { squares / (n - 1.0) } else { 0.0 }
    };
    let around = |centre: f64, noise: f64, variance: f64, factor: f64| {
        let half = factor * libm::sqrt(noise * noise + variance);
        [(centre - half).max(0.0), centre, centre + half]
    };
    Some(Quantiles {
        elapsed_ms: around(elapsed, profile.noise.elapsed_sigma_ms(elapsed), spread(|d| d.0), intervals.elapsed_90),
        downtime_ms: around(
            downtime,
            profile.noise.downtime_sigma_ms(downtime),
            spread(|d| d.1),
            intervals.downtime_90,
        ),
        p_converge: converged as f64 / draws.len() as f64,
    })
}

/// Total time and downtime of each draw, ms; `None` where it does not converge.
fn draws(case: &Case, profile: &Profile) -> Vec<Option<(f64, f64)>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
    (0..DRAWS)
        .map(|_| {
            let mut drawn = profile.clone();
            for field in FIELDS {
                let slot = (field.slot)(&mut drawn);
                if let Some(error) = slot.error() {
                    let value = slot.value();
                    // A rate or a time that is hardly known is not drawn below a tenth of itself.
                    let next = (value + error * normal()).max(value / 10.0);
                    let next = if field.key.contains("share") { next.min(1.0) } else { next };
                    slot.set(next, None);
                }
            }
            let mut case = case.clone();
            if let Some(workload) = case.guest.workload.scaled(libm::exp(WRITERS * normal())) {
                case.guest.workload = workload;
            }
            let outcome = crate::predict::median(runs(&case, &drawn, Fidelity::Flow));
            let downtime = outcome.reported_downtime()?;
            Some((outcome.ended_at.as_millis_f64(), downtime.as_millis_f64()))
        })
        .collect()
}
