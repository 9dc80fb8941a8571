//! The simulator in one HTML file that needs no server and no network.
//!
//! The pages in `built` hold the library as WebAssembly, its script and its style; [`Page::html`]
//! adds what a command was asked, and what came of it. `build` makes them of `page`.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

/// With fleets and files of recorded runs.
const WHOLE: &str = include_str!("../built/whole.html");
/// For single migrations.
const ONE: &str = include_str!("../built/one.html");
/// Where what a page is given stands in it.
const MARK: &str = "{{given}}";

/// What a page opens with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum View {
    /// One migration over time.
    Time,
    /// Several side by side.
    Compare,
    /// A map or a line over what is varied.
    Border,
    /// Published models, and recorded runs.
    Models,
    /// A fleet.
    Fleet,
}

/// A file that a page holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its name, without folders.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// How a page came about, in words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Made {
    /// When, as people read it.
    pub when: String,
    /// With which program.
    pub version: String,
    /// The command, as a shell takes it.
    pub command: String,
    /// The seed of what is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The hosts' profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// How guests are moved, of a fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrations: Option<String>,
    /// What it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed: Option<String>,
}

/// What a page is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Page {
    /// How it came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// What it opens with; `None`: what its files call for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// Questions, as [JSON asks them](https://docs.rs/migsim); the page shows the first four.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Map<String, Value>>,
    /// What else its address would say: `profile`, `manager`, `x`, `y`, `deadline` and so on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<&'static str, String>,
    /// A profile that has no name, as TOML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A fleet with its tables, or run records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Held>,
    /// What came of it, so that the page need not work it out again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

impl Page {
    /// It as one file.
    pub fn html(&self) -> String {
        let page = if self.files.is_empty() { ONE } else { WHOLE };
        // Shapes have string keys and finite numbers: writing them cannot fail.
        let given = serde_json::to_string(self).unwrap_or_default();
        page.replacen(MARK, &plain(&given), 1)
    }
}

/// JSON of plain characters, none of which ends the element that holds it or turns a line around.
fn plain(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            ' '..='~' if c != '<' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_is_given_cannot_end_the_element_that_holds_it() {
        let text =
            "</script><script>alert(1)</script><!-- {{given}}\u{202e}\u{1f5a5}\u{1}".to_owned();
        let page = Page {
            files: vec![Held { name: text.clone(), text: text.clone() }],
            ..Page::default()
        };
        let html = page.html();
        assert_eq!(html.matches("<script").count(), WHOLE.matches("<script").count());
        let start = html.find("id=\"given\">").unwrap() + "id=\"given\">".len();
        let given = &html[start..start + html[start..].find("</script>").unwrap()];
        let back: Value = serde_json::from_str(given).unwrap();
        assert_eq!(back["files"][0]["text"], text);
    }

    #[test]
    fn pages_hold_one_mark_and_ask_for_nothing() {
        for page in [WHOLE, ONE] {
            assert_eq!(page.matches(MARK).count(), 1);
            assert!(page.contains("default-src 'none'"));
            assert!(!page.contains("src=\"") && !page.contains("href=\"http"));
        }
        // What the issue of the explorer allows.
        assert!(ONE.len() < 500_000, "{}", ONE.len());
        assert!(WHOLE.len() < 700_000, "{}", WHOLE.len());
    }
}
