//! Predictions as they were before the house was rebuilt: of every scenario, recorded run, fleet
//! and sweep, and of a thousand random questions, to the last digit, for the lab's hosts where none
//! are named. `FREEZE=1` writes them anew; what changes then is a changed meaning, and belongs into
//! CHANGELOG.md.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::{migsim, says, workspace};
use crate::torture::questions::{Profiles, question};

/// A table: its header and its rows.
type Table = Vec<Vec<String>>;

/// Compares a table with the frozen one of that name: numbers as numbers, everything else as text.
fn frozen(name: &str, now: &Table) {
    let place = workspace().join("tests/data/frozen").join(name);
    if std::env::var_os("FREEZE").is_some() {
        let mut writer = csv::Writer::from_path(&place).unwrap();
        for row in now {
            writer.write_record(row).unwrap();
        }
        return writer.flush().unwrap();
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_path(&place).unwrap();
    let then: Table =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    let same = |a: &str, b: &str| {
        a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
    };
    for (then, now) in then.iter().zip(now) {
        assert!(
            then.len() == now.len() && then.iter().zip(now).all(|(a, b)| same(a, b)),
            "{name} has changed\nfrom {then:?}\nto   {now:?}"
        );
    }
    assert_eq!(then.len(), now.len(), "{name} has other rows");
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.trim_start_matches('/').to_owned()).collect()
}

/// The values at some places of an object.
fn values<'a>(of: &'a Value, places: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    places.iter().map(|place| match of.pointer(place) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

/// Which hosts, where none are named.
fn between<'a>(arguments: &[&'a str]) -> &'a [&'a str] {
    if arguments.contains(&"--profile") { &[] } else { &["--profile", "lab"] }
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&migsim(arguments).stdout).unwrap()
}

/// What a prediction is frozen by.
const FIGURES: [&str; 35] = [
    "/outcome",
    "/ending",
    "/tmt_s",
    "/downtime_s",
    "/resumed_s",
    "/source_free_s",
    "/switched_s",
    "/timed_out_s",
    "/given_up_s",
    "/terms/ti_s",
    "/terms/ov_s",
    "/terms/dm_s",
    "/terms/vs_s",
    "/wire_bytes",
    "/normal_pages",
    "/zero_pages",
    "/encoded_pages",
    "/unchanged_pages",
    "/dirty_syncs",
    "/throttle_percent",
    "/throttled_s",
    "/faults",
    "/stalled_s",
    "/iterations",
    "/bound_by/by",
    "/bound_by/bytes_per_s",
    "/quantiles/elapsed_ms/p5",
    "/quantiles/elapsed_ms/p50",
    "/quantiles/elapsed_ms/p95",
    "/quantiles/downtime_ms/p5",
    "/quantiles/downtime_ms/p95",
    "/p_converge",
    "/would_converge_with/downtime_limit_s",
    "/would_converge_with/link_mbit",
    "/median_of_phase_offsets",
];

const OF_AN_ITERATION: [&str; 8] = [
    "/n",
    "/start_s",
    "/end_s",
    "/normal_pages",
    "/zero_pages",
    "/wire_bytes",
    "/dirty_pages_at_end",
    "/threshold_bytes",
];

const SCENARIOS: [&[&str]; 16] = [
    &["scenarios/first.toml"],
    &["scenarios/first.toml", "--model", "all"],
    &["scenarios/first.toml", "--fidelity", "page", "--seed", "7"],
    &["scenarios/first.toml", "--profile", "assumed", "--qemu", "10.2"],
    &["scenarios/first.toml", "--xbzrle", "--qemu", "8.0"],
    &[
        "scenarios/first.toml",
        "--multifd-channels",
        "4",
        "--profile",
        "scenarios/profiles/bare-qemu.toml",
    ],
    &["scenarios/first.toml", "--workload", "curve(1s:20000p, 2s:30000p, 5s:50000p, 10s:60000p)"],
    &["scenarios/heavy.toml"],
    &["scenarios/light.toml"],
    &["scenarios/offline.toml"],
    &["scenarios/postcopy.toml"],
    &["scenarios/postcopy.toml", "--mode", "precopy"],
    &["scenarios/rescued-by-auto-converge.toml"],
    &["scenarios/rescued-by-postcopy.toml"],
    &["scenarios/paper/live.toml", "--profile", "scenarios/paper/profile.toml"],
    &["scenarios/paper/offline.toml", "--profile", "scenarios/paper/profile.toml"],
];

