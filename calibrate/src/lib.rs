//! Real migrations for migsim: the lab, the campaigns, the fit and the validation.
//!
//! | module | holds |
//! | --- | --- |
//! | [`lab`] | two libvirt hosts on one machine |
//! | [`reach`], [`helper`] | commands and small work at a host, wherever it is |

pub mod campaign;
pub mod chart;
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
pub mod transfer;
pub mod validate;
