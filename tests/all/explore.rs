//! The simulator in one HTML file, as commands write it. What it does in a browser is tested in
//! sim/explore/test.

use serde_json::Value;

use crate::support::{given, migsim, says};

fn page(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.html").display().to_string();
    says(
        &[arguments, &[if arguments[0] == "explore" { "--out" } else { "--report" }, &out]]
            .concat(),
    );
    given(&std::fs::read_to_string(out).unwrap())
}

fn refused(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("page.html").display().to_string();
    let output = migsim(&[&["explore"], arguments, &["--out", &out]].concat());
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(!std::path::Path::new(&out).exists(), "nothing is left behind");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_page_holds_what_a_file_or_flags_ask() {
    let plain = page(&["explore"]);
    assert_eq!((&plain["settings"], &plain["files"]), (&Value::Null, &Value::Null));
    let scenario = page(&["explore", "scenarios/first.toml", "--mode", "postcopy"]);
    let asked = &scenario["settings"][0];
    assert_eq!(
        [&asked["name"], &asked["memory"], &asked["mode"], &scenario["view"]],
        ["web", "4GiB", "postcopy", "time"]
    );
    let flags = page(&["explore", "--memory", "8GiB", "--link", "10GbE", "--manager", "libvirt"]);
    assert_eq!(flags["settings"][0]["link"], "10Gbit/s");
    assert_eq!(flags["own"]["manager"], "libvirt");
    let several = page(&[
        "explore",
        "scenarios/paper/live.toml",
        "--profile",
        "scenarios/paper/profile.toml",
    ]);
    assert_eq!(several["settings"].as_array().unwrap().len(), 6);
    assert_eq!(several["view"], "compare");
    assert!(several["profile"].as_str().unwrap().contains("the paper's hosts"));
    let fleet = page(&["explore", "scenarios/fleet/rack.toml"]);
    assert_eq!(
        (&fleet["view"], &fleet["files"][0]["name"]),
        (&"fleet".into(), &"rack.toml".into())
    );
    let runs = page(&["explore", "calibrate/data/paper/runs.csv", "--profile", "lab"]);
    assert_eq!((&runs["view"], &runs["own"]["profile"]), (&"models".into(), &"lab".into()));
}

#[test]
fn a_fleets_tables_come_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rack.toml");
    std::fs::write(&file, "hosts = \"h.csv\"\ninventory = \"g.csv\"\n[moves]\noff = [\"a\"]\n")
        .unwrap();
    std::fs::write(
        folder.path().join("h.csv"),
        "name,memory,cores,nic\na,64GiB,8,10GbE\nb,64GiB,8,10GbE\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("g.csv"), "name,host,memory\nx,a,4GiB\n").unwrap();
    let held = page(&["explore", file.to_str().unwrap()]);
    let names: Vec<&Value> =
        held["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["rack.toml", "h.csv", "g.csv"]);
}

#[test]
fn a_sweeps_page_draws_one_range_as_lines_and_two_as_a_map() {
    let one = page(&["sweep", "scenarios/first.toml", "--vary", "rate=1000p/s..60000p/s:5"]);
    assert_eq!(
        (&one["own"]["x"], &one["own"]["y"]),
        (&"rate=1000p/s..60000p/s:5".into(), &"none".into())
    );
    let two = page(&[
        "sweep",
        "scenarios/first.toml",
        "--vary",
        "rate=1000p/s..60000p/s:3",
        "--vary",
        "link=1GbE,10GbE",
    ]);
    assert_eq!((&two["own"]["y"], &two["view"]), (&"link=1GbE,10GbE".into(), &"border".into()));
}

#[test]
fn what_cannot_be_shown_is_refused_before_a_page_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.toml").display().to_string();
    std::fs::write(&bad, "[[guest]]\nmemory = \"4G\"\n").unwrap();
    assert!(refused(&[&bad]).contains("bad.toml:2"), "the line is named");
    assert!(
        refused(&["scenarios/fleet/rack.toml", "--mode", "postcopy"]).contains("takes no flags")
    );
    assert!(refused(&["nowhere.toml"]).contains("nowhere.toml"));
    assert!(refused(&["--profile", "nobody"]).contains("nobody"));
    let import = refused(&["tests/data/import/rvtools/4.x/RVTools_tabvInfo.csv"]);
    assert!(import.contains("`migsim inventory import` reads it"), "{import}");
}
