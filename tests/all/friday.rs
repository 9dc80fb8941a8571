//! What a planner asks on Friday: whether all are there by then, and what does not go as it is
//! listed.

use std::path::Path;

use migsim::fleet::{Fleet, parse};
use serde_json::Value;

use crate::support::{given, migsim, says};

/// Two full hosts and two to take their guests.
fn text(hosts: &str, guests: &str, moves: &str) -> String {
    format!(
        "name = \"small\"\n\
         [[host]]\nname = \"old{{n:02}}\"\ncount = 2\nmemory = \"32GiB\"\ncores = 8\nnic = \"10Gbit/s\"\n\
         [[host]]\nname = \"new{{n:02}}\"\ncount = 2\nmemory = \"16GiB\"\ncores = 8\nnic = \"10Gbit/s\"\n{hosts}\n\
         [[vm]]\ncount = 4\non = [\"old*\"]\nguest = {{ name = \"web{{n}}\", memory = \"8GiB\" }}\n{guests}\n\
         [moves]\noff = [\"old*\"]\nto = [\"new*\"]\n{moves}\n"
    )
}

fn fleet(hosts: &str, guests: &str, moves: &str) -> Result<Fleet, String> {
    parse(Path::new("f.toml"), &text(hosts, guests, moves)).map_err(|mistakes| mistakes.to_string())
}

fn moved(fleet: &Fleet) -> Vec<&str> {
    fleet.moves.iter().map(|one| fleet.cluster.vms[one.vm].guest.name.as_str()).collect()
}

#[test]
fn hosts_are_counted_with_as_many_digits_as_they_have() {
    let fleet = fleet("", "", "").unwrap();
    let names: Vec<&str> = fleet.cluster.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(names, ["old01", "old02", "new01", "new02"]);
}

