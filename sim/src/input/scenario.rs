//! Scenarios: questions from a TOML file, from flags, or from both.

use std::ops::Range;
use std::path::Path as FilePath;

use migsim_models::profile::Profile;
use migsim_models::qemu::{self, AutoConverge};
use migsim_models::spec::{Guest, Path, Policy, SpecError, Switch, Transport};
use migsim_models::text::shown;
use migsim_models::units::{Bytes, Pages};
use serde::Deserialize;
use toml::Spanned;

use super::error::{InputError, Mistakes, line_of_key, whole_table};
use super::keys::{GuestKeys, Keys, LinkKeys, MigrationKeys};
use super::text::read_file;
use super::toml::from_toml;
use crate::engine::{DirtyLog, Question};

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

fn missing(key: &'static str, message: &str) -> SpecError {
    SpecError { key, message: message.to_owned() }
}

impl Case {
    /// Fills in defaults and checks what must hold between the keys.
    ///
    /// # Errors
    /// A needed key is missing, or keys contradict each other.
    pub fn build(keys: &Keys) -> Result<Case, SpecError> {
        let l = &keys.link;
        let guest = Case::guest(&keys.guest)?;
        let capacity = l.capacity.ok_or_else(|| {
            missing(
                "capacity",
                "the link lacks its capacity, like `capacity = \"1Gbit/s\"` or `--link 1Gbit/s`",
            )
        })?;
        let plain = Path::of(capacity);
        let path = Path {
            capacity,
            rtt: l.rtt.unwrap_or(plain.rtt),
            transport: l.transport.unwrap_or(plain.transport),
            send_buffer: l.send_buffer,
            changes: l.changes.clone().unwrap_or(plain.changes),
        };
        guest.check()?;
        path.check()?;
        let (policy, dirty_log) = Case::migration(&keys.migration, path.transport, &guest)?;
        Ok(Case { guest, path, policy, dirty_log })
    }

    /// The guest of its keys, not yet checked.
    ///
    /// # Errors
    /// It lacks its memory.
    pub(crate) fn guest(g: &GuestKeys) -> Result<Guest, SpecError> {
        let memory = g.memory.ok_or_else(|| {
            missing(
                "memory",
                "the guest lacks `memory`, like `memory = \"4GiB\"` or `--memory 4GiB`",
            )
        })?;
        let plain = Guest::of(memory);
        Ok(Guest {
            name: g.name.as_deref().map_or(plain.name, shown),
            memory,
            touched: g.touched.unwrap_or(plain.touched),
            vcpus: g.vcpus.unwrap_or(plain.vcpus),
            workload: g.workload.clone().unwrap_or(plain.workload),
            phase_offset: g.phase_offset,
            layout: g.layout.unwrap_or(plain.layout),
            zero_head: g.zero_head.unwrap_or(plain.zero_head),
            delta_bytes: g.delta_bytes.unwrap_or(plain.delta_bytes),
        })
    }

