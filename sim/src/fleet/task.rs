//! A cluster and what is to be moved in it.

use std::ops::Range;

use migsim_models::units::{BitRate, SimTime};

use super::cluster::Cluster;
use super::moves::{Limits, Move};

/// What a file asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// Hosts, links, guests.
    pub cluster: Cluster,
    /// What goes where, in order.
    pub moves: Vec<Move>,
    /// How many at a time.
    pub limits: Limits,
    /// What else uses the lines.
    pub traffic: Vec<Traffic>,
    /// Of very many migrations that share a link, one need not know at once that its share has
    /// changed by less than this, as a share of it; 0: all are exact.
    pub tolerance: f64,
    /// The file of the guests, where there is one.
    pub inventory: Option<std::path::PathBuf>,
}

/// Other traffic over a line, of which migrations get what is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// From this host to that one.
    pub route: [usize; 2],
    /// How much.
    pub rate: BitRate,
    /// While.
    pub during: Range<SimTime>,
}

/// The tolerance of a fleet that does not say otherwise: 0.1 %.
pub const TOLERANCE: f64 = 0.001;
