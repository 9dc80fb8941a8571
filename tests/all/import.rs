//! Files of other tools: each is read right or refused with one clear error.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use migsim_import::{FoundRun, Given, Kind, Site, Source, Use, recognise, runs};
use migsim_models::units::human_bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::{migsim, says, workspace};

fn files() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { below(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    below(&workspace().join("tests/data/import"), &mut found);
    found.sort();
    found
}

/// A file by its name below the folder of samples.
fn name(file: &Path) -> String {
    let root = workspace().join("tests/data/import");
    file.strip_prefix(root).unwrap().display().to_string()
}

fn read(file: &Path) -> Result<Source, String> {
    let bytes = std::fs::read(file).unwrap();
    Source::of(file, &name(file), &bytes).map_err(|why| why.to_string())
}

fn given() -> Given {
    Given {
        nic: "10GbE".parse().ok(),
        host_memory: "512GiB".parse().ok(),
        host_cores: Some(64.0),
        ..Given::default()
    }
}

/// What is made of a file of guests or hosts.
fn inventory(source: &Source) -> String {
    let mut site = Site::new(&given());
    let found = site.add(source).map_err(|why| why.to_string());
    match found.and_then(|_| {
        site.finish(&given(), ["hosts.csv", "guests.csv"]).map_err(|why| why.to_string())
    }) {
        Err(why) => format!("  {}\n", why.replace('\n', "\n  ")),
        Ok(files) => {
            let hosts: String =
                files.hosts.lines().skip(1).map(|row| format!("  host {row}\n")).collect();
            let guests: String =
                files.guests.lines().skip(1).map(|row| format!("  guest {row}\n")).collect();
            hosts + &guests
        }
    }
}

fn run(run: &FoundRun) -> String {
    let keys = &run.keys;
    let (g, l, m) = (&keys.guest, &keys.link, &keys.migration);
    let mut said = format!("  {}", run.name);
    let mut say = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(said, ", {what} {value}");
        }
    };
    say("memory", g.memory.map(|memory| memory.bytes().to_string()));
    say("touched", g.touched.map(|touched| human_bytes(touched.bytes().as_f64())));
    say("workload", g.workload.as_ref().map(ToString::to_string));
    say("link", l.capacity.map(|rate| rate.to_string()));
    say("transport", l.transport.map(|transport| transport.to_string()));
    say("qemu", m.qemu.map(|version| version.to_string()));
    say("mode", m.mode.map(|mode| mode.to_string()));
    say("limit", m.downtime_limit.map(|limit| limit.to_string()));
    say("cap", m.bandwidth_cap.map(|cap| cap.to_string()));
    say("auto-converge", m.auto_converge.map(|on| on.to_string()));
    say("xbzrle", m.xbzrle_cache.map(|cache| cache.to_string()));
    say("channels", m.multifd_channels.map(|channels| channels.to_string()));
    let figures: Vec<String> =
        run.measured.columns().iter().map(|(name, value)| format!("{name}={value}")).collect();
    say("|", Some(figures.join(" ")).filter(|text| !text.is_empty()));
    say(
        "under way",
        run.under_way.map(|now| format!("{} s, {:?} left", now.elapsed_s, now.remaining_bytes)),
    );
    said.push('\n');
    for note in &run.notes {
        let _ = writeln!(said, "    note: {note}");
    }
    said
}

#[test]
fn each_file_is_read_right_or_refused_with_a_clear_error() {
    let mut said = String::new();
    let mut count = 0;
    for file in files() {
        count += 1;
        let _ = write!(said, "{}: ", name(&file));
        let source = match read(&file) {
            Ok(source) => source,
            Err(why) => {
                let _ = writeln!(said, "refused\n  {why}");
                continue;
            }
        };
        let kind = recognise(&source);
        let _ = writeln!(said, "{}", kind.map_or("not known", Kind::what));
        match kind.map(Kind::used_by) {
            Some(Use::Records) => match runs(&source) {
                Ok(found) => said.extend(found.iter().map(run)),
                Err(why) => _ = writeln!(said, "  {}", why.to_string().replace('\n', "\n  ")),
            },
            _ => said.push_str(&inventory(&source)),
        }
    }
    assert!(count >= 60, "{count} files");
    insta::assert_snapshot!(said);
}

#[test]
fn no_damage_to_a_file_is_a_panic_or_a_hang() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for file in files() {
        let whole = std::fs::read(&file).unwrap();
        for round in 0..24 {
            let mut bytes = whole.clone();
            if bytes.is_empty() {
                continue;
            }
            match round % 3 {
                0 => bytes.truncate(rng.random_range(0..bytes.len())),
                1 => {
                    for _ in 0..4 {
                        let at = rng.random_range(0..bytes.len());
                        bytes[at] = rng.random();
                    }
                }
                _ => {
                    let at = rng.random_range(0..bytes.len());
                    let until = (at + 200).min(bytes.len());
                    bytes.drain(at..until);
                }
            }
            let Ok(source) = Source::of(&file, "f", &bytes) else { continue };
            if let Ok(found) = runs(&source) {
                assert!(found.iter().all(|one| !one.place.is_empty()));
            }
            let mut site = Site::new(&given());
            if site.add(&source).is_ok() {
                // What is written is read back, or what is missing has a name.
                match site.finish(&given(), ["hosts.csv", "guests.csv"]) {
                    Err(why) => assert!(!why.to_string().is_empty()),
                    Ok(files) => readable(&files),
                }
            }
        }
    }
}

