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
