//! `migsim fleet` and `migsim inventory`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use clap::{Args, Subcommand};
use migsim::answer::Between;
use migsim::fleet::shape::{Findings, WhatIf};
use migsim::fleet::{
    Chance, Changes, Fleet, FleetOutcome, Shape, TOLERANCE, Totals, Wanted, generate, missing,
    read, read_changed, replicate, run, totals,
};
use migsim::input::InputError;
use migsim_models::profile::Profile;
use migsim_report::file::{Care, Output, PictureOutput};
use migsim_report::fleet::{Checked, Compared, Report, at_once, at_once_picture};
use migsim_report::format::{places, value};
use migsim_report::outputs::{OutputArgs, Prepared};
use migsim_report::page::{self, Page};
use migsim_report::parts;
use migsim_report::terminal::{self, INTERRUPTED, SOME_FAILED, interruptible};
use migsim_report::what_if::{WhatIfs, what_if_picture};
use migsim_report::window::{Clock, Window};
use serde_json::{Value, json};

use super::import::or_foreign;
use super::study::{StudyArgs, Whole};
use crate::keys::MigrationFlags;

/// What the page of a fleet says that it rests on.
const ASSUMED: &str = "links and processors are shared as docs/fleet.md says; what else runs on them is only what the file lists; \
    disks and the network's own pause are not in it";

/// So many replications tell a probability within some 7 %.
const WITH_A_DEADLINE: usize = 200;
/// Replications times moves that are kept in memory: 12 bytes each.
const MOST_KEPT: usize = 50_000_000;

const EXAMPLES: &str = "\
Examples:
  migsim fleet rack.toml --plot rack.svg --report rack.html
  migsim fleet rack.toml --start 'Fri 20:00' --deadline 'Fri 22:00' --manager libvirt
  migsim fleet rack.toml --at-once 1,2,4,8
  migsim fleet rack.toml --what-if at_once=4 --what-if mode=postcopy,timeout=2min";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct FleetArgs {
    /// Hosts, lines, guests and what is to be moved
    #[arg(value_name = "FILE.toml")]
    file: PathBuf,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Draw when each guest moves and stops, and how busy lines and hosts are
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
    /// All of it as one page that needs no network
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Move it so many times, each with other random draws in dirtying, links and start times, and
    /// say what is likely [default: 0; with a deadline 200]
    #[arg(long, value_name = "N")]
    replications: Option<usize>,
    /// When it begins: `Fri 20:00`, `20:00` or `2026-11-27 20:00`
    #[arg(long, value_name = "TIME", requires = "deadline")]
    start: Option<Clock>,
    /// Say how likely all guests have arrived by then, and which endanger that: a time as --start
    /// takes it, or how long there is (`2h`)
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// Seed of the replications
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    study: StudyArgs,
    /// The folder of a study's parts: a row for each replication, with the totals of its moves
    #[arg(long, value_name = "DIR", requires = "study")]
    out: Option<PathBuf>,
    /// Compare so many migrations at once, like 1,2,4,8; with --replications, --report or --what-if
    /// each as if asked by `--what-if at_once=N`
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    at_once: Vec<NonZeroUsize>,
    /// Ask the same with keys of `[moves]` or `[migration]` changed: `at_once=4`,
    /// `auto_converge=true`, several joined by commas; each alone, and all together
    #[arg(long, value_name = "KEY=VALUE")]
    what_if: Vec<Changes>,
    #[command(flatten)]
    migration: MigrationFlags,
    /// Of very many migrations on a link, one need not know at once that its share has changed by
    /// so much; 0: all are exact
    #[arg(long, value_name = "SHARE", default_value_t = TOLERANCE, value_parser = tolerance)]
    tolerance: f64,
    /// Parameters of the hosts, from a file or by name (see `migsim profile`) [default: servers of
    /// the class of the network card that most of them have]
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    manager: super::ManagerArg,
}

