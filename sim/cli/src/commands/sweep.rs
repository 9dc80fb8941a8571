//! `migsim sweep`: what one or two numbers do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::bail;
use clap::Args;
use migsim::answer::sweep::{Manner, Range, sweep};
use migsim::input::{InputError, Scenario};
use migsim_report::outputs::OutputArgs;
use migsim_report::plot;
use migsim_report::sweep::Swept;

use crate::keys::KeyFlags;

use migsim_report::file::{Care, PictureOutput};
use migsim_report::terminal::{self, INTERRUPTED, interruptible};

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// A scenario of one guest; flags go over what it says
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// What is varied: KEY=FROM..TO:N, with :log for steps of equal ratio, or KEY=A,B,C; any key of a scenario or a profile, `wss`, or
    /// `rate` (all terms' writes together; of a curve, those of the classes that fit it)
    #[arg(long, required = true, value_name = "KEY=FROM..TO:N")]
    vary: Vec<Range>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Draw total time and downtime, with the border of convergence
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// Say how sure each point is, in some sixty times the time
    #[arg(long)]
    intervals: bool,
    /// Where memory is varied: what is touched keeps its share of it, instead of its size
    #[arg(long)]
    touched_in_proportion: bool,
    #[command(flatten)]
    manner: super::Manner,
    #[command(flatten)]
    keys: KeyFlags,
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<ExitCode> {
    if args.vary.len() > 2 && args.plot.is_some() {
        bail!(InputError::new("--plot", "three ranges and more cannot be drawn; it takes one or two"));
    }
    let profile = args.manner.profile()?;
    let mut scenario = match &args.file {
        Some(file) => Scenario::read(file, &args.keys.0)?,
        None => Scenario::from_flags(&args.keys.0),
    };
    let inputs: Vec<&std::path::Path> =
        [&args.file, &args.manner.profile].into_iter().filter_map(|file| file.as_deref()).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let picture = args.plot.as_deref().map(|place| PictureOutput::create(place, care)).transpose()?;
    let prepared = args.outputs.prepare(care)?;
    let count = args.vary.iter().map(|range| range.values.len() as u64).fold(1, u64::saturating_mul);
    let bar = terminal::progress(count, "{bar:40} {pos}/{len} points, {eta} left");
    let manner = Manner {
        profile: &profile,
        fidelity: args.manner.fidelity(),
        intervals: args.intervals,
        touched_in_proportion: args.touched_in_proportion,
    };
    let interrupted = interruptible()?;
    let points = sweep(&mut scenario, &args.vary, manner, || {
        bar.inc(1);
        !interrupted.load(Ordering::Relaxed)
    })?;
    bar.finish_and_clear();
    terminal::finishing();
    if interrupted.load(Ordering::Relaxed) {
        terminal::complain(&format!("interrupted: nothing is printed of {} points of {count}", points.len()));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    prepared.write(&Swept { points: &points, ranges: &args.vary })?;
    if let Some(picture) = picture {
        picture.write(&plot::sweep(&points, &args.vary))?;
    }
    Ok(ExitCode::SUCCESS)
}
