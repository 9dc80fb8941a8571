//! `migcal faults`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use migcal::faults::{FAULTS, Series};
use migcal::lab::{Lab, Link, down};
use migsim::terminal::{self, INTERRUPTED, SOME_FAILED};
use migsim_models::spec::Mode;
use migsim_models::units::BitRate;

#[derive(Debug, Args)]
pub(super) struct FaultsArgs {
    /// Runs in a row
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// How many of them get a fault: up to 10 different ones, then again
    #[arg(long, default_value_t = 10)]
    faults: usize,
    /// Write the runs to this file
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &FaultsArgs) -> anyhow::Result<ExitCode> {
    let interrupted = terminal::interruptible()?;
    let name = format!("faults-{}", std::process::id());
    let lab = Lab::up(&name, Link::of(BitRate(120_000_000)))?;
    drop(lab);
    let series = Series::new(&name, &std::env::current_exe()?, &interrupted);
    let mut writer = args.out.as_ref().map(csv::Writer::from_path).transpose()?;
    let bar = terminal::progress(args.runs as u64, "{bar:30} {pos}/{len} runs, {eta} left  {msg}");
    let (mut bad, mut made, mut struck) = (0, 0, 0);
    let mut failure = None;
    for index in 0..args.runs {
        if interrupted.load(Ordering::Relaxed) {
            break;
        }
        // Spread evenly over the series.
        let strikes = (index + 1) * args.faults / args.runs.max(1) > index * args.faults / args.runs.max(1);
        let (fault, mode) = if strikes {
            struck += 1;
            let (fault, mode) = FAULTS[(struck - 1) % FAULTS.len()];
            (Some(fault), mode)
        } else {
            (None, [Mode::Precopy, Mode::Postcopy, Mode::Offline][index % 3])
        };
        bar.set_message(fault.map_or(mode.to_string(), |fault| format!("{mode}, {fault}")));
        let id = format!("faults-{:03}", index + 1);
        let checked = match series.run(&id, mode, fault, |text| bar.suspend(|| terminal::complain(text))) {
            Ok(checked) => checked,
            Err(error) => {
                failure = Some(error);
                break;
            }
        };
        made += 1;
        bar.inc(1);
        let record = &checked.record;
        if let Some(writer) = &mut writer {
            writer.serialize(record)?;
            writer.flush()?;
        }
        if fault.is_some() || !checked.wrong.is_empty() || record.outcome == "failed" {
            let verdict =
                if checked.wrong.is_empty() { "one guest, alive".to_owned() } else { checked.wrong.join(", ") };
            let told = if record.error.is_empty() {
                record.outcome.clone()
            } else {
                format!("{}: {}", record.outcome, record.error)
            };
            let what = if record.fault.is_empty() { "no fault" } else { &record.fault };
            let line =
                format!("{id} {mode}, {what}\n  reported: {told}\n  afterwards: at the {}, {verdict}", record.holder);
            bar.suspend(|| terminal::print(&format!("{line}\n")))?;
        }
        bad += usize::from(!checked.wrong.is_empty());
    }
    bar.finish_and_clear();
    down(&name)?;
    if let Some(error) = failure {
        return Err(error);
    }
    let left = Lab::names()?.contains(&name);
    terminal::print(&format!(
        "{made} runs, {struck} with a fault: {bad} guests lost, doubled or dead; {} left behind after `lab down`\n",
        if left { "something" } else { "nothing" }
    ))?;
    Ok(if interrupted.load(Ordering::Relaxed) {
        ExitCode::from(INTERRUPTED)
    } else if bad > 0 || left {
        ExitCode::from(SOME_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}
