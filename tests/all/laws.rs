//! What must hold for every question.

use migsim::engine::{DirtyLog, Fidelity, Outcome};
use migsim::input::Case;
use migsim_models::profile::Profile;
use migsim_models::qemu::AutoConverge;
use migsim_models::spec::{Layout, Mode, OnTimeout, Switch, Transport};
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use proptest::prelude::*;

use crate::support::{answer, case};

fn any_case() -> impl Strategy<Value = Case> {
    let workload = prop_oneof![
        Just("idle".to_owned()),
        (1..30_000_u64, 0.0..200_000.0f64)
            .prop_map(|(w, r)| format!("uniform(wss={w}p, rate={r}p/s)")),
        (1..30_000_u64, 0.0..200_000.0f64)
            .prop_map(|(w, r)| format!("sweep(wss={w}p, rate={r}p/s, closed)")),
        (1..30_000_u64, 0.0..50_000.0f64, 0.0..2.0f64)
            .prop_map(|(w, r, s)| format!("zipf(wss={w}p, rate={r}p/s, s={s})")),
        (1..5_000_u64, 0..5_000_u64, 0.0..50_000.0f64).prop_map(|(on, off, r)| format!(
            "phase(on={on}ms, off={off}ms, uniform(wss=9000p, rate={r}p/s))"
        )),
    ];
    let mode = prop_oneof![
        Just(Mode::Precopy),
        Just(Mode::Postcopy),
        Just(Mode::Paused),
        Just(Mode::Offline)
    ];
    let layout = prop_oneof![Just(Layout::Mixed), Just(Layout::Front), Just(Layout::Back)];
    let action =
        prop_oneof![Just(OnTimeout::Abort), Just(OnTimeout::Suspend), Just(OnTimeout::Postcopy)];
    let levers =
        (mode, action, any::<bool>(), any::<bool>(), prop::option::of(1..200_u64), 0..4_u32);
    (workload, 30_000..200_000_u64, 0.0..1.0f64, 10..5_000_u64, layout, levers, 0..2_000_u64)
        .prop_map(
            |(
                workload,
                memory,
                touched,
                mbit,
                layout,
                (mode, action, throttle, xbzrle, cap, passes),
                limit,
            )| {
                let mut case = case("1GiB", "0B", &workload, "1Gbit/s");
                case.guest.memory = Pages(memory);
                case.guest.touched = Pages((memory as f64 * touched) as u64);
                case.guest.layout = layout;
                case.guest.delta_bytes = 100;
                case.path.capacity = BitRate(mbit * 1_000_000);
                case.policy.mode = mode;
                case.policy.downtime_limit = SimTime::from_millis(limit);
                case.policy.auto_converge = throttle.then(AutoConverge::default);
                case.policy.xbzrle = xbzrle.then_some(migsim_models::qemu::XBZRLE_CACHE);
                case.policy.bandwidth_cap = cap.map(|mbit| BitRate(mbit * 1_000_000));
                case.policy.timeout = Some(SimTime::from_secs(30));
                case.policy.on_timeout = if matches!(mode, Mode::Paused | Mode::Offline) {
                    OnTimeout::Abort
                } else {
                    action
                };
                case.policy.switch =
                    if passes == 0 { Switch::AtStart } else { Switch::AfterIterations(passes) };
                case
            },
        )
}

