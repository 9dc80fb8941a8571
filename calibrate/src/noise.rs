//! How much the runs themselves scatter: the spread of repeats of one configuration.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use comfy_table::{CellAlignment, Table};
use migsim::scenario::InputError;
use statrs::statistics::Statistics;

use crate::record::Record;

/// Unrelated work above this many processors' worth makes a run disturbed.
pub const DISTURBED_CPU: f64 = 0.2;

/// Reads run records.
///
/// # Errors
/// With file and line where a row cannot be read, or the file has none.
pub fn read_records(path: &Path) -> anyhow::Result<Vec<Record>> {
    let file = path.display().to_string();
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("{file}: cannot be read"))?;
    let records = reader.deserialize().enumerate().map(|(index, row)| {
        row.map_err(|e: csv::Error| {
            let line = e.position().map_or(index as u64 + 2, csv::Position::line);
            InputError::new(format!("{file}:{line}"), e)
        })
    });
    let records: Vec<Record> = records.collect::<Result<_, _>>()?;
    if records.is_empty() {
        return Err(InputError::new(file, "has no rows; a run record has one for each migration").into());
    }
    Ok(records)
}

/// The scatter of the repeats of one configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// The configuration, by the id of its first run.
    pub first: String,
    /// In words.
    pub words: String,
    /// Undisturbed completed repeats.
    pub runs: usize,
    /// Mean and standard deviation of elapsed, ms.
    pub elapsed: (f64, f64),
    /// The same of downtime.
    pub downtime: (f64, f64),
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Noise {
    /// Configurations of two repeats or more.
    pub spreads: Vec<Spread>,
    /// Completed runs left out because something else was running.
    pub disturbed: usize,
    /// Runs that did not complete.
    pub incomplete: usize,
}

/// Finds the repeats among records and how they scatter.
pub fn noise(records: &[Record]) -> Noise {
    let mut found = Noise::default();
    let mut groups: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    for record in records {
        if record.outcome != "completed" {
            found.incomplete += 1;
        } else if record.background_cpu.is_some_and(|cpu| cpu > DISTURBED_CPU) {
            found.disturbed += 1;
        } else {
            groups.entry(record.configuration()).or_default().push(record);
        }
    }
    for runs in groups.into_values().filter(|runs| runs.len() >= 2) {
        let spread = |of: fn(&Record) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(|r| of(r)).collect();
            ((&values).mean(), (&values).std_dev())
        };
        let Some(first) = runs.iter().min_by_key(|r| &r.id) else { continue };
        found.spreads.push(Spread {
            first: first.id.clone(),
            words: format!(
                "{} of {} MiB, {}, {} Mbit/s",
                first.mode, first.memory_mib, first.workload, first.link_mbit
            ),
            runs: runs.len(),
            elapsed: spread(|r| r.elapsed_ms),
            downtime: spread(|r| r.downtime_ms),
        });
    }
    found.spreads.sort_by(|a, b| a.first.cmp(&b.first));
    found
}

impl Noise {
    /// As a table for people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["configuration", "runs", "elapsed", "spread", "downtime", "spread"]);
        for s in &self.spreads {
            let share = |(mean, deviation): (f64, f64)| format!("{:.1} %  {deviation:.0} ms", 100.0 * deviation / mean);
            table.add_row([
                format!("{}\n{}", s.first, s.words),
                s.runs.to_string(),
                format!("{:.0} ms", s.elapsed.0),
                share(s.elapsed),
                format!("{:.0} ms", s.downtime.0),
                share(s.downtime),
            ]);
        }
        for column in 1..6 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        format!(
            "{table}\nspread: standard deviation, relative to the mean and in ms. Left out: {} disturbed (unrelated work above {DISTURBED_CPU} \
             processors), {} not completed\n",
            self.disturbed, self.incomplete
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_and_disturbed_runs_left_out() {
        let run = |id: &str, workload: &str, elapsed: f64, cpu: f64| Record {
            id: id.to_owned(),
            workload: workload.to_owned(),
            outcome: "completed".to_owned(),
            elapsed_ms: Some(elapsed),
            downtime_ms: Some(100.0),
            background_cpu: Some(cpu),
            ..Record::default()
        };
        let found = noise(&[
            run("a-1", "idle", 900.0, 0.0),
            run("a-2", "idle", 1100.0, 0.1),
            run("a-3", "idle", 5000.0, 1.5),
            run("b", "sweep", 1.0, 0.0),
        ]);
        assert_eq!((found.spreads.len(), found.disturbed), (1, 1));
        assert_eq!(found.spreads[0].runs, 2);
        assert!((found.spreads[0].elapsed.1 - 141.42).abs() < 0.01, "{:?}", found.spreads[0]);
    }
}
