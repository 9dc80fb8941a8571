//! Recorded runs as hosts: what was measured once is answered again, in virtual time.

use std::time::Duration;

use anyhow::bail;
use migsim_models::units::Pages;
use migsim_models::workload::Workload;
use serde::{Deserialize, Serialize};

use super::{Facts, Hosts, JobStats, Observed, Presence, Progress, Sample};
use crate::lab::Side;
use crate::plan::RunPlan;

/// All that was seen of a run: a line of samples.jsonl.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Trace {
    /// The run's id.
    pub id: String,
    /// What was known of the hosts.
    pub facts: Facts,
    /// What the guest wrote, as measured, and the pages that held something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<(String, u64)>,
    /// How long the guest had been at work, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worked_ms: Option<f64>,
    /// What was wrong when it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnosis: Vec<String>,
    /// Statistics while it ran.
    pub samples: Vec<Sample>,
    /// libvirt's statistics of the completed job.
    pub completed: Option<JobStats>,
    /// What else was seen.
    pub observed: Observed,
    /// How long libvirt's call, or each offline phase, took, ms.
    pub calls_ms: Vec<f64>,
    /// The error the call ended with.
    pub error: Option<String>,
}

/// Hosts that answer as they once did.
#[derive(Debug)]
pub struct Replay {
    trace: Trace,
    now: Duration,
    begun: Option<Duration>,
    timeout: Option<Duration>,
    call: usize,
    /// Where the guest is, source and destination.
    pub guest: [Presence; 2],
    moved: bool,
    images: [bool; 2],
}

impl Replay {
    /// Hosts that will answer as in this trace.
    pub fn new(trace: Trace) -> Replay {
        Replay {
            trace,
            now: Duration::ZERO,
            begun: None,
            timeout: None,
            call: 0,
            guest: [Presence::Absent, Presence::Absent],
            moved: false,
            images: [false; 2],
        }
    }

    fn at_ms(&self) -> f64 {
        self.begun.map_or(0.0, |begun| (self.now - begun).as_secs_f64() * 1e3)
    }

    fn length(&self) -> Duration {
        Duration::from_secs_f64(self.trace.calls_ms.first().copied().unwrap_or(0.0) / 1e3)
    }

    /// Lets the time of the next recorded call pass.
    fn call(&mut self) -> anyhow::Result<()> {
        let Some(ms) = self.trace.calls_ms.get(self.call) else {
            bail!("{}", self.trace.error.as_deref().unwrap_or("the record ends here"))
        };
        self.call += 1;
        self.now += Duration::from_secs_f64(ms / 1e3);
        if self.call == self.trace.calls_ms.len()
            && let Some(error) = &self.trace.error
        {
            bail!("{error}");
        }
        Ok(())
    }
}

impl Hosts for Replay {
    fn check(&mut self, _: &[Vec<&RunPlan>]) -> anyhow::Result<()> {
        Ok(())
    }

    fn path(&mut self, _: &RunPlan) -> anyhow::Result<Facts> {
        Ok(self.trace.facts.clone())
    }

    fn start_guest(&mut self, _: &RunPlan) -> anyhow::Result<()> {
        self.guest[0] = Presence::Running;
        Ok(())
    }

    fn curve(&mut self, _: &RunPlan) -> anyhow::Result<Option<(Workload, Pages)>> {
        let Some((workload, touched)) = &self.trace.curve else { return Ok(None) };
        Ok(Some((workload.parse()?, Pages(*touched))))
    }

    fn worked(&mut self) -> Option<Duration> {
        self.trace.worked_ms.map(|ms| Duration::from_secs_f64(ms / 1e3))
    }

    fn begin(&mut self, plan: &RunPlan) -> anyhow::Result<()> {
        self.timeout = plan.policy.timeout.map(|limit| Duration::from_nanos(limit.0));
        self.begun = Some(self.now);
        Ok(())
    }

    fn progress(&mut self) -> Progress {
        if self.begun.is_some_and(|begun| self.now < begun + self.length()) {
            return Progress::Running;
        }
        match &self.trace.error {
            Some(error) => Progress::Ended(Err(error.clone())),
            None if self.trace.completed.is_none() => Progress::Ended(Err("given up".to_owned())),
            None => {
                if !self.moved {
                    self.moved = true;
                    self.guest = [Presence::Absent, Presence::Running];
                }
                Progress::Ended(Ok(()))
            }
        }
    }

    fn sample(&mut self) -> Option<JobStats> {
        let at = self.at_ms();
        // The last one was taken when the run was given up, however late libvirt let the tool look.
        if self.timeout.is_some_and(|timeout| at >= timeout.as_secs_f64() * 1e3) {
            return self.trace.samples.last().map(|last| last.stats.clone());
        }
        let nearest = self
            .trace
            .samples
            .iter()
            .min_by(|a, b| (a.at_ms - at).abs().total_cmp(&(b.at_ms - at).abs()));
        nearest.map(|sample| sample.stats.clone())
    }

    fn iterations(&mut self) -> u64 {
        let at = self.at_ms();
        let passes = self
            .trace
            .observed
            .events
            .iter()
            .filter(|(name, ms)| name.starts_with("MIGRATION_PASS") && *ms <= at);
        passes.count() as u64
    }

    fn start_postcopy(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn abort(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn completed(&mut self) -> Option<JobStats> {
        self.trace.completed.clone()
    }

    fn observed(&mut self) -> Observed {
        self.trace.observed.clone()
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.call()?;
        self.guest[0] = Presence::Absent;
        self.images[0] = true;
        Ok(())
    }

    fn copy(&mut self) -> anyhow::Result<()> {
        self.call()?;
        self.images[1] = true;
        Ok(())
    }

    fn restore(&mut self, side: Side) -> anyhow::Result<()> {
        if !self.images[side.index()] {
            bail!("there is no image at the {side}");
        }
        if side == Side::Destination {
            self.call()?;
        }
        self.guest[side.index()] = Presence::Running;
        Ok(())
    }

    fn forget_images(&mut self) {
        self.images = [false; 2];
    }

    fn has_image(&mut self, side: Side) -> bool {
        self.images[side.index()]
    }

    fn unstick(&mut self) -> bool {
        false
    }

    fn same_host(&mut self) -> bool {
        false
    }

    fn presence(&mut self, side: Side) -> Presence {
        self.guest[side.index()].clone()
    }

    fn job_active(&mut self) -> bool {
        false
    }

    fn resume(&mut self, side: Side) -> anyhow::Result<()> {
        self.guest[side.index()] = Presence::Running;
        Ok(())
    }

    fn destroy(&mut self, side: Side) -> anyhow::Result<()> {
        self.guest[side.index()] = Presence::Absent;
        Ok(())
    }

    fn recover_postcopy(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    fn diagnose(&mut self) -> Vec<String> {
        self.trace.diagnosis.clone()
    }

    fn mend(&mut self) {}

    fn clear(&mut self) -> anyhow::Result<()> {
        self.guest = [Presence::Absent, Presence::Absent];
        self.images = [false; 2];
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn wait(&mut self, time: Duration) {
        // Nobody oversleeps the end of a call.
        let end = self.begun.unwrap_or_default() + self.length();
        self.now = if self.now < end { (self.now + time).min(end) } else { self.now + time };
    }

    fn beside(&mut self, _: usize) -> anyhow::Result<Box<dyn Hosts + Send>> {
        bail!("a recorded run is of one guest")
    }

    fn uri(&self, side: Side) -> String {
        format!("replay:{side}")
    }
}
