//! Between which hosts is asked.

use std::cell::RefCell;
use std::sync::Arc;

use migsim::answer::Between;
use migsim_models::profile::{Manager, Profile, shipped};
use serde::Deserialize;

/// A profile by name or as TOML, and who runs the migration; neither: servers of the link's class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A shipped profile's name, or a profile as TOML.
    pub profile: Option<String>,
    /// Who runs the migration.
    pub manager: Option<String>,
}

/// So many hosts are kept for the next question.
const KEPT: usize = 8;

thread_local! {
    /// The hosts that were asked about last: what is drawn around a profile is kept with it.
    static LAST: RefCell<Vec<(Asked, Arc<Between>)>> = const { RefCell::new(Vec::new()) };
}

impl Asked {
    /// Those hosts, as they were made for an earlier question of this thread where there was one.
    ///
    /// # Errors
    /// There is no such manager or profile, or what was given as one is none.
    pub fn between(&self) -> Result<Arc<Between>, String> {
        let same = |last: &Vec<(Asked, Arc<Between>)>| {
            last.iter().find(|(asked, _)| asked == self).map(|(_, known)| Arc::clone(known))
        };
        if let Some(known) = LAST.with_borrow(same) {
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
        let between = Arc::new(between);
        LAST.with_borrow_mut(|last| {
            last.truncate(KEPT - 1);
            last.insert(0, (self.clone(), Arc::clone(&between)));
        });
        Ok(between)
    }
}

/// A profile by its name among those that are shipped, or as TOML.
///
/// # Errors
/// It is neither.
pub fn profile(text: &str) -> Result<Profile, String> {
    match text {
        "ideal" => Ok(Profile::ideal()),
        _ => Profile::parse(shipped(text).unwrap_or(text)).map_err(|error| error.to_string()),
    }
}
