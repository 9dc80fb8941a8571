//! The sums over a fleet's moves.

use migsim_models::units::SimTime;
use serde::Serialize;

use super::run::Fleeted;

/// The sums over all moves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Totals {
    /// When the last move was over, s.
    pub makespan_s: f64,
    /// Guests that arrived, that did not, and that never left.
    pub moved: usize,
    /// See above.
    pub failed: usize,
    /// See above.
    pub never: usize,
    /// Bytes on the wire, each counted once.
    pub wire_bytes: f64,
    /// Downtimes together, and the longest, s.
    pub downtime_s: f64,
    /// See above.
    pub worst_downtime_s: f64,
    /// Migration times together, s: what one by one would take if nothing were shared.
    pub migration_s: f64,
    /// Seconds of service that guests lost: standing still, throttled, in faults, on short processors.
    pub lost_s: f64,
}

/// Sums up.
pub fn totals(found: &Fleeted) -> Totals {
    let mut totals = Totals { never: found.never.len(), ..Totals::default() };
    for one in &found.moves {
        let down = one.outcome.downtime().map_or(0.0, SimTime::as_secs_f64);
        let completed = one.outcome.completed();
        totals.moved += usize::from(completed);
        totals.failed += usize::from(!completed);
        totals.makespan_s = totals.makespan_s.max(one.ended().as_secs_f64());
        totals.wire_bytes += one.outcome.wire_bytes as f64;
        totals.downtime_s += down;
        totals.worst_downtime_s = totals.worst_downtime_s.max(down);
        totals.migration_s += one.outcome.ended_at.as_secs_f64();
        totals.lost_s += one.lost_s;
    }
    totals
}
