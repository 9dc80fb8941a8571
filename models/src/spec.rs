//! What is asked: the guest, the path between the two hosts, and the policy of its migration.

use serde::{Deserialize, Serialize};

use crate::qemu::{AutoConverge, Version, XBZRLE_CACHE, feature as feature_of};
use crate::units::{BitRate, Bytes, PAGE_BYTES, Pages, SimTime, UnitError};
use crate::workload::{NotationError, Workload};

/// A virtual machine as migration sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Guest {
    /// What reports call it.
    pub name: String,
    /// RAM, at least one page.
    pub memory: Pages,
    /// Pages that hold something other than zeros when the migration starts, at most `memory`.
    pub touched: Pages,
    /// Virtual processors, at least 1.
    pub vcpus: u32,
    /// What it writes. The working sets together fit into `memory`.
    pub workload: Workload,
    /// How far into its first `on` a phased workload is when the migration starts; `None`:
    /// unknown, averaged over.
    pub phase_offset: Option<SimTime>,
    /// Where its zero pages lie.
    pub layout: Layout,
    /// Of those, pages before all else that nobody has used: what boot code and loaders leave free
    /// at the bottom.
    pub zero_head: Pages,
    /// Bytes that change in a page from one write of it to the next, for XBZRLE; at most 4096.
    pub delta_bytes: u32,
}

/// Where the zero pages of a guest lie. It matters because an iteration that ends in zero pages
/// lets the network catch up before the stop: the downtime changes tenfold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Nobody knows: most likely as [`Linux`](Layout::Linux).
    #[default]
    Unknown,
    /// In a few large blocks between what Linux has touched, see [`Blocks`].
    Linux,
    /// Among the others, nobody knows how finely; most likely evenly.
    Mixed,
    /// All touched pages lie in front, zero pages behind: the lab's guest.
    Front,
    /// Zero pages lie in front: an operating system just booted that allocates from the top.
    Back,
}

/// Blocks of memory as Linux allocates it, in pages: what it boots with at the bottom, a gap, what
/// it has touched since, another gap, and at the top what the kernel keeps of its pages.
///
/// Read from five guests of 512 to 2048 MiB, page by page, and from the first iteration of twenty
/// migrations of a guest of 8 GiB with PostgreSQL; docs/model.md has the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Touched pages at the bottom: the kernel, and what has no room above 4 GiB.
    pub bottom: u64,
    /// Zero pages behind them. Linux allocates from below 4 GiB last.
    pub gap: u64,
    /// Touched pages at the top; those between the gaps are the others.
    pub top: u64,
}

/// What Linux has at the bottom: 36 MiB.
const LINUX_BOTTOM: u64 = 36 << 8;
/// At the top it keeps a descriptor of 64 bytes for each page ...
const LINUX_DESCRIPTORS: u64 = 64;
/// ... and what its kernel allocates early: 26 MiB.
const LINUX_TOP: u64 = 26 << 8;
/// Of a guest of 3.5 GiB and more, so much lies below 4 GiB (`hw/i386/pc_piix.c`, `pc_init1`; with
/// q35 2 GiB).
const BELOW_4G: u64 = 3 << 18;
const ALL_BELOW_4G: u64 = 7 << 17;

impl Blocks {
    /// Those of a guest.
    pub fn of(memory: Pages, touched: Pages) -> Blocks {
        let (memory, touched) = (memory.0, touched.0.min(memory.0));
        let top = (memory * LINUX_DESCRIPTORS / PAGE_BYTES + LINUX_TOP).min(touched / 2);
        let kernel = LINUX_BOTTOM.min(touched / 4);
        if memory < ALL_BELOW_4G {
            return Blocks { bottom: kernel, gap: 0, top };
        }
        let others = touched - top - kernel;
        let bottom = kernel + others.saturating_sub(memory - BELOW_4G - top);
        Blocks { bottom, gap: BELOW_4G.saturating_sub(bottom), top }
    }
}

impl Layout {
    /// Whether it could be another than what is expected of it.
    pub fn is_unsure(self) -> bool {
        matches!(self, Layout::Unknown | Layout::Mixed)
    }

    /// What it could be, where it is not known: `rank` from 0 to below 1 draws. How often each is
    /// met is assumed; what was seen comes first.
    #[must_use]
    pub fn as_it_could_be(self, rank: f64) -> Layout {
        let [often, seldom] = match self {
            Layout::Unknown => [Layout::Linux, Layout::Mixed],
            Layout::Mixed => [Layout::Mixed, Layout::Linux],
            known => return known,
        };
        match rank {
            rank if rank < 0.5 => often,
            rank if rank < 0.75 => Layout::Front,
            _ => seldom,
        }
    }
}

