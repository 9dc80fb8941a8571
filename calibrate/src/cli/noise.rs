//! `migcal noise`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migcal::noise::noise;
use migsim::input::InputError;
use migsim_report::file::Care;
use migsim_report::format::Told;
use migsim_report::outputs::OutputArgs;

use super::records::{DisturbanceArgs, read};

#[derive(Debug, Args)]
pub(super) struct NoiseArgs {
    /// Run records
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &NoiseArgs) -> anyhow::Result<ExitCode> {
    let inputs: Vec<&Path> = args.runs.iter().map(PathBuf::as_path).collect();
    let prepared = args.outputs.prepare(Care { inputs: &inputs, ..Care::default() })?;
    let found = noise(&read(&args.runs, &args.disturbance)?.runs);
    if found.spreads.is_empty() {
        let files: Vec<String> = args.runs.iter().map(|file| file.display().to_string()).collect();
        let why = format!(
            "has no configuration of which two runs are left; a design takes `repeats = 5`. {}",
            found.left_out()
        );
        return Err(InputError::new(files.join(", "), why).into());
    }
    prepared.write(&Told::new(found.document(), &found, &found.spreads))?;
    Ok(ExitCode::SUCCESS)
}
