//! What was once fed to the program and ended badly, and random questions of its kind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use migsim_models::profile::Profile;
use rayon::prelude::*;

use crate::support::{migsim, says, workspace};
use crate::torture::unfit::unfit;
use crate::torture::{fleets, questions};

#[test]
fn every_recorded_attack_is_answered_or_refused_soon_and_in_bounded_memory() {
    let folder = workspace().join("tests/data/attack");
    let ideal = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ideal.path(), says(&["profile", "ideal"])).unwrap();
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 30);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let command = if text.contains("[[host]]") { "fleet" } else { "predict" };
        let profile = if text.contains("profile ideal") {
            format!("--profile {}", ideal.path().display())
        } else {
            String::new()
        };
        let began = Instant::now();
        let output = Command::new("bash")
            .arg("-c")
            .arg(format!(
                "ulimit -v 2000000; exec {} {command} {} {profile}",
                env!("CARGO_BIN_EXE_migsim"),
                file.display()
            ))
            .output()
            .unwrap();
        let (status, took) = (output.status.code(), began.elapsed());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(status, Some(0..=2)), "{}: {status:?}: {errors}", file.display());
        assert!(took < Duration::from_secs(10), "{}: {took:?}", file.display());
        assert!(
            !errors.contains("panicked") && errors.lines().count() <= 1,
            "{}: {errors}",
            file.display()
        );
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(unfit(&said), None, "{}", file.display());
    }
}

#[test]
fn questions_that_took_all_memory_or_all_time_are_answered() {
    for arguments in [
        "--memory 64GiB --link 10Mbit/s --multifd-channels 64 --workload uniform(wss=8GiB,rate=20000p/s)",
        "--memory 1TiB --link 1Gbit/s --multifd-channels 255 --vcpus 64 --workload uniform(wss=800GiB,rate=400000p/s)",
        "--memory 16GiB --link 1Gbit/s --rtt 10s --send-buffer 16KiB --workload uniform(wss=8GiB,rate=20000p/s)",
        "--memory 1GiB --link 1Gbit/s --workload curve(1s:3000p,2s:5200p,5s:9100p)+uniform(wss=253000p,rate=1p/s)",
        "--memory 1GiB --link 1Gbit/s --layout front --workload curve(1s:3000p,2s:5200p,5s:9100p)+uniform(wss=253000p,rate=1p/s)",
        "--memory 4GiB --link 1Gbit/s --workload uniform(wss=1GiB,rate=100000p/s) --timeout 10000h",
        "--memory 24TiB --link 1Gbit/s --qemu 10.0 --auto-converge --workload zipf(wss=100GiB,rate=3000p/s,s=0.99)",
        "--memory 16GiB --workload idle --link 1Gbit/s --qemu 1.0 --bandwidth-cap 1MiB/s",
    ] {
        let began = Instant::now();
        let mut all = vec!["predict"];
        all.extend(arguments.split(' '));
        let said = says(&all);
        assert!(began.elapsed() < Duration::from_secs(10), "{arguments}: {:?}", began.elapsed());
        assert!(!said.contains("0 normal and 0 zero pages"), "{arguments}: {said}");
    }
    let slow = "--memory 16GiB --workload idle --link 1Gbit/s --qemu 1.0 --bandwidth-cap 1MiB/s";
    assert!(
        says(&["predict"].into_iter().chain(slow.split(' ')).collect::<Vec<_>>())
            .contains("converges")
    );
}

#[test]
fn what_is_out_of_bounds_is_refused_with_the_bound() {
    for (arguments, bound) in [
        (
            &[
                "sweep",
                "--memory",
                "4GiB",
                "--link",
                "1Gbit/s",
                "--vary",
                "rtt=0s..1s:100000",
                "--vary",
                "link=1Gbit/s..2Gbit/s:100000",
            ][..],
            "it takes up to 100000",
        ),
        (
            &["inventory", "generate", "rack", "--hosts", "1000000000", "--guests", "1000000000"],
            "it takes 1 to 20000 hosts",
        ),
        (&["predict", "--records", "/dev/zero"], "/dev/zero: a row is longer than 16 MiB"),
        (
            &["predict", "--memory", "64GiB", "--link", "1Gbit/s", "--log-chunk", "4KiB"],
            "log_chunk takes 0B, or 1MiB or more",
        ),
        (
            &["predict", "--memory", "1TiB", "--link", "1Gbit/s", "--fidelity", "page"],
            "page by page a guest of up to 128GiB",
        ),
        (
            &["predict", "--memory", "1GiB", "--link", "1Gbit/s", "--rtt", "2h"],
            "rtt is 2h; it takes up to 1h",
        ),
        (
            &[
                "predict", "--memory", "1GiB", "--link", "1Gbit/s", "--qemu", "1.0", "--mode",
                "postcopy",
            ],
            "QEMU 1.0 does not have post-copy, which came with 2.5",
        ),
        (
            &[
                "predict",
                "--memory",
                "1GiB",
                "--link",
                "1Gbit/s",
                "--qemu",
                "2.3",
                "--multifd-channels",
                "4",
            ],
            "does not have multifd, which came with 4.0",
        ),
    ] {
        let output = migsim(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(bound), "{arguments:?}: {errors}");
    }
}

