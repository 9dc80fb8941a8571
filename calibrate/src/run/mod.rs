//! One run: a guest is started, migrated as planned and watched; then it is made sure that it runs
//! at exactly one host.

mod settle;
mod together;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::units::SimTime;

use crate::hosts::replay::Trace;
use crate::hosts::{Hosts, Progress, Sample};
use crate::lab::Side;
use crate::plan::{Content, RunPlan};
use crate::record::{Record, round};

pub use settle::{Decision, Settled, decide, settle};
pub use together::together;

/// Time between two looks at a running migration.
const LOOK: Duration = Duration::from_millis(20);
/// Time between two samples of its statistics.
const SAMPLE: Duration = Duration::from_millis(250);
/// A call that does not come back after it was given up is waited for so long: libvirt notices a
/// dead peer within 30 s.
const AFTER_ABORT: Duration = Duration::from_secs(90);

/// How a run is to be told apart from others.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a> {
    /// Unique in its file.
    pub id: &'a str,
    /// Runs on the same pair of hosts in one go.
    pub campaign: &'a str,
    /// Which repeat of its configuration, from 1.
    pub repeat: u32,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The row.
    pub record: Record,
    /// All that was seen.
    pub trace: Trace,
    /// Where the guest was in the end.
    pub settled: Settled,
}

/// Something that is done to a run while it goes on: a fault, or a look.
pub trait Meddler {
    /// Called at each look, with the time since the migration was asked for. `phase` is the offline
    /// phase, from 0.
    fn look(&mut self, since: Duration, phase: usize);
}

/// Leaves the run alone.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Meddler for Nobody {
    fn look(&mut self, _: Duration, _: usize) {}
}

/// Starts the guest, migrates it, and settles. The guest is left where it ended; see
/// [`Hosts::clear`].
///
/// # Errors
/// The guest could not be started at all; nothing was migrated, and nothing is left of it.
pub fn one(
    hosts: &mut dyn Hosts,
    plan: &RunPlan,
    label: Label,
    interrupted: &AtomicBool,
    meddler: &mut dyn Meddler,
    note: impl FnMut(&str),
) -> anyhow::Result<Run> {
    let ready = start(hosts, plan, label)?;
    Ok(go(hosts, plan, ready, interrupted, meddler, note))
}

/// A guest that is at work and can be migrated: what is known of its run so far.
struct Ready {
    record: Record,
    trace: Trace,
}

/// Starts the guest.
fn start(hosts: &mut dyn Hosts, plan: &RunPlan, label: Label) -> anyhow::Result<Ready> {
    let facts = hosts.path(plan)?;
    if let Ok(version) = facts.qemu.parse() {
        plan.check_for(version)?;
    }
    let curve = match hosts.start_guest(plan).and_then(|()| hosts.curve(plan)) {
        Ok(curve) => curve,
        Err(error) => {
            // Nothing was migrated; a guest that did not come up, or was not measured, is of no use
            // to anyone.
            let _ = hosts.clear();
            return Err(error);
        }
    };
    let mut record =
        Record { repeat: label.repeat, ..Record::planned(label.id, label.campaign, plan, &facts) };
    let mut trace = Trace { id: label.id.to_owned(), facts, ..Trace::default() };
    if let Some((workload, touched)) = curve {
        (record.workload, record.touched_pages) = (workload.to_string(), touched.0);
        trace.curve = Some((record.workload.clone(), touched.0));
    }
    Ok(Ready { record, trace })
}

