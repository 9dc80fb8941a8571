//! What a profile was fitted to, and what lies outside of it.

use serde::{Deserialize, Serialize};

use crate::qemu::Version;
use crate::spec::{Guest, Path, Policy};
use crate::units::{BitRate, Bytes, PAGE_BYTES, human_bytes, human_rate};

/// The ranges of the runs that a profile was fitted to, from the least to the most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// How many runs.
    pub runs: u64,
    /// The guests' memory.
    pub memory: [Bytes; 2],
    /// What of it was touched.
    pub touched: [Bytes; 2],
    /// Virtual processors.
    pub vcpus: [u32; 2],
    /// What the migration could have of the link: its capacity, or the migration's own cap.
    pub link: [BitRate; 2],
    /// What was dirtied in a second, over what the link carries in one.
    pub dirty_to_link: [f64; 2],
    /// Releases of QEMU.
    pub qemu: [Version; 2],
}

/// A quantity of a question that lies outside of what a profile was fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outside {
    /// What.
    pub quantity: &'static str,
    /// How much it is.
    pub value: String,
    /// The least and the most that was seen.
    pub range: [String; 2],
    /// By what factor it lies outside, above 1; `None`: it is no number, or beside nothing.
    pub factor: Option<f64>,
}

/// A release that was not seen, and something where there was nothing, count as much as a quantity
/// that lies outside by this factor.
const RELEASE: f64 = std::f64::consts::E;
/// What lies outside by a factor of at most this is as good as within.
const NEARLY: f64 = 1.1;

impl Outside {
    /// How far outside, as the logarithm of the factor.
    pub fn far(&self) -> f64 {
        libm::log(self.factor.unwrap_or(RELEASE))
    }
}

/// Below and above the range by what factor, which is infinite above or below nothing; `None`:
/// within, or nearly so.
fn factor(value: f64, [least, most]: [f64; 2]) -> Option<f64> {
    let factor = if value > most { value / most } else { least / value };
    (factor > NEARLY).then_some(factor)
}

impl Domain {
    /// A domain of one question, which [`Domain::include`] widens.
    pub fn of(guest: &Guest, path: &Path, policy: &Policy) -> Domain {
        let (memory, touched) = (guest.memory.bytes(), guest.touched.bytes());
        let link = available(path, policy);
        let dirty = dirty_to_link(guest, link);
        Domain {
            runs: 1,
            memory: [memory; 2],
            touched: [touched; 2],
            vcpus: [guest.vcpus; 2],
            link: [link; 2],
            dirty_to_link: [dirty; 2],
            qemu: [policy.qemu; 2],
        }
    }

    /// Widens it by another.
    pub fn include(&mut self, other: &Domain) {
        fn widen<T: PartialOrd + Copy>(range: &mut [T; 2], by: [T; 2]) {
            if by[0] < range[0] {
                range[0] = by[0];
            }
            if by[1] > range[1] {
                range[1] = by[1];
            }
        }
        self.runs += other.runs;
        widen(&mut self.memory, other.memory);
        widen(&mut self.touched, other.touched);
        widen(&mut self.vcpus, other.vcpus);
        widen(&mut self.link, other.link);
        widen(&mut self.dirty_to_link, other.dirty_to_link);
        widen(&mut self.qemu, other.qemu);
    }

