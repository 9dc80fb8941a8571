//! Links that change and are shared while migrations run, on the event core that single predictions
//! use.

use migsim::engine::{Fidelity, World};
use migsim::input::Case;
use migsim_models::profile::Profile;
use migsim_models::spec::CapacityChange;
use migsim_models::units::{BitRate, SimTime};

use crate::support::{answer, case};

fn together(cases: &[&Case], link: BitRate, profile: &Profile) -> Vec<migsim::engine::Outcome> {
    let mut world = World::default();
    let id = world.add_link(link);
    for case in cases {
        world.add_migration(case.question(profile).flow(SimTime::ZERO), &[id]);
    }
    world.run()
}

#[test]
fn a_capacity_change_in_the_middle_of_a_round_stretches_what_is_left_of_it() {
    let profile = Profile::ideal();
    let mut case = case("1GiB", "1GiB", "idle", "1Gbit/s");
    let full =
        case.question(&profile).answer(Fidelity::Flow, SimTime::ZERO).tmt().unwrap().as_secs_f64();
    case.path.changes = vec![
        CapacityChange { at: SimTime::from_secs(2), capacity: BitRate(100_000_000) },
        CapacityChange { at: SimTime::from_secs(7), capacity: BitRate(1_000_000_000) },
    ];
    // Five seconds at a tenth: four and a half seconds' worth is missing, for both memories.
    for fidelity in [Fidelity::Flow, Fidelity::Page { seed: 1 }] {
        let got =
            case.question(&profile).answer(fidelity, SimTime::ZERO).tmt().unwrap().as_secs_f64();
        assert!((got - full - 4.5).abs() < 0.01, "{got} after {full}");
    }
}

#[test]
fn a_link_that_is_cut_and_comes_back_delays_and_one_cut_for_good_is_an_answer() {
    let mut case = case("1GiB", "1GiB", "idle", "1Gbit/s");
    let full = answer(&case).tmt().unwrap().as_secs_f64();
    case.path.changes = vec![CapacityChange { at: SimTime::from_secs(3), capacity: BitRate(0) }];
    let cut = answer(&case);
    assert_eq!(cut.ending, migsim::engine::Ending::PathCut);
    case.path
        .changes
        .push(CapacityChange { at: SimTime::from_secs(13), capacity: BitRate(1_000_000_000) });
    let got = answer(&case).tmt().unwrap().as_secs_f64();
    assert!((got - full - 10.0).abs() < 0.1, "{got} after {full}");
}

#[test]
fn two_migrations_on_one_link_take_twice_as_long_and_the_shorter_frees_the_longer() {
    let profile = Profile::ideal();
    let (small, large) =
        (case("1GiB", "1GiB", "idle", "1Gbit/s"), case("2GiB", "2GiB", "idle", "1Gbit/s"));
    let alone = |case: &Case| {
        case.question(&profile).answer(Fidelity::Flow, SimTime::ZERO).tmt().unwrap().as_secs_f64()
    };
    let both = together(&[&small, &large], small.path.capacity, &profile);
    let tmt: Vec<f64> = both.iter().map(|o| o.tmt().unwrap().as_secs_f64()).collect();
    assert!((tmt[0] - 2.0 * alone(&small)).abs() < 0.02, "{tmt:?}");
    assert!((tmt[1] - alone(&small) - alone(&large)).abs() < 0.02, "{tmt:?}");
}

#[test]
fn a_fleet_of_one_equals_predict_to_the_last_digit() {
    let profile = Profile::assumed();
    for workload in
        ["idle", "uniform(wss=512MiB, rate=8000p/s)", "sweep(wss=256MiB, rate=40000p/s)"]
    {
        let case = case("4GiB", "3GiB", workload, "1Gbit/s");
        let fleet = together(&[&case], case.path.capacity, &profile);
        assert_eq!(fleet, [answer(&case)], "{workload}");
    }
}

#[test]
fn migrations_that_share_no_link_do_not_touch_each_other() {
    let profile = Profile::assumed();
    let case = case("2GiB", "2GiB", "uniform(wss=256MiB, rate=8000p/s)", "1Gbit/s");
    let mut world = World::default();
    for _ in 0..2 {
        let link = world.add_link(case.path.capacity);
        world.add_migration(case.question(&profile).flow(SimTime::ZERO), &[link]);
    }
    assert_eq!(world.run(), [answer(&case), answer(&case)]);
}

#[test]
fn guests_that_leave_together_feel_the_changes_of_their_link() {
    let profile = Profile::ideal();
    let mut case = case("1GiB", "1GiB", "idle", "1Gbit/s");
    let last = |case: &Case| {
        let outcomes =
            migsim::answer::together(&[(case, SimTime::ZERO), (case, SimTime::ZERO)], &profile);
        outcomes.iter().map(|outcome| outcome.tmt().unwrap().as_secs_f64()).fold(0.0, f64::max)
    };
    let full = last(&case);
    case.path.changes = vec![
        CapacityChange { at: SimTime::from_secs(2), capacity: BitRate(0) },
        CapacityChange { at: SimTime::from_secs(7), capacity: BitRate(1_000_000_000) },
    ];
    assert!((last(&case) - full - 5.0).abs() < 0.01, "{} after {full}", last(&case));
}
