//! Keys of a scenario from Python's values: text as a scenario has it, or numbers in the unit of
//! the base: bytes, bit/s, seconds.

use migsim::input::{JsonQuestion, Key, Keys, Kind};

/// The key of that name; those that are tables stand in files only.
pub(crate) fn known(name: &str) -> Option<&'static Key> {
    Key::all().find(|key| key.name() == name && key.kind != Kind::Table)
}

/// Why there is no key of that name.
pub(crate) fn unknown(name: &str) -> String {
    let asked = serde_json::json!({ name: "" }).to_string();
    JsonQuestion::parse(&asked).err().unwrap_or_else(|| format!("there is no key `{name}`"))
}

/// A number as the key's notation has it.
pub(crate) fn written(kind: Kind, value: f64) -> String {
    match kind {
        Kind::Size => format!("{value}B"),
        Kind::Rate => format!("{value}bit/s"),
        Kind::Time => format!("{value}s"),
        Kind::PageRate => format!("{value}p/s"),
        Kind::Switch => (value != 0.0).to_string(),
        _ => value.to_string(),
    }
}

/// Sets a key, with its name in what is wrong.
pub(crate) fn set(key: &Key, keys: &mut Keys, text: &str) -> Result<(), String> {
    key.set(keys, text).map_err(|why| format!("`{}`: {why}", key.name()))
}
