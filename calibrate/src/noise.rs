//! How much the runs themselves scatter: the spread of repeats of one configuration.

use std::collections::BTreeMap;

use migsim::record::{DISTURBED, Observation};
use migsim_report::document::{Document, Grid};
use schemars::JsonSchema;
use serde::Serialize;
use statrs::statistics::Statistics;

/// The scatter of the repeats of one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// The same of each offline phase.
    pub phases: Option<[(f64, f64); 3]>,
    /// How many of the repeats have the commonest count of dirty syncs.
    pub same_rounds: usize,
}

/// What was found in a file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Noise {
    /// Configurations of two repeats or more.
    pub spreads: Vec<Spread>,
    /// Completed runs left out because something else was running.
    pub disturbed: usize,
    /// Runs that did not complete.
    pub incomplete: usize,
    /// Runs whose configuration has no other that is left.
    pub alone: usize,
    /// All runs.
    pub all: usize,
}

/// Finds the repeats among runs and how they scatter.
pub fn noise<'a>(runs: impl IntoIterator<Item = &'a Observation>) -> Noise {
    let mut found = Noise::default();
    let mut groups: BTreeMap<&str, Vec<&Observation>> = BTreeMap::new();
    for run in runs {
        found.all += 1;
        if run.completed != Some(true) {
            found.incomplete += 1;
        } else if run.disturbed {
            found.disturbed += 1;
        } else {
            groups.entry(&run.configuration).or_default().push(run);
        }
    }
    found.alone = groups.values().filter(|runs| runs.len() == 1).count();
    for runs in groups.into_values().filter(|runs| runs.len() >= 2) {
        let spread = |of: &dyn Fn(&Observation) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(|r| of(r)).collect();
            ((&values).mean(), (&values).std_dev())
        };
        let offline = runs.iter().all(|run| run.offline_ms.is_some());
        let Some(first) = runs.iter().min_by_key(|r| &r.id) else { continue };
        let (guest, path) = (&first.case.guest, &first.case.path);
        found.spreads.push(Spread {
            first: first.id.clone(),
            words: format!(
                "{} of {}, {}, {}",
                first.case.policy.mode,
                guest.memory.bytes(),
                guest.workload,
                path.capacity
            ),
            runs: runs.len(),
            elapsed: spread(&|r| r.elapsed_ms),
            downtime: spread(&|r| r.downtime_ms),
            same_rounds: commonest(runs.iter().filter_map(|r| r.dirty_syncs)),
            phases: offline
                .then(|| [0, 1, 2].map(|phase| spread(&|r| r.offline_ms.map(|p| p[phase])))),
        });
    }
    found.spreads.sort_by(|a, b| a.first.cmp(&b.first));
    found
}

/// How often the commonest value occurs.
fn commonest(values: impl Iterator<Item = f64>) -> usize {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value as u64).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

impl Noise {
    /// For people.
    pub fn document(&self) -> Document {
        let mut table =
            Grid::new(&["configuration", "runs", "elapsed", "spread", "downtime", "spread"], 1..);
        for s in &self.spreads {
            let share = |(mean, deviation): (f64, f64)| {
                format!("{:.1} %  {deviation:.0} ms", 100.0 * deviation / mean)
            };
            let mut words = format!("{}\n{}", s.first, s.words);
            if let Some(phases) = s.phases {
                let parts =
                    phases.map(|(mean, deviation)| format!("{:.1} %", 100.0 * deviation / mean));
                words.push_str(&format!(
                    "\nspread of suspend {}, copy {}, resume {}",
                    parts[0], parts[1], parts[2]
                ));
            }
            table.row([
                words,
                s.runs.to_string(),
                format!("{:.0} ms", s.elapsed.0),
                share(s.elapsed),
                format!("{:.0} ms", s.downtime.0),
                share(s.downtime),
            ]);
        }
        let mut out = Document::default();
        out.table(table).text(format!(
            "spread: standard deviation, relative to the mean and in ms. {}\n",
            self.left_out()
        ));
        out
    }

    /// How many runs were left out, and why.
    pub fn left_out(&self) -> String {
        format!(
            "Left out of {} runs: {} {DISTURBED} (--disturbed-above), {} that did not complete, {} alone of their configuration",
            self.all, self.disturbed, self.incomplete, self.alone
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_found_and_disturbed_runs_left_out() {
        let file = "id,mode,memory_mib,touched_pages,workload,link_mbit,congestion,outcome,elapsed_ms,downtime_ms,background_cpu\n\
            a-1,precopy,64,0,idle,100,reno,completed,900,100,0\n\
            a-2,precopy,64,0,idle,100,reno,completed,1100,100,0.1\n\
            a-3,precopy,64,0,idle,100,reno,completed,5000,100,1.5\n\
            b,precopy,64,0,idle,100,bbr,completed,1,100,0\n\
            c,precopy,64,0,idle,100,bbr,failed,,,0\n";
        let (runs, errors) = migsim::record::observations("a test", file.as_bytes()).unwrap();
        assert_eq!(errors, []);
        let found = noise(&runs);
        assert_eq!(
            (found.spreads.len(), found.disturbed, found.incomplete, found.alone, found.all),
            (1, 1, 1, 1, 5)
        );
        assert!(
            found.left_out().starts_with("Left out of 5 runs: 1 disturbed by other work"),
            "{}",
            found.left_out()
        );
        assert_eq!(found.spreads[0].runs, 2);
        assert!((found.spreads[0].elapsed.1 - 141.42).abs() < 0.01, "{:?}", found.spreads[0]);
    }
}
