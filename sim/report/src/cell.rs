//! Cells of tables: the quantities of a column are told in one unit, so that they can be compared.

use migsim_models::units::{SimTime, human_time};

/// No figure has more decimals than that.
const MOST_DECIMALS: usize = 3;

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words, or a figure without a unit.
    Text(String),
    /// A time in seconds.
    Time(f64),
    /// From and to, in seconds.
    Span([f64; 2]),
    /// A size in bytes.
    Size(f64),
}

impl Cell {
    /// A time, or a dash where there is none.
    pub fn time(seconds: Option<f64>) -> Cell {
        seconds.map_or(Cell::nothing(), Cell::Time)
    }

    /// From and to, or a dash where they are not known.
    pub fn span(seconds: Option<[f64; 2]>) -> Cell {
        seconds.map_or(Cell::nothing(), Cell::Span)
    }

    /// A share of 1 in percent, or a dash where there is none.
    pub fn percent(share: Option<f64>) -> Cell {
        share.map_or(Cell::nothing(), |share| format!("{:.0} %", share * 100.0).into())
    }

    fn nothing() -> Cell {
        "-".into()
    }

    fn amounts(&self) -> &[f64] {
        match self {
            Cell::Text(_) => &[],
            Cell::Time(amount) | Cell::Size(amount) => std::slice::from_ref(amount),
            Cell::Span(both) => both,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<SimTime> for Cell {
    fn from(time: SimTime) -> Cell {
        Cell::Time(time.as_secs_f64())
    }
}

impl From<Option<SimTime>> for Cell {
    fn from(time: Option<SimTime>) -> Cell {
        Cell::time(time.map(SimTime::as_secs_f64))
    }
}

/// The cells of a column as text, in the unit of the largest among them.
pub(crate) fn in_one_unit<'a, I: Iterator<Item = &'a Cell>>(column: impl Fn() -> I) -> Vec<String> {
    let scale = |of: fn(&Cell) -> bool, units: &[Unit]| {
        let amounts =
            column().filter(|cell| of(cell)).flat_map(Cell::amounts).copied().filter(|a| *a > 0.0);
        Scale::of(amounts, units)
    };
    let times = scale(|cell| matches!(cell, Cell::Time(_) | Cell::Span(_)), &TIMES);
    let sizes = scale(|cell| matches!(cell, Cell::Size(_)), &SIZES);
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Time(seconds) => times.time(*seconds),
        Cell::Span([from, to]) => format!("{} to {}", times.time(*from), times.time(*to)),
        Cell::Size(bytes) => sizes.text(*bytes),
    };
    column().map(text).collect()
}

/// A unit, and the least amount that is told in it.
type Unit = (&'static str, f64, f64);

const MINUTES: &str = "min";
const TIMES: [Unit; 3] = [("ms", 1e-3, 0.0), ("s", 1.0, 0.9995), (MINUTES, 60.0, 600.0)];
const SIZES: [Unit; 5] = [
    ("B", 1.0, 0.0),
    ("KiB", 1024.0, 1024.0),
    ("MiB", 1_048_576.0, 1_048_576.0),
    ("GiB", 1_073_741_824.0, 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0, 1_099_511_627_776.0),
];

/// The unit of a column, and its decimals.
struct Scale {
    unit: Unit,
    decimals: usize,
}

impl Scale {
    /// Three digits of the largest, and two of the smallest.
    fn of(amounts: impl Iterator<Item = f64>, units: &[Unit]) -> Scale {
        let (least, most) = amounts
            .fold((f64::INFINITY, 0.0), |(least, most), a| (f64::min(least, a), f64::max(most, a)));
        let unit = *units.iter().rev().find(|(_, _, from)| most >= *from).unwrap_or(&units[0]);
        // As many digits stand before the point as its logarithm says.
        let decimals = |amount: f64, digits: f64| {
            (digits - 1.0 - (amount / unit.1).log10().floor()).max(0.0) as usize
        };
        let decimals = match unit.0 {
            "B" => 0,
            _ if most > 0.0 => decimals(most, 3.0).max(decimals(least, 2.0)).min(MOST_DECIMALS),
            _ => 0,
        };
        Scale { unit, decimals }
    }

    fn text(&self, amount: f64) -> String {
        format!("{:.*} {}", self.decimals, amount / self.unit.1, self.unit.0)
    }

    fn time(&self, seconds: f64) -> String {
        match SimTime::from_secs_f64(seconds) {
            time if time >= SimTime::HORIZON => human_time(time),
            _ if self.unit.0 == MINUTES => {
                format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor())
            }
            _ => self.text(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(column: &[Cell]) -> Vec<String> {
        in_one_unit(|| column.iter())
    }

    #[test]
    fn times_and_sizes_of_a_column_are_told_in_one_unit() {
        let times =
            |seconds: &[f64]| told(&seconds.iter().map(|s| Cell::Time(*s)).collect::<Vec<_>>());
        assert_eq!(times(&[27.684, 1.207, 0.2214]), ["27.68 s", "1.21 s", "0.22 s"]);
        assert_eq!(times(&[0.3099, 0.0054, 0.0]), ["309.9 ms", "5.4 ms", "0.0 ms"]);
        assert_eq!(times(&[3725.0, 29.4, 0.3]), ["62 min 05 s", "0 min 29 s", "0 min 00 s"]);
        assert_eq!(times(&[0.0]), ["0 ms"]);
        assert_eq!(times(&[120.0, 20.0]), ["120 s", "20 s"]);
        let sizes: Vec<Cell> = [3.2e9, 140e6, 0.0].map(Cell::Size).to_vec();
        assert_eq!(told(&sizes), ["2.98 GiB", "0.13 GiB", "0.00 GiB"]);
        assert_eq!(told(&[Cell::Size(100.0)]), ["100 B"]);
        let mixed = [Cell::span(Some([0.2, 1.5])), Cell::time(None), "under way".into()];
        assert_eq!(told(&mixed), ["0.20 s to 1.50 s", "-", "under way"]);
        assert_eq!(told(&[SimTime::HORIZON.into()]), ["more than 292 years"]);
    }
}
