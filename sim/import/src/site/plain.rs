//! A sheet of one's own: columns are known by what people call them.

use migsim::input::{InputError, Mistakes, quoted};
use migsim_models::units::{BitRate, Bytes, PageRate};
use migsim_models::workload::Workload;

use super::{Guest, Host, Site};
use crate::number::size;
use crate::source::Source;
use crate::table::{Row, Table};

/// What a column is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Host,
    Memory,
    Touched,
    Vcpus,
    /// Processors' worth of work.
    Load,
    Workload,
    /// Distinct pages that a guest dirties in a second: so many for each unit of the cell.
    DirtyRate(u32),
    Moves,
    Pinned,
    Apart,
    Nic,
    Rack,
    /// For people.
    Note,
}

/// Pages of 4 KiB in a MiB.
const PAGES_PER_MIB: u32 = 256;

/// What people call a column, in small letters and digits alone; a size may have its unit behind.
const NAMES: [(Column, &[&str]); 12] = [
    (Column::Name, &["name", "vm", "vmname", "guest", "instance", "domain", "server"]),
    (Column::Host, &["host", "hostname", "node", "hypervisor", "esxhost", "on", "vmhost"]),
    (Column::Memory, &["memory", "ram", "mem", "size"]),
    (Column::Touched, &["touched", "consumed", "usedmemory", "memoryused", "memused"]),
    (Column::Vcpus, &["vcpus", "vcpu", "cpus", "cpu", "cores", "cpucores"]),
    (Column::Workload, &["workload", "writes"]),
    (Column::Moves, &["move", "moves", "migrate"]),
    (Column::Pinned, &["pinned", "pin", "stays", "pinnedtohost", "donotmove"]),
    (Column::Apart, &["apart", "antiaffinity", "keepapart"]),
    (Column::Nic, &["nic", "network", "link", "networkcard"]),
    (Column::Rack, &["rack"]),
    (Column::Note, &["note", "notes", "comment", "annotation"]),
];
/// Units of a dirty rate, behind one of its names.
const DIRTY: [&str; 5] = ["dirtyrate", "dirtypages", "dirtypagerate", "dirty", "dirtied"];
const RATES: [(u32, &[&str]); 3] = [
    (
        1,
        &[
            "",
            "p",
            "ps",
            "pages",
            "pagess",
            "pagessec",
            "pagespersec",
            "pagespersecond",
            "persec",
            "s",
        ],
    ),
    (PAGES_PER_MIB, &["mibs", "mbs", "mib", "mb", "mibpersec", "mbpersec"]),
    (PAGES_PER_MIB * 1024, &["gibs", "gbs", "gib", "gb"]),
];

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// What a column is about, and the unit in its name; `None`: something else.
fn known(name: &str) -> Option<(Column, String)> {
    let name = plain(name);
    for (column, names) in NAMES {
        if names.contains(&name.as_str()) {
            return Some((column, String::new()));
        }
        let sized = matches!(column, Column::Memory | Column::Touched);
        let unit = names.iter().filter(|_| sized).find_map(|known| {
            let unit = name.strip_prefix(known)?;
            size(&format!("1{unit}")).map(|_| unit.to_owned())
        });
        if let Some(unit) = unit {
            return Some((column, unit));
        }
    }
    DIRTY.iter().find_map(|dirty| {
        let unit = name.strip_prefix(dirty)?;
        let (pages, _) = RATES.iter().find(|(_, units)| units.contains(&unit))?;
        Some((Column::DirtyRate(*pages), String::new()))
    })
}

fn is_of(name: &str, column: Column) -> bool {
    known(name).is_some_and(|(one, _)| one == column)
}

/// Whether a header is one of a sheet of guests, or of hosts.
pub(crate) fn is_sheet(names: &[String]) -> bool {
    let has = |column: Column| names.iter().any(|name| is_of(name, column));
    let others = names.iter().filter_map(|name| known(name)).any(|(column, _)| {
        !matches!(column, Column::Name | Column::Host | Column::Note | Column::Rack)
    });
    (has(Column::Name) || has(Column::Host)) && others
}

