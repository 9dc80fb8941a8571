//! What a fit may change in a profile, and how far it believes the profile before it has seen a
//! run.

use migsim_models::profile::{FIELDS, Field, Profile};

/// A parameter of a profile that runs can say something about.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its key in the profile.
    pub key: &'static str,
    field: Field,
    prior: Prior,
}

/// How far off the value before may be: one standard deviation.
#[derive(Debug, Clone, Copy)]
enum Prior {
    /// In powers of e: 0.7 is a factor of two.
    Log(f64),
    /// In the parameter's unit.
    Linear(f64),
}

/// A logarithm needs something above zero: a microsecond, a byte.
const LEAST: f64 = 1e-6;
/// A factor of two.
const FACTOR_OF_TWO: Prior = Prior::Log(0.7);

/// What is fitted, and what is believed before. What is not here stays as it is: QEMU's setup, the
/// parts of the stop that are too short to be told apart, and what no run of ours can show.
const FITTED: [(&str, Prior); 29] = [
    ("software.prepare", FACTOR_OF_TWO),
    ("software.round", FACTOR_OF_TWO),
    ("network.share.tcp", Prior::Linear(0.02)),
    ("network.share.tunnelled", Prior::Linear(0.03)),
    ("network.share.ssh", Prior::Linear(0.03)),
    ("network.queue_fixed", Prior::Log(0.5)),
    ("network.queue_time", Prior::Log(0.5)),
    ("network.queue_bytes", Prior::Log(0.3)),
    ("network.queue_share", Prior::Linear(0.15)),
    ("cpu.page_rate", FACTOR_OF_TWO),
    ("cpu.zero_page_rate", FACTOR_OF_TWO),
    ("cpu.xbzrle_page_rate", FACTOR_OF_TWO),
    // A bound that few hosts have, and that is anywhere where they do.
    ("cpu.writer_rate", Prior::Log(4.0)),
    ("switchover.control", FACTOR_OF_TWO),
    ("postcopy.switch_delay", FACTOR_OF_TWO),
    ("postcopy.control", FACTOR_OF_TWO),
    ("postcopy.fault", FACTOR_OF_TWO),
    ("offline.suspend", FACTOR_OF_TWO),
    ("offline.copy", FACTOR_OF_TWO),
    ("offline.resume", FACTOR_OF_TWO),
    ("offline.cache_bytes", FACTOR_OF_TWO),
    ("offline.cache_rate", FACTOR_OF_TWO),
    ("offline.write_rate", FACTOR_OF_TWO),
    ("offline.copy_read_rate", FACTOR_OF_TWO),
    ("offline.read_rate", FACTOR_OF_TWO),
    ("guest.firmware_pages", Prior::Linear(40.0)),
    ("guest.firmware_zero_pages", Prior::Linear(20.0)),
    ("guest.idle_pages", Prior::Linear(2000.0)),
    ("guest.idle_share", FACTOR_OF_TWO),
];

/// All parameters that are fitted.
pub fn parameters() -> Vec<Parameter> {
    let find = |key: &str| FIELDS.iter().find(|field| field.key == key);
    FITTED
        .iter()
        .filter_map(|(key, prior)| Some(Parameter { key, field: *find(key)?, prior: *prior }))
        .collect()
}

impl Parameter {
    /// Its value in a profile, in seconds, bytes, pages or shares.
    pub fn value(&self, profile: &Profile) -> f64 {
        (self.field.slot)(&mut profile.clone()).value()
    }

    /// The value that lies `position` prior standard deviations from that of `prior`.
    pub fn value_at(&self, prior: &Profile, position: f64) -> f64 {
        let before = self.value(prior);
        let value = match self.prior {
            Prior::Log(width) => before.max(LEAST) * (position * width).exp(),
            Prior::Linear(width) => before + position * width,
        };
        (self.field.slot)(&mut prior.clone()).nearest(value)
    }

    /// Puts that value into a profile, with a standard error of `spread` in the same measure.
    pub fn place(
        &self,
        profile: &mut Profile,
        prior: &Profile,
        position: f64,
        spread: Option<f64>,
    ) {
        let value = self.value_at(prior, position);
        let error = spread.map(|spread| self.error(value, spread));
        (self.field.slot)(profile).set(value, error);
    }

    /// What an error of `spread` prior standard deviations is at a value, in its unit.
    fn error(&self, value: f64, spread: f64) -> f64 {
        match self.prior {
            Prior::Log(width) => value * (width * spread).exp_m1(),
            Prior::Linear(width) => width * spread,
        }
    }

    /// Leaves it as it is in a profile, known as well as it is believed beforehand.
    pub fn believe(&self, profile: &mut Profile) {
        let value = self.value(profile);
        let error = self.error(value, 1.0);
        (self.field.slot)(profile).set(value, (error > 0.0).then_some(error));
    }

    /// Moves it in a profile by so many of its standard errors there. Returns its new value.
    pub fn move_by(&self, profile: &mut Profile, errors: f64) -> f64 {
        let slot = (self.field.slot)(profile);
        let value = slot.moved(errors);
        slot.set(value, None);
        self.value(profile)
    }

    /// How many of its standard errors in a profile lie between it and the value that is `position`
    /// prior standard deviations from that of `prior`.
    pub fn distance(&self, profile: &Profile, prior: &Profile, position: f64) -> f64 {
        (self.field.slot)(&mut profile.clone()).distance(self.value_at(prior, position))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fitted_key_is_a_parameter_and_can_be_moved() {
        let prior = Profile::default();
        assert_eq!(parameters().len(), FITTED.len());
        for parameter in parameters() {
            let mut profile = prior.clone();
            parameter.place(&mut profile, &prior, 0.5, Some(0.1));
            let (before, after) = (parameter.value(&prior), parameter.value(&profile));
            assert!(after > before, "{}: {after}, was {before}", parameter.key);
            // Whole counts and shares at their bound are not exactly there.
            let far = parameter.distance(&profile, &prior, 0.6);
            assert!(far > 0.5 && far < 1.5, "{}: {far}", parameter.key);
        }
    }
}
