//! `migsim predict`: one guest, several, or a file of records.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use migsim::advice::advise;
use migsim::predict::predict;
use migsim::quantiles::Draws;
use migsim::records::{Job, Report, predict_records};
use migsim::report::{Answer, csv, held_back, json, plot, table};
use migsim::scenario::{Case, InputError, Keys, Scenario};
use migsim::world::Fidelity;
use migsim_models::profile::Profile;
use migsim_models::published::{MODELS, Model, model};
use migsim_models::spec::Mode;

use super::{Format, Manner};
use migsim::terminal::{self, INTERRUPTED, SOME_FAILED, UNUSABLE, WholeFile, interruptible};

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// A scenario: guests, link and migration; flags go over what it says
    #[arg(value_name = "FILE.toml", conflicts_with = "records")]
    file: Option<PathBuf>,
    /// A file of run records: one prediction a row
    #[arg(long, value_name = "RUNS.csv")]
    records: Option<PathBuf>,
    /// Where the predicted records go [default: standard output]
    #[arg(long, value_name = "FILE.csv", requires = "records")]
    out: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Draw the rounds over time
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Put a published model beside it, or all of them (see `migsim models`)
    #[arg(long, value_name = "NAME|all")]
    model: Vec<String>,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    keys: Keys,
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<ExitCode> {
    let profile = args.manner.profile()?;
    if let Some(file) = &args.records {
        return records(args, file, &profile);
    }
    let models = models(&args.model)?;
    let scenario = match &args.file {
        Some(file) => Scenario::read(file, &args.keys)?,
        None => Scenario::from_flags(&args.keys),
    };
    let cases = scenario.cases()?;
    let picture = match &args.plot {
        Some(_) if cases.len() > 1 => {
            bail!(InputError::new("--plot", format!("the file has {} guests; a plot shows one", cases.len())))
        }
        Some(file) => Some(WholeFile::create(file)?),
        None => None,
    };
    let draws = Draws::of_fitted(&profile);
    let answers: Vec<Answer> =
        cases.into_iter().map(|case| answer(case, &profile, draws.as_ref(), args.manner.fidelity(), &models)).collect();
    terminal::print(&match args.format {
        Format::Table => text(&answers, args, &profile),
        Format::Json => json::answers(&answers),
        Format::Csv => csv::answers(&answers).context("writing CSV")?,
    })?;
    if let Some(picture) = picture {
        picture.write(&plot::rounds(&answers[0]))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(
    case: Case,
    profile: &Profile,
    draws: Option<&Draws>,
    fidelity: Fidelity,
    models: &[&'static Model],
) -> Answer {
    let outcome = predict(&case, profile, fidelity);
    let advisable = !outcome.completed() && case.policy.mode == Mode::Precopy;
    let advice = advisable.then(|| advise(&case, profile));
    let quantiles = draws.and_then(|draws| draws.quantiles(&case, profile, &outcome));
    let mut answer = Answer { case, outcome, quantiles, advice, models: Vec::new() };
    answer.ask(models, profile);
    answer
}

fn text(answers: &[Answer], args: &PredictArgs, profile: &Profile) -> String {
    let mut out = match answers {
        [one] => table::answer(one),
        several => {
            let verdicts: String = several.iter().map(table::verdict).collect();
            format!("{verdicts}\n{}", table::overview(several))
        }
    };
    if answers.iter().any(|a| a.case.guest.phase_offset.is_none() && a.case.guest.workload.has_phases()) {
        out.push_str("When in a phase the migration starts is not known: shown is the median of 8 offsets.\n");
    }
    for held in answers.iter().filter_map(|a| held_back(&a.case, profile)) {
        out.push_str(&format!("{held}.\n"));
    }
    let hosts = if args.manner.profile.is_some() { "Hosts" } else { "Hosts (no --profile was given)" };
    out.push_str(&format!("{hosts}: {}.\n", profile.name));
    out
}

fn models(names: &[String]) -> anyhow::Result<Vec<&'static Model>> {
    let mut all = Vec::new();
    for name in names {
        match (name.as_str(), model(name)) {
            ("all", _) => all.extend(MODELS),
            (_, Some(model)) => all.push(model),
            (_, None) => {
                let known: Vec<&str> = MODELS.iter().map(|m| m.name).collect();
                bail!(InputError::new(
                    "--model",
                    format!("unknown model `{name}`; it takes all, {}", known.join(", "))
                ));
            }
        }
    }
    Ok(all)
}

fn records(args: &PredictArgs, file: &PathBuf, profile: &Profile) -> anyhow::Result<ExitCode> {
    if args.keys != Keys::default() || args.plot.is_some() || !args.model.is_empty() || args.format != Format::Table {
        bail!(InputError::new(
            "--records",
            "takes --out, --profile, --fidelity and --seed beside it; what is asked stands in the file"
        ));
    }
    let name = file.display().to_string();
    let input = File::open(file).map_err(|e| InputError::new(&name, e))?;
    let length = input.metadata().map_or(0, |m| m.len());
    let interrupted = interruptible()?;
    let bar = terminal::progress(length, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let complain = |error: &migsim::records::RowError| bar.suspend(|| terminal::complain(&format!("error: {error}")));
    let job = Job { file: &name, profile, fidelity: args.manner.fidelity(), interrupted: &interrupted };
    let go = |out: &mut dyn std::io::Write| {
        predict_records(&job, std::io::BufReader::new(&input), out, complain, |bytes| bar.set_position(bytes))
    };
    let report: Report = match &args.out {
        Some(place) => {
            let mut whole = WholeFile::create(place)?;
            let report = go(whole.file())?;
            if report.interrupted {
                terminal::complain(&format!("interrupted: {} was not written", place.display()));
            } else {
                whole.finish()?;
            }
            report
        }
        None => go(&mut std::io::stdout().lock())?,
    };
    bar.finish_and_clear();
    terminal::complain(&report.summary.to_string());
    Ok(match report {
        Report { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        Report { summary, .. } if summary.predicted == 0 => ExitCode::from(UNUSABLE),
        Report { summary, .. } if summary.failed > 0 => ExitCode::from(SOME_FAILED),
        Report { .. } => ExitCode::SUCCESS,
    })
}
