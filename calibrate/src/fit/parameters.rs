//! What a fit may change in a profile, and how far it believes the profile before it has seen a run.

use migsim_models::profile::{Param, Profile};
use migsim_models::units::{BitRate, Bytes, PageRate, SimTime};

/// A parameter of a profile that runs can say something about.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its key in the profile.
    pub key: &'static str,
    slot: fn(&mut Profile) -> Slot<'_>,
    /// How far off the prior value may be: one standard deviation.
    prior: Prior,
}

/// The width of a prior.
#[derive(Debug, Clone, Copy)]
enum Prior {
    /// In powers of e: 0.7 is a factor of two.
    Log(f64),
    /// In the parameter's unit.
    Linear(f64),
}

enum Slot<'a> {
    Time(&'a mut Param<SimTime>),
    Pages(&'a mut Param<PageRate>),
    Bits(&'a mut Param<BitRate>),
    Bytes(&'a mut Param<Bytes>),
    Number(&'a mut Param<f64>),
    Count(&'a mut Param<u64>),
}

/// A logarithm needs something above zero: a microsecond, a byte.
const LEAST: f64 = 1e-6;

impl Slot<'_> {
    fn get(&self) -> f64 {
        match self {
            Slot::Time(p) => p.value.as_secs_f64(),
            Slot::Pages(p) => p.value.pages_per_s(),
            Slot::Bits(p) => p.value.bytes_per_s(),
            Slot::Bytes(p) => p.value.as_f64(),
            Slot::Number(p) => p.value,
            Slot::Count(p) => p.value as f64,
        }
    }

    fn set(self, value: f64, error: Option<f64>) {
        fn put<T>(param: &mut Param<T>, value: T, error: Option<T>) {
            *param = Param { value, error };
        }
        match self {
            Slot::Time(p) => put(p, SimTime::from_secs_f64(value.max(0.0)), error.map(SimTime::from_secs_f64)),
            Slot::Pages(p) => {
                let rate = |v: f64| PageRate::new(v.clamp(1.0, 1e12)).unwrap_or(p.value);
                let (value, error) = (rate(value), error.map(rate));
                put(p, value, error);
            }
            Slot::Bits(p) => {
                let rate = |v: f64| BitRate((v * 8.0).max(1.0) as u64);
                put(p, rate(value), error.map(rate));
            }
            Slot::Bytes(p) => put(p, Bytes(value.max(0.0) as u64), error.map(|e| Bytes(e as u64))),
            Slot::Number(p) => put(p, value, error),
            Slot::Count(p) => put(p, value.max(0.0).round() as u64, error.map(|e| e.round() as u64)),
        }
    }
}

macro_rules! parameters {
    ($($kind:ident $table:ident . $field:ident: $prior:ident($width:literal);)+) => {
        /// All of them, in the order of the profile.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter {
            key: concat!(stringify!($table), ".", stringify!($field)),
            slot: |profile| Slot::$kind(&mut profile.$table.$field),
            prior: Prior::$prior($width),
        }),+];
    };
}

parameters! {
    Time software.prepare: Log(0.7);
    Time software.round: Log(0.7);
    Number network.share_tcp: Linear(0.02);
    Number network.share_tunnelled: Linear(0.03);
    Number network.share_ssh: Linear(0.03);
    Time network.queue_time: Log(0.5);
    Bytes network.queue_bytes: Log(0.3);
    Pages cpu.page_rate: Log(0.7);
    Pages cpu.zero_page_rate: Log(0.7);
    Pages cpu.xbzrle_page_rate: Log(0.7);
    Pages cpu.writer_rate: Log(0.7);
    Time switchover.control: Log(0.7);
    Time postcopy.switch_delay: Log(0.7);
    Time postcopy.control: Log(0.7);
    Time postcopy.fault: Log(0.7);
    Time offline.suspend: Log(0.7);
    Time offline.copy: Log(0.7);
    Time offline.resume: Log(0.7);
    Bits offline.write_rate: Log(0.7);
    Bits offline.copy_read_rate: Log(0.7);
    Bits offline.read_rate: Log(0.7);
    Count guest.firmware_pages: Linear(40.0);
    Count guest.firmware_zero_pages: Linear(20.0);
}

impl Parameter {
    /// Its value in a profile, in seconds, bytes, pages or shares.
    pub fn value(&self, profile: &Profile) -> f64 {
        // The slot is one for reading and writing.
        (self.slot)(&mut profile.clone()).get()
    }

    /// Where a profile's value lies, in prior standard deviations from that of `prior`.
    pub fn position(&self, profile: &Profile, prior: &Profile) -> f64 {
        let (value, prior) = (self.value(profile), self.value(prior));
        match self.prior {
            Prior::Log(width) => (value.max(LEAST).ln() - prior.max(LEAST).ln()) / width,
            Prior::Linear(width) => (value - prior) / width,
        }
    }

    fn value_at(&self, prior: &Profile, position: f64) -> f64 {
        let prior = self.value(prior);
        match self.prior {
            Prior::Log(width) => prior.max(LEAST) * (position * width).exp(),
            Prior::Linear(width) => prior + position * width,
        }
    }

    /// Puts the value at `position` into a profile, with the standard error that `spread`, in the same measure, stands for.
    pub fn place(&self, profile: &mut Profile, prior: &Profile, position: f64, spread: Option<f64>) {
        let value = self.value_at(prior, position);
        let error = spread.map(|spread| match self.prior {
            Prior::Log(width) => value * width * spread,
            Prior::Linear(width) => width * spread,
        });
        let value = if self.key.contains("share_") { value.clamp(0.01, 1.0) } else { value };
        (self.slot)(profile).set(value, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_put_and_read_again() {
        let prior = Profile::default();
        for parameter in PARAMETERS {
            let mut profile = prior.clone();
            parameter.place(&mut profile, &prior, 0.5, Some(0.1));
            let position = parameter.position(&profile, &prior);
            // Shares end at one, counts are whole.
            let rough = parameter.key.contains("share") || parameter.key.contains("firmware");
            assert!((position - 0.5).abs() < if rough { 0.6 } else { 1e-3 }, "{}: {position}", parameter.key);
        }
    }
}