    /// How a guest is moved over a transport, and how its dirty log is read, checked.
    ///
    /// # Errors
    /// Keys contradict each other.
    pub(crate) fn migration(
        m: &MigrationKeys,
        transport: Transport,
        guest: &Guest,
    ) -> Result<(Policy, DirtyLog), SpecError> {
        let policy = Self::policy(m);
        policy.check_over(transport)?;
        let dirty_log = match m.log_chunk.map(|size| size.pages().0) {
            None => DirtyLog::default(),
            Some(0) => DirtyLog::Eager,
            Some(pages) => {
                let least = qemu::LEAST_LOG_CHUNK.0.max(guest.memory.0.div_ceil(MOST_LOG_CHUNKS));
                if pages < least {
                    let (least, memory) = (Pages(least).bytes(), guest.memory.bytes());
                    let message =
                        format!("log_chunk takes 0B, or {least} or more for a guest of {memory}");
                    return Err(SpecError { key: "log_chunk", message });
                }
                DirtyLog::Chunked { pages }
            }
        };
        Ok((policy, dirty_log))
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
            xbzrle: m
                .xbzrle
                .unwrap_or(false)
                .then_some(m.xbzrle_cache.unwrap_or(Policy::DEFAULT_XBZRLE)),
            multifd_channels: m.multifd_channels.unwrap_or(0),
            switch: match (m.postcopy_after, m.postcopy_after_passes) {
                (Some(at), _) => Switch::AfterTime(at),
                (None, Some(0)) => Switch::AtStart,
                (None, passes) => Switch::AfterIterations(passes.unwrap_or(1)),
            },
            timeout: m.timeout,
            on_timeout: m.on_timeout.unwrap_or_default(),
            offline_files: m.offline_files.unwrap_or(Bytes(64 << 10)),
        }
    }

    /// The case of a scenario of one guest, as a text.
    ///
    /// # Errors
    /// The line, what is wrong there and what is accepted; there are several guests.
    pub fn from_toml(text: &str) -> Result<Case, Mistakes> {
        let mut cases =
            Scenario::parse(FilePath::new("scenario"), text.to_owned(), &Keys::default())?
                .cases()?;
        match (cases.pop(), cases.len()) {
            (Some(case), 0) => Ok(case),
            (_, others) => Err(InputError::new(
                "scenario",
                format!("has {} guests; one is asked for", others + 1),
            )
            .into()),
        }
    }

    /// The question that it asks of a pair of hosts.
    pub fn question<'a>(&'a self, profile: &'a Profile) -> Question<'a> {
        Question {
            guest: &self.guest,
            path: &self.path,
            policy: &self.policy,
            profile,
            dirty_log: self.dirty_log,
        }
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

    /// A scenario from a file where there is one, and else from flags alone.
    ///
    /// # Errors
    /// Those of [`Scenario::read`].
    pub fn asked(file: Option<&FilePath>, flags: &Keys) -> Result<Scenario, Mistakes> {
        file.map_or_else(|| Ok(Scenario::from_flags(flags)), |file| Scenario::read(file, flags))
    }

    /// Reads a scenario file; `flags` go over what every guest says.
    ///
    /// # Errors
    /// Names the file, the line and what is accepted.
    pub fn read(file: &FilePath, flags: &Keys) -> Result<Scenario, Mistakes> {
        let text = read_file(file)?;
        Scenario::parse(file, text, flags)
    }

    /// Like [`Scenario::read`], of a text that is at hand.
    ///
    /// # Errors
    /// Names the file, the line and what is accepted.
    pub fn parse(file: &FilePath, text: String, flags: &Keys) -> Result<Scenario, Mistakes> {
        let parsed: File = from_toml(file, &text)?;
        if parsed.guest.is_empty() {
            return Err(InputError::new(
                file.display().to_string(),
                "has no [[guest]]; it takes one or more",
            )
            .into());
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
    /// Names everything that is wrong: the file, the line and what is accepted.
    pub fn cases(&self) -> Result<Vec<Case>, Mistakes> {
        let (mut cases, mut mistakes) = (Vec::new(), Vec::new());
        for (keys, spans) in &self.guests {
            match Case::build(keys).map_err(|error| self.place(&error, spans)) {
                Ok(case) => cases.push(case),
                // What all guests share is told once.
                Err(mistake) if mistakes.contains(&mistake) => {}
                Err(mistake) => mistakes.push(mistake),
            }
        }
        Mistakes(mistakes).or(cases)
    }

    /// Points at the line of the key at fault, in the guest's own table or in the file's.
    fn place(&self, error: &SpecError, spans: &[Option<Range<usize>>; 3]) -> InputError {
        let Some((file, text)) = &self.file else {
            return InputError::new("command line", error);
        };
        let tables = spans.iter().flatten();
        let found = tables.clone().find_map(|table| {
            let offset = line_of_key(text, whole_table(text, table.clone()), error.key);
            (offset != table.start || text[offset..].starts_with(error.key)).then_some(offset)
        });
        let start = tables.clone().next().map_or(0, |table| table.start);
        InputError::at(file, text, found.unwrap_or(start), error)
    }
}

#[cfg(test)]
mod tests {
    use migsim_models::units::SimTime;

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
            (
                "[link]\ncapacity = \"1Gbit/s\"\n[[guest]]\n",
                "rack.toml:3: the guest lacks `memory`",
            ),
            (
                "[link]\ncapacity = \"1Gbit/s\"\n\n[[guest]]\nmemory = \"4GiB\"\ntouched = \"5GiB\"\n",
                "rack.toml:6: touched is 5GiB, more than the memory of 4GiB",
            ),
            ("[[guest]]\nmemory = 4096\n", "rack.toml:2: TOML parse error"),
            ("[[guest]]\nmemry = \"4GiB\"\n", "rack.toml:2: TOML parse error"),
            (
                "[[guest]]\nmemory = \"1GiB\"\n[link]\ncapacity = \"0bit/s\"\n",
                "rack.toml:4: the link's capacity is 0",
            ),
            ("guest = []", "rack.toml: has no [[guest]]"),
            ("not toml at all", "rack.toml:1: TOML parse error"),
        ] {
            let got = error(text);
            assert!(got.starts_with(message), "{got}\nnot {message}");
        }
        assert!(error("[[guest]]\nmemory = 4096\n").contains(
            "`4096` has no unit: it may be `4096MiB`, `4096KiB` or `4096B`; a size is written like"
        ));
        assert!(
            error("[[guest]]\nmemry = \"4GiB\"\n")
                .contains("unknown field `memry`, expected one of `name`, `memory`")
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
