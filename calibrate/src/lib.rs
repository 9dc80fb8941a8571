//! Real migrations for migsim: the lab, the campaigns, the fit and the validation.
//!
//! Nothing is here yet. The run records that it will write are read by `migsim predict --records` already.
