//! What the programs say of themselves: their version, and what a shell needs to complete their
//! commands.

use std::sync::LazyLock;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use migsim::schema::Named;
use migsim_models::profile::Profile;

use crate::terminal;

/// The version of a program, with the date of the embedded profile: figures depend on both.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let profile = Profile::default();
        let date = profile.fit.as_ref().map_or("no date", |fit| fit.date.as_str());
        format!("{} (profile of {date})", env!("CARGO_PKG_VERSION"))
    });
    &VERSION
}

/// Prints the completions of a program for a shell.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions<C: CommandFactory>(shell: Shell) -> anyhow::Result<()> {
    let mut command: Command = C::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    terminal::print(&String::from_utf8(script)?)
}

/// Prints the schema of that name, or without one what there is.
///
/// # Errors
/// Standard output cannot be written to.
pub fn schema(all: &[Named], wanted: Option<&str>) -> anyhow::Result<()> {
    let text = all.iter().map(|(name, of, made)| match wanted {
        None => format!("{name:<12} {of}\n"),
        Some(wanted) if wanted == *name => format!("{:#}\n", made().to_value()),
        Some(_) => String::new(),
    });
    terminal::print(&text.collect::<String>())
}