/// Migrates it, and settles.
fn go(
    hosts: &mut dyn Hosts,
    plan: &RunPlan,
    ready: Ready,
    interrupted: &AtomicBool,
    meddler: &mut dyn Meddler,
    mut note: impl FnMut(&str),
) -> Run {
    let Ready { mut record, mut trace } = ready;
    let result = match plan.policy.mode {
        Mode::Offline => offline(hosts, plan, &mut record, &mut trace, meddler),
        _ => migrate(hosts, plan, &mut trace, interrupted, meddler, &mut note),
    };
    // Memory filled with zeros counts as touched where the workload has been.
    if plan.content == Content::Zero
        && let Some(worked) = hosts.worked()
    {
        trace.worked_ms = Some(ms(worked));
        let worked = SimTime::from_secs_f64(worked.as_secs_f64());
        record.touched_pages = plan.workload.distinct(worked, SimTime::ZERO).round() as u64;
    }
    let gave_up = matches!(result, Ended::GaveUp);
    if let Ended::Failed(error) = &result {
        trace.diagnosis = hosts.diagnose();
        record.error =
            trace.diagnosis.iter().map(|what| format!("{what}: ")).collect::<String>() + error;
        trace.error = Some(error.clone());
    }
    trace.completed = if matches!(result, Ended::Completed) { hosts.completed() } else { None };
    if gave_up && let Some(last) = trace.samples.last() {
        record.take_stats(&last.stats);
    }
    if let Some(stats) = &trace.completed {
        record.take_stats(stats);
    }
    trace.observed = hosts.observed();
    record.take_observed(&trace.observed);
    if gave_up {
        // What libvirt says of a job that has not ended is what QEMU expects, and happened to
        // nobody.
        record.downtime_ms = record.guest_gap_ms;
    }
    if plan.policy.mode == Mode::Offline {
        record.elapsed_ms = Some(round(trace.calls_ms.iter().sum(), 3))
            .filter(|_| matches!(result, Ended::Completed));
        record.downtime_ms = record.elapsed_ms;
    }
    record.wall_ms = Some(round(trace.calls_ms.iter().sum(), 1));
    let settled = settle(hosts, &mut note);
    record.outcome = match (&result, &settled) {
        (Ended::Completed, Settled::RunsAt(Side::Destination)) => "completed",
        (Ended::GaveUp, Settled::RunsAt(Side::Source)) => "not-converged",
        // It went over while it was being given up.
        (Ended::GaveUp, Settled::RunsAt(Side::Destination)) => "completed",
        _ => "failed",
    }
    .to_owned();
    record.holder = match &settled {
        Settled::RunsAt(side) => side.to_string(),
        Settled::Stuck { advice, .. } => {
            record.error = format!("{} {advice}", record.error).trim().to_owned();
            String::new()
        }
    };
    Run { record, trace, settled }
}

/// Why a migration is given up before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Timeout,
    Interrupted,
}

impl Why {
    fn words(self) -> &'static str {
        match self {
            Why::Timeout => "timeout",
            Why::Interrupted => "interrupted",
        }
    }
}

enum Ended {
    Completed,
    /// The timeout passed.
    GaveUp,
    Failed(String),
}

