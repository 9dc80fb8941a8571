//! Real migrations for migsim: the lab, the campaigns, the fit and the validation.
//!
//! | module | holds |
//! | --- | --- |
//! | [`lab`] | two libvirt hosts on one machine |
//! | [`reach`], [`helper`] | commands and small work at a host, wherever it is |

pub mod helper;
pub mod lab;
pub mod reach;
