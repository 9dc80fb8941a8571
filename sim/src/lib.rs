//! The simulator: how long moving a virtual machine takes, and how long it stands still.
//!
//! | module | holds |
//! | --- | --- |
//! | [`queue`] | the discrete-event core: integer time, equal times in order, cancellable events |
//! | [`network`] | links shared by flows, max-min fair |
//! | [`memory`] | the guest's memory: expected counts, or every page |
//! | [`migration`] | one migration as a state machine: every mode, every lever |
//! | [`world`] | what drives migrations on a network, and the question that is asked of it |
//! | [`scenario`] | questions from files and flags |
//! | [`mod@predict`] | the answer to a case |
//! | [`quantiles`] | how sure an answer is |
//! | [`advice`] | what would let a migration converge that does not |
//! | [`records`] | files of recorded migrations: predicted row by row, and compared |
//! | [`sweep`] | what one or two numbers do |
//! | [`understood`] | what a question was taken to ask, defaults marked |
//! | [`verdict`] | what came of a migration, in words |
//! | [`report`] | answers as table, JSON, CSV and SVG |
//! | [`output`] | files that people ask for: whole, and nothing lost |
//! | [`terminal`] | what the programs share towards the person: output, progress, Ctrl-C |

#![forbid(unsafe_code)]

pub mod advice;
pub mod fleet;
pub mod memory;
pub mod migration;
pub mod network;
pub mod output;
pub mod predict;
pub mod quantiles;
pub mod queue;
pub mod records;
pub mod report;
pub mod scenario;
pub mod sweep;
pub mod terminal;
pub mod understood;
pub mod verdict;
pub mod world;
