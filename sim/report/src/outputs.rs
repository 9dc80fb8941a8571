//! Where an answer goes, and in which formats: `--format` and `--export`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::file::{Care, Output};
use crate::format::{Answered, FORMATS, Format, Rows, by_ending, by_name, on_screen};
use crate::terminal;

/// The flags of commands that answer in any format.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// What is printed
    #[arg(long, value_name = "FORMAT", default_value = "table", value_parser = parser())]
    format: Printed,
    #[arg(long, value_name = "FILE", help = export_help())]
    export: Vec<PathBuf>,
}

fn export_help() -> String {
    let endings = FORMATS.iter().flat_map(|format| format.endings());
    let endings: Vec<String> = endings.map(|ending| format!(".{ending}")).collect();
    format!(
        "Write the answer to a file too, in the format of its ending ({}); may be given several times",
        endings.join(", ")
    )
}

/// The format that is printed.
#[derive(Clone, Copy)]
struct Printed(&'static dyn Format);

impl std::fmt::Debug for Printed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

fn parser() -> impl TypedValueParser<Value = Printed> {
    let names = PossibleValuesParser::new(FORMATS.map(Format::name));
    names.map(|name| Printed(by_name(&name).unwrap_or(FORMATS[0])))
}

/// Files that are to be written, known to be writable.
pub struct Prepared {
    format: &'static dyn Format,
    files: Vec<(&'static dyn Format, Output)>,
}

impl OutputArgs {
    /// How files of the format that is printed end.
    pub fn ending(&self) -> &'static str {
        self.format.0.endings()[0]
    }

    /// Prepares the files, before the work.
    ///
    /// # Errors
    /// An ending says no format, or a file may not be written.
    pub fn prepare(&self, care: Care) -> anyhow::Result<Prepared> {
        let file = |place: &PathBuf| Ok((by_ending(place)?, Output::create(place, care)?));
        Ok(Prepared {
            format: self.format.0,
            files: self.export.iter().map(file).collect::<anyhow::Result<_>>()?,
        })
    }

    /// Whether people read what is printed.
    pub fn is_table(&self) -> bool {
        self.format.0.name() == FORMATS[0].name()
    }

    /// Whether it is asked for more than the table.
    pub fn is_given(&self) -> bool {
        !self.is_table() || !self.export.is_empty()
    }
}

impl Prepared {
    /// How an answer too long to be kept is printed row by row; `None`: a format, or a file beside,
    /// needs all of it.
    pub fn rows(&self, columns: Vec<String>) -> Option<Box<dyn Rows>> {
        self.format.rows(columns).filter(|_| self.files.is_empty())
    }

    /// Prints the answer and writes the files.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn write(self, answer: &dyn Answered) -> anyhow::Result<()> {
        terminal::print(&on_screen(answer, self.format, terminal::screen())?)?;
        for (format, mut file) in self.files {
            format.write(answer, &mut *file.writer()?)?;
            file.finish()?;
        }
        Ok(())
    }
}
