//! The cells of a row of CSV by the names of their columns.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use csv::StringRecord;
use migsim_models::text::quoted;

/// A row of a file whose columns are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    /// The place of each column.
    pub(crate) columns: &'a BTreeMap<String, usize>,
    /// The row.
    pub(crate) row: &'a StringRecord,
}

impl<'a> Cells<'a> {
    /// What stands in a column, without blanks around it; `None`: nothing, or there is no such
    /// column.
    pub(crate) fn text(&self, column: &str) -> Option<&'a str> {
        let text = self.row.get(*self.columns.get(column)?)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The same read; what is wrong with it, if it cannot be.
    pub(crate) fn parse<T: FromStr>(&self, column: &str) -> Result<Option<T>, String>
    where
        T::Err: Display,
    {
        let read = |text: &str| text.parse().map_err(|e| format!("`{}`: {e}", quoted(text)));
        self.text(column).map(read).transpose()
    }
}
