//! What virsh prints of a host's guests. None of it says which host it is from.

use migsim::input::{InputError, Mistakes};
use migsim_models::units::Bytes;

use super::{Guest, Host, Site};
use crate::number::size;
use crate::source::Source;

/// The states of virsh in which a guest runs.
const RUNNING: [&str; 5] = ["running", "idle", "blocked", "no state", "in shutdown"];
const STATES: [&str; 4] = ["paused", "shut off", "crashed", "pmsuspended"];

/// `virsh list`, with or without `--all`, `--title` and `--uuid`: columns are as wide as they must
/// be, and names may have blanks.
pub(super) fn list(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let host = site.host_of(source);
    let is_header = |line: &str| line.split_whitespace().take(3).eq(["Id", "Name", "State"]);
    let mut lines = source.text.lines().enumerate().skip_while(|(_, line)| !is_header(line));
    let header = lines.next().map_or("", |(_, line)| line);
    // Where columns begin; the first is to the right of its name in old releases.
    let state_at = header.find("State").unwrap_or(0);
    let name_at = header.find("Name").unwrap_or(0);
    let mut mistakes = Vec::new();
    for (index, line) in
        lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("---"))
    {
        let at = |from: usize, to: usize| line.get(from.min(line.len())..to.min(line.len()));
        let state = at(state_at, line.len()).unwrap_or("").trim();
        let known = RUNNING.iter().chain(&STATES).find(|known| state.starts_with(**known));
        let (Some(name), Some(state)) = (at(name_at, state_at), known) else {
            mistakes.push(source.error(
                index + 1,
                "is no line of `virsh list`: an id, a name and a state in their columns",
            ));
            continue;
        };
        let running = RUNNING.contains(state);
        let guest = Guest {
            name: name.trim().to_owned(),
            host: host.clone(),
            off: (!running).then(|| (*state).to_owned()),
            place: format!("{}:{}", source.place, index + 1),
            ..Guest::default()
        };
        mistakes.extend(site.guest(guest).err());
    }
    Mistakes(mistakes).or(())
}

/// The value of a line `key: value`.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(':').map(str::trim))
}

/// `virsh dominfo`, of one guest or several in one file.
pub(super) fn dominfo(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let host = site.host_of(source);
    let refused = source.text.lines().enumerate().find(|(_, line)| line.starts_with("error:"));
    if let Some((index, line)) = refused {
        return Err(source
            .error(index + 1, format!("virsh says: {line}; without it a guest is missing"))
            .into());
    }
    let starts: Vec<usize> = source.text.match_indices("Id:").map(|(at, _)| at).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(source.text.len());
        let text = &source.text[*start..end];
        let line = source.text[..*start].matches('\n').count() + 1;
        let missing = |key: &str| source.error(line, format!("this guest has no line `{key}:`"));
        let name = field(text, "Name").ok_or_else(|| missing("Name"))?;
        let memory =
            field(text, "Max memory").and_then(size).ok_or_else(|| missing("Max memory"))?;
        let state = field(text, "State").unwrap_or("running");
        site.guest(Guest {
            name: name.to_owned(),
            host: host.clone(),
            memory: Some(memory),
            vcpus: field(text, "CPU(s)").and_then(|count| count.parse().ok()),
            off: (!RUNNING.contains(&state)).then(|| state.to_owned()),
            place: format!("{}:{line}", source.place),
            ..Guest::default()
        })?;
    }
    Ok(())
}

/// `virsh nodeinfo`.
pub(super) fn nodeinfo(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let lacks = |what: &str| {
        Mistakes::from(InputError::new(&source.place, format!("has no line `{what}:`")))
    };
    let number = |key: &str| field(&source.text, key).and_then(|text| text.parse::<f64>().ok());
    let cpus = number("CPU(s)").ok_or_else(|| lacks("CPU(s)"))?;
    let threads = number("Thread(s) per core").unwrap_or(1.0).max(1.0);
    let memory = field(&source.text, "Memory size").and_then(size);
    let Some(name) = site.host_of(source) else {
        return Err(InputError::new(&source.place, "does not say of which host it is: give --on HOST, or put it into a folder of that name").into());
    };
    site.host(Host {
        name,
        memory: Some(memory.ok_or_else(|| lacks("Memory size"))?),
        cores: Some(cpus / threads),
        ..Host::default()
    });
    Ok(())
}

