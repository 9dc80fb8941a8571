//! Many migrations at once, which share links, hosts and processors.
//!
//! | module | holds |
//! | --- | --- |
//! | [`cluster`] | hosts, the lines between them, guests |
//! | [`mod@file`], [`inventory`] | the same from TOML and CSV |
//! | [`generate`] | such files made up: a rack, a data centre, two sites |
//! | [`moves`] | what goes where, and how many at a time |
//! | [`run`] | the moves under way: slots, memory, lines, processors |
//! | [`chance`], [`replicate`] | the same many times, each with other luck |
//! | [`missing`] | who did not arrive, why, and what would help |
//! | [`meter`], [`totals`] | what is measured and summed up |

pub mod chance;
pub mod cluster;
pub mod file;
pub mod generate;
pub mod inventory;
pub mod meter;
pub mod missing;
pub mod moves;
mod processors;
pub mod replicate;
pub mod run;
pub mod totals;
