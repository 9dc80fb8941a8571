//! The workload notation: `uniform(wss=16384p, rate=3000p/s) + phase(on=4s, off=4s,
//! sweep(wss=64MiB, rate=10MiB/s, closed))`.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::app;
use super::{CatchUp, Curve, Pattern, Phase, Term, Workload};
use crate::text::quoted;
use crate::units::{PageRate, Pages, SimTime};

/// Why a workload could not be read: what is wrong, and the form that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("workload `{input}`: {problem}; {accepted}")]
pub struct NotationError {
    input: String,
    problem: String,
    accepted: &'static str,
}

const TERMS: &str = "a workload is `idle` or a sum (`+`) of `uniform(wss=16384p, rate=3000p/s)`, `sweep(wss=.., rate=..)`, \
    `zipf(wss=.., rate=.., s=0.99)`, `dirty(5000p/s, window=1s)`, `app:linux-idle`, `phase(on=4s, off=4s, TERM)` and `curve(1s:3000p, 2s:5200p)`, each with `open` or `closed` at the end if need be";

/// The most points of a measured curve.
const MOST_POINTS: usize = 1000;

/// Splits at `separator` outside of parentheses.
fn split_top(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if c == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The named and unnamed arguments of one term, taken one by one so that what is left over can be
/// reported.
struct Arguments<'a> {
    kind: &'a str,
    left: Vec<&'a str>,
}

impl<'a> Arguments<'a> {
    /// Takes `key=VALUE` and reads the value.
    fn take<T: FromStr>(&mut self, key: &str) -> Result<T, String>
    where
        T::Err: Display,
    {
        let find = |text: &&str| text.split_once('=').is_some_and(|(k, _)| k.trim() == key);
        let Some(at) = self.left.iter().position(find) else {
            return Err(format!("`{}` lacks `{key}=`", self.kind));
        };
        let value = self.left.remove(at).split_once('=').map_or("", |(_, v)| v);
        value.trim().parse().map_err(|e| format!("`{key}` of `{}`: {e}", self.kind))
    }

    /// Takes `key=VALUE`, if it is there.
    fn take_if_given<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, String>
    where
        T::Err: Display,
    {
        let given = |text: &&str| text.split_once('=').is_some_and(|(k, _)| k.trim() == key);
        if self.left.iter().any(given) { self.take(key).map(Some) } else { Ok(None) }
    }

    /// Takes the first argument, which has no key.
    fn take_plain<T: FromStr>(&mut self, like: &str) -> Result<T, String>
    where
        T::Err: Display,
    {
        match self.left.first().copied() {
            Some(text) if !text.trim().is_empty() && !text.contains('=') => {
                self.left.remove(0);
                text.trim().parse().map_err(|e| format!("`{}`: {e}", self.kind))
            }
            _ => Err(format!("`{}` begins with its rate, like `{}({like})`", self.kind, self.kind)),
        }
    }

    fn take_catch_up(&mut self) -> CatchUp {
        let word = self.left.last().map(|text| text.trim());
        let catch_up = match word {
            Some("open") => CatchUp::Open,
            Some("closed") => CatchUp::Closed,
            _ => return CatchUp::Open,
        };
        self.left.pop();
        catch_up
    }

    fn finish(self) -> Result<(), String> {
        match self.left.first() {
            None => Ok(()),
            Some(text) => Err(format!("`{}` does not take `{}`", self.kind, quoted(text.trim()))),
        }
    }
}

fn working_set(arguments: &mut Arguments) -> Result<(Pages, PageRate), String> {
    let wss: Pages = arguments.take("wss")?;
    if wss.0 == 0 {
        return Err(format!("`wss` of `{}` is zero; it takes 1p or more", arguments.kind));
    }
    Ok((wss, arguments.take("rate")?))
}

