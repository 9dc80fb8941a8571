//! Where output goes: standard output, standard error, and files that are whole or not there.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use migsim::scenario::InputError;

/// Prints to standard output.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Says something to the person, on standard error.
pub(super) fn complain(text: &str) {
    // Nobody is left to be told if this fails.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether the reader of our output has gone away, which is no error of ours.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|e| e.downcast_ref::<std::io::Error>()).any(|e| e.kind() == ErrorKind::BrokenPipe)
}

/// A file that is written whole: created beside its place before the work, so that a bad path fails first, and put there at the end.
#[derive(Debug)]
pub(super) struct WholeFile {
    temporary: tempfile::NamedTempFile,
    place: PathBuf,
}

impl WholeFile {
    pub(super) fn create(place: &Path) -> anyhow::Result<WholeFile> {
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

    pub(super) fn file(&mut self) -> &mut std::fs::File {
        self.temporary.as_file_mut()
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        let place = self.place;
        self.temporary.persist(&place).with_context(|| format!("{}: cannot be written", place.display()))?;
        Ok(())
    }

    pub(super) fn write(mut self, text: &str) -> anyhow::Result<()> {
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
pub(super) fn progress(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
