//! The simulator: how long moving a virtual machine takes, and how long it stands still.
//!
//! | module | holds |
//! | --- | --- |
//! | [`queue`] | the discrete-event core: integer time, equal times in order, cancellable events |
//! | [`network`] | links shared by flows, max-min fair |
//! | [`memory`] | the guest's memory: expected counts, or every page |
//! | [`migration`] | one migration as a state machine: every mode, every lever |
//! | [`world`] | what drives migrations on a network, and the question that is asked of it |

pub mod memory;
pub mod migration;
pub mod network;
pub mod queue;
pub mod world;
