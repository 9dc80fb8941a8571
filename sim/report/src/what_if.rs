//! A fleet as it is and with changes, as a table and as a picture.

use migsim::answer::shape::SCHEMA;
use migsim::fleet::shape::{WhatIf, WhatIfAnswer};
use serde_json::Value;

use crate::cell::Cell;
use crate::chart::{BLUE, Bars, ORANGE, Picture, draw_bars};
use crate::document::{Document, Grid};
use crate::format::{Answered, places, value};

/// The ways that were compared.
#[derive(Debug, Clone, Copy)]
pub struct WhatIfs<'a>(pub &'a [WhatIf]);

impl Answered for WhatIfs<'_> {
    fn document(&self) -> Document {
        let likely = self.0.iter().any(|way| way.p_all_arrive.is_some());
        let deadline = self.0.iter().any(|way| way.p_all_arrived.is_some());
        let mut header = vec!["what if", "the last arrives after"];
        if likely {
            header.push("90 % interval");
        }
        header.extend([
            "downtime in all",
            "at worst",
            "service lost",
            "over the links",
            "not arrived",
        ]);
        if deadline {
            header.push("all there by the deadline");
        } else if likely {
            header.push("all arrive");
        }
        let mut table = Grid::new(&header, 1..);
        for way in self.0 {
            let t = &way.totals;
            let mut row = vec![Cell::from(way.what_if.as_str()), Cell::Time(t.makespan_s)];
            if likely {
                row.push(Cell::span(way.makespan_quantiles_s.map(|q| [q.p5, q.p95])));
            }
            row.extend([
                Cell::Time(t.downtime_s),
                Cell::Time(t.worst_downtime_s),
                Cell::Time(t.lost_s),
                Cell::Size(t.wire_bytes),
                t.not_arrived.to_string().into(),
            ]);
            if deadline {
                row.push(Cell::percent(way.p_all_arrived));
            } else if likely {
                row.push(Cell::percent(way.p_all_arrive));
            }
            table.row(row);
        }
        let mut out = Document::default();
        out.table(table);
        out
    }

    fn value(&self) -> Value {
        value(WhatIfAnswer { schema: SCHEMA, results: self.0.to_vec() })
    }

    fn each_row(&self, take: &mut dyn FnMut(Value) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.0.iter().try_for_each(|way| take(value(way)))
    }

    fn columns(&self) -> Vec<String> {
        self.0.first().map_or(Vec::new(), |way| places(&value(way)))
    }
}

/// A panel for each figure, a bar for each way.
pub fn what_if_picture(name: &str, ways: &[WhatIf]) -> Picture {
    // Of those that leave guests behind it is said.
    let label = |way: &WhatIf| match way.totals.not_arrived {
        0 => way.what_if.clone(),
        behind => format!("{} ({behind} do not arrive)", way.what_if),
    };
    let panel = |title: &str, colour: &'static str, unit: &str, of: &dyn Fn(&WhatIf) -> f64| Bars {
        title: title.to_owned(),
        unit: unit.to_owned(),
        colour,
        bars: ways.iter().map(|way| (label(way), of(way))).collect(),
    };
    let gib = f64::from(1_u32 << 30);
    let panels = vec![
        panel(&format!("{name}: the last arrives after"), BLUE, "s", &|way| way.totals.makespan_s),
        panel("service lost", ORANGE, "s", &|way| way.totals.lost_s),
        panel("longest downtime", ORANGE, "s", &|way| way.totals.worst_downtime_s),
        panel("over the links", BLUE, "GiB", &|way| way.totals.wire_bytes / gib),
    ];
    draw_bars(140.0 + 34.0 * ways.len() as f64, panels)
}
