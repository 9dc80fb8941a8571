//! The shipped scenarios show what their comments say.

use serde_json::Value;

use crate::support::says;

fn json(arguments: &[&str]) -> Value {
    let mut all = vec!["predict"];
    all.extend(arguments);
    all.extend(["--format", "json"]);
    serde_json::from_str(&says(&all)).unwrap()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} in {value}"))
}

#[test]
fn the_first_scenario_stops_for_about_its_downtime_limit() {
    let got = json(&["scenarios/first.toml"]);
    assert_eq!(got["outcome"], "completed");
    assert!((0.25..0.45).contains(&number(&got, "/downtime_s")));
    let rounds = got["rounds"].as_array().unwrap();
    assert!(rounds.len() > 3 && number(&rounds[0], "/normal_pages") > 0.9 * 3.0 * 262_144.0);
}

#[test]
fn postcopy_stands_still_for_less_than_precopy_and_offline_for_all_of_it() {
    let (first, post, offline) = (
        json(&["scenarios/first.toml"]),
        json(&["scenarios/postcopy.toml"]),
        json(&["scenarios/offline.toml"]),
    );
    assert!(number(&post, "/downtime_s") < number(&first, "/downtime_s") / 4.0);
    assert!(number(&post, "/faults") > 10.0);
    assert_eq!(offline["tmt_s"], offline["downtime_s"]);
    let forced = json(&["scenarios/postcopy.toml", "--mode", "precopy"]);
    assert_eq!(forced["outcome"], "not-converged");
}

#[test]
fn auto_converge_and_postcopy_rescue_what_does_not_converge() {
    let file = "scenarios/rescued-by-auto-converge.toml";
    assert!(number(&json(&[file]), "/throttle_percent") >= 20.0);
    assert_eq!(json(&[file, "--auto-converge", "false"])["outcome"], "not-converged");
    let file = "scenarios/rescued-by-postcopy.toml";
    assert_eq!(number(&json(&[file]), "/timed_out_s"), 60.0);
    assert_eq!(json(&[file, "--on-timeout", "abort"])["outcome"], "not-converged");
}

#[test]
fn a_light_and_a_heavy_application_converge_in_one_pass_and_in_several() {
    let light = json(&["scenarios/light.toml"]);
    let first = number(&light["rounds"][0], "/wire_bytes") / number(&light, "/wire_bytes");
    assert!(first > 0.95, "{first} of the bytes in the first iteration");
    assert!(json(&["scenarios/heavy.toml"])["rounds"].as_array().unwrap().len() > 3);
}

/// The paper's findings, and its largest figures within a tenth.
#[test]
fn the_papers_findings_come_out() {
    let profile = "scenarios/paper/profile.toml";
    let live = json(&["scenarios/paper/live.toml", "--profile", profile]);
    let offline = json(&["scenarios/paper/offline.toml", "--profile", profile]);
    let (live, offline) =
        (live["results"].as_array().unwrap(), offline["results"].as_array().unwrap());
    assert_eq!((live.len(), offline.len()), (6, 6));
    for (l, o) in live.iter().zip(offline) {
        // Live is down for less and takes longer in total; of offline's phases copying takes the
        // most.
        assert!(number(l, "/downtime_s") < number(o, "/downtime_s"));
        assert!(number(l, "/tmt_s") > number(o, "/tmt_s"));
        let copy = number(o, "/downtime_parts/copy_s");
        assert!(
            copy > number(o, "/downtime_parts/suspend_s")
                && copy > number(o, "/downtime_parts/resume_s")
        );
    }
    // Offline time grows with memory.
    assert!(offline.windows(2).all(|w| number(&w[0], "/tmt_s") < number(&w[1], "/tmt_s")));
    for (what, got, paper) in [
        ("suspend", number(&offline[5], "/downtime_parts/suspend_s"), 2.8),
        ("copy", number(&offline[5], "/downtime_parts/copy_s"), 7.3),
        ("resume", number(&offline[5], "/downtime_parts/resume_s"), 0.7),
        ("offline", number(&offline[5], "/tmt_s"), 10.8),
        ("live", number(&live[5], "/tmt_s"), 12.5),
        ("down", number(&live[5], "/downtime_s"), 7.0),
    ] {
        assert!((got / paper - 1.0).abs() < 0.1, "{what}: {got}, in the paper {paper}");
    }
}
