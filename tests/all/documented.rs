//! What README and docs print of `migsim` is what it does.

#[path = "../documented.rs"]
mod printed;

#[test]
fn every_documented_command_of_migsim_does_what_is_printed() {
    let count = printed::run_each(env!("CARGO_BIN_EXE_migsim"), |one| {
        // Of the other program's test: it makes the profile.
        let makes_a_profile = one.command.contains("my-hosts.toml");
        (one.command.starts_with("migsim ") && !makes_a_profile).then_some(one)
    });
    assert!(count >= 12, "{count} commands were found");
}
