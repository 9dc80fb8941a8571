//! CSV: a header and a row each; a column is called as the place of its value in JSON.

use std::io::Write;

use migsim_models::text::harmless;
use serde_json::Value;

use super::{Answered, Format};

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
        let columns = answer.columns();
        let pointers: Vec<String> = columns.iter().map(|column| format!("/{}", column.replace('.', "/"))).collect();
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(&columns)?;
        answer.each_row(&mut |row| {
            Ok(writer.write_record(pointers.iter().map(|place| row.pointer(place).map_or(String::new(), cell)))?)
        })?;
        Ok(writer.flush()?)
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(list) => harmless(&list.iter().map(cell).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}
