//! How the time of a fleet grows: with its guests at a fixed number of slots, with migrations under
//! way at once, with lines on the way.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use migsim::fleet::{Chance, Fleet, parse, run};
use migsim_models::profile::Profile;

/// Of 2 GiB, writing so much a second.
fn guest(rate: &str) -> String {
    format!("name = \"v{{n}}\", memory = \"2GiB\", workload = \"uniform(wss=512MiB, rate={rate})\"")
}

fn fleet(text: &str) -> Fleet {
    match parse(Path::new("bench.toml"), text) {
        Ok(fleet) => fleet,
        Err(mistakes) => panic!("{mistakes}"),
    }
}

/// So many guests off one host to ten, so many at once.
fn one_to_ten(guests: usize, at_once: usize, rate: &str) -> Fleet {
    fleet(&format!(
        "[[host]]\nname = \"a\"\nmemory = \"512TiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
         [[host]]\nname = \"b{{n}}\"\ncount = 10\nmemory = \"512TiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
         [[vm]]\ncount = {guests}\non = [\"a\"]\ncpu = 0\nguest = {{ {} }}\n\
         [moves]\noff = [\"a\"]\nto = [\"b*\"]\nat_once = {at_once}\n",
        guest(rate)
    ))
}

/// Fifty guests off each of so many hosts to as many others, two at a time a host, through one
/// core.
fn through_a_core(hosts: usize) -> Fleet {
    fleet(&format!(
        "[[site]]\nname = \"s\"\ncore = \"1000Gbit/s\"\n[[rack]]\nname = \"old\"\n[[rack]]\nname = \"new\"\n\
         [[host]]\nname = \"a{{n}}\"\ncount = {hosts}\nrack = [\"old\"]\nmemory = \"128GiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
         [[host]]\nname = \"b{{n}}\"\ncount = {hosts}\nrack = [\"new\"]\nmemory = \"128GiB\"\ncores = 64\nnic = \"10Gbit/s\"\n\
         [[vm]]\ncount = {}\non = [\"a*\"]\ncpu = 0\nguest = {{ {} }}\n\
         [moves]\noff = [\"a*\"]\nto = [\"b*\"]\nper_host = 2\n",
        50 * hosts,
        guest("20MB/s")
    ))
}

fn grows(c: &mut Criterion) {
    let profile = Profile::default();
    let never = AtomicBool::new(false);
    let mut measure = |name: &str, size: usize, fleet: &Fleet| {
        let mut group = c.benchmark_group(name);
        group.sample_size(10).throughput(Throughput::Elements(fleet.moves.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| black_box(run(fleet, &profile, Chance::none(), &never, |_| {})));
        });
        group.finish();
    };
    for guests in [100, 1_000, 10_000] {
        measure("guests, ten at once", guests, &one_to_ten(guests, 10, "20MB/s"));
    }
    for at_once in [1, 10, 100, 1_000] {
        measure("at once, of a thousand", at_once, &one_to_ten(1_000, at_once, "20MB/s"));
    }
    measure(
        "all at once, writing next to nothing",
        10_000,
        &one_to_ten(10_000, 10_000, "0.05MB/s"),
    );
    for hosts in [2, 20, 200, 2_000] {
        measure("hosts of fifty guests each", hosts, &through_a_core(hosts));
    }
}

criterion_group!(benches, grows);
criterion_main!(benches);
