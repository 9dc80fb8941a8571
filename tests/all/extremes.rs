//! Where other simulators fall over.

use migsim::engine::{Bottleneck, Ending, Fidelity, Outcome, Patience};
use migsim_models::profile::Profile;
use migsim_models::qemu::AutoConverge;
use migsim_models::spec::{Mode, OnTimeout, Switch};
use migsim_models::units::{BitRate, Pages, SimTime};

use crate::support::{answer, case};

fn seconds(outcome: &Outcome) -> f64 {
    outcome.tmt().unwrap().as_secs_f64()
}

#[test]
fn an_idle_guest_on_a_link_without_delay_takes_one_pass_and_three_syncs() {
    let mut case = case("1GiB", "512MiB", "idle", "1Gbit/s");
    case.path.rtt = SimTime::ZERO;
    let outcome = answer(&case);
    assert_eq!((outcome.ending, outcome.dirty_syncs), (Ending::Completed, 3));
    assert_eq!(outcome.normal_pages, 131_072 + 113);
}

#[test]
fn a_guest_moved_there_and_back_goes_on_where_its_phase_was() {
    let mut there = case(
        "1GiB",
        "512MiB",
        "phase(on=1s, off=1500ms, uniform(wss=256MiB, rate=12000p/s))",
        "1Gbit/s",
    );
    there.guest.phase_offset = Some(SimTime::ZERO);
    let first = answer(&there);
    let mut back = there.clone();
    back.guest.phase_offset = Some(SimTime(first.ended_at.0 % 2_500_000_000));
    let second = answer(&back);
    assert!(first.completed() && second.completed());
    assert_ne!(first.iterations, second.iterations, "it starts in another part of its phase");
    // A whole number of phases later everything is as it was.
    back.guest.phase_offset = Some(SimTime::from_secs(10));
    assert_eq!(answer(&back), first);
}

#[test]
fn a_dirty_rate_just_under_the_links_converges_and_one_just_over_does_not() {
    // A sweep dirties at a constant rate: with no overheads the border is the link's own rate.
    let profile = Profile::ideal();
    let link_pages = 125e6 / 4104.0;
    for (factor, ending) in [(0.97, Ending::Completed), (1.03, Ending::NoProgress)] {
        let workload = format!("sweep(wss=900MiB, rate={}p/s)", link_pages * factor);
        let case = case("1GiB", "1GiB", &workload, "1Gbit/s");
        let outcome = case.question(&profile).answer(Fidelity::Flow, SimTime::ZERO);
        assert_eq!(outcome.ending, ending, "at {factor} of the link");
    }
}

#[test]
fn a_guest_that_never_converges_is_an_answer_with_terms_and_rounds() {
    let outcome = answer(&case("4GiB", "4GiB", "uniform(wss=2GiB, rate=200000p/s)", "1Gbit/s"));
    assert_eq!(
        (outcome.ending, outcome.tmt(), outcome.downtime()),
        (Ending::NoProgress, None, None)
    );
    assert!(outcome.terms.ti > SimTime::ZERO && outcome.iterations.len() > 40);
    assert_eq!(outcome.terms.tmt(), outcome.ended_at);
}

#[test]
fn a_guest_of_one_page_is_moved_in_every_mode() {
    for mode in [Mode::Precopy, Mode::Postcopy, Mode::Paused, Mode::Offline] {
        let mut case = case("4KiB", "4KiB", "uniform(wss=1p, rate=100000p/s)", "1Gbit/s");
        case.policy.mode = mode;
        let outcome = answer(&case);
        assert!(outcome.completed(), "{mode}");
        assert!(
            outcome.normal_pages >= 114 && outcome.normal_pages < 120,
            "{mode}: {}",
            outcome.normal_pages
        );
    }
}

#[test]
fn a_guest_of_12_tib_is_moved_with_every_chunk_of_its_log() {
    let case = case("12TiB", "10TiB", "uniform(wss=1TiB, rate=1000p/s)", "100Gbit/s");
    let outcome = answer(&case);
    assert!(outcome.completed());
    let pages = Pages(10 << 28).as_f64();
    assert!(outcome.normal_pages as f64 > pages && seconds(&outcome) > pages * 4104.0 / 12.5e9);
}

#[test]
fn a_workload_faster_than_any_processor_is_held_to_what_a_processor_writes() {
    let case = case(
        "1GiB",
        "1GiB",
        "uniform(wss=900MiB, rate=1e0p/s)".replace("1e0", "100000000000").as_str(),
        "10Gbit/s",
    );
    assert!(!answer(&case).completed());
}