fn curve_points(arguments: &mut Arguments) -> Result<Vec<(SimTime, Pages)>, String> {
    let mut points: Vec<(SimTime, Pages)> = Vec::new();
    for text in arguments.left.drain(..) {
        let (window, pages) = text.split_once(':').ok_or_else(|| {
            format!("`{}` is not a point of a curve like `1s:3000p`", quoted(text.trim()))
        })?;
        let point: (SimTime, Pages) = (
            window.parse().map_err(|e| format!("`curve`: {e}"))?,
            pages.parse().map_err(|e| format!("`curve`: {e}"))?,
        );
        if point.0 == SimTime::ZERO {
            return Err("a window of a `curve` is longer than zero".to_owned());
        }
        if let Some(last) = points.last() {
            if point.0 <= last.0 {
                return Err(format!(
                    "the curve goes back in time from {} to {}: windows get longer from point to point",
                    last.0, point.0
                ));
            }
            if point.1 < last.1 {
                return Err(format!(
                    "the curve falls from {} to {} pages: a longer window never dirties fewer",
                    last.1.0, point.1.0
                ));
            }
        }
        points.push(point);
    }
    if points.len() > MOST_POINTS {
        return Err(format!("the curve has {} points; it takes up to {MOST_POINTS}", points.len()));
    }
    if points.is_empty() {
        return Err("`curve` has no points".to_owned());
    }
    Ok(points)
}

fn parse_term(text: &str) -> Result<Term, String> {
    let text = text.trim();
    if let Some(app) = text.strip_prefix("app:") {
        return parse_app(app);
    }
    let (kind, body) = text
        .split_once('(')
        .and_then(|(kind, rest)| Some((kind.trim(), rest.strip_suffix(')')?)))
        .ok_or_else(|| format!("`{}` is not a term", quoted(text)))?;
    let mut arguments = Arguments { kind, left: split_top(body, ',') };
    if kind == "phase" {
        return parse_phase(arguments);
    }
    let catch_up = arguments.take_catch_up();
    let pattern = match kind {
        "uniform" => {
            let (wss, rate) = working_set(&mut arguments)?;
            Pattern::Uniform { wss, rate }
        }
        "sweep" => {
            let (wss, rate) = working_set(&mut arguments)?;
            Pattern::Sweep { wss, rate }
        }
        "zipf" => {
            let (wss, rate) = working_set(&mut arguments)?;
            let exponent: f64 = arguments.take("s")?;
            if !(0.0..=10.0).contains(&exponent) {
                return Err(format!("`s` of `zipf` is {exponent}; it takes 0 to 10"));
            }
            Pattern::Zipf { wss, rate, exponent }
        }
        "curve" => Pattern::Curve { curve: Curve::new(curve_points(&mut arguments)?), pace: 1.0 },
        "dirty" => {
            let window = arguments.take_if_given("window")?.unwrap_or(SimTime::from_secs(1));
            if window == SimTime::ZERO {
                return Err("`window` of `dirty` is zero; it takes a time above it".to_owned());
            }
            let share: Option<f64> = arguments.take_if_given("share")?;
            if share.is_some_and(|share| !(share > 0.0 && share <= 1.0)) {
                return Err("`share` of `dirty` takes a number above 0 to 1".to_owned());
            }
            let factor: Option<f64> = arguments.take_if_given("factor")?;
            if factor.is_some_and(|factor| !(1.0..=1000.0).contains(&factor)) {
                return Err("`factor` of `dirty` takes a number of 1 to 1000".to_owned());
            }
            let application = arguments.take_if_given::<String>("app")?;
            if let Some(name) = application.as_deref().filter(|name| !is_name(name)) {
                return Err(format!("`app` of `dirty` is `{}`; it takes {NAMES}", quoted(name)));
            }
            let rate = arguments.take_plain("5000p/s")?;
            Pattern::Dirty { rate, window, share, factor, application }
        }
        _ => return Err(format!("unknown term `{}`", quoted(kind))),
    };
    arguments.finish()?;
    Ok(Term { pattern, catch_up, phase: None })
}

/// What an application can be called, in words.
pub const NAMES: &str = "1 to 64 letters, digits, `.`, `_` and `-`";

/// Whether an application can be called so, see [`NAMES`].
pub fn is_name(name: &str) -> bool {
    let fine = |c: char| c.is_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(fine)
}

/// `app:NAME` or `app:NAME(load=0.5)`.
fn parse_app(text: &str) -> Result<Term, String> {
    let (name, body) = match text.split_once('(') {
        Some((name, rest)) => {
            let body = rest.strip_suffix(')');
            (name, body.ok_or_else(|| format!("`app:{}` lacks its `)`", quoted(text)))?)
        }
        None => (text, ""),
    };
    let left = if body.trim().is_empty() { Vec::new() } else { split_top(body, ',') };
    let mut arguments = Arguments { kind: "app", left };
    let catch_up = arguments.take_catch_up();
    let load = arguments.take_if_given("load")?.unwrap_or(1.0);
    arguments.finish()?;
    Ok(Term { pattern: app::pattern(name.trim(), load)?, catch_up, phase: None })
}