/// The first questions of `cargo run --profile torture -p migsim --example torture`.
#[test]
fn three_thousand_random_questions_have_answers_without_fault() {
    let profiles = questions::Profiles::new();
    let faults: Vec<String> = (0..3000_u64)
        .into_par_iter()
        .filter_map(|index| Some((index, questions::question(&profiles, 13, index).ok()?)))
        .flat_map_iter(|(index, mut question)| {
            let found = questions::faults(&mut question, index % 20 == 0);
            // How long it takes is for a machine that does nothing else.
            found
                .into_iter()
                .filter(|fault| !fault.starts_with("took"))
                .map(move |fault| format!("{index}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_hundred_random_fleets_are_moved_without_fault() {
    let profile = Profile::default();
    let moved: Vec<(u64, Vec<String>)> = (0..100_u64)
        .into_par_iter()
        .filter_map(|index| Some((index, fleets::faults(&profile, 13, index)?)))
        .collect();
    assert!(moved.len() > 30, "{} of 100 were moved", moved.len());
    for (index, faults) in moved {
        let faults: Vec<String> =
            faults.into_iter().filter(|fault| !fault.starts_with("took")).collect();
        assert!(faults.is_empty(), "{index}: {faults:?}\n{}", fleets::file(13, index));
    }
}

#[test]
fn every_signal_ends_it_within_a_second_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (html, svg) = (place("r.html"), place("r.svg"));
    let rack = "scenarios/fleet/rack.toml";
    for arguments in [
        &["fleet", rack, "--replications", "200000", "--report", &html][..],
        &[
            "sweep",
            "scenarios/first.toml",
            "--intervals",
            "--vary",
            "rate=1000p/s..50000p/s:100000",
            "--plot",
            &svg,
        ],
    ] {
        for signal in ["INT", "TERM", "HUP"] {
            let mut child = Command::new(env!("CARGO_BIN_EXE_migsim"))
                .args(arguments)
                .current_dir(workspace())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(300));
            let began = Instant::now();
            Command::new("kill")
                .arg(format!("-{signal}"))
                .arg(child.id().to_string())
                .status()
                .unwrap();
            let status = child.wait().unwrap();
            let took = began.elapsed();
            assert_eq!(status.code(), Some(130), "{arguments:?}, {signal}");
            // A second, and as much again for a machine that is busy with other tests.
            assert!(took < Duration::from_secs(2), "{arguments:?}, {signal}: {took:?}");
            let left: Vec<_> = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|file| file.unwrap().file_name())
                .collect();
            assert!(
                left.iter().all(|name| !name.to_string_lossy().starts_with(".migsim")),
                "{left:?}"
            );
        }
    }
}

#[test]
fn hostile_names_are_shown_and_never_obeyed() {
    for name in [
        "\u{1b}[31mEVIL\u{1b}]0;pwn\u{7}",
        "a\u{202e}b",
        "<script>alert(1)</script>",
        "'\"&<>]]>",
        "=cmd|' /C calc'!A0",
        "line\nbreak\ttab\r",
        "\u{fffe}\u{ffff}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = |ending: &str| folder.path().join(format!("x.{ending}")).display().to_string();
        let (svg, html, file) = (place("svg"), place("html"), place("toml"));
        let quoted = toml::Value::String(name.to_owned());
        std::fs::write(
            &file,
            format!(
                "name = {quoted}\n[[host]]\nname = \"h{{n}}\"\ncount = 2\nmemory = \"64GiB\"\ncores = 8\nnic = \"10Gbit/s\"\n\
                 [[vm]]\non = [\"h1\"]\nguest = {{ name = {quoted}, memory = \"1GiB\" }}\n[moves]\noff = [\"h1\"]\n"
            ),
        )
        .unwrap();
        let mut texts = vec![says(&["fleet", &file, "--plot", &svg, "--report", &html])];
        for format in ["json", "csv"] {
            texts.push(says(&["fleet", &file, "--format", format]));
        }
        for format in ["table", "json", "csv"] {
            let one = [
                "predict", "--name", name, "--memory", "1GiB", "--link", "1Gbit/s", "--plot", &svg,
                "--format", format,
            ];
            texts.push(says(&one));
            texts.push(std::fs::read_to_string(&svg).unwrap());
        }
        // A spreadsheet would run it.
        let tables = texts.iter().filter(|text| text.starts_with("name,"));
        assert_eq!(tables.clone().count(), 2);
        for csv in tables {
            assert!(
                !csv.lines().any(|line| line.starts_with(['=', '"'])
                    && line.trim_start_matches('"').starts_with('=')),
                "{csv}"
            );
        }
        for place in [&svg, &html] {
            let text = std::fs::read_to_string(place).unwrap();
            assert!(!text.contains("<script>"), "{name:?} in {place}");
            texts.push(text);
        }
        for text in &texts {
            let control = |c: char| {
                (c.is_control() && c != '\n')
                    || c == '\u{202e}'
                    || matches!(c, '\u{fffe}' | '\u{ffff}')
            };
            assert!(!text.contains(control), "{name:?} in {text:?}");
        }
    }
}
