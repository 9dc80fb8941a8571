//! What would let a migration converge that does not: every lever that the chosen QEMU has, and
//! each figure found by simulating it.

use migsim_models::profile::Profile;
use migsim_models::qemu::AutoConverge;
use migsim_models::spec::{Mode, Policy, SpecError, Switch};
use migsim_models::units::{BitRate, Bytes, SimTime, human_time};

use crate::answer::{commoner, median, runs};
use crate::engine::{Ending, Fidelity, Outcome};
use crate::input::Case;

/// Something that can be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lever {
    /// Another capacity of the link, its changes in proportion.
    Link,
    /// Another cap on the migration's bandwidth.
    BandwidthCap,
    /// No cap.
    NoBandwidthCap,
    /// More channels of multifd.
    MultifdChannels,
    /// A larger buffer of the sender's socket, and with it TCP's window.
    SendBuffer,
    /// A longer downtime limit.
    DowntimeLimit,
    /// A longer timeout.
    Timeout,
    /// Throttling with QEMU's defaults.
    AutoConverge,
    /// XBZRLE with QEMU's default cache.
    Xbzrle,
    /// Post-copy after the first iteration.
    Postcopy,
}

/// How far a lever has to be turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// It is switched on, or taken away.
    Switched,
    /// A rate.
    Rate(BitRate),
    /// A time.
    Time(SimTime),
    /// A size.
    Size(Bytes),
    /// A number.
    Count(u32),
}

/// A lever that lets the migration converge, all else equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Remedy {
    /// Which.
    pub lever: Lever,
    /// How far: the least, to three digits.
    pub setting: Setting,
    /// What comes of it.
    pub outcome: Outcome,
}

/// What would change the verdict.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Advice {
    /// What would, alone.
    pub remedies: Vec<Remedy>,
    /// What would not, however far it is turned.
    pub in_vain: Vec<Lever>,
    /// What QEMU refuses here, and why.
    pub refused: Vec<(Lever, String)>,
    /// What was not tried: it would have been too much work.
    pub untried: Vec<Lever>,
}

/// All levers, in the order in which they are told.
const LEVERS: [Lever; 10] = [
    Lever::Timeout,
    Lever::NoBandwidthCap,
    Lever::BandwidthCap,
    Lever::MultifdChannels,
    Lever::SendBuffer,
    Lever::Link,
    Lever::DowntimeLimit,
    Lever::AutoConverge,
    Lever::Xbzrle,
    Lever::Postcopy,
];

/// Links, caps and buffers are tried up to so many times what there is.
const MOST_TIMES: f64 = 10_000.0;
/// QEMU's longest downtime limit.
const MOST_LIMIT: SimTime = SimTime::from_secs(2000);
/// The longest timeout that is tried.
const MOST_TIMEOUT: SimTime = SimTime::from_secs(366 * 86_400);
/// QEMU's most channels.
const MOST_CHANNELS: u32 = 255;
/// A setting is the least: so much less does not do.
const SHORT: f64 = 0.95;
/// So many values of three digits are tried from the least setting on.
const NEXT: u32 = 8;
/// So much work is put into advice, see [`Outcome::effort`].
const MOST_EFFORT: u64 = 40_000_000;

