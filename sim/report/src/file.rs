//! Files that people ask for: whole or not there, and nothing lost that was there before.
//!
//! A regular file is replaced at the end, by a rename, with its mode and owner; where a symbolic
//! link stands, its target is. A device, a FIFO and `-` are written through. What may not be
//! written, a folder, a read-only file and a file that the run reads, is refused before
//! the work, and so is a file that people edit, unless they say that it may go.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;

use crate::chart::Picture;
use migsim::input::{InputError, shown};

/// Temporary files that stand beside their places just now: whoever ends the program takes them
/// away.
static UNDER_WAY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Takes away temporary files that are not in their places yet.
pub fn abandon() {
    for file in UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        // Gone already, or nobody is left to be told.
        let _ = std::fs::remove_file(file);
    }
}

/// What is known of a place before it is written to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Care<'a> {
    /// Files that the run reads: none of them is written over.
    pub inputs: &'a [&'a Path],
    /// People edit such files: one that is there stays, unless `force` says otherwise.
    pub edited: bool,
    /// What is there may go.
    pub force: bool,
}

/// A file to be written.
#[derive(Debug)]
pub struct Output {
    place: PathBuf,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Stdout,
    /// A device or a FIFO.
    Stream,
    /// A regular file to be, and what was there; its contents wait in a file without a name.
    Whole {
        file: PathBuf,
        before: Option<Box<Metadata>>,
        contents: File,
    },
}

impl Output {
    /// Prepares to write to `place`, which is left as it is until the end.
    ///
    /// # Errors
    /// It may not or cannot be written, with the reason.
    pub fn create(place: &Path, care: Care) -> anyhow::Result<Output> {
        let refused =
            |why: &str| Err(InputError::new(shown(&place.display().to_string()), why).into());
        if place == Path::new("-") {
            return Ok(Output { place: place.to_owned(), target: Target::Stdout });
        }
        let before = std::fs::metadata(place).ok();
        if let Some(before) = &before {
            let kind = before.file_type();
            if kind.is_dir() {
                return refused("is a folder; it takes a file to write");
            }
            if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() {
                return Ok(Output { place: place.to_owned(), target: Target::Stream });
            }
            if !kind.is_file() {
                return refused("is neither a file nor a device; it takes a file to write");
            }
            let same = |input: &&Path| {
                std::fs::metadata(input)
                    .is_ok_and(|one| (one.dev(), one.ino()) == (before.dev(), before.ino()))
            };
            if care.inputs.iter().any(same) {
                return refused(
                    "is read by this run, and would be lost; it takes another file to write",
                );
            }
            // Root may write anything; who has made a file read-only means root too.
            if before.permissions().mode() & 0o222 == 0 {
                return refused("is read-only; it takes a file that may be written");
            }
            if care.edited && !care.force {
                return refused(
                    "is there already, and may have been edited; --force overwrites it",
                );
            }
            OpenOptions::new().append(true).open(place).with_context(|| {
                format!("{}: cannot be written", shown(&place.display().to_string()))
            })?;
        }
        let file = resolved(place);
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let contents = tempfile::tempfile_in(folder).with_context(|| {
            format!("{}: cannot be written", shown(&place.display().to_string()))
        })?;
        Ok(Output {
            place: place.to_owned(),
            target: Target::Whole { file, before: before.map(Box::new), contents },
        })
    }

    /// What is to be written to, until [`Output::finish`].
    ///
    /// # Errors
    /// A device or a FIFO cannot be opened.
    pub fn writer(&mut self) -> anyhow::Result<Box<dyn Write + '_>> {
        let place = &self.place;
        Ok(match &mut self.target {
            Target::Stdout => Box::new(std::io::stdout().lock()),
            Target::Stream => Box::new(
                OpenOptions::new()
                    .write(true)
                    .open(place)
                    .with_context(|| format!("{}", place.display()))?,
            ),
            Target::Whole { contents, .. } => Box::new(contents),
        })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn finish(self) -> anyhow::Result<()> {
        let Target::Whole { file, before, mut contents } = self.target else { return Ok(()) };
        let cannot = || format!("{}: cannot be written", shown(&self.place.display().to_string()));
        let folder =
            file.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let mode = before.as_ref().map_or(0o644, |before| before.permissions().mode() & 0o7777);
        let mut temporary = tempfile::Builder::new()
            .prefix(".migsim-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)
            .with_context(cannot)?;
        let named = temporary.path().to_owned();
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).push(named.clone());
        let put = || -> anyhow::Result<()> {
            contents.rewind().with_context(cannot)?;
            std::io::copy(&mut contents, &mut temporary).with_context(cannot)?;
            if let Some(before) = &before {
                // What the umask took from a mode that was there before is given back; the owner is
                // kept where that is allowed.
                temporary
                    .as_file()
                    .set_permissions(Permissions::from_mode(mode))
                    .with_context(cannot)?;
                let _ = std::os::unix::fs::chown(&named, Some(before.uid()), Some(before.gid()));
            }
            temporary.persist(&file).with_context(cannot)?;
            Ok(())
        };
        let done = put();
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != named);
        done
    }

    /// Writes all of it and puts it in its place.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(mut self, contents: &[u8]) -> anyhow::Result<()> {
        let place = shown(&self.place.display().to_string());
        let mut writer = self.writer()?;
        writer
            .write_all(contents)
            .and_then(|()| writer.flush())
            .with_context(|| format!("{place}: cannot be written"))?;
        drop(writer);
        self.finish()
    }
}

