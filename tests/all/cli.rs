//! The program as people and scripts meet it.

use std::io::Write;

use serde_json::Value;

use crate::support::{migsim, says};

const ONE: [&str; 9] = [
    "predict",
    "--memory",
    "1GiB",
    "--touched",
    "512MiB",
    "--workload",
    "uniform(wss=64MiB, rate=4000p/s)",
    "--link",
    "1Gbit/s",
];

/// Runs it on a file of that text; returns its exit status and what it said on standard error, with
/// the file called FILE.
fn on_file(ending: &str, text: &str, arguments: &dyn Fn(&str) -> Vec<String>) -> (i32, String) {
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = arguments(path);
    let output = migsim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let errors = String::from_utf8_lossy(&output.stderr).replace(path, "FILE");
    (output.status.code().unwrap(), errors)
}

fn scenario(text: &str) -> (i32, String) {
    on_file(".toml", text, &|path| vec!["predict".to_owned(), path.to_owned()])
}

fn records(text: &str) -> (i32, String) {
    on_file(".csv", text, &|path| ["predict", "--records", path].map(str::to_owned).to_vec())
}

#[test]
fn bad_scenarios_end_with_one_message_that_names_file_line_and_what_is_accepted() {
    let guest = |line: &str| {
        format!("[link]\ncapacity = \"1Gbit/s\"\n\n[[guest]]\nmemory = \"4GiB\"\n{line}\n")
    };
    for (text, place, message) in [
        (
            guest("touched = \"3\""),
            "FILE:6",
            "`3` has no unit: it may be `3MiB`, `3KiB` or `3B`; a size is written like `4GiB`",
        ),
        (guest("touched = 3"), "FILE:6", "`3` has no unit"),
        (guest("touched = \"-3GiB\""), "FILE:6", "`-3GiB` is negative"),
        (guest("touched = \"5GiB\""), "FILE:6", "more than the memory of 4GiB"),
        (
            guest("workload = \"uniform(wss=5GiB, rate=1p/s)\""),
            "FILE:6",
            "is larger than the memory of",
        ),
        (
            guest("workload = \"uniform(wss=1GiB, rate=NaNp/s)\""),
            "FILE:6",
            "`NaNp/s` is not a number with a unit",
        ),
        (
            guest("workload = \"curve(1s:20p, 2s:10p)\""),
            "FILE:6",
            "the curve falls from 20 to 10 pages",
        ),
        (guest("workload = \"curve(2s:20p, 1s:30p)\""), "FILE:6", "the curve goes back in time"),
        (
            guest("colour = \"red\""),
            "FILE:6",
            "unknown field `colour`, expected one of `name`, `memory`",
        ),
        (guest("").replace("1Gbit/s", "0bit/s"), "FILE:2", "the link's capacity is 0"),
        ("this is no TOML".to_owned(), "FILE:1", "TOML parse error"),
        (String::new(), "FILE:1", "missing field `guest`"),
        (guest("migration = { downtime_limit = \"1h\" }"), "FILE:4", "above QEMU's most, 2000s"),
    ] {
        let (status, errors) = scenario(&text);
        assert_eq!(status, 2, "{text}\n{errors}");
        assert!(
            errors.starts_with(&format!("error: {place}")) && errors.contains(message),
            "{text}\n{errors}"
        );
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn bad_flags_end_with_status_2_and_what_is_accepted() {
    for (arguments, message) in [
        (&["predict", "--memory", "4GiB"][..], "lacks its capacity"),
        (
            &["predict", "--memory", "4", "--link", "1Gbit/s"],
            "`4` has no unit: it may be `4MiB`, `4KiB` or `4B`; a size is written like",
        ),
        (&["predict", "--memory", "4GiB", "--link", "0Mbit/s"], "the link's capacity is 0"),
        (
            &["predict", "--memory", "4GiB", "--link", "1Gbit/s", "--mode", "teleport"],
            "unknown mode `teleport`; it is one of precopy",
        ),
        (
            &["predict", "--memory", "4GiB", "--link", "1Gbit/s", "--model", "magic"],
            "unknown model `magic`; it takes all, cloudsim",
        ),
        (&["predict", "no-such-file.toml"], "no-such-file.toml: No such file"),
        (&["predict", "--records", "no-such-file.csv"], "no-such-file.csv: No such file"),
        (
            &["sweep", "--memory", "4GiB", "--link", "1Gbit/s", "--vary", "speed=1..2:3"],
            "unknown key `speed`",
        ),
        (
            &["predict", "scenarios/first.toml", "--plot", "/no/such/folder/a.svg"],
            "/no/such/folder/a.svg: cannot be written",
        ),
    ] {
        let output = migsim(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{arguments:?}: {errors}");
    }
}

#[test]
fn bad_records_are_named_by_line_and_column_and_the_others_are_predicted() {
    let header = "id,mode,memory_mib,touched_pages,workload,link_mbit\n";
    let good = "a,precopy,256,1000,idle,100\n";
    for (row, message) in [
        ("b,precopy,256,1000,idle,0\n", "FILE:3: column `link_mbit`: the link's capacity is 0"),
        ("b,precopy,256,999999,idle,100\n", "FILE:3: column `touched_pages`: touched is"),
        (
            "b,precopy,-256,1000,idle,100\n",
            "FILE:3: column `memory_mib`: `-256`: invalid digit found in string; it takes a whole number",
        ),
        ("b,precopy,256,1000,\"uniform(wss=10p, rate=NaN)\",100\n", "FILE:3: column `workload`: "),
        (
            "b,precopy,256,1000,idle,NaN\n",
            "FILE:3: column `link_mbit`: `NaN`: it takes a number that is not negative",
        ),
        (
            "b,warp,256,1000,idle,100\n",
            "FILE:3: column `mode`: `warp`: unknown mode `warp`; it is one of precopy",
        ),
        ("b,precopy,256\n", "FILE:3: column `(all)`: the row has 3 cells, the header 6"),
        ("b,precopy,256,1000,,100\n", "FILE:3: column `workload`: is empty, and needed"),
    ] {
        let (status, errors) = records(&format!("{header}{good}{row}"));
        assert_eq!(status, 1, "{row}: {errors}");
        assert!(
            errors.contains(message) && errors.contains("1 rows predicted, 1 could not be read"),
            "{row}: {errors}"
        );
    }
    for (text, message) in [
        (header.to_owned(), "FILE: has no rows"),
        (String::new(), "FILE:1: lacks the column"),
        (
            "id,mode\na,precopy\n".to_owned(),
            "FILE:1: lacks the column `memory_mib`, `workload`, `link_mbit`",
        ),
        (format!("{header}b,warp,256,1000,idle,100\n"), "0 rows predicted, 1 could not be read"),
    ] {
        let (status, errors) = records(&text);
        assert_eq!(status, 2, "{text}: {errors}");
        assert!(errors.contains(message), "{text}: {errors}");
    }
}

#[test]
fn records_keep_their_columns_and_order_whatever_the_number_of_threads() {
    let out = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        let place = out.path().join(threads);
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_migsim"))
            .args([
                "predict",
                "--records",
                "tests/data/lab-runs-busy-machine.csv",
                "--out",
                place.to_str().unwrap(),
            ])
            .current_dir(crate::support::workspace())
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert!(status.status.success());
        std::fs::read_to_string(place).unwrap()
    };
    let one = run("1");
    assert_eq!(one, run("4"));
    let given = std::fs::read_to_string(
        crate::support::workspace().join("tests/data/lab-runs-busy-machine.csv"),
    )
    .unwrap();
    for (a, b) in given.lines().zip(one.lines()) {
        assert!(b.starts_with(&a.replace(['\r'], "")), "{b}\ndoes not start with\n{a}");
    }
}

#[test]
fn json_of_one_guest_is_an_object_with_every_promised_field() {
    let mut arguments = ONE.to_vec();
    arguments.extend(["--format", "json", "--model", "all"]);
    let got: Value = serde_json::from_str(&says(&arguments)).unwrap();
    for pointer in [
        "/mode",
        "/outcome",
        "/tmt_s",
        "/downtime_s",
        "/resumed_s",
        "/source_free_s",
        "/terms/ti_s",
        "/terms/ov_s",
        "/terms/dm_s",
        "/terms/vs_s",
        "/downtime_parts/stop_s",
        "/downtime_parts/flush_s",
        "/downtime_parts/sync_s",
        "/downtime_parts/queued_bytes_s",
        "/downtime_parts/rest_of_ram_s",
        "/downtime_parts/device_state_s",
        "/downtime_parts/destination_load_s",
        "/downtime_parts/control_round_trips_s",
        "/wire_bytes",
        "/normal_pages",
        "/zero_pages",
        "/dirty_syncs",
        "/rounds/0/n",
        "/rounds/0/start_s",
        "/rounds/0/end_s",
        "/rounds/0/normal_pages",
        "/rounds/0/zero_pages",
        "/rounds/0/wire_bytes",
        "/rounds/0/dirty_pages_at_end",
        "/rounds/0/throttle_percent",
        "/models/gudkov/tmt_s",
    ] {
        assert!(got.pointer(pointer).is_some_and(|v| !v.is_null()), "{pointer}");
    }
    let parts: f64 =
        got["downtime_parts"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert!((parts - got["downtime_s"].as_f64().unwrap()).abs() < 1e-9);
}

#[test]
fn json_of_a_guest_that_does_not_converge_has_terms_and_no_totals() {
    let got: Value = serde_json::from_str(&says(&[
        "predict",
        "--memory",
        "1GiB",
        "--workload",
        "uniform(wss=900MiB, rate=90000p/s)",
        "--link",
        "500Mbit/s",
        "--format",
        "json",
    ]))
    .unwrap();
    assert_eq!(got["outcome"], "not-converged");
    assert!(got["tmt_s"].is_null() && got["downtime_s"].is_null());
    assert!(["ti_s", "ov_s", "dm_s", "vs_s"].iter().all(|term| got["terms"][term].is_number()));
    let advice = &got["would_converge_with"];
    assert!(
        advice["link_mbit"].as_f64().unwrap() > 500.0 && advice["postcopy"]["tmt_s"].is_number()
    );
}

#[test]
fn what_the_advice_names_does_converge() {
    let base = [
        "predict",
        "--memory",
        "1GiB",
        "--workload",
        "uniform(wss=900MiB, rate=90000p/s)",
        "--format",
        "json",
    ];
    let run = |more: &[&str]| -> Value {
        serde_json::from_str(&says(&[&base[..], more].concat())).unwrap()
    };
    let advice = run(&["--link", "500Mbit/s"])["would_converge_with"].clone();
    let link = format!("{}bit/s", (advice["link_mbit"].as_f64().unwrap() * 1e6) as u64);
    assert_eq!(run(&["--link", &link])["outcome"], "completed");
    let limit = format!("{}s", advice["downtime_limit_s"].as_f64().unwrap());
    assert_eq!(run(&["--link", "500Mbit/s", "--downtime-limit", &limit])["outcome"], "completed");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let page = |seed: &str| {
        says(&[&ONE[..], &["--format", "json", "--fidelity", "page", "--seed", seed]].concat())
    };
    assert_eq!(page("7"), page("7"));
    assert_ne!(page("7"), page("8"));
}

#[test]
fn a_sweep_finds_the_border_and_draws_it() {
    let folder = tempfile::tempdir().unwrap();
    let plot = folder.path().join("sweep.svg");
    let got: Value = serde_json::from_str(&says(&[
        "sweep",
        "scenarios/first.toml",
        "--vary",
        "rate=5000p/s..95000p/s:10",
        "--format",
        "json",
        "--plot",
        plot.to_str().unwrap(),
    ]))
    .unwrap();
    let outcomes: Vec<&str> =
        got["results"].as_array().unwrap().iter().map(|r| r["outcome"].as_str().unwrap()).collect();
    let first = outcomes.iter().position(|o| *o == "not-converged").unwrap();
    assert!(first > 1 && outcomes[first..].iter().all(|o| *o == "not-converged"), "{outcomes:?}");
    let svg = std::fs::read_to_string(plot).unwrap();
    assert!(svg.contains("border of convergence") && svg.contains("total migration time"));
}

#[test]
fn pictures_of_every_mode_are_whole_svg_files() {
    let folder = tempfile::tempdir().unwrap();
    for mode in ["precopy", "postcopy", "paused", "offline"] {
        let place = folder.path().join(format!("{mode}.svg"));
        says(&[&ONE[..], &["--mode", mode, "--plot", place.to_str().unwrap()]].concat());
        let svg = std::fs::read_to_string(place).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{mode}");
    }
}

#[test]
fn whatever_somebody_has_set_is_told_in_the_question() {
    let said = says(&[
        "predict",
        "--memory",
        "4GiB",
        "--link",
        "1Gbit/s",
        "--layout",
        "front",
        "--send-buffer",
        "8MiB",
        "--log-chunk",
        "512MiB",
        "--auto-converge=false",
    ]);
    let question = said.lines().next().unwrap();
    for one in ["layout front", "send buffer 8MiB", "log chunk 512MiB", "auto converge false"] {
        assert!(question.contains(one), "{question}");
    }
}

#[test]
fn guests_of_one_file_are_drawn_below_each_other_on_one_axis() {
    let folder = tempfile::tempdir().unwrap();
    let [file, place] = ["two.toml", "two.svg"].map(|name| folder.path().join(name));
    let guest =
        |name: &str, memory: &str| format!("[[guest]]\nname = \"{name}\"\nmemory = \"{memory}\"\n");
    let text = guest("web", "1GiB") + &guest("db", "4GiB");
    std::fs::write(&file, format!("link.capacity = \"1Gbit/s\"\n{text}")).unwrap();
    says(&["predict", file.to_str().unwrap(), "--plot", place.to_str().unwrap()]);
    let svg = std::fs::read_to_string(&place).unwrap();
    assert!(svg.contains("<title>2 guests, each as if it went alone</title>"), "{svg}");
    assert!(svg.contains("web: ") && svg.contains("db: "), "{svg}");
    let many: String = (0..25).map(|n| guest(&format!("g{n}"), "1GiB")).collect();
    std::fs::write(&file, format!("link.capacity = \"1Gbit/s\"\n{many}")).unwrap();
    let refused = migsim(&["predict", file.to_str().unwrap(), "--plot", place.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn nobody_who_names_no_hosts_is_answered_for_others_than_servers_of_the_links_class() {
    const FIRST: [&str; 2] = ["predict", "scenarios/first.toml"];
    for (link, class) in [
        ("100Mbit/s", "server-1g"),
        ("1Gbit/s", "server-1g"),
        ("2500Mbit/s", "server-1g"),
        ("5Gbit/s", "server-10g"),
        ("10Gbit/s", "server-10g"),
        ("25Gbit/s", "server-25g"),
        ("40Gbit/s", "server-25g"),
        ("100Gbit/s", "server-100g"),
        ("400Gbit/s", "server-100g"),
    ] {
        let answer = |more: &[&str]| -> Value {
            let asked = ["--link", link, "--format", "json"];
            let mut answer: Value =
                serde_json::from_str(&says(&[&FIRST[..], &asked, more].concat())).unwrap();
            let hosts = answer["question"]["profile"].take();
            assert!(hosts.as_str().unwrap().contains(class), "{link}: {hosts}");
            // Whether a profile was asked for is told, and that alone differs.
            for told in ["defaults", "question_line"] {
                assert!(answer.as_object_mut().unwrap().remove(told).is_some());
            }
            answer
        };
        let printed = says(&["profile", class]);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(printed.as_bytes()).unwrap();
        let by_the_link = answer(&[]);
        assert_eq!(by_the_link, answer(&["--profile", file.path().to_str().unwrap()]), "{link}");
        assert_eq!(by_the_link, answer(&["--profile", class]), "{link}");
    }
}

#[test]
fn a_manager_takes_time_before_and_after_and_the_guest_is_down_no_longer() {
    let answer = |more: &[&str]| -> Value {
        let asked = ["predict", "scenarios/first.toml", "--format", "json"];
        serde_json::from_str(&says(&[&asked[..], more].concat())).unwrap()
    };
    let of = |answer: &Value, key: &str| answer[key].as_f64().unwrap();
    let wide = |answer: &Value| {
        answer["intervals"]["tmt_s"]["p95"].as_f64().unwrap()
            - answer["intervals"]["tmt_s"]["p5"].as_f64().unwrap()
    };
    let (alone, run) = (answer(&["--manager", "none"]), answer(&["--manager", "proxmox"]));
    assert_eq!(answer(&[])["tmt_s"], alone["tmt_s"], "QEMU's own times are a server's profile's");
    assert!((of(&run, "tmt_s") - of(&alone, "tmt_s") - 6.5).abs() < 1e-6, "{run}");
    assert!((of(&run, "resumed_s") - of(&alone, "resumed_s") - 3.5).abs() < 1e-6, "{run}");
    assert_eq!(of(&run, "downtime_s"), of(&alone, "downtime_s"));
    assert!(wide(&run) > wide(&alone) + 1.5, "how long they take is hardly known");
    assert!(run["question"]["profile"].as_str().unwrap().contains("proxmox"));
    let printed = says(&["profile", "server-1g", "--manager", "proxmox"]);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(printed.as_bytes()).unwrap();
    let kept = answer(&["--profile", file.path().to_str().unwrap()]);
    assert_eq!(kept["tmt_s"], run["tmt_s"]);
}

#[test]
fn a_sweep_over_links_asks_each_points_own_class_of_servers() {
    let sweep = says(&[
        "sweep",
        "scenarios/first.toml",
        "--vary",
        "link=1Gbit/s,10Gbit/s",
        "--format",
        "csv",
    ]);
    let mut reader = csv::Reader::from_reader(sweep.as_bytes());
    let at = reader.headers().unwrap().iter().position(|name| name == "tmt_s").unwrap();
    let swept: Vec<f64> = reader.records().map(|row| row.unwrap()[at].parse().unwrap()).collect();
    let asked = ["1Gbit/s", "10Gbit/s"].map(|link| {
        let answer = says(&["predict", "scenarios/first.toml", "--link", link, "--format", "json"]);
        serde_json::from_str::<Value>(&answer).unwrap()["tmt_s"].as_f64().unwrap()
    });
    assert_eq!(swept, asked);
}

#[test]
fn the_table_reads_as_it_always_did() {
    insta::assert_snapshot!(says(&ONE));
}

#[test]
fn the_verdict_of_not_converging_reads_as_it_always_did() {
    let text = says(&[
        "predict",
        "scenarios/first.toml",
        "--workload",
        "uniform(wss=1GiB, rate=50000p/s)",
    ]);
    let verdict: String = text.lines().take(6).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(verdict);
}

#[test]
fn the_figures_are_the_same_on_every_machine() {
    // Golden: zipf, phases and a curve pass through every elementary function there is.
    let got: Value = serde_json::from_str(&says(&[
        "predict", "--memory", "8GiB", "--touched", "6GiB", "--link", "2Gbit/s", "--format", "json", "--phase-offset", "300ms", "--workload",
        "zipf(wss=1GiB, rate=9000p/s, s=0.99) + phase(on=1s, off=1s, uniform(wss=64MiB, rate=3000p/s)) + curve(1s:3000p, 2s:5200p, 5s:9100p)",
    ]))
    .unwrap();
    let figures =
        ["tmt_s", "downtime_s", "wire_bytes", "dirty_syncs"].map(|key| got[key].to_string());
    insta::assert_snapshot!(figures.join(" "));
}

#[test]
fn an_answer_says_what_was_asked_with_defaults_marked_and_warns_where_one_decides() {
    let text = says(&["predict", "--memory", "16GB", "--link", "10Gbit/s"]);
    assert!(
        text.starts_with(
            "guest: 16 GB = 14.9 GiB, all touched (default), 1 vCPU (default), idle (default), 10.0 Gbit/s"
        ),
        "{text}"
    );
    assert!(text.contains("Note: no workload was given"), "{text}");
    let busy = [
        "predict",
        "--memory",
        "64GiB",
        "--workload",
        "sweep(wss=12GiB, rate=250000p/s)",
        "--link",
        "10Gbit/s",
        "--profile",
        "lab",
    ];
    let text = says(&busy);
    assert!(
        text.contains("converges") && text.contains("vcpus was not given, and decides"),
        "{text}"
    );
    let got: Value =
        serde_json::from_str(&says(&[&busy[..], &["--format", "json"]].concat())).unwrap();
    assert!(got["defaults"].as_array().unwrap().iter().any(|key| key == "vcpus"));
    assert!(got["warnings"][0].as_str().unwrap().contains("vcpus was not given"));
}

#[test]
fn the_binding_constraint_is_named_and_each_remedy_for_it() {
    for (arguments, named, remedy) in [
        (
            &[
                "--memory",
                "64GiB",
                "--touched",
                "60GiB",
                "--vcpus",
                "16",
                "--workload",
                "sweep(wss=12GiB, rate=250000p/s)",
                "--link",
                "100Gbit/s",
            ][..],
            "the one sending thread (245000 pages/s)",
            "with 2 multifd channels",
        ),
        (
            &[
                "--memory",
                "4GiB",
                "--vcpus",
                "4",
                "--link",
                "10Gbit/s",
                "--bandwidth-cap",
                "64MiB/s",
                "--workload",
                "sweep(wss=200MiB, rate=500000p/s)",
            ],
            "the bandwidth cap (64.0 MiB/s)",
            "without the bandwidth cap",
        ),
        (
            &[
                "--memory",
                "4GiB",
                "--link",
                "10Gbit/s",
                "--rtt",
                "200ms",
                "--workload",
                "uniform(wss=1GiB, rate=20000p/s)",
            ],
            "the TCP window (4.00 MiB for each round trip of 200 ms)",
            "with a send buffer of at least",
        ),
        (
            &[
                "--memory",
                "4GiB",
                "--touched",
                "3GiB",
                "--link",
                "1Gbit/s",
                "--timeout",
                "20s",
                "--workload",
                "uniform(wss=512MiB, rate=5000p/s)",
            ],
            "timed out: it was given up at its timeout of 20.0 s",
            "with a timeout of at least",
        ),
    ] {
        let text = says(&[&["predict", "--profile", "lab"][..], arguments].concat());
        assert!(text.contains(named) && text.contains(remedy), "{text}");
        assert!(!text.contains("on no link, however fast"), "{text}");
    }
}

#[test]
fn an_explanation_has_a_sentence_for_each_iteration() {
    let text = says(&["predict", "scenarios/first.toml", "--explain"]);
    for n in 1..=4 {
        assert!(text.contains(&format!("\nIteration {n}, ")), "{text}");
    }
    assert!(
        text.contains("within the threshold of")
            && text.contains("the vCPUs stop (migration_completion)"),
        "{text}"
    );
}

#[test]
fn an_unknown_phase_widens_the_interval_and_is_told() {
    let asked = [
        "predict",
        "--memory",
        "2GiB",
        "--vcpus",
        "4",
        "--link",
        "1Gbit/s",
        "--workload",
        "phase(on=100s, off=100s, uniform(wss=512MiB, rate=90000p/s))",
    ];
    let answer = |more: &[&str]| -> Value {
        serde_json::from_str(&says(&[&asked[..], &["--format", "json"], more].concat())).unwrap()
    };
    let unknown = answer(&[]);
    assert_eq!(unknown["median_of_phase_offsets"], 8);
    let (p5, p95) =
        (&unknown["quantiles"]["elapsed_ms"]["p5"], &unknown["quantiles"]["elapsed_ms"]["p95"]);
    let (p5, p95) = (p5.as_f64().unwrap(), p95.as_f64().unwrap());
    let within = (0..20)
        .filter(|i| {
            let known = answer(&["--phase-offset", &format!("{}s", i * 10)]);
            (p5..=p95).contains(&(known["tmt_s"].as_f64().unwrap() * 1e3))
        })
        .count();
    assert!(within >= 16, "{within} of 20 offsets lie within {p5} to {p95} ms");
    assert!(says(&asked).contains("the median of 8 offsets"));
}

#[test]
fn no_interval_holds_what_cannot_be() {
    let interval = |arguments: &[&str], what: &str| -> [f64; 2] {
        let got: Value = serde_json::from_str(&says(
            &[&["predict"][..], arguments, &["--format", "json"]].concat(),
        ))
        .unwrap();
        ["p5", "p95"].map(|p| got["quantiles"][what][p].as_f64().unwrap() / 1e3)
    };
    assert!(
        interval(&["scenarios/rescued-by-postcopy.toml"], "elapsed_ms")[0] >= 60.0,
        "it waits for its timeout of 60 s"
    );
    let one_page = ["--memory", "4KiB", "--link", "1Gbit/s", "--profile", "lab"];
    assert!(interval(&one_page, "downtime_ms")[0] > 0.010, "parts that are fixed");
    let capped = ["scenarios/first.toml", "--timeout", "31s"];
    assert!(interval(&capped, "elapsed_ms")[1] <= 31.5);
    let offline = ["scenarios/offline.toml"];
    assert_eq!(interval(&offline, "elapsed_ms"), interval(&offline, "downtime_ms"), "one quantity");
}

#[test]
fn records_of_another_version_of_qemu_than_the_profiles_are_told() {
    let told = |version: &str| {
        let text =
            format!("mode,memory_mib,workload,link_mbit,qemu\nprecopy,1024,idle,1000,{version}\n");
        let (status, errors) = records(&text);
        assert_eq!(status, 0, "{errors}");
        errors.contains("the profile was fitted to QEMU 7.2, and there are runs of 10.0")
    };
    assert!(told("10.0") && !told("7.2"));
}

#[test]
fn records_say_what_scenarios_say() {
    let header = "mode,memory_mib,workload,link_mbit,postcopy_after_passes,postcopy_after_ms,on_timeout,timeout_s,qemu\n";
    let rows = "postcopy,1024,idle,1000,0,,,,7.2\npostcopy,1024,idle,1000,,2500,,,7.2\nprecopy,1024,idle,1000,,,postcopy,3,7.2\n";
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(format!("{header}{rows}").as_bytes()).unwrap();
    let text = says(&["predict", "--records", file.path().to_str().unwrap()]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let at = reader.headers().unwrap().iter().position(|name| name == "pred_elapsed_ms").unwrap();
    let elapsed: Vec<f64> = reader.records().map(|row| row.unwrap()[at].parse().unwrap()).collect();
    for (elapsed, flags) in elapsed.iter().zip([
        &["--mode", "postcopy", "--postcopy-after-passes", "0"][..],
        &["--mode", "postcopy", "--postcopy-after", "2500ms"],
        &["--timeout", "3s", "--on-timeout", "postcopy"],
    ]) {
        let asked = [
            "predict",
            "--profile",
            "lab",
            "--memory",
            "1GiB",
            "--layout",
            "front",
            "--link",
            "1Gbit/s",
            "--format",
            "json",
        ];
        let got: Value = serde_json::from_str(&says(&[&asked[..], flags].concat())).unwrap();
        let seconds = got["tmt_s"].as_f64().unwrap();
        assert!((elapsed / 1e3 - seconds).abs() < 1e-3, "{flags:?}: {elapsed} ms, {seconds} s");
    }
}

#[test]
fn a_downtime_limit_of_nothing_is_told_what_it_means() {
    for (qemu, rule) in [
        ("7.2", "without a last look"),
        ("8.2", "looks again and again"),
        ("10.0", "without a last look"),
    ] {
        let said =
            says(&["predict", "scenarios/first.toml", "--downtime-limit", "0s", "--qemu", qemu]);
        assert!(
            said.contains("Note: at a downtime limit of 0 QEMU") && said.contains(rule),
            "{said}"
        );
    }
}

#[test]
fn every_command_teaches_by_an_example() {
    let commands = [
        "predict",
        "sweep",
        "sensitivity",
        "merge",
        "fleet",
        "inventory import",
        "inventory check",
        "inventory generate",
        "records import",
        "profile",
        "schema",
        "apps",
        "keys",
        "models",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let said = says(&words);
        let example = said.split("Example").nth(1).unwrap_or_default();
        assert!(
            example.contains(&format!("migsim {command}")) || example.contains("migsim predict"),
            "{command}:\n{said}"
        );
    }
}

/// A run that would not be over in time is given up: it is no run that takes as long as the timeout.
#[test]
fn draws_past_a_timeout_count_as_not_converged() {
    let answer = |timeout: &str| -> serde_json::Value {
        let said =
            says(&["predict", "scenarios/first.toml", "--timeout", timeout, "--format", "json"]);
        serde_json::from_str(&said).unwrap()
    };
    let figures = |timeout: &str| {
        let answer = answer(timeout);
        let number = |at: &str| answer.pointer(at).unwrap().as_f64().unwrap();
        (number("/p_converge"), number("/intervals/tmt_s/p95"))
    };
    let (sure, late) = figures("60s");
    let (less, within) = figures("32s");
    assert!(sure > 0.99 && late > 32.0, "{sure} {late}");
    assert!((0.5..0.95).contains(&less) && within < 32.0, "{less} {within}");
}

#[test]
fn a_flag_of_what_is_not_modelled_is_told_so() {
    for flag in ["--zero-copy", "--vfio", "--dirty-limit", "--compress"] {
        let output = migsim(&["predict", "--memory", "4GiB", "--link", "1Gbit/s", flag]);
        let (status, said) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
        assert!(
            status == Some(2) && said.contains("not modelled yet") && !said.contains("similar"),
            "{said}"
        );
    }
}
