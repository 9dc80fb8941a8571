//! What a virtual-machine migration is, as types and equations: no I/O, no clock, no randomness.
//!
//! | module | holds |
//! | --- | --- |
//! | [`units`] | sizes, pages, bit rates and time, with one grammar |
//! | [`workload`] | how a guest dirties its memory: the notation and the distinct pages D(t) |
//! | [`spec`] | what is asked: the guest, the path between the hosts, and the policy of the migration |
//! | [`qemu`] | the hypervisor's own rules: bytes on the wire, when to stop, when to throttle |
//! | [`equations`] | the four equations for total migration time and downtime, and the parts of the downtime |
//! | [`profile`] | the parameters of a pair of hosts and their software, with their uncertainty |
//! | [`published`] | the models of the literature, on the same inputs |

#![forbid(unsafe_code)]

pub mod equations;
pub mod profile;
pub mod published;
pub mod qemu;
pub mod spec;
pub mod text;
pub mod tree;
pub mod units;
pub mod workload;
