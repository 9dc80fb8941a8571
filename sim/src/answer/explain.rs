//! Which rule QEMU applied after each iteration, and with what figures.

use std::fmt::Write;

use migsim_models::units::{PAGE_BYTES, SimTime, human_bytes, human_time};

use super::{Answer, bound_words, ending_word};
use crate::engine::{Decision, Iteration};

/// Iterations that are told one by one at the beginning and at the end.
const TOLD: usize = 20;

/// The migration in sentences, one for each iteration.
pub fn explain(answer: &Answer) -> String {
    let (case, outcome) = (&answer.case, &answer.outcome);
    let mut out = String::new();
    if let Some(bound) = outcome.bound {
        let _ = writeln!(out, "Pages are sent as fast as {} lets them.", bound_words(bound, case));
    }
    if let Some(at) = outcome.iterations.first().map(|iteration| iteration.start) {
        let _ = writeln!(
            out,
            "Until {} everything is prepared; all memory counts as dirty.",
            human_time(at)
        );
    }
    let count = outcome.iterations.len();
    for (index, iteration) in outcome.iterations.iter().enumerate() {
        if index >= TOLD && index + TOLD < count {
            if index == TOLD {
                let passes: u64 = outcome.iterations[TOLD..count - TOLD]
                    .iter()
                    .map(|iteration| iteration.stands_for)
                    .sum();
                let _ = writeln!(out, "... {passes} more iterations ...");
            }
            continue;
        }
        let _ = writeln!(
            out,
            "{}",
            sentence(iteration, case.policy.downtime_limit, &case.policy.qemu.to_string())
        );
    }
    let _ =
        writeln!(out, "It ends after {}: {}.", human_time(outcome.ended_at), ending_word(outcome));
    out
}

fn sentence(iteration: &Iteration, limit: SimTime, qemu: &str) -> String {
    let size = |pages: f64| human_bytes(pages * PAGE_BYTES as f64);
    let which = match iteration.stands_for {
        1 => format!("Iteration {}", iteration.n),
        passes => format!("Iterations {} to {}", iteration.n + 1 - passes, iteration.n),
    };
    let throttled = match iteration.throttle_percent {
        0 => String::new(),
        percent => format!(" with the vCPUs throttled by {percent} %"),
    };
    let sent = format!(
        "{which}, {} to {}{throttled}, sends {} on the wire",
        human_time(iteration.start),
        human_time(iteration.end),
        human_bytes(iteration.wire_bytes)
    );
    let (left, dirty) = (size(iteration.unsent_pages), size(iteration.dirty_pages_at_end));
    let threshold = human_bytes(iteration.threshold_bytes);
    let rule = match limit {
        SimTime::ZERO => format!("the threshold of {threshold} (a downtime limit of 0)"),
        limit => format!(
            "the threshold of {threshold} ({} of bandwidth times the downtime limit of {})",
            human_bytes(iteration.threshold_bytes / limit.as_secs_f64()) + "/s",
            human_time(limit)
        ),
    };
    let then = match iteration.decision {
        Decision::Iterate => format!(
            "with {left} left, below {rule}, QEMU {qemu} reads the dirty log: {dirty} are to be sent, too much to stop (migration_iteration_run)"
        ),
        Decision::Stop => format!(
            "with {left} left, QEMU {qemu} reads the dirty log: {dirty} are to be sent, within {rule}: the vCPUs stop (migration_completion)"
        ),
        Decision::StopUnsynced => format!(
            "in the first 100 ms, or with a downtime limit of 0, the threshold is 0 and QEMU {qemu} stops the vCPUs without reading the dirty log \
             again (migration_iteration_run; 8.0 to 8.2 do read it); {left} were left"
        ),
        Decision::ForcedStop => format!(
            "{dirty} are to be sent, too much to stop, but by the profile migrations that get nowhere for so long are ended here: the vCPUs stop"
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
