//! Sweeps do what they say.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{given, migsim, says, workspace};
use crate::torture::questions::unfit_json;
use crate::torture::unfit::unfit;

fn results(arguments: &[&str]) -> Vec<Value> {
    let all = [&["sweep"][..], arguments, &["--format", "json"]].concat();
    let found: Value = serde_json::from_str(&says(&all)).unwrap();
    found["results"].as_array().unwrap().clone()
}

/// A sweep keeps no iterations; what is told of all of them together is not lost with them.
#[test]
fn a_point_of_a_sweep_has_the_figures_of_its_prediction() {
    let busy = ["scenarios/first.toml", "--workload", "uniform(wss=512MiB, rate=60000p/s)"];
    for lever in [&[][..], &["--auto-converge"], &["--timeout", "40s"], &["--mode", "postcopy"]] {
        let asked = [&busy[..], lever].concat();
        let row = &results(&[&asked[..], &["--vary", "rtt=200us"]].concat())[0];
        let all = [&["predict"][..], &asked, &["--format", "json"]].concat();
        let alone: Value = serde_json::from_str(&says(&all)).unwrap();
        let figures = row.as_object().unwrap().iter().filter(|(name, _)| {
            !["varied", "p_converge", "intervals", "quantiles"].contains(&name.as_str())
        });
        for (name, value) in figures {
            assert_eq!(value, &alone[name], "{lever:?}: {name}");
        }
        assert_eq!(row["throttled_s"].as_f64().unwrap() > 0.0, lever.contains(&"--auto-converge"));
    }
}

