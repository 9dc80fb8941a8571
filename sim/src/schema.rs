//! JSON Schemas of what programs read, made from the types that write it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::answer::shape::{
    Applications, Prediction, Predictions, Published, ScenarioKeys, SensitivityAnswer,
};
use crate::answer::sweep::SweepAnswer;
use crate::fleet::shape::{AtOnceAnswer, FleetAnswer, InventoryAnswer, WhatIfAnswer};
use crate::record::{AgainstAnswer, BatchAnswer};

/// A schema's name, what writes such a thing, and how it is made.
pub type Named = (&'static str, &'static str, fn() -> Schema);

/// All schemas.
pub const SCHEMAS: [Named; 13] = [
    ("prediction", "migsim predict, of one guest", written::<Prediction>),
    ("predictions", "migsim predict, of several guests", written::<Predictions>),
    ("batch", "migsim predict --batch, each line", written::<BatchAnswer>),
    ("sweep", "migsim sweep", written::<SweepAnswer>),
    ("sensitivity", "migsim sensitivity", written::<SensitivityAnswer>),
    ("fleet", "migsim fleet", written::<FleetAnswer>),
    ("at-once", "migsim fleet --at-once", written::<AtOnceAnswer>),
    ("what-if", "migsim fleet --what-if", written::<WhatIfAnswer>),
    ("against", "migsim records import --against", written::<AgainstAnswer>),
    ("inventory", "migsim inventory check", written::<InventoryAnswer>),
    ("keys", "migsim keys", written::<ScenarioKeys>),
    ("models", "migsim models", written::<Published>),
    ("apps", "migsim apps", written::<Applications>),
];

/// The schema of what is written of a type.
pub fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}
