//! The study's experiment, drawn from real runs: its figures 4 to 7 and 9 to 12, with the
//! predictions beside the measurements.

use std::collections::{BTreeMap, BTreeSet};

use migsim_models::spec::Mode;
use migsim_report::document::{Document, Grid};
use schemars::JsonSchema;
use serde::Serialize;

use crate::chart::{BLUE, ORANGE, Panel, Picture, draw};
use crate::validate::Judged;

/// What one curve shows: measured, predicted.
type Figures = fn(&Judged) -> (Option<f64>, Option<f64>);

const TOTAL: Figures = |one| (one.run.elapsed_ms, one.said.elapsed_ms);
const DOWNTIME: Figures = |one| (one.run.downtime_ms, one.said.downtime_ms);
const SUSPEND: Figures =
    |one| (one.run.offline_ms.map(|p| p[0]), one.said.offline_ms.map(|p| p[0]));
const COPY: Figures = |one| (one.run.offline_ms.map(|p| p[1]), one.said.offline_ms.map(|p| p[1]));
const RESUME: Figures = |one| (one.run.offline_ms.map(|p| p[2]), one.said.offline_ms.map(|p| p[2]));

/// Memory of the guest in MiB, and the pair of figures, of each completed run of a mode.
fn completed(runs: &[Judged], mode: Mode, what: Figures) -> impl Iterator<Item = (u64, f64, f64)> {
    let of_mode = runs
        .iter()
        .filter(move |one| one.run.case.policy.mode == mode && one.run.completed == Some(true));
    of_mode.filter_map(move |one| {
        let (measured, predicted) = what(one);
        Some((one.run.case.guest.memory.bytes().0 >> 20, measured? / 1e3, predicted? / 1e3))
    })
}

fn curve(panel: Panel, runs: &[Judged], mode: Mode, what: Figures, colour: &'static str) -> Panel {
    let name = if mode == Mode::Precopy { "live" } else { "offline" };
    let dots = completed(runs, mode, what)
        .map(|(memory, measured, _)| (memory as f64, measured))
        .collect();
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (memory, _, predicted) in completed(runs, mode, what) {
        let sum = sums.entry(memory).or_default();
        *sum = (sum.0 + predicted, sum.1 + 1.0);
    }
    let line = sums.into_iter().map(|(memory, (sum, n))| (memory as f64, sum / n)).collect();
    panel.dots(&format!("{name}, measured"), colour, dots).line(
        &format!("{name}, predicted"),
        colour,
        line,
    )
}

/// The pictures, by file name.
pub fn pictures(runs: &[Judged]) -> Vec<(&'static str, Picture)> {
    let panel = |title: &str| Panel::new(title, "memory of the guest, MiB", "s");
    let offline =
        |title: &str, what: Figures| curve(panel(title), runs, Mode::Offline, what, ORANGE);
    let live = |title: &str, what: Figures| curve(panel(title), runs, Mode::Precopy, what, BLUE);
    let both =
        |title: &str, what: Figures| curve(live(title, what), runs, Mode::Offline, what, ORANGE);
    vec![
        (
            "paper-offline.svg",
            draw(
                2,
                &[
                    offline("Figure 4: suspend", SUSPEND),
                    offline("Figure 5: copy", COPY),
                    offline("Figure 6: resume", RESUME),
                    offline("Figure 7: total, all of it down", TOTAL),
                ],
            ),
        ),
        (
            "paper-live.svg",
            draw(
                2,
                &[
                    live("Figure 9: live, total", TOTAL),
                    live("Figure 10: live, downtime", DOWNTIME),
                ],
            ),
        ),
        (
            "paper-compared.svg",
            draw(2, &[both("Figure 11: downtime", DOWNTIME), both("Figure 12: total", TOTAL)]),
        ),
    ]
}

/// Means by memory size, measured and predicted, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Means {
    /// Memory of the guest.
    pub memory_bytes: u64,
    /// Live: total migration time.
    pub live_tmt_s: Pair,
    /// Live: downtime.
    pub live_downtime_s: Pair,
    /// Offline: writing the image.
    pub suspend_s: Pair,
    /// Offline: copying it.
    pub copy_s: Pair,
    /// Offline: reading it.
    pub resume_s: Pair,
    /// Offline: total migration time.
    pub offline_tmt_s: Pair,
}

/// A figure twice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Pair {
    /// The mean of the repeats.
    pub measured: f64,
    /// The mean of their predictions.
    pub predicted: f64,
}

/// The means, by memory size.
pub fn means(runs: &[Judged]) -> Vec<Means> {
    let sizes: BTreeSet<u64> =
        runs.iter().map(|one| one.run.case.guest.memory.bytes().0 >> 20).collect();
    let mean = |memory: u64, mode: Mode, what: Figures| {
        let found: Vec<_> =
            completed(runs, mode, what).filter(|(size, ..)| *size == memory).collect();
        let n = found.len() as f64;
        let (measured, predicted) =
            found.iter().fold((0.0, 0.0), |sum, f| (sum.0 + f.1 / n, sum.1 + f.2 / n));
        Pair { measured, predicted }
    };
    let of = |memory: u64| Means {
        memory_bytes: memory << 20,
        live_tmt_s: mean(memory, Mode::Precopy, TOTAL),
        live_downtime_s: mean(memory, Mode::Precopy, DOWNTIME),
        suspend_s: mean(memory, Mode::Offline, SUSPEND),
        copy_s: mean(memory, Mode::Offline, COPY),
        resume_s: mean(memory, Mode::Offline, RESUME),
        offline_tmt_s: mean(memory, Mode::Offline, TOTAL),
    };
    sizes.into_iter().map(of).collect()
}

/// The same for people.
pub fn document(means: &[Means]) -> Document {
    let header = [
        "memory",
        "live: total",
        "live: downtime",
        "offline: suspend",
        "copy",
        "resume",
        "offline: total",
    ];
    let mut table = Grid::new(&header, 1..);
    for one in means {
        let pairs = [
            one.live_tmt_s,
            one.live_downtime_s,
            one.suspend_s,
            one.copy_s,
            one.resume_s,
            one.offline_tmt_s,
        ];
        let cells =
            pairs.map(|Pair { measured, predicted }| format!("{measured:.2}, {predicted:.2}"));
        table.row(std::iter::once(format!("{} MiB", one.memory_bytes >> 20)).chain(cells));
    }
    let mut out = Document::default();
    out.table(table).text("Seconds: measured (mean of the repeats), predicted.\n");
    out
}
