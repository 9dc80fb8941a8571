//! Commands with faults put in: that no guest is lost, left standing, left changed or left twice,
//! and nothing is left behind.
//!
//! Each trial runs a command of this program as another process, strikes it or the hosts at a
//! random moment, and runs the next command that a person would, `migcal settle`. Then it looks, by
//! other means than the commands', at what is there.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use migsim_models::spec::Mode;
use migsim_models::units::BitRate;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::dirty::Method;
use crate::domain::{FOLDER, Files, QEMUS_FOLDER, read_serial};
use crate::hosts::Hosts;
use crate::hosts::libvirt::{LibvirtHosts, Site};
use crate::lab::{Lab, Link, Side, helper_pids};
use crate::plan::RunKeys;
use crate::reach::Reach;

/// What is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// `migcal run` between the lab's hosts.
    Run(Mode),
    /// `migcal run` in a lab of its own.
    OwnRun,
    /// `migcal campaign`, of two runs.
    Campaign,
    /// `migcal dirty` of a guest at work.
    Dirty(Method),
    /// `migcal settle` after a run that was killed in its middle.
    Settle,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The command gets a signal.
    Tool(Signal),
    /// A host's libvirtd is killed.
    Daemon(Side),
    /// A host's QEMU is killed.
    Guest(Side),
    /// The link is cut for this long, in seconds.
    Cut(u64),
    /// The destination's disk is full when the image arrives; the guest's host's when its memory is
    /// written down.
    FullDisk,
    /// What works at the hosts for the command is killed.
    Helper,
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Run(mode) => write!(f, "run {mode}"),
            Subject::OwnRun => f.write_str("run in its own lab"),
            Subject::Campaign => f.write_str("campaign"),
            Subject::Dirty(method) => write!(f, "dirty {method}"),
            Subject::Settle => f.write_str("settle"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Tool(signal) => write!(f, "the tool killed by {signal}"),
            Fault::Daemon(side) => write!(f, "the {side}'s libvirtd killed"),
            Fault::Guest(side) => write!(f, "the {side}'s QEMU killed"),
            Fault::Cut(s) => write!(f, "the link cut for {s} s"),
            Fault::FullDisk => f.write_str("a disk full"),
            Fault::Helper => f.write_str("the helpers killed"),
        }
    }
}

const SIGNALS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL];

/// One command, struck once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Which of its series, from 1.
    pub number: usize,
    /// What is struck.
    pub subject: Subject,
    /// With what.
    pub fault: Fault,
    /// Since when: the command's begin, or the moment at which its guest is at work, which is the
    /// migration's begin.
    pub at_work: bool,
    /// How long after that.
    pub after: Duration,
}

