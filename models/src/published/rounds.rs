//! The models that sum up rounds.

use super::{Inputs, Known, Model, Prediction};
use crate::spec::Mode;
use crate::units::PAGE_BYTES;

pub(super) const LIU: Model = Model {
    name: "liu",
    reference: "Liu, Xu, Jin, Gong, Liao: Performance and energy modeling for live migration of virtual machines, HPDC 2011",
    doi: Some("10.1145/1996130.1996154"),
    formula: "total = M/R (1 - λ^(n+1)) / (1 - λ) with n = ceil(log_λ(R L / M)), downtime = L λ + T_r; λ >= 1: none",
    known: Known::FromMemory,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: liu,
};

pub(super) const LIU_WWS: Model = Model {
    name: "liu-wws",
    reference: "the second model of that paper, which holds the writable working set back until the last round; how much is fitted there, and what is written more than once here",
    doi: Some("10.1145/1996130.1996154"),
    formula: "V_(i+1) = min(D T_i, D(T_i)), stops at V_i <= R L or when a round grows, and sends D(T) of the last; total = sum of T_i, downtime = the last T_i + T_r",
    known: Known::FromMemory,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: liu_wws,
};

pub(super) const STRUNK: Model = Model {
    name: "strunk",
    reference: "after Strunk: Costs of virtual machine live migration: a survey, SERVICES 2012, which has the bounds: (n + 1) M/R for the total, M/R for the downtime",
    doi: Some("10.1109/SERVICES.2012.23"),
    formula: "V_(i+1) = min(M, λ V_i), stops at V_i <= R L or i = 30; total = sum of T_i, downtime = the last T_i + T_r",
    known: Known::FromMemory,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: strunk,
};

pub(super) const AKOUSH_AVG: Model = Model {
    name: "akoush-avg",
    reference: "Akoush, Sohan, Rice, Moore, Hopper: Predicting the performance of virtual machine migration, MASCOTS 2010, model AVG; Xen's stop rules as read in its xc_domain_save.c",
    doi: Some("10.1109/MASCOTS.2010.13"),
    formula: "V_(i+1) = min(M, D T_i), stops at V_i < 50 pages, i = 29 or sum of V_i > 3 M; total = sum of T_i, downtime = the last T_i",
    known: Known::FromMemory,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: akoush_avg,
};

pub(super) const AKOUSH_HIST: Model = Model {
    name: "akoush-hist",
    reference: "the model HIST of that paper, with recorded dirty pages",
    formula: "V_(i+1) = min(M, D(T_i)), else as akoush-avg",
    predict: akoush_hist,
    ..AKOUSH_AVG
};

pub(super) const HINES_GOPALAN: Model = Model {
    name: "hines-gopalan",
    reference: "Hines, Gopalan: Post-copy based live virtual machine migration using adaptive pre-paging and dynamic self-ballooning, VEE 2009; 100 KiB of state and a round trip stand for the fixed times that it measures",
    doi: Some("10.1145/1508293.1508301"),
    formula: "U = what is not zero; downtime = 100 KiB / R + a round trip, total = downtime + U/R: each page once",
    known: Known::FromMemory,
    mode: Mode::Postcopy,
    counts_zero_pages: false,
    predict: hines_gopalan,
};

/// Xen stops when a round dirtied fewer pages than this (`tools/libxc/xc_domain_save.c`, which
/// tests a round later) ...
const XEN_LAST_PAGES: f64 = 50.0;
/// ... after so many iterations (`DEF_MAX_ITERS`) ...
const XEN_ROUNDS: usize = 29;
/// ... or when it has sent more than so many times the memory (`DEF_MAX_FACTOR`).
const XEN_FACTOR: f64 = 3.0;
/// T_r: Liu et al. take it as constant, about 20 ms on Xen.
const RESUME_S: f64 = 0.020;
/// No bound of the refined model's rounds is known.
const LIU_ROUNDS: usize = 10_000;
const STRUNK_ROUNDS: usize = 30;

fn liu(inputs: &Inputs) -> Prediction {
    let (memory, bandwidth) = (inputs.memory, inputs.bandwidth);
    let threshold = bandwidth * inputs.downtime_limit;
    let pass = memory / bandwidth;
    let lambda = inputs.dirty_rate() / bandwidth;
    if lambda == 0.0 {
        return Prediction::new(pass, Some(RESUME_S));
    }
    if memory <= threshold {
        return Prediction::new(pass, Some(pass + RESUME_S));
    }
    if lambda >= 1.0 || threshold <= 0.0 {
        return Prediction::DIVERGES;
    }
    let rounds = libm::ceil(libm::log(threshold / memory) / libm::log(lambda));
    let sum = (1.0 - libm::pow(lambda, rounds + 1.0)) / (1.0 - lambda);
    Prediction::new(pass * sum, Some(inputs.downtime_limit * lambda + RESUME_S))
}

