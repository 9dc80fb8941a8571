//! An inventory's CSV.

#![no_main]

use std::collections::BTreeMap;

use migsim::fleet::inventory;
use migsim::scenario::Keys;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let hosts = BTreeMap::from([("h1".to_owned(), 0), ("h2".to_owned(), 1)]);
    let _ = inventory::parse("f.csv", text.as_bytes(), &Keys::default(), &hosts);
});
