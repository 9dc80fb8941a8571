//! Several guests moved at the same time over the same link: each is a run of its own, and all
//! begin together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{Label, Nobody, Run, Settled, go, start};
use crate::hosts::{Hosts, Observed};
use crate::plan::RunPlan;
use crate::record::round;

/// Where guests wait for each other before their migrations begin.
#[derive(Debug)]
struct Gate {
    guests: usize,
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    ready: usize,
    /// One of them will not come.
    hopeless: bool,
}

impl Gate {
    fn give_up(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).hopeless = true;
        self.changed.notify_all();
    }

    /// Returns when all are here.
    fn pass(&self, interrupted: &AtomicBool) -> anyhow::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ready += 1;
        self.changed.notify_all();
        while state.ready < self.guests {
            if state.hopeless {
                bail!("another guest of the same run did not start");
            }
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            let look = Duration::from_millis(200);
            state =
                self.changed.wait_timeout(state, look).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

/// Starts these guests, migrates them all at once, and settles each. They are gone afterwards, but
/// for one that is stuck.
///
/// # Errors
/// A guest could not be started at all; nothing is left of any of them then.
pub fn together(
    hosts: &mut dyn Hosts,
    plans: &[(&RunPlan, Label)],
    interrupted: &AtomicBool,
    note: &mut dyn FnMut(&str),
) -> anyhow::Result<Vec<Run>> {
    if let Some((first, _)) = plans.first() {
        // Measured once, while nothing else uses the path.
        hosts.path(first)?;
    }
    let mut beside: Vec<Box<dyn Hosts + Send>> =
        (1..=plans.len()).map(|number| hosts.beside(number)).collect::<anyhow::Result<_>>()?;
    let gate = Gate { guests: plans.len(), state: Mutex::default(), changed: Condvar::new() };
    let notes: Mutex<Vec<String>> = Mutex::default();
    let came: Vec<anyhow::Result<Run>> = std::thread::scope(|scope| {
        let threads: Vec<_> = beside
            .iter_mut()
            .zip(plans)
            .map(|(hosts, (plan, label))| {
                let (gate, notes) = (&gate, &notes);
                scope.spawn(move || {
                    let hosts = hosts.as_mut();
                    let ready = start(hosts, plan, *label)
                        .and_then(|ready| gate.pass(interrupted).map(|()| ready))
                        .inspect_err(|_| gate.give_up());
                    match ready {
                        Ok(ready) => Ok(go(hosts, plan, ready, interrupted, &mut Nobody, |text| {
                            let text = format!("{}: {text}", label.id);
                            notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                        })),
                        Err(why) => hosts.clear().and(Err(why)),
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| bail!("its thread ended")))
            .collect()
    });
    for text in notes.into_inner().unwrap_or_else(PoisonError::into_inner) {
        note(&text);
    }
    let mut runs: Vec<Run> = came
        .into_iter()
        .collect::<anyhow::Result<_>>()
        .context("one of several guests to be moved at once")?;
    let first = runs.iter().filter_map(|run| run.trace.observed.begun_s).reduce(f64::min);
    for (run, hosts) in runs.iter_mut().zip(&mut beside) {
        let began = run.trace.observed.begun_s.zip(first).map(|(own, first)| own - first);
        run.record.began_ms = began.map(|began| round(began * 1e3, 1));
        // What stands in the sockets and the shaper at a stop is not one guest's alone.
        let Observed { stop_socket_bytes, stop_unsent_bytes, stop_shaper_bytes, .. } =
            &mut run.trace.observed;
        (*stop_socket_bytes, *stop_unsent_bytes, *stop_shaper_bytes) = (None, None, None);
        run.record.take_observed(&run.trace.observed);
        if matches!(run.settled, Settled::RunsAt(_)) {
            hosts.clear()?;
        }
    }
    Ok(runs)
}
