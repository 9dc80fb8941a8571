//! Markdown, for a document or a ticket.

use std::io::Write;

use super::{Answered, Format};
use crate::document::{Block, Grid};

/// Paragraphs, lists and pipe tables.
pub(super) struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["md", "markdown"]
    }

    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
        let mut before = Part::Nothing;
        for block in &answer.document().blocks {
            match block {
                Block::Text(text) => {
                    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                        let (part, line) = match line.strip_prefix("- ") {
                            Some(item) => (Part::Item, format!("- {}", escaped(item))),
                            None => (Part::Paragraph, escaped(line)),
                        };
                        part.after(before, out)?;
                        writeln!(out, "{line}")?;
                        before = part;
                    }
                }
                Block::Table(grid) => {
                    Part::Table.after(before, out)?;
                    write!(out, "{}", piped(grid))?;
                    before = Part::Table;
                }
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Nothing,
    Paragraph,
    Item,
    Table,
}

impl Part {
    /// Parts stand apart, but for the items of a list.
    fn after(self, before: Part, out: &mut dyn Write) -> std::io::Result<()> {
        let together = before == Part::Nothing || self == Part::Item && before == Part::Item;
        if together { Ok(()) } else { writeln!(out) }
    }
}

fn piped(grid: &Grid) -> String {
    let grid = grid.lines();
    let cells = |row: &[String]| {
        let cell = |index: usize| row.get(index).map_or(String::new(), |text| escaped(text));
        let cells: Vec<String> = (0..grid.header.len()).map(cell).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = |index: usize| if grid.figures.contains(&index) { "--:" } else { "---" };
    let rules: Vec<&str> = (0..grid.header.len()).map(rule).collect();
    let rows: String = grid.rows.iter().map(|row| cells(row)).collect();
    format!("{}| {} |\n{rows}", cells(&grid.header), rules.join(" | "))
}

/// Text with what would be markup, or end a cell, escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push(' '),
            '|' | '*' | '_' | '`' | '<' | '>' | '\\' | '#' | '[' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
