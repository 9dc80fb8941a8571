//! All integration tests, in one binary: a module for each topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot get its input has failed")]

mod attack;
mod cli;
mod documented;
mod explore;
mod extremes;
mod fidelity;
mod files;
mod fleets;
mod friday;
mod frozen;
mod import;
mod laws;
mod outputs;
mod parsers;
mod parts;
mod published;
mod scenarios;
mod sharing;
mod support;
mod sweeps;

/// Random questions, as the program that asks a million of them has them.
#[path = "../torture"]
mod torture {
    pub(crate) mod fleets;
    pub(crate) mod questions;
    pub(crate) mod unfit;
}
