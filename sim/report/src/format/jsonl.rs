//! JSON Lines: an object a row.

use std::io::Write;

use super::{Answered, Format};

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
        answer.each_row(&mut |row| Ok(writeln!(out, "{row}")?))
    }
}
