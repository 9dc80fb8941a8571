//! The recorded campaigns: replayed through the run's logic they give their own rows again, and what must hold, holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use migcal::campaign::Plan;
use migcal::hosts::replay::{Replay, Trace};
use migcal::noise::read_records;
use migcal::record::Record;
use migcal::run::{Label, Nobody, one};

fn campaigns() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(data).unwrap().map(|e| e.unwrap().path()).filter(|p| p.join("runs.csv").exists()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn recorded_runs_replayed_give_their_rows_again() {
    let mut replayed = 0;
    for folder in campaigns() {
        let Ok(samples) = std::fs::read_to_string(folder.join("samples.jsonl")) else { continue };
        let traces: BTreeMap<String, Trace> = samples
            .lines()
            .map(|line| serde_json::from_str::<Trace>(line).unwrap())
            .map(|t| (t.id.clone(), t))
            .collect();
        let plan = Plan::parse("plan.toml", &std::fs::read_to_string(folder.join("plan.toml")).unwrap()).unwrap();
        let plans: BTreeMap<String, _> =
            plan.runs("plan.toml", true).unwrap().into_iter().map(|run| (run.id.clone(), run)).collect();
        for record in read_records(&folder.join("runs.csv")).unwrap() {
            // What went wrong in a failed run lies outside of the wire.
            if record.outcome == "failed" {
                continue;
            }
            let planned = &plans[&record.id];
            let label = Label { id: &record.id, campaign: &record.campaign, repeat: planned.repeat };
            let mut hosts = Replay::new(traces[&record.id].clone());
            let run = one(&mut hosts, &planned.plan, label, &AtomicBool::new(false), &mut Nobody, |_| {}).unwrap();
            let again = Record { started_at: record.started_at.clone(), ..run.record };
            assert_eq!(again, record, "{}", folder.display());
            replayed += 1;
        }
    }
    assert!(replayed >= 120, "{replayed} runs");
}

#[test]
fn wire_bytes_follow_from_the_pages_in_every_plain_precopy_run() {
    let mut checked = 0;
    for folder in campaigns() {
        for r in read_records(&folder.join("runs.csv")).unwrap() {
            let plain = r.mode == "precopy" && r.outcome == "completed" && r.xbzrle == 0 && r.multifd_channels == 0;
            let (Some(wire), Some(normal), Some(zero)) = (r.wire_bytes, r.normal_pages, r.zero_pages) else { continue };
            if plain {
                let expected = 4104.0 * normal + 9.0 * zero;
                assert!((wire / expected - 1.0).abs() < 1e-3, "{}: {wire}, expected {expected}", r.id);
                checked += 1;
            }
        }
    }
    assert!(checked >= 100, "{checked} runs");
}
