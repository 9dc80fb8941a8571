//! What each mechanism of the model buys: plain pre-copy runs predicted without it, all parameters
//! as they were fitted with it, and by a textbook loop with the same constants.
//!
//! `cargo run --release -p migcal --example ablation -- RUNS.csv...`
#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::fs::File;

use migcal::validate::{Figures, figures, is_plain};
use migsim::engine::{DirtyLog, Fidelity, Outcome};
use migsim::input::Case;
use migsim::record::{Observation, RowPrediction, observations};
use migsim_models::profile::{Param, Profile};
use migsim_models::qemu::{NORMAL_PAGE_WIRE, ZERO_PAGE_WIRE};
use migsim_models::units::{BitRate, Bytes, PAGE_BYTES, PageRate, SimTime};

type Predict = fn(&Case, &Profile) -> RowPrediction;

/// A mechanism and the prediction without it.
const CONTESTANTS: [(&str, Predict); 9] = [
    ("all of it", |case, profile| of(&RowPrediction::of(case, profile, Fidelity::Flow))),
    ("without what is left below the threshold: each iteration sends all", without_carry),
    ("without chunks of the dirty log: a sync clears all", |case, profile| {
        let case = Case { dirty_log: DirtyLog::Eager, ..case.clone() };
        of(&RowPrediction::of(&case, profile, Fidelity::Flow))
    }),
    (
        "without bytes in flight, and so without QEMU's sleep before a full socket",
        |case, profile| {
            changed(case, profile, |hosts| {
                hosts.network.queue_fixed = Param::exact(Bytes(0));
                hosts.network.queue_time = Param::exact(SimTime::ZERO);
            })
        },
    ),
    ("without the time that zero pages take", |case, profile| {
        changed(case, profile, |hosts| {
            hosts.cpu.zero_page_rate = Param::exact(PageRate::new(1e12).unwrap_or_default());
        })
    }),
    ("without the time of a sync and an iteration", |case, profile| {
        changed(case, profile, |hosts| {
            hosts.software.round = Param::exact(SimTime::ZERO);
            hosts.software.sync_per_gib = Param::exact(SimTime::ZERO);
        })
    }),
    ("without a bound on what a vCPU writes", |case, profile| {
        changed(case, profile, |hosts| {
            hosts.cpu.writer_rate = Param::exact(PageRate::new(1e9).unwrap_or_default());
        })
    }),
    ("without the firmware behind the RAM", |case, profile| {
        changed(case, profile, |hosts| {
            hosts.guest.firmware_pages = Param::exact(0);
            hosts.guest.firmware_zero_pages = Param::exact(0);
        })
    }),
    ("a textbook loop with the same constants", textbook),
];

fn of(prediction: &RowPrediction) -> RowPrediction {
    RowPrediction {
        completed: prediction.completed,
        elapsed_ms: prediction.elapsed_ms,
        downtime_ms: prediction.downtime_ms,
        dirty_syncs: prediction.dirty_syncs,
        ..RowPrediction::default()
    }
}

fn changed(case: &Case, profile: &Profile, change: fn(&mut Profile)) -> RowPrediction {
    let mut hosts = profile.clone();
    change(&mut hosts);
    of(&RowPrediction::of(case, &hosts, Fidelity::Flow))
}

/// Stops where what was dirtied in the iteration goes over within the downtime limit.
fn without_carry(case: &Case, profile: &Profile) -> RowPrediction {
    let question = case.question(profile);
    let limit = case.policy.downtime_limit.as_secs_f64();
    let outcome: Outcome =
        question.run(question.flow(case.guest.phase_offset.unwrap_or_default()).stopping_when(
            move |look| look.pending_pages * PAGE_BYTES as f64 <= look.bytes_per_s * limit,
        ));
    of(&RowPrediction::of_run(&outcome))
}

/// Iterations at the link's rate over what the last one left, which is what a guest dirties in its
/// time from a clean log on; the stop when that goes over within the downtime limit.
fn textbook(case: &Case, profile: &Profile) -> RowPrediction {
    let link = case.path.capacity.bytes_per_s() * profile.share(case.path.transport);
    let cap = case.policy.bandwidth_cap.map_or(f64::INFINITY, BitRate::bytes_per_s);
    let rate = link.min(cap);
    let guest = &case.guest;
    let classes = profile.classes_of(guest);
    let zero = (guest.memory.0 - guest.touched.0) as f64;
    let mut bytes = guest.touched.0 as f64 * NORMAL_PAGE_WIRE + zero * ZERO_PAGE_WIRE;
    let (mut elapsed, mut syncs) = (profile.software.prepare.value.as_secs_f64(), 1.0);
    while bytes > rate * case.policy.downtime_limit.as_secs_f64() {
        let seconds = bytes / rate;
        elapsed += seconds;
        syncs += 1.0;
        if syncs > 100.0 {
            return RowPrediction::default();
        }
        let dirtied: f64 = classes.iter().map(|class| class.newly_dirty(0.0, seconds)).sum();
        bytes = dirtied * NORMAL_PAGE_WIRE;
    }
    let s = &profile.switchover;
    let fixed = [&s.stop, &s.flush, &s.device_state, &s.destination_load, &s.control]
        .map(|param| param.value.as_secs_f64());
    let down = bytes / rate + fixed.iter().sum::<f64>();
    RowPrediction {
        completed: true,
        elapsed_ms: Some((elapsed + down) * 1e3),
        downtime_ms: Some(down * 1e3),
        dirty_syncs: Some(syncs + 1.0),
        ..RowPrediction::default()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut runs: Vec<Observation> = Vec::new();
    for file in std::env::args().skip(1) {
        runs.extend(observations(&file, File::open(&file)?)?.0);
    }
    runs.retain(|run| is_plain(run) && !run.disturbed);
    let profile = Profile::default();
    println!(
        "| {} runs of plain pre-copy | total time: p50 p90 | downtime, ms: p50 p90 | dirty syncs: exact | false completed, false not-converged |",
        runs.len()
    );
    println!("| --- | --: | --: | --: | --: |");
    for (name, predict) in CONTESTANTS {
        let pairs: Vec<(&Observation, RowPrediction)> =
            runs.iter().map(|run| (run, predict(&run.case, &profile))).collect();
        println!("{}", row(name, &figures(&pairs)));
    }
    Ok(())
}

fn row(name: &str, found: &Figures) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let elapsed = found
        .elapsed
        .map_or("-".to_owned(), |e| format!("{} {}", percent(e.median_rel), percent(e.p90_rel)));
    let downtime = found
        .downtime
        .map_or("-".to_owned(), |d| format!("{:.0} {:.0}", d.median_abs_ms, d.p90_abs_ms));
    let syncs = found.rounds.map_or("-".to_owned(), |r| percent(r.exact_share));
    let wrong = format!("{} {}", found.outcome.false_completed, found.outcome.false_not_converged);
    format!("| {name} | {elapsed} | {downtime} | {syncs} | {wrong} |")
}
