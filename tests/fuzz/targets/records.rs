//! Run records, predicted: an error, or a row for each.

#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use migsim::answer::Between;
use migsim::engine::Fidelity;
use migsim::record::{Job, predict_records};
use migsim_models::profile::Profile;

static LAB: LazyLock<Between> = LazyLock::new(|| Between::given(Profile::default()));

libfuzzer_sys::fuzz_target!(|text: &str| {
    let interrupted = AtomicBool::new(false);
    let (between, fidelity) = (&*LAB, Fidelity::Flow);
    let job = Job { own: None, file: "f.csv", between, fidelity, intervals: false, interrupted: &interrupted };
    let mut out = Vec::new();
    let _ = predict_records(&job, text.as_bytes(), &mut out, |_| {}, |_| {});
});