impl Lever {
    /// Its key in a scenario.
    pub fn key(self) -> &'static str {
        match self {
            Lever::Link => "link",
            Lever::BandwidthCap => "bandwidth_cap",
            Lever::NoBandwidthCap => "no_bandwidth_cap",
            Lever::MultifdChannels => "multifd_channels",
            Lever::SendBuffer => "send_buffer",
            Lever::DowntimeLimit => "downtime_limit",
            Lever::Timeout => "timeout",
            Lever::AutoConverge => "auto_converge",
            Lever::Xbzrle => "xbzrle",
            Lever::Postcopy => "postcopy",
        }
    }

    /// Whether there is anything to turn: a cap that is not there cannot be lifted.
    fn applies(self, case: &Case, outcome: &Outcome) -> bool {
        let policy = &case.policy;
        match self {
            Lever::Timeout => outcome.ending == Ending::TimedOut,
            Lever::BandwidthCap | Lever::NoBandwidthCap => policy.bandwidth_cap.is_some(),
            Lever::SendBuffer => case.path.rtt > SimTime::ZERO,
            Lever::AutoConverge => policy.auto_converge.is_none() && policy.mode == Mode::Precopy,
            Lever::Xbzrle => policy.xbzrle.is_none() && policy.mode == Mode::Precopy,
            Lever::Postcopy => policy.mode == Mode::Precopy,
            Lever::DowntimeLimit => policy.mode == Mode::Precopy,
            Lever::Link => true,
            Lever::MultifdChannels => policy.multifd_channels < MOST_CHANNELS,
        }
    }

    /// The case with the lever turned; a number is in the base unit of the lever's setting.
    fn turned(self, case: &Case, to: f64) -> Case {
        let mut case = case.clone();
        let policy = &mut case.policy;
        match self {
            Lever::Link => {
                let factor = to / case.path.capacity.0 as f64;
                case.path.capacity = BitRate(to as u64);
                for change in &mut case.path.changes {
                    change.capacity = BitRate((change.capacity.0 as f64 * factor) as u64);
                }
            }
            Lever::BandwidthCap => policy.bandwidth_cap = Some(BitRate(to as u64)),
            Lever::NoBandwidthCap => policy.bandwidth_cap = None,
            Lever::MultifdChannels => policy.multifd_channels = to as u32,
            Lever::SendBuffer => case.path.send_buffer = Some(Bytes(to as u64)),
            Lever::DowntimeLimit => policy.downtime_limit = SimTime(to as u64),
            Lever::Timeout => policy.timeout = Some(SimTime(to as u64)),
            Lever::AutoConverge => policy.auto_converge = Some(AutoConverge::default()),
            Lever::Xbzrle => policy.xbzrle = Some(Policy::DEFAULT_XBZRLE),
            Lever::Postcopy => {
                policy.mode = Mode::Postcopy;
                policy.switch = Switch::AfterIterations(1);
            }
        }
        case
    }

    /// From where to where it can be turned; `None`: it is on or off.
    fn range(self, case: &Case, profile: &Profile) -> Option<(f64, f64)> {
        let times = |value: u64| (value as f64, value as f64 * MOST_TIMES);
        match self {
            Lever::Link => Some(times(case.path.capacity.0)),
            Lever::BandwidthCap => case.policy.bandwidth_cap.map(|cap| times(cap.0)),
            Lever::SendBuffer => Some(times(
                case.path
                    .send_buffer
                    .unwrap_or(profile.network.queue_bytes.value)
                    .0
                    .clamp(1, 1 << 40),
            )),
            Lever::DowntimeLimit => {
                Some(((case.policy.downtime_limit.0 as f64).max(0.5), MOST_LIMIT.0 as f64))
                    .filter(|(a, b)| a < b)
            }
            Lever::Timeout => {
                case.policy.timeout.map(|timeout| (timeout.0 as f64, MOST_TIMEOUT.0 as f64))
            }
            Lever::MultifdChannels => {
                Some((f64::from(case.policy.multifd_channels), f64::from(MOST_CHANNELS)))
            }
            Lever::NoBandwidthCap | Lever::AutoConverge | Lever::Xbzrle | Lever::Postcopy => None,
        }
    }

    fn setting(self, to: f64) -> Setting {
        match self {
            Lever::Link | Lever::BandwidthCap => Setting::Rate(BitRate(to as u64)),
            Lever::SendBuffer => Setting::Size(Bytes(to as u64)),
            Lever::DowntimeLimit | Lever::Timeout => Setting::Time(SimTime(to as u64)),
            Lever::MultifdChannels => Setting::Count(to as u32),
            _ => Setting::Switched,
        }
    }
}

impl Lever {
    /// In words, turned as far as it goes.
    pub(super) fn words(self) -> &'static str {
        match self {
            Lever::Link => "a faster link alone",
            Lever::BandwidthCap => "another bandwidth cap",
            Lever::NoBandwidthCap => "no bandwidth cap",
            Lever::MultifdChannels => "more multifd channels",
            Lever::SendBuffer => "a larger send buffer",
            Lever::DowntimeLimit => "a downtime limit up to QEMU's most, 2000s",
            Lever::Timeout => "a longer timeout",
            Lever::AutoConverge => "auto-converge",
            Lever::Xbzrle => "XBZRLE",
            Lever::Postcopy => "post-copy",
        }
    }
}