fn check(case: &Case, outcome: &Outcome) -> Result<(), TestCaseError> {
    let t = &outcome.terms;
    if !outcome.completed() {
        prop_assert!(outcome.tmt().is_none() && outcome.downtime().is_none());
        prop_assert_eq!(t.tmt(), outcome.ended_at);
        return Ok(());
    }
    // The equations, exactly.
    prop_assert_eq!(t.tmt(), outcome.ended_at);
    prop_assert_eq!(outcome.downtime_parts.total(), t.tdt());
    let resumed = outcome.resumed_at.unwrap();
    prop_assert!(
        resumed <= outcome.ended_at && outcome.source_free_at.unwrap() <= outcome.ended_at
    );
    match case.policy.mode {
        Mode::Paused | Mode::Offline => {
            prop_assert_eq!((t.ti, t.tmt()), (SimTime::ZERO, t.tdt()));
        }
        _ if outcome.switched_at.is_some() => prop_assert_eq!(t.dm, SimTime::ZERO),
        _ => prop_assert!(t.tdt() + t.ti <= t.tmt()),
    }
    // Every page is sent at least once, and bytes follow from pages.
    let pages = case.guest.memory.0 + 131;
    let sent =
        outcome.normal_pages + outcome.zero_pages + outcome.encoded_pages + outcome.unchanged_pages;
    prop_assert!(sent + 2 >= pages, "{} pages of {} sent", sent, pages);
    if case.policy.mode != Mode::Offline && outcome.encoded_pages == 0 {
        prop_assert_eq!(outcome.wire_bytes, 4104 * outcome.normal_pages + 9 * outcome.zero_pages);
    }
    // Rounds follow each other and add up.
    for pair in outcome.iterations.windows(2) {
        prop_assert!(pair[0].end == pair[1].start && pair[1].n == pair[0].n + pair[1].stands_for);
    }
    let in_rounds: f64 = outcome.iterations.iter().map(|iteration| iteration.pages.total()).sum();
    if case.policy.mode != Mode::Offline {
        prop_assert!(
            (in_rounds - sent as f64).abs() < 3.0,
            "{} in iterations, {} in all",
            in_rounds,
            sent
        );
    }
    // No faster than the link.
    let least = outcome.wire_bytes as f64 / case.path.capacity.bytes_per_s();
    prop_assert!(
        t.tmt().as_secs_f64() >= least * 0.999,
        "{} s in {} s",
        least,
        t.tmt().as_secs_f64()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn terms_add_up_and_nothing_is_lost(case in any_case()) {
        let profile = Profile::assumed();
        let outcome = case.question(&profile).answer(Fidelity::Flow, SimTime::ZERO);
        check(&case, &outcome)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn they_do_page_by_page_as_well(case in any_case(), seed: u64) {
        let profile = Profile::assumed();
        let outcome = case.question(&profile).answer(Fidelity::Page { seed }, SimTime::ZERO);
        check(&case, &outcome)?;
    }
}

/// Cases that random ones once came upon.
#[test]
fn they_do_where_rounding_leaves_less_than_a_page() {
    let mut case =
        case("1GiB", "0B", "sweep(wss=8464p, rate=168992.96515800015p/s, closed)", "2166Mbit/s");
    case.guest.memory = Pages(78_707);
    case.guest.touched = Pages(44_592);
    case.guest.layout = Layout::Back;
    case.guest.delta_bytes = 100;
    case.policy.downtime_limit = SimTime::from_millis(1571);
    case.policy.bandwidth_cap = Some(BitRate(73_000_000));
    case.policy.auto_converge = Some(AutoConverge::default());
    case.policy.xbzrle = Some(migsim_models::qemu::XBZRLE_CACHE);
    case.policy.timeout = Some(SimTime::from_secs(30));
    case.policy.on_timeout = OnTimeout::Suspend;
    check(&case, &answer(&case)).unwrap();
}

#[test]
fn they_do_where_zero_pages_are_written_before_they_are_sent() {
    for (xbzrle, chunk) in [(true, 1 << 18), (false, 1 << 18), (false, 1 << 14)] {
        let mut case = case("1GiB", "0B", "zipf(wss=26653p, rate=9282p/s, s=0.5)", "26Mbit/s");
        case.guest.memory = Pages(45_107);
        case.guest.touched = Pages(210);
        case.policy.downtime_limit = SimTime::from_millis(1690);
        case.policy.xbzrle = xbzrle.then_some(migsim_models::qemu::XBZRLE_CACHE);
        case.policy.timeout = Some(SimTime::from_secs(30));
        case.policy.on_timeout = OnTimeout::Postcopy;
        case.dirty_log = DirtyLog::Chunked { pages: chunk };
        check(&case, &answer(&case)).unwrap();
    }
}

#[test]
fn a_pass_lasts_as_many_sleeps_before_a_full_socket_as_fill_50_ms() {
    // 2 MB stand in the socket; QEMU sleeps until half of them are gone: 40 ms at 25 MB/s.
    let mut profile = Profile::ideal();
    profile.network.queue_fixed.value = Bytes(2_000_000);
    profile.network.queue_bytes.value = Bytes(4 << 20);
    // Through libvirt's tunnel it reads the clock every 64 pages: 10.5 ms.
    for (transport, wanted) in
        [(Transport::Tcp, 0.080), (Transport::Tls, 0.080), (Transport::Tunnelled, 0.0525)]
    {
        let mut case = case("256MiB", "256MiB", "uniform(wss=30MiB, rate=5500p/s)", "200Mbit/s");
        case.path.transport = transport;
        let outcome = case.question(&profile).answer(Fidelity::Flow, SimTime::ZERO);
        let passes = outcome.iterations[..outcome.iterations.len() - 1]
            .iter()
            .map(|iteration| (iteration.end - iteration.start).as_secs_f64());
        let shortest = passes.fold(f64::INFINITY, f64::min);
        assert!(
            outcome.completed() && (shortest - wanted).abs() < 1e-3,
            "{transport}: {shortest} s"
        );
    }
}

#[test]
fn an_image_is_written_at_memorys_speed_until_the_disk_holds_it_up() {
    let mut profile = Profile::ideal();
    profile.offline.cache_bytes.value = Bytes(200_000_000);
    profile.offline.cache_rate.value = BitRate(8_000_000_000);
    profile.offline.write_rate.value = BitRate(800_000_000);
    // The image has 4104 bytes a page.
    for (pages, seconds) in [(10_000, 0.04104), (100_000, 0.2 + 2.104)] {
        let mut case = case("1GiB", &format!("{pages}p"), "idle", "1Gbit/s");
        case.guest.memory = Pages(pages);
        case.policy.mode = Mode::Offline;
        let suspend = case
            .question(&profile)
            .answer(Fidelity::Flow, SimTime::ZERO)
            .downtime_parts
            .suspend
            .as_secs_f64();
        assert!((suspend / seconds - 1.0).abs() < 1e-3, "{pages} pages: {suspend} s");
    }
}
