//! An inventory's CSV.

#![no_main]

use std::collections::BTreeMap;

use migsim::fleet::{Defaults, parse_inventory};
use migsim::input::Keys;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let hosts = BTreeMap::from([("h1".to_owned(), 0), ("h2".to_owned(), 1)]);
    let keys = Keys::default();
    let defaults = Defaults { keys: &keys, over: &keys.migration };
    let _ = parse_inventory("f.csv", text.as_bytes(), defaults, &hosts);
});
