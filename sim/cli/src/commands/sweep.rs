//! `migsim sweep`: what one or two numbers do.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::Args;
use migsim::answer::Between;
use migsim::answer::sweep::{MOST_POINTS, Manner, Point, Range, Sweep};
use migsim::input::{InputError, Keys, Scenario};
use migsim_report::format::Rows;
use migsim_report::outputs::OutputArgs;
use migsim_report::sweep::{Swept, columns, row};
use migsim_report::{page, plot};
use serde_json::{Value, json};

use super::import;
use super::study::{StudyArgs, Whole};
use crate::keys::KeyFlags;

use migsim_report::file::{Care, Output, PictureOutput};
use migsim_report::terminal::{self, INTERRUPTED, interruptible};

const EXAMPLES: &str = "\
Examples:
  migsim sweep scenarios/first.toml --vary 'rate=1000p/s..60000p/s:40' --plot rate.svg
  migsim sweep scenarios/first.toml --vary 'link=1Gbit/s..100Gbit/s:20:log' --vary 'touched=1GiB..4GiB:7' --plot map.svg
  migsim sweep scenarios/first.toml --vary mode=precopy,postcopy,offline --format markdown";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct SweepArgs {
    /// A scenario of one guest; flags go over what it says
    #[arg(value_name = "FILE.toml")]
    file: Option<PathBuf>,
    /// What is varied: KEY=FROM..TO:N, with :log for steps of equal ratio, or KEY=A,B,C; any key
    /// of a scenario or a profile, `wss`, or `rate` (all terms' writes together; of a curve,
    /// those of the classes that fit it)
    #[arg(long, required = true, value_name = "KEY=FROM..TO:N")]
    vary: Vec<Said>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Draw total time and downtime, with the border of convergence
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// A page that needs no network, with one range as lines or two as a map, to look closer in
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Say how sure each point is, in some sixty times the time
    #[arg(long)]
    intervals: bool,
    #[command(flatten)]
    study: StudyArgs,
    /// The folder of a study's parts
    #[arg(long, value_name = "DIR", requires = "study")]
    out: Option<PathBuf>,
    /// Where memory is varied: what is touched keeps its share of it, instead of its size
    #[arg(long)]
    touched_in_proportion: bool,
    #[command(flatten)]
    manner: super::Manner,
    #[command(flatten)]
    keys: KeyFlags,
}

/// A range, and how it was written.
#[derive(Debug, Clone)]
struct Said {
    range: Range,
    text: String,
}

