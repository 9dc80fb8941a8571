//! How long moving a virtual machine takes, and how long it is down.
//!
//! ```
//! use migsim::answer::predict;
//! use migsim::engine::Fidelity;
//! use migsim::input::Case;
//! use migsim_models::profile::Profile;
//!
//! let case = Case::from_toml(
//!     r#"
//!     link.capacity = "1Gbit/s"
//!     [[guest]]
//!     memory = "4GiB"
//!     workload = "uniform(wss=512MiB, rate=5000p/s)"
//!     "#,
//! )?;
//! let outcome = predict(&case, &Profile::default(), Fidelity::Flow);
//! assert!(outcome.completed());
//! println!("{} in all, down for {}", outcome.ended_at, outcome.downtime().unwrap_or_default());
//! # Ok::<(), migsim::input::Mistakes>(())
//! ```
//!
//! | room | holds | begin with |
//! | --- | --- | --- |
//! | [`engine`] | events, links, memory, one migration as a state machine | [`engine::Question`] |
//! | [`input`] | scenarios, host profiles and what is wrong with them | [`input::Case`] |
//! | [`answer`] | predictions, intervals, advice, sweeps, verdicts | [`answer::Answer`] |
//! | [`fleet`] | many migrations that share hosts and links | [`fleet::Fleet`] |
//! | [`record`] | recorded runs: predicted row by row, and compared | [`record::observations`] |
//!
//! Each room uses those above it. What a migration *is* (units, workloads, the hypervisor's rules,
//! published models) is in `migsim_models`; tables, pictures and pages are made by `migsim_report`.

#![forbid(unsafe_code)]

pub mod answer;
pub mod engine;
pub mod fleet;
pub mod input;
pub mod record;
#[cfg(feature = "schema")]
pub mod schema;
