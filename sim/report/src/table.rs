//! Answers as text: a verdict first, then the terms, then the rounds.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use migsim_models::published::{MODELS, Prediction, SYMBOLS};
use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::units::{SimTime, human_bytes, human_time};

use migsim::answer::{Advice, Answer, Asked, Lever, bound_words, contributors, largest, why_not};
use migsim::engine::{Ending, Outcome};

/// Rounds shown at the start and at the end of a long list.
const ROUNDS_SHOWN: (usize, usize) = (12, 5);

fn ms(time: SimTime) -> String {
    format!("{:.1} ms", time.as_millis_f64())
}

/// An empty table; its columns from `right.start` on are figures.
pub fn grid(header: &[&str], right: std::ops::RangeFrom<usize>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(right.start) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// One answer in full.
pub fn answer(answer: &Answer) -> String {
    let mut out = question(answer);
    out.push_str(&verdict(answer));
    let outcome = &answer.outcome;
    if outcome.completed() {
        let t = &outcome.terms;
        let _ = write!(
            out,
            "\nTMT = TI + OV = {} + {} = {}\nTDT = DM + VS = {} + {} = {}\n",
            human_time(t.ti),
            human_time(t.ov),
            human_time(t.tmt()),
            ms(t.dm),
            ms(t.vs),
            ms(t.tdt())
        );
        let parts: Vec<String> = outcome
            .downtime_parts
            .named()
            .iter()
            .filter(|(_, time)| *time > SimTime::ZERO)
            .map(|(name, time)| format!("{name} {}", ms(*time)))
            .collect();
        let _ = writeln!(out, "The downtime: {}.", parts.join(", "));
    }
    let _ = writeln!(
        out,
        "On the wire: {} in {} normal and {} zero pages{}; {} dirty syncs.",
        human_bytes(outcome.wire_bytes as f64),
        outcome.normal_pages,
        outcome.zero_pages,
        if outcome.encoded_pages > 0 {
            format!(
                ", {} XBZRLE differences and {} pages that it found unchanged",
                outcome.encoded_pages, outcome.unchanged_pages
            )
        } else {
            String::new()
        },
        outcome.dirty_syncs
    );
    if !outcome.rounds.is_empty() {
        let _ = write!(out, "\n{}\n", rounds(outcome));
    }
    if !answer.models.is_empty() {
        let _ = write!(out, "\n{}\n", models(answer));
    }
    out
}

/// The question as it was understood.
pub fn question(answer: &Answer) -> String {
    format!("{}: {}.\n", answer.case.guest.name, answer.understood.line())
}

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
            let _ = writeln!(out, "  It converges with a probability of {:.0} %.", sure.p_converge * 100.0);
        }
        if let Some(advice) = &answer.advice {
            out.push_str(&advise(advice));
        }
        return out;
    }
    let (tmt, down) = (outcome.terms.tmt(), outcome.terms.tdt());
    let verb = match case.policy.mode {
        Mode::Precopy | Mode::Postcopy => "converges",
        Mode::Paused | Mode::Offline => "completes",
    };
    let _ = writeln!(out, "{name}: {verb}. Total migration time {}, downtime {}.", human_time(tmt), human_time(down));
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
        let _ = writeln!(out, "  Its pages are sent as fast as {} lets them.", bound_words(bound, case));
    }
    if let Some((sure, times)) = answer.quantiles.as_ref().and_then(|sure| Some((sure, sure.times?))) {
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
            let _ = write!(out, "; it converges with a probability of {:.0} %", sure.p_converge * 100.0);
        }
        out.push_str(".\n");
    }
    if outcome.throttle_percent > 0 {
        let _ = writeln!(out, "  Auto-converge throttled the guest by up to {} %.", outcome.throttle_percent);
    }
    if let Some(at) = outcome.timed_out_at {
        let what =
            if case.policy.on_timeout == OnTimeout::Suspend { "suspended the guest" } else { "switched to post-copy" };
        let _ = writeln!(out, "  Its timeout {what} after {}.", human_time(at));
    }
    if let Some(at) = outcome.switched_at {
        let resumed = outcome.resumed_at.unwrap_or(at);
        let _ = writeln!(
            out,
            "  The guest runs at the destination from {} on; about {:.0} page faults then stall it for {} in all.",
            human_time(resumed),
            outcome.faults.count,
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
        let _ = writeln!(out, "  It would converge, all else equal,");
    } else if advice.untried.is_empty() {
        let _ = writeln!(out, "  No lever lets it converge alone.");
    }
    for remedy in &advice.remedies {
        let _ = writeln!(out, "  - {};", remedy.words());
    }
    let in_vain: Vec<&str> = advice.in_vain.iter().map(|lever| lever_words(*lever)).collect();
    if !in_vain.is_empty() {
        let _ = writeln!(out, "  Not with {}.", in_vain.join(", nor with "));
    }
    for (lever, why) in &advice.refused {
        let _ = writeln!(out, "  Not tried: {}: {why}.", lever_words(*lever));
    }
    for lever in &advice.untried {
        let _ = writeln!(out, "  Not tried: {}: it would take too long to find out.", lever_words(*lever));
    }
    out
}

