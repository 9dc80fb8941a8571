//! What is done otherwise than a fleet's file says, with all guests.

use std::fmt::{self, Display};
use std::num::NonZeroUsize;
use std::str::FromStr;

use migsim_models::spec::{Transport, WordError};
use migsim_models::text::quoted;
use migsim_models::units::{BitRate, Bytes, SimTime};

use super::moves::{Limits, Order, Placement};
use crate::input::{Key, Keys, Table, nearest};

/// Keys that go over those of a fleet's file, its tables beside it, and its guests' own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// As they were written.
    said: Vec<String>,
    /// Those of `[migration]`.
    pub keys: Keys,
    at_once: Option<usize>,
    per_host: Option<usize>,
    per_link: Option<usize>,
    place: Option<Placement>,
    order: Option<Order>,
    /// Those of all hosts, racks, lines and sites.
    pub(super) site: SiteChanges,
}

/// Declares keys of hosts and links that can be changed, each with the name of its table.
macro_rules! site_changes {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $key:literal;)*) => {
        /// What is changed of all hosts and links.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub(super) struct SiteChanges {
            $($(#[doc = $doc])+ pub(super) $field: Option<$type>,)*
        }

        impl SiteChanges {
            const KEYS: &[&str] = &[$($key),*];

            /// Sets a key; `None`: there is no such key.
            fn set(&mut self, key: &str, value: &str) -> Option<Result<(), String>> {
                match key {
                    $($key => Some(match value.parse::<$type>() {
                        Ok(value) => {
                            self.$field = Some(value);
                            Ok(())
                        }
                        Err(why) => Err(format!("{key}: `{}`: {why}", quoted(value))),
                    }),)*
                    _ => None,
                }
            }

            fn and(&self, more: &SiteChanges) -> SiteChanges {
                SiteChanges { $($field: more.$field.or(self.$field),)* }
            }
        }
    };
}

site_changes! {
    /// Each host's network card.
    nic: BitRate = "host.nic";
    /// Each host's memory.
    memory: Bytes = "host.memory";
    /// Each host's cores.
    cores: f64 = "host.cores";
    /// Its guests' memory over its own.
    overcommit: f64 = "host.overcommit";
    /// Its storage.
    storage: BitRate = "host.storage";
    /// What each rack shares.
    uplink: BitRate = "rack.uplink";
    /// The same as its hosts' cards over it.
    over_subscription: f64 = "rack.over_subscription";
    /// What each site's racks exchange.
    core: BitRate = "site.core";
    /// The lines between sites.
    wan: BitRate = "wan.capacity";
    /// Their round-trip time.
    wan_rtt: SimTime = "wan.rtt";
    /// The round-trip time within a site.
    rtt: SimTime = "rtt";
    /// What carries streams.
    transport: Transport = "link.transport";
    /// What a sender's socket holds.
    send_buffer: Bytes = "link.send_buffer";
}

/// The keys of `[moves]` that can be changed.
const OF_MOVES: [&str; 5] = ["at_once", "per_host", "per_link", "place", "order"];

impl Changes {
    /// Changes of the migration alone.
    pub fn of(keys: Keys) -> Changes {
        Changes { keys, ..Changes::default() }
    }

    /// So many migrations at a time.
    pub fn at_once(most: NonZeroUsize) -> Changes {
        Changes {
            said: vec![format!("at_once={most}")],
            at_once: Some(most.get()),
            ..Changes::default()
        }
    }

    /// These, and then `more`, which go over them.
    #[must_use]
    pub fn and(&self, more: &Changes) -> Changes {
        Changes {
            said: self.said.iter().chain(&more.said).cloned().collect(),
            keys: Keys {
                migration: more.keys.migration.over(&self.keys.migration),
                ..Keys::default()
            },
            at_once: more.at_once.or(self.at_once),
            per_host: more.per_host.or(self.per_host),
            per_link: more.per_link.or(self.per_link),
            place: more.place.or(self.place),
            order: more.order.or(self.order),
            site: self.site.and(&more.site),
        }
    }

