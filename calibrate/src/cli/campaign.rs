//! `migcal campaign`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use migcal::campaign::{Ending, HostFacts, Listener, Plan, Planned, Store, make};
use migcal::hosts::Hosts;
use migcal::lab::Side;
use migcal::plan::{RunKeys, RunPlan};
use migcal::record::{Record, now};
use migsim::input::InputError;
use migsim_report::terminal::{self, INTERRUPTED};

use migsim_models::units::{Bytes, Pages};

use super::site::SiteArgs;

#[derive(Debug, Args)]
pub(super) struct CampaignArgs {
    /// Which runs: see docs/real-runs.md
    plan: PathBuf,
    /// The campaign's folder; one that has runs of this plan is gone on with
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    site: SiteArgs,
    /// Make the runs of these designs alone; the others can follow
    #[arg(long, value_name = "DESIGN", value_delimiter = ',')]
    only: Vec<String>,
    /// Say which runs there would be, and make none
    #[arg(long)]
    dry_run: bool,
}

struct Bar(ProgressBar);

impl Listener for Bar {
    fn starting(&mut self, planned: &Planned) {
        let plan = &planned.plan;
        self.0.set_message(format!("{} {} {}", planned.id, plan.policy.mode, plan.workload));
    }

    fn ended(&mut self, record: &Record) {
        self.0.inc(1);
        if record.outcome == "failed" {
            self.note(&format!("run {} failed: {}", record.id, record.error));
        }
    }

    fn note(&mut self, text: &str) {
        self.0.suspend(|| terminal::complain(text));
    }
}

pub(super) fn run(args: &CampaignArgs) -> anyhow::Result<ExitCode> {
    let file = args.plan.display().to_string();
    let text =
        std::fs::read_to_string(&args.plan).with_context(|| format!("{file}: cannot be read"))?;
    let plan = Plan::parse(&file, &text)?;
    let mut runs = plan.runs(&file, args.site.link()?)?;
    for name in &args.only {
        if !plan.design.iter().any(|design| design.name == *name) {
            let known: Vec<&str> = plan.design.iter().map(|design| design.name.as_str()).collect();
            return Err(InputError::new(
                "--only",
                format!("{file} has no design `{name}`; it has {}", known.join(", ")),
            )
            .into());
        }
    }
    if !args.only.is_empty() {
        runs.retain(|run| args.only.contains(&run.design));
    }
    if args.dry_run {
        let lines = runs.iter().map(|r| {
            let link = r.plan.link.map_or(String::new(), |link| format!(", {}", link.capacity));
            format!(
                "{}: {} of {}, {} touched, {}{link}\n",
                r.id, r.plan.policy.mode, r.plan.memory, r.plan.touched, r.plan.workload
            )
        });
        terminal::print(&lines.collect::<String>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let at_once =
        runs.chunk_by(Planned::goes_with).map(|group| group.iter().map(|run| &run.plan).collect());
    let at_once: Vec<Vec<&RunPlan>> = at_once.collect();
    let interrupted = terminal::interruptible()?;
    let link = runs.first().and_then(|r| r.plan.link).unwrap_or_default();
    let mut opened = args.site.open(link, &interrupted)?;
    // Only now is anything written: two names of one host, say, leave nothing.
    let mut store = Store::open(&args.out, &text)?;
    opened.hosts.check(&at_once)?;
    let first = runs.first().map(|r| &r.plan).context("the plan has no runs")?;
    let warm_up = RunKeys {
        engine: Some(first.engine),
        memory: Some(Bytes(64 << 20)),
        touched: Some(Pages(0)),
        ..RunKeys::default()
    };
    let mut warm_up = warm_up.plan(None)?;
    warm_up.link = first.link;
    if store.manifest.began.is_empty() {
        let facts = opened.hosts.path(&warm_up)?;
        store.manifest.began = now();
        (store.manifest.qemu, store.manifest.libvirt) = (facts.qemu, facts.libvirt);
        store.manifest.hosts = Side::BOTH
            .into_iter()
            .map(|side| Ok(HostFacts::of(&side.to_string(), &opened.hosts.reach(side)?)))
            .collect::<anyhow::Result<_>>()?;
    }
    store.manifest.campaign.clone_from(&plan.name);
    store.manifest.migcal = env!("CARGO_PKG_VERSION").to_owned();
    store.manifest.commit = env!("MIGCAL_COMMIT").to_owned();
    store.write_manifest()?;
    let bar = terminal::progress(runs.len() as u64, "{bar:30} {pos}/{len} runs, {eta} left  {msg}");
    bar.set_position(runs.iter().filter(|run| store.has(&run.id)).count() as u64);
    bar.reset_eta();
    bar.enable_steady_tick(std::time::Duration::from_secs(1));
    let mut listener = Bar(bar);
    let ending = make(
        &mut opened.hosts,
        &runs,
        &plan.name,
        &warm_up,
        &mut store,
        &interrupted,
        &mut listener,
    );
    listener.0.finish_and_clear();
    drop(opened);
    match ending? {
        Ending::Done => {
            terminal::print(&format!(
                "{}: {} runs in {}\n",
                plan.name,
                store.len(),
                args.out.join("runs.csv").display()
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Ending::Interrupted => {
            terminal::complain(&format!(
                "interrupted: {} of {} runs are written; the same command goes on with the others",
                store.len(),
                runs.len()
            ));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}