/// The columns of a sheet.
struct Columns<'a> {
    known: Vec<(&'a str, Column, String)>,
    /// Its name alone says what a row is about.
    of_hosts: bool,
}

impl<'a> Columns<'a> {
    fn of(site: &mut Site, source: &Source, table: &'a Table) -> Result<Columns<'a>, InputError> {
        let (mut found, mut others) = (Vec::new(), Vec::new());
        // Beside a column of vCPUs, `cpu` is a load, as in our own guests.csv.
        let is_load = |name: &str| {
            let counts = |other: &str| other != name && is_of(other, Column::Vcpus);
            plain(name) == "cpu" && table.names().any(counts)
        };
        for name in table.names() {
            match known(name) {
                Some(_) if is_load(name) => found.push((name, Column::Load, String::new())),
                Some((column, unit)) => found.push((name, column, unit)),
                None => others.push(name),
            }
        }
        for (index, (name, column, _)) in found.iter().enumerate() {
            let before = found[..index].iter().find(|(_, other, _)| other == column);
            if let Some((other, ..)) = before.filter(|_| *column != Column::Note) {
                return Err(InputError::new(
                    format!("{}:1", source.place),
                    format!(
                        "the columns `{}` and `{}` are about the same thing; take one of them out, or name it otherwise",
                        quoted(other),
                        quoted(name)
                    ),
                ));
            }
        }
        // What looks like it decides must not be dropped.
        let decides = |name: &&&str| {
            ["dirty", "pin", "rate", "affinity"].iter().any(|part| name.contains(part))
        };
        if let Some(name) = others.iter().find(decides) {
            let names =
                "`dirty_rate` (pages/s), `dirty rate (MiB/s)`, `pinned` and `anti-affinity`";
            return Err(InputError::new(
                format!("{}:1", source.place),
                format!(
                    "column `{}` is not known, and may decide; it takes {names}. Name it so, or take it out",
                    quoted(name)
                ),
            ));
        }
        if !others.is_empty() {
            let names: Vec<String> =
                others.iter().map(|name| format!("`{}`", quoted(name))).collect();
            site.notes.push(format!(
                "{}: nothing is taken from the columns {}",
                source.place,
                names.join(", ")
            ));
        }
        let has = |column: Column| found.iter().any(|(_, one, _)| *one == column);
        let of_hosts = !has(Column::Name) || (has(Column::Nic) && !has(Column::Host));
        Ok(Columns { known: found, of_hosts })
    }

    fn name(&self, wanted: Column) -> Option<&'a str> {
        self.known.iter().find(|(_, column, _)| *column == wanted).map(|(name, ..)| *name)
    }

    /// A size in a column whose header or cells have a unit.
    fn size(&self, row: &Row, wanted: Column) -> Result<Option<Bytes>, InputError> {
        let Some((column, _, unit)) = self.known.iter().find(|(_, column, _)| *column == wanted)
        else {
            return Ok(None);
        };
        let Some(text) = row.text(column) else { return Ok(None) };
        if !text.ends_with(|c: char| c.is_ascii_digit()) {
            let text = text.replace(',', ".");
            let wrong = || {
                row.error(format!(
                    "column `{column}`: `{}`: it takes a size like `16 GiB`",
                    quoted(&text)
                ))
            };
            return size(&text).map(Some).ok_or_else(wrong);
        }
        if unit.is_empty() {
            return Err(row.error(format!(
                "column `{column}`: `{}` has no unit; write `{column} (MiB)` in the header, or `{text}MiB` in the cells",
                quoted(text)
            )));
        }
        let number = row.decimal(column, text)?;
        Ok(size(&format!("{number}{unit}")))
    }

    fn count(&self, row: &Row, wanted: Column) -> Result<Option<f64>, InputError> {
        self.name(wanted).map_or(Ok(None), |column| row.number(column))
    }

