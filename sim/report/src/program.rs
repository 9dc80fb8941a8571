//! What the programs say of themselves: their version, and what a shell needs to complete their
//! commands.

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;
use migsim::input::not_modelled;
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

/// A word of a command as a shell takes it.
pub(crate) fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,*+".contains(c);
    let is_plain = !word.is_empty() && word.chars().all(plain);
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// This command without some of its flags and their values.
pub fn command_without(flags: &[&str]) -> String {
    let mut words = vec!["migsim".to_owned()];
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if flags.contains(&argument.as_str()) {
            arguments.next();
        } else if !flags.iter().any(|flag| argument.starts_with(&format!("{flag}="))) {
            words.push(word(&argument));
        }
    }
    words.join(" ")
}

/// How a page came about: by this program, now. Where SOURCE_DATE_EPOCH is set, that is now: so the
/// same command makes the same bytes.
pub fn made() -> Made {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let now = epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let now = now.unwrap_or_else(jiff::Timestamp::now);
    let mut arguments = std::env::args_os();
    // Of the program its name alone: where it lies is a matter of this machine.
    let program = arguments.next().map(PathBuf::from).unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let words = arguments.map(|one| word(&one.to_string_lossy()));
    let command: Vec<String> = std::iter::once(program.clone()).chain(words).collect();
    Made {
        command: command.join(" "),
        when: now.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        version: format!("{program} {}", version()),
        ..Made::default()
    }
}

/// The program's arguments; what is wrong with them ends it, with exit status 2.
pub fn parse<C: Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        if let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
            && error.kind() == ErrorKind::UnknownArgument
            && let Some(why) = not_modelled(flag)
        {
            terminal::complain(&format!("{flag}: {why}"));
            std::process::exit(2);
        }
        error.exit()
    })
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
