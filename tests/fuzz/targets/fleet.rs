//! A fleet's TOML.

#![no_main]

use std::path::Path;

use migsim::fleet::parse;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = parse(Path::new("f.toml"), text);
});
