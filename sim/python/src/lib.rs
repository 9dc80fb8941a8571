//! What the Python package `migsim` is made of: predictions one by one and by the table, fleets,
//! fits and validations, and everything else as [`migsim_ask::answer`] answers it.
//!
//! No function holds Python's lock while it computes, and each that may take long hears Ctrl-C.

mod keys;
mod many;
mod one;
mod runs;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use migsim::fleet::{Changes, Fleet, TOLERANCE, Wanted, read_changed, replicate};
use migsim_ask::Hosts;
use migsim_models::profile::{SHIPPED, shipped};
use migsim_models::units::SimTime;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What is wrong with what was given, in the words of the command line.
fn refused(why: impl ToString) -> PyErr {
    PyValueError::new_err(why.to_string())
}

fn hosts(profile: Option<String>, manager: Option<String>) -> Hosts {
    Hosts { profile, manager }
}

/// The answer to a question as JSON, as JSON: docs of `migsim_ask`.
#[pyfunction]
fn answer(py: Python<'_>, question: &str) -> String {
    py.detach(|| migsim_ask::answer(question))
}

/// A fleet's file, with changes as `--what-if` takes them.
fn opened(file: &Path, changes: &str) -> Result<Fleet, String> {
    let changes = if changes.is_empty() { Changes::default() } else { changes.parse()? };
    let fleet = read_changed(file, &changes).map_err(|why| why.to_string())?;
    Ok(Fleet { tolerance: TOLERANCE, ..fleet })
}

/// What comes of moving a fleet, as JSON.
#[pyfunction]
#[pyo3(signature = (file, *, changes, profile, manager, replications, seed, deadline_s, row, progress))]
#[expect(clippy::too_many_arguments, reason = "each is named by the package")]
fn fleet(
    py: Python<'_>,
    file: PathBuf,
    changes: &str,
    profile: Option<String>,
    manager: Option<String>,
    replications: usize,
    seed: u64,
    deadline_s: Option<f64>,
    row: Option<&str>,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let hosts = hosts(profile, manager);
    let deadline = deadline_s.map(SimTime::from_secs_f64);
    let wanted = Wanted { replications, first: 0, seed, deadline };
    wait::long(py, progress, replications as u64, |work| {
        let fleet = opened(&file, changes)?;
        let more = || {
            work.done.fetch_add(1, Ordering::Relaxed);
        };
        migsim_ask::moved(&fleet, &hosts, wanted, row, &work.stop, &more).map(|it| it.to_string())
    })?
    .map_err(refused)
}

/// Replications of a fleet's moves: the totals of each from the first to before the last, as JSON.
/// Each has the draws that it has among all.
#[pyfunction]
#[pyo3(signature = (file, *, changes, profile, manager, first, last, seed, progress))]
#[expect(clippy::too_many_arguments, reason = "each is named by the package")]
fn replications(
    py: Python<'_>,
    file: PathBuf,
    changes: &str,
    profile: Option<String>,
    manager: Option<String>,
    first: usize,
    last: usize,
    seed: u64,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let count = last.saturating_sub(first);
    let wanted = Wanted { replications: count, first, seed, deadline: None };
    wait::long(py, progress, count as u64, |work| {
        let fleet = opened(&file, changes)?;
        let between = hosts(profile, manager).between()?;
        let hosts = between.over(fleet.cluster.usual_nic());
        let more = || {
            work.done.fetch_add(1, Ordering::Relaxed);
        };
        let made = replicate(&fleet, &hosts.profile, wanted, &work.stop, more);
        serde_json::to_string(&made.totals).map_err(|why| why.to_string())
    })?
    .map_err(|why: String| refused(why))
}

/// A shipped profile as TOML.
#[pyfunction]
fn profile(name: &str) -> PyResult<String> {
    if let Some(text) = shipped(name) {
        return Ok(text.to_owned());
    }
    Err(refused(format!("there is no profile `{name}`; there are {}", SHIPPED.join(", "))))
}

/// The module.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::many::predict_many;
    #[pymodule_export]
    use super::one::{Prediction, predict};
    #[pymodule_export]
    use super::runs::{fit, validate};
    #[pymodule_export]
    use super::{answer, fleet, profile, replications};
}
