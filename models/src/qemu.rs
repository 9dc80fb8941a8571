//! The hypervisor's own rules as pure functions, for QEMU 0.11 to 11.x.
//!
//! Each names the file and function of QEMU that it restates. Where versions differ, [`Version`]
//! answers.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{Bytes, PAGE_BYTES, Pages, SimTime};

/// Wire bytes of a page sent whole: its contents and 8 bytes of header (`migration/ram.c`,
/// `save_page_header`, `save_normal_page`).
pub const NORMAL_PAGE_WIRE: f64 = PAGE_BYTES as f64 + 8.0;
/// Wire bytes of a page of zeros: header and one byte (`migration/ram.c`,
/// `save_zero_page_to_file`).
pub const ZERO_PAGE_WIRE: f64 = 9.0;
/// Pages in a multifd packet (`migration/multifd.h`, `MULTIFD_PACKET_SIZE` of 512 KiB).
const MULTIFD_PAGES_PER_PACKET: f64 = 128.0;
/// Header of a multifd packet: 64 bytes of fields, 256 of block name, 8 for each page's offset
/// (`MultiFDPacket_t`).
const MULTIFD_PACKET_HEADER: f64 = 64.0 + 256.0 + 8.0 * MULTIFD_PAGES_PER_PACKET;
/// Wire bytes of a page sent through multifd.
pub const MULTIFD_PAGE_WIRE: f64 =
    PAGE_BYTES as f64 + MULTIFD_PACKET_HEADER / MULTIFD_PAGES_PER_PACKET;
/// Wire bytes of an XBZRLE page beside its encoding: header, flag, length (`migration/ram.c`,
/// `save_xbzrle_page`).
const XBZRLE_PAGE_OVERHEAD: f64 = 8.0 + 1.0 + 2.0;
/// QEMU's default XBZRLE cache (`migration/migration.c`, `DEFAULT_MIGRATE_XBZRLE_CACHE_SIZE`).
pub const XBZRLE_CACHE: Bytes = Bytes(64 << 20);
/// A cached page used within so many iterations is not replaced (`migration/page_cache.c`,
/// `CACHED_PAGE_LIFETIME`).
pub const XBZRLE_LIFETIME: u64 = 2;
/// The smallest chunk of the dirty log that QEMU clears together (`include/exec/ramblock.h`,
/// `CLEAR_BITMAP_SHIFT_MIN` of 6), in pages.
pub const LEAST_LOG_CHUNK: Pages = Pages(1 << 6);
/// How often bandwidth and threshold are renewed (`migration/migration.c`, `BUFFER_DELAY`).
pub const WINDOW: SimTime = SimTime::from_millis(100);
/// An iteration sends for longer than this before it looks at what is left (`migration/ram.c`,
/// `MAX_WAIT` of 50 ms, in whole ms).
pub const MAX_WAIT: SimTime = SimTime::from_millis(51);
/// The clock is read once in so many pages (`migration/ram.c`, `ram_save_iterate`).
pub const MAX_WAIT_PAGES: f64 = 64.0;
/// A socket that was full takes more once a third of it has drained (Linux, `include/net/sock.h`,
/// `sk_stream_is_writeable`): of the two thirds that are left, and that QEMU then finds in its way,
/// this share. QEMU sleeps meanwhile, and looks at no clock.
pub const SOCKET_WAKE: f64 = 0.5;
/// Throttling is decided at a sync more than this after the last decision (`migration/ram.c`,
/// `migration_bitmap_sync`).
pub const THROTTLE_PERIOD: SimTime = SimTime::from_secs(1);
/// From 9.2 on, auto-converge forces a sync where none came for so long
/// (`migration/cpu-throttle.c`).
pub const FORCED_SYNC_PERIOD: SimTime = SimTime::from_secs(5);

/// A version of QEMU, major and minor. Written `7.2`; a patch level is read and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Major version.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
}

/// See [`Version::zero_page_share`].
const HANDED_OUT: f64 = 0.32;
const LOOKED_AT: f64 = 0.32;

impl Version {
    /// Debian 12's.
    pub const V7_2: Version = Version { major: 7, minor: 2 };
    /// Debian 13's.
    pub const V10_0: Version = Version { major: 10, minor: 0 };
    /// The first that counts a threshold met exactly, and takes post-copy and multifd together
    /// again.
    pub const V10_1: Version = Version { major: 10, minor: 1 };
    /// Like it.
    pub const V10_2: Version = Version { major: 10, minor: 2 };