impl Trial {
    /// The `number`-th of the series of a seed: the same whichever are made before it.
    pub fn drawn(seed: u64, number: usize) -> Trial {
        let mut rng =
            ChaCha8Rng::seed_from_u64(seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let pick = |rng: &mut ChaCha8Rng, n: usize| rng.random_range(0..n);
        let subject = match pick(&mut rng, 16) {
            0..=3 => Subject::Run(Mode::Precopy),
            4 | 5 => Subject::Run(Mode::Postcopy),
            6 | 7 => Subject::Run(Mode::Offline),
            8 => Subject::OwnRun,
            9 => Subject::Campaign,
            10 | 11 => Subject::Dirty(Method::Rehearsal),
            12 | 13 => Subject::Dirty(Method::Snapshots),
            14 => Subject::Dirty(Method::DirtyBitmap),
            _ => Subject::Settle,
        };
        let side = Side::BOTH[pick(&mut rng, 2)];
        let tool = Fault::Tool(SIGNALS[pick(&mut rng, 4)]);
        let cut = Fault::Cut([3, 12, 40][pick(&mut rng, 3)]);
        let among: &[Fault] = match subject {
            Subject::OwnRun => &[tool],
            Subject::Dirty(Method::Snapshots) => {
                &[tool, tool, tool, Fault::Helper, Fault::Helper, Fault::FullDisk]
            }
            Subject::Dirty(Method::Rehearsal) => {
                &[tool, tool, tool, Fault::Helper, Fault::Helper, Fault::Guest(Side::Source)]
            }
            Subject::Dirty(_) => &[tool, tool, Fault::Daemon(Side::Source)],
            Subject::Run(Mode::Offline) => &[
                tool,
                tool,
                tool,
                Fault::Helper,
                Fault::FullDisk,
                cut,
                Fault::Daemon(side),
                Fault::Guest(side),
            ],
            _ => &[
                tool,
                tool,
                tool,
                Fault::Helper,
                cut,
                cut,
                Fault::Daemon(side),
                Fault::Guest(side),
            ],
        };
        let fault = among[pick(&mut rng, among.len())];
        let has_a_migration = matches!(subject, Subject::Run(_) | Subject::Campaign);
        let at_work = has_a_migration && rng.random_bool(0.7);
        // From the first moment to a little after the usual end.
        let longest = match subject {
            _ if at_work => 4.5,
            Subject::Run(_) => 4.0,
            Subject::OwnRun => 10.0,
            Subject::Campaign => 15.0,
            Subject::Dirty(_) => 4.0,
            Subject::Settle => 2.5,
        };
        Trial {
            number,
            subject,
            fault,
            at_work,
            after: Duration::from_secs_f64(longest * rng.random::<f64>()),
        }
    }
}

/// How a trial ended, as a row of the report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the columns are in docs/real-runs.md")]
pub struct Checked {
    pub number: usize,
    pub seed: u64,
    pub command: String,
    pub fault: String,
    pub since: String,
    pub after_ms: u64,
    pub struck: u8,
    /// How the command ended.
    pub ended: String,
    /// What it said last.
    pub said: String,
    /// What the next command said of the guest.
    pub settled: String,
    /// What was there: `one guest`, `none` and why that is right.
    pub found: String,
    /// What is wrong with it; empty: nothing.
    pub wrong: String,
}

/// A series of trials on one lab.
#[derive(Debug)]
pub struct Series {
    lab: String,
    seed: u64,
    interrupted: Arc<AtomicBool>,
    tool: PathBuf,
}

const GUEST: &str = "migcal-faults";
/// What it is: small, and slow enough over the lab's link that a fault meets it in its middle.
const MEMORY: &str = "64MiB";
const TOUCHED: &str = "6000p";
const WORKLOAD: &str = "uniform(wss=3000p, rate=1500p/s)";
/// A command that takes longer than this after it was struck hangs. libvirt gives up on a dead peer
/// after 30 s, and a run on libvirt after 90.
const PATIENCE: Duration = Duration::from_secs(240);

/// A guest's parameters that measurements change.
const PARAMETERS: [&str; 3] = ["downtime-limit", "max-bandwidth", "pause-before-switchover"];

impl Series {
    /// A series on this lab, which is up and not in use. `tool` is this program.
    pub fn new(lab: &str, seed: u64, tool: &Path, interrupted: &Arc<AtomicBool>) -> Series {
        Series {
            lab: lab.to_owned(),
            seed,
            interrupted: Arc::clone(interrupted),
            tool: tool.to_owned(),
        }
    }

    fn lab(&self) -> anyhow::Result<Lab> {
        Lab::find(&self.lab)?.with_context(|| format!("the lab `{}` is gone", self.lab))
    }

    fn open(&self) -> anyhow::Result<LibvirtHosts> {
        let lab = self.lab()?;
        let in_use = Arc::new(lab.lock()?);
        LibvirtHosts::open(Site::Lab { lab: Box::new(lab), in_use }, GUEST, &self.interrupted)
    }

    fn keys(mode: Mode) -> RunKeys {
        RunKeys {
            memory: text_of(MEMORY),
            touched: text_of(TOUCHED),
            workload: text_of(WORKLOAD),
            mode: Some(mode),
            link: Some(Series::link().capacity),
            ..RunKeys::default()
        }
    }

    /// The link that the lab is to have.
    pub fn link() -> Link {
        Link::of(BitRate(100_000_000))
    }

