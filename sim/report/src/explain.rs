//! Which rule QEMU applied after each iteration, and with what figures.

use std::fmt::Write;

use migsim_models::units::{PAGE_BYTES, SimTime, human_bytes, human_time};

use migsim::answer::{Answer, bound_words, ending_word};
use migsim::engine::{Decision, Round};

/// Iterations that are told one by one at the beginning and at the end.
const TOLD: usize = 20;

/// The migration in sentences, one for each iteration.
pub fn explain(answer: &Answer) -> String {
    let (case, outcome) = (&answer.case, &answer.outcome);
    let mut out = String::new();
    if let Some(bound) = outcome.bound {
        let _ = writeln!(out, "Pages are sent as fast as {} lets them.", bound_words(bound, case));
    }
    if let Some(at) = outcome.rounds.first().map(|round| round.start) {
        let _ = writeln!(out, "Until {} everything is prepared; all memory counts as dirty.", human_time(at));
    }
    let count = outcome.rounds.len();
    for (index, round) in outcome.rounds.iter().enumerate() {
        if index >= TOLD && index + TOLD < count {
            if index == TOLD {
                let passes: u64 = outcome.rounds[TOLD..count - TOLD].iter().map(|round| round.passes).sum();
                let _ = writeln!(out, "... {passes} more iterations ...");
            }
            continue;
        }
        let _ = writeln!(out, "{}", sentence(round, case.policy.downtime_limit, &case.policy.qemu.to_string()));
    }
    let _ = writeln!(out, "It ends after {}: {}.", human_time(outcome.ended_at), ending_word(outcome));
    out
}

fn sentence(round: &Round, limit: SimTime, qemu: &str) -> String {
    let size = |pages: f64| human_bytes(pages * PAGE_BYTES as f64);
    let which = match round.passes {
        1 => format!("Iteration {}", round.n),
        passes => format!("Iterations {} to {}", round.n + 1 - passes, round.n),
    };
    let throttled = match round.throttle_percent {
        0 => String::new(),
        percent => format!(" with the vCPUs throttled by {percent} %"),
    };
    let sent = format!(
        "{which}, {} to {}{throttled}, sends {} on the wire",
        human_time(round.start),
        human_time(round.end),
        human_bytes(round.wire_bytes)
    );
    let (left, dirty) = (size(round.unsent_pages), size(round.dirty_pages_at_end));
    let threshold = human_bytes(round.threshold_bytes);
    let rule = match limit {
        SimTime::ZERO => format!("the threshold of {threshold} (a downtime limit of 0)"),
        limit => format!(
            "the threshold of {threshold} ({} of bandwidth times the downtime limit of {})",
            human_bytes(round.threshold_bytes / limit.as_secs_f64()) + "/s",
            human_time(limit)
        ),
    };
    let then = match round.decision {
        Decision::Iterate => format!(
            "with {left} left, below {rule}, QEMU {qemu} reads the dirty log: {dirty} are to be sent, too much to stop (migration_iteration_run)"
        ),
        Decision::Stop => format!(
            "with {left} left, QEMU {qemu} reads the dirty log: {dirty} are to be sent, within {rule}: the vCPUs stop (migration_completion)"
        ),
        Decision::StopUnsynced => format!(
            "in the first 100 ms, or with a downtime limit of 0, the threshold is 0 and QEMU {qemu} stops the vCPUs without reading the dirty log \
             again (ram_save_pending, before 8.0); {left} were left"
        ),
        Decision::ForcedSync => format!(
            "five seconds have brought no look at the dirty log, and auto-converge takes one: {dirty} are to be sent (cpu-throttle.c)"
        ),
        Decision::SwitchOver => format!(
            "post-copy begins with {left} not yet sent: the guest stops, to go on at the destination (postcopy_start)"
        ),
        Decision::End => "nothing is left".to_owned(),
        Decision::GiveUp => format!("the migration is given up with {left} left"),
    };
    format!("{sent}; {then}.")
}
