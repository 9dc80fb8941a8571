//! What is left to chance in a replication: how fast guests dirty, where their phases are, what
//! links give, when QEMU is ready.

use std::borrow::Cow;

use migsim_models::profile::Profile;
use migsim_models::spec::Guest;
use migsim_models::units::SimTime;
use migsim_models::workload::Unknown;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::answer::WRITERS;

/// One replication's random draws. The same seed and number have the same, whatever else is drawn
/// in whatever order.
#[derive(Debug, Clone)]
pub struct Chance(Option<Luck>);

#[derive(Debug, Clone)]
struct Luck {
    seed: u64,
    number: u64,
    /// Hosts that could be the true ones.
    hosts: Profile,
}

/// Multiples of the golden ratio, without their whole parts, are spread as evenly as any sequence.
const GOLDEN: f64 = 0.618_033_988_749_894_9;
/// And so are those of another irrational number, which have nothing to do with them.
const SILVER: f64 = 0.414_213_562_373_095_05;

/// A stream of random numbers for each move, others for what is unknown of its guest and for where
/// its zero pages lie, and one for what all share.
const UNKNOWN: u64 = 1 << 31;
const LAID_OUT: u64 = 1 << 30;
const SHARED: u64 = u32::MAX as u64;
/// The stream of parameters that came later.
const LATER: u64 = SHARED - 1;

impl Chance {
    /// All goes as expected.
    pub fn none() -> Chance {
        Chance(None)
    }

    /// The draws of a replication.
    pub fn of_replication(seed: u64, number: u64, profile: &Profile) -> Chance {
        let mut rng = stream(seed, number, SHARED);
        let which = rng.random_range(0..profile.refits.len().max(1));
        let mut later = stream(seed, number, LATER);
        let mut hosts = profile.varied(which, |field| {
            StandardNormal.sample(if field.came_later() { &mut later } else { &mut rng })
        });
        // What it was fitted to is of no use here, and is not copied for each move.
        hosts.fit = None;
        Chance(Some(Luck { seed, number, hosts }))
    }

    /// The guest, the hosts and the offset into its phases that a move has.
    pub(super) fn of<'a>(
        &'a self,
        index: usize,
        guest: &'a Guest,
        profile: &'a Profile,
    ) -> (Cow<'a, Guest>, Cow<'a, Profile>, SimTime) {
        // Where nobody knows when in a phase a guest is, those of a fleet are spread evenly over
        // theirs, not all at the beginning.
        let known = guest.phase_offset.unwrap_or_else(|| {
            let period = guest.workload.longest_period().unwrap_or_default();
            let share = libm::fmod((index as f64 + 1.0) * GOLDEN, 1.0);
            SimTime((period.0 as f64 * share) as u64)
        });
        let Some(draws) = &self.0 else {
            return (Cow::Borrowed(guest), spread(index, profile), known);
        };
        let mut rng = stream(draws.seed, draws.number, index as u64);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut guest = guest.clone();
        let rank = stream(draws.seed, draws.number, LAID_OUT | index as u64).random();
        guest.layout = guest.layout.as_it_could_be(rank);
        if guest.workload.terms.is_empty() || guest.workload.is_known_by_one_number() {
            let mut rng = stream(draws.seed, draws.number, UNKNOWN | index as u64);
            let faster: f64 = StandardNormal.sample(&mut rng);
            let unknown = Unknown::drawn(rng.random(), rng.random(), faster);
            if let Some(known) = draws.hosts.workload_drawn(&guest, &unknown) {
                guest.workload = known;
            }
        }
        if let Some(workload) = guest.workload.scaled(libm::exp(WRITERS * normal())) {
            guest.workload = workload;
        }
        let mut hosts = draws.hosts.clone();
        let noise = &profile.noise;
        let link = libm::exp(noise.elapsed_relative.value * normal());
        for share in hosts.network.share.values_mut() {
            share.value = (share.value * link).min(1.0);
        }
        late(&mut hosts, noise.elapsed.value.as_secs_f64() * normal());
        let offset = match (guest.phase_offset, guest.workload.longest_period()) {
            (None, Some(period)) => SimTime((period.0 as f64 * rng.random::<f64>()) as u64),
            _ => known,
        };
        (Cow::Owned(guest), Cow::Owned(hosts), offset)
    }
}

/// The hosts of a move as it is expected to go: ready a little earlier or later than others, as
/// runs scatter. Without that, guests that are alike would stop at the same nanosecond and share
/// their links then, as no real ones do. The first is ready when it is expected.
fn spread(index: usize, profile: &Profile) -> Cow<'_, Profile> {
    let noise = profile.noise.elapsed.value.as_secs_f64();
    if index == 0 || noise == 0.0 {
        return Cow::Borrowed(profile);
    }
    let mut hosts = profile.clone();
    hosts.fit = None;
    let share = libm::fmod(0.5 + index as f64 * SILVER, 1.0);
    late(&mut hosts, noise * Normal::standard().inverse_cdf(share));
    Cow::Owned(hosts)
}

/// QEMU is ready so many seconds later, or earlier; where it is ready at once, later in either
/// case.
fn late(hosts: &mut Profile, seconds: f64) {
    let prepare = &mut hosts.software.prepare.value;
    let expected = prepare.as_secs_f64();
    let drawn = match expected {
        0.0 => seconds.abs(),
        _ => (expected + seconds).max(expected / 10.0),
    };
    *prepare = SimTime::from_secs_f64(drawn);
}

fn stream(seed: u64, replication: u64, what: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(replication << 32 | what);
    rng
}

#[cfg(test)]
mod tests {
    use migsim_models::profile::Param;

    use super::*;

    #[test]
    fn how_much_an_idle_guest_writes_is_as_unsure_as_the_profile_says() {
        let told = |error| {
            let mut profile = Profile::assumed();
            profile.guest.idle_pages = Param { error, ..Param::exact(1000) };
            let guest = Guest::new("1GiB").unwrap();
            let chance = Chance::of_replication(1, 0, &profile);
            chance.of(0, &guest, &profile).0.workload.to_string()
        };
        assert_ne!(told(None), told(Some(2000)));
    }

    #[test]
    fn replications_draw_what_is_unknown_of_guests_that_are_known_by_one_number() {
        let profile = Profile::assumed();
        let told = |number: u64, workload: &str| {
            let guest = Guest::new("1GiB").unwrap().workload(workload).unwrap();
            let chance = Chance::of_replication(1, number, &profile);
            let (guest, _, _) = chance.of(0, &guest, &profile);
            guest.workload.to_string()
        };
        let share = |said: String| said.split("share=").nth(1).map(str::to_owned);
        let drawn: Vec<_> = (0..4).map(|n| share(told(n, "dirty(5000p/s)"))).collect();
        assert!(drawn.iter().all(Option::is_some), "{drawn:?}");
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]), "{drawn:?}");
        assert!(!told(0, "uniform(wss=64MiB, rate=100p/s)").contains("share"));
    }
}
