//! Published figures: the models reproduce their own, and bytes follow from page counts.

use migsim_models::published::{Inputs, MODELS, MeasuredCurve, gudkov, model};
use migsim_models::qemu;
use migsim_models::workload::Workload;
use serde_json::Value;

use crate::support::{case, migsim, says, workspace};

fn rows(file: &str) -> Vec<csv::StringRecord> {
    let path = workspace().join("tests/data").join(file);
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn gudkovs_method_gives_all_48_cells_of_his_table() {
    let text =
        std::fs::read_to_string(workspace().join("tests/data/gudkov_memcached_profile.json"))
            .unwrap();
    let profile: Value = serde_json::from_str(&text).unwrap();
    let total = profile["n_total_pages"].as_f64().unwrap();
    let sampled = profile["n_sampled_pages"].as_f64().unwrap();
    let zero = profile["n_zero_sampled"].as_f64().unwrap() / sampled * total;
    let windows = numbers(&profile["periods_ms"]);
    let dirty = numbers(&profile["n_dirty_sampled"]);
    let curve = MeasuredCurve {
        points: windows.iter().zip(&dirty).map(|(ms, n)| (ms / 1e3, n / sampled * total)).collect(),
        limit: total - zero,
    };
    let mut cells = 0;
    for (row, predicted) in profile["published_prediction_s"].as_object().unwrap() {
        // "0.1 (100 Mbps)" counts 100 x 2^20 bits, the others x 2^30.
        let bandwidth = match row.split_once(" (") {
            Some(_) => 100.0 * f64::from(1 << 20) / 8.0,
            None => row.parse::<f64>().unwrap() * f64::from(1 << 30) / 8.0,
        };
        let limits = profile["downtimes_ms"].as_array().unwrap();
        for (limit, cell) in limits.iter().zip(predicted.as_array().unwrap()) {
            let limit = limit.as_f64().map_or(f64::INFINITY, |ms| ms / 1e3);
            let got = gudkov(&curve, total - zero, zero, bandwidth, limit).map(|(s, _)| s.ceil());
            assert_eq!(got, cell.as_f64(), "{row} Gbps, {limit} s");
            cells += 1;
        }
    }
    assert_eq!(cells, 48);
}

#[test]
fn simgrids_model_meets_its_nine_points() {
    let rows = rows("simgrid_points.csv");
    assert_eq!(rows.len(), 9);
    for row in &rows {
        let number = |i: usize| row[i].parse::<f64>().unwrap();
        let memory = number(0) * f64::from(1 << 30);
        // A sweep dirties at a constant rate up to its working set, 90 % of memory here.
        let workload: Workload = if number(2) > 0.0 {
            format!(
                "sweep(wss={}p, rate={}p/s)",
                (memory * 0.9 / 4096.0) as u64,
                number(2) * 1e6 / 4096.0
            )
            .parse()
            .unwrap()
        } else {
            Workload::idle()
        };
        let inputs = Inputs {
            memory,
            touched: memory,
            bandwidth: number(1) * 1e9 / 8.0,
            working_set: memory * 0.9,
            downtime_limit: number(3) / 1e3,
            rtt: 0.0,
            workload: &workload,
        };
        let got = (model("simgrid").unwrap().predict)(&inputs).tmt_s.unwrap();
        let error = (got / number(4) - 1.0).abs();
        assert!(error < 1e-3, "{row:?}: {got}, off by {error}");
    }
}

#[test]
fn wire_bytes_follow_from_published_page_counts() {
    let mut checked = 0;
    for row in rows("qemu_info_migrate_runs.csv") {
        // Columns: id, ..., mode (8), ..., transferred_kb (13), ..., duplicate_pages (15),
        // normal_pages (16), ..., note (20).
        let (id, mode) = (&row[0], &row[8]);
        let (Ok(kib), Ok(zero), Ok(normal)) =
            (row[13].parse::<f64>(), row[15].parse::<f64>(), row[16].parse::<f64>())
        else {
            continue; // no page counts were published
        };
        if mode.contains("old algorithm") {
            continue; // older than 2015
        }
        let multifd = mode == "multifd";
        // The note of one run says how many KiB were VFIO's.
        let vfio = row[20].strip_prefix("vfio transferred ").and_then(|n| n.strip_suffix(" kB"));
        let published = (kib - vfio.map_or(0.0, |kib| kib.parse().unwrap())) * 1024.0;
        let error = (qemu::wire_bytes(normal, zero, multifd) / published - 1.0).abs();
        assert!(error < if multifd { 2e-3 } else { 1e-3 }, "{id}: off by {error}");
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn bytes_of_the_labs_runs_are_within_3_percent_in_nine_of_ten() {
    let out = tempfile::NamedTempFile::new().unwrap();
    let path = out.path().to_str().unwrap();
    let output =
        migsim(&["predict", "--records", "tests/data/lab-runs-busy-machine.csv", "--out", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut errors = Vec::new();
    for row in reader.records().map(Result::unwrap) {
        if &row[column("mode")] == "precopy" && &row[column("outcome")] == "completed" {
            let number = |name: &str| row[column(name)].parse::<f64>().unwrap();
            errors.push((number("pred_wire_bytes") / number("wire_bytes") - 1.0).abs());
        }
    }
    assert_eq!(errors.len(), 16);
    let within = errors.iter().filter(|e| **e <= 0.03).count();
    assert!(within * 10 >= errors.len() * 9, "{within} of {}: {errors:?}", errors.len());
}

#[test]
fn published_models_take_the_same_case_as_ours() {
    let case = case("4GiB", "3GiB", "uniform(wss=512MiB, rate=5000p/s)", "1Gbit/s");
    let inputs = Inputs::new(&case.guest, &case.path, &case.policy, 0.956);
    assert_eq!(inputs.bandwidth, 0.956 * 125e6);
    for name in ["liu", "simgrid", "gudkov", "akoush-hist"] {
        let got = (model(name).unwrap().predict)(&inputs);
        assert!(
            got.converges && got.tmt_s.unwrap() > 20.0 && got.tmt_s.unwrap() < 60.0,
            "{name}: {got:?}"
        );
    }
}

#[test]
fn every_published_model_is_listed_with_its_formula_source_mode_and_how_it_is_known() {
    let said = says(&["models"]);
    for model in MODELS {
        let entry = format!(
            "{} ({}, {})\n  {}\n  {}",
            model.name,
            model.mode,
            model.known.words(),
            model.formula,
            model.reference
        );
        assert!(said.contains(&entry), "{entry}");
        assert!(
            model.doi.is_none_or(|doi| doi.starts_with("10.") && said.contains(doi)),
            "{}",
            model.name
        );
    }
}

#[test]
fn a_model_of_another_mode_is_not_asked() {
    let ask = |mode: &str| -> Value {
        let arguments =
            "--memory 1GiB --link 1Gbit/s --workload idle --model all --format json --mode";
        let all: Vec<&str> =
            ["predict"].into_iter().chain(arguments.split(' ')).chain([mode]).collect();
        serde_json::from_str(&says(&all)).unwrap()
    };
    assert_eq!(ask("precopy")["models"].as_object().unwrap().len(), 11);
    assert_eq!(ask("offline")["models"], serde_json::json!({}));
    assert!(ask("postcopy")["models"]["hines-gopalan"]["fair"]["tmt_s"].is_number());
}

/// A hundred GiB of zeros, and 64 GiB of data over 2, 4 and 8 channels of 100 Gbit/s, as they were
/// published (qemu-devel, February and March 2024), by the profile of servers of that class. Its
/// constants were chosen on these ten.
#[test]
fn large_guests_over_100_gbit_s_take_as_long_as_was_published() {
    let profile = migsim_models::profile::shipped("server-100g").unwrap();
    let profile = migsim_models::profile::Profile::parse(profile).unwrap();
    // With zero pages where Linux leaves them, downtimes are of their size: mixed evenly they would
    // be 270 to 290 ms for the first three.
    for (channels, qemu, memory, touched, cap, seconds, down_ms) in [
        (2, "9.0", 64, 15_099_494, None, 8.571, Some(69.0)),
        (4, "9.0", 64, 15_099_494, None, 7.180, Some(92.0)),
        (8, "9.0", 64, 15_099_494, None, 7.090, Some(121.0)),
        (2, "9.0", 64, 15_099_494, Some(1024), 57.758, Some(66.0)),
        (4, "9.0", 64, 15_099_494, Some(1024), 57.216, Some(58.0)),
        (8, "9.0", 64, 15_099_494, Some(1024), 56.708, Some(53.0)),
        (4, "8.2", 100, 0, None, 9.629, None),
        (1, "9.0", 100, 0, None, 6.182, None),
        (2, "9.0", 100, 0, None, 4.643, None),
        (4, "9.0", 100, 0, None, 4.143, None),
    ] {
        let cap = cap.map_or(String::new(), |mib| format!("bandwidth_cap = \"{mib}MiB/s\""));
        let text = format!(
            "link = {{ capacity = \"100Gbit/s\", rtt = \"50us\" }}\n[[guest]]\nmemory = \"{memory}GiB\"\n\
             touched = \"{touched}p\"\nvcpus = 4\n[migration]\nqemu = \"{qemu}\"\nmultifd_channels = {channels}\n{cap}\n"
        );
        let case = migsim::input::Case::from_toml(&text).unwrap();
        let outcome = migsim::answer::predict(&case, &profile, migsim::engine::Fidelity::Flow);
        let got = outcome.tmt().unwrap().as_secs_f64();
        let off = (got / seconds - 1.0).abs();
        assert!(off < 0.1, "{channels} channels, {memory} GiB, QEMU {qemu}: {got}, not {seconds}");
        if let Some(down_ms) = down_ms {
            let got = outcome.downtime().unwrap().as_millis_f64();
            assert!((got - down_ms).abs() < 70.0, "{channels} channels: {got} ms, not {down_ms}");
        }
    }
}

/// PostgreSQL under YCSB, 8 GiB and 4 vCPUs, QEMU 10.1 or later over a local socket with QEMU's
/// default cap of 128 MiB/s (a bachelor's thesis's public data, MIT licence): three runs of each.
/// The curves are what was dirty after each iteration, over its length; a throttled database makes
/// up for nothing.
#[test]
fn a_database_is_moved_and_throttled_as_it_was() {
    let light = "curve(600ms:8950p, 2s:21600p, 14600ms:75200p)";
    let heavy = "curve(400ms:18500p, 600ms:22000p, 800ms:26000p, 1200ms:36000p, 2200ms:51000p, 3400ms:74000p, 8200ms:121000p, \
        24s:284000p)";
    let predicted = |workload: &str, touched: u64, lever: &[&str]| -> Value {
        let touched = format!("{touched}p");
        let mut arguments =
            vec!["predict", "--memory", "8GiB", "--touched", &touched, "--vcpus", "4"];
        arguments.extend(["--link", "25Gbit/s", "--bandwidth-cap", "128MiB/s", "--qemu", "10.1"]);
        arguments.extend(["--profile", "server-25g", "--format", "json", "--workload", workload]);
        arguments.extend(lever);
        serde_json::from_str(&says(&arguments)).unwrap()
    };
    let figure = |said: &Value, key: &str| said[key].as_f64().unwrap();
    for (said, totals, downtimes) in [
        (predicted(light, 487_569, &[]), [17.717, 17.219, 17.115], [13.0, 19.0, 14.0]),
        (
            predicted(heavy, 806_409, &["--auto-converge"]),
            [44.918, 44.744, 46.620],
            [13.0, 35.0, 16.0],
        ),
    ] {
        let mean = |of: [f64; 3]| of.iter().sum::<f64>() / 3.0;
        let off = figure(&said, "tmt_s") / mean(totals) - 1.0;
        assert!(off.abs() < 0.03, "total time off by {off}: {said}");
        let off = figure(&said, "downtime_s") * 1e3 - mean(downtimes);
        assert!(off.abs() < 20.0, "downtime off by {off} ms: {said}");
        // 40, 50 and 40 %.
        let throttle = figure(&said, "throttle_percent");
        assert!(throttle == 0.0 || (throttle - 43.0).abs() < 10.0, "{throttle}");
    }
    assert_eq!(predicted(heavy, 806_409, &[])["outcome"], "not-converged");
}

/// The published stop of a guest of 12 TB: nearly all of it is the last sync of the dirty log.
/// What it had touched and wrote is not stated; neither changes the sync, and the rest of RAM is
/// what the downtime limit lets through. The other cases of the file have VFIO devices, whose state
/// is not modelled.
#[test]
fn a_guest_of_twelve_terabytes_stands_still_for_its_dirty_log() {
    let rows = rows("downtime_breakdown.csv");
    let measured = |phase: &str| -> f64 {
        let row = rows.iter().find(|row| row[0].starts_with("384") && &row[1] == phase).unwrap();
        row[2].parse::<f64>().unwrap() / 1e6
    };
    let said: Value = serde_json::from_str(&says(&[
        "predict",
        "--memory",
        "12TiB",
        "--touched",
        "6TiB",
        "--vcpus",
        "384",
        "--link",
        "100Gbit/s",
        "--multifd-channels",
        "16",
        "--qemu",
        "9.0",
        "--workload",
        "uniform(wss=16GiB, rate=20000p/s)",
        "--format",
        "json",
    ]))
    .unwrap();
    let parts = &said["downtime_parts"];
    let ram = ["sync_s", "rest_of_ram_s"].map(|part| parts[part].as_f64().unwrap());
    let off = ram.iter().sum::<f64>() / measured("vm-stopped->iterable-saved") - 1.0;
    assert!(off.abs() < 0.15 && ram[0] > 3.0, "off by {off}: {parts}");
    let off = said["downtime_s"].as_f64().unwrap() / measured("total") - 1.0;
    assert!(off.abs() < 0.1, "off by {off}: {said}");
}

/// Auto-converge against a writer that sweeps 1 GiB of a guest of 4 GiB, 1 MiB each millisecond and
/// the time that it takes to write it. Left out, and why: rows in which auto-converge did not
/// converge (writers without a pause; here they converge at 99 %, in three minutes), one that took
/// 910 s where its repeat took 204, one that is suspect in the file, S1 and S2, whose guests are
/// not described, and dirty-limit, which is not modelled.
#[test]
fn auto_converge_takes_as_long_with_a_sweeping_writer_as_was_published() {
    let mut compared = 0;
    for row in rows("dirtylimit_vs_autoconverge.csv") {
        let usable = row[0].starts_with("S3") && &row[2] == "1024" && row[7].is_empty();
        let (Ok(sleep_us), Ok(total_ms)) = (row[3].parse::<f64>(), row[6].parse::<f64>()) else {
            continue;
        };
        if !usable || sleep_us > 1000.0 || total_ms > 900_000.0 {
            continue;
        }
        // 1 MiB is written at some 5 GB/s.
        let rate = 256.0 / (sleep_us * 1e-6 + 0.0002);
        let workload = format!("sweep(wss=1GiB, rate={rate}p/s, closed)");
        let said: Value = serde_json::from_str(&says(&[
            "predict",
            "--memory",
            "4GiB",
            "--touched",
            "1500MiB",
            "--vcpus",
            "4",
            "--link",
            "1Gbit/s",
            "--qemu",
            "5.0",
            "--auto-converge",
            "--workload",
            &workload,
            "--format",
            "json",
        ]))
        .unwrap();
        let off = said["tmt_s"].as_f64().unwrap() * 1e3 / total_ms - 1.0;
        assert!(off.abs() < 0.2, "{row:?}: off by {off}");
        assert_eq!(said["throttle_percent"], 99, "{row:?}");
        compared += 1;
    }
    assert_eq!(compared, 3);
}