    /// A release.
    pub const fn new(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    /// The newest release whose rules are known here.
    pub const NEWEST: Version = Version { major: 11, minor: 2 };

    /// Whether there is such a release, of those that can migrate: 0.11 to 0.15, then each major
    /// with the minors that it had. One major is made a year; what comes in the next years is
    /// taken, and follows the rules of [`Version::NEWEST`].
    pub fn exists(self) -> bool {
        let minors = match self.major {
            0 => 11..=15,
            1 => 0..=7,
            2 => 0..=12,
            3 => 0..=1,
            4..=19 => 0..=2,
            _ => return false,
        };
        minors.contains(&self.minor)
    }

    /// Whether its iterations are those of QEMU before 1.3 (`arch_init.c`, `ram_save_live`, read in
    /// 1.0).
    ///
    /// There each filling of the rate limit's quota begins with a sync, and the bandwidth is that
    /// of the filling alone: how fast QEMU copied pages into its own buffer, not how fast the
    /// link took them. On a slow link the guest is stopped with far more left than the downtime
    /// limit (30 ms by default then) allows.
    pub fn measures_its_own_buffer(self) -> bool {
        self < Version { major: 1, minor: 3 }
    }

    /// Whether auto-converge forces a sync every [`FORCED_SYNC_PERIOD`] after the first iteration:
    /// from 9.2 on (commit 52ac968ab28, `migration/cpu-throttle.c`,
    /// `cpu_throttle_dirty_sync_timer_tick`).
    pub fn forces_syncs(self) -> bool {
        self >= Version::new(9, 2)
    }

    /// Whether QEMU takes post-copy and multifd together: from 10.1 on (commit e2741886128). 8.1 to
    /// 10.0 refuse it; 4.0 to 8.0 took it, and it did not work.
    pub fn postcopy_with_multifd(self) -> bool {
        self >= Version::V10_1
    }

    /// Whether a threshold that is met exactly stops the vCPUs: from 10.1 on (commit 7aaa1fc072c),
    /// and before 1.4.
    pub fn counts_a_threshold_met_exactly(self) -> bool {
        self >= Version::V10_1 || self < Version::new(1, 4)
    }

    /// How long a page of zeros takes to be found, over how long the migration thread takes to find
    /// it alone. From 9.0 on multifd's channels look for them (commit 303e6f54f9,
    /// `migration/multifd-zero-page.c`), and the migration thread hands pages out: of 100 GiB of
    /// zeros 9.63 s were needed without, 6.18, 4.64 and 4.14 s with 1, 2 and 4 channels
    /// (qemu-devel, 20240226195654.934709-1), which is a third of the time for handing out and
    /// a third shared by the channels.
    pub fn zero_page_share(self, channels: u32) -> f64 {
        if channels == 0 || self < Version::new(9, 0) {
            return 1.0;
        }
        HANDED_OUT + LOOKED_AT / f64::from(channels)
    }

    /// Whether a threshold that is met exactly is looked at with a sync: only 8.0 to 8.2 do (commit
    /// c8df4a7aef; mended for 9.0 by "migration/postcopy: Fix high frequency sync", qemu-devel,
    /// 20 March 2024). At a threshold of zero, which a limit of zero has, and every migration in
    /// its first 100 ms, all other releases stop without one.
    pub fn syncs_at_its_threshold(self) -> bool {
        self.major == 8
    }

    /// Whether max-bandwidth holds back pages that go through multifd: from 4.2 on (commit
    /// 1b81c974ccf). Before, channels sent past it.
    pub fn caps_multifd(self) -> bool {
        self >= Version::new(4, 2)
    }

    /// How auto-converge throttles.
    pub fn throttling(self) -> Throttling {
        match self {
            v if v < Version::new(2, 5) => Throttling::Fixed,
            v if v < Version::new(2, 10) => Throttling::EveryThird,
            _ => Throttling::EverySecond,
        }
    }
}

/// How auto-converge throttles, by release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttling {
    /// 1.6 to 2.4: at the sixth high period, for good, and always as much: 30 ms asleep in each 41
    /// ms or more (`arch_init.c`, `check_guest_throttling`, `dirty_rate_high_cnt++ > 4`).
    Fixed,
    /// 2.5 to 2.9: a step at every third high period, the first period not counted
    /// (`migration/ram.c`, `dirty_rate_high_cnt++ >= 2`).
    EveryThird,
    /// From 2.10 on: at every second (commit b4a3c64b168, `++rs->dirty_rate_high_cnt >= 2`), the
    /// first counted.
    EverySecond,
}

