//! How far the dirtying of guests that are known by one number reaches: learnt from runs of guests
//! that are alike.
//!
//! Each run is predicted with every pair of a grid: the share of its touched pages that a guest
//! dirties sooner or later, and how many times its dirty rate it dirties while it is moved. A shape
//! is the pair with which the runs near a place are predicted best, the nearest counting most
//! (local regression: Cleveland 1979), and what is believed of any guest counting as much as part
//! of a run. Places are where there are runs: cells of a grid over touched memory and dirty rate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use migsim::engine::Fidelity;
use migsim::record::{Observation, RowPrediction};
use migsim_models::profile::{Param, Profile, Shape, place};
use migsim_models::spec::Mode;
use migsim_models::units::{Bytes, PAGE_BYTES, PageRate};
use migsim_models::workload::{MEDIAN_SHARE, Pattern, Term};
use rayon::prelude::*;

use super::FitError;

/// An application is known by a name from so many runs on.
const FEWEST_OF_A_NAME: usize = 10;
/// Shares of touched pages that are tried.
const SHARES: [f64; 11] = [0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4, 0.55, 0.7, 0.85, 1.0];
/// Times the dirty rate that are tried: a guest that was measured while it rested may dirty forty
/// times as much while it is moved.
const TIMES: [f64; 19] = [
    0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.8, 2.3, 3.0, 5.0, 8.0, 14.0, 25.0,
    45.0,
];
/// The width of a cell: a factor of 1.35 in the rate.
const CELL: f64 = 0.3;
/// The distance at which a run counts 0.6 is the first of these at which enough runs count.
const NEAR: [f64; 5] = [0.3, 0.5, 0.8, 1.3, 2.0];
const ENOUGH: f64 = 3.0;
/// What runs of the same application count, however far, and those of others.
const FAR: f64 = 1e-3;
/// What is believed of the two before, as standard deviations of their logarithms, and how much of
/// a run that counts.
const BELIEVED: [f64; 2] = [1.0, 0.6];
const BELIEF: f64 = 0.7;
/// Errors of one: 5 % of the total time, and 60 ms of downtime, which counts half. Beyond six a run
/// is wrong, no matter how much.
const ELAPSED: f64 = 0.05;
const DOWNTIME_MS: f64 = 60.0;
const WRONG: f64 = 6.0;
/// Pairs that say how differently guests near a place dirtied.
const ALIKE: usize = 10;
/// After how many idle iterations guests may be found to be stopped, see
/// [`Switchover`](migsim_models::profile::Switchover).
const FORCED: [u64; 5] = [0, 3, 4, 5, 7];
/// That is believed where it makes the errors of all runs together smaller by so much: errors are
/// about what a logarithm of likelihood is.
const BELIEVABLE: f64 = 4.0;

/// A run of a guest that is known by one number, with its error for each pair of the grid.
struct Known<'a> {
    application: Option<&'a str>,
    at: [f64; 2],
    errors: Vec<f64>,
}

/// The dirty rate of a guest of which nothing else is known.
fn known_rate(run: &Observation) -> Option<(PageRate, Option<&str>)> {
    let [Term { pattern, .. }] = run.case.guest.workload.terms.as_slice() else { return None };
    let Pattern::Dirty { rate, share: None, factor: None, application, .. } = pattern else {
        return None;
    };
    Some((*rate, application.as_deref()))
}

/// Whether a guest is known by one number, so that runs of it say little about its hosts.
pub(super) fn is_by_one_number(run: &Observation) -> bool {
    known_rate(run).is_some()
}

/// Pairs of the grid: share and times.
fn grid() -> Vec<[f64; 2]> {
    SHARES.iter().flat_map(|share| TIMES.map(|times| [*share, times])).collect()
}

