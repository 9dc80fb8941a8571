//! Questions by the million: JSON Lines in, JSON Lines out.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::Ordering;

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::{BATCH, Job};
use crate::answer::median_run;
use crate::answer::shape::{Figures, SCHEMA};
use crate::input::{Case, InputError, JsonQuestion};

/// The answer to a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BatchAnswer {
    /// Version of this shape.
    pub schema: u32,
    /// The line that asked, counted from 1.
    pub line: u64,
    /// Its `id`, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Value>,
    /// What comes of it.
    #[serde(flatten)]
    pub found: BatchFound,
}

/// What comes of a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum BatchFound {
    /// An answer.
    Found {
        /// The guest.
        name: String,
        /// The figures.
        #[serde(flatten)]
        figures: Box<Figures>,
    },
    /// The question cannot be.
    Refused {
        /// What is wrong, and what is accepted.
        error: String,
    },
}

/// How a batch was gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchReport {
    /// Questions answered.
    pub answered: u64,
    /// Questions that could not be read.
    pub refused: u64,
    /// Whether it was interrupted: what was written so far is whole lines.
    pub interrupted: bool,
}

/// The longest line, in bytes.
const MOST_LINE: u64 = 16 << 20;

/// Answers every line of `input` on `output`, in order: what has arrived is answered together, on
/// all processors, and nothing waits for more. `progress` hears how many lines are done.
///
/// # Errors
/// The input cannot be read, or the output cannot be written.
pub fn predict_batch(
    job: &Job,
    input: impl Read,
    mut output: impl Write,
    mut progress: impl FnMut(u64),
) -> Result<BatchReport, InputError> {
    let mut input = BufReader::with_capacity(1 << 20, input);
    let mut report = BatchReport::default();
    let (mut line, mut questions) = (0, 0);
    loop {
        let mut lines: Vec<(u64, String)> = Vec::new();
        // The first line is waited for, further ones are taken as far as they are there.
        while lines.is_empty() || lines.len() < BATCH && input.buffer().contains(&b'\n') {
            let mut text = String::new();
            let read = (&mut input).take(MOST_LINE).read_line(&mut text);
            let place = || format!("{}:{}", job.file, line + 1);
            match read.map_err(|error| InputError::new(place(), error))? {
                0 => break,
                read if read as u64 == MOST_LINE => {
                    return Err(InputError::new(
                        place(),
                        format!("is longer than {} MiB, the most that is read", MOST_LINE >> 20),
                    ));
                }
                _ => line += 1,
            }
            if !text.trim().is_empty() {
                if job.is_own(questions) {
                    lines.push((line, text));
                }
                questions += 1;
            }
        }
        if lines.is_empty() || job.interrupted.load(Ordering::Relaxed) {
            break;
        }
        let answers: Vec<(bool, String)> =
            lines.par_iter().map(|(line, text)| answer(job, *line, text)).collect();
        for (answered, text) in answers {
            *(if answered { &mut report.answered } else { &mut report.refused }) += 1;
            output.write_all(text.as_bytes()).map_err(InputError::unwritten)?;
        }
        output.flush().map_err(InputError::unwritten)?;
        progress(line);
    }
    report.interrupted = job.interrupted.load(Ordering::Relaxed);
    Ok(report)
}

/// How many questions a batch has: lines that are not blank.
///
/// # Errors
/// It cannot be read.
pub fn count_questions(file: &str, input: impl Read) -> Result<u64, InputError> {
    let mut count = 0;
    for line in BufReader::with_capacity(1 << 20, input).split(b'\n') {
        let line = line.map_err(|error| InputError::new(file, error))?;
        count += u64::from(!line.trim_ascii().is_empty());
    }
    Ok(count)
}

fn answer(job: &Job, line: u64, text: &str) -> (bool, String) {
    let question = JsonQuestion::parse(text);
    let id = question.as_ref().ok().and_then(|question| question.id.clone());
    let case = question
        .and_then(|question| Case::build(&question.keys).map_err(|error| error.to_string()));
    let found = case.and_then(|case| {
        job.fidelity.check(&case.guest)?;
        let hosts = job.between.over(case.path.capacity);
        let (outcome, offsets) = median_run(&case, &hosts.profile, job.fidelity);
        let sure = job.sure(hosts, &case, &outcome);
        let figures = Box::new(Figures::new(&case, &outcome, offsets, sure.as_ref()));
        Ok(BatchFound::Found { name: case.guest.name, figures })
    });
    let answered = found.is_ok();
    let found = found.unwrap_or_else(|error| BatchFound::Refused { error });
    let said = BatchAnswer { schema: SCHEMA, line, id, found };
    // Shapes have string keys and finite numbers: writing them cannot fail.
    (answered, serde_json::to_string(&said).unwrap_or_default() + "\n")
}
