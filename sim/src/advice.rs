//! What would let a migration converge that does not: each figure found by simulating it.

use migsim_models::profile::Profile;
use migsim_models::qemu::AutoConverge;
use migsim_models::spec::{Mode, Switch};
use migsim_models::units::{BitRate, SimTime};

use crate::migration::Outcome;
use crate::predict::predict;
use crate::scenario::Case;
use crate::world::Fidelity;

/// What would change the verdict. `None`: that would not, however far it is taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The slowest link on which it converges, all else equal, to three digits.
    pub link: Option<BitRate>,
    /// The shortest downtime limit with which it does.
    pub downtime_limit: Option<SimTime>,
    /// What comes of auto-converge with QEMU's defaults.
    pub auto_converge: Option<Outcome>,
    /// What comes of post-copy after one pass.
    pub postcopy: Option<Outcome>,
}

/// Links are tried up to so many times the one that there is.
const MOST_LINK: f64 = 10_000.0;
/// QEMU's longest downtime limit.
const MOST_LIMIT: SimTime = SimTime::from_secs(2000);

/// Finds what would let `case` converge.
pub fn advise(case: &Case, profile: &Profile) -> Advice {
    let outcome = |change: &dyn Fn(&mut Case)| {
        let mut changed = case.clone();
        change(&mut changed);
        predict(&changed, profile, Fidelity::Flow)
    };
    let converges = |change: &dyn Fn(&mut Case)| Some(outcome(change)).filter(Outcome::completed);
    let link = case.path.capacity.0 as f64;
    let limit = (case.policy.downtime_limit.0 as f64).max(1e6);
    Advice {
        link: least(link, link * MOST_LINK, |bits| {
            converges(&|c| {
                let factor = bits / link;
                c.path.capacity = BitRate(bits as u64);
                for change in &mut c.path.changes {
                    change.capacity = BitRate((change.capacity.0 as f64 * factor) as u64);
                }
            })
            .is_some()
        })
        .map(|bits| BitRate(bits as u64)),
        downtime_limit: least(limit, MOST_LIMIT.0 as f64, |ns| {
            converges(&|c| c.policy.downtime_limit = SimTime(ns as u64)).is_some()
        })
        .map(|ns| SimTime(ns as u64)),
        auto_converge: converges(&|c| c.policy.auto_converge = Some(AutoConverge::default())),
        postcopy: converges(&|c| {
            c.policy.mode = Mode::Postcopy;
            c.policy.switch = Switch::AfterPasses(1);
            c.policy.multifd_channels = 0;
        }),
    }
}

/// The least value between `from` (which does not hold) and `to` for which `holds`, rounded up to three digits.
fn least(from: f64, to: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    if !holds(to) {
        return None;
    }
    let (mut low, mut high) = (from, to);
    while high / low > 1.002 {
        let middle = libm::sqrt(low * high);
        if holds(middle) { high = middle } else { low = middle }
    }
    let digits = libm::pow(10.0, libm::floor(libm::log10(high)) - 2.0);
    let rounded = libm::ceil(high / digits) * digits;
    Some(if holds(rounded) { rounded } else { high })
}