/// The path between the two hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Capacity on the wire, above zero.
    pub capacity: BitRate,
    /// Round-trip time.
    pub rtt: SimTime,
    /// What carries the migration stream.
    pub transport: Transport,
    /// The most that the sender's socket buffer holds (the third figure of Linux's
    /// net.ipv4.tcp_wmem); `None`: the profile's.
    pub send_buffer: Option<Bytes>,
    /// When the capacity changes, and to what: other traffic. Times rise.
    pub changes: Vec<CapacityChange>,
}

/// From `at` on the path has another capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityChange {
    /// Since the start of the migration.
    pub at: SimTime,
    /// The capacity from then on; zero: the path is cut.
    pub capacity: BitRate,
}

/// What carries the migration stream; each has its own usable share of the path in the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// QEMU's own TCP connection.
    #[default]
    Tcp,
    /// The same with TLS.
    Tls,
    /// Through libvirt's daemons.
    Tunnelled,
    /// Through SSH.
    Ssh,
}

/// How a guest is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Memory is copied while the guest runs, in iterations; then it stops for the rest.
    #[default]
    Precopy,
    /// The guest runs at the destination before its memory is there.
    Postcopy,
    /// Pre-copy of a guest that is paused throughout: `virsh migrate` without `--live`.
    Paused,
    /// Suspend, copy, resume.
    Offline,
}

/// When a post-copy migration switches over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// Before anything was sent.
    AtStart,
    /// After so many iterations over memory, at least 1 (libvirt's `--postcopy-after-precopy` is
    /// one).
    AfterIterations(u32),
    /// At a time since the start.
    AfterTime(SimTime),
}

/// What happens to a live migration that takes longer than its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// It is given up; the guest stays.
    #[default]
    Abort,
    /// The guest is suspended, so that it converges: `virsh migrate --timeout-suspend`.
    Suspend,
    /// It switches to post-copy: `--timeout-postcopy`.
    Postcopy,
}

/// The policy of one migration: mode and levers.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How the guest is moved.
    pub mode: Mode,
    /// Whose rules apply.
    pub qemu: Version,
    /// QEMU's downtime-limit.
    pub downtime_limit: SimTime,
    /// The migration's own cap, until the vCPUs stop; `None`: none.
    pub bandwidth_cap: Option<BitRate>,
    /// The cap after the switch to post-copy (max-postcopy-bandwidth); `None`: none.
    pub postcopy_bandwidth: Option<BitRate>,
    /// Throttling of the guest's processors.
    pub auto_converge: Option<AutoConverge>,
    /// Size of the XBZRLE cache; `None`: off.
    pub xbzrle: Option<Bytes>,
    /// Channels of multifd; 0: off.
    pub multifd_channels: u32,
    /// When post-copy switches over.
    pub switch: Switch,
    /// How long it may take, offline excepted; `None`: as long as it makes progress.
    pub timeout: Option<SimTime>,
    /// What happens then.
    pub on_timeout: OnTimeout,
    /// Offline: bytes moved beside the memory image, configuration and redo files.
    pub offline_files: Bytes,
}

impl Default for Policy {
    /// libvirt's defaults: pre-copy, 300 ms downtime limit, no cap, no levers.
    fn default() -> Policy {
        Policy {
            mode: Mode::Precopy,
            qemu: Version::V7_2,
            downtime_limit: SimTime::from_millis(300),
            bandwidth_cap: None,
            postcopy_bandwidth: None,
            auto_converge: None,
            xbzrle: None,
            multifd_channels: 0,
            switch: Switch::AfterIterations(1),
            timeout: None,
            on_timeout: OnTimeout::Abort,
            offline_files: Bytes(0),
        }
    }
}

impl Policy {
    /// XBZRLE with QEMU's default cache.
    pub const DEFAULT_XBZRLE: Bytes = XBZRLE_CACHE;
}

/// A word of a closed list could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{input}`; it is one of {}", accepted.join(", "))]
pub struct WordError {
    what: &'static str,
    input: String,
    accepted: &'static [&'static str],
}

