//! Recorded runs: fitted to, and held against a profile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use migcal::fit::{Manner, fit as fitted_to};
use migcal::validate::{judge, report};
use migsim::record::{Observation, observations};
use migsim_ask::profile;
use migsim_models::profile::Provenance;
use pyo3::prelude::*;

use crate::{refused, wait};

/// Parts of the work that are told.
const PARTS: u64 = 1000;

/// All runs of some files.
fn read(files: &[PathBuf]) -> Result<Vec<Observation>, String> {
    let mut all = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let input = std::fs::File::open(file).map_err(|why| format!("{name}: {why}"))?;
        let (found, wrong) = observations(&name, input).map_err(|why| why.to_string())?;
        if let Some(first) = wrong.first() {
            return Err(format!("{first}; {} rows of {name} cannot be read", wrong.len()));
        }
        all.extend(found);
    }
    Ok(all)
}

/// Fits a profile to runs: the profile as TOML.
#[pyfunction]
#[pyo3(signature = (files, *, prior, name, date, seed, refits, progress))]
#[expect(clippy::too_many_arguments, reason = "each is named by the package")]
pub(crate) fn fit(
    py: Python<'_>,
    files: Vec<PathBuf>,
    prior: &str,
    name: Option<String>,
    date: String,
    seed: u64,
    refits: usize,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    wait::long(py, progress, PARTS, |work| {
        let runs = read(&files)?;
        let manner = Manner { seed, refits, ..Manner::default() };
        let tell = |done: f64| work.done.store((done * PARTS as f64) as u64, Ordering::Relaxed);
        let fitted = fitted_to(&runs, &profile(prior)?, manner, &work.stop, &tell)
            .map_err(|why| why.to_string())?;
        let stems = files.iter().filter_map(|file| Path::new(file).file_stem());
        let stems: BTreeSet<String> = stems.map(|stem| stem.to_string_lossy().into()).collect();
        let stems: Vec<String> = stems.into_iter().collect();
        let mut found = fitted.profile;
        found.name = name.unwrap_or_else(|| format!("fitted to {}", stems.join(", ")));
        let told = |list: Vec<(String, String)>| {
            list.into_iter().map(|(what, why)| format!("{what}: {why}")).collect()
        };
        let left_out = fitted.left_out.into_iter().map(|(id, why)| (id, why.to_owned()));
        let at_prior = fitted.at_prior.into_iter().map(|(key, why)| (key.to_owned(), why));
        found.fit = Some(Provenance {
            date,
            data: String::new(),
            runs: fitted.used as u64,
            campaigns: stems,
            hosts: Vec::new(),
            versions: Vec::new(),
            left_out: told(left_out.collect()),
            at_prior: told(at_prior.collect()),
        });
        found.to_commented_toml().map_err(|why| why.to_string())
    })?
    .map_err(refused)
}

/// How far a profile is off from runs, as JSON of the schema `migcal-validation`.
#[pyfunction]
#[pyo3(signature = (files, *, against, progress))]
pub(crate) fn validate(
    py: Python<'_>,
    files: Vec<PathBuf>,
    against: &str,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    wait::long(py, progress, 1, |work| {
        let judged = judge(&read(&files)?, &profile(against)?);
        work.done.store(1, Ordering::Relaxed);
        serde_json::to_string(&report(&judged)).map_err(|why| why.to_string())
    })?
    .map_err(refused)
}
