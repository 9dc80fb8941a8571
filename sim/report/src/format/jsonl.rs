//! JSON Lines: an object a row.

use std::io::Write;

use serde_json::Value;

use super::{Answered, Format, Rows, write_rows};

/// The rows of a table, each as JSON.
pub(super) struct Jsonl;

impl Format for Jsonl {
    fn name(&self) -> &'static str {
        "jsonl"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["jsonl", "ndjson"]
    }

    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
        write_rows(&Lines, answer, out)
    }

    fn rows(&self, _: Vec<String>) -> Option<Box<dyn Rows>> {
        Some(Box::new(Lines))
    }
}

struct Lines;

impl Rows for Lines {
    fn header(&self) -> anyhow::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn row(&self, row: &Value) -> anyhow::Result<Vec<u8>> {
        Ok(format!("{row}\n").into_bytes())
    }
}
