//! Real migrations, end to end, where this machine can make them. Where it cannot, each test says
//! so, loudly.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use migcal::doctor::{Standing, examine};
use migcal::faults::{Fault, Series, Trial};
use migcal::lab::{Lab, Link, Side, down};
use migsim_models::units::{BitRate, SimTime};
use migsim_models::workload::{Pattern, Workload};
use migsim_report::terminal;

use crate::documented::printed;
use crate::program::{migcal, text};
use crate::recorded::rows;

/// Whether real migrations can be made here, and by what engine.
fn engine() -> Option<&'static str> {
    let findings = examine();
    let missing: Vec<&str> =
        findings.iter().filter(|f| f.standing == Standing::Missing).map(|f| f.what).collect();
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
    let output =
        migcal(&["campaign", &plan.display().to_string(), "--out", &out.display().to_string()]);
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
    let sum = [offline.suspend_ms, offline.copy_ms, offline.resume_ms]
        .map(Option::unwrap)
        .iter()
        .sum::<f64>();
    assert!((sum - offline.elapsed_ms.unwrap()).abs() < 0.01, "{offline:?}");
    let live = by_id("mode-001");
    // What the guest itself and an observer outside saw of the stop is what libvirt says of it.
    assert!(
        live.downtime_ms.unwrap() > 0.0
            && live.beat_gap_ms.unwrap() > 0.8 * live.downtime_ms.unwrap(),
        "{live:?}"
    );
    assert!(live.downtime_ms.unwrap() < offline.downtime_ms.unwrap(), "live stands still for less");
    let wire = 4104.0 * live.normal_pages.unwrap() + 9.0 * live.zero_pages.unwrap();
    assert!((live.wire_bytes.unwrap() / wire - 1.0).abs() < 1e-3, "{live:?}");
    // The same command again has nothing to do.
    let before = std::fs::read(out.join("runs.csv")).unwrap();
    let output =
        migcal(&["campaign", &plan.display().to_string(), "--out", &out.display().to_string()]);
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
    // Each command twice at most, and no cut that is waited for.
    let mut struck: Vec<String> = Vec::new();
    for trial in (1..).map(|number| Trial::drawn(1, number)) {
        let command = trial.subject.to_string();
        let again = struck.iter().filter(|known| **known == command).count();
        if again == 2 || matches!(trial.fault, Fault::Cut(_)) {
            continue;
        }
        let checked = series.make(&trial).unwrap();
        assert_eq!(checked.wrong, "", "{checked:#?}");
        struck.push(command);
        if struck.len() == 10 {
            break;
        }
    }
}

/// A lab in whose hosts sshds run, if this machine has one.
fn lab_with_ssh(name: &str) -> Option<(Gone, Lab, [String; 2], String)> {
    engine()?;
    if migcal::reach::Reach::Here.which("/usr/sbin/sshd").is_none() {
        terminal::complain(
            "\n*** SKIPPED: nothing was reached over SSH; this machine lacks sshd (`migcal doctor`) ***\n",
        );
        return None;
    }
    let name = format!("{name}-{}", std::process::id());
    let gone = Gone(name.clone());
    let lab = Lab::up(&name, Link::of(BitRate(200_000_000))).unwrap();
    let uris = lab.start_ssh().unwrap();
    let peer = lab.ssh_from_source().unwrap();
    Some((gone, lab, uris, peer))
}

