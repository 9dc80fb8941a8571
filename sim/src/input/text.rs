//! Files that are read whole, and tables that are read row by row, neither longer than fits into
//! memory.

use std::cell::Cell;
use std::io::Read;
use std::path::Path as FilePath;
use std::rc::Rc;

use migsim_models::text::shown;

use super::error::InputError;

/// Reads a whole file, naming it if that fails.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_file(file: &FilePath) -> Result<String, InputError> {
    let error = |e: &dyn std::fmt::Display| InputError::new(shown(&file.display().to_string()), e);
    let mut text = String::new();
    let input = std::fs::File::open(file).map_err(|e| error(&e))?;
    let read = input.take(MOST_TEXT + 1).read_to_string(&mut text).map_err(|e| error(&e))?;
    if read as u64 > MOST_TEXT {
        return Err(error(&format!(
            "is longer than {} MiB, the most that is read",
            MOST_TEXT >> 20
        )));
    }
    Ok(text)
}

/// The longest file of settings that is read, in bytes.
const MOST_TEXT: u64 = 256 << 20;
/// And the longest row of a CSV file.
const MOST_ROW: u64 = 16 << 20;

/// A CSV file that is read row by row, none of them longer than fits into memory.
#[derive(Debug)]
pub struct Rows<R> {
    input: R,
    /// Bytes since the last row was taken.
    since: Rc<Cell<u64>>,
}

impl<R: Read> Rows<R> {
    /// A reader of CSV over it, and what tells it that a row was taken.
    pub fn reader(input: R) -> (csv::Reader<Rows<R>>, impl Fn()) {
        let since = Rc::new(Cell::new(0));
        let rows = Rows { input, since: Rc::clone(&since) };
        (csv::ReaderBuilder::new().flexible(true).from_reader(rows), move || since.set(0))
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.get() > MOST_ROW {
            let why = format!("a row is longer than {} MiB, the most that is read", MOST_ROW >> 20);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        let read = self.input.read(buffer)?;
        self.since.set(self.since.get() + read as u64);
        Ok(read)
    }
}

/// How alike two names are at least for one to have been meant for the other, 0 to 1.
const ALIKE: f64 = 0.8;

/// The name among `known` that is most like one that there is none of, if any is (Jaro and
/// Winkler's similarity).
pub(crate) fn nearest<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> Option<&'a str> {
    let alike = |other: &'a String| {
        (strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()), other.as_str())
    };
    let best = known.into_iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    best.filter(|(likeness, _)| *likeness >= ALIKE).map(|(_, other)| other)
}
