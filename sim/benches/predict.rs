//! How many single migrations a second the simulator predicts, over varied inputs.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use migsim::engine::{DirtyLog, Fidelity, Question};
use migsim_models::profile::Profile;
use migsim_models::spec::{Guest, Layout, Path, Policy, Transport};
use migsim_models::units::{BitRate, Pages, SimTime};

/// About 4 GiB, 1 Gbit/s, 50 MB/s of uniform dirtying, the default downtime limit: each question
/// another.
fn questions(workload: &str) -> Vec<(Guest, Path)> {
    (0..256_u64)
        .map(|i| {
            let guest = Guest {
                name: String::new(),
                touched: Pages((1 << 19) + i * 1024),
                vcpus: 2,
                workload: workload
                    .replace("RATE", &format!("{}p/s", 11_000 + i * 10))
                    .parse()
                    .unwrap_or_default(),
                layout: Layout::Mixed,
                delta_bytes: 0,
                ..Guest::of(Pages((1 << 20) + i * 512))
            };
            let path = Path {
                capacity: BitRate(1_000_000_000 + i * 100_000),
                rtt: SimTime(200_000),
                transport: Transport::Tcp,
                send_buffer: None,
                changes: Vec::new(),
            };
            (guest, path)
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let (policy, profile) = (Policy::default(), Profile::default());
    let mut group = c.benchmark_group("predict");
    for (name, workload) in [
        ("uniform", "uniform(wss=100000p, rate=RATE)"),
        ("sweep", "sweep(wss=100000p, rate=RATE)"),
        ("two classes", "uniform(wss=20000p, rate=RATE) + uniform(wss=200000p, rate=800p/s)"),
        (
            "five classes",
            "uniform(wss=20000p, rate=RATE) + uniform(wss=40000p, rate=4000p/s) + uniform(wss=60000p, rate=2000p/s) + uniform(wss=80000p, rate=1000p/s) + uniform(wss=100000p, rate=500p/s)",
        ),
        ("curve", "curve(1s:9000p, 2s:15000p, 5s:28000p, 10s:43000p, 30s:80000p)"),
        ("zipf", "zipf(wss=100000p, rate=RATE, s=0.99)"),
    ] {
        let questions = questions(workload);
        group.throughput(Throughput::Elements(questions.len() as u64));
        group.bench_function(name, |b| {
            b.iter_batched(
                || (),
                |()| {
                    for (guest, path) in &questions {
                        let question = Question {
                            guest,
                            path,
                            policy: &policy,
                            profile: &profile,
                            dirty_log: DirtyLog::default(),
                        };
                        black_box(question.answer(Fidelity::Flow, SimTime::ZERO));
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
