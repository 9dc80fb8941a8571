//! `migcal fit`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use migcal::fit::{Fitted, Manner, fit};
use migsim_models::profile::Provenance;
use migsim_report::document::{Document, Grid};
use migsim_report::file::{Care, Output};
use migsim_report::format::Told;
use migsim_report::outputs::OutputArgs;
use migsim_report::terminal;

use super::records::{DisturbanceArgs, read};
use super::table::parameter;

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// Run records
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// Where the profile goes
    #[arg(long, value_name = "PROFILE.toml")]
    out: PathBuf,
    /// Overwrite a profile that is there
    #[arg(long)]
    force: bool,
    /// The profile that is believed beforehand, a file or one of `migsim profile`'s names; one
    /// that has not seen these runs
    #[arg(long, value_name = "PROFILE.toml", default_value = "lab")]
    from: PathBuf,
    #[command(flatten)]
    disturbance: DisturbanceArgs,
    /// Of the starts and the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the profile is called [default: after the campaigns]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &FitArgs) -> anyhow::Result<ExitCode> {
    let prior = terminal::profile(Some(&args.from))?;
    let read = read(&args.runs, &args.disturbance)?;
    read.warn_of_versions(None);
    let seen: Vec<&str> =
        prior.fit.iter().flat_map(|fit| &fit.campaigns).map(String::as_str).collect();
    if let Some(twice) = read.campaigns.iter().find(|campaign| seen.contains(&campaign.as_str())) {
        terminal::complain(&format!(
            "note: `{}` was fitted to the campaign `{twice}` already, which counts twice now; --from assumed has seen no run",
            prior.name
        ));
    }
    let interrupted = terminal::interruptible()?;
    let inputs: Vec<&Path> = args.runs.iter().map(PathBuf::as_path).chain([&*args.from]).collect();
    let prepared = args.outputs.prepare(Care { inputs: &inputs, ..Care::default() })?;
    let out = Output::create(&args.out, Care { inputs: &inputs, edited: true, force: args.force })?;
    let bar = terminal::progress(1000, "{bar:30} {percent} %, {eta} left  fitting");
    let manner = Manner { seed: args.seed, ..Manner::default() };
    let files = args.runs.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    let fitted = fit(&read.runs, &prior, manner, &interrupted, &|done| {
        bar.set_position((done * 1000.0) as u64);
    })
    .with_context(|| files.clone())?;
    bar.finish_and_clear();
    let campaigns: Vec<String> = read.campaigns.into_iter().collect();
    let mut profile = fitted.profile.clone();
    profile.name =
        args.name.clone().unwrap_or_else(|| format!("fitted to {}", campaigns.join(", ")));
    profile.fit = Some(Provenance {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        data: read.data,
        runs: fitted.used as u64,
        campaigns,
        hosts: read.hosts.into_iter().collect(),
        versions: read.versions.into_iter().collect(),
        left_out: fitted.left_out.iter().map(|(id, why)| format!("{id}: {why}")).collect(),
        at_prior: fitted.at_prior.iter().map(|(key, why)| format!("{key}: {why}")).collect(),
    });
    out.write(profile.to_commented_toml()?.as_bytes())?;
    prepared.write(&Told::new(
        describe(&fitted, &args.out),
        &fitted.estimated,
        &fitted.estimated,
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(fitted: &Fitted, place: &Path) -> Document {
    let mut table =
        Grid::new(&["parameter", "before", "fitted", "standard error", "90 % interval"], 1..);
    for one in &fitted.estimated {
        let [low, high] = one.interval.map(parameter);
        table.row([
            one.key.to_owned(),
            parameter(one.value[0]),
            parameter(one.value[1]),
            parameter(one.error),
            format!("{low} to {high}"),
        ]);
    }
    let mut text = "in seconds, bytes, pages and shares\n".to_owned();
    for (key, why) in &fitted.at_prior {
        text.push_str(&format!("left as it was: {key}: {why}\n"));
    }
    let reasons: BTreeSet<&str> = fitted.left_out.iter().map(|(_, why)| *why).collect();
    for reason in reasons {
        let count = fitted.left_out.iter().filter(|(_, why)| *why == reason).count();
        text.push_str(&format!("left out: {count} runs: {reason}\n"));
    }
    text.push_str(&format!("fitted to {} runs: {}\n", fitted.used, place.display()));
    let mut out = Document::default();
    out.table(table).text(text);
    out
}