    /// Makes a trial.
    ///
    /// # Errors
    /// The lab is gone, or no guest starts in it.
    pub fn make(&self, trial: &Trial) -> anyhow::Result<Checked> {
        let lab = self.lab()?;
        let folder = tempfile::tempdir()?;
        // Before anything of the guest is there: its files are to lie on the disk that gets full.
        let disk = (trial.fault == Fault::FullDisk)
            .then(|| Disk::small(&lab, trial.subject))
            .transpose()?;
        let before = self.prepare(trial)?;
        let mut seen = Seen {
            worked: matches!(trial.subject, Subject::Dirty(_) | Subject::Settle),
            ..Seen::default()
        };
        let mut child = self.start(trial, folder.path())?;
        // A lab that it may bring up for itself.
        let own = format!("own-{}", child.id());
        // A guest that does not come to work is struck all the same.
        let begun = Instant::now();
        let goes_on = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        while trial.at_work
            && !seen.worked
            && begun.elapsed() < Duration::from_secs(60)
            && goes_on(&mut child)
        {
            std::thread::sleep(Duration::from_millis(20));
            seen.worked |= works_at(&lab);
        }
        let began = Instant::now();
        while began.elapsed() < trial.after && goes_on(&mut child) {
            std::thread::sleep(Duration::from_millis(2));
        }
        seen.worked |= works_at(&lab);
        // A command that has ended is not struck: its number may be another process's by now.
        if goes_on(&mut child) {
            seen.ends_the_guest = ends_the_guest(trial, &lab);
            seen.struck = self.strike(trial, &lab, &child, disk.as_ref());
        }
        let output = Self::wait(child, trial, &lab)?;
        let _ = lab.set_cut(false);
        let mut wrong = Vec::new();
        let Some(output) = output else {
            wrong.push("the command hangs".to_owned());
            return Ok(self.row(trial, &seen, None, None, "", &wrong));
        };
        let gentle = matches!(trial.fault, Fault::Tool(signal) if signal != Signal::SIGKILL);
        if gentle && let (Subject::Dirty(_), Some(before)) = (trial.subject, &before) {
            // The helper outlives its tool for as long as it takes to put things back.
            helpers_end(&lab);
            wrong.extend(changed(&lab, Side::Source, before, "when the command had ended"));
        }
        let settle = Trial { subject: Subject::Settle, ..*trial };
        let Some(settled) = end_of(self.start(&settle, folder.path())?, |_| {})? else {
            wrong.push("the next command hangs".to_owned());
            return Ok(self.row(trial, &seen, Some(&output), None, "", &wrong));
        };
        let found = look(trial, &lab, &seen, before.as_deref(), &settled, &mut wrong);
        wrong.extend(left_after_settling(&lab));
        if let Err(error) = self.open().and_then(|mut hosts| hosts.clear()) {
            wrong.push(format!("it cannot be removed: {error:#}"));
        }
        drop(disk);
        wrong.extend(left_behind(&lab, &own));
        Ok(self.row(trial, &seen, Some(&output), Some(&settled), &found, &wrong))
    }

    fn row(
        &self,
        trial: &Trial,
        seen: &Seen,
        output: Option<&Output>,
        settled: Option<&Output>,
        found: &str,
        wrong: &[String],
    ) -> Checked {
        Checked {
            number: trial.number,
            seed: self.seed,
            command: trial.subject.to_string(),
            fault: trial.fault.to_string(),
            since: if trial.at_work { "work" } else { "begin" }.to_owned(),
            after_ms: trial.after.as_millis() as u64,
            struck: seen.struck.into(),
            ended: output.map_or("not at all".to_owned(), |output| output.status.to_string()),
            said: output.map_or(String::new(), |output| last_line(&output.stderr)),
            settled: settled.map_or(String::new(), |output| {
                last_line(&output.stdout) + &last_line(&output.stderr)
            }),
            found: found.to_owned(),
            wrong: wrong.join("; "),
        }
    }