#[test]
fn guests_that_stay_are_left_out_and_told() {
    assert_eq!(moved(&fleet("", "", "").unwrap()).len(), 4);
    assert_eq!(moved(&fleet("", "", "except = [\"web2\"]").unwrap()), ["web1", "web3", "web4"]);
    let pinned =
        "[[vm]]\non = [\"old01\"]\nmove = false\nguest = { name = \"licence\", memory = \"8GiB\" }";
    let stays = fleet("", pinned, "").unwrap();
    assert_eq!(moved(&stays).len(), 4);
    let single = "[[move]]\nvm = \"licence\"\nto = \"new01\"";
    let error = fleet("", &format!("{pinned}\n{single}"), "").unwrap_err();
    assert!(error.contains("`licence` is one that stays"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, text("", pinned, "")).unwrap();
    let said = says(&["fleet", file.to_str().unwrap()]);
    assert!(said.contains("1 guest stays on hosts that others leave: licence"), "{said}");
}

#[test]
fn who_finds_no_room_is_listed_once_with_what_is_short() {
    let more =
        "[[vm]]\ncount = 2\non = [\"old*\"]\nguest = { name = \"db{n}\", memory = \"8GiB\" }";
    let error = fleet("", more, "").unwrap_err();
    assert!(
        error.contains(
            "2 of 6 guests find no host with room and a path to it, 16.0 GiB in all: `web4` (8.00 GiB), `db2` (8.00 GiB); the most that is \
             left is 0 B at `new01`. 4 fit"
        ),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    // Who wants to moves the others, and is told who was left.
    let rest = fleet("", more, "no_room = \"stay\"").unwrap();
    assert_eq!(moved(&rest).len(), 4);
    let notes = rest.cluster.notes();
    assert!(
        notes[0].starts_with("2 of 6 guests find no host")
            && notes[0].contains("left where they are"),
        "{notes:?}"
    );
    // Where memory may be given twice, they fit.
    let twice =
        text("", more, "").replace("memory = \"16GiB\"", "memory = \"16GiB\"\novercommit = 2.0");
    assert_eq!(parse(Path::new("f.toml"), &twice).unwrap().moves.len(), 6);
    let thrice = twice.replace("overcommit = 2.0", "overcommit = 0.5");
    let error = parse(Path::new("f.toml"), &thrice).unwrap_err().to_string();
    assert!(
        error.contains("overcommit is the guests' memory over the host's: 1 to 100"),
        "{error}"
    );
}

#[test]
fn a_host_that_there_is_none_of_is_told_once_with_the_one_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    let own = text("", "", "").replacen("name =", "inventory = \"guests.csv\"\nname =", 1);
    std::fs::write(&file, own).unwrap();
    let rows: String = (1..=150).map(|n| format!("vm{n},old1,1GiB,\n")).collect();
    let wrong = "other,new02,1GiB,perhaps\n";
    std::fs::write(
        folder.path().join("guests.csv"),
        format!("name,host,memory,move\n{rows}{wrong}"),
    )
    .unwrap();
    let output = migsim(&["inventory", "check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("guests.csv:2: column `host`: there is no host `old1` (so say 150 rows); did you mean `old01`?"),
        "{said}"
    );
    assert!(
        said.contains("guests.csv:152: column `move`: it takes yes or no, not `perhaps`"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
}

/// A fleet whose hosts stand in a table beside it.
fn with_hosts(hosts: &str, racks: &str) -> Result<Fleet, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hosts.csv"), hosts).unwrap();
    let file = folder.path().join("f.toml");
    let text = format!(
        "hosts = \"hosts.csv\"\n{racks}[[vm]]\non = [\"kvm01\"]\nguest = {{ name = \"web\", memory = \"8GiB\" }}\n[moves]\noff = [\"kvm01\"]\n"
    );
    parse(&file, &text)
        .map_err(|mistakes| mistakes.to_string().replace(folder.path().to_str().unwrap(), ""))
}

#[test]
fn hosts_are_a_table_of_their_own() {
    let table = "name,memory,cores,nic,rack,overcommit,note\nkvm01,64GiB,16,10GbE,r1,,old\nkvm02,128GiB,32,25Gbps,r2,1.5,\n";
    let found = with_hosts(table, "").unwrap();
    let [one, two] = &found.cluster.hosts[..] else { panic!("{:?}", found.cluster.hosts) };
    assert_eq!((one.memory.0 >> 30, one.nic.0, one.rack), (64, 10_000_000_000, 0));
    assert_eq!((two.room() >> 30, two.cores, two.rack), (192, 32.0, 1));
    assert_eq!(found.cluster.racks.len(), 2);
    // Racks that the file has must be those that the table names.
    let error = with_hosts(table, "[[rack]]\nname = \"r1\"\n").unwrap_err();
    assert!(error.contains("/hosts.csv:3: there is no rack `r2`"), "{error}");
    let error =
        with_hosts("name,memory,cores,nic\nkvm01,64G,16,10GbE\nkvm1,,0,1GbE\n", "").unwrap_err();
    for part in ["/hosts.csv:2: column `memory`", "/hosts.csv:3: column `memory` is empty"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn guests_of_a_group_never_share_a_host() {
    let databases = |count: usize| {
        format!(
            "[[vm]]\ncount = {count}\non = [\"old*\"]\napart = \"db\"\nguest = {{ name = \"db{{n}}\", memory = \"1GiB\" }}\n"
        )
    };
    let alone = |guests: &str, moves: &str| {
        parse(Path::new("f.toml"), &text("", guests, moves).replace("count = 4", "count = 1"))
            .map_err(|all| all.to_string())
    };
    for place in ["spread", "fill"] {
        let found = alone(&databases(2), &format!("place = \"{place}\"")).unwrap();
        let to: Vec<usize> = found
            .moves
            .iter()
            .filter(|one| found.cluster.vms[one.vm].apart.is_some())
            .map(|one| one.to)
            .collect();
        assert!(to.len() == 2 && to[0] != to[1], "{place}: {to:?}");
    }
    let error = alone(&databases(3), "").unwrap_err();
    assert!(
        error.contains("1 of 4 guests finds no host")
            && error.contains("without another of their group"),
        "{error}"
    );
    let there = "[[vm]]\non = [\"new01\"]\napart = \"db\"\nguest = { name = \"standby\", memory = \"1GiB\" }\n";
    let single = "[[move]]\nvm = \"db1\"\nto = \"new01\"\n";
    let error = alone(&format!("{}{there}{single}", databases(1)), "").unwrap_err();
    assert!(error.contains("`db1` is kept apart from `standby`"), "{error}");
}

#[test]
fn a_deadline_is_met_as_often_as_the_replications_say() {
    let ask = |deadline: &str| -> Value {
        let rack = ["fleet", "scenarios/fleet/rack.toml", "--profile", "lab", "--format", "json"];
        let more = ["--replications", "40", "--start", "Fri 20:00", "--deadline", deadline];
        serde_json::from_str(&says(&[&rack[..], &more].concat())).unwrap()
    };
    let (soon, late) = (ask("1s"), ask("Fri 22:00"));
    let p = |said: &Value| said["deadline"]["p_all_arrived"].as_f64().unwrap();
    assert_eq!((p(&soon), p(&late)), (0.0, 1.0));
    assert_eq!(late["deadline"]["within_s"].as_f64(), Some(7200.0));
    assert!(late["deadline"]["endangered_by"].as_array().unwrap().is_empty());
    let makespans: Vec<f64> = late["replications"]["makespans_s"]
        .as_array()
        .unwrap()
        .iter()
        .map(|makespan| makespan.as_f64().unwrap())
        .collect();
    assert_eq!(makespans.len(), 40);
    // Half of the way: as many as the samples say.
    let mut sorted = makespans.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = (sorted[19] + sorted[20]) / 2.0;
    let half = ask(&format!("{}ms", (middle * 1e3).round()));
    assert!((p(&half) - 0.5).abs() < 0.026, "{}", half["deadline"]);
    let late: Vec<f64> = half["deadline"]["endangered_by"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["p_arrived"].as_f64().unwrap())
        .collect();
    assert!(!late.is_empty() && late.windows(2).all(|pair| pair[0] <= pair[1]), "{late:?}");
    assert!(late.iter().all(|p| *p < 1.0));
    let words = says(&[
        "fleet",
        "scenarios/fleet/rack.toml",
        "--profile",
        "lab",
        "--start",
        "Fri 20:00",
        "--deadline",
        "Fri 22:00",
        "--replications",
        "10",
    ]);
    assert!(
        words.contains("All guests have arrived by Fri 22:00 (2 h 00 min after Fri 20:00) with a probability of 100 %."),
        "{words}"
    );
    assert!(words.contains("The last of those that arrive is there at Fri 20:"), "{words}");
}

#[test]
fn what_ifs_are_asked_alone_and_together() {
    let ask = |more: &[&str]| -> Vec<Value> {
        let rack = ["fleet", "scenarios/fleet/rack.toml", "--profile", "lab", "--format", "json"];
        let said: Value = serde_json::from_str(&says(&[&rack[..], more].concat())).unwrap();
        said["results"].as_array().unwrap().clone()
    };
    let ways = ask(&["--what-if", "at_once=4", "--what-if", "mode=postcopy,order=largest"]);
    let names: Vec<&str> = ways.iter().map(|way| way["what_if"].as_str().unwrap()).collect();
    assert_eq!(names, ["as it is", "at_once=4", "mode=postcopy, order=largest", "all of it"]);
    let of = |way: usize, key: &str| ways[way][key].as_f64().unwrap();
    assert!(of(1, "makespan_s") > 1.5 * of(0, "makespan_s"), "four at a time are slower");
    assert!(of(2, "downtime_s") < of(0, "downtime_s") / 3.0, "post-copy stops shortly: {ways:?}");
    assert_eq!((of(1, "most_at_once"), of(3, "most_at_once")), (4.0, 4.0));
    // A flag goes over all of them, and is the same as a change.
    let flagged = ask(&["--mode", "postcopy", "--what-if", "at_once=4"]);
    let changed = ask(&["--what-if", "mode=postcopy", "--what-if", "at_once=4"]);
    assert_eq!(flagged[0]["makespan_s"], changed[1]["makespan_s"]);
    assert_eq!(flagged[1]["makespan_s"], changed[3]["makespan_s"]);
    // With replications and a deadline each has its probabilities.
    let likely = ask(&["--what-if", "at_once=4", "--replications", "10", "--deadline", "5min"]);
    assert_eq!(likely[0]["p_all_arrived"].as_f64(), Some(1.0));
    assert_eq!(likely[1]["p_all_arrived"].as_f64(), Some(0.0));
    // A row of limits is as many changes.
    let limits = ask(&["--at-once", "4,8", "--replications", "10", "--deadline", "5min"]);
    assert_eq!(limits[1]["what_if"], "at_once=4");
    assert_eq!((limits.len(), &limits[1]), (3, &likely[1]));
    let wrong = migsim(&["fleet", "scenarios/fleet/rack.toml", "--what-if", "at_ones=4"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("Did you mean `at_once`?"), "{said}");
}

#[test]
fn what_is_not_modelled_and_what_is_of_another_kind_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let said = |command: &str, text: &str| {
        let file = folder.path().join("f.toml");
        std::fs::write(&file, text).unwrap();
        let output = migsim(&[command, file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    let guest = "link = { capacity = \"1Gbit/s\" }\n[[guest]]\nmemory = \"1GiB\"\n";
    for (command, text, message) in [
        (
            "predict",
            format!("{guest}vfio = true\n"),
            "devices passed through (VFIO) is not modelled yet",
        ),
        (
            "predict",
            format!("{guest}[migration]\ndirty-limit = true\n"),
            "dirty-limit is not modelled yet",
        ),
        (
            "predict",
            format!("{guest}[migration]\nmultifd_compression = \"zstd\"\n"),
            "compression is not modelled yet",
        ),
        ("predict", text("", "", ""), "belongs to a fleet, which `migsim fleet FILE` moves"),
        (
            "fleet",
            guest.to_owned(),
            "`guest` belongs to a scenario, which `migsim predict FILE` answers",
        ),
    ] {
        let error = said(command, &text);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_ifs_reach_hosts_and_links_wherever_they_stand() {
    let makespans = |what: &str| -> Vec<f64> {
        let rack = ["fleet", "scenarios/fleet/rack.toml", "--profile", "lab", "--format", "json"];
        let value: Value =
            serde_json::from_str(&says(&[&rack[..], &["--what-if", what]].concat())).unwrap();
        let results = value["results"].as_array().unwrap();
        results.iter().map(|one| one["makespan_s"].as_f64().unwrap()).collect()
    };
    for (slower, faster) in
        [("host.nic=1GbE", "host.nic=25GbE"), ("rack.uplink=5Gbit/s", "rack.uplink=100GbE")]
    {
        let (slower, faster) = (makespans(slower), makespans(faster));
        assert!(slower[1] > slower[0] && faster[1] <= faster[0], "{slower:?}, {faster:?}");
    }
    // A table of hosts beside the file is changed as well.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("hosts.csv"),
        "name,memory,cores,nic\na,64GiB,8,10GbE\nb,64GiB,8,10GbE\n",
    )
    .unwrap();
    let text = "hosts = \"hosts.csv\"\n[[vm]]\non = [\"a\"]\nguest = { name = \"x\", memory = \"8GiB\" }\n[moves]\noff = [\"a\"]\n";
    let file = folder.path().join("f.toml");
    std::fs::write(&file, text).unwrap();
    let changed =
        |change: &str| migsim::fleet::read_changed(&file, &change.parse().unwrap()).unwrap();
    let found = changed("host.nic=1GbE,host.cores=3,link.transport=tls,rtt=1ms");
    assert_eq!(found.cluster.hosts[1].nic.0, 1_000_000_000);
    assert_eq!((found.cluster.hosts[0].cores, found.cluster.rtt.0), (3.0, 1_000_000));
    assert_eq!(found.cluster.vms[0].transport.to_string(), "tls");
}

#[test]
fn a_what_if_that_changes_nothing_is_refused() {
    let output = migsim(&[
        "fleet",
        "scenarios/fleet/at-once-quiet.toml",
        "--what-if",
        "rack.uplink=1Gbit/s",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("--what-if rack.uplink=1Gbit/s: changes nothing of this fleet"),
        "{said}"
    );
}

#[test]
fn what_an_import_assumed_is_told_wherever_the_fleet_is() {
    let folder = tempfile::tempdir().unwrap();
    // As a spreadsheet with another comma saves it.
    let rows = "name;host;memory;note\nx;a1;4GiB;assumed: workload\ny;a1;4GiB;pinned? assumed nothing\nz;a1;4GiB;seen; assumed: touched workload\n";
    let rows = rows
        .replace("seen; assumed", "\"seen; assumed")
        .replace("touched workload\n", "touched workload\"\n");
    std::fs::write(folder.path().join("g.csv"), rows).unwrap();
    let file = folder.path().join("f.toml");
    let text = "inventory = \"g.csv\"\n[[host]]\nname = \"a{n}\"\ncount = 2\nmemory = \"64GiB\"\ncores = 8\nnic = \"10GbE\"\n[moves]\noff = [\"a1\"]\n";
    std::fs::write(&file, text).unwrap();
    let page = folder.path().join("p.html");
    let said = says(&["fleet", file.to_str().unwrap(), "--report", page.to_str().unwrap()]);
    let page = given(&std::fs::read_to_string(page).unwrap());
    let warnings = page["result"]["answer"]["warnings"].to_string();
    for text in [&said, &warnings] {
        assert!(text.contains("workload of 2 of 3 guests is assumed, not known"), "{text}");
        assert!(text.contains("touched of 1 of 3 guests is assumed, not known"), "{text}");
    }
    assert_eq!(page["made"]["migrations"], "3 precopy");
}

#[test]
fn a_rack_says_its_uplink_in_one_way() {
    let rack = "[[rack]]\nname = \"r\"\nuplink = \"10Gbit/s\"\nover_subscription = 2.0\n";
    let error = fleet(rack, "", "").unwrap_err();
    assert!(error.contains("say the same in two ways"), "{error}");
}
