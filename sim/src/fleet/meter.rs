//! How busy links and hosts are over time, in a few hundred bins however long it takes.

use migsim_models::units::SimTime;

/// Bins are joined in pairs when there would be more than this.
const MOST_BINS: usize = 400;
/// How long a bin lasts at first, in seconds.
const FIRST_WIDTH_S: f64 = 0.1;

/// An amount (bytes, processor seconds) by bins of time, for each of many things.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    /// How long a bin lasts, in seconds.
    pub width_s: f64,
    /// For each thing the amount in each bin; missing ones are empty.
    pub amounts: Vec<Vec<f64>>,
}

impl Meter {
    /// Nothing measured yet.
    pub fn new(things: usize) -> Meter {
        Meter { width_s: FIRST_WIDTH_S, amounts: vec![Vec::new(); things] }
    }

    /// From `since` until `at` a thing had so much a second.
    pub fn add(&mut self, thing: usize, rate: f64, since: SimTime, at: SimTime) {
        if rate == 0.0 || since == at {
            return;
        }
        let (from, to) = (since.as_secs_f64(), at.as_secs_f64());
        while to > self.width_s * MOST_BINS as f64 {
            self.width_s *= 2.0;
            for bins in &mut self.amounts {
                *bins = bins
                    .chunks(2)
                    .map(|pair| pair.iter().fold(0.0, |sum, amount| sum + amount))
                    .collect();
            }
        }
        let bins = &mut self.amounts[thing];
        let (first, last) = ((from / self.width_s) as usize, (to / self.width_s) as usize);
        if bins.len() <= last {
            bins.resize(last + 1, 0.0);
        }
        for (bin, amount) in bins.iter_mut().enumerate().take(last + 1).skip(first) {
            let start = bin as f64 * self.width_s;
            *amount += rate * (to.min(start + self.width_s) - from.max(start)).max(0.0);
        }
    }

    /// All of a thing's amount.
    pub fn total(&self, thing: usize) -> f64 {
        self.amounts[thing].iter().fold(0.0, |sum, amount| sum + amount)
    }

    /// A thing's mean rate in each bin: the middle of the bin in seconds, and the rate.
    pub fn rates(&self, thing: usize) -> Vec<(f64, f64)> {
        let middle = |bin: usize| (bin as f64 + 0.5) * self.width_s;
        self.amounts[thing]
            .iter()
            .enumerate()
            .map(|(bin, amount)| (middle(bin), amount / self.width_s))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_bins_are_joined() {
        let mut meter = Meter::new(2);
        let mut expected = 0.0;
        let mut since = SimTime::ZERO;
        for (until, rate) in [(3.05, 5e6), (39.99, 2e6), (500.0, 7e6), (90_000.0, 1e6)] {
            let at = SimTime::from_secs_f64(until);
            meter.add(1, rate, since, at);
            expected += rate * (at - since).as_secs_f64();
            since = at;
        }
        assert!((meter.total(1) / expected - 1.0).abs() < 1e-9, "{}", meter.total(1));
        assert!(meter.amounts[1].len() <= MOST_BINS + 1 && meter.total(0) == 0.0);
        let spread: f64 = meter.rates(1).iter().map(|(_, rate)| rate * meter.width_s).sum();
        assert!((spread / expected - 1.0).abs() < 1e-9);
    }
}
