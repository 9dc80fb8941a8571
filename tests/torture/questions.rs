//! Random questions with nothing narrowed, and what must hold of every answer.

use std::time::Duration;

use migsim::answer::{Answer, Draws, Hosts, Lever, Remedy, Setting, Understood, predict};
use migsim::engine::{Bottleneck, Decision, Ending, Fidelity, Outcome};
use migsim::input::{Case, Keys};
use migsim_models::profile::Profile;
use migsim_models::qemu::Version;
use migsim_models::spec::{CapacityChange, Layout, Mode, OnTimeout, SpecError, Transport};
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use migsim_report::format::{Answered, FORMATS, text};
use migsim_report::plot;
use migsim_report::predict::Predicted;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::unfit::unfit;

/// No answer takes longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);
/// But the reference, which replays each write.
const LONGEST_BY_PAGE: Duration = Duration::from_secs(8);

/// The profiles that questions are asked of, each with the draws around it.
pub(crate) struct Profiles(Vec<(&'static str, Hosts, Draws)>);

impl Profiles {
    pub(crate) fn new() -> Profiles {
        let all = [
            ("default", Profile::default()),
            ("assumed", Profile::assumed()),
            ("ideal", Profile::ideal()),
        ];
        Profiles(
            all.into_iter()
                .map(|(name, profile)| {
                    let draws = Draws::around(&profile);
                    (name, Hosts::given(profile), draws)
                })
                .collect(),
        )
    }
}

/// One question.
pub(crate) struct Question<'a> {
    pub(crate) keys: Keys,
    pub(crate) case: Case,
    profile: &'a (&'static str, Hosts, Draws),
    rng: ChaCha8Rng,
}

impl Question<'_> {
    pub(crate) fn answer(&self) -> Outcome {
        predict(&self.case, &self.profile.1.profile, Fidelity::Flow)
    }
}

pub(crate) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng
}

pub(crate) fn pick<T: Clone>(rng: &mut ChaCha8Rng, of: &[T]) -> T {
    of[rng.random_range(0..of.len())].clone()
}

/// From `low` to `high`, each power of ten as likely as any other.
pub(crate) fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low * libm::pow(high / low, rng.random())
}

fn time(rng: &mut ChaCha8Rng, low_s: f64, high_s: f64) -> SimTime {
    SimTime::from_secs_f64(between(rng, low_s, high_s))
}

fn term(rng: &mut ChaCha8Rng, most: u64) -> String {
    let wss = (between(rng, 1.0, most.max(2) as f64) as u64).clamp(1, most.max(1));
    let rate = if rng.random_bool(0.05) { 0.0 } else { between(rng, 1e-3, 1e7) };
    let closed = if rng.random_bool(0.3) { ", closed" } else { "" };
    match rng.random_range(0..10) {
        0..=3 => format!("uniform(wss={wss}p, rate={rate}p/s{closed})"),
        4..=5 => format!("sweep(wss={wss}p, rate={rate}p/s{closed})"),
        6..=7 => {
            format!(
                "zipf(wss={wss}p, rate={rate}p/s, s={}{closed})",
                pick(rng, &[0.0, 0.6, 0.99, 1.0, 1.5, 10.0])
            )
        }
        _ => {
            let mut window = between(rng, 1e-5, 10.0);
            let mut pages = rng.random_range(0..=wss);
            let points: Vec<String> = (0..rng.random_range(1..6))
                .map(|_| {
                    let point = format!("{}ns:{}p", (window * 1e9) as u64 + 1, pages);
                    window *= between(rng, 1.01, 10.0);
                    pages = (pages as f64 * between(rng, 1.0, 3.0)).min(wss as f64) as u64;
                    point
                })
                .collect();
            format!("curve({}{closed})", points.join(", "))
        }
    }
}

