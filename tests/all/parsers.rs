//! Whatever is fed to a parser, it answers: no panic, and an error that says where and what.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use migsim::answer::Between;
use migsim::engine::Fidelity;
use migsim::input::{Keys, Scenario};
use migsim::record::{Job, predict_records};
use migsim_models::profile::{DEFAULT_TOML, Profile};
use migsim_models::qemu::Version;
use proptest::prelude::*;

fn scenario(text: &str) -> Option<String> {
    let read = Scenario::parse(Path::new("f.toml"), text.to_owned(), &Keys::default());
    read.and_then(|s| s.cases()).err().map(|e| e.to_string())
}

fn records(text: &str) -> Option<String> {
    let job = Job {
        own: None,
        file: "f.csv",
        between: &Between::given(Profile::default()),
        fidelity: Fidelity::Flow,
        intervals: false,
        interrupted: &AtomicBool::new(false),
    };
    let mut out = Vec::new();
    predict_records(&job, text.as_bytes(), &mut out, |_| {}, |_| {}).err().map(|e| e.to_string())
}

/// A text with one piece of it replaced.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    (0..text.len(), 0..12_usize, "[ -~\n]{0,6}").prop_map(move |(at, length, piece)| {
        let end = (at + length).min(text.len());
        match (text.get(..at), text.get(end..)) {
            (Some(a), Some(b)) => format!("{a}{piece}{b}"),
            _ => piece,
        }
    })
}

const SCENARIO: &str = "[[guest]]\nmemory = \"64MiB\"\ntouched = \"32MiB\"\nvcpus = 2\nlayout = \"back\"\n\
    workload = \"phase(on=1s, off=2s, uniform(wss=9p, rate=3p/s))\"\n[link]\ncapacity = \"1Gbit/s\"\n[migration]\ntimeout = \"9s\"\n";
const RECORDS: &str = "id,mode,engine,memory_mib,touched_pages,workload,link_mbit,auto_converge,timeout_s\n\
    a,precopy,kvm,64,900,\"zipf(wss=90p, rate=3p/s, s=0.9)\",100,1,60\nb,offline,tcg,64,900,idle,100,,\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_text_is_answered(text: String) {
        prop_assert!(scenario(&text).is_some_and(|e| e.starts_with("f.toml")));
        prop_assert!(records(&text).is_some_and(|e| e.starts_with("f.csv")));
        prop_assert!(Profile::parse(&text).is_err());
        let _ = text.parse::<Version>();
    }

    #[test]
    fn a_damaged_scenario_is_answered(text in damaged(SCENARIO)) {
        if let Some(error) = scenario(&text) {
            prop_assert!(error.starts_with("f.toml"), "{}", error);
        }
    }

    #[test]
    fn damaged_records_are_answered(text in damaged(RECORDS)) {
        let _ = records(&text);
    }

    #[test]
    fn a_damaged_profile_is_answered(text in damaged(DEFAULT_TOML)) {
        let _ = Profile::parse(&text);
    }
}