/// The profile with what `runs` teach of guests that are known by one number; the same where there
/// are too few of those.
///
/// # Errors
/// It was interrupted.
pub(super) fn learn(
    runs: &[Observation],
    profile: &Profile,
    interrupted: &AtomicBool,
) -> Result<Profile, FitError> {
    // Where post-copy begins at once it matters little, and offline not at all, what a guest
    // dirties.
    let tells = |run: &&Observation| run.case.policy.mode == Mode::Precopy && is_by_one_number(run);
    let known: Vec<&Observation> = runs.iter().filter(tells).collect();
    let mut plain = profile.clone();
    if known.len() < FEWEST_OF_A_NAME {
        return Ok(profile.clone());
    }
    let mut best: Option<(f64, Profile)> = None;
    // Where a profile says it, it is known.
    let said = plain.switchover.forced_stop_after.value;
    let forced: &[u64] = if said > 0 { &[said] } else { &FORCED };
    for after in forced {
        plain.switchover.forced_stop_after = Param::exact(*after);
        let (error, shapes) = shapes(&known, &plain, interrupted)?;
        if best.as_ref().is_none_or(|(least, _)| error < least - BELIEVABLE) {
            best = Some((error, Profile { shapes: shapes.into(), ..plain.clone() }));
        }
    }
    Ok(best.map_or_else(|| profile.clone(), |(_, learnt)| learnt))
}

/// What is learnt with a profile, and the error of all runs with it.
fn shapes(
    runs: &[&Observation],
    profile: &Profile,
    interrupted: &AtomicBool,
) -> Result<(f64, Vec<Shape>), FitError> {
    let pairs = grid();
    let known: Vec<Known> = runs
        .par_iter()
        .filter_map(|run| {
            if interrupted.load(Ordering::Relaxed) {
                return None;
            }
            let (rate, application) = known_rate(run)?;
            let errors = pairs.iter().map(|pair| error(run, rate, *pair, profile)).collect();
            Some(Known { application, at: place(run.case.guest.touched, rate), errors })
        })
        .collect();
    if interrupted.load(Ordering::Relaxed) {
        return Err(FitError::Interrupted);
    }
    let mut runs_of: BTreeMap<Option<&str>, usize> = BTreeMap::from([(None, known.len())]);
    for one in &known {
        if one.application.is_some() {
            *runs_of.entry(one.application).or_default() += 1;
        }
    }
    runs_of.retain(|_, runs| *runs >= FEWEST_OF_A_NAME);
    let mut found = Vec::new();
    let mut sum = 0.0;
    for application in runs_of.into_keys() {
        let mut cells: BTreeMap<[i64; 2], Vec<&Known>> = BTreeMap::new();
        for one in
            known.iter().filter(|one| application.is_none_or(|_| one.application == application))
        {
            cells.entry(one.at.map(|x| (x / CELL).floor() as i64)).or_default().push(one);
        }
        for mine in cells.into_values() {
            let middle =
                [0, 1].map(|i| mine.iter().map(|one| one.at[i]).sum::<f64>() / mine.len() as f64);
            let (shape, pair) = at(middle, application, &known, &pairs);
            if application.is_none() {
                sum += mine.iter().map(|one| one.errors[pair]).sum::<f64>();
            }
            found.push(shape);
        }
    }
    Ok((sum, found))
}

