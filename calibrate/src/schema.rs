//! JSON Schemas of what migcal writes, made from the types that are written.

use migsim::schema::{Named, written};
use schemars::JsonSchema;
use serde::Serialize;

use crate::fit::{Estimated, Held};
use crate::noise::Noise;
use crate::paper::Means;
use crate::transfer::Step;
use crate::validate::Report;

/// Something as it is written: with the version of its shape.
#[derive(Debug, Serialize, JsonSchema)]
struct Versioned<T> {
    /// Version of this shape.
    schema: u32,
    #[serde(flatten)]
    whole: T,
}

/// A list as it is written.
#[derive(Debug, Serialize, JsonSchema)]
struct Results<T> {
    /// Version of this shape.
    schema: u32,
    /// One for each row.
    results: Vec<T>,
}

/// All schemas.
pub const SCHEMAS: [Named; 6] = [
    ("validation", "migcal validate", written::<Versioned<Report>>),
    ("transfer", "migcal transfer", written::<Results<Step>>),
    ("noise", "migcal noise", written::<Versioned<Noise>>),
    ("fit", "migcal fit", written::<Results<Estimated>>),
    ("identify", "migcal identify", written::<Results<Held>>),
    ("paper", "migcal paper", written::<Results<Means>>),
];
