//! Integration tests of migcal: its program, recorded runs replayed, and real migrations where the
//! machine can make them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documented;
mod program;
#[cfg(feature = "libvirt")]
mod real;
mod recorded;

/// What no output may hold, as migsim's own tests have it.
#[path = "../torture/unfit.rs"]
mod unfit;