fn workload(rng: &mut ChaCha8Rng, memory: u64) -> String {
    if rng.random_bool(0.15) {
        return "idle".to_owned();
    }
    let count = pick(rng, &[1, 1, 1, 2, 2, 3, 4]);
    let terms: Vec<String> = (0..count)
        .map(|_| {
            let term = term(rng, memory / count);
            if !rng.random_bool(0.25) {
                return term;
            }
            let [on, off] = [1e-6, 1e-7].map(|low| (between(rng, low, 1000.0) * 1e9) as u64);
            format!("phase(on={}ns, off={off}ns, {term})", on.max(1))
        })
        .collect();
    terms.join(" + ")
}

/// The question of that number; an error where it is refused, which is an answer too.
pub(crate) fn question(
    profiles: &Profiles,
    seed: u64,
    index: u64,
) -> Result<Question<'_>, SpecError> {
    let mut rng = stream(seed, index);
    let r = &mut rng;
    let mut keys = Keys::default();
    let memory = between(r, 1.0, (24_u64 << 28) as f64) as u64;
    keys.guest.memory = Some(Pages(memory));
    if r.random_bool(0.7) {
        keys.guest.touched = Some(Pages(
            pick(
                r,
                &[0, 1, memory / 2, memory, (memory as f64 * r.clone().random::<f64>()) as u64],
            )
            .min(memory),
        ));
    }
    keys.guest.workload = Some(workload(r, memory).parse().map_err(
        |e: migsim_models::workload::NotationError| SpecError {
            key: "workload",
            message: e.to_string(),
        },
    )?);
    keys.guest.vcpus = Some(pick(r, &[1, 1, 2, 4, 64, 512]));
    keys.guest.layout = Some(pick(r, &[Layout::Mixed, Layout::Front, Layout::Back]));
    keys.guest.zero_head = r.random_bool(0.1).then_some(Pages(memory / 7));
    keys.guest.phase_offset = r.random_bool(0.5).then(|| SimTime(r.random()));
    keys.guest.delta_bytes = Some(r.random_range(0..=4096));
    let link = between(r, 1.0, 1e13);
    keys.link.capacity = Some(BitRate(link as u64));
    keys.link.rtt =
        Some(pick(r, &[SimTime::ZERO, SimTime(200_000), time(&mut r.clone(), 1e-6, 10.0)]));
    keys.link.transport =
        Some(pick(r, &[Transport::Tcp, Transport::Tls, Transport::Tunnelled, Transport::Ssh]));
    keys.link.send_buffer = r.random_bool(0.2).then(|| Bytes(between(r, 4096.0, 1e10) as u64));
    if r.random_bool(0.25) {
        let mut at = 0.0;
        let pass_s = memory as f64 * 32_832.0 / link;
        let changes = (0..r.random_range(1..4)).map(|_| {
            at += pass_s * between(r, 1e-3, 3.0);
            let capacity = if r.random_bool(0.2) { 0.0 } else { link * between(r, 1e-3, 1e3) };
            CapacityChange { at: SimTime::from_secs_f64(at), capacity: BitRate(capacity as u64) }
        });
        keys.link.changes = Some(changes.collect());
    }
    let m = &mut keys.migration;
    m.mode = Some(pick(
        r,
        &[Mode::Precopy, Mode::Precopy, Mode::Precopy, Mode::Postcopy, Mode::Paused, Mode::Offline],
    ));
    let versions = [
        "0.12", "1.0", "1.3", "1.6", "2.3", "2.5", "2.6", "2.11", "4.0", "7.2", "8.0", "9.0",
        "9.2", "10.0", "10.1", "10.2", "11.0",
    ];
    m.qemu = Some(pick(r, &versions).parse::<Version>().unwrap_or(Version::V7_2));
    m.downtime_limit = Some(pick(
        r,
        &[SimTime::ZERO, SimTime::from_millis(300), time(&mut r.clone(), 1e-4, 2000.0)],
    ));
    m.bandwidth_cap =
        r.random_bool(0.25).then(|| BitRate((link * between(r, 1e-3, 10.0)).max(1.0) as u64));
    m.auto_converge = Some(r.random_bool(0.3));
    m.xbzrle = Some(r.random_bool(0.2));
    m.xbzrle_cache = r.random_bool(0.3).then(|| Bytes(between(r, 4096.0, 1e11) as u64));
    m.multifd_channels = r.random_bool(0.2).then(|| r.random_range(1..=255));
    match r.random_range(0..4) {
        0 => m.postcopy_after_passes = Some(r.random_range(0..5)),
        1 => m.postcopy_after = Some(time(r, 1e-3, 1e5)),
        _ => {}
    }
    if r.random_bool(0.3) {
        m.timeout = Some(time(r, 1e-9, 10.0 * 86_400.0));
        m.on_timeout = Some(pick(r, &[OnTimeout::Abort, OnTimeout::Suspend, OnTimeout::Postcopy]));
    }
    m.log_chunk = r
        .random_bool(0.3)
        .then(|| Bytes(if r.random_bool(0.3) { 0 } else { between(r, 262_144.0, 1e12) as u64 }));
    let profile = &profiles.0[r.random_range(0..profiles.0.len())];
    let case = Case::build(&keys)?;
    Ok(Question { keys, case, profile, rng })
}