#[derive(Debug, Subcommand)]
pub(super) enum InventoryCommand {
    /// Make a fleet of what RVTools, virsh, openstack, kubectl and Proxmox list
    Import(Box<super::import::InventoryArgs>),
    /// Name everything that is wrong with a fleet's file and its inventory
    #[command(after_help = "Example:\n  migsim inventory check rack/fleet.toml")]
    Check {
        /// The fleet's file, which names the inventory
        #[arg(value_name = "FILE.toml")]
        file: PathBuf,
        #[command(flatten)]
        outputs: OutputArgs,
    },
    /// Make up a fleet: SHAPE.toml and SHAPE.csv
    #[command(
        after_help = "Example:\n  migsim inventory generate rack --hosts 12 --guests 150; migsim fleet rack.toml"
    )]
    Generate {
        /// rack, data-centre or two-sites
        shape: Shape,
        /// Hosts that are emptied
        #[arg(long, default_value_t = 8)]
        hosts: usize,
        /// Their guests
        #[arg(long, default_value_t = 80)]
        guests: usize,
        /// Other guests for another seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The folder for the two files
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// Overwrite files that are there
        #[arg(long)]
        force: bool,
    },
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.01).contains(&share) => Ok(share),
        _ => Err("it takes a share from 0 to 0.01, as 0.001".to_owned()),
    }
}

