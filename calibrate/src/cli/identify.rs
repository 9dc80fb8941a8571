//! `migcal identify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migcal::fit::{Held, likelihood};
use migsim_report::document::{Document, Grid};
use migsim_report::file::Care;
use migsim_report::format::Told;
use migsim_report::outputs::OutputArgs;
use migsim_report::terminal;

use super::records::{DisturbanceArgs, read};
use super::table::parameter;

#[derive(Debug, Args)]
pub(super) struct IdentifyArgs {
    /// The run records that the profile was fitted to
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// The profile, a file that `migcal fit` wrote or one of `migsim profile`'s names
    #[arg(long, value_name = "PROFILE.toml", default_value = "lab")]
    profile: PathBuf,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &IdentifyArgs) -> anyhow::Result<ExitCode> {
    let profile = terminal::profile(Some(&args.profile))?;
    let inputs: Vec<&Path> =
        args.runs.iter().map(PathBuf::as_path).chain([&*args.profile]).collect();
    let prepared = args.outputs.prepare(Care { inputs: &inputs, ..Care::default() })?;
    let read = read(&args.runs, &args.disturbance)?;
    let interrupted = terminal::interruptible()?;
    let bar = terminal::progress(1000, "{bar:30} {percent} %, {eta} left  holding parameters off");
    let held = likelihood(&read.runs, &profile, &interrupted, &|done| {
        bar.set_position((done * 1000.0) as u64);
    })?;
    bar.finish_and_clear();
    prepared.write(&Told::new(describe(&held), &held, &held))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(held: &[Held]) -> Document {
    let header = [
        "parameter",
        "estimate",
        "standard error (refits)",
        "95 % interval (likelihood)",
        "the runs determine it",
    ];
    let mut table = Grid::new(&header, 1..);
    for one in held {
        let [low, high] = one.interval;
        let interval = match (low, high) {
            (Some(low), Some(high)) => format!("{} to {}", parameter(low), parameter(high)),
            (Some(low), None) => format!("above {}", parameter(low)),
            (None, Some(high)) => format!("below {}", parameter(high)),
            (None, None) => "none".to_owned(),
        };
        let determined = if one.is_determined() { "yes" } else { "no" };
        table.row([
            one.key.to_owned(),
            parameter(one.value),
            parameter(one.error),
            interval,
            determined.to_owned(),
        ]);
    }
    let mut out = Document::default();
    out.table(table).text(
        "in seconds, bytes, pages and shares. Each parameter is held off its estimate by up to three standard errors, and all\n\
         others are sought anew: a bound is where the errors of all runs grow as much as chance allows at 95 %.\n",
    );
    out
}
