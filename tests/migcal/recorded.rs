//! The recorded campaigns: replayed through the run's logic they give their own rows again, and
//! what must hold, holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use migcal::campaign::Plan;
use migcal::fit::{Manner, fit};
use migcal::hosts::replay::{Replay, Trace};
use migcal::record::Record;
use migcal::run::{Label, Nobody, one};
use migsim::engine::Fidelity;
use migsim::record::{Observation, RowPrediction};
use migsim_models::profile::Profile;

use crate::program::{migcal, text};
use crate::unfit::unfit;

/// The rows of a file of records.
pub(crate) fn rows(file: &Path) -> Vec<Record> {
    csv::Reader::from_path(file).unwrap().deserialize().map(Result::unwrap).collect()
}

fn campaigns() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut found: Vec<PathBuf> = std::fs::read_dir(data)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("runs.csv").exists())
        .collect();
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
        let plan =
            Plan::parse("plan.toml", &std::fs::read_to_string(folder.join("plan.toml")).unwrap())
                .unwrap();
        let plans: BTreeMap<String, _> = plan
            .runs("plan.toml", Some(migcal::lab::Link::default()))
            .unwrap()
            .into_iter()
            .map(|run| (run.id.clone(), run))
            .collect();
        for record in rows(&folder.join("runs.csv")) {
            // What went wrong in a failed run lies outside of the wire.
            if record.outcome == "failed" {
                continue;
            }
            let planned = &plans[&record.id];
            let label =
                Label { id: &record.id, campaign: &record.campaign, repeat: planned.repeat };
            let mut hosts = Replay::new(traces[&record.id].clone());
            let run =
                one(&mut hosts, &planned.plan, label, &AtomicBool::new(false), &mut Nobody, |_| {})
                    .unwrap();
            // When it began among the guests that were moved with it, only they know together.
            let (started_at, began_ms) = (record.started_at.clone(), record.began_ms);
            let mut again =
                Record { started_at, began_ms, group: planned.group.clone(), ..run.record };
            // What QEMU expected stands in the rows; since then it is what the guest saw.
            if record.outcome == "not-converged" {
                assert_eq!(again.downtime_ms, record.guest_gap_ms);
                again.downtime_ms = record.downtime_ms;
            }
            if record.qemu_total_ms == Some(0.0) {
                assert_eq!((again.qemu_total_ms, again.qemu_downtime_ms), (None, None));
                (again.qemu_total_ms, again.qemu_downtime_ms) =
                    (record.qemu_total_ms, record.qemu_downtime_ms);
            }
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
        for r in rows(&folder.join("runs.csv")) {
            let plain = r.mode == "precopy"
                && r.outcome == "completed"
                && r.xbzrle == 0
                && r.multifd_channels == 0;
            let (Some(wire), Some(normal), Some(zero)) =
                (r.wire_bytes, r.normal_pages, r.zero_pages)
            else {
                continue;
            };
            if plain {
                let expected = 4104.0 * normal + 9.0 * zero;
                assert!(
                    (wire / expected - 1.0).abs() < 1e-3,
                    "{}: {wire}, expected {expected}",
                    r.id
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 100, "{checked} runs");
}

/// A recorded campaign, by its folder's name.
fn records(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
        .join("runs.csv")
        .display()
        .to_string()
}

#[test]
fn the_same_seed_gives_the_same_profile_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let fit = |name: &str, threads: &str| {
        let out = folder.path().join(name);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_migcal"))
            .args(["fit", &records("inflight"), "--out", &out.display().to_string(), "--seed", "7"])
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::read_to_string(out).unwrap()
    };
    assert_eq!(fit("one.toml", "1"), fit("two.toml", "3"));
}

#[test]
fn a_validation_has_every_figure_that_readers_of_its_json_rely_on() {
    let output =
        migcal(&["validate", &records("kvm-lab"), "--cross-validate", "2", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for path in [
        "/n",
        "/elapsed/median_rel",
        "/elapsed/p90_rel",
        "/elapsed/p95_rel",
        "/elapsed/max_rel",
        "/downtime/median_abs_ms",
        "/downtime/p90_abs_ms",
        "/downtime/median_rel",
        "/downtime/p90_rel",
        "/wire_bytes/p90_rel",
        "/rounds/exact_share",
        "/rounds/within_one_share",
        "/outcome/true_completed",
        "/outcome/true_not_converged",
        "/outcome/false_completed",
        "/outcome/false_not_converged",
        "/coverage90/elapsed",
        "/coverage90/downtime",
        "/noise/elapsed_rel",
        "/noise/downtime_abs_ms",
        "/models/gudkov/elapsed/p90_rel",
        "/by_mode/postcopy/elapsed/p90_rel",
        "/by_mode/offline/phases/0/p90_rel",
        "/by_lever/xbzrle/elapsed/p90_rel",
    ] {
        assert!(
            found.pointer(path).is_some_and(serde_json::Value::is_number),
            "{path} is missing: {found}"
        );
    }
    // Every published model is further off than the simulator, on fair inputs too.
    let figure = |path: &str| found.pointer(path).and_then(serde_json::Value::as_f64).unwrap();
    for models in ["models", "models_fair"] {
        for (name, figures) in found[models].as_object().unwrap() {
            let p90 = figures["elapsed"]["p90_rel"].as_f64().unwrap();
            assert!(p90 > figure("/elapsed/p90_rel"), "{models}, {name}: {figures}");
        }
    }
    // Fair is the start of QEMU by the fit that predicted the run, not by the profile that fits
    // begin with.
    assert!(figure("/models_fair/liu-wws/elapsed/median_rel") < 0.03);
}

#[test]
fn the_shipped_profile_is_right_on_campaigns_that_were_held_out_when_they_were_made() {
    // `fresh` is part of no fit. It misses the aims of 50 ms of downtime and 80 % of exact syncs,
    // and docs/validation.md has why: it shall not get worse. `unseen` has them, and is part of
    // the shipped fit since.
    for (campaign, downtime_ms, exact) in [("unseen", 50.0, 0.8), ("fresh", 66.0, 0.75)] {
        let output = migcal(&["validate", &records(campaign), "--format", "json"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let figure = |path: &str| found.pointer(path).and_then(serde_json::Value::as_f64).unwrap();
        assert!(figure("/n") >= 100.0, "{found}");
        for (path, most) in [
            ("/elapsed/median_rel", 0.02),
            ("/elapsed/p90_rel", 0.05),
            ("/downtime/p90_abs_ms", downtime_ms),
            ("/wire_bytes/p90_rel", 0.02),
        ] {
            assert!(figure(path) <= most, "{campaign}: {path} is {}", figure(path));
        }
        assert!(
            figure("/rounds/exact_share") >= exact && figure("/rounds/within_one_share") >= 0.95,
            "{found}"
        );
        let wrong = found["wrong"].as_array().unwrap();
        assert!(wrong.iter().all(|one| one["near_border"] == true), "{wrong:?}");
    }
}

#[test]
fn the_shipped_profile_says_which_runs_it_was_fitted_to() {
    let profile = Profile::default();
    let campaigns = &profile.fit.as_ref().unwrap().campaigns;
    let mut runs = Vec::new();
    for campaign in campaigns {
        let text = std::fs::read(records(campaign)).unwrap();
        runs.extend(migsim::record::observations(campaign, text.as_slice()).unwrap().0);
    }
    runs.retain(migcal::fit::is_used);
    let domain = migcal::fit::domain(&runs).unwrap();
    assert_eq!(Some(&domain), profile.domain.as_ref(), "{}", toml::to_string(&domain).unwrap());
}

#[test]
fn guests_moved_at_the_same_time_are_predicted_together() {
    let output = migcal(&["validate", &records("together"), "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let figure = |path: &str| found.pointer(path).and_then(serde_json::Value::as_f64).unwrap();
    assert!(figure("/makespan/0") >= 20.0, "{found}");
    assert!(figure("/makespan/1/max_rel") <= 0.08, "{found}");
    assert!(figure("/by_lever/together/elapsed/p90_rel") <= 0.12, "{found}");
    // Where all stand in one line, only the whole is known.
    let output = migcal(&["validate", &records("together-fifo"), "--format", "json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        found.pointer("/makespan/1/max_rel").and_then(serde_json::Value::as_f64).unwrap() <= 0.08,
        "{found}"
    );
}

/// What our own predictions are, written to a file, is judged as they are.
#[test]
fn another_predictors_answers_are_judged_by_the_same_tables() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.csv");
    let runs = records("fresh");
    let figures = |arguments: &[&str]| -> serde_json::Value {
        let output = migcal(&[&["validate", &runs], arguments, &["--format", "json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let bytes = std::fs::read(&runs).unwrap();
    let (read, _) = migsim::record::observations("fresh", bytes.as_slice()).unwrap();
    let profile = Profile::default();
    let mut lines = vec!["id,pred_outcome,pred_elapsed_ms,pred_downtime_ms".to_owned()];
    for one in migcal::validate::judge(&read, &profile) {
        let outcome = if one.said.completed { "completed" } else { "not-converged" };
        let (total, down) = (one.said.elapsed_ms.unwrap(), one.said.downtime_ms);
        let down = down.map_or(String::new(), |ms| ms.to_string());
        lines.push(format!("{},{outcome},{total},{down}", one.run.id));
    }
    std::fs::write(&file, lines.join("\n")).unwrap();
    let theirs = figures(&["--predictions", file.to_str().unwrap()]);
    let ours = figures(&[]);
    for key in ["n", "elapsed", "downtime", "outcome", "bias", "by_lever/precopy/elapsed"] {
        let place = format!("/{key}");
        assert_eq!(theirs.pointer(&place), ours.pointer(&place), "{key}");
    }
    assert_eq!(theirs["coverage90"], serde_json::Value::Null, "nothing was said of intervals");
    for (content, said) in [
        ("run,pred_elapsed_ms\na,5\n".to_owned(), "theirs.csv:1: has no column `id`"),
        (lines[..2].join("\n"), "predicts 1 of "),
        (format!("{}\n{}", lines.join("\n"), lines[1]), "is predicted twice"),
        (
            lines.join("\n").replacen(",completed,", ",completed,-", 1),
            "is not a number that is not",
        ),
        (format!("{}\r\nx,perhaps,1,1\r\n", lines[..2].join("\r\n")), "theirs.csv:3: pred_outcome"),
        (format!("{}\r\nx,completed\r\n", lines[..2].join("\r\n")), "theirs.csv:3: the row has 2"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = migcal(&["validate", &runs, "--predictions", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn a_transfer_needs_no_more_than_a_handful_of_runs() {
    let output = migcal(&["transfer", &records("tcg"), "--sizes", "8", "--format", "json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = &found["results"];
    let p90 = |step: usize| steps[step]["figures"]["elapsed"]["p90_rel"].as_f64().unwrap();
    assert_eq!(steps[1]["runs"], 8);
    assert!(p90(1) <= 1.5 * p90(2), "{} with 8 runs, {} with all", p90(1), p90(2));
}

#[test]
fn no_format_of_a_validation_holds_what_is_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let [page, picture] = ["page.html", "picture.svg"].map(|name| folder.path().join(name));
    for campaign in ["kvm-lab", "linux-tcg", "together", "fresh"] {
        for format in ["table", "markdown", "json", "csv"] {
            let [page, picture] = [&page, &picture].map(|file| file.to_str().unwrap());
            let asked = [
                "validate",
                &records(campaign),
                "--format",
                format,
                "--report",
                page,
                "--plot",
                picture,
            ];
            let output = migcal(&asked);
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(unfit(&text(&output.stdout)), None, "{campaign}, {format}");
        }
        let [page, picture] = [&page, &picture].map(|file| std::fs::read_to_string(file).unwrap());
        assert_eq!(unfit(&picture), None, "{campaign}");
        // What is no number is null in JSON; the table is text.
        let start = page.find("id=\"given\">").unwrap() + "id=\"given\">".len();
        let end = start + page[start..].find("</script>").unwrap();
        let given: serde_json::Value = serde_json::from_str(&page[start..end]).unwrap();
        assert_eq!(unfit(given["result"]["table"].as_str().unwrap()), None, "{campaign}");
        for row in given["result"]["rows"].as_array().unwrap() {
            assert!(row["pred_elapsed_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{row}");
            assert!(row["writes_to_link"].as_f64().is_some_and(|share| share >= 0.0), "{row}");
        }
    }
}

/// Guests that are called idle and have an operating system and a display: a fit finds what they
/// write, and that the stop falls into memory that nobody writes to.
#[test]
fn what_an_idle_operating_system_dirties_and_its_display_are_learnt_from_runs() {
    let lab = Profile::default();
    let mut truth = lab.clone();
    truth.guest.idle_pages.value = 4000;
    truth.guest.idle_share.value = 0.05;
    truth.guest.firmware_pages.value += 4096;
    truth.guest.firmware_zero_pages.value += 4096;
    let mut text = "campaign,mode,memory_mib,touched_pages,workload,link_mbit,bandwidth_cap_mib,qemu,layout,outcome,elapsed_ms,downtime_ms,wire_bytes\n"
        .to_owned();
    for i in 0..24_u64 {
        let row = |measured: String| {
            let (memory, touched) = (1024 << (i % 4), 60_000 + 9000 * (i % 7));
            let cap = 40 + 7 * (i % 11);
            format!("c,precopy,{memory},{touched},idle,1000,{cap},8.1,mixed,completed,{measured}\n")
        };
        let head = text.lines().next().unwrap_or_default();
        let one = format!("{head}\n{}", row("1,1,1".to_owned()));
        let (asked, _) = migsim::record::observations("t", one.as_bytes()).unwrap();
        let said = RowPrediction::of(&asked[0].case, &truth, Fidelity::Flow);
        let downtime = said.downtime_ms.unwrap();
        text.push_str(&row(format!(
            "{},{downtime},{}",
            said.elapsed_ms.unwrap(),
            said.wire_bytes.unwrap()
        )));
    }
    let (runs, errors) = migsim::record::observations("t", text.as_bytes()).unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    let manner = Manner { display: true, ..Manner::default().of_a_part() };
    let found = fit(&runs, &lab, manner, &AtomicBool::new(false), &|_| {}).unwrap().profile;
    let guest = &found.guest;
    assert!((3400..4600).contains(&guest.idle_pages.value), "{guest:?}");
    assert!((4096..4200).contains(&guest.firmware_zero_pages.value), "{guest:?}");
    let downtimes = |profile: &Profile| -> f64 {
        let off = |run: &Observation| {
            let said = RowPrediction::of(&run.case, profile, Fidelity::Flow);
            (said.downtime_ms.unwrap() - run.downtime_ms.unwrap()).abs()
        };
        runs.iter().map(off).sum::<f64>() / runs.len() as f64
    };
    let (before, after) = (downtimes(&lab), downtimes(&found));
    assert!(before > 30.0 && after < before / 4.0, "{before} ms to {after} ms");
}
