//! `migsim predict`: one guest, several, or a file of records.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use migsim::answer::{Answer, Draws, Hosts, Understood};
use migsim::input::{InputError, Keys, Scenario};
use migsim::record::{Job, Report, predict_records};
use migsim_models::profile::Profile;
use migsim_models::published::{MODELS, Model, model};
use migsim_report::{csv, explain, json, plot, table};

use crate::keys::KeyFlags;

use super::{Format, Manner};
use migsim_report::file::{Care, Output, PictureOutput};
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED, UNUSABLE, interruptible};

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
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// Put a published model beside it, or all of them (see `migsim models`)
    #[arg(long, value_name = "NAME|all")]
    model: Vec<String>,
    /// Say in words which rule QEMU applied after each iteration, and with what figures
    #[arg(long)]
    explain: bool,
    /// With --records: say how sure each prediction is, in some sixty times the time
    #[arg(long, requires = "records")]
    intervals: bool,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    keys: KeyFlags,
}

impl PredictArgs {
    /// The files that it reads.
    fn inputs(&self) -> Vec<&std::path::Path> {
        let files = [&self.file, &self.records, &self.manner.profile];
        files.into_iter().filter_map(|file| file.as_deref()).collect()
    }
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<ExitCode> {
    let profile = args.manner.profile()?;
    if let Some(file) = &args.records {
        return records(args, file, &profile);
    }
    let models = models(&args.model)?;
    let scenario = match &args.file {
        Some(file) => Scenario::read(file, &args.keys.0)?,
        None => Scenario::from_flags(&args.keys.0),
    };
    let cases = scenario.cases()?;
    for case in &cases {
        args.manner.fidelity().check(&case.guest).map_err(|why| InputError::new("--fidelity", why))?;
    }
    if args.explain && args.format != Format::Table {
        bail!(InputError::new(
            "--explain",
            "is text beside a table; in JSON each iteration has its threshold and decision"
        ));
    }
    let picture = match &args.plot {
        Some(_) if cases.len() > 1 => {
            bail!(InputError::new("--plot", format!("the file has {} guests; a plot shows one", cases.len())))
        }
        Some(file) => Some(PictureOutput::create(file, Care { inputs: &args.inputs(), ..Care::default() })?),
        None => None,
    };
    let hosts = Hosts { profile: &profile, given: args.manner.profile.is_some() };
    let keys: Vec<Keys> = scenario.keys().cloned().collect();
    let draws = Draws::of_fitted(&profile);
    let answers: Vec<Answer> = cases
        .into_iter()
        .zip(&keys)
        .map(|(case, keys)| {
            let understood = Understood::of(keys, &case, hosts);
            let mut answer = Answer::new(case, &profile, draws.as_ref(), args.manner.fidelity(), understood);
            answer.ask(&models, &profile);
            answer
        })
        .collect();
    terminal::print(&match args.format {
        Format::Table => text(&answers, args.explain),
        Format::Json => json::answers(&answers),
        Format::Csv => csv::answers(&answers).context("writing CSV")?,
    })?;
    if let Some(picture) = picture {
        picture.write(&plot::rounds(&answers[0]))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(answers: &[Answer], explain: bool) -> String {
    let mut out = match answers {
        [one] => table::answer(one),
        several => {
            let verdicts: String = several.iter().map(|one| table::question(one) + &table::verdict(one)).collect();
            format!("{verdicts}\n{}", table::overview(several))
        }
    };
    for answer in answers.iter().filter(|answer| answer.offsets > 1) {
        let (name, offsets) = (&answer.case.guest.name, answer.offsets);
        out.push_str(&format!(
            "{name}: when in a phase the migration starts is not known; shown is the median of {offsets} offsets.\n"
        ));
    }
    for answer in answers.iter().filter(|_| explain) {
        out.push_str(&format!("\n{}:\n{}", answer.case.guest.name, explain::explain(answer)));
    }
    for warning in answers.iter().flat_map(|answer| &answer.understood.warnings) {
        out.push_str(&format!("Note: {warning}.\n"));
    }
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
    if args.keys.0 != Keys::default() || args.plot.is_some() || !args.model.is_empty() || args.format != Format::Table {
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
    let complain = |error: &migsim::record::RowError| bar.suspend(|| terminal::complain(&format!("error: {error}")));
    let job = Job {
        file: &name,
        profile,
        fidelity: args.manner.fidelity(),
        intervals: args.intervals,
        interrupted: &interrupted,
    };
    let go = |out: &mut dyn std::io::Write| {
        predict_records(&job, std::io::BufReader::new(&input), out, complain, |bytes| bar.set_position(bytes))
    };
    let report: Report = match &args.out {
        Some(place) => {
            let inputs = args.inputs();
            let mut whole = Output::create(place, Care { inputs: &inputs, ..Care::default() })?;
            let report = go(&mut *whole.writer()?)?;
            terminal::finishing();
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
    if let Some(note) = profile.note_of_versions(&report.summary.versions) {
        terminal::complain(&note);
    }
    Ok(match report {
        Report { interrupted: true, .. } => ExitCode::from(INTERRUPTED),
        Report { summary, .. } if summary.predicted == 0 => ExitCode::from(UNUSABLE),
        Report { summary, .. } if summary.failed > 0 => ExitCode::from(SOME_FAILED),
        Report { .. } => ExitCode::SUCCESS,
    })
}