/// Everything that is wrong with the answer to a question; nothing, if all is well. `thorough` asks
/// also how sure it is, what would help, and for every format.
pub(crate) fn faults(question: &mut Question, thorough: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let began = worked();
    let (case, (name, hosts, draws)) = (&question.case, question.profile);
    let profile = &hosts.profile;
    let outcome = question.answer();
    slow(began, LONGEST, "expected counts", &mut faults);
    check(case, profile, &outcome, &mut faults);
    if question.rng.random_bool(0.02) && question.answer() != outcome {
        faults.push("asked again it answers otherwise".to_owned());
    }
    if thorough {
        let understood = Understood::of(&question.keys, case, hosts);
        let began = worked();
        let answer = Answer::new(case.clone(), hosts, Some(draws), Fidelity::Flow, understood);
        slow(began, 2 * LONGEST, "with intervals and advice", &mut faults);
        quantiles(&answer, &mut faults);
        remedies(&answer, profile, &mut faults);
        // Where nothing costs anything, nothing binds.
        if *name != "ideal" {
            binding(case, profile, &outcome, &mut faults);
        }
        formats(&answer, &mut faults);
    }
    if case.guest.memory.0 < 30_000 && question.rng.random_bool(0.1) {
        let began = worked();
        check(case, profile, &predict(case, profile, Fidelity::Page { seed: 1 }), &mut faults);
        slow(began, LONGEST_BY_PAGE, "page by page", &mut faults);
    }
    faults
}

/// What this thread has worked: how long an answer takes where nothing else runs.
pub(crate) fn worked() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_or(Duration::ZERO, Duration::from)
}

fn slow(began: Duration, most: Duration, what: &str, faults: &mut Vec<String>) {
    let took = worked() - began;
    if took > most {
        faults.push(format!("{what}: took {:.1} s", took.as_secs_f64()));
    }
}

