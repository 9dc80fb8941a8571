//! What is said to people, before it is known how it will look: text and tables in their order.

use crate::cell::{Cell, in_one_unit};

/// Text and tables in the order in which they are read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// Its parts.
    pub blocks: Vec<Block>,
}

/// A part of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Lines, each with its own end; an indented one belongs to the one before, `-` begins an item.
    Text(String),
    /// A table.
    Table(Grid),
}

/// A table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Grid {
    /// The names of its columns.
    pub header: Vec<String>,
    /// Its rows, none longer than the header.
    pub rows: Vec<Vec<Cell>>,
    /// Columns that hold figures.
    pub figures: std::ops::Range<usize>,
    /// Columns that a narrow screen does without, the first of them first; then the last ones.
    pub spare: Vec<String>,
}

/// A table as text: figures to the right, those of a column in one unit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lines {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    pub(crate) figures: std::ops::Range<usize>,
}

impl Document {
    /// Goes on with text; nothing if it is empty.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Document {
        let text = text.into();
        match self.blocks.last_mut() {
            _ if text.is_empty() => {}
            Some(Block::Text(before)) => before.push_str(&text),
            _ => self.blocks.push(Block::Text(text)),
        }
        self
    }

    /// Goes on with a table.
    pub fn table(&mut self, table: Grid) -> &mut Document {
        self.blocks.push(Block::Table(table));
        self
    }
}

impl Grid {
    /// An empty table; its columns from `figures` on hold figures.
    pub fn new(header: &[impl AsRef<str>], figures: std::ops::RangeFrom<usize>) -> Grid {
        let header: Vec<String> = header.iter().map(|name| name.as_ref().to_owned()).collect();
        Grid { figures: figures.start..header.len(), header, ..Grid::default() }
    }

    /// These columns go first where there is no room for all.
    #[must_use]
    pub fn spare(mut self, columns: &[&str]) -> Grid {
        self.spare = columns.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Its columns from that one on hold words again.
    #[must_use]
    pub fn words_from(mut self, column: usize) -> Grid {
        self.figures.end = column;
        self
    }

    /// Adds a row.
    pub fn row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// It as text.
    pub(crate) fn lines(&self) -> Lines {
        let mut rows: Vec<Vec<String>> = vec![Vec::new(); self.rows.len()];
        for column in 0..self.header.len() {
            let texts = in_one_unit(|| self.rows.iter().filter_map(|row| row.get(column)));
            let reach = self.rows.iter().zip(&mut rows).filter(|(row, _)| row.len() > column);
            reach.zip(texts).for_each(|((_, row), text)| row.push(text));
        }
        Lines { header: self.header.clone(), rows, figures: self.figures.clone() }
    }
}

impl Lines {
    /// It without one of its columns.
    #[must_use]
    pub(crate) fn without(&self, column: usize) -> Lines {
        let mut less = self.clone();
        less.header.remove(column);
        for row in less.rows.iter_mut().filter(|row| row.len() > column) {
            row.remove(column);
        }
        let before = |end: usize| if column < end { end - 1 } else { end };
        less.figures = before(self.figures.start)..before(self.figures.end);
        less
    }
}
