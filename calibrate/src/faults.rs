//! Runs with faults put in: that no guest is lost, none runs twice, and every fault is told as what it was.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use migsim_models::spec::Mode;
use migsim_models::units::BitRate;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::domain::{Files, read_serial};
use crate::hosts::libvirt::{LibvirtHosts, Site};
use crate::hosts::{Facts, Hosts, Presence};
use crate::lab::{Lab, Side};
use crate::plan::{RunKeys, RunPlan};
use crate::record::Record;
use crate::run::{Label, Meddler, Nobody, Settled, one, settle};

/// What is done to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A libvirtd is killed in the middle.
    DaemonKilled(Side),
    /// The destination's QEMU is killed in the middle.
    GuestKilled,
    /// The link is cut for this long, in seconds.
    Cut(u64),
    /// The link is cut until the run has ended.
    CutForGood,
    /// The tool gets a signal in the middle.
    Signal(Signal),
    /// The destination's disk is full when the image arrives.
    FullDisk,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::DaemonKilled(side) => write!(f, "the {side}'s libvirtd killed"),
            Fault::GuestKilled => f.write_str("the destination's QEMU killed"),
            Fault::Cut(s) => write!(f, "the link cut for {s} s"),
            Fault::CutForGood => f.write_str("the link cut for good"),
            Fault::Signal(signal) => write!(f, "the tool killed by {signal}"),
            Fault::FullDisk => f.write_str("the destination's disk full"),
        }
    }
}

/// Every fault, in the mode in which it strikes.
pub const FAULTS: [(Fault, Mode); 10] = [
    (Fault::DaemonKilled(Side::Destination), Mode::Precopy),
    (Fault::GuestKilled, Mode::Precopy),
    (Fault::Cut(5), Mode::Precopy),
    (Fault::CutForGood, Mode::Precopy),
    (Fault::Signal(Signal::SIGINT), Mode::Precopy),
    (Fault::Signal(Signal::SIGKILL), Mode::Precopy),
    (Fault::FullDisk, Mode::Offline),
    (Fault::DaemonKilled(Side::Source), Mode::Precopy),
    (Fault::Cut(5), Mode::Postcopy),
    (Fault::Signal(Signal::SIGKILL), Mode::Offline),
];

/// The moment at which a fault strikes, after the migration was asked for: the memory is under way.
const STRIKE: Duration = Duration::from_millis(1500);

/// Puts a fault into a run that this process makes.
struct Saboteur {
    lab: Lab,
    fault: Fault,
    struck: Option<Duration>,
    mended: bool,
}

impl Meddler for Saboteur {
    fn look(&mut self, since: Duration, _: usize) {
        if self.struck.is_none() && since >= STRIKE {
            self.struck = Some(since);
            match self.fault {
                Fault::DaemonKilled(side) => signal(self.lab.daemon_pid(side), Signal::SIGKILL),
                Fault::GuestKilled => {
                    signal(self.lab.guest_pids(Side::Destination).first().copied(), Signal::SIGKILL);
                }
                Fault::Cut(_) | Fault::CutForGood => drop(self.lab.set_cut(true)),
                Fault::Signal(_) | Fault::FullDisk => {}
            }
        }
        if let (Fault::Cut(seconds), Some(at)) = (self.fault, self.struck)
            && !self.mended
            && since >= at + Duration::from_secs(seconds)
        {
            self.mended = true;
            drop(self.lab.set_cut(false));
        }
    }
}

