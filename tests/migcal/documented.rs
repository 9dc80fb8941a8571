//! What README and docs print of `migcal` is what it does.

#[path = "../documented.rs"]
pub(crate) mod printed;

/// Commands that a test does not run, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("migcal campaign calibrate/plans/paper.toml", "takes an hour"),
    ("qemu+ssh://root@a", "takes two servers"),
    ("migcal faults --runs 1000", "takes hours"),
];

#[test]
fn every_documented_command_of_migcal_that_reads_records_does_what_is_printed() {
    let count = printed::run_each(env!("CARGO_BIN_EXE_migcal"), |one| {
        let real = ["migcal run", "migcal lab", "migcal doctor", "migcal dirty", "migcal settle"];
        let is_ours = one.command.starts_with("migcal ") || one.command.contains("my-hosts.toml");
        let left_out = LEFT_OUT.iter().any(|(part, _)| one.command.contains(part));
        (is_ours && !left_out && !real.iter().any(|part| one.command.starts_with(part)))
            .then_some(one)
    });
    assert!(count >= 6, "{count} commands were found");
}