fn parse_phase(mut arguments: Arguments) -> Result<Term, String> {
    let phase = Phase { on: arguments.take("on")?, off: arguments.take("off")? };
    if phase.on == SimTime::ZERO {
        return Err("`on` of `phase` is zero; it takes a time above it".to_owned());
    }
    if phase.on.0.checked_add(phase.off.0).is_none() {
        return Err("`phase` is longer than 584 years".to_owned());
    }
    let Some(inner) = arguments.left.pop() else {
        return Err("`phase` lacks the term that it switches on and off".to_owned());
    };
    arguments.finish()?;
    let term = parse_term(inner)?;
    if term.phase.is_some() {
        return Err("a `phase` within a `phase` is not supported".to_owned());
    }
    Ok(Term { phase: Some(phase), ..term })
}

impl FromStr for Workload {
    type Err = NotationError;

    fn from_str(input: &str) -> Result<Self, NotationError> {
        if input.trim() == "idle" {
            return Ok(Workload::idle());
        }
        let terms =
            split_top(input, '+').into_iter().map(parse_term).collect::<Result<_, String>>();
        match terms {
            Ok(terms) => Ok(Workload { terms }),
            Err(problem) => Err(NotationError { input: quoted(input), problem, accepted: TERMS }),
        }
    }
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(phase) = self.phase {
            write!(f, "phase(on={}, off={}, ", phase.on, phase.off)?;
        }
        match &self.pattern {
            Pattern::Uniform { wss, rate } => write!(f, "uniform(wss={wss}, rate={rate}")?,
            Pattern::Sweep { wss, rate } => write!(f, "sweep(wss={wss}, rate={rate}")?,
            Pattern::Zipf { wss, rate, exponent } => {
                write!(f, "zipf(wss={wss}, rate={rate}, s={exponent}")?;
            }
            Pattern::Dirty { rate, window, share, factor, application } => {
                write!(f, "dirty({rate}, window={window}")?;
                for (key, value) in [("share", share), ("factor", factor)] {
                    if let Some(value) = value {
                        write!(f, ", {key}={value}")?;
                    }
                }
                if let Some(name) = application {
                    write!(f, ", app={name}")?;
                }
            }
            // Shown, though it cannot be read back.
            Pattern::Own { writes, .. } => write!(f, "own({:?}", writes.writes())?,
            curve @ Pattern::Curve { .. } => {
                write!(f, "curve(")?;
                for (i, (window, pages)) in curve.measured().into_iter().flatten().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    write!(f, "{separator}{window}:{pages}")?;
                }
            }
        }
        if self.catch_up == CatchUp::Closed {
            write!(f, ", closed")?;
        }
        write!(f, ")")?;
        if self.phase.is_some() {
            write!(f, ")")?;
        }
        Ok(())
    }
}

impl Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.pad("idle");
        }
        for (i, term) in self.terms.iter().enumerate() {
            let separator = if i == 0 { "" } else { " + " };
            write!(f, "{separator}{term}")?;
        }
        Ok(())
    }
}