    /// What has to stand before the command begins; returns the parameters of a guest that is to be
    /// measured.
    fn prepare(&self, trial: &Trial) -> anyhow::Result<Option<String>> {
        match trial.subject {
            Subject::Dirty(_) => {
                let plan = Self::keys(Mode::Precopy).plan(Some(Series::link()))?;
                let mut hosts = self.open()?;
                hosts.start_guest(&plan)?;
                drop(hosts);
                settings(&self.lab()?, Side::Source).map(Some)
            }
            Subject::Settle => {
                let mut child = self.start(
                    &Trial { subject: Subject::Run(Mode::Precopy), ..*trial },
                    Path::new(""),
                )?;
                let (lab, began) = (self.lab()?, Instant::now());
                // A libvirtd that has just started runs QEMUs of its own, to see what they can.
                while !works_at(&lab) || state(&lab, Side::Destination).is_empty() {
                    if began.elapsed() > Duration::from_secs(60) {
                        child.kill()?;
                        bail!("the run that settle was to find did not begin its migration");
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                std::thread::sleep(Duration::from_millis(800));
                child.kill()?;
                child.wait()?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn start(&self, trial: &Trial, folder: &Path) -> anyhow::Result<Child> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
        let in_lab = ["--lab", &self.lab, "--name", GUEST];
        match trial.subject {
            Subject::Run(mode) => {
                add(&["run", "--keep"]);
                add(&in_lab);
                add(&flags(mode).each_ref().map(String::as_str));
            }
            Subject::OwnRun => {
                add(&["run", "--name", GUEST]);
                add(&flags(Mode::Precopy).each_ref().map(String::as_str));
            }
            Subject::Campaign => {
                let plan = folder.join("plan.toml");
                let text = format!(
                    "name = \"faults\"\n[[design]]\nname = \"d\"\nrepeats = 2\n[design.run]\nmemory = \"{MEMORY}\"\n\
                     touched = \"{TOUCHED}\"\nworkload = \"{WORKLOAD}\"\nlink = \"{}\"\n",
                    Series::link().capacity
                );
                fs::write(&plan, text)?;
                let (plan, out) =
                    (plan.display().to_string(), folder.join("out").display().to_string());
                add(&["campaign", &plan, "--out", &out]);
                add(&in_lab);
            }
            Subject::Dirty(method) => {
                add(&[
                    "dirty",
                    GUEST,
                    "--lab",
                    &self.lab,
                    "--windows",
                    "1",
                    "--repeats",
                    "1",
                    "--method",
                    &method.to_string(),
                ]);
            }
            Subject::Settle => {
                add(&["settle"]);
                add(&in_lab);
            }
        }
        let mut command = Command::new(&self.tool);
        command.args(&words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("starting another migcal")
    }

    /// Strikes. Returns the process that was killed at a host, if one was.
    fn strike(&self, trial: &Trial, lab: &Lab, child: &Child, disk: Option<&Disk>) -> bool {
        match trial.fault {
            Fault::Tool(signal) => hit(i32::try_from(child.id()).ok(), signal),
            Fault::Daemon(side) => hit(lab.daemon_pid(side), Signal::SIGKILL),
            Fault::Guest(side) => hit(lab.guest_pids(side).first().copied(), Signal::SIGKILL),
            Fault::Cut(_) => lab.set_cut(true).is_ok(),
            Fault::FullDisk => disk.is_some_and(|disk| disk.fill().is_ok()),
            // All of them, also after the first.
            Fault::Helper => {
                helper_pids(Some(lab))
                    .into_iter()
                    .filter(|pid| hit(Some(*pid), Signal::SIGKILL))
                    .count()
                    > 0
            }
        }
    }

    /// Waits for the struck command's end; `None`: it hangs, and is ended.
    fn wait(child: Child, trial: &Trial, lab: &Lab) -> anyhow::Result<Option<Output>> {
        let mut joined = false;
        end_of(child, |since| {
            if let Fault::Cut(seconds) = trial.fault
                && !joined
                && since > Duration::from_secs(seconds)
            {
                joined = true;
                // The lab may be gone: then its command ends by itself.
                let _ = lab.set_cut(false);
            }
        })
    }
}

/// Waits for a command's end; `None`: it hangs, and is ended. `meanwhile` hears how long it has
/// been waited for.
fn end_of(mut child: Child, mut meanwhile: impl FnMut(Duration)) -> anyhow::Result<Option<Output>> {
    let since = Instant::now();
    while child.try_wait()?.is_none() {
        meanwhile(since.elapsed());
        if since.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(Some(child.wait_with_output()?))
}

/// What was seen of a trial while it went on.
#[derive(Debug, Default)]
struct Seen {
    /// The guest had begun to work.
    worked: bool,
    /// Something was there to be struck, and was.
    struck: bool,
    /// The fault is the guest's end, whatever anyone does.
    ends_the_guest: bool,
}

fn works_at(lab: &Lab) -> bool {
    Side::BOTH.iter().any(|side| serial(lab, *side).contains("ready"))
}

/// Whether killing a QEMU is the guest's end: the only one, the one that has all of it, or one that
/// holds half of its memory.
///
/// The source's has all of it until the guest runs at the destination, also while it stands there
/// for the last pages to be sent.
fn ends_the_guest(trial: &Trial, lab: &Lab) -> bool {
    let Fault::Guest(side) = trial.fault else { return false };
    let at_both = Side::BOTH.iter().all(|side| !lab.guest_pids(*side).is_empty());
    let moved = state(lab, Side::Destination) == "running";
    !at_both
        || moved == (side == Side::Destination)
        || trial.subject == Subject::Run(Mode::Postcopy)
}

/// What `virsh` says at a host, within a minute: a QEMU that answers nothing is a fault, and not
/// waited for.
fn virsh(lab: &Lab, side: Side, words: &[&str]) -> anyhow::Result<String> {
    Reach::Here.run(&[&["timeout", "60", "virsh", "-c", &lab.uri(side)], words].concat())
}

/// The guest's state at a host, by `virsh`; empty: it is not there.
fn state(lab: &Lab, side: Side) -> String {
    let said = virsh(lab, side, &["domstate", GUEST]).unwrap_or_default();
    said.trim().to_owned()
}

/// The guest's parameters that measurements change, by QEMU.
fn settings(lab: &Lab, side: Side) -> anyhow::Result<String> {
    let mut found = Vec::new();
    for what in ["info migrate_parameters", "info migrate_capabilities"] {
        let text = virsh(lab, side, &["qemu-monitor-command", GUEST, "--hmp", what])?;
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| PARAMETERS.iter().any(|key| line.starts_with(*key)));
        found.extend(lines.map(str::to_owned));
    }
    Ok(found.join(", "))
}

/// Whether a measured guest is not as it was.
fn changed(lab: &Lab, side: Side, before: &str, when: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let state = state(lab, side);
    if state != "running" {
        wrong.push(format!("the guest is `{state}` {when}"));
    }
    match settings(lab, side) {
        Ok(now) if now == before => {}
        Ok(now) => wrong.push(format!("its parameters are {now} {when}, they were {before}")),
        Err(error) => wrong.push(format!("its parameters cannot be read {when}: {error:#}")),
    }
    wrong
}

/// Looks, by other means than the commands, whether the guest is where it is said to be, once,
/// alive and unchanged.
fn look(
    trial: &Trial,
    lab: &Lab,
    seen: &Seen,
    before: Option<&str>,
    settled: &Output,
    wrong: &mut Vec<String>,
) -> String {
    let running: Vec<Side> =
        Side::BOTH.into_iter().filter(|side| state(lab, *side) == "running").collect();
    let processes: usize = Side::BOTH.iter().map(|side| lab.guest_pids(*side).len()).sum();
    let starts = Side::BOTH.iter().filter(|side| serial(lab, **side).contains("ready")).count();
    let killed = seen.struck && seen.ends_the_guest;
    // Half of a guest may look as if it ran, to libvirt, for as long as it waits for the other
    // half.
    let half = killed
        && !settled.status.success()
        && running.iter().all(|side| !goes_on_working(lab, *side));
    if let [side] = running[..]
        && !half
    {
        if processes != 1 {
            wrong.push(format!("{processes} QEMU processes"));
        }
        if starts > 1 {
            wrong.push(format!("it was started {starts} times"));
        }
        if !settled.status.success() {
            wrong.push("settle did not see it".to_owned());
        }
        if !goes_on_working(lab, side) {
            wrong.push("it does not work any more".to_owned());
        }
        if let Some(before) = before {
            wrong.extend(changed(lab, side, before, "after the next command"));
        }
        return format!("one guest, at the {side}");
    }
    if running.len() > 1 {
        wrong.push("it runs at both hosts".to_owned());
        return "two guests".to_owned();
    }
    // None is right where it had not begun to work, where a command that was let end takes its
    // guests with it, and where the fault was its end.
    let takes_it_along = matches!(trial.subject, Subject::OwnRun | Subject::Campaign)
        && trial.fault != Fault::Tool(Signal::SIGKILL);
    let found = if killed {
        "none: its QEMU was killed"
    } else if trial.subject == Subject::OwnRun {
        "none: it went with its lab"
    } else if takes_it_along {
        "none: the command had removed it"
    } else if !seen.worked {
        "none: it had not begun to work"
    } else {
        wrong.push("no guest runs".to_owned());
        "none"
    };
    if processes > 0 && !killed {
        wrong.push(format!("{processes} QEMU processes stand"));
    }
    found.to_owned()
}

/// Whether the guest's own count of time goes on.
fn goes_on_working(lab: &Lab, side: Side) -> bool {
    let last = || read_serial(&serial(lab, side)).reports.last().map_or(0, |report| report.ms);
    let (first, started) = (last(), Instant::now());
    while started.elapsed() < Duration::from_secs(15) {
        if last() > first {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// Waits for the helpers of a command that has ended.
fn helpers_end(lab: &Lab) -> Vec<i32> {
    let began = Instant::now();
    loop {
        let helpers = helper_pids(Some(lab));
        if helpers.is_empty() || began.elapsed() > Duration::from_secs(8) {
            return helpers;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The names of what lies in migcal's folders at a host.
fn files_at(lab: &Lab, side: Side) -> Vec<String> {
    let mut found = Vec::new();
    for folder in [FOLDER, QEMUS_FOLDER] {
        let entries =
            fs::read_dir(lab.outside(side, Path::new(folder))).into_iter().flatten().flatten();
        let others =
            entries.filter(|entry| entry.path() != lab.outside(side, Path::new(QEMUS_FOLDER)));
        found.extend(others.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    found
}

/// What the next command should have put in order, and has not: journals, dumps, parts of images.
fn left_after_settling(lab: &Lab) -> Vec<String> {
    let of_work = |name: &String| {
        [".undo", ".memory", ".sink", ".part", ".save"].iter().any(|end| name.ends_with(end))
    };
    let mut left = Vec::new();
    for side in Side::BOTH {
        let files: Vec<String> = files_at(lab, side).into_iter().filter(of_work).collect();
        if !files.is_empty() {
            left.push(format!("{} at the {side} after the next command", files.join(", ")));
        }
    }
    left
}

/// What is left when the guest has been removed, and should not be.
fn left_behind(lab: &Lab, own: &str) -> Vec<String> {
    let mut left = Vec::new();
    let helpers = helpers_end(lab);
    if !helpers.is_empty() {
        left.push(format!("helpers {helpers:?} are left"));
    }
    for side in Side::BOTH {
        let guests = lab.guest_pids(side);
        if !guests.is_empty() {
            left.push(format!("QEMU {guests:?} is left at the {side}"));
        }
        let files = files_at(lab, side);
        if !files.is_empty() {
            left.push(format!("files {} are left at the {side}", files.join(", ")));
        }
    }
    // Other labs are somebody's.
    if Lab::names().unwrap_or_default().iter().any(|name| name == own) {
        left.push(format!("the lab {own} is left"));
    }
    left
}

/// What the guest has said at a host, as the host sees it: a disk of a trial may lie over its
/// folder.
fn serial(lab: &Lab, side: Side) -> String {
    let file = Files::of(GUEST).serial().display().to_string();
    lab.reach(side).run(&["cat", &file]).unwrap_or_default()
}

/// A disk that gets full.
struct Disk {
    lab: Lab,
    side: Side,
}

impl Disk {
    /// Puts a small disk where the guest's files go.
    fn small(lab: &Lab, subject: Subject) -> anyhow::Result<Disk> {
        let (side, size) = match subject {
            // The guest's memory fits twice, until the disk is filled.
            Subject::Dirty(_) => (Side::Source, "size=260m"),
            _ => (Side::Destination, "size=8m"),
        };
        let reach = lab.reach(side);
        reach.run(&["install", "-d", "-m", "711", FOLDER])?;
        reach.run(&["mount", "-t", "tmpfs", "-o", size, "tmpfs", FOLDER])?;
        let again = Lab::find(lab.name())?.context("the lab is gone")?;
        Ok(Disk { lab: again, side })
    }

    /// Leaves no room but a few MiB.
    fn fill(&self) -> anyhow::Result<()> {
        let reach = self.lab.reach(self.side);
        let text = reach.run(&["df", "-BM", "--output=avail", FOLDER])?;
        let free: u64 = text
            .lines()
            .nth(1)
            .and_then(|t| t.trim().trim_end_matches('M').parse().ok())
            .unwrap_or(0);
        let size = format!("{}M", free.saturating_sub(6));
        if free > 8 {
            reach.run(&["fallocate", "-l", &size, &format!("{FOLDER}/filler")])?;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A guest that still has its files there keeps it busy: the mount goes when it does.
        let _ = self.lab.reach(self.side).run(&["umount", "--lazy", FOLDER]);
    }
}

/// The keys of a run as flags of a command.
fn flags(mode: Mode) -> [String; 5] {
    [
        format!("--memory={MEMORY}"),
        format!("--touched={TOUCHED}"),
        format!("--workload={WORKLOAD}"),
        format!("--link={}", Series::link().capacity),
        format!("--mode={mode}"),
    ]
}

fn hit(pid: Option<i32>, signal: Signal) -> bool {
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), signal).is_ok())
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("").to_owned()
}

fn text_of<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A table of how often each command was struck with each fault, and what was wrong.
pub fn summary(rows: &[Checked]) -> String {
    let mut counts: std::collections::BTreeMap<(String, String, String), (usize, usize)> =
        Default::default();
    for row in rows {
        let key = (
            row.command.clone(),
            row.fault.clone(),
            row.found.split(',').next().unwrap_or("").to_owned(),
        );
        let (all, bad) = counts.entry(key).or_default();
        *all += 1;
        *bad += usize::from(!row.wrong.is_empty());
    }
    let mut text = String::from(
        "| command | fault | afterwards | trials | wrong |\n| --- | --- | --- | --: | --: |\n",
    );
    for ((command, fault, found), (all, bad)) in counts {
        let _ = writeln!(text, "| {command} | {fault} | {found} | {all} | {bad} |");
    }
    text
}

/// Reads the rows of a report that are there already.
///
/// # Errors
/// It is no report of this seed.
pub fn read_report(file: &Path, seed: u64) -> anyhow::Result<Vec<Checked>> {
    if !file.exists() || fs::metadata(file)?.len() == 0 {
        return Ok(Vec::new());
    }
    let name = file.display().to_string();
    let mut reader = csv::Reader::from_path(file).with_context(|| name.clone())?;
    let rows: Vec<Checked> = reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(|| format!("{name}: is no report of faults"))?;
    if let Some(other) = rows.iter().find(|row| row.seed != seed) {
        bail!("{name}: is of the seed {}, not {seed}; give another --out", other.seed);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_strikes_every_command_with_every_fault_and_is_the_same_again() {
        let trials: Vec<Trial> = (1..=1000).map(|number| Trial::drawn(1, number)).collect();
        assert_eq!(trials[41], Trial::drawn(1, 42));
        for subject in [
            "run precopy",
            "run postcopy",
            "run offline",
            "own lab",
            "campaign",
            "rehearsal",
            "snapshots",
            "dirty-bitmap",
            "settle",
        ] {
            let of: Vec<&Trial> =
                trials.iter().filter(|t| t.subject.to_string().contains(subject)).collect();
            for signal in SIGNALS {
                assert!(of.iter().any(|t| t.fault == Fault::Tool(signal)), "{subject} {signal}");
            }
        }
        for fault in [
            Fault::Helper,
            Fault::FullDisk,
            Fault::Cut(40),
            Fault::Daemon(Side::Source),
            Fault::Guest(Side::Destination),
        ] {
            assert!(trials.iter().any(|t| t.fault == fault), "{fault}");
        }
    }
}
