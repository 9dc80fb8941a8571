//! All integration tests, in one binary: a module for each topic.

#![expect(clippy::unwrap_used, reason = "a test that cannot get its input has failed")]

mod cli;
mod extremes;
mod fidelity;
mod fleets;
mod laws;
mod parsers;
mod published;
mod scenarios;
mod sharing;
mod support;
