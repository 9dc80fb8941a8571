//! The program on bad input: one clear error, exit status 2, nothing written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub(crate) fn migcal(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_migcal")).args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> String {
    let place: PathBuf = folder.path().join(name);
    std::fs::write(&place, content).unwrap();
    place.display().to_string()
}

#[test]
fn records_that_cannot_be_read_are_named_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let good = include_str!("../data/two-repeats.csv");
    let (header, rows) = good.split_once('\n').unwrap();
    let cases = [
        (String::new(), "has no rows"),
        (format!("{header}\n"), "has no rows"),
        (
            format!("{header}\n{}\n", rows.lines().next().unwrap()),
            "no configuration of which two runs are left",
        ),
        (good.replacen(",256,", ",many,", 1), ":2"),
    ];
    for (content, said) in cases {
        let place = file(&folder, "runs.csv", &content);
        let output = migcal(&["noise", &place]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(said) && error.contains("runs.csv"), "expected `{said}`: {error}");
    }
    let output = migcal(&["noise", "no/such/file.csv"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_spread_of_repeats_is_printed() {
    let output =
        migcal(&["noise", concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/two-repeats.csv")]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // 2530 and 2582 ms: mean 2556, standard deviation 36.8.
    assert!(said.contains("2556 ms") && said.contains("1.4 %  37 ms"), "{said}");
}

#[cfg(feature = "libvirt")]
#[test]
fn plans_that_cannot_be_are_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let cases = [
        ("", "missing field `name`"),
        ("name = \"x\"\ndesign = []", "has no [[design]]"),
        (
            "name = \"x\"\n[[design]]\nname = \"d\"\n[design.run]\nmemory = \"10\"",
            "design `d`, run 1",
        ),
        (
            "name = \"x\"\n[[design]]\nname = \"d\"\n[design.run]\nmultifd_channels = 2\nmode = \"postcopy\"",
            "refuses post-copy together with multifd",
        ),
        (
            "name = \"x\"\n[[design]]\nname = \"d\"\n[design.run]\nworkload = \"curve(1s:5p)\"",
            "can be predicted, not run",
        ),
    ];
    for (plan, said) in cases {
        let place = file(&folder, "plan.toml", plan);
        let output = migcal(&["campaign", &place, "--out", &out]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{plan}: {error}");
        assert!(
            error.contains(said) && error.contains("plan.toml"),
            "{plan}: expected `{said}`: {error}"
        );
        assert!(!folder.path().join("out").exists(), "something was written");
    }
    let plan = file(&folder, "good.toml", "name = \"x\"\n[[design]]\nname = \"d\"");
    for (arguments, said) in [
        (&["campaign", &plan, "--out", &out, "--only", "e"][..], "has no design `e`; it has d"),
        (&["run", "--memory", "100GiB", "--touched", "200GiB"], "more than the memory"),
        (&["run", "--workload", "uniform(wss=1p)"], "rate"),
        (&["run", "--source", "qemu:///system"], "--destination"),
        (&["lab", "up", "--name", "../x"], "is no name for it"),
        (&["dirty", "g", "--windows", "0,5"], "1 to 60"),
        (&["settle"], "which hosts"),
        (&["run", "--keep"], "--lab"),
        (&["transfer", "no/such/runs.csv"], "no/such/runs.csv"),
        (&["transfer", "no/such/runs.csv", "--sizes", "2"], "a fit takes 3 runs or more"),
    ] {
        let output = migcal(arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: expected `{said}`: {error}");
    }
}

#[test]
fn the_doctor_says_whether_migrations_can_be_made() {
    let output = migcal(&["doctor"]);
    let said = text(&output.stdout);
    assert!(said.contains("KVM") && said.contains("netem"), "{said}");
    assert_eq!(output.status.success(), said.contains("Real migrations can be made"), "{said}");
}

#[test]
fn a_fit_to_too_little_says_so_and_writes_no_profile() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("profile.toml");
    let same = include_str!("../data/two-repeats.csv");
    let (header, rows) = same.split_once('\n').unwrap();
    let first = rows.lines().next().unwrap();
    let elapsed = first.split(',').nth(23).unwrap();
    let cases = [
        (String::new(), "lacks the column"),
        (format!("{header}\n"), "has no rows"),
        (format!("{header}\n{first}\n"), "1 runs: that leaves 1 of 1 configurations"),
        (format!("{header}\n{first}\n{first}\n{first}\n{first}\n"), "leaves 4 of 1 configurations"),
        (same.replace(",completed,", ",not-converged,"), "2 did not complete: that leaves 0"),
        (
            format!("{header}\n{}\n", first.replacen(elapsed, "NaN", 1)),
            "a number that is not negative",
        ),
        (same.replacen("precopy", "teleport", 1), "unknown mode `teleport`"),
    ];
    for (content, said) in cases {
        let place = file(&folder, "runs.csv", &content);
        let output = migcal(&["fit", &place, "--out", &out.display().to_string()]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}: {error}");
        assert!(error.contains(said) && error.contains("runs.csv"), "expected `{said}`: {error}");
        assert!(!out.exists(), "a profile was written");
        let output = migcal(&["validate", &place, "--cross-validate", "2"]);
        assert_eq!(output.status.code(), Some(2), "{said}: {}", text(&output.stderr));
    }
}

/// Names that would do something else than name: in a shell, in a path, in an option, on a
/// terminal.
const HOSTILE: [&str; 30] = [
    "",
    ".",
    "..",
    ".hidden",
    "../x",
    "../../etc/x",
    "a/b",
    "/etc/x",
    "a b",
    "a;touch CANARY",
    "$(touch CANARY)",
    "`touch CANARY`",
    "a|touch CANARY",
    "a&&touch CANARY",
    "a\ntouch CANARY",
    "'",
    "\"",
    "a'b",
    "<b/>",
    "&amp;",
    "${IFS}",
    "*",
    "?",
    "a\tb",
    "\u{1b}[31m",
    "\u{202e}gpj",
    "name:with:colons",
    "name%2f",
    "n\u{e4}me",
    "a-name-of-more-than-sixty-four-characters-which-is-the-most-that-it-takes",
];

#[cfg(feature = "libvirt")]
#[test]
fn hostile_names_reach_no_shell_and_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").display().to_string();
    let plan = file(&folder, "plan.toml", "name = \"x\"\n[[design]]\nname = \"d\"");
    let there = || {
        let mut found: Vec<_> =
            std::fs::read_dir("/var/lib").unwrap().map(|e| e.unwrap().file_name()).collect();
        found.sort();
        found
    };
    let before = there();
    for name in HOSTILE {
        let uri = format!("qemu+ssh://{name}/system");
        for (arguments, said) in [
            (&["run", "--name", name][..], "is no name"),
            (&["campaign", &plan, "--out", &out, "--name", name], "is no name"),
            (&["settle", "--lab", "no-such-lab", "--name", name], "is no name"),
            (&["run", "--lab", name], "is no name"),
            (&["lab", "up", "--name", name], "is no name"),
            (&["lab", "down", "--name", name], "is no name"),
            // Somebody's guest may be called anything; it is looked for, and nothing else.
            (&["dirty", name, "--connect", "test:///default", "--windows", "1"], "no domain"),
            (&["run", "--source", &uri, "--destination", "qemu+ssh://b/system"], "qemu+ssh://"),
        ] {
            let output = Command::new(env!("CARGO_BIN_EXE_migcal"))
                .args(arguments)
                .current_dir(folder.path())
                .output()
                .unwrap();
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
            assert!(error.contains(said), "{arguments:?}: expected `{said}`: {error}");
            assert!(
                error.chars().all(|c| c == '\n' || !c.is_control()) && !error.contains('\u{202e}'),
                "{error:?}"
            );
        }
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["plan.toml"], "something was written");
    let after: Vec<_> =
        there().into_iter().filter(|name| !before.contains(name) && name != "migcal").collect();
    assert!(after.is_empty(), "{after:?}");
}

#[cfg(feature = "libvirt")]
#[test]
fn what_has_no_effect_or_cannot_be_is_refused_before_anything_starts() {
    let servers = ["--source", "qemu+ssh://a/system", "--destination", "qemu+ssh://b/system"];
    let on_servers = |more: &[&'static str]| [&["run"], &servers[..], more].concat();
    let cases = [
        (on_servers(&["--link", "50Mbit/s"]), "only a lab's link is shaped"),
        (on_servers(&["--delay", "1ms"]), "only a lab's link is shaped"),
        (on_servers(&["--send-buffer", "1MiB"]), "only a lab's link is shaped"),
        (on_servers(&["--congestion", "reno"]), "only a lab's link is shaped"),
        (on_servers(&["--fair"]), "only a lab's link is shaped"),
        (vec!["run", "--mode", "offline", "--xbzrle"], "no effect here: an offline move"),
        (vec!["run", "--mode", "offline", "--timeout", "9s"], "no effect here: an offline move"),
        (
            vec!["run", "--mode", "paused", "--auto-converge"],
            "no effect here: a guest that is paused",
        ),
        (vec!["run", "--guest", "redis", "--workload", "idle"], "redis does its own work"),
        (vec!["run", "--phase-offset", "1s"], "no term of the workload has a phase"),
        (
            vec!["run", "--mode", "postcopy", "--transport", "tunnelled"],
            "refuses post-copy over the transport tunnelled",
        ),
        (
            vec!["run", "--multifd-channels", "2", "--transport", "ssh"],
            "refuses multifd over the transport ssh",
        ),
        (vec!["run", "--link", "1bit/s"], "1Mbit/s to 100Gbit/s"),
        (vec!["run", "--link", "200Gbit/s"], "1Mbit/s to 100Gbit/s"),
        (vec!["lab", "up", "--link", "1bit/s"], "1Mbit/s to 100Gbit/s"),
        (
            vec!["run", "--source", "qemu+tcp://a/system", "--destination", "qemu+tls://b/system"],
            "commands cannot be run at the host",
        ),
        (
            vec![
                "dirty",
                "test",
                "--connect",
                "test:///default",
                "--method",
                "snapshots",
                "--repeats",
                "0",
            ],
            "1 to 20",
        ),
        (
            vec!["dirty", "test", "--connect", "test:///default", "--qmp", "/x"],
            "only snapshots and rehearsal",
        ),
        (
            vec!["dirty", "test", "--connect", "test:///default", "--longest-stop", "1s"],
            "only snapshots stop",
        ),
        (vec!["faults", "--runs", "0"], "1 to 100000"),
    ];
    for (arguments, said) in cases {
        let output = migcal(&arguments);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: expected `{said}`: {error}");
    }
}

#[test]
fn runs_that_are_left_out_are_counted_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = include_str!("../data/two-repeats.csv");
    let (header, rows) = good.split_once('\n').unwrap();
    let at = header.split(',').position(|column| column == "background_cpu").unwrap();
    let busy: String = rows
        .lines()
        .map(|row| {
            let mut reader =
                csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_bytes());
            let mut cells: Vec<String> =
                reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect();
            cells[at] = "1.5".to_owned();
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&cells).unwrap();
            String::from_utf8(writer.into_inner().unwrap()).unwrap()
        })
        .collect();
    let place = file(&folder, "busy.csv", &format!("{header}\n{busy}"));
    let output = migcal(&["noise", &place]);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("2 disturbed by other work") && error.contains("--disturbed-above"),
        "{error}"
    );
    let output = migcal(&["noise", &place, "--disturbed-above", "0.8"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = migcal(&[
        "fit",
        &place,
        "--from",
        "assumed",
        "--out",
        &folder.path().join("p.toml").display().to_string(),
    ]);
    assert!(text(&output.stderr).contains("2 disturbed by other work"), "{}", text(&output.stderr));
}

#[test]
fn files_may_have_any_name_and_errors_about_them_are_plain() {
    let good = include_str!("../data/two-repeats.csv");
    // What a file system takes as one name.
    for name in HOSTILE.iter().filter(|name| !name.contains('/') && !["", ".", ".."].contains(name))
    {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| file(&folder, name, content);
        let (runs, bad) = (file(name, good), file(&format!("{name}.bad"), "id,mode\n1,precopy\n"));
        let page = format!("{runs}.html");
        assert!(migcal(&["noise", &runs]).status.success(), "{name:?}");
        assert!(migcal(&["validate", &runs, "--report", &page]).status.success(), "{name:?}");
        for arguments in [
            &["noise", &bad][..],
            &["fit", &bad, "--out", &format!("{runs}.toml")],
            &["validate", &bad, "--profile", &bad],
        ] {
            let output = migcal(arguments);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
            assert!(
                error.chars().all(|c| c == '\n' || !c.is_control()) && !error.contains('\u{202e}'),
                "{error:?}"
            );
        }
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        let mut expected = [String::new(), ".bad".to_owned(), ".html".to_owned()]
            .map(|end| format!("{name}{end}"));
        expected.sort();
        assert_eq!(left, expected.map(std::ffi::OsString::from));
    }
}

#[test]
fn runs_of_another_version_of_qemu_than_the_profiles_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let of_7_2 = include_str!("../data/two-repeats.csv");
    let of_10_0 = of_7_2.replace(",kvm,tcp,7.2,", ",kvm,tcp,10.0,");
    let place = file(&folder, "runs.csv", &of_10_0);
    let pictures = folder.path().join("pictures").display().to_string();
    let told = "note: the profile was fitted to QEMU 7.2, and there are runs of 10.0";
    for command in [&["validate"][..], &["transfer"], &["paper", "--out", &pictures]] {
        let error = text(&migcal(&[command, &[&place]].concat()).stderr);
        assert!(error.contains(told), "{command:?}: {error}");
    }
    let both = of_7_2.to_owned() + of_10_0.split_once('\n').unwrap().1;
    let mixed = file(&folder, "mixed.csv", &both);
    let profile = folder.path().join("p.toml").display().to_string();
    let error = text(&migcal(&["fit", &mixed, "--from", "assumed", "--out", &profile]).stderr);
    assert!(error.contains("runs of QEMU 7.2, 10.0 are fitted together"), "{error}");
    let error = text(&migcal(&["validate", &file(&folder, "same.csv", of_7_2)]).stderr);
    assert!(!error.contains("note"), "{error}");
}

/// The schemas in docs/schema are those that the types have; `SCHEMAS=1` writes them anew.
#[test]
fn what_is_written_is_as_the_schemas_in_the_docs_say() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = workspace.join("calibrate/data");
    let records = |name: &str| data.join(name).join("runs.csv").to_str().unwrap().to_owned();
    let pictures = tempfile::tempdir().unwrap();
    let out = pictures.path().to_str().unwrap();
    let listed = text(&migcal(&["schema"]).stdout);
    for name in listed.lines().map(|line| line.split_whitespace().next().unwrap()) {
        let printed = text(&migcal(&["schema", name]).stdout);
        let place = workspace.join(format!("docs/schema/migcal-{name}.json"));
        if std::env::var_os("SCHEMAS").is_some() {
            std::fs::write(&place, &printed).unwrap();
        }
        let kept = std::fs::read_to_string(&place).unwrap_or_default();
        assert_eq!(kept, printed, "{name}: SCHEMAS=1 writes it");
        let command = match name {
            "validation" => vec!["validate".to_owned(), records("together")],
            "noise" => vec!["noise".to_owned(), records("kvm-lab")],
            "paper" => {
                vec!["paper".to_owned(), records("paper"), "--out".to_owned(), out.to_owned()]
            }
            // Minutes of fits; the documented commands make them.
            _ => continue,
        };
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let output = migcal(&[&command[..], &["--format", "json"]].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let written: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<String> =
            validator.iter_errors(&written).map(|error| error.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{name}");
        assert!(!validator.is_valid(&serde_json::json!({ "schema": "one" })), "{name}");
    }
}
