//! Robust regression of the simulator on run records: maximum a posteriori, by Levenberg and
//! Marquardt's method with Huber's weights (P. J. Huber, Robust Estimation of a Location Parameter,
//! 1964; D. W. Marquardt, 1963).

use std::sync::atomic::{AtomicBool, Ordering};

use migsim::engine::Fidelity;
use migsim::record::{Observation, RowPrediction};
use migsim_models::profile::Profile;
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::FitError;
use super::parameters::Parameter;
use super::shapes::is_by_one_number;

/// What was measured of a run and is compared with its prediction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// libvirt's time_elapsed, less the preparation where that was measured: how long QEMU takes to
    /// start differs between days, and must not pass for a slower link.
    Elapsed,
    /// libvirt's downtime.
    Downtime,
    /// QEMU's transferred bytes.
    WireBytes,
    /// From the call to QEMU's start of the migration.
    Prepare,
    /// The first offline phase.
    Suspend,
    /// The second.
    Copy,
    /// The third.
    Resume,
}

impl Figure {
    /// How far runs of one configuration are expected to scatter before it is known: relative, and
    /// absolute in ms or bytes. Of a guest that is known by one number (`vaguely`), its hosts are
    /// the lesser of what is unknown.
    pub(super) fn scatter(self, vaguely: bool) -> (f64, f64) {
        match self {
            Figure::Elapsed if vaguely => (0.05, 50.0),
            Figure::Downtime if vaguely => (0.2, 40.0),
            Figure::WireBytes if vaguely => (0.05, 1e6),
            Figure::Elapsed => (0.005, 20.0),
            Figure::Downtime => (0.03, 12.0),
            Figure::WireBytes => (0.004, 100e3),
            Figure::Prepare => (0.05, 20.0),
            Figure::Suspend | Figure::Copy | Figure::Resume => (0.03, 40.0),
        }
    }

    /// One standard deviation at a measured value, as expected beforehand.
    pub(super) fn sigma(self, measured: f64, vaguely: bool) -> f64 {
        let (relative, absolute) = self.scatter(vaguely);
        (relative * measured).hypot(absolute)
    }
}

/// A difference between prediction and measurement, in standard deviations.
#[derive(Debug, Clone, Copy)]
pub struct Residual {
    /// Which run.
    pub run: usize,
    /// Which figure of it.
    pub figure: Figure,
    /// Predicted less measured, over the expected scatter.
    pub value: f64,
}

/// A prediction that says a run does not converge, where it did, is this far off.
const WRONG_VERDICT: f64 = 8.0;
/// Beyond so many standard deviations a residual counts by its size, not its square.
const HUBER: f64 = 2.0;
/// Step of a finite difference, in prior standard deviations: wide enough to reach across the steps
/// that whole iterations make.
const STEP: f64 = 0.08;
const MOST_ITERATIONS: usize = 12;
/// A look along an axis goes so far to either side, in prior standard deviations, in steps of a
/// half.
const REACH: i32 = 5;
/// Polishing begins with steps of this, in prior standard deviations, and ends with steps below
/// that.
const POLISH_FROM: f64 = 0.4;
const POLISH_TO: f64 = 0.01;

/// Runs, and the profile that the fit starts from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem<'a> {
    /// The runs.
    pub(super) runs: &'a [Observation],
    /// What is believed before.
    pub(super) prior: &'a Profile,
    /// The parameters that are fitted; the others stay at the prior.
    pub(super) free: &'a [Parameter],
    /// How much each run counts; `None`: one.
    pub(super) weights: Option<&'a [f64]>,
}

/// A point of the search and what belongs to it.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    /// Positions of the free parameters, in prior standard deviations.
    pub(super) position: DVector<f64>,
    /// What is left.
    pub(super) residuals: Vec<Residual>,
    /// How the residuals change with each free parameter.
    pub(super) jacobian: DMatrix<f64>,
    /// Huber's objective and the prior's.
    pub(super) cost: f64,
}

