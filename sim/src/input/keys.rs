//! The keys of a scenario: one table of them all.
//!
//! Each key exists once, with its type, its flag and what it means. From the table come the TOML
//! keys, the flags of the programs, the quantities that a sweep varies, and the columns that they
//! get. A guest's own keys go over the file's, and flags over both.

use std::fmt::Display;
use std::str::FromStr;

use migsim_models::qemu::Version;
use migsim_models::spec::{CapacityChange, Layout, Mode, OnTimeout, Transport};
use migsim_models::text::quoted;
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use migsim_models::workload::Workload;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Bytes.
    Size,
    /// Bits per second.
    Rate,
    /// Seconds.
    Time,
    /// Pages per second.
    PageRate,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// A word, or several.
    Word,
    /// True or false.
    Switch,
    /// A name, which changes nothing.
    Name,
    /// Keys of its own, in files only.
    Table,
}

impl Kind {
    /// The unit of its plain numbers, as names of columns end.
    pub fn unit(self) -> &'static str {
        match self {
            Kind::Size => "bytes",
            Kind::Rate => "bit_s",
            Kind::Time => "s",
            Kind::PageRate => "pages_s",
            Kind::Whole | Kind::Number | Kind::Word | Kind::Switch | Kind::Name | Kind::Table => "",
        }
    }

    /// It in a word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Size => "size",
            Kind::Rate => "rate",
            Kind::Time => "time",
            Kind::PageRate => "page-rate",
            Kind::Whole => "whole",
            Kind::Number => "number",
            Kind::Word => "word",
            Kind::Switch => "switch",
            Kind::Name => "name",
            Kind::Table => "table",
        }
    }

    /// Whether its values are numbers.
    pub fn is_number(self) -> bool {
        !matches!(self, Kind::Word | Kind::Switch | Kind::Name | Kind::Table)
    }
}

/// A type of keys' values.
trait Valued: Sized {
    const KIND: Kind;
    /// All words that it takes, where they are a closed list.
    const WORDS: &'static [&'static str] = &[];

    /// The value that a flag or a sweep gives.
    fn read(text: &str) -> Result<Self, String>;
}

macro_rules! valued {
    ($($kind:ident: $($type:ty),+ = $read:expr;)+) => { $($(impl Valued for $type {
        const KIND: Kind = Kind::$kind;

        fn read(text: &str) -> Result<Self, String> {
            $read(text)
        }
    })+)+ };
}

valued! {
    Size: Pages, Bytes = parsed;
    Rate: BitRate = parsed;
    Time: SimTime = parsed;
    Word: Version, Workload = parsed;
    Name: String = parsed;
    Whole: u32 = |text: &str| text.parse().map_err(|_| format!("`{}`: it takes a whole number", quoted(text)));
    Switch: bool = |text: &str| text.parse().map_err(|_| format!("`{}`: it takes true or false", quoted(text)));
    Table: Vec<CapacityChange>, ThrottleKeys, LinkKeys, MigrationKeys = |_| Err("it stands in files only".to_owned());
}

macro_rules! closed {
    ($($type:ty),+) => { $(impl Valued for $type {
        const KIND: Kind = Kind::Word;
        const WORDS: &'static [&'static str] = <$type>::WORDS;

        fn read(text: &str) -> Result<Self, String> {
            parsed(text)
        }
    })+ };
}

closed!(Mode, Layout, Transport, OnTimeout);

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|e: T::Err| e.to_string())
}

/// A table of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[[guest]]`.
    Guest,
    /// `[link]`.
    Link,
    /// `[migration]`.
    Migration,
}

impl Table {
    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Table::Guest => "guest",
            Table::Link => "link",
            Table::Migration => "migration",
        }
    }
}

/// The flag of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without the dashes before it.
    pub long: &'static str,
    /// What help calls its value.
    pub value: &'static str,
}

/// A key of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Where it stands.
    pub table: Table,
    /// Its name there.
    pub key: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// All of its values, where they are a closed list of words.
    pub words: &'static [&'static str],
    /// Its flag; `None`: in files only.
    pub flag: Option<Flag>,
    /// What it means, in a line.
    pub doc: &'static str,
}

