//! The models of cloud simulators and planners.

use super::{Inputs, Known, Model, Prediction};
use crate::spec::Mode;

pub(super) const CLOUDSIM: Model = Model {
    name: "cloudsim",
    reference: "Calheiros, Ranjan, Beloglazov, De Rose, Buyya: CloudSim, Software: Practice and Experience 41(1), 2011; power/PowerDatacenter.java",
    doi: Some("10.1002/spe.995"),
    formula: "total = M / (R/2); no rounds, no downtime",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: cloudsim,
};

pub(super) const DSLAB: Model = Model {
    name: "dslab",
    reference: "Sukhoroslov and others: DSLab IaaS, host_manager.rs, 2024; its fixed second to start the guest is left out",
    doi: None,
    formula: "total = M / R; no rounds, no downtime",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: dslab,
};

pub(super) const DISSECT_CF: Model = Model {
    name: "dissect-cf",
    reference: "Kecskemeti: DISSECT-CF, Simulation Modelling Practice and Theory, 2015; iaas/VirtualMachine.java; D(t) stands for its tasks' linear rates",
    doi: Some("10.1016/j.simpat.2015.05.009"),
    formula: "V_(i+1) = min(M, D(T_i)), stops at V_i < 256 KiB or i = 6; total = sum of T_i, downtime = the last T_i",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: dissect_cf,
};

pub(super) const SIMGRID: Model = Model {
    name: "simgrid",
    reference: "Hirofuchi, Lebre, Pouilloux: SimGrid VM, IEEE Transactions on Cloud Computing 6(1), 2018; VmLiveMigration.cpp of SimGrid 4.1",
    doi: Some("10.1109/TCC.2015.2481422"),
    formula: "V_(i+1) = min(W, D T_i), stops at V_i <= R L (L is 30 ms there); total = sum of T_i, downtime = the last T_i",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: simgrid,
};

pub(super) const BTRPLACE: Model = Model {
    name: "btrplace",
    reference: "Kherbache, Madelaine, Hermenier: Scheduling Live Migration of Virtual Machines, IEEE Transactions on Cloud Computing 8(1), 2020; CNetwork.java",
    doi: Some("10.1109/TCC.2017.2754279"),
    formula: "U = what is not zero, H = D(h), h = 2 s, c = the mean rate from h to U/R; total = U/R + (H + (U/R - h) c) / (R - c) + (H/R) (H/h) / (R - H/h); no downtime",
    known: Known::FromCode,
    mode: Mode::Precopy,
    counts_zero_pages: false,
    predict: btrplace,
};

/// Half of the bandwidth is set aside for migration.
fn cloudsim(inputs: &Inputs) -> Prediction {
    Prediction::new(inputs.memory / (inputs.bandwidth / 2.0), None)
}

fn dslab(inputs: &Inputs) -> Prediction {
    Prediction::new(inputs.memory / inputs.bandwidth, None)
}

/// The memory and at most five rounds of what was dirtied in the one before; below 256 KiB, or
/// after the last, stop and copy.
fn dissect_cf(inputs: &Inputs) -> Prediction {
    const SENT_LIVE: usize = 1 + 5;
    const THRESHOLD: f64 = 256.0 * 1024.0;
    let (mut left, mut total) = (inputs.memory, 0.0);
    for _ in 0..SENT_LIVE {
        let time = left / inputs.bandwidth;
        total += time;
        left = inputs.dirtied(time).min(inputs.memory);
        if left < THRESHOLD {
            break;
        }
    }
    let downtime = left / inputs.bandwidth;
    Prediction::new(total + downtime, Some(downtime))
}

/// Stage 1 sends all memory. While what was dirtied in the stage before is above R times the
/// longest downtime, it is sent as a stage of its own. The rest is sent with the guest stopped.
fn simgrid(inputs: &Inputs) -> Prediction {
    /// More stages than any case that gets anywhere; SimGrid goes on for 10,000,000 s, 115 days.
    const MOST_STAGES: usize = 100_000;
    let (rate, bandwidth) = (inputs.dirty_rate(), inputs.bandwidth);
    let threshold = bandwidth * inputs.downtime_limit;
    let mut time = inputs.memory / bandwidth;
    let mut total = time;
    for _ in 0..MOST_STAGES {
        let left = (rate * time).min(inputs.working_set);
        time = left / bandwidth;
        total += time;
        if left <= threshold {
            return Prediction::new(total, Some(time));
        }
    }
    Prediction::DIVERGES
}

/// A hot set H written within h seconds, then a cold rate c. Its authors measure H, h and c, count
/// what is resident, and take 8/9 of the link for R; h is 2 s there by default.
fn btrplace(inputs: &Inputs) -> Prediction {
    let bandwidth = inputs.bandwidth;
    let pass = inputs.touched / bandwidth;
    let h = 2.0_f64.min(pass);
    if h <= 0.0 {
        return Prediction::new(pass, None);
    }
    let hot = inputs.dirtied(h);
    let cold = if pass > h { (inputs.dirtied(pass) - hot) / (pass - h) } else { 0.0 };
    let hot_rate = hot / h;
    if cold >= bandwidth || hot_rate >= bandwidth {
        return Prediction::DIVERGES;
    }
    let cold_part = (hot + (pass - h) * cold) / (bandwidth - cold);
    let hot_part = hot / bandwidth * hot_rate / (bandwidth - hot_rate);
    Prediction::new(pass + cold_part + hot_part, None)
}

#[cfg(test)]
mod tests {
    use super::super::*;

    fn inputs(workload: &Workload) -> Inputs<'_> {
        Inputs {
            memory: 1e9,
            touched: 5e8,
            bandwidth: 1e8,
            working_set: workload.working_set().bytes().as_f64(),
            downtime_limit: 0.3,
            rtt: 0.0,
            workload,
        }
    }

    #[test]
    fn the_simplest_models_are_memory_over_bandwidth() {
        let workload = Workload::idle();
        for (name, tmt) in [
            ("cloudsim", 20.0),
            ("dslab", 10.0),
            ("dissect-cf", 10.0),
            ("simgrid", 10.0),
            ("btrplace", 5.0),
        ] {
            let got = (model(name).unwrap().predict)(&inputs(&workload));
            assert_eq!((got.converges, got.tmt_s), (true, Some(tmt)), "{name}");
        }
    }

    #[test]
    fn dissect_cf_sends_the_memory_and_five_rounds_before_it_stops() {
        // All memory is dirtied in every round: six are sent live and a seventh stopped.
        let workload: Workload = "sweep(wss=244140p, rate=1000000p/s)".parse().unwrap();
        let got = (model("dissect-cf").unwrap().predict)(&inputs(&workload));
        assert!((got.tmt_s.unwrap() - 70.0).abs() < 1e-3, "{got:?}");
        assert!((got.downtime_s.unwrap() - 10.0).abs() < 1e-3, "{got:?}");
    }
}