impl WordError {
    /// `input` is no `what`, of which `accepted` are known.
    pub fn new(what: &'static str, input: &str, accepted: &'static [&'static str]) -> WordError {
        WordError { what, input: crate::text::quoted(input), accepted }
    }
}

/// Gives an enumeration its words: what it is called, for the error, and the word of each variant.
#[macro_export]
macro_rules! words {
    ($type:ident, $what:literal, $($word:literal => $variant:ident),+) => {
        impl $type {
            /// The words for it.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }
        impl ::std::str::FromStr for $type {
            type Err = $crate::spec::WordError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                match s {
                    $($word => Ok($type::$variant),)+
                    _ => Err($crate::spec::WordError::new($what, s, $type::WORDS)),
                }
            }
        }
        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(match self { $($type::$variant => $word,)+ })
            }
        }
    };
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 4] =
        [Transport::Tcp, Transport::Tls, Transport::Tunnelled, Transport::Ssh];
}

words!(Layout, "layout", "unknown" => Unknown, "linux" => Linux, "mixed" => Mixed, "front" => Front, "back" => Back);
words!(Transport, "transport", "tcp" => Tcp, "tls" => Tls, "tunnelled" => Tunnelled, "ssh" => Ssh);
words!(Mode, "mode", "precopy" => Precopy, "postcopy" => Postcopy, "paused" => Paused, "offline" => Offline);
words!(OnTimeout, "action", "abort" => Abort, "suspend" => Suspend, "postcopy" => Postcopy);

/// What makes a question unanswerable: which quantity, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SpecError {
    /// The quantity at fault, as scenarios name it, for pointing at it.
    pub key: &'static str,
    /// What is wrong and what is accepted.
    pub message: String,
}

impl SpecError {
    fn new(key: &'static str, message: impl Into<String>) -> SpecError {
        SpecError { key, message: message.into() }
    }
}

/// The largest guest that is simulated: 1 PiB.
pub const MAX_MEMORY: Pages = Pages(1 << 38);
/// The most vCPUs of a guest: eight times what QEMU's largest machine types have.
pub const MAX_VCPUS: u32 = 32_768;
/// The most terms of a workload.
pub const MAX_TERMS: usize = 64;
/// The longest round trip.
pub const MAX_RTT: SimTime = SimTime::from_secs(3600);
/// The largest buffer of a socket, in bytes: 1 TiB.
const MAX_BUFFER: u64 = 1 << 40;
/// The most changes of a link's capacity.
pub const MAX_CHANGES: usize = 10_000;
/// The longest time that is waited for: ten years.
pub const MAX_TIME: SimTime = SimTime::from_secs(3653 * 86_400);
/// The most iterations before a switch to post-copy.
pub const MAX_ITERATIONS: u32 = 10_000;

impl Guest {
    /// A guest of that memory, all of it touched, with one vCPU, that writes nothing.
    pub fn of(memory: Pages) -> Guest {
        Guest {
            name: "guest".to_owned(),
            memory,
            touched: memory,
            vcpus: 1,
            workload: Workload::idle(),
            phase_offset: None,
            layout: Layout::default(),
            zero_head: Pages(0),
            delta_bytes: 256,
        }
    }

    /// The same, its memory in text.
    ///
    /// ```
    /// use migsim_models::spec::Guest;
    ///
    /// let guest = Guest::new("4GiB")?.touched("1GiB")?.vcpus(2).workload("uniform(wss=512MiB, rate=5000p/s)")?;
    /// assert_eq!(guest.touched.0, 262_144);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It is no amount of memory.
    pub fn new(memory: &str) -> Result<Guest, UnitError> {
        Ok(Guest::of(memory.parse()?))
    }

    /// How much of it holds something other than zeros.
    ///
    /// # Errors
    /// It is no amount of memory.
    pub fn touched(self, touched: &str) -> Result<Guest, UnitError> {
        Ok(Guest { touched: touched.parse()?, ..self })
    }

    /// So many virtual processors.
    #[must_use]
    pub fn vcpus(self, vcpus: u32) -> Guest {
        Guest { vcpus, ..self }
    }

    /// What it writes, in the workload notation.
    ///
    /// # Errors
    /// It is no workload.
    pub fn workload(self, notation: &str) -> Result<Guest, NotationError> {
        Ok(Guest { workload: notation.parse()?, ..self })
    }

