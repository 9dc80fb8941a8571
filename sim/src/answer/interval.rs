//! How sure a prediction is: percentiles of total time and downtime, and the probability of
//! converging.
//!
//! Five things make a prediction unsure. The profile's parameters are estimates: profiles that
//! could be the true one are asked as well. What a guest dirties is random: each draw's writers are
//! a little faster or slower. Where in a phase the migration starts, and where the guest's zero
//! pages lie, may not be known: each draw has one way. And runs scatter: the profile's noise.
//! Percentiles are those of the draws, each with its noise; how much of that, the fit has found on
//! runs of the same mode that it had not seen, so that the interval holds as often as it says
//! (split-conformal prediction with normalised scores, mode by mode: Vovk, Gammerman and Shafer
//! 2005; Lei et al. 2018).
//!
//! What is certain bounds them: no migration is over before its first iteration can have crossed
//! the link or before the timeout that it waits for, and no downtime is shorter than its fixed
//! parts.

use migsim_models::profile::Profile;
use migsim_models::qemu::NORMAL_PAGE_WIRE;
use migsim_models::spec::{Mode, OnTimeout};
use migsim_models::units::SimTime;
use migsim_models::workload::Unknown;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};
use statrs::statistics::{Data, OrderStatistics, Statistics};

use crate::answer::predict;
use crate::engine::{Fidelity, Outcome};
use crate::input::Case;

/// Draws around a prediction.
pub const DRAWS: usize = 64;
/// Fewer where a single answer is this much work, see [`Outcome::effort`] ...
const MOST_EFFORT: u64 = 60_000_000;
/// ... but never fewer than this.
const FEWEST: usize = 8;
/// Relative standard deviation of a draw's write rates: chance makes the distinct pages of an
/// iteration differ by about as much.
pub(crate) const WRITERS: f64 = 0.01;
/// Beyond the runs that a profile was fitted to, for each factor of e (in several quantities the
/// root of the squares), so much is added to the standard deviation of the total time, relative to
/// it, and of the downtime. That is how far the lab's profile was off where it had seen nothing:
/// 5.5 % in the median on links of 1 to 4 Gbit/s, 12.5 % and 393 ms at p90 on other hosts with
/// another release.
const BEYOND_ELAPSED: f64 = 0.06;
const BEYOND_DOWNTIME: f64 = 0.1;
const BEYOND_DOWNTIME_MS: f64 = 30.0;
/// Standard deviations between the middle of a normal distribution and its 95th percentile.
const SIGMAS_90: f64 = 1.644_853_626_951_472_2;

/// One way in which all that is unknown could be.
#[derive(Debug, Clone)]
struct Draw {
    hosts: Profile,
    /// On what guests write.
    writers: f64,
    /// How far into the longest phase the migration starts, as a share of it, where that is not
    /// known.
    phase: f64,
    /// Of a guest known by one number.
    unknown: Unknown,
    /// Where zero pages lie, as the rank of one way among all.
    layout: f64,
    /// Noise of total time and downtime, in standard deviations.
    noise: [f64; 2],
}

/// Ways in which all that is unknown could be, always the same ones.
#[derive(Debug, Clone)]
pub struct Draws(Vec<Draw>);

/// The scatter that is expected of runs around a prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scatter {
    /// Standard deviation of the total time, ms.
    pub elapsed_ms: f64,
    /// The same of the reported downtime.
    pub downtime_ms: f64,
    /// The probability of converging.
    pub p_converge: f64,
}

/// Percentiles of a figure, in the unit of its name.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Percentiles {
    /// The 5th: with the 95th the bounds of the 90 % interval.
    pub p5: f64,
    /// The 25th.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The 75th.
    pub p75: f64,
    /// The 95th.
    pub p95: f64,
}

/// How sure a prediction is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiles {
    /// Percentiles over the draws that converge; `None` where the prediction is that it does not.
    pub times: Option<Times>,
    /// The probability of converging.
    pub p_converge: f64,
    /// How many draws there were.
    pub draws: usize,
}

/// Percentiles of times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// Of the total time.
    pub elapsed_ms: Percentiles,
    /// Of the guest's downtime.
    pub downtime_ms: Percentiles,
    /// Of the downtime that QEMU and libvirt report: another one after post-copy.
    pub reported_ms: Percentiles,
}

/// What came of a draw that converged, ms.
#[derive(Debug, Clone, Copy)]
struct Drawn {
    elapsed: f64,
    downtime: f64,
    reported: f64,
    /// What elapsed and downtime are at least.
    least: [f64; 2],
    noise: [f64; 2],
}

