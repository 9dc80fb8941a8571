//! Answers as CSV: a header and a row each, units in the names of the columns.

use migsim_models::units::SimTime;

use super::{Answer, outcome_word};
use crate::migration::Outcome;
use crate::sweep::{Point, Range};

const COLUMNS: [&str; 15] = [
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
];

fn fields(outcome: &Outcome) -> [String; 15] {
    let seconds = |time: SimTime| time.as_secs_f64().to_string();
    let optional = |time: Option<SimTime>| time.map_or(String::new(), seconds);
    let t = &outcome.terms;
    [
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
    ]
}

fn write(header: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> Result<String, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header)?;
    for row in rows {
        writer.write_record(row)?;
    }
    let bytes = writer.into_inner().map_err(|e| csv::Error::from(std::io::Error::from(e.into_error().kind())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn names(first: &[&str], last: &[String]) -> Vec<String> {
    let first = first.iter().map(|name| (*name).to_owned());
    first.chain(COLUMNS.map(str::to_owned)).chain(last.iter().cloned()).collect()
}

/// One row for each guest, with two columns for each model that was asked.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn answers(answers: &[Answer]) -> Result<String, csv::Error> {
    let asked = answers.first().map(|a| a.models.as_slice()).unwrap_or_default();
    let models: Vec<String> = asked
        .iter()
        .flat_map(|(model, _)| [format!("{}_tmt_s", model.name), format!("{}_downtime_s", model.name)])
        .collect();
    let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
    let rows = answers.iter().map(|answer| {
        let mut row = vec![answer.case.guest.name.clone()];
        row.extend(fields(&answer.outcome));
        row.extend(answer.models.iter().flat_map(|(_, p)| [number(p.tmt_s), number(p.downtime_s)]));
        row
    });
    write(names(&["name"], &models), rows)
}

/// One row for each point.
///
/// # Errors
/// The writer's, of which there are none in memory.
pub fn sweep(points: &[Point], ranges: &[Range]) -> Result<String, csv::Error> {
    let varied: Vec<&str> = ranges.iter().map(|range| range.quantity.name()).collect();
    let rows = points.iter().map(|point| {
        let mut row: Vec<String> = ranges.iter().zip(&point.values).map(|(r, v)| r.quantity.write(*v)).collect();
        row.extend(fields(&point.outcome));
        row
    });
    write(names(&varied, &[]), rows)
}
