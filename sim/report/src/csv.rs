//! Answers as CSV: a header and a row each, units in the names of the columns.

use migsim_models::text::harmless;
use migsim_models::units::SimTime;

use migsim::answer::sweep::{Point, Range};
use migsim::answer::{Answer, Quantiles, bound_word, ending_word, outcome_word, why_not};
use migsim::engine::Outcome;
use migsim::input::Case;

const COLUMNS: [&str; 24] = [
    "mode",
    "outcome",
    "tmt_s",
    "downtime_s",
    "resumed_s",
    "source_free_s",
    "ti_s",
    "ov_s",
    "dm_s",
    "vs_s",
    "wire_bytes",
    "normal_pages",
    "zero_pages",
    "dirty_syncs",
    "throttle_percent",
    "ending",
    "reason",
    "bound_by",
    "reported_downtime_s",
    "iterations",
    "faults",
    "stalled_s",
    "given_up_s",
    "median_of_phase_offsets",
];

/// How sure an answer is.
const SURE: [&str; 6] = ["tmt_p5_s", "tmt_p95_s", "downtime_p5_s", "downtime_p95_s", "p_converge", "draws"];

fn fields(case: &Case, outcome: &Outcome, offsets: usize) -> Vec<String> {
    let seconds = |time: SimTime| time.as_secs_f64().to_string();
    let optional = |time: Option<SimTime>| time.map_or(String::new(), seconds);
    let t = &outcome.terms;
    vec![
        outcome.mode.to_string(),
        outcome_word(outcome).to_owned(),
        optional(outcome.tmt()),
        optional(outcome.downtime()),
        optional(outcome.resumed_at),
        optional(outcome.source_free_at.filter(|_| outcome.completed())),
        seconds(t.ti),
        seconds(t.ov),
        seconds(t.dm),
        seconds(t.vs),
        outcome.wire_bytes.to_string(),
        outcome.normal_pages.to_string(),
        outcome.zero_pages.to_string(),
        outcome.dirty_syncs.to_string(),
        outcome.throttle_percent.to_string(),
        ending_word(outcome).to_owned(),
        why_not(case, outcome),
        outcome.bound.map_or(String::new(), |bound| bound_word(bound).to_owned()),
        optional(outcome.reported_downtime()),
        outcome.passes.to_string(),
        outcome.faults.count.to_string(),
        outcome.faults.stalled_s.to_string(),
        optional((!outcome.completed()).then_some(outcome.ended_at)),
        offsets.to_string(),
    ]
}

fn sure(quantiles: Option<&Quantiles>) -> Vec<String> {
    let Some(sure) = quantiles else { return vec![String::new(); SURE.len()] };
    let s = |ms: f64| (ms / 1e3).to_string();
    let mut fields = match &sure.times {
        Some(times) => {
            let (all, down) = (&times.elapsed_ms, &times.downtime_ms);
            vec![s(all.p5), s(all.p95), s(down.p5), s(down.p95)]
        }
        None => vec![String::new(); 4],
    };
    fields.extend([sure.p_converge.to_string(), sure.draws.to_string()]);
    fields
}

/// Rows as CSV.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn write<R: IntoIterator<Item = String>>(
    header: impl IntoIterator<Item = String>,
    rows: impl Iterator<Item = R>,
) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| harmless(&cell)))?;
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::from(e.into_error().kind())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn names<'a>(first: impl IntoIterator<Item = &'a str>, last: impl IntoIterator<Item = String>) -> Vec<String> {
    first.into_iter().chain(COLUMNS).chain(SURE).map(str::to_owned).chain(last).collect()
}

/// One row for each guest, with four columns for each model that was asked: on its own inputs, and on fair ones.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn answers(answers: &[Answer]) -> Result<String, csv::Error> {
    let asked = answers.first().map(|a| a.models.as_slice()).unwrap_or_default();
    let models = asked.iter().flat_map(|(model, _)| {
        let name = model.name.replace('-', "_");
        ["tmt_s", "downtime_s", "fair_tmt_s", "fair_downtime_s"].map(|figure| format!("{name}_{figure}"))
    });
    let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
    let rows = answers.iter().map(|answer| {
        let mut row = vec![answer.case.guest.name.clone()];
        row.extend(fields(&answer.case, &answer.outcome, answer.offsets));
        row.extend(sure(answer.quantiles.as_ref()));
        row.extend(answer.models.iter().flat_map(|(_, asked)| {
            let both = asked.map(|asked| [asked.as_printed, asked.fair]);
            both.map_or([None; 4], |[p, fair]| [p.tmt_s, p.downtime_s, fair.tmt_s, fair.downtime_s]).map(number)
        }));
        row.extend([
            answer.understood.line(),
            answer.understood.defaults().join(" "),
            answer.understood.warnings.join(" "),
        ]);
        row
    });
    let last = models.chain(["question", "defaults", "warnings"].map(str::to_owned));
    write(names(["name"], last), rows)
}

/// One row for each point; of one that cannot be, the reason.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn sweep(points: &[Point], ranges: &[Range]) -> Result<String, csv::Error> {
    let varied: Vec<String> = ranges.iter().map(|range| range.quantity.column()).collect();
    let rows = points.iter().map(|point| {
        let mut row: Vec<String> = point.values.iter().map(super::sweep::plain).collect();
        match &point.found {
            Ok(found) => {
                row.extend(fields(&found.case, &found.outcome, found.offsets));
                row.extend(sure(found.quantiles.as_ref()));
            }
            Err(why) => row.extend(COLUMNS.iter().chain(&SURE).map(|column| match *column {
                "outcome" => "failed".to_owned(),
                "ending" => "refused".to_owned(),
                "reason" => why.clone(),
                _ => String::new(),
            })),
        }
        row
    });
    write(names(varied.iter().map(String::as_str), []), rows)
}