/// What a vCPU sleeps before 2.5, in percent of its time: 30 ms of 41.
const FIXED_THROTTLE: u32 = 73;

/// Something that QEMU learnt at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The key that asks for it.
    pub key: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// The first release that has it.
    pub since: Version,
    /// The commit or file that brought it.
    pub source: &'static str,
}

/// What QEMU learnt at some time, of what a scenario can ask for.
///
/// A release is the first x.y.0 that has the commit; what distributions have taken into older ones
/// is not known here.
pub const FEATURES: &[Feature] = &[
    Feature {
        key: "downtime_limit",
        name: "a downtime limit",
        since: Version::new(0, 11),
        source: "commit 2ea42952ee1, migrate_set_downtime; 30 ms by default until 2.0, 300 ms from 2.1 (f7cd55a023b)",
    },
    Feature {
        key: "xbzrle",
        name: "XBZRLE",
        since: Version::new(1, 2),
        source: "commit 17ad9b358bc",
    },
    Feature {
        key: "auto_converge",
        name: "auto-converge",
        since: Version::new(1, 6),
        source: "commit 7ca1dfad952",
    },
    Feature {
        key: "throttle",
        name: "a throttle that is set",
        since: Version::new(2, 5),
        source: "commit 1626fee3bdb, x-cpu-throttle-initial and -increment; without x- from 2.7 (d85a31d1f4d)",
    },
    Feature {
        key: "postcopy",
        name: "post-copy",
        since: Version::new(2, 5),
        source: "commit 53dd370ced9, x-postcopy-ram; without x- from 2.6 (32c3db5b26a)",
    },
    Feature {
        key: "postcopy_bandwidth",
        name: "a cap on post-copy's bandwidth",
        since: Version::new(3, 0),
        source: "commit 7e555c6c58f, max-postcopy-bandwidth",
    },
    Feature {
        key: "multifd_channels",
        name: "multifd",
        since: Version::new(4, 0),
        source: "commit cbfd6c957a4; as x-multifd in 2.11 by name, and with pages in its channels from 3.0 (b9ee2f7d701)",
    },
];

/// The feature that a key asks for.
pub fn feature(key: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.key == key)
}

/// A version could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is none.
    #[error("`{0}` is not a version of QEMU; it is written like `7.2` or `10.0`")]
    NotOne(String),
    /// It is one that was never made.
    #[error(
        "there is no QEMU {0}; releases are 0.11 to 0.15, 1.0 to 1.7, 2.0 to 2.12, 3.0, 3.1, and from 4.0 on x.0, x.1 and x.2"
    )]
    NeverMade(String),
}

