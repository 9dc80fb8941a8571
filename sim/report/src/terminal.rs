//! What the project's programs share towards the person at the terminal: output, progress, Ctrl-C
//! and exit statuses.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
pub use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use migsim::answer::Between;
use migsim::input::{InputError, profile_or_default, shown};
use migsim_models::profile::{Manager, Profile};

use crate::format::Screen;

/// Some of the work failed, though the rest was done.
pub const SOME_FAILED: u8 = 1;
/// The input cannot be used.
pub const UNUSABLE: u8 = 2;
/// Interrupted by Ctrl-C, as shells count it.
pub const INTERRUPTED: u8 = 130;

/// The exit status of a program that ended like this; an error is told to the person.
pub fn exit_status(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        // What was broken off has no fault of its own.
        Err(error) if INTERRUPT.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(INTERRUPTED)
        }
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// How long a program that was told to end may take to do so by itself.
const GRACE: Duration = Duration::from_millis(800);
/// Raised by the first signal.
static INTERRUPT: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// Whether the program ends after [`GRACE`] in any case.
static IMPATIENT: AtomicBool = AtomicBool::new(false);
/// The work has come to its clean place, and only has to be told: that is waited for.
static FINISHING: AtomicBool = AtomicBool::new(false);

/// A flag that Ctrl-C raises, and SIGTERM and SIGHUP alike, so that work ends at a clean place. At
/// the second signal the program ends at once; nothing half-written stays behind.
///
/// # Errors
/// The signals cannot be listened to.
pub fn interruptible() -> anyhow::Result<Arc<AtomicBool>> {
    if let Some(flag) = INTERRUPT.get() {
        return Ok(Arc::clone(flag));
    }
    let mut heard = vec![SIGINT, SIGTERM];
    // Who started this with nohup wants it to outlive the terminal.
    if !hangup_is_ignored() {
        heard.push(SIGHUP);
    }
    let mut signals = Signals::new(heard).context("listening for Ctrl-C")?;
    let flag = Arc::clone(INTERRUPT.get_or_init(Arc::default));
    let raised = Arc::clone(&flag);
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if raised.swap(true, Ordering::Relaxed) {
                leave();
            }
            if IMPATIENT.load(Ordering::Relaxed) {
                std::thread::spawn(|| {
                    std::thread::sleep(GRACE);
                    if !FINISHING.load(Ordering::Relaxed) {
                        leave();
                    }
                });
            }
        }
    });
    Ok(flag)
}

/// The same for a program that has nothing to put in order: it ends within a second, whether or not
/// it looks at the flag.
///
/// # Errors
/// The signals cannot be listened to.
pub fn interruptible_at_once() -> anyhow::Result<Arc<AtomicBool>> {
    IMPATIENT.store(true, Ordering::Relaxed);
    interruptible()
}

/// The work is over, or has ended at its clean place: what is left is to tell, which an
/// interruption waits for.
pub fn finishing() {
    FINISHING.store(true, Ordering::Relaxed);
}

fn leave() -> ! {
    crate::file::abandon();
    complain("interrupted");
    std::process::exit(i32::from(INTERRUPTED));
}

/// Whether SIGHUP was ignored from the start (Linux: bit 0 of SigIgn in /proc/self/status).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

/// Prints to standard output.
///
/// # Errors
/// It cannot be written to.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// What is known of where standard output is shown. One that is no terminal takes lines of any
/// length; a locale of another character set than UTF-8, `C` among them, has no lines to draw
/// tables with.
pub fn screen() -> Screen {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let is_utf8 = |locale: &str| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    Screen {
        width: terminal_size::terminal_size_of(std::io::stdout())
            .map(|(terminal_size::Width(width), _)| usize::from(width)),
        ascii: locale.is_some_and(|locale| !is_utf8(&locale)),
    }
}

/// Says something to the person, on standard error.
pub fn complain(text: &str) {
    let text: Vec<String> = text.lines().map(shown).collect();
    // Nobody is left to be told if this fails.
    let _ = writeln!(std::io::stderr().lock(), "{}", text.join("\n"));
}

/// Whether more is told than what was asked: `--verbose`.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// From now on what [`explain`] is given is told.
pub fn be_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Says something to a person who wants to know more.
pub fn explain(text: impl FnOnce() -> String) {
    if VERBOSE.load(Ordering::Relaxed) {
        complain(&text());
    }
}

/// The host profile of a file or a name, or the default one; of a file, what it leaves to its base
/// is explained.
///
/// # Errors
/// Those of [`profile_or_default`].
pub fn profile(file: Option<&Path>) -> Result<Profile, InputError> {
    let (profile, missing) = profile_or_default(file)?;
    if let Some(file) = file.filter(|_| !missing.is_empty()) {
        let base = profile.base.name();
        explain(|| {
            format!("note: {}: as in the profile `{base}`: {}", file.display(), missing.join(", "))
        });
    }
    Ok(profile)
}

/// The hosts of a profile that was asked for; without one, servers of each link's class. In either
/// case run by the manager that was named.
///
/// # Errors
/// The file cannot be read or used.
pub fn between(file: Option<&Path>, manager: Option<Manager>) -> Result<Between, InputError> {
    Ok(match file {
        None => Between::Servers(manager),
        Some(_) => Between::given(profile(file)?.run_by(manager)),
    })
}

/// Whether the reader of our output has gone away, which is no error of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |e: &(dyn std::error::Error + 'static)| match e.downcast_ref::<InputError>() {
        Some(error) => error.unwritten,
        None => e.downcast_ref::<std::io::Error>().map(std::io::Error::kind),
    };
    error.chain().filter_map(kind).any(|kind| kind == ErrorKind::BrokenPipe)
}

/// A progress bar on a terminal, nothing elsewhere.
pub fn progress(length: u64, template: &str) -> ProgressBar {
    drawn(ProgressBar::new(length), template)
}

/// The same for work of which nobody knows how much there is.
pub fn progress_of_unknown(template: &str) -> ProgressBar {
    drawn(ProgressBar::no_length(), template)
}

fn drawn(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
