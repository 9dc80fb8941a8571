//! What README and docs print of `migsim` is what it does.

#[path = "../documented.rs"]
mod printed;

use std::path::Path;

#[test]
fn every_documented_command_of_migsim_does_what_is_printed() {
    let workshop = printed::workshop();
    let programs = Path::new(env!("CARGO_BIN_EXE_migsim")).parent().unwrap();
    let mut count = 0;
    // In the order of a page: one command's file is the next one's input.
    for one in printed::commands() {
        // Of the other program's test: it makes the profile.
        let makes_a_profile = one.command.contains("my-hosts.toml");
        if one.command.starts_with("migsim ") && !makes_a_profile {
            printed::run(&one, programs, workshop.path());
            count += 1;
        }
    }
    assert!(count >= 12, "{count} commands were found");
}
