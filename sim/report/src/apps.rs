//! The applications whose dirty rates are known.

use migsim::answer::shape;

use crate::document::{Document, Grid};
use crate::format::Told;

/// The applications that `app:NAME` takes, with where each is from.
pub fn applications() -> Told {
    let all = shape::Applications::default();
    let header = ["app:", "pages/s", "in a window of", "of what is touched", "within a factor"];
    let mut table = Grid::new(&header, 1..);
    let mut sources = String::new();
    for app in &all.applications {
        table.row([
            app.name.to_owned(),
            format!("{:.0}", app.dirty_rate_pages_s),
            format!("{} s", app.window_s),
            app.share.map_or("-".to_owned(), |share| format!("{:.0} %", share * 100.0)),
            format!("{}", app.factor),
        ]);
        sources.push_str(&format!("{}: {}.\n", app.name, app.source));
    }
    let mut out = Document::default();
    out.table(table).text(sources);
    Told::new(out, &all, &all.applications)
}
