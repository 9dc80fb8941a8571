//! What an answer hangs on: the elementary effects of all that is unknown (Morris 1991).
//!
//! Each parameter of the hosts that has an error, and each thing that is not known of the guest, is
//! taken one at a time from one of its quartiles to one half of its distribution further, from
//! many places of all others. The mean of how much the answer changes says what matters; how
//! differently it does says whether that hangs on the others. Parameters count as independent here;
//! an interval draws the fitted ones together.

use migsim_models::profile::{FIELDS, Field, Profile};
use migsim_models::units::SimTime;
use migsim_models::workload::Unknown;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};
use statrs::statistics::Statistics;

use crate::answer::predict;
use crate::engine::{Fidelity, Outcome};
use crate::input::Case;

/// Walks through all factors, each from another place.
const WALKS: usize = 24;
/// Where a factor may stand, as a probability; a step goes two further.
const LEVELS: [f64; 4] = [0.125, 0.375, 0.625, 0.875];
const STEP: usize = 2;

/// Something that is not known.
#[derive(Debug, Clone, Copy)]
enum Factor {
    /// A parameter of the hosts.
    Parameter(Field),
    /// How much of what it has touched a guest dirties, where one number is known of it.
    Share,
    /// How far its rate is from the one that is known.
    Rate,
    /// Whether it does something else by now.
    Else,
    /// Where its zero pages lie.
    Layout,
    /// When in its phases the migration starts.
    Phase,
}

/// How an answer changes with one thing that is not known, over half of its distribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Influence {
    /// What: a profile's key, or something of the guest.
    pub what: &'static str,
    /// Mean change of the total time, whichever its direction, in seconds.
    pub total_s: f64,
    /// Standard deviation of that change.
    pub total_spread_s: f64,
    /// Mean change of the downtime, whichever its direction, in seconds.
    pub downtime_s: f64,
    /// Standard deviation of that change.
    pub downtime_spread_s: f64,
    /// How often it decides whether the migration converges, 0 to 1.
    pub decides: f64,
}

impl Factor {
    fn name(self) -> &'static str {
        match self {
            Factor::Parameter(field) => field.key,
            Factor::Share => "guest: share of touched that it dirties",
            Factor::Rate => "guest: dirty rate",
            Factor::Else => "guest: does something else by now",
            Factor::Layout => "guest: where zero pages lie",
            Factor::Phase => "guest: when in its phases",
        }
    }

    /// All that are not known of a case.
    fn all(case: &Case, profile: &Profile) -> Vec<Factor> {
        let guest = &case.guest;
        let mut profile = profile.clone();
        let unsure = FIELDS.iter().filter(|field| (field.slot)(&mut profile).error().is_some());
        let mut all: Vec<Factor> = unsure.map(|field| Factor::Parameter(*field)).collect();
        if guest.workload.terms.is_empty() || guest.workload.is_known_by_one_number() {
            all.extend([Factor::Share, Factor::Rate, Factor::Else]);
        }
        if guest.layout.is_unsure() && guest.touched < guest.memory {
            all.push(Factor::Layout);
        }
        if guest.phase_offset.is_none() && guest.workload.has_phases() {
            all.push(Factor::Phase);
        }
        all
    }
}

/// What comes of a case with each factor at its level.
fn at(case: &Case, profile: &Profile, factors: &[Factor], levels: &[usize]) -> Outcome {
    let normal = |p: f64| Normal::standard().inverse_cdf(p);
    let (mut hosts, mut asked) = (profile.clone(), case.clone());
    let (mut share, mut rate, mut more) = (0.5, 0.5, 0.0);
    for (factor, level) in factors.iter().zip(levels) {
        let p = LEVELS[*level];
        match factor {
            Factor::Parameter(field) => {
                let slot = (field.slot)(&mut hosts);
                let value = slot.moved(normal(p));
                slot.set(value, None);
            }
            Factor::Share => share = p,
            Factor::Rate => rate = p,
            Factor::Else => more = p,
            Factor::Layout => asked.guest.layout = case.guest.layout.as_it_could_be(p),
            Factor::Phase => {
                let period = case.guest.workload.longest_period().unwrap_or_default();
                asked.guest.phase_offset = Some(SimTime((period.0 as f64 * p) as u64));
            }
        }
    }
    let unknown = Unknown::drawn(share, more, normal(rate));
    if let Some(known) = hosts.workload_drawn(&case.guest, &unknown) {
        asked.guest.workload = known;
    }
    predict(&asked, &hosts, Fidelity::Flow)
}