/// A lever in words, turned as far as it goes.
fn lever_words(lever: Lever) -> &'static str {
    match lever {
        Lever::Link => "a faster link alone",
        Lever::BandwidthCap => "another bandwidth cap",
        Lever::NoBandwidthCap => "no bandwidth cap",
        Lever::MultifdChannels => "more multifd channels",
        Lever::SendBuffer => "a larger send buffer",
        Lever::DowntimeLimit => "a downtime limit up to QEMU's most, 2000s",
        Lever::Timeout => "a longer timeout",
        Lever::AutoConverge => "auto-converge",
        Lever::Xbzrle => "XBZRLE",
        Lever::Postcopy => "post-copy",
    }
}

fn rounds(outcome: &Outcome) -> Table {
    let mut table =
        grid(&["iteration", "from", "for", "normal", "zero", "on the wire", "dirty after it", "throttle"], 0..);
    let count = outcome.rounds.len();
    let (head, tail) = ROUNDS_SHOWN;
    for (index, round) in outcome.rounds.iter().enumerate() {
        if count > head + tail && index >= head && index < count - tail {
            if index == head {
                table.add_row([format!("... {} more", count - head - tail)]);
            }
            continue;
        }
        table.add_row([
            match round.passes {
                1 => round.n.to_string(),
                passes => format!("{} to {}", round.n + 1 - passes, round.n),
            },
            format!("{:.3} s", round.start.as_secs_f64()),
            human_time(round.end - round.start),
            format!("{:.0}", round.pages.normal + round.pages.encoded + round.pages.unchanged),
            format!("{:.0}", round.pages.zero),
            human_bytes(round.wire_bytes),
            format!("{:.0}", round.dirty_pages_at_end),
            format!("{} %", round.throttle_percent),
        ]);
    }
    table
}

/// The published models, what they compute and where they come from.
pub fn published() -> String {
    let mut out = String::new();
    for model in MODELS {
        let doi = model.doi.map_or(String::new(), |doi| format!(", doi:{doi}"));
        let (mode, known) = (model.mode, model.known.words());
        let _ = writeln!(out, "{} ({mode}, {known})\n  {}\n  {}{doi}\n", model.name, model.formula, model.reference);
    }
    out + SYMBOLS + "\n"
}

fn models(answer: &Answer) -> String {
    let mut table = grid(&["model", "total", "downtime", "fair total", "fair downtime", "formula"], 1..);
    for column in table.column_iter_mut().skip(5) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let figures = |p: &Prediction| {
        let text = |s: Option<f64>| s.map_or("-".to_owned(), |s| human_time(SimTime::from_secs_f64(s)));
        match p.converges {
            true => [text(p.tmt_s), text(p.downtime_s)],
            false => ["does not converge".to_owned(), "-".to_owned()],
        }
    };
    let ours = Prediction {
        converges: answer.outcome.completed(),
        tmt_s: answer.outcome.tmt().map(SimTime::as_secs_f64),
        downtime_s: answer.outcome.downtime().map(SimTime::as_secs_f64),
    };
    let ours = Asked { as_printed: ours, fair: ours };
    let mut row = |name: &str, asked: &Asked, known: &str| {
        let ([total, down], [fair_total, fair_down]) = (figures(&asked.as_printed), figures(&asked.fair));
        table.add_row([name, &total, &down, &fair_total, &fair_down, known]);
    };
    row("migsim", &ours, "this simulation");
    for (model, asked) in answer.models.iter().filter_map(|(model, asked)| Some((model, asked.as_ref()?))) {
        row(model.name, asked, model.known.words());
    }
    let other: Vec<&str> = answer.models.iter().filter(|(_, asked)| asked.is_none()).map(|(m, _)| m.name).collect();
    let other = match other.as_slice() {
        [] => String::new(),
        names => format!("Of other modes, and not asked: {}.\n", names.join(", ")),
    };
    format!(
        "{table}\n{other}`migsim models` says what each computes, and where it was published.\nfair: on what is not zero instead of all memory, with the headers of pages and the start of QEMU, of which most models do not speak."
    )
}

/// Several answers, a line each.
pub fn overview(answers: &[Answer]) -> String {
    let mut table =
        grid(&["guest", "mode", "outcome", "total", "downtime", "TI", "OV", "DM", "VS", "on the wire"], 3..);
    for answer in answers {
        let outcome = &answer.outcome;
        let t = &outcome.terms;
        let total = |time: Option<SimTime>| time.map_or("-".to_owned(), human_time);
        table.add_row([
            answer.case.guest.name.clone(),
            answer.case.policy.mode.to_string(),
            migsim::answer::outcome_word(outcome).to_owned(),
            total(outcome.tmt()),
            total(outcome.downtime()),
            human_time(t.ti),
            human_time(t.ov),
            human_time(t.dm),
            human_time(t.vs),
            human_bytes(outcome.wire_bytes as f64),
        ]);
    }
    format!("{table}\n")
}
