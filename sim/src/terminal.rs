//! What the project's programs share towards the person at the terminal: output, files that are whole or not there,
//! progress, Ctrl-C and exit statuses.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::scenario::InputError;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

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
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// A flag that Ctrl-C raises, so that work ends at a clean place.
///
/// # Errors
/// The signal cannot be listened to.
pub fn interruptible() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            // Asked twice: at once.
            std::process::exit(i32::from(INTERRUPTED));
        }
    })
    .context("listening for Ctrl-C")?;
    Ok(flag)
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

/// Says something to the person, on standard error.
pub fn complain(text: &str) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether the reader of our output has gone away, which is no error of ours.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}

/// A file that is written whole: created beside its place before the work, so that a bad path fails first, and put there at the end.
#[derive(Debug)]
pub struct WholeFile {
    temporary: tempfile::NamedTempFile,
    place: PathBuf,
}

impl WholeFile {
    /// Creates the file beside `place`.
    ///
    /// # Errors
    /// `place` is a folder or cannot be written.
    pub fn create(place: &Path) -> anyhow::Result<WholeFile> {
        let folder = match place.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if place.is_dir() {
            return Err(InputError::new(place.display().to_string(), "is a folder; it takes a file to write").into());
        }
        let temporary = tempfile::Builder::new()
            .prefix(".migsim-")
            .permissions(readable())
            .tempfile_in(folder)
            .with_context(|| format!("{}: cannot be written", place.display()))?;
        Ok(WholeFile { temporary, place: place.to_owned() })
    }

    /// What is to be written to.
    pub fn file(&mut self) -> &mut std::fs::File {
        self.temporary.as_file_mut()
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        let place = self.place;
        self.temporary.persist(&place).with_context(|| format!("{}: cannot be written", place.display()))?;
        Ok(())
    }

    /// Writes all of it and puts it in its place.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(mut self, text: &str) -> anyhow::Result<()> {
        self.file()
            .write_all(text.as_bytes())
            .with_context(|| format!("{}: cannot be written", self.place.display()))?;
        self.finish()
    }
}

/// As files usually are, where temporary ones are for their owner alone.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o644)
}

/// A progress bar on a terminal, nothing elsewhere.
pub fn progress(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
