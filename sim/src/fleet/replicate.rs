//! The same fleet moved many times, each with other random draws, for what is likely instead of
//! what is expected.

use std::sync::atomic::{AtomicBool, Ordering};

use migsim_models::profile::Profile;
use migsim_models::units::SimTime;
use rayon::prelude::*;
use statrs::statistics::{Data, OrderStatistics};

use super::chance::Chance;
use super::run::{FleetOutcome, run};
use super::task::Fleet;
use super::totals::{Totals, totals};

/// The percentiles of reports.
pub const PERCENTILES: [f64; 3] = [0.05, 0.5, 0.95];

/// 5th, 50th and 95th percentile.
pub type Likely = [f64; 3];

/// What replications are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How many.
    pub replications: usize,
    /// The number of the first: a part of a study has the draws that it has in the whole.
    pub first: usize,
    /// Of what they draw.
    pub seed: u64,
    /// So long after the start all are to have arrived, where somebody wants that.
    pub deadline: Option<SimTime>,
}

/// What came of the replications.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicated {
    /// How many were wanted.
    pub wanted: usize,
    /// The totals of each that was made, in their order.
    pub totals: Vec<Totals>,
    /// By move of the list; `None` where it arrived in fewer than two, which have no interval.
    pub moves: Vec<Option<LikelyMove>>,
    /// Who had arrived by a deadline, where there is one.
    pub deadline: Option<Deadline>,
}

/// Who had arrived by a deadline.
#[derive(Debug, Clone, PartialEq)]
pub struct Deadline {
    /// From the start to it.
    pub within: SimTime,
    /// In how many replications all guests had.
    pub all: usize,
    /// By move of the list: in how many its guest had.
    pub by_move: Vec<usize>,
}

/// A move over all replications in which the guest arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LikelyMove {
    /// When it began, s.
    pub began_s: Likely,
    /// Total time, s.
    pub tmt_s: Likely,
    /// Downtime, s.
    pub downtime_s: Likely,
    /// The share of replications in which it arrived.
    pub arrived: f64,
}

impl Replicated {
    /// The percentiles of one of the totals over the replications in which some guest arrived;
    /// `None`: there are not two, which have no interval.
    pub fn likely(&self, of: impl Fn(&Totals) -> f64) -> Option<Likely> {
        let values: Vec<f64> =
            self.totals.iter().filter(|totals| totals.arrived > 0).map(of).collect();
        (values.len() > 1).then(|| percentiles(values))
    }

    /// When the last guest has arrived in each replication, s; `None`: not all arrived.
    pub fn makespans_s(&self) -> impl Iterator<Item = Option<f64>> + '_ {
        self.totals.iter().map(|t| (t.not_arrived == 0).then_some(t.makespan_s))
    }

    /// The share of replications in which all guests arrived.
    pub fn p_all_arrive(&self) -> f64 {
        let all = self.totals.iter().filter(|totals| totals.not_arrived == 0).count();
        all as f64 / self.totals.len().max(1) as f64
    }
}

/// Percentiles of some numbers, at least one.
fn percentiles(values: Vec<f64>) -> Likely {
    let mut data = Data::new(values);
    PERCENTILES.map(|p| data.quantile(p))
}

/// Moves a fleet as often as is wanted, on all processors; the same seed gives the same on any
/// number of them. `progress` is told of each that is made. Interrupted, it returns those that were
/// made.
pub fn replicate(
    fleet: &Fleet,
    profile: &Profile,
    wanted: Wanted,
    interrupted: &AtomicBool,
    progress: impl Fn() + Sync,
) -> Replicated {
    let made: Vec<(Totals, Vec<Option<[f32; 3]>>)> = (0..wanted.replications)
        .into_par_iter()
        .map(|nth| wanted.first + nth)
        .filter_map(|number| {
            if interrupted.load(Ordering::Relaxed) {
                return None;
            }
            let chance = Chance::of_replication(wanted.seed, number as u64, profile);
            let found = run(fleet, profile, chance, interrupted, |_| {})?;
            progress();
            Some((totals(&found), moves(fleet, &found)))
        })
        .collect();
    let (totals, by_replication): (Vec<Totals>, Vec<_>) = made.into_iter().unzip();
    let moves = (0..fleet.moves.len())
        .into_par_iter()
        .map(|index| likely(&by_replication, index))
        .collect();
    let deadline = wanted.deadline.map(|within| {
        let seconds = within.as_secs_f64();
        let in_time = |one: &[f32; 3]| f64::from(one[0]) + f64::from(one[1]) <= seconds;
        let all = totals.iter().filter(|t| t.not_arrived == 0 && t.makespan_s <= seconds).count();
        let arrived = |index: usize| {
            by_replication.iter().filter(|moves| moves[index].as_ref().is_some_and(in_time)).count()
        };
        Deadline { within, all, by_move: (0..fleet.moves.len()).map(arrived).collect() }
    });
    Replicated { wanted: wanted.replications, totals, moves, deadline }
}

/// When each guest that arrived began, its total time and downtime, s.
fn moves(fleet: &Fleet, found: &FleetOutcome) -> Vec<Option<[f32; 3]>> {
    let mut by_move = vec![None; fleet.moves.len()];
    for one in &found.moves {
        if let (Some(tmt), Some(down)) = (one.outcome.tmt(), one.outcome.downtime()) {
            by_move[one.index] =
                Some([one.began, tmt, down].map(|time: SimTime| time.as_secs_f64() as f32));
        }
    }
    by_move
}

fn likely(by_replication: &[Vec<Option<[f32; 3]>>], index: usize) -> Option<LikelyMove> {
    let arrived: Vec<[f32; 3]> = by_replication.iter().filter_map(|moves| moves[index]).collect();
    if arrived.len() < 2 {
        return None;
    }
    let of = |which: usize| {
        percentiles(arrived.iter().map(|figures| f64::from(figures[which])).collect())
    };
    Some(LikelyMove {
        began_s: of(0),
        tmt_s: of(1),
        downtime_s: of(2),
        arrived: arrived.len() as f64 / by_replication.len() as f64,
    })
}
