//! `migcal run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use migcal::hosts::Hosts;
use migcal::plan::RunKeys;
use migcal::record::Record;
use migcal::run::{Label, Nobody, Settled, one};
use migsim::terminal::{self, INTERRUPTED, SOME_FAILED};

use super::site::SiteArgs;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    keys: RunKeys,
    /// Append the run record to this file
    #[arg(long, value_name = "RUNS.csv")]
    out: Option<PathBuf>,
    /// Leave the guest where it ended
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let plan = args.keys.plan(args.site.is_lab())?;
    let interrupted = terminal::interruptible()?;
    let mut opened = args.site.open(args.keys.lab_link(), &interrupted)?;
    let id = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let label = Label { id: &id, campaign: "run", repeat: 1 };
    let result = one(&mut opened.hosts, &plan, label, &interrupted, &mut Nobody, terminal::complain);
    let mut run = match result {
        Ok(run) => run,
        Err(error) => {
            opened.close();
            return Err(error);
        }
    };
    run.record.started_at = id.clone();
    if let Some(place) = &args.out {
        append(place, &run.record)?;
    }
    terminal::print(&describe(&run.record))?;
    let mut code = if run.record.outcome == "failed" { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS };
    match &run.settled {
        Settled::RunsAt(_) if !args.keep => opened.hosts.clear()?,
        Settled::RunsAt(side) => {
            terminal::complain(&format!("the guest runs at the {side}, {}", opened.hosts.uri(*side)));
        }
        Settled::Stuck { advice, .. } => {
            terminal::complain(&format!("error: the guest does not run at exactly one host: {advice}"));
            code = ExitCode::from(SOME_FAILED);
        }
    }
    opened.close();
    if interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        code = ExitCode::from(INTERRUPTED);
    }
    Ok(code)
}

/// Adds a row to a file of records; a new file gets its header.
fn append(place: &std::path::Path, record: &Record) -> anyhow::Result<()> {
    let new = !place.exists();
    if !new {
        let known: Vec<String> = csv::Reader::from_path(place)?.headers()?.iter().map(str::to_owned).collect();
        let mut ours = csv::Writer::from_writer(Vec::new());
        ours.serialize(record)?;
        let ours = String::from_utf8(ours.into_inner()?)?;
        if ours.lines().next() != Some(known.join(",").as_str()) {
            anyhow::bail!("{}: has other columns than this version writes; give another --out", place.display());
        }
    }
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(place)
        .with_context(|| format!("{}: cannot be written", place.display()))?;
    let mut writer = csv::WriterBuilder::new().has_headers(new).from_writer(file);
    writer.serialize(record)?;
    Ok(writer.flush()?)
}

fn describe(record: &Record) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{:.3} s", ms / 1e3));
    let mut lines = vec![
        format!("outcome        {} (the guest is at the {})", record.outcome, record.holder),
        format!("total time     {}", ms(record.elapsed_ms)),
        format!("downtime       {}", ms(record.downtime_ms)),
    ];
    let mut more = |name: &str, text: String| lines.push(format!("{name:<14} {text}"));
    if record.mode == "offline" {
        more(
            "phases",
            format!("suspend {}, copy {}, resume {}", ms(record.suspend_ms), ms(record.copy_ms), ms(record.resume_ms)),
        );
    } else {
        more("by QEMU", format!("total {}, downtime {}", ms(record.qemu_total_ms), ms(record.qemu_downtime_ms)));
        let count = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.0}"));
        more("dirty syncs", count(record.rounds));
        more("wire bytes", count(record.wire_bytes));
        more("pages", format!("{} normal, {} zero", count(record.normal_pages), count(record.zero_pages)));
    }
    more("guest's gap", format!("{}; heard outside {}", ms(record.guest_gap_ms), ms(record.beat_gap_ms)));
    more(
        "link",
        format!(
            "{} Mbit/s, {} µs round trip, {} Mbit/s of payload",
            record.link_mbit,
            record.rtt_us.unwrap_or(f64::NAN),
            record.goodput_mbit.unwrap_or(f64::NAN)
        ),
    );
    if let (Some(socket), Some(shaper)) = (record.stop_socket_bytes, record.stop_shaper_bytes) {
        more("queued at stop", format!("{socket:.0} bytes in the socket, {shaper:.0} in the shaper"));
    }
    if let Some(cpu) = record.background_cpu {
        more("disturbance", format!("{cpu:.2} processors' worth"));
    }
    if !record.error.is_empty() {
        more("error", record.error.clone());
    }
    lines.join("\n") + "\n"
}
