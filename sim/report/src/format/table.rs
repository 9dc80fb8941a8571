//! Text for a terminal.

use std::io::Write;

use comfy_table::CellAlignment;
use comfy_table::presets::UTF8_BORDERS_ONLY;

use super::{Answered, Format};
use crate::document::{Block, Grid};

/// Sentences, and tables with borders.
pub(super) struct Table;

impl Format for Table {
    fn name(&self) -> &'static str {
        "table"
    }

    fn endings(&self) -> &'static [&'static str] {
        &["txt"]
    }

    fn write(&self, answer: &dyn Answered, out: &mut dyn Write) -> anyhow::Result<()> {
        for block in answer.document().blocks {
            match block {
                Block::Text(text) => out.write_all(text.as_bytes())?,
                Block::Table(grid) => writeln!(out, "{}", bordered(&grid))?,
            }
        }
        Ok(())
    }
}

fn bordered(grid: &Grid) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(&grid.header);
    for (index, column) in table.column_iter_mut().enumerate() {
        if grid.figures.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &grid.rows {
        table.add_row(row);
    }
    table
}