    fn text<'b>(&self, row: &Row<'b>, wanted: Column) -> Option<&'b str> {
        row.text(self.name(wanted)?)
    }

    fn says_yes(&self, row: &Row, wanted: Column) -> Result<Option<bool>, InputError> {
        let Some(text) = self.text(row, wanted) else { return Ok(None) };
        match text.to_lowercase().as_str() {
            "no" | "false" | "0" | "n" | "nein" | "falsch" => Ok(Some(false)),
            "yes" | "true" | "1" | "y" | "x" | "ja" | "wahr" => Ok(Some(true)),
            _ => {
                let column = self.name(wanted).unwrap_or_default();
                Err(row.error(format!(
                    "column `{column}`: it takes yes or no, not `{}`",
                    quoted(text)
                )))
            }
        }
    }

    /// What a guest writes, which one column says.
    fn workload(&self, row: &Row) -> Result<Option<String>, InputError> {
        let mut said: Option<(&str, String)> = None;
        for (column, about, _) in &self.known {
            let Some(text) = row.text(column) else { continue };
            let new = match about {
                Column::Workload => match text.parse::<Workload>() {
                    Ok(_) => text.to_owned(),
                    Err(why) => {
                        return Err(
                            row.error(format!("column `{column}`: `{}`: {why}", quoted(text)))
                        );
                    }
                },
                Column::DirtyRate(pages) => dirty(row, column, row.decimal(column, text)?, *pages)?,
                _ => continue,
            };
            if let Some((other, _)) = said {
                return Err(row.error(format!(
                    "columns `{other}` and `{column}` both say what it writes; one is enough"
                )));
            }
            said = Some((column, new));
        }
        Ok(said.map(|(_, text)| text))
    }
}

/// A guest known by the pages that it dirties in a second, `each` for a unit of the cell.
fn dirty(row: &Row, column: &str, said: f64, each: u32) -> Result<String, InputError> {
    let rate = said * f64::from(each);
    match PageRate::new(rate) {
        Some(_) if rate < 1.0 => Ok("idle".to_owned()),
        Some(_) => Ok(format!("dirty({rate:.0}p/s)")),
        None => Err(row.error(format!("column `{column}`: {said} is no rate"))),
    }
}

pub(super) fn read(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let table = Table::of_sheet(source)?;
    let columns = Columns::of(site, source, &table)?;
    let mut mistakes = Vec::new();
    for row in table.rows() {
        let read = match columns.of_hosts {
            true => host(&columns, &row).map(|host| site.host(host)),
            false => guest(&columns, &row).and_then(|guest| site.guest(guest)),
        };
        mistakes.extend(read.err());
    }
    Mistakes(mistakes).or(())
}

fn guest(columns: &Columns, row: &Row) -> Result<Guest, InputError> {
    let pinned = columns.says_yes(row, Column::Pinned)?.filter(|yes| *yes).map(|_| "pinned");
    let moves =
        columns.says_yes(row, Column::Moves)?.filter(|yes| !*yes).map(|_| "not to be moved");
    let vcpus = columns.count(row, Column::Vcpus)?;
    Ok(Guest {
        name: row.needed(columns.name(Column::Name).unwrap_or("name"))?.to_owned(),
        host: columns.text(row, Column::Host).map(str::to_owned),
        memory: columns.size(row, Column::Memory)?,
        touched: columns.size(row, Column::Touched)?,
        vcpus: vcpus.map(|vcpus| vcpus as u32),
        cpu: columns.count(row, Column::Load)?,
        workload: columns.workload(row)?,
        stays: pinned.or(moves).map(str::to_owned),
        apart: columns.text(row, Column::Apart).map(str::to_owned),
        is_beside: true,
        place: row.place(),
        ..Guest::default()
    })
}

fn host(columns: &Columns, row: &Row) -> Result<Host, InputError> {
    let name = columns.name(Column::Host).or(columns.name(Column::Name)).unwrap_or("host");
    let nic = columns.name(Column::Nic).map_or(Ok(None), |column| {
        row.read(column, "a bit rate like `10GbE`", |text| text.parse::<BitRate>().ok())
    });
    Ok(Host {
        name: row.needed(name)?.to_owned(),
        memory: columns.size(row, Column::Memory)?,
        cores: columns.count(row, Column::Vcpus)?,
        nic: nic?,
        rack: columns.text(row, Column::Rack).map(str::to_owned),
        ..Host::default()
    })
}
