//! Many migrations, from a table and into one.
//!
//! A column is a key of a scenario, a row a question. Neither is copied on its way from Python or
//! back: both go as Arrow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, UInt64Array,
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use migsim::answer::{Between, ending_word, median_run, outcome_word, why_not};
use migsim::engine::{Fidelity, Outcome};
use migsim::input::{Case, Key, Keys};
use migsim::record::Job;
use migsim_models::units::SimTime;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3_arrow::PyTable;
use rayon::prelude::*;

use crate::one::question;
use crate::{hosts, keys, refused, wait};

/// So many rows are answered by a thread before it takes others.
const CHUNK: usize = 1024;

/// The values of a column.
enum Values {
    Text(LargeStringArray),
    ShortText(StringArray),
    ViewedText(StringViewArray),
    Number(Float64Array),
    Switch(BooleanArray),
    /// Nobody says anything.
    Nothing,
}

struct Column {
    key: &'static Key,
    values: Values,
}

/// A value of a row.
#[derive(Clone, Copy, PartialEq)]
enum Cell<'a> {
    Text(&'a str),
    Number(f64),
    Switch(bool),
    None,
}

impl Column {
    fn new(key: &'static Key, array: &ArrayRef) -> Result<Column, String> {
        let broken = |why: arrow_schema::ArrowError| format!("`{}`: {why}", key.name());
        let values = match array.data_type() {
            DataType::Utf8 => Values::ShortText(array.as_string().clone()),
            DataType::LargeUtf8 => Values::Text(array.as_string().clone()),
            DataType::Utf8View => Values::ViewedText(array.as_string_view().clone()),
            DataType::Dictionary(_, _) => {
                Values::Text(cast(array, &DataType::LargeUtf8).map_err(broken)?.as_string().clone())
            }
            DataType::Boolean => Values::Switch(array.as_boolean().clone()),
            DataType::Null => Values::Nothing,
            kind if kind.is_numeric() => Values::Number(
                cast(array, &DataType::Float64)
                    .map_err(broken)?
                    .as_primitive::<Float64Type>()
                    .clone(),
            ),
            other => {
                return Err(format!("`{}`: it takes text or numbers, not {other}", key.name()));
            }
        };
        Ok(Column { key, values })
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        fn some<'a>(
            array: &'a dyn Array,
            row: usize,
            value: impl FnOnce() -> Cell<'a>,
        ) -> Cell<'a> {
            if array.is_null(row) { Cell::None } else { value() }
        }
        match &self.values {
            Values::Text(all) => some(all, row, || Cell::Text(all.value(row))),
            Values::ShortText(all) => some(all, row, || Cell::Text(all.value(row))),
            Values::ViewedText(all) => some(all, row, || Cell::Text(all.value(row))),
            Values::Switch(all) => some(all, row, || Cell::Switch(all.value(row))),
            // pandas' word for nothing.
            Values::Number(all) if all.value(row).is_nan() => Cell::None,
            Values::Number(all) => some(all, row, || Cell::Number(all.value(row))),
            Values::Nothing => Cell::None,
        }
    }

    fn set(&self, keys: &mut Keys, cell: Cell) -> Result<(), String> {
        match cell {
            Cell::Text(text) => keys::set(self.key, keys, text),
            Cell::Number(number) => {
                keys::set(self.key, keys, &keys::written(self.key.kind, number))
            }
            Cell::Switch(switch) => keys::set(self.key, keys, &switch.to_string()),
            Cell::None => Ok(()),
        }
    }
}

/// What is said of a row.
struct Said {
    outcome: Outcome,
    reason: Option<String>,
    /// The probability of converging, and the 90 % intervals of total time and downtime, s.
    sure: Option<(f64, Option<[f64; 4]>)>,
}

/// Answers a question.
fn said(keys: &Keys, job: &Job) -> Result<Said, String> {
    let case = Case::build(keys).map_err(|why| why.to_string())?;
    let hosts = job.between.over(case.path.capacity);
    let (outcome, _) = median_run(&case, &hosts.profile, job.fidelity);
    let sure = job.sure(hosts, &case, &outcome).map(|sure| {
        let ends = sure.times.map(|t| {
            let [total, down] = [t.elapsed_ms, t.downtime_ms];
            [total.p5, total.p95, down.p5, down.p95].map(|ms| ms / 1e3)
        });
        (sure.p_converge, ends)
    });
    let reason = (!outcome.completed()).then(|| why_not(&case, &outcome));
    Ok(Said { outcome, reason, sure })
}

