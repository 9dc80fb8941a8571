//! The examples run, and each fits on a screen.

use std::path::Path;
use std::process::Command;

#[test]
fn examples_run_and_fit_on_a_screen() {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(Path::parent).unwrap().join("examples");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for source in std::fs::read_dir(sources).unwrap() {
        let source = source.unwrap().path();
        let name = source.file_stem().unwrap();
        let output = Command::new(built.join(name)).output().unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{name:?}: {output:?}");
        let lines = std::fs::read_to_string(&source).unwrap().lines().count();
        assert!(lines <= 30, "{name:?} has {lines} lines");
        count += 1;
    }
    assert!(count >= 5);
}
