//! Real migrations, end to end, where this machine can make them. Where it cannot, each test says so, loudly.

use std::path::Path;
use std::sync::Arc;

use migcal::doctor::{Standing, examine};
use migcal::faults::{Series, Trial};
use migcal::lab::{Lab, Link, down};
use migsim::terminal;
use migsim_models::units::{BitRate, SimTime};
use migsim_models::workload::{Pattern, Workload};

use crate::program::{migcal, text};
use crate::recorded::rows;

/// Whether real migrations can be made here, and by what engine.
fn engine() -> Option<&'static str> {
    let findings = examine();
    let missing: Vec<&str> = findings.iter().filter(|f| f.standing == Standing::Missing).map(|f| f.what).collect();
    if !missing.is_empty() {
        terminal::complain(&format!(
            "\n*** SKIPPED: no real migration was made; this machine lacks {} (`migcal doctor`) ***\n",
            missing.join(", ")
        ));
        return None;
    }
    let kvm = findings.iter().any(|f| f.what == "KVM" && f.standing == Standing::There);
    Some(if kvm { "kvm" } else { "tcg" })
}

/// Labs of tests go, however a test ends.
struct Gone(String);

impl Drop for Gone {
    fn drop(&mut self) {
        down(&self.0).unwrap();
    }
}

