//! `migsim sensitivity`: which unknown the answer hangs on.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use migsim::answer::sensitivity;
use migsim::input::InputError;
use migsim_report::file::{Care, PictureOutput};
use migsim_report::outputs::OutputArgs;
use migsim_report::sensitivity::{picture, told};

use crate::keys::KeyFlags;

use super::{Manner, import};

const EXAMPLES: &str = "\
Examples:
  migsim sensitivity --memory 64GiB --link 25GbE --workload 'dirty(20000p/s)'
  migsim sensitivity scenarios/first.toml --plot hangs-on.svg";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SensitivityArgs {
    /// A scenario of one guest; flags go over what it says
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Draw what matters most
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    keys: KeyFlags,
}

pub(super) fn run(args: &SensitivityArgs) -> anyhow::Result<ExitCode> {
    if args.manner.is_by_pages() {
        bail!(InputError::new("--fidelity", "a sensitivity is asked of expected counts: flow"));
    }
    let between = args.manner.between()?;
    let scenario = import::scenario(args.file.as_deref(), &args.keys.0)?;
    let cases = scenario.cases()?;
    let [case] = cases.as_slice() else {
        bail!(InputError::new(
            "sensitivity",
            format!("the file has {} guests; it takes one", cases.len())
        ))
    };
    let inputs: Vec<&Path> =
        [&args.file, &args.manner.profile].into_iter().filter_map(|file| file.as_deref()).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let drawn = args.plot.as_deref().map(|place| PictureOutput::create(place, care)).transpose()?;
    let prepared = args.outputs.prepare(care)?;
    let hosts = between.over(case.path.capacity);
    let influences = sensitivity(case, &hosts.profile, args.manner.seed);
    prepared.write(&told(&influences))?;
    if let Some(drawn) = drawn {
        drawn.write(&picture(&influences))?;
    }
    Ok(ExitCode::SUCCESS)
}
