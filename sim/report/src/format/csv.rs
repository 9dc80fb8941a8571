//! CSV: a header and a row each; a column is called as the place of its value in JSON.

use std::io::Write;

use migsim_models::text::harmless;
use serde_json::Value;

use super::{Answered, Format, Rows, write_rows};

/// Rows for spreadsheets and scripts.
pub(super) struct Csv;

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["csv"]
    }

    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
        write_rows(&Table::new(answer.columns()), answer, out)
    }

    fn rows(&self, columns: Vec<String>) -> Option<Box<dyn Rows>> {
        Some(Box::new(Table::new(columns)))
    }
}

/// Columns, and where their values are in a row.
struct Table {
    columns: Vec<String>,
    pointers: Vec<String>,
}

impl Table {
    fn new(columns: Vec<String>) -> Table {
        let pointers =
            columns.iter().map(|column| format!("/{}", column.replace('.', "/"))).collect();
        Table { columns, pointers }
    }
}

impl Rows for Table {
    fn header(&self) -> anyhow::Result<Vec<u8>> {
        line(&self.columns)
    }

    fn row(&self, row: &Value) -> anyhow::Result<Vec<u8>> {
        line(self.pointers.iter().map(|place| row.pointer(place).map_or(String::new(), cell)))
    }
}

fn line(cells: impl IntoIterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    Ok(writer.into_inner()?)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(list) => harmless(&list.iter().map(cell).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}
