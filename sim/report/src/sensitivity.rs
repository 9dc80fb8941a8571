//! What an answer hangs on, as a table and as a picture.

use migsim::answer::{Influence, shape};

use crate::cell::Cell;
use crate::chart::{BLUE, Bars, ORANGE, Picture, draw_bars};
use crate::document::{Document, Grid};
use crate::format::Told;

/// Below this share of the largest effect nothing is listed.
const LEAST: f64 = 0.01;
/// A picture has so many bars at most.
const MOST_BARS: usize = 12;

/// The influences as they are printed and written.
pub fn told(influences: &[Influence]) -> Told {
    let whole = shape::SensitivityAnswer { schema: shape::SCHEMA, results: influences.to_vec() };
    Told::new(document(influences), whole, influences)
}

/// Those that matter.
fn large(influences: &[Influence]) -> Vec<&Influence> {
    let most = |of: fn(&Influence) -> f64| influences.iter().map(of).fold(0.0, f64::max);
    let (total, downtime) = (most(|one| one.total_s), most(|one| one.downtime_s));
    let matters = |one: &&Influence| {
        one.decides > 0.0 || one.total_s > LEAST * total || one.downtime_s > LEAST * downtime
    };
    influences.iter().filter(matters).collect()
}

fn document(influences: &[Influence]) -> Document {
    let shown = large(influences);
    let decides = shown.iter().any(|one| one.decides > 0.0);
    let mut header = vec!["unknown", "total", "spread", "downtime", "spread"];
    if decides {
        header.push("decides");
    }
    let mut table = Grid::new(&header, 1..);
    for one in &shown {
        let mut row = vec![
            one.what.into(),
            Cell::Time(one.total_s),
            Cell::Time(one.total_spread_s),
            Cell::Time(one.downtime_s),
            Cell::Time(one.downtime_spread_s),
        ];
        if decides {
            row.push(Cell::percent(Some(one.decides)));
        }
        table.row(row);
    }
    let mut text = "How much the answer changes when one unknown goes half of its way from one end of what it could be to the other;\n\
                    the spread says how much that hangs on the others.\n"
        .to_owned();
    if decides {
        text.push_str(
            "decides: how often that alone makes the difference between converging and not.\n",
        );
    }
    if shown.len() < influences.len() {
        text.push_str(&format!(
            "{} others change neither by a hundredth of what the first does.\n",
            influences.len() - shown.len()
        ));
    }
    let mut out = Document::default();
    out.table(table).text(text);
    out
}

/// The largest influences on total time and on downtime, as bars.
pub fn picture(influences: &[Influence]) -> Picture {
    let panel = |title: &str, colour: &'static str, of: fn(&Influence) -> f64| {
        let mut ordered = large(influences);
        ordered.sort_by(|a, b| of(b).total_cmp(&of(a)));
        ordered.truncate(MOST_BARS);
        let most = ordered.first().map_or(0.0, |one| of(one));
        let (unit, scale) = if most < 1.0 { ("ms", 1e3) } else { ("s", 1.0) };
        Bars {
            title: title.to_owned(),
            unit: format!("mean change, {unit}"),
            colour,
            bars: ordered.iter().map(|one| (one.what.to_owned(), of(one) * scale)).collect(),
        }
    };
    let panels = vec![
        panel("Total time hangs on", BLUE, |one| one.total_s),
        panel("Downtime hangs on", ORANGE, |one| one.downtime_s),
    ];
    draw_bars(380.0, panels)
}
