//! Many migrations at once, which share links, hosts and processors.
//!
//! A [`Fleet`] is a [`Cluster`] and what is to be moved in it; [`read`] takes one from TOML and
//! CSV, [`run()`] moves it, [`replicate()`] moves it many times, each with other random draws.

mod chance;
mod change;
mod cluster;
mod file;
mod generate;
mod inventory;
mod meter;
mod missing;
mod moves;
mod processors;
mod replicate;
mod run;
pub mod shape;
mod sheet;
mod task;
mod totals;

pub use chance::Chance;
pub use change::Changes;
pub use cluster::{Cluster, Host, Link, Rack, Site, Vm, Wan};
pub use file::{Open, parse, parse_beside, read, read_changed};
pub use generate::{Shape, generate};
pub use inventory::{Defaults, parse as parse_inventory};
pub use meter::Meter;
pub use missing::{Missing, missing};
pub use moves::{Evacuation, Leaving, Limits, Move, NoRoom, Order, Placement, evacuate};
pub use replicate::{Deadline, Likely, LikelyMove, PERCENTILES, Replicated, Wanted, replicate};
pub use run::{FleetOutcome, MoveOutcome, alone, run};
pub use task::{Fleet, TOLERANCE, Traffic};
pub use totals::{Totals, totals};
