//! Answers as text: a verdict first, then the terms, then the rounds.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use migsim_models::published::Prediction;
use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::units::{SimTime, human_bytes, human_time};

use super::{Answer, contributors, largest, why_not};
use crate::advice::Advice;
use crate::migration::Outcome;
use crate::sweep::{Point, Range};

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
    let mut out = verdict(answer);
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

/// The verdict: whether it converges, how long it takes, and what makes it so.
pub fn verdict(answer: &Answer) -> String {
    let (case, outcome) = (&answer.case, &answer.outcome);
    let name = &case.guest.name;
    let mut out = String::new();
    if !outcome.completed() {
        let _ = writeln!(out, "{name}: does NOT converge: {}.", why_not(case, outcome));
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
    if let Some(sure) = &answer.quantiles {
        let time = |ms: f64| human_time(SimTime::from_secs_f64(ms / 1e3));
        let _ = writeln!(
            out,
            "  Nine of ten such runs take {} to {} and report {} to {} of downtime; it converges with a probability of {:.0} %.",
            time(sure.elapsed_ms[0]),
            time(sure.elapsed_ms[2]),
            time(sure.downtime_ms[0]),
            time(sure.downtime_ms[2]),
            sure.p_converge * 100.0
        );
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
    let mut out = String::from("  It would converge, all else equal,\n");
    match advice.link {
        Some(link) => _ = writeln!(out, "  - on a link of at least {link};"),
        None => _ = writeln!(out, "  - on no link, however fast;"),
    }
    match advice.downtime_limit {
        Some(limit) => _ = writeln!(out, "  - with a downtime limit of at least {};", human_time(limit)),
        None => _ = writeln!(out, "  - with no downtime limit up to QEMU's most, 2000 s;"),
    }
    let with = |outcome: &Outcome| {
        format!("total {}, downtime {}", human_time(outcome.terms.tmt()), human_time(outcome.terms.tdt()))
    };
    match &advice.auto_converge {
        Some(o) => {
            _ = writeln!(out, "  - with auto-converge: {}, throttled by up to {} %;", with(o), o.throttle_percent);
        }
        None => _ = writeln!(out, "  - not with auto-converge, which throttles it in vain;"),
    }
    match &advice.postcopy {
        Some(o) => _ = writeln!(out, "  - with post-copy after the first pass: {}.", with(o)),
        None => _ = writeln!(out, "  - not with post-copy."),
    }
    out
}

fn rounds(outcome: &Outcome) -> Table {
    let mut table = grid(&["pass", "from", "for", "normal", "zero", "on the wire", "dirty after it", "throttle"], 0..);
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
            round.n.to_string(),
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

fn models(answer: &Answer) -> Table {
    let mut table = grid(&["model", "total", "downtime", "source"], 1..);
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    let figures = |p: &Prediction| {
        let text = |s: Option<f64>| s.map_or("-".to_owned(), |s| human_time(SimTime::from_secs_f64(s)));
        match p.converges {
            true => [text(p.tmt_s), text(p.downtime_s)],
            false => ["diverges".to_owned(), "-".to_owned()],
        }
    };
    let ours = Prediction {
        converges: answer.outcome.completed(),
        tmt_s: answer.outcome.tmt().map(SimTime::as_secs_f64),
        downtime_s: answer.outcome.downtime().map(SimTime::as_secs_f64),
    };
    let [total, down] = figures(&ours);
    table.add_row(["migsim", &total, &down, "this simulation"]);
    for (model, prediction) in &answer.models {
        let [total, down] = figures(prediction);
        table.add_row([model.name, &total, &down, model.source]);
    }
    table
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
            super::outcome_word(outcome).to_owned(),
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

/// A sweep, a line for each point.
pub fn sweep(points: &[Point], ranges: &[Range]) -> String {
    let names: Vec<&str> = ranges.iter().map(|range| range.quantity.name()).collect();
    let header = [&names[..], &["outcome", "total", "downtime", "passes", "on the wire"]].concat();
    let mut table = grid(&header, 0..);
    for point in points {
        let outcome = &point.outcome;
        let mut row: Vec<String> = ranges.iter().zip(&point.values).map(|(r, v)| rounded(r, *v)).collect();
        let total = |time: Option<SimTime>| time.map_or("-".to_owned(), human_time);
        row.extend([
            super::outcome_word(outcome).to_owned(),
            total(outcome.tmt()),
            total(outcome.downtime()),
            outcome.rounds.len().to_string(),
            human_bytes(outcome.wire_bytes as f64),
        ]);
        table.add_row(row);
    }
    format!("{table}\n")
}

/// A value of a range for people: four digits in the unit of its axis.
fn rounded(range: &Range, value: f64) -> String {
    let (unit, scale) = range.quantity.axis();
    let value = value / scale;
    let digits = (3 - libm::floor(libm::log10(value.max(1e-9))) as i32).clamp(0, 6) as usize;
    format!("{value:.digits$} {unit}")
}
