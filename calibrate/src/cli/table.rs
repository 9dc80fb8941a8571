//! Tables of figures, for a terminal or for a document.

use clap::ValueEnum;
use migsim_report::table::grid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Markdown,
    Json,
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Rows under a header; the columns behind the first are figures.
pub(super) fn render(header: &[&str], rows: &[Vec<String>], format: Format) -> String {
    if format == Format::Markdown {
        let rule = format!("| --- |{}", " --: |".repeat(header.len() - 1));
        let rows = rows.iter().map(|row| format!("| {} |\n", row.join(" | ").trim()));
        return format!("| {} |\n{rule}\n{}", header.join(" | "), rows.collect::<String>());
    }
    let mut table = grid(header, 1..);
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}
