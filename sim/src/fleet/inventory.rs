//! An inventory: a CSV file with one row a guest, as a planner exports it.

use std::collections::BTreeMap;
use std::io::Read;

use migsim_models::spec::{Path, SpecError};
use migsim_models::units::Pages;

use super::cluster::{MOST_GUESTS, Vm};
use super::sheet::{Columns, Row};
use crate::input::{
    Case, InputError, Keys, LinkKeys, MigrationKeys, Mistakes, nearest, quoted, shown,
};

/// What a row says of its guest.
const COLUMNS: Columns = Columns {
    needed: &["name", "host", "memory"],
    optional: &[
        "touched",
        "workload",
        "vcpus",
        "cpu",
        "layout",
        "delta_bytes",
        "mode",
        "downtime_limit",
        "auto_converge",
        "move",
        "apart",
        // For people: what is guessed, say.
        "note",
    ],
};

/// Takes away what a fleet has no use for in a scenario's link: a path is found for each move.
/// Returns the keys that were there, and why each is a mistake.
pub(super) fn without_effect(link: &mut LinkKeys) -> impl Iterator<Item = (&'static str, String)> {
    let given = [
        ("capacity", link.capacity.take().is_some()),
        ("rtt", link.rtt.take().is_some()),
        ("changes", link.changes.take().is_some()),
    ];
    given.into_iter().filter(|(_, given)| *given).map(|(key, _)| {
        let links = "has no effect in a fleet, whose links are nic, uplink, core and wan; [link] takes transport and send_buffer";
        (key, format!("link.{key} {links}"))
    })
}

/// What guests have beside their own keys.
#[derive(Debug, Clone, Copy)]
pub struct Defaults<'a> {
    /// The file's `[link]` and `[migration]`, for what they do not say.
    pub keys: &'a Keys,
    /// Changes of the migration, whatever they say.
    pub over: &'a MigrationKeys,
}

impl Defaults<'_> {
    /// How a guest is moved that says so much of it.
    pub(super) fn migration(&self, own: &MigrationKeys) -> MigrationKeys {
        self.over.over(&own.over(&self.keys.migration))
    }
}

/// Reads an inventory of which errors say that it is at `place`: each guest with the line of its
/// row.
///
/// # Errors
/// Every row that cannot be used, with line, column and what is accepted.
pub fn parse(
    place: &str,
    input: impl Read,
    defaults: Defaults,
    hosts: &BTreeMap<String, usize>,
) -> Result<Vec<(u64, Vm)>, Mistakes> {
    let mut found = Vec::new();
    // Hosts that there are none of: one cause is told once, however many guests are on it.
    let mut nowhere: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    let read = COLUMNS.read(place, input, MOST_GUESTS, |line, row| {
        let host = row.text("host").map(shown);
        let known = host.as_ref().and_then(|name| hosts.get(name).copied());
        if let (Some(name), None) = (host, known) {
            nowhere.entry(name).or_insert((line, 0)).1 += 1;
        }
        found.extend(guest(row, defaults, known).map(|vm| (line, vm)));
    });
    let mut mistakes = read.err().map_or(Vec::new(), |Mistakes(mistakes)| mistakes);
    for (name, (line, count)) in nowhere {
        let others = match count {
            1 => String::new(),
            count => format!(" (so say {count} rows)"),
        };
        let meant = nearest(&name, hosts.keys())
            .map_or(String::new(), |known| format!("; did you mean `{known}`?"));
        mistakes.push(InputError::new(
            format!("{place}:{line}"),
            format!("column `host`: there is no host `{}`{others}{meant}", quoted(&name)),
        ));
    }
    if found.is_empty() && mistakes.is_empty() {
        mistakes.push(InputError::new(place, "has no rows; an inventory has one for each guest"));
    }
    Mistakes(mistakes).or(found)
}

/// The guest of a row; `None`: something is wrong, which was noted, or its host is unknown.
fn guest(row: &mut Row, defaults: Defaults, host: Option<usize>) -> Option<Vm> {
    let mut keys = defaults.keys.clone();
    let (g, m) = (&mut keys.guest, &mut keys.migration);
    g.name = row.text("name").map(str::to_owned);
    g.memory = row.parse::<Pages>("memory");
    g.touched = row.parse("touched");
    g.workload = row.parse("workload");
    g.vcpus = row.parse("vcpus");
    g.layout = row.parse("layout");
    g.delta_bytes = row.parse("delta_bytes");
    m.mode = row.parse("mode").or(m.mode);
    m.downtime_limit = row.parse("downtime_limit").or(m.downtime_limit);
    m.auto_converge = row.parse("auto_converge").or(m.auto_converge);
    let cpu: Option<f64> = row.parse("cpu");
    let (apart, note) = (row.text("apart").map(shown), row.text("note").map(shown));
    let stays = match row.text("move").map(str::to_lowercase).as_deref() {
        None | Some("yes" | "true" | "1") => false,
        Some("no" | "false" | "0") => true,
        Some(other) => {
            row.wrong("move", format!("it takes yes or no, not `{}`", quoted(other)));
            false
        }
    };
    keys.migration = defaults.migration(&keys.migration);
    let host = host.filter(|_| row.is_right())?;
    let vm = vm(&keys, host, cpu).map_err(|why| row.wrong_in_all(why)).ok()?;
    Some(Vm { stays, apart, note, ..vm })
}

/// A guest from its keys, its host and how much of its processors it uses.
///
/// # Errors
/// What does not fit together.
pub(super) fn vm(keys: &Keys, host: usize, cpu: Option<f64>) -> Result<Vm, String> {
    let mut link = keys.link.clone();
    if let Some((_, why)) = without_effect(&mut link).next() {
        return Err(why);
    }
    let said = |error: SpecError| error.to_string();
    let guest = Case::guest(&keys.guest).map_err(said)?;
    guest.check().map_err(said)?;
    Path::check_send_buffer(link.send_buffer).map_err(said)?;
    let transport = link.transport.unwrap_or_default();
    let (policy, dirty_log) = Case::migration(&keys.migration, transport, &guest).map_err(said)?;
    let vcpus = f64::from(guest.vcpus);
    // A guest that is not said to do nothing is taken to keep one of its processors busy.
    let cpu = cpu.unwrap_or(if guest.workload.terms.is_empty() { 0.0 } else { 1.0 });
    if !(0.0..=vcpus).contains(&cpu) {
        return Err(format!("cpu is {cpu}; a guest of {vcpus} vCPUs uses 0 to {vcpus}"));
    }
    Ok(Vm {
        guest,
        policy,
        dirty_log,
        transport,
        send_buffer: link.send_buffer,
        host,
        stays: false,
        apart: None,
        note: None,
        cpu,
        given: [keys.guest.workload.is_some(), keys.guest.vcpus.is_some()],
    })
}