impl std::str::FromStr for Said {
    type Err = <Range as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Said, Self::Err> {
        Ok(Said { range: text.parse()?, text: text.to_owned() })
    }
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<ExitCode> {
    if args.vary.len() > 2 && (args.plot.is_some() || args.report.is_some()) {
        bail!(InputError::new(
            "--plot and --report",
            "three ranges and more cannot be drawn; it takes one or two"
        ));
    }
    let ranges: Vec<Range> = args.vary.iter().map(|said| said.range.clone()).collect();
    let between = args.manner.between()?;
    let scenario = import::scenario(args.file.as_deref(), &args.keys.0)?;
    let inputs: Vec<&std::path::Path> =
        [&args.file, &args.manner.profile].into_iter().filter_map(|file| file.as_deref()).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let picture =
        args.plot.as_deref().map(|place| PictureOutput::create(place, care)).transpose()?;
    let report = args.report.as_deref().map(|place| Output::create(place, care)).transpose()?;
    let prepared = args.outputs.prepare(care)?;
    let manner = Manner {
        between: &between,
        fidelity: args.manner.fidelity(),
        intervals: args.intervals,
        touched_in_proportion: args.touched_in_proportion,
    };
    let whole = picture.is_some() || report.is_some();
    let rows = prepared.rows(columns(&ranges)).filter(|_| !whole);
    let sweep = Sweep::new(&scenario, &ranges, manner)?;
    let count = sweep.count();
    if rows.is_none() && count > MOST_POINTS as u64 {
        bail!(InputError::new(
            "--vary",
            format!(
                "{count} points in all; it takes up to {MOST_POINTS}, or any number with `--format csv` or `--format jsonl` and \
                 neither --export nor --plot nor --report"
            )
        ));
    }
    let interrupted = interruptible()?;
    if let Some(folder) = args.out.as_deref().filter(|_| args.study.is_asked()) {
        let Some(rows) = rows.as_deref() else {
            bail!(InputError::new(
                "--part and --emit",
                "rows are written one by one: they take --format csv or jsonl"
            ));
        };
        let asked = asked(args, &scenario, &between)?;
        let whole = Whole { folder, format: args.outputs.ending(), rows: count, asked };
        return args.study.go(whole, |own, out| {
            match stream(&sweep, own, rows, out, &interrupted) {
                Ok(()) => Ok(true),
                Err(Stopped::Interrupted(_)) => Ok(false),
                Err(Stopped::Failed(error)) => Err(error),
            }
        });
    }
    if let Some(rows) = rows {
        return print(&sweep, &*rows, &interrupted);
    }
    let bar = terminal::progress(count, "{bar:40} {pos}/{len} points, {eta} left");
    let goes_on = || {
        bar.inc(1);
        !interrupted.load(Ordering::Relaxed)
    };
    let points: Vec<Point> = sweep.answer(goes_on);
    bar.finish_and_clear();
    terminal::finishing();
    if interrupted.load(Ordering::Relaxed) {
        terminal::complain(&format!(
            "interrupted: nothing is printed of {} points of {count}",
            points.len()
        ));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    prepared.write(&Swept { points: &points, ranges: &ranges, between: &between })?;
    if let Some(picture) = picture {
        picture.write(&plot::sweep(&points, &ranges))?;
    }
    if let Some(file) = report {
        let mut made = page::about(args.manner.profile.as_deref(), args.manner.manager.manager)?;
        page::ask(&mut made, scenario.keys());
        let said: Vec<String> = args.vary.iter().map(|said| said.text.clone()).collect();
        page::vary(&mut made, &ranges, &said);
        let profile = points
            .iter()
            .find_map(|point| point.found.as_ref().ok())
            .map(|found| between.over(found.case.path.capacity).profile.name.clone());
        made.made = Some(page::made(Some(args.manner.seed), &profile.unwrap_or_default(), None));
        file.write(made.html().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All that an answer follows from.
fn asked(args: &SweepArgs, scenario: &Scenario, between: &Between) -> anyhow::Result<Value> {
    let keys: Vec<&Keys> = scenario.keys().collect();
    let profile = super::said(between)?;
    let vary: Vec<&str> = args.vary.iter().map(|said| said.text.as_str()).collect();
    Ok(json!({
        "scenario": keys.iter().map(|keys| keys.flat()).collect::<Vec<_>>(),
        "vary": vary,
        "intervals": args.intervals,
        "touched_in_proportion": args.touched_in_proportion,
        "fidelity": format!("{:?}", args.manner.fidelity()),
        "profile": profile,
    }))
}

/// Prints each point when its turn has come.
fn print(sweep: &Sweep, rows: &dyn Rows, interrupted: &AtomicBool) -> anyhow::Result<ExitCode> {
    let made = stream(sweep, 0..sweep.count(), rows, &mut std::io::stdout().lock(), interrupted);
    match made {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(Stopped::Failed(error)) => Err(error),
        Err(Stopped::Interrupted(done)) => {
            terminal::complain(&format!(
                "interrupted: {done} of {} points were printed",
                sweep.count()
            ));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Why not all rows were written.
enum Stopped {
    Failed(anyhow::Error),
    /// After so many.
    Interrupted(u64),
}

/// Writes a row for each of these points, with a header before them.
fn stream(
    sweep: &Sweep,
    points: std::ops::Range<u64>,
    rows: &dyn Rows,
    out: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<(), Stopped> {
    let bar =
        terminal::progress(points.end - points.start, "{bar:40} {pos}/{len} points, {eta} left");
    let mut out = std::io::BufWriter::with_capacity(1 << 16, out);
    let failed = |error: std::io::Error| Stopped::Failed(error.into());
    out.write_all(&rows.header().map_err(Stopped::Failed)?).map_err(failed)?;
    let mut done = 0_u64;
    let made = sweep.stream_part(
        points,
        |point| rows.row(&row(&point, sweep.ranges())),
        |line| {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Stopped::Interrupted(done));
            }
            out.write_all(&line.map_err(Stopped::Failed)?).map_err(failed)?;
            done += 1;
            bar.inc(1);
            Ok(())
        },
    );
    bar.finish_and_clear();
    out.flush().map_err(failed)?;
    made
}
