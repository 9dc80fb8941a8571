//! `migcal transfer`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migcal::fit::Manner;
use migcal::transfer::{ENOUGH, Step, enough, study};
use migsim::input::InputError;
use migsim_report::document::{Document, Grid};
use migsim_report::file::Care;
use migsim_report::format::Told;
use migsim_report::outputs::OutputArgs;
use migsim_report::terminal;

use super::records::{DisturbanceArgs, read};
use super::table::percent;

#[derive(Debug, Args)]
pub(super) struct TransferArgs {
    /// Run records of the new hosts, more than are to be enough
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// The profile of other hosts [default: the embedded one]
    #[arg(long, value_name = "PROFILE.toml")]
    from: Option<PathBuf>,
    /// How many runs to try, beside none and all
    #[arg(long, value_delimiter = ',', default_value = "3,5,8,12")]
    sizes: Vec<usize>,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    /// Of what is dealt and fitted
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &TransferArgs) -> anyhow::Result<ExitCode> {
    if let Some(size) = args.sizes.iter().find(|size| **size < 3) {
        return Err(
            InputError::new("--sizes", format!("`{size}`: a fit takes 3 runs or more")).into()
        );
    }
    let inputs: Vec<&Path> = args.runs.iter().chain(&args.from).map(PathBuf::as_path).collect();
    let prepared = args.outputs.prepare(Care { inputs: &inputs, ..Care::default() })?;
    let from = terminal::profile(args.from.as_deref())?;
    let read = read(&args.runs, &args.disturbance)?;
    read.warn_of_versions(Some(&from));
    let runs = read.runs;
    let interrupted = terminal::interruptible()?;
    let bar = terminal::progress(1000, "{bar:30} {percent} %, {eta} left  adapting");
    let manner = Manner { seed: args.seed, ..Manner::default() };
    let steps = study(&runs, &from, &args.sizes, manner, &interrupted, &|done| {
        bar.set_position((done * 1000.0) as u64);
    })?;
    bar.finish_and_clear();
    prepared.write(&Told::new(describe(&steps), &steps, &steps))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(steps: &[Step]) -> Document {
    let dash = || "-".to_owned();
    let rows: Vec<Vec<String>> = steps
        .iter()
        .map(|step| {
            let f = &step.figures;
            let mut learnt: Vec<_> = step.learnt.iter().collect();
            learnt.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            vec![
                step.runs.map_or("all".to_owned(), |n| n.to_string()),
                f.n.to_string(),
                f.elapsed.map_or_else(dash, |e| {
                    format!("{} {}", percent(e.median_rel), percent(e.p90_rel))
                }),
                f.downtime
                    .map_or_else(dash, |d| format!("{:.0} {:.0}", d.median_abs_ms, d.p90_abs_ms)),
                learnt.into_iter().take(4).map(|(key, _)| *key).collect::<Vec<_>>().join(", "),
            ]
        })
        .collect();
    let header = [
        "runs of the new hosts",
        "predicted",
        "total time: p50 p90",
        "downtime, ms: p50 p90",
        "fitted again",
    ];
    let mut table = Grid::new(&header, 1..);
    rows.into_iter().for_each(|row| table.row(row));
    let mut out = Document::default();
    out.table(table).text(match enough(steps) {
        Some(0) => format!("\nThe profile as it is is within {ENOUGH} times the errors of a full fit.\n"),
        Some(n) => format!("\nWith {n} runs the errors are within {ENOUGH} times those of a full fit.\n"),
        None => {
            format!("\nNone of these numbers of runs brings the errors within {ENOUGH} times those of a full fit.\n")
        }
    });
    out
}
