//! A validation as pictures, and as what a page is given.

use std::collections::BTreeMap;

use migsim::record::ComparedRun;
use migsim_models::units::PAGE_BYTES;
use serde_json::{Value, json};

use super::{Judged, is_plain};
use crate::chart::{BLUE, GREY, ORANGE, Panel, Picture, draw};
use crate::hosts::Sample;
use crate::hosts::replay::Trace;

/// How many of the worst runs are shown.
const WORST: usize = 8;
const MIB: f64 = (1_u64 << 20) as f64;

/// What a page is given: every run beside its prediction, the report as text, and of the worst runs
/// what was seen of them. `by` says what predicted.
pub fn page_result(
    judged: &[Judged],
    by: &str,
    table: &str,
    traces: &BTreeMap<String, Trace>,
) -> Value {
    let rows: Vec<ComparedRun> =
        judged.iter().map(|one| ComparedRun::new(&one.run, &one.said)).collect();
    let mut worst = shown(judged);
    worst.sort_by(|a, b| {
        b.elapsed_error().unwrap_or(0.0).total_cmp(&a.elapsed_error().unwrap_or(0.0))
    });
    let worst = worst.iter().take(WORST).map(|one| {
        let left = one.outcome.left_over_time();
        json!({
            "id": one.run.id,
            "predicted": left.into_iter().map(|(s, pages)| [s, pages * PAGE_BYTES as f64]).collect::<Vec<_>>(),
            "measured": traces.get(&one.run.id).map_or_else(Vec::new, left_over_time),
        })
    });
    let worst: Vec<Value> = worst.collect();
    json!({ "rows": rows, "by": by, "table": table, "worst": worst })
}

/// Seconds, and bytes that were left to send by libvirt's account.
fn left_over_time(trace: &Trace) -> Vec<[f64; 2]> {
    let sample = |one: &Sample| Some([one.at_ms / 1e3, *one.stats.get("memory_remaining")?]);
    trace.samples.iter().filter_map(sample).collect()
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
