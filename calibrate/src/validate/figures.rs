//! How far predictions are from runs, in figures.

use migsim::record::Observation;
use migsim_models::spec::Mode;
use schemars::JsonSchema;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics};

use crate::noise::{Spread, noise};

/// What a predictor, ours or a published one, says of a run. `None`: it does not speak of that
/// figure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Said {
    /// Whether it converges.
    pub converges: bool,
    /// Total time, ms.
    pub elapsed_ms: Option<f64>,
    /// Downtime, ms.
    pub downtime_ms: Option<f64>,
    /// Bytes on the wire.
    pub wire_bytes: Option<f64>,
    /// dirty-sync-count.
    pub dirty_syncs: Option<f64>,
    /// Offline phases, ms.
    pub offline_ms: Option<[f64; 3]>,
    /// Between these two, ms, half of the total times are, and between those nine of ten.
    pub elapsed_within: Within,
    /// The same of downtimes.
    pub downtime_within: Within,
}

/// The 50 % and the 90 % interval of a figure, ms, where there is one.
pub type Within = [Option<[f64; 2]>; 2];

/// Quantiles of relative errors, as shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Relative {
    /// Half of the runs are within.
    pub median_rel: f64,
    /// Nine of ten.
    pub p90_rel: f64,
    /// Nineteen of twenty.
    pub p95_rel: f64,
    /// All.
    pub max_rel: f64,
}

/// To which side total times are off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Bias {
    /// Runs that took longer than was predicted.
    pub too_short: usize,
    /// Runs that took less.
    pub too_long: usize,
    /// The median of predicted over measured, less one.
    pub median_rel: f64,
}

/// Errors of downtime.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Downtime {
    /// Half of the runs are within, ms.
    pub median_abs_ms: f64,
    /// Nine of ten, ms.
    pub p90_abs_ms: f64,
    /// Half, as a share.
    pub median_rel: f64,
    /// Nine of ten, as a share.
    pub p90_rel: f64,
}

/// Errors of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Bytes {
    /// Half of the runs are within, as a share.
    pub median_rel: f64,
    /// Nine of ten.
    pub p90_rel: f64,
}

/// How often the dirty syncs are counted right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Rounds {
    /// Exactly.
    pub exact_share: f64,
    /// Within one.
    pub within_one_share: f64,
}

/// Verdicts: predicted against what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, JsonSchema)]
pub struct Outcomes {
    /// Completed, as predicted.
    pub true_completed: usize,
    /// Did not converge, as predicted.
    pub true_not_converged: usize,
    /// Predicted to complete, and did not.
    pub false_completed: usize,
    /// Predicted not to converge, and did.
    pub false_not_converged: usize,
}

/// The share of runs within their interval, with the interval of that share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Coverage {
    /// Of total times.
    pub elapsed: f64,
    /// Of downtimes.
    pub downtime: f64,
    /// 95 % interval of both shares by chance alone (Wilson 1927).
    pub elapsed_by_chance: [f64; 2],
    /// The same for downtimes.
    pub downtime_by_chance: [f64; 2],
}

/// The scatter of repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct NoiseFloor {
    /// Standard deviation over mean of the total time, pooled.
    pub elapsed_rel: f64,
    /// Standard deviation of the downtime, pooled, ms.
    pub downtime_abs_ms: f64,
    /// The share of repeats that have the commonest count of dirty syncs of their configuration:
    /// who knew it would be exact so often.
    pub same_rounds_share: f64,
    /// Standard deviation over mean of each offline phase, pooled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phases_rel: Option<[f64; 3]>,
}

/// All figures of one predictor on one set of runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Figures {
    /// Completed runs that count.
    pub n: usize,
    /// Total time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed: Option<Relative>,
    /// To which side it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bias: Option<Bias>,
    /// Downtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downtime: Option<Downtime>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<Bytes>,
    /// Dirty syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<Rounds>,
    /// Offline: suspend, copy, resume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phases: Option<[Relative; 3]>,
    /// The scatter of repeats of the same runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseFloor>,
    /// Verdicts.
    pub outcome: Outcomes,
    /// Coverage of the 50 % intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage50: Option<Coverage>,
    /// Coverage of the 90 % intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage90: Option<Coverage>,
}

