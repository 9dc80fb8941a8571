//! `migsim sweep`: what one or two numbers do.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use migsim::report::{csv, json, plot, table};
use migsim::scenario::{InputError, Keys, Scenario};
use migsim::sweep::{Range, sweep};

use super::{Format, Manner};
use migsim::terminal::{self, WholeFile};

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// A scenario of one guest; flags go over what it says
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// What is varied: KEY=FROM..TO:N, with :log for steps of equal ratio; once or twice
    #[arg(long, required = true, value_name = "KEY=FROM..TO:N")]
    vary: Vec<Range>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draw total time and downtime, with the border of convergence
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    keys: Keys,
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<ExitCode> {
    if args.vary.len() > 2 {
        bail!(InputError::new("--vary", "three ranges and more cannot be drawn or read; it takes one or two"));
    }
    let profile = args.manner.profile()?;
    let mut scenario = match &args.file {
        Some(file) => Scenario::read(file, &args.keys)?,
        None => Scenario::from_flags(&args.keys),
    };
    let picture = args.plot.as_deref().map(WholeFile::create).transpose()?;
    let count: usize = args.vary.iter().map(|range| range.points().len()).product();
    let bar = terminal::progress(count as u64, "{bar:40} {pos}/{len} points, {eta} left");
    let points = sweep(&mut scenario, &args.vary, &profile, args.manner.fidelity(), || bar.inc(1))?;
    bar.finish_and_clear();
    terminal::print(&match args.format {
        Format::Table => table::sweep(&points, &args.vary),
        Format::Json => json::sweep(&points, &args.vary),
        Format::Csv => csv::sweep(&points, &args.vary).context("writing CSV")?,
    })?;
    if let Some(picture) = picture {
        picture.write(&plot::sweep(&points, &args.vary))?;
    }
    Ok(ExitCode::SUCCESS)
}
