//! Scenarios: questions from a TOML file, from flags, or from both.
//!
//! Every key exists once, as a field that is a TOML key and a flag at the same time: [`GuestKeys`], [`LinkKeys`] and [`MigrationKeys`]. A guest's own
//! keys go over the file's, and flags over both; [`Case::build`] turns what is left into a checked question.

use std::cell::Cell;
use std::io::Read;
use std::ops::Range;
use std::path::Path as FilePath;
use std::rc::Rc;

use migsim_models::profile::{Profile, ProfileError};
use migsim_models::qemu::{self, AutoConverge, Version};
use migsim_models::spec::{CapacityChange, Guest, Layout, Mode, OnTimeout, Path, Policy, SpecError, Switch, Transport};
use migsim_models::text::clipped;
pub use migsim_models::text::{quoted, shown};
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use migsim_models::workload::Workload;
use serde::Deserialize;
use toml::Spanned;

use crate::world::{DirtyLog, Question};

/// Input that cannot be used: where it is, what is wrong, what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct InputError {
    /// File, and line where there is one.
    pub place: String,
    /// What is wrong, and what is accepted.
    pub message: String,
}

impl InputError {
    /// An error of a whole file, or of the command line.
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over errors and strings alike")]
    pub fn new(place: impl Into<String>, message: impl ToString) -> InputError {
        InputError { place: place.into(), message: message.to_string() }
    }

    /// An error at a place of a text, which starts a line.
    pub(crate) fn at(file: &FilePath, text: &str, offset: usize, message: impl ToString) -> InputError {
        let line = text[..offset.min(text.len())].matches('\n').count() + 1;
        InputError::new(format!("{}:{line}", shown(&file.display().to_string())), message)
    }
}

/// Reads a whole file, naming it if that fails.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_file(file: &FilePath) -> Result<String, InputError> {
    let error = |e: &dyn std::fmt::Display| InputError::new(shown(&file.display().to_string()), e);
    let mut text = String::new();
    let input = std::fs::File::open(file).map_err(|e| error(&e))?;
    let read = input.take(MOST_TEXT + 1).read_to_string(&mut text).map_err(|e| error(&e))?;
    if read as u64 > MOST_TEXT {
        return Err(error(&format!("is longer than {} MiB, the most that is read", MOST_TEXT >> 20)));
    }
    Ok(text)
}

/// The longest file of settings that is read, in bytes.
const MOST_TEXT: u64 = 256 << 20;
/// And the longest row of a CSV file.
const MOST_ROW: u64 = 16 << 20;

/// A CSV file that is read row by row, none of them longer than fits into memory.
#[derive(Debug)]
pub struct Rows<R> {
    input: R,
    /// Bytes since the last row was taken.
    since: Rc<Cell<u64>>,
}

impl<R: Read> Rows<R> {
    /// A reader of CSV over it, and what tells it that a row was taken.
    pub fn reader(input: R) -> (csv::Reader<Rows<R>>, impl Fn()) {
        let since = Rc::new(Cell::new(0));
        let rows = Rows { input, since: Rc::clone(&since) };
        (csv::ReaderBuilder::new().flexible(true).from_reader(rows), move || since.set(0))
    }
}

impl<R: Read> Read for Rows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.get() > MOST_ROW {
            let why = format!("a row is longer than {} MiB, the most that is read", MOST_ROW >> 20);
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        let read = self.input.read(buffer)?;
        self.since.set(self.since.get() + read as u64);
        Ok(read)
    }
}

/// The profile of a file or of the name of a shipped one, or where none is given the embedded one.
///
/// # Errors
/// Those of [`read_profile`].
pub fn profile_or_default(file: Option<&FilePath>) -> Result<Profile, InputError> {
    let Some(file) = file else { return Ok(Profile::default()) };
    match file.to_str() {
        // A file of that name goes before a shipped profile.
        _ if file.exists() => read_profile(file),
        Some("lab" | "default") => Ok(Profile::default()),
        Some("assumed") => Ok(Profile::assumed()),
        Some("ideal") => Ok(Profile::ideal()),
        _ => read_profile(file),
    }
}

/// Reads a profile from a file.
///
/// # Errors
/// Names the file, the line and what is accepted.
pub fn read_profile(file: &FilePath) -> Result<Profile, InputError> {
    let text = read_file(file)?;
    Profile::parse(&text).map_err(|error| match &error {
        ProfileError::Toml(e) => toml_error(file, &text, e),
        ProfileError::Range { key, .. } => {
            let key = key.rsplit('.').next().unwrap_or(key);
            let offset = line_of_key(&text, 0..text.len(), key);
            InputError::at(file, &text, offset, &error)
        }
    })
}

