//! The notation of workloads: what was read can be written, and read again.

#![no_main]

use migsim_models::workload::Workload;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(workload) = text.parse::<Workload>() {
        let written = workload.to_string();
        assert_eq!(written.parse::<Workload>().as_ref(), Ok(&workload), "{text} became {written}");
    }
});