#[test]
fn a_short_campaign_in_every_mode_and_one_that_does_not_converge() {
    let Some(engine) = engine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.toml");
    let out = folder.path().join("out");
    std::fs::write(
        &plan,
        format!(
            "name = \"test\"\n[all]\nengine = \"{engine}\"\nmemory = \"96MiB\"\ntouched = \"8000p\"\nlink = \"200Mbit/s\"\n\
             workload = \"uniform(wss=2000p, rate=400p/s)\"\n\
             [[design]]\nname = \"mode\"\nvary = {{ mode = [\"precopy\", \"postcopy\", \"offline\"] }}\n\
             [[design]]\nname = \"hopeless\"\n\
             run = {{ workload = \"uniform(wss=7500p, rate=14000p/s)\", downtime_limit = \"20ms\", timeout = \"6s\" }}\n"
        ),
    )
    .unwrap();
    let output = migcal(&["campaign", &plan.display().to_string(), "--out", &out.display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = rows(&out.join("runs.csv"));
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let (outcome, holder) = match row.id.starts_with("hopeless") {
            true => ("not-converged", "source"),
            false => ("completed", "destination"),
        };
        assert_eq!((row.outcome.as_str(), row.holder.as_str()), (outcome, holder), "{row:?}");
        assert!(row.beat_gap_ms.is_some() && row.background_cpu.is_some(), "{row:?}");
    }
    let by_id = |id: &str| rows.iter().find(|r| r.id.starts_with(id)).unwrap();
    let offline = by_id("mode-003");
    let sum = [offline.suspend_ms, offline.copy_ms, offline.resume_ms].map(Option::unwrap).iter().sum::<f64>();
    assert!((sum - offline.elapsed_ms.unwrap()).abs() < 0.01, "{offline:?}");
    let live = by_id("mode-001");
    // What the guest itself and an observer outside saw of the stop is what libvirt says of it.
    assert!(live.downtime_ms.unwrap() > 0.0 && live.beat_gap_ms.unwrap() > 0.8 * live.downtime_ms.unwrap(), "{live:?}");
    assert!(live.downtime_ms.unwrap() < offline.downtime_ms.unwrap(), "live stands still for less");
    let wire = 4104.0 * live.normal_pages.unwrap() + 9.0 * live.zero_pages.unwrap();
    assert!((live.wire_bytes.unwrap() / wire - 1.0).abs() < 1e-3, "{live:?}");
    // The same command again has nothing to do.
    let before = std::fs::read(out.join("runs.csv")).unwrap();
    let output = migcal(&["campaign", &plan.display().to_string(), "--out", &out.display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(out.join("runs.csv")).unwrap(), before);
}

#[test]
fn ten_commands_with_faults_lose_no_guest_and_leave_nothing() {
    if engine().is_none() {
        return;
    }
    let name = format!("test-{}", std::process::id());
    let _gone = Gone(name.clone());
    drop(Lab::up(&name, Series::link()).unwrap());
    let series = Series::new(&name, 1, Path::new(env!("CARGO_BIN_EXE_migcal")), &Arc::default());
    for number in 1..=10 {
        let checked = series.make(&Trial::drawn(1, number)).unwrap();
        assert_eq!(checked.wrong, "", "{checked:#?}");
    }
}

#[test]
fn two_hosts_are_reached_by_their_uris_over_ssh() {
    let Some(engine) = engine() else { return };
    if migcal::reach::Reach::Here.which("/usr/sbin/sshd").is_none() {
        terminal::complain("\n*** SKIPPED: no migration over SSH; this machine lacks sshd (`migcal doctor`) ***\n");
        return;
    }
    let name = format!("ssh-{}", std::process::id());
    let _gone = Gone(name.clone());
    let lab = Lab::up(&name, Link::of(BitRate(200_000_000))).unwrap();
    let [source, destination] = lab.start_ssh().unwrap();
    let peer = lab.ssh_from_source().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("runs.csv").display().to_string();
    let hosts = ["--source", &source, "--destination", &destination, "--peer", &peer];
    for transport in ["tcp", "ssh"] {
        let arguments = [
            "run",
            "--engine",
            engine,
            "--memory",
            "96MiB",
            "--touched",
            "8000p",
            "--transport",
            transport,
            "--out",
            &out,
        ];
        let output = migcal(&[&arguments[..], &hosts].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    for row in rows(Path::new(&out)) {
        assert_eq!(row.outcome, "completed", "{row:?}");
        // The link is measured, not known: 200 Mbit/s of frames carry 191 of payload.
        assert!((row.goodput_mbit.unwrap() - 191.0).abs() < 10.0, "{row:?}");
        assert!(row.rtt_us.unwrap() > 0.0);
    }
}

#[test]
fn the_guest_dirties_what_it_was_asked_to_by_qemus_own_measure() {
    let Some(engine) = engine() else { return };
    if engine != "kvm" {
        terminal::complain("\n*** SKIPPED: QEMU's dirty-bitmap measure works under KVM only (`migcal doctor`) ***\n");
        return;
    }
    let name = format!("dirty-{}", std::process::id());
    let _gone = Gone(name.clone());
    drop(Lab::up(&name, Link::of(BitRate(400_000_000))).unwrap());
    // Fast enough that whole MiB/s are fine enough; closed, so that nothing is left to make up for after the migration.
    for notation in ["uniform(wss=40000p, rate=20000p/s, closed)", "sweep(wss=40000p, rate=12000p/s, closed)"] {
        let arguments =
            ["run", "--lab", &name, "--keep", "--mode", "paused", "--memory", "256MiB", "--workload", notation];
        let output = migcal(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let output = migcal(&["dirty", "migcal-guest", "--lab", &name, "--at-destination", "--windows", "1,2"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.contains("dirty-bitmap"), "{said}");
        let line = said.lines().find_map(|line| line.strip_prefix("as measured:  --workload '")).unwrap();
        let measured: Workload = line.trim_end_matches('\'').parse().unwrap();
        let asked: Workload = notation.parse().unwrap();
        let Pattern::Curve { points, .. } = &measured.terms[0].pattern else { panic!("{said}") };
        for (window, pages) in points {
            let expected = asked.distinct(*window, SimTime::ZERO);
            let off = pages.0 as f64 / expected - 1.0;
            assert!(
                off.abs() < 0.05,
                "{notation}, {window}: {} pages, expected {expected:.0}: {:.1} %",
                pages.0,
                off * 100.0
            );
        }
    }
}
