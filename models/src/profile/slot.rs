//! Every parameter of a profile by its key, as a number: for a fit that changes them and a draw
//! that varies them.

use super::{Param, Profile};
use crate::spec::Transport;
use crate::units::{BitRate, Bytes, PageRate, SimTime};

/// A parameter in its place, whatever its unit. As a number it is in seconds, pages per second,
/// bytes per second, bytes, or itself.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A time, in seconds.
    Time(&'a mut Param<SimTime>),
    /// Pages per second.
    Pages(&'a mut Param<PageRate>),
    /// A rate, in bytes per second.
    Rate(&'a mut Param<BitRate>),
    /// Bytes.
    Bytes(&'a mut Param<Bytes>),
    /// A share, above 0 up to 1.
    Share(&'a mut Param<f64>),
    /// A number.
    Number(&'a mut Param<f64>),
    /// A whole number.
    Count(&'a mut Param<u64>),
}

impl Slot<'_> {
    /// Its value.
    pub fn value(&self) -> f64 {
        match self {
            Slot::Time(p) => p.value.as_secs_f64(),
            Slot::Pages(p) => p.value.pages_per_s(),
            Slot::Rate(p) => p.value.bytes_per_s(),
            Slot::Bytes(p) => p.value.as_f64(),
            Slot::Share(p) | Slot::Number(p) => p.value,
            Slot::Count(p) => p.value as f64,
        }
    }

    /// The standard error of its estimate, where that is known.
    pub fn error(&self) -> Option<f64> {
        match self {
            Slot::Time(p) => p.error.map(SimTime::as_secs_f64),
            Slot::Pages(p) => p.error.map(PageRate::pages_per_s),
            Slot::Rate(p) => p.error.map(BitRate::bytes_per_s),
            Slot::Bytes(p) => p.error.map(Bytes::as_f64),
            Slot::Share(p) | Slot::Number(p) => p.error,
            Slot::Count(p) => p.error.map(|e| e as f64),
        }
    }

    /// Whether it is a quantity above zero that may be off by a factor; others are off by an
    /// amount.
    fn by_factors(&self) -> bool {
        matches!(self, Slot::Time(_) | Slot::Pages(_) | Slot::Rate(_) | Slot::Bytes(_))
            && self.value() > 0.0
    }

    /// A standard error as it counts for [`moved`](Slot::moved): of the logarithm, or as it is.
    fn width(&self) -> f64 {
        let error = self.error().unwrap_or(0.0);
        if self.by_factors() { libm::log1p(error / self.value()) } else { error }
    }

    /// What it would be so many standard errors from here. One above is the value and its error;
    /// times and rates are off by factors, so that one that is hardly known stays above zero.
    pub fn moved(&self, errors: f64) -> f64 {
        let far = errors * self.width();
        self.nearest(if self.by_factors() {
            self.value() * libm::exp(far)
        } else {
            self.value() + far
        })
    }

    /// How many standard errors from here `value` lies; zero where there is no error.
    pub fn distance(&self, value: f64) -> f64 {
        let far = if self.by_factors() {
            libm::log(value.max(f64::MIN_POSITIVE) / self.value())
        } else {
            value - self.value()
        };
        let width = self.width();
        if width > 0.0 { far / width } else { 0.0 }
    }

    /// The nearest that it can be: no time is below zero, no rate is nothing, no share above all.
    pub fn nearest(&self, value: f64) -> f64 {
        match self {
            Slot::Time(_) | Slot::Bytes(_) | Slot::Number(_) => value.max(0.0),
            Slot::Share(_) => value.clamp(0.01, 1.0),
            Slot::Pages(_) => value.clamp(1.0, 1e15),
            Slot::Rate(_) => value.max(0.125),
            Slot::Count(_) => libm::round(value.max(0.0)),
        }
    }

    /// Sets both, the value to the nearest that it can be.
    pub fn set(self, value: f64, error: Option<f64>) {
        let value = self.nearest(value);
        fn put<T>(param: &mut Param<T>, make: impl Fn(f64) -> T, value: f64, error: Option<f64>) {
            *param = Param { value: make(value), error: error.map(make) };
        }
        match self {
            Slot::Time(p) => put(p, SimTime::from_secs_f64, value, error),
            Slot::Pages(p) => put(p, |v| PageRate::new(v).unwrap_or_default(), value, error),
            Slot::Rate(p) => put(p, |v| BitRate((v * 8.0) as u64), value, error),
            Slot::Bytes(p) => put(p, |v| Bytes(v as u64), value, error),
            Slot::Share(p) | Slot::Number(p) => put(p, |v| v, value, error),
            Slot::Count(p) => put(p, |v| v as u64, value, error),
        }
    }
}

/// A parameter by its key.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key in the file, as `network.queue_time`.
    pub key: &'static str,
    /// Its place in a profile.
    pub slot: fn(&mut Profile) -> Slot<'_>,
}

impl Field {
    /// Whether profiles had others long before: it is drawn from chance of its own, so that what
    /// others draw stays as it was.
    pub fn came_later(&self) -> bool {
        self.key.starts_with("network.carrier_rate.")
    }
}

macro_rules! fields {
    ($($kind:ident $table:ident . $field:ident $([$transport:ident] $name:literal)?;)+) => {
        /// All parameters but the noise, in the order of the file.
        pub const FIELDS: &[Field] = &[$(Field {
            key: concat!(stringify!($table), ".", stringify!($field) $(, ".", $name)?),
            slot: |profile| Slot::$kind(fields!(@ $kind profile.$table.$field $(, $transport)?)),
        }),+];
    };
    (@ $kind:ident $place:expr) => { &mut $place };
    (@ Share $place:expr, $transport:ident) => { $place.entry(Transport::$transport).or_insert(Param::exact(1.0)) };
    (@ Rate $place:expr, $transport:ident) => {
        $place.entry(Transport::$transport).or_insert(Param::exact(BitRate::UNLIMITED))
    };
}

fields! {
    Time software.prepare;
    Time software.finish;
    Time software.qemu_setup;
    Time software.qemu_setup_per_gib;
    Time software.round;
    Time software.sync_per_gib;
    Share network.share[Tcp] "tcp";
    Share network.share[Tls] "tls";
    Share network.share[Tunnelled] "tunnelled";
    Share network.share[Ssh] "ssh";
    Rate network.carrier_rate[Tls] "tls";
    Rate network.carrier_rate[Tunnelled] "tunnelled";
    Rate network.carrier_rate[Ssh] "ssh";
    Bytes network.queue_fixed;
    Time network.queue_time;
    Bytes network.queue_bytes;
    Share network.queue_share;
    Pages cpu.page_rate;
    Pages cpu.zero_page_rate;
    Pages cpu.xbzrle_page_rate;
    Pages cpu.writer_rate;
    Number cpu.catch_up;
    Time switchover.stop;
    Time switchover.flush;
    Bytes switchover.device_bytes;
    Time switchover.device_state;
    Time switchover.destination_load;
    Time switchover.control;
    Number switchover.control_round_trips;
    Count switchover.forced_stop_after;
    Time postcopy.switch_delay;
    Time postcopy.control;
    Time postcopy.fault;
    Time offline.suspend;
    Time offline.copy;
    Time offline.resume;
    Bytes offline.cache_bytes;
    Rate offline.cache_rate;
    Rate offline.write_rate;
    Rate offline.copy_read_rate;
    Rate offline.read_rate;
    Count guest.firmware_pages;
    Count guest.firmware_zero_pages;
    Count guest.idle_pages;
    Share guest.idle_share;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_and_read_again() {
        // No number times infinity is anything else.
        for field in FIELDS.iter().filter(|field| field.key != "cpu.catch_up") {
            let mut profile = Profile::default();
            let value = (field.slot)(&mut profile).value();
            (field.slot)(&mut profile).set(value / 2.0, Some(value / 4.0));
            let slot = (field.slot)(&mut profile);
            let (half, quarter) = (slot.value(), slot.error().unwrap_or(f64::NAN));
            // Counts are whole, times are whole nanoseconds.
            assert!(
                (half - value / 2.0).abs() <= 1.0_f64.min(value * 0.51),
                "{}: {half} of {value}",
                field.key
            );
            assert!(
                (quarter - value / 4.0).abs() <= 1.0_f64.min(value * 0.51),
                "{}: {quarter} of {value}",
                field.key
            );
        }
    }

    #[test]
    fn a_value_that_was_moved_lies_as_far_as_it_was_moved() {
        for field in FIELDS.iter().filter(|field| field.key != "cpu.catch_up") {
            let mut profile = Profile::default();
            let value = (field.slot)(&mut profile).value();
            (field.slot)(&mut profile).set(value, Some(value / 4.0));
            let slot = (field.slot)(&mut profile);
            let moved = slot.moved(-1.5);
            assert!(moved <= value && moved >= value / 2.0, "{}: {value} to {moved}", field.key);
            // Counts are whole.
            let tolerance = if matches!(slot, Slot::Count(_)) { 0.1 } else { 1e-9 };
            let far = slot.distance(moved);
            assert!(value == 0.0 || (far + 1.5).abs() < tolerance, "{}: {far}", field.key);
        }
        // One that is hardly known.
        let mut profile = Profile::default();
        Slot::Time(&mut profile.software.round).set(1.0, Some(3.0));
        let slot = Slot::Time(&mut profile.software.round);
        assert!((slot.moved(1.0) - 4.0).abs() < 1e-9 && (slot.moved(-1.0) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn every_parameter_of_the_file_has_its_field() {
        fn walk(table: &toml::Table, at: &str, keys: &mut Vec<String>) {
            for (name, value) in table {
                match value {
                    toml::Value::Table(inner) if name == "noise" || inner.contains_key("value") => {
                        keys.extend((name != "noise").then(|| format!("{at}{name}")));
                    }
                    toml::Value::Table(inner) => walk(inner, &format!("{at}{name}."), keys),
                    _ => {}
                }
            }
        }
        let mut keys = Vec::new();
        walk(&crate::profile::ASSUMED_TOML.parse().unwrap(), "", &mut keys);
        keys.sort();
        let mut known: Vec<String> = FIELDS.iter().map(|field| field.key.to_owned()).collect();
        known.sort();
        assert_eq!(known, keys);
    }
}
