//! Quantities with their units: one grammar for [`FromStr`], [`Display`] and serde.
//!
//! A quantity is a decimal number and a unit, as in `4GiB`, `1Gbit/s`, `300ms`, `20MiB/s` or
//! `5000p/s`. A space between the two is accepted. What lacks a unit is refused, and the message
//! lists what is accepted. `Display` writes the largest unit that keeps the value whole, and
//! reading it back gives the same value. Sums end at the largest value there is, and differences of
//! times at zero: neither wraps.
//!
//! ```
//! use migsim_models::units::{BitRate, Bytes, SimTime};
//! assert_eq!("4GiB".parse::<Bytes>().unwrap(), Bytes(4 << 30));
//! assert_eq!("20MiB/s".parse::<BitRate>().unwrap().to_string(), "167772160bit/s");
//! assert_eq!("1.5s".parse::<SimTime>().unwrap().to_string(), "1500ms");
//! assert!("4096".parse::<Bytes>().unwrap_err().to_string().contains("has no unit"));
//! ```

use std::fmt::{self, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use crate::text::quoted;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes in a guest page. QEMU migrates x86 guests in pages of 4 KiB, whatever the guest's own page
/// size.
pub const PAGE_BYTES: u64 = 4096;

/// Why a quantity could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` {problem}; {quantity} is written like {accepted}")]
pub struct UnitError {
    input: String,
    problem: String,
    quantity: &'static str,
    accepted: &'static str,
}

/// What a kind of quantity is called, how it is written, and its units as multiples of the base
/// unit.
struct Grammar {
    quantity: &'static str,
    accepted: &'static str,
    /// Name, multiple of the base unit, and whether `Display` may choose it. Larger units first.
    units: &'static [(&'static str, u128, bool)],
    /// What people write that may be one of several units, those it may be.
    unclear: &'static [(&'static str, &'static [&'static str])],
    /// What a number alone may be in, by the tools that print it so.
    alone: &'static [&'static str],
    /// Whether there is a word for no limit, the largest value.
    unlimited: bool,
}

/// How no limit is written.
const UNLIMITED: &str = "unlimited";

const SIZE: Grammar = Grammar {
    quantity: "a size",
    accepted: "`4GiB`, `512Mi`, `64KiB`, `2GB`, `100B` or `16384p` (pages of 4 KiB)",
    unclear: &[
        ("T", &["TiB", "TB"]),
        ("G", &["GiB", "GB"]),
        ("M", &["MiB", "MB"]),
        ("K", &["KiB", "kB"]),
        ("KB", &["KiB", "kB"]),
    ],
    alone: &["MiB", "KiB", "B"],
    units: &[
        ("TiB", 1 << 40, true),
        ("GiB", 1 << 30, true),
        ("MiB", 1 << 20, true),
        ("KiB", 1 << 10, true),
        ("Ti", 1 << 40, false),
        ("Gi", 1 << 30, false),
        ("Mi", 1 << 20, false),
        ("Ki", 1 << 10, false),
        ("TB", 1_000_000_000_000, false),
        ("GB", 1_000_000_000, false),
        ("MB", 1_000_000, false),
        ("kB", 1_000, false),
        ("p", PAGE_BYTES as u128, false),
        ("B", 1, true),
    ],
    unlimited: true,
};

const BIT_RATE: Grammar = Grammar {
    quantity: "a bit rate",
    accepted: "`1Gbit/s`, `100Mbps`, `10GbE`, `20MiB/s` or `2.5MB/s`",
    unclear: &[
        ("T", &["Tbit/s", "TB/s"]),
        ("G", &["Gbit/s", "GB/s", "GiB/s"]),
        ("M", &["Mbit/s", "MB/s", "MiB/s"]),
        ("K", &["kbit/s", "kB/s", "KiB/s"]),
        ("GB", &["GB/s", "Gbit/s"]),
        ("MB", &["MB/s", "Mbit/s"]),
    ],
    alone: &["Mbit/s", "MiB/s", "B/s"],
    units: &[
        ("Tbit/s", 1_000_000_000_000, true),
        ("Gbit/s", 1_000_000_000, true),
        ("Mbit/s", 1_000_000, true),
        ("kbit/s", 1_000, true),
        ("bit/s", 1, true),
        // Network cards by their name, the tools' own spellings.
        ("GbE", 1_000_000_000, false),
        ("Tbps", 1_000_000_000_000, false),
        ("Gbps", 1_000_000_000, false),
        ("Mbps", 1_000_000, false),
        ("kbps", 1_000, false),
        ("Kbps", 1_000, false),
        ("Tb/s", 1_000_000_000_000, false),
        ("Gb/s", 1_000_000_000, false),
        ("Mb/s", 1_000_000, false),
        ("kb/s", 1_000, false),
        ("Kb/s", 1_000, false),
        ("GiB/s", 8 << 30, false),
        ("MiB/s", 8 << 20, false),
        ("KiB/s", 8 << 10, false),
        // KubeVirt's caps, bytes a second.
        ("Gi", 8 << 30, false),
        ("Mi", 8 << 20, false),
        ("Ki", 8 << 10, false),
        ("GBps", 8_000_000_000, false),
        ("MBps", 8_000_000, false),
        ("GB/s", 8_000_000_000, false),
        ("MB/s", 8_000_000, false),
        ("kB/s", 8_000, false),
        ("B/s", 8, false),
    ],
    unlimited: true,
};