/// What must hold of every outcome.
fn check(case: &Case, profile: &Profile, outcome: &Outcome, faults: &mut Vec<String>) {
    let mut claim = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            faults.push(what());
        }
    };
    let t = &outcome.terms;
    claim(t.tmt() == outcome.ended_at, &|| {
        format!("TI + OV is {}, it ends at {}", t.tmt(), outcome.ended_at)
    });
    let numbers =
        [outcome.faults.count, outcome.faults.stalled_s, outcome.throttled_s(), outcome.lost_s()];
    claim(numbers.iter().all(|n| n.is_finite() && *n >= 0.0), &|| format!("{numbers:?}"));
    for iteration in &outcome.iterations {
        let n = [
            iteration.pages.normal,
            iteration.pages.zero,
            iteration.pages.encoded,
            iteration.pages.unchanged,
            iteration.wire_bytes,
        ];
        let more =
            [iteration.unsent_pages, iteration.dirty_pages_at_end, iteration.threshold_bytes];
        // Of what is sent a difference of large sums may be a little below nothing.
        let sums = n
            .iter()
            .all(|n| n.is_finite() && *n >= -1e-3 * (1.0 + outcome.wire_bytes as f64 * 1e-9));
        claim(sums && more.iter().all(|n| n.is_finite() && *n >= 0.0), &|| {
            format!("{iteration:?}")
        });
        claim(iteration.start <= iteration.end && iteration.throttle_percent <= 99, &|| {
            format!("{iteration:?}")
        });
    }
    for pair in outcome.iterations.windows(2) {
        let follow = pair[0].end == pair[1].start && pair[1].n == pair[0].n + pair[1].stands_for;
        claim(follow, &|| format!("{:?} is followed by {:?}", pair[0], pair[1]));
        let (found, sent) =
            (pair[0].dirty_pages_at_end, pair[1].pages.total() + pair[1].unsent_pages);
        // What was skipped ends where the link changes, in the middle of an iteration.
        let skipped = pair[1].stands_for > 1
            || case.path.changes.iter().any(|change| change.at == pair[1].end);
        let same = pair[0].decision != Decision::Iterate
            || skipped
            || (found - sent).abs() <= 2.0 + found * 1e-9;
        claim(same, &|| format!("of {found} pages {sent} are sent or left over: {:?}", pair[1]));
    }
    if case
        .guest
        .workload
        .classes(case.guest.memory, case.guest.touched)
        .iter()
        .all(|class| class.rate == 0.0)
    {
        let cut = case.path.changes.iter().any(|change| change.capacity.0 == 0);
        let waits = case.policy.timeout.is_some();
        let ends =
            outcome.completed() || cut || waits || matches!(outcome.ending, Ending::GaveUp(_));
        claim(ends, &|| format!("an idle guest does not converge: {:?}", outcome.ending));
    }
    if !outcome.completed() {
        return;
    }
    claim(outcome.downtime_parts.total() == t.tdt(), &|| {
        format!("{:?} is not {}", outcome.downtime_parts, t.tdt())
    });
    claim(t.tdt() <= t.tmt(), &|| format!("down for {} of {}", t.tdt(), t.tmt()));
    let reported = outcome.reported_downtime().unwrap_or_default();
    claim(reported <= t.tdt(), &|| format!("{reported} of {} are reported", t.tdt()));
    let sent =
        outcome.normal_pages + outcome.zero_pages + outcome.encoded_pages + outcome.unchanged_pages;
    let (firmware, firmware_zero) = profile.guest.firmware();
    let all = case.guest.memory.0 + firmware + firmware_zero;
    claim(sent + 2 + all / 1_000_000_000 >= all, &|| format!("{sent} pages of {all} are sent"));
    if case.policy.xbzrle.is_none() {
        let touched = case.guest.touched.0 + firmware;
        let normal = outcome.normal_pages;
        claim(normal + 2 + touched / 1_000_000_000 >= touched, &|| {
            format!("{normal} normal pages of {touched} touched")
        });
    }
    if case.policy.mode != Mode::Offline && outcome.ended_at > SimTime(1_000_000) {
        // No faster than the fastest that the link ever is.
        let fastest = case
            .path
            .changes
            .iter()
            .map(|c| c.capacity)
            .chain([case.path.capacity])
            .max()
            .unwrap_or_default();
        let most = carried(case, outcome.ended_at.as_secs_f64())
            .min(fastest.bytes_per_s() * outcome.ended_at.as_secs_f64());
        let wire = outcome.wire_bytes as f64;
        // Counts of pages are rounded, each kind by half a page, and the ends of iterations to
        // nanoseconds.
        let rounding =
            8300.0 + (outcome.iteration_count + 50) as f64 * 1e-9 * fastest.bytes_per_s();
        claim(wire <= most * 1.000_1 + rounding, &|| {
            format!("{wire} bytes, the link carries {most}")
        });
    }
}

/// What the link carries by then.
fn carried(case: &Case, until_s: f64) -> f64 {
    let (mut at, mut rate, mut sum) = (0.0, case.path.capacity.bytes_per_s(), 0.0);
    for change in &case.path.changes {
        let next = change.at.as_secs_f64().min(until_s);
        sum += rate * (next - at).max(0.0);
        (at, rate) = (f64::max(at, next), change.capacity.bytes_per_s());
    }
    sum + rate * (until_s - at).max(0.0)
}

