//! Rows with names: a sheet of CSV with any separator, or an array of JSON objects.

use std::collections::BTreeMap;

use migsim::input::{InputError, Mistakes, Separated, quoted, uneven};
use migsim_models::units::Bytes;
use serde_json::Value;

use crate::number::{decimal, size, whole};
use crate::source::{Source, items};

/// The most rows that are read.
const MOST_ROWS: usize = 1_000_000;

/// A table; its columns are found by their names in small letters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    /// What errors call its file.
    place: String,
    columns: BTreeMap<String, usize>,
    /// The decimal mark; `None`: nobody can tell.
    mark: Option<char>,
    /// Each with its line, from 1.
    rows: Vec<(u64, Vec<String>)>,
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    table: &'a Table,
    line: u64,
    cells: &'a [String],
}

impl Table {
    /// A sheet, whatever separates its cells.
    ///
    /// # Errors
    /// A row that is no CSV, or has more cells than the header.
    pub(crate) fn of_sheet(source: &Source) -> Result<Table, Mistakes> {
        let (mut reader, separated) = reader(&source.text);
        let mut mistakes = Vec::new();
        let header = reader.headers().map_err(|e| InputError::new(&source.place, e))?.clone();
        let columns = names(header.iter());
        let mut rows = Vec::new();
        for row in reader.records() {
            let row = row.map_err(|e| InputError::new(&source.place, e))?;
            let line = row.position().map_or(0, csv::Position::line) + separated.lines_above();
            if row.iter().all(|cell| cell.trim().is_empty()) {
                continue;
            }
            if row.len() != header.len() {
                let why = uneven(row.len(), header.len());
                mistakes.push(InputError::new(format!("{}:{line}", source.place), why));
            } else if rows.len() == MOST_ROWS {
                let why = format!("has more than {MOST_ROWS} rows, the most that are read");
                return Err(InputError::new(&source.place, why).into());
            } else {
                rows.push((line, row.iter().map(str::to_owned).collect()));
            }
        }
        let mark =
            mark(separated.by, rows.iter().flat_map(|(_, cells): &(u64, Vec<String>)| cells));
        Mistakes(mistakes).or(Table { place: source.place.clone(), columns, mark, rows })
    }

    /// JSON, of one object or a list of them, which may stand under one of those names; or a sheet.
    ///
    /// # Errors
    /// What begins like JSON is none; or as of a sheet.
    pub(crate) fn of(source: &Source, wrapped_as: &[&str]) -> Result<Table, Mistakes> {
        if !source.is_json() {
            return Table::of_sheet(source);
        }
        let value = source.json()?;
        let inner = wrapped_as.iter().find_map(|name| value.get(name)).unwrap_or(&value);
        Ok(Table::of_objects(&source.place, items(inner)))
    }

    /// An array of objects; what is no text or number in them is left out.
    pub(crate) fn of_objects<'a>(
        place: &str,
        objects: impl IntoIterator<Item = &'a Value>,
    ) -> Table {
        let mut columns: BTreeMap<String, usize> = BTreeMap::new();
        let mut rows = Vec::new();
        for (index, object) in objects.into_iter().enumerate() {
            let mut cells = Vec::new();
            for (key, value) in object.as_object().into_iter().flatten() {
                let next = columns.len();
                let column = *columns.entry(key.to_lowercase()).or_insert(next);
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    Value::Bool(yes) => yes.to_string(),
                    _ => continue,
                };
                cells.resize(cells.len().max(column + 1), String::new());
                cells[column] = text;
            }
            rows.push((index as u64 + 1, cells));
        }
        Table { place: place.to_owned(), columns, mark: Some('.'), rows }
    }

    /// The names of its columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row { table: self, line: *line, cells })
    }
}

