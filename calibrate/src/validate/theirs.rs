//! Another predictor's answers, judged as our own are.

use std::collections::BTreeMap;
use std::path::Path;

use migsim::input::{InputError, Rows, quoted, shown, uneven};
use migsim::record::{RowPrediction, Within};

use super::Judged;

/// Columns of a file of predictions: the run, and what is said of it. All but the run may be
/// missing, and any cell empty: then nothing is said. What `migsim predict --records` writes is
/// such a file.
const COLUMNS: [&str; 9] = [
    "id",
    "pred_outcome",
    "pred_elapsed_ms",
    "pred_downtime_ms",
    "pred_wire_bytes",
    "pred_elapsed_p5_ms",
    "pred_elapsed_p95_ms",
    "pred_downtime_p5_ms",
    "pred_downtime_p95_ms",
];

/// Reads a file of predictions, by run.
///
/// # Errors
/// It cannot be read, has no column `id`, says something twice of a run, or something that is no
/// number; with the line.
pub fn read_predictions(file: &Path) -> Result<BTreeMap<String, RowPrediction>, InputError> {
    let name = shown(&file.display().to_string());
    let whole = |why: &dyn std::fmt::Display| InputError::new(name.as_str(), why);
    let opened = std::fs::File::open(file).map_err(|e| whole(&e))?;
    let (mut reader, took_row) = Rows::reader(opened);
    let header = reader.headers().map_err(|e| whole(&e))?.clone();
    let place = |column: &str| header.iter().position(|one| one.trim() == column);
    if place("id").is_none() {
        let message = format!("has no column `id`; predictions have {}", COLUMNS.join(", "));
        return Err(InputError::new(format!("{name}:1"), message));
    }
    let mut found = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|e| whole(&e))?;
        took_row();
        let line = row.position().map_or(0, csv::Position::line);
        let at = |why: String| InputError::new(format!("{name}:{line}"), why);
        if row.len() != header.len() {
            return Err(at(uneven(row.len(), header.len())));
        }
        let text = |column: &str| {
            place(column).and_then(|place| row.get(place)).map(str::trim).filter(|t| !t.is_empty())
        };
        let number = |column: &str| -> Result<Option<f64>, InputError> {
            let Some(text) = text(column) else { return Ok(None) };
            let known = text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
            let why =
                || at(format!("{column}: `{}` is not a number that is not negative", quoted(text)));
            known.map(Some).ok_or_else(why)
        };
        let Some(id) = text("id") else { return Err(at("the row has no `id`".to_owned())) };
        let completed = match text("pred_outcome") {
            None | Some("completed") => true,
            Some("not-converged" | "failed") => false,
            Some(other) => {
                return Err(at(format!(
                    "pred_outcome: `{}` is none of completed, not-converged, failed",
                    quoted(other)
                )));
            }
        };
        // Who gives one interval gives that of 90 %; of the middle half nothing is said.
        let within = |low: &str, high: &str| -> Result<Within, InputError> {
            Ok([None, number(low)?.zip(number(high)?).map(|(low, high)| [low, high])])
        };
        let said = RowPrediction {
            completed,
            p_converge: number("pred_p_converge")?,
            elapsed_ms: number("pred_elapsed_ms")?,
            downtime_ms: number("pred_downtime_ms")?,
            wire_bytes: number("pred_wire_bytes")?,
            elapsed_within: within("pred_elapsed_p5_ms", "pred_elapsed_p95_ms")?,
            downtime_within: within("pred_downtime_p5_ms", "pred_downtime_p95_ms")?,
            ..RowPrediction::default()
        };
        if found.insert(id.to_owned(), said).is_some() {
            return Err(at(format!("`{}` is predicted twice", quoted(id))));
        }
    }
    Ok(found)
}

/// Puts what another predictor says in the place of what we say.
///
/// # Errors
/// A run is not predicted.
pub fn in_place(
    judged: Vec<Judged>,
    theirs: &BTreeMap<String, RowPrediction>,
    file: &Path,
) -> Result<Vec<Judged>, InputError> {
    let missing: Vec<&str> = judged
        .iter()
        .map(|one| one.run.id.as_str())
        .filter(|id| !theirs.contains_key(*id))
        .collect();
    if let Some(first) = missing.first() {
        return Err(InputError::new(
            shown(&file.display().to_string()),
            format!(
                "predicts {} of {} runs; the first that it lacks is `{}`. A run of which nothing is said has a row with its id alone",
                judged.len() - missing.len(),
                judged.len(),
                quoted(first)
            ),
        ));
    }
    let put = |one: Judged| Judged { said: theirs[&one.run.id], near_border: false, ..one };
    Ok(judged.into_iter().map(put).collect())
}
