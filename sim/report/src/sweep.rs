//! Sweeps: a line for each point.

use std::collections::BTreeMap;

use migsim::answer::sweep::{Point, Range, SweepAnswer, Value, outside};
use migsim::answer::{Between, bound_word, ending_word, outcome_word, shape};
use migsim::input::Kind;
use serde_json::{Map, Value as Json};

use crate::cell::Cell;
use crate::document::{Document, Grid};
use crate::format::{Answered, value};
use crate::predict::figures;

/// A sweep whose points are at hand.
#[derive(Debug, Clone, Copy)]
pub struct Swept<'a> {
    /// The points, in their order.
    pub points: &'a [Point],
    /// What was varied.
    pub ranges: &'a [Range],
    /// Between which hosts.
    pub between: &'a Between,
}

impl Answered for Swept<'_> {
    fn document(&self) -> Document {
        let mut document = document(self.points, self.ranges);
        if let Some(words) = outside(self.points, self.between) {
            document.text(format!("Note: {words}.\n"));
        }
        document
    }

    fn value(&self) -> Json {
        let results = self.points.iter().map(|point| point.shape(self.ranges)).collect();
        let warnings = outside(self.points, self.between).into_iter().collect();
        value(SweepAnswer { schema: shape::SCHEMA, warnings, results })
    }

    fn each_row(&self, take: &mut dyn FnMut(Json) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.points.iter().try_for_each(|point| take(row(point, self.ranges)))
    }

    fn columns(&self) -> Vec<String> {
        columns(self.ranges)
    }
}

/// The columns of a sweep as a table.
pub fn columns(ranges: &[Range]) -> Vec<String> {
    ranges.iter().map(|range| range.quantity.column()).chain(figures()).collect()
}

/// A point as a row: what is varied stands beside the figures.
pub fn row(point: &Point, ranges: &[Range]) -> Json {
    let mut row = Map::new();
    if let Json::Object(mut shape) = value(point.shape(ranges)) {
        if let Some(Json::Object(varied)) = shape.remove("varied") {
            row.extend(varied);
        }
        row.extend(shape);
    }
    Json::Object(row)
}

/// A line for each point.
fn document(points: &[Point], ranges: &[Range]) -> Document {
    let names: Vec<&str> = ranges.iter().map(|range| range.quantity.name()).collect();
    let sure = points
        .iter()
        .any(|point| point.found.as_ref().is_ok_and(|found| found.quantiles.is_some()));
    let mut header =
        [&names[..], &["outcome", "total", "downtime", "iterations", "on the wire"]].concat();
    if sure {
        header.extend(["total, 90 % interval", "converges with"]);
    }
    let mut table = Grid::new(&header, 0..);
    for point in points {
        let mut row: Vec<Cell> =
            ranges.iter().zip(&point.values).map(|(r, v)| rounded(r, v).into()).collect();
        match &point.found {
            Ok(found) => {
                let outcome = &found.outcome;
                let word =
                    if outcome.completed() { outcome_word(outcome) } else { ending_word(outcome) };
                row.extend([
                    word.into(),
                    outcome.tmt().into(),
                    outcome.downtime().into(),
                    outcome.iteration_count.to_string().into(),
                    Cell::Size(outcome.wire_bytes as f64),
                ]);
                if let Some(quantiles) = &found.quantiles {
                    let span = quantiles.times.map(|t| [t.elapsed_ms.p5, t.elapsed_ms.p95]);
                    row.extend([
                        Cell::span(span.map(|ends| ends.map(|ms| ms / 1e3))),
                        Cell::percent(Some(quantiles.p_converge)),
                    ]);
                }
            }
            Err(why) => row.push(format!("cannot be: {why}").into()),
        }
        table.row(row);
    }
    let mut notes = String::new();
    let offsets = points
        .iter()
        .filter_map(|point| point.found.as_ref().ok())
        .map(|found| found.offsets)
        .max();
    if let Some(offsets) = offsets.filter(|offsets| *offsets > 1) {
        notes.push_str(&format!(
            "Each line is the median over {offsets} offsets into the workload's phases.\n"
        ));
    }
    if names.contains(&"rate") {
        notes.push_str(
            "rate: all terms' writes together, in their proportion; a measured curve counts with the writes of the classes that fit it.\n",
        );
    }
    let found = || points.iter().filter_map(|point| point.found.as_ref().ok());
    let mut binding: BTreeMap<&str, usize> = BTreeMap::new();
    for bound in found().filter_map(|found| found.outcome.bound) {
        *binding.entry(bound_word(bound)).or_default() += 1;
    }
    for (what, count) in binding.into_iter().filter(|(what, _)| *what != "link") {
        let (what, all) = (what.replace('-', " "), found().count());
        notes.push_str(&format!(
            "At {count} of {all} points the {what} binds, not the link (`bound_by`).\n"
        ));
    }
    let mut out = Document::default();
    out.table(table).text(notes);
    out
}

/// A value of a range for people: four digits in the unit of its axis.
fn rounded(range: &Range, value: &Value) -> String {
    let (unit, scale) = range.quantity.axis();
    match value {
        Value::Word(word) => word.clone(),
        Value::Number(number) if range.quantity.kind() == Kind::Whole => format!("{number}"),
        Value::Number(number) => {
            let value = number / scale;
            let digits =
                (3 - libm::floor(libm::log10(value.max(1e-9))) as i32).clamp(0, 6) as usize;
            format!("{value:.digits$} {unit}").trim_end().to_owned()
        }
    }
}
