//! Proxmox: `/cluster/resources` as JSON, and a guest's file under /etc/pve.

use migsim::input::{InputError, Mistakes};
use migsim_models::units::Bytes;

use super::{Guest, Host, Site};
use crate::number::whole;
use crate::source::Source;
use crate::table::{Row, Table};

/// A guest of which neither memory nor cores are set has so much (qemu-server's defaults).
const DEFAULT_MIB: u64 = 512;

/// Bare numbers are bytes; `cpu` is the share of `maxcpu` that is busy.
pub(super) fn resources(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let value = source.json()?;
    let rows = value.get("data").unwrap_or(&value).as_array();
    let rows = rows.ok_or_else(|| InputError::new(&source.place, "has no list of resources"))?;
    let table = Table::of_objects(&source.place, rows);
    let mut mistakes = Vec::new();
    let mut containers = 0;
    for row in table.rows() {
        let read = match row.text("type") {
            Some("node") => host(&row).map(|host| site.host(host)),
            Some("qemu") => guest(&row).and_then(|guest| site.guest(guest)),
            Some("lxc") => {
                containers += 1;
                Ok(())
            }
            _ => Ok(()),
        };
        mistakes.extend(read.err());
    }
    if containers > 0 {
        site.notes.push(format!(
            "{containers} containers (lxc) are left out: they are restarted, not moved"
        ));
    }
    Mistakes(mistakes).or(())
}

fn host(row: &Row) -> Result<Host, InputError> {
    let online = row.text("status").is_none_or(|status| status == "online");
    Ok(Host {
        name: row.needed("node")?.to_owned(),
        memory: row.size("maxmem")?,
        cores: row.number("maxcpu")?,
        out: (!online).then(|| "offline".to_owned()),
        ..Host::default()
    })
}

fn guest(row: &Row) -> Result<Guest, InputError> {
    let id = row.needed("vmid")?;
    let (share, vcpus) = (row.number("cpu")?, row.whole("maxcpu")?);
    let off = match row.text("status") {
        _ if row.is("template", &["1"]) => Some("a template".to_owned()),
        Some("running") | None => None,
        Some(other) => Some(other.to_owned()),
    };
    let memory = row.size("maxmem")?;
    Ok(Guest {
        name: row.text("name").unwrap_or(id).to_owned(),
        id: Some(id.to_owned()),
        host: row.text("node").map(str::to_owned),
        memory,
        // What the host has given it, which ballooning takes back.
        touched: row
            .size("memhost")?
            .or(row.size("mem")?)
            .filter(|used| used.0 > 0)
            .map(|used| used.min(memory.unwrap_or(used))),
        vcpus: vcpus.and_then(|vcpus| vcpus.try_into().ok()),
        cpu: share.zip(vcpus).map(|(share, vcpus)| (share * vcpus as f64).min(vcpus as f64)),
        off,
        place: row.place(),
        ..Guest::default()
    })
}

/// `NNN.conf`: what stands before the first section is the guest as it runs; the number is in the
/// file's name, and the node in its folder's.
pub(super) fn conf(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let number = source.stem();
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        let why = "is a guest's configuration of Proxmox, whose name is its number, like 101.conf";
        return Err(InputError::new(&source.place, why).into());
    }
    let own: Vec<(usize, &str, &str)> = source
        .text
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.starts_with('['))
        .filter(|(_, line)| !line.starts_with('#'))
        .filter_map(|(index, line)| {
            line.split_once(':').map(|(key, value)| (index + 1, key.trim(), value.trim()))
        })
        .collect();
    let value = |key: &str| {
        own.iter().find(|(_, known, _)| *known == key).map(|(line, _, value)| (*line, *value))
    };
    let number_of = |key: &str| -> Result<Option<u64>, InputError> {
        let Some((line, text)) = value(key) else { return Ok(None) };
        let first = text.split(',').next().unwrap_or(text);
        let first = first.strip_prefix("current=").unwrap_or(first);
        whole(first)
            .map(Some)
            .ok_or_else(|| source.error(line, format!("`{key}` takes a whole number")))
    };
    let memory = number_of("memory")?.unwrap_or(DEFAULT_MIB);
    let cores = number_of("cores")?.unwrap_or(1) * number_of("sockets")?.unwrap_or(1);
    let vcpus = number_of("vcpus")?.unwrap_or(cores);
    let passed = own.iter().find(|(_, key, value)| {
        key.starts_with("hostpci") || (key.starts_with("usb") && value.contains("host="))
    });
    let (_, name) = value("name").unwrap_or((0, number));
    site.guest(Guest {
        name: name.to_owned(),
        id: Some(number.to_owned()),
        // /etc/pve/nodes/NODE/qemu-server/NNN.conf.
        host: node_of(source),
        memory: Some(Bytes(memory << 20)),
        vcpus: vcpus.try_into().ok(),
        stays: passed.map(|(_, key, _)| format!("a device of its host is passed through ({key})")),
        off: value("template").filter(|(_, value)| *value == "1").map(|_| "a template".to_owned()),
        place: source.place.clone(),
        ..Guest::default()
    })?;
    Ok(())
}

fn node_of(source: &Source) -> Option<String> {
    let parts: Vec<&str> = source.file.iter().filter_map(|part| part.to_str()).collect();
    let at = parts.iter().position(|part| *part == "nodes")?;
    (parts.get(at + 2) == Some(&"qemu-server")).then(|| parts[at + 1].to_owned())
}