#[test]
fn no_other_user_gets_into_a_lab_and_nobody_outside_hears_of_it() {
    let listeners = || {
        let said = migcal::reach::Reach::Here.run(&["ss", "-Hltn"]).unwrap();
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = listeners();
    let Some((_gone, lab, ..)) = lab_with_ssh("closed") else { return };
    assert_eq!(listeners(), before, "something listens on this machine");
    let as_nobody = |words: &[&str]| {
        let user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        migcal::reach::Reach::Here.run(&[&user[..], words].concat())
    };
    assert!(as_nobody(&["id"]).unwrap().contains("65534"), "the test does not change its user");
    for side in Side::BOTH {
        let uri = lab.uri(side);
        assert!(
            migcal::reach::Reach::Here.run(&["virsh", "-c", &uri, "list"]).is_ok(),
            "root gets there"
        );
        for uri in [uri.clone(), uri.replace("libvirt-sock", "libvirt-sock-ro")] {
            let error = as_nobody(&["virsh", "-c", &uri, "list"]).unwrap_err().to_string();
            assert!(error.contains("ermission denied"), "{error}");
        }
    }
    use std::os::unix::fs::PermissionsExt;
    for side in ["a", "b"] {
        for socket in ["libvirt-sock", "libvirt-sock-ro", "libvirt-admin-sock"] {
            let found = lab.folder().join(side).join("run").join(socket).metadata().unwrap();
            assert_eq!(found.permissions().mode() & 0o777, 0o700, "{side} {socket}");
        }
    }
    let folder = lab.folder().display().to_string();
    for place in [
        folder.clone(),
        format!("{folder}/lab.toml"),
        format!("{folder}/ssh/user"),
        format!("{folder}/a/lib"),
    ] {
        assert!(as_nobody(&["stat", &place]).is_err(), "{place} is seen");
    }
}

#[test]
fn two_names_of_one_host_are_refused_first_of_all_and_its_guest_stays() {
    let Some((_gone, lab, [_, destination], _)) = lab_with_ssh("same") else { return };
    let name = lab.name().to_owned();
    let in_lab = ["--lab", &name, "--name", "same1"];
    let output = migcal(
        &[&["run", "--keep", "--memory", "64MiB", "--touched", "3000p"], &in_lab[..]].concat(),
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let alias = lab.uri(Side::Destination);
    for (source, destination) in
        [(&destination, &destination), (&alias, &destination), (&destination, &alias)]
    {
        let hosts = ["--source", source, "--destination", destination, "--name", "same1"];
        for command in ["settle", "run"] {
            let output = migcal(&[&[command], &hosts[..]].concat());
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command} {hosts:?}: {error}");
            assert!(
                error.contains("same host") && error.contains("nothing was touched"),
                "{error}"
            );
        }
    }
    let output = migcal(&[&["settle"], &in_lab[..]].concat());
    assert!(text(&output.stdout).contains("runs at the destination"), "{}", text(&output.stderr));
}

#[test]
fn the_command_that_a_lab_prints_for_two_servers_works_and_roots_home_stays() {
    if lab_with_ssh("probe").is_none() {
        return;
    }
    let name = format!("printed-{}", std::process::id());
    let _gone = Gone(name.clone());
    let known = || std::fs::read("/root/.ssh/known_hosts").ok();
    let before = known();
    let output = migcal(&["lab", "up", "--ssh", "--name", &name]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let command = said.lines().find(|line| line.starts_with("migcal run")).unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_migcal")).parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let line = format!("{command} --memory 64MiB --touched 3000p");
    let output =
        std::process::Command::new("bash").args(["-c", &line]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{line}: {}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("completed (the guest is at the destination)"),
        "{}",
        text(&output.stdout)
    );
    assert_eq!(known(), before, "root's known_hosts has changed");
}

#[test]
fn a_rehearsal_leaves_idle_and_busy_guests_as_they_were() {
    let Some(engine) = engine() else { return };
    let name = format!("rehearse-{}", std::process::id());
    let _gone = Gone(name.clone());
    let lab = Lab::up(&name, Link::of(BitRate(400_000_000))).unwrap();
    let small = ["--lab", &name, "--engine", engine, "--memory", "64MiB", "--touched", "6000p"];
    for (guest, workload, measured) in [
        ("idle1", "idle", Some(false)),
        ("busy1", "uniform(wss=4000p, rate=2000p/s)", Some(true)),
        // Met at work or at rest.
        ("phased1", "phase(on=1s, off=1s, uniform(wss=4000p, rate=2000p/s))", None),
    ] {
        let run = ["run", "--keep", "--mode", "paused", "--name", guest, "--workload", workload];
        let output = migcal(&[&run[..], &small[..]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let socket = lab.uri(Side::Destination);
        let monitor = |what: &str| {
            let words = ["virsh", "-c", &socket, "qemu-monitor-command", guest, "--hmp", what];
            migcal::reach::Reach::Here.run(&words).unwrap()
        };
        let settings =
            || monitor("info migrate_parameters") + &monitor("info migrate_capabilities");
        let before = settings();
        // `REHEARSALS=67` makes two hundred of them.
        let tries =
            std::env::var("REHEARSALS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
        for _ in 0..tries {
            let dirty =
                ["dirty", guest, "--lab", &name, "--at-destination", "--method", "rehearsal"];
            let output = migcal(&[&dirty[..], &["--windows", "1", "--repeats", "1"]].concat());
            let done = output.status.success();
            assert!(
                measured.is_none_or(|measured| measured == done),
                "{}{}",
                text(&output.stdout),
                text(&output.stderr)
            );
            assert!(
                done || text(&output.stderr).contains("writes too little"),
                "{}",
                text(&output.stderr)
            );
            assert!(monitor("info status").contains("running"), "{guest} stands");
            assert_eq!(settings(), before);
        }
    }
}

/// A QEMU's QMP socket: says `events` to whoever comes, and answers each order with what `answer`
/// makes of it.
fn fake_qemu(
    socket: &Path,
    events: &'static str,
    mut answer: impl FnMut(&str) -> serde_json::Value + Send + 'static,
) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut answers = connection.unwrap();
            let orders = BufReader::new(answers.try_clone().unwrap());
            answers.write_all(b"{\"QMP\": {}}\n").unwrap();
            for line in orders.lines().map_while(Result::ok) {
                let order: serde_json::Value = serde_json::from_str(&line).unwrap();
                let word = order["execute"].as_str().unwrap();
                let mut said = answer(word);
                said["id"] = order["id"].clone();
                let events = if word == "qmp_capabilities" { events } else { "" };
                answers.write_all(format!("{said}\n{events}").as_bytes()).unwrap();
            }
        }
    });
}

/// A QEMU that has been stopped; it goes on when it is told to, if it is `willing`.
fn stopped_qemu(socket: &Path, willing: Arc<AtomicBool>, running: Arc<AtomicBool>) {
    fake_qemu(socket, "", move |word| {
        if word == "cont" && willing.load(Ordering::Relaxed) {
            running.store(true, Ordering::Relaxed);
        }
        let status = if running.load(Ordering::Relaxed) { "running" } else { "paused" };
        match word {
            "cont" if status == "paused" => {
                serde_json::json!({"error": {"desc": "Resetting the Virtual Machine is required"}})
            }
            "query-status" => serde_json::json!({"return": {"status": status}}),
            _ => serde_json::json!({"return": {}}),
        }
    });
}

/// A QEMU whose migration is being given up: `hangs` until it is told to go on, or is over at the
/// third question.
fn given_up_qemu(socket: &Path, hangs: bool, told: Arc<AtomicBool>) {
    let event = r#"{"event": "MIGRATION", "data": {"status": "cancelling"}, "timestamp": {"seconds": 1, "microseconds": 0}}
"#;
    let mut asked = 0;
    fake_qemu(socket, event, move |word| {
        told.fetch_or(word == "migrate-continue", Ordering::Relaxed);
        asked += usize::from(word == "query-migrate");
        let over = told.load(Ordering::Relaxed) || !hangs && asked > 2;
        match word {
            "query-migrate" => {
                serde_json::json!({"return": {"status": if over { "cancelled" } else { "cancelling" }}})
            }
            _ => serde_json::json!({"return": {}}),
        }
    });
}

#[test]
fn a_guest_that_hangs_in_a_migration_that_was_given_up_is_let_go_and_no_other() {
    use migcal::helper::Helper;
    use migcal::reach::Reach::Here;
    let patience = std::time::Duration::from_secs(20);
    for hangs in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("qmp");
        let told = Arc::new(AtomicBool::new(false));
        given_up_qemu(&socket, hangs, Arc::clone(&told));
        let helper = Helper::start(&Here, &["unstick", &socket.display().to_string()]).unwrap();
        assert_eq!(helper.expect("stuck", patience).unwrap(), hangs);
        assert_eq!(told.load(Ordering::Relaxed), hangs);
    }
    // What follows a run does the same, without being asked.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let told = Arc::new(AtomicBool::new(false));
    given_up_qemu(&socket, true, Arc::clone(&told));
    let _helper =
        Helper::start(&Here, &["watch", &socket.display().to_string(), "", "10.0.0.2", "web01"])
            .unwrap();
    let began = std::time::Instant::now();
    while !told.load(Ordering::Relaxed) {
        assert!(began.elapsed() < patience, "it still hangs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(
        began.elapsed() > std::time::Duration::from_secs(2),
        "a cancel that takes its time was broken into"
    );
}

#[test]
fn what_a_killed_helper_left_is_put_back_by_the_next_command_or_told_with_what_mends_it() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("qmp");
    let willing = Arc::new(AtomicBool::new(false));
    let going_on = Arc::new(AtomicBool::new(false));
    stopped_qemu(&socket, Arc::clone(&willing), Arc::clone(&going_on));
    let dump = folder.path().join("dump");
    // Of this very QEMU: the process that listens.
    let process = |began: &str| serde_json::json!([std::process::id(), began]);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let began = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    let journal = |began: &str| {
        serde_json::json!({
            "qmp": socket, "name": "web01", "what": "its memory was being compared", "stopped": true, "patience": 20,
            "process": process(began), "files": [dump],
        })
    };
    let write = |began: &str| {
        std::fs::write(folder.path().join("journal"), journal(began).to_string()).unwrap();
    };
    write(&began);
    // In a mount namespace of its own: other tests look for journals as well.
    let settle = || {
        std::fs::write(&dump, "memory").unwrap();
        let script = "mount -t tmpfs tmpfs /var/lib && mkdir -p -m 711 /var/lib/libvirt/migcal && \
                      cp \"$1\" /var/lib/libvirt/migcal/id.undo && { \"$0\" settle --connect test:///default; rc=$?; } ; \
                      ls /var/lib/libvirt/migcal; exit $rc";
        let journal = folder.path().join("journal").display().to_string();
        let words = [
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            script,
            env!("CARGO_BIN_EXE_migcal"),
            &journal,
        ];
        std::process::Command::new("unshare").args(words).output().unwrap()
    };
    let output = settle();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in [
        "`web01` was left changed",
        "Resetting the Virtual Machine",
        "settle --connect",
        "resume 'web01'",
    ] {
        assert!(error.contains(part), "expected `{part}`: {error}");
    }
    assert!(
        text(&output.stdout).contains("id.undo") && dump.exists(),
        "what is to be put back is forgotten"
    );
    // A QEMU that was started since stands for reasons of its own.
    write("1");
    assert_eq!(settle().status.code(), Some(0));
    assert!(!going_on.load(Ordering::Relaxed), "somebody else's guest was let go on");
    write(&began);
    willing.store(true, Ordering::Relaxed);
    let output = settle();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(going_on.load(Ordering::Relaxed), "it still stands");
    assert!(error.contains("`web01` is as it was again: its memory was being compared"), "{error}");
    assert!(!text(&output.stdout).contains("undo") && !dump.exists(), "{}", text(&output.stdout));
}