fn quantiles(answer: &Answer, faults: &mut Vec<String>) {
    let Some(sure) = &answer.quantiles else { return };
    if !(0.0..=1.0).contains(&sure.p_converge) {
        faults.push(format!("a probability of {}", sure.p_converge));
    }
    let Some(times) = &sure.times else { return };
    for (name, p) in [
        ("total", times.elapsed_ms),
        ("downtime", times.downtime_ms),
        ("reported", times.reported_ms),
    ] {
        let all = [p.p5, p.p25, p.p50, p.p75, p.p95];
        let rises = all.windows(2).all(|pair| pair[0] <= pair[1]);
        if !(rises && all.iter().all(|ms| ms.is_finite() && *ms >= 0.0)) {
            faults.push(format!("percentiles of {name}: {all:?}"));
        }
    }
    if let Some(timeout) = answer.case.policy.timeout {
        let (p5, p95) = (times.elapsed_ms.p5, times.elapsed_ms.p95);
        let waited = answer.outcome.timed_out_at.is_some() && sure.p_converge == 1.0;
        let early = waited && p5 < timeout.as_millis_f64() * 0.999;
        // Some draws may be over before the timeout that the others wait for.
        if early && answer.outcome.ended_at > timeout + timeout {
            faults
                .push(format!("interval {p5} to {p95} ms begins before the timeout of {timeout}"));
        }
    }
}

/// Each remedy converges, and with a value so much that 5 % less does not do.
fn remedies(answer: &Answer, profile: &Profile, faults: &mut Vec<String>) {
    let Some(advice) = &answer.advice else { return };
    for remedy in &advice.remedies {
        let converges = |setting: Setting| {
            predict(&Remedy::of(remedy.lever, setting, &answer.case), profile, Fidelity::Flow)
                .completed()
        };
        if !converges(remedy.setting) {
            faults.push(format!("{:?} of {:?} does not help", remedy.lever, remedy.setting));
        }
        let short = match remedy.setting {
            Setting::Switched => continue,
            Setting::Rate(rate) => Setting::Rate(BitRate((rate.0 as f64 * 0.95) as u64)),
            Setting::Time(time) => Setting::Time(SimTime((time.0 as f64 * 0.95) as u64)),
            Setting::Size(size) => Setting::Size(Bytes((size.0 as f64 * 0.95) as u64)),
            Setting::Count(count) => Setting::Count(count - 1),
        };
        // Less than there is now is no remedy.
        let now = match remedy.lever {
            Lever::Link => Some(Setting::Rate(answer.case.path.capacity)),
            Lever::BandwidthCap => answer.case.policy.bandwidth_cap.map(Setting::Rate),
            Lever::SendBuffer => answer.case.path.send_buffer.map(Setting::Size),
            Lever::DowntimeLimit => Some(Setting::Time(answer.case.policy.downtime_limit)),
            Lever::Timeout => answer.case.policy.timeout.map(Setting::Time),
            _ => None,
        };
        if amount(short) > now.map_or(0, amount) && converges(short) {
            faults.push(format!(
                "{:?} of {:?} helps already, not only {:?}",
                remedy.lever, short, remedy.setting
            ));
        }
    }
}

fn amount(setting: Setting) -> u64 {
    match setting {
        Setting::Switched => 0,
        Setting::Rate(rate) => rate.0,
        Setting::Time(time) => time.0,
        Setting::Size(size) => size.0,
        Setting::Count(count) => count.into(),
    }
}