impl Draws {
    /// Draws around a profile.
    pub fn around(profile: &Profile) -> Draws {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut hosts = profile.clone();
        // What it was fitted to is of no use here, and is not copied for each draw.
        hosts.fit = None;
        // Noise and phases in equal steps of probability, in random order: their own scatter is no
        // part of the answer.
        let mut spread = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
            let mut values: Vec<f64> =
                (0..DRAWS).map(|i| of((i as f64 + 0.5) / DRAWS as f64)).collect();
            values.shuffle(&mut rng);
            values
        };
        let normal = |p: f64| Normal::standard().inverse_cdf(p);
        let (elapsed, downtime, phase) = (spread(&normal), spread(&normal), spread(&|p| p));
        let (share, more, faster) = (spread(&|p| p), spread(&|p| p), spread(&normal));
        let layout = spread(&|p| p);
        let normals = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            move || -> f64 { StandardNormal.sample(&mut rng) }
        };
        let (mut rng, mut later) = (normals(1), normals(2));
        let draw = |i: usize| Draw {
            hosts: hosts.varied(i, |field| if field.came_later() { later() } else { rng() }),
            writers: libm::exp(WRITERS * rng()),
            phase: phase[i],
            unknown: Unknown::drawn(share[i], more[i], faster[i]),
            layout: layout[i],
            noise: [elapsed[i], downtime[i]],
        };
        Draws((0..DRAWS).map(draw).collect())
    }

    /// Draws around a fitted profile. `None`: it was not fitted, so nothing is known of its errors.
    pub fn of_fitted(profile: &Profile) -> Option<Draws> {
        profile.noise.intervals.map(|_| Draws::around(profile))
    }

    /// Asks every draw, or some of them where one answer is a lot of work.
    fn ask(&self, case: &Case, outcome: &Outcome) -> Vec<Option<Drawn>> {
        let count =
            (MOST_EFFORT / outcome.effort.max(1)).clamp(FEWEST as u64, DRAWS as u64) as usize;
        let mut asked = case.clone();
        let period =
            case.guest.workload.longest_period().filter(|_| case.guest.phase_offset.is_none());
        let first_pass_ms = first_pass_ms(case);
        let draws = self.0.iter().step_by(DRAWS / count).take(count);
        let ask = draws.map(|draw| {
            let known = draw.hosts.workload_drawn(&case.guest, &draw.unknown);
            let workload = known.as_ref().unwrap_or(&case.guest.workload);
            if let Some(scaled) = workload.scaled(draw.writers) {
                asked.guest.workload = scaled;
            }
            if let Some(period) = period {
                asked.guest.phase_offset = Some(SimTime((period.0 as f64 * draw.phase) as u64));
            }
            asked.guest.layout = case.guest.layout.as_it_could_be(draw.layout);
            let found = predict(&asked, &draw.hosts, Fidelity::Flow);
            let waited = found.timed_out_at.or(found.switched_at).unwrap_or_default();
            Some(Drawn {
                elapsed: found.ended_at.as_millis_f64(),
                downtime: found.downtime()?.as_millis_f64(),
                reported: found.reported_downtime()?.as_millis_f64(),
                least: [
                    first_pass_ms.max(waited.as_millis_f64()),
                    found.downtime_parts.fixed().as_millis_f64(),
                ],
                noise: draw.noise,
            })
        });
        ask.collect()
    }

    /// The scatter around the prediction `outcome` of a case by `profile`.
    pub fn scatter(&self, case: &Case, profile: &Profile, outcome: &Outcome) -> Scatter {
        scatter(&self.ask(case, outcome), profile, outcome)
    }

    /// Scatter and percentiles, where the profile was fitted, of a case whose prediction by
    /// `profile` is `outcome`.
    pub fn judge(
        &self,
        case: &Case,
        profile: &Profile,
        outcome: &Outcome,
    ) -> (Scatter, Option<Quantiles>) {
        let drawn = self.ask(case, outcome);
        let scatter = scatter(&drawn, profile, outcome);
        (scatter, percentiles(&drawn, &scatter, case, profile, outcome))
    }

    /// The percentiles of a case whose prediction by `profile` is `outcome`; `None`: the profile
    /// was not fitted.
    pub fn quantiles(
        &self,
        case: &Case,
        profile: &Profile,
        outcome: &Outcome,
    ) -> Option<Quantiles> {
        self.judge(case, profile, outcome).1
    }
}

/// How long what is sent at least takes over the bare link, ms.
fn first_pass_ms(case: &Case) -> f64 {
    let fastest =
        case.path.changes.iter().map(|change| change.capacity).chain([case.path.capacity]).max();
    let bytes = case.guest.touched.as_f64() * NORMAL_PAGE_WIRE;
    match case.policy.mode {
        Mode::Offline => 0.0,
        _ if case.policy.xbzrle.is_some() => 0.0,
        _ => {
            bytes / fastest.map_or(f64::INFINITY, migsim_models::units::BitRate::bytes_per_s) * 1e3
        }
    }
}