fn toml_error(file: &FilePath, text: &str, error: &toml::de::Error) -> InputError {
    let offset = error.span().map_or(0, |span| span.start);
    // The message repeats the line, which may be as long as the file.
    let lines: Vec<String> = error.to_string().trim_end().lines().map(|line| clipped(line, MOST_LINE)).collect();
    InputError::at(file, text, offset, lines.join("\n"))
}

/// The most characters of a line of somebody's file that a message repeats.
const MOST_LINE: usize = 200;

/// Where a table's line for `key` starts; the table itself if there is none.
fn line_of_key(text: &str, table: Range<usize>, key: &str) -> usize {
    let mut offset = table.start;
    for line in text[table.clone()].split_inclusive('\n') {
        let rest = line.trim_start().strip_prefix(key);
        if rest.is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return offset;
        }
        offset += line.len();
    }
    table.start
}

/// What the values of a key are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
}

impl Kind {
    /// The unit of its plain numbers, as names of columns end.
    pub fn unit(self) -> &'static str {
        match self {
            Kind::Size => "bytes",
            Kind::Rate => "bit_s",
            Kind::Time => "s",
            Kind::PageRate => "pages_s",
            Kind::Whole | Kind::Number | Kind::Word => "",
        }
    }
}

/// A type of keys' values.
trait Kinded {
    const KIND: Option<Kind>;
}

macro_rules! kinds {
    ($($type:ty => $kind:expr;)+) => { $(impl Kinded for $type { const KIND: Option<Kind> = $kind; })+ };
}

kinds! {
    Pages => Some(Kind::Size);
    Bytes => Some(Kind::Size);
    BitRate => Some(Kind::Rate);
    SimTime => Some(Kind::Time);
    u32 => Some(Kind::Whole);
    bool => Some(Kind::Word);
    Mode => Some(Kind::Word);
    Layout => Some(Kind::Word);
    Transport => Some(Kind::Word);
    OnTimeout => Some(Kind::Word);
    Version => Some(Kind::Word);
    Workload => Some(Kind::Word);
    String => None;
    Vec<CapacityChange> => None;
    ThrottleKeys => None;
    LinkKeys => None;
    MigrationKeys => None;
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

/// A key of a scenario by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub table: Table,
    /// Its name there.
    pub key: &'static str,
    /// What its values are.
    pub kind: Kind,
}

impl Key {
    /// All keys that have a value of their own.
    pub fn all() -> impl Iterator<Item = Key> {
        let tables =
            [(Table::Guest, GuestKeys::KEYS), (Table::Link, LinkKeys::KEYS), (Table::Migration, MigrationKeys::KEYS)];
        tables.into_iter().flat_map(|(table, keys)| {
            keys.iter().filter_map(move |(key, kind)| Some(Key { table, key, kind: (*kind)? }))
        })
    }

    /// The key of that name, alone or behind its table's; the link's capacity also by the name of its flag.
    pub fn find(name: &str) -> Option<Key> {
        let name = name.strip_prefix("guest.").or(name.strip_prefix("migration.")).unwrap_or(name);
        let name = if name == "link" { "capacity" } else { name.strip_prefix("link.").unwrap_or(name) };
        Key::all().find(|key| key.key == name)
    }

    /// Sets it to a value as a scenario has it.
    ///
    /// # Errors
    /// What is wrong with the value, and what is accepted.
    pub fn set(&self, keys: &mut Keys, text: &str) -> Result<(), String> {
        let value = match (self.kind, text) {
            (Kind::Whole, text) => match text.parse() {
                Ok(number) => toml::Value::Integer(number),
                Err(_) => return Err(format!("`{}` is `{}`; it takes a whole number", self.key, quoted(text))),
            },
            (_, "true") => toml::Value::Boolean(true),
            (_, "false") => toml::Value::Boolean(false),
            (_, text) => toml::Value::String(text.to_owned()),
        };
        let table = toml::Value::Table(toml::Table::from_iter([(self.key.to_owned(), value)]));
        let error = |e: toml::de::Error| format!("`{}`: {}", self.key, e.message());
        match self.table {
            Table::Guest => keys.guest = GuestKeys::deserialize(table).map_err(error)?.over(&keys.guest),
            Table::Link => keys.link = LinkKeys::deserialize(table).map_err(error)?.over(&keys.link),
            Table::Migration => {
                keys.migration = MigrationKeys::deserialize(table).map_err(error)?.over(&keys.migration);
            }
        }
        Ok(())
    }
}