impl Key {
    /// All keys, table by table.
    pub fn all() -> impl Iterator<Item = &'static Key> {
        [GuestKeys::KEYS, LinkKeys::KEYS, MigrationKeys::KEYS].into_iter().flatten()
    }

    /// Those that a sweep can vary.
    pub fn varied() -> impl Iterator<Item = &'static Key> {
        Key::all().filter(|key| !matches!(key.kind, Kind::Name | Kind::Table))
    }

    /// The one that can be varied of that name, alone or behind its table's; the link's capacity
    /// also by the name of its flag.
    pub fn find(name: &str) -> Option<&'static Key> {
        let name = name.strip_prefix("guest.").or(name.strip_prefix("migration.")).unwrap_or(name);
        let name =
            if name == "link" { "capacity" } else { name.strip_prefix("link.").unwrap_or(name) };
        Key::varied().find(|key| key.key == name)
    }

    /// Its name outside of its table: `link` for the link's capacity, as its flag is called.
    pub fn name(&self) -> &'static str {
        if self.table == Table::Link && self.key == "capacity" { "link" } else { self.key }
    }

    /// Sets it to a value as a scenario has it.
    ///
    /// # Errors
    /// What is wrong with the value, and what is accepted.
    pub fn set(&self, keys: &mut Keys, text: &str) -> Result<(), String> {
        match self.table {
            Table::Guest => keys.guest.set(self.key, text),
            Table::Link => keys.link.set(self.key, text),
            Table::Migration => keys.migration.set(self.key, text),
        }
    }
}

/// Declares the keys of a table; those of one layer go over those of another.
macro_rules! layered {
    (
        $(#[$meta:meta])*
        $name:ident of $table:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $place:ident $(($long:literal, $value:literal))?;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[doc = $doc])+ #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }

        impl $name {
            const KEYS: &[Key] = &[$(Key {
                table: Table::$table,
                key: stringify!($field),
                kind: <$type as Valued>::KIND,
                words: <$type as Valued>::WORDS,
                flag: layered!(@ $place $(($long, $value))?),
                doc: concat!($($doc),+),
            }),*];

            fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $(stringify!($field) => self.$field = Some(Valued::read(text)?),)*
                    _ => return Err("there is no such key".to_owned()),
                }
                Ok(())
            }

            /// Those that are set.
            fn given(&self) -> impl Iterator<Item = &'static Key> {
                let set = [$(self.$field.is_some()),*];
                Self::KEYS.iter().zip(set).filter_map(|(key, set)| set.then_some(key))
            }

            /// These keys over those of `base`.
            #[must_use]
            pub fn over(&self, base: &Self) -> Self {
                Self { $($field: self.$field.clone().or_else(|| base.$field.clone()),)* }
            }
        }
    };
    (@ flag ($long:literal, $value:literal)) => { Some(Flag { long: $long, value: $value }) };
    (@ file) => { None };
}

layered! {
    /// What is moved.
    GuestKeys of Guest {
        /// What reports call the guest
        name: String = flag("name", "NAME");
        /// RAM of the guest, like 4GiB
        memory: Pages = flag("memory", "SIZE");
        /// Part of it that is not zero when the migration starts [default: all]
        touched: Pages = flag("touched", "SIZE");
        /// What it writes, like 'uniform(wss=1GiB, rate=5000p/s)' [default: idle]
        workload: Workload = flag("workload", "NOTATION");
        /// Virtual processors [default: 1]
        vcpus: u32 = flag("vcpus", "N");
        /// Where zero pages lie: in blocks as Linux leaves them, mixed with touched pages, behind those
        /// (front: touched pages in front) or before them (back) [default: unknown]
        layout: Layout = flag("layout", "WHERE");
        /// Zero pages before all others, at the bottom of its memory [default: none]
        zero_head: Pages = flag("zero-head", "SIZE");
        /// How far into its first phase the workload is [default: the median of 8 offsets]
        phase_offset: SimTime = flag("phase-offset", "TIME");
        /// Bytes that change in a page from write to write, for XBZRLE [default: 256]
        delta_bytes: u32 = flag("delta-bytes", "BYTES");
        /// The link, where it is another for this guest (files only).
        link: LinkKeys = file;
        /// The migration, where it is another for this guest (files only).
        migration: MigrationKeys = file;
    }
}

layered! {
    /// The path between the hosts.
    LinkKeys of Link {
        /// Capacity of the link between the hosts, like 1Gbit/s
        capacity: BitRate = flag("link", "RATE");
        /// Round-trip time of the path [default: 200us]
        rtt: SimTime = flag("rtt", "TIME");
        /// What carries the stream: tcp, tls, tunnelled or ssh [default: tcp]
        transport: Transport = flag("transport", "KIND");
        /// The most the sender's socket buffer holds, tcp_wmem's third figure [default: the profile's]
        send_buffer: Bytes = flag("send-buffer", "BYTES");
        /// When the capacity changes, and to what (files only).
        changes: Vec<CapacityChange> = file;
    }
}