fn liu_wws(inputs: &Inputs) -> Prediction {
    let bandwidth = inputs.bandwidth;
    let threshold = bandwidth * inputs.downtime_limit;
    let rate = inputs.dirty_rate();
    let (mut round, mut total, mut last) = (inputs.memory, 0.0, 0.0);
    for _ in 0..LIU_ROUNDS {
        let time = round / bandwidth;
        total += time;
        let dirtied = inputs.dirtied(time);
        last = dirtied.min(inputs.memory) / bandwidth;
        let left = (rate * time).min(dirtied);
        if left <= threshold || left > round {
            break;
        }
        round = left;
    }
    Prediction::new(total + last, Some(last + RESUME_S))
}

fn strunk(inputs: &Inputs) -> Prediction {
    let (memory, bandwidth) = (inputs.memory, inputs.bandwidth);
    let lambda = inputs.dirty_rate() / bandwidth;
    let (mut round, mut total) = (memory, 0.0);
    for _ in 0..STRUNK_ROUNDS {
        if round <= bandwidth * inputs.downtime_limit {
            break;
        }
        total += round / bandwidth;
        round = (lambda * round).min(memory);
    }
    let last = round / bandwidth;
    Prediction::new(total + last, Some(last + RESUME_S))
}

fn akoush_avg(inputs: &Inputs) -> Prediction {
    let rate = inputs.dirty_rate();
    xen_rounds(inputs, |seconds| rate * seconds)
}

fn akoush_hist(inputs: &Inputs) -> Prediction {
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

/// The bounds of Akoush et al. (from memory), with the overheads before and after the migration in
/// seconds: the least and the most total time, and the same for the downtime.
///
/// before + after + M/R <= total <= before + after + (5 M - 1 page)/R; after <= downtime <= after +
/// M/R.
pub fn akoush_bounds(inputs: &Inputs, before: f64, after: f64) -> [(f64, f64); 2] {
    let pass = inputs.memory / inputs.bandwidth;
    let most = (5.0 * inputs.memory - PAGE_BYTES as f64) / inputs.bandwidth;
    [(before + after + pass, before + after + most), (after, after + pass)]
}

fn hines_gopalan(inputs: &Inputs) -> Prediction {
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
    fn a_rate_above_the_bandwidth_diverges_or_meets_a_bound_of_iterations() {
        let workload: Workload = "sweep(wss=200000p, rate=50000p/s)".parse().unwrap();
        let inputs = inputs(&workload);
        assert!(!liu(&inputs).converges);
        assert!(
            strunk(&inputs).converges
                && akoush_avg(&inputs).converges
                && liu_wws(&inputs).converges
        );
        let bounds = akoush_bounds(&inputs, 0.0, 0.0);
        let tmt = akoush_avg(&inputs).tmt_s.unwrap();
        // Xen goes on at exactly three times the memory; the paper's bound is a page below what
        // comes of that.
        let page_s = PAGE_BYTES as f64 / inputs.bandwidth;
        assert!((bounds[0].0..=bounds[0].1 + page_s).contains(&tmt), "{tmt} outside {bounds:?}");
    }

    #[test]
    fn bounded_rounds_are_never_above_the_memory_each() {
        for rate in [100, 5_000, 20_000, 24_000, 50_000, 1_000_000] {
            let workload: Workload = format!("sweep(wss=200000p, rate={rate}p/s)").parse().unwrap();
            let inputs = inputs(&workload);
            let (got, pass) = (strunk(&inputs), inputs.memory / inputs.bandwidth);
            assert!(got.tmt_s.unwrap() <= 31.0 * pass + 1e-9, "{rate}: {got:?}");
            assert!(got.downtime_s.unwrap() <= pass + RESUME_S, "{rate}: {got:?}");
        }
    }

    #[test]
    fn the_refined_model_sends_in_its_last_round_all_that_is_dirty() {
        let workload: Workload = "sweep(wss=200000p, rate=50000p/s)".parse().unwrap();
        let got = liu_wws(&inputs(&workload));
        // No round after the first is below the working set of 819 MB, so the last is all of it.
        assert!((got.downtime_s.unwrap() - 8.192 - RESUME_S).abs() < 1e-3, "{got:?}");
    }

    #[test]
    fn an_idle_guest_takes_one_pass() {
        let workload = Workload::idle();
        for model in MODELS.iter().filter(|m| m.name != "cloudsim") {
            let got = (model.predict)(&inputs(&workload));
            assert!(
                got.converges && (got.tmt_s.unwrap() - 10.0).abs() < 0.1,
                "{}: {got:?}",
                model.name
            );
        }
    }
}