impl Serialize for Workload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Workload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_notation_is_read_and_written() {
        for (text, written) in [
            ("idle", "idle"),
            ("uniform(wss=16384p, rate=3000p/s)", "uniform(wss=16384p, rate=3000p/s)"),
            ("sweep( rate = 20MiB/s , wss = 64MiB )", "sweep(wss=16384p, rate=5120p/s)"),
            ("zipf(wss=1p, rate=0p/s, s=0.99, closed)", "zipf(wss=1p, rate=0p/s, s=0.99, closed)"),
            ("uniform(wss=1p, rate=1p/s, open)", "uniform(wss=1p, rate=1p/s)"),
            (
                "phase(on=4s, off=4s, uniform(wss=2p, rate=1p/s, closed)) + curve(1s:3000p, 2500ms:12MiB)",
                "phase(on=4s, off=4s, uniform(wss=2p, rate=1p/s, closed)) + curve(1s:3000p, 2500ms:3072p)",
            ),
        ] {
            let workload: Workload = text.parse().unwrap();
            assert_eq!(workload.to_string(), written);
            assert_eq!(written.parse(), Ok(workload));
        }
    }

    #[test]
    fn one_number_and_applications_are_read() {
        for (text, written) in [
            ("dirty(5058p/s)", "dirty(5058p/s, window=1s)"),
            ("dirty(5058p/s, app=my-shop)", "dirty(5058p/s, window=1s, app=my-shop)"),
            (
                "dirty(20MiB/s, window=10s, share=0.5, closed)",
                "dirty(5120p/s, window=10s, share=0.5, closed)",
            ),
            ("app:linux-idle", "dirty(260p/s, window=10s, share=0.02, factor=2.7)"),
            ("app:postgres(load=0.5)", "dirty(16250p/s, window=600ms, share=0.25, factor=1.5)"),
            (
                "phase(on=1s, off=1s, app:java(closed))",
                "phase(on=1s, off=1s, dirty(11000p/s, window=1s, share=0.3, factor=1.7, closed))",
            ),
        ] {
            let workload: Workload = text.parse().unwrap();
            assert_eq!(workload.to_string(), written);
            assert_eq!(written.parse(), Ok(workload));
        }
        for (text, problem) in [
            ("dirty()", "`dirty` begins with its rate"),
            ("dirty(window=1s)", "`dirty` begins with its rate"),
            ("dirty(5p/s, window=0s)", "`window` of `dirty` is zero"),
            ("dirty(5p/s, share=0)", "`share` of `dirty` takes"),
            ("dirty(5p/s, app=a b)", "`app` of `dirty` is `a b`; it takes 1 to 64 letters"),
            ("app:word", "no application `word` is known; it is one of linux-idle"),
            ("app:java(load=0)", "`load` of an application takes"),
            ("app:java(load=1", "lacks its `)`"),
        ] {
            let error = text.parse::<Workload>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn each_mistake_is_named() {
        for (text, problem) in [
            ("", "`` is not a term"),
            ("busy", "`busy` is not a term"),
            ("busy()", "unknown term `busy`"),
            ("uniform(rate=1p/s)", "`uniform` lacks `wss=`"),
            ("uniform(wss=1p)", "`uniform` lacks `rate=`"),
            ("uniform(wss=0p, rate=1p/s)", "`wss` of `uniform` is zero"),
            ("uniform(wss=10, rate=1p/s)", "`wss` of `uniform`: `10` has no unit"),
            ("uniform(wss=1p, rate=NaN)", "`rate` of `uniform`: `NaN` is not a number with a unit"),
            ("uniform(wss=1p, rate=-1p/s)", "`rate` of `uniform`: `-1p/s` is negative"),
            ("uniform(wss=1p, rate=1p/s, speed=2)", "`uniform` does not take `speed=2`"),
            ("zipf(wss=1p, rate=1p/s, s=NaN)", "`s` of `zipf` is NaN"),
            ("curve()", "`` is not a point of a curve"),
            ("curve(2s:10p, 1s:20p)", "the curve goes back in time from 2s to 1s"),
            ("curve(1s:20p, 2s:10p)", "the curve falls from 20 to 10 pages"),
            ("curve(0s:20p)", "a window of a `curve` is longer than zero"),
            ("phase(on=0s, off=1s, idle)", "`on` of `phase` is zero"),
            ("phase(on=1s, off=1s)", "`phase` lacks the term"),
            ("uniform(wss=1p, rate=1p/s) +", "`` is not a term"),
        ] {
            let error = text.parse::<Workload>().unwrap_err().to_string();
            let expected = format!("workload `{text}`: {problem}");
            assert!(error.starts_with(&expected), "{error}\nnot {expected}");
            assert!(error.contains("a workload is `idle` or a sum"));
        }
    }

    proptest! {
        #[test]
        fn random_text_never_panics(text: String) {
            let _ = text.parse::<Workload>();
        }

        #[test]
        fn text_that_looks_like_a_workload_never_panics(text in "(uniform|sweep|zipf|phase|curve|idle|[(),=+: ]|wss|rate|on|off|s|[0-9]{1,4}(p|s|p/s|MiB|ms)?){0,24}") {
            let _ = text.parse::<Workload>();
        }
    }
}