impl FleetArgs {
    /// What a page says in its address to ask the same.
    fn own(
        &self,
        window: Option<&Window>,
        replications: usize,
        asked: &Changes,
    ) -> Vec<(&'static str, String)> {
        let mut own = Vec::new();
        if replications > 0 {
            own.push(("replications", replications.to_string()));
            own.push(("seed", self.seed.to_string()));
        }
        own.extend(window.map(|window| ("deadline", window.length.to_string())));
        let changes: Vec<String> = asked
            .keys
            .flat()
            .into_iter()
            .map(|(key, value)| {
                format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect();
        if !changes.is_empty() {
            own.push(("changes", changes.join(",")));
        }
        own
    }
}

/// The files that a run reads.
fn inputs(args: &FleetArgs, fleet: &Fleet) -> Vec<PathBuf> {
    let own = std::iter::once(args.file.clone()).chain(args.profile.clone());
    own.chain(fleet.inventory.clone()).collect()
}

pub(super) fn fleet(args: &FleetArgs) -> anyhow::Result<ExitCode> {
    let window = args
        .deadline
        .as_deref()
        .map(|deadline| Window::new(args.start, deadline))
        .transpose()
        .map_err(|why| InputError::new("--deadline", why))?;
    let replications =
        args.replications.unwrap_or(if window.is_some() { WITH_A_DEADLINE } else { 0 });
    if window.is_some() && replications == 0 {
        return Err(InputError::new(
            "--replications",
            "0 say nothing of how likely a deadline is met; it takes 1 or more",
        )
        .into());
    }
    let between = terminal::between(args.profile.as_deref(), args.manager.manager)?;
    let asked = Changes::of(args.migration.0.clone());
    let fleet = Fleet {
        tolerance: args.tolerance,
        ..read_changed(&args.file, &asked).map_err(|why| or_foreign(&args.file, why))?
    };
    let hosts = between.over(fleet.cluster.usual_nic());
    let profile = &hosts.profile;
    if replications.saturating_mul(fleet.moves.len()) > MOST_KEPT {
        let most = MOST_KEPT / fleet.moves.len().max(1);
        let why = format!("{} moves take at most {most} replications", fleet.moves.len());
        return Err(InputError::new("--replications", why).into());
    }
    let interrupted = interruptible()?;
    let inputs = inputs(args, &fleet);
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let picture =
        args.plot.as_deref().map(|place| PictureOutput::create(place, care)).transpose()?;
    let prepared = args.outputs.prepare(care)?;
    let plainly = replications == 0 && args.report.is_none() && args.what_if.is_empty();
    if let Some(folder) = args.out.as_deref().filter(|_| args.study.is_asked()) {
        let study = (folder, replications, &prepared);
        return part(args, &fleet, &between, profile, study, &interrupted);
    }
    if !args.at_once.is_empty() && plainly {
        return compare(args, fleet, profile, (picture, prepared), &interrupted);
    }
    let wanted = Wanted {
        replications,
        first: 0,
        seed: args.seed,
        deadline: window.as_ref().map(|window| window.length),
    };
    let report_file =
        args.report.as_deref().map(|place| Output::create(place, care)).transpose()?;
    let page = || -> anyhow::Result<Page> {
        let mut made = page::about(args.profile.as_deref(), args.manager.manager)?;
        page::hold_fleet(&mut made, &args.file)?;
        made.own.extend(args.own(window.as_ref(), replications, &asked));
        made.made = Some(page::made(Some(args.seed), &profile.name, Some(ASSUMED)));
        Ok(made)
    };
    if !(args.what_if.is_empty() && args.at_once.is_empty()) {
        let Some(found) = what_ifs(args, &fleet, &asked, profile, wanted, &interrupted)? else {
            terminal::complain("interrupted: nothing is printed of what was not asked to the end");
            return Ok(ExitCode::from(INTERRUPTED));
        };
        prepared.write(&WhatIfs(&found))?;
        if let Some(picture) = picture {
            picture.write(&what_if_picture(&fleet.cluster.name, &found))?;
        }
        if let Some(file) = report_file {
            let mut page = page()?;
            page::compared_ways(&mut page, &found);
            file.write(page.html().as_bytes())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let expected = || -> Option<FleetOutcome> {
        let bar = terminal::progress(fleet.moves.len() as u64, "{bar:40} {pos}/{len} moves over");
        let found = run(&fleet, profile, Chance::none(), &interrupted, |over| {
            bar.set_position(over as u64);
        });
        bar.finish_and_clear();
        found
    };
    let Some(found) = expected() else {
        terminal::complain("interrupted: nothing is done yet");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    let likely = (replications > 0).then(|| {
        let bar = terminal::progress(
            replications as u64,
            "{bar:40} {pos}/{len} replications, {eta} left",
        );
        let likely = replicate(&fleet, profile, wanted, &interrupted, || bar.inc(1));
        bar.finish_and_clear();
        likely
    });
    let lost = found.moves.iter().filter(|one| !one.outcome.completed()).count();
    let bar = terminal::progress(
        lost as u64,
        "{bar:40} {pos}/{len} guests that do not arrive: what would help",
    );
    let missing = missing(&fleet, profile, &found, &interrupted, || bar.inc(1));
    bar.finish_and_clear();
    terminal::finishing();
    let findings = Findings {
        cluster: &fleet.cluster,
        moves_of: &fleet.moves,
        hosts,
        found: &found,
        missing: &missing,
        likely: likely.as_ref(),
    };
    let report = Report { findings, window: window.as_ref(), seed: args.seed };
    prepared.write(&report)?;
    if let Some(picture) = picture {
        picture.write(&report.picture())?;
    }
    if let Some(file) = report_file {
        let mut page = page()?;
        page::found(&mut page, &findings);
        file.write(page.html().as_bytes())?;
    }
    let totals = totals(&found);
    Ok(if interrupted.load(Ordering::Relaxed) {
        ExitCode::from(INTERRUPTED)
    } else if totals.not_arrived > 0 {
        ExitCode::from(SOME_FAILED)
    } else {
        ExitCode::SUCCESS
    })
}

/// A replication of a study, as a row: its number and its totals.
fn replication(number: usize, totals: &Totals) -> Value {
    let mut row = json!({ "replication": number });
    if let (Value::Object(row), Value::Object(totals)) = (&mut row, value(totals)) {
        row.extend(totals);
    }
    row
}

/// So many replications of a part are made before their rows are written.
const AT_A_TIME: usize = 64;

/// Makes a part of a study of replications, or prints the script for all parts.
fn part(
    args: &FleetArgs,
    fleet: &Fleet,
    between: &Between,
    profile: &Profile,
    (folder, replications, prepared): (&Path, usize, &Prepared),
    interrupted: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let columns = places(&replication(0, &Totals::default()));
    let Some(rows) = prepared.rows(columns) else {
        bail!(InputError::new("--part and --emit", "they take --format csv or jsonl"));
    };
    if replications == 0
        || args.deadline.is_some()
        || !args.what_if.is_empty()
        || !args.at_once.is_empty()
    {
        bail!(InputError::new(
            "--part and --emit",
            "they cut --replications, and take neither --deadline nor --what-if nor --at-once"
        ));
    }
    // Its file, its tables and the flags: all of it has become the fleet.
    let asked = json!({
        "fleet": parts::digest(format!("{fleet:?}").as_bytes())?,
        "profile": super::said(between)?,
        "seed": args.seed,
    });
    let format = args.outputs.ending();
    let whole = Whole { folder, format, rows: replications as u64, asked };
    args.study.go(whole, |own, out| {
        let bar = terminal::progress(
            own.end - own.start,
            "{bar:40} {pos}/{len} replications, {eta} left",
        );
        out.write_all(&rows.header()?)?;
        for first in (own.start as usize..own.end as usize).step_by(AT_A_TIME) {
            let count = AT_A_TIME.min(own.end as usize - first);
            let wanted = Wanted { replications: count, first, seed: args.seed, deadline: None };
            let made = replicate(fleet, profile, wanted, interrupted, || bar.inc(1));
            if interrupted.load(Ordering::Relaxed) {
                return Ok(false);
            }
            for (number, totals) in (first..).zip(&made.totals) {
                out.write_all(&rows.row(&replication(number, totals))?)?;
            }
        }
        bar.finish_and_clear();
        Ok(true)
    })
}

/// The fleet as it is, with each change alone, and with all of them; `None`: interrupted.
fn what_ifs(
    args: &FleetArgs,
    fleet: &Fleet,
    asked: &Changes,
    profile: &Profile,
    wanted: Wanted,
    interrupted: &AtomicBool,
) -> anyhow::Result<Option<Vec<WhatIf>>> {
    let mut ways = vec![(Changes::default().to_string(), fleet.clone())];
    let all = args.what_if.iter().fold(asked.clone(), |all, one| all.and(one));
    let together = (args.what_if.len() > 1).then(|| ("all of it".to_owned(), all));
    let limits: Vec<Changes> = args.at_once.iter().copied().map(Changes::at_once).collect();
    let alone = limits.iter().chain(&args.what_if).map(|one| (one.to_string(), asked.and(one)));
    for (which, (name, changes)) in alone.chain(together).enumerate() {
        let changed = read_changed(&args.file, &changes)
            .map_err(|why| anyhow::anyhow!("--what-if {name}: {why}"))?;
        let changed = Fleet { tolerance: args.tolerance, ..changed };
        if changed == ways[0].1 {
            if which < limits.len() {
                continue; // one of the limits is the file's own
            }
            let why = "changes nothing of this fleet: it is so already, or the file has no such hosts or links";
            return Err(InputError::new(format!("--what-if {name}"), why).into());
        }
        ways.push((name, changed));
    }
    let each = 1 + wanted.replications as u64;
    let bar = terminal::progress(ways.len() as u64 * each, "{bar:40} {pos}/{len} runs, {eta} left");
    let mut found = Vec::new();
    for (name, fleet) in &ways {
        let Some(moved) = run(fleet, profile, Chance::none(), interrupted, |_| {}) else { break };
        bar.inc(1);
        let likely = (wanted.replications > 0)
            .then(|| replicate(fleet, profile, wanted, interrupted, || bar.inc(1)));
        found.push(WhatIf::new(name, &moved, likely.as_ref()));
    }
    bar.finish_and_clear();
    terminal::finishing();
    Ok((!interrupted.load(Ordering::Relaxed)).then_some(found))
}

fn compare(
    args: &FleetArgs,
    mut fleet: Fleet,
    profile: &Profile,
    (picture, prepared): (Option<PictureOutput>, Prepared),
    interrupted: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let mut found = Vec::new();
    let bar = terminal::progress(args.at_once.len() as u64, "{bar:40} {pos}/{len}");
    for most in args.at_once.iter().map(|most| most.get()) {
        fleet.limits.at_once = Some(most);
        let Some(moved) = run(&fleet, profile, Chance::none(), interrupted, |_| {}) else { break };
        found.push((most, totals(&moved)));
        bar.inc(1);
    }
    bar.finish_and_clear();
    terminal::finishing();
    let found = at_once(found);
    prepared.write(&Compared(&found))?;
    if let Some(picture) = picture {
        picture.write(&at_once_picture(&fleet.cluster.name, &found))?;
    }
    let interrupted = interrupted.load(Ordering::Relaxed);
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

pub(super) fn inventory(command: &InventoryCommand) -> anyhow::Result<ExitCode> {
    match command {
        InventoryCommand::Import(args) => return super::import::inventory(args),
        InventoryCommand::Check { file, outputs } => {
            let fleet = read(file).map_err(|why| or_foreign(file, why))?;
            let (file, moves) = (file.display().to_string(), fleet.moves.len());
            outputs.prepare(Care::default())?.write(&Checked {
                file,
                cluster: &fleet.cluster,
                moves,
            })?;
        }
        InventoryCommand::Generate { shape, hosts, guests, seed, out, force } => {
            let place = |ending: &str| out.join(format!("{shape}.{ending}"));
            let [file, inventory] =
                generate(*shape, *hosts, *guests, *seed, &format!("{shape}.csv"))
                    .map_err(|why| InputError::new("--guests", why))?;
            let care = Care { edited: true, force: *force, ..Care::default() };
            let (first, second) =
                (Output::create(&place("toml"), care)?, Output::create(&place("csv"), care)?);
            second.write(inventory.as_bytes())?;
            first.write(file.as_bytes())?;
            terminal::print(&format!(
                "{} and {}; `migsim fleet {}` moves them\n",
                place("toml").display(),
                place("csv").display(),
                place("toml").display()
            ))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