impl<'a> Row<'a> {
    /// What stands in a column; `None`: nothing, or there is no such column.
    pub(crate) fn text(&self, column: &str) -> Option<&'a str> {
        let text = self.cells.get(*self.table.columns.get(column)?)?.trim();
        (!text.is_empty() && text != "null").then_some(text)
    }

    /// What stands in a column that every row needs.
    pub(crate) fn needed(&self, column: &str) -> Result<&'a str, InputError> {
        self.text(column)
            .ok_or_else(|| self.error(format!("column `{column}` is empty, and needed")))
    }

    /// Read by `read`, which is told as `accepted`.
    pub(crate) fn read<T>(
        &self,
        column: &str,
        accepted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, InputError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        let wrong =
            || self.error(format!("column `{column}`: `{}`: it takes {accepted}", quoted(text)));
        read(text).map(Some).ok_or_else(wrong)
    }

    /// A whole number.
    pub(crate) fn whole(&self, column: &str) -> Result<Option<u64>, InputError> {
        self.read(column, "a whole number", whole)
    }

    /// A whole number of MiB.
    pub(crate) fn mib(&self, column: &str) -> Result<Option<Bytes>, InputError> {
        let mib = |text: &str| whole(text)?.checked_mul(1 << 20).map(Bytes);
        self.read(column, "a whole number of MiB", mib)
    }

    /// A size with its unit, or in bytes.
    pub(crate) fn size(&self, column: &str) -> Result<Option<Bytes>, InputError> {
        self.read(column, "a size like `16 GiB`, or bytes", size)
    }

    /// A number, with the decimal mark of its sheet.
    pub(crate) fn number(&self, column: &str) -> Result<Option<f64>, InputError> {
        let Some(text) = self.text(column) else { return Ok(None) };
        self.decimal(column, text).map(Some)
    }

    /// A number that stands in a column.
    pub(crate) fn decimal(&self, column: &str, text: &str) -> Result<f64, InputError> {
        let [point, comma] = ['.', ','].map(|mark| decimal(text, mark));
        let quoted = quoted(text);
        let found = match (self.table.mark, point, comma) {
            (Some('.'), value, _) | (Some(_), _, value) => value,
            (None, Some(one), Some(other)) if one != other => {
                return Err(self.error(format!(
                    "column `{column}`: `{quoted}` may be {one} or {other}; write it without a mark between thousands"
                )));
            }
            (None, one, other) => one.or(other),
        };
        found.ok_or_else(|| self.error(format!("column `{column}`: `{quoted}`: it takes a number")))
    }

    /// Whether a column says so.
    pub(crate) fn is(&self, column: &str, words: &[&str]) -> bool {
        self.text(column)
            .is_some_and(|text| words.iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.table.place, self.line)
    }

    /// An error of the row.
    pub(crate) fn error(&self, why: impl std::fmt::Display) -> InputError {
        InputError::new(self.place(), why.to_string())
    }
}

/// The decimal mark of a sheet: what stands before other than three digits somewhere; else the
/// point where commas separate cells, and the comma where semicolons do, as spreadsheets export
/// them.
fn mark<'a>(separator: u8, cells: impl Iterator<Item = &'a String>) -> Option<char> {
    let mut seen = [false; 2];
    for cell in cells {
        for (index, mark) in ['.', ','].into_iter().enumerate() {
            let Some((before, after)) = cell.trim().split_once(mark) else { continue };
            let digits =
                |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            seen[index] |= digits(before) && digits(after) && (after.len() != 3 || before == "0");
        }
    }
    match (seen, separator) {
        ([true, false], _) => Some('.'),
        ([false, true], _) => Some(','),
        ([false, false], b',') => Some('.'),
        ([false, false], b';') => Some(','),
        _ => None,
    }
}

/// A reader of a sheet, and how its cells are separated.
fn reader(text: &str) -> (csv::Reader<&[u8]>, Separated) {
    let separated = Separated::of(text.as_bytes());
    let rows = &text.as_bytes()[separated.above..];
    let reader = csv::ReaderBuilder::new().delimiter(separated.by).flexible(true).from_reader(rows);
    (reader, separated)
}

/// The columns of a header; of two of the same name the first is meant.
fn names<'a>(header: impl Iterator<Item = &'a str>) -> BTreeMap<String, usize> {
    let mut columns = BTreeMap::new();
    for (index, name) in header.enumerate() {
        columns.entry(name.trim().to_lowercase()).or_insert(index);
    }
    columns
}

/// The names of a header, of a text that may be a sheet.
pub(crate) fn header(text: &str) -> Vec<String> {
    let (mut reader, _) = reader(text);
    let names =
        reader.headers().map(|header| header.iter().map(|n| n.trim().to_lowercase()).collect());
    names.unwrap_or_default()
}
