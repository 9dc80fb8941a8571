//! What a question was taken to ask: every quantity, and which of them nobody gave.

use migsim_models::profile::{Outside, Profile};
use migsim_models::qemu::Version;
use migsim_models::spec::{Mode, Switch};
use migsim_models::units::{Bytes, SimTime, human_bytes, human_rate, human_time};
use serde_json::{Map, Value};

use crate::answer::{Hosts, predict};
use crate::engine::{Fidelity, headroom};
use crate::input::{Case, Key, Keys};

/// A quantity of a question: its key, how it is said, and whether it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// Its key in a scenario.
    pub key: &'static str,
    /// Its value in words.
    pub said: String,
    /// Whether somebody gave it; if not, it is the default.
    pub given: bool,
}

/// What was taken to be asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Understood {
    /// The quantities that matter, in the order in which they are told.
    pub quantities: Vec<Quantity>,
    /// Defaults that decide what comes of it, in sentences.
    pub warnings: Vec<String>,
    /// What lies outside of the runs that the profile was fitted to.
    pub outside: Vec<Outside>,
}

/// Keys that are told with others: the name before all, the rest with the mode, the timeout, the
/// cache's size.
const WITHIN_OTHERS: [&str; 5] =
    ["name", "postcopy_after", "postcopy_after_passes", "on_timeout", "xbzrle_cache"];

impl Understood {
    /// What the checked `case` of these keys asks of these hosts. The `outcome` of the case says
    /// whether its defaults decide it.
    pub fn of(keys: &Keys, case: &Case, hosts: &Hosts) -> Understood {
        let (guest, path, policy) = (&case.guest, &case.path, &case.policy);
        let mut quantities = Vec::with_capacity(12);
        let mut say = |key: &'static str, given: bool, said: String| {
            quantities.push(Quantity { key, said, given });
        };
        say("memory", true, size(guest.memory.bytes()));
        let touched = if guest.touched == guest.memory {
            "all touched".to_owned()
        } else {
            format!("{} touched", size(guest.touched.bytes()))
        };
        say("touched", keys.guest.touched.is_some(), touched);
        let s = if guest.vcpus == 1 { "" } else { "s" };
        say("vcpus", keys.guest.vcpus.is_some(), format!("{} vCPU{s}", guest.vcpus));
        let workload = match hosts.profile.workload_of(guest, None) {
            Some(known) => format!("{} (like runs of such guests: {known})", guest.workload),
            None => guest.workload.to_string(),
        };
        say("workload", keys.guest.workload.is_some(), workload);
        say("link", true, human_rate(path.capacity));
        if policy.mode != Mode::Offline {
            say("rtt", keys.link.rtt.is_some(), format!("rtt {}", human_time(path.rtt)));
        }
        say("transport", keys.link.transport.is_some(), path.transport.to_string());
        say("mode", keys.migration.mode.is_some(), mode(case));
        if policy.mode != Mode::Offline {
            say("qemu", keys.migration.qemu.is_some(), format!("QEMU {}", policy.qemu));
            let limit = format!("downtime limit {}", human_time(policy.downtime_limit));
            say("downtime_limit", keys.migration.downtime_limit.is_some(), limit);
        }
        if let Some(cap) = policy.bandwidth_cap {
            say("bandwidth_cap", true, format!("cap {}/s", human_bytes(cap.bytes_per_s())));
        }
        if policy.auto_converge.is_some() {
            say("auto_converge", true, "auto-converge".to_owned());
        }
        if let Some(cache) = policy.xbzrle {
            say("xbzrle", true, format!("XBZRLE with {} of cache", human_bytes(cache.as_f64())));
        }
        if policy.multifd_channels > 0 {
            say("multifd_channels", true, format!("{} multifd channels", policy.multifd_channels));
        }
        if let Some(timeout) = policy.timeout {
            say(
                "timeout",
                true,
                format!("timeout {}, then {}", human_time(timeout), policy.on_timeout),
            );
        }
        // Whatever else somebody has set.
        let told = |name: &str| quantities.iter().any(|quantity| quantity.key == name);
        let others = keys.given().filter(|key| !WITHIN_OTHERS.contains(&key.name()));
        let others: Vec<&Key> = others.filter(|key| !told(key.name())).collect();
        // Most questions have none, and pay nothing for it.
        let values = if others.is_empty() { Map::new() } else { keys.flat() };
        for key in others {
            let value = values.get(key.name()).and_then(Value::as_str).unwrap_or("as given");
            let said = format!("{} {value}", key.name().replace('_', " "));
            quantities.push(Quantity { key: key.name(), said, given: true });
        }
        let which = if hosts.given { "" } else { "by the link, " };
        let said = format!("profile {which}{}", hosts.profile.name);
        quantities.push(Quantity { key: "profile", said, given: hosts.given });
        let outside = hosts.profile.outside(guest, path, policy);
        let mut understood = Understood { quantities, warnings: Vec::new(), outside };
        understood.warn(keys, case, &hosts.profile);
        understood
    }

    /// The question in one line, defaults marked.
    pub fn line(&self) -> String {
        let marked = |quantity: &Quantity| {
            let mark = if quantity.given { "" } else { " (default)" };
            format!("{}{mark}", quantity.said)
        };
        self.quantities.iter().map(marked).collect::<Vec<_>>().join(", ")
    }

    /// The keys that nobody gave.
    pub fn defaults(&self) -> Vec<&'static str> {
        self.quantities
            .iter()
            .filter(|quantity| !quantity.given)
            .map(|quantity| quantity.key)
            .collect()
    }

    /// Says where a default decides.
    fn warn(&mut self, keys: &Keys, case: &Case, profile: &Profile) {
        if case.policy.mode != Mode::Offline && case.policy.qemu > Version::NEWEST {
            let (asked, newest) = (case.policy.qemu, Version::NEWEST);
            self.warnings.push(format!(
                "QEMU {asked} is newer than what is known here; the rules are those of {newest}"
            ));
        }
        if matches!(case.policy.mode, Mode::Paused | Mode::Offline) {
            return;
        }
        if case.policy.downtime_limit == SimTime::ZERO && case.policy.mode == Mode::Precopy {
            let qemu = case.policy.qemu;
            let rule = match qemu.syncs_at_its_threshold() {
                true => {
                    "looks again and again at what was dirtied, and stops only a guest that writes nothing"
                }
                false => {
                    "stops the guest once all that it knows of is sent, without a last look: what was dirtied since is sent while it is down"
                }
            };
            self.warnings.push(format!("at a downtime limit of 0 QEMU {qemu} {rule}"));
        }
        if keys.guest.workload.is_none() {
            let taken = if profile.guest.idle_pages.value > 0 {
                "be idle, as the guests of the profile are"
            } else {
                "write nothing"
            };
            self.warnings.push(format!(
                "no workload was given: the guest is taken to {taken}, so this is the least that it takes; a guest that writes takes longer, is \
                 down for longer, or does not converge"
            ));
        }
        if case.guest.workload.is_one_window() {
            self.warnings.push(
                "the curve has one window: how many pages are dirtied in a longer one is taken to be as many; `dirty(...)` draws what is not known"
                    .to_owned(),
            );
        }
        let writes = headroom(&case.guest, profile, &profile.classes_of(&case.guest));
        if writes >= 1.0 {
            return;
        }
        let rate = profile.cpu.writer_rate.value.pages_per_s();
        let held = format!(
            "{} writes {:.0} % of what its workload wants: by this profile a vCPU writes {rate:.0} pages/s while memory is logged (cpu.writer_rate)",
            case.guest.name,
            writes * 100.0,
        );
        let mut enough = case.clone();
        let needed = libm::ceil(f64::from(case.guest.vcpus) / writes);
        enough.guest.vcpus = if needed < f64::from(u32::MAX) { needed as u32 } else { u32::MAX };
        let completes = |case: &Case| predict(case, profile, Fidelity::Flow).completed();
        let decides = keys.guest.vcpus.is_none() && completes(case) != completes(&enough);
        self.warnings.push(if decides {
            format!(
                "{held}; vcpus was not given, and decides: with {} of them the guest writes all of it, and the migration does not converge",
                enough.guest.vcpus
            )
        } else {
            held
        });
    }
}

