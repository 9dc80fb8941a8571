//! Files that are read whole, and tables that are read row by row, neither longer than fits into
//! memory.

use std::cell::Cell;
use std::io::Read;
use std::path::Path as FilePath;
use std::rc::Rc;

use migsim_models::text::{counted, shown};

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
    /// A carriage return that ended the last bytes read, which is dropped if a line ends there.
    held: bool,
    /// Bytes since the last row was taken.
    since: Rc<Cell<u64>>,
}

impl<R: Read> Rows<R> {
    /// A reader of CSV over it, and what tells it that a row was taken.
    pub fn reader(input: R) -> (csv::Reader<Rows<R>>, impl Fn()) {
        Rows::separated(input, b',')
    }

    /// The same where something else separates cells.
    pub(crate) fn separated(input: R, separator: u8) -> (csv::Reader<Rows<R>>, impl Fn()) {
        let since = Rc::new(Cell::new(0));
        let rows = Rows { input, held: false, since: Rc::clone(&since) };
        let reader =
            csv::ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(rows);
        (reader, move || since.set(0))
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.get() > MOST_ROW {
            let why = format!("a row is longer than {} MiB, the most that is read", MOST_ROW >> 20);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        let read = self.read_lines(buffer)?;
        self.since.set(self.since.get() + read as u64);
        Ok(read)
    }
}

impl<R: Read> Rows<R> {
    /// Reads with line ends of one character: where they have two, csv counts lines wrongly.
    fn read_lines(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.len() < 2 {
            return self.input.read(buffer);
        }
        loop {
            let start = usize::from(self.held);
            let read = self.input.read(&mut buffer[start..])?;
            if read == 0 {
                // It ended the file.
                buffer[0] = b'\r';
                self.held = false;
                return Ok(start);
            }
            if self.held {
                buffer[0] = b'\r';
            }
            let mut end = start + read;
            self.held = buffer[end - 1] == b'\r';
            end -= usize::from(self.held);
            if buffer[..end].contains(&b'\r') {
                let mut kept = 0;
                for at in 0..end {
                    if !(buffer[at] == b'\r' && buffer[..end].get(at + 1) == Some(&b'\n')) {
                        buffer[kept] = buffer[at];
                        kept += 1;
                    }
                }
                end = kept;
            }
            if end > 0 {
                return Ok(end);
            }
        }
    }
}

/// What separates the cells of a sheet, and where its header stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separated {
    /// What separates them.
    pub by: u8,
    /// Bytes above the header: Excel's own line `sep=;`.
    pub above: usize,
}

impl Separated {
    /// Of a sheet that begins so: as it says, or by what stands most often in its first line, the
    /// comma where that is even.
    pub fn of(start: &[u8]) -> Separated {
        let text = start.trim_ascii_start();
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if let Some([by, ..]) = first.strip_prefix(b"sep=") {
            let blank = start.len() - text.len();
            return Separated { by: *by, above: (blank + first.len() + 1).min(start.len()) };
        }
        let often = |separator: &u8| first.iter().filter(|byte| *byte == separator).count();
        let by = [b'\t', b';', b','].into_iter().max_by_key(often).unwrap_or(b',');
        Separated { by, above: 0 }
    }

    /// Lines above the header.
    pub fn lines_above(&self) -> u64 {
        u64::from(self.above > 0)
    }
}

/// What is wrong with a row that has lost cells, or has too many.
pub fn uneven(cells: usize, header: usize) -> String {
    format!("the row has {}, the header {header}", counted(cells, "cell"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_says_or_shows_what_separates_its_cells() {
        for (text, by, above) in [
            ("name,host\n", b',', 0),
            ("name;host;memory, MiB\n", b';', 0),
            ("\nname\thost\n", b'\t', 0),
            ("name\n", b',', 0),
            ("sep=;\nname,host\n", b';', 6),
            ("sep=|\r\nname|host\n", b'|', 7),
            ("sep=;", b';', 5),
            ("", b',', 0),
        ] {
            assert_eq!(Separated::of(text.as_bytes()), Separated { by, above }, "{text:?}");
        }
    }

    /// Hands its bytes out a few at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.1.min(buffer.len()).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn lines_are_counted_whatever_ends_them_and_however_they_arrive() {
        let text = "a,b\n1,2\n\"x\ny\",3\n4,5\r";
        for text in [text.to_owned(), text.replace('\n', "\r\n")] {
            for step in 1..7 {
                let (mut reader, _) = Rows::reader(Dripping(text.as_bytes(), step));
                let lines: Vec<(u64, String)> = reader
                    .records()
                    .map(|row| {
                        let row = row.unwrap();
                        (row.position().unwrap().line(), row[0].to_owned())
                    })
                    .collect();
                let expected = [(2, "1"), (3, "x\ny"), (5, "4")];
                assert_eq!(lines, expected.map(|(line, cell)| (line, cell.to_owned())), "{step}");
            }
        }
    }
}
