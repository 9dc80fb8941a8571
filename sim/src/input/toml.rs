//! TOML read with all of its faults at once.
//!
//! A type is read until it can be: each fault is noted, and what is at fault is left out for the
//! next try.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path as FilePath;

use migsim_models::tree::{Fault, read_table};
use serde::de::DeserializeOwned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{Mistakes, toml_error};

/// So many faults of a file are named.
const MOST_FAULTS: usize = 20;

/// Reads a text as TOML.
///
/// # Errors
/// Everything that is wrong with its syntax; else every key that there is none of, every value of
/// another kind, and everything that is missing.
pub(crate) fn from_toml<T: DeserializeOwned>(file: &FilePath, text: &str) -> Result<T, Mistakes> {
    let told = |fault: Fault| toml_error(file, text, &fault.within(text));
    let (mut table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        // What else is said of the same line follows from the first.
        let mut lines = BTreeSet::new();
        let faults = faults.into_iter().map(Fault::from).map(told);
        let mistakes = faults.filter(|one| lines.insert(one.place.clone()));
        return Err(Mistakes(mistakes.take(MOST_FAULTS).collect()));
    }
    let mut faults: Vec<Fault> = Vec::new();
    let mut left_out: BTreeSet<(usize, String)> = BTreeSet::new();
    let read = loop {
        let error = match read_table(table.clone()) {
            Ok(read) => break Some(read),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..text.len());
        // What is missing only because it was left out is no fault of its own.
        let follows = left_out.iter().any(|(table, key)| {
            *table == span.start && error.message() == format!("missing field `{key}`")
        });
        if !follows {
            faults.push(error);
        }
        let start = table.span().start;
        match leave_out(table.get_mut(), start, &span) {
            Some(key) if faults.len() < MOST_FAULTS => left_out.insert(key),
            _ => break None,
        };
    };
    match read {
        Some(read) if faults.is_empty() => Ok(read),
        _ => {
            faults.sort_by_key(|error| error.span().map_or(0, |span| span.start));
            Err(Mistakes(faults.into_iter().map(told).collect()))
        }
    }
}

/// Takes the innermost key or table out in which a fault lies. Returns where the table starts that
/// it was in, and the key, which is empty for an item of an array; `None`: there is none.
fn leave_out(table: &mut DeTable, start: usize, fault: &Range<usize>) -> Option<(usize, String)> {
    let holds = |span: Range<usize>| span.start <= fault.start && fault.end <= span.end;
    let mut found = None;
    for (key, value) in table.iter_mut() {
        let span = value.span();
        // The span of a table that has a header is its header.
        let itself = holds(key.span()) || (span == *fault && !value.get_ref().is_array());
        let within = match value.get_mut() {
            _ if itself => None,
            DeValue::Table(inner) => leave_out(inner, span.start, fault),
            DeValue::Array(items) => leave_out_of(items, fault),
            _ => None,
        };
        if within.is_some() {
            return within;
        }
        if itself || (holds(span) && !value.get_ref().is_table()) {
            found = Some(key.get_ref().to_string());
            break;
        }
    }
    let key = found?;
    table.remove(key.as_str());
    Some((start, key))
}

/// The same of an array, whose items have no keys.
fn leave_out_of(items: &mut DeArray<'_>, fault: &Range<usize>) -> Option<(usize, String)> {
    let mut at_fault = None;
    for (index, item) in items.iter_mut().enumerate() {
        let span = item.span();
        let within = match item.get_mut() {
            DeValue::Table(inner) if span != *fault => leave_out(inner, span.start, fault),
            _ => None,
        };
        if within.is_some() {
            return within;
        }
        if span.start <= fault.start && fault.end <= span.end {
            at_fault = Some((index, span.start));
        }
    }
    let (at_fault, start) = at_fault?;
    let others = items.iter().enumerate().filter(|(index, _)| *index != at_fault);
    *items = others.map(|(_, item)| item.clone()).collect();
    Some((start, String::new()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct File {
        name: String,
        host: Vec<Host>,
        #[serde(default)]
        moves: Option<Moves>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct Host {
        name: String,
        cores: u32,
        nic: Option<migsim_models::units::BitRate>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what is wrong with it is looked at")]
    struct Moves {
        off: Vec<String>,
    }

    fn faults(text: &str) -> Vec<String> {
        match from_toml::<File>("f.toml".as_ref(), text) {
            Ok(_) => Vec::new(),
            Err(Mistakes(all)) => all
                .iter()
                .map(|e| format!("{} {}", e.place, e.message.lines().last().unwrap_or("")))
                .collect(),
        }
    }

    #[test]
    fn all_faults_of_a_file_are_named_each_with_its_line() {
        let text = "name = 3\nhots = 1\n[[host]]\nname = \"a\"\ncores = \"four\"\nnic = \"10 bananas\"\n\
                    [[host]]\nname = \"b\"\nperhost = 2\n[[host]]\nname = \"c\"\ncores = 4\n[moves]\noff = \"a\"\nof = 1\n";
        let found = faults(text);
        let lines: Vec<&str> = found.iter().map(|f| f.split(' ').next().unwrap_or("")).collect();
        assert_eq!(
            lines,
            [
                "f.toml:1",
                "f.toml:2",
                "f.toml:5",
                "f.toml:6",
                "f.toml:7",
                "f.toml:9",
                "f.toml:14",
                "f.toml:15"
            ],
            "{found:#?}"
        );
        assert!(found[4].contains("missing field `cores`"), "{found:#?}");
        let right = "name = \"x\"\n[[host]]\nname = \"a\"\ncores = 4\n";
        assert!(faults(right).is_empty());
        assert_eq!(faults(&right.replace("cores = 4", "cores = \"4\"")).len(), 1);
    }

    #[test]
    fn faults_of_syntax_are_named_line_by_line() {
        let found = faults("name = \n[[host]]\nname = \"a\ncores = 4\n");
        let lines: Vec<&str> = found.iter().map(|f| f.split(' ').next().unwrap_or("")).collect();
        assert_eq!(lines, ["f.toml:1", "f.toml:3"], "{found:#?}");
    }
}
