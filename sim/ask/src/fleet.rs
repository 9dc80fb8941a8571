//! Many migrations that share hosts and links, from files that the page holds.

use std::collections::BTreeMap;
use std::io::{Cursor, Error, ErrorKind, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use migsim::fleet::shape::{Findings, WhatIf};
use migsim::fleet::{
    Chance, Changes, Fleet, TOLERANCE, Wanted, missing, parse_beside, replicate, run,
};
use migsim_models::units::SimTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hosts;

/// A fleet's file with the tables that it names, and what is asked of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    /// What errors call the file.
    name: String,
    toml: String,
    /// By their names.
    #[serde(default)]
    tables: BTreeMap<String, String>,
    #[serde(flatten)]
    hosts: hosts::Asked,
    /// As `--what-if` takes it; empty: as the file is.
    #[serde(default)]
    changes: String,
    #[serde(default)]
    replications: usize,
    #[serde(default = "one")]
    seed: u64,
    /// Seconds from the start.
    deadline_s: Option<f64>,
    /// The totals alone, as a row of a comparison.
    #[serde(default)]
    totals: bool,
}

fn one() -> u64 {
    1
}

impl Ask {
    fn fleet(&self) -> Result<Fleet, String> {
        let changes: Changes = match self.changes.trim() {
            "" => Changes::default(),
            said => said.parse()?,
        };
        let open = |file: &Path| -> std::io::Result<Box<dyn Read>> {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let text = self
                .tables
                .get(name)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "was not given to the page"))?;
            Ok(Box::new(Cursor::new(text.clone().into_bytes())))
        };
        parse_beside(Path::new(&self.name), &self.toml, &changes, &open)
            .map(|fleet| Fleet { tolerance: TOLERANCE, ..fleet })
            .map_err(|mistakes| mistakes.to_string())
    }

    pub(crate) fn answer(&self) -> Result<Value, String> {
        let fleet = self.fleet()?;
        let wanted = Wanted {
            replications: self.replications,
            first: 0,
            seed: self.seed,
            deadline: self.deadline_s.map(SimTime::from_secs_f64),
        };
        let row = self.totals.then(|| match self.changes.trim() {
            "" => Changes::default().to_string(),
            said => said.to_owned(),
        });
        // A page that wants it no more ends the worker that asks.
        moved(&fleet, &self.hosts, wanted, row.as_deref(), &AtomicBool::new(false), &|| {})
    }
}

/// What comes of moving a fleet: an answer, how busy links and hosts are, and when the last guest
/// is there in each replication; or, where it has a name, a row of a comparison. `progress` is told
/// of each replication.
///
/// # Errors
/// There are no such hosts, or it was interrupted.
pub fn moved(
    fleet: &Fleet,
    hosts: &hosts::Asked,
    wanted: Wanted,
    row: Option<&str>,
    interrupted: &AtomicBool,
    progress: &(dyn Fn() + Sync),
) -> Result<Value, String> {
    let between = hosts.between()?;
    let hosts = between.over(fleet.cluster.usual_nic());
    let profile = &hosts.profile;
    let stopped = || "it was interrupted".to_owned();
    let found = run(fleet, profile, Chance::none(), interrupted, |_| {}).ok_or_else(stopped)?;
    let likely =
        (wanted.replications > 0).then(|| replicate(fleet, profile, wanted, interrupted, progress));
    if let Some(name) = row {
        return Ok(json!({ "row": WhatIf::new(name, &found, likely.as_ref()) }));
    }
    let missing = missing(fleet, profile, &found, interrupted, || {});
    if interrupted.load(Ordering::Relaxed) {
        return Err(stopped());
    }
    let findings = Findings {
        cluster: &fleet.cluster,
        moves_of: &fleet.moves,
        hosts,
        found: &found,
        missing: &missing,
        likely: likely.as_ref(),
    };
    let makespans: Option<Vec<_>> = likely.as_ref().map(|one| one.makespans_s().collect());
    Ok(json!({
        "answer": findings.answer(),
        "use": findings.used(),
        "makespans_s": makespans,
    }))
}
