//! Many runs: planned, made one after another, written down as they end, and gone on with where
//! they were interrupted.

mod design;
mod store;

pub use design::{Axis, Design, DesignKind, Plan, Planned, Range};
pub use store::{HostFacts, Manifest, Store};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::hosts::Hosts;
use crate::plan::RunPlan;
use crate::record::{Record, now};
use crate::run::{Label, Nobody, Run, Settled, one, together};

/// So many runs in a row that could not even be started end the campaign: something is broken for
/// good.
const HOPELESS: usize = 3;

/// What a campaign tells while it works.
pub trait Listener {
    /// A run is about to start.
    fn starting(&mut self, planned: &Planned);
    /// A run has ended.
    fn ended(&mut self, record: &Record);
    /// Something that a person may want to know.
    fn note(&mut self, text: &str);
}

/// How a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All runs are made.
    Done,
    /// It was interrupted; the same command goes on.
    Interrupted,
}

/// Makes the runs that the store does not have yet.
///
/// # Errors
/// Nothing can be written, no run starts any more, or a guest does not run at exactly one host
/// after a run.
pub fn make<'a>(
    hosts: &mut dyn Hosts,
    runs: &'a [Planned],
    name: &'a str,
    warm_up: &RunPlan,
    store: &mut Store,
    interrupted: &AtomicBool,
    listener: &mut dyn Listener,
) -> anyhow::Result<Ending> {
    let left: Vec<&Planned> = runs.iter().filter(|planned| !store.has(&planned.id)).collect();
    if left.is_empty() {
        return Ok(Ending::Done);
    }
    // The first migration after a libvirtd has started is some 5 s slower: it asks QEMU what it can
    // do.
    let label = Label { id: "warm-up", campaign: name, repeat: 1 };
    one(hosts, warm_up, label, interrupted, &mut Nobody, |_| {})?;
    hosts.clear()?;
    let mut in_vain = 0;
    for group in left.chunk_by(|a, b| a.goes_with(b)) {
        if interrupted.load(Ordering::Relaxed) {
            return Ok(Ending::Interrupted);
        }
        let Some(planned) = group.first() else { continue };
        listener.starting(planned);
        let label = |planned: &'a Planned| Label {
            id: &planned.id,
            campaign: name,
            repeat: planned.repeat,
        };
        let started_at = now();
        let result = if planned.group.is_empty() {
            one(hosts, &planned.plan, label(planned), interrupted, &mut Nobody, |text| {
                listener.note(text);
            })
            .map(|run| vec![run])
        } else {
            let plans: Vec<_> =
                group.iter().map(|planned| (&planned.plan, label(planned))).collect();
            together(hosts, &plans, interrupted, &mut |text| listener.note(text))
        };
        if interrupted.load(Ordering::Relaxed) {
            // It was not let run to its end: it is made again.
            hosts.clear()?;
            return Ok(Ending::Interrupted);
        }
        match result {
            Ok(runs) => {
                in_vain = 0;
                for Run { mut record, trace, .. } in runs.iter().cloned() {
                    (record.started_at, record.group) = (started_at.clone(), planned.group.clone());
                    store.add(&record, &trace)?;
                    listener.ended(&record);
                }
                for run in &runs {
                    if let Settled::Stuck { advice, .. } = &run.settled {
                        anyhow::bail!(
                            "after run {} the guest does not run at exactly one host: {advice}",
                            run.record.id
                        );
                    }
                }
                hosts.clear()?;
            }
            Err(error) => {
                listener.note(&format!("run {} did not start: {error:#}", planned.id));
                in_vain += 1;
                if in_vain == HOPELESS {
                    return Err(error.context(format!("{HOPELESS} runs in a row did not start")));
                }
                hosts.mend();
            }
        }
    }
    Ok(Ending::Done)
}