    /// Checks what must hold between the guest's quantities.
    ///
    /// # Errors
    /// Names the first quantity that contradicts another.
    pub fn check(&self) -> Result<(), SpecError> {
        let memory = self.memory.bytes();
        if self.memory.0 == 0 || self.memory > MAX_MEMORY {
            return Err(SpecError::new(
                "memory",
                format!("memory is {memory}; it takes 4KiB to 1024TiB"),
            ));
        }
        if self.touched > self.memory {
            return Err(SpecError::new(
                "touched",
                format!("touched is {}, more than the memory of {memory}", self.touched.bytes()),
            ));
        }
        let zeros = Pages(self.memory.0 - self.touched.0);
        if self.zero_head > zeros {
            return Err(SpecError::new(
                "zero_head",
                format!(
                    "zero_head is {}, and only {} are not touched",
                    self.zero_head.bytes(),
                    zeros.bytes()
                ),
            ));
        }
        if !(1..=MAX_VCPUS).contains(&self.vcpus) {
            return Err(SpecError::new(
                "vcpus",
                format!("vcpus is {}; it takes 1 to {MAX_VCPUS}", self.vcpus),
            ));
        }
        if self.workload.terms.len() > MAX_TERMS {
            return Err(SpecError::new(
                "workload",
                format!(
                    "the workload has {} terms; it takes up to {MAX_TERMS}",
                    self.workload.terms.len()
                ),
            ));
        }
        if self.delta_bytes > 4096 {
            return Err(SpecError::new(
                "delta_bytes",
                format!(
                    "delta_bytes is {}; it takes 0 to 4096, the bytes of a page",
                    self.delta_bytes
                ),
            ));
        }
        let working_set = self.workload.working_set();
        if working_set > self.memory {
            return Err(SpecError::new(
                "workload",
                format!(
                    "the working set of {working_set} is larger than the memory of {} ({memory})",
                    self.memory
                ),
            ));
        }
        Ok(())
    }
}

impl Path {
    /// A path of that capacity: TCP within a data centre, with nothing else on it.
    pub fn of(capacity: BitRate) -> Path {
        Path {
            capacity,
            rtt: SimTime(200_000),
            transport: Transport::default(),
            send_buffer: None,
            changes: Vec::new(),
        }
    }

    /// The same, its capacity in text.
    ///
    /// # Errors
    /// It is no rate.
    pub fn new(capacity: &str) -> Result<Path, UnitError> {
        Ok(Path::of(capacity.parse()?))
    }

    /// Its round-trip time.
    ///
    /// # Errors
    /// It is no time.
    pub fn rtt(self, rtt: &str) -> Result<Path, UnitError> {
        Ok(Path { rtt: rtt.parse()?, ..self })
    }

    /// What carries the stream.
    #[must_use]
    pub fn transport(self, transport: Transport) -> Path {
        Path { transport, ..self }
    }

    /// Checks what the sender's socket buffer holds at most, which is also known where a path is
    /// not yet.
    ///
    /// # Errors
    /// No socket has such a buffer.
    pub fn check_send_buffer(most: Option<Bytes>) -> Result<(), SpecError> {
        if most.is_some_and(|most| !(4096..=MAX_BUFFER).contains(&most.0)) {
            return Err(SpecError::new("send_buffer", "the send buffer takes 4KiB to 1TiB"));
        }
        Ok(())
    }

    /// Checks the path's quantities.
    ///
    /// # Errors
    /// A capacity of zero, or changes that go back in time.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.capacity.0 == 0 {
            return Err(SpecError::new(
                "capacity",
                "the link's capacity is 0; it takes a rate above zero like `1Gbit/s`",
            ));
        }
        Path::check_send_buffer(self.send_buffer)?;
        if self.rtt > MAX_RTT {
            return Err(SpecError::new(
                "rtt",
                format!("rtt is {}; it takes up to {MAX_RTT}", self.rtt),
            ));
        }
        if self.changes.len() > MAX_CHANGES {
            return Err(SpecError::new(
                "changes",
                format!(
                    "the link's capacity changes {} times; it may up to {MAX_CHANGES} times",
                    self.changes.len()
                ),
            ));
        }
        if self.changes.iter().any(|change| change.at > MAX_TIME) {
            return Err(SpecError::new(
                "changes",
                format!("a change of the link's capacity comes after {MAX_TIME} at most"),
            ));
        }
        if self.changes.windows(2).any(|pair| pair[1].at < pair[0].at) {
            return Err(SpecError::new(
                "changes",
                "the changes of the link's capacity go back in time",
            ));
        }
        Ok(())
    }
}

impl Policy {
    /// At what time it switches to post-copy, if at one.
    fn switch_time(&self) -> Option<SimTime> {
        match self.switch {
            Switch::AfterTime(at) => Some(at),
            _ => None,
        }
    }

