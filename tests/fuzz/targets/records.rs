//! Run records, predicted: an error, or a row for each.

#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use migsim::engine::Fidelity;
use migsim::record::{Job, predict_records};
use migsim_models::profile::Profile;

static PROFILE: LazyLock<Profile> = LazyLock::new(Profile::default);

libfuzzer_sys::fuzz_target!(|text: &str| {
    let interrupted = AtomicBool::new(false);
    let (profile, fidelity) = (&*PROFILE, Fidelity::Flow);
    let job = Job { file: "f.csv", profile, fidelity, intervals: false, interrupted: &interrupted };
    let mut out = Vec::new();
    let _ = predict_records(&job, text.as_bytes(), &mut out, |_| {}, |_| {});
});