const DURATION: Grammar = Grammar {
    quantity: "a duration",
    accepted: "`300ms`, `2s`, `1.5s`, `100us`, `5min` or `8h`",
    unclear: &[("m", &["min", "ms"])],
    alone: &["s", "ms"],
    units: &[
        ("h", 3_600_000_000_000, true),
        ("min", 60_000_000_000, true),
        ("s", 1_000_000_000, true),
        ("sec", 1_000_000_000, false),
        ("ms", 1_000_000, true),
        ("msec", 1_000_000, false),
        ("us", 1_000, true),
        ("µs", 1_000, false),
        ("ns", 1, true),
    ],
    unlimited: false,
};

const PAGE_RATE: Grammar = Grammar {
    quantity: "a page rate",
    accepted: "`3000p/s` (pages of 4 KiB) or `20MiB/s`",
    unclear: &[
        ("p", &["p/s"]),
        ("G", &["GB/s", "GiB/s"]),
        ("M", &["MB/s", "MiB/s"]),
        ("MB", &["MB/s", "MiB/s"]),
        ("MiB", &["MiB/s"]),
    ],
    alone: &["p/s", "MiB/s", "KiB/s"],
    // Multiples of a millionth of a page per second are exact enough for every rate a guest can
    // have; the base unit here is a byte per second, divided by the page size afterwards.
    units: &[
        ("p/s", PAGE_BYTES as u128, true),
        ("GiB/s", 1 << 30, false),
        ("MiB/s", 1 << 20, false),
        ("KiB/s", 1 << 10, false),
        ("GB/s", 1_000_000_000, false),
        ("MB/s", 1_000_000, false),
        ("kB/s", 1_000, false),
        ("B/s", 1, false),
    ],
    unlimited: false,
};

impl Grammar {
    fn error(&self, input: &str, problem: impl Into<String>) -> UnitError {
        UnitError {
            input: quoted(input),
            problem: problem.into(),
            quantity: self.quantity,
            accepted: self.accepted,
        }
    }

    /// Splits `input` into the digits of its number, how many of them follow the point, and the
    /// unit's multiple.
    fn split<'a>(&self, input: &'a str) -> Result<(&'a str, u128), UnitError> {
        let text = input.trim();
        if text.starts_with('-') {
            return Err(self.error(input, "is negative"));
        }
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
        let (number, unit) = (&text[..end], text[end..].trim_start());
        if number.is_empty() || number == "." || number.matches('.').count() > 1 {
            return Err(self.error(input, "is not a number with a unit"));
        }
        if unit.is_empty() {
            return Err(self.error(input, self.without(number)));
        }
        if let Some((_, multiple, _)) = self.units.iter().find(|(name, ..)| *name == unit) {
            return Ok((number, *multiple));
        }
        Err(self.error(input, self.unknown(number, unit)))
    }

    /// What is wrong with a number without a unit.
    fn without(&self, number: &str) -> String {
        format!("has no unit: it may be {}", either(number, self.alone))
    }

    /// What is wrong with a unit that is none, with what may have been meant.
    fn unknown(&self, number: &str, unit: &str) -> String {
        let unclear = self.unclear.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        // Somebody's own case: `gib`, `GBIT/S`.
        let alike: Vec<&str> = self
            .units
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| name.eq_ignore_ascii_case(unit))
            .collect();
        match (unclear, alike.is_empty()) {
            (Some((_, meant)), _) => format!("may be {}", either(number, meant)),
            (None, false) => {
                format!(
                    "has an unknown unit `{}`: it may be {}",
                    quoted(unit),
                    either(number, &alike)
                )
            }
            (None, true) if unit.starts_with(',') => "has a comma for its point".to_owned(),
            (None, true) => format!("has an unknown unit `{}`", quoted(unit)),
        }
    }

    /// The value in base units, rounded half up.
    fn parse_whole(&self, input: &str) -> Result<u64, UnitError> {
        if self.unlimited && input.trim() == UNLIMITED {
            return Ok(u64::MAX);
        }
        let (number, multiple) = self.split(input)?;
        let too_large = || self.error(input, "is too large");
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let fraction = fraction.trim_end_matches('0');
        // Past 18 digits a fraction of any unit is far below the base unit.
        let fraction = &fraction[..fraction.len().min(18)];
        let digits = |s: &str| -> Result<u128, UnitError> {
            if s.is_empty() {
                return Ok(0);
            }
            s.parse().map_err(|_| too_large())
        };
        let scale = 10_u128.pow(fraction.len() as u32);
        let whole = digits(whole)?.checked_mul(multiple).ok_or_else(too_large)?;
        let part = (digits(fraction)? * multiple + scale / 2) / scale;
        let value = whole.checked_add(part).ok_or_else(too_large)?;
        u64::try_from(value).map_err(|_| too_large())
    }

    /// The largest unit that keeps `value` whole.
    fn write(&self, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unlimited && value == u64::MAX {
            return f.pad(UNLIMITED);
        }
        for (name, multiple, display) in self.units {
            if *display
                && u128::from(value).is_multiple_of(*multiple)
                && (value > 0 || *multiple == 1)
            {
                return f.pad(&format!("{}{name}", u128::from(value) / multiple));
            }
        }
        unreachable!("every grammar has a unit of 1 that may be displayed")
    }
}

