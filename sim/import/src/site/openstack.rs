//! What the openstack client lists, as JSON or CSV. A server's memory stands with its flavor.

use migsim::input::{InputError, Mistakes};
use migsim_models::units::Bytes;

use super::{Guest, Host, Site};
use crate::kind::Kind;
use crate::source::Source;
use crate::table::{Row, Table};

pub(super) fn read(site: &mut Site, source: &Source, kind: Kind) -> Result<(), Mistakes> {
    let table = Table::of(source, &[])?;
    let mut mistakes = Vec::new();
    for row in table.rows() {
        let read = match kind {
            Kind::OpenStackFlavors => flavor(&row).map(|(name, size)| {
                site.flavors.insert(name, size);
            }),
            Kind::OpenStackHypervisors => host(&row).map(|host| site.host(host)),
            _ => server(&row).and_then(|guest| site.guest(guest)),
        };
        mistakes.extend(read.err());
    }
    Mistakes(mistakes).or(())
}

fn flavor(row: &Row) -> Result<(String, (Bytes, u32)), InputError> {
    let memory = row.mib("ram")?.ok_or_else(|| row.error("a flavor has `RAM`"))?;
    let vcpus = row.whole("vcpus")?.and_then(|vcpus| vcpus.try_into().ok()).unwrap_or(1);
    Ok((row.needed("name")?.to_owned(), (memory, vcpus)))
}

fn host(row: &Row) -> Result<Host, InputError> {
    let name = match row.text("hypervisor hostname") {
        None => row.needed("hypervisor_hostname")?,
        Some(name) => name,
    };
    let memory = row.mib("memory mb")?.or(row.mib("memory_mb")?);
    let up = row.text("state").is_none_or(|state| state.eq_ignore_ascii_case("up"));
    Ok(Host {
        name: name.to_owned(),
        // From API version 2.88 on neither is told.
        memory,
        cores: row.whole("vcpus")?.map(|cores| cores as f64),
        out: (!up).then(|| "down".to_owned()),
        ..Host::default()
    })
}

fn server(row: &Row) -> Result<Guest, InputError> {
    let status = row.text("status").unwrap_or("ACTIVE");
    // A server in ERROR may run, or be nowhere; one that is resized is restarted.
    let off = (status != "ACTIVE").then(|| status.to_lowercase());
    Ok(Guest {
        name: row.needed("name")?.to_owned(),
        id: row.text("id").map(str::to_owned),
        host: row.text("host").map(str::to_owned),
        flavor: row.text("flavor").or(row.text("flavor name")).map(str::to_owned),
        off,
        place: row.place(),
        ..Guest::default()
    })
}
