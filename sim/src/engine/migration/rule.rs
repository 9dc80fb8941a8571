//! An own rule of when to stop the guest, instead of QEMU's.

use std::fmt;

use migsim_models::units::SimTime;

/// What a rule is asked about: the end of an iteration of pre-copy, after its sync.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Look {
    /// Time since the migration began.
    pub now: SimTime,
    /// How many iterations are done.
    pub iterations: u64,
    /// Pages that would have to be sent with the guest stopped.
    pub pending_pages: f64,
    /// Pages that the guest dirtied during this iteration.
    pub dirtied_pages: f64,
    /// Bytes on the wire so far.
    pub wire_bytes: f64,
    /// Bytes per second of the link that the migration has.
    pub bytes_per_s: f64,
}

/// `true`: the guest is stopped.
pub(super) struct OwnRule(pub(super) Box<dyn FnMut(&Look) -> bool + Send>);

impl fmt::Debug for OwnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnRule")
    }
}
