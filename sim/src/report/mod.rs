//! Answers for people and programs: tables, JSON, CSV and pictures.

pub mod chart;
pub mod csv;
pub mod fleet;
pub mod html;
pub mod json;
pub mod plot;
pub mod table;

use migsim_models::profile::Profile;
use migsim_models::published::{Inputs, Model, Prediction};
use migsim_models::spec::Mode;
use migsim_models::units::SimTime;

use crate::advice::Advice;
use crate::migration::{Ending, Outcome, Patience};
use crate::quantiles::Quantiles;
use crate::scenario::Case;

/// A case and all that is to be said of it.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub case: Case,
    /// What comes of it.
    pub outcome: Outcome,
    /// How sure it is, where the profile was fitted.
    pub quantiles: Option<Quantiles>,
    /// What would change a verdict of not converging.
    pub advice: Option<Advice>,
    /// What published models say, where they were asked.
    pub models: Vec<(&'static Model, Prediction)>,
}

impl Answer {
    /// Asks published models the same question.
    pub fn ask(&mut self, models: &[&'static Model], profile: &Profile) {
        let share = profile.share(self.case.path.transport);
        let inputs = Inputs::new(&self.case.guest, &self.case.path, &self.case.policy, share);
        self.models = models.iter().map(|model| (*model, (model.predict)(&inputs))).collect();
    }
}

/// What is to be said where the hosts' processors do not let a guest write as fast as its workload wants.
pub fn held_back(case: &Case, profile: &Profile) -> Option<String> {
    let guest = &case.guest;
    let headroom = crate::memory::headroom(guest, profile, &guest.workload.classes(guest.memory));
    (headroom < 1.0).then(|| {
        format!(
            "{} writes {:.0} % of what its workload wants: by this profile a vCPU writes {:.0} pages/s while memory is logged (cpu.writer_rate)",
            guest.name,
            headroom * 100.0,
            profile.cpu.writer_rate.value.pages_per_s()
        )
    })
}

/// The word for an outcome, as files have it.
pub fn outcome_word(outcome: &Outcome) -> &'static str {
    if outcome.completed() { "completed" } else { "not-converged" }
}

/// The stretches that a total time is made of, with their names.
pub fn contributors(outcome: &Outcome) -> Vec<(String, SimTime)> {
    let parts = &outcome.downtime_parts;
    if outcome.mode == Mode::Offline {
        return [("suspending", parts.suspend), ("copying", parts.copy), ("resuming", parts.resume)]
            .map(|(name, time)| (name.to_owned(), time))
            .to_vec();
    }
    let mut all = Vec::new();
    let first = outcome.rounds.first();
    if let Some(first) = first {
        all.push(("preparing".to_owned(), first.start));
    }
    let stop = outcome.switched_at.unwrap_or_else(|| outcome.ended_at.since(outcome.terms.tdt()));
    let live: Vec<_> = outcome.rounds.iter().filter(|round| round.end <= stop).collect();
    if let Some((first, later)) = live.split_first() {
        all.push(("the first pass over memory".to_owned(), first.end - first.start));
        if let (Some(a), Some(b)) = (later.first(), later.last()) {
            let name = format!("{} more pass{}", later.len(), if later.len() == 1 { "" } else { "es" });
            all.push((name, b.end - a.start));
        }
    }
    if outcome.switched_at.is_some() {
        all.push(("the pages that follow the guest".to_owned(), outcome.ended_at.since(stop)));
    } else {
        all.push(("the stop".to_owned(), outcome.terms.tdt()));
    }
    all
}

/// The largest of some named stretches.
pub fn largest(all: &[(String, SimTime)]) -> Option<&(String, SimTime)> {
    all.iter().max_by_key(|(_, time)| *time)
}

/// Why a migration did not complete.
pub fn why_not(case: &Case, outcome: &Outcome) -> String {
    use migsim_models::units::{PAGE_BYTES, human_bytes, human_time};
    let left = outcome.rounds.iter().map(|round| round.dirty_pages_at_end).fold(f64::INFINITY, f64::min);
    let size = human_bytes(left.min(case.guest.memory.as_f64()) * PAGE_BYTES as f64);
    match outcome.ending {
        Ending::Completed => String::new(),
        Ending::PathCut => "the path carries nothing any more".to_owned(),
        Ending::GaveUp(Patience::Time) => "it would not end within 584 years".to_owned(),
        Ending::GaveUp(Patience::Writes) => {
            "page by page it replays more writes than this simulator waits for".to_owned()
        }
        Ending::GaveUp(Patience::Iterations) => format!("after {} iterations the simulator gave it up", outcome.passes),
        Ending::TimedOut if outcome.rounds.is_empty() => {
            format!("it was given up after {}, before the first page was sent", human_time(outcome.ended_at))
        }
        Ending::TimedOut => {
            format!("it was given up after {}, when no pass had left less than {size}", human_time(outcome.ended_at))
        }
        Ending::NoProgress => {
            let round = outcome.rounds.last();
            let seconds = round.map_or(0.0, |r| (r.end - r.start).as_secs_f64());
            let rate = round.map_or(0.0, |r| r.wire_bytes / seconds.max(1e-9));
            let threshold = migsim_models::qemu::threshold(rate, case.policy.downtime_limit);
            format!(
                "pass after pass leaves at least {size}, and QEMU stops the guest only below {} (what the link carries in the downtime limit of {})",
                human_bytes(threshold),
                human_time(case.policy.downtime_limit)
            )
        }
    }
}