impl Remedy {
    /// The key of a scenario that it sets, and the value; an empty one takes the key away.
    pub fn key(&self) -> (&'static str, String) {
        match self.lever {
            Lever::Link => ("link", self.value()),
            Lever::BandwidthCap => ("bandwidth_cap", self.value()),
            Lever::NoBandwidthCap => ("bandwidth_cap", String::new()),
            Lever::MultifdChannels => ("multifd_channels", self.value()),
            Lever::SendBuffer => ("send_buffer", self.value()),
            Lever::DowntimeLimit => ("downtime_limit", self.value()),
            Lever::Timeout => ("timeout", self.value()),
            Lever::AutoConverge => ("auto_converge", "true".to_owned()),
            Lever::Xbzrle => ("xbzrle", "true".to_owned()),
            Lever::Postcopy => ("mode", "postcopy".to_owned()),
        }
    }

    fn value(&self) -> String {
        match self.setting {
            Setting::Switched => String::new(),
            Setting::Rate(rate) => rate.to_string(),
            Setting::Time(time) => time.to_string(),
            Setting::Size(size) => size.to_string(),
            Setting::Count(count) => count.to_string(),
        }
    }

    /// What it is and what comes of it, in words.
    pub fn words(&self) -> String {
        let setting = self.value();
        let how = match self.lever {
            Lever::Link => format!("on a link of at least {setting}"),
            Lever::BandwidthCap => format!("with a bandwidth cap of at least {setting}"),
            Lever::NoBandwidthCap => "without the bandwidth cap".to_owned(),
            Lever::MultifdChannels => format!("with {setting} multifd channels"),
            Lever::SendBuffer => format!("with a send buffer of at least {setting}"),
            Lever::DowntimeLimit => format!("with a downtime limit of at least {setting}"),
            Lever::Timeout => format!("with a timeout of at least {setting}"),
            Lever::AutoConverge => {
                format!(
                    "with auto-converge, throttled by up to {} %",
                    self.outcome.throttle_percent
                )
            }
            Lever::Xbzrle => "with XBZRLE".to_owned(),
            Lever::Postcopy => "with post-copy after the first iteration".to_owned(),
        };
        let outcome = &self.outcome;
        format!(
            "{how}: total {}, downtime {}",
            human_time(outcome.terms.tmt()),
            human_time(outcome.terms.tdt())
        )
    }

    /// The case with the lever turned so far.
    pub fn of(lever: Lever, setting: Setting, case: &Case) -> Case {
        let to = match setting {
            Setting::Switched => 0.0,
            Setting::Rate(rate) => rate.0 as f64,
            Setting::Time(time) => time.0 as f64,
            Setting::Size(size) => size.0 as f64,
            Setting::Count(count) => f64::from(count),
        };
        lever.turned(case, to)
    }
}

impl Advice {
    /// The remedy by a lever, if it is one.
    pub fn by(&self, lever: Lever) -> Option<&Remedy> {
        self.remedies.iter().find(|remedy| remedy.lever == lever)
    }
}

/// Simulates changed cases until so much work has been done.
struct Trial<'a> {
    case: &'a Case,
    profile: &'a Profile,
    effort: u64,
}

