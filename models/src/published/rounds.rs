//! The models that sum up rounds.

use super::{Inputs, Prediction};
use crate::units::PAGE_BYTES;

/// Xen stops when a round dirtied fewer pages than this (as Akoush et al. give it; from memory).
const XEN_LAST_PAGES: f64 = 50.0;
/// Xen stops after so many rounds (likewise).
const XEN_ROUNDS: usize = 29;
/// Xen stops when it has sent so many times the memory (likewise).
const XEN_FACTOR: f64 = 3.0;
/// Seconds for the guest to resume; Liu et al. call it T_resume and take it as constant (from memory: about 20 ms on Xen).
const RESUME_S: f64 = 0.020;

/// Liu, Jin, Xu, Liao: "Performance and energy modeling for live migration of virtual machines", HPDC 2011 (from memory).
///
/// V_0 = M, V_i = D T_(i-1), T_i = V_i / R; total (M/R) (1 - λ^(n+1)) / (1 - λ) with λ = D / R and
/// n = ceil(log_λ(V_threshold / M)); downtime V_threshold λ / R + T_resume. The threshold is R times the downtime limit.
pub(super) fn liu(inputs: &Inputs) -> Prediction {
    geometric(inputs, inputs.dirty_rate(), None)
}

/// The same, refined: what a writable working set holds is written again in every round and skipped until the last (from memory).
///
/// V_(i+1) = D T_i - W_(i+1), W = γ D T_i, with γ taken as the share of the writes that fall on pages dirtied already in that time.
pub(super) fn liu_wws(inputs: &Inputs) -> Prediction {
    let bandwidth = inputs.bandwidth;
    let threshold = bandwidth * inputs.downtime_limit;
    let rate = inputs.dirty_rate();
    if rate <= 0.0 {
        return liu(inputs);
    }
    let (mut time, mut total) = (inputs.memory / bandwidth, 0.0);
    for _ in 0..10_000 {
        total += time;
        let written = rate * time;
        let skipped = (written - inputs.dirtied(time)).max(0.0);
        let left = written - skipped;
        if left <= threshold {
            let downtime = left / bandwidth + RESUME_S;
            return Prediction::new(total + downtime, Some(downtime));
        }
        if left >= time * bandwidth {
            return Prediction::DIVERGES;
        }
        time = left / bandwidth;
    }
    Prediction::DIVERGES
}

/// Strunk: "Costs of virtual machine live migration: a survey", 2012 (from memory): the same series, bounded by the number of rounds (30).
pub(super) fn strunk(inputs: &Inputs) -> Prediction {
    geometric(inputs, inputs.dirty_rate(), Some(30))
}

/// The geometric series over rounds; with `most` rounds it ends there whatever is left.
fn geometric(inputs: &Inputs, rate: f64, most: Option<u32>) -> Prediction {
    let (memory, bandwidth) = (inputs.memory, inputs.bandwidth);
    let threshold = bandwidth * inputs.downtime_limit;
    let pass = memory / bandwidth;
    let lambda = rate / bandwidth;
    if lambda == 0.0 || memory <= threshold {
        return Prediction::new(pass, Some(RESUME_S));
    }
    let wanted =
        if lambda < 1.0 { libm::ceil(libm::log(threshold / memory) / libm::log(lambda)) } else { f64::INFINITY };
    let rounds = match most {
        Some(most) => wanted.min(f64::from(most)),
        None => wanted,
    };
    if !rounds.is_finite() {
        return Prediction::DIVERGES;
    }
    let sum = if (lambda - 1.0).abs() < 1e-12 {
        rounds + 1.0
    } else {
        (1.0 - libm::pow(lambda, rounds + 1.0)) / (1.0 - lambda)
    };
    let left = if rounds < wanted { memory * libm::pow(lambda, rounds) } else { threshold };
    Prediction::new(pass * sum, Some(left * lambda / bandwidth + RESUME_S))
}

/// Akoush, Sohan, Rice, Moore, Hopper: "Predicting the performance of virtual machine migration", MASCOTS 2010, model AVG (from memory).
///
/// Rounds with a constant average dirty rate, ended by Xen's rules.
pub(super) fn akoush_avg(inputs: &Inputs) -> Prediction {
    let rate = inputs.dirty_rate();
    xen_rounds(inputs, |seconds| (rate * seconds).min(inputs.working_set))
}

