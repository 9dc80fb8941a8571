//! The engine: migrations as events on links that they share.
//!
//! ```text
//!   EventQueue  integer time, equal times in order, cancellable       Network  links shared by flows, max-min fair
//!            \                                                          /
//!             World  drives migrations on a network until each has ended
//!               |
//!           Migration  one migration as a state machine: every mode, every lever
//!               |
//!          GuestMemory  what it asks of the guest's memory: FlowMemory keeps expected counts, PageMemory every page
//! ```
//!
//! Begin with [`Question`]: a guest, a path, a policy and a pair of hosts; [`Question::answer`]
//! gives the [`Outcome`].

mod memory;
mod migration;
mod network;
mod queue;
mod world;

pub use memory::{
    Faults, FlowMemory, GuestMemory, Moment, PageCount, PageMemory, PageState, Region, Run,
    Sending, Workplace, headroom,
};
pub use migration::{
    Bottleneck, Bound, Decision, Ending, Iteration, Look, Migration, Outcome, Patience,
};
pub use network::{FlowId, LinkId, Network};
pub use queue::{EventId, EventQueue};
pub use world::{CHUNK_PAGES, DirtyLog, Fidelity, MOST_PAGES, Question, RateChange, World};
