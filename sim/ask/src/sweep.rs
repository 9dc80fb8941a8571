//! The same question over ranges.

use migsim::answer::sweep::{Manner, Point, Quantity, Range, Sweep};
use migsim::engine::Fidelity;
use migsim::input::{JsonQuestion, Scenario};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::hosts;

/// What is varied, and which of its points are wanted.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    question: Value,
    #[serde(flatten)]
    hosts: hosts::Asked,
    /// As `--vary` takes it.
    vary: Vec<String>,
    /// The first point that is answered, and behind the last one; all, where they are not said. So
    /// a page gets a long sweep in parts.
    #[serde(default)]
    from: u64,
    until: Option<u64>,
    /// Whether it is said how sure each point is.
    #[serde(default)]
    intervals: bool,
}

impl Ask {
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let parsed = JsonQuestion::parse(&self.question.to_string())?;
        let ranges: Vec<Range> = self
            .vary
            .iter()
            .map(|text| text.parse::<Range>().map_err(|error| error.to_string()))
            .collect::<Result<_, _>>()?;
        let between = self.hosts.between()?;
        let scenario =
            Scenario::asked(None, &parsed.keys).map_err(|mistakes| mistakes.to_string())?;
        let manner = Manner {
            between: &between,
            fidelity: Fidelity::Flow,
            intervals: self.intervals,
            touched_in_proportion: false,
        };
        let sweep = Sweep::new(&scenario, &ranges, manner).map_err(|error| error.to_string())?;
        let until = self.until.unwrap_or(u64::MAX).min(sweep.count());
        let points: Vec<Point> = (self.from..until).map(|index| sweep.point(index)).collect();
        let axes: Vec<_> = ranges
            .iter()
            .map(|range| {
                let (unit, scale) = range.quantity.axis();
                json!({
                    "name": range.quantity.name(),
                    "column": range.quantity.column(),
                    "unit": unit,
                    "scale": scale,
                    "log": range.log,
                    "texts": range.values.iter().map(|value| range.quantity.write(value)).collect::<Vec<_>>(),
                })
            })
            .collect();
        let question = match points.as_slice() {
            [one] => asked(one, &ranges),
            _ => Value::Null,
        };
        let results: Vec<_> = points.iter().map(|point| point.shape(&ranges)).collect();
        Ok(json!({
            "count": sweep.count(),
            "axes": axes,
            "results": results,
            "question": question,
        }))
    }
}

/// What a point sets, as keys of a scenario; a profile's parameters are none.
fn asked(point: &Point, ranges: &[Range]) -> Value {
    let mut keys = Map::new();
    for (range, value) in ranges.iter().zip(&point.values) {
        match (&range.quantity, &point.found) {
            (Quantity::Key(key), _) => {
                keys.insert(key.name().to_owned(), range.quantity.write(value).into());
            }
            (Quantity::Wss | Quantity::Rate, Ok(found)) => {
                let workload = found.case.guest.workload.to_string();
                keys.insert("workload".to_owned(), workload.into());
            }
            _ => {}
        }
    }
    Value::Object(keys)
}
