//! `migcal fit`: a profile from run records.

mod cross;
mod estimate;
mod likelihood;
mod parameters;
mod refits;
mod shapes;

use cross::held_out;
pub(crate) use cross::shuffled;
pub use cross::{Parts, cross_validate};
pub use estimate::{Figure, Residual};
pub use likelihood::{Held, likelihood};
pub use parameters::{Parameter, parameters};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use estimate::{Estimate, Problem, curvature};
use migsim::record::{DISTURBED, Observation};
use migsim_models::profile::{Domain, Intervals, Param, Profile, Refits, Widths};
use migsim_models::spec::Mode;
use migsim_models::units::SimTime;
use nalgebra::DVector;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use refits::{nearby, refits};
use schemars::JsonSchema;
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics};

use crate::validate::{Judged, is_plain};

/// Fewer runs, or runs of fewer configurations, say nothing that could be told from chance.
const FEWEST_RUNS: usize = 3;
const FEWEST_CONFIGURATIONS: usize = 2;
/// A parameter of which the runs leave more than this of the prior's width, they say nothing about.
const UNINFORMED: f64 = 0.8;
/// ... and more than this, nothing at all.
const UNSEEN: f64 = 0.97;
/// Two parameters whose estimates move together like this cannot be told apart.
const INSEPARABLE: f64 = 0.95;
/// How far from the prior other starts lie, in its standard deviations.
const SPREAD_OF_STARTS: f64 = 0.6;
/// ... and from the best place so far.
const SPREAD_NEARBY: f64 = 0.3;

/// Pages of displays that virtual machines have: none; 16 MiB, QEMU's and libvirt's default; QXL's
/// two of 64 MiB with that.
const DISPLAYS: [u64; 3] = [0, 4096, 4096 + 32_768];
/// Another display is believed where it makes the errors of all runs together smaller by so much.
const BELIEVABLE: f64 = 10.0;

/// How a fit is made.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Of the starts and the refits.
    pub seed: u64,
    /// Searches: from the prior, from places around it, and around the best so far.
    pub starts: usize,
    /// Whether to find out which display the guests have.
    pub display: bool,
    /// Fits to the same runs, weighted anew, that tell how sure it is of its parameters. An odd
    /// number: draws are taken in steps of powers of two, and meet all of them.
    pub refits: usize,
    /// Whether to find out how wide intervals have to be; it takes some more fits.
    pub intervals: bool,
}

impl Default for Manner {
    fn default() -> Manner {
        Manner { seed: 1, starts: 6, display: true, refits: 31, intervals: true }
    }
}

impl Manner {
    /// For a fit to a part of runs that have been fitted as a whole: its display is known, and how
    /// sure it is as well.
    #[must_use]
    pub fn of_a_part(self) -> Manner {
        Manner { starts: 1, display: false, refits: 0, intervals: false, ..self }
    }

    /// How many searches a fit takes, about: two refits are as much as one.
    fn searches(self) -> u64 {
        let displays = if self.display { DISPLAYS.len() } else { 1 };
        let parts = if self.intervals { 2 * FOLDS } else { 0 };
        (displays + self.starts + DROPS + self.refits.min(FROM_REFITS) + self.refits / 2 + parts)
            as u64
    }
}

/// Searches that follow when parameters turn out to be unknown, about.
const DROPS: usize = 4;
/// Refits from which the best place is looked for once more.
const FROM_REFITS: usize = 4;

/// How much of a fit is done, told to whoever waits.
struct Work<'a> {
    all: u64,
    /// In halves of a search.
    done: AtomicU64,
    tell: &'a (dyn Fn(f64) + Sync),
}

impl Work<'_> {
    fn more(&self, halves: u64) {
        let done = self.done.fetch_add(halves, Ordering::Relaxed) + halves;
        (self.tell)((done as f64 / (2 * self.all) as f64).min(0.999));
    }
}

/// Why no profile came of the runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too little to learn from.
    #[error("{0}")]
    TooLittle(String),
    /// Ctrl-C.
    #[error("interrupted; no profile was written")]
    Interrupted,
}

/// An estimated parameter.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Estimated {
    /// Its key in the profile.
    pub key: &'static str,
    /// Before and after, in seconds, bytes, pages or shares.
    pub value: [f64; 2],
    /// Standard error by the refits, in the same unit.
    pub error: f64,
    /// 90 % interval by the refits.
    pub interval: [f64; 2],
}

