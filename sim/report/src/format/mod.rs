//! The formats of answers, one file each, behind one trait.

mod csv;
mod json;
mod jsonl;
mod markdown;
mod table;

use std::io::Write;
use std::path::Path;

use migsim::answer::shape::SCHEMA;
use migsim::input::{InputError, shown};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::document::Document;

/// What can be said of an answer, in any format.
pub trait Answered {
    /// For people.
    fn document(&self) -> Document;

    /// For programs: the whole answer.
    fn value(&self) -> Value;

    /// For programs that read tables: hands each row to `take`, an object each.
    ///
    /// # Errors
    /// Those of `take`.
    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()>;

    /// The columns of such a table: the places in a row's object, joined by dots.
    fn columns(&self) -> Vec<String>;
}

/// An answer that is at hand in all its shapes.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// For people.
    pub document: Document,
    /// For programs.
    pub value: Value,
    /// For programs that read tables.
    pub rows: Vec<Value>,
}

impl Told {
    /// Of something whose rows are objects. Its version goes before the whole; of a list it is made
    /// the `results`.
    pub fn new<T: Serialize>(
        document: Document,
        whole: impl Serialize,
        rows: impl IntoIterator<Item = T>,
    ) -> Told {
        let mut versioned = Map::from_iter([("schema".to_owned(), SCHEMA.into())]);
        match value(whole) {
            Value::Object(map) => versioned.extend(map),
            list => _ = versioned.insert("results".to_owned(), list),
        }
        Told {
            document,
            value: Value::Object(versioned),
            rows: rows.into_iter().map(value).collect(),
        }
    }
}

impl Answered for Told {
    fn document(&self) -> Document {
        self.document.clone()
    }

    fn value(&self) -> Value {
        self.value.clone()
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.rows.iter().try_for_each(|row| take(row.clone()))
    }

    fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        for place in self.rows.iter().flat_map(places) {
            if !columns.contains(&place) {
                columns.push(place);
            }
        }
        // Where one row has figures another has none of, there is no figure of that name alone.
        let parts = columns.clone();
        columns.retain(|one| !parts.iter().any(|part| part.starts_with(&format!("{one}."))));
        columns
    }
}

/// A format.
pub trait Format: Sync {
    /// What `--format` calls it.
    fn name(&self) -> &'static str;

    /// The endings of its files, without the dot.
    fn endings(&self) -> &'static [&'static str];

    /// Writes an answer.
    ///
    /// # Errors
    /// `out` cannot be written.
    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()>;

    /// Writes an answer for a screen.
    ///
    /// # Errors
    /// `out` cannot be written.
    fn show(
        &self,
        answer: &dyn Answered,
        screen: Screen,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        _ = screen;
        self.write(answer, out)
    }

    /// How it writes one row after the other, for answers too long to be kept; `None`: it needs all
    /// of them.
    fn rows(&self, columns: Vec<String>) -> Option<Box<dyn Rows>> {
        _ = columns;
        None
    }
}

/// A table written row by row.
pub trait Rows: Sync {
    /// What stands before the rows.
    ///
    /// # Errors
    /// A column cannot be written.
    fn header(&self) -> anyhow::Result<Vec<u8>>;

    /// A row, with the end of its line.
    ///
    /// # Errors
    /// A value cannot be written.
    fn row(&self, row: &Value) -> anyhow::Result<Vec<u8>>;
}

/// Writes an answer row by row.
fn write_rows(rows: &dyn Rows, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
    out.write_all(&rows.header()?)?;
    answer.each_row(&mut |row| Ok(out.write_all(&rows.row(&row)?)?))
}

/// All formats; the first is what people read in a terminal.
pub static FORMATS: [&dyn Format; 5] =
    [&table::Table, &json::Json, &jsonl::Jsonl, &csv::Csv, &markdown::Markdown];

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}

/// The format that a file's ending says.
///
/// # Errors
/// None has that ending; those that there are.
pub fn by_ending(place: &Path) -> Result<&'static dyn Format, InputError> {
    let ending = place.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let has =
        |format: &&dyn Format| format.endings().iter().any(|one| Some(*one) == ending.as_deref());
    FORMATS.into_iter().find(has).ok_or_else(|| {
        let endings: Vec<String> = FORMATS
            .iter()
            .flat_map(|format| format.endings())
            .map(|ending| format!(".{ending}"))
            .collect();
        InputError::new(
            shown(&place.display().to_string()),
            format!("its ending is none of {}", endings.join(", ")),
        )
    })
}

/// What is known of where an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Screen {
    /// So many characters fit into a line; `None`: any number.
    pub width: Option<usize>,
    /// It shows ASCII alone.
    pub ascii: bool,
}

/// An answer as a text.
///
/// # Errors
/// The format's, of which there are none in memory.
pub fn text(answer: &dyn Answered, format: &dyn Format) -> anyhow::Result<String> {
    on_screen(answer, format, Screen::default())
}

/// An answer as a text for a screen.
///
/// # Errors
/// The format's, of which there are none in memory.
pub fn on_screen(
    answer: &dyn Answered,
    format: &dyn Format,
    screen: Screen,
) -> anyhow::Result<String> {
    let mut out = Vec::new();
    format.show(answer, screen, &mut out)?;
    Ok(String::from_utf8(out)?)
}

/// Something as JSON.
pub fn value(of: impl Serialize) -> Value {
    // Shapes have string keys, and no number that JSON lacks is an error: it becomes null.
    serde_json::to_value(of).unwrap_or_default()
}

/// The places of an object's values, joined by dots; lists of objects have none.
pub fn places(of: &Value) -> Vec<String> {
    fn walk(of: &Value, at: &str, found: &mut Vec<String>) {
        match of {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(
                        value,
                        &if at.is_empty() { key.clone() } else { format!("{at}.{key}") },
                        found,
                    );
                }
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {}
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(of, "", &mut found);
    found
}