layered! {
    /// How it is moved.
    MigrationKeys of Migration {
        /// precopy, postcopy, paused or offline [default: precopy]
        mode: Mode = flag("mode", "MODE");
        /// Whose rules apply, like 7.2 or 10.0 [default: 7.2]
        qemu: Version = flag("qemu", "VERSION");
        /// QEMU's downtime limit [default: 300ms]
        downtime_limit: SimTime = flag("downtime-limit", "TIME");
        /// The migration's own cap, like 32MiB/s [default: none]
        bandwidth_cap: BitRate = flag("bandwidth-cap", "RATE");
        /// The cap after the switch to post-copy, like 32MiB/s: the other one does not hold then [default: none]
        postcopy_bandwidth: BitRate = flag("postcopy-bandwidth", "RATE");
        /// Throttle the guest while it dirties too much
        auto_converge: bool = flag("auto-converge", "BOOL");
        /// How auto-converge throttles (files only).
        throttle: ThrottleKeys = file;
        /// Send differences of pages sent before
        xbzrle: bool = flag("xbzrle", "BOOL");
        /// XBZRLE's cache [default: 64MiB]
        xbzrle_cache: Bytes = flag("xbzrle-cache", "SIZE");
        /// Channels of multifd, 0 for off [default: 0]
        multifd_channels: u32 = flag("multifd-channels", "N");
        /// Post-copy switches after so many iterations, 0 for at once [default: 1]
        postcopy_after_passes: u32 = flag("postcopy-after-passes", "N");
        /// Post-copy switches at this time instead
        postcopy_after: SimTime = flag("postcopy-after", "TIME");
        /// How long it may take [default: as long as it makes progress]
        timeout: SimTime = flag("timeout", "TIME");
        /// What happens then: abort, suspend or postcopy [default: abort]
        on_timeout: OnTimeout = flag("on-timeout", "ACTION");
        /// Offline: bytes moved beside the memory image [default: 64KiB]
        offline_files: Bytes = flag("offline-files", "SIZE");
        /// Memory whose dirty log is cleared together, 0B for all at the sync [default: 1GiB]
        log_chunk: Bytes = flag("log-chunk", "SIZE");
    }
}

/// A value as people write it: sizes in bytes, not in pages.
fn said(kind: Kind, value: Value) -> Value {
    match (kind, value) {
        (Kind::Size, Value::String(text)) => {
            text.parse::<Bytes>().map_or(text, |bytes| bytes.to_string()).into()
        }
        (Kind::Table, value) | (_, value @ Value::String(_)) => value,
        (_, value) => value.to_string().into(),
    }
}

/// How auto-converge throttles, in percent; QEMU's defaults where a key is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThrottleKeys {
    /// cpu-throttle-initial.
    pub initial: Option<u32>,
    /// cpu-throttle-increment.
    pub increment: Option<u32>,
    /// max-cpu-throttle.
    pub max: Option<u32>,
    /// throttle-trigger-threshold.
    pub trigger: Option<u32>,
}

/// All keys of one question; as JSON what [`super::JsonQuestion`] reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Keys {
    /// The guest's.
    pub guest: GuestKeys,
    /// The path's.
    pub link: LinkKeys,
    /// The migration's.
    pub migration: MigrationKeys,
}

impl Keys {
    /// Those that are set.
    pub fn given(&self) -> impl Iterator<Item = &'static Key> {
        self.guest.given().chain(self.link.given()).chain(self.migration.given())
    }

    /// All that are set, as flags are called, each with its value as a scenario has it: what
    /// [`super::JsonQuestion`] reads.
    pub fn flat(&self) -> Map<String, Value> {
        let mut flat = Map::new();
        let Ok(Value::Object(tables)) = serde_json::to_value(self) else { return flat };
        for (table, keys) in tables {
            let Value::Object(keys) = keys else { continue };
            for (name, value) in keys {
                let known = Key::all().find(|key| key.key == name && key.table.name() == table);
                flat.extend(known.map(|key| (key.name().to_owned(), said(key.kind, value))));
            }
        }
        flat
    }

    /// These keys over those of `base`.
    #[must_use]
    pub fn over(&self, base: &Keys) -> Keys {
        Keys {
            guest: self.guest.over(&base.guest),
            link: self.link.over(&base.link),
            migration: self.migration.over(&base.migration),
        }
    }
}