/// A number in each of several units, as a choice.
fn either(number: &str, units: &[&str]) -> String {
    let number = quoted(number);
    let mut choices: Vec<String> = units.iter().map(|unit| format!("`{number}{unit}`")).collect();
    match choices.pop() {
        Some(last) if choices.is_empty() => last,
        Some(last) => format!("{} or {last}", choices.join(", ")),
        None => String::new(),
    }
}

macro_rules! quantity {
    ($type:ident, $grammar:ident) => {
        impl FromStr for $type {
            type Err = UnitError;
            fn from_str(s: &str) -> Result<Self, UnitError> {
                $grammar.parse_whole(s).map($type)
            }
        }
        impl Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $grammar.write(self.0, f)
            }
        }
        impl Add for $type {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl AddAssign for $type {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl Sum for $type {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                iter.fold(Self::default(), Add::add)
            }
        }
        serde_by_text!($type, $grammar);
    };
}

macro_rules! serde_by_text {
    ($type:ident, $grammar:ident) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(QuantityVisitor {
                    grammar: &$grammar,
                    parse: |s| s.parse::<$type>(),
                })
            }
        }
    };
}

/// Reads a quantity from a string, and answers a bare number with the forms that are accepted.
struct QuantityVisitor<T> {
    grammar: &'static Grammar,
    parse: fn(&str) -> Result<T, UnitError>,
}

impl<T> QuantityVisitor<T> {
    /// Refuses a number without quotes, and so without a unit.
    fn alone<E: serde::de::Error>(&self, number: &str, negative: bool) -> Result<T, E> {
        let problem =
            if negative { "is negative".to_owned() } else { self.grammar.without(number) };
        Err(E::custom(self.grammar.error(number, problem)))
    }
}

impl<T> serde::de::Visitor<'_> for QuantityVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in quotes, like {}", self.grammar.quantity, self.grammar.accepted)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        self.alone(&number.to_string(), number < 0)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
        self.alone(&number.to_string(), false)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        if number.is_nan() {
            return Err(E::custom(self.grammar.error("NaN", "is not a number")));
        }
        self.alone(&number.to_string(), number < 0.0)
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// A number of guest pages of 4 KiB. Read from a size (rounded up to whole pages) or from `16384p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pages(pub u64);

/// Bits per second on a link, 10^6 bits to the Mbit. Also read from bytes per second, `20MiB/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BitRate(pub u64);

/// Simulated time in whole nanoseconds: an instant since the start of a simulation, or a span
/// between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(pub u64);

/// Pages of 4 KiB written per second: finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct PageRate(f64);

quantity!(Bytes, SIZE);
quantity!(BitRate, BIT_RATE);
quantity!(SimTime, DURATION);
serde_by_text!(Pages, SIZE);
serde_by_text!(PageRate, PAGE_RATE);

impl Bytes {
    /// No limit, written `unlimited`.
    pub const UNLIMITED: Bytes = Bytes(u64::MAX);

    /// The number of bytes as a float, for rates and ratios.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// How many pages hold this many bytes, the last one perhaps in part.
    pub fn pages(self) -> Pages {
        Pages(self.0.div_ceil(PAGE_BYTES))
    }
}

