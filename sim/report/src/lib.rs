//! What people read of migsim's answers, and where it goes.
//!
//! | module | holds |
//! | --- | --- |
//! | [`document`], [`cell`] | what is said to people, before it is known how it will look |
//! | [`predict`], [`sweep`], [`fleet`] | the documents of answers |
//! | [`format`](mod@format) | tables, JSON, CSV, Markdown: one file each, behind one trait |
//! | [`outputs`] | `--format` and `--export` |
//! | [`chart`], [`plot`], [`page`] | pictures and pages |
//! | [`file`](mod@file) | files that people ask for: whole, and nothing lost |
//! | [`terminal`] | output, progress, Ctrl-C and exit statuses |

#![forbid(unsafe_code)]

pub mod against;
pub mod apps;
pub mod cell;
pub mod chart;
pub mod document;
pub mod file;
pub mod fleet;
pub mod format;
pub mod keys;
pub mod outputs;
pub mod page;
pub mod parts;
pub mod plot;
pub mod predict;
pub mod program;
pub mod sensitivity;
pub mod sweep;
pub mod terminal;
pub mod what_if;
pub mod window;
