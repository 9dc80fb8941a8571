//! `migcal run`.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use migcal::hosts::Hosts;
use migcal::hosts::libvirt::check_room;
use migcal::plan::RunKeys;
use migcal::reach::Reach;
use migcal::record::{Record, now};
use migcal::run::{Label, Nobody, Settled, one};
use migsim::input::InputError;
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED};

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
    let link = args.site.link()?;
    let plan = args.keys.plan(link)?;
    if args.keep && args.site.is_own_lab() {
        let why = "the lab that is brought up for this run goes at its end; `migcal lab up` makes one that stays, for --lab";
        return Err(InputError::new("--keep", why).into());
    }
    if args.site.is_lab() {
        // Before a lab is brought up for it.
        check_room(&Reach::Here, &[vec![&plan]], 2)?;
    }
    let writer = args.out.as_deref().map(append_to).transpose()?;
    let interrupted = terminal::interruptible()?;
    let mut opened = args.site.open(plan.link.unwrap_or_default(), &interrupted)?;
    opened.hosts.check(&[vec![&plan]])?;
    let started_at = now();
    let id = started_at.replace(['-', ':'], "");
    let label = Label { id: &id, campaign: "run", repeat: 1 };
    let mut run =
        one(&mut opened.hosts, &plan, label, &interrupted, &mut Nobody, terminal::complain)?;
    run.record.started_at = started_at;
    // First of all the guest: whoever was to read the rest may be gone.
    let cleared = if args.keep || !matches!(run.settled, Settled::RunsAt(_)) {
        Ok(())
    } else {
        opened.hosts.clear()
    };
    if let Some(mut writer) = writer {
        writer.serialize(&run.record)?;
        writer.flush()?;
    }
    terminal::print(&describe(&run.record))?;
    cleared?;
    let mut code = if run.record.outcome == "failed" {
        ExitCode::from(SOME_FAILED)
    } else {
        ExitCode::SUCCESS
    };
    match &run.settled {
        Settled::RunsAt(_) if !args.keep => {}
        Settled::RunsAt(side) => {
            terminal::complain(&format!(
                "the guest runs at the {side}, {}",
                opened.hosts.uri(*side)
            ));
        }
        Settled::Stuck { advice, .. } => {
            terminal::complain(&format!(
                "error: the guest does not run at exactly one host: {advice}"
            ));
            code = ExitCode::from(SOME_FAILED);
        }
    }
    drop(opened);
    if interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        code = ExitCode::from(INTERRUPTED);
    }
    Ok(code)
}

/// Opens a file of records for one more row, before the run: a bad place is known first. A new file
/// gets its header.
fn append_to(place: &Path) -> anyhow::Result<csv::Writer<File>> {
    let file = place.display().to_string();
    let unusable = || format!("{file}: cannot be written");
    let out = OpenOptions::new().create(true).append(true).open(place).with_context(unusable)?;
    let new = out.metadata().with_context(unusable)?.len() == 0;
    if !new {
        let known = csv::Reader::from_path(place)?.headers()?.clone();
        let mut ours = csv::Writer::from_writer(Vec::new());
        ours.serialize(Record::default())?;
        if known != *csv::Reader::from_reader(&ours.into_inner()?[..]).headers()? {
            return Err(InputError::new(
                file,
                "has other columns than this version writes; give another --out",
            )
            .into());
        }
    }
    Ok(csv::WriterBuilder::new().has_headers(new).from_writer(out))
}

fn describe(record: &Record) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{:.3} s", ms / 1e3));
    let mut lines = vec![
        format!("outcome        {} (the guest is at the {})", record.outcome, record.holder),
        format!("total time     {}", ms(record.elapsed_ms)),
        match record.outcome.as_str() {
            "not-converged" => format!(
                "downtime       {} (the longest gap that the guest saw; it was not moved)",
                ms(record.downtime_ms)
            ),
            _ => format!("downtime       {}", ms(record.downtime_ms)),
        },
    ];
    let mut more = |name: &str, text: String| lines.push(format!("{name:<14} {text}"));
    if record.mode == "postcopy" && record.switched == 0 && record.outcome == "completed" {
        more(
            "post-copy",
            "never switched: it converged as pre-copy first, and its downtime is pre-copy's"
                .to_owned(),
        );
    }
    if record.mode == "offline" {
        more(
            "phases",
            format!(
                "suspend {}, copy {}, resume {}",
                ms(record.suspend_ms),
                ms(record.copy_ms),
                ms(record.resume_ms)
            ),
        );
    } else {
        more(
            "by QEMU",
            format!("total {}, downtime {}", ms(record.qemu_total_ms), ms(record.qemu_downtime_ms)),
        );
        let count = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.0}"));
        more("dirty syncs", count(record.rounds));
        more("wire bytes", count(record.wire_bytes));
        more(
            "pages",
            format!("{} normal, {} zero", count(record.normal_pages), count(record.zero_pages)),
        );
    }
    more(
        "guest's gap",
        format!("{}; heard outside {}", ms(record.guest_gap_ms), ms(record.beat_gap_ms)),
    );
    more(
        "link",
        format!(
            "{} Mbit/s, {} µs round trip, {} Mbit/s of payload{}",
            record.link_mbit,
            record.rtt_us.unwrap_or(f64::NAN),
            record.goodput_mbit.unwrap_or(f64::NAN),
            record
                .goodput_spread_mbit
                .map_or(String::new(), |spread| format!(", the most of probes {spread} apart"))
        ),
    );
    if let (Some(socket), Some(shaper)) = (record.stop_socket_bytes, record.stop_shaper_bytes) {
        more(
            "queued at stop",
            format!("{socket:.0} bytes in the socket, {shaper:.0} in the shaper"),
        );
    }
    if let Some(cpu) = record.background_cpu {
        let of = record.host_cpus.map_or(String::new(), |cpus| format!(" of {cpus}"));
        let waited = record.cpu_pressure.map_or(String::new(), |share| {
            format!("; in {:.0} % of the time something waited for one", 100.0 * share)
        });
        more("disturbance", format!("{cpu:.2}{of} processors' worth{waited}"));
    }
    if !record.error.is_empty() {
        more("error", record.error.clone());
    }
    lines.join("\n") + "\n"
}
