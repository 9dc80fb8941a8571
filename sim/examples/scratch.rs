//! x
#![allow(warnings, clippy::all)]
use migsim::world::*;
use migsim_models::{profile::Profile, spec::*, units::*};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let guest = Guest { name: "g".into(), memory: a[1].parse().unwrap(), touched: a[2].parse().unwrap(), vcpus: 1,
        workload: a[3].parse().unwrap(), phase_offset: None, layout: a[5].parse().unwrap(), delta_bytes: 64 };
    let path = Path { capacity: a[4].parse().unwrap(), rtt: SimTime(100_000), transport: Transport::Tcp, changes: vec![] };
    let mut policy = Policy::default();
    for x in &a[6..] { match x.as_str() {
        "ac" => policy.auto_converge = Some(Default::default()),
        "xb" => policy.xbzrle = Some(Policy::DEFAULT_XBZRLE),
        "post" => policy.mode = Mode::Postcopy,
        "off" => policy.mode = Mode::Offline,
        "paused" => policy.mode = Mode::Paused,
        "t60" => policy.timeout = Some(SimTime::from_secs(60)),
        _ => {} } }
    let profile = Profile::default();
    let q = Question { guest: &guest, path: &path, policy: &policy, profile: &profile, dirty_log: DirtyLog::Chunked { pages: 1<<18 } };
    for f in [Fidelity::Flow, Fidelity::Page { seed: 1 }] {
        let o = q.answer(f, SimTime::ZERO);
        println!("{f:?} {:?} tmt {:?} down {:?} n {} z {} e {} wire {} syncs {} faults {:?}", o.ending, o.tmt().map(|t| t.as_secs_f64()), o.downtime().map(|t| t.as_millis_f64()), o.normal_pages, o.zero_pages, o.encoded_pages, o.wire_bytes, o.dirty_syncs, o.faults);
        println!("   {:?}", o.downtime_parts.named().iter().map(|(n,t)| format!("{n} {:.1}", t.as_millis_f64())).collect::<Vec<_>>());
        for r in o.rounds.iter().take(6) { println!("   {} {:.4}-{:.4} n {:.0} z {:.0} left {:.0} thr {}", r.n, r.start.as_secs_f64(), r.end.as_secs_f64(), r.pages.normal, r.pages.zero, r.dirty_pages_at_end, r.throttle_percent); }
    }
}
