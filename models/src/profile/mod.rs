//! The parameters of a pair of hosts and their software, each with room for its uncertainty.
//!
//! A profile is a TOML file. Two are embedded: [`DEFAULT_TOML`], fitted to the project's own
//! recorded runs, and [`ASSUMED_TOML`], set by hand, which a fit starts from. A key that a file
//! lacks has the value of its base profile, so that a new key breaks no file; which those are is
//! told by [`Profile::parse_noting`].

mod domain;
mod learnt;
mod manager;
mod refits;
mod slot;

pub use domain::{Domain, Outside};
pub use learnt::{Shape, Shapes, place};
pub use manager::Manager;
pub use refits::Refits;
pub use slot::{FIELDS, Field, Slot};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::qemu::Version;
use crate::spec::{Guest, Mode, Path, Policy, Transport};
use crate::tree::{Fault, read_table};
use crate::units::{BitRate, Bytes, PageRate, SimTime};

/// The default profile: the fit of the project's own recorded runs (docs/validation.md has the
/// command).
pub const DEFAULT_TOML: &str = include_str!("fitted.toml");

/// What is assumed before any run is seen.
pub const ASSUMED_TOML: &str = include_str!("assumed.toml");

const SERVER_1G_TOML: &str = include_str!("server-1g.toml");

/// Names of the profiles that are shipped.
pub const SHIPPED: [&str; 7] =
    ["lab", "assumed", "ideal", "server-1g", "server-10g", "server-25g", "server-100g"];

/// Classes of servers by their network: the profile of each, and the fastest link that it is for.
/// Between the speeds of Ethernet the border lies near their geometric mean.
pub const CLASSES: [(&str, BitRate); 4] = [
    ("server-1g", BitRate(2_500_000_000)),
    ("server-10g", BitRate(16_000_000_000)),
    ("server-25g", BitRate(50_000_000_000)),
    ("server-100g", BitRate(u64::MAX)),
];

/// Which of [`CLASSES`] servers with such a link belong to.
pub fn class_of(link: BitRate) -> usize {
    CLASSES.iter().position(|(_, fastest)| link <= *fastest).unwrap_or(CLASSES.len() - 1)
}

/// The text of a shipped profile by its name; `lab` is also called `default`.
pub fn shipped(name: &str) -> Option<&'static str> {
    match name {
        "lab" | "default" => Some(DEFAULT_TOML),
        "assumed" => Some(ASSUMED_TOML),
        "server-1g" => Some(SERVER_1G_TOML),
        "server-10g" => Some(include_str!("server-10g.toml")),
        "server-25g" => Some(include_str!("server-25g.toml")),
        "server-100g" => Some(include_str!("server-100g.toml")),
        _ => None,
    }
}

/// A parameter: its value, and the standard error of its estimate where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param<T> {
    /// The value that predictions use.
    pub value: T,
    /// Standard error of the estimate, in the same unit.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub error: Option<T>,
}

impl<T> Param<T> {
    /// A parameter that is known exactly, or whose error is not.
    pub const fn exact(value: T) -> Param<T> {
        Param { value, error: None }
    }
}

/// A pair of hosts and their software.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The version of the file's format.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The profile whose values stand for keys that the file lacks.
    #[serde(default)]
    pub base: Base,
    /// What reports call it.
    pub name: String,
    /// What the management layer and QEMU spend around and between the iterations.
    pub software: Software,
    /// What the path carries of the migration stream.
    pub network: Network,
    /// How fast the processors handle pages.
    pub cpu: Cpu,
    /// The stop of pre-copy.
    pub switchover: Switchover,
    /// What is particular to post-copy.
    pub postcopy: Postcopy,
    /// The three offline phases.
    pub offline: Offline,
    /// Memory beside the guest's RAM.
    pub guest: GuestExtras,
    /// What is left between a prediction and a run.
    pub noise: Noise,
    /// Guests that are known by one number, as runs have shown them.
    #[serde(skip_serializing_if = "no_shapes", default)]
    pub shapes: Shapes,
    /// How its parameters were off together in fits to the same runs, weighted anew.
    #[serde(skip_serializing_if = "Refits::is_empty", default)]
    pub refits: Refits,
    /// The runs that it was fitted to; `None`: it was set by hand.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub fit: Option<Provenance>,
    /// The ranges of the runs that it was fitted to; `None`: it was fitted to none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub domain: Option<Domain>,
}

/// The version of the format of profiles that is written; older ones are read.
pub const FORMAT: u32 = 1;

fn no_shapes(shapes: &Shapes) -> bool {
    shapes.is_empty()
}

