//! `migcal faults`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use migcal::faults::{Checked, Series, Trial, read_report, summary};
use migcal::lab::{Lab, down};
use migsim::input::InputError;
use migsim_report::file::{Care, Output};
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED};

use super::lab::swept;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    /// How many trials, 1 to 100000: each strikes a command once, at a random moment
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Of what is struck, with what, and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the report to this file, and go on with one that is there
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
    /// Make the trials of one part of so many, as 1/2: parts run beside each other
    #[arg(long, value_name = "I/N", value_parser = part, default_value = "1/1")]
    part: (usize, usize),
    /// Make this one trial alone
    #[arg(long, value_name = "NUMBER")]
    only: Option<usize>,
}

fn part(text: &str) -> Result<(usize, usize), String> {
    let pair = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    pair.filter(|(i, n)| (1..=*n).contains(i))
        .ok_or_else(|| "it takes a part of so many, as 1/2".to_owned())
}

pub(super) fn run(args: &FaultsArgs) -> anyhow::Result<ExitCode> {
    if !(1..=100_000).contains(&args.runs) {
        return Err(
            InputError::new("--runs", format!("`{}`: it takes 1 to 100000", args.runs)).into()
        );
    }
    let mut rows = args.out.as_ref().map_or(Ok(Vec::new()), |file| read_report(file, args.seed))?;
    let wanted = args.only.map_or(1..=args.runs, |only| only..=only);
    let numbers: Vec<usize> = wanted
        .filter(|number| number % args.part.1 == args.part.0 % args.part.1)
        .filter(|number| rows.iter().all(|row| row.number != *number))
        .collect();
    let interrupted = terminal::interruptible()?;
    swept();
    let name = format!("faults-{}", std::process::id());
    // Each trial holds the lab for itself, so that commands can use it between.
    drop(Lab::up_for_me(&name, Series::link())?);
    let series = Series::new(&name, args.seed, &std::env::current_exe()?, &interrupted);
    let bar =
        terminal::progress(numbers.len() as u64, "{bar:30} {pos}/{len} trials, {eta} left  {msg}");
    let (mut clean, mut failure) = (true, None);
    for number in numbers {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        let trial = Trial::drawn(args.seed, number);
        bar.set_message(format!("{}, {}", trial.subject, trial.fault));
        let began = Instant::now();
        if !clean {
            // It is not to find what the one before has left.
            down(&name)?;
            drop(Lab::up_for_me(&name, Series::link())?);
        }
        let checked = match series.make(&trial) {
            Ok(checked) => checked,
            // One that was interrupted says nothing.
            Err(_) if interrupted.load(Ordering::Relaxed) => break,
            Err(error) => {
                failure = Some(
                    error.context(format!("trial {number}: {}, {}", trial.subject, trial.fault)),
                );
                break;
            }
        };
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        clean = checked.wrong.is_empty();
        bar.inc(1);
        if !clean || args.only.is_some() {
            bar.suspend(|| terminal::print(&told(&checked, began)))?;
        }
        rows.push(checked);
        if let Some(file) = &args.out {
            let mut writer = csv::Writer::from_writer(Vec::new());
            // Parts may share a file: what has come since is kept.
            for row in read_report(file, args.seed)? {
                if rows.iter().all(|known| known.number != row.number) {
                    rows.push(row);
                }
            }
            rows.sort_by_key(|row| row.number);
            for row in &rows {
                writer.serialize(row)?;
            }
            Output::create(file, Care { force: true, ..Care::default() })?
                .write(&writer.into_inner()?)?;
        }
    }
    bar.finish_and_clear();
    down(&name)?;
    if let Some(error) = failure {
        return Err(error);
    }
    let bad = rows.iter().filter(|row| !row.wrong.is_empty()).count();
    let left = Lab::names()?.contains(&name);
    terminal::print(&format!(
        "{}\n{} trials, {bad} of them wrong; {} left behind after the last\n",
        summary(&rows),
        rows.len(),
        if left { "something is" } else { "nothing is" }
    ))?;
    Ok(if interrupted.load(Ordering::Relaxed) {
        ExitCode::from(INTERRUPTED)
    } else if bad > 0 || left {
        ExitCode::from(SOME_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

fn told(row: &Checked, began: Instant) -> String {
    let verdict = if row.wrong.is_empty() {
        "as it should be".to_owned()
    } else {
        format!("WRONG: {}", row.wrong)
    };
    format!(
        "trial {}: {}, {} {} ms after its {} ({:.0} s in all)\n  ended: {}: {}\n  next command: {}\n  found: {}; {verdict}\n",
        row.number,
        row.command,
        row.fault,
        row.after_ms,
        row.since,
        began.elapsed().as_secs_f64(),
        row.ended,
        row.said,
        row.settled,
        row.found
    )
}
