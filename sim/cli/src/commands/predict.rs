//! `migsim predict`: one guest, several, or a file of records.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use migsim::answer::{Answer, Between, Understood};
use migsim::input::{InputError, Keys};
use migsim::record::{
    BatchReport, Job, Report, count_questions, count_records, predict_batch, predict_records,
};
use migsim_models::published::{MODELS, Model, model};
use migsim_report::file::{Care, Output, PictureOutput};
use migsim_report::outputs::OutputArgs;
use migsim_report::predict::Predicted;
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED, UNUSABLE, interruptible};
use migsim_report::{page, parts, plot};
use serde_json::json;

use super::study::{StudyArgs, Whole};
use super::{Manner, import};
use crate::keys::KeyFlags;

const EXAMPLES: &str = "\
Examples:
  migsim predict --memory 16GiB --link 10GbE --workload 'dirty(5000p/s)'
  migsim predict scenarios/first.toml --mode postcopy --explain
  migsim predict scenarios/first.toml --format json --plot first.svg
  migsim predict --records runs.csv --intervals --out predicted.csv
  migsim predict --batch questions.jsonl";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PredictArgs {
    /// A scenario: guests, link and migration; flags go over what it says
    #[arg(value_name = "FILE.toml", conflicts_with_all = ["records", "batch"])]
    file: Option<PathBuf>,
    /// A file of run records, `-` for standard input: one prediction a row
    #[arg(long, value_name = "RUNS.csv")]
    records: Option<PathBuf>,
    /// Questions as JSON Lines, `-` for standard input: one answer a line (docs/outputs.md)
    #[arg(long, value_name = "QUESTIONS.jsonl", conflicts_with = "records")]
    batch: Option<PathBuf>,
    /// Where predicted records or answers of a batch go; of a part of them, the folder [default:
    /// standard output]
    #[arg(long, value_name = "FILE|DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    study: StudyArgs,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Draw the iterations over time, of each guest of the file
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// All of it as one page that needs no network, in which the numbers can be moved
    #[arg(long, value_name = "FILE.html", conflicts_with_all = ["records", "batch"])]
    report: Option<PathBuf>,
    /// Put a published model beside it, or all of them (see `migsim models`)
    #[arg(long, value_name = "NAME|all")]
    model: Vec<String>,
    /// Say in words which rule QEMU applied after each iteration, and with what figures
    #[arg(long)]
    explain: bool,
    /// With --records or --batch: say how sure each prediction is, in some sixty times the time
    #[arg(long)]
    intervals: bool,
    #[command(flatten)]
    manner: Manner,
    #[command(flatten)]
    keys: KeyFlags,
}

impl PredictArgs {
    /// Refuses what has no effect where the questions stand in a file.
    fn nothing_beside(&self, flag: &str) -> anyhow::Result<()> {
        let asked = self.keys.0 != Keys::default() || self.plot.is_some() || !self.model.is_empty();
        if asked || self.explain || self.outputs.is_given() {
            bail!(InputError::new(
                flag,
                "takes --out, --intervals, --profile, --fidelity and --seed beside it; what is asked stands in the file"
            ));
        }
        Ok(())
    }

    /// Lets `go` write to the file that was asked for, which is whole or not there, or to standard
    /// output.
    fn written<R>(
        &self,
        go: impl FnOnce(&mut dyn Write) -> Result<R, InputError>,
        interrupted: impl Fn(&R) -> bool,
    ) -> anyhow::Result<R> {
        let Some(place) = &self.out else { return Ok(go(&mut std::io::stdout().lock())?) };
        let mut whole = Output::create(place, Care { inputs: &self.inputs(), ..Care::default() })?;
        let report = go(&mut *whole.writer()?)?;
        terminal::finishing();
        if interrupted(&report) {
            terminal::complain(&format!("interrupted: {} was not written", place.display()));
        } else {
            whole.finish()?;
        }
        Ok(report)
    }

