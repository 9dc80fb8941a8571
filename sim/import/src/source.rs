//! A file of another tool as text, whatever its encoding.

use std::io::Read;
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use migsim::input::{InputError, shown};
use serde_json::Value;

/// The longest file that is read, in bytes.
const MOST_BYTES: u64 = 256 << 20;
/// So much of a file is looked at to tell its encoding.
const LOOKED_AT: usize = 4096;

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Where it lies.
    pub file: PathBuf,
    /// What errors call it.
    pub place: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read, is longer than 256 MiB, or is no text.
    pub fn read(file: &Path) -> Result<Source, InputError> {
        let standard_input = file == Path::new("-");
        let place = match standard_input {
            true => "standard input".to_owned(),
            false => shown(&file.display().to_string()),
        };
        let failed = |e: std::io::Error| InputError::new(&place, e);
        let input: Box<dyn Read> = match standard_input {
            true => Box::new(std::io::stdin()),
            false => Box::new(std::fs::File::open(file).map_err(failed)?),
        };
        let mut bytes = Vec::new();
        input.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        Source::of(file, &place, &bytes)
    }

    /// The same of bytes that are at hand.
    ///
    /// # Errors
    /// They are too many, or no text.
    pub fn of(file: &Path, place: &str, bytes: &[u8]) -> Result<Source, InputError> {
        let wrong = |why: &str| Err(InputError::new(place, why));
        if bytes.len() as u64 > MOST_BYTES {
            return wrong(&format!(
                "is longer than {} MiB, the most that is read",
                MOST_BYTES >> 20
            ));
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return wrong("is a workbook (.xlsx); export its sheets as CSV");
        }
        let (text, ..) = encoding(bytes).decode(bytes);
        if text.contains('\0') {
            return wrong("is no text; it takes what the tool prints or exports as text");
        }
        if text.trim().is_empty() {
            return wrong("is empty");
        }
        // The reader of sheets counts lines right only where they end in one character.
        let text = text.replace("\r\n", "\n");
        Ok(Source { file: file.to_owned(), place: place.to_owned(), text })
    }

    /// An error of a line of it, from 1.
    pub(crate) fn error(&self, line: usize, why: impl std::fmt::Display) -> InputError {
        InputError::new(format!("{}:{line}", self.place), why.to_string())
    }

    /// Its text as JSON.
    pub(crate) fn json(&self) -> Result<Value, InputError> {
        serde_json::from_str(&self.text).map_err(|e| self.error(e.line(), no_json(&e)))
    }

    /// Whether it looks like JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.text.trim_start().starts_with(['[', '{'])
    }

    /// The name of its folder; `None`: it has none of its own.
    pub(crate) fn folder(&self) -> Option<String> {
        let name = self.file.parent()?.file_name()?.to_str()?;
        Some(name.to_owned())
    }

    /// Its name without its ending.
    pub(crate) fn stem(&self) -> &str {
        self.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
    }
}

/// What is wrong with text that begins like JSON.
pub(crate) fn no_json(error: &serde_json::Error) -> String {
    format!("is no whole JSON: {error}")
}

/// What a list holds; of what is no list, itself.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// What follows a marker in a line, to the next of `ends`, without blanks around it.
pub(crate) fn after<'a>(line: &'a str, marker: &str, ends: &[char]) -> Option<&'a str> {
    let rest = &line[line.find(marker)? + marker.len()..];
    Some(rest[..rest.find(ends).unwrap_or(rest.len())].trim())
}

/// How a text is encoded: as its mark says; without one as UTF-16 where every other byte is zero,
/// as UTF-8 where it is that, and else as Windows and Latin-1 have it.
fn encoding(bytes: &[u8]) -> &'static Encoding {
    if let Some((marked, _)) = Encoding::for_bom(bytes) {
        return marked;
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let many = head.len() / 5;
    match (zeros(0), zeros(1)) {
        (0, odd) if odd > many => UTF_16LE,
        (even, 0) if even > many => UTF_16BE,
        _ if std::str::from_utf8(bytes).is_ok() => UTF_8,
        _ => WINDOWS_1252,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        Source::of("f".as_ref(), "f", bytes).map(|source| source.text).map_err(|e| e.to_string())
    }

    #[test]
    fn encodings_of_the_desk_are_read() {
        let utf16 = |text: &str, mark: bool| -> Vec<u8> {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        };
        let text = "name;host\nBüro;köln\n";
        assert_eq!(read(&utf16(text, true)).unwrap(), text);
        assert_eq!(read(&utf16(text, false)).unwrap(), text);
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(read(&big).unwrap(), text);
        assert_eq!(read(format!("\u{feff}{text}").as_bytes()).unwrap(), text);
        let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
        assert_eq!(read(&latin).unwrap(), text);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for (bytes, why) in [
            (&b"PK\x03\x04rest"[..], "export its sheets as CSV"),
            (b"\x7fELF\x00\x01\x02\x00\x00", "is no text"),
            (b" \n\n", "is empty"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
