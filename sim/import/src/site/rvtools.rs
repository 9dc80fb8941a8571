//! RVTools' tabs as CSV. Memory is whole MiB, whatever the header calls it.

use migsim::input::Mistakes;

use super::{Guest, Host, Site};
use crate::kind::Kind;
use crate::source::Source;
use crate::table::{Row, Table};

pub(super) fn read(site: &mut Site, source: &Source, kind: Kind) -> Result<(), Mistakes> {
    let table = Table::of_sheet(source)?;
    let needed: &[&str] = match kind {
        Kind::RvInfo => &["vm", "host", "memory", "cpus"],
        Kind::RvHost => &["host", "# memory"],
        _ => &["vm"],
    };
    if let Some(lacking) = needed.iter().find(|column| !table.names().any(|name| name == **column))
    {
        return Err(source
            .error(
                1,
                format!("lacks the column `{lacking}`; export the tab with all of its columns"),
            )
            .into());
    }
    let mut mistakes = Vec::new();
    for row in table.rows() {
        let read = match kind {
            Kind::RvHost => host(&row).map(|host| site.host(host)),
            Kind::RvInfo => info(&row).and_then(|guest| site.guest(guest)),
            _ => memory(&row).and_then(|guest| site.guest(guest)),
        };
        mistakes.extend(read.err());
    }
    Mistakes(mistakes).or(())
}

type Read<T> = Result<T, migsim::input::InputError>;

/// Why a guest is not moved live.
fn off(row: &Row) -> Option<String> {
    if row.is("template", &["true", "wahr", "1"]) {
        return Some("a template".to_owned());
    }
    let running =
        row.text("powerstate").is_none_or(|state| state.eq_ignore_ascii_case("poweredOn"));
    (!running).then(|| "not running".to_owned())
}

fn info(row: &Row) -> Read<Guest> {
    // VMware's vMotion refuses guests with devices that are tied to their host.
    let tied =
        row.text("latency sensitivity").is_some_and(|level| level.eq_ignore_ascii_case("high"));
    Ok(Guest {
        name: row.needed("vm")?.to_owned(),
        id: row.text("vm id").map(str::to_owned),
        host: row.text("host").map(str::to_owned),
        memory: row.mib("memory")?,
        vcpus: row.whole("cpus")?.and_then(|vcpus| vcpus.try_into().ok()),
        stays: tied.then(|| "its latency sensitivity is high".to_owned()),
        off: off(row),
        place: row.place(),
        ..Guest::default()
    })
}

fn memory(row: &Row) -> Read<Guest> {
    let size = row.mib("size mib")?.or(row.mib("size mb")?);
    Ok(Guest {
        name: row.needed("vm")?.to_owned(),
        id: row.text("vm id").map(str::to_owned),
        host: row.text("host").map(str::to_owned),
        memory: size,
        // What the hypervisor has backed with memory: what the guest has touched at some time.
        touched: row
            .mib("consumed")?
            .filter(|touched| touched.0 > 0)
            .map(|touched| touched.min(size.unwrap_or(touched))),
        off: off(row),
        place: row.place(),
        ..Guest::default()
    })
}

fn host(row: &Row) -> Read<Host> {
    let cores = match row.whole("# cores")? {
        None => {
            row.whole("# cpu")?.zip(row.whole("cores per cpu")?).map(|(cpus, cores)| cpus * cores)
        }
        cores => cores,
    };
    let out = row.is("in maintenance mode", &["true", "wahr", "1"]);
    Ok(Host {
        name: row.needed("host")?.to_owned(),
        memory: row.mib("# memory")?,
        cores: cores.map(|cores| cores as f64),
        out: out.then(|| "in maintenance mode".to_owned()),
        ..Host::default()
    })
}
