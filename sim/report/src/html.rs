//! Pages that need no network.

use crate::document::Grid;

/// How pages look.
const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#222}\
    pre{overflow-x:auto;background:#f6f6f6;padding:1rem;font-size:12px;line-height:1.3}svg{display:block;max-width:100%;height:auto}\
    h2{margin-top:2.5rem}table{border-collapse:collapse;font-size:13px}td,th{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #ddd}\
    td:first-child,th:first-child,.made td{text-align:left}.made td{word-break:break-word}.scroll{max-height:32rem;overflow:auto}\
    @media(max-width:40rem){body{margin:1rem auto;font-size:14px}td,th{padding:.15rem .35rem}}\
    @media print{body{max-width:none;margin:0}.scroll{max-height:none;overflow:visible}thead{display:table-header-group}tr,svg{break-inside:avoid}h2{break-after:avoid}}";

/// A page with that title and body.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{STYLE}</style>\n{body}</html>\n",
        escaped(title)
    )
}

/// A table.
pub fn table(grid: &Grid) -> String {
    let grid = grid.lines();
    let row = |cell: &str, texts: &[String]| {
        let cells: String =
            texts.iter().map(|text| format!("<{cell}>{}</{cell}>", escaped(text))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = grid.rows.iter().map(|texts| row("td", texts)).collect();
    format!("<div class=\"scroll\"><table>\n{}{rows}</table></div>\n", row("th", &grid.header))
}

/// Text as it stands in a page.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
