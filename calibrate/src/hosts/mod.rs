//! The wire: what a run asks of the two hosts, behind one trait, so that everything above it is
//! tested without libvirt.

#[cfg(feature = "libvirt")]
mod beats;
#[cfg(feature = "libvirt")]
pub(crate) mod ffi;
#[cfg(feature = "libvirt")]
pub(crate) mod identity;
#[cfg(feature = "libvirt")]
pub mod libvirt;
#[cfg(feature = "libvirt")]
mod observed;
pub mod replay;

use std::collections::BTreeMap;
use std::time::Duration;

use migsim_models::units::Pages;
use migsim_models::workload::Workload;
use serde::{Deserialize, Serialize};

use crate::lab::Side;
use crate::plan::RunPlan;

/// Where a guest is at one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Not there, or there but shut off.
    Absent,
    /// It runs.
    Running,
    /// It stands still.
    Paused(Pause),
    /// The host does not say: why.
    Unknown(String),
}

/// Why a guest stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// For a migration, leaving or arriving.
    Migration,
    /// A post-copy migration was interrupted: its memory lies at both hosts.
    PostcopyFailed,
    /// For another reason.
    Other,
}

/// libvirt's statistics of a job, by libvirt's own names.
pub type JobStats = BTreeMap<String, f64>;

/// One look at a running migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Since the migration was asked for, ms.
    pub at_ms: f64,
    /// libvirt's statistics.
    pub stats: JobStats,
}

/// How a migration stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It is under way.
    Running,
    /// The call has returned, with its error.
    Ended(Result<(), String>),
}

/// What was seen of a run beside libvirt's statistics.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Observed {
    /// QEMU's own figures at the end: query-migrate's answer, by its names.
    pub qemu: JobStats,
    /// Passes, stop and states, with ms since the migration was asked for, by the source's clock.
    pub events: Vec<(String, f64)>,
    /// When the migration was asked for, by the tool's clock: seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_s: Option<f64>,
    /// The longest standstill the guest saw, ms.
    pub guest_gap_ms: Option<f64>,
    /// The longest silence between two beats of the guest at an observer outside, ms.
    pub beat_gap_ms: Option<f64>,
    /// Bytes the migration's socket had taken and the other side had not confirmed, just after the
    /// stop.
    pub stop_socket_bytes: Option<f64>,
    /// Bytes of them that had not been sent even once.
    pub stop_unsent_bytes: Option<f64>,
    /// Bytes in the shaper just after the stop.
    pub stop_shaper_bytes: Option<f64>,
    /// Processors' worth of time that unrelated processes used while the migration ran.
    pub background_cpu: Option<f64>,
    /// Processors' worth of time that a hypervisor below took away; part of the unrelated work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal_cpu: Option<f64>,
    /// Processors that the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_cpus: Option<f64>,
    /// Share of the time in which some task waited for a processor (the kernel's pressure stall
    /// information), 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_pressure: Option<f64>,
    /// Processors' worth of time that everything used.
    pub busy_cpu: Option<f64>,
    /// Load average (1 minute) at the start.
    pub loadavg: Option<f64>,
}

/// What is known of the hosts before anything runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// QEMU's version at the source, as 7.2.22.
    pub qemu: String,
    /// libvirt's.
    pub libvirt: String,
    /// Capacity of the path in Mbit/s: as the lab shapes it, or from the measured goodput.
    pub link_mbit: f64,
    /// TCP payload that got through, Mbit/s: the most that a probe saw.
    pub goodput_mbit: f64,
    /// How far the probes lay apart, Mbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goodput_spread_mbit: Option<f64>,
    /// Round-trip time in µs, measured.
    pub rtt_us: f64,
    /// The most a sender's socket buffer holds, bytes.
    pub send_buffer: Option<f64>,
    /// TCP's congestion control.
    pub congestion: Option<String>,
}

