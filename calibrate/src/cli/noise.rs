//! `migcal noise`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use migcal::noise::noise;
use migsim::scenario::InputError;
use migsim::terminal;

use super::records::read;

#[derive(Debug, Args)]
pub(super) struct NoiseArgs {
    /// Run records
    runs: PathBuf,
}

pub(super) fn run(args: &NoiseArgs) -> anyhow::Result<ExitCode> {
    let found = noise(&read(&[&args.runs])?.runs);
    if found.spreads.is_empty() {
        let file = args.runs.display().to_string();
        return Err(
            InputError::new(file, "has no configuration that was run twice; a design takes `repeats = 5`").into()
        );
    }
    terminal::print(&found.table())?;
    Ok(ExitCode::SUCCESS)
}
