//! `migcal validate`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use migcal::fit::Manner;
use migcal::hosts::replay::Trace;
use migcal::validate::{Figures, Report, cross_validate, judge, page, report};
use migsim::report::table::grid;
use migsim::scenario::{InputError, profile_or_default};
use migsim::terminal::{self, WholeFile};

use super::records::read;

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Run records
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// The profile that predicts them; with --cross-validate, what fits start from [default: the embedded one]
    #[arg(long, value_name = "PROFILE.toml")]
    profile: Option<PathBuf>,
    /// Predict each run by a fit to the others, in so many parts
    #[arg(long, value_name = "K")]
    cross_validate: Option<usize>,
    /// Of the parts and the fits
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write everything, with pictures, into one page
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    if args.cross_validate.is_some_and(|k| k < 2) {
        return Err(InputError::new("--cross-validate", "takes 2 parts or more").into());
    }
    let profile = profile_or_default(args.profile.as_deref())?;
    let runs = read(&args.runs)?.runs;
    let page_file = args.report.as_deref().map(WholeFile::create).transpose()?;
    let judged = match args.cross_validate {
        None => judge(&runs, &profile),
        Some(folds) => {
            let interrupted = terminal::interruptible()?;
            let bar = terminal::progress(1000, "{bar:30} {percent} %, {eta} left  cross-validating");
            let manner = Manner { seed: args.seed, ..Manner::default() };
            let judged = cross_validate(&runs, &profile, folds, manner, &interrupted, &|done| {
                bar.set_position((done * 1000.0) as u64);
            })?;
            bar.finish_and_clear();
            judged
        }
    };
    let found = report(&judged, &profile);
    terminal::print(&match args.format {
        Format::Table => table(&found),
        Format::Json => serde_json::to_string_pretty(&found)? + "\n",
    })?;
    let by = match args.cross_validate {
        Some(folds) => format!("fits to the others, in {folds} parts"),
        None => profile.name.clone(),
    };
    if let Some(file) = page_file {
        file.write(&page(&found, &judged, &by, &table(&found), &traces(&args.runs)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What was seen of the runs, where it lies beside their records.
fn traces(files: &[PathBuf]) -> BTreeMap<String, Trace> {
    let texts = files.iter().filter_map(|file| std::fs::read_to_string(file.with_file_name("samples.jsonl")).ok());
    let mut found = BTreeMap::new();
    for text in texts {
        let traces = text.lines().filter_map(|line| serde_json::from_str::<Trace>(line).ok());
        found.extend(traces.map(|trace| (trace.id.clone(), trace)));
    }
    found
}

fn row(name: &str, f: &Figures) -> Vec<String> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let dash = || "-".to_owned();
    vec![
        name.to_owned(),
        f.n.to_string(),
        f.elapsed.map_or_else(dash, |e| [e.median_rel, e.p90_rel, e.p95_rel, e.max_rel].map(percent).join(" ")),
        f.downtime.map_or_else(dash, |d| format!("{:.0} {:.0}", d.median_abs_ms, d.p90_abs_ms)),
        f.wire_bytes.map_or_else(dash, |b| format!("{} {}", percent(b.median_rel), percent(b.p90_rel))),
        f.rounds.map_or_else(dash, |r| format!("{} {}", percent(r.exact_share), percent(r.within_one_share))),
        format!("{} {}", f.outcome.false_completed, f.outcome.false_not_converged),
    ]
}

fn table(found: &Report) -> String {
    let header = [
        "",
        "runs",
        "total time: median 90 % 95 % worst",
        "downtime, ms: median 90 %",
        "bytes: median 90 %",
        "syncs: exact, within one",
        "wrongly completed, not",
    ];
    let mut table = grid(&header, 1..);
    table.add_row(row("plain pre-copy", &found.top));
    for (name, figures) in &found.by_mode {
        table.add_row(row(name, figures));
        if let Some(phases) = figures.phases {
            for (phase, relative) in ["suspend", "copy", "resume"].into_iter().zip(phases) {
                let only = Figures { n: figures.n, elapsed: Some(relative), ..Figures::default() };
                table.add_row(row(&format!("  {phase}"), &only));
            }
        }
    }
    for (name, figures) in &found.by_lever {
        table.add_row(row(name, figures));
    }
    for (name, figures) in &found.models {
        table.add_row(row(&format!("model: {name}"), figures));
    }
    let mut text = format!("{table}\n");
    if let Some(noise) = found.noise {
        text.push_str(&format!(
            "the repeats themselves scatter by {:.2} % in total time and {:.1} ms in downtime (standard deviation)\n",
            noise.elapsed_rel * 100.0,
            noise.downtime_abs_ms
        ));
    }
    for (why, count) in &found.left_out {
        text.push_str(&format!("left out: {count} runs: {why}\n"));
    }
    text
}
