//! Real migrations for migsim: the lab, the campaigns, the fit and the validation.
//!
//! | module | holds |
//! | --- | --- |
//! | [`lab`] | two libvirt hosts on one machine |
//! | [`reach`], [`helper`] | commands and small work at a host, wherever it is |
//! | [`plan`], [`domain`], [`linux`] | what a run is to be, and the guests |
//! | [`hosts`], [`run`] | the wire, real or replayed, and one run over it |
//! | [`campaign`], [`record`] | many runs, and what is written down of each |
//! | [`noise`], [`fit`], [`validate`], [`transfer`] | what the runs say: their scatter, a profile, its errors, other hosts |
//! | [`paper`], [`chart`] | the study's figures, and pictures |
//! | [`doctor`] | what a machine can do |

pub mod campaign;
pub use migsim_report::chart;
#[cfg(feature = "libvirt")]
pub mod dirty;
pub mod doctor;
pub mod domain;
#[cfg(feature = "libvirt")]
pub mod faults;
pub mod fit;
pub mod helper;
pub mod hosts;
pub mod lab;
pub mod linux;
pub mod noise;
pub mod paper;
pub mod plan;
pub mod reach;
pub mod record;
pub mod run;
pub mod schema;
pub mod transfer;
pub mod validate;
