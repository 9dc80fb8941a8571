//! What came of a migration, in words: how it ended, what held it back, what it is made of.

use migsim_models::qemu::NORMAL_PAGE_WIRE;
use migsim_models::spec::Mode;
use migsim_models::units::{BitRate, PAGE_BYTES, SimTime, human_bytes, human_rate, human_time};

use crate::engine::{Bottleneck, Bound, Ending, Outcome, Patience};
use crate::input::Case;

/// The word for an outcome, as files have it.
pub fn outcome_word(outcome: &Outcome) -> &'static str {
    if outcome.completed() { "completed" } else { "not-converged" }
}

/// The finer word for how a migration ended.
pub fn ending_word(outcome: &Outcome) -> &'static str {
    match outcome.ending {
        Ending::Completed if outcome.timed_out_at.is_some() && outcome.switched_at.is_some() => {
            "switched-at-timeout"
        }
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
        Bottleneck::Transport => "transport",
        Bottleneck::SendingThread => "sending-thread",
        Bottleneck::ZeroPageScan => "zero-page-scan",
    }
}

/// What holds a stream back, with its figure.
pub fn bound_words(bound: Bound, case: &Case) -> String {
    let pages = |bytes: f64| format!("{:.0} pages/s", bytes / NORMAL_PAGE_WIRE);
    match bound.by {
        Bottleneck::Link => {
            format!(
                "the link ({} of payload)",
                human_rate(BitRate((bound.bytes_per_s * 8.0) as u64))
            )
        }
        Bottleneck::Cap => {
            format!("the bandwidth cap ({}/s)", human_bytes(bound.bytes_per_s))
        }
        Bottleneck::TcpWindow => format!(
            "the TCP window ({} for each round trip of {})",
            human_bytes(bound.bytes_per_s * case.path.rtt.as_secs_f64()),
            human_time(case.path.rtt)
        ),
        Bottleneck::Transport => {
            format!("the transport {} ({}/s)", case.path.transport, human_bytes(bound.bytes_per_s))
        }
        Bottleneck::SendingThread => match case.policy.multifd_channels {
            0 | 1 => format!("the one sending thread ({})", pages(bound.bytes_per_s)),
            n => format!("the {n} sending threads ({})", pages(bound.bytes_per_s)),
        },
        Bottleneck::ZeroPageScan => {
            format!(
                "the scan for zero pages ({:.0} pages/s)",
                bound.bytes_per_s / PAGE_BYTES as f64
            )
        }
    }
}

/// The stretches that a total time is made of, with their names.
pub fn contributors(outcome: &Outcome) -> Vec<(String, SimTime)> {
    let parts = &outcome.downtime_parts;
    if outcome.mode == Mode::Offline {
        return [
            ("suspending", parts.suspend),
            ("copying", parts.copy),
            ("resuming", parts.resume),
        ]
        .map(|(name, time)| (name.to_owned(), time))
        .to_vec();
    }
    let mut all = Vec::new();
    let first = outcome.iterations.first();
    if let Some(first) = first {
        all.push(("preparing".to_owned(), first.start));
    }
    let stop = outcome.switched_at.unwrap_or_else(|| outcome.ended_at.since(outcome.terms.tdt()));
    let live: Vec<_> =
        outcome.iterations.iter().filter(|iteration| iteration.end <= stop).collect();
    if let Some((first, later)) = live.split_first() {
        all.push(("the first iteration over memory".to_owned(), first.end - first.start));
        if let (Some(a), Some(b)) = (later.first(), later.last()) {
            let passes: u64 = later.iter().map(|iteration| iteration.stands_for).sum();
            let name = format!("{passes} more iteration{}", if passes == 1 { "" } else { "s" });
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
    let size =
        human_bytes(outcome.least_left_pages().min(case.guest.memory.as_f64()) * PAGE_BYTES as f64);
    let limit = human_time(case.policy.downtime_limit);
    match outcome.ending {
        Ending::Completed => String::new(),
        Ending::PathCut => format!("the path carries nothing any more from {} on", human_time(outcome.ended_at)),
        Ending::GaveUp(Patience::Time) => "it would not end within 292 years".to_owned(),
        Ending::GaveUp(Patience::Writes) => {
            "page by page it replays more writes than the simulator waits for; ask with --fidelity flow".to_owned()
        }
        Ending::GaveUp(Patience::Iterations) => format!(
            "the simulator followed {} iterations, which left at least {size}, and gave up after {}",
            outcome.iteration_count,
            human_time(outcome.ended_at)
        ),
        Ending::TimedOut if outcome.iteration_count == 0 => {
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
            let by = outcome.bound_of_iterations.map_or(String::new(), |bound| bound_words(bound, case));
            format!(
                "iteration after iteration leaves at least {size}, and QEMU stops the guest only below {}: what {by} lets through in the downtime limit of {limit}",
                human_bytes(outcome.threshold_bytes())
            )
        }
    }
}
