//! Gudkov: "[PATCH v2 0/4] Migration time prediction using calc-dirty-rate", qemu-devel, 2023 (read).

use super::{Inputs, Prediction, measured_points};
use crate::units::{PAGE_BYTES, SimTime};

/// Wire bytes of a page of zeros in this model.
const ZERO_PAGE: f64 = 8.0;
/// Wire bytes of a page's header in this model.
const HEADER: f64 = 8.0;
/// What takes longer than an hour does not converge.
const LONGEST_S: f64 = 3600.0;

/// A measured curve of distinct dirty pages over windows, piecewise linear.
///
/// Its first segment is extended towards zero (not below 0 pages), its last slope up to the pages that are not zero.
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
                let right = p.iter().position(|(t, _)| *t >= seconds).unwrap_or(n - 1).max(1);
                let ((t0, d0), (t1, d1)) = (p[right - 1], p[right]);
                d0 + (d1 - d0) * (seconds - t0) / (t1 - t0)
            }
        };
        pages.clamp(0.0, self.limit)
    }
}

/// The method, exactly: bytes = normal (4096 + 8) + zero 8; a round takes bytes / bandwidth and is added up; if it was within the downtime limit, stop;
/// else what the curve says was dirtied meanwhile is the next round. `None` after an hour.
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
        if total > LONGEST_S {
            return None;
        }
        if seconds <= downtime_limit {
            return Some((total, seconds));
        }
        (normal, zero) = (curve.dirtied(seconds), 0.0);
    }
}

pub(super) fn predict(inputs: &Inputs) -> Prediction {
    let page = PAGE_BYTES as f64;
    let limit = inputs.touched / page;
    let points = match measured_points(inputs.workload) {
        Some(points) => points.iter().map(|(t, pages)| (t.as_secs_f64(), pages.as_f64())).collect(),
        // No measured curve: what a measurement with the method's windows, an eighth of a second to a minute, would have found.
        None => (0..=9)
            .map(|i| {
                let window = SimTime::from_millis(125 << i);
                (window.as_secs_f64(), inputs.dirtied(window.as_secs_f64()) / page)
            })
            .collect(),
    };
    let curve = MeasuredCurve { points, limit };
    let zero = (inputs.memory - inputs.touched) / page;
    match gudkov(&curve, limit, zero, inputs.bandwidth, inputs.downtime_limit) {
        Some((tmt, last)) => Prediction::new(tmt, Some(last)),
        None => Prediction::DIVERGES,
    }
}