/// The same paper's model HIST: rounds that replay the recorded number of dirty pages for each span of time (from memory).
pub(super) fn akoush_hist(inputs: &Inputs) -> Prediction {
    xen_rounds(inputs, |seconds| inputs.dirtied(seconds))
}

fn xen_rounds(inputs: &Inputs, dirtied: impl Fn(f64) -> f64) -> Prediction {
    let bandwidth = inputs.bandwidth;
    let (mut left, mut sent, mut total) = (inputs.memory, 0.0, 0.0);
    for _ in 0..XEN_ROUNDS {
        let time = left / bandwidth;
        total += time;
        sent += left;
        left = dirtied(time).min(inputs.memory);
        if left < XEN_LAST_PAGES * PAGE_BYTES as f64 || sent > XEN_FACTOR * inputs.memory {
            break;
        }
    }
    let downtime = left / bandwidth;
    Prediction::new(total + downtime, Some(downtime))
}

/// The bounds of Akoush et al. (from memory), with an overhead in seconds: the least and the most total time, and the same for the downtime.
///
/// overhead + M/R <= TMT <= overhead + (5 M - 1 page)/R; overhead <= downtime <= overhead + M/R.
pub fn akoush_bounds(inputs: &Inputs, overhead: f64) -> [(f64, f64); 2] {
    let pass = inputs.memory / inputs.bandwidth;
    let most = (5.0 * inputs.memory - PAGE_BYTES as f64) / inputs.bandwidth;
    [(overhead + pass, overhead + most), (overhead, overhead + pass)]
}

/// Hines and Gopalan: "Post-copy based live virtual machine migration", VEE 2009 (from memory).
///
/// Downtime = stop + device state / R + load; eviction = prepare + downtime + (M - free) / R. The device state is taken as 100 KiB, the
/// fixed times as zero: the paper measures them.
pub(super) fn hines_gopalan(inputs: &Inputs) -> Prediction {
    let downtime = 100.0 * 1024.0 / inputs.bandwidth + inputs.rtt;
    Prediction::new(downtime + inputs.touched / inputs.bandwidth, Some(downtime))
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use super::*;

    fn inputs(workload: &Workload) -> Inputs<'_> {
        Inputs {
            memory: 1e9,
            touched: 1e9,
            bandwidth: 1e8,
            working_set: workload.working_set().bytes().as_f64(),
            downtime_limit: 0.1,
            rtt: 0.001,
            workload,
        }
    }

    #[test]
    fn the_geometric_series_is_the_sum_of_its_rounds() {
        let workload: Workload = "sweep(wss=200000p, rate=5000p/s)".parse().unwrap();
        let inputs = inputs(&workload);
        let lambda = inputs.dirty_rate() / inputs.bandwidth;
        let (mut sum, mut round, mut left) = (0.0, 10.0, 1e9);
        while left > 1e7 {
            sum += round;
            left *= lambda;
            round *= lambda;
        }
        let got = liu(&inputs).tmt_s.unwrap();
        assert!((got - sum - round).abs() < 1e-6, "{got}, not {}", sum + round);
    }

    #[test]
    fn a_rate_above_the_bandwidth_diverges_or_meets_a_bound_of_rounds() {
        let workload: Workload = "sweep(wss=200000p, rate=50000p/s)".parse().unwrap();
        let inputs = inputs(&workload);
        assert!(!liu(&inputs).converges && !liu_wws(&inputs).converges);
        assert!(strunk(&inputs).converges && akoush_avg(&inputs).converges);
        let bounds = akoush_bounds(&inputs, 0.0);
        let tmt = akoush_avg(&inputs).tmt_s.unwrap();
        assert!((bounds[0].0..=bounds[0].1).contains(&tmt), "{tmt} outside {bounds:?}");
    }

    #[test]
    fn an_idle_guest_takes_one_pass() {
        let workload = Workload::idle();
        for model in MODELS.iter().filter(|m| m.name != "cloudsim") {
            let got = (model.predict)(&inputs(&workload));
            assert!(got.converges && (got.tmt_s.unwrap() - 10.0).abs() < 0.1, "{}: {got:?}", model.name);
        }
    }
}
