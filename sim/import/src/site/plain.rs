//! A sheet of one's own: columns are known by what people call them.

use migsim::input::{InputError, Mistakes, quoted};
use migsim_models::units::{BitRate, Bytes, PageRate};
use migsim_models::workload::Workload;

use super::{Guest, Host, Site};
use crate::number::{size, whole};
use crate::source::Source;
use crate::table::{Row, Table};

const NAME: [&str; 8] =
    ["name", "vm", "vm name", "vmname", "guest", "instance", "domain", "server"];
const HOST: [&str; 6] = ["host", "hostname", "node", "hypervisor", "esx host", "on"];
const VCPUS: [&str; 5] = ["vcpus", "vcpu", "cpus", "cpu(s)", "cores"];
const MEMORY: [&str; 3] = ["memory", "ram", "mem"];
const TOUCHED: [&str; 4] = ["touched", "consumed", "used memory", "memory used"];
const WORKLOAD: [&str; 2] = ["workload", "writes"];
/// Distinct pages that a guest dirties in a second.
const DIRTY_PAGES: [&str; 4] = ["dirty_rate", "dirty rate", "dirty pages/s", "pages/s"];
/// The same as calc-dirty-rate says it.
const DIRTY_MIB: [&str; 4] = ["dirty rate mib/s", "dirty rate mb/s", "dirty_rate_mib_s", "mib/s"];
const MOVE: [&str; 2] = ["move", "migrate"];
const PINNED: [&str; 2] = ["pinned", "stays"];
const APART: [&str; 3] = ["apart", "anti-affinity", "anti_affinity"];
const NIC: [&str; 3] = ["nic", "network", "link"];

/// A name of a column and its unit, where it has one: `memory (mib)`, `ram_gb`.
fn with_unit<'a>(table: &'a Table, names: &[&str]) -> Option<(&'a str, String)> {
    table.names().find_map(|column| {
        names.iter().find_map(|name| {
            let rest = column.strip_prefix(name)?;
            let unit = rest.trim_matches([' ', '_', '(', ')', '[', ']', '-']);
            let is_unit = unit.is_empty() || size(&format!("1{unit}")).is_some();
            let apart = rest.is_empty() || !rest.starts_with(|c: char| c.is_alphanumeric());
            (is_unit && apart).then(|| (column, unit.to_owned()))
        })
    })
}

/// Whether a header is one of a sheet of guests, or of hosts.
pub(crate) fn is_sheet(names: &[String]) -> bool {
    let has = |wanted: &[&str]| wanted.iter().any(|name| names.iter().any(|n| n == name));
    let memory = || names.iter().any(|name| MEMORY.iter().any(|memory| name.starts_with(memory)));
    let rates = || {
        has(&DIRTY_PAGES)
            || has(&DIRTY_MIB)
            || has(&WORKLOAD)
            || has(&MOVE)
            || has(&PINNED)
            || has(&APART)
    };
    (has(&NAME) && (memory() || rates())) || (has(&HOST) && (memory() || has(&NIC)))
}

pub(super) fn read(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let table = Table::of_sheet(source)?;
    let name = table.first(&NAME);
    let mut mistakes = Vec::new();
    for row in table.rows() {
        let read = match name {
            Some(name) => guest(&table, name, &row).and_then(|guest| site.guest(guest)),
            None => host(&table, &row).map(|host| site.host(host)),
        };
        mistakes.extend(read.err());
    }
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

/// A size in a column whose header or cells have a unit.
fn sized(table: &Table, row: &Row, names: &[&str]) -> Result<Option<Bytes>, InputError> {
    let Some((column, unit)) = with_unit(table, names) else { return Ok(None) };
    let Some(text) = row.text(column) else { return Ok(None) };
    let bare = text.ends_with(|c: char| c.is_ascii_digit());
    if bare && unit.is_empty() {
        return Err(row.error(format!(
            "column `{column}`: `{}` has no unit; write `{column} (MiB)` in the header, or `{text}MiB` in the cells",
            quoted(text)
        )));
    }
    let with_unit = |text: &str| match (bare, whole(text)) {
        (true, Some(number)) => size(&format!("{number}{unit}")),
        (true, None) => size(&format!("{text}{unit}")),
        (false, _) => size(text),
    };
    row.read(column, "a size like `16 GiB`", with_unit)
}

fn said_yes(row: &Row, column: &str) -> Result<bool, InputError> {
    match row.text(column).map(str::to_lowercase).as_deref() {
        None | Some("no" | "false" | "0" | "n") => Ok(false),
        Some("yes" | "true" | "1" | "y" | "x") => Ok(true),
        Some(other) => {
            Err(row
                .error(format!("column `{column}`: it takes yes or no, not `{}`", quoted(other))))
        }
    }
}

fn guest(table: &Table, name: &str, row: &Row) -> Result<Guest, InputError> {
    let text = |names: &[&str]| table.first(names).and_then(|column| row.text(column));
    let workload =
        match (table.first(&WORKLOAD), table.first(&DIRTY_PAGES), table.first(&DIRTY_MIB)) {
            (Some(column), ..) if row.text(column).is_some() => {
                row.text(column).map(|text| match text.parse::<Workload>() {
                    Ok(_) => Ok(text.to_owned()),
                    Err(why) => {
                        Err(row.error(format!("column `{column}`: `{}`: {why}", quoted(text))))
                    }
                })
            }
            (_, Some(column), _) => row.number(column)?.map(|rate| dirty(row, column, rate)),
            (_, _, Some(column)) => row.number(column)?.map(|mib| dirty(row, column, mib * 256.0)),
            _ => None,
        };
    let mut stays = None;
    if let Some(column) = table.first(&PINNED)
        && said_yes(row, column)?
    {
        stays = Some("pinned".to_owned());
    }
    if let Some(column) = table.first(&MOVE)
        && row.text(column).is_some()
        && !said_yes(row, column)?
    {
        stays = Some("not to be moved".to_owned());
    }
    let vcpus = table.first(&VCPUS).map(|column| row.whole(column)).transpose()?.flatten();
    Ok(Guest {
        name: row.needed(name)?.to_owned(),
        host: text(&HOST).map(str::to_owned),
        memory: sized(table, row, &MEMORY)?,
        touched: sized(table, row, &TOUCHED)?,
        vcpus: vcpus.and_then(|vcpus| vcpus.try_into().ok()),
        workload: workload.transpose()?,
        stays,
        apart: text(&APART).map(str::to_owned),
        place: row.place(),
        ..Guest::default()
    })
}

/// A guest known by the pages that it dirties in a second.
fn dirty(row: &Row, column: &str, rate: f64) -> Result<String, InputError> {
    match PageRate::new(rate) {
        Some(_) if rate < 1.0 => Ok("idle".to_owned()),
        Some(_) => Ok(format!("dirty({rate:.0}p/s)")),
        None => Err(row.error(format!("column `{column}`: {rate} is no rate"))),
    }
}

fn host(table: &Table, row: &Row) -> Result<Host, InputError> {
    let name = table.first(&HOST).unwrap_or("host");
    let nic = table.first(&NIC).map(|column| {
        row.read(column, "a bit rate like `10GbE`", |text| text.parse::<BitRate>().ok())
    });
    let cores = table.first(&VCPUS).map(|column| row.number(column)).transpose()?.flatten();
    Ok(Host {
        name: row.needed(name)?.to_owned(),
        memory: sized(table, row, &MEMORY)?,
        cores,
        nic: nic.transpose()?.flatten(),
        rack: row.text("rack").map(str::to_owned),
        ..Host::default()
    })
}
