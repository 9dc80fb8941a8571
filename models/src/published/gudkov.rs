//! Gudkov: "[PATCH v2 0/4] Migration time prediction using calc-dirty-rate", qemu-devel, 2023
//! (read).

use super::{Inputs, Known, Model, Prediction, measured_points};
use crate::spec::Mode;
use crate::units::PAGE_BYTES;

pub(super) const GUDKOV: Model = Model {
    name: "gudkov",
    reference: "Gudkov: [PATCH v2 0/4] Migration time prediction using calc-dirty-rate, qemu-devel, 27 April 2023; scripts/predict_migration.py; it says nothing of the downtime, which is the last round here",
    doi: None,
    formula: "V_0 = (4096 + 8) a page that is not zero + 8 a zero page, V_(i+1) = D(T_i) with headers, stops at T_i <= L; total = sum of T_i; above an hour: none",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: true,
    predict,
};

/// Wire bytes of a page of zeros in this model.
const ZERO_PAGE: f64 = 8.0;
/// Wire bytes of a page's header in this model.
const HEADER: f64 = 8.0;
/// What takes longer than an hour does not converge.
const LONGEST_S: f64 = 3600.0;

/// Windows over which the method measures, in seconds.
const WINDOWS_S: [f64; 22] = [
    0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0,
    35.0, 40.0, 45.0, 50.0, 60.0,
];

/// A measured curve of distinct dirty pages over windows, piecewise linear.
///
/// Before its first point it comes from where its first segment meets zero seconds, at 0 pages or
/// more; its last slope, if it rises, goes on up to the pages that are not zero.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredCurve {
    /// Window in seconds and distinct pages, at least one point, windows rising.
    pub points: Vec<(f64, f64)>,
    /// Pages that are not zero: the most that can be dirty.
    pub limit: f64,
}

impl MeasuredCurve {
    /// Pages dirtied within `seconds`.
    pub fn dirtied(&self, seconds: f64) -> f64 {
        let p = &self.points;
        let pages = match p.len() {
            0 => 0.0,
            1 => p[0].1 * seconds / p[0].0,
            n => {
                let line = |(t0, d0): (f64, f64), (t1, d1): (f64, f64), t: f64| {
                    d0 + (d1 - d0) * (t - t0) / (t1 - t0)
                };
                match p.iter().position(|(t, _)| *t >= seconds) {
                    Some(0) => line((0.0, line(p[0], p[1], 0.0).max(0.0)), p[0], seconds),
                    Some(right) => line(p[right - 1], p[right], seconds),
                    None if p[n - 1].1 > p[n - 2].1 => line(p[n - 2], p[n - 1], seconds),
                    None => p[n - 1].1,
                }
            }
        };
        pages.clamp(0.0, self.limit)
    }
}

/// The method, exactly: bytes = normal (4096 + 8) + zero 8; a round takes bytes / bandwidth and is
/// added up; if it was within the downtime limit, stop; else what the curve says was dirtied
/// meanwhile is the next round. `None` after an hour.
///
/// Pages, bytes per second, seconds; an infinite downtime limit is one pass.
pub fn gudkov(
    curve: &MeasuredCurve,
    normal: f64,
    zero: f64,
    bandwidth: f64,
    downtime_limit: f64,
) -> Option<(f64, f64)> {
    let (mut normal, mut zero, mut total) = (normal, zero, 0.0);
    loop {
        let seconds = (normal * (PAGE_BYTES as f64 + HEADER) + zero * ZERO_PAGE) / bandwidth;
        total += seconds;
        if seconds <= downtime_limit {
            return Some((total, seconds));
        }
        if total > LONGEST_S {
            return None;
        }
        (normal, zero) = (curve.dirtied(seconds), 0.0);
    }
}

fn predict(inputs: &Inputs) -> Prediction {
    let page = PAGE_BYTES as f64;
    let limit = inputs.touched / page;
    let points = match measured_points(inputs.workload) {
        Some(points) => points.map(|(t, pages)| (t.as_secs_f64(), pages.as_f64())).collect(),
        // No measured curve: what a measurement with the method's windows would have found.
        None => WINDOWS_S.iter().map(|window| (*window, inputs.dirtied(*window) / page)).collect(),
    };
    let curve = MeasuredCurve { points, limit };
    let zero = (inputs.memory - inputs.touched) / page;
    match gudkov(&curve, limit, zero, inputs.bandwidth, inputs.downtime_limit) {
        Some((tmt, last)) => Prediction::new(tmt, Some(last)),
        None => Prediction::DIVERGES,
    }
}
