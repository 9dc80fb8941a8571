//! `migcal paper`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use migcal::noise::read_records;
use migcal::paper::{pictures, predicted, table};
use migsim::scenario::read_profile;
use migsim::terminal::{self, WholeFile};
use migsim_models::profile::Profile;

#[derive(Debug, Args)]
pub(super) struct PaperArgs {
    /// Runs of calibrate/plans/paper.toml
    runs: PathBuf,
    /// Where the pictures go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Parameters of the two hosts [default: the embedded profile]
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
}

pub(super) fn run(args: &PaperArgs) -> anyhow::Result<ExitCode> {
    let profile = args.profile.as_ref().map_or(Ok(Profile::default()), |file| read_profile(file))?;
    let pairs = predicted(&args.runs.display().to_string(), &read_records(&args.runs)?, &profile)?;
    for (name, svg) in pictures(&pairs) {
        WholeFile::create(&args.out.join(name))?.write(&svg)?;
    }
    terminal::print(&table(&pairs))?;
    Ok(ExitCode::SUCCESS)
}
