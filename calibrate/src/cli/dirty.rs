//! `migcal dirty`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use migcal::dirty::{Asked, Found, LONGEST_STOP, Method, measure};
use migcal::helper::undo;
use migcal::lab::{Lab, Side, reach};
use migcal::reach::Reach;
use migcal::record::major_minor;
use migsim::input::InputError;
use migsim_models::units::{BitRate, SimTime};
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED};
use virt::connect::Connect;

use super::lab::swept;
use super::site::tell;

#[derive(Debug, Args)]
pub(super) struct DirtyArgs {
    /// Name of the running domain
    domain: String,
    /// libvirt URI of its host
    #[arg(long, default_value = "qemu:///system", conflicts_with = "lab")]
    connect: String,
    /// It runs in this lab, at the source
    #[arg(long, value_name = "NAME")]
    lab: Option<String>,
    /// ... or at its destination
    #[arg(long, requires = "lab")]
    at_destination: bool,
    /// Windows in whole seconds, 1 to 60
    #[arg(long, value_delimiter = ',', default_value = "1,2,5,10,20")]
    windows: Vec<u32>,
    /// How often all windows are measured, 1 to 20: whether they agree says whether the guest is
    /// steady
    #[arg(long, default_value_t = 2)]
    repeats: usize,
    /// How [default: the best that the host has]
    #[arg(long, value_enum)]
    method: Option<Method>,
    /// The guest's own QMP socket, for snapshots and rehearsal [default: the one in its XML]
    #[arg(long, value_name = "PATH")]
    qmp: Option<PathBuf>,
    /// The longest that snapshots may stop the guest at a time; tried first while it runs
    /// [default: 5s]
    #[arg(long)]
    longest_stop: Option<SimTime>,
    /// The link of the command that is printed at the end [default: the lab's, or the speed of the
    /// host's card]
    #[arg(long)]
    link: Option<BitRate>,
}

pub(super) fn run(args: &DirtyArgs) -> anyhow::Result<ExitCode> {
    // QEMU: MIN_FETCH_DIRTYRATE_TIME_SEC, MAX_FETCH_DIRTYRATE_TIME_SEC.
    if let Some(window) = args.windows.iter().find(|w| !(1..=60).contains(*w)) {
        return Err(InputError::new(
            "--windows",
            format!("`{window}`: a window is 1 to 60 whole seconds"),
        )
        .into());
    }
    if !(1..=20).contains(&args.repeats) {
        return Err(
            InputError::new("--repeats", format!("`{}`: it takes 1 to 20", args.repeats)).into()
        );
    }
    let by_qmp = matches!(args.method, Some(Method::Snapshots | Method::Rehearsal));
    if args.qmp.is_some() && !by_qmp {
        return Err(InputError::new(
            "--qmp",
            "has no effect here: only snapshots and rehearsal take a QMP socket",
        )
        .into());
    }
    if args.longest_stop.is_some() && args.method != Some(Method::Snapshots) {
        return Err(InputError::new(
            "--longest-stop",
            "has no effect here: only snapshots stop the guest",
        )
        .into());
    }
    let mut windows = args.windows.clone();
    windows.sort_unstable();
    windows.dedup();
    swept();
    let interrupted = terminal::interruptible()?;
    let (uri, reach, link) = match &args.lab {
        Some(name) => {
            let lab = Lab::named(name)?;
            let side = if args.at_destination { Side::Destination } else { Side::Source };
            (lab.uri(side), Ok(lab.reach(side)), Some(lab.link().capacity))
        }
        None => (args.connect.clone(), reach(&args.connect), None),
    };
    let connect = Connect::open(Some(&uri))
        .map_err(|e| anyhow::anyhow!("{uri} is out of reach: {}", e.message()))?;
    let reach = reach.and_then(|reach| here_is(&connect, reach));
    if let Ok(reach) = &reach {
        match undo(reach) {
            // What is not as it was is not measured.
            Ok(undone) if !tell(&undone, &uri) => return Ok(ExitCode::from(SOME_FAILED)),
            // Without Python there a measurement of libvirt's own still works.
            Err(error) if by_qmp => return Err(error),
            _ => {}
        }
    }
    let total = args.repeats as u64 * windows.iter().map(|w| u64::from(*w)).sum::<u64>();
    let bar = terminal::progress(total, "{bar:30} {pos}/{len} s  {msg}");
    let mut done = 0;
    let asked = Asked {
        windows: &windows,
        repeats: args.repeats,
        method: args.method,
        qmp: args.qmp.clone(),
        longest_stop: args
            .longest_stop
            .map_or(LONGEST_STOP, |longest| Duration::from_nanos(longest.0)),
    };
    let found = measure(&connect, &reach, &args.domain, &asked, &interrupted, |window| {
        bar.set_position(done);
        bar.set_message(format!("{window} s"));
        done += u64::from(window);
    });
    bar.finish_and_clear();
    let found = match found {
        Ok(found) => found,
        Err(error) if interrupted.load(Ordering::Relaxed) => {
            terminal::complain(&format!("{error:#}"));
            let stands =
                reach.is_ok_and(|reach| undo(&reach).is_ok_and(|undone| !tell(&undone, &uri)));
            return Ok(ExitCode::from(if stands { SOME_FAILED } else { INTERRUPTED }));
        }
        Err(error) => return Err(error),
    };
    terminal::print(&describe(&args.domain, &found, args.link.or(link)))?;
    Ok(ExitCode::SUCCESS)
}

