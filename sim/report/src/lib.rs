//! What people read of migsim's answers, and where it goes.
//!
//! | module | holds |
//! | --- | --- |
//! | [`table`], [`fleet`], [`sweep`], [`explain`] | text for a terminal |
//! | [`json`], [`csv`] | the same for programs |
//! | [`chart`], [`plot`], [`html`] | pictures and pages |
//! | [`file`](mod@file) | files that people ask for: whole, and nothing lost |
//! | [`terminal`] | output, progress, Ctrl-C and exit statuses |

#![forbid(unsafe_code)]

pub mod chart;
pub mod csv;
pub mod explain;
pub mod file;
pub mod fleet;
pub mod html;
pub mod json;
pub mod plot;
pub mod sweep;
pub mod table;
pub mod terminal;
