//! One migration.

use migsim::answer::{Answer, explain, shape, verdict};
use migsim::engine::Fidelity;
use migsim::input::{JsonQuestion, Keys};
use migsim_ask::Manner;
use migsim_models::units::SimTime;
use migsim_report::plot;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use crate::{hosts, keys, refused};

/// A question: a dictionary of keys. Tables (`changes`, `throttle`) come as their JSON.
pub(crate) fn question(asked: &Bound<'_, PyDict>) -> PyResult<Keys> {
    let mut found = Keys::default();
    for (name, value) in asked {
        let name: String = name.extract()?;
        let Some(key) = keys::known(&name) else {
            if !matches!(name.as_str(), "changes" | "throttle") {
                return Err(refused(keys::unknown(&name)));
            }
            let table: String = value.extract()?;
            let asked = format!("{{{}:{table}}}", serde_json::Value::from(name));
            found = JsonQuestion::parse(&asked).map_err(refused)?.keys.over(&found);
            continue;
        };
        let set = |keys: &mut Keys, text: &str| keys::set(key, keys, text).map_err(refused);
        if let Ok(text) = value.cast::<PyString>() {
            set(&mut found, &text.to_cow()?)?;
        } else if let Ok(switch) = value.cast::<PyBool>() {
            set(&mut found, if switch.is_true() { "true" } else { "false" })?;
        } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() {
            set(&mut found, &keys::written(key.kind, value.extract()?))?;
        } else if let Ok(number) = value.extract::<f64>() {
            // Of NumPy and the like.
            set(&mut found, &keys::written(key.kind, number))?;
        } else {
            let what = value.get_type().name()?;
            return Err(refused(format!("`{name}`: it takes text or a number, not {what}")));
        }
    }
    Ok(found)
}

/// What comes of one migration.
#[pyclass(frozen, module = "migsim._native")]
pub(crate) struct Prediction(Answer);

#[pymethods]
impl Prediction {
    /// Whether it completes.
    #[getter]
    fn completed(&self) -> bool {
        self.0.outcome.completed()
    }

    /// Total migration time, s.
    #[getter]
    fn total_s(&self) -> Option<f64> {
        self.0.outcome.tmt().map(SimTime::as_secs_f64)
    }

    /// Downtime, s.
    #[getter]
    fn downtime_s(&self) -> Option<f64> {
        self.0.outcome.downtime().map(SimTime::as_secs_f64)
    }

    /// Bytes on the wire.
    #[getter]
    fn wire_bytes(&self) -> u64 {
        self.0.outcome.wire_bytes
    }

    /// The probability of completing.
    #[getter]
    fn p_converge(&self) -> Option<f64> {
        self.0.quantiles.map(|sure| sure.p_converge)
    }

    /// The 90 % interval of the total time, s.
    #[getter]
    fn total_interval_s(&self) -> Option<(f64, f64)> {
        let times = self.0.quantiles?.times?;
        Some((times.elapsed_ms.p5 / 1e3, times.elapsed_ms.p95 / 1e3))
    }

    /// The 90 % interval of the downtime, s.
    #[getter]
    fn downtime_interval_s(&self) -> Option<(f64, f64)> {
        let times = self.0.quantiles?.times?;
        Some((times.downtime_ms.p5 / 1e3, times.downtime_ms.p95 / 1e3))
    }

    /// The verdict in sentences.
    fn verdict(&self) -> String {
        verdict(&self.0)
    }

    /// Which rule QEMU applied after each iteration.
    fn explain(&self) -> String {
        explain(&self.0)
    }

    /// All of it, as JSON of the schema `prediction`.
    fn json(&self) -> PyResult<String> {
        serde_json::to_string(&shape::Prediction::from(&self.0)).map_err(refused)
    }

    /// Pages that are left to be sent: moments in s, and pages.
    fn left_over_time(&self) -> Vec<(f64, f64)> {
        self.0.outcome.left_over_time()
    }

    /// The picture of the iterations, as SVG.
    fn svg(&self) -> String {
        plot::iterations(std::slice::from_ref(&self.0)).svg()
    }
}

/// Predicts one migration.
#[pyfunction]
#[pyo3(signature = (asked, *, profile, manager, intervals, page_seed, models))]
pub(crate) fn predict(
    py: Python<'_>,
    asked: &Bound<'_, PyDict>,
    profile: Option<String>,
    manager: Option<String>,
    intervals: bool,
    page_seed: Option<u64>,
    models: bool,
) -> PyResult<Prediction> {
    let keys = question(asked)?;
    let fidelity = page_seed.map_or(Fidelity::Flow, |seed| Fidelity::Page { seed });
    let manner = Manner { fidelity, intervals, models };
    let answer = py.detach(|| migsim_ask::answered(&keys, &hosts(profile, manager), manner));
    answer.map(Prediction).map_err(refused)
}
