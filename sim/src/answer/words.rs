//! An answer in sentences: the verdict, what makes it so, and what would change it.

use std::fmt::Write as _;

use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::text::counted;
use migsim_models::units::{SimTime, human_time};

use super::{Advice, Answer, bound_words, contributors, largest, why_not};
use crate::engine::Ending;

/// What is less probable than this is not told as if it were certain.
const LIKELY: f64 = 0.9;

/// The verdict: whether it converges, how long it takes, and what makes it so.
pub fn verdict(answer: &Answer) -> String {
    let (case, outcome) = (&answer.case, &answer.outcome);
    let name = &case.guest.name;
    let mut out = String::new();
    if !outcome.completed() {
        let verdict = match outcome.ending {
            Ending::NoProgress => "does NOT converge",
            Ending::TimedOut => "timed out",
            Ending::PathCut => "does not arrive",
            Ending::GaveUp(_) => "not known",
            Ending::Completed => "",
        };
        let _ = writeln!(out, "{name}: {verdict}: {}.", why_not(case, outcome));
        if let Some(sure) = answer.quantiles.filter(|sure| sure.p_converge > 0.0) {
            let _ = writeln!(
                out,
                "  It converges with a probability of {:.0} %.",
                sure.p_converge * 100.0
            );
        }
        if let Some(advice) = &answer.advice {
            out.push_str(&advise(advice));
        }
        return out;
    }
    let (tmt, down) = (outcome.terms.tmt(), outcome.terms.tdt());
    // One migration as expected may converge where most of those that could be do not.
    let verb = match (case.policy.mode, answer.quantiles.map_or(1.0, |sure| sure.p_converge)) {
        (Mode::Paused | Mode::Offline, _) => "completes",
        (_, p) if p < 0.5 => "may converge, but is likelier not to",
        (_, p) if p < LIKELY => "probably converges",
        _ => "converges",
    };
    let _ = writeln!(
        out,
        "{name}: {verb}. Total migration time {}, downtime {}.",
        human_time(tmt),
        human_time(down)
    );
    if let Some((what, time)) = largest(&contributors(outcome)) {
        let _ = write!(out, "  Most of the time: {what} ({}).", human_time(*time));
    }
    let named = outcome.downtime_parts.named().map(|(name, time)| (name.to_owned(), time));
    if let Some((what, time)) = largest(&named) {
        let _ = write!(out, " Most of the downtime: {what} ({}).", human_time(*time));
    }
    if let Some(free) = outcome.source_free_at {
        let _ = write!(out, " The source is free after {}.", human_time(free));
    }
    out.push('\n');
    if let Some(bound) = outcome.bound {
        let _ = writeln!(
            out,
            "  Its pages are sent as fast as {} lets them.",
            bound_words(bound, case)
        );
    }
    if let Some((sure, times)) =
        answer.quantiles.as_ref().and_then(|sure| Some((sure, sure.times?)))
    {
        let time = |ms: f64| human_time(SimTime::from_secs_f64(ms / 1e3));
        let _ = write!(
            out,
            "  90 % interval: total {} to {}, downtime {} to {}",
            time(times.elapsed_ms.p5),
            time(times.elapsed_ms.p95),
            time(times.downtime_ms.p5),
            time(times.downtime_ms.p95),
        );
        if sure.p_converge < 1.0 {
            let _ = write!(
                out,
                "; it converges with a probability of {:.0} %",
                sure.p_converge * 100.0
            );
        }
        out.push_str(".\n");
    }
    if outcome.throttle_percent > 0 {
        let _ = writeln!(
            out,
            "  Auto-converge throttled the guest by up to {} %.",
            outcome.throttle_percent
        );
    }
    if let Some(at) = outcome.timed_out_at {
        let what = if case.policy.on_timeout == OnTimeout::Suspend {
            "suspended the guest"
        } else {
            "switched to post-copy"
        };
        let _ = writeln!(out, "  Its timeout {what} after {}.", human_time(at));
    }
    if let Some(at) = outcome.switched_at {
        let resumed = outcome.resumed_at.unwrap_or(at);
        let _ = writeln!(
            out,
            "  The guest runs at the destination from {} on; about {} then stall it for {} in all.",
            human_time(resumed),
            counted(outcome.faults.count.round() as usize, "page fault"),
            human_time(SimTime::from_secs_f64(outcome.faults.stalled_s))
        );
        if let Some(reported) = outcome.reported_downtime() {
            let _ = writeln!(
                out,
                "  QEMU and libvirt will report a downtime of {}: they leave out what the state waits behind in the socket.",
                human_time(reported)
            );
        }
    }
    out
}

/// What would let it converge.
fn advise(advice: &Advice) -> String {
    let mut out = String::new();
    if !advice.remedies.is_empty() {
        let _ = writeln!(
            out,
            "  It would converge, all else equal (the least that is expected to do; more makes it surer),"
        );
    } else if advice.untried.is_empty() {
        let _ = writeln!(out, "  No lever lets it converge alone.");
    }
    for remedy in &advice.remedies {
        let _ = writeln!(out, "  - {};", remedy.words());
    }
    let in_vain: Vec<&str> = advice.in_vain.iter().map(|lever| lever.words()).collect();
    if !in_vain.is_empty() {
        let _ = writeln!(out, "  Not with {}.", in_vain.join(", nor with "));
    }
    for (lever, why) in &advice.refused {
        let _ = writeln!(out, "  Not tried: {}: {why}.", lever.words());
    }
    for lever in &advice.untried {
        let _ =
            writeln!(out, "  Not tried: {}: it would take too long to find out.", lever.words());
    }
    out
}