fn migrate(
    hosts: &mut dyn Hosts,
    plan: &RunPlan,
    trace: &mut Trace,
    interrupted: &AtomicBool,
    meddler: &mut dyn Meddler,
    note: &mut dyn FnMut(&str),
) -> Ended {
    if let Err(error) = hosts.begin(plan) {
        return Ended::Failed(format!("{error:#}"));
    }
    let begun = hosts.now();
    let mut sampled = Duration::ZERO;
    let mut switched = plan.policy.mode != Mode::Postcopy;
    let mut given_up: Option<(Duration, Why)> = None;
    loop {
        let since = hosts.now() - begun;
        meddler.look(since, 0);
        if let Progress::Ended(result) = hosts.progress() {
            trace.calls_ms.push(ms(since));
            return match (result, given_up) {
                (Ok(()), _) => Ended::Completed,
                (Err(_), Some((_, Why::Timeout))) => Ended::GaveUp,
                (Err(_), Some((_, why))) => Ended::Failed(why.words().to_owned()),
                (Err(error), None) => Ended::Failed(error),
            };
        }
        // A job that is being given up no longer says how far it had come; and asking has been seen
        // to take seconds, for which a switch to post-copy is not to wait.
        if given_up.is_none() && switched && since >= sampled + SAMPLE {
            sampled = since;
            take_sample(hosts, trace, since);
        }
        // libvirt's --postcopy-after-precopy: when the second pass begins.
        if !switched && hosts.iterations() >= 2 {
            switched = true;
            if let Err(error) = hosts.start_postcopy() {
                note(&format!("{error:#}: it goes on as pre-copy"));
            }
        }
        match given_up {
            None => {
                let timeout =
                    plan.policy.timeout.filter(|_| plan.policy.on_timeout == OnTimeout::Abort);
                let late = timeout.is_some_and(|limit| since >= Duration::from_nanos(limit.0));
                let interrupted = interrupted.load(Ordering::Relaxed);
                if late || interrupted {
                    given_up =
                        Some((since, if interrupted { Why::Interrupted } else { Why::Timeout }));
                    take_sample(hosts, trace, since);
                    if let Err(error) = hosts.abort() {
                        note(&format!("{error:#}"));
                    }
                }
            }
            Some((at, why)) if since > at + AFTER_ABORT => {
                trace.calls_ms.push(ms(since));
                return Ended::Failed(format!(
                    "{}; libvirt's call did not come back after it was given up",
                    why.words()
                ));
            }
            Some(_) => {}
        }
        hosts.wait(LOOK);
    }
}

fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3, 3)
}

fn take_sample(hosts: &mut dyn Hosts, trace: &mut Trace, since: Duration) {
    if let Some(stats) = hosts.sample() {
        trace.samples.push(Sample { at_ms: ms(since), stats });
    }
}

fn offline(
    hosts: &mut dyn Hosts,
    plan: &RunPlan,
    record: &mut Record,
    trace: &mut Trace,
    meddler: &mut dyn Meddler,
) -> Ended {
    if let Err(error) = hosts.begin(plan) {
        return Ended::Failed(format!("{error:#}"));
    }
    let begun = hosts.now();
    for phase in 0..3 {
        meddler.look(hosts.now() - begun, phase);
        let from = hosts.now();
        let result = match phase {
            0 => hosts.save(),
            1 => hosts.copy(),
            _ => hosts.restore(Side::Destination),
        };
        let took = ms(hosts.now() - from);
        trace.calls_ms.push(took);
        if let Err(error) = result {
            return Ended::Failed(format!("{error:#}"));
        }
        *[&mut record.suspend_ms, &mut record.copy_ms, &mut record.resume_ms][phase] = Some(took);
    }
    Ended::Completed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::Observed;
    use crate::hosts::replay::Replay;
    use crate::lab::Link;
    use crate::plan::RunKeys;

    #[test]
    fn a_run_that_did_not_converge_has_the_gap_that_the_guest_saw_as_its_downtime() {
        let keys = RunKeys { timeout: Some(SimTime::from_secs(1)), ..RunKeys::default() };
        let plan = keys.plan(Some(Link::default())).unwrap();
        // 300 ms are what QEMU expects, of a job that goes on.
        let stats = [("downtime".to_owned(), 300.0), ("time_elapsed".to_owned(), 1000.0)]
            .into_iter()
            .collect();
        let trace = Trace {
            calls_ms: vec![1100.0],
            samples: vec![Sample { at_ms: 1000.0, stats }],
            error: Some("given up".to_owned()),
            observed: Observed { guest_gap_ms: Some(17.0), ..Observed::default() },
            ..Trace::default()
        };
        let label = Label { id: "r", campaign: "c", repeat: 1 };
        let run = one(
            &mut Replay::new(trace),
            &plan,
            label,
            &AtomicBool::new(false),
            &mut Nobody,
            |_| {},
        )
        .unwrap();
        assert_eq!(run.record.outcome, "not-converged");
        assert_eq!((run.record.downtime_ms, run.record.elapsed_ms), (Some(17.0), Some(1000.0)));
    }
}