/// What is named as the bottleneck is one: twice as much of it changes the answer.
fn binding(case: &Case, profile: &Profile, outcome: &Outcome, faults: &mut Vec<String>) {
    // Of one that was given up at its timeout, or cut off, that is what binds.
    // Nor where all pages are there before the guest is: then it is waited for something else.
    let hidden = outcome.switched_at.is_some() && outcome.resumed_at == Some(outcome.ended_at);
    let asked = outcome.wire_bytes > 10_000_000
        && !hidden
        && matches!(outcome.ending, Ending::Completed | Ending::NoProgress);
    let Some(bound) = outcome.bound.filter(|_| asked) else { return };
    let (mut case, mut profile) = (case.clone(), profile.clone());
    let twice = |rate: BitRate| BitRate(rate.0.saturating_mul(2));
    let twice_pages = |rate: &mut migsim_models::units::PageRate| {
        *rate = migsim_models::units::PageRate::new(rate.pages_per_s() * 2.0).unwrap_or(*rate);
    };
    match bound.by {
        Bottleneck::Link => {
            case.path.capacity = twice(case.path.capacity);
            for change in &mut case.path.changes {
                change.capacity = twice(change.capacity);
            }
        }
        Bottleneck::Cap => case.policy.bandwidth_cap = case.policy.bandwidth_cap.map(twice),
        Bottleneck::TcpWindow => {
            let buffer = case.path.send_buffer.unwrap_or(profile.network.queue_bytes.value);
            case.path.send_buffer = Some(Bytes(buffer.0.saturating_mul(2)));
        }
        Bottleneck::Transport => {
            for rate in profile.network.carrier_rate.values_mut() {
                rate.value = twice(rate.value);
            }
            if case.path.transport == Transport::Ssh {
                case.path.rtt = SimTime(case.path.rtt.0 / 2);
            }
        }
        Bottleneck::SendingThread => twice_pages(&mut profile.cpu.page_rate.value),
        Bottleneck::ZeroPageScan => twice_pages(&mut profile.cpu.zero_page_rate.value),
    }
    let relaxed = predict(&case, &profile, Fidelity::Flow);
    if (relaxed.ended_at, relaxed.wire_bytes) == (outcome.ended_at, outcome.wire_bytes) {
        faults.push(format!("{bound:?} is named, and twice as much changes nothing"));
    }
}

/// Keys of JSON that are null where there is nothing to tell.
const MAY_BE_NULL: [&str; 32] = [
    "reason",
    "reported_downtime_s",
    "p_converge",
    "intervals",
    "bound_by_words",
    "would_converge_with",
    "models",
    "doi",
    "tmt_s",
    "downtime_s",
    "resumed_s",
    "source_free_s",
    "switched_s",
    "timed_out_s",
    "given_up_s",
    "link_mbit",
    "downtime_limit_s",
    "auto_converge",
    "postcopy",
    "bound_by",
    "iterations_bound_by",
    "remedy",
    "began_s",
    "ended_s",
    "rounds",
    "makespan_s",
    "worst_downtime_s",
    "migration_s",
    "lost_s",
    "wire_bytes",
    "quantiles",
    "best",
];

/// Numbers of a JSON value that cannot be.
pub(crate) fn unfit_json(value: &serde_json::Value, key: &str) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::Null if !MAY_BE_NULL.contains(&key) => Some(format!("{key} is null")),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            let fit = number.is_finite()
                && (number > 0.0 || number.to_bits() == 0)
                && number != u64::MAX as f64;
            (!fit).then(|| format!("{key} is {number}"))
        }
        Value::Array(all) => all.iter().find_map(|one| unfit_json(one, key)),
        Value::Object(all) => all.iter().find_map(|(key, one)| unfit_json(one, key)),
        _ => None,
    }
}

fn formats(answer: &Answer, faults: &mut Vec<String>) {
    let said = Predicted { answers: std::slice::from_ref(answer), explain: true };
    faults.extend(unfit_json(&said.value(), "").map(|what| format!("JSON: {what}")));
    let texts = FORMATS.map(|format| (format.name(), text(&said, format).unwrap_or_default()));
    let texts = texts.into_iter().filter(|(name, _)| !name.starts_with("json"));
    let texts = texts.chain([("SVG", plot::iterations(std::slice::from_ref(answer)).svg())]);
    for (name, text) in texts {
        faults.extend(unfit(&text).map(|what| format!("{name}: `{what}`")));
    }
}
