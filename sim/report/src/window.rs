//! A maintenance window by the clock on the wall: `Fri 20:00` to `Fri 22:00`.
//!
//! Times are civil: no time zone, and no change to or from summer time.

use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{SignedDuration, ToSpan};
use migsim_models::text::quoted;
use migsim_models::units::SimTime;

/// A Monday, for clocks that know no date.
const MONDAY: Date = jiff::civil::date(2024, 1, 1);

/// How a moment was written, and is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `20:00`
    Time,
    /// `Fri 20:00`
    Weekday,
    /// `2026-11-27 20:00`
    Date,
}

/// A moment on the wall's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    at: DateTime,
    form: Form,
}

/// From when on, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    start: Option<Clock>,
    until: Option<Clock>,
    /// How long it is.
    pub length: SimTime,
}

const ACCEPTED: &str = "a moment is written like `Fri 20:00`, `20:00` or `2026-11-27 20:00`";

fn weekday(word: &str) -> Option<Weekday> {
    const NAMES: [&str; 7] =
        ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let word = word.to_ascii_lowercase();
    let found = NAMES.iter().position(|name| word.len() >= 3 && name.starts_with(&word))?;
    Weekday::from_monday_zero_offset(found as i8).ok()
}

/// `20:00`, or with seconds.
fn time(word: &str) -> Option<Time> {
    let parts: Vec<i8> = word.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts.as_slice() {
        [hour, minute] => Time::new(*hour, *minute, 0, 0).ok(),
        [hour, minute, second] => Time::new(*hour, *minute, *second, 0).ok(),
        _ => None,
    }
}

impl FromStr for Clock {
    type Err = String;
    fn from_str(text: &str) -> Result<Clock, String> {
        let none = || format!("`{}` is no moment; {ACCEPTED}", quoted(text));
        let text = text.trim();
        let Some((day, clock)) =
            text.split_once(char::is_whitespace).or_else(|| text.split_once('T'))
        else {
            let at = MONDAY.to_datetime(time(text).ok_or_else(none)?);
            return Ok(Clock { at, form: Form::Time });
        };
        let clock = time(clock.trim()).ok_or_else(none)?;
        let (date, form) = match weekday(day) {
            Some(day) => {
                let days = i64::from(day.to_monday_zero_offset());
                (MONDAY.checked_add(days.days()).map_err(|_| none())?, Form::Weekday)
            }
            None => (day.parse::<Date>().map_err(|_| none())?, Form::Date),
        };
        Ok(Clock { at: date.to_datetime(clock), form })
    }
}

impl Clock {
    /// The moment so many seconds later, as this one is written.
    fn after(self, seconds: f64) -> String {
        let later = SignedDuration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|span| self.at.checked_add(span).ok());
        let Some(at) = later else { return "years later".to_owned() };
        // What is over in minutes is told to the second.
        let time = if seconds < 3600.0 && seconds % 60.0 != 0.0 { "%H:%M:%S" } else { "%H:%M" };
        let day = match self.form {
            Form::Time => "",
            Form::Weekday => "%a ",
            Form::Date => "%Y-%m-%d ",
        };
        at.strftime(&format!("{day}{time}")).to_string()
    }
}

