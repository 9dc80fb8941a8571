//! Files that people ask for, as the program writes them.

use std::os::unix::fs::FileTypeExt;

use crate::support::{migsim, says};

const GUEST: [&str; 5] = ["predict", "--memory", "64MiB", "--link", "1Gbit/s"];

fn refusal(arguments: &[&str]) -> String {
    let output = migsim(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_device_is_written_through_and_stays_one() {
    says(&[&GUEST[..], &["--plot", "/dev/null"]].concat());
    assert!(std::fs::metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn a_picture_is_what_its_ending_says() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    says(&[&GUEST[..], &["--plot", &place("a.png")]].concat());
    assert!(std::fs::read(place("a.png")).unwrap().starts_with(b"\x89PNG\r\n"));
    says(&[&GUEST[..], &["--plot", &place("a.svg")]].concat());
    assert!(std::fs::read_to_string(place("a.svg")).unwrap().starts_with("<svg"));
    for name in ["a.pdf", "a.html", "a"] {
        assert!(
            refusal(&[&GUEST[..], &["--plot", &place(name)]].concat()).contains(".svg or .png"),
            "{name}"
        );
    }
}

#[test]
fn no_run_writes_over_what_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let generate = [
        "inventory",
        "generate",
        "rack",
        "--hosts",
        "2",
        "--guests",
        "4",
        "--out",
        folder.path().to_str().unwrap(),
    ];
    says(&generate);
    for input in ["rack.toml", "rack.csv"] {
        let error = refusal(&["fleet", &place("rack.toml"), "--report", &place(input)]);
        assert!(error.contains("is read by this run"), "{input}: {error}");
    }
    assert!(refusal(&generate).contains("--force"));
    says(&[&generate[..], &["--force"]].concat());
    assert!(says(&["fleet", &place("rack.toml")]).contains("4 guests arrive"));
}
