//! What README and docs print of `migsim` is what it does.

use migsim_models::profile::{Manager, Profile, Software};

use crate::support::workspace;

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

#[test]
fn the_guide_has_each_managers_times_and_where_they_are_from() {
    let guide = std::fs::read_to_string(workspace().join("docs/guide.md")).unwrap();
    for manager in Manager::ALL {
        let Software { prepare, finish, .. } = Profile::ideal().run_by(Some(manager)).software;
        let [before, after] = [prepare, finish].map(|time| time.value.as_secs_f64());
        let row = format!("| `{manager}` | {before} s | {after} s | {} |", manager.source());
        assert!(guide.contains(&row), "docs/guide.md lacks\n{row}");
    }
}
