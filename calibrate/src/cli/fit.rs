//! `migcal fit`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use comfy_table::{CellAlignment, Table};
use migcal::fit::{Fitted, Manner, fit};
use migsim::records::{Observation, observations};
use migsim::scenario::{InputError, read_profile};
use migsim::terminal::{self, WholeFile};
use migsim_models::profile::{Profile, Provenance};
use sha2::{Digest, Sha256};

#[derive(Debug, Args)]
pub(super) struct FitArgs {
    /// Run records
    #[arg(required = true, value_name = "RUNS.csv")]
    runs: Vec<PathBuf>,
    /// Where the profile goes
    #[arg(long, value_name = "PROFILE.toml")]
    out: PathBuf,
    /// The profile that is believed beforehand [default: the embedded one]
    #[arg(long, value_name = "PROFILE.toml")]
    from: Option<PathBuf>,
    /// Of the starts and the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the profile is called [default: after the campaigns]
    #[arg(long)]
    name: Option<String>,
}

/// Records of several files, and what a provenance says of them.
pub(super) struct Read {
    pub(super) runs: Vec<Observation>,
    data: String,
    campaigns: BTreeSet<String>,
    versions: BTreeSet<String>,
}

/// Reads files of run records; a row that cannot be read ends it.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Read> {
    let mut hash = Sha256::new();
    let mut read =
        Read { runs: Vec::new(), data: String::new(), campaigns: BTreeSet::new(), versions: BTreeSet::new() };
    for place in files {
        let file = place.display().to_string();
        let bytes = std::fs::read(place).with_context(|| format!("{file}: cannot be read"))?;
        hash.update(&bytes);
        let (runs, errors) = observations(&file, &bytes[..])?;
        if let Some(error) = errors.first() {
            let more = errors.len() - 1;
            let more = if more > 0 { format!(" (and {more} more rows that cannot be read)") } else { String::new() };
            return Err(InputError::new(
                format!("{file}:{}", error.line),
                format!("column `{}`: {}{more}", error.column, error.reason),
            )
            .into());
        }
        read.runs.extend(runs);
        collect(&bytes, &mut read);
    }
    read.data = format!("{:x}", hash.finalize());
    Ok(read)
}

fn collect(bytes: &[u8], read: &mut Read) {
    let mut reader = csv::Reader::from_reader(bytes);
    let Ok(header) = reader.headers().cloned() else { return };
    let place = |name: &str| header.iter().position(|c| c == name);
    let (campaign, qemu, libvirt) = (place("campaign"), place("qemu"), place("libvirt"));
    for row in reader.records().flatten() {
        let text = |column: Option<usize>| column.and_then(|c| row.get(c)).unwrap_or("").to_owned();
        read.campaigns.insert(text(campaign));
        read.versions.insert(format!("QEMU {}, libvirt {}", text(qemu), text(libvirt)));
    }
}

pub(super) fn run(args: &FitArgs) -> anyhow::Result<ExitCode> {
    let prior = prior(args.from.as_deref())?;
    let read = read(&args.runs)?;
    let interrupted = terminal::interruptible()?;
    let out = WholeFile::create(&args.out)?;
    let bar = terminal::progress(1000, "{bar:30} {percent} %, {eta} left  fitting");
    let manner = Manner { seed: args.seed, ..Manner::default() };
    let files = args.runs.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
    let fitted = fit(&read.runs, &prior, manner, &interrupted, &|done| bar.set_position((done * 1000.0) as u64))
        .with_context(|| files.clone())?;
    bar.finish_and_clear();
    let campaigns: Vec<String> = read.campaigns.into_iter().filter(|name| !name.is_empty()).collect();
    let mut profile = fitted.profile.clone();
    profile.name = args.name.clone().unwrap_or_else(|| format!("fitted to {}", campaigns.join(", ")));
    profile.fit = Some(Provenance {
        date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        data: read.data,
        runs: fitted.used as u64,
        campaigns,
        versions: read.versions.into_iter().collect(),
        left_out: fitted.left_out.iter().map(|(id, why)| format!("{id}: {why}")).collect(),
        at_prior: fitted.at_prior.iter().map(|(key, why)| format!("{key}: {why}")).collect(),
    });
    out.write(&toml::to_string(&profile)?)?;
    terminal::print(&describe(&fitted, &args.out))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn prior(file: Option<&Path>) -> anyhow::Result<Profile> {
    Ok(file.map_or(Ok(Profile::default()), read_profile)?)
}

fn describe(fitted: &Fitted, place: &Path) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["parameter", "before", "fitted", "standard error", "90 % interval"]);
    for one in &fitted.estimated {
        let text = |value: f64| if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.4}") };
        let [low, high] = one.interval.map(text);
        table.add_row([
            one.key.to_owned(),
            text(one.value[0]),
            text(one.value[1]),
            text(one.error),
            format!("{low} to {high}"),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("{table}\nin seconds, bytes, pages and shares\n");
    for (key, why) in &fitted.at_prior {
        text.push_str(&format!("left as it was: {key}: {why}\n"));
    }
    let reasons: BTreeSet<&str> = fitted.left_out.iter().map(|(_, why)| *why).collect();
    for reason in reasons {
        let count = fitted.left_out.iter().filter(|(_, why)| *why == reason).count();
        text.push_str(&format!("left out: {count} runs: {reason}\n"));
    }
    text.push_str(&format!("fitted to {} runs: {}\n", fitted.used, place.display()));
    text
}