/// What a fit found.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The profile.
    pub profile: Profile,
    /// What was estimated.
    pub estimated: Vec<Estimated>,
    /// What was left at its prior, and why.
    pub at_prior: Vec<(&'static str, String)>,
    /// Runs left out, and why.
    pub left_out: Vec<(String, &'static str)>,
    /// Runs used.
    pub used: usize,
}

/// Fits a profile to runs. `progress` hears how much of the work is done, 0 to 1.
///
/// # Errors
/// There is too little to learn from, or it was interrupted.
pub fn fit(
    runs: &[Observation],
    prior: &Profile,
    manner: Manner,
    interrupted: &AtomicBool,
    progress: &(dyn Fn(f64) + Sync),
) -> Result<Fitted, FitError> {
    let mut left_out = Vec::new();
    let mut used: Vec<Observation> = Vec::new();
    for run in runs {
        match reason_against(run) {
            Some(why) => left_out.push((run.id.clone(), why)),
            None => used.push(run.clone()),
        }
    }
    enough(&left_out, &used)?;
    let work = Work { all: manner.searches(), done: AtomicU64::new(0), tell: progress };
    // What guests that are known by one number dirty is learnt with the hosts as they are believed
    // to be, and again with those that were found.
    let prior = shapes::learn(&used, prior, interrupted)?;
    let mut rng = ChaCha8Rng::seed_from_u64(manner.seed);
    let mut free: Vec<Parameter> = parameters();
    let (prior, first) = begin(&used, prior, &free, manner.display, interrupted, &work)?;
    let mut at_prior = Vec::new();
    let problem = Problem::of(&used, &prior, &free);
    let mut best = search(&problem, first, manner.starts, &mut rng, interrupted, &work)?;
    // What the runs say nothing about goes back to its prior, and what cannot be told apart; the
    // others are sought again.
    while let Some(dropped) = unidentified(&Problem::of(&used, &prior, &free), &best) {
        let is_kept = |parameter: &Parameter| dropped.iter().all(|(key, _)| parameter.key != *key);
        let kept: Vec<f64> = free
            .iter()
            .zip(&best.position)
            .filter(|(parameter, _)| is_kept(parameter))
            .map(|(_, at)| *at)
            .collect();
        free.retain(is_kept);
        at_prior.extend(dropped);
        if free.is_empty() {
            return Err(FitError::TooLittle("the runs say nothing about any parameter".to_owned()));
        }
        best = Problem::of(&used, &prior, &free).descend(DVector::from_vec(kept), interrupted)?;
        work.more(2);
    }
    let problem = Problem::of(&used, &prior, &free);
    let refits = refits(&problem, &best, manner.refits, &mut rng, interrupted, &|| work.more(1))?;
    let best = lowest(&problem, best, &refits, interrupted, &work)?;
    let mut profile = problem.profile(&best.position);
    for parameter in parameters().iter().filter(|p| free.iter().all(|free| free.key != p.key)) {
        parameter.believe(&mut profile);
    }
    let estimated = doubt(&mut profile, &problem, &best, &refits);
    profile = shapes::learn(&used, &profile, interrupted)?;
    fit_noise(&mut profile, &used, &best);
    profile.domain = domain(&used);
    if manner.intervals {
        let whole = Whole { prior: &prior, free: &free, fitted: &profile };
        profile.noise.intervals = intervals(&used, whole, manner.seed, interrupted, &work)?;
    }
    progress(1.0);
    Ok(Fitted { profile, estimated, at_prior, left_out, used: used.len() })
}

/// Puts into the profile at the best place how sure the refits are of each parameter, and of all
/// together.
fn doubt(
    profile: &mut Profile,
    problem: &Problem,
    best: &Estimate,
    refits: &[DVector<f64>],
) -> Vec<Estimated> {
    let mut together = Vec::new();
    let mut estimated = Vec::new();
    for (index, parameter) in problem.free.iter().enumerate() {
        let found = best.position[index];
        let positions: Vec<f64> = refits.iter().map(|position| position[index]).collect();
        let squares: f64 = positions.iter().map(|at| (at - found).powi(2)).sum();
        let spread = (squares / positions.len().max(1) as f64).sqrt();
        parameter.place(profile, problem.prior, found, (spread > 0.0).then_some(spread));
        let at = |position: f64| parameter.value_at(problem.prior, position);
        if spread > 0.0 {
            let far = |at: &f64| parameter.distance(profile, problem.prior, *at);
            together.push((parameter.key.to_owned(), positions.iter().map(far).collect()));
        }
        let mut positions = Data::new(if positions.is_empty() { vec![found] } else { positions });
        estimated.push(Estimated {
            key: parameter.key,
            value: [parameter.value(problem.prior), parameter.value(profile)],
            error: (at(found + spread) - at(found)).abs(),
            // What is found is possible.
            interval: [
                at(positions.quantile(0.05).min(found)),
                at(positions.quantile(0.95).max(found)),
            ],
        });
    }
    profile.refits = Refits::new(together);
    estimated
}

/// What is believed beforehand, and the place that a search from there finds: with the memory of
/// the display that was believed or, if it is sought, with that of what virtual machines have which
/// explains the runs clearly better. Nobody writes to it, and it is scanned last, so the stop of a
/// quiet guest falls into it.
fn begin(
    runs: &[Observation],
    prior: Profile,
    free: &[Parameter],
    display: bool,
    interrupted: &AtomicBool,
    work: &Work,
) -> Result<(Profile, Estimate), FitError> {
    let descend = |prior: &Profile| {
        let found = Problem::of(runs, prior, free).descend(DVector::zeros(free.len()), interrupted);
        work.more(2);
        found
    };
    let mut best = (descend(&prior)?, prior);
    if display {
        let [pages, zero] = [best.1.guest.firmware_pages, best.1.guest.firmware_zero_pages];
        let believed = DISPLAYS.into_iter().rfind(|display| *display <= zero.value).unwrap_or(0);
        for display in DISPLAYS.into_iter().filter(|display| *display != believed) {
            let mut tried = best.1.clone();
            tried.guest.firmware_pages.value = pages.value - believed + display;
            tried.guest.firmware_zero_pages.value = zero.value - believed + display;
            let found = descend(&tried)?;
            if found.cost < best.0.cost - BELIEVABLE {
                best = (found, tried);
            }
        }
    }
    Ok((best.1, best.0))
}

/// The ranges of runs.
pub fn domain(runs: &[Observation]) -> Option<Domain> {
    let of = |run: &Observation| Domain::of(&run.case.guest, &run.case.path, &run.case.policy);
    runs.iter().map(of).reduce(|mut all, one| {
        all.include(&one);
        all
    })
}

/// Whether a fit uses a run.
pub fn is_used(run: &Observation) -> bool {
    reason_against(run).is_none()
}

/// Only what was recorded about the machine and the ending counts against a run, never its error.
fn reason_against(run: &Observation) -> Option<&'static str> {
    if run.completed != Some(true) {
        Some("did not complete")
    } else if run.together.is_some() {
        Some("shared its link with other guests")
    } else if run.disturbed {
        Some(DISTURBED)
    } else if run.elapsed_ms.is_none() {
        Some("has no elapsed_ms")
    } else {
        None
    }
}