#[test]
fn dumps_of_a_guests_memory_are_its_own_and_go() {
    use std::os::unix::fs::PermissionsExt;
    let Some(engine) = engine() else { return };
    let name = format!("dumps-{}", std::process::id());
    let _gone = Gone(name.clone());
    let lab = Lab::up(&name, Link::of(BitRate(400_000_000))).unwrap();
    let run =
        ["run", "--keep", "--mode", "paused", "--name", "g", "--lab", &name, "--engine", engine];
    let output = migcal(&[&run[..], &["--memory", "64MiB", "--touched", "6000p"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let folder = lab.outside(Side::Destination, Path::new(migcal::domain::FOLDER));
    let dirty = [
        "dirty",
        "g",
        "--lab",
        &name,
        "--at-destination",
        "--method",
        "snapshots",
        "--windows",
        "1",
    ];
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_migcal"))
        .args(dirty)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = 0;
    while child.try_wait().unwrap().is_none() {
        let folders = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for place in
            folders.filter(|entry| entry.file_name().to_string_lossy().ends_with(".memory"))
        {
            let mode =
                |path: &Path| path.metadata().map(|found| found.permissions().mode() & 0o777).ok();
            assert!(mode(&place.path()).is_none_or(|mode| mode == 0o700));
            for file in std::fs::read_dir(place.path()).into_iter().flatten().flatten() {
                assert!(mode(&file.path()).is_none_or(|mode| mode == 0o600), "{file:?}");
                seen += 1;
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(child.wait().unwrap().success() && seen > 0);
    let left: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("memory")), "{left:?}");
}

#[test]
fn a_labs_daemon_that_is_started_anew_finds_the_guest_that_ran_on() {
    let Some(engine) = engine() else { return };
    let name = format!("anew-{}", std::process::id());
    let _gone = Gone(name.clone());
    let lab = Lab::up(&name, Link::of(BitRate(400_000_000))).unwrap();
    let run =
        ["run", "--keep", "--mode", "paused", "--name", "g", "--lab", &name, "--engine", engine];
    let output = migcal(&[&run[..], &["--memory", "64MiB", "--touched", "6000p"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let before = (lab.daemon_pid(Side::Destination), lab.guest_pids(Side::Destination));
    lab.restart_daemon(Side::Destination).unwrap();
    assert_ne!(lab.daemon_pid(Side::Destination), before.0, "it is the same daemon");
    assert_eq!(lab.guest_pids(Side::Destination), before.1, "it is another QEMU");
    let state = ["virsh", "-c", &lab.uri(Side::Destination), "domstate", "g"];
    assert_eq!(migcal::reach::Reach::Here.run(&state).unwrap().trim(), "running");
}

#[test]
fn documented_commands_of_one_machine_do_what_is_printed() {
    if engine().is_none() {
        return;
    }
    let count = printed::run_each(env!("CARGO_BIN_EXE_migcal"), |mut one| {
        // What a run measures is another thing each time.
        one.output.clear();
        (one.command.starts_with("migcal run --memory") || one.command == "migcal doctor")
            .then_some(one)
    });
    assert!(count >= 2, "{count} commands were found");
}

#[test]
fn two_hosts_are_reached_by_their_uris_over_ssh() {
    let Some((_gone, _lab, [source, destination], peer)) = lab_with_ssh("ssh") else { return };
    let Some(engine) = engine() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("runs.csv").display().to_string();
    let hosts = ["--source", &source, "--destination", &destination, "--peer", &peer];
    let run = [
        "run",
        "--engine",
        engine,
        "--memory",
        "96MiB",
        "--touched",
        "8000p",
        "--transport",
        "ssh",
        "--out",
        &out,
    ];
    let output = migcal(&[&run[..], &hosts].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
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
        terminal::complain(
            "\n*** SKIPPED: QEMU's dirty-bitmap measure works under KVM only (`migcal doctor`) ***\n",
        );
        return;
    }
    let name = format!("dirty-{}", std::process::id());
    let _gone = Gone(name.clone());
    drop(Lab::up(&name, Link::of(BitRate(400_000_000))).unwrap());
    // Fast enough that whole MiB/s are fine enough; closed, so that nothing is left to make up for
    // after the migration.
    for notation in
        ["uniform(wss=40000p, rate=20000p/s, closed)", "sweep(wss=40000p, rate=12000p/s, closed)"]
    {
        let arguments = [
            "run",
            "--lab",
            &name,
            "--keep",
            "--mode",
            "paused",
            "--memory",
            "256MiB",
            "--workload",
            notation,
        ];
        let output = migcal(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let output = migcal(&[
            "dirty",
            "migcal-guest",
            "--lab",
            &name,
            "--at-destination",
            "--windows",
            "1,2",
        ]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said = text(&output.stdout);
        assert!(said.contains("dirty-bitmap"), "{said}");
        let line =
            said.lines().find_map(|line| line.strip_prefix("as measured:  --workload '")).unwrap();
        let measured: Workload = line.trim_end_matches('\'').parse().unwrap();
        let asked: Workload = notation.parse().unwrap();
        let Pattern::Curve { curve, .. } = &measured.terms[0].pattern else { panic!("{said}") };
        let points = curve.points();
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
