//! `migcal validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migcal::fit::{Manner, Parts, cross_validate};
use migcal::hosts::replay::Trace;
use migcal::validate::{
    Figures, Report, in_place, judge, page_result, pictures, read_predictions, report,
};
use migsim::answer::shape::SCHEMA;
use migsim_models::profile::Profile;
use migsim_report::document::{Document, Grid};
use migsim_report::file::{Care, Output, PictureOutput};
use migsim_report::format::{FORMATS, Told, text};
use migsim_report::outputs::OutputArgs;
use migsim_report::{page, terminal};
use serde::Serialize;

use super::records::{DisturbanceArgs, read};
use super::table::percent;

#[derive(Debug, Args)]
pub(super) struct ValidateArgs {
    /// Run records
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// The profile that predicts them; with --cross-validate, what fits start from [default: the
    /// embedded ones]
    #[arg(long, value_name = "PROFILE.toml")]
    profile: Option<PathBuf>,
    /// Predict each run by a fit to the others: in so many parts, or `campaigns` to leave out one
    /// of them at a time
    #[arg(long, value_name = "K|campaigns", value_parser = parts)]
    cross_validate: Option<Parts>,
    /// Judge another predictor's answers instead: columns `id`, `pred_elapsed_ms`,
    /// `pred_downtime_ms` and further ones as `migsim predict --records` writes them
    #[arg(long, value_name = "THEIRS.csv", conflicts_with = "cross_validate")]
    predictions: Option<PathBuf>,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    /// Of the parts and the fits
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Write everything, with pictures, into one page
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Draw predicted against measured, and what is left against what went in
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub(super) fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    // A cross-validation starts where fits start.
    let profile = match (&args.profile, args.cross_validate) {
        (None, Some(_)) => Profile::assumed(),
        (file, _) => terminal::profile(file.as_deref())?,
    };
    let read = read(&args.runs, &args.disturbance)?;
    if args.cross_validate.is_none() {
        read.warn_of_versions(Some(&profile));
    }
    let runs = read.runs;
    let inputs: Vec<&Path> = args
        .runs
        .iter()
        .map(PathBuf::as_path)
        .chain(args.profile.as_deref())
        .chain(args.predictions.as_deref())
        .collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let prepared = args.outputs.prepare(care)?;
    let picture =
        args.plot.as_deref().map(|place| PictureOutput::create(place, care)).transpose()?;
    let page_file = args.report.as_deref().map(|place| Output::create(place, care)).transpose()?;
    let judged = match args.cross_validate {
        None => match &args.predictions {
            None => judge(&runs, &profile),
            Some(file) => in_place(judge(&runs, &profile), &read_predictions(file)?, file)?,
        },
        Some(parts) => {
            let interrupted = terminal::interruptible()?;
            let bar =
                terminal::progress(1000, "{bar:30} {percent} %, {eta} left  cross-validating");
            let manner = Manner { seed: args.seed, ..Manner::default() };
            let judged = cross_validate(&runs, &profile, parts, manner, &interrupted, &|done| {
                bar.set_position((done * 1000.0) as u64);
            })?;
            bar.finish_and_clear();
            judged
        }
    };
    let found = report(&judged);
    let told = Told::new(describe(&found), &found, groups(&found));
    prepared.write(&told)?;
    let by = match args.cross_validate {
        Some(Parts::Configurations(parts)) => format!("fits to the others, in {parts} parts"),
        Some(Parts::Campaigns) => "fits to the other campaigns".to_owned(),
        None => match &args.predictions {
            None => profile.name.clone(),
            Some(file) => file.display().to_string(),
        },
    };
    if let Some(file) = picture {
        file.write(&pictures(&judged))?;
    }
    if let Some(file) = page_file {
        let mut made = page::about(args.profile.as_deref(), None)?;
        let table = text(&told, FORMATS[0])?;
        page::compared(&mut made, page_result(&judged, &by, &table, &traces(&args.runs)));
        made.made = Some(page::made(Some(args.seed), &by, None));
        file.write(made.html().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parts(text: &str) -> Result<Parts, String> {
    match text.parse() {
        _ if text == "campaigns" => Ok(Parts::Campaigns),
        Ok(parts) if parts >= 2 => Ok(Parts::Configurations(parts)),
        _ => Err("it takes 2 parts or more, or `campaigns`".to_owned()),
    }
}

/// What was seen of the runs, where it lies beside their records.
fn traces(files: &[PathBuf]) -> BTreeMap<String, Trace> {
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file.with_file_name("samples.jsonl")).ok());
    let mut found = BTreeMap::new();
    for text in texts {
        let traces = text.lines().filter_map(|line| serde_json::from_str::<Trace>(line).ok());
        found.extend(traces.map(|trace| (trace.id.clone(), trace)));
    }
    found
}

fn row(name: &str, f: &Figures) -> Vec<String> {
    let dash = || "-".to_owned();
    vec![
        name.to_owned(),
        f.n.to_string(),
        f.elapsed.map_or_else(dash, |e| {
            [e.median_rel, e.p90_rel, e.p95_rel, e.max_rel].map(percent).join(" ")
        }),
        f.downtime.map_or_else(dash, |d| format!("{:.0} {:.0}", d.median_abs_ms, d.p90_abs_ms)),
        f.wire_bytes
            .map_or_else(dash, |b| format!("{} {}", percent(b.median_rel), percent(b.p90_rel))),
        f.rounds.map_or_else(dash, |r| {
            format!("{} {}", percent(r.exact_share), percent(r.within_one_share))
        }),
        format!("{} {}", f.outcome.false_completed, f.outcome.false_not_converged),
    ]
}

/// A row of figures, one for each offline phase, and one for the scatter of the repeats among them.
fn rows(name: &str, f: &Figures) -> Vec<Vec<String>> {
    let mut rows = vec![row(name, f)];
    for (index, phase) in ["suspend", "copy", "resume"].into_iter().enumerate() {
        if let Some(phases) = f.phases {
            let only = Figures { n: f.n, elapsed: Some(phases[index]), ..Figures::default() };
            rows.push(row(&format!("- {phase}"), &only));
        }
        if let Some(noise) = f.noise.and_then(|noise| noise.phases_rel) {
            rows.push(scatter(&format!("- {phase}"), noise[index], None, None));
        }
    }
    if let Some(noise) = f.noise {
        rows.push(scatter(
            name,
            noise.elapsed_rel,
            Some(noise.downtime_abs_ms),
            Some(noise.same_rounds_share),
        ));
    }
    rows
}

fn scatter(
    name: &str,
    elapsed_rel: f64,
    downtime_ms: Option<f64>,
    same_rounds: Option<f64>,
) -> Vec<String> {
    let mut row = vec![
        format!("{name}: scatter of repeats"),
        String::new(),
        format!("{:.2} %", elapsed_rel * 100.0),
    ];
    row.push(downtime_ms.map_or(String::new(), |ms| format!("{ms:.0}")));
    row.push(String::new());
    row.push(same_rounds.map_or(String::new(), |share| format!("{} alike", percent(share))));
    row.resize(7, String::new());
    row
}

/// A group of runs and its figures, for programs that read tables.
#[derive(Debug, Serialize)]
struct Group<'a> {
    schema: u32,
    of: String,
    #[serde(flatten)]
    figures: &'a Figures,
}

