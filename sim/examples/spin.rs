//! x
#![allow(warnings, clippy::all)]
use migsim::world::*;
use migsim_models::{profile::Profile, spec::*, units::*};
fn main() {
    let policy = Policy::default(); let profile = Profile::default();
    let guest = Guest { name: "g".into(), memory: Pages(1<<20), touched: Pages(1<<19), vcpus: 2,
        workload: "uniform(wss=100000p, rate=12000p/s)".parse().unwrap(), phase_offset: None, layout: Layout::Mixed, delta_bytes: 64 };
    let path = Path { capacity: BitRate(1_000_000_000), rtt: SimTime(100_000), transport: Transport::Tcp, changes: vec![] };
    let q = Question { guest: &guest, path: &path, policy: &policy, profile: &profile, dirty_log: DirtyLog::Chunked { pages: 1<<18 } };
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let t = std::time::Instant::now();
    let mut s = 0; let mut r=0;
    for _ in 0..n { let o = q.answer(Fidelity::Flow, SimTime::ZERO); s += o.wire_bytes; r += o.rounds.len(); }
    println!("{s} rounds {} {:.0}/s", r / n, n as f64 / t.elapsed().as_secs_f64());
}
