//! A campaign's TOML, and the runs that it makes.

#![no_main]

use migcal::campaign::Plan;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(plan) = Plan::parse("f.toml", text) {
        let _ = plan.runs("f.toml", None);
    }
});