impl<'a> Problem<'a> {
    /// Runs that count alike.
    pub(super) fn of(
        runs: &'a [Observation],
        prior: &'a Profile,
        free: &'a [Parameter],
    ) -> Problem<'a> {
        Problem { runs, prior, free, weights: None }
    }

    /// The profile at a position.
    pub(super) fn profile(&self, position: &DVector<f64>) -> Profile {
        let mut profile = self.prior.clone();
        for (parameter, at) in self.free.iter().zip(position.iter()) {
            parameter.place(&mut profile, self.prior, *at, None);
        }
        profile
    }

    /// What is left between the predictions at a position and the runs. The same residuals in the
    /// same order, wherever it is.
    pub(super) fn residuals(&self, position: &DVector<f64>) -> Vec<Residual> {
        let profile = self.profile(position);
        self.runs
            .iter()
            .enumerate()
            .flat_map(|(index, run)| {
                compare(
                    index,
                    run,
                    &RowPrediction::of(&run.case, &profile, Fidelity::Flow),
                    &profile,
                )
            })
            .collect()
    }

    fn jacobian(&self, position: &DVector<f64>, at: &[Residual]) -> DMatrix<f64> {
        let columns: Vec<Vec<f64>> = (0..self.free.len())
            .into_par_iter()
            .map(|i| {
                let mut ahead = position.clone();
                ahead[i] += STEP;
                let mut behind = position.clone();
                behind[i] -= STEP;
                let (ahead, behind) = (self.residuals(&ahead), self.residuals(&behind));
                ahead.iter().zip(&behind).map(|(a, b)| (a.value - b.value) / (2.0 * STEP)).collect()
            })
            .collect();
        DMatrix::from_fn(at.len(), self.free.len(), |row, column| columns[column][row])
    }

    /// Huber's objective and the prior's at a position.
    pub(super) fn cost_at(&self, position: &DVector<f64>) -> f64 {
        self.cost(position, &self.residuals(position))
    }

    /// How much a run counts.
    fn counts(&self, run: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[run])
    }

    /// Huber's weight of each residual, times what its run counts.
    pub(super) fn weights(&self, residuals: &[Residual]) -> Vec<f64> {
        residuals.iter().map(|r| weight(r.value) * self.counts(r.run)).collect()
    }

    fn cost(&self, position: &DVector<f64>, residuals: &[Residual]) -> f64 {
        let huber =
            |r: f64| if r.abs() <= HUBER { r * r / 2.0 } else { HUBER * (r.abs() - HUBER / 2.0) };
        let of_runs: f64 = residuals.iter().map(|r| huber(r.value) * self.counts(r.run)).sum();
        of_runs + position.norm_squared() / 2.0
    }

    /// Looks along each axis in turn for a lower place: where verdicts are wrong the objective is
    /// flat, and a search that follows the slope stays on the wrong side.
    pub(super) fn along_axes(&self, from: &DVector<f64>) -> DVector<f64> {
        let cost = |position: &DVector<f64>| self.cost_at(position);
        let (mut best, mut lowest) = (from.clone(), cost(from));
        for axis in 0..self.free.len() {
            let tried: Vec<(f64, f64)> = (-REACH..=REACH)
                .into_par_iter()
                .map(|half| {
                    let mut position = best.clone();
                    position[axis] = f64::from(half) / 2.0;
                    (cost(&position), position[axis])
                })
                .collect();
            if let Some((found, at)) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
                && found < lowest
            {
                (lowest, best[axis]) = (found, at);
            }
        }
        best
    }

    /// Goes down from a position along single axes, in steps that become smaller (Hooke and Jeeves
    /// 1961): where a sync more or less makes steps in the objective, slopes mislead. `None`:
    /// interrupted.
    pub(super) fn polish(
        &self,
        from: &DVector<f64>,
        interrupted: &AtomicBool,
    ) -> Option<DVector<f64>> {
        let cost = |position: &DVector<f64>| self.cost_at(position);
        let (mut best, mut lowest) = (from.clone(), cost(from));
        let mut reach = POLISH_FROM;
        while reach > POLISH_TO {
            let before = lowest;
            for axis in 0..self.free.len() {
                if interrupted.load(Ordering::Relaxed) {
                    return None;
                }
                let tried: Vec<(f64, f64)> = [-1.0, -0.4, 0.4, 1.0]
                    .into_par_iter()
                    .map(|steps| {
                        let mut position = best.clone();
                        position[axis] += steps * reach;
                        (cost(&position), position[axis])
                    })
                    .collect();
                if let Some((found, at)) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
                    && found < lowest
                {
                    (lowest, best[axis]) = (found, at);
                }
            }
            if before - lowest < 2e-3 * before {
                reach /= 2.5;
            }
        }
        Some(best)
    }

    /// The lowest place found from a position.
    ///
    /// # Errors
    /// It was interrupted.
    pub(super) fn descend(
        &self,
        from: DVector<f64>,
        interrupted: &AtomicBool,
    ) -> Result<Estimate, FitError> {
        let descend = || -> Option<Estimate> {
            let found = self.search(from, interrupted)?;
            let lower = self.search(self.along_axes(&found.position), interrupted)?;
            let best = if lower.cost < found.cost { lower } else { found };
            Some(self.at(self.polish(&best.position, interrupted)?))
        };
        descend().ok_or(FitError::Interrupted)
    }

    /// The lowest place of the valley that a position lies in: without the looks along axes, and so
    /// in half of the time. `None`: interrupted.
    pub(super) fn settle(
        &self,
        from: DVector<f64>,
        interrupted: &AtomicBool,
    ) -> Option<DVector<f64>> {
        self.polish(&self.search(from, interrupted)?.position, interrupted)
    }

    /// What belongs to a position.
    pub(super) fn at(&self, position: DVector<f64>) -> Estimate {
        let residuals = self.residuals(&position);
        let jacobian = self.jacobian(&position, &residuals);
        let cost = self.cost(&position, &residuals);
        Estimate { position, residuals, jacobian, cost }
    }

    /// Searches from a position. `None`: interrupted.
    pub(super) fn search(&self, from: DVector<f64>, interrupted: &AtomicBool) -> Option<Estimate> {
        let mut position = from;
        let mut residuals = self.residuals(&position);
        let mut cost = self.cost(&position, &residuals);
        let mut jacobian = self.jacobian(&position, &residuals);
        let mut damping = 1e-2;
        for _ in 0..MOST_ITERATIONS {
            if interrupted.load(Ordering::Relaxed) {
                return None;
            }
            let before = cost;
            let weights = self.weights(&residuals);
            for _ in 0..6 {
                let step = step(&jacobian, &residuals, &weights, &position, damping)?;
                let next = &position + step;
                let at_next = self.residuals(&next);
                let cost_next = self.cost(&next, &at_next);
                if cost_next < cost {
                    (position, residuals, cost) = (next, at_next, cost_next);
                    damping = (damping / 4.0).max(1e-6);
                    break;
                }
                damping *= 6.0;
            }
            if before - cost < 1e-3 * before.max(1.0) {
                break;
            }
            jacobian = self.jacobian(&position, &residuals);
        }
        Some(Estimate { position, residuals, jacobian, cost })
    }
}

