//! What a page offers: keys, applications, profiles, published models; and what a scenario asks.

use std::path::Path;

use migsim::answer::shape::{Applications, Published};
use migsim::input::{Key, Keys, Kind, Scenario};
use migsim_models::profile::{CLASSES, Manager, Profile, SHIPPED, shipped};
use serde::Deserialize;
use serde_json::{Value, json};

/// A scenario's file.
#[derive(Debug, Deserialize)]
pub(crate) struct Ask {
    name: String,
    toml: String,
}

impl Ask {
    /// A question for each of its guests.
    pub(crate) fn answer(&self) -> Result<Value, String> {
        let none = Keys::default();
        let scenario = Scenario::parse(Path::new(&self.name), self.toml.clone(), &none)
            .map_err(|mistakes| mistakes.to_string())?;
        scenario.cases().map_err(|mistakes| mistakes.to_string())?;
        let guests: Vec<Value> = scenario.keys().map(|keys| Value::Object(keys.flat())).collect();
        Ok(json!({ "guests": guests }))
    }
}

/// All of it.
pub(crate) fn all() -> Value {
    let keys = Key::all().filter(|key| key.kind != Kind::Table).map(|key| {
        json!({
            "name": key.name(),
            "key": key.key,
            "table": key.table.name(),
            "kind": key.kind.word(),
            "words": key.words,
            "flag": key.flag.map(|flag| flag.long),
            "doc": key.doc.trim(),
        })
    });
    let profiles = SHIPPED.into_iter().map(|name| {
        let profile = shipped(name).and_then(|text| Profile::parse(text).ok());
        let says = profile.map_or("hosts that cost nothing".to_owned(), |profile| profile.name);
        let fastest = CLASSES.iter().find(|(class, _)| *class == name).map(|(_, rate)| rate.0);
        json!({ "name": name, "says": says, "fastest_bit_s": fastest })
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "fleets": cfg!(feature = "fleets"),
        "keys": keys.collect::<Vec<_>>(),
        "profiles": profiles.collect::<Vec<_>>(),
        "managers": Manager::WORDS,
        "applications": Applications::default().applications,
        "models": Published::default().models,
    })
}
