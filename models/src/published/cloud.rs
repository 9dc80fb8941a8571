//! The models of cloud simulators and planners.

use super::{Inputs, Prediction};

/// CloudSim (read): half of the bandwidth is set aside for migration, so M / (R/2); no rounds, no downtime.
pub(super) fn cloudsim(inputs: &Inputs) -> Prediction {
    Prediction::new(inputs.memory / (inputs.bandwidth / 2.0), None)
}

/// DSLab (read): M / R; no rounds, no downtime.
pub(super) fn dslab(inputs: &Inputs) -> Prediction {
    Prediction::new(inputs.memory / inputs.bandwidth, None)
}

/// DISSECT-CF (read): at most 5 rounds, each of what was dirtied in the one before; below 256 KiB, or after the last, stop and copy.
pub(super) fn dissect_cf(inputs: &Inputs) -> Prediction {
    const ROUNDS: usize = 5;
    const THRESHOLD: f64 = 256.0 * 1024.0;
    let (mut left, mut total) = (inputs.memory, 0.0);
    for _ in 0..ROUNDS {
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

/// SimGrid 4.1, `src/plugins/vm/VmLiveMigration.cpp` (read).
///
/// Stage 1 sends all memory. While what was dirtied in the stage before, min(D t, working set), is above R times the longest downtime
/// (30 ms there; here the downtime limit), it is sent as a stage of its own. The rest is sent with the guest stopped. No overheads.
pub(super) fn simgrid(inputs: &Inputs) -> Prediction {
    /// More stages than any case that gets anywhere: SimGrid itself has no bound.
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

/// BtrPlace, `CNetwork.java` (read): a hot set H written within h seconds, then a cold rate c.
///
/// T = M/R + (H + (M/R - h) c) / (R - c) + (H/R) (H/h) / (R - H/h). Its inputs are measured there; here H is what is dirtied
/// in h = 2 s (the span its authors measure over is not known to us) and c the mean rate from there to the end of the first pass.
pub(super) fn btrplace(inputs: &Inputs) -> Prediction {
    let bandwidth = inputs.bandwidth;
    let pass = inputs.memory / bandwidth;
    let h = 2.0_f64.min(pass);
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

    #[test]
    fn the_simplest_models_are_memory_over_bandwidth() {
        let workload = Workload::idle();
        let inputs = Inputs {
            memory: 1e9,
            touched: 5e8,
            bandwidth: 1e8,
            working_set: 0.0,
            downtime_limit: 0.3,
            rtt: 0.0,
            workload: &workload,
        };
        for (name, tmt) in
            [("cloudsim", 20.0), ("dslab", 10.0), ("dissect-cf", 10.0), ("simgrid", 10.0), ("btrplace", 10.0)]
        {
            let got = (model(name).unwrap().predict)(&inputs);
            assert_eq!((got.converges, got.tmt_s), (true, Some(tmt)), "{name}");
        }
    }
}
