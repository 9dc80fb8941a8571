//! All integration tests, in one binary: a module for each topic.

mod cli;
mod extremes;
mod fidelity;
mod laws;
mod published;
mod scenarios;
mod sharing;
mod support;
