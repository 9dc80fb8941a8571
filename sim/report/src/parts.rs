//! Studies that are cut into parts, which may be answered on different machines, and put together
//! again: byte for byte what one run writes.
//!
//! A folder holds `question.json`, what is asked, and a file for each part that is whole. A part is
//! known by its number alone: what is asked of it follows from that and the question.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use migsim::input::{InputError, shown};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::file::{Care, Output};

/// The most parts of a study.
const MOST: u64 = 1_000_000;
/// The file that says what is asked.
const QUESTION: &str = "question.json";

/// A part of a study, like `3/100`: the third of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// From 1 to `of`.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let read = || {
            let (number, of) = text.split_once('/')?;
            let part = Part { number: number.parse().ok()?, of: of.parse().ok()? };
            ((1..=part.of).contains(&part.number) && part.of <= MOST).then_some(part)
        };
        read().ok_or_else(|| {
            format!("it takes a part and how many there are, like 3/100, from 1/1 to {MOST}/{MOST}")
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Part {
    /// Which of so many rows are its own, from 0 on.
    pub fn rows(self, count: u64) -> Range<u64> {
        let until = |part: u64| (u128::from(part) * u128::from(count) / u128::from(self.of)) as u64;
        until(self.number - 1)..until(self.number)
    }

    fn file(self, question: &Question) -> String {
        format!("{}-of-{}.{}", self.number, self.of, question.format)
    }
}

/// What a study asks, in how many rows and parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Of which program: figures are a version's.
    pub version: String,
    /// csv or jsonl.
    pub format: String,
    /// Rows in all.
    pub rows: u64,
    /// Parts in all.
    pub parts: u64,
    /// What was asked, all of it.
    pub asked: Value,
}

/// What tells a file from every other one (SHA-256).
///
/// # Errors
/// It cannot be read.
pub fn digest(mut input: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut input, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Begins a part of a study in a folder; `None`: it is there already.
///
/// # Errors
/// The folder cannot be written, or has parts of another question.
pub fn begin(folder: &Path, part: Part, question: &Question) -> anyhow::Result<Option<Output>> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let place = folder.join(QUESTION);
    if place.exists() {
        let there = read(&place)?;
        if there != *question {
            return Err(InputError::new(
                shown(&place.display().to_string()),
                format!(
                    "the folder has parts of another question: {} differs; it takes an empty folder",
                    difference(&there, question)
                ),
            )
            .into());
        }
    } else {
        let text = serde_json::to_string_pretty(question)? + "\n";
        Output::create(&place, Care::default())?.write(text.as_bytes())?;
    }
    let file = folder.join(part.file(question));
    Ok(if file.exists() { None } else { Some(Output::create(&file, Care::default())?) })
}

fn read(place: &Path) -> anyhow::Result<Question> {
    let wrong = |why: String| InputError::new(shown(&place.display().to_string()), why);
    let text = fs::read_to_string(place)
        .map_err(|e| wrong(format!("{e}; `--part` of a study writes it")))?;
    Ok(serde_json::from_str(&text).map_err(|e| wrong(format!("is no question: {e}")))?)
}

/// The first thing that differs.
fn difference(a: &Question, b: &Question) -> String {
    let [a, b] = [a, b].map(|question| serde_json::to_value(question).unwrap_or_default());
    fn within(a: &Value, b: &Value, at: &str) -> Option<String> {
        match (a, b) {
            (Value::Object(x), Value::Object(y)) => {
                x.keys().chain(y.keys()).find_map(|key| match (x.get(key), y.get(key)) {
                    (Some(x), Some(y)) => within(x, y, key),
                    _ => Some(key.clone()),
                })
            }
            _ => (a != b).then(|| at.to_owned()),
        }
    }
    within(&a, &b, "question").unwrap_or_default()
}

/// Puts the parts in a folder together; returns those that are missing, and then writes nothing.
///
/// # Errors
/// A file cannot be read or written, or a part has not the rows that it should have.
pub fn merge(folder: &Path, to: &Path) -> anyhow::Result<Vec<Part>> {
    let place = folder.join(QUESTION);
    let question = read(&place)?;
    let parts = || (1..=question.parts).map(|number| Part { number, of: question.parts });
    let file = |part: Part| folder.join(part.file(&question));
    let missing: Vec<Part> = parts().filter(|part| !file(*part).exists()).collect();
    if !missing.is_empty() {
        return Ok(missing);
    }
    let files: Vec<PathBuf> = parts().map(file).chain([place]).collect();
    let inputs: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut out = Output::create(to, Care { inputs: &inputs, ..Care::default() })?;
    let mut writer = out.writer()?;
    for part in parts() {
        let file = file(part);
        let has = append(&file, &question, part.number == 1, &mut *writer)
            .with_context(|| file.display().to_string())?;
        let should = part.rows(question.rows).count() as u64;
        if has != should {
            return Err(InputError::new(
                shown(&file.display().to_string()),
                format!("has {has} rows for {should}; remove it and answer part {part} again"),
            )
            .into());
        }
    }
    drop(writer);
    out.finish()?;
    Ok(missing)
}

/// Copies a part, its header if it is the first; returns its rows.
fn append(
    file: &Path,
    question: &Question,
    first: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u64> {
    let mut lines = BufReader::with_capacity(1 << 20, fs::File::open(file)?);
    let mut line = Vec::new();
    let mut rows = 0;
    let csv = question.format == "csv";
    let (mut header, mut within) = (csv, false);
    while lines.read_until(b'\n', &mut line)? > 0 {
        if first || !header {
            out.write_all(&line)?;
        }
        // A cell in quotes may go on in the next line.
        within ^= csv && line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        // What does not end is cut off, and no row.
        rows += u64::from(!header && !within && line.ends_with(b"\n"));
        header = false;
        line.clear();
    }
    Ok(rows)
}

/// A script that hands a study to Slurm: its parts as an array of jobs, and what puts them together.
/// `command` is one part's, with `$PART` where its number goes.
pub fn slurm(command: &str, parts: u64, folder: &Path, to: &Path) -> String {
    let [folder, to] = [folder, to].map(|path| crate::program::word(&path.display().to_string()));
    format!(
        "#!/bin/bash\n\
         # Submits a study to Slurm: bash THIS. Run it again for parts that failed: those that are there stay.\n\
         # Nodes share this folder; options of sbatch (--partition, --time) may be added to both.\n\
         set -euo pipefail\n\
         array=$(sbatch --parsable --job-name=migsim --array=1-{parts} --requeue <<'PART'\n\
         #!/bin/bash\n\
         set -euo pipefail\n\
         export RAYON_NUM_THREADS=${{SLURM_CPUS_PER_TASK:-1}}\n\
         PART=$SLURM_ARRAY_TASK_ID\n\
         {command}\n\
         PART\n\
         )\n\
         # Whatever became of them: it says which parts are missing.\n\
         sbatch --parsable --job-name=migsim-merge --dependency=afterany:$array <<'MERGE'\n\
         #!/bin/bash\n\
         migsim merge {folder} --out {to}\n\
         MERGE\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_all_rows_once_and_are_alike_in_size() {
        for (count, of) in [(0, 3), (1, 3), (10, 3), (1_000_003, 50), (u64::MAX, 7)] {
            let mut next = 0;
            for number in 1..=of {
                let rows = Part { number, of }.rows(count);
                assert_eq!(rows.start, next);
                assert!((rows.end - rows.start).abs_diff(count / of) <= 1);
                next = rows.end;
            }
            assert_eq!(next, count);
        }
    }

    #[test]
    fn a_part_is_read_as_people_write_it_and_nothing_else() {
        assert_eq!("3/100".parse(), Ok(Part { number: 3, of: 100 }));
        for wrong in ["", "3", "0/3", "4/3", "1/0", "-1/3", "1/2/3", "1/1000001", "a/b"] {
            assert!(wrong.parse::<Part>().unwrap_err().contains("3/100"), "{wrong}");
        }
    }
}
