//! The applications whose dirty rates are known.

use migsim::answer::shape;
use serde_json::Value;

use crate::document::{Document, Grid};
use crate::format::{Answered, places, value};

/// The applications that `app:NAME` takes, with where each is from.
#[derive(Debug, Clone, Copy)]
pub struct Applications;

impl Answered for Applications {
    fn document(&self) -> Document {
        let header = ["app:", "pages/s", "in a window of", "of what is touched", "within a factor"];
        let mut table = Grid::new(&header, 1..);
        let mut sources = String::new();
        for app in shape::Applications::default().applications {
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
        out
    }

    fn value(&self) -> Value {
        value(shape::Applications::default())
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        shape::Applications::default().applications.iter().try_for_each(|app| take(value(app)))
    }

    fn columns(&self) -> Vec<String> {
        let all = shape::Applications::default().applications;
        all.first().map_or(Vec::new(), |app| places(&value(app)))
    }
}
