//! What programs read: formats, exports, schemas, batches.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{migsim, says, workspace};

const COMMANDS: [(&str, &[&str]); 10] = [
    ("prediction", &["predict", "scenarios/first.toml", "--model", "all"]),
    ("prediction", &["predict", "scenarios/heavy.toml"]),
    ("predictions", &["predict", "scenarios/paper/live.toml"]),
    ("sweep", &["sweep", "scenarios/first.toml", "--vary", "touched=1GiB..8GiB:3", "--intervals"]),
    ("fleet", &["fleet", "scenarios/fleet/rack.toml", "--replications", "2"]),
    ("at-once", &["fleet", "scenarios/fleet/rack.toml", "--at-once", "1,2"]),
    ("inventory", &["inventory", "check", "scenarios/fleet/rack.toml"]),
    ("models", &["models"]),
    ("apps", &["apps"]),
    ("keys", &["keys"]),
];

fn faults(schema: &Value, of: &Value) -> Vec<String> {
    jsonschema::validator_for(schema)
        .unwrap()
        .iter_errors(of)
        .map(|error| error.to_string())
        .collect()
}

/// The schemas in docs/schema are those that the types have; `SCHEMAS=1` writes them anew.
#[test]
fn schemas_in_the_docs_are_those_that_are_printed() {
    let listed = says(&["schema"]);
    for name in listed.lines().map(|line| line.split_whitespace().next().unwrap()) {
        let place = workspace().join(format!("docs/schema/{name}.json"));
        let printed = says(&["schema", name]);
        if std::env::var_os("SCHEMAS").is_some() {
            std::fs::write(&place, &printed).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&place).unwrap_or_default(),
            printed,
            "{name}: SCHEMAS=1 writes it"
        );
    }
}

#[test]
fn what_is_written_is_as_its_schema_says() {
    for (name, arguments) in COMMANDS {
        let schema: Value = serde_json::from_str(&says(&["schema", name])).unwrap();
        let written: Value =
            serde_json::from_str(&says(&[arguments, &["--format", "json"]].concat())).unwrap();
        assert_eq!(faults(&schema, &written), Vec::<String>::new(), "{arguments:?}");
        assert_eq!(written["schema"], 1, "{arguments:?}");
        let mut other = written.clone();
        other["schema"] = json!("one");
        assert_ne!(faults(&schema, &other), Vec::<String>::new(), "{name} takes anything");
    }
}

/// The columns of CSV are the places of JSON: the same quantity has the same name in both.
#[test]
fn csv_and_json_lines_say_what_json_says() {
    for (name, arguments) in COMMANDS {
        let of = |format: &str| says(&[arguments, &["--format", format]].concat());
        let lines: Vec<Value> =
            of("jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let text = of("csv");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), lines.len(), "{name}");
        let whole: Value = serde_json::from_str(&of("json")).unwrap();
        let results = whole.get("results").or(whole.get("moves").filter(|all| all.is_array()));
        let list = |key: &str| whole.get(key).filter(|all| all.is_array());
        let results = ["models", "applications", "keys"]
            .into_iter()
            .fold(results, |found, key| found.or(list(key)));
        let results = results.map_or(vec![whole.clone()], |all| all.as_array().unwrap().clone());
        assert_eq!(results.len(), lines.len(), "{name}");
        for ((row, line), result) in rows.iter().zip(&lines).zip(&results) {
            for (column, cell) in header.iter().zip(row) {
                let place = format!("/{}", column.replace('.', "/"));
                // What a sweep varies stands beside its figures.
                let varied = result.pointer(&format!("/varied{place}"));
                for value in [line.pointer(&place), result.pointer(&place).or(varied)] {
                    match value {
                        None | Some(Value::Null) => assert_eq!(cell, "", "{name} {column}"),
                        Some(Value::String(text)) => assert_eq!(cell, text, "{name} {column}"),
                        Some(Value::Array(list)) => {
                            assert_eq!(cell.is_empty(), list.is_empty(), "{name} {column}");
                        }
                        Some(value) => assert_eq!(cell, value.to_string(), "{name} {column}"),
                    }
                }
            }
        }
    }
}

#[test]
fn markdown_has_the_tables_and_sentences_of_the_terminal() {
    let text = says(&["predict", "scenarios/paper/live.toml", "--format", "markdown"]);
    assert!(
        text.contains("| guest | mode | outcome | total |")
            && text.contains("| --- | --- | --- | --: |"),
        "{text}"
    );
    let rows: Vec<usize> = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.matches(" |").count())
        .collect();
    assert!(rows.len() > 5 && rows.iter().all(|cells| *cells == rows[0]), "{text}");
    let busy = ["--workload", "uniform(wss=2GiB, rate=90000p/s)", "--vcpus", "4"];
    let verdict =
        says(&[&["predict", "scenarios/first.toml", "--format", "markdown"], &busy[..]].concat());
    assert!(verdict.contains("\n- on a link of at least"), "{verdict}");
}