#[test]
fn scenarios_are_predicted_as_they_were() {
    let mut guests = vec![[header(&["scenario", "guest"]), header(&FIGURES)].concat()];
    let mut iterations = vec![[header(&["scenario", "guest"]), header(&OF_AN_ITERATION)].concat()];
    let mut models =
        vec![header(&["model", "tmt_s", "downtime_s", "fair_tmt_s", "fair_downtime_s"])];
    for arguments in SCENARIOS {
        let got =
            json(&[&["predict"], arguments, between(arguments), &["--format", "json"]].concat());
        let all = match got.get("results") {
            Some(several) => several.as_array().unwrap().clone(),
            None => vec![got],
        };
        let scenario = arguments.join(" ");
        for one in &all {
            let name = one["name"].as_str().unwrap().to_owned();
            guests.push(
                [scenario.clone(), name.clone()].into_iter().chain(values(one, &FIGURES)).collect(),
            );
            for iteration in one["rounds"].as_array().unwrap() {
                let row = [scenario.clone(), name.clone()]
                    .into_iter()
                    .chain(values(iteration, &OF_AN_ITERATION));
                iterations.push(row.collect());
            }
            for (model, said) in one.get("models").and_then(Value::as_object).into_iter().flatten()
            {
                let places = ["/tmt_s", "/downtime_s", "/fair/tmt_s", "/fair/downtime_s"];
                models.push(std::iter::once(model.clone()).chain(values(said, &places)).collect());
            }
        }
    }
    frozen("scenarios.csv", &guests);
    frozen("iterations.csv", &iterations);
    frozen("models.csv", &models);
}

#[test]
fn recorded_runs_are_predicted_as_they_were() {
    let mut table: Table = Vec::new();
    for campaign in [
        "fresh",
        "inflight",
        "kvm-lab",
        "linux-tcg",
        "paper",
        "tcg",
        "together",
        "together-fifo",
        "unseen",
        "validation",
    ] {
        let file = format!("calibrate/data/{campaign}/runs.csv");
        let text = says(&["predict", "--intervals", "--records", &file]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let kept: Vec<usize> = (0..names.len())
            .filter(|at| names[*at] == *"id" || names[*at].starts_with("pred_"))
            .collect();
        if table.is_empty() {
            table.push(
                kept.iter()
                    .map(|at| names[*at].to_owned())
                    .chain(["campaign".to_owned()])
                    .collect(),
            );
        }
        for row in reader.records() {
            let row = row.unwrap();
            table.push(
                kept.iter().map(|at| row[*at].to_owned()).chain([campaign.to_owned()]).collect(),
            );
        }
    }
    frozen("records.csv", &table);
}

const OF_A_MOVE: [&str; 10] = [
    "/name",
    "/from",
    "/to",
    "/began_s",
    "/ended_s",
    "/tmt_s",
    "/downtime_s",
    "/wire_bytes",
    "/dirty_syncs",
    "/lost_s",
];

const OF_A_FLEET: [&str; 12] = [
    "/makespan_s",
    "/all_over_s",
    "/arrived",
    "/not_arrived",
    "/gave_up",
    "/never_left",
    "/most_at_once",
    "/wire_bytes",
    "/downtime_s",
    "/worst_downtime_s",
    "/migration_s",
    "/lost_s",
];

#[test]
fn fleets_are_predicted_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let made = folder.path().display().to_string();
    for shape in ["rack", "data-centre", "two-sites"] {
        says(&[
            "inventory",
            "generate",
            shape,
            "--hosts",
            "6",
            "--guests",
            "40",
            "--seed",
            "3",
            "--out",
            &made,
        ]);
    }
    let mut files: Vec<(String, String)> = ["rack", "at-once-busy", "at-once-quiet"]
        .map(|name| (name.to_owned(), format!("scenarios/fleet/{name}.toml")))
        .to_vec();
    files.extend(
        ["rack", "data-centre", "two-sites"]
            .map(|name| (format!("made {name}"), place(&format!("{name}.toml")))),
    );
    let mut moves = vec![[header(&["fleet"]), header(&OF_A_MOVE)].concat()];
    let mut totals = vec![[header(&["fleet", "how"]), header(&OF_A_FLEET)].concat()];
    for (name, file) in &files {
        let fleet = ["fleet", file, "--profile", "lab", "--format", "json"];
        let whole = json(&[&fleet[..], &["--replications", "4", "--seed", "5"]].concat());
        totals.push(
            [name.clone(), "whole".to_owned()]
                .into_iter()
                .chain(values(&whole, &OF_A_FLEET))
                .collect(),
        );
        for one in whole["moves"].as_array().unwrap() {
            moves.push(std::iter::once(name.clone()).chain(values(one, &OF_A_MOVE)).collect());
        }
        let likely = [
            "/replications/makespan_s/p5",
            "/replications/makespan_s/p50",
            "/replications/makespan_s/p95",
        ];
        let mut row: Vec<String> = [name.clone(), "replicated".to_owned()]
            .into_iter()
            .chain(values(&whole, &likely))
            .collect();
        row.resize(totals[0].len(), String::new());
        totals.push(row);
        let compared = json(&[&fleet[..], &["--at-once", "1,2,5"]].concat());
        for one in compared["results"].as_array().unwrap() {
            let how = format!("at once {}", one["at_once"]);
            totals.push([name.clone(), how].into_iter().chain(values(one, &OF_A_FLEET)).collect());
        }
    }
    frozen("moves.csv", &moves);
    frozen("fleets.csv", &totals);
}