fn enough(left_out: &[(String, &str)], used: &[Observation]) -> Result<(), FitError> {
    let configurations: std::collections::BTreeSet<&str> =
        used.iter().map(|run| run.configuration.as_str()).collect();
    if used.len() < FEWEST_RUNS || configurations.len() < FEWEST_CONFIGURATIONS {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, why) in left_out {
            *reasons.entry(why).or_default() += 1;
        }
        let without = |(why, count): (&str, usize)| {
            let hint =
                if why == DISTURBED { " (--disturbed-above says from where on)" } else { "" };
            format!(", {count} {why}{hint}")
        };
        return Err(FitError::TooLittle(format!(
            "{} runs{}: that leaves {} of {} configurations, and a fit takes at least {FEWEST_RUNS} of {FEWEST_CONFIGURATIONS}; dozens that \
             differ in size, writer and link are better",
            left_out.len() + used.len(),
            reasons.into_iter().map(without).collect::<String>(),
            used.len(),
            configurations.len()
        )));
    }
    Ok(())
}

/// The lowest place found: `first`, from what is believed, or from places around that, and then
/// from places around the best so far: where a sync more or less makes steps in the objective, it
/// has many valleys.
fn search(
    problem: &Problem,
    first: Estimate,
    starts: usize,
    rng: &mut ChaCha8Rng,
    interrupted: &AtomicBool,
    work: &Work,
) -> Result<Estimate, FitError> {
    let believed = DVector::zeros(problem.free.len());
    let mut best = first;
    for start in 1..starts {
        let near = if 2 * start < starts {
            nearby(&believed, SPREAD_OF_STARTS, rng)
        } else {
            nearby(&best.position, SPREAD_NEARBY, rng)
        };
        let found = problem.descend(near, interrupted)?;
        if found.cost < best.cost {
            best = found;
        }
        work.more(2);
    }
    Ok(best)
}

