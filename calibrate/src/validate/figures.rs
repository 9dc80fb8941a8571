//! How far predictions are from runs, in figures.

use migsim::record::{Observation, RowPrediction, Within};
use migsim_models::profile::Domain;
use migsim_models::spec::Mode;
use schemars::JsonSchema;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics};

use crate::noise::{Spread, noise};

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

/// How good probabilities of converging are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Probabilities {
    /// Of so many runs.
    pub n: usize,
    /// The mean square of probability less what came of it (Brier 1950): 0 is best.
    pub brier: f64,
    /// Runs whose dirty rate is 0.7 to 1.3 times what their link gives, where verdicts are hard.
    pub n_near: usize,
    /// The same of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brier_near: Option<f64>,
    /// The reliability diagram: runs that were said to converge with about the same probability.
    pub reliability: Vec<Reliability>,
}

/// Runs that were said to converge with about the same probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Reliability {
    /// The mean of what was said.
    pub said: f64,
    /// The share that did.
    pub came: f64,
    /// Of so many runs.
    pub n: usize,
}

/// The continuous ranked probability score (Matheson and Winkler 1976), of the five percentiles
/// that are given: the error of a distribution as the mean absolute error is that of a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Crps {
    /// Of total times, as a share of what was measured, mean.
    pub elapsed_rel: f64,
    /// Of downtimes, ms, mean.
    pub downtime_ms: f64,
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
    /// Probabilities of converging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<Probabilities>,
    /// Of the distributions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crps: Option<Crps>,
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
pub fn figures(pairs: &[(&Observation, RowPrediction)]) -> Figures {
    let mut found =
        Figures { noise: noise_floor(pairs.iter().map(|(run, _)| *run)), ..Figures::default() };
    let (mut elapsed, mut down_abs, mut down_rel, mut bytes) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut exact, mut near, mut counted) = (0, 0, 0);
    let mut phases: [Vec<f64>; 3] = Default::default();
    let mut signed = Vec::new();
    // Whether each run is within its two intervals.
    let (mut elapsed_in, mut downtime_in) = (Vec::new(), Vec::new());
    let (mut elapsed_scores, mut downtime_scores) = (Vec::new(), Vec::new());
    for (run, said) in pairs {
        let slot = match (said.completed, run.completed) {
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
            measured.zip(predicted).filter(|(m, p)| said.completed && *m > 0.0 && p.is_finite())
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
        if let Some((measured, middle)) = pair(run.elapsed_ms, said.elapsed_ms) {
            elapsed_in.push(held(measured, said.elapsed_within));
            let score = score(measured, middle, said.elapsed_within);
            elapsed_scores.extend(score.map(|score| score / measured));
        }
        if let Some((measured, middle)) = pair(run.downtime_ms, said.downtime_ms) {
            downtime_in.push(held(measured, said.downtime_within));
            downtime_scores.extend(score(measured, middle, said.downtime_within));
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
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let scored = !elapsed_scores.is_empty() && !downtime_scores.is_empty();
    found.crps = scored
        .then(|| Crps { elapsed_rel: mean(&elapsed_scores), downtime_ms: mean(&downtime_scores) });
    found.verdicts = probabilities(pairs);
    found
}

/// Levels of the percentiles that are given, and how much of all levels each stands for.
const LEVELS: [(f64, f64); 5] =
    [(0.05, 0.15), (0.25, 0.225), (0.5, 0.25), (0.75, 0.225), (0.95, 0.15)];

/// The continuous ranked probability score of a measured value, twice its mean pinball loss;
/// `None`: not all percentiles are given.
fn score(measured: f64, middle: f64, within: Within) -> Option<f64> {
    let [Some([p25, p75]), Some([p5, p95])] = within else { return None };
    let loss = |(value, (level, weight)): (f64, (f64, f64))| {
        let above = measured - value;
        weight * (level * above).max((level - 1.0) * above)
    };
    Some(2.0 * [p5, p25, middle, p75, p95].into_iter().zip(LEVELS).map(loss).sum::<f64>())
}

/// The dirty rate over the link's at which verdicts are hard.
const NEAR: std::ops::RangeInclusive<f64> = 0.7..=1.3;
/// Bins of a reliability diagram.
const BINS: usize = 5;

/// How good the probabilities of converging are; `None`: none is given.
fn probabilities(pairs: &[(&Observation, RowPrediction)]) -> Option<Probabilities> {
    let known: Vec<(&Observation, f64, f64)> = pairs
        .iter()
        .filter_map(|(run, said)| {
            Some((*run, said.p_converge?, f64::from(u8::from(run.completed?))))
        })
        .collect();
    let brier = |of: &[&(&Observation, f64, f64)]| {
        let square = |(_, said, came): &(&Observation, f64, f64)| (said - came).powi(2);
        (!of.is_empty()).then(|| of.iter().map(|one| square(one)).sum::<f64>() / of.len() as f64)
    };
    let is_near = |run: &Observation| {
        let asked = Domain::of(&run.case.guest, &run.case.path, &run.case.policy);
        NEAR.contains(&asked.dirty_to_link[0])
    };
    let near: Vec<_> = known.iter().filter(|(run, ..)| is_near(run)).collect();
    let bin = |said: f64| ((said * BINS as f64) as usize).min(BINS - 1);
    let reliability = (0..BINS).filter_map(|number| {
        let of: Vec<_> = known.iter().filter(|(_, said, _)| bin(*said) == number).collect();
        let n = of.len();
        let mean = |sum: f64| sum / n as f64;
        (n > 0).then(|| Reliability {
            said: mean(of.iter().map(|(_, said, _)| said).sum()),
            came: mean(of.iter().map(|(.., came)| came).sum()),
            n,
        })
    });
    Some(Probabilities {
        n: known.len(),
        brier: brier(&known.iter().collect::<Vec<_>>())?,
        n_near: near.len(),
        brier_near: brier(&near),
        reliability: reliability.collect(),
    })
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
    fn a_distributions_score_is_an_error_where_it_is_a_point_and_less_where_it_is_honest() {
        let point = |at: f64| [Some([at, at]), Some([at, at])];
        assert!((score(10.0, 13.0, point(13.0)).unwrap() - 3.0).abs() < 1e-12);
        assert_eq!(score(10.0, 10.0, point(10.0)), Some(0.0));
        let wide = score(10.0, 13.0, [Some([11.0, 15.0]), Some([8.0, 18.0])]).unwrap();
        assert!(wide > 0.5 && wide < 3.0, "{wide}");
        // Of a standard normal distribution and its middle: sqrt(2/pi) - 1/sqrt(pi) = 0.234.
        let normal = [Some([-0.6745, 0.6745]), Some([-1.6449, 1.6449])];
        let got = score(0.0, 0.0, normal).unwrap();
        assert!((got - 0.234).abs() < 0.05, "{got}");
        assert_eq!(score(1.0, 1.0, [None, Some([0.0, 2.0])]), None);
    }

    #[test]
    fn probabilities_are_scored_and_sorted_by_what_was_said() {
        let text = "mode,memory_mib,touched_pages,workload,link_mbit,outcome,elapsed_ms\n\
            precopy,1024,262144,\"uniform(wss=512MiB, rate=30000p/s)\",1000,completed,9000\n\
            precopy,1024,262144,\"uniform(wss=512MiB, rate=30000p/s)\",1000,not-converged,9000\n\
            precopy,1024,262144,idle,1000,completed,9000\n";
        let (runs, errors) = migsim::record::observations("t", text.as_bytes()).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        let said = [Some(0.75), Some(0.7), Some(1.0)].map(|p_converge| RowPrediction {
            completed: true,
            p_converge,
            ..RowPrediction::default()
        });
        let pairs: Vec<(&Observation, RowPrediction)> = runs.iter().zip(said).collect();
        let found = probabilities(&pairs).unwrap();
        assert!((found.brier - (0.0625 + 0.49) / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!((found.n, found.n_near, found.reliability.len()), (3, 2, 2), "{found:?}");
        let Reliability { said, came, n } = found.reliability[0];
        assert!((said - 0.725).abs() < 1e-12 && came == 0.5 && n == 2, "{found:?}");
        assert_eq!(probabilities(&[(&runs[0], RowPrediction::default())]), None);
    }

    #[test]
    fn wilsons_interval_is_that_of_the_tables() {
        let [low, high] = wilson(90, 100);
        assert!((low - 0.8256).abs() < 1e-3 && (high - 0.9448).abs() < 1e-3, "{low} {high}");
    }
}
