//! Between which hosts a page asks.

use std::cell::RefCell;

use migsim::answer::Between;
use migsim_models::profile::{Manager, Profile, shipped};
use serde::Deserialize;

/// A profile by name or as TOML, and who runs the migration; neither: servers of the link's class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    profile: Option<String>,
    manager: Option<String>,
}

thread_local! {
    /// The hosts that were asked about last: what is drawn around a profile is kept with it.
    static LAST: RefCell<Option<(Asked, &'static Between)>> = const { RefCell::new(None) };
}

impl Asked {
    /// Those hosts.
    pub(crate) fn between(&self) -> Result<&'static Between, String> {
        if let Some(known) = LAST.with_borrow(|last| {
            last.as_ref().filter(|(asked, _)| asked == self).map(|(_, known)| *known)
        }) {
            return Ok(known);
        }
        let manager = match self.manager.as_deref() {
            None | Some("") => None,
            Some(word) => Some(word.parse::<Manager>().map_err(|error| error.to_string())?),
        };
        let between = match self.profile.as_deref() {
            None | Some("") => Between::Servers(manager),
            Some(text) => Between::given(profile(text)?.run_by(manager)),
        };
        // A page asks about a handful of hosts in its life.
        let between: &'static Between = Box::leak(Box::new(between));
        LAST.set(Some((self.clone(), between)));
        Ok(between)
    }
}

fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "ideal" => Ok(Profile::ideal()),
        _ => Profile::parse(shipped(text).unwrap_or(text)).map_err(|error| error.to_string()),
    }
}
