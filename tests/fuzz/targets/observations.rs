//! Run records, as fits and validations read them.

#![no_main]

use migsim::record::observations;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = observations("f.csv", text.as_bytes());
});