/// The shape at a place, and which pair of the grid it is.
fn at(
    middle: [f64; 2],
    application: Option<&str>,
    known: &[Known],
    pairs: &[[f64; 2]],
) -> (Shape, usize) {
    let believed: Vec<f64> = pairs
        .iter()
        .map(|[share, times]| {
            let off = [(share / MEDIAN_SHARE).ln() / BELIEVED[0], times.ln() / BELIEVED[1]];
            BELIEF * off.iter().map(|x| x * x).sum::<f64>() / 2.0
        })
        .collect();
    let mut errors = believed.clone();
    let mut alike = vec![0.0; pairs.len()];
    let is_mine = |one: &Known| application.is_none() || one.application == application;
    let close = |one: &Known, near: f64| {
        let distance = (one.at[0] - middle[0]).hypot(one.at[1] - middle[1]) / near;
        (-distance * distance / 2.0).exp()
    };
    let counting = |near: f64| -> f64 {
        known.iter().filter(|one| is_mine(one)).map(|one| close(one, near)).sum()
    };
    let width =
        NEAR.into_iter().find(|near| counting(*near) >= ENOUGH).unwrap_or(NEAR[NEAR.len() - 1]);
    for one in known {
        let weight = (close(one, width) + FAR) * if is_mine(one) { 1.0 } else { FAR };
        // How well each pair goes with this run, among all.
        let likely: Vec<f64> =
            one.errors.iter().zip(&believed).map(|(e, b)| (-e - b).exp()).collect();
        let all: f64 = likely.iter().sum();
        for (index, error) in one.errors.iter().enumerate() {
            errors[index] += weight * error;
            alike[index] += weight * likely[index] / all;
        }
    }
    let pair = (0..pairs.len()).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap_or(0);
    let [share, times] = pairs[pair];
    let touched = Bytes(((middle[0] / 2.0).exp() * PAGE_BYTES as f64) as u64);
    let shape = Shape {
        application: application.map(str::to_owned),
        touched,
        rate: PageRate::new(middle[1].exp().round()).unwrap_or_default(),
        share,
        times,
        like: equally_likely(&alike, pairs),
        runs: counting(width).round().max(1.0) as u64,
    };
    (shape, pair)
}

/// Pairs in the middle of equal parts of what is likely, in the order of how much they dirty.
fn equally_likely(weights: &[f64], pairs: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by(|a, b| {
        let [x, y] = [a, b].map(|i| pairs[*i][0] * pairs[*i][1]);
        x.total_cmp(&y).then(a.cmp(b))
    });
    let all: f64 = weights.iter().sum();
    let mut found = Vec::with_capacity(ALIKE);
    let mut sum = 0.0;
    for index in order {
        sum += weights[index];
        while found.len() < ALIKE && sum >= all * (found.len() as f64 + 0.5) / ALIKE as f64 {
            found.push(pairs[index]);
        }
    }
    found
}

