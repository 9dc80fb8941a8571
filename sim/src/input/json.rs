//! Questions as JSON: one object each, with the keys of a scenario.

use migsim_models::text::quoted;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::keys::{Key, Keys, Kind};

/// A question as JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JsonQuestion {
    /// Its `id`, which its answer repeats.
    pub id: Option<Value>,
    /// What is asked.
    pub keys: Keys,
}

impl JsonQuestion {
    /// Reads an object like `{"memory": "4GiB", "link": "1Gbit/s"}`: keys as flags are called, or
    /// in the tables `guest`, `link` and `migration` of a scenario; the link's `changes` and the
    /// migration's `throttle` also alone. Values are written as in a scenario; `id` may be anything.
    ///
    /// # Errors
    /// What is wrong, and what is accepted.
    pub fn parse(text: &str) -> Result<JsonQuestion, String> {
        let object: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut question = JsonQuestion::default();
        for (name, value) in object {
            question.put(&name, value).map_err(|why| format!("`{}`: {why}", quoted(&name)))?;
        }
        Ok(question)
    }

    fn put(&mut self, name: &str, value: Value) -> Result<(), String> {
        fn table<T: DeserializeOwned>(value: Value) -> Result<T, String> {
            T::deserialize(value).map_err(|error| error.to_string())
        }
        let Keys { guest, link, migration } = &mut self.keys;
        match (name, &value) {
            ("id", _) => self.id = Some(value),
            ("guest", Value::Object(_)) => *guest = guest.over(&table(value)?),
            ("link", Value::Object(_)) => *link = link.over(&table(value)?),
            ("migration", Value::Object(_)) => *migration = migration.over(&table(value)?),
            // What stands in files only, by its own name as well.
            ("changes", Value::Array(_)) => link.changes = Some(table(value)?),
            ("throttle", Value::Object(_)) => migration.throttle = Some(table(value)?),
            _ => {
                let plain = name.replace('-', "_");
                let named = |key: &&Key| {
                    key.kind != Kind::Table && (key.name() == plain || key.key == plain)
                };
                let key = Key::all().find(named).ok_or_else(|| {
                    let known: Vec<&str> =
                        Key::all().filter(|key| key.flag.is_some()).map(Key::name).collect();
                    format!(
                        "unknown key; it takes id, guest, link, migration, {}",
                        known.join(", ")
                    )
                })?;
                match &value {
                    Value::String(text) => key.set(&mut self.keys, text)?,
                    Value::Number(_) | Value::Bool(_) => {
                        key.set(&mut self.keys, &value.to_string())?;
                    }
                    Value::Null => {}
                    _ => return Err("it takes a text, a number or true or false".to_owned()),
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Case;

    fn built(text: &str) -> Result<Case, String> {
        let question = JsonQuestion::parse(text)?;
        Case::build(&question.keys).map_err(|error| error.to_string())
    }

    #[test]
    fn a_question_is_flat_or_in_tables_and_both_are_the_same() {
        let flat = r#"{"memory": "4GiB", "link": "1Gbit/s", "vcpus": 2, "auto-converge": true, "downtime_limit": "1s"}"#;
        let tables = r#"{"guest": {"memory": "4GiB", "vcpus": 2}, "link": {"capacity": "1Gbit/s"},
            "migration": {"auto_converge": true, "downtime_limit": "1s"}}"#;
        assert_eq!(built(flat).unwrap(), built(tables).unwrap());
    }

    #[test]
    fn keys_are_written_as_a_question_that_asks_the_same() {
        let text = r#"{"memory": "4GiB", "link": "1Gbit/s", "vcpus": 2, "auto_converge": true, "downtime_limit": "1s",
            "changes": [{"at": "3s", "capacity": "300Mbit/s"}], "throttle": {"initial": 30}}"#;
        let keys = JsonQuestion::parse(text).unwrap().keys;
        let written = Value::Object(keys.flat()).to_string();
        assert_eq!(JsonQuestion::parse(&written).unwrap().keys, keys, "{written}");
    }

    #[test]
    fn mistakes_are_named_by_their_key() {
        for (text, message) in [
            ("[]", "invalid type: sequence, expected a map"),
            (
                r#"{"memry": "4GiB"}"#,
                "`memry`: unknown key; it takes id, guest, link, migration, name, memory",
            ),
            (
                r#"{"memory": 4}"#,
                "`memory`: `4` has no unit: it may be `4MiB`, `4KiB` or `4B`; a size is written like",
            ),
            (r#"{"vcpus": 1.5}"#, "`vcpus`: `1.5`: it takes a whole number"),
            (r#"{"guest": {"memry": 1}}"#, "`guest`: unknown field `memry`"),
            (r#"{"memory": ["4GiB"]}"#, "`memory`: it takes a text, a number or true or false"),
            (r#"{"memory": "4GiB"}"#, "the link lacks its capacity"),
        ] {
            let got = built(text).unwrap_err();
            assert!(got.starts_with(message), "{got}\nnot {message}");
        }
    }
}