fn signal(pid: Option<i32>, signal: Signal) {
    if let Some(pid) = pid {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// How a run of the series ended.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The row.
    pub record: Record,
    /// What is wrong with how it ended; nothing, if the guest runs at exactly one host and is the one that was started.
    pub wrong: Vec<String>,
}

/// A series of runs on one lab.
#[derive(Debug)]
pub struct Series {
    lab: String,
    guest: String,
    interrupted: Arc<AtomicBool>,
    tool: PathBuf,
}

impl Series {
    /// A series on this lab, which is up and not in use. `tool` is this program, for the runs in which it is killed.
    pub fn new(lab: &str, tool: &Path, interrupted: &Arc<AtomicBool>) -> Series {
        Series {
            lab: lab.to_owned(),
            guest: "migcal-faults".to_owned(),
            interrupted: Arc::clone(interrupted),
            tool: tool.to_owned(),
        }
    }

    fn lab(&self) -> anyhow::Result<Lab> {
        Lab::find(&self.lab)?.with_context(|| format!("the lab `{}` is gone", self.lab))
    }

    fn open(&self) -> anyhow::Result<LibvirtHosts> {
        let lab = self.lab()?;
        let in_use = lab.lock()?;
        LibvirtHosts::open(
            Site::Lab { lab: Box::new(lab), in_use: std::sync::Arc::new(in_use) },
            &self.guest,
            &self.interrupted,
        )
    }

    fn keys(mode: Mode) -> RunKeys {
        RunKeys {
            memory: text_of("192MiB"),
            touched: text_of("24000p"),
            workload: text_of("uniform(wss=4096p, rate=800p/s)"),
            mode: Some(mode),
            // Slow enough that a fault meets the migration in its middle.
            link: Some(BitRate(120_000_000)),
            timeout: text_of("60s"),
            ..RunKeys::default()
        }
    }

    /// Makes one run.
    ///
    /// # Errors
    /// The lab is gone, or no guest starts in it.
    pub fn run(
        &self,
        id: &str,
        mode: Mode,
        fault: Option<Fault>,
        mut note: impl FnMut(&str),
    ) -> anyhow::Result<Checked> {
        let plan = Self::keys(mode).plan(true)?;
        let mut record = match fault {
            Some(Fault::Signal(signal)) => self.with_killed_tool(id, &plan, signal)?,
            _ => self.in_this_process(id, &plan, fault, &mut note)?,
        };
        let mut hosts = self.open()?;
        let settled = settle(&mut hosts, &mut note);
        let wrong = self.check(&mut hosts, &settled);
        record.fault = fault.map_or(String::new(), |fault| fault.to_string());
        if let Settled::RunsAt(side) = settled {
            record.holder = side.to_string();
        }
        hosts.clear()?;
        Ok(Checked { record, wrong })
    }

    fn in_this_process(
        &self,
        id: &str,
        plan: &RunPlan,
        fault: Option<Fault>,
        note: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Record> {
        let mut hosts = self.open()?;
        let lab = self.lab()?;
        let folder = Files::of("").image().parent().map(|p| p.display().to_string()).unwrap_or_default();
        if fault == Some(Fault::FullDisk) {
            let words = ["sh", "-c", "mkdir -p \"$0\" && mount -t tmpfs -o size=8m tmpfs \"$0\"", &folder];
            lab.reach(Side::Destination).run(&words)?;
        }
        let label = Label { id, campaign: "faults", repeat: 1 };
        let mut saboteur;
        let meddler: &mut dyn Meddler = match fault {
            Some(fault) => {
                saboteur = Saboteur { lab: self.lab()?, fault, struck: None, mended: false };
                &mut saboteur
            }
            None => &mut Nobody,
        };
        let result = one(&mut hosts, plan, label, &self.interrupted, meddler, note);
        if fault == Some(Fault::FullDisk) {
            lab.reach(Side::Destination).run(&["umount", &folder])?;
        }
        Ok(result?.record)
    }

    /// The run is made by another tool, which is hit in the middle of it.
    fn with_killed_tool(&self, id: &str, plan: &RunPlan, hit: Signal) -> anyhow::Result<Record> {
        let policy = &plan.policy;
        let words = [
            ("--lab", self.lab.clone()),
            ("--name", self.guest.clone()),
            ("--memory", plan.memory.to_string()),
            ("--touched", plan.touched.to_string()),
            ("--workload", plan.workload.to_string()),
            ("--mode", policy.mode.to_string()),
            ("--link", plan.link.map_or(String::new(), |link| link.capacity.to_string())),
        ];
        let mut child = Command::new(&self.tool)
            .args(["run", "--keep"])
            .args(words.iter().flat_map(|(flag, value)| [*flag, value.as_str()]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting another migcal")?;
        self.wait_for_the_middle(&mut child, policy.mode)?;
        signal(i32::try_from(child.id()).ok(), hit);
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        let status = output.status;
        Ok(Record {
            outcome: "failed".to_owned(),
            error: format!("the tool ended with {status}{}{said}", if said.is_empty() { "" } else { ": " }),
            ..Record::planned(id, "faults", plan, &Facts::default())
        })
    }

    fn wait_for_the_middle(&self, child: &mut Child, mode: Mode) -> anyhow::Result<()> {
        let lab = self.lab()?;
        let image = lab.outside(Side::Source, &Files::of(&self.guest).image());
        let started = Instant::now();
        loop {
            let begun =
                if mode == Mode::Offline { image.exists() } else { !lab.guest_pids(Side::Destination).is_empty() };
            if begun {
                std::thread::sleep(if mode == Mode::Offline { Duration::from_millis(300) } else { STRIKE });
                return Ok(());
            }
            if child.try_wait()?.is_some() || started.elapsed() > Duration::from_secs(90) {
                bail!("the other migcal did not get to its migration");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Looks, by other means than the run itself, whether the guest is where it is said to be, once, and alive.
    fn check(&self, hosts: &mut LibvirtHosts, settled: &Settled) -> Vec<String> {
        let mut wrong = Vec::new();
        let Settled::RunsAt(side) = settled else {
            return vec![format!("the guest does not run at exactly one host: {settled:?}")];
        };
        let running = Side::BOTH.map(|side| hosts.presence(side) == Presence::Running);
        if running.iter().filter(|r| **r).count() != 1 {
            wrong.push(format!("it runs at {} hosts", running.iter().filter(|r| **r).count()));
        }
        let Ok(lab) = self.lab() else { return vec!["the lab is gone".to_owned()] };
        let processes: usize = Side::BOTH.iter().map(|side| lab.guest_pids(*side).len()).sum();
        if processes != 1 {
            wrong.push(format!("{processes} QEMU processes"));
        }
        // The guest's own count of time goes on, and has gone on since before the migration: no other was started in its place.
        let last = || {
            let files = Files::of(&self.guest);
            let texts =
                Side::BOTH.map(|side| std::fs::read_to_string(lab.outside(side, &files.serial())).unwrap_or_default());
            let at = |side: Side| read_serial(&texts[side.index()]).reports.last().map_or(0, |r| r.ms);
            (at(*side), texts.iter().filter(|t| t.contains("ready")).count())
        };
        let (first, _) = last();
        let started = Instant::now();
        while last().0 <= first
            && started.elapsed() < Duration::from_secs(8)
            && !self.interrupted.load(Ordering::Relaxed)
        {
            std::thread::sleep(Duration::from_millis(200));
        }
        let (now, starts) = last();
        if now <= first {
            wrong.push("it does not work any more".to_owned());
        }
        if starts != 1 {
            wrong.push(format!("it was started {starts} times"));
        }
        wrong
    }
}

fn text_of<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}