impl Pages {
    /// The number of pages as a float, for rates and ratios.
    pub fn as_f64(self) -> f64 {
        self.0 as f64
    }

    /// The size of this many pages.
    pub fn bytes(self) -> Bytes {
        Bytes(self.0.saturating_mul(PAGE_BYTES))
    }

    /// The size in GiB.
    pub fn gib(self) -> f64 {
        self.as_f64() * PAGE_BYTES as f64 / (1_u64 << 30) as f64
    }
}

impl FromStr for Pages {
    type Err = UnitError;
    fn from_str(s: &str) -> Result<Self, UnitError> {
        s.parse::<Bytes>().map(Bytes::pages)
    }
}

impl Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}p", self.0))
    }
}

impl BitRate {
    /// No limit, written `unlimited`.
    pub const UNLIMITED: BitRate = BitRate(u64::MAX);

    /// Bytes per second.
    pub fn bytes_per_s(self) -> f64 {
        self.0 as f64 / 8.0
    }
}

impl SimTime {
    /// The start of a simulation, and the empty span.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than anything that happens: some 584 years.
    pub const MAX: SimTime = SimTime(u64::MAX);
    /// No answer lies later, some 292 years: two times before it still have a sum.
    pub const HORIZON: SimTime = SimTime(u64::MAX / 2);

    /// A whole number of milliseconds.
    pub const fn from_millis(ms: u64) -> SimTime {
        SimTime(ms * 1_000_000)
    }

    /// A whole number of seconds.
    pub const fn from_secs(s: u64) -> SimTime {
        SimTime(s * 1_000_000_000)
    }

    /// Seconds rounded to the nearest nanosecond; negative and NaN become zero, what is too large
    /// [`SimTime::MAX`].
    pub fn from_secs_f64(s: f64) -> SimTime {
        // A cast from float to integer saturates, and sends NaN to zero.
        SimTime((s * 1e9 + 0.5) as u64)
    }

    /// Seconds, to the precision of a double (a nanosecond in the first hundred days).
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Milliseconds, to the precision of a double.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The span since `earlier`, zero if that is later.
    pub fn since(self, earlier: SimTime) -> SimTime {
        SimTime(self.0.saturating_sub(earlier.0))
    }
}

impl Sub for SimTime {
    type Output = SimTime;
    /// [`SimTime::since`]: no span is below zero.
    fn sub(self, other: SimTime) -> SimTime {
        self.since(other)
    }
}

impl PageRate {
    /// A rate in pages per second; `None` unless it is finite and not negative.
    pub fn new(pages_per_s: f64) -> Option<PageRate> {
        (pages_per_s.is_finite() && pages_per_s >= 0.0).then_some(PageRate(pages_per_s))
    }

    /// Pages per second.
    pub fn pages_per_s(self) -> f64 {
        self.0
    }
}

impl FromStr for PageRate {
    type Err = UnitError;
    fn from_str(s: &str) -> Result<Self, UnitError> {
        let (number, multiple) = PAGE_RATE.split(s)?;
        let number: f64 =
            number.parse().map_err(|_| PAGE_RATE.error(s, "is not a number with a unit"))?;
        let bytes_per_page = PAGE_BYTES as f64;
        PageRate::new(number * (multiple as f64 / bytes_per_page))
            .ok_or_else(|| PAGE_RATE.error(s, "is too large"))
    }
}

impl Display for PageRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}p/s", self.0))
    }
}

/// A size for people: three significant digits and a binary unit. Not for files, which want
/// [`Display`].
pub fn human_bytes(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} B")
    } else {
        format!("{} {}", three_digits(value), UNITS[unit])
    }
}

/// A rate for people, in powers of ten as links are named.
pub fn human_rate(rate: BitRate) -> String {
    const UNITS: [&str; 5] = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
    let mut value = rate.0 as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{value:.0} bit/s")
    } else {
        format!("{} {}", three_digits(value), UNITS[unit])
    }
}

/// A span for people: milliseconds below a second, then seconds, minutes, hours.
pub fn human_time(time: SimTime) -> String {
    let s = time.as_secs_f64();
    if time >= SimTime::HORIZON {
        "more than 292 years".to_owned()
    } else if time == SimTime::ZERO {
        "0 s".to_owned()
    } else if s < 0.001 {
        format!("{:.0} us", s * 1e6)
    } else if s < 0.9995 {
        format!("{} ms", three_digits(s * 1e3))
    } else if s < 120.0 {
        format!("{} s", three_digits(s))
    } else if s < 7200.0 {
        format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor())
    } else {
        format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor())
    }
}

