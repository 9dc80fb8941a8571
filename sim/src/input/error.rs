//! What is wrong with an input, where, and what is accepted.

use std::fmt::{self, Display};
use std::ops::Range;
use std::path::Path as FilePath;

use migsim_models::text::{clipped, shown};
use migsim_models::tree::Fault;

/// Input that cannot be used: where it is, what is wrong, what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// File, and line where there is one.
    pub place: String,
    /// What is wrong, and what is accepted.
    pub message: String,
    /// Of output that could not be written: why.
    pub unwritten: Option<std::io::ErrorKind>,
}

impl InputError {
    /// An error of a whole file, or of the command line.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over errors and strings alike")]
    pub fn new(place: impl Into<String>, message: impl ToString) -> InputError {
        InputError { place: place.into(), message: message.to_string(), unwritten: None }
    }

    /// Output that could not be written.
    pub(crate) fn unwritten(error: impl Into<std::io::Error>) -> InputError {
        let error = error.into();
        InputError { unwritten: Some(error.kind()), ..InputError::new("output", error) }
    }

    /// An error at a place of a text, which starts a line.
    pub(crate) fn at(
        file: &FilePath,
        text: &str,
        offset: usize,
        message: impl ToString,
    ) -> InputError {
        let line = text[..offset.min(text.len())].matches('\n').count() + 1;
        InputError::new(format!("{}:{line}", shown(&file.display().to_string())), message)
    }
}

/// An error of TOML's, with its line; where it is a field that there is none of, with what is known
/// of such.
pub(crate) fn toml_error(file: &FilePath, text: &str, error: &Fault) -> InputError {
    let offset = error.span().map_or(0, |span| span.start);
    // The message repeats the line, which may be as long as the file.
    let mut lines: Vec<String> =
        error.to_string().trim_end().lines().map(|line| clipped(line, MOST_LINE)).collect();
    lines.extend(unknown_field(error.message()));
    InputError::at(file, text, offset, lines.join("\n"))
}

/// What QEMU has and this does not, by a part of what people call it.
const NOT_MODELLED: [(&str, &str); 14] = [
    ("vfio", "devices passed through (VFIO)"),
    ("compress", "compression"),
    ("zero_copy", "zero-copy send"),
    ("dirty_limit", "dirty-limit"),
    ("disk", "storage migration"),
    ("storage", "storage migration"),
    ("rdma", "RDMA"),
    ("colo", "COLO"),
    ("switchover_ack", "the switchover's acknowledgement"),
    ("switchover_bandwidth", "avail-switchover-bandwidth"),
    ("preempt", "post-copy preemption"),
    ("hugepage", "memory in huge pages"),
    ("downtime_step", "Nova's downtime steps"),
    ("per_gib", "a timeout for each GiB"),
];
/// Tables of a fleet's file.
const OF_FLEETS: [&str; 9] =
    ["vm", "host", "rack", "site", "wan", "moves", "move", "inventory", "traffic"];

/// What is to be said of a field that there is none of: it is not modelled yet, or the file is of
/// another kind.
fn unknown_field(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (field, _) = rest.split_once('`')?;
    if OF_FLEETS.contains(&field) {
        return Some(format!("`{field}` belongs to a fleet, which `migsim fleet FILE` moves"));
    }
    if field == "guest" {
        return Some(
            "`guest` belongs to a scenario, which `migsim predict FILE` answers".to_owned(),
        );
    }
    not_modelled(field)
}

/// What is to be said of a key or a flag of that name, where it is of what QEMU, or who runs it,
/// has and this does not.
pub fn not_modelled(name: &str) -> Option<String> {
    let spelt = name.trim_start_matches('-').to_lowercase().replace('-', "_");
    let (_, what) = NOT_MODELLED.iter().find(|(part, _)| {
        // Whole words of it: `colour` is none of them.
        spelt.split('_').any(|word| word == *part) || (part.len() > 4 && spelt.contains(part))
    })?;
    Some(format!("{what} is not modelled yet; without it, a migration without it is answered"))
}

/// The most characters of a line of somebody's file that a message repeats.
const MOST_LINE: usize = 200;

/// Where a table lies: its span may be its header alone, and it goes on until the next table
/// begins.
pub(crate) fn whole_table(text: &str, span: Range<usize>) -> Range<usize> {
    span.start..text[span.end..].find("\n[").map_or(text.len(), |at| span.end + at)
}

/// Where a table's line for `key` starts; the table itself if there is none.
pub(crate) fn line_of_key(text: &str, table: Range<usize>, key: &str) -> usize {
    let mut offset = table.start;
    for line in text[table.clone()].split_inclusive('\n') {
        let rest = line.trim_start().strip_prefix(key);
        if rest.is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return offset;
        }
        offset += line.len();
    }
    table.start
}

/// So many faults are told; who has more has one cause.
const MOST_TOLD: usize = 200;

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<InputError>);

impl Mistakes {
    /// That value, if nothing is wrong.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn or<T>(self, value: T) -> Result<T, Mistakes> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().take(MOST_TOLD).map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        match self.0.len().saturating_sub(MOST_TOLD) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl From<InputError> for Mistakes {
    fn from(error: InputError) -> Mistakes {
        Mistakes(vec![error])
    }
}
