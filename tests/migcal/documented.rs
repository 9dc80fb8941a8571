//! What README and docs print of `migcal` is what it does.

#[path = "../documented.rs"]
pub(crate) mod printed;

/// Commands that a test does not run, and why.
const LEFT_OUT: [(&str, &str); 3] = [
    ("migcal campaign calibrate/plans/paper.toml", "takes an hour"),
    ("qemu+ssh://root@a", "takes two servers"),
    ("migcal faults --runs 1000", "takes hours"),
];

#[test]
fn every_documented_command_of_migcal_that_reads_records_does_what_is_printed() {
    let count = printed::run_each(env!("CARGO_BIN_EXE_migcal"), |one| {
        let real = ["migcal run", "migcal lab", "migcal doctor", "migcal dirty", "migcal settle"];
        let is_ours = one.command.starts_with("migcal ") || one.command.contains("my-hosts.toml");
        let left_out = LEFT_OUT.iter().any(|(part, _)| one.command.contains(part));
        (is_ours && !left_out && !real.iter().any(|part| one.command.starts_with(part)))
            .then_some(one)
    });
    assert!(count >= 6, "{count} commands were found");
}

/// A page of the documentation.
fn page(name: &str) -> String {
    std::fs::read_to_string(printed::root().join(name)).unwrap()
}

/// What a validation of some runs prints as Markdown.
fn validated(runs: &str) -> String {
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_migcal"))
        .args(["validate", runs, "--format", "markdown"])
        .current_dir(printed::root())
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap()
}

/// The figures of a text.
fn figures(text: &str) -> Vec<&str> {
    let is_figure = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    text.split([' ', '|', ',']).map(|word| word.trim_end_matches('.')).filter(is_figure).collect()
}

#[test]
fn guests_moved_together_are_predicted_as_the_page_on_fleets_says() {
    let fleets = page("docs/fleet.md");
    for campaign in ["together", "together-fifo"] {
        let runs = format!("calibrate/data/{campaign}/runs.csv");
        let row = fleets.lines().find(|line| line.contains(&format!("{runs}`"))).unwrap();
        let said = validated(&runs);
        let line = |start: &str| said.lines().find(|line| line.starts_with(start)).unwrap();
        let makespan = figures(line("Moved at the same time:"));
        let each = figures(line("| together |"));
        // 78 | 1.7 % 4.5 % 7.2 % 32.6 % | 41 137 | 0.2 % 1.0 % ...
        let expected = [&makespan[..], &each[1..3], &each[8..9]].concat();
        assert_eq!(figures(row), expected, "docs/fleet.md: {row}");
    }
}

#[test]
fn what_is_queued_is_as_the_page_on_bytes_in_flight_says() {
    let network = migsim_models::profile::Profile::default().network;
    let fixed = network.queue_fixed.value.as_f64();
    let time = network.queue_time.value.as_secs_f64();
    let at = |mbit: f64| (fixed + time * mbit * 1e6 / 8.0) / 1e6;
    let words = page("docs/in-flight.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let quoted = format!(
        "{:.1} MB and {:.0} ms of the link's rate (`network.queue_fixed`, `network.queue_time`), {:.1} MB at 150 Mbit/s and {:.1} MB at 400.",
        fixed / 1e6,
        time * 1e3,
        at(150.0),
        at(400.0)
    );
    assert!(words.contains(&quoted), "docs/in-flight.md lacks `{quoted}`");
}

#[test]
fn the_frozen_campaign_is_validated_as_its_page_and_the_readme_say() {
    let said = validated("calibrate/data/fresh/runs.csv");
    let validation = page("docs/validation.md");
    for line in said.lines() {
        assert!(validation.contains(line), "docs/validation.md lacks\n{line}");
    }
    // What the README quotes of it.
    let cells = |row: &str| -> Vec<String> {
        let line = said.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap();
        line.split([' ', '|']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let after =
        |row: &str| cells(row).into_iter().skip_while(|word| word != "107").collect::<Vec<_>>();
    let readme = page("README.md").split_whitespace().collect::<Vec<_>>().join(" ");
    let own = after("plain pre-copy");
    let [fair, printed] =
        ["fair inputs", "all memory"].map(|on| after(&format!("model: gudkov, {on}")));
    let whole = |percent: &str| format!("{:.0}", percent.parse::<f64>().unwrap());
    // 107 | 1.5 % 4.8 % 6.3 % 9.5 % | 18 62 | 0.1 % 0.8 % | 75.7 % 97.2 %
    for quoted in [
        format!("total migration time: p50 error {} %, p90 {} %", own[1], own[3]),
        format!(
            "has {} and {} %; on its own inputs {} and {} %",
            fair[1],
            fair[3],
            printed[1],
            whole(&printed[3])
        ),
        format!("p90 {} ms, {} %", own[10], own[15]),
        format!("bytes on the wire: p90 error {} %", own[13]),
    ] {
        assert!(readme.contains(&quoted), "README.md lacks `{quoted}`");
    }
    let number = |before: &str, after: &str| {
        let rest = said.split(before).nth(1).unwrap();
        rest.split(after).next().unwrap().to_owned()
    };
    let covered = number("90 % prediction intervals cover ", " %");
    let downtimes = number("of total times and ", " %");
    let short = number("Of plain pre-copy ", " total times were predicted too short");
    for quoted in [
        format!("coverage {covered} and {downtimes} %"),
        format!("bias: {short} of 107 total times are predicted too short"),
    ] {
        assert!(readme.contains(&quoted), "README.md lacks `{quoted}`");
    }
}
