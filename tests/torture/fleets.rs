//! Random fleets, and what must hold of every one that is moved.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use migsim::answer::Hosts;
use migsim::fleet::shape::Findings;
use migsim::fleet::{Chance, missing, parse, run, totals};
use migsim_models::profile::Profile;
use migsim_report::fleet::Report;
use migsim_report::format::{self, Answered, FORMATS};

use super::questions::{LONGEST, between, pick, stream, unfit_json, worked};
use super::unfit::unfit;

/// The text of the fleet of that number.
fn text(seed: u64, index: u64) -> String {
    let mut rng = stream(seed ^ 0xF1EE7, index);
    let r = &mut rng;
    let mut text = String::new();
    let sites = pick(r, &[1, 1, 2]);
    for site in 0..sites {
        let core = if r.random_bool(0.3) {
            format!("core = \"{}bit/s\"\n", between(r, 1e6, 1e12) as u64)
        } else {
            String::new()
        };
        let _ = write!(text, "[[site]]\nname = \"s{site}\"\n{core}");
        let uplink = if r.random_bool(0.5) {
            format!("uplink = \"{}bit/s\"\n", between(r, 1e6, 1e11) as u64)
        } else {
            String::new()
        };
        let _ = write!(text, "[[rack]]\nname = \"r{site}\"\nsite = \"s{site}\"\n{uplink}");
    }
    if sites == 2 {
        let _ = write!(
            text,
            "[[wan]]\nbetween = [\"s0\", \"s1\"]\ncapacity = \"{}bit/s\"\nrtt = \"5ms\"\n",
            between(r, 1e6, 1e11) as u64
        );
    }
    for (name, rack) in [("old", 0), ("new", sites - 1)] {
        let _ = write!(
            text,
            "[[host]]\nname = \"{name}{{n}}\"\ncount = {}\nrack = [\"r{rack}\"]\nmemory = \"{}GiB\"\ncores = {}\nnic = \"{}bit/s\"\n",
            r.random_range(1..4),
            r.random_range(64..512),
            between(r, 0.1, 128.0),
            between(r, 1e5, 1e11) as u64
        );
    }
    for kind in 0..r.random_range(1..4) {
        let mib = between(r, 1.0, 8192.0) as u64;
        let pages = mib * 256;
        let wss = (between(r, 1.0, pages as f64) as u64).clamp(1, pages);
        let rate = between(r, 1.0, 1e5);
        let workload = pick(
            r,
            &[
                "idle".to_owned(),
                format!("uniform(wss={wss}p, rate={rate}p/s)"),
                format!("sweep(wss={wss}p, rate={rate}p/s, closed)"),
                format!("zipf(wss={wss}p, rate={rate}p/s, s=0.9)"),
                format!("phase(on=2s, off=3s, uniform(wss={wss}p, rate={rate}p/s))"),
            ],
        );
        let lever = pick(
            r,
            &[
                "mode = \"precopy\"",
                "mode = \"postcopy\"",
                "mode = \"offline\"",
                "mode = \"paused\"",
                "qemu = \"10.0\", auto_converge = true",
                "xbzrle = true",
                "timeout = \"20s\", on_timeout = \"postcopy\"",
                "timeout = \"20s\"",
                "qemu = \"1.0\", downtime_limit = \"30ms\"",
            ],
        );
        let _ = write!(
            text,
            "[[vm]]\ncount = {}\non = [\"old*\"]\nguest = {{ name = \"k{kind}-{{n}}\", memory = \"{mib}MiB\", workload = \"{workload}\", migration = {{ {lever} }} }}\n",
            r.random_range(1..6)
        );
    }
    if r.random_bool(0.4) {
        let end = if r.random_bool(0.5) { "end = \"40s\"\n" } else { "" };
        let _ = write!(
            text,
            "[[traffic]]\nfrom = \"old1\"\nto = \"new1\"\nrate = \"{}bit/s\"\nbegin = \"3s\"\n{end}",
            between(r, 1e5, 1e11) as u64
        );
    }
    let limits =
        pick(r, &["", "per_host = 1\n", "per_host = 2\n", "at_once = 3\n", "per_link = 1\n"]);
    let _ = write!(
        text,
        "[moves]\noff = [\"old*\"]\nto = [\"new*\"]\norder = \"{}\"\n{limits}",
        pick(r, &["listed", "largest", "smallest"])
    );
    text
}

use rand::RngExt;

/// Everything that is wrong with a fleet; `None`: it was refused.
pub(crate) fn faults(profile: &Profile, seed: u64, index: u64) -> Option<Vec<String>> {
    let fleet = parse(Path::new("fleet.toml"), &text(seed, index)).ok()?;
    let mut faults = Vec::new();
    let (began, go_on) = (worked(), AtomicBool::new(false));
    let found = run(&fleet, profile, Chance::none(), &go_on, |_| {})?;
    let t = totals(&found);
    let moves = fleet.moves.len();
    if t.arrived + t.not_arrived != moves || t.gave_up + t.never_left != t.not_arrived {
        faults.push(format!("{moves} moves: {t:?}"));
    }
    for one in &found.moves {
        if one.ended().as_secs_f64() > t.all_over_s + 1e-9
            || one.outcome.completed() && one.ended().as_secs_f64() > t.makespan_s
        {
            faults.push(format!("{one:?} ends after all is over"));
        }
        if !one.outcome.completed() && one.why_not.as_ref().is_none_or(String::is_empty) {
            faults.push(format!("{one:?} does not arrive for no reason"));
        }
    }
    let missing = missing(&fleet, profile, &found, &go_on, || {});
    if missing.len() != t.not_arrived {
        faults.push(format!("{} are missing of {}", missing.len(), t.not_arrived));
    }
    let hosts = &Hosts::given(profile.clone());
    let cluster = &fleet.cluster;
    let report = Report {
        findings: Findings {
            cluster,
            moves_of: &fleet.moves,
            hosts,
            found: &found,
            missing: &missing,
            likely: None,
        },
        window: None,
        seed: 1,
    };
    faults.extend(unfit_json(&report.value(), "").map(|what| format!("JSON: {what}")));
    let texts = FORMATS.map(|one| (one.name(), format::text(&report, one).unwrap_or_default()));
    let texts = texts.into_iter().filter(|(name, _)| !name.starts_with("json"));
    for (name, text) in texts {
        faults.extend(unfit(&text).map(|what| format!("{name}: `{what}`")));
    }
    let took = worked() - began;
    if took > LONGEST {
        faults.push(format!("took {:.1} s", took.as_secs_f64()));
    }
    Some(faults)
}

/// The fleet's file, for whoever looks into a fault.
pub(crate) fn file(seed: u64, index: u64) -> String {
    text(seed, index)
}
