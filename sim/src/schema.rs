//! JSON Schemas of what programs read, made from the types that write it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::answer::shape::{Prediction, Predictions, Published};
use crate::answer::sweep::SweepAnswer;
use crate::fleet::shape::{AtOnceAnswer, FleetAnswer, InventoryAnswer};
use crate::record::BatchAnswer;

/// Names of the schemas, and what writes such a thing.
pub const NAMES: [(&str, &str); 8] = [
    ("prediction", "migsim predict, of one guest"),
    ("predictions", "migsim predict, of several guests"),
    ("batch", "migsim predict --batch, each line"),
    ("sweep", "migsim sweep"),
    ("fleet", "migsim fleet"),
    ("at-once", "migsim fleet --at-once"),
    ("inventory", "migsim inventory check"),
    ("models", "migsim models"),
];

/// The schema of that name; `None`: there is none.
pub fn of(name: &str) -> Option<Schema> {
    Some(match name {
        "prediction" => written::<Prediction>(),
        "predictions" => written::<Predictions>(),
        "batch" => written::<BatchAnswer>(),
        "sweep" => written::<SweepAnswer>(),
        "fleet" => written::<FleetAnswer>(),
        "at-once" => written::<AtOnceAnswer>(),
        "inventory" => written::<InventoryAnswer>(),
        "models" => written::<Published>(),
        _ => return None,
    })
}

/// The schema of what is written of a type.
pub fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}