fn first_format() -> u32 {
    FORMAT
}

/// A profile that others rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// Fitted to the project's own lab.
    #[default]
    Lab,
    /// What is assumed before any run is seen.
    Assumed,
    /// Servers on 1 Gbit/s; itself rests on what is assumed.
    #[serde(rename = "server-1g")]
    Server1g,
}

impl Base {
    /// All of them.
    pub const ALL: [Base; 3] = [Base::Lab, Base::Assumed, Base::Server1g];

    /// Its name, as `--profile` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Base::Lab => "lab",
            Base::Assumed => "assumed",
            Base::Server1g => "server-1g",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Base::Lab => DEFAULT_TOML,
            Base::Assumed => ASSUMED_TOML,
            Base::Server1g => SERVER_1G_TOML,
        }
    }
}

/// Where a fitted profile comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// When it was fitted, UTC.
    pub date: String,
    /// SHA-256 of the run records, file after file.
    pub data: String,
    /// How many runs were used.
    pub runs: u64,
    /// The campaigns that they belong to.
    pub campaigns: Vec<String>,
    /// The hosts that made them.
    pub hosts: Vec<String>,
    /// QEMU's and libvirt's versions there.
    pub versions: Vec<String>,
    /// Runs that were left out, and why.
    pub left_out: Vec<String>,
    /// Parameters that the runs say nothing about, and why; they stand at the profile that the fit
    /// started from.
    pub at_prior: Vec<String>,
}

impl Provenance {
    /// QEMU's among the versions.
    fn qemu_versions(&self) -> impl Iterator<Item = Version> {
        self.versions
            .iter()
            .filter_map(|text| text.strip_prefix("QEMU ")?.split(',').next()?.parse().ok())
    }
}

/// What the management layer and QEMU spend around and between the iterations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Software {
    /// From the command to QEMU's start of the migration.
    pub prepare: Param<SimTime>,
    /// From the guest's running at the destination, and nothing left to send, to the word that it
    /// is over.
    pub finish: Param<SimTime>,
    /// QEMU's setup, whatever the guest's size.
    pub qemu_setup: Param<SimTime>,
    /// QEMU's setup for each GiB of guest memory.
    pub qemu_setup_per_gib: Param<SimTime>,
    /// A sync of the dirty log, whatever the guest's size.
    pub round: Param<SimTime>,
    /// A sync of the dirty log for each GiB of guest memory.
    pub sync_per_gib: Param<SimTime>,
}

/// What the path carries of the migration stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Usable share of the capacity by what carries the stream, above 0 to 1.
    pub share: BTreeMap<Transport, Param<f64>>,
    /// The most that one thread carries, where what carries the stream costs processor time: with
    /// TLS that of each channel of multifd. Above zero.
    pub carrier_rate: BTreeMap<Transport, Param<BitRate>>,
    /// Bytes that stand between QEMU and the far end when QEMU is faster than the link, however
    /// slow that is ...
    pub queue_fixed: Param<Bytes>,
    /// ... and for how long at the link's rate more do.
    pub queue_time: Param<SimTime>,
    /// The most that the sender's socket holds (tcp_wmem); also the TCP window, which bounds the
    /// rate over a long path.
    pub queue_bytes: Param<Bytes>,
    /// The part of what the socket holds that is payload: Linux counts its own bookkeeping into a
    /// socket's buffer. Above 0 to 1.
    pub queue_share: Param<f64>,
}

/// How fast the processors handle pages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Pages that one sending thread can put on the wire; with multifd each channel can. Above
    /// zero.
    pub page_rate: Param<PageRate>,
    /// Pages of zeros that can be found. Above zero.
    pub zero_page_rate: Param<PageRate>,
    /// Pages that XBZRLE can encode. Above zero.
    pub xbzrle_page_rate: Param<PageRate>,
    /// The most pages that a vCPU can write while its memory is being logged. Above zero.
    pub writer_rate: Param<PageRate>,
    /// How many times as fast as they do guests can write when they make up for what they missed,
    /// at most. Above zero.
    pub catch_up: Param<f64>,
}

/// The stop of pre-copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switchover {
    /// Stopping the vCPUs.
    pub stop: Param<SimTime>,
    /// Flushing the disks.
    pub flush: Param<SimTime>,
    /// Wire bytes of the devices' state.
    pub device_bytes: Param<Bytes>,
    /// Saving the devices' state.
    pub device_state: Param<SimTime>,
    /// Loading it at the destination.
    pub destination_load: Param<SimTime>,
    /// The management layer's fixed part of the downtime.
    pub control: Param<SimTime>,
    /// Its round trips over the path.
    pub control_round_trips: Param<f64>,
    /// After so many iterations of pre-copy that left no less to send than the one before, whoever
    /// runs the migration stops the guest, whatever is left; 0: nobody does that. Not with
    /// auto-converge.
    pub forced_stop_after: Param<u64>,
}