fn scatter(drawn: &[Option<Drawn>], profile: &Profile, outcome: &Outcome) -> Scatter {
    let total = |noise: f64, of: fn(&Drawn) -> f64| libm::sqrt(noise * noise + variance(drawn, of));
    let (elapsed, downtime) = figures(outcome);
    Scatter {
        elapsed_ms: total(profile.noise.elapsed_sigma_ms(elapsed), |d| d.elapsed),
        downtime_ms: total(profile.noise.downtime_sigma_ms(downtime), |d| d.reported),
        p_converge: drawn.iter().flatten().count() as f64 / drawn.len() as f64,
    }
}

fn variance(drawn: &[Option<Drawn>], of: fn(&Drawn) -> f64) -> f64 {
    let values: Vec<f64> = drawn.iter().flatten().map(of).collect();
    if values.len() > 1 { values.variance() } else { 0.0 }
}

fn percentiles(
    drawn: &[Option<Drawn>],
    scatter: &Scatter,
    case: &Case,
    profile: &Profile,
    outcome: &Outcome,
) -> Option<Quantiles> {
    let widths = profile.noise.intervals?.of(case.policy.mode);
    let phased = case.guest.phase_offset.is_none() && case.guest.workload.has_phases();
    // So much noise that with the draws' own spread an interval is as wide as the fit has found
    // that it has to be. Where phases spread the draws, that is no error of the fit's.
    let noise = |width: f64, scatter: f64, own: f64, sigma: f64| {
        let factor = width / SIGMAS_90;
        let whole = if phased { factor * sigma } else { factor * scatter };
        let of_draws = if phased { 0.0 } else { own };
        libm::sqrt((whole * whole - of_draws).max(0.0))
    };
    let (elapsed, downtime) = figures(outcome);
    let sigma = [
        noise(
            widths.elapsed_90,
            scatter.elapsed_ms,
            variance(drawn, |d| d.elapsed),
            profile.noise.elapsed_sigma_ms(elapsed),
        ),
        noise(
            widths.downtime_90,
            scatter.downtime_ms,
            variance(drawn, |d| d.reported),
            profile.noise.downtime_sigma_ms(downtime),
        ),
    ];
    let far = profile
        .outside(&case.guest, &case.path, &case.policy)
        .iter()
        .fold(0.0, |all, outside| libm::hypot(all, outside.far()));
    let doubt =
        [far * BEYOND_ELAPSED * elapsed, far * (BEYOND_DOWNTIME * downtime + BEYOND_DOWNTIME_MS)];
    let sigma = [0, 1].map(|i| libm::hypot(sigma[i], doubt[i]));
    // A migration that is not over at its timeout is given up, unless the stop takes it past that.
    let ceiling = case
        .policy
        .timeout
        .filter(|_| case.policy.on_timeout == OnTimeout::Abort && case.policy.mode != Mode::Offline)
        .map_or(f64::INFINITY, SimTime::as_millis_f64);
    // Offline the two are one quantity, and have one interval: the downtime's, for its noise grows
    // with it.
    let offline = case.policy.mode == Mode::Offline;
    let longest = |d: &Drawn| if offline { f64::INFINITY } else { d.elapsed };
    let noisy = |value: f64, which: usize, least: f64, d: &Drawn| {
        (value + sigma[which] * d.noise[which]).max(least.min(value))
    };
    let with_noise = |d: &Drawn| {
        let [downtime, reported] = [d.downtime, d.reported]
            .map(|value| noisy(value, 1, d.least[1], d).min(longest(d).max(value)));
        // No guest is down for longer than its migration takes.
        let elapsed = noisy(d.elapsed, usize::from(offline), d.least[0], d).max(downtime);
        (elapsed <= ceiling.max(d.elapsed)).then_some([elapsed, downtime, reported])
    };
    let arrived: Vec<[f64; 3]> = drawn.iter().flatten().filter_map(with_noise).collect();
    let of = |which: usize| Percentiles::of(arrived.iter().map(|one| one[which]).collect());
    let times = (outcome.completed() && !arrived.is_empty()).then(|| Times {
        elapsed_ms: of(0),
        downtime_ms: of(1),
        reported_ms: of(2),
    });
    let p_converge = arrived.len() as f64 / drawn.len() as f64;
    Some(Quantiles { times, p_converge, draws: drawn.len() })
}

impl Percentiles {
    /// Each of them by `of`.
    #[must_use]
    pub fn map(self, of: impl Fn(f64) -> f64) -> Percentiles {
        let Percentiles { p5, p25, p50, p75, p95 } = self;
        Percentiles { p5: of(p5), p25: of(p25), p50: of(p50), p75: of(p75), p95: of(p95) }
    }

    fn of(values: Vec<f64>) -> Percentiles {
        let mut data = Data::new(values);
        let [p5, p25, p50, p75, p95] = [0.05, 0.25, 0.5, 0.75, 0.95].map(|p| data.quantile(p));
        Percentiles { p5, p25, p50, p75, p95 }
    }
}

/// Total time and reported downtime, ms.
fn figures(outcome: &Outcome) -> (f64, f64) {
    (
        outcome.ended_at.as_millis_f64(),
        outcome.reported_downtime().map_or(0.0, SimTime::as_millis_f64),
    )
}
