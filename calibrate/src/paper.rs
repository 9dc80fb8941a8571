//! The study's experiment, drawn from real runs: its figures 4 to 7 and 9 to 12, with the predictions beside the measurements.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use migsim::records::{Job, predict_records};
use migsim::world::Fidelity;
use migsim_models::profile::Profile;

use crate::chart::{BLUE, ORANGE, Panel, draw};
use crate::record::Record;

/// A run and what was predicted of it: total, downtime, and the offline phases, ms.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The run.
    pub record: Record,
    /// Predicted total time, ms.
    pub total_ms: f64,
    /// Predicted downtime, ms.
    pub downtime_ms: f64,
    /// Predicted suspend, copy and resume, ms.
    pub phases_ms: [f64; 3],
}

/// Predicts records, in their order.
///
/// # Errors
/// A record cannot be read as a question.
pub fn predicted(file: &str, records: &[Record], profile: &Profile) -> anyhow::Result<Vec<Pair>> {
    let mut input = csv::Writer::from_writer(Vec::new());
    for record in records {
        input.serialize(record)?;
    }
    let input = input.into_inner()?;
    let mut output = Vec::new();
    let interrupted = AtomicBool::new(false);
    let job = Job { file, profile, fidelity: Fidelity::Flow, interrupted: &interrupted };
    let mut errors = Vec::new();
    predict_records(&job, &input[..], &mut output, |error| errors.push(error.to_string()), |_| {})?;
    if let Some(error) = errors.into_iter().next() {
        anyhow::bail!(error);
    }
    let mut reader = csv::Reader::from_reader(&output[..]);
    let header = reader.headers()?.clone();
    let column = |name: &str| header.iter().position(|c| c == name).with_context(|| format!("no column {name}"));
    let wanted = ["pred_elapsed_ms", "pred_downtime_ms", "pred_suspend_ms", "pred_copy_ms", "pred_resume_ms"];
    let places = wanted.map(column).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    reader
        .records()
        .zip(records)
        .map(|(row, record)| {
            let row = row?;
            let number = |i: usize| row.get(places[i]).and_then(|t| t.parse().ok()).unwrap_or(f64::NAN);
            Ok(Pair {
                record: record.clone(),
                total_ms: number(0),
                downtime_ms: number(1),
                phases_ms: [number(2), number(3), number(4)],
            })
        })
        .collect()
}

/// What one curve shows: measured, predicted.
type Figures = fn(&Pair) -> (Option<f64>, f64);

const TOTAL: Figures = |p| (p.record.elapsed_ms, p.total_ms);
const DOWNTIME: Figures = |p| (p.record.downtime_ms, p.downtime_ms);

fn curve(panel: Panel, pairs: &[Pair], mode: &str, what: Figures, colour: &'static str) -> Panel {
    let name = if mode == "precopy" { "live" } else { mode };
    let mut dots = Vec::new();
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for pair in pairs.iter().filter(|p| p.record.mode == mode && p.record.outcome == "completed") {
        let (measured, predicted) = what(pair);
        let memory = pair.record.memory_mib;
        dots.extend(measured.map(|ms| (memory as f64, ms / 1e3)));
        let sum = sums.entry(memory).or_default();
        *sum = (sum.0 + predicted / 1e3, sum.1 + 1.0);
    }
    let line = sums.into_iter().map(|(memory, (sum, n))| (memory as f64, sum / n)).collect();
    panel.dots(&format!("{name}, measured"), colour, dots).line(&format!("{name}, predicted"), colour, line)
}

/// The pictures, by file name.
pub fn pictures(pairs: &[Pair]) -> Vec<(&'static str, String)> {
    let panel = |title: &str| Panel::new(title, "memory of the guest, MiB", "s");
    let offline = |title: &str, what: Figures| curve(panel(title), pairs, "offline", what, ORANGE);
    let live = |title: &str, what: Figures| curve(panel(title), pairs, "precopy", what, BLUE);
    let both = |title: &str, what: Figures| curve(live(title, what), pairs, "offline", what, ORANGE);
    vec![
        (
            "paper-offline.svg",
            draw(
                2,
                &[
                    offline("Figure 4: suspend", |p| (p.record.suspend_ms, p.phases_ms[0])),
                    offline("Figure 5: copy", |p| (p.record.copy_ms, p.phases_ms[1])),
                    offline("Figure 6: resume", |p| (p.record.resume_ms, p.phases_ms[2])),
                    offline("Figure 7: total, all of it down", TOTAL),
                ],
            ),
        ),
        (
            "paper-live.svg",
            draw(2, &[live("Figure 9: live, total", TOTAL), live("Figure 10: live, downtime", DOWNTIME)]),
        ),
        ("paper-compared.svg", draw(2, &[both("Figure 11: downtime", DOWNTIME), both("Figure 12: total", TOTAL)])),
    ]
}

/// Means by memory size, measured and predicted, as a table in Markdown.
pub fn table(pairs: &[Pair]) -> String {
    let sizes: std::collections::BTreeSet<u64> = pairs.iter().map(|p| p.record.memory_mib).collect();
    let mean = |memory: u64, mode: &str, what: Figures| {
        let found: Vec<(f64, f64)> = pairs
            .iter()
            .filter(|p| p.record.memory_mib == memory && p.record.mode == mode && p.record.outcome == "completed")
            .filter_map(|p| Some((what(p).0?, what(p).1)))
            .collect();
        let n = found.len() as f64;
        let (measured, predicted) = found.iter().fold((0.0, 0.0), |sum, f| (sum.0 + f.0 / n, sum.1 + f.1 / n));
        format!("{:.2}, {:.2}", measured / 1e3, predicted / 1e3)
    };
    let mut text = String::from(
        "| memory | live: total | live: downtime | offline: suspend | copy | resume | offline: total |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for memory in sizes {
        let cells: [String; 6] = [
            mean(memory, "precopy", TOTAL),
            mean(memory, "precopy", DOWNTIME),
            mean(memory, "offline", |p| (p.record.suspend_ms, p.phases_ms[0])),
            mean(memory, "offline", |p| (p.record.copy_ms, p.phases_ms[1])),
            mean(memory, "offline", |p| (p.record.resume_ms, p.phases_ms[2])),
            mean(memory, "offline", TOTAL),
        ];
        text.push_str(&format!("| {memory} MiB | {} |\n", cells.join(" | ")));
    }
    text.push_str("\nSeconds: measured (mean of the repeats), predicted.\n");
    text
}