/// The lowest place found from the best so far and from the refits that lie lowest: they have
/// looked into other valleys.
fn lowest(
    problem: &Problem,
    mut best: Estimate,
    refits: &[DVector<f64>],
    interrupted: &AtomicBool,
    work: &Work,
) -> Result<Estimate, FitError> {
    let mut others: Vec<(f64, &DVector<f64>)> =
        refits.par_iter().map(|position| (problem.cost_at(position), position)).collect();
    others.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, position) in others.into_iter().take(FROM_REFITS) {
        let found = problem.descend(position.clone(), interrupted)?;
        if found.cost < best.cost {
            best = found;
        }
        work.more(2);
    }
    Ok(best)
}

/// Parameters that the runs do not determine, each with the reason.
fn unidentified(problem: &Problem, best: &Estimate) -> Option<Vec<(&'static str, String)>> {
    let free = problem.free;
    let weights = problem.weights(&best.residuals);
    let covariance = curvature(&best.jacobian, &weights).cholesky()?.inverse();
    let spread = |i: usize| covariance[(i, i)].sqrt();
    // One that nothing depends on has all of its prior's width left. Where several are wide because
    // they go together, the widest goes, and the others are looked at again.
    let unseen: Vec<usize> = (0..free.len()).filter(|i| spread(*i) > UNSEEN).collect();
    let widest = (0..free.len())
        .max_by(|a, b| spread(*a).total_cmp(&spread(*b)))
        .filter(|i| spread(*i) > UNINFORMED);
    let dropped = if unseen.is_empty() { widest.into_iter().collect() } else { unseen };
    if !dropped.is_empty() {
        return Some(
            dropped
                .into_iter()
                .map(|i| (free[i].key, "the runs say nothing about it".to_owned()))
                .collect(),
        );
    }
    for i in 0..free.len() {
        for j in 0..i {
            let correlation = covariance[(i, j)] / (spread(i) * spread(j));
            if correlation.abs() > INSEPARABLE {
                let (worse, other) = if spread(i) > spread(j) { (i, j) } else { (j, i) };
                let why = format!(
                    "the runs cannot tell it from {} (correlation {correlation:.2})",
                    free[other].key
                );
                return Some(vec![(free[worse].key, why)]);
            }
        }
    }
    None
}

/// So many campaigns, each of so many runs of plain pre-copy, tell how much hours differ.
const FEWEST_CAMPAIGNS: usize = 3;
const FEWEST_OF_A_CAMPAIGN: usize = 10;
/// Parts into which runs are dealt to see how far predictions of unseen ones are off.
const FOLDS: usize = 5;

/// A fit to all runs, of which parts are held back.
#[derive(Debug, Clone, Copy)]
struct Whole<'a> {
    prior: &'a Profile,
    free: &'a [Parameter],
    fitted: &'a Profile,
}

impl Whole<'_> {
    /// The profile that a part of the runs would have given: with the same parameters free, sought
    /// from what is believed, and as sure of them as the whole.
    fn of_a_part(
        &self,
        used: &[Observation],
        interrupted: &AtomicBool,
    ) -> Result<Profile, FitError> {
        enough(&[], used)?;
        let prior = shapes::learn(used, self.prior, interrupted)?;
        let problem = Problem::of(used, &prior, self.free);
        let best = problem.descend(DVector::zeros(self.free.len()), interrupted)?;
        let mut profile = shapes::learn(used, &problem.profile(&best.position), interrupted)?;
        fit_noise(&mut profile, used, &best);
        profile.doubt_as(self.fitted);
        Ok(profile)
    }
}

