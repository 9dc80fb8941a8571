//! Studies that are cut into parts: what the commands that can be cut have in common.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migsim_report::parts::{self, Part, Question};
use migsim_report::program;
use migsim_report::terminal::{self, INTERRUPTED};
use serde_json::Value;

#[derive(Debug, Args)]
pub(super) struct StudyArgs {
    /// Answer a part of it alone, like 3/100, into the folder of --out; `migsim merge` puts the
    /// parts together
    #[arg(long, value_name = "K/N", group = "study", requires = "out", conflicts_with_all = ["plot", "report", "export"])]
    part: Option<Part>,
    /// Print a script that hands the whole study to a cluster instead, in so many --parts
    #[arg(long, value_enum, group = "study", requires = "parts", requires = "out", conflicts_with_all = ["plot", "report", "export"])]
    emit: Option<Engine>,
    /// How many parts that has
    #[arg(long, value_name = "N", requires = "emit", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    parts: Option<u64>,
}

/// Who runs the parts of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    Slurm,
}

/// A study as a whole.
pub(super) struct Whole<'a> {
    /// The folder of its parts.
    pub(super) folder: &'a Path,
    /// csv or jsonl.
    pub(super) format: &'a str,
    pub(super) rows: u64,
    /// All that its answer follows from.
    pub(super) asked: Value,
}

impl StudyArgs {
    /// Whether a part of it is asked, or a script for all.
    pub(super) fn is_asked(&self) -> bool {
        self.part.is_some() || self.emit.is_some()
    }

    /// Answers a part into its file, which is there when it is whole, or prints the script. `write`
    /// writes these rows, and says whether it came to their end.
    pub(super) fn go(
        &self,
        whole: Whole,
        write: impl FnOnce(Range<u64>, &mut dyn Write) -> anyhow::Result<bool>,
    ) -> anyhow::Result<ExitCode> {
        let Whole { folder, format, rows, asked } = whole;
        let Some(part) = self.part else {
            let parts = self.parts.unwrap_or(1);
            let command = program::command_without(&["--emit", "--parts"]);
            // A folder's name may have a dot of its own.
            let mut to = folder.as_os_str().to_owned();
            to.push(format!(".{format}"));
            let command = format!("{command} --part $PART/{parts}");
            terminal::print(&parts::slurm(&command, parts, folder, &PathBuf::from(to)))?;
            return Ok(ExitCode::SUCCESS);
        };
        let (version, format) = (program::version().to_owned(), format.to_owned());
        let question = Question { version, format, rows, parts: part.of, asked };
        let Some(mut writing) = parts::begin(folder, part, &question)? else {
            terminal::complain(&format!("part {part} is in {} already", folder.display()));
            return Ok(ExitCode::SUCCESS);
        };
        if write(part.rows(rows), &mut *writing.writer()?)? {
            writing.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        terminal::complain(&format!("interrupted: part {part} was not written"));
        Ok(ExitCode::from(INTERRUPTED))
    }
}
