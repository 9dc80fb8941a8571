//! Many migrations at once: what must hold for every fleet, and what comes of known ones.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use migsim::fleet::{
    Chance, Cluster, Fleet, FleetOutcome, Link, Wanted, parse, read, replicate, run, totals,
};
use migsim_models::profile::Profile;
use migsim_models::units::{BitRate, Bytes, SimTime};
use proptest::prelude::*;

use crate::support::{answer, case, given, migsim, says};

fn wanted(seed: u64, replications: usize) -> Wanted {
    Wanted { replications, first: 0, seed, deadline: None }
}

fn fleet(text: &str) -> Fleet {
    parse(Path::new("fleet.toml"), text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

fn moved(fleet: &Fleet, profile: &Profile) -> FleetOutcome {
    run(fleet, profile, Chance::none(), &AtomicBool::new(false), |_| {}).unwrap()
}

/// A small cluster of any shape, and what is to be moved off some of its hosts.
fn any_fleet() -> impl Strategy<Value = String> {
    let guest =
        (64..900_u64, 0.0..1.0f64, 0.0..30_000.0f64, 0..4_usize, 0.0..2.0f64, any::<bool>());
    let limits =
        (prop::option::of(1..5_usize), prop::option::of(1..3_usize), prop::option::of(1..4_usize));
    let shape = (2..4_usize, 2..6_usize, any::<bool>(), 1.0..5.0f64, any::<bool>(), 2.0..9.0f64);
    (shape, prop::collection::vec(guest, 1..14), limits, any::<bool>()).prop_map(
        |((leaving, taking, two_racks, ratio, two_sites, cores), guests, (at_once, per_host, per_line), traffic)| {
            let mut text = "name = \"any\"\n".to_owned();
            if two_sites {
                text += "[[site]]\nname = \"s\"\n[[site]]\nname = \"t\"\n\
                    [[wan]]\nbetween = [\"s\", \"t\"]\ncapacity = \"700Mbit/s\"\nrtt = \"3ms\"\n";
            }
            let there = if two_sites { "site = \"t\"\n" } else { "" };
            text += &format!("[[rack]]\nname = \"r\"\nover_subscription = {ratio:.2}\n");
            if two_racks || two_sites {
                text += &format!("[[rack]]\nname = \"q\"\nover_subscription = {ratio:.2}\n{there}");
            }
            let other = if two_racks || two_sites { "q" } else { "r" };
            for (name, count, rack) in [("a", leaving, "r"), ("b", taking, other)] {
                text += &format!(
                    "[[host]]\nname = \"{name}{{n}}\"\ncount = {count}\nrack = [\"{rack}\"]\nmemory = \"16GiB\"\ncores = {cores:.2}\nnic = \"1Gbit/s\"\n"
                );
            }
            for (index, (mib, touched, rate, mode, cpu, throttle)) in guests.iter().enumerate() {
                let pages = mib * 256;
                let (touched, wss) = ((pages as f64 * touched) as u64, pages / 3);
                let mode = ["precopy", "postcopy", "paused", "offline"][*mode];
                text += &format!(
                    "[[vm]]\non = [\"a{}\"]\ncpu = {cpu:.2}\nguest = {{ name = \"v{index}\", vcpus = 2, memory = \"{mib}MiB\", touched = \"{}p\", \
                     workload = \"uniform(wss={wss}p, rate={rate:.0}p/s)\", migration = {{ mode = \"{mode}\", auto_converge = {throttle} }} }}\n",
                    index % leaving + 1,
                    touched.max(wss).min(pages),
                );
            }
            if traffic {
                text += "[[traffic]]\nfrom = \"a1\"\nto = \"b1\"\nrate = \"400Mbit/s\"\nbegin = \"1s\"\nend = \"6s\"\n";
            }
            text += "[moves]\noff = [\"a*\"]\nto = [\"b*\"]\n";
            for (key, limit) in [("at_once", at_once), ("per_host", per_host), ("per_link", per_line)] {
                text += &limit.map_or(String::new(), |limit| format!("{key} = {limit}\n"));
            }
            text
        },
    )
}

/// When moves under way are counted at both ends: the most memory that guests had on each host.
fn most_memory(cluster: &Cluster, found: &FleetOutcome) -> Vec<u128> {
    let size = |vm: usize| u128::from(cluster.vms[vm].guest.memory.bytes().0);
    let mut changes: Vec<(SimTime, bool, usize, u128)> = Vec::new();
    for one in &found.moves {
        let [from, to] = one.hosts;
        changes.push((one.began, true, to, size(one.vm)));
        let left = if one.outcome.completed() { from } else { to };
        changes.push((one.ended(), false, left, size(one.vm)));
    }
    // What comes free at a moment is free for what begins then.
    changes.sort_by_key(|(at, comes, ..)| (*at, *comes));
    let mut used = vec![0_u128; cluster.hosts.len()];
    for vm in 0..cluster.vms.len() {
        used[cluster.vms[vm].host] += size(vm);
    }
    let mut most = used.clone();
    for (_, comes, host, bytes) in changes {
        used[host] = if comes { used[host] + bytes } else { used[host] - bytes };
        most[host] = most[host].max(used[host]);
    }
    most
}

fn check(fleet: &Fleet, profile: &Profile) -> Result<(), TestCaseError> {
    let found = moved(fleet, profile);
    let cluster = &fleet.cluster;
    // Each guest is moved once or never, and is then at one host: the one or the other.
    let mut met: Vec<usize> = found
        .moves
        .iter()
        .map(|one| one.index)
        .chain(found.never.iter().map(|(index, _)| *index))
        .collect();
    met.sort_unstable();
    prop_assert_eq!(met, (0..fleet.moves.len()).collect::<Vec<_>>());
    for one in &found.moves {
        prop_assert_eq!(
            (one.vm, one.hosts[1]),
            (fleet.moves[one.index].vm, fleet.moves[one.index].to)
        );
        let o = &one.outcome;
        prop_assert_eq!(o.terms.tmt(), o.ended_at);
        if o.completed() {
            prop_assert_eq!(o.downtime_parts.total(), o.terms.tdt());
        }
        prop_assert!(one.lost_s >= o.downtime().map_or(0.0, SimTime::as_secs_f64) - 1e-9);
    }
    for (host, most) in cluster.hosts.iter().zip(most_memory(cluster, &found)) {
        prop_assert!(
            most <= u128::from(host.memory.0),
            "{} of {} on {}",
            most,
            host.memory,
            &host.name
        );
    }
    // Every byte that was sent has passed each line on its way, and no line more than it can.
    let mut expected: BTreeMap<Link, (f64, f64)> = BTreeMap::new();
    for one in &found.moves {
        let share = profile.share(cluster.vms[one.vm].transport);
        let (route, _) = cluster.route(one.hosts[0], one.hosts[1]).unwrap();
        let state = if one.outcome.mode == migsim_models::spec::Mode::Offline {
            0.0
        } else {
            profile.switchover.device_bytes.value.as_f64()
        };
        for line in route {
            let (sent, moves) = expected.entry(line).or_default();
            *sent += (one.outcome.wire_bytes as f64 + state) / share;
            *moves += 1.0;
        }
    }
    if found.moves.iter().all(|one| one.outcome.completed()) {
        for (index, line) in found.links.iter().enumerate() {
            let (carried, (sent, moves)) =
                (found.carried.total(index), expected.get(line).copied().unwrap_or_default());
            // Outcomes count whole pages.
            prop_assert!(
                (carried - sent).abs() <= 1.0 + 4400.0 * moves,
                "{:?} carried {} of {}",
                line,
                carried,
                sent
            );
        }
    }
    for (index, line) in found.links.iter().enumerate() {
        let capacity = cluster.capacity(*line).bytes_per_s();
        // Shares are within capacity to the last bit (`shares_are_max_min_fair`); the meter spreads
        // what came over a stretch with one share evenly over it.
        for (at, rate) in found.carried.rates(index) {
            prop_assert!(
                rate <= capacity * 1.01,
                "{:?} carries {} of {} at {} s",
                line,
                rate,
                capacity,
                at
            );
        }
    }
    for (index, host) in cluster.hosts.iter().enumerate() {
        for (at, busy) in found.worked.rates(index) {
            prop_assert!(
                busy <= host.cores * (1.0 + 1e-6),
                "{} of {} cores at {} s",
                busy,
                host.cores,
                at
            );
        }
    }
    // Once more is the same.
    prop_assert_eq!(&moved(fleet, profile), &found);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn nothing_is_lost_or_doubled_and_nothing_is_more_than_full(text in any_fleet()) {
        check(&fleet(&text), &Profile::assumed())?;
    }
}

const PAIR: &str = "[[host]]\nname = \"a\"\nmemory = \"64GiB\"\ncores = 16\nnic = \"1Gbit/s\"\n\
    [[host]]\nname = \"b\"\nmemory = \"64GiB\"\ncores = 16\nnic = \"1Gbit/s\"\n";

#[test]
fn a_fleet_file_of_one_guest_equals_predict_to_the_last_digit() {
    let profile = Profile::assumed();
    for (mode, workload) in [
        ("precopy", "uniform(wss=512MiB, rate=8000p/s)"),
        ("postcopy", "zipf(wss=512MiB, rate=8000p/s, s=0.9)"),
        ("offline", "idle"),
    ] {
        let fleet = fleet(&format!(
            "{PAIR}[[vm]]\non = [\"a\"]\ncpu = 1\nguest = {{ name = \"v\", memory = \"4GiB\", touched = \"3GiB\", workload = \"{workload}\", migration = {{ mode = \"{mode}\" }} }}\n[moves]\noff = [\"a\"]\n"
        ));
        let mut case = case("4GiB", "3GiB", workload, "1Gbit/s");
        case.policy.mode = mode.parse().unwrap();
        let mut alone = answer(&case);
        alone.forget_iterations();
        assert_eq!(moved(&fleet, &profile).moves[0].outcome, alone, "{mode}");
    }
}

#[test]
fn makespans_are_simgrids_where_nothing_but_bandwidth_counts() {
    let guests = |count: usize, rate: &str, limit: &str| {
        fleet(&format!(
            "rtt = \"0s\"\n[[host]]\nname = \"a\"\nmemory = \"64TiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
             [[host]]\nname = \"b{{n}}\"\ncount = 10\nmemory = \"8TiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
             [migration]\ndowntime_limit = \"30ms\"\n\
             [[vm]]\ncount = {count}\non = [\"a\"]\ncpu = 0\nguest = {{ name = \"v{{n}}\", memory = \"2GiB\", workload = \"sweep(wss=2GiB, rate={rate})\" }}\n\
             [moves]\noff = [\"a\"]\nto = [\"b*\"]\n{limit}"
        ))
    };
    // SimGrid 4.1, Migration of 2 GiB over links of 10 Gbit/s: what its own makespan was.
    for (count, rate, limit, seconds) in [
        (100, "20MB/s", "at_once = 10\n", 204.5),
        (1000, "20MB/s", "at_once = 10\n", 2045.0),
        (100, "0.05MB/s", "", 172.5),
        (1000, "0.05MB/s", "", 1789.6),
    ] {
        let found = totals(&moved(&guests(count, rate, limit), &Profile::ideal()));
        assert_eq!(found.moved, count);
        assert!(
            (found.makespan_s / seconds - 1.0).abs() < 0.01,
            "{} s, SimGrid {seconds} s",
            found.makespan_s
        );
    }
}

#[test]
fn short_processors_slow_migrations_and_guests_and_cost_service() {
    let with = |cores: &str| {
        let text =
            PAIR.replace("cores = 16", &format!("cores = {cores}")).replace("1Gbit/s", "25Gbit/s");
        let fleet = fleet(&format!(
            "{text}[[vm]]\non = [\"a\"]\ncpu = 2\nguest = {{ name = \"v\", vcpus = 2, memory = \"8GiB\", workload = \"uniform(wss=256MiB, rate=2000p/s)\" }}\n\
             [[vm]]\non = [\"a\"]\ncpu = 2\nguest = {{ name = \"w\", vcpus = 2, memory = \"8GiB\" }}\n[[move]]\nvm = \"v\"\nto = \"b\"\n"
        ));
        let found = moved(&fleet, &Profile::assumed());
        (
            found.moves[0].outcome.ended_at,
            found.moves[0].lost_s,
            found.moves[0].outcome.downtime().unwrap(),
        )
    };
    let (enough, short) = (with("16"), with("4"));
    assert!(short.0.as_secs_f64() > 1.15 * enough.0.as_secs_f64(), "{short:?}, {enough:?}");
    assert!(short.1 > short.2.as_secs_f64() + 0.1, "the guest gets less than it wants: {short:?}");
    assert!((enough.1 - enough.2.as_secs_f64()).abs() < 1e-9, "{enough:?}");
}

#[test]
fn a_slow_disk_slows_offline_moves_and_those_alone() {
    let with = |storage: &str, mode: &str| {
        let text = PAIR.replacen("cores = 16", &format!("cores = 16\n{storage}"), 1);
        let fleet = fleet(&format!(
            "{text}[[vm]]\non = [\"a\"]\nguest = {{ name = \"v\", memory = \"2GiB\", migration = {{ mode = \"{mode}\" }} }}\n[moves]\noff = [\"a\"]\n"
        ));
        totals(&moved(&fleet, &Profile::assumed())).makespan_s
    };
    let slow = "storage = \"400Mbit/s\"";
    assert!(with(slow, "offline") > with("", "offline") + 30.0);
    assert_eq!(with(slow, "precopy"), with("", "precopy"));
}

#[test]
fn a_guest_waits_until_memory_comes_free_at_its_destination() {
    let text = format!(
        "{PAIR}[[vm]]\non = [\"a\"]\nguest = {{ name = \"v\", memory = \"40GiB\" }}\n[[vm]]\non = [\"b\"]\nguest = {{ name = \"w\", memory = \"40GiB\" }}\n"
    );
    let third = "[[host]]\nname = \"c\"\nmemory = \"64GiB\"\ncores = 16\nnic = \"1Gbit/s\"\n";
    let found = moved(
        &fleet(&format!(
            "{text}{third}[[move]]\nvm = \"v\"\nto = \"b\"\n[[move]]\nvm = \"w\"\nto = \"c\"\n"
        )),
        &Profile::assumed(),
    );
    assert_eq!(found.moves[0].began, found.moves[1].ended(), "the first waits for the second");
    // Two that wait for each other never leave.
    let found = moved(
        &fleet(&format!(
            "{text}[[move]]\nvm = \"v\"\nto = \"b\"\n[[move]]\nvm = \"w\"\nto = \"a\"\n"
        )),
        &Profile::assumed(),
    );
    assert_eq!(found.never.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn other_traffic_leaves_migrations_what_it_does_not_take() {
    let text = format!(
        "{PAIR}[[vm]]\non = [\"a\"]\nguest = {{ name = \"v\", memory = \"4GiB\" }}\n[moves]\noff = [\"a\"]\n"
    );
    let alone = totals(&moved(&fleet(&text), &Profile::ideal())).makespan_s;
    let traffic = "[[traffic]]\nfrom = \"a\"\nto = \"b\"\nrate = \"500Mbit/s\"\nbegin = \"2s\"\nend = \"12s\"\n";
    let shared = totals(&moved(&fleet(&format!("{text}{traffic}")), &Profile::ideal())).makespan_s;
    assert!((shared - alone - 5.0).abs() < 0.05, "{shared} s, {alone} s alone");
}

#[test]
fn replications_are_the_same_on_any_number_of_threads_and_spread_around_what_is_expected() {
    let fleet = read(&crate::support::workspace().join("scenarios/fleet/rack.toml")).unwrap();
    let profile = Profile::default();
    let expected = totals(&moved(&fleet, &profile)).makespan_s;
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| replicate(&fleet, &profile, wanted(7, 24), &AtomicBool::new(false), || {}))
    };
    let (one, three) = (on(1), on(3));
    assert_eq!(one, three);
    let [low, middle, high] = one.likely(|t| t.makespan_s).unwrap();
    assert!(
        low < middle && middle < high && (middle / expected - 1.0).abs() < 0.05,
        "{low} {middle} {high}, {expected}"
    );
    assert!(one.moves.iter().all(|likely| likely.is_some_and(|likely| likely.arrived == 1.0)));
    let other = replicate(&fleet, &profile, wanted(8, 24), &AtomicBool::new(false), || {});
    assert_ne!(one, other, "another seed has other luck");
    let interrupted = replicate(&fleet, &profile, wanted(7, 24), &AtomicBool::new(true), || {});
    assert_eq!((interrupted.wanted, interrupted.totals.len()), (24, 0));
}

#[test]
fn a_send_buffer_that_no_socket_has_is_refused_in_a_fleet_too() {
    let guest = "[[vm]]\non = [\"a\"]\nguest = { name = \"v\", memory = \"1GiB\" }\n";
    for size in ["1B", "2TiB"] {
        let text = format!("{PAIR}{guest}[link]\nsend_buffer = \"{size}\"\n");
        let said = parse(Path::new("f.toml"), &text).unwrap_err().to_string();
        assert!(said.contains("the send buffer takes 4KiB to 1TiB"), "{size}: {said}");
    }
}

/// They were read and ignored.
#[test]
fn what_a_fleet_has_no_use_for_is_refused_by_name() {
    let text = format!(
        "{PAIR}[[vm]]\non = [\"a\"]\nguest = {{ name = \"v\", memory = \"1GiB\", link = {{ rtt = \"1ms\" }} }}\n\
         [link]\ntransport = \"tls\"\ncapacity = \"1Gbit/s\"\nrtt = \"5ms\"\nchanges = [{{ at = \"1s\", capacity = \"1bit/s\" }}]\n"
    );
    let said = parse(Path::new("f.toml"), &text).unwrap_err().to_string();
    let line = |key: &str| 1 + text.lines().position(|line| line.starts_with(key)).unwrap();
    for key in ["capacity", "rtt", "changes"] {
        let expected = format!(
            "f.toml:{}: link.{key} has no effect in a fleet, whose links are nic",
            line(key)
        );
        assert!(said.contains(&expected), "{said}\nlacks {expected}");
    }
    assert!(said.contains(&format!("f.toml:{}: link.rtt has no effect", line("[[vm]]"))), "{said}");
}

#[test]
fn mistakes_are_all_named_each_with_its_line() {
    let text = "name = \"bad\"\ninventory = \"bad-inventory.csv\"\n\
        [[host]]\nname = \"a\"\nmemory = \"8GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[host]]\nname = \"a\"\nmemory = \"8GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[host]]\nname = \"b\"\nmemory = \"8GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[move]]\nvm = \"x\"\nto = \"b\"\n[[move]]\nvm = \"gone\"\nto = \"b\"\n[[move]]\nvm = \"big\"\nto = \"nowhere\"\n";
    let inventory = "name,host,memory,workload\nx,b,1GiB,idle\nx,a,1GiB,idle\nbig,a,9GiB,idle\nlost,c,1GiB,idle\nodd,a,1GiB,unifrom(wss=1p)\n,a,1GiB,idle\nshort,a\n";
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("bad.toml"), text).unwrap();
    std::fs::write(place("bad-inventory.csv"), inventory).unwrap();
    let output = migsim(&["inventory", "check", &place("bad.toml").display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    for wanted in [
        "bad.toml:8", // the second a
        "the name `a` is taken",
        "bad-inventory.csv:3: column `name`: the name `x` is taken by line 2",
        "bad-inventory.csv:5: column `host`: there is no host `c`",
        "bad-inventory.csv:6: column `workload`",
        "bad-inventory.csv:7: column `name` is empty",
        "bad-inventory.csv:8: the row has 2 cells, the header 4",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in\n{said}");
    }
    // What is wrong with the moves shows when the inventory is right.
    std::fs::write(place("bad-inventory.csv"), "name,host,memory\nx,b,1GiB\nbig,a,9GiB\n").unwrap();
    std::fs::write(
        place("bad.toml"),
        text.replacen("name = \"a\"", "name = \"z\"", 2).replacen(
            "name = \"z\"",
            "name = \"a\"",
            1,
        ),
    )
    .unwrap();
    let output = migsim(&["fleet", &place("bad.toml").display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    for wanted in [
        "bad.toml:3: the guests on host `a` have 9GiB of memory, the host 8GiB",
        "bad.toml:18: `x` is at `b` already",
        "bad.toml:21: there is no guest `gone`",
        "bad.toml:24: there is no host `nowhere`",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in\n{said}");
    }
}

#[test]
fn sites_without_a_line_between_them_are_told_apart() {
    let text = "[[site]]\nname = \"s\"\n[[site]]\nname = \"t\"\n[[rack]]\nname = \"r\"\nsite = \"s\"\n[[rack]]\nname = \"q\"\nsite = \"t\"\n\
        [[host]]\nname = \"a\"\nrack = [\"r\"]\nmemory = \"8GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[host]]\nname = \"b\"\nrack = [\"q\"]\nmemory = \"8GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[vm]]\non = [\"a\"]\nguest = { name = \"v\", memory = \"1GiB\" }\n[[move]]\nvm = \"v\"\nto = \"b\"\n";
    let said = parse(Path::new("f.toml"), text).unwrap_err().to_string();
    assert!(said.contains("f.toml:26: no path leads from `a` to `b`"), "{said}");
}

#[test]
fn made_up_fleets_are_moved_and_the_same_seed_makes_the_same() {
    for shape in ["rack", "data-centre", "two-sites"] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        let size = ["--hosts", "3", "--guests", "20", "--out", &place];
        let make = |more: &[&str]| {
            says(&[&["inventory", "generate", shape], &size[..], more].concat());
        };
        make(&[]);
        let read = |ending: &str| {
            std::fs::read_to_string(folder.path().join(format!("{shape}.{ending}"))).unwrap()
        };
        let (file, inventory) = (read("toml"), read("csv"));
        make(&["--force"]);
        assert_eq!((file, inventory), (read("toml"), read("csv")));
        let fleet = format!("{place}/{shape}.toml");
        assert!(
            says(&["inventory", "check", &fleet]).contains("20 guests, 20 moves: nothing wrong")
        );
        let found: serde_json::Value =
            serde_json::from_str(&says(&["fleet", &fleet, "--format", "json"])).unwrap();
        assert_eq!(found["moved"], 20, "{shape}");
    }
}

#[test]
fn the_rack_reads_as_it_always_did() {
    insta::assert_snapshot!(says(&[
        "fleet",
        "scenarios/fleet/rack.toml",
        "--profile",
        "scenarios/profiles/bare-qemu.toml"
    ]));
    insta::assert_snapshot!(
        "the_rack_replicated_reads_as_it_always_did",
        says(&["fleet", "scenarios/fleet/rack.toml", "--replications", "20"])
            .lines()
            .take(4)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[test]
fn pages_and_pictures_need_no_network_and_show_every_guest() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (svg, html) = (place("r.svg"), place("r.html"));
    says(&["fleet", "scenarios/fleet/rack.toml", "--plot", &svg, "--report", &html]);
    let (svg, html) =
        (std::fs::read_to_string(svg).unwrap(), std::fs::read_to_string(html).unwrap());
    assert!(svg.starts_with("<svg") && svg.contains("stop"));
    let page = given(&html);
    let names: Vec<&str> = page["result"]["answer"]["moves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for name in ["web1", "web60", "db20"] {
        assert!(names.contains(&name), "{name} is missing");
    }
    assert_eq!(page["files"][0]["name"], "rack.toml");
    assert_eq!(page["result"]["use"]["memory"].as_array().unwrap().len(), 16);
    assert!(html.contains("default-src 'none'"), "nothing is loaded");
    // Who cannot see them hears what they are.
    assert!(svg.contains("<title>") && svg.contains("<desc>") && svg.contains("viewBox="));
    let made = &page["made"];
    assert!(
        made["command"].as_str().unwrap().starts_with("migsim fleet scenarios/fleet/rack.toml")
    );
    assert!(made["when"].as_str().unwrap().ends_with(" UTC") && made["seed"] == 1);
}

#[test]
fn a_page_is_made_again_byte_by_byte_and_shows_how_likely_each_moment_is() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("r.html");
    let made = || {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_migsim"))
            .args(["fleet", "scenarios/fleet/rack.toml", "--replications", "20", "--report"])
            .arg(&page)
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .current_dir(crate::support::workspace())
            .output()
            .unwrap();
        assert!(done.status.success());
        std::fs::read_to_string(&page).unwrap()
    };
    let first = made();
    assert!(first.contains("2023-11-14 22:13 UTC"));
    assert_eq!(given(&first)["result"]["makespans_s"].as_array().unwrap().len(), 20);
    assert_eq!(first, made());
}

#[test]
fn so_many_at_once_are_compared() {
    let text =
        says(&["fleet", "scenarios/fleet/rack.toml", "--at-once", "1,4,16", "--format", "csv"]);
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "4", "16"]);
    let column =
        text.lines().next().unwrap().split(',').position(|name| name == "makespan_s").unwrap();
    let makespan = |row: usize| rows[row][column].parse::<f64>().unwrap();
    assert!(makespan(0) > makespan(1) && makespan(1) > makespan(2), "{text}");
}

/// The aggregate of parallel migrations: sooner, as long as guests write less than their share of
/// the link.
#[test]
fn more_at_once_are_sooner_done_where_guests_are_quiet_and_later_where_they_are_busy() {
    let makespans = |name: &str| -> Vec<f64> {
        let file = format!("scenarios/fleet/at-once-{name}.toml");
        let text = says(&[
            "fleet",
            &file,
            "--profile",
            "lab",
            "--at-once",
            "1,2,3,8,12",
            "--format",
            "json",
        ]);
        let found: serde_json::Value = serde_json::from_str(&text).unwrap();
        found["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["makespan_s"].as_f64().unwrap())
            .collect()
    };
    let (quiet, busy) = (makespans("quiet"), makespans("busy"));
    assert!(quiet[2] < 0.8 * quiet[0] && quiet[4] < quiet[1], "{quiet:?}");
    assert!(
        busy[1] < 0.9 * busy[0] && busy[3] > 1.05 * busy[0] && busy[4] > 3.0 * busy[1],
        "{busy:?}"
    );
}

/// What a link or a host has is what a file says: units are not lost on the way.
#[test]
fn what_a_file_says_is_what_the_cluster_has() {
    let fleet = fleet(&format!(
        "{PAIR}[[vm]]\non = [\"a\"]\nguest = {{ name = \"v\", memory = \"1GiB\" }}\n"
    ));
    assert_eq!(fleet.cluster.hosts[1].memory, Bytes(64 << 30));
    assert_eq!(fleet.cluster.capacity(Link::Tx(0)), BitRate(1_000_000_000));
    assert!(fleet.moves.is_empty());
}

/// Two hosts; a guest that arrives, one that never converges, and one too many for the destination.
fn some_arrive() -> String {
    let host = |name: &str, gib: u64| {
        format!(
            "[[host]]\nname = \"{name}\"\nmemory = \"{gib}GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n"
        )
    };
    let guest = |name: &str, workload: &str| {
        format!(
            "[[vm]]\non = [\"a\"]\nguest = {{ name = \"{name}\", memory = \"2GiB\", vcpus = 4, workload = \"{workload}\" }}\n"
        )
    };
    format!(
        "{}{}{}{}[moves]\noff = [\"a\"]\n",
        host("a", 64),
        host("b", 64),
        guest("quiet", "uniform(wss=64MiB, rate=100p/s)"),
        guest("busy", "uniform(wss=1GiB, rate=200000p/s)")
    )
}

#[test]
fn a_fleets_time_is_when_the_last_guest_that_arrives_has_arrived() {
    let found = moved(&fleet(&some_arrive()), &Profile::assumed());
    let t = totals(&found);
    assert_eq!((t.arrived, t.not_arrived, t.gave_up, t.never_left), (1, 1, 1, 0));
    let ended =
        |vm: usize| found.moves.iter().find(|one| one.vm == vm).unwrap().ended().as_secs_f64();
    assert_eq!(t.makespan_s, ended(0));
    assert_eq!(t.all_over_s, ended(1));
    assert!(t.all_over_s > t.makespan_s);
}

#[test]
fn every_guest_that_does_not_arrive_is_named_with_its_reason_and_a_remedy_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (file, html) = (place("f.toml"), place("f.html"));
    std::fs::write(&file, some_arrive()).unwrap();
    let run = |more: &[&str]| {
        let output = crate::support::migsim(&[&["fleet", &file][..], more].concat());
        assert_eq!(output.status.code(), Some(1), "some do not arrive");
        String::from_utf8(output.stdout).unwrap()
    };
    let table = run(&["--report", &html]);
    assert!(
        table.contains("1 guest arrives within") && table.contains("busy (a to b) does not arrive"),
        "{table}"
    );
    assert!(table.contains("it would arrive with post-copy"), "{table}");
    assert!(table.contains("Hosts: profile by their network cards, server-1g"), "{table}");
    let page = given(&std::fs::read_to_string(html).unwrap());
    let missing = &page["result"]["answer"]["not_arrived_guests"][0];
    assert!(missing["name"] == "busy" && missing["remedy"].as_str().unwrap().contains("post-copy"));
    let json: serde_json::Value = serde_json::from_str(&run(&["--format", "json"])).unwrap();
    assert_eq!(
        (&json["arrived"], &json["not_arrived"], &json["gave_up"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!(json["not_arrived_guests"][0]["name"], "busy");
    let csv = run(&["--format", "csv"]);
    let busy = csv.lines().find(|line| line.starts_with("busy")).unwrap();
    assert!(busy.contains("does-not-converge") && busy.contains("with post-copy"), "{busy}");
}

#[test]
fn guests_that_never_leave_are_named_too() {
    let text = "[[host]]\nname = \"a\"\nmemory = \"4GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[host]]\nname = \"b\"\nmemory = \"4GiB\"\ncores = 8\nnic = \"1Gbit/s\"\n\
        [[vm]]\non = [\"a\"]\nguest = { name = \"there\", memory = \"4GiB\" }\n\
        [[vm]]\non = [\"b\"]\nguest = { name = \"back\", memory = \"4GiB\" }\n\
        [[move]]\nvm = \"there\"\nto = \"b\"\n[[move]]\nvm = \"back\"\nto = \"a\"\n";
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    for format in ["table", "csv", "json"] {
        let output = crate::support::migsim(&["fleet", path, "--format", format]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            said.contains("there") && said.contains("back") && said.contains("never"),
            "{format}: {said}"
        );
        assert!(
            said.contains("has 0 B free until the end, and it needs 4.00 GiB"),
            "{format}: {said}"
        );
    }
}

#[test]
fn the_single_run_of_a_fleet_lies_within_its_own_replications() {
    let rack = migsim::fleet::read(&crate::support::workspace().join("scenarios/fleet/rack.toml"))
        .unwrap();
    let profile = Profile::default();
    let single = totals(&moved(&rack, &profile));
    let many = replicate(&rack, &profile, wanted(1, 100), &AtomicBool::new(false), || {});
    for (name, of) in [
        ("makespan", (|t: &migsim::fleet::Totals| t.makespan_s) as fn(&_) -> f64),
        ("downtime", |t| t.downtime_s),
        ("bytes", |t| t.wire_bytes),
        ("lost service", |t| t.lost_s),
    ] {
        let values: Vec<f64> = many.totals.iter().map(of).collect();
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
        assert!(
            (low..=high).contains(&of(&single)),
            "{name}: {}, replications {low} to {high}",
            of(&single)
        );
    }
}

/// Of very many guests on one link each is told of its share only now and then; what comes of them
/// all is the same.
#[test]
fn a_large_fleet_ends_when_it_would_if_every_share_were_exact() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let out = folder.path().display().to_string();
    says(&["inventory", "generate", "rack", "--hosts", "100", "--guests", "700", "--out", &out]);
    let alike = "[[rack]]\nname = \"r\"\nuplink = \"200Gbit/s\"\n[[rack]]\nname = \"s\"\nuplink = \"200Gbit/s\"\n\
        [[host]]\nname = \"a\"\ncount = 200\nrack = [\"r\"]\nmemory = \"64GiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
        [[host]]\nname = \"b\"\ncount = 200\nrack = [\"s\"]\nmemory = \"64GiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
        [[vm]]\non = [\"a*\"]\ncount = 200\nguest = { memory = \"2GiB\", touched = \"1GiB\", vcpus = 4, workload = \"sweep(wss=60000p, rate=5000p/s)\" }\n\
        [moves]\noff = [\"a*\"]\nto = [\"b*\"]\n";
    std::fs::write(place("alike.toml"), alike).unwrap();
    let go_on = std::sync::atomic::AtomicBool::new(false);
    for name in ["rack.toml", "alike.toml"] {
        let mut fleet = read(&place(name)).unwrap();
        let mut moved = |tolerance: f64| {
            fleet.tolerance = tolerance;
            totals(&run(&fleet, &Profile::default(), Chance::none(), &go_on, |_| {}).unwrap())
        };
        let (nearly, exact) = (moved(0.001), moved(0.0));
        assert!(exact.most_at_once > 180, "{name} is no crowd");
        let off = |of: fn(&migsim::fleet::Totals) -> f64| (of(&nearly) / of(&exact) - 1.0).abs();
        assert!(
            off(|t| t.makespan_s) < 0.002,
            "{name}: {} and {}",
            nearly.makespan_s,
            exact.makespan_s
        );
        assert!(
            off(|t| t.migration_s) < 0.002,
            "{name}: {} and {}",
            nearly.migration_s,
            exact.migration_s
        );
        assert!(
            off(|t| t.wire_bytes) < 0.001,
            "{name}: {} and {}",
            nearly.wire_bytes,
            exact.wire_bytes
        );
        assert_eq!(nearly.arrived, exact.arrived);
    }
}