/// How wrong a run is predicted with a pair.
fn error(run: &Observation, rate: PageRate, [share, times]: [f64; 2], profile: &Profile) -> f64 {
    let mut case = run.case.clone();
    for term in &mut case.guest.workload.terms {
        if let Pattern::Dirty { rate: known, share: of, .. } = &mut term.pattern {
            *known = PageRate::new(rate.pages_per_s() * times).unwrap_or(rate);
            *of = Some(share);
        }
    }
    let said = RowPrediction::of(&case, profile, Fidelity::Flow);
    let mut error = 0.0;
    if let Some(measured) = run.elapsed_ms {
        let off = said.elapsed_ms.map_or(f64::INFINITY, |said| (said / measured - 1.0).abs());
        error += (off / ELAPSED).min(WRONG);
    }
    if let Some(measured) = run.downtime_ms {
        let off = said.downtime_ms.map_or(f64::INFINITY, |said| (said - measured).abs());
        error += (off / DOWNTIME_MS).min(WRONG) / 2.0;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Run records of guests of two applications that dirty as `truth` says, and not at the rate
    /// that was measured.
    fn runs(truth: &[(&str, f64, f64)], profile: &Profile, from: u64) -> Vec<Observation> {
        let mut text = "campaign,mode,memory_mib,touched_pages,workload,link_mbit,bandwidth_cap_mib,qemu,layout,outcome,elapsed_ms,downtime_ms,\
            application\n"
            .to_owned();
        for (name, share, times) in truth {
            for i in 0..16_u64 {
                let memory = 512 + 64 * (i % 4);
                let rate = 3000 + 150 * (i + from);
                let row = |workload: &str, measured: &str| {
                    let pages = memory * 240;
                    format!(
                        "c,precopy,{memory},{pages},\"{workload}\",1000,{},7.2,mixed,completed,{measured},{name}\n",
                        80 + i
                    )
                };
                let head = text.lines().next().unwrap_or_default();
                let really = format!("dirty({}p/s, share={share}, factor=1)", rate as f64 * times);
                let one = format!("{head}\n{}", row(&really, "1,1"));
                let (known, _) = migsim::record::observations("t", one.as_bytes()).unwrap();
                let said = RowPrediction::of(&known[0].case, profile, Fidelity::Flow);
                let measured = format!(
                    "{},{}",
                    said.elapsed_ms.unwrap(),
                    said.downtime_ms.unwrap_or_default()
                );
                text.push_str(&row(&format!("dirty({rate}p/s)"), &measured));
            }
        }
        let (runs, errors) = migsim::record::observations("t", text.as_bytes()).unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        runs
    }

    fn error_of(runs: &[Observation], profile: &Profile) -> f64 {
        let off = |run: &Observation| {
            let said = RowPrediction::of(&run.case, profile, Fidelity::Flow);
            (said.elapsed_ms.unwrap() / run.elapsed_ms.unwrap() - 1.0).abs()
        };
        runs.iter().map(off).sum::<f64>() / runs.len() as f64
    }

    #[test]
    fn what_guests_of_an_application_dirty_is_learnt_from_their_runs() {
        let profile = Profile::assumed();
        let truth = [("shop", 0.7, 2.3), ("mail", 0.05, 1.0)];
        let (seen, unseen) = (runs(&truth, &profile, 0), runs(&truth, &profile, 3));
        let nobody = AtomicBool::new(false);
        let learnt = learn(&seen, &profile, &nobody).unwrap();
        let (before, after) = (error_of(&unseen, &profile), error_of(&unseen, &learnt));
        assert!(before > 0.05 && after < 0.01, "{before} to {after}");
        for (name, share, times) in truth {
            let mine = |shape: &&Shape| shape.application.as_deref() == Some(name);
            assert!(learnt.shapes.iter().any(|shape| mine(&shape)), "{name}");
            // What a small share allows cannot tell how fast it is dirtied.
            for shape in learnt.shapes.iter().filter(mine) {
                assert!((shape.share / share).ln().abs() < 0.5, "{name}: {shape:?}");
                assert!(share < 0.1 || (shape.times / times).ln().abs() < 0.4, "{shape:?}");
            }
        }
        assert_eq!(learnt.switchover.forced_stop_after.value, 0);
        // The file holds it.
        let file = learnt.to_commented_toml().unwrap();
        assert_eq!(Profile::parse(&file).unwrap(), learnt, "{file}");
    }

    #[test]
    fn hosts_that_stop_guests_that_get_nowhere_are_found_by_their_runs() {
        let mut hosts = Profile::assumed();
        hosts.switchover.forced_stop_after = Param::exact(4);
        let runs = runs(&[("shop", 0.9, 8.0)], &hosts, 0);
        let learnt = learn(&runs, &Profile::assumed(), &AtomicBool::new(false)).unwrap();
        assert_eq!(learnt.switchover.forced_stop_after.value, 4);
        let (before, after) = (error_of(&runs, &Profile::assumed()), error_of(&runs, &learnt));
        assert!(before > 0.3 && after < 0.05, "{before} to {after}");
    }

    #[test]
    fn too_few_runs_teach_nothing() {
        let profile = Profile::assumed();
        let few = &runs(&[("shop", 0.7, 2.3)], &profile, 0)[..9];
        assert_eq!(learn(few, &profile, &AtomicBool::new(false)).unwrap(), profile);
    }

    #[test]
    fn equally_likely_pairs_are_where_the_weight_is() {
        let pairs = [[0.1, 1.0], [0.2, 1.0], [0.3, 1.0]];
        let found = equally_likely(&[0.0, 1.0, 3.0], &pairs);
        assert_eq!(found.len(), ALIKE);
        assert_eq!(found.iter().filter(|pair| **pair == [0.3, 1.0]).count(), 7);
        assert!(!found.contains(&[0.1, 1.0]));
    }
}
