//! A profile's TOML: what was read can be written, and read again.

#![no_main]

use migsim_models::profile::Profile;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(profile) = Profile::parse(text) {
        let written = profile.to_commented_toml().expect("a profile can be written");
        assert!(Profile::parse(&written).is_ok(), "{written}");
    }
});
