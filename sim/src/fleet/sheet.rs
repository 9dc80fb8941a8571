//! A CSV file with one row for each host or guest: its header, and its rows one by one.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::str::FromStr;

use crate::input::{Cells, InputError, Mistakes, Rows, Separated, nearest, quoted, uneven};

/// The columns that a file has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    /// Those that it must have; the first names what a row is about.
    pub(super) needed: &'static [&'static str],
    /// And those that it may have.
    pub(super) optional: &'static [&'static str],
}

/// A row being read: its cells, and what is wrong with them.
pub(super) struct Row<'a> {
    cells: Cells<'a>,
    problems: &'a mut Vec<String>,
}

impl Row<'_> {
    /// What stands in a column; `None`: nothing.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.cells.text(column)
    }

    /// The same read, `None` also where it cannot be: that is noted.
    pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(&mut self, column: &str) -> Option<T> {
        self.cells.parse(column).map_err(|why| self.wrong(column, why)).ok().flatten()
    }

    /// Notes what is wrong with a cell.
    pub(super) fn wrong(&mut self, column: &str, why: impl std::fmt::Display) {
        self.problems.push(format!("column `{column}`: {why}"));
    }

    /// Notes what is wrong with the row.
    pub(super) fn wrong_in_all(&mut self, why: String) {
        self.problems.push(why);
    }

    /// Whether nothing was wrong so far.
    pub(super) fn is_right(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Columns {
    fn names(self) -> impl Iterator<Item = &'static str> {
        self.needed.iter().chain(self.optional).copied()
    }

    /// Where each column stands.
    fn places(
        self,
        place: &str,
        header: &csv::StringRecord,
    ) -> Result<BTreeMap<String, usize>, Mistakes> {
        let mut columns = BTreeMap::new();
        let mut mistakes = Vec::new();
        let mut wrong = |what: String| mistakes.push(InputError::new(format!("{place}:1"), what));
        for (index, name) in header.iter().enumerate() {
            let name = name.trim();
            if !self.names().any(|known| known == name) {
                let names: Vec<String> = self.names().map(str::to_owned).collect();
                let meant = nearest(name, &names)
                    .map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
                let known = names.join(", ");
                wrong(format!("unknown column `{}`; it takes {known}{meant}", quoted(name)));
            } else if columns.insert(name.to_owned(), index).is_some() {
                wrong(format!("column `{name}` stands there twice"));
            }
        }
        for name in self.needed.iter().filter(|name| !columns.contains_key(**name)) {
            wrong(format!("lacks the column `{name}`"));
        }
        if mistakes.is_empty() {
            return Ok(columns);
        }
        mistakes.push(InputError::new(
            format!("{place}:1"),
            "if it is another tool's sheet: `migsim inventory import` reads those, with other separators and encodings too",
        ));
        Err(Mistakes(mistakes))
    }

    /// Reads a file of which errors say that it is at `place`; `each` takes a row with its line.
    ///
    /// # Errors
    /// Every row that cannot be used, with its line, also those that were noted by `each`.
    pub(super) fn read(
        self,
        place: &str,
        input: impl Read,
        most: usize,
        mut each: impl FnMut(u64, &mut Row),
    ) -> Result<(), Mistakes> {
        let mut input = std::io::BufReader::new(input);
        let start = input.fill_buf().map_err(|e| InputError::new(place, e))?;
        let separated = Separated::of(start);
        input.consume(separated.above);
        let (mut reader, taken) = Rows::separated(input, separated.by);
        let header = reader.headers().map_err(|e| unreadable(place, &e))?.clone();
        let columns = self.places(place, &header)?;
        let mut mistakes = Vec::new();
        let mut lines: BTreeMap<String, u64> = BTreeMap::new();
        let (mut count, named) = (0, self.needed[0]);
        for row in reader.records() {
            let row = row.map_err(|e| unreadable(place, &e))?;
            taken();
            count += 1;
            if count > most {
                let why = format!("has more than {most} rows, the most that are read");
                return Err(InputError::new(place, why).into());
            }
            let line = row.position().map_or(0, csv::Position::line) + separated.lines_above();
            let mut problems = Vec::new();
            if row.len() == columns.len() {
                let cells = Cells { columns: &columns, row: &row };
                let mut row = Row { cells, problems: &mut problems };
                for column in self.needed {
                    if row.text(column).is_none() {
                        row.wrong_in_all(format!("column `{column}` is empty, and needed"));
                    }
                }
                if let Some(name) = row.text(named)
                    && let Some(before) = lines.insert(name.to_owned(), line)
                {
                    let name = quoted(name).to_string();
                    row.wrong(named, format!("the name `{name}` is taken by line {before}"));
                }
                each(line, &mut row);
            } else {
                problems.push(uneven(row.len(), columns.len()));
            }
            let at = |what| InputError::new(format!("{place}:{line}"), what);
            mistakes.extend(problems.into_iter().map(at));
        }
        Mistakes(mistakes).or(())
    }
}

/// What a file that cannot be read could be.
fn unreadable(place: &str, error: &csv::Error) -> InputError {
    let hint = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "; `migsim inventory import` reads other encodings",
        _ => "",
    };
    InputError::new(place, format!("{error}{hint}"))
}