    /// Answers a part of a file, or prints the script for all parts; `go` answers these rows.
    fn part(
        &self,
        between: &Between,
        format: &str,
        count: impl FnOnce(&str, File) -> Result<u64, InputError>,
        file: &Path,
        go: impl FnOnce(Range<u64>, &mut dyn Write) -> anyhow::Result<bool>,
    ) -> anyhow::Result<ExitCode> {
        if file == Path::new("-") {
            bail!(InputError::new(
                "--part",
                "standard input can be read once only; it takes a file"
            ));
        }
        let folder = self.out.as_deref().unwrap_or(Path::new("."));
        let name = file.display().to_string();
        let open = || File::open(file).map_err(|e| InputError::new(&name, e));
        let asked = json!({
            "file": parts::digest(open()?)?,
            "intervals": self.intervals,
            "fidelity": format!("{:?}", self.manner.fidelity()),
            "profile": super::said(between)?,
        });
        let rows = count(&name, open()?)?;
        self.study.go(Whole { folder, format, rows, asked }, go)
    }

    /// The files that it reads.
    fn inputs(&self) -> Vec<&Path> {
        let files = [&self.file, &self.records, &self.batch, &self.manner.profile];
        files.into_iter().filter_map(|file| file.as_deref()).collect()
    }
}

pub(super) fn run(args: &PredictArgs) -> anyhow::Result<ExitCode> {
    if let Some(file) = &args.records {
        // Records are the lab's, unless their hosts are named.
        let profile = terminal::profile(args.manner.profile.as_deref())?;
        return records(args, file, &Between::given(profile.run_by(args.manner.manager.manager)));
    }
    let between = args.manner.between()?;
    if let Some(file) = &args.batch {
        return batch(args, file, &between);
    }
    if args.out.is_some() || args.intervals || args.study.is_asked() {
        bail!(InputError::new(
            "--out, --intervals and --part",
            "go with --records or --batch; a single answer has --export"
        ));
    }
    let models = models(&args.model)?;
    let scenario = import::scenario(args.file.as_deref(), &args.keys.0)?;
    let cases = scenario.cases()?;
    for case in &cases {
        args.manner
            .fidelity()
            .check(&case.guest)
            .map_err(|why| InputError::new("--fidelity", why))?;
    }
    if args.explain && !args.outputs.is_table() {
        bail!(InputError::new(
            "--explain",
            "is text beside a table; in JSON each iteration has its threshold and decision"
        ));
    }
    let prepared = args.outputs.prepare(Care { inputs: &args.inputs(), ..Care::default() })?;
    let picture = match &args.plot {
        Some(_) if cases.len() > plot::MOST_GUESTS => {
            bail!(InputError::new(
                "--plot",
                format!(
                    "the file has {} guests; a picture shows up to {}",
                    cases.len(),
                    plot::MOST_GUESTS
                )
            ))
        }
        Some(file) => {
            Some(PictureOutput::create(file, Care { inputs: &args.inputs(), ..Care::default() })?)
        }
        None => None,
    };
    let care = Care { inputs: &args.inputs(), ..Care::default() };
    let report = args.report.as_deref().map(|place| Output::create(place, care)).transpose()?;
    let keys: Vec<Keys> = scenario.keys().cloned().collect();
    let answers: Vec<Answer> = cases
        .into_iter()
        .zip(&keys)
        .map(|(case, keys)| {
            let hosts = between.over(case.path.capacity);
            let understood = Understood::of(keys, &case, hosts);
            let mut answer =
                Answer::new(case, hosts, hosts.draws(), args.manner.fidelity(), understood);
            answer.ask(&models, &hosts.profile);
            answer
        })
        .collect();
    prepared.write(&Predicted { answers: &answers, explain: args.explain })?;
    if let Some(picture) = picture {
        picture.write(&plot::iterations(&answers))?;
    }
    if let Some(file) = report {
        let manner = &args.manner;
        let mut made = page::about(manner.profile.as_deref(), manner.manager.manager)?;
        page::ask(&mut made, keys.iter());
        let profile = &between.over(answers[0].case.path.capacity).profile.name;
        made.made = Some(page::made(Some(manner.seed), profile, None));
        file.write(made.html().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
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

/// Says why intervals stay empty, where they will.
fn note_of_intervals(asked: bool, between: &Between) {
    if asked && between.is_without_errors() {
        terminal::complain(
            "note: this profile says nothing of its errors (`[noise.intervals]`), so there are no intervals; `migcal fit` finds them",
        );
    }
}

fn records(args: &PredictArgs, file: &PathBuf, between: &Between) -> anyhow::Result<ExitCode> {
    args.nothing_beside("--records")?;
    note_of_intervals(args.intervals, between);
    let (input, name) = opened(file)?;
    // Of standard input nobody knows how long it is.
    let length = std::fs::metadata(file).map_or(0, |m| m.len());
    let interrupted = interruptible()?;
    let bar =
        terminal::progress(length, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let complain = |error: &migsim::record::RowError| {
        bar.suspend(|| terminal::complain(&format!("error: {error}")));
    };
    let job = Job {
        file: &name,
        between,
        fidelity: args.manner.fidelity(),
        intervals: args.intervals,
        own: None,
        interrupted: &interrupted,
    };
    if args.study.is_asked() {
        return args.part(between, "csv", count_records, file, |own, out| {
            let job = Job { own: Some(own), ..job };
            let report =
                predict_records(&job, std::io::BufReader::new(input), out, complain, |_| {})?;
            if report.summary.failed > 0 && !report.interrupted {
                bail!(InputError::new(
                    &name,
                    "rows that cannot be read have no place in a part: mend them first"
                ));
            }
            Ok(!report.interrupted)
        });
    }
    let go = |out: &mut dyn Write| {
        predict_records(&job, std::io::BufReader::new(input), out, complain, |bytes| {
            bar.set_position(bytes);
        })
    };
    let report = args
        .written(go, |report: &Report| report.interrupted)
        .map_err(|why| import::or_foreign(file, why))?;
    bar.finish_and_clear();
    terminal::complain(&report.summary.to_string());
    if let Between::Given(hosts) = between
        && let Some(note) = hosts.profile.note_of_versions(&report.summary.versions)
    {
        terminal::complain(&note);
    }
    Ok(status(report.interrupted, report.summary.predicted as u64, report.summary.failed as u64))
}

/// A file of questions, or standard input for `-`, and what errors call it.
fn opened(file: &Path) -> Result<(Box<dyn Read + Send>, String), InputError> {
    if file == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), "standard input".to_owned()));
    }
    let name = file.display().to_string();
    let input = File::open(file).map_err(|e| InputError::new(&name, e))?;
    Ok((Box::new(input), name))
}

