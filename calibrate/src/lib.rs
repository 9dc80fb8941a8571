//! Real migrations for migsim: the lab, the campaigns, the fit and the validation.
//!
//! | module | holds |
//! | --- | --- |
//! | [`lab`] | two libvirt hosts on one machine |
//! | [`reach`], [`helper`] | commands and small work at a host, wherever it is |

pub mod campaign;
pub mod domain;
pub mod helper;
pub mod hosts;
pub mod lab;
pub mod linux;
pub mod plan;
pub mod reach;
pub mod record;
pub mod run;