impl Window {
    /// From `start` on, until `deadline`: a moment, or a duration.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn new(start: Option<Clock>, deadline: &str) -> Result<Window, String> {
        if let Ok(length) = deadline.parse::<SimTime>() {
            return match length {
                SimTime::ZERO => Err("a deadline of no time leaves none".to_owned()),
                length => Ok(Window { start, until: None, length }),
            };
        }
        let mut until: Clock =
            deadline.parse().map_err(|why| format!("{why}, or a duration like `2h`"))?;
        let Some(start) = start else {
            return Err(format!("`{}` needs --start, or say how long: `2h`", quoted(deadline)));
        };
        let at = match (start.form, until.form) {
            (Form::Date, Form::Date) => until.at,
            // The next such time, or such a day, after the start.
            (_, Form::Time) => next(start.at.date().to_datetime(until.at.time()), start.at, 1),
            (Form::Date | Form::Weekday, Form::Weekday) => {
                let day = until.at.date().weekday();
                let ahead = start.at.date().weekday().until(day);
                if matches!(start.form, Form::Weekday)
                    && ahead == 0
                    && until.at.time() <= start.at.time()
                {
                    return Err(format!(
                        "`{}` is not after the start; a week later is a date",
                        quoted(deadline)
                    ));
                }
                let date = start.at.date().checked_add(i64::from(ahead).days());
                next(date.unwrap_or(start.at.date()).to_datetime(until.at.time()), start.at, 7)
            }
            (Form::Time, _) | (Form::Weekday, Form::Date) => {
                return Err(format!(
                    "`{}` says more of its day than --start; write both alike",
                    quoted(deadline)
                ));
            }
        };
        until = Clock { at, form: until.form };
        let length = at.duration_since(start.at);
        if length <= SignedDuration::ZERO {
            return Err(format!("`{}` is not after the start", quoted(deadline)));
        }
        let length = SimTime::from_secs_f64(length.as_secs_f64());
        Ok(Window { start: Some(start), until: Some(until), length })
    }

    /// When it is over, in words.
    pub fn end(&self) -> String {
        let length = migsim_models::units::human_time(self.length);
        match (self.start, self.until) {
            (Some(start), Some(until)) => {
                format!("by {} ({length} after {})", until.after(0.0), start.after(0.0))
            }
            (Some(start), None) => {
                format!("by {} ({length})", start.after(self.length.as_secs_f64()))
            }
            _ => format!("within {length}"),
        }
    }

    /// So many seconds after its start, in words; `None`: nobody said when that is.
    pub fn at(&self, seconds: f64) -> Option<String> {
        self.start.map(|start| start.after(seconds))
    }
}

/// The first of `at` and what lies whole numbers of `days` later that is after `start`.
fn next(at: DateTime, start: DateTime, days: i64) -> DateTime {
    if at > start { at } else { at.checked_add(days.days()).unwrap_or(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_as_long_as_the_clock_says() {
        for (start, deadline, hours, end) in [
            ("Fri 20:00", "Fri 22:00", 2.0, "by Fri 22:00 (2 h 00 min after Fri 20:00)"),
            ("Fri 20:00", "22:30", 2.5, "by 22:30 (2 h 30 min after Fri 20:00)"),
            ("friday 23:00", "Sat 01:00", 2.0, "by Sat 01:00 (2 h 00 min after Fri 23:00)"),
            ("Thu 23:00", "01:00", 2.0, "by 01:00 (2 h 00 min after Thu 23:00)"),
            ("20:00", "2h", 2.0, "by 22:00 (2 h 00 min)"),
            (
                "2026-11-27 20:00",
                "2026-11-28T02:00",
                6.0,
                "by 2026-11-28 02:00 (6 h 00 min after 2026-11-27 20:00)",
            ),
        ] {
            let window = Window::new(Some(start.parse().unwrap()), deadline).unwrap();
            assert_eq!(window.length.as_secs_f64() / 3600.0, hours, "{start} to {deadline}");
            assert_eq!(window.end(), end, "{start} to {deadline}");
        }
        let window = Window::new(Some("Sun 23:30".parse().unwrap()), "2h").unwrap();
        assert_eq!(window.at(61.0).as_deref(), Some("Sun 23:31:01"));
        assert_eq!(window.at(3600.0).as_deref(), Some("Mon 00:30"));
        assert_eq!(Window::new(None, "90min").unwrap().end(), "within 90 min 00 s");
    }

    #[test]
    fn what_is_no_window_is_said_with_what_is_accepted() {
        for (start, deadline, message) in [
            (Some("Fri 20:00"), "Fri", "`Fri` is no moment; a moment is written like"),
            (Some("20:00"), "25:00", "`25:00` is no moment"),
            (None, "22:00", "`22:00` needs --start, or say how long: `2h`"),
            (Some("2026-11-27 20:00"), "2026-11-27 19:00", "is not after the start"),
            (Some("Tue 22:00"), "tuesday 21:00", "is not after the start; a week later is a date"),
            (Some("20:00"), "Fri 22:00", "says more of its day than --start"),
            (Some("20:00"), "0s", "a deadline of no time"),
        ] {
            let start = start.map(|start| start.parse().unwrap());
            let error = Window::new(start, deadline).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert!("someday".parse::<Clock>().unwrap_err().contains("`someday` is no moment"));
    }
}