/// Declares keys that are TOML keys and flags at once; those of one layer go over those of another.
macro_rules! layered {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Debug, Clone, Default, PartialEq, Deserialize, clap::Args)]
        $(#[$meta])*
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: Option<$type>,)*
        }

        impl $name {
            /// Its keys and what their values are; those that have none of their own are left out.
            const KEYS: &[(&str, Option<Kind>)] = &[$((stringify!($field), <$type as Kinded>::KIND)),*];

            /// These keys over those of `base`.
            #[must_use]
            pub fn over(&self, base: &Self) -> Self {
                Self { $($field: self.$field.clone().or_else(|| base.$field.clone()),)* }
            }
        }
    };
}

layered! {
    /// What is moved.
    #[group(id = "guest")]
    GuestKeys {
        /// What reports call the guest
        #[arg(long)]
        name: String,
        /// RAM of the guest, like 4GiB
        #[arg(long, value_name = "SIZE")]
        memory: Pages,
        /// Part of it that is not zero when the migration starts [default: all]
        #[arg(long, value_name = "SIZE")]
        touched: Pages,
        /// What it writes, like 'uniform(wss=1GiB, rate=5000p/s)' [default: idle]
        #[arg(long, value_name = "NOTATION")]
        workload: Workload,
        /// Virtual processors [default: 1]
        #[arg(long, value_name = "N")]
        vcpus: u32,
        /// Where zero pages lie: mixed, front (touched pages in front) or back [default: mixed]
        #[arg(long, value_name = "WHERE")]
        layout: Layout,
        /// Zero pages before all others, at the bottom of its memory [default: none]
        #[arg(long, value_name = "SIZE")]
        zero_head: Pages,
        /// How far into its first phase the workload is [default: averaged over]
        #[arg(long, value_name = "TIME")]
        phase_offset: SimTime,
        /// Bytes that change in a page from write to write, for XBZRLE [default: 256]
        #[arg(long, value_name = "BYTES")]
        delta_bytes: u32,
        /// The link, where it is another for this guest (files only).
        #[arg(skip)]
        link: LinkKeys,
        /// The migration, where it is another for this guest (files only).
        #[arg(skip)]
        migration: MigrationKeys,
    }
}

layered! {
    /// The path between the hosts.
    #[group(id = "link")]
    LinkKeys {
        /// Capacity of the link between the hosts, like 1Gbit/s
        #[arg(long = "link", value_name = "RATE")]
        capacity: BitRate,
        /// Round-trip time of the path [default: 200us]
        #[arg(long, value_name = "TIME")]
        rtt: SimTime,
        /// What carries the stream: tcp, tls, tunnelled or ssh [default: tcp]
        #[arg(long, value_name = "KIND")]
        transport: Transport,
        /// The most the sender's socket buffer holds, tcp_wmem's third figure [default: the profile's]
        #[arg(long, value_name = "BYTES")]
        send_buffer: Bytes,
        /// When the capacity changes, and to what (files only).
        #[arg(skip)]
        changes: Vec<CapacityChange>,
    }
}

