//! Every unit, versions of QEMU and ranges of a sweep: what was read can be written, and read again.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use migsim::answer::sweep::Range;
use migsim_models::qemu::Version;
use migsim_models::units::{BitRate, Bytes, PageRate, Pages, SimTime};

libfuzzer_sys::fuzz_target!(|text: &str| {
    again::<Bytes>(text);
    again::<Pages>(text);
    again::<BitRate>(text);
    again::<SimTime>(text);
    again::<Version>(text);
    let _ = (text.parse::<PageRate>(), text.parse::<Range>());
});

fn again<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert!(written.parse::<T>().is_ok_and(|read| read == value), "{text} became {written}");
    }
}
