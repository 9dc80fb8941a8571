//! `migcal paper`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use migcal::paper::{document, means, pictures};
use migcal::validate::judge;
use migsim_report::file::{Care, PictureOutput};
use migsim_report::format::Told;
use migsim_report::outputs::OutputArgs;
use migsim_report::terminal;

use super::records::{DisturbanceArgs, read};

#[derive(Debug, Args)]
pub(super) struct PaperArgs {
    /// Runs of calibrate/plans/paper.toml
    runs: PathBuf,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    /// Where the pictures go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Parameters of the two hosts [default: the embedded profile]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &PaperArgs) -> anyhow::Result<ExitCode> {
    let profile = terminal::profile(args.profile.as_deref())?;
    let prepared = args.outputs.prepare(Care { inputs: &[&args.runs], ..Care::default() })?;
    let read = read(&[&args.runs], &args.disturbance)?;
    read.warn_of_versions(Some(&profile));
    let judged = judge(&read.runs, &profile);
    for (name, picture) in pictures(&judged) {
        PictureOutput::create(&args.out.join(name), Care::default())?.write(&picture)?;
    }
    let means = means(&judged);
    prepared.write(&Told::new(document(&means), &means, &means))?;
    Ok(ExitCode::SUCCESS)
}