    /// What of a question lies outside.
    pub fn outside(&self, guest: &Guest, path: &Path, policy: &Policy) -> Vec<Outside> {
        let asked = Domain::of(guest, path, policy);
        let mut found = Vec::new();
        let mut number = |quantity, value: f64, range: [f64; 2], said: &dyn Fn(f64) -> String| {
            if let Some(factor) = factor(value, range) {
                found.push(Outside {
                    quantity,
                    value: said(value),
                    range: range.map(said),
                    factor: Some(factor).filter(|factor| factor.is_finite()),
                });
            }
        };
        let bytes = |range: [Bytes; 2]| range.map(Bytes::as_f64);
        number("memory", asked.memory[0].as_f64(), bytes(self.memory), &human_bytes);
        number("touched", asked.touched[0].as_f64(), bytes(self.touched), &human_bytes);
        let count = |n: f64| format!("{n}");
        number("vcpus", guest.vcpus.into(), self.vcpus.map(f64::from), &count);
        let rates = self.link.map(BitRate::bytes_per_s);
        let rate = |bytes: f64| human_rate(BitRate((bytes * 8.0) as u64));
        number("link", asked.link[0].bytes_per_s(), rates, &rate);
        let share = |share: f64| format!("{share:.2}");
        // A guest that dirties less than any does nothing that would not be known.
        let dirty = [0.0, self.dirty_to_link[1]];
        number("dirty rate over link", asked.dirty_to_link[0], dirty, &share);
        if !(self.qemu[0]..=self.qemu[1]).contains(&policy.qemu) {
            found.push(Outside {
                quantity: "qemu",
                value: policy.qemu.to_string(),
                range: self.qemu.map(|version| version.to_string()),
                factor: None,
            });
        }
        found
    }
}

/// What a migration can have of its path.
fn available(path: &Path, policy: &Policy) -> BitRate {
    policy.bandwidth_cap.map_or(path.capacity, |cap| cap.min(path.capacity))
}

fn dirty_to_link(guest: &Guest, link: BitRate) -> f64 {
    let known = guest.workload.classes(guest.memory, guest.touched);
    // From zero on: the sum of nothing is -0.
    let dirtied = known.iter().fold(0.0, |sum, class| sum + class.newly_dirty(0.0, 1.0));
    dirtied * PAGE_BYTES as f64 / link.bytes_per_s()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_is_told_with_its_range_and_how_far() {
        let (small, policy) = (Guest::new("256MiB").unwrap(), Policy::default());
        let mut domain = Domain::of(&small, &Path::new("100Mbit/s").unwrap(), &policy);
        let large = Guest::new("2GiB").unwrap().workload("uniform(wss=64MiB, rate=2000p/s)");
        let fast = Path::new("450Mbit/s").unwrap();
        domain.include(&Domain::of(&large.unwrap(), &fast, &policy));
        assert_eq!(domain.runs, 2);
        assert_eq!(domain.outside(&Guest::new("1GiB").unwrap(), &fast, &policy), []);
        let newer = Policy { qemu: "9.2".parse().unwrap(), ..Policy::default() };
        let asked = Guest::new("8GiB").unwrap().vcpus(4);
        let found = domain.outside(&asked, &Path::new("900Mbit/s").unwrap(), &newer);
        let said: Vec<(&str, &str)> =
            found.iter().map(|one| (one.quantity, one.value.as_str())).collect();
        let all = [
            ("memory", "8.00 GiB"),
            ("touched", "8.00 GiB"),
            ("vcpus", "4"),
            ("link", "900 Mbit/s"),
            ("qemu", "9.2"),
        ];
        assert_eq!(said, all);
        assert_eq!(found[0].factor, Some(4.0));
        assert_eq!(found[3].range, ["100 Mbit/s", "450 Mbit/s"]);
        assert!((found[3].far() - libm::log(2.0)).abs() < 1e-12);
    }

    /// Runs of idle guests say nothing of one that writes.
    #[test]
    fn something_where_there_was_nothing_lies_outside() {
        let (idle, policy) = (Guest::new("1GiB").unwrap(), Policy::default());
        let path = Path::new("1Gbit/s").unwrap();
        let busy = Guest::new("1GiB").unwrap().workload("uniform(wss=64MiB, rate=2000p/s)");
        let found = Domain::of(&idle, &path, &policy).outside(&busy.unwrap(), &path, &policy);
        let [only] = &found[..] else { panic!("{found:?}") };
        assert_eq!((only.quantity, only.factor, only.far()), ("dirty rate over link", None, 1.0));
    }
}