/// A size in binary units; beside it in decimal ones, where it was a whole number of those.
fn size(bytes: Bytes) -> String {
    let binary = human_bytes(bytes.as_f64());
    // Sizes of guests are rounded up to pages: so much less than that makes a whole number of
    // megabytes.
    let over = bytes.0 % 1_000_000;
    let decimal = over < migsim_models::units::PAGE_BYTES
        && !bytes.0.is_multiple_of(1 << 20)
        && bytes.0 >= 1_000_000;
    if !decimal {
        return binary;
    }
    let whole = bytes.0 - over;
    let (value, unit) = match whole {
        whole if whole.is_multiple_of(1_000_000_000_000) => (whole / 1_000_000_000_000, "TB"),
        whole if whole.is_multiple_of(1_000_000_000) => (whole / 1_000_000_000, "GB"),
        whole => (whole / 1_000_000, "MB"),
    };
    format!("{value} {unit} = {binary}")
}

fn mode(case: &Case) -> String {
    let policy = &case.policy;
    match (policy.mode, policy.switch) {
        (Mode::Postcopy, Switch::AtStart) => "post-copy at once".to_owned(),
        (Mode::Postcopy, Switch::AfterIterations(1)) => "post-copy after one iteration".to_owned(),
        (Mode::Postcopy, Switch::AfterIterations(n)) => format!("post-copy after {n} iterations"),
        (Mode::Postcopy, Switch::AfterTime(at)) => {
            format!("post-copy after {}", human_time(at.max(SimTime::ZERO)))
        }
        (Mode::Precopy, _) => "pre-copy".to_owned(),
        (Mode::Paused, _) => "paused pre-copy".to_owned(),
        (Mode::Offline, _) => "offline".to_owned(),
    }
}
