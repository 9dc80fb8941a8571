//! Predicting a case: one run, or several where it is not known when in a phase the migration
//! starts.

use migsim_models::profile::Profile;
use migsim_models::units::SimTime;

use crate::engine::{Ending, Fidelity, Outcome, World};
use crate::input::Case;

/// Over so many evenly spread offsets a phased workload is averaged when its own is not known.
pub const OFFSETS: u64 = 8;

/// Fewer where a single answer is this much work, see [`Outcome::effort`].
const MOST_EFFORT: u64 = 20_000_000;

/// Every run that the case stands for: one, or one for each offset into the longest phase.
pub fn runs(case: &Case, profile: &Profile, fidelity: Fidelity) -> Vec<Outcome> {
    let question = case.question(profile);
    if let Some(offset) = case.guest.phase_offset {
        return vec![question.answer(fidelity, offset)];
    }
    let Some(period) = case.guest.workload.longest_period() else {
        return vec![question.answer(fidelity, SimTime::ZERO)];
    };
    let part =
        |i: u64| SimTime((u128::from(period.0) * u128::from(i) / u128::from(OFFSETS)) as u64);
    let mut all = Vec::with_capacity(OFFSETS as usize);
    let mut effort = 0;
    for i in 0..OFFSETS {
        let outcome = question.answer(fidelity, part(i));
        effort += outcome.effort;
        if matches!(outcome.ending, Ending::GaveUp(_)) {
            // Asked of another offset it would be given up as well.
            return vec![outcome];
        }
        all.push(outcome);
        if effort > MOST_EFFORT {
            break;
        }
    }
    all
}

/// Those runs that end as most of them do.
pub fn commoner(mut runs: Vec<Outcome>) -> Vec<Outcome> {
    let completed = 2 * runs.iter().filter(|run| run.completed()).count() >= runs.len();
    runs.retain(|run| run.completed() == completed);
    runs
}

/// The run that stands for others that end alike: the median by total time.
pub fn median(mut runs: Vec<Outcome>) -> Outcome {
    runs.sort_by_key(|run| run.ended_at);
    let middle = (runs.len() - 1) / 2;
    runs.swap_remove(middle)
}

/// What comes of guests that are moved over one link, each from its own start on: the first one's
/// link, with its changes, which they share.
pub fn together(cases: &[(&Case, SimTime)], profile: &Profile) -> Vec<Outcome> {
    let mut world = World::default();
    let Some((first, _)) = cases.first() else { return Vec::new() };
    let link = world.add_path(&first.path);
    for (case, start) in cases {
        let offset = case.guest.phase_offset.unwrap_or_default();
        world.add_migration_at(*start, case.question(profile).flow(offset), &[link]);
    }
    world.run()
}

/// The run that stands for a case, and over how many offsets into its phases it is the median.
pub fn median_run(case: &Case, profile: &Profile, fidelity: Fidelity) -> (Outcome, usize) {
    let all = runs(case, profile, fidelity);
    let offsets = all.len();
    (median(commoner(all)), offsets)
}

/// The answer to a case.
pub fn predict(case: &Case, profile: &Profile, fidelity: Fidelity) -> Outcome {
    median_run(case, profile, fidelity).0
}
