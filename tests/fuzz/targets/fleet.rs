//! A fleet's TOML.

#![no_main]

use std::path::Path;

use migsim::fleet::file;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = file::parse(Path::new("f.toml"), text);
});