#[test]
fn a_link_of_a_few_bits_takes_centuries_and_one_that_needs_more_than_time_has_is_given_up() {
    let outcome = answer(&case("4GiB", "4GiB", "idle", "10bit/s"));
    assert!(outcome.completed() && seconds(&outcome) > 1e9);
    let outcome = answer(&case("4GiB", "4GiB", "idle", "1bit/s"));
    assert_eq!(outcome.ending, Ending::GaveUp(Patience::Time));
}

#[test]
fn a_downtime_limit_of_zero_is_met_by_an_idle_guest() {
    let mut case = case("1GiB", "1GiB", "idle", "1Gbit/s");
    case.policy.downtime_limit = SimTime::ZERO;
    let outcome = answer(&case);
    assert!(outcome.completed());
    assert!(
        outcome.iterations[0].end
            < outcome.ended_at - outcome.downtime().unwrap() + SimTime::from_millis(1)
    );
}

#[test]
fn a_timeout_ends_in_what_was_asked_for() {
    let mut case = case("4GiB", "4GiB", "uniform(wss=2GiB, rate=200000p/s)", "1Gbit/s");
    case.policy.timeout = Some(SimTime::from_secs(60));
    for (action, ending) in [
        (OnTimeout::Abort, Ending::TimedOut),
        (OnTimeout::Suspend, Ending::Completed),
        (OnTimeout::Postcopy, Ending::Completed),
    ] {
        case.policy.on_timeout = action;
        let outcome = answer(&case);
        assert_eq!(
            (outcome.ending, outcome.timed_out_at),
            (ending, case.policy.timeout),
            "{action}"
        );
    }
}

#[test]
fn auto_converge_tightens_step_by_step_until_it_converges() {
    let mut case = case("2GiB", "2GiB", "uniform(wss=1GiB, rate=60000p/s, closed)", "1Gbit/s");
    case.policy.auto_converge = Some(AutoConverge::default());
    let outcome = answer(&case);
    assert!(outcome.completed());
    let percents: Vec<u32> =
        outcome.iterations.iter().map(|iteration| iteration.throttle_percent).collect();
    assert!(
        percents.windows(2).all(|w| w[1] == w[0] || w[1] == w[0] + 10 || (w[0], w[1]) == (0, 20)),
        "{percents:?}"
    );
    assert!(*percents.last().unwrap() >= 50);
}

#[test]
fn postcopy_from_the_start_has_no_iterations_and_no_dirty_memory() {
    let mut case = case("2GiB", "2GiB", "uniform(wss=1GiB, rate=60000p/s)", "1Gbit/s");
    case.policy.mode = Mode::Postcopy;
    case.policy.switch = Switch::AtStart;
    let outcome = answer(&case);
    assert_eq!((outcome.terms.ti, outcome.terms.dm), (SimTime::ZERO, SimTime::ZERO));
    assert!(outcome.completed() && outcome.downtime().unwrap() < SimTime::from_millis(100));
    // Nothing is sent twice, and nothing is lost.
    assert_eq!(outcome.normal_pages + outcome.zero_pages, (2 << 18) + 131);
}

#[test]
fn what_holds_zero_pages_back_is_named_where_they_take_longest() {
    // Nearly a hundred GiB of zeros under a cap that post-copy, behind them, does not have.
    let mut zeros = case("92GiB", "0B", "uniform(wss=400000p, rate=20000p/s)", "25Gbit/s");
    zeros.policy.mode = Mode::Postcopy;
    zeros.policy.bandwidth_cap = Some(BitRate(80_000_000));
    let by = |case: &migsim::input::Case| answer(case).bound.unwrap().by;
    assert_eq!(by(&zeros), Bottleneck::Cap);
    zeros.policy.bandwidth_cap = None;
    assert_eq!(by(&zeros), Bottleneck::ZeroPageScan);
    zeros.guest.touched = zeros.guest.memory;
    assert_eq!(by(&zeros), Bottleneck::SendingThread);
}

/// The look at the dirty log that 8.0 brought and 9.0 took away.
#[test]
fn only_8_0_to_8_2_read_the_dirty_log_at_a_threshold_of_zero() {
    let syncs = |qemu: &str| {
        let mut case = case("256MiB", "256MiB", "uniform(wss=1MiB, rate=300p/s)", "1Gbit/s");
        case.policy.qemu = qemu.parse().unwrap();
        case.policy.downtime_limit = SimTime::ZERO;
        let outcome = answer(&case);
        assert!(outcome.iteration_count < 50_000);
        outcome.dirty_syncs
    };
    let without = syncs("7.2");
    for qemu in ["2.6", "9.0", "10.0", "10.2"] {
        assert_eq!(syncs(qemu), without, "{qemu}");
    }
    for qemu in ["8.0", "8.2"] {
        assert!(syncs(qemu) > without, "{qemu}: {} and {without}", syncs(qemu));
    }
}