fn quantile(values: &[f64], p: f64) -> f64 {
    Data::new(values.to_vec()).quantile(p)
}

/// Quantiles of errors; `None`: there are none.
pub(super) fn relative(errors: &[f64]) -> Option<Relative> {
    (!errors.is_empty()).then(|| Relative {
        median_rel: quantile(errors, 0.5),
        p90_rel: quantile(errors, 0.9),
        p95_rel: quantile(errors, 0.95),
        max_rel: errors.iter().copied().fold(0.0, f64::max),
    })
}

/// The Wilson interval of a share at 95 %.
pub fn wilson(hits: usize, n: usize) -> [f64; 2] {
    let (n, z) = (n as f64, 1.96_f64);
    let share = hits as f64 / n;
    let centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

/// Compares what was said with what was measured.
pub fn figures(pairs: &[(&Observation, Said)]) -> Figures {
    let mut found =
        Figures { noise: noise_floor(pairs.iter().map(|(run, _)| *run)), ..Figures::default() };
    let (mut elapsed, mut down_abs, mut down_rel, mut bytes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut exact, mut near, mut counted) = (0, 0, 0);
    let mut phases: [Vec<f64>; 3] = Default::default();
    let mut signed = Vec::new();
    // Whether each run is within its two intervals.
    let (mut elapsed_in, mut downtime_in) = (Vec::new(), Vec::new());
    for (run, said) in pairs {
        let slot = match (said.converges, run.completed) {
            (true, Some(true)) => &mut found.outcome.true_completed,
            (false, Some(false)) => &mut found.outcome.true_not_converged,
            (true, Some(false)) => &mut found.outcome.false_completed,
            (false, Some(true)) => &mut found.outcome.false_not_converged,
            (_, None) => continue,
        };
        *slot += 1;
        if run.completed != Some(true) {
            continue;
        }
        found.n += 1;
        let pair = |measured: Option<f64>, predicted: Option<f64>| {
            measured.zip(predicted).filter(|(m, p)| said.converges && *m > 0.0 && p.is_finite())
        };
        if let Some((measured, predicted)) = pair(run.elapsed_ms, said.elapsed_ms) {
            elapsed.push((predicted / measured - 1.0).abs());
            signed.push(predicted / measured - 1.0);
        }
        if let Some((measured, predicted)) = pair(run.downtime_ms, said.downtime_ms) {
            down_abs.push((predicted - measured).abs());
            down_rel.push((predicted / measured - 1.0).abs());
        }
        if let Some((measured, predicted)) = pair(run.wire_bytes, said.wire_bytes) {
            bytes.push((predicted / measured - 1.0).abs());
        }
        if let Some((measured, predicted)) = pair(run.dirty_syncs, said.dirty_syncs) {
            let off = (predicted.round() - measured).abs();
            counted += 1;
            exact += usize::from(off < 0.5);
            near += usize::from(off < 1.5);
        }
        for (phase, errors) in phases.iter_mut().enumerate() {
            if let Some((measured, predicted)) =
                pair(run.offline_ms.map(|p| p[phase]), said.offline_ms.map(|p| p[phase]))
            {
                errors.push((predicted / measured - 1.0).abs());
            }
        }
        let held = |measured: f64, within: Within| {
            within.map(|range| range.map(|[low, high]| (low..=high).contains(&measured)))
        };
        if let Some((measured, _)) = pair(run.elapsed_ms, said.elapsed_ms) {
            elapsed_in.push(held(measured, said.elapsed_within));
        }
        if let Some((measured, _)) = pair(run.downtime_ms, said.downtime_ms) {
            downtime_in.push(held(measured, said.downtime_within));
        }
    }
    found.elapsed = relative(&elapsed);
    found.bias = (!signed.is_empty()).then(|| Bias {
        too_short: signed.iter().filter(|error| **error < 0.0).count(),
        too_long: signed.iter().filter(|error| **error > 0.0).count(),
        median_rel: quantile(&signed, 0.5),
    });
    found.downtime = (!down_abs.is_empty()).then(|| Downtime {
        median_abs_ms: quantile(&down_abs, 0.5),
        p90_abs_ms: quantile(&down_abs, 0.9),
        median_rel: quantile(&down_rel, 0.5),
        p90_rel: quantile(&down_rel, 0.9),
    });
    found.wire_bytes = (!bytes.is_empty())
        .then(|| Bytes { median_rel: quantile(&bytes, 0.5), p90_rel: quantile(&bytes, 0.9) });
    found.rounds = (counted > 0).then(|| Rounds {
        exact_share: f64::from(exact as u32) / f64::from(counted as u32),
        within_one_share: f64::from(near as u32) / f64::from(counted as u32),
    });
    if let [Some(suspend), Some(copy), Some(resume)] =
        phases.each_ref().map(|errors| relative(errors))
    {
        found.phases = Some([suspend, copy, resume]);
    }
    let coverage = |interval: usize| {
        // How many are inside, of how many that have such an interval.
        let inside = |held: &[[Option<bool>; 2]]| {
            let known: Vec<bool> = held.iter().filter_map(|held| held[interval]).collect();
            (known.iter().filter(|inside| **inside).count(), known.len())
        };
        let ((elapsed, n), (downtime, m)) = (inside(&elapsed_in), inside(&downtime_in));
        (n > 0 && m > 0).then(|| Coverage {
            elapsed: elapsed as f64 / n as f64,
            downtime: downtime as f64 / m as f64,
            elapsed_by_chance: wilson(elapsed, n),
            downtime_by_chance: wilson(downtime, m),
        })
    };
    (found.coverage50, found.coverage90) = (coverage(0), coverage(1));
    found
}

/// The scatter of the repeats among runs, pooled over configurations; `None`: there are no repeats.
fn noise_floor<'a>(runs: impl Iterator<Item = &'a Observation>) -> Option<NoiseFloor> {
    let spreads = noise(runs).spreads;
    let freedom: f64 = spreads.iter().map(|s| s.runs as f64 - 1.0).sum();
    let pooled = |of: &dyn Fn(&Spread) -> f64| {
        (spreads.iter().map(|s| (s.runs as f64 - 1.0) * of(s).powi(2)).sum::<f64>() / freedom)
            .sqrt()
    };
    let phase = |i: usize| pooled(&|s: &Spread| s.phases.map_or(f64::NAN, |p| p[i].1 / p[i].0));
    (freedom > 0.0).then(|| NoiseFloor {
        phases_rel: spreads
            .iter()
            .all(|s| s.phases.is_some())
            .then(|| [phase(0), phase(1), phase(2)]),
        elapsed_rel: pooled(&|s| s.elapsed.1 / s.elapsed.0),
        downtime_abs_ms: pooled(&|s| s.downtime.1),
        same_rounds_share: spreads.iter().map(|s| s.same_rounds as f64).sum::<f64>()
            / spreads.iter().map(|s| s.runs as f64).sum::<f64>(),
    })
}

/// Whether a run counts in the top-level figures: plain pre-copy.
pub fn is_plain(run: &Observation) -> bool {
    let policy = &run.case.policy;
    policy.mode == Mode::Precopy && lever(run).is_none()
}

/// The lever that a run uses, if any: what `by_lever` sorts by.
pub fn lever(run: &Observation) -> Option<&'static str> {
    let policy = &run.case.policy;
    if run.together.is_some() {
        Some("together")
    } else if policy.auto_converge.is_some() {
        Some("auto_converge")
    } else if policy.xbzrle.is_some() {
        Some("xbzrle")
    } else if policy.multifd_channels > 0 {
        Some("multifd")
    } else if run.case.path.transport != migsim_models::spec::Transport::Tcp {
        Some("transport")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_is_that_of_the_tables() {
        let [low, high] = wilson(90, 100);
        assert!((low - 0.8256).abs() < 1e-3 && (high - 0.9448).abs() < 1e-3, "{low} {high}");
    }
}