layered! {
    /// How it is moved.
    #[group(id = "migration")]
    MigrationKeys {
        /// precopy, postcopy, paused or offline [default: precopy]
        #[arg(long)]
        mode: Mode,
        /// Whose rules apply, like 7.2 or 10.0 [default: 7.2]
        #[arg(long, value_name = "VERSION")]
        qemu: Version,
        /// QEMU's downtime limit [default: 300ms]
        #[arg(long, value_name = "TIME")]
        downtime_limit: SimTime,
        /// The migration's own cap, like 32MiB/s [default: none]
        #[arg(long, value_name = "RATE")]
        bandwidth_cap: BitRate,
        /// The cap after the switch to post-copy, like 32MiB/s: the other one does not hold then [default: none]
        #[arg(long, value_name = "RATE")]
        postcopy_bandwidth: BitRate,
        /// Throttle the guest while it dirties too much
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        auto_converge: bool,
        /// How auto-converge throttles (files only).
        #[arg(skip)]
        throttle: ThrottleKeys,
        /// Send differences of pages sent before
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        xbzrle: bool,
        /// XBZRLE's cache [default: 64MiB]
        #[arg(long, value_name = "SIZE")]
        xbzrle_cache: Bytes,
        /// Channels of multifd, 0 for off [default: 0]
        #[arg(long, value_name = "N")]
        multifd_channels: u32,
        /// Post-copy switches after so many passes, 0 for at once [default: 1]
        #[arg(long, value_name = "N")]
        postcopy_after_passes: u32,
        /// Post-copy switches at this time instead
        #[arg(long, value_name = "TIME")]
        postcopy_after: SimTime,
        /// How long it may take [default: as long as it makes progress]
        #[arg(long, value_name = "TIME")]
        timeout: SimTime,
        /// What happens then: abort, suspend or postcopy [default: abort]
        #[arg(long, value_name = "ACTION")]
        on_timeout: OnTimeout,
        /// Offline: bytes moved beside the memory image [default: 64KiB]
        #[arg(long, value_name = "SIZE")]
        offline_files: Bytes,
        /// Memory whose dirty log is cleared together, 0B for all at the sync [default: 1GiB]
        #[arg(long, value_name = "SIZE")]
        log_chunk: Bytes,
    }
}

/// How auto-converge throttles, in percent; QEMU's defaults where a key is left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
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

/// So many chunks of a guest's dirty log are followed at most.
const MOST_LOG_CHUNKS: u64 = 1 << 16;

/// A checked question without its profile.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What is moved.
    pub guest: Guest,
    /// Over what.
    pub path: Path,
    /// How.
    pub policy: Policy,
    /// How its dirty log is read.
    pub dirty_log: DirtyLog,
}

/// All keys of one question.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct Keys {
    /// The guest's.
    #[command(flatten)]
    pub guest: GuestKeys,
    /// The path's.
    #[command(flatten)]
    pub link: LinkKeys,
    /// The migration's.
    #[command(flatten)]
    pub migration: MigrationKeys,
}

impl Keys {
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

fn missing(key: &'static str, message: &str) -> SpecError {
    SpecError { key, message: message.to_owned() }
}

impl Case {
    /// Fills in defaults and checks what must hold between the keys.
    ///
    /// # Errors
    /// A needed key is missing, or keys contradict each other.
    pub fn build(keys: &Keys) -> Result<Case, SpecError> {
        let (g, l, m) = (&keys.guest, &keys.link, &keys.migration);
        let memory = g.memory.ok_or_else(|| {
            missing("memory", "the guest lacks `memory`, like `memory = \"4GiB\"` or `--memory 4GiB`")
        })?;
        let capacity = l.capacity.ok_or_else(|| {
            missing("capacity", "the link lacks its capacity, like `capacity = \"1Gbit/s\"` or `--link 1Gbit/s`")
        })?;
        let guest = Guest {
            name: g.name.as_deref().map_or_else(|| "guest".to_owned(), shown),
            memory,
            touched: g.touched.unwrap_or(memory),
            vcpus: g.vcpus.unwrap_or(1),
            workload: g.workload.clone().unwrap_or_default(),
            phase_offset: g.phase_offset,
            layout: g.layout.unwrap_or_default(),
            zero_head: g.zero_head.unwrap_or(Pages(0)),
            delta_bytes: g.delta_bytes.unwrap_or(256),
        };
        let path = Path {
            capacity,
            rtt: l.rtt.unwrap_or(SimTime(200_000)),
            transport: l.transport.unwrap_or_default(),
            send_buffer: l.send_buffer,
            changes: l.changes.clone().unwrap_or_default(),
        };
        let policy = Self::policy(m);
        guest.check()?;
        path.check()?;
        policy.check_over(path.transport)?;
        let chunk = match m.log_chunk.map(|size| size.pages().0) {
            None => DirtyLog::default(),
            Some(0) => DirtyLog::Eager,
            Some(pages) => {
                let least = qemu::LEAST_LOG_CHUNK.0.max(memory.0.div_ceil(MOST_LOG_CHUNKS));
                if pages < least {
                    let least = Pages(least).bytes();
                    let message = format!("log_chunk takes 0B, or {least} or more for a guest of {}", memory.bytes());
                    return Err(SpecError { key: "log_chunk", message });
                }
                DirtyLog::Chunked { pages }
            }
        };
        Ok(Case { guest, path, policy, dirty_log: chunk })
    }

