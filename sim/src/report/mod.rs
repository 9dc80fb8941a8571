//! Answers for people and programs: tables, JSON, CSV and pictures.

pub mod chart;
pub mod csv;
pub mod explain;
pub mod fleet;
pub mod html;
pub mod json;
pub mod plot;
pub mod sweep;
pub mod table;

use migsim_models::profile::Profile;
use migsim_models::published::{Inputs, Model, Prediction};
use migsim_models::qemu::NORMAL_PAGE_WIRE;
use migsim_models::spec::Mode;
use migsim_models::units::{BitRate, PAGE_BYTES, SimTime, human_bytes, human_rate, human_time};

use crate::advice::{Advice, advise};
use crate::migration::{Bottleneck, Bound, Ending, Outcome, Patience};
use crate::predict::{commoner, median, runs};
use crate::quantiles::{Draws, Quantiles};
use crate::scenario::Case;
use crate::understood::Understood;
use crate::world::Fidelity;

/// A case and all that is to be said of it.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub case: Case,
    /// What comes of it.
    pub outcome: Outcome,
    /// Over so many offsets into its phases this is the median; one, where the offset is known or there are no phases.
    pub offsets: usize,
    /// How sure it is, where the profile was fitted.
    pub quantiles: Option<Quantiles>,
    /// What would change a verdict of not converging.
    pub advice: Option<Advice>,
    /// What published models say, where they were asked.
    pub models: Vec<(&'static Model, Asked)>,
    /// What was taken to be asked.
    pub understood: Understood,
}

/// What a published model says of one question.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// On its own inputs: the guest's whole memory.
    pub as_printed: Prediction,
    /// On inputs as good as ours: what is not zero, with headers, and the start of QEMU added.
    pub fair: Prediction,
}

impl Answer {
    /// Answers a case, with all but the models.
    pub fn new(
        case: Case,
        profile: &Profile,
        draws: Option<&Draws>,
        fidelity: Fidelity,
        understood: Understood,
    ) -> Answer {
        let all = runs(&case, profile, fidelity);
        let offsets = all.len();
        let outcome = median(commoner(all));
        let advisable = !outcome.completed() && case.policy.mode != Mode::Offline;
        let advice = advisable.then(|| advise(&case, profile, &outcome));
        let quantiles = draws.and_then(|draws| draws.quantiles(&case, profile, &outcome));
        Answer { case, outcome, offsets, quantiles, advice, models: Vec::new(), understood }
    }

    /// Asks published models the same question.
    pub fn ask(&mut self, models: &[&'static Model], profile: &Profile) {
        let share = profile.share(self.case.path.transport);
        let inputs = Inputs::new(&self.case.guest, &self.case.path, &self.case.policy, share);
        let fair = inputs.fair(profile);
        self.models = models
            .iter()
            .map(|model| (*model, Asked { as_printed: (model.predict)(&inputs), fair: model.on_fair_inputs(&fair) }))
            .collect();
    }
}

/// The word for an outcome, as files have it.
pub fn outcome_word(outcome: &Outcome) -> &'static str {
    if outcome.completed() { "completed" } else { "not-converged" }
}

/// The finer word for how a migration ended.
pub fn ending_word(outcome: &Outcome) -> &'static str {
    match outcome.ending {
        Ending::Completed if outcome.timed_out_at.is_some() && outcome.switched_at.is_some() => "switched-at-timeout",
        Ending::Completed if outcome.timed_out_at.is_some() => "suspended-at-timeout",
        Ending::Completed if matches!(outcome.mode, Mode::Paused | Mode::Offline) => "completed",
        Ending::Completed => "converged",
        Ending::NoProgress => "does-not-converge",
        Ending::TimedOut => "timed-out",
        Ending::PathCut => "path-cut",
        Ending::GaveUp(_) => "given-up-by-simulator",
    }
}

/// The word for what holds a stream back.
pub fn bound_word(bound: Bound) -> &'static str {
    match bound.by {
        Bottleneck::Link => "link",
        Bottleneck::Cap => "bandwidth-cap",
        Bottleneck::TcpWindow => "tcp-window",
        Bottleneck::SendingThread => "sending-thread",
        Bottleneck::ZeroPageScan => "zero-page-scan",
    }
}

/// What holds a stream back, with its figure.
pub fn bound_words(bound: Bound, case: &Case) -> String {
    let pages = |bytes: f64| format!("{:.0} pages/s", bytes / NORMAL_PAGE_WIRE);
    match bound.by {
        Bottleneck::Link => {
            format!("the link ({} of payload)", human_rate(BitRate((bound.bytes_per_s * 8.0) as u64)))
        }
        Bottleneck::Cap => {
            let cap = case.policy.bandwidth_cap.unwrap_or_default();
            format!("the bandwidth cap ({}/s)", human_bytes(cap.bytes_per_s()))
        }
        Bottleneck::TcpWindow => format!(
            "the TCP window ({} for each round trip of {})",
            human_bytes(bound.bytes_per_s * case.path.rtt.as_secs_f64()),
            human_time(case.path.rtt)
        ),
        Bottleneck::SendingThread => match case.policy.multifd_channels {
            0 | 1 => format!("the one sending thread ({})", pages(bound.bytes_per_s)),
            n => format!("the {n} sending threads ({})", pages(bound.bytes_per_s)),
        },
        Bottleneck::ZeroPageScan => {
            format!("the scan for zero pages ({:.0} pages/s)", bound.bytes_per_s / PAGE_BYTES as f64)
        }
    }
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
        all.push(("the first iteration over memory".to_owned(), first.end - first.start));
        if let (Some(a), Some(b)) = (later.first(), later.last()) {
            let name = format!("{} more iteration{}", later.len(), if later.len() == 1 { "" } else { "s" });
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
    let left = outcome.rounds.iter().map(|round| round.dirty_pages_at_end).fold(f64::INFINITY, f64::min);
    let size = human_bytes(left.min(case.guest.memory.as_f64()) * PAGE_BYTES as f64);
    let limit = human_time(case.policy.downtime_limit);
    match outcome.ending {
        Ending::Completed => String::new(),
        Ending::PathCut => format!("the path carries nothing any more from {} on", human_time(outcome.ended_at)),
        Ending::GaveUp(Patience::Time) => "it would not end within 584 years".to_owned(),
        Ending::GaveUp(Patience::Writes) => {
            "page by page it replays more writes than the simulator waits for; ask with --fidelity flow".to_owned()
        }
        Ending::GaveUp(Patience::Iterations) => format!(
            "the simulator followed {} iterations, which left at least {size}, and gave up; a timeout would be followed to its end",
            outcome.passes
        ),
        Ending::TimedOut if outcome.rounds.is_empty() => {
            format!(
                "it was given up at its timeout of {}, before the first page was sent",
                human_time(outcome.ended_at)
            )
        }
        Ending::TimedOut => format!(
            "it was given up at its timeout of {}, when no iteration had left less than {size}",
            human_time(outcome.ended_at)
        ),
        Ending::NoProgress => {
            let threshold = outcome.rounds.last().map_or(0.0, |round| round.threshold_bytes);
            let by = outcome.bound_of_rounds.map_or(String::new(), |bound| bound_words(bound, case));
            format!(
                "iteration after iteration leaves at least {size}, and QEMU stops the guest only below {}: what {by} lets through in the downtime limit of {limit}",
                human_bytes(threshold)
            )
        }
    }
}
