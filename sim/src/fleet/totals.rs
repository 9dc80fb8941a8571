//! The sums over a fleet's moves.

use migsim_models::units::SimTime;
use serde::Serialize;

use super::run::FleetOutcome;

/// The sums over all moves.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Totals {
    /// When the last guest that arrives has arrived, s.
    pub makespan_s: f64,
    /// When the last move was over, whatever came of it, s.
    pub all_over_s: f64,
    /// Guests that arrived.
    pub arrived: usize,
    /// Guests that did not: those that were given up and those that never left.
    pub not_arrived: usize,
    /// Guests whose migration was given up.
    pub gave_up: usize,
    /// Guests whose migration never began.
    pub never_left: usize,
    /// As `arrived`, by its name of before.
    pub moved: usize,
    /// As `gave_up`, by its name of before.
    pub failed: usize,
    /// As `never_left`, by its name of before.
    pub never: usize,
    /// The most migrations at a time.
    pub most_at_once: usize,
    /// Bytes on the wire, each counted once.
    pub wire_bytes: f64,
    /// Downtimes of all together, s.
    pub downtime_s: f64,
    /// The longest of them, s.
    pub worst_downtime_s: f64,
    /// Migration times of guests that arrived together, s: what one by one would take if nothing
    /// were shared.
    pub migration_s: f64,
    /// Seconds of service that guests lost: standing still, throttled, in faults, on short
    /// processors.
    pub lost_s: f64,
}

/// Sums up.
pub fn totals(found: &FleetOutcome) -> Totals {
    let mut totals = Totals {
        never_left: found.never.len(),
        most_at_once: found.most_at_once,
        ..Totals::default()
    };
    for one in &found.moves {
        let (down, ended) =
            (one.outcome.downtime().map_or(0.0, SimTime::as_secs_f64), one.ended().as_secs_f64());
        totals.all_over_s = totals.all_over_s.max(ended);
        if one.outcome.completed() {
            totals.arrived += 1;
            totals.makespan_s = totals.makespan_s.max(ended);
            totals.migration_s += one.outcome.ended_at.as_secs_f64();
        } else {
            totals.gave_up += 1;
        }
        totals.wire_bytes += one.outcome.wire_bytes as f64;
        totals.downtime_s += down;
        totals.worst_downtime_s = totals.worst_downtime_s.max(down);
        totals.lost_s += one.lost_s;
    }
    totals.not_arrived = totals.gave_up + totals.never_left;
    (totals.moved, totals.failed, totals.never) =
        (totals.arrived, totals.gave_up, totals.never_left);
    totals
}
