//! A measured curve of distinct pages as a sum of uniform classes.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use crate::units::{Pages, SimTime};

/// How many time constants the fit may choose from.
const CONSTANTS: usize = 24;
/// Rounds of coordinate descent; the fit changes by less than 1e-6 long before.
const SWEEPS: usize = 3000;
/// The longest time constant over the longest window: the first whose classes need no more pages
/// than there are.
const REACHES: [f64; 7] = [16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25];

/// So many curves are remembered by each thread: the rows of a file have the same one again and
/// again.
const REMEMBERED: usize = 16;

thread_local! {
    static MADE: RefCell<Vec<Curve>> = const { RefCell::new(Vec::new()) };
}

/// How many distinct pages were dirtied within windows of several lengths, and the uniform classes
/// that fit them.
///
/// A fit takes milliseconds. It is made once, when it is first needed, and shared by all copies.
#[derive(Debug, Clone)]
pub struct Curve(Arc<Measured>);

#[derive(Debug)]
struct Measured {
    points: Vec<(SimTime, Pages)>,
    /// Pages and time constant of each class, by reach.
    fits: [OnceLock<Vec<(f64, f64)>>; REACHES.len()],
}

impl PartialEq for Curve {
    fn eq(&self, other: &Curve) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.points() == other.points()
    }
}

impl Curve {
    /// A curve by lengths of windows and their distinct pages; lengths rise, pages do not fall.
    pub fn new(points: Vec<(SimTime, Pages)>) -> Curve {
        MADE.with_borrow_mut(|made| {
            if let Some(known) = made.iter().find(|curve| curve.points() == points) {
                return known.clone();
            }
            let curve = Curve(Arc::new(Measured { points, fits: Default::default() }));
            if made.len() == REMEMBERED {
                made.remove(0);
            }
            made.push(curve.clone());
            curve
        })
    }

    /// Lengths of windows and their distinct pages.
    pub fn points(&self) -> &[(SimTime, Pages)] {
        &self.0.points
    }

    /// Fits `D(t) = sum of n_j (1 - exp(-t / T_j))` with `n_j >= 0` to the points, the relative
    /// errors in least squares.
    ///
    /// Any stationary writer whose pages are written at random has such a curve: a mixture of pages
    /// by how often they are written. The time constants are a geometric grid from a quarter of
    /// the shortest window to sixteen times the longest, or less where the slow classes would
    /// need more pages than `limit`. Returns pages and writes per second of each class, the hottest
    /// first.
    pub fn classes(&self, limit: u64) -> Vec<(u64, f64)> {
        let mut points = self.points().iter().filter(|(_, pages)| pages.0 > 0);
        let Some(first) = points.next() else { return Vec::new() };
        let last = points.next_back().unwrap_or(first);
        let mut fits = self.0.fits.iter().zip(REACHES).map(|(fit, reach)| {
            fit.get_or_init(|| {
                let (shortest, longest) =
                    (first.0.as_secs_f64() / 4.0, last.0.as_secs_f64() * reach);
                let dirtied = self.points().iter().filter(|(_, pages)| pages.0 > 0);
                let points: Vec<(f64, f64)> =
                    dirtied.map(|(t, pages)| (t.as_secs_f64(), pages.as_f64())).collect();
                least_squares(&points, shortest, longest)
            })
        });
        let last = REACHES.len() - 1;
        let within =
            |fit: &[(f64, f64)]| fit.iter().map(|(pages, _)| pages).sum::<f64>() <= limit as f64;
        let fit = fits.by_ref().take(last).find(|fit| within(fit));
        fit.or_else(|| fits.next()).map_or(Vec::new(), |fit| whole_pages(fit, limit))
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

/// Non-negative least squares by coordinate descent on the normal equations. Returns pages and time
/// constant of each class.
fn least_squares(points: &[(f64, f64)], shortest: f64, longest: f64) -> Vec<(f64, f64)> {
    let ratio = libm::pow(longest / shortest, 1.0 / (CONSTANTS - 1) as f64);
    let constants: Vec<f64> =
        (0..CONSTANTS).map(|j| shortest * libm::pow(ratio, j as f64)).collect();
    // Row i: how much of class j is dirty after t_i, relative to what was measured there.
    let rows: Vec<Vec<f64>> = points
        .iter()
        .map(|(t, pages)| {
            constants.iter().map(|constant| -libm::expm1(-t / constant) / pages).collect()
        })
        .collect();
    let gram = |j: usize, k: usize| rows.iter().map(|row| row[j] * row[k]).sum::<f64>();
    let normal: Vec<Vec<f64>> =
        (0..CONSTANTS).map(|j| (0..CONSTANTS).map(|k| gram(j, k)).collect()).collect();
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
        let truth =
            |t: f64| 2000.0 * (1.0 - libm::exp(-t / 0.5)) + 30_000.0 * (1.0 - libm::exp(-t / 20.0));
        let points: Vec<_> = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
            .iter()
            .map(|t| (SimTime::from_secs_f64(*t), Pages(truth(*t) as u64)))
            .collect();
        let classes = Curve::new(points.clone()).classes(1 << 20);
        for t in [0.3, 1.5, 6.0, 30.0] {
            let fitted: f64 = classes
                .iter()
                .map(|(n, rate)| *n as f64 * (1.0 - libm::exp(-rate / *n as f64 * t)))
                .sum();
            assert!((fitted / truth(t) - 1.0).abs() < 0.02, "{t} s: {fitted}, not {}", truth(t));
        }
        let pages: u64 = Curve::new(points.clone()).classes(20_000).iter().map(|c| c.0).sum();
        assert!(pages <= 20_000);
    }

    /// Fits take milliseconds: a prediction with its intervals asks some sixty times.
    #[test]
    fn a_curve_is_fitted_once_for_all_its_copies() {
        let curve = Curve::new(vec![
            (SimTime::from_secs(1), Pages(3000)),
            (SimTime::from_secs(4), Pages(9100)),
        ]);
        let copy = curve.clone();
        curve.classes(1 << 20);
        let made = || copy.0.fits.iter().filter(|fit| fit.get().is_some()).count();
        assert_eq!(made(), 1);
        copy.classes(1 << 21);
        assert_eq!(made(), 1);
        copy.classes(9200);
        assert!(made() > 1, "where pages are short the slow classes have to be others");
    }

    #[test]
    fn a_curve_of_no_pages_has_no_classes() {
        assert!(Curve::new(vec![(SimTime::from_secs(1), Pages(0))]).classes(100).is_empty());
    }
}
