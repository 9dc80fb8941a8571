//! What the programs say of themselves: their version, and what a shell needs to complete their
//! commands.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use migsim::schema::Named;
use migsim_explore::Made;
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

/// How a page came about: by this program, now. Where SOURCE_DATE_EPOCH is set, that is now: so the
/// same command makes the same bytes.
pub fn made() -> Made {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now = epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let now = now.unwrap_or_else(jiff::Timestamp::now);
    let word = |word: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,*+".contains(c);
        let is_plain = !word.is_empty() && word.chars().all(plain);
        if is_plain { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
    };
    let mut arguments = std::env::args_os();
    // Of the program its name alone: where it lies is a matter of this machine.
    let program = arguments.next().map(PathBuf::from).unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let words = arguments.map(|one| word(one.to_string_lossy().into_owned()));
    let command: Vec<String> = std::iter::once(program.clone()).chain(words).collect();
    Made {
        command: command.join(" "),
        when: now.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        version: format!("{program} {}", version()),
        ..Made::default()
    }
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
