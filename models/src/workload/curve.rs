//! A measured curve of distinct pages as a sum of uniform classes.

use std::cell::RefCell;

use crate::units::{Pages, SimTime};

/// How many time constants the fit may choose from.
const CONSTANTS: usize = 24;
/// Rounds of coordinate descent; the fit changes by less than 1e-6 long before.
const SWEEPS: usize = 3000;

/// So many fits are remembered by each thread.
const REMEMBERED: usize = 16;

/// A fit that was made: points, limit, and what came of it.
type Fit = (Vec<(SimTime, Pages)>, u64, Vec<(u64, f64)>);

thread_local! {
    /// A fit takes milliseconds, and a guest is asked about again and again: with every draw, every change that might help it.
    static MADE: RefCell<Vec<Fit>> = const { RefCell::new(Vec::new()) };
}

/// Fits `D(t) = sum of n_j (1 - exp(-t / T_j))` with `n_j >= 0` to the points, the relative errors in least squares.
///
/// Any stationary writer whose pages are written at random has such a curve: a mixture of pages by how often they are written. The time
/// constants are a geometric grid from a quarter of the shortest window to sixteen times the longest, or less where the slow classes would
/// need more pages than `limit`. Returns pages and writes per second of each class, the hottest first.
pub fn fit_classes(points: &[(SimTime, Pages)], limit: u64) -> Vec<(u64, f64)> {
    MADE.with_borrow_mut(|made| {
        if let Some((.., classes)) = made.iter().find(|(of, within, _)| *within == limit && of == points) {
            return classes.clone();
        }
        let classes = fitted(points, limit);
        if made.len() == REMEMBERED {
            made.remove(0);
        }
        made.push((points.to_vec(), limit, classes.clone()));
        classes
    })
}

fn fitted(points: &[(SimTime, Pages)], limit: u64) -> Vec<(u64, f64)> {
    let points: Vec<(f64, f64)> =
        points.iter().map(|(t, pages)| (t.as_secs_f64(), pages.as_f64())).filter(|(_, pages)| *pages > 0.0).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let mut reach = 16.0;
    loop {
        let fitted = least_squares(&points, first.0 / 4.0, last.0 * reach);
        let pages: f64 = fitted.iter().map(|(n, _)| n).sum();
        if pages <= limit as f64 || reach < 0.5 {
            return whole_pages(&fitted, limit);
        }
        reach /= 2.0;
    }
}

/// Rounds every class to whole pages, keeping its rate per page, within `limit` together.
fn whole_pages(classes: &[(f64, f64)], limit: u64) -> Vec<(u64, f64)> {
    let mut left = limit;
    let mut out = Vec::new();
    for (pages, constant) in classes {
        let whole = (libm::round(*pages) as u64).min(left);
        if whole > 0 {
            left -= whole;
            out.push((whole, whole as f64 / constant));
        }
    }
    out
}

/// Non-negative least squares by coordinate descent on the normal equations. Returns pages and time constant of each class.
fn least_squares(points: &[(f64, f64)], shortest: f64, longest: f64) -> Vec<(f64, f64)> {
    let ratio = libm::pow(longest / shortest, 1.0 / (CONSTANTS - 1) as f64);
    let constants: Vec<f64> = (0..CONSTANTS).map(|j| shortest * libm::pow(ratio, j as f64)).collect();
    // Row i: how much of class j is dirty after t_i, relative to what was measured there.
    let rows: Vec<Vec<f64>> = points
        .iter()
        .map(|(t, pages)| constants.iter().map(|constant| -libm::expm1(-t / constant) / pages).collect())
        .collect();
    let gram = |j: usize, k: usize| rows.iter().map(|row| row[j] * row[k]).sum::<f64>();
    let normal: Vec<Vec<f64>> = (0..CONSTANTS).map(|j| (0..CONSTANTS).map(|k| gram(j, k)).collect()).collect();
    let target: Vec<f64> = (0..CONSTANTS).map(|j| rows.iter().map(|row| row[j]).sum()).collect();
    let mut pages = vec![0.0; CONSTANTS];
    for _ in 0..SWEEPS {
        for j in 0..CONSTANTS {
            let fitted: f64 = normal[j].iter().zip(&pages).map(|(a, n)| a * n).sum();
            pages[j] = (pages[j] + (target[j] - fitted) / normal[j][j]).max(0.0);
        }
    }
    pages.into_iter().zip(constants).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_recovers_two_classes_and_keeps_within_the_limit() {
        let truth = |t: f64| 2000.0 * (1.0 - libm::exp(-t / 0.5)) + 30_000.0 * (1.0 - libm::exp(-t / 20.0));
        let points: Vec<_> = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
            .iter()
            .map(|t| (SimTime::from_secs_f64(*t), Pages(truth(*t) as u64)))
            .collect();
        let classes = fit_classes(&points, 1 << 20);
        for t in [0.3, 1.5, 6.0, 30.0] {
            let fitted: f64 =
                classes.iter().map(|(n, rate)| *n as f64 * (1.0 - libm::exp(-rate / *n as f64 * t))).sum();
            assert!((fitted / truth(t) - 1.0).abs() < 0.02, "{t} s: {fitted}, not {}", truth(t));
        }
        let pages: u64 = fit_classes(&points, 20_000).iter().map(|c| c.0).sum();
        assert!(pages <= 20_000);
    }

    #[test]
    fn a_curve_of_no_pages_has_no_classes() {
        assert!(fit_classes(&[(SimTime::from_secs(1), Pages(0))], 100).is_empty());
    }
}