/// Answers rows; a row is asked anew only in what differs from the one before it.
fn rows(
    columns: &[Column],
    range: std::ops::Range<usize>,
    base: &Keys,
    job: &Job,
    busy: &AtomicU64,
) -> Vec<Result<Said, String>> {
    let mut keys = base.clone();
    let (mut before, mut now) = (vec![Cell::None; columns.len()], Vec::new());
    let mut whole = true;
    let mut found = Vec::with_capacity(range.len());
    let mut spent = 0;
    for row in range {
        now.clear();
        now.extend(columns.iter().map(|column| column.cell(row)));
        let begun = Instant::now();
        let taken_away = before.iter().zip(&now).any(|(old, new)| *new == Cell::None && old != new);
        if taken_away || !whole {
            keys = base.clone();
            before.fill(Cell::None);
        }
        let mut asked = Ok(());
        for (column, (old, new)) in columns.iter().zip(before.iter().zip(&now)) {
            if old != new {
                asked = asked.and_then(|()| column.set(&mut keys, *new));
            }
        }
        whole = asked.is_ok();
        found.push(asked.and_then(|()| said(&keys, job)));
        spent += begun.elapsed().as_nanos() as u64;
        std::mem::swap(&mut before, &mut now);
    }
    busy.fetch_add(spent, Ordering::Relaxed);
    found
}

/// The first row that cannot be answered, and how many others.
#[derive(Debug, Clone, Default)]
struct Wrong {
    row: usize,
    why: String,
    more: usize,
}

impl Wrong {
    /// Of rows of which the first has that number.
    fn of(found: &[Result<Said, String>], first: usize) -> Option<Wrong> {
        let mut wrong =
            found.iter().enumerate().filter_map(|(row, one)| Some((row, one.as_ref().err()?)));
        let (row, why) = wrong.next()?;
        Some(Wrong { row: first + row, why: why.clone(), more: wrong.count() })
    }

    /// This and those of rows behind them.
    fn and(self, behind: Wrong) -> Wrong {
        Wrong { more: self.more + 1 + behind.more, ..self }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "row {}: {}", self.row, self.why)?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " ({more} more are wrong)"),
        }
    }
}

/// The answers as columns.
fn table(said: &[Result<Said, String>], intervals: bool, kept: bool) -> Result<RecordBatch, Wrong> {
    let of = |figure: &dyn Fn(&Said) -> Option<f64>| -> ArrayRef {
        let values = said.iter().map(|one| one.as_ref().ok().and_then(figure));
        Arc::new(values.collect::<Float64Array>())
    };
    let count = |figure: &dyn Fn(&Outcome) -> u64| -> ArrayRef {
        let values = said.iter().map(|one| one.as_ref().ok().map(|one| figure(&one.outcome)));
        Arc::new(values.collect::<UInt64Array>())
    };
    let words = |word: &dyn Fn(&Said) -> Option<&str>| -> ArrayRef {
        let values = said.iter().map(|one| one.as_ref().ok().and_then(word));
        Arc::new(values.collect::<StringArray>())
    };
    let time = |of: fn(&Outcome) -> Option<SimTime>| {
        move |one: &Said| of(&one.outcome).map(SimTime::as_secs_f64)
    };
    let term = |of: fn(&Outcome) -> SimTime| {
        move |one: &Said| one.outcome.completed().then(|| of(&one.outcome).as_secs_f64())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("outcome", words(&|one| Some(outcome_word(&one.outcome)))),
        ("ending", words(&|one| Some(ending_word(&one.outcome)))),
        ("reason", words(&|one| one.reason.as_deref())),
        ("tmt_s", of(&time(Outcome::tmt))),
        ("downtime_s", of(&time(Outcome::downtime))),
        ("terms.ti_s", of(&term(|outcome| outcome.terms.ti))),
        ("terms.ov_s", of(&term(|outcome| outcome.terms.ov))),
        ("terms.dm_s", of(&term(|outcome| outcome.terms.dm))),
        ("terms.vs_s", of(&term(|outcome| outcome.terms.vs))),
        ("wire_bytes", count(&|outcome| outcome.wire_bytes)),
        ("normal_pages", count(&|outcome| outcome.normal_pages)),
        ("zero_pages", count(&|outcome| outcome.zero_pages)),
        ("dirty_syncs", count(&|outcome| outcome.dirty_syncs)),
        ("throttle_percent", count(&|outcome| outcome.throttle_percent.into())),
        ("lost_s", of(&|one| Some(one.outcome.lost_s()))),
    ];
    if intervals {
        columns.push(("p_converge", of(&|one| one.sure.map(|(p, _)| p))));
        let names = [
            "intervals.tmt_s.p5",
            "intervals.tmt_s.p95",
            "intervals.downtime_s.p5",
            "intervals.downtime_s.p95",
        ];
        for (index, name) in names.into_iter().enumerate() {
            columns.push((name, of(&move |one| one.sure?.1.map(|ends| ends[index]))));
        }
    }
    if kept {
        let errors = said.iter().map(|one| one.as_ref().err().map(String::as_str));
        columns.push(("error", Arc::new(errors.collect::<StringArray>())));
    }
    let fields =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(schema, arrays).map_err(|why| Wrong {
        row: 0,
        why: why.to_string(),
        more: 0,
    })
}

