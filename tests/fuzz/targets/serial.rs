//! What a guest says over its serial line.

#![no_main]

use migcal::domain::read_serial;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = read_serial(text);
});