/// How it ends where so many questions of a file were answered, and so many could not be.
fn status(interrupted: bool, answered: u64, failed: u64) -> ExitCode {
    match (interrupted, answered, failed) {
        (true, ..) => ExitCode::from(INTERRUPTED),
        (_, _, 0) => ExitCode::SUCCESS,
        (_, 0, _) => ExitCode::from(UNUSABLE),
        _ => ExitCode::from(SOME_FAILED),
    }
}

fn batch(args: &PredictArgs, file: &Path, between: &Between) -> anyhow::Result<ExitCode> {
    args.nothing_beside("--batch")?;
    note_of_intervals(args.intervals, between);
    let (input, name) = opened(file)?;
    let interrupted = interruptible()?;
    let bar = terminal::progress_of_unknown("{spinner} {pos} questions, {per_sec}");
    let (fidelity, intervals) = (args.manner.fidelity(), args.intervals);
    let job =
        Job { file: &name, between, fidelity, intervals, own: None, interrupted: &interrupted };
    if args.study.is_asked() {
        return args.part(between, "jsonl", count_questions, file, |own, out| {
            let job = Job { own: Some(own), ..job };
            let report = predict_batch(&job, input, out, |_| {})?;
            Ok(!report.interrupted)
        });
    }
    let go = |out: &mut dyn Write| predict_batch(&job, input, out, |lines| bar.set_position(lines));
    let report = args.written(go, |report: &BatchReport| report.interrupted)?;
    bar.finish_and_clear();
    if report.refused > 0 || report.interrupted {
        terminal::complain(&format!("{} answered, {} refused", report.answered, report.refused));
    }
    Ok(status(report.interrupted, report.answered, report.refused))
}
