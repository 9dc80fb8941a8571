//! Recorded runs, predicted.

use migsim::engine::Fidelity;
use migsim::record::{ComparedRun, RowPrediction, observations};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hosts;

/// A file of run records.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    name: String,
    csv: String,
    #[serde(flatten)]
    hosts: hosts::Asked,
    #[serde(default)]
    from: usize,
    until: Option<usize>,
}

impl Ask {
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let (found, errors) =
            observations(&self.name, self.csv.as_bytes()).map_err(|error| error.to_string())?;
        let between = self.hosts.between()?;
        let until = self.until.unwrap_or(usize::MAX).min(found.len());
        let rows = found.get(self.from..until).unwrap_or_default().iter().map(|run| {
            let profile = &between.over(run.case.path.capacity).profile;
            ComparedRun::new(run, &RowPrediction::of(&run.case, profile, Fidelity::Flow))
        });
        let rows: Vec<ComparedRun> = rows.collect();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Ok(json!({ "count": found.len(), "rows": rows, "errors": errors }))
    }
}