/// Predicts a table of migrations: a table of as many rows, and the seconds that all threads together
/// have spent on what a Rust program does as well: to set the keys of each row and to answer it.
#[pyfunction]
#[pyo3(signature = (asked, base, *, ignore, profile, manager, intervals, keep_errors, progress))]
#[expect(clippy::too_many_arguments, reason = "each is named by the package")]
pub(crate) fn predict_many(
    py: Python<'_>,
    asked: PyTable,
    base: &Bound<'_, PyDict>,
    ignore: Vec<String>,
    profile: Option<String>,
    manager: Option<String>,
    intervals: bool,
    keep_errors: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<(PyTable, f64)> {
    let base = question(base)?;
    let (batches, schema) = asked.into_inner();
    let columns = |batch: &RecordBatch| -> Result<Vec<Column>, String> {
        let fields = schema.fields().iter().zip(batch.columns());
        let fields = fields.filter(|(field, _)| !ignore.contains(field.name()));
        let column = |(field, array): (&Arc<Field>, &ArrayRef)| {
            let key = keys::known(field.name()).ok_or_else(|| keys::unknown(field.name()))?;
            Column::new(key, array)
        };
        fields.map(column).collect()
    };
    let asked: Vec<(Vec<Column>, usize)> = batches
        .iter()
        .map(|batch| Ok((columns(batch)?, batch.num_rows())))
        .collect::<Result<_, String>>()
        .map_err(refused)?;
    let all: usize = asked.iter().map(|(_, rows)| rows).sum();
    let between: Arc<Between> = hosts(profile, manager).between().map_err(refused)?;
    let busy = AtomicU64::new(0);
    let answered = wait::long(py, progress, all as u64, |work| {
        let job = Job {
            own: None,
            file: "the table",
            between: &between,
            fidelity: Fidelity::Flow,
            intervals,
            interrupted: &work.stop,
        };
        let mut first = 0;
        let mut tables = Vec::new();
        for (columns, count) in &asked {
            let chunks = count.div_ceil(CHUNK);
            let found: Vec<Result<RecordBatch, Wrong>> = (0..chunks)
                .into_par_iter()
                .map(|chunk| {
                    let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(*count);
                    let (start, length) = (first + range.start, range.len() as u64);
                    if work.stop.load(Ordering::Relaxed) {
                        return Err(Wrong::default());
                    }
                    let found = rows(columns, range, &base, &job, &busy);
                    work.done.fetch_add(length, Ordering::Relaxed);
                    let wrong = Wrong::of(&found, start).filter(|_| !keep_errors);
                    wrong.map_or_else(|| table(&found, intervals, keep_errors), Err)
                })
                .collect();
            let wrong = found.iter().filter_map(|part| part.as_ref().err());
            if let Some(wrong) = wrong.cloned().reduce(Wrong::and) {
                return Err(wrong.to_string());
            }
            tables.extend(found.into_iter().flatten());
            first += count;
        }
        if tables.is_empty() {
            tables.push(table(&[], intervals, keep_errors).map_err(|wrong| wrong.to_string())?);
        }
        let schema = tables[0].schema();
        Ok((tables, schema))
    })?;
    let (tables, schema) = answered.map_err(|why: String| refused(why))?;
    Ok((PyTable::try_new(tables, schema)?, busy.into_inner() as f64 / 1e9))
}