#[test]
fn an_answer_goes_to_several_files_at_once_each_as_its_ending_says() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (a, b, c) = (place("a.json"), place("b.md"), place("c.csv"));
    let printed =
        says(&["predict", "scenarios/first.toml", "--export", &a, "--export", &b, "--export", &c]);
    assert_eq!(printed, says(&["predict", "scenarios/first.toml"]));
    for (file, format) in [(&a, "json"), (&b, "markdown"), (&c, "csv")] {
        let exported = std::fs::read_to_string(file).unwrap();
        assert_eq!(
            exported,
            says(&["predict", "scenarios/first.toml", "--format", format]),
            "{format}"
        );
    }
    let refused = migsim(&["predict", "scenarios/first.toml", "--export", &place("d.xlsx")]);
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        error.contains("its ending is none of .txt, .json, .jsonl, .ndjson, .csv, .md"),
        "{error}"
    );
    assert!(refused.stdout.is_empty(), "a file that cannot be is known before the work");
}

fn batch(input: &str, more: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_migsim"))
        .args([&["predict", "--batch", "-"], more].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let answers = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), answers, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_batch_is_answered_line_by_line_in_its_order() {
    let good = r#"{"id": "a", "memory": "4GiB", "link": "1Gbit/s", "workload": "uniform(wss=512MiB, rate=5000p/s)"}"#;
    let bad = r#"{"id": 7, "memory": "4GiB"}"#;
    let (status, answers, errors) = batch(&format!("{good}\n\n{bad}\nno json\n{good}"), &[]);
    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("2 answered, 2 refused"), "{errors}");
    assert_eq!(
        answers.iter().map(|one| one["line"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 3, 4, 5]
    );
    assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&json!("a"), &json!(7)));
    assert!(answers[1]["error"].as_str().unwrap().contains("the link lacks its capacity"));
    let schema: Value = serde_json::from_str(&says(&["schema", "batch"])).unwrap();
    for one in &answers {
        assert_eq!(faults(&schema, one), Vec::<String>::new(), "{one}");
    }
    let flags = [
        "--memory",
        "4GiB",
        "--link",
        "1Gbit/s",
        "--workload",
        "uniform(wss=512MiB, rate=5000p/s)",
    ];
    let single: Value =
        serde_json::from_str(&says(&[&["predict", "--format", "json"], &flags[..]].concat()))
            .unwrap();
    for (key, value) in answers[0].as_object().unwrap() {
        let own = matches!(key.as_str(), "line" | "id" | "intervals" | "p_converge");
        assert!(own || single[key] == *value, "{key}: {value} and {}", single[key]);
    }
    let (_, sure, _) = batch(good, &["--intervals"]);
    assert_eq!(sure[0]["intervals"], single["intervals"]);
    assert_eq!(batch(bad, &[]).0, Some(2), "nothing was answered");
    assert_eq!(batch("", &[]).0, Some(0), "nothing was asked");
}

/// A program may ask and wait for the answer before it asks again.
#[test]
fn a_batch_answers_before_its_input_ends() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_migsim"))
        .args(["predict", "--batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ask = child.stdin.take().unwrap();
    let mut answers =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for memory in ["1GiB", "2GiB"] {
        writeln!(ask, r#"{{"memory": "{memory}", "link": "1Gbit/s"}}"#).unwrap();
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!(answer["outcome"], "completed");
    }
    drop(ask);
    assert!(child.wait().unwrap().success() && answers.next().is_none());
}

#[test]
fn records_come_from_standard_input_as_from_a_file() {
    let place = "tests/data/two-repeats.csv";
    let text = std::fs::File::open(workspace().join(place)).unwrap();
    let piped = Command::new(env!("CARGO_BIN_EXE_migsim"))
        .args(["predict", "--records", "-"])
        .stdin(text)
        .output()
        .unwrap();
    let read = migsim(&["predict", "--records", place]);
    assert!(piped.status.success() && !piped.stdout.is_empty());
    assert_eq!(piped.stdout, read.stdout);
}