impl FromStr for Version {
    type Err = VersionError;
    fn from_str(s: &str) -> Result<Self, VersionError> {
        let error = || VersionError::NotOne(crate::text::quoted(s));
        let mut parts = s.trim().split('.').map(str::parse::<u32>);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return Err(error());
        };
        if parts.any(|part| part.is_err()) {
            return Err(error());
        }
        let version = Version { major, minor };
        if !version.exists() {
            return Err(VersionError::NeverMade(version.to_string()));
        }
        Ok(version)
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Wire bytes of `normal` pages sent whole and `zero` pages.
///
/// Within 12 kB of ten published `info migrate` outputs, and within 0.001 % of recorded runs.
pub fn wire_bytes(normal: f64, zero: f64, multifd: bool) -> f64 {
    normal * page_wire(multifd) + zero * ZERO_PAGE_WIRE
}

/// Wire bytes of one page sent whole.
pub fn page_wire(multifd: bool) -> f64 {
    if multifd { MULTIFD_PAGE_WIRE } else { NORMAL_PAGE_WIRE }
}

/// Wire bytes of a cached page of which `delta` bytes in one run have changed.
///
/// `migration/xbzrle.c`, `xbzrle_encode_buffer`: a run of unchanged and a run of changed bytes,
/// each behind a length of one or two bytes, the changed bytes themselves, and nothing for what
/// follows them. A page that did not change is skipped; one whose encoding would not be shorter is
/// sent whole.
pub fn xbzrle_wire(delta: u32) -> f64 {
    if delta == 0 {
        return 0.0;
    }
    let encoded = 2.0 + if delta < 128 { 1.0 } else { 2.0 } + f64::from(delta);
    if encoded > PAGE_BYTES as f64 {
        return NORMAL_PAGE_WIRE;
    }
    XBZRLE_PAGE_OVERHEAD + encoded
}

/// What may still be pending at the stop, in bytes of guest memory (`migration/migration.c`,
/// `migration_update_counters`).
///
/// `bandwidth`: wire bytes per second over the last window.
#[inline]
pub fn threshold(bandwidth: f64, downtime_limit: SimTime) -> f64 {
    bandwidth * downtime_limit.as_secs_f64()
}

/// Whether the vCPUs stop with `pending` bytes left (`migration/migration.c`,
/// `migration_iteration_run`).
#[inline]
pub fn may_stop(pending: f64, threshold: f64, version: Version) -> bool {
    pending < 1.0
        || pending < threshold
        || (version.counts_a_threshold_met_exactly() && pending <= threshold)
}

/// Auto-converge: when and how much the vCPUs are throttled (`migration/ram.c`,
/// `migration_trigger_throttle`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoConverge {
    /// First throttle, in percent of the vCPU's time: 1 to 99.
    pub initial: u32,
    /// Added each further time.
    pub increment: u32,
    /// The most: 1 to 99.
    pub max: u32,
    /// Bytes dirtied, in percent of the bytes sent, above which a period counts as high: 1 to 100.
    pub trigger: u32,
}

impl Default for AutoConverge {
    /// QEMU's defaults (`migration/migration.c`, `DEFAULT_MIGRATE_CPU_THROTTLE_*`).
    fn default() -> Self {
        AutoConverge { initial: 20, increment: 10, max: 99, trigger: 50 }
    }
}

impl AutoConverge {
    /// Checks QEMU's ranges.
    ///
    /// # Errors
    /// Says which is out of its range.
    pub fn check(&self) -> Result<(), String> {
        for (name, value, max) in [
            ("initial", self.initial, 99),
            ("increment", self.increment, 99),
            ("max", self.max, 99),
            ("trigger", self.trigger, 100),
        ] {
            if !(1..=max).contains(&value) {
                return Err(format!(
                    "auto_converge.{name} is {value}; it takes 1 to {max} percent"
                ));
            }
        }
        Ok(())
    }
}

/// The state of auto-converge between its decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Throttle {
    /// How much of its time a vCPU sleeps, in percent.
    pub percent: u32,
    high_periods: u32,
    periods: u32,
}

impl Throttle {
    /// A decision after a period in which `dirtied` bytes became dirty and `sent` went out. Returns
    /// whether the throttle changed.
    ///
    /// So many periods that were high tighten it, see [`Throttling`]; they need not follow each
    /// other.
    pub fn decide(
        &mut self,
        rule: &AutoConverge,
        throttling: Throttling,
        dirtied: f64,
        sent: f64,
    ) -> bool {
        self.periods = self.periods.saturating_add(1);
        let (needed, counts_the_first) = match throttling {
            Throttling::Fixed => (6, false),
            Throttling::EveryThird => (3, false),
            Throttling::EverySecond => (2, true),
        };
        let counted = counts_the_first || self.periods > 1;
        if !counted || dirtied <= sent * f64::from(rule.trigger) / 100.0 {
            return false;
        }
        self.high_periods += 1;
        if self.high_periods < needed {
            return false;
        }
        self.high_periods = 0;
        let before = self.percent;
        self.percent = match throttling {
            Throttling::Fixed => FIXED_THROTTLE,
            _ if before == 0 => rule.initial.min(rule.max),
            _ => (before + rule.increment).min(rule.max),
        };
        self.percent != before
    }

    /// The share of its time that a vCPU runs (`softmmu/cpu-throttle.c`: 10 ms on, then p/(1-p)
    /// times 10 ms asleep).
    pub fn speed(&self) -> f64 {
        f64::from(100 - self.percent) / 100.0
    }
}