/// Two hosts and the guest between them. Calls return errors in words that say what did not work.
pub trait Hosts {
    /// Whether these runs, each of guests that are moved at the same time, can be made: by the
    /// hosts' versions, and by the room that they have.
    fn check(&mut self, runs: &[Vec<&RunPlan>]) -> anyhow::Result<()>;
    /// Shapes and measures the path as the plan wants it.
    fn path(&mut self, plan: &RunPlan) -> anyhow::Result<Facts>;
    /// Starts the plan's guest at the source and returns when it works.
    fn start_guest(&mut self, plan: &RunPlan) -> anyhow::Result<()>;
    /// What the guest writes, measured, and how many of its pages hold something; `None`: it
    /// follows the plan's workload.
    fn curve(&mut self, plan: &RunPlan) -> anyhow::Result<Option<(Workload, Pages)>>;
    /// How long the guest had been at work when the migration was asked for; `None`: that is not
    /// known.
    fn worked(&mut self) -> Option<Duration>;
    /// Starts the migration; it goes on in the background.
    fn begin(&mut self, plan: &RunPlan) -> anyhow::Result<()>;
    /// How the migration stands.
    fn progress(&mut self) -> Progress;
    /// libvirt's statistics right now; `None`: no job.
    fn sample(&mut self) -> Option<JobStats>;
    /// The number of iterations over memory that have begun, as QEMU's events tell.
    fn iterations(&mut self) -> u64;
    /// Switches to post-copy.
    fn start_postcopy(&mut self) -> anyhow::Result<()>;
    /// Gives the migration up.
    fn abort(&mut self) -> anyhow::Result<()>;
    /// libvirt's statistics of the completed job.
    fn completed(&mut self) -> Option<JobStats>;
    /// What else was seen.
    fn observed(&mut self) -> Observed;
    /// Offline, first phase: the guest stops and its memory goes to a file.
    fn save(&mut self) -> anyhow::Result<()>;
    /// Second: the file goes over the link.
    fn copy(&mut self) -> anyhow::Result<()>;
    /// Third: the guest goes on from the file at a host.
    fn restore(&mut self, side: Side) -> anyhow::Result<()>;
    /// Removes the images of an offline migration: once the guest runs, they are of the past, and
    /// would bring it back to life.
    fn forget_images(&mut self);
    /// Whether a host has a whole image of the guest.
    fn has_image(&mut self, side: Side) -> bool;
    /// Lets a migration go that is being given up and hangs in it. Returns whether one did.
    fn unstick(&mut self) -> bool;
    /// Whether source and destination are one host under two names: then nothing that is decided of
    /// them holds.
    fn same_host(&mut self) -> bool;
    /// Where the guest is.
    fn presence(&mut self, side: Side) -> Presence;
    /// Whether a migration is still under way at the source, whoever began it.
    fn job_active(&mut self) -> bool;
    /// Lets a guest that stands still go on.
    fn resume(&mut self, side: Side) -> anyhow::Result<()>;
    /// Ends a guest.
    fn destroy(&mut self, side: Side) -> anyhow::Result<()>;
    /// Goes on with an interrupted post-copy migration; in the background, as [`Hosts::begin`].
    fn recover_postcopy(&mut self) -> anyhow::Result<()>;
    /// What is wrong with the hosts and the path right now, in words: a fault is told as what it
    /// was.
    fn diagnose(&mut self) -> Vec<String>;
    /// Brings back what a fault has taken away and a host can bring back itself: its daemon.
    fn mend(&mut self);
    /// Removes the guest and its files from both hosts.
    fn clear(&mut self) -> anyhow::Result<()>;
    /// Time by the tool's clock, since any fixed moment.
    fn now(&self) -> Duration;
    /// Lets time pass.
    fn wait(&mut self, time: Duration);
    /// What a person types to reach a host, for messages.
    fn uri(&self, side: Side) -> String;
    /// The same two hosts, for another guest beside this one: the `number`-th, from 2.
    fn beside(&mut self, number: usize) -> anyhow::Result<Box<dyn Hosts + Send>>;
}