/// Three significant digits, without an exponent.
fn three_digits(value: f64) -> String {
    if value >= 99.95 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_read_and_write_the_same_grammar() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("1.5KiB", 1536),
            ("0B", 0),
            ("2GB", 2_000_000_000),
            ("3p", 12288),
            ("0.0000000000000000001TiB", 0),
            ("16Gi", 16 << 30),
            ("512Mi", 512 << 20),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!(Bytes(3 << 29).to_string(), "1536MiB");
        assert_eq!("1GB".parse::<Pages>().unwrap(), Pages(244_141));
        assert_eq!("1Gbit/s".parse(), Ok(BitRate(1_000_000_000)));
        assert_eq!("20MiB/s".parse(), Ok(BitRate((20 * 8) << 20)));
        for gigabit in ["1Gbps", "1GbE", "1 Gb/s", "1000Mbps", "1000Mb/s", "125MB/s"] {
            assert_eq!(gigabit.parse(), Ok(BitRate(1_000_000_000)), "{gigabit}");
        }
        assert_eq!("64Mi".parse::<BitRate>(), "64MiB/s".parse());
        assert_eq!("2.5ms".parse(), Ok(SimTime(2_500_000)));
        assert_eq!("20MiB/s".parse::<PageRate>().unwrap().to_string(), "5120p/s");
    }

    #[test]
    fn what_is_wrong_with_a_quantity_is_said_with_the_accepted_forms() {
        for (text, message) in [
            (
                "4096",
                "`4096` has no unit: it may be `4096MiB`, `4096KiB` or `4096B`; a size is written like",
            ),
            ("-4GiB", "`-4GiB` is negative; a size"),
            ("4GIB", "`4GIB` has an unknown unit `GIB`: it may be `4GiB`; a size"),
            ("16G", "`16G` may be `16GiB` or `16GB`; a size"),
            ("512m", "`512m` may be `512MiB` or `512MB`; a size"),
            ("1,5GiB", "`1,5GiB` has a comma for its point; a size"),
            ("1e9B", "`1e9B` has an unknown unit `e9B`; a size"),
            ("", "`` is not a number with a unit; a size"),
            ("NaN", "`NaN` is not a number with a unit; a size"),
            ("99999999999TiB", "`99999999999TiB` is too large; a size"),
            ("1.2.3B", "`1.2.3B` is not a number with a unit; a size"),
        ] {
            let error = text.parse::<Bytes>().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        let error = |error: UnitError| error.to_string();
        for (said, message) in [
            (
                error("10G".parse::<BitRate>().unwrap_err()),
                "`10G` may be `10Gbit/s`, `10GB/s` or `10GiB/s`; a bit rate",
            ),
            (
                error("100mbps".parse::<BitRate>().unwrap_err()),
                "`100mbps` has an unknown unit `mbps`: it may be `100Mbps` or `100MBps`; a bit rate",
            ),
            (
                error("5m".parse::<SimTime>().unwrap_err()),
                "`5m` may be `5min` or `5ms`; a duration",
            ),
            (
                error("300".parse::<SimTime>().unwrap_err()),
                "`300` has no unit: it may be `300s` or `300ms`; a duration",
            ),
        ] {
            assert!(said.starts_with(message), "{said}");
        }
    }

    #[test]
    fn people_read_three_digits() {
        assert_eq!(human_bytes(4294967296.0), "4.00 GiB");
        assert_eq!(human_bytes(100.0), "100 B");
        assert_eq!(human_time(SimTime::from_millis(345)), "345 ms");
        assert_eq!(human_time(SimTime::from_secs(3725)), "62 min 05 s");
        assert_eq!(human_time(SimTime::from_secs(28_800)), "8 h 00 min");
        assert_eq!(human_time(SimTime::from_secs_f64(1e12)), "more than 292 years");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(value: u64) {
            prop_assert_eq!(Bytes(value).to_string().parse(), Ok(Bytes(value)));
            prop_assert_eq!(BitRate(value).to_string().parse(), Ok(BitRate(value)));
            prop_assert_eq!(SimTime(value).to_string().parse(), Ok(SimTime(value)));
        }

        #[test]
        fn page_rates_are_read_back(value in 0.0..1e12f64) {
            let rate = PageRate::new(value).unwrap();
            prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        #[test]
        fn random_text_never_panics(text: String) {
            let _ = text.parse::<Bytes>();
            let _ = text.parse::<BitRate>();
            let _ = text.parse::<SimTime>();
            let _ = text.parse::<PageRate>();
            let _ = text.parse::<Pages>();
        }
    }
}