    fn policy(m: &MigrationKeys) -> Policy {
        let default = Policy::default();
        let rule = AutoConverge::default();
        let throttle = m.throttle.clone().unwrap_or_default();
        Policy {
            mode: m.mode.unwrap_or_default(),
            qemu: m.qemu.unwrap_or(default.qemu),
            downtime_limit: m.downtime_limit.unwrap_or(default.downtime_limit),
            bandwidth_cap: m.bandwidth_cap,
            postcopy_bandwidth: m.postcopy_bandwidth,
            auto_converge: m.auto_converge.unwrap_or(false).then_some(AutoConverge {
                initial: throttle.initial.unwrap_or(rule.initial),
                increment: throttle.increment.unwrap_or(rule.increment),
                max: throttle.max.unwrap_or(rule.max),
                trigger: throttle.trigger.unwrap_or(rule.trigger),
            }),
            xbzrle: m.xbzrle.unwrap_or(false).then_some(m.xbzrle_cache.unwrap_or(Policy::DEFAULT_XBZRLE)),
            multifd_channels: m.multifd_channels.unwrap_or(0),
            switch: match (m.postcopy_after, m.postcopy_after_passes) {
                (Some(at), _) => Switch::AfterTime(at),
                (None, Some(0)) => Switch::AtStart,
                (None, passes) => Switch::AfterPasses(passes.unwrap_or(1)),
            },
            timeout: m.timeout,
            on_timeout: m.on_timeout.unwrap_or_default(),
            offline_files: m.offline_files.unwrap_or(Bytes(64 << 10)),
        }
    }

    /// The question that it asks of a pair of hosts.
    pub fn question<'a>(&'a self, profile: &'a Profile) -> Question<'a> {
        Question { guest: &self.guest, path: &self.path, policy: &self.policy, profile, dirty_log: self.dirty_log }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    guest: Vec<Spanned<GuestKeys>>,
    #[serde(default = "Option::default")]
    link: Option<Spanned<LinkKeys>>,
    #[serde(default = "Option::default")]
    migration: Option<Spanned<MigrationKeys>>,
}

/// The keys of every guest of a scenario, with those of `flags` over them, not yet checked.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What errors call the file; `None`: flags alone.
    file: Option<(std::path::PathBuf, String)>,
    guests: Vec<(Keys, [Option<Range<usize>>; 3])>,
}

impl Scenario {
    /// A scenario of one guest from flags alone.
    pub fn from_flags(flags: &Keys) -> Scenario {
        Scenario { file: None, guests: vec![(flags.clone(), [None, None, None])] }
    }

    /// Reads a scenario file; `flags` go over what every guest says.
    ///
    /// # Errors
    /// Names the file, the line and what is accepted.
    pub fn read(file: &FilePath, flags: &Keys) -> Result<Scenario, InputError> {
        let text = read_file(file)?;
        Scenario::parse(file, text, flags)
    }

    /// Like [`Scenario::read`], of a text that is at hand.
    ///
    /// # Errors
    /// Names the file, the line and what is accepted.
    pub fn parse(file: &FilePath, text: String, flags: &Keys) -> Result<Scenario, InputError> {
        let parsed: File = toml::from_str(&text).map_err(|e| toml_error(file, &text, &e))?;
        if parsed.guest.is_empty() {
            return Err(InputError::new(file.display().to_string(), "has no [[guest]]; it takes one or more"));
        }
        let link_span = parsed.link.as_ref().map(Spanned::span);
        let migration_span = parsed.migration.as_ref().map(Spanned::span);
        let link = parsed.link.map(Spanned::into_inner).unwrap_or_default();
        let migration = parsed.migration.map(Spanned::into_inner).unwrap_or_default();
        let count = parsed.guest.len();
        let guests = parsed
            .guest
            .into_iter()
            .enumerate()
            .map(|(index, table)| {
                let guest_span = table.span();
                let mut guest = table.into_inner();
                if guest.name.is_none() && count > 1 {
                    guest.name = Some(format!("guest {}", index + 1));
                }
                let own = Keys {
                    link: guest.link.take().unwrap_or_default().over(&link),
                    migration: guest.migration.take().unwrap_or_default().over(&migration),
                    guest,
                };
                (flags.over(&own), [Some(guest_span), link_span.clone(), migration_span.clone()])
            })
            .collect();
        Ok(Scenario { file: Some((file.to_owned(), text)), guests })
    }