/// The files of a fleet are read by those who move it.
fn readable(files: &migsim_import::FleetFiles) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hosts.csv"), &files.hosts).unwrap();
    std::fs::write(folder.path().join("guests.csv"), &files.guests).unwrap();
    let file = folder.path().join("fleet.toml");
    if let Err(why) = migsim::fleet::parse(&file, &files.fleet) {
        let why = why.to_string();
        // A guest of more memory than its host has, or none at all, is what the damaged file says.
        let damaged =
            ["of memory, the host", "memory", "cpu is", "vCPUs", "vcpus", "cores", "touched"];
        assert!(
            damaged.iter().any(|part| why.contains(part)),
            "{why}\n{}\n{}",
            files.fleet,
            files.guests
        );
    }
}

#[test]
fn a_file_in_the_wrong_place_is_told_where_it_belongs() {
    let virsh = "tests/data/import/virsh/domjobinfo-running.txt";
    let sheet = "tests/data/import/rvtools/4.x/RVTools_tabvInfo.csv";
    for (arguments, message) in [
        (
            vec!["predict", virsh],
            "is the output of `virsh domjobinfo`; `migsim records import` reads it",
        ),
        (vec!["predict", sheet], "is a vInfo tab of RVTools; `migsim inventory import` reads it"),
        (vec!["fleet", sheet], "is a vInfo tab of RVTools; `migsim inventory import` reads it"),
        (
            vec!["predict", "--records", sheet],
            "is a vInfo tab of RVTools; `migsim inventory import` reads it",
        ),
        (vec!["predict", "--records", virsh], "`migsim records import` reads it"),
        (
            vec!["sweep", virsh, "--vary", "link=1Gbit/s..2Gbit/s:2"],
            "`migsim records import` reads it",
        ),
        (vec!["inventory", "check", sheet], "`migsim inventory import` reads it"),
        (
            vec!["records", "import", "scenarios/first.toml"],
            "is a scenario; `migsim predict FILE` answers it",
        ),
        (vec!["records", "import", sheet], "`migsim inventory import` reads it"),
        (
            vec!["inventory", "import", virsh, "--out", "nowhere"],
            "`migsim records import` reads it",
        ),
        (
            vec!["inventory", "import", "scenarios/fleet/rack.toml", "--out", "nowhere"],
            "is a fleet; `migsim fleet FILE` moves it",
        ),
    ] {
        let output = migsim(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(message) && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn whether_a_running_migration_ends_is_two_commands_away() {
    let said =
        says(&["records", "import", "tests/data/import/virsh/domjobinfo-running.txt", "--against"]);
    assert!(
        said.contains("under way for 8.24 s, 5.47 GiB still to send")
            && said.contains("It ends in "),
        "{said}"
    );
    let json = says(&[
        "records",
        "import",
        "tests/data/import/virsh/domjobinfo-running.txt",
        "--against",
        "--format",
        "json",
    ]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let one = &value["results"][0];
    assert_eq!(one["under_way"]["elapsed_s"], 8.245);
    let ends = one["ends_in"]["expected_s"].as_f64().unwrap();
    let total = one["prediction"]["tmt_s"].as_f64().unwrap();
    assert!(ends > 3.0 && ends < total, "{ends} of {total}");
    // Half a second's worth is left in the first iteration, and most pages were zero.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db1.txt");
    let text =
        std::fs::read_to_string(workspace().join("tests/data/import/virsh/domjobinfo-running.txt"))
            .unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (label, value) in [
        ("Time elapsed:", "9000         ms"),
        ("Data remaining:", "486.777 MiB"),
        ("Memory remaining:", "486.777 MiB"),
        ("Dirty rate:", "0            pages/s"),
        ("Iteration:", "1           "),
        ("Constant pages:", "2000000     "),
        ("Normal pages:", "2071000     "),
    ] {
        let line = lines.iter_mut().find(|line| line.starts_with(label)).unwrap();
        *line = format!("{label:<17} {value}");
    }
    std::fs::write(&file, lines.join("\n")).unwrap();
    let json =
        says(&["records", "import", file.to_str().unwrap(), "--against", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let ends = value["results"][0]["ends_in"]["expected_s"].as_f64().unwrap();
    assert!(ends < 1.5, "{ends}");
}

#[test]
fn what_was_measured_stands_beside_what_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.toml");
    let text = "link = { capacity = \"10Gbit/s\" }\n[[guest]]\nname = \"db\"\nmemory = \"16GiB\"\ntouched = \"11GiB\"\nworkload = \"dirty(26000p/s)\"\n";
    std::fs::write(&saved, text).unwrap();
    let saved = saved.to_str().unwrap();
    let file = "tests/data/import/virsh/domjobinfo-completed.txt";
    let said = says(&["records", "import", file, "--against", saved]);
    assert!(said.contains("total migration time") && said.contains("27.8 s"), "{said}");
    assert!(!said.contains("assumed: touched") && !said.contains("assumed: memory"), "{said}");
    // Run records are of the same question, and migsim reads them.
    let runs = folder.path().join("runs.csv");
    says(&["records", "import", file, "--against", saved, "--out", runs.to_str().unwrap()]);
    let predicted = says(&["predict", "--records", runs.to_str().unwrap()]);
    assert!(predicted.contains("completed"), "{predicted}");
}