/// How wide intervals have to be to hold as often as they say: quantiles of the errors, over the
/// scatter expected, of predictions of runs that the fit behind them had not seen (cross-conformal
/// prediction: Vovk 2015). `None`: too few runs.
fn intervals(
    runs: &[Observation],
    whole: Whole,
    seed: u64,
    interrupted: &AtomicBool,
    work: &Work,
) -> Result<Option<Intervals>, FitError> {
    let unseen = |parts: Parts| {
        let judged = held_out(runs, parts, seed, |used, _, _| {
            let profile = whole.of_a_part(used, interrupted);
            work.more(2);
            profile
        });
        match judged {
            Err(FitError::TooLittle(_)) => Ok(Vec::new()),
            result => result,
        }
    };
    let judged = unseen(Parts::Configurations(FOLDS))?;
    let of = |mode: Mode| widths(judged.iter().filter(|one| one.run.case.policy.mode == mode));
    // A prediction is for hours that no run is of: where there are several campaigns of plain
    // pre-copy, each is predicted from the others. Modes and levers that one campaign alone has
    // cannot be.
    let mut plain: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs.iter().filter(|run| is_plain(run)) {
        *plain.entry(&run.campaign).or_default() += 1;
    }
    let precopy = if plain.values().filter(|count| **count >= FEWEST_OF_A_CAMPAIGN).count()
        >= FEWEST_CAMPAIGNS
    {
        let by_campaign = unseen(Parts::Campaigns)?;
        let levers = judged
            .iter()
            .filter(|one| one.run.case.policy.mode == Mode::Precopy && !is_plain(&one.run));
        widths(by_campaign.iter().filter(|one| is_plain(&one.run)).chain(levers))
    } else {
        of(Mode::Precopy)
    };
    // Where pre-copy has too few, all runs speak for it.
    let Some(precopy) = precopy.or_else(|| widths(judged.iter())) else { return Ok(None) };
    Ok(Some(Intervals { precopy, postcopy: of(Mode::Postcopy), offline: of(Mode::Offline) }))
}

fn widths<'a>(judged: impl Iterator<Item = &'a Judged>) -> Option<Widths> {
    let (mut elapsed, mut downtime) = (Vec::new(), Vec::new());
    for one in judged.filter(|one| one.said.completed) {
        if let (Some(measured), Some(predicted)) = (one.run.elapsed_ms, one.said.elapsed_ms) {
            elapsed.push((predicted - measured).abs() / one.scatter.elapsed_ms);
        }
        if let (Some(measured), Some(predicted)) = (one.run.downtime_ms, one.said.downtime_ms) {
            downtime.push((predicted - measured).abs() / one.scatter.downtime_ms);
        }
    }
    let [elapsed_50, elapsed_90] = conformal(&mut elapsed)?;
    let [downtime_50, downtime_90] = conformal(&mut downtime)?;
    Some(Widths { elapsed_50, elapsed_90, downtime_50, downtime_90 })
}

/// The scores that 50 % and 90 % of new ones stay below: the k-th smallest of n, k = (n + 1) p
/// rounded up. `None`: n is too small for that.
fn conformal(scores: &mut [f64]) -> Option<[f64; 2]> {
    scores.sort_by(f64::total_cmp);
    let at = |p: f64| {
        scores.get((((scores.len() + 1) as f64 * p).ceil() as usize).checked_sub(1)?).copied()
    };
    Some([at(0.5)?, at(0.9)?])
}

/// What is left between predictions and runs, as the profile's noise: the expected scatter of each
/// figure, scaled to what was found.
fn fit_noise(profile: &mut Profile, runs: &[Observation], best: &Estimate) {
    // Of guests that are known by one number only where there are no others.
    let vaguely = runs.iter().all(shapes::is_by_one_number);
    let scale = |figure: Figure| {
        let left: Vec<f64> = best
            .residuals
            .iter()
            .filter(|r| {
                let run = &runs[r.run];
                r.figure == figure
                    && run.offline_ms.is_none()
                    && shapes::is_by_one_number(run) == vaguely
            })
            .map(|r| r.value.abs())
            .collect();
        // The median of absolute deviations, as a standard deviation.
        (!left.is_empty()).then(|| 1.4826 * Data::new(left).median())
    };
    if let Some(elapsed) = scale(Figure::Elapsed) {
        let (relative, absolute) = Figure::Elapsed.scatter(vaguely);
        let prepare = scale(Figure::Prepare).map_or(0.0, |scale| {
            scale * Figure::Prepare.sigma(profile.software.prepare.value.as_millis_f64(), vaguely)
        });
        profile.noise.elapsed_relative = Param::exact(elapsed * relative);
        profile.noise.elapsed =
            Param::exact(SimTime::from_secs_f64((elapsed * absolute).hypot(prepare) / 1e3));
    }
    if let Some(scale) = scale(Figure::Downtime) {
        let (relative, absolute) = Figure::Downtime.scatter(vaguely);
        profile.noise.downtime_relative = Param::exact(scale * relative);
        profile.noise.downtime = Param::exact(SimTime::from_secs_f64(scale * absolute / 1e3));
    }
    if let Some(scale) = scale(Figure::WireBytes) {
        profile.noise.wire_bytes_relative =
            Param::exact(scale * Figure::WireBytes.scatter(vaguely).0);
    }
}
