//! A sweep as table and JSON.

use migsim_models::units::{SimTime, human_bytes, human_time};
use serde_json::{Map, Value as Json, json};

use super::json::{outcome, pretty, quantiles};
use super::table::grid;
use migsim::answer::sweep::{Point, Range, Value};
use migsim::answer::{ending_word, outcome_word, why_not};
use migsim::input::Kind;

/// A value as a plain number, or a word.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Word(word) => word.clone(),
    }
}

/// For each point the values varied and the answer without its iterations.
pub fn sweep_json(points: &[Point], ranges: &[Range]) -> String {
    let points: Vec<Json> = points
        .iter()
        .map(|point| {
            let mut map = match &point.found {
                Ok(found) => {
                    let mut map = outcome(&found.outcome);
                    map.remove("rounds");
                    map.insert("passes".to_owned(), json!(found.outcome.passes));
                    map.insert("median_of_phase_offsets".to_owned(), json!(found.offsets));
                    if !found.outcome.completed() {
                        map.insert("reason".to_owned(), json!(why_not(&found.case, &found.outcome)));
                    }
                    if let Some(sure) = &found.quantiles {
                        map.insert("quantiles".to_owned(), quantiles(sure));
                        map.insert("p_converge".to_owned(), json!(sure.p_converge));
                    }
                    map
                }
                Err(why) => Map::from_iter(
                    [("outcome", json!("failed")), ("ending", json!("refused")), ("reason", json!(why))]
                        .map(|(key, value)| (key.to_owned(), value)),
                ),
            };
            let varied: Map<String, Json> = ranges
                .iter()
                .zip(&point.values)
                .map(|(range, value)| {
                    let value = match value {
                        Value::Number(number) => json!(number),
                        Value::Word(word) => json!(word),
                    };
                    (range.quantity.column(), value)
                })
                .collect();
            map.insert("varied".to_owned(), Json::Object(varied));
            Json::Object(map)
        })
        .collect();
    pretty(&json!({"results": points}))
}

/// A line for each point.
pub fn sweep_table(points: &[Point], ranges: &[Range]) -> String {
    let names: Vec<&str> = ranges.iter().map(|range| range.quantity.name()).collect();
    let sure = points.iter().any(|point| point.found.as_ref().is_ok_and(|found| found.quantiles.is_some()));
    let mut header = [&names[..], &["outcome", "total", "downtime", "iterations", "on the wire"]].concat();
    if sure {
        header.extend(["total, 90 % interval", "converges with"]);
    }
    let mut table = grid(&header, 0..);
    for point in points {
        let mut row: Vec<String> = ranges.iter().zip(&point.values).map(|(r, v)| rounded(r, v)).collect();
        match &point.found {
            Ok(found) => {
                let outcome = &found.outcome;
                let total = |time: Option<SimTime>| time.map_or("-".to_owned(), human_time);
                let word = if outcome.completed() { outcome_word(outcome) } else { ending_word(outcome) };
                row.extend([
                    word.to_owned(),
                    total(outcome.tmt()),
                    total(outcome.downtime()),
                    outcome.passes.to_string(),
                    human_bytes(outcome.wire_bytes as f64),
                ]);
                if let Some(quantiles) = &found.quantiles {
                    let ms = |ms: f64| human_time(SimTime::from_secs_f64(ms / 1e3));
                    let span = quantiles.times.map(|t| format!("{} to {}", ms(t.elapsed_ms.p5), ms(t.elapsed_ms.p95)));
                    row.extend([span.unwrap_or("-".to_owned()), format!("{:.0} %", quantiles.p_converge * 100.0)]);
                }
            }
            Err(why) => row.push(format!("cannot be: {why}")),
        }
        table.add_row(row);
    }
    let mut notes = String::new();
    let offsets = points.iter().filter_map(|point| point.found.as_ref().ok()).map(|found| found.offsets).max();
    if let Some(offsets) = offsets.filter(|offsets| *offsets > 1) {
        notes.push_str(&format!("Each line is the median over {offsets} offsets into the workload's phases.\n"));
    }
    if names.contains(&"rate") {
        notes.push_str(
            "rate: all terms' writes together, in their proportion; a measured curve counts with the writes of the classes that fit it.\n",
        );
    }
    format!("{table}\n{notes}")
}

/// A value of a range for people: four digits in the unit of its axis.
fn rounded(range: &Range, value: &Value) -> String {
    let (unit, scale) = range.quantity.axis();
    match value {
        Value::Word(word) => word.clone(),
        Value::Number(number) if range.quantity.kind() == Kind::Whole => format!("{number}"),
        Value::Number(number) => {
            let value = number / scale;
            let digits = (3 - libm::floor(libm::log10(value.max(1e-9))) as i32).clamp(0, 6) as usize;
            format!("{value:.digits$} {unit}").trim_end().to_owned()
        }
    }
}
