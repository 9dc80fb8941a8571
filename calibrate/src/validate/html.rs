//! A validation as one HTML page that needs no network.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use migsim::engine::Outcome;
use migsim_models::units::PAGE_BYTES;
use migsim_report::html::escaped;

use super::{Judged, Report, is_plain};
use crate::chart::{BLUE, GREY, ORANGE, Panel, Picture, draw};
use crate::hosts::replay::Trace;

/// How many of the worst runs are shown.
const WORST: usize = 8;
const MIB: f64 = (1_u64 << 20) as f64;

/// The page. `by` says what predicted; `table` is the report as text; `traces` what was seen of the
/// runs, by id.
pub fn page(
    report: &Report,
    judged: &[Judged],
    by: &str,
    table: &str,
    traces: &BTreeMap<String, Trace>,
) -> String {
    let plain = shown(judged);
    let mut html = format!(
        "<h1>Predictions against runs</h1>\n\
         <p>{} runs, predicted by {}.</p>\n<pre>{}</pre>\n<h2>Predicted against measured</h2>\n<p>Completed plain pre-copy. On the line the two agree.</p>\n",
        judged.len(),
        escaped(by),
        escaped(table)
    );
    html.push_str(&draw(2, &agreements(&plain)).svg());
    html.push_str(
        "\n<h2>What is left, against what went in</h2>\n<p>Predicted less measured.</p>\n",
    );
    html.push_str(&draw(2, &residuals(&plain)).svg());
    html.push_str("\n<h2>The worst</h2>\n<p>Memory left to send: as predicted, and as libvirt reported it while the run went on.</p>\n");
    let mut worst = plain;
    worst.sort_by(|a, b| {
        b.elapsed_error().unwrap_or(0.0).total_cmp(&a.elapsed_error().unwrap_or(0.0))
    });
    for one in worst.iter().take(WORST) {
        let (measured, said) =
            (one.run.elapsed_ms.unwrap_or(0.0), one.said.elapsed_ms.unwrap_or(0.0));
        let _ = write!(
            html,
            "<h3>{}</h3>\n<p>{}, {} of memory, {} touched, {}: measured {:.2} s, predicted {:.2} s ({:+.1} %); downtime {:.0} ms, predicted {:.0} ms.</p>\n",
            escaped(&one.run.id),
            escaped(&one.run.case.guest.workload.to_string()),
            one.run.case.guest.memory.bytes(),
            one.run.case.guest.touched,
            one.run.case.path.capacity,
            measured / 1e3,
            said / 1e3,
            (said / measured - 1.0) * 100.0,
            one.run.downtime_ms.unwrap_or(0.0),
            one.said.downtime_ms.unwrap_or(0.0)
        );
        html.push_str(&draw(1, &[over_time(&one.outcome, traces.get(&one.run.id))]).svg());
    }
    if let Some(noise) = report.top.noise {
        let _ = write!(
            html,
            "\n<p>Repeats of one configuration scatter by {:.2} % and {:.1} ms.</p>",
            noise.elapsed_rel * 100.0,
            noise.downtime_abs_ms
        );
    }
    migsim_report::html::page("Validation", &html)
}

/// The runs that pictures show: completed plain pre-copy, undisturbed.
fn shown(judged: &[Judged]) -> Vec<&Judged> {
    let counts =
        |one: &&Judged| is_plain(&one.run) && one.elapsed_error().is_some() && !one.run.disturbed;
    judged.iter().filter(counts).collect()
}

/// Predicted against measured, and what is left against what went in, as one picture.
pub fn pictures(judged: &[Judged]) -> Picture {
    let plain = shown(judged);
    let mut panels = agreements(&plain);
    panels.extend(residuals(&plain));
    draw(2, &panels)
}

fn agreements(runs: &[&Judged]) -> Vec<Panel> {
    vec![
        agreement("total time, s", runs, |one| Some((one.run.elapsed_ms?, one.said.elapsed_ms?))),
        agreement("downtime, s", runs, |one| Some((one.run.downtime_ms?, one.said.downtime_ms?))),
    ]
}

fn agreement(what: &str, runs: &[&Judged], of: fn(&Judged) -> Option<(f64, f64)>) -> Panel {
    let points: Vec<(f64, f64)> =
        runs.iter().filter_map(|one| of(one)).map(|(m, p)| (m / 1e3, p / 1e3)).collect();
    let most = points.iter().map(|p| p.0.max(p.1)).fold(0.0, f64::max);
    Panel::new(what, "measured", "predicted")
        .line("", GREY, vec![(0.0, 0.0), (most, most)])
        .dots("", BLUE, points)
}

fn residuals(runs: &[&Judged]) -> Vec<Panel> {
    type Input = (&'static str, fn(&Judged) -> f64);
    let inputs: [Input; 4] = [
        ("link, Mbit/s", |one| one.run.case.path.capacity.0 as f64 / 1e6),
        ("touched memory, MiB", |one| one.run.case.guest.touched.bytes().as_f64() / MIB),
        ("downtime limit, ms", |one| one.run.case.policy.downtime_limit.as_millis_f64()),
        ("dirty-page rate (1 s window), pages/s", |one| {
            one.run.case.guest.workload.distinct(
                migsim_models::units::SimTime::from_secs(1),
                migsim_models::units::SimTime::ZERO,
            )
        }),
    ];
    let mut panels = Vec::new();
    for (name, of) in inputs {
        let total = runs.iter().filter_map(|one| {
            Some((of(one), (one.said.elapsed_ms? / one.run.elapsed_ms? - 1.0) * 100.0))
        });
        let down = runs
            .iter()
            .filter_map(|one| Some((of(one), one.said.downtime_ms? - one.run.downtime_ms?)));
        panels.push(residual("total time", name, ("%", BLUE), total.collect()));
        panels.push(residual("downtime", name, ("ms", ORANGE), down.collect()));
    }
    panels
}

/// Errors over one quantity, with none and the median as lines across.
fn residual(
    of: &str,
    over: &str,
    (unit, colour): (&str, &'static str),
    points: Vec<(f64, f64)>,
) -> Panel {
    let mut errors: Vec<f64> = points.iter().map(|point| point.1).collect();
    errors.sort_by(f64::total_cmp);
    let panel = Panel::new(&format!("{of}: error (predicted - measured)"), over, unit)
        .free()
        .dots("", colour, points)
        .level(0.0, "");
    match errors.get(errors.len() / 2) {
        Some(median) => panel.level(*median, &format!("median {median:.1} {unit}")),
        None => panel,
    }
}

fn over_time(outcome: &Outcome, trace: Option<&Trace>) -> Panel {
    let predicted = outcome
        .left_over_time()
        .into_iter()
        .map(|(s, pages)| (s, pages * PAGE_BYTES as f64 / MIB))
        .collect();
    let measured = trace.map_or_else(Vec::new, |trace| {
        trace
            .samples
            .iter()
            .filter_map(|s| Some((s.at_ms / 1e3, s.stats.get("memory_remaining")? / MIB)))
            .collect()
    });
    Panel::new("", "s", "MiB left")
        .line("predicted", BLUE, predicted)
        .dots("measured", ORANGE, measured)
}
