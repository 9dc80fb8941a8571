//! An inventory: a CSV file with one row a guest, as a planner exports it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path as FilePath;
use std::str::FromStr;

use migsim_models::spec::{Path, SpecError};
use migsim_models::units::Pages;

use super::cluster::{MOST_GUESTS, Vm};
use crate::input::{
    Case, Cells, InputError, Keys, LinkKeys, MigrationKeys, Mistakes, Rows, nearest, quoted, shown,
};

/// Columns that every inventory has.
const NEEDED: [&str; 3] = ["name", "host", "memory"];
/// And those that it may have.
const OPTIONAL: [&str; 10] = [
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
];

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

/// Reads an inventory: each guest with the line of its row.
///
/// # Errors
/// Every row that cannot be used, with line, column and what is accepted.
pub(super) fn read(
    file: &FilePath,
    defaults: Defaults,
    hosts: &BTreeMap<String, usize>,
) -> Result<Vec<(u64, Vm)>, Mistakes> {
    let place = file.display().to_string();
    let input = std::fs::File::open(file).map_err(|e| InputError::new(&place, e))?;
    parse(&place, std::io::BufReader::new(input), defaults, hosts)
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
    let (mut reader, taken) = Rows::reader(input);
    let header = reader.headers().map_err(|e| InputError::new(place, e))?.clone();
    let mut columns = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = name.trim();
        if !NEEDED.contains(&name) && !OPTIONAL.contains(&name) {
            let known = NEEDED.iter().chain(&OPTIONAL).copied().collect::<Vec<_>>().join(", ");
            let what = format!("unknown column `{}`; it takes {known}", quoted(name));
            mistakes.push(InputError::new(format!("{place}:1"), what));
        } else if columns.insert(name.to_owned(), index).is_some() {
            mistakes.push(InputError::new(
                format!("{place}:1"),
                format!("column `{name}` stands there twice"),
            ));
        }
    }
    for name in NEEDED {
        if !columns.contains_key(name) {
            mistakes
                .push(InputError::new(format!("{place}:1"), format!("lacks the column `{name}`")));
        }
    }
    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    let mut found = Vec::new();
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    // Hosts that there are none of: one cause is told once, however many guests are on it.
    let mut nowhere: BTreeMap<String, (u64, usize)> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(|e| InputError::new(place, e))?;
        taken();
        if found.len() + mistakes.len() >= MOST_GUESTS {
            return Err(InputError::new(
                place,
                format!("has more than {MOST_GUESTS} rows, the most that are read"),
            )
            .into());
        }
        let line = row.position().map_or(0, csv::Position::line);
        let row = Row(Cells { columns: &columns, row: &row });
        if let Some(name) = row.text("name")
            && let Some(before) = lines.insert(name.to_owned(), line)
        {
            let taken =
                format!("column `name`: the name `{}` is taken by line {before}", quoted(name));
            mistakes.push(InputError::new(format!("{place}:{line}"), taken));
        }
        if let Some(name) = row.text("host").filter(|name| !hosts.contains_key(&shown(name))) {
            nowhere.entry(shown(name)).or_insert((line, 0)).1 += 1;
        }
        match row.vm(defaults, hosts) {
            Ok(vm) => found.push((line, vm)),
            Err(problems) => {
                mistakes.extend(
                    problems
                        .into_iter()
                        .map(|what| InputError::new(format!("{place}:{line}"), what)),
                );
            }
        }
    }
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
    if mistakes.is_empty() { Ok(found) } else { Err(Mistakes(mistakes)) }
}

struct Row<'a>(Cells<'a>);

impl Row<'_> {
    fn text(&self, column: &str) -> Option<&str> {
        self.0.text(column)
    }

    fn parse<T: FromStr>(&self, column: &str, problems: &mut Vec<String>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let noted = |why| problems.push(format!("column `{column}`: {why}"));
        self.0.parse(column).map_err(noted).ok().flatten()
    }

    fn vm(&self, defaults: Defaults, hosts: &BTreeMap<String, usize>) -> Result<Vm, Vec<String>> {
        let mut problems = Vec::new();
        if self.0.row.len() != self.0.columns.len() {
            return Err(vec![format!(
                "the row has {} fields, the header {}",
                self.0.row.len(),
                self.0.columns.len()
            )]);
        }
        let mut keys = defaults.keys.clone();
        let (g, m) = (&mut keys.guest, &mut keys.migration);
        g.name = self.text("name").map(str::to_owned);
        g.memory = self.parse::<Pages>("memory", &mut problems);
        g.touched = self.parse("touched", &mut problems);
        g.workload = self.parse("workload", &mut problems);
        g.vcpus = self.parse("vcpus", &mut problems);
        g.layout = self.parse("layout", &mut problems);
        g.delta_bytes = self.parse("delta_bytes", &mut problems);
        m.mode = self.parse("mode", &mut problems).or(m.mode);
        m.downtime_limit = self.parse("downtime_limit", &mut problems).or(m.downtime_limit);
        m.auto_converge = self.parse("auto_converge", &mut problems).or(m.auto_converge);
        let cpu: Option<f64> = self.parse("cpu", &mut problems);
        let host = match self.text("host") {
            None => {
                problems.push("column `host` is empty, and needed".to_owned());
                None
            }
            // One that there is none of is told once for all rows.
            Some(name) => hosts.get(&shown(name)).copied(),
        };
        for column in ["name", "memory"] {
            if self.text(column).is_none() {
                problems.push(format!("column `{column}` is empty, and needed"));
            }
        }
        let stays = match self.text("move").map(str::to_lowercase).as_deref() {
            None | Some("yes" | "true" | "1") => false,
            Some("no" | "false" | "0") => true,
            Some(other) => {
                problems
                    .push(format!("column `move`: it takes yes or no, not `{}`", quoted(other)));
                false
            }
        };
        let (true, Some(host)) = (problems.is_empty(), host) else { return Err(problems) };
        keys.migration = defaults.migration(&keys.migration);
        let vm = vm(&keys, host, cpu).map_err(|error| vec![error])?;
        Ok(Vm { stays, ..vm })
    }
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
        cpu,
        given: [keys.guest.workload.is_some(), keys.guest.vcpus.is_some()],
    })
}