fn groups(found: &Report) -> Vec<Group<'_>> {
    let group = |of: String, figures| Group { schema: SCHEMA, of, figures };
    let mut all = vec![group("plain pre-copy".to_owned(), &found.top)];
    all.extend(found.by_mode.iter().map(|(name, figures)| group(name.clone(), figures)));
    all.extend(found.by_lever.iter().map(|(name, figures)| group((*name).to_owned(), figures)));
    all.extend(
        found
            .models
            .iter()
            .map(|(name, figures)| group(format!("model: {name}, all memory"), figures)),
    );
    all.extend(
        found
            .models_fair
            .iter()
            .map(|(name, figures)| group(format!("model: {name}, fair inputs"), figures)),
    );
    all
}

fn describe(found: &Report) -> Document {
    let header = [
        "",
        "runs",
        "total time: p50 p90 p95 max",
        "downtime, ms: p50 p90",
        "bytes: p50 p90",
        "dirty syncs: exact, within one",
        "false completed, false not-converged",
    ];
    let mut table = Grid::new(&header, 1..);
    let mut all = rows("plain pre-copy", &found.top);
    all.extend(found.by_mode.iter().flat_map(|(name, figures)| rows(name, figures)));
    all.extend(found.by_lever.iter().flat_map(|(name, figures)| rows(name, figures)));
    for (name, printed) in &found.models {
        all.push(row(&format!("model: {name}, all memory"), printed));
        if let Some(fair) = found.models_fair.get(name) {
            all.push(row(&format!("model: {name}, fair inputs"), fair));
        }
    }
    let mut lines = Vec::new();
    if let Some((groups, span)) = found.makespan {
        lines.push(format!(
            "Moved at the same time: {groups} groups; error of the makespan: p50 {}, p90 {}, max {}.",
            percent(span.median_rel),
            percent(span.p90_rel),
            percent(span.max_rel)
        ));
    }
    if let Some(share) = found.elapsed_pass_share {
        lines.push(format!(
            "{} of the total times of plain pre-copy are within 5 % or twice the repeats' scatter (a standard deviation).",
            percent(share)
        ));
    }
    if let Some(bias) = found.top.bias {
        lines.push(format!(
            "Of plain pre-copy {} total times were predicted too short and {} too long; the median is off by {:+.2} %.",
            bias.too_short,
            bias.too_long,
            bias.median_rel * 100.0
        ));
    }
    if !found.models.is_empty() {
        lines.push(
            "Fair inputs: what is not zero instead of all memory, with the headers of pages and the start of QEMU, of which most models do not speak."
                .to_owned(),
        );
    }
    let hold = |share: f64, [low, high]: [f64; 2]| {
        format!("{} (95 % CI {:.1} to {})", percent(share), low * 100.0, percent(high))
    };
    for (width, coverage) in [("90 %", found.top.coverage90), ("50 %", found.top.coverage50)] {
        if let Some(c) = coverage {
            lines.push(format!(
                "{width} prediction intervals cover {} of total times and {} of downtimes.",
                hold(c.elapsed, c.elapsed_by_chance),
                hold(c.downtime, c.downtime_by_chance)
            ));
        }
    }
    if let Some(crps) = found.top.crps {
        lines.push(format!(
            "The distributions' error (continuous ranked probability score) is {} of the total time and {:.0} ms of downtime, mean.",
            percent(crps.elapsed_rel),
            crps.downtime_ms
        ));
    }
    if let Some(verdicts) = &found.top.verdicts {
        let near = verdicts.brier_near.map_or_else(String::new, |brier| {
            let n = verdicts.n_near;
            format!("; {brier:.3} of the {n} whose dirty rate is 0.7 to 1.3 of the link")
        });
        let diagram: Vec<String> = verdicts
            .reliability
            .iter()
            .map(|bin| {
                format!("{} said, {} came ({})", percent(bin.said), percent(bin.came), bin.n)
            })
            .collect();
        lines.push(format!(
            "Probabilities of converging: Brier score {:.3} of {} runs{near}. By what was said: {}.",
            verdicts.brier,
            verdicts.n,
            diagram.join("; ")
        ));
    }
    for wrong in &found.wrong {
        lines.push(format!(
            "Wrong verdict: {}, said {}converge{}.",
            wrong.id,
            if wrong.said_converges { "to " } else { "not to " },
            if wrong.near_border { "; writes slower or faster by 3 % change it" } else { "" }
        ));
    }
    lines.extend(
        found.left_out.iter().map(|(why, count)| format!("Left out: {count} runs: {why}.")),
    );
    lines.extend(found.outside.as_ref().map(|words| format!("{words}.")));
    all.into_iter().for_each(|row| table.row(row));
    let mut out = Document::default();
    out.table(table).text(lines.join("\n") + "\n");
    out
}
