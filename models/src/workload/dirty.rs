//! A guest of whose writing one number is known: how many distinct pages it dirties in a window.
//!
//! A monitoring system, `virsh domjobinfo` and `calc-dirty-rate` give a dirty rate. What decides a
//! migration is the whole curve D(t), and how it goes on beyond the window is not known. It is
//! taken to be of two parts, each written at random:
//!
//! | part | pages in the window | in all |
//! | --- | --- | --- |
//! | the operating system | up to 100 pages a second | three seconds' worth |
//! | applications | the rest | a share of what is touched |
//!
//! The share is between applications what differs most. [`Unknown`] draws from its distribution
//! over 1,400 migrations of eight applications that dirtied more than a tenth of what the link
//! carried (QEMU of 2016, Jo et al., SoCC 2017: for each the share with which its predicted total
//! time is nearest). The two constants of the operating system are those with which the downtimes
//! of 900 migrations of nearly idle guests of the same study are nearest.

use super::{Class, Order};
use crate::units::{PageRate, SimTime};

/// Distinct pages that an operating system dirties by itself in a second, at most ...
const SYSTEM_RATE: f64 = 100.0;
/// ... and for so many seconds others each time.
const SYSTEM_SECONDS: f64 = 3.0;
/// The share of touched pages that applications dirty sooner or later, where nothing else is known.
pub const MEDIAN_SHARE: f64 = 0.27;
/// Quantiles of that share.
const SHARES: [(f64, f64); 7] =
    [(0.0, 0.04), (0.05, 0.06), (0.25, 0.12), (0.5, 0.27), (0.75, 0.7), (0.95, 1.0), (1.0, 1.0)];
/// No part is as good as all dirty after one window: then nothing would follow from the rate.
const MOST_IN_WINDOW: f64 = 0.95;

/// What is unknown of a guest of which a dirty rate is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unknown {
    /// Such a part of all guests, 0 to below 1, dirties a smaller share of its touched pages.
    pub rank: f64,
    /// How far its rate lies from the one that is known, in standard deviations of its logarithm.
    pub faster: f64,
    /// How many pages a second more it writes than when it was measured, doing something else by
    /// now.
    pub more: f64,
}

/// A rate that was measured lies that far from the rate while the guest is moved.
const FACTOR: f64 = 1.35;
/// Such a part of guests does something else by the time that they are moved ...
const ELSE: f64 = 0.2;
/// ... and writes so many pages a second more on average.
const MORE: f64 = 3000.0;

impl Unknown {
    /// One way in which it could be: two probabilities from 0 to below 1, and a standard normal
    /// deviate.
    pub fn drawn(rank: f64, more: f64, faster: f64) -> Unknown {
        let at = (more - (1.0 - ELSE)) / ELSE;
        let more = if at <= 0.0 { 0.0 } else { -MORE * libm::log1p(-at) };
        Unknown { rank, faster, more }
    }

    /// The share of its touched pages that it dirties sooner or later, above 0 to 1.
    pub(super) fn share(&self) -> f64 {
        share_of(self.rank)
    }

    /// One of several that are as likely as each other; `None`: there are none.
    pub fn of<T: Copy>(&self, all: &[T]) -> Option<T> {
        all.get((self.rank * all.len() as f64) as usize).copied()
    }

    /// The rate as it could be.
    pub(super) fn rate(&self, rate: PageRate, factor: Option<f64>) -> PageRate {
        let spread = libm::log(factor.unwrap_or(FACTOR));
        let more = if factor.is_none() { self.more } else { 0.0 };
        let faster = rate.pages_per_s() * libm::exp(spread * self.faster) + more;
        PageRate::new(faster).unwrap_or(rate)
    }
}

/// The share of touched pages that applications dirty sooner or later below which a part `p` (0 to
/// 1) of all guests are.
fn share_of(p: f64) -> f64 {
    let p = p.clamp(0.0, 1.0);
    let mut pairs = SHARES.windows(2).map(|pair| (pair[0], pair[1]));
    let within = pairs.find(|(_, (end, _))| p <= *end);
    within.map_or(1.0, |((start, low), (end, high))| {
        low * libm::pow(high / low, (p - start) / (end - start))
    })
}

/// The classes of a guest that dirties `rate` distinct pages a second in windows of `window`, of
/// `touched` pages, of which it dirties `share` sooner or later; no more
/// than `limit` pages in all.
pub(super) fn classes(
    term: usize,
    rate: PageRate,
    window: SimTime,
    share: f64,
    touched: u64,
    limit: u64,
    out: &mut Vec<Class>,
) {
    let seconds = window.as_secs_f64();
    let dirtied = (rate.pages_per_s() * seconds).min(touched as f64);
    let system = dirtied.min(SYSTEM_RATE * seconds);
    let mut left = limit.min(touched);
    let mut part = |in_window: f64, in_all: f64| {
        let pages = (libm::round(in_all.max(in_window / MOST_IN_WINDOW)) as u64).min(left);
        left -= pages;
        if in_window > 0.0 && pages > 0 {
            let per_page =
                -libm::log1p(-in_window / (pages as f64).max(in_window / MOST_IN_WINDOW));
            out.push(Class {
                term,
                pages,
                rate: pages as f64 * per_page / seconds,
                order: Order::Random,
            });
        }
    };
    part(system, system / seconds * SYSTEM_SECONDS);
    part(dirtied - system, share * touched as f64);
}

/// Pages that the classes have at most, beside a share of what is touched.
pub(super) fn reach(rate: PageRate, window: SimTime) -> u64 {
    (rate.pages_per_s() * window.as_secs_f64()) as u64
}

#[cfg(test)]
mod tests {
    use super::super::Workload;
    use super::*;
    use crate::units::Pages;

    /// Distinct pages after so many seconds, of a guest of `touched` pages.
    fn distinct(notation: &str, touched: u64, seconds: f64) -> f64 {
        let workload: Workload = notation.parse().unwrap();
        let classes = workload.classes(Pages(touched), Pages(touched));
        assert!(classes.iter().map(|class| class.pages).sum::<u64>() <= touched, "{notation}");
        classes.iter().map(|class| class.newly_dirty(0.0, seconds)).sum()
    }

    #[test]
    fn what_was_measured_in_the_window_is_met_and_what_comes_later_stays_within_the_share() {
        for (notation, seconds, expected) in [
            ("dirty(50p/s)", 1.0, 50.0),
            ("dirty(5000p/s)", 1.0, 5000.0),
            ("dirty(5000p/s, window=10s, share=0.5)", 10.0, 50_000.0),
            ("dirty(20000p/s, window=100ms)", 0.1, 2000.0),
        ] {
            let got = distinct(notation, 1 << 20, seconds);
            assert!((got / expected - 1.0).abs() < 0.02, "{notation}: {got}, not {expected}");
        }
        let forever = distinct("dirty(5000p/s, share=0.25)", 1 << 20, 1e6);
        assert!((forever / f64::from(1 << 18) - 1.0).abs() < 0.01, "{forever}");
        // More than there is: all of it.
        assert!(distinct("dirty(5000p/s)", 1000, 10.0) <= 1000.0);
    }

    #[test]
    fn shares_rise_with_their_probability() {
        let shares: Vec<f64> = (0..=20).map(|i| share_of(f64::from(i) / 20.0)).collect();
        assert!(shares.windows(2).all(|pair| pair[0] <= pair[1]) && shares[20] <= 1.0);
        assert!((share_of(0.5) - MEDIAN_SHARE).abs() < 1e-12);
    }
}