impl Trial<'_> {
    fn outcome(&mut self, lever: Lever, to: f64) -> Outcome {
        let runs = runs(&lever.turned(self.case, to), self.profile, Fidelity::Flow);
        self.effort += runs.iter().map(|run| run.effort + 1000).sum::<u64>();
        median(commoner(runs))
    }

    fn holds(&mut self, lever: Lever, to: f64) -> bool {
        self.effort < MOST_EFFORT && self.outcome(lever, to).completed()
    }

    /// The least value between `from` (which does not hold) and `to` (which does) that holds while
    /// what is 5 % short does not, rounded up to three digits where one of the next few such values
    /// is as good: near the border not every larger value holds.
    fn least(&mut self, lever: Lever, from: f64, to: f64) -> f64 {
        let mut best = to;
        loop {
            let mut low = from;
            while best / low > 1.002 {
                let middle = libm::floor(libm::sqrt(low * best));
                if middle <= low || middle >= best {
                    break;
                }
                if self.holds(lever, middle) { best = middle } else { low = middle }
            }
            // Where the border is no single one, a lower one may lie below.
            let short = libm::floor(best * SHORT);
            if short <= from || !self.holds(lever, short) {
                break;
            }
            best = short;
        }
        let digits = libm::pow(10.0, (libm::floor(libm::log10(best)) - 2.0).max(0.0));
        let next = libm::ceil(best / digits);
        let mut rounded = (0..NEXT).map(|steps| (next + f64::from(steps)) * digits);
        let is_least = |rounded: &f64| {
            let short = libm::floor(rounded * SHORT);
            self.holds(lever, *rounded) && (short <= from || !self.holds(lever, short))
        };
        rounded.find(is_least).unwrap_or(best)
    }

    /// The fewest channels that hold, if `most` do.
    fn fewest(&mut self, lever: Lever, from: f64, most: f64) -> Option<f64> {
        let mut tried = 0.0;
        for doubled in
            [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, most].into_iter().filter(|n| *n > from)
        {
            if self.holds(lever, doubled) {
                let first = libm::floor(f64::max(tried, from)) as u32 + 1;
                return (first..doubled as u32)
                    .map(f64::from)
                    .find(|n| self.holds(lever, *n))
                    .or(Some(doubled));
            }
            tried = doubled;
        }
        None
    }
}

/// The first of a few levers, the surest first, that lets `case` converge, whose outcome is
/// `outcome`; `None`: none of them does. Much less work than all advice.
pub fn first_remedy(case: &Case, profile: &Profile, outcome: &Outcome) -> Option<Remedy> {
    let mut trial = Trial { case, profile, effort: 0 };
    let likely = [
        Lever::NoBandwidthCap,
        Lever::Postcopy,
        Lever::AutoConverge,
        Lever::MultifdChannels,
        Lever::DowntimeLimit,
    ];
    likely.into_iter().filter(|lever| lever.applies(case, outcome)).find_map(|lever| {
        let range = lever.range(case, profile);
        let to = range.map_or(0.0, |(_, to)| to);
        allowed(&lever.turned(case, to)).ok()?;
        let least = match (lever, range) {
            (Lever::MultifdChannels, Some((from, most))) => trial.fewest(lever, from, most)?,
            (_, Some((from, to))) if trial.holds(lever, to) => trial.least(lever, from, to),
            (_, None) if trial.holds(lever, 0.0) => 0.0,
            _ => return None,
        };
        let mut outcome = trial.outcome(lever, least);
        outcome.forget_iterations();
        Some(Remedy { lever, setting: lever.setting(least), outcome })
    })
}

/// Whether QEMU and libvirt take it.
fn allowed(case: &Case) -> Result<(), SpecError> {
    case.policy.check_over(case.path.transport)
}

/// Finds what would let `case` converge, whose outcome is `outcome`.
pub fn advise(case: &Case, profile: &Profile, outcome: &Outcome) -> Advice {
    let mut advice = Advice::default();
    let mut trial = Trial { case, profile, effort: 0 };
    for lever in LEVERS.into_iter().filter(|lever| lever.applies(case, outcome)) {
        let range = lever.range(case, profile);
        let to = range.map_or(0.0, |(_, to)| to);
        if let Err(error) = allowed(&lever.turned(case, to)) {
            advice.refused.push((lever, error.to_string()));
            continue;
        }
        if trial.effort >= MOST_EFFORT {
            advice.untried.push(lever);
            continue;
        }
        let least = match (lever, range) {
            (Lever::MultifdChannels, Some((from, most))) => trial.fewest(lever, from, most),
            (_, Some((from, to))) => trial.holds(lever, to).then(|| trial.least(lever, from, to)),
            (_, None) => trial.holds(lever, 0.0).then_some(0.0),
        };
        match least {
            // Cut short, the search does not know the least.
            Some(_) if trial.effort >= MOST_EFFORT && range.is_some() => advice.untried.push(lever),
            Some(value) => {
                let mut outcome = trial.outcome(lever, value);
                outcome.forget_iterations();
                advice.remedies.push(Remedy { lever, setting: lever.setting(value), outcome });
            }
            None if trial.effort >= MOST_EFFORT => advice.untried.push(lever),
            None => advice.in_vain.push(lever),
        }
    }
    advice
}
