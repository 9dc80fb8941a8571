//! The study's experiment, drawn from real runs: its figures 4 to 7 and 9 to 12, with the predictions beside the measurements.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use kuva::backend::svg::SvgBackend;
use kuva::plot::legend::LegendPosition;
use kuva::plot::{LinePlot, ScatterPlot};
use kuva::render::figure::Figure;
use kuva::render::layout::Layout;
use kuva::render::plots::Plot;
use migsim::records::{Job, predict_records};
use migsim::world::Fidelity;
use migsim_models::profile::Profile;

use crate::record::Record;

/// Colours that stay apart for colour-blind readers (Okabe and Ito).
const LIVE: &str = "#0072b2";
const OFFLINE: &str = "#d55e00";

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

fn curve(pairs: &[Pair], mode: &str, what: Figures, colour: &str, name: &str, plots: &mut Vec<Plot>) {
    let mut dots = Vec::new();
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for pair in pairs.iter().filter(|p| p.record.mode == mode && p.record.outcome == "completed") {
        let (measured, predicted) = what(pair);
        let memory = pair.record.memory_mib;
        dots.extend(measured.map(|ms| (memory as f64, ms / 1e3)));
        let sum = sums.entry(memory).or_default();
        *sum = (sum.0 + predicted / 1e3, sum.1 + 1.0);
    }
    let line: Vec<(f64, f64)> = sums.into_iter().map(|(memory, (sum, n))| (memory as f64, sum / n)).collect();
    plots.push(Plot::Scatter(
        ScatterPlot::new().with_data(dots).with_color(colour).with_size(4.0).with_legend(format!("{name}, measured")),
    ));
    plots.push(Plot::Line(
        LinePlot::new()
            .with_data(line)
            .with_color(colour)
            .with_stroke_width(2.0)
            .with_legend(format!("{name}, predicted")),
    ));
}

fn panel(title: &str, plots: Vec<Plot>) -> (Vec<Plot>, Layout) {
    let layout = Layout::auto_from_plots(&plots)
        .with_title(title)
        .with_x_label("memory of the guest, MiB")
        .with_y_label("s")
        .with_x_axis_min(0.0)
        .with_y_axis_min(0.0)
        .with_legend_position(LegendPosition::OutsideRightTop);
    (plots, layout)
}

fn draw(rows: usize, columns: usize, panels: Vec<(Vec<Plot>, Layout)>) -> String {
    let (plots, layouts): (Vec<_>, Vec<_>) = panels.into_iter().unzip();
    let figure = Figure::new(rows, columns).with_plots(plots).with_layouts(layouts).with_cell_size(520.0, 300.0);
    SvgBackend::default().render_scene(&figure.render())
}

/// The pictures, by file name.
pub fn pictures(pairs: &[Pair]) -> Vec<(&'static str, String)> {
    let one = |title: &str, mode: &str, what: Figures, colour: &str| {
        let mut plots = Vec::new();
        curve(pairs, mode, what, colour, mode, &mut plots);
        panel(title, plots)
    };
    let both = |title: &str, what: Figures| {
        let mut plots = Vec::new();
        curve(pairs, "precopy", what, LIVE, "live", &mut plots);
        curve(pairs, "offline", what, OFFLINE, "offline", &mut plots);
        panel(title, plots)
    };
    vec![
        (
            "paper-offline.svg",
            draw(
                2,
                2,
                vec![
                    one("Figure 4: suspend", "offline", |p| (p.record.suspend_ms, p.phases_ms[0]), OFFLINE),
                    one("Figure 5: copy", "offline", |p| (p.record.copy_ms, p.phases_ms[1]), OFFLINE),
                    one("Figure 6: resume", "offline", |p| (p.record.resume_ms, p.phases_ms[2]), OFFLINE),
                    one("Figure 7: total, all of it down", "offline", TOTAL, OFFLINE),
                ],
            ),
        ),
        (
            "paper-live.svg",
            draw(
                1,
                2,
                vec![
                    one("Figure 9: live, total", "precopy", TOTAL, LIVE),
                    one("Figure 10: live, downtime", "precopy", DOWNTIME, LIVE),
                ],
            ),
        ),
        (
            "paper-compared.svg",
            draw(1, 2, vec![both("Figure 11: downtime", DOWNTIME), both("Figure 12: total", TOTAL)]),
        ),
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
