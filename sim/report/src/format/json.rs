//! JSON, indented.

use std::io::Write;

use super::{Answered, Format};

/// One document.
pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["json"]
    }

    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
        Ok(writeln!(out, "{:#}", answer.value())?)
    }
}