/// `virsh domstats`, with or without `--dirtyrate`, of any number of guests.
pub(super) fn domstats(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    let host = site.host_of(source);
    let mut found: Vec<Guest> = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if let Some(name) =
            line.trim().strip_prefix("Domain: '").and_then(|rest| rest.strip_suffix('\''))
        {
            found.push(Guest {
                name: name.to_owned(),
                host: host.clone(),
                place: format!("{}:{}", source.place, index + 1),
                ..Guest::default()
            });
            continue;
        }
        let (Some(guest), Some((key, value))) = (found.last_mut(), line.trim().split_once('='))
        else {
            continue;
        };
        let number = || {
            let wrong =
                || source.error(index + 1, format!("`{key}` has no number that can be read"));
            value.parse::<u64>().map_err(|_| wrong())
        };
        match key {
            "balloon.maximum" => guest.memory = Some(Bytes(number()?.saturating_mul(1024))),
            "balloon.rss" => guest.touched = Some(Bytes(number()?.saturating_mul(1024))),
            "vcpu.current" => guest.vcpus = number()?.try_into().ok(),
            // libvirt's virDomainState: 1 runs, 2 is blocked.
            "state.state" if !(1..=2).contains(&number()?) => {
                guest.off = Some(format!("state {value}"));
            }
            // MiB of distinct pages in a second.
            "dirtyrate.megabytes_per_second" => {
                let pages = number()?.saturating_mul(256);
                guest.workload =
                    Some(if pages == 0 { "idle".to_owned() } else { format!("dirty({pages}p/s)") });
            }
            _ => {}
        }
    }
    for guest in found {
        // What backs the guest has more than its memory.
        let touched = guest.touched.zip(guest.memory).map(|(touched, memory)| touched.min(memory));
        site.guest(Guest { touched: touched.or(guest.touched), ..guest })?;
    }
    Ok(())
}

/// `virsh dumpxml`.
pub(super) fn dumpxml(site: &mut Site, source: &Source) -> Result<(), Mistakes> {
    // Several domains one after the other are no document, each of them is.
    let starts: Vec<usize> = source.text.match_indices("<domain ").map(|(at, _)| at).collect();
    let end = |index: usize| starts.get(index + 1).copied().unwrap_or(source.text.len());
    for (index, start) in starts.iter().enumerate() {
        let text = &source.text[*start..end(index)];
        let line = source.text[..*start].matches('\n').count();
        let whole = text.rfind("</domain>").map_or(text, |at| &text[..at + "</domain>".len()]);
        let document = roxmltree::Document::parse(whole)
            .map_err(|e| source.error(line + e.pos().row as usize, format!("is no XML: {e}")))?;
        domain(site, source, line, &document)?;
    }
    Ok(())
}

/// A domain, which begins after that many lines.
fn domain(
    site: &mut Site,
    source: &Source,
    above: usize,
    document: &roxmltree::Document,
) -> Result<(), Mistakes> {
    let host = site.host_of(source);
    let domains = document.descendants().filter(|node| node.has_tag_name("domain"));
    for domain in domains {
        let line = above + document.text_pos_at(domain.range().start).row as usize;
        let child = |name: &str| domain.children().find(|node| node.has_tag_name(name));
        let text = |name: &str| child(name).and_then(|node| node.text()).map(str::trim);
        let name = text("name").ok_or_else(|| source.error(line, "this domain has no <name>"))?;
        let memory =
            child("memory").and_then(|node| bytes(node.text()?.trim(), node.attribute("unit")));
        let memory = memory.ok_or_else(|| {
            source.error(line, format!("domain {name} has no <memory> that can be read"))
        })?;
        let vcpus = child("vcpu")
            .and_then(|node| node.attribute("current").or(node.text()).map(str::trim))
            .and_then(|count| count.parse().ok());
        let devices: Vec<&str> = domain
            .descendants()
            .filter(|node| {
                node.has_tag_name("hostdev")
                    || (node.has_tag_name("interface") && node.attribute("type") == Some("hostdev"))
            })
            .map(|node| {
                node.attribute("type").filter(|kind| *kind != "hostdev").unwrap_or("network")
            })
            .collect();
        site.guest(Guest {
            name: name.to_owned(),
            host: host.clone(),
            memory: Some(memory),
            vcpus,
            stays: devices
                .first()
                .map(|kind| format!("a device of its host is passed through ({kind})")),
            place: format!("{}:{line}", source.place),
            ..Guest::default()
        })?;
    }
    Ok(())
}

/// An amount of memory with libvirt's unit (its domain XML, `<memory>`): KiB without one; `KB` is
/// 1000 bytes.
fn bytes(number: &str, unit: Option<&str>) -> Option<Bytes> {
    let unit = unit.unwrap_or("KiB");
    let decimal = ["KB", "MB", "GB", "TB"].iter().position(|known| *known == unit);
    match decimal {
        Some(power) => {
            number.parse::<u64>().ok()?.checked_mul(1000_u64.pow(power as u32 + 1)).map(Bytes)
        }
        None => size(&format!("{number}{unit}")),
    }
}
