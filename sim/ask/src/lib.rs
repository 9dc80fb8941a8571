//! Questions and answers as JSON, for what is no Rust: pages in a browser, and Python.
//!
//! | `ask` | what is asked | in |
//! | --- | --- | --- |
//! | (none) | a question as [`migsim::input::JsonQuestion`] reads it, alone | predict |
//! | `predict` | the same with hosts, models and words for it | predict |
//! | `pages` | the guest's memory page by page, at moments | pages |
//! | `sweep` | the same question over ranges | sweep |
//! | `fleet` | many migrations, from files that the page holds | fleet, with the feature `fleets` |
//! | `records` | recorded runs, predicted | records, with the same |
//! | `scenario` | what a scenario's file asks, as questions | catalog |
//! | `catalog` | keys, applications, profiles, published models | catalog |

mod catalog;
#[cfg(feature = "fleets")]
mod fleet;
mod hosts;
mod pages;
mod predict;
#[cfg(feature = "fleets")]
mod records;
mod sweep;

#[cfg(feature = "fleets")]
pub use fleet::moved;
pub use hosts::{Asked as Hosts, profile};
pub use predict::{Manner, answered};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a page asks for.
#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
enum Request {
    Predict(predict::Ask),
    Sweep(sweep::Ask),
    #[cfg(feature = "fleets")]
    Fleet(fleet::Ask),
    #[cfg(feature = "fleets")]
    Records(records::Ask),
    Scenario(catalog::Ask),
    Catalog,
}

/// The answer to a question as JSON, as JSON; `{"error": "..."}` where there is none.
pub fn answer(question: &str) -> String {
    let answered = || -> Result<String, String> {
        let object: Value = serde_json::from_str(question).map_err(|error| error.to_string())?;
        if object.get("ask").is_none() {
            return predict::alone(question);
        }
        let found = match Request::deserialize(object).map_err(|error| error.to_string())? {
            Request::Predict(ask) => ask.answer(),
            Request::Sweep(ask) => ask.answer(),
            #[cfg(feature = "fleets")]
            Request::Fleet(ask) => ask.answer(),
            #[cfg(feature = "fleets")]
            Request::Records(ask) => ask.answer(),
            Request::Scenario(ask) => ask.answer(),
            Request::Catalog => Ok(catalog::all()),
        };
        serde_json::to_string(&found?).map_err(|error| error.to_string())
    };
    answered().unwrap_or_else(|error| json!({ "error": error }).to_string())
}

/// The answer to `pages`, which is long: so many bytes of JSON as its first four say (little
/// endian), the JSON, and what it says of the rest.
pub fn watched(question: &str) -> Vec<u8> {
    let asked = || -> Result<pages::Watched, String> {
        let ask: pages::Ask = serde_json::from_str(question).map_err(|error| error.to_string())?;
        ask.answer()
    };
    let (head, body) = match asked() {
        Ok(watched) => (watched.head, watched.body),
        Err(error) => (json!({ "error": error }), Vec::new()),
    };
    let head = head.to_string();
    let length = (head.len() as u32).to_le_bytes();
    [&length, head.as_bytes(), &body].concat()
}