const SWEEPS: [&[&str]; 5] = [
    &["scenarios/first.toml", "--vary", "rate=2000p/s..90000p/s:45"],
    &[
        "scenarios/first.toml",
        "--vary",
        "rate=2000p/s..90000p/s:12",
        "--vary",
        "link=200Mbit/s..10Gbit/s:10:log",
    ],
    &["scenarios/heavy.toml", "--vary", "link=1Gbit/s..40Gbit/s:24:log"],
    &[
        "scenarios/first.toml",
        "--vary",
        "mode=precopy,postcopy,paused,offline",
        "--vary",
        "qemu=2.6,7.2,10.0",
    ],
    &[
        "scenarios/first.toml",
        "--vary",
        "memory=1GiB..8GiB:8",
        "--touched-in-proportion",
        "--intervals",
    ],
];

/// What a point is frozen by, and its column.
const OF_A_POINT: [[&str; 2]; 12] = [
    ["outcome", "outcome"],
    ["tmt_s", "tmt_s"],
    ["downtime_s", "downtime_s"],
    ["ti_s", "terms.ti_s"],
    ["ov_s", "terms.ov_s"],
    ["dm_s", "terms.dm_s"],
    ["vs_s", "terms.vs_s"],
    ["wire_bytes", "wire_bytes"],
    ["dirty_syncs", "dirty_syncs"],
    ["tmt_p5_s", "intervals.tmt_s.p5"],
    ["tmt_p95_s", "intervals.tmt_s.p95"],
    ["p_converge", "p_converge"],
];

#[test]
fn sweeps_are_predicted_as_they_were() {
    let mut table =
        vec![[header(&["sweep", "point"]), header(&OF_A_POINT.map(|[name, _]| name))].concat()];
    for arguments in SWEEPS {
        let text =
            says(&[&["sweep"], arguments, between(arguments), &["--format", "csv"]].concat());
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().unwrap().clone();
        let at =
            OF_A_POINT.map(|[_, column]| names.iter().position(|name| name == column).unwrap());
        for (point, row) in reader.records().enumerate() {
            let row = row.unwrap();
            let figures = at.iter().map(|at| row[*at].to_owned());
            table.push(
                [arguments.join(" "), point.to_string()].into_iter().chain(figures).collect(),
            );
        }
    }
    frozen("sweeps.csv", &table);
}

#[test]
fn a_thousand_random_questions_are_answered_as_they_were() {
    let profiles = Profiles::new();
    let mut table = vec![header(&[
        "question",
        "ending",
        "ended_ns",
        "resumed_ns",
        "ti_ns",
        "ov_ns",
        "dm_ns",
        "vs_ns",
        "wire_bytes",
        "normal_pages",
        "zero_pages",
        "encoded_pages",
        "dirty_syncs",
        "iterations",
        "throttle_percent",
        "faults",
        "stalled_s",
        "effort",
    ])];
    for index in 0..1000 {
        let mut row: Vec<String> = match question(&profiles, 2016, index) {
            Err(_) => vec![index.to_string(), "refused".to_owned()],
            Ok(question) => {
                let o = question.answer();
                let t = &o.terms;
                let whole = [
                    o.ended_at.0,
                    o.resumed_at.map_or(0, |at| at.0),
                    t.ti.0,
                    t.ov.0,
                    t.dm.0,
                    t.vs.0,
                    o.wire_bytes,
                    o.normal_pages,
                    o.zero_pages,
                    o.encoded_pages,
                    o.dirty_syncs,
                    o.iteration_count,
                    o.throttle_percent.into(),
                ];
                [index.to_string(), format!("{:?}", o.ending)]
                    .into_iter()
                    .chain(whole.map(|count| count.to_string()))
                    .chain([
                        o.faults.count.to_string(),
                        o.faults.stalled_s.to_string(),
                        o.effort.to_string(),
                    ])
                    .collect()
            }
        };
        row.resize(table[0].len(), String::new());
        table.push(row);
    }
    frozen("questions.csv", &table);
}

#[test]
fn frozen_tables_are_there() {
    let names =
        ["scenarios", "iterations", "models", "records", "moves", "fleets", "sweeps", "questions"];
    let there =
        |name: &str| -> PathBuf { workspace().join(format!("tests/data/frozen/{name}.csv")) };
    assert!(names.iter().all(|name| there(name).metadata().unwrap().len() > 500));
}