    /// Checks the policy's quantities, and whether the transport carries it.
    ///
    /// # Errors
    /// As of [`Policy::check`]; or the stream goes through libvirt's daemons, which take one
    /// connection and none back (libvirt: `qemuMigrationSrcBeginPhase`, "post-copy is not
    /// supported with tunnelled migration"; multifd it refuses likewise, tried with 9.0).
    pub fn check_over(&self, transport: Transport) -> Result<(), SpecError> {
        self.check()?;
        let tunnelled = matches!(transport, Transport::Tunnelled | Transport::Ssh);
        let (key, name) = if self.postcopy() {
            (if self.mode == Mode::Postcopy { "mode" } else { "on_timeout" }, "post-copy")
        } else if self.multifd_channels > 0 {
            ("multifd_channels", "multifd")
        } else {
            return Ok(());
        };
        if tunnelled {
            return Err(SpecError::new(
                key,
                format!(
                    "libvirt refuses {name} over the transport {transport}; it takes tcp or tls"
                ),
            ));
        }
        Ok(())
    }

    /// Whether it may switch to post-copy.
    fn postcopy(&self) -> bool {
        self.mode == Mode::Postcopy
            || (self.timeout.is_some() && self.on_timeout == OnTimeout::Postcopy)
    }

    /// Checks the policy's quantities.
    ///
    /// # Errors
    /// Names the first that is out of its range, or that QEMU itself would refuse.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.bandwidth_cap == Some(BitRate(0)) {
            return Err(SpecError::new(
                "bandwidth_cap",
                "bandwidth_cap is 0; it takes a rate above zero, or is left out",
            ));
        }
        // QEMU: migrate_params_check, "downtime_limit in the range of 0 to 2000 seconds".
        if self.downtime_limit > SimTime::from_secs(2000) {
            return Err(SpecError::new(
                "downtime_limit",
                "downtime_limit is above QEMU's most, 2000s",
            ));
        }
        if self.timeout == Some(SimTime::ZERO) {
            return Err(SpecError::new(
                "timeout",
                "timeout is 0; it takes a time above zero, or is left out",
            ));
        }
        let times = [("timeout", self.timeout), ("postcopy_after", self.switch_time())];
        for (key, time) in times {
            if time.is_some_and(|time| time > MAX_TIME) {
                return Err(SpecError::new(key, format!("{key} takes up to {MAX_TIME}")));
            }
        }
        if matches!(self.switch, Switch::AfterIterations(count) if count > MAX_ITERATIONS) {
            return Err(SpecError::new(
                "switch",
                format!("postcopy_after_passes takes 0 to {MAX_ITERATIONS}"),
            ));
        }
        if self.multifd_channels > 255 {
            return Err(SpecError::new(
                "multifd_channels",
                "multifd_channels takes 0 (off) to 255",
            ));
        }
        if self.multifd_channels > 0 && self.xbzrle.is_some() {
            return Err(SpecError::new(
                "xbzrle",
                "xbzrle and multifd exclude each other in QEMU; use one of them",
            ));
        }
        if self.xbzrle.is_some_and(|cache| cache.0 < 4096) {
            return Err(SpecError::new("xbzrle", "the xbzrle cache takes 4KiB or more"));
        }
        let live = matches!(self.mode, Mode::Precopy | Mode::Postcopy);
        if self.on_timeout != OnTimeout::Abort && !live {
            return Err(SpecError::new(
                "on_timeout",
                format!(
                    "on_timeout = \"{}\" is for live migrations; a guest that is stopped takes \"abort\"",
                    self.on_timeout
                ),
            ));
        }
        let postcopy = self.postcopy();
        if postcopy && self.multifd_channels > 0 && !self.qemu.postcopy_with_multifd() {
            return Err(SpecError::new(
                "multifd_channels",
                format!(
                    "QEMU {} refuses post-copy together with multifd, which 10.1 and newer take; leave one of them out",
                    self.qemu
                ),
            ));
        }
        let asked = [
            ("xbzrle", self.xbzrle.is_some(), "xbzrle"),
            ("auto_converge", self.auto_converge.is_some(), "auto_converge"),
            (
                "throttle",
                self.auto_converge.is_some_and(|rule| rule != AutoConverge::default()),
                "throttle",
            ),
            ("postcopy", postcopy, if self.mode == Mode::Postcopy { "mode" } else { "on_timeout" }),
            ("postcopy_bandwidth", self.postcopy_bandwidth.is_some(), "postcopy_bandwidth"),
            ("multifd_channels", self.multifd_channels > 0, "multifd_channels"),
        ];
        for (feature, asked, key) in asked {
            if let Some(feature) =
                feature_of(feature).filter(|feature| asked && self.qemu < feature.since)
            {
                return Err(SpecError::new(
                    key,
                    format!(
                        "QEMU {} does not have {}, which came with {}",
                        self.qemu, feature.name, feature.since
                    ),
                ));
            }
        }
        if self.postcopy_bandwidth == Some(BitRate(0)) {
            return Err(SpecError::new(
                "postcopy_bandwidth",
                "postcopy_bandwidth is 0; it takes a rate above zero, or is left out",
            ));
        }
        if self.switch == Switch::AfterIterations(0) {
            return Err(SpecError::new(
                "switch",
                "post-copy switches after 1 iteration or more, or at the start",
            ));
        }
        if let Some(rule) = self.auto_converge {
            rule.check().map_err(|message| SpecError::new("auto_converge", message))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest {
            name: "g".to_owned(),
            memory: Pages(1000),
            touched: Pages(500),
            vcpus: 1,
            workload: Workload::idle(),
            phase_offset: None,
            layout: Layout::Mixed,
            zero_head: Pages(0),
            delta_bytes: 0,
        }
    }

    #[test]
    fn contradictions_are_named() {
        type Change = fn(&mut Guest);
        let cases: [(Change, &str); 6] = [
            (|g| g.memory = Pages(0), "memory is 0B; it takes"),
            (|g| g.touched = Pages(1001), "touched is 4004KiB, more than the memory of 4000KiB"),
            (|g| g.zero_head = Pages(501), "zero_head is 2004KiB, and only 2000KiB"),
            (|g| g.vcpus = 0, "vcpus is 0"),
            (|g| g.delta_bytes = 5000, "delta_bytes is 5000"),
            (
                |g| g.workload = "uniform(wss=1001p, rate=1p/s)".parse().unwrap(),
                "the working set of 1001p is larger than the memory of 1000p",
            ),
        ];
        for (change, message) in cases {
            let mut guest = guest();
            change(&mut guest);
            let error = guest.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(guest().check(), Ok(()));
    }

    #[test]
    fn policies_that_qemu_refuses_are_refused() {
        type Change = fn(&mut Policy);
        let cases: [(Change, &str); 6] = [
            (
                |p| {
                    p.mode = Mode::Paused;
                    p.on_timeout = OnTimeout::Suspend;
                },
                "on_timeout = \"suspend\" is for live migrations",
            ),
            (|p| p.bandwidth_cap = Some(BitRate(0)), "bandwidth_cap is 0"),
            (|p| p.downtime_limit = SimTime::from_secs(2001), "downtime_limit is above"),
            (
                |p| {
                    p.multifd_channels = 2;
                    p.xbzrle = Some(XBZRLE_CACHE);
                },
                "xbzrle and multifd exclude",
            ),
            (
                |p| {
                    p.multifd_channels = 2;
                    p.mode = Mode::Postcopy;
                },
                "QEMU 7.2 refuses post-copy together with multifd",
            ),
            (|p| p.switch = Switch::AfterIterations(0), "post-copy switches after 1 iteration"),
        ];
        for (change, message) in cases {
            let mut policy = Policy::default();
            change(&mut policy);
            let error = policy.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
        assert_eq!(Policy::default().check(), Ok(()));
    }

    #[test]
    fn a_tunnel_takes_one_stream_and_none_back() {
        let multifd = Policy { multifd_channels: 2, ..Policy::default() };
        let postcopy = Policy { mode: Mode::Postcopy, ..Policy::default() };
        let late = Policy {
            timeout: Some(SimTime::from_secs(9)),
            on_timeout: OnTimeout::Postcopy,
            ..Policy::default()
        };
        for (policy, key) in
            [(&multifd, "multifd_channels"), (&postcopy, "mode"), (&late, "on_timeout")]
        {
            for transport in [Transport::Tunnelled, Transport::Ssh] {
                let error = policy.check_over(transport).unwrap_err();
                assert!(error.key == key && error.message.contains("tcp or tls"), "{error}");
            }
            assert_eq!(policy.check_over(Transport::Tls), Ok(()));
        }
        assert_eq!(Policy::default().check_over(Transport::Ssh), Ok(()));
    }
}
