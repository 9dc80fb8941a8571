//! Studies that are cut into parts are, put together again, those of one run.

use std::fs;
use std::path::Path;

use crate::support::{migsim, says, workspace};

fn study<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let study = [
        "sweep",
        "scenarios/first.toml",
        "--vary",
        "rate=1000p/s..60000p/s:11",
        "--vary",
        "touched=1GiB,2GiB,5GiB",
    ];
    [&study[..], more].concat()
}

fn ends(arguments: &[&str]) -> (Option<i32>, String) {
    let output = migsim(arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One of the points cannot be (more is touched than there is), and of more parts than rows some
/// have none.
#[test]
fn parts_put_together_are_byte_for_byte_one_run() {
    for (format, parts) in [("csv", 4), ("jsonl", 4), ("csv", 1), ("csv", 50)] {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let (cut, whole) = (place("cut"), place("whole"));
        // In any order.
        for number in (1..=parts).rev() {
            let part = format!("{number}/{parts}");
            says(&study(&["--intervals", "--format", format, "--part", &part, "--out", &cut]));
        }
        says(&["merge", &cut, "--out", &whole]);
        let one = says(&study(&["--intervals", "--format", format]));
        assert!(one.contains("refused"), "{one}");
        assert!(fs::read_to_string(whole).unwrap() == one, "{format}, {parts} parts");
    }
}

#[test]
fn what_is_missing_damaged_or_of_another_question_is_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (cut, whole) = (place("cut"), place("whole.csv"));
    let part = |number: &str, more: &[&str]| {
        let own = ["--format", "csv", "--out", &cut, "--part", number];
        ends(&[&study(&own)[..], more].concat())
    };
    for number in ["1/5", "2/5", "5/5"] {
        assert_eq!(part(number, &[]).0, Some(0));
    }
    let merge = || ends(&["merge", &cut, "--out", &whole]);
    let (status, said) = merge();
    assert!(status == Some(1) && said.contains("2 parts missing"), "{said}");
    assert!(said.contains("3/5, 4/5"), "{said}");
    // A part that is there stays as it is.
    let file = Path::new(&cut).join("2-of-5.csv");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    assert!(part("2/5", &[]).1.contains("already"));
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    // Another question, in each of the ways that matter.
    for other in [["--memory", "8GiB"], ["--profile", "lab"], ["--qemu", "9.0"]] {
        let (status, said) = part("3/5", &other);
        assert!(status == Some(2) && said.contains("another question"), "{other:?}: {said}");
    }
    assert!(part("3/6", &[]).1.contains("parts differs"));
    for number in ["3/5", "4/5"] {
        assert_eq!(part(number, &[]).0, Some(0));
    }
    let text = fs::read_to_string(&file).unwrap();
    let without_a_row = text.trim_end().rfind('\n').unwrap() + 1;
    for damaged in [&text[..text.len() - 9], &text[..without_a_row], ""] {
        fs::write(&file, damaged).unwrap();
        let (status, said) = merge();
        assert!(status == Some(2) && said.contains("2-of-5.csv"), "{said}");
        assert!(said.contains("answer part 2/5 again"), "{said}");
    }
    assert!(!Path::new(&whole).exists());
    fs::write(&file, text).unwrap();
    assert_eq!(merge().0, Some(0));
}

#[test]
fn a_study_for_slurm_is_a_script_that_a_shell_takes() {
    let more = ["--format", "csv", "--out", "it's here", "--emit", "slurm", "--parts", "50"];
    let script = says(&study(&more));
    let read = std::process::Command::new("bash").args(["-n", "-c", &script]).status().unwrap();
    assert!(read.success(), "{script}");
    assert!(script.contains("--array=1-50") && script.contains("--part $PART/50"), "{script}");
    assert!(!workspace().join("it's here").exists());
}

#[test]
fn a_study_that_could_not_be_written_is_refused_at_once() {
    let out = ["--out", "never-made"];
    let refused: [&[&str]; 5] = [
        &[],
        &["--format", "csv"],
        &["--part", "1/2"],
        &["--emit", "slurm", "--parts", "2"],
        &["--emit", "slurm", "--parts", "2", "--part", "1/2", "--format", "csv"],
    ];
    for more in refused {
        let (status, said) = ends(&study(&[&out[..], more].concat()));
        assert!(status == Some(2) && !said.is_empty(), "{more:?}: {said}");
    }
    assert!(!workspace().join("never-made").exists());
}

/// Records, questions and replications are cut as sweeps are.
#[test]
fn records_questions_and_replications_are_cut_too() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let questions = place("questions.jsonl");
    let lines: String = (1..=9)
        .map(|n| format!("{{\"id\": {n}, \"memory\": \"{n}GiB\", \"link\": \"1Gbit/s\"}}\n\n"))
        .collect();
    fs::write(&questions, lines + "{\"memory\": \"4G\"}\n").unwrap();
    let runs = workspace().join("calibrate/data/paper/runs.csv").display().to_string();
    let records = ["predict", "--records", &runs];
    let batch = ["predict", "--batch", &questions];
    let study = |command: &[&str], name: &str, parts: u64| {
        let (cut, whole) = (place(name), place(&format!("{name}.whole")));
        for number in 1..=parts {
            let part = format!("{number}/{parts}");
            let (status, said) = ends(&[command, &["--part", &part, "--out", &cut]].concat());
            assert_eq!(status, Some(0), "{said}");
        }
        says(&["merge", &cut, "--out", &whole]);
        fs::read_to_string(whole).unwrap()
    };
    for parts in [1, 7, 40] {
        assert!(study(&records, &format!("records{parts}"), parts) == says(&records), "{parts}");
    }
    let whole = migsim(&batch);
    assert!(study(&batch, "batch", 4) == String::from_utf8(whole.stdout).unwrap());
    // A run of all replications as one part, and in several.
    let rack = ["fleet", "scenarios/fleet/rack.toml", "--replications", "13"];
    let fleet = [&rack[..], &["--format", "csv"]].concat();
    let one = study(&fleet, "one", 1);
    assert!(one == study(&fleet, "five", 5));
    let makespans: Vec<&str> =
        one.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    let all: serde_json::Value =
        serde_json::from_str(&says(&[&rack[..], &["--format", "json"]].concat())).unwrap();
    let theirs: Vec<String> = all["replications"]["makespans_s"]
        .as_array()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(makespans, theirs);
    // What cannot be cut is told.
    for (wrong, why) in [
        (
            vec!["predict", "scenarios/first.toml", "--part", "1/2", "--out", "x"],
            "go with --records or --batch",
        ),
        (vec!["predict", "--records", "-", "--part", "1/2", "--out", "x"], "read once only"),
        ([&rack[..], &["--part", "1/2", "--out", "x"]].concat(), "--format csv or jsonl"),
        (
            vec![
                "fleet",
                "scenarios/fleet/rack.toml",
                "--format",
                "csv",
                "--part",
                "1/2",
                "--out",
                "x",
            ],
            "they cut --replications",
        ),
    ] {
        let (status, said) = ends(&wrong);
        assert!(status == Some(2) && said.contains(why), "{said}");
    }
    assert!(!Path::new("x").exists());
    let other =
        ends(&[&fleet[..], &["--seed", "2", "--part", "1/5", "--out", &place("five")]].concat());
    assert!(
        other.0 == Some(2) && other.1.contains("another question: seed differs"),
        "{}",
        other.1
    );
}