fn compare(
    index: usize,
    run: &Observation,
    prediction: &RowPrediction,
    profile: &Profile,
) -> Vec<Residual> {
    let offline = prediction.offline_ms.unwrap_or([f64::NAN; 3]);
    let prepare = profile.software.prepare.value.as_millis_f64();
    // An offline run's preparation is the stop of its guest, part of its first phase.
    let prepared = run.prepare_ms.filter(|_| run.offline_ms.is_none());
    let elapsed = match prepared {
        Some(prepared) => {
            (run.elapsed_ms.map(|ms| ms - prepared), prediction.elapsed_ms.map(|ms| ms - prepare))
        }
        None => (run.elapsed_ms, prediction.elapsed_ms),
    };
    let figures = [
        (Figure::Elapsed, elapsed.0.filter(|_| run.offline_ms.is_none()), elapsed.1),
        (
            Figure::Downtime,
            run.downtime_ms.filter(|_| run.offline_ms.is_none()),
            prediction.downtime_ms,
        ),
        (
            Figure::WireBytes,
            run.wire_bytes.filter(|_| run.offline_ms.is_none()),
            prediction.wire_bytes,
        ),
        (Figure::Prepare, prepared, Some(prepare)),
        (Figure::Suspend, run.offline_ms.map(|p| p[0]), Some(offline[0])),
        (Figure::Copy, run.offline_ms.map(|p| p[1]), Some(offline[1])),
        (Figure::Resume, run.offline_ms.map(|p| p[2]), Some(offline[2])),
    ];
    let vaguely = is_by_one_number(run);
    figures
        .into_iter()
        .filter_map(|(figure, measured, predicted)| {
            let measured = measured?;
            let value = match predicted {
                Some(predicted) if prediction.completed && predicted.is_finite() => {
                    (predicted - measured) / figure.sigma(measured, vaguely)
                }
                _ => WRONG_VERDICT,
            };
            Some(Residual { run: index, figure, value })
        })
        .collect()
}

/// Huber's weight of a residual.
fn weight(residual: f64) -> f64 {
    if residual.abs() <= HUBER { 1.0 } else { HUBER / residual.abs() }
}

/// Curvature of the objective: of the weighted residuals, and of the prior, which is one in every
/// direction.
pub(super) fn curvature(jacobian: &DMatrix<f64>, weights: &[f64]) -> DMatrix<f64> {
    let mut weighted = jacobian.clone();
    for (mut row, weight) in weighted.row_iter_mut().zip(weights) {
        row *= *weight;
    }
    jacobian.transpose() * weighted + DMatrix::identity(jacobian.ncols(), jacobian.ncols())
}

/// A damped Newton step of the weighted regression. `None`: the curvature is not that of a minimum.
fn step(
    jacobian: &DMatrix<f64>,
    residuals: &[Residual],
    weights: &[f64],
    position: &DVector<f64>,
    damping: f64,
) -> Option<DVector<f64>> {
    let mut matrix = curvature(jacobian, weights);
    for i in 0..matrix.nrows() {
        matrix[(i, i)] *= 1.0 + damping;
    }
    let pull = DVector::from_iterator(
        residuals.len(),
        residuals.iter().zip(weights).map(|(r, w)| r.value * w),
    );
    let gradient = jacobian.transpose() * pull + position;
    Some(-matrix.cholesky()?.solve(&gradient))
}
