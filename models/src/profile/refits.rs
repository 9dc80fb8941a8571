//! How sure a profile is of its parameters, together.
//!
//! A fit is repeated on the same runs with other weights (Bayesian bootstrap: Rubin 1981), and
//! where two parameters can be traded for each other they move together in each of these refits.
//! Who draws a profile that could be the true one takes all fitted parameters from one refit;
//! the others are drawn by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{FIELDS, Field, Profile, ProfileError};

/// No refit lies farther from the estimate, in standard errors.
const FARTHEST: f64 = 1000.0;

/// For each fitted parameter by its key, how many standard errors it lay from its estimate in each
/// refit. It costs nothing to copy: profiles are copied for each draw.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Refits(Arc<BTreeMap<String, Vec<f64>>>);

impl Refits {
    /// Refits with a list for each parameter, all of the same length, to hundredths of a standard
    /// error, which is how they are written.
    pub fn new(errors: impl IntoIterator<Item = (String, Vec<f64>)>) -> Refits {
        let rounded = |error: f64| libm::round(error * 100.0) / 100.0;
        let errors =
            errors.into_iter().map(|(key, of)| (key, of.into_iter().map(rounded).collect()));
        Refits(Arc::new(errors.collect()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.values().next().map_or(0, Vec::len)
    }

    /// Whether a parameter is in them.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// As a section of a profile's file; nothing where there are none.
    pub(super) fn to_commented_toml(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let lists = self.0.iter().map(|(key, errors)| {
            let errors: Vec<String> = errors.iter().map(|error| format!("{error:.2}")).collect();
            format!("\"{key}\" = [{}]\n", errors.join(", "))
        });
        format!(
            "\n# Fits to the same runs, weighted anew: by how many standard errors each parameter lay from its estimate. The first of\n\
             # each list belong together.\n[refits]\n{}",
            lists.collect::<String>()
        )
    }

    pub(super) fn check(&self) -> Result<(), ProfileError> {
        for (key, errors) in &*self.0 {
            let known = FIELDS.iter().any(|field| field.key == key);
            let possible = errors.iter().all(|error| error.abs() <= FARTHEST);
            if !known || !possible || errors.len() != self.len() || errors.is_empty() {
                return Err(ProfileError::Range {
                    key: "refits",
                    value: format!("{} numbers for `{}`", errors.len(), crate::text::quoted(key)),
                    accepted: "keys of parameters, each with as many numbers, up to 1000 standard errors",
                });
            }
        }
        Ok(())
    }
}

impl Profile {
    /// A profile that could be the true one: its fitted parameters as in the refit `which`
    /// (counted around), each other one as far from its estimate as `normal`, a standard normal
    /// deviate, says.
    #[must_use]
    pub fn varied(&self, which: usize, mut normal: impl FnMut(&Field) -> f64) -> Profile {
        let mut varied = self.clone();
        for field in FIELDS {
            let slot = (field.slot)(&mut varied);
            if slot.error().is_none() {
                continue;
            }
            let refits = self.refits.0.get(field.key);
            let errors = match refits {
                Some(errors) => errors[which % errors.len()],
                None => normal(field),
            };
            let value = slot.moved(errors);
            slot.set(value, None);
        }
        varied
    }

    /// Makes it as sure of its parameters as another profile is of its own.
    pub fn doubt_as(&mut self, other: &Profile) {
        let mut other = other.clone();
        for field in FIELDS {
            let error = (field.slot)(&mut other).error();
            let slot = (field.slot)(self);
            let value = slot.value();
            slot.set(value, error);
        }
        self.refits = other.refits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_refit_move_together_and_the_others_by_themselves() {
        let mut profile = Profile::assumed();
        profile.refits = Refits::new([
            ("software.prepare".to_owned(), vec![1.0, -1.0]),
            ("network.queue_time".to_owned(), vec![-1.0, 1.0]),
        ]);
        let plain = |profile: &Profile| {
            let ms =
                |param: super::super::Param<crate::units::SimTime>| param.value.as_millis_f64();
            (ms(profile.software.prepare), ms(profile.network.queue_time))
        };
        let ((before, queue), share) =
            (plain(&profile), profile.share(crate::spec::Transport::Tcp));
        for which in 0..4 {
            let varied = profile.varied(which, |_| 1.0);
            let (prepare, waiting) = plain(&varied);
            assert_eq!((prepare > before, waiting < queue), (which % 2 == 0, which % 2 == 0));
            assert!(varied.share(crate::spec::Transport::Tcp) > share);
        }
    }

    #[test]
    fn refits_are_written_and_read_and_checked() {
        let mut profile = Profile::assumed();
        profile.refits = Refits::new([("cpu.page_rate".to_owned(), vec![0.123, -2.0])]);
        let text = profile.to_commented_toml().unwrap();
        assert!(text.contains("\"cpu.page_rate\" = [0.12, -2.00]"), "{text}");
        assert_eq!(Profile::parse(&text).unwrap(), profile);
        for (wrong, with) in [
            ("\"cpu.page_rate\"", "\"cpu.speed\""),
            ("[0.12, -2.00]", "[nan, 0]"),
            ("[0.12, -2.00]", "[]"),
            ("[0.12, -2.00]", "[1]\n\"cpu.zero_page_rate\" = [1, 2]"),
        ] {
            let error = Profile::parse(&text.replace(wrong, with)).unwrap_err().to_string();
            assert!(error.contains("refits is ") && error.contains("it takes keys of"), "{error}");
        }
    }
}
