//! Guests that did not arrive: why, and what would help each.

use std::sync::atomic::{AtomicBool, Ordering};

use migsim_models::profile::Profile;
use rayon::prelude::*;

use super::run::{FleetOutcome, alone};
use super::task::Fleet;
use crate::answer::{ending_word, first_remedy};
use crate::engine::Ending;

/// A guest that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which of the list's moves.
    pub index: usize,
    /// Which guest, by number.
    pub vm: usize,
    /// From which host, to which.
    pub hosts: [usize; 2],
    /// How it ended; `never-left`: it never began.
    pub ending: &'static str,
    /// Why.
    pub reason: String,
    /// What would let it arrive, on a link that gives it what it got; `None`: nothing that is
    /// likely to.
    pub remedy: Option<String>,
}

/// Those of a fleet, in the order of the list. `progress` hears of each whose remedy was looked
/// for; interrupted, the others have none.
pub fn missing(
    fleet: &Fleet,
    profile: &Profile,
    found: &FleetOutcome,
    interrupted: &AtomicBool,
    progress: impl Fn() + Sync,
) -> Vec<Missing> {
    let given_up = found.moves.par_iter().filter(|one| !one.outcome.completed()).map(|one| {
        let looked = !interrupted.load(Ordering::Relaxed) && one.outcome.ending != Ending::PathCut;
        let remedy = looked
            .then(|| first_remedy(&alone(fleet, one.index, &one.outcome), profile, &one.outcome));
        progress();
        Missing {
            index: one.index,
            vm: one.vm,
            hosts: one.hosts,
            ending: ending_word(&one.outcome),
            reason: one.why_not.clone().unwrap_or_default(),
            remedy: remedy.flatten().map(|remedy| remedy.words()),
        }
    });
    let never = found.never.par_iter().map(|(index, why)| {
        let one = fleet.moves[*index];
        Missing {
            index: *index,
            vm: one.vm,
            hosts: [fleet.cluster.vms[one.vm].host, one.to],
            ending: "never-left",
            reason: why.clone(),
            remedy: None,
        }
    });
    let mut all: Vec<Missing> = given_up.chain(never).collect();
    all.sort_by_key(|one| one.index);
    all
}
