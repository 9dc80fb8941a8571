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