/// What the answer to a case hangs on, the most for the total time first. The same seed has the
/// same walks.
pub fn sensitivity(case: &Case, profile: &Profile, seed: u64) -> Vec<Influence> {
    let factors = Factor::all(case, profile);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut effects: Vec<Vec<[f64; 2]>> = vec![Vec::new(); factors.len()];
    let mut decided = vec![0_usize; factors.len()];
    for _ in 0..WALKS {
        // Up from the lower half or down from the upper.
        let mut levels: Vec<usize> =
            factors.iter().map(|_| rng.random_range(0..LEVELS.len())).collect();
        let mut order: Vec<usize> = (0..factors.len()).collect();
        order.shuffle(&mut rng);
        let mut before = at(case, profile, &factors, &levels);
        for factor in order {
            let up = levels[factor] < STEP;
            levels[factor] = if up { levels[factor] + STEP } else { levels[factor] - STEP };
            let after = at(case, profile, &factors, &levels);
            match (figures(&before), figures(&after)) {
                (Some(before), Some(after)) => {
                    let sign = if up { 1.0 } else { -1.0 };
                    effects[factor].push([0, 1].map(|i| sign * (after[i] - before[i])));
                }
                (None, None) => {}
                _ => decided[factor] += 1,
            }
            before = after;
        }
    }
    let mut influences: Vec<Influence> = factors
        .iter()
        .zip(&effects)
        .zip(&decided)
        .map(|((factor, effects), decided)| {
            let of = |which: usize| -> (f64, f64) {
                let changes: Vec<f64> = effects.iter().map(|effect| effect[which]).collect();
                if changes.len() < 2 {
                    return (0.0, 0.0);
                }
                (changes.iter().map(|change| change.abs()).mean(), changes.std_dev())
            };
            let ((total_s, total_spread_s), (downtime_s, downtime_spread_s)) = (of(0), of(1));
            let decides = *decided as f64 / WALKS as f64;
            let what = factor.name();
            Influence { what, total_s, total_spread_s, downtime_s, downtime_spread_s, decides }
        })
        .collect();
    influences
        .sort_by(|a, b| b.decides.total_cmp(&a.decides).then(b.total_s.total_cmp(&a.total_s)));
    influences
}

/// Total time and downtime in seconds; `None`: it does not converge.
fn figures(outcome: &Outcome) -> Option<[f64; 2]> {
    Some([outcome.tmt()?.as_secs_f64(), outcome.downtime()?.as_secs_f64()])
}

#[cfg(test)]
mod tests {
    use migsim_models::profile::Param;

    use super::*;

    fn case(workload: &str) -> Case {
        Case::from_toml(&format!(
            "link = {{ capacity = \"1Gbit/s\" }}\n[[guest]]\nmemory = \"4GiB\"\ntouched = \"3GiB\"\nworkload = \"{workload}\"\n"
        ))
        .unwrap()
    }

    #[test]
    fn what_nothing_hangs_on_has_no_influence_and_the_order_is_by_influence() {
        let mut profile = Profile::assumed();
        let found = sensitivity(&case("uniform(wss=512MiB, rate=5000p/s)"), &profile, 1);
        let of = |what: &str| found.iter().find(|one| one.what == what).unwrap();
        assert_eq!((of("offline.suspend").total_s, of("postcopy.fault").total_s), (0.0, 0.0));
        assert!(
            of("network.share.tcp").total_s > 0.0
                && of("guest: where zero pages lie").downtime_s > 0.0
        );
        assert!(found.windows(2).all(|pair| pair[0].total_s >= pair[1].total_s), "{found:?}");
        assert!(found.iter().all(|one| one.what != "guest: dirty rate"), "it is known");
        // What its system writes is unsure, and decides how much is sent.
        profile.guest.idle_pages = Param { value: 1000, error: Some(2000) };
        let found = sensitivity(&case("idle"), &profile, 1);
        let of = |what: &str| found.iter().find(|one| one.what == what).unwrap();
        assert!(of("guest.idle_pages").total_s > 0.0, "{found:?}");
        // What is known exactly has none.
        profile.software.prepare.error = None;
        let found = sensitivity(&case("idle"), &profile, 1);
        assert!(found.iter().all(|one| one.what != "software.prepare"));
    }

    #[test]
    fn near_the_border_what_decides_comes_first() {
        let profile = Profile::assumed();
        let found = sensitivity(&case("dirty(24000p/s)"), &profile, 1);
        assert!(found[0].decides > 0.0 && found[0].what.starts_with("guest: "), "{found:?}");
    }
}