/// Where a place is in the end: the target of symbolic links, also of one that leads nowhere yet.
fn resolved(place: &Path) -> PathBuf {
    if let Ok(target) = place.canonicalize() {
        return target;
    }
    match std::fs::read_link(place) {
        Ok(link) if link.is_absolute() => link,
        Ok(link) => place.parent().unwrap_or(Path::new("")).join(link),
        Err(_) => place.to_owned(),
    }
}

/// A file for a picture; its ending says what kind.
#[derive(Debug)]
pub struct PictureOutput {
    output: Output,
    png: bool,
}

impl PictureOutput {
    /// Prepares to draw at `place`.
    ///
    /// # Errors
    /// Those of [`Output::create`]; an ending that is neither `.svg` nor `.png`.
    pub fn create(place: &Path, care: Care) -> anyhow::Result<PictureOutput> {
        let ending = place.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let to_anywhere = !std::fs::metadata(place).is_ok_and(|there| there.is_file())
            && (place == Path::new("-") || place.exists())
            && !place.is_dir();
        let png = match ending.as_deref() {
            Some("png") => true,
            Some("svg") => false,
            _ if to_anywhere => false,
            _ => {
                let place = shown(&place.display().to_string());
                return Err(InputError::new(
                    place,
                    "a picture is drawn as .svg or .png; give it one of these endings",
                )
                .into());
            }
        };
        Ok(PictureOutput { output: Output::create(place, care)?, png })
    }

    /// Draws.
    ///
    /// # Errors
    /// The file cannot be written, or the picture is too large for pixels.
    pub fn write(self, picture: &Picture) -> anyhow::Result<()> {
        if self.png {
            let png = picture
                .png()
                .map_err(|e| anyhow::anyhow!("{}: {e}", self.output.place.display()))?;
            self.output.write(&png)
        } else {
            self.output.write(picture.svg().as_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(place: &Path, care: Care) -> String {
        Output::create(place, care).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode_and_a_links_target_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "before").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let output = Output::create(&link, Care::default()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "before",
            "until the end it is as it was"
        );
        output.write(b"after").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "after");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let nowhere = folder.path().join("nowhere");
        std::os::unix::fs::symlink("new", &nowhere).unwrap();
        Output::create(&nowhere, Care::default()).unwrap().write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("new")).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
    }

    #[test]
    fn what_may_not_be_written_is_refused_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "before").unwrap();
        let inputs = [file.as_path()];
        assert!(refusal(folder.path(), Care::default()).contains("is a folder"));
        assert!(
            refusal(&file, Care { inputs: &inputs, ..Care::default() })
                .contains("is read by this run")
        );
        assert!(refusal(&file, Care { edited: true, ..Care::default() }).contains("--force"));
        assert!(
            Output::create(&file, Care { edited: true, force: true, ..Care::default() }).is_ok()
        );
        std::fs::set_permissions(&file, Permissions::from_mode(0o444)).unwrap();
        assert!(refusal(&file, Care { force: true, ..Care::default() }).contains("is read-only"));
        assert!(
            refusal(&folder.path().join("no/such"), Care::default()).contains("cannot be written")
        );
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "before");
    }

    #[test]
    fn a_fifo_is_written_through_and_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || std::fs::read_to_string(fifo).unwrap())
        };
        Output::create(&fifo, Care::default()).unwrap().write(b"through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(std::fs::metadata(&fifo).unwrap().file_type().is_fifo());
    }

    #[test]
    fn an_ending_says_what_is_drawn() {
        let folder = tempfile::tempdir().unwrap();
        for (name, taken) in
            [("a.svg", true), ("a.PNG", true), ("a.pdf", false), ("a.html", false), ("a", false)]
        {
            let got = PictureOutput::create(&folder.path().join(name), Care::default());
            assert_eq!(got.is_ok(), taken, "{name}");
        }
        assert!(PictureOutput::create(Path::new("/dev/null"), Care::default()).is_ok());
    }
}