/// How commands get to the host, unless libvirt answers for another one than this machine: through
/// a forwarded socket, say.
fn here_is(connect: &Connect, reach: Reach) -> anyhow::Result<Reach> {
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let theirs = connect.hostname().unwrap_or_default();
    let first = |name: &str| name.trim().split('.').next().unwrap_or("").to_owned();
    if reach == Reach::Here && first(&own) != first(&theirs) && !theirs.is_empty() {
        anyhow::bail!(
            "libvirt answers for `{theirs}`, and this machine is `{}`: commands do not get there",
            own.trim()
        );
    }
    Ok(reach)
}

fn describe(name: &str, found: &Found, link: Option<BitRate>) -> String {
    let curve = &found.curve;
    let memory = curve.memory.bytes();
    let mut text = format!(
        "{name}: {memory} of memory, measured by {}\n\nwindow  distinct pages\n",
        curve.method
    );
    for window in &curve.windows {
        let (least, most) = (window.least.0, window.most.0);
        let range = if least == most { String::new() } else { format!("  ({least} to {most})") };
        text.push_str(&format!("{:>6}  {:>14}{range}\n", window.length.to_string(), window.mean.0));
    }
    if curve.coarse {
        text.push_str("\nQEMU reports whole MiB/s: each is known to 128 pages for each second of its window.\n");
    }
    if let Some(why) = curve.unsteady() {
        text.push_str(&format!(
            "\nUNSTEADY: {why}. What it writes comes and goes, or has changed meanwhile: one curve does not say it. Measure when it does \
             what it will do then, more --repeats, or give its spells by hand: phase(on=..., off=..., ...).\n"
        ));
    }
    let (measured, fitted) = (curve.workload(), curve.fitted());
    text.push_str(&format!(
        "\nas measured:  --workload '{measured}'\nas classes:   --workload '{fitted}'\n"
    ));
    let mut assumed = Vec::new();
    let touched = found.touched.map_or(String::new(), |pages| format!(" --touched {}p", pages.0));
    if found.touched.is_none() {
        assumed
            .push("how much of its memory it has touched could not be seen: all of it is assumed");
    }
    let link = link.or(found.card).unwrap_or_else(|| {
        assumed.push("the link is not known: --link 1Gbit/s stands for it");
        BitRate(1_000_000_000)
    });
    let qemu = major_minor(&found.qemu);
    text.push_str(&format!(
        "\nmigsim predict --memory {memory}{touched} --vcpus {} --qemu {qemu} --link {link} --workload '{measured}'\n",
        found.vcpus
    ));
    for what in assumed {
        text.push_str(&format!("Note: {what}.\n"));
    }
    text
}