/// How long one iteration sends before it looks at what is left, where it reads the clock every
/// `stretch` seconds (`migration/ram.c`, `ram_save_iterate`): once in [`MAX_WAIT_PAGES`], or when
/// it wakes after the socket was full.
#[inline]
pub fn slice_seconds(stretch: f64) -> f64 {
    let wait = MAX_WAIT.as_secs_f64();
    if stretch <= 0.0 {
        return wait;
    }
    // The cast rounds down, as libm::ceil would up, at a tenth of its cost; the loop's hottest
    // division.
    let stretches = wait / stretch;
    let whole = stretches as u64 as f64;
    let stretches = if whole < stretches { whole + 1.0 } else { whole };
    stretches * stretch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_met_below_it_and_from_10_1_on_at_it() {
        let t = threshold(1e8, SimTime::from_millis(300));
        assert_eq!(t, 3e7);
        for (pending, version, stop) in [
            (0.0, Version::V7_2, true),
            (t - 4096.0, Version::V7_2, true),
            (t, Version::V7_2, false),
            (t, Version::V10_0, false),
            (t, Version::V10_1, true),
            (t, Version::V10_2, true),
            (t + 4096.0, Version::V10_2, false),
            (t, Version { major: 1, minor: 0 }, true),
        ] {
            assert_eq!(may_stop(pending, t, version), stop, "{pending} on {version}");
        }
        assert!(may_stop(0.0, 0.0, Version::V7_2), "nothing left stops at any threshold");
    }

    #[test]
    fn so_many_high_periods_tighten_the_throttle_as_each_release_counts_them() {
        let rule = AutoConverge::default();
        for (version, expected, most) in [
            ("2.4", [0, 0, 0, 0, 0, 0, 0, 73], 73),
            ("2.6", [0, 0, 0, 20, 20, 20, 20, 30], 99),
            ("2.9", [0, 0, 0, 20, 20, 20, 20, 30], 99),
            ("2.10", [0, 20, 20, 30, 30, 30, 40, 40], 99),
            ("7.2", [0, 20, 20, 30, 30, 30, 40, 40], 99),
        ] {
            let throttling = version.parse::<Version>().unwrap().throttling();
            let mut throttle = Throttle::default();
            let percents = [60.0, 60.0, 60.0, 60.0, 60.0, 40.0, 60.0, 60.0].map(|dirtied| {
                throttle.decide(&rule, throttling, dirtied, 100.0);
                throttle.percent
            });
            assert_eq!(percents, expected, "{version}");
            for _ in 0..60 {
                throttle.decide(&rule, throttling, 1e9, 1.0);
            }
            assert_eq!(throttle.percent, most, "{version}");
        }
    }

    #[test]
    fn features_are_known_by_the_keys_that_ask_for_them() {
        for key in ["xbzrle", "auto_converge", "postcopy", "multifd_channels", "postcopy_bandwidth"]
        {
            assert!(feature(key).is_some_and(|feature| !feature.source.is_empty()), "{key}");
        }
    }

    #[test]
    fn encoded_pages_cost_what_the_encoder_writes() {
        for (delta, wire) in
            [(0, 0.0), (1, 15.0), (64, 78.0), (1000, 1015.0), (4092, 4107.0), (4096, 4104.0)]
        {
            assert_eq!(xbzrle_wire(delta), wire, "{delta} bytes");
        }
    }

    #[test]
    fn versions_are_read_with_and_without_a_patch_level() {
        for (text, version) in
            [("7.2", Version::V7_2), ("10.0.2", Version::V10_0), (" 10.2 ", Version::V10_2)]
        {
            assert_eq!(text.parse(), Ok(version));
        }
        for text in ["", "7", "seven", "7.x", "7.2.x", "-1.2"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        for text in ["0.0", "0.10", "1.8", "2.13", "3.2", "5.3", "10.7", "99.0"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError::NeverMade(text.to_owned())));
        }
        for text in ["0.15.1", "1.7", "2.12", "3.1", "11.2", "13.0"] {
            assert!(text.parse::<Version>().is_ok(), "{text}");
        }
        assert!(Version::new(9, 2).forces_syncs() && !Version::new(9, 1).forces_syncs());
    }

    #[test]
    fn an_iteration_ends_at_the_first_clock_reading_after_its_time() {
        // 64 pages of 4104 bytes at 12.5 MB/s take 21 ms: the third reading is past 51 ms.
        let got = slice_seconds(MAX_WAIT_PAGES * 4104.0 / 12.5e6);
        assert!((got - 0.0630).abs() < 1e-4, "{got}");
    }
}