#[test]
fn the_order_of_ranges_changes_nothing_but_the_order_of_rows() {
    let file = "scenarios/first.toml";
    let (memory, touched) = (["--vary", "memory=4GiB,8GiB"], ["--vary", "touched=1GiB,2GiB"]);
    let key = |row: &Value| {
        (
            row["varied"]["memory_bytes"].as_f64().unwrap() as u64,
            row["varied"]["touched_bytes"].as_f64().unwrap() as u64,
        )
    };
    let mut one = results(&[&[file][..], &memory, &touched].concat());
    let mut other = results(&[&[file][..], &touched, &memory].concat());
    one.sort_by_key(key);
    other.sort_by_key(key);
    for (a, b) in one.iter().zip(&other) {
        assert_eq!(
            (key(a), &a["tmt_s"], &a["wire_bytes"]),
            (key(b), &b["tmt_s"], &b["wire_bytes"])
        );
    }
    // What is not varied stays: as predict has it.
    let predicted: Value = serde_json::from_str(&says(&[
        "predict",
        file,
        "--memory",
        "8GiB",
        "--touched",
        "1GiB",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(one[2]["tmt_s"], predicted["tmt_s"]);
}

#[test]
fn a_key_is_varied_once() {
    let output = migsim(&[
        "sweep",
        "scenarios/first.toml",
        "--vary",
        "rtt=1ms,2ms",
        "--vary",
        "rtt=3ms,4ms",
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("`rtt` is varied twice"));
}

#[test]
fn a_point_that_cannot_be_is_a_row_with_its_reason() {
    let rows = results(&["scenarios/first.toml", "--vary", "touched=8GiB..1GiB:3"]);
    assert_eq!(rows[0]["outcome"], "failed");
    assert!(rows[0]["reason"].as_str().unwrap().contains("more than the memory"));
    assert_eq!(rows[2]["outcome"], "completed");
    let text =
        says(&["sweep", "scenarios/first.toml", "--vary", "touched=1GiB,8GiB", "--format", "csv"]);
    assert!(
        text.lines().nth(2).unwrap().contains("touched is 8GiB, more than the memory of 4GiB"),
        "{text}"
    );
}

#[test]
fn every_column_of_numbers_is_in_one_unit_that_its_name_says() {
    for (range, column, first) in [
        ("link=100Mbit/s..10Gbit/s:3:log", "link_bit_s", 1e8),
        ("memory=4GiB..8GiB:2", "memory_bytes", 4.0 * 1024.0 * 1024.0 * 1024.0),
        ("rate=1000p/s..2000p/s:2", "rate_pages_s", 1000.0),
        ("rtt=1ms..2ms:2", "rtt_s", 0.001),
        ("network.queue_time=10ms..20ms:2", "network_queue_time_s", 0.01),
        ("vcpus=1..4:4", "vcpus", 1.0),
    ] {
        let text = says(&["sweep", "scenarios/first.toml", "--vary", range, "--format", "csv"]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(&reader.headers().unwrap()[0], column);
        let values: Vec<f64> =
            reader.records().map(|row| row.unwrap()[0].parse().unwrap()).collect();
        assert!((values[0] / first - 1.0).abs() < 1e-9, "{range}: {values:?}");
    }
    let rows = results(&["scenarios/first.toml", "--vary", "mode=precopy,postcopy,offline"]);
    let modes: Vec<&str> = rows.iter().map(|row| row["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["precopy", "postcopy", "offline"]);
}

#[test]
fn intervals_are_in_every_row_where_they_are_asked_for() {
    let rows = results(&["scenarios/first.toml", "--vary", "rate=2000p/s,20000p/s", "--intervals"]);
    assert!(
        rows.iter().all(|row| row["quantiles"]["elapsed_ms"]["p95"].is_number()
            && row["p_converge"].is_number())
    );
}

#[test]
fn no_format_of_a_sweep_or_a_fleet_holds_what_is_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("picture.svg").display().to_string();
    let page = folder.path().join("page.html").display().to_string();
    let check = |arguments: &[&str]| {
        let text = says(arguments);
        assert_eq!(unfit(&text), None, "{arguments:?}");
        if let Ok(value) = serde_json::from_str(&text) {
            assert_eq!(unfit_json(&value, ""), None, "{arguments:?}");
        }
    };
    for format in ["table", "csv", "json"] {
        for varied in [
            "rate=0p/s..90000p/s:3",
            "memory=4KiB,4GiB",
            "mode=precopy,postcopy,paused,offline",
            "vcpus=1..4:2",
        ] {
            let workload =
                if varied.starts_with("rate") { "uniform(wss=1GiB, rate=9p/s)" } else { "idle" };
            let guest = ["--memory", "4GiB", "--link", "1Gbit/s", "--workload", workload];
            let sweep =
                ["sweep", "--vary", varied, "--format", format, "--intervals", "--plot", &picture];
            check(&[&sweep[..], &guest].concat());
            assert_eq!(unfit(&std::fs::read_to_string(&picture).unwrap()), None, "{varied}");
        }
        let fleet = ["fleet", "scenarios/fleet/rack.toml", "--format", format];
        check(&[&fleet[..], &["--replications", "5", "--report", &page]].concat());
        let given = given(&std::fs::read_to_string(&page).unwrap());
        assert_eq!(unfit_json(&given["result"], ""), None);
        check(&[&fleet[..], &["--at-once", "1,4"]].concat());
    }
}

/// What is printed row by row, and what a file at hand holds.
#[test]
fn a_sweep_printed_row_by_row_is_that_which_is_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    for format in ["csv", "jsonl"] {
        let file = dir.path().join(format!("kept.{format}"));
        let ranges = [
            "--vary",
            "link=500Mbit/s..5Gbit/s:120:log",
            "--vary",
            "downtime_limit=100ms..500ms:50",
        ];
        let question = [&["sweep", "scenarios/first.toml"][..], &ranges].concat();
        says(&[&question[..], &["--export", file.to_str().unwrap()]].concat());
        let printed = says(&[&question[..], &["--format", format]].concat());
        assert_eq!(printed, std::fs::read_to_string(file).unwrap());
    }
}

#[test]
fn a_sweep_of_a_hundred_million_points_begins_at_once_and_ends_when_nobody_reads_on_or_by_ctrl_c() {
    let begin = || {
        let ranges = [
            "--vary",
            "link=500Mbit/s..5Gbit/s:10000",
            "--vary",
            "downtime_limit=100ms..500ms:10000",
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_migsim"))
            .args(["sweep", "scenarios/first.toml", "--format", "jsonl"])
            .args(ranges)
            .current_dir(workspace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("\"link_bit_s\":500000000"));
        (child, lines)
    };
    let (mut child, lines) = begin();
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (child, lines) = begin();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    for line in lines {
        serde_json::from_str::<Value>(&line.unwrap()).expect("rows are whole");
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("of 100000000 points were printed"), "{said}");
}

#[test]
fn questions_by_the_thousand_end_in_peace_when_nobody_reads_on() {
    let file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    std::fs::write(file.path(), "{\"memory\": \"4GiB\", \"link\": \"1Gbit/s\"}\n".repeat(30_000))
        .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_migsim"))
        .args(["predict", "--batch", file.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn points_of_whole_numbers_are_whole_and_none_stands_there_twice() {
    let text =
        says(&["sweep", "scenarios/first.toml", "--vary", "vcpus=1..4:10", "--format", "csv"]);
    let first: Vec<&str> = text.lines().skip(1).filter_map(|row| row.split(',').next()).collect();
    assert_eq!(first, ["1.0", "2.0", "3.0", "4.0"], "{text}");
}
