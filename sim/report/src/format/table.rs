//! Text for a terminal.

use std::io::Write;

use comfy_table::CellAlignment;
use comfy_table::presets::{ASCII_BORDERS_ONLY_CONDENSED, UTF8_BORDERS_ONLY};
use unicode_width::UnicodeWidthStr;

use super::{Answered, Format, Screen};
use crate::document::{Block, Grid, Lines};

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
        self.show(answer, Screen::default(), out)
    }

    fn show(
        &self,
        answer: &dyn Answered,
        screen: Screen,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        for block in answer.document().blocks {
            match block {
                Block::Text(text) => out.write_all(text.as_bytes())?,
                Block::Table(grid) => {
                    let (grid, left_out) = fitted(&grid, screen.width);
                    writeln!(out, "{}", bordered(&grid, screen))?;
                    if !left_out.is_empty() {
                        let columns = left_out.join("; ");
                        writeln!(out, "(No room here for: {columns}; --format csv has all.)")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// What a table takes beside its cells: two borders, two blanks a column, and one between two.
fn beside(columns: usize) -> usize {
    1 + 3 * columns
}

/// How wide each column is at least: only its name may stand in several lines.
fn narrowest(grid: &Lines) -> usize {
    let column = |index: usize, name: &String| {
        let words = name.split_whitespace().map(UnicodeWidthStr::width);
        let cells = grid.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width());
        words.chain(cells).max().unwrap_or(0)
    };
    let cells: usize =
        grid.header.iter().enumerate().map(|(index, name)| column(index, name)).sum();
    cells + beside(grid.header.len())
}

/// A table without the columns for which there is no room, and their names.
fn fitted(grid: &Grid, width: Option<usize>) -> (Lines, Vec<String>) {
    let mut spare = grid.spare.iter();
    let mut grid = grid.lines();
    let mut left_out = Vec::new();
    while width.is_some_and(|width| narrowest(&grid) > width) && grid.header.len() > 2 {
        let by_name = |name: &String| grid.header.iter().position(|column| column == name);
        let column = spare.find_map(by_name).unwrap_or(grid.header.len() - 1);
        left_out.push(grid.header[column].clone());
        grid = grid.without(column);
    }
    (grid, left_out)
}

fn bordered(grid: &Lines, screen: Screen) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    let style = if screen.ascii { ASCII_BORDERS_ONLY_CONDENSED } else { UTF8_BORDERS_ONLY };
    table.load_style(style);
    // Names of columns are what gives way.
    let room = |index: usize| {
        grid.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.width()).max()
    };
    let whole: usize = beside(grid.header.len())
        + (0..grid.header.len())
            .map(|i| grid.header[i].width().max(room(i).unwrap_or(0)))
            .sum::<usize>();
    let header = grid.header.iter().enumerate().map(|(index, name)| match screen.width {
        Some(width) if whole > width => wrapped(name, room(index).unwrap_or(0)),
        _ => name.clone(),
    });
    table.set_header(header);
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

/// The words of a name in lines that are no longer than that, or than a word.
fn wrapped(name: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in name.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid =
            Grid::new(&["guest", "from", "to", "total, 90 % interval", "arrives with"], 3..)
                .spare(&["from"]);
        grid.row([
            "db-prod-089",
            "esx-a05.lab.example",
            "esx-b12.lab.example",
            "21.9 s to 36.3 s",
            "100 %",
        ]);
        grid
    }

    #[test]
    fn a_table_fits_the_screen_and_says_what_has_no_room() {
        for width in 20..140 {
            let screen = Screen { width: Some(width), ascii: width % 2 == 0 };
            let (fitted, left_out) = fitted(&grid(), screen.width);
            let text = bordered(&fitted, screen).to_string();
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
            assert!(widest <= width || fitted.header.len() == 2, "{width}:\n{text}");
            assert_eq!(fitted.header.len() + left_out.len(), 5);
            assert!(!screen.ascii || text.is_ascii(), "{text}");
            assert_eq!(left_out.first().is_some_and(|name| name == "from"), !left_out.is_empty());
        }
    }

    #[test]
    fn without_a_screen_nothing_is_wrapped_or_left_out() {
        let (whole, left_out) = fitted(&grid(), None);
        assert!(left_out.is_empty());
        let text = bordered(&whole, Screen::default()).to_string();
        assert!(text.contains("│ guest         from                  to                    total, 90 % interval   arrives with │"), "{text}");
    }
}