    /// The keys of every guest.
    pub fn keys(&self) -> impl Iterator<Item = &Keys> {
        self.guests.iter().map(|(keys, _)| keys)
    }

    /// The keys of every guest, to be changed before they are checked.
    pub fn keys_mut(&mut self) -> impl Iterator<Item = &mut Keys> {
        self.guests.iter_mut().map(|(keys, _)| keys)
    }

    /// Checks every guest's keys.
    ///
    /// # Errors
    /// Names the file, the line and what is accepted.
    pub fn cases(&self) -> Result<Vec<Case>, InputError> {
        self.guests.iter().map(|(keys, spans)| Case::build(keys).map_err(|error| self.place(&error, spans))).collect()
    }

    /// Points at the line of the key at fault, in the guest's own table or in the file's.
    fn place(&self, error: &SpecError, spans: &[Option<Range<usize>>; 3]) -> InputError {
        let Some((file, text)) = &self.file else {
            return InputError::new("command line", error);
        };
        let tables = spans.iter().flatten();
        let found = tables.clone().find_map(|table| {
            // A table's span may be its header alone: look until the next table begins.
            let end = text[table.end..].find("\n[").map_or(text.len(), |at| table.end + at);
            let offset = line_of_key(text, table.start..end, error.key);
            (offset != table.start || text[offset..].starts_with(error.key)).then_some(offset)
        });
        let start = tables.clone().next().map_or(0, |table| table.start);
        InputError::at(file, text, found.unwrap_or(start), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let file = FilePath::new("rack.toml");
        let scenario = Scenario::parse(file, text.to_owned(), &Keys::default());
        match scenario.and_then(|s| s.cases()) {
            Ok(_) => "accepted".to_owned(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn mistakes_are_named_with_file_line_and_what_is_accepted() {
        for (text, message) in [
            (
                "[[guest]]\nmemory = \"4GiB\"\n",
                "rack.toml:1: the link lacks its capacity, like `capacity = \"1Gbit/s\"`",
            ),
            ("[link]\ncapacity = \"1Gbit/s\"\n[[guest]]\n", "rack.toml:3: the guest lacks `memory`"),
            (
                "[link]\ncapacity = \"1Gbit/s\"\n\n[[guest]]\nmemory = \"4GiB\"\ntouched = \"5GiB\"\n",
                "rack.toml:6: touched is 5GiB, more than the memory of 4GiB",
            ),
            ("[[guest]]\nmemory = 4096\n", "rack.toml:2: TOML parse error"),
            ("[[guest]]\nmemry = \"4GiB\"\n", "rack.toml:2: TOML parse error"),
            ("[[guest]]\nmemory = \"1GiB\"\n[link]\ncapacity = \"0bit/s\"\n", "rack.toml:4: the link's capacity is 0"),
            ("guest = []", "rack.toml: has no [[guest]]"),
            ("not toml at all", "rack.toml:1: TOML parse error"),
        ] {
            let got = error(text);
            assert!(got.starts_with(message), "{got}\nnot {message}");
        }
        assert!(error("[[guest]]\nmemory = 4096\n").contains("`4096` has no unit; a size is written like"));
        assert!(
            error("[[guest]]\nmemry = \"4GiB\"\n").contains("unknown field `memry`, expected one of `name`, `memory`")
        );
    }

    #[test]
    fn flags_go_over_a_guest_and_a_guest_over_the_file() {
        let text = "[link]\ncapacity = \"1Gbit/s\"\nrtt = \"1ms\"\n[migration]\ndowntime_limit = \"1s\"\n\
            [[guest]]\nmemory = \"1GiB\"\nlink = { capacity = \"2Gbit/s\" }\n[[guest]]\nmemory = \"2GiB\"\n";
        let mut flags = Keys::default();
        flags.migration.downtime_limit = Some(SimTime::from_millis(5));
        let scenario = Scenario::parse(FilePath::new("f"), text.to_owned(), &flags).unwrap();
        let cases = scenario.cases().unwrap();
        let capacities: Vec<_> = cases.iter().map(|c| c.path.capacity.to_string()).collect();
        assert_eq!(capacities, ["2Gbit/s", "1Gbit/s"]);
        assert!(cases.iter().all(|c| c.policy.downtime_limit == SimTime::from_millis(5)));
        assert!(cases.iter().all(|c| c.path.rtt == SimTime::from_millis(1)));
        assert_eq!(cases[1].guest.name, "guest 2");
    }
}