/// What is particular to post-copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postcopy {
    /// From the iteration after which the switch was asked for to the switch.
    pub switch_delay: Param<SimTime>,
    /// The management layer's part of the downtime.
    pub control: Param<SimTime>,
    /// A fault at the destination beside the path's round trip, what is queued, and the page
    /// itself.
    pub fault: Param<SimTime>,
}

/// The three offline phases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offline {
    /// Fixed part of suspending.
    pub suspend: Param<SimTime>,
    /// Fixed part of copying.
    pub copy: Param<SimTime>,
    /// Fixed part of resuming.
    pub resume: Param<SimTime>,
    /// So much of an image the host's memory takes before its disk holds the writing up (Linux,
    /// `mm/page-writeback.c`, `balance_dirty_pages`) ...
    pub cache_bytes: Param<Bytes>,
    /// ... and how fast.
    pub cache_rate: Param<BitRate>,
    /// How fast the disk writes the rest.
    pub write_rate: Param<BitRate>,
    /// How fast it is read for the copy.
    pub copy_read_rate: Param<BitRate>,
    /// How fast it is read back.
    pub read_rate: Param<BitRate>,
}

/// Memory beside the guest's RAM that is migrated like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestExtras {
    /// Pages of firmware and small devices.
    pub firmware_pages: Param<u64>,
    /// How many of them are zero.
    pub firmware_zero_pages: Param<u64>,
    /// Distinct pages that a guest's operating system dirties in ten seconds, where its workload
    /// is idle; 0: an idle guest dirties nothing.
    pub idle_pages: Param<u64>,
    /// The share of its touched pages that an idle guest dirties sooner or later, above 0 to 1.
    pub idle_share: Param<f64>,
}

impl GuestExtras {
    /// Firmware's pages by kind: not zero, and zero. A draw or a step of a fit may ask for more
    /// zero pages than there are.
    pub fn firmware(&self) -> (u64, u64) {
        let zero = self.firmware_zero_pages.value.min(self.firmware_pages.value);
        (self.firmware_pages.value - zero, zero)
    }
}

/// What is left between a prediction and a run, as standard deviations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// Of the total time, relative to it.
    pub elapsed_relative: Param<f64>,
    /// Of the total time, absolute.
    pub elapsed: Param<SimTime>,
    /// Of the downtime, relative to it.
    pub downtime_relative: Param<f64>,
    /// Of the downtime, absolute.
    pub downtime: Param<SimTime>,
    /// Of the bytes on the wire, relative to them.
    pub wire_bytes_relative: Param<f64>,
    /// How wide intervals are, by runs that the fit had not seen; `None`: not fitted, no
    /// intervals.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub intervals: Option<Intervals>,
}

/// Widths of intervals, for each mode that had runs enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Pre-copy, and of a paused guest.
    pub precopy: Widths,
    /// Post-copy; `None`: as pre-copy.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub postcopy: Option<Widths>,
    /// Offline; `None`: as pre-copy.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub offline: Option<Widths>,
}

impl Intervals {
    /// Those of a mode.
    pub fn of(&self, mode: Mode) -> Widths {
        match mode {
            Mode::Precopy | Mode::Paused => None,
            Mode::Postcopy => self.postcopy,
            Mode::Offline => self.offline,
        }
        .unwrap_or(self.precopy)
    }
}

/// Half-widths of intervals, over the scatter that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// So wide, half of the total times are within.
    pub elapsed_50: f64,
    /// So wide, nine of ten.
    pub elapsed_90: f64,
    /// The same for downtimes.
    pub downtime_50: f64,
    /// The same for nine of ten downtimes.
    pub downtime_90: f64,
}

impl Noise {
    /// Standard deviation of a total time, in ms as it is.
    pub fn elapsed_sigma_ms(&self, elapsed_ms: f64) -> f64 {
        libm::hypot(self.elapsed_relative.value * elapsed_ms, self.elapsed.value.as_millis_f64())
    }

    /// Standard deviation of a downtime, in ms as it is.
    pub fn downtime_sigma_ms(&self, downtime_ms: f64) -> f64 {
        libm::hypot(self.downtime_relative.value * downtime_ms, self.downtime.value.as_millis_f64())
    }
}

