//! A scenario's TOML, and the questions that it makes.

#![no_main]

use std::path::Path;

use migsim::input::{Keys, Scenario};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Scenario::parse(Path::new("f.toml"), text.to_owned(), &Keys::default()).and_then(|read| read.cases());
});