    /// Where guests go and in which order, and how many at a time, by them and else as the file
    /// says.
    pub(super) fn over(
        &self,
        limits: Limits,
        place: Placement,
        order: Order,
    ) -> (Limits, Placement, Order) {
        let limits = Limits {
            at_once: self.at_once.or(limits.at_once),
            per_host: self.per_host.or(limits.per_host),
            per_link: self.per_link.or(limits.per_link),
        };
        (limits, self.place.unwrap_or(place), self.order.unwrap_or(order))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let count = || match value.parse::<usize>() {
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err(format!("{key} takes 1 or more, not `{}`", quoted(value))),
        };
        match key {
            "at_once" => self.at_once = count()?,
            "per_host" => self.per_host = count()?,
            "per_link" => self.per_link = count()?,
            "place" => self.place = Some(word(value)?),
            "order" => self.order = Some(word(value)?),
            _ if SiteChanges::KEYS.contains(&key) => {
                return self.site.set(key, value).unwrap_or(Ok(()));
            }
            _ => {
                let known = || Key::varied().filter(|key| key.table == Table::Migration);
                let Some(found) = known().find(|known| known.key == key) else {
                    let names: Vec<String> = OF_MOVES
                        .into_iter()
                        .chain(SiteChanges::KEYS.iter().copied())
                        .chain(known().map(|k| k.key))
                        .map(str::to_owned)
                        .collect();
                    let meant = nearest(key, &names)
                        .map_or(String::new(), |meant| format!(" Did you mean `{meant}`?"));
                    return Err(format!(
                        "there is no key `{}`; it takes {}.{meant}",
                        quoted(key),
                        names.join(", ")
                    ));
                };
                found.set(&mut self.keys, value).map_err(|why| format!("{key}: {why}"))?;
            }
        }
        Ok(())
    }
}

fn word<T: FromStr<Err = WordError>>(value: &str) -> Result<T, String> {
    value.parse().map_err(|why: WordError| why.to_string())
}

impl FromStr for Changes {
    type Err = String;

    /// Reads `KEY=VALUE`, several joined by commas.
    fn from_str(text: &str) -> Result<Changes, String> {
        let mut changes = Changes::default();
        for one in text.split(',') {
            let (key, value) = one.split_once('=').ok_or_else(|| {
                format!("`{}` is no change; one is written like `at_once=4`", quoted(one))
            })?;
            // As flags spell it, too.
            let key = key.trim().replace('-', "_");
            changes.set(&key, value.trim())?;
            changes.said.push(format!("{key}={}", value.trim()));
        }
        Ok(changes)
    }
}

impl Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.said.is_empty() { f.pad("as it is") } else { f.pad(&self.said.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_and_go_over_each_other() {
        let one: Changes = "at_once=4, auto-converge=true".parse().unwrap();
        let two: Changes = "at_once=8".parse().unwrap();
        assert_eq!(one.keys.migration.auto_converge, Some(true));
        let both = one.and(&two);
        assert_eq!((both.at_once, both.keys.migration.auto_converge), (Some(8), Some(true)));
        assert_eq!(both.to_string(), "at_once=4, auto_converge=true, at_once=8");
        assert_eq!(Changes::default().to_string(), "as it is");
        for (wrong, message) in [
            ("at_once", "`at_once` is no change; one is written like `at_once=4`"),
            ("at_once=0", "at_once takes 1 or more"),
            ("auto_convergence=true", "Did you mean `auto_converge`?"),
            ("memory=4GiB", "there is no key `memory`; it takes at_once"),
            ("host.nic=fast", "host.nic: `fast`"),
            ("host.nick=10GbE", "Did you mean `host.nic`?"),
            ("order=best", "unknown order `best`; it is one of listed, largest, smallest"),
            ("downtime_limit=5", "downtime_limit: `5` has no unit"),
        ] {
            let error = wrong.parse::<Changes>().unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