/// What a file said before files had a version, as it is said today.
fn before_versions(given: &mut DeTable) {
    if given.contains_key("format") {
        return;
    }
    // Where an image was written nothing was cached, and a file that knows the rest of it means
    // that.
    if let Some(DeValue::Table(offline)) = given.get_mut("offline").map(Spanned::get_mut) {
        for (key, exact) in [("cache_bytes", "0B"), ("cache_rate", "unlimited")] {
            let value = Spanned::new(0..0, DeValue::String(exact.into()));
            let param = DeTable::from_iter([(Spanned::new(0..0, "value".into()), value)]);
            let param = Spanned::new(0..0, DeValue::Table(param));
            offline.entry(Spanned::new(0..0, key.into())).or_insert(param);
        }
    }
    let Some(DeValue::Table(network)) = given.get_mut("network").map(Spanned::get_mut) else {
        return;
    };
    for transport in Transport::ALL {
        let Some(share) = network.remove(format!("share_{transport}").as_str()) else { continue };
        let span = share.span();
        let name = Spanned::new(span.clone(), transport.to_string().into());
        let shares = Spanned::new(span.clone(), "share".into());
        let entry = network
            .entry(shares)
            .or_insert_with(|| Spanned::new(span, DeValue::Table(DeTable::default())));
        if let DeValue::Table(shares) = entry.get_mut() {
            shares.entry(name).or_insert(share);
        }
    }
}

/// Adds what `given` lacks of the parameters of `base`, and notes their keys.
fn fill<'a>(given: &mut DeTable<'a>, base: &DeTable<'a>, at: &str, missing: &mut Vec<String>) {
    for (key, value) in base {
        let name = key.get_ref();
        let place = if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
        if OF_THE_FILE.contains(&place.as_str()) {
            continue;
        }
        match value.get_ref() {
            // A parameter is a table as well, of a value and its error: that is no place for keys
            // of another's.
            DeValue::Table(section) if !section.contains_key("value") => {
                let empty = || Spanned::new(value.span(), DeValue::Table(DeTable::default()));
                if let DeValue::Table(own) =
                    given.entry(key.clone()).or_insert_with(empty).get_mut()
                {
                    fill(own, section, &place, missing);
                }
            }
            _ => {
                given.entry(key.clone()).or_insert_with(|| {
                    missing.push(place);
                    value.clone()
                });
            }
        }
    }
}

/// What a file says of itself alone.
const OF_THE_FILE: [&str; 8] =
    ["format", "base", "name", "fit", "domain", "refits", "shapes", "noise.intervals"];

/// An embedded profile, read once.
fn embedded(text: &str) -> Profile {
    Profile::parse(text).unwrap_or_else(|e| unreachable!("the embedded profile is tested: {e}"))
}

impl Default for Profile {
    /// The embedded default profile.
    fn default() -> Profile {
        static LAB: LazyLock<Profile> = LazyLock::new(|| embedded(DEFAULT_TOML));
        LAB.clone()
    }
}

/// A profile could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// It is not TOML, lacks a key, has an unknown one, or a value is not of its kind.
    #[error(transparent)]
    Toml(#[from] Fault),
    /// A value is out of its range.
    #[error("{key} is {value}; it takes {accepted}")]
    Range {
        /// The parameter.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        accepted: &'static str,
    },
}

/// What ssh sends on a forwarded connection before the other end has taken it, in bytes (OpenSSH
/// `channels.h`, `CHAN_TCP_WINDOW_DEFAULT`).
const SSH_WINDOW: f64 = 64.0 * 32.0 * 1024.0;

/// The key of a transport's share.
fn share_key(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "network.share.tcp",
        Transport::Tls => "network.share.tls",
        Transport::Tunnelled => "network.share.tunnelled",
        Transport::Ssh => "network.share.ssh",
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// What is wrong with it, and what is accepted; for a syntax error with line and column.
    pub fn parse(text: &str) -> Result<Profile, ProfileError> {
        Ok(Profile::parse_noting(text)?.0)
    }

    /// Reads a profile; beside it the keys that it lacks, which have the values of its base.
    ///
    /// # Errors
    /// Those of [`Profile::parse`].
    pub fn parse_noting(text: &str) -> Result<(Profile, Vec<String>), ProfileError> {
        let mut given = DeTable::parse(text).map_err(|e| Fault::from(e).within(text))?;
        before_versions(given.get_mut());
        let named = given.get_ref().get("base").and_then(|base| base.get_ref().as_str());
        let base =
            Base::ALL.into_iter().find(|base| named == Some(base.name())).unwrap_or_default();
        let mut missing = Vec::new();
        for source in [base.file(), ASSUMED_TOML] {
            let base = DeTable::parse(source).map_err(Fault::from)?;
            fill(given.get_mut(), base.get_ref(), "", &mut missing);
        }
        let profile: Profile = read_table(given).map_err(|fault| fault.within(text))?;
        profile.check()?;
        Ok((profile, missing))
    }

    /// A note where runs are of versions of QEMU that the profile was not fitted to: rules are of
    /// the version, but what hosts take is of what was measured.
    pub fn note_of_versions(&self, runs: &BTreeSet<Version>) -> Option<String> {
        let fitted: BTreeSet<Version> =
            self.fit.iter().flat_map(Provenance::qemu_versions).collect();
        let others: Vec<String> = runs.difference(&fitted).map(ToString::to_string).collect();
        let fitted: Vec<String> = fitted.iter().map(ToString::to_string).collect();
        (!fitted.is_empty() && !others.is_empty()).then(|| {
            format!(
                "note: the profile was fitted to QEMU {}, and there are runs of {}: it may not hold for them",
                fitted.join(", "),
                others.join(", ")
            )
        })
    }

    /// What is assumed before any run is seen.
    pub fn assumed() -> Profile {
        static ASSUMED: LazyLock<Profile> = LazyLock::new(|| embedded(ASSUMED_TOML));
        ASSUMED.clone()
    }

    /// The profile as a file with what each parameter means.
    ///
    /// # Errors
    /// TOML's, of which there are none for a profile.
    pub fn to_commented_toml(&self) -> Result<String, toml::ser::Error> {
        let values = toml::Table::try_from(self)?;
        let mut section = &values;
        let mut text = String::new();
        for line in ASSUMED_TOML.lines() {
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            if let Some(value) = section.get(key) {
                text.push_str(&format!("{key} = {value}\n"));
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                let mut parts = name.trim_end_matches(']').split('.');
                let found = parts.try_fold(&values, |table, part| table.get(part)?.as_table());
                section = found.unwrap_or(section);
            }
            text.push_str(line);
            text.push('\n');
        }
        if let Some(intervals) = self.noise.intervals {
            let head = "\n# Half-widths of intervals, over the scatter that is expected, found on runs that the fit had not seen.\n";
            text.push_str(head);
            let tables = [
                ("precopy", Some(intervals.precopy)),
                ("postcopy", intervals.postcopy),
                ("offline", intervals.offline),
            ];
            for (mode, widths) in tables {
                if let Some(widths) = widths {
                    text.push_str(&format!(
                        "[noise.intervals.{mode}]\n{}",
                        toml::to_string(&widths)?
                    ));
                }
            }
        }
        text.push_str(&self.refits.to_commented_toml());
        if !self.shapes.is_empty() {
            text.push_str(
                "\n# Guests that are known by one number, as runs have shown them: near a touched memory and a dirty rate, the share of it\n\
                 # that they dirty sooner or later, how many times their rate they dirty while they are moved, and how that differs.\n",
            );
            for shape in &*self.shapes {
                text.push_str("[[shapes]]\n");
                text.push_str(&toml::to_string(shape)?);
            }
        }
        if let Some(domain) = &self.domain {
            text.push_str("\n# The ranges of the runs that it was fitted to, from the least to the most.\n[domain]\n");
            text.push_str(&toml::to_string(domain)?);
        }
        if let Some(fit) = &self.fit {
            text.push_str("\n# Where it comes from.\n[fit]\n");
            text.push_str(&toml::to_string_pretty(fit)?);
        }
        Ok(text)
    }

    /// What of a question lies outside of the runs that it was fitted to.
    pub fn outside(&self, guest: &Guest, path: &Path, policy: &Policy) -> Vec<Outside> {
        self.domain.as_ref().map_or(Vec::new(), |domain| domain.outside(guest, path, policy))
    }

    /// Checks the ranges of its values.
    ///
    /// # Errors
    /// Names the first parameter that is out of its range, and what it takes.
    pub fn check(&self) -> Result<(), ProfileError> {
        let n = &self.network;
        if self.format > FORMAT {
            return Err(ProfileError::Range {
                key: "format",
                value: self.format.to_string(),
                accepted: "1: the file is of a newer version of the program",
            });
        }
        let shares =
            Transport::ALL.map(|transport| (share_key(transport), n.share.get(&transport)));
        let shares = shares.into_iter().filter_map(|(key, share)| Some((key, share?)));
        for (key, share) in shares.chain([
            ("network.queue_share", &n.queue_share),
            ("guest.idle_share", &self.guest.idle_share),
        ]) {
            if !(share.value > 0.0 && share.value <= 1.0) {
                return Err(ProfileError::Range {
                    key,
                    value: share.value.to_string(),
                    accepted: "a share above 0 up to 1",
                });
            }
        }
        for (key, rate) in [
            ("cpu.page_rate", &self.cpu.page_rate),
            ("cpu.zero_page_rate", &self.cpu.zero_page_rate),
            ("cpu.xbzrle_page_rate", &self.cpu.xbzrle_page_rate),
            ("cpu.writer_rate", &self.cpu.writer_rate),
        ] {
            if rate.value.pages_per_s() <= 0.0 {
                return Err(ProfileError::Range {
                    key,
                    value: rate.value.to_string(),
                    accepted: "a rate above zero like `245000p/s`",
                });
            }
        }
        for (key, rate) in [
            ("offline.cache_rate", &self.offline.cache_rate),
            ("offline.write_rate", &self.offline.write_rate),
            ("offline.copy_read_rate", &self.offline.copy_read_rate),
            ("offline.read_rate", &self.offline.read_rate),
        ]
        .into_iter()
        .chain(n.carrier_rate.values().map(|rate| ("network.carrier_rate", rate)))
        {
            if rate.value.0 == 0 {
                return Err(ProfileError::Range {
                    key,
                    value: rate.value.to_string(),
                    accepted: "a rate above zero like `380MB/s`",
                });
            }
        }
        let catch_up = self.cpu.catch_up.value;
        if catch_up.is_nan() || catch_up <= 0.0 {
            return Err(ProfileError::Range {
                key: "cpu.catch_up",
                value: catch_up.to_string(),
                accepted: "a number above 0, or inf",
            });
        }
        for (key, value) in [
            ("switchover.control_round_trips", self.switchover.control_round_trips.value),
            ("noise.elapsed_relative", self.noise.elapsed_relative.value),
            ("noise.downtime_relative", self.noise.downtime_relative.value),
            ("noise.wire_bytes_relative", self.noise.wire_bytes_relative.value),
        ] {
            if !(0.0..=1000.0).contains(&value) {
                return Err(ProfileError::Range {
                    key,
                    value: value.to_string(),
                    accepted: "0 to 1000",
                });
            }
        }
        self.refits.check()?;
        for shape in &*self.shapes {
            let pairs =
                std::iter::once([shape.share, shape.times]).chain(shape.like.iter().copied());
            for [share, times] in pairs {
                if !(share > 0.0 && share <= 1.0 && times > 0.0 && times <= 1000.0) {
                    return Err(ProfileError::Range {
                        key: "shapes",
                        value: format!("a share of {share} and {times} times the rate"),
                        accepted: "shares above 0 to 1 and times above 0 to 1000",
                    });
                }
            }
        }
        let guest = &self.guest;
        if guest.firmware_zero_pages.value > guest.firmware_pages.value
            || guest.firmware_pages.value > 1 << 32
        {
            return Err(ProfileError::Range {
                key: "guest.firmware_zero_pages",
                value: guest.firmware_zero_pages.value.to_string(),
                accepted: "0 up to guest.firmware_pages, which takes up to 4294967296",
            });
        }
        Ok(())
    }

    /// Hosts and software that cost nothing: the rules of QEMU alone, on a link used to the full.
    /// What a closed-form model assumes.
    pub fn ideal() -> Profile {
        const NO_TIME: Param<SimTime> = Param::exact(SimTime::ZERO);
        let fast = Param::exact(PageRate::new(1e15).unwrap_or_default());
        let all = Param::exact(1.0);
        let none = Param::exact(0.0);
        let unlimited = Param::exact(BitRate::UNLIMITED);
        Profile {
            format: FORMAT,
            base: Base::Lab,
            name: "ideal: no overheads".to_owned(),
            software: Software {
                prepare: NO_TIME,
                finish: NO_TIME,
                qemu_setup: NO_TIME,
                qemu_setup_per_gib: NO_TIME,
                round: NO_TIME,
                sync_per_gib: NO_TIME,
            },
            network: Network {
                share: Transport::ALL.map(|transport| (transport, all)).into(),
                carrier_rate: [Transport::Tls, Transport::Tunnelled, Transport::Ssh]
                    .map(|transport| (transport, unlimited))
                    .into(),
                queue_fixed: Param::exact(Bytes(0)),
                queue_time: NO_TIME,
                queue_bytes: Param::exact(Bytes::UNLIMITED),
                queue_share: all,
            },
            cpu: Cpu {
                page_rate: fast,
                zero_page_rate: fast,
                xbzrle_page_rate: fast,
                writer_rate: fast,
                catch_up: Param::exact(f64::INFINITY),
            },
            switchover: Switchover {
                stop: NO_TIME,
                flush: NO_TIME,
                device_bytes: Param::exact(Bytes(0)),
                device_state: NO_TIME,
                destination_load: NO_TIME,
                control: NO_TIME,
                control_round_trips: none,
                forced_stop_after: Param::exact(0),
            },
            postcopy: Postcopy { switch_delay: NO_TIME, control: NO_TIME, fault: NO_TIME },
            offline: Offline {
                suspend: NO_TIME,
                copy: NO_TIME,
                resume: NO_TIME,
                cache_bytes: Param::exact(Bytes(0)),
                cache_rate: unlimited,
                write_rate: unlimited,
                copy_read_rate: unlimited,
                read_rate: unlimited,
            },
            guest: GuestExtras {
                firmware_pages: Param::exact(0),
                firmware_zero_pages: Param::exact(0),
                idle_pages: Param::exact(0),
                idle_share: Param::exact(0.02),
            },
            noise: Noise {
                elapsed_relative: none,
                elapsed: NO_TIME,
                downtime_relative: none,
                downtime: NO_TIME,
                wire_bytes_relative: none,
                intervals: None,
            },
            shapes: Shapes::default(),
            refits: Refits::default(),
            fit: None,
            domain: None,
        }
    }

    /// Usable share of the path's capacity.
    pub fn share(&self, transport: Transport) -> f64 {
        self.network.share.get(&transport).map_or(1.0, |share| share.value)
    }

    /// The most that what carries a migration's stream gets through, in bytes per second: with TLS
    /// each channel of multifd has a thread of its own, and ssh's window goes around once a round
    /// trip.
    pub fn carrier_rate(&self, path: &Path, channels: u32) -> f64 {
        let thread = self.network.carrier_rate.get(&path.transport);
        let thread = thread.map_or(f64::INFINITY, |rate| rate.value.bytes_per_s());
        match path.transport {
            Transport::Tcp => f64::INFINITY,
            Transport::Tls => thread * f64::from(channels.max(1)),
            Transport::Tunnelled => thread,
            Transport::Ssh if path.rtt == SimTime::ZERO => thread,
            Transport::Ssh => thread.min(SSH_WINDOW / path.rtt.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_profile_is_read_and_written() {
        assert_eq!(Profile::assumed().software.prepare.error, Some(SimTime::from_millis(150)));
        assert!(Profile::default().fit.is_some() && Profile::default().noise.intervals.is_some());
        for profile in [Profile::default(), Profile::assumed(), Profile::ideal()] {
            let written = profile.to_commented_toml().unwrap();
            assert_eq!(Profile::parse(&written).unwrap(), profile, "{written}");
            assert!(written.contains("# An iteration beside its pages"), "{written}");
        }
    }

    #[test]
    fn the_shipped_profile_is_what_a_fit_has_written() {
        assert_eq!(Profile::default().to_commented_toml().unwrap(), DEFAULT_TOML);
    }

    #[test]
    fn a_key_that_a_profile_lacks_has_the_value_of_its_base_and_is_told() {
        let short = "name = \"mine\"\n[network.share]\ntcp = { value = 0.9 }\n";
        let (mine, missing) = Profile::parse_noting(short).unwrap();
        let lab = Profile::default();
        assert_eq!(
            (mine.share(Transport::Tcp), mine.share(Transport::Ssh)),
            (0.9, lab.share(Transport::Ssh))
        );
        assert_eq!(
            (mine.cpu, mine.offline, mine.noise.intervals, mine.fit),
            (lab.cpu, lab.offline, None, None)
        );
        assert!(
            missing.contains(&"network.share.ssh".to_owned())
                && missing.contains(&"cpu.page_rate".to_owned()),
            "{missing:?}"
        );
        assert!(!missing.contains(&"network.share.tcp".to_owned()));
        let (mine, _) = Profile::parse_noting(&format!("base = \"assumed\"\n{short}")).unwrap();
        assert_eq!(mine.software, Profile::assumed().software);
        assert_eq!(Profile::parse_noting(DEFAULT_TOML).unwrap().1, Vec::<String>::new());
    }

    #[test]
    fn on_servers_nothing_carries_more_than_plain_tcp() {
        let path = |transport| Path::new("100Gbit/s").unwrap().transport(transport);
        for name in SHIPPED.into_iter().filter(|name| name.starts_with("server-")) {
            let profile = Profile::parse(shipped(name).unwrap()).unwrap();
            let tcp = profile.share(Transport::Tcp);
            for other in [Transport::Tls, Transport::Tunnelled, Transport::Ssh] {
                assert!(profile.share(other) <= tcp, "{name} {other}");
                assert!(profile.carrier_rate(&path(other), 0) < 1e9, "{name} {other}");
            }
            let [one, four] = [1, 4].map(|n| profile.carrier_rate(&path(Transport::Tls), n));
            assert_eq!(four, 4.0 * one);
            // 2 MiB a round trip.
            let far = Path { rtt: SimTime::from_millis(10), ..path(Transport::Ssh) };
            assert_eq!(profile.carrier_rate(&far, 0), 209_715_200.0);
        }
    }

    /// Yesterday's files are read as they were meant.
    #[test]
    fn profiles_of_earlier_versions_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/profiles");
        let file = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.toml")).unwrap();
        for (name, later) in [
            ("lab", Profile::parse(&file("v1-lab")).unwrap()),
            ("assumed", Profile::parse(&file("v1-assumed")).unwrap()),
            ("ideal", Profile::ideal()),
        ] {
            let (then, mut missing) = Profile::parse_noting(&file(&format!("v0-{name}"))).unwrap();
            missing.sort();
            // They did not say which runs they were fitted to.
            let mut later = Profile { domain: None, ..later };
            later.cpu.catch_up = then.cpu.catch_up;
            later.network.carrier_rate.clone_from(&then.network.carrier_rate);
            (later.guest.idle_pages, later.guest.idle_share) =
                (then.guest.idle_pages, then.guest.idle_share);
            // Nor did they know of guests that are forced to stop, cannot catch up, or are idle as
            // an operating system is, or of what encryption costs.
            let new = [
                "cpu.catch_up",
                "guest.idle_pages",
                "guest.idle_share",
                "network.carrier_rate.ssh",
                "network.carrier_rate.tls",
                "network.carrier_rate.tunnelled",
                "software.finish",
                "switchover.forced_stop_after",
            ]
            .map(str::to_owned)
            .to_vec();
            assert_eq!((then, missing), (later, new), "{name}");
        }
        let read = |file: &str| {
            let text = std::fs::read_to_string(format!("{folder}/../../../{file}")).unwrap();
            Profile::parse_noting(&text).unwrap()
        };
        assert_eq!(read("tests/data/profiles/v0-paper.toml"), read("scenarios/paper/profile.toml"));
    }

    /// What nothing is known of, and what is a choice, has none.
    #[test]
    fn every_parameter_of_a_shipped_profile_has_an_error() {
        let chosen = ["switchover.forced_stop_after", "cpu.catch_up", "guest.idle_pages"];
        for name in SHIPPED.into_iter().filter(|name| *name != "ideal") {
            let mut profile = Profile::parse(shipped(name).unwrap()).unwrap();
            for field in FIELDS.iter().filter(|field| !chosen.contains(&field.key)) {
                let slot = (field.slot)(&mut profile);
                let none =
                    slot.value() == 0.0 || slot.value() >= 1e9 && field.key == "cpu.writer_rate";
                assert_eq!(slot.error().is_some_and(|e| e > 0.0), !none, "{name}: {}", field.key);
            }
        }
    }

    #[test]
    fn mistakes_in_a_profile_are_named() {
        for (from, to, message) in [
            (
                "tcp = { value = 0.956, error = 0.003 }",
                "tcp = { value = 1.5 }",
                "network.share.tcp is 1.5; it takes",
            ),
            (
                "tls = { value = 0.95, error = 0.02 }",
                "tls = { value = nan }",
                "network.share.tls is NaN; it takes",
            ),
            (
                "\"900ms\"",
                "900",
                "`900` has no unit: it may be `900s` or `900ms`; a duration is written like",
            ),
            ("value = \"4MiB\"", "value = \"4MiB\", typo = 1", "unknown field `typo`"),
            ("format = 1", "format = 2", "format is 2; it takes 1: the file is of a newer version"),
            (
                "tls = { value = 0.95, error = 0.02 }",
                "quic = { value = 0.95 }",
                "unknown variant `quic`",
            ),
            ("\"245000p/s\"", "\"0p/s\"", "cpu.page_rate is 0p/s; it takes a rate above zero"),
            ("[software]", "[software", "TOML parse error"),
        ] {
            assert!(ASSUMED_TOML.contains(from), "{from}");
            let error = Profile::parse(&ASSUMED_TOML.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(message), "{error}\nlacks {message}");
        }
    }
}
