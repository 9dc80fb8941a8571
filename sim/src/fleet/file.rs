//! A cluster and what is to be moved, from a TOML file and an inventory: every mistake is found at
//! once, each with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path as FilePath;

use migsim_models::units::{BitRate, Bytes, SimTime};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::change::Changes;
use super::cluster::{Cluster, Host, MOST_GUESTS, MOST_HOSTS, Rack, Site, Vm, Wan};
use super::inventory::{Defaults, without_effect};
use super::moves::{Leaving, Limits, Move, NoRoom, Order, Placement};
use super::sheet::Columns;
use super::task::{Fleet, TOLERANCE, Traffic};
use crate::input::{
    GuestKeys, InputError, Keys, LinkKeys, MigrationKeys, Mistakes, from_toml, line_of_key,
    nearest, quoted, read_file, shown, whole_table,
};

/// The fewest and the most cores of a host.
const CORES: std::ops::RangeInclusive<f64> = 0.01..=1e6;

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// Names, or one alone.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name like `\"old1\"`, or a list like `[\"old1\", \"new*\"]`")
            }

            fn visit_str<E>(self, one: &str) -> Result<Names, E> {
                Ok(Names(vec![one.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Names, A::Error> {
                let mut names = Names::default();
                while let Some(name) = all.next_element()? {
                    names.0.push(name);
                }
                Ok(names)
            }
        }
        from.deserialize_any(Any)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    name: String,
    #[serde(default = "Option::default")]
    rtt: Option<SimTime>,
    #[serde(default)]
    site: Vec<Spanned<SiteKeys>>,
    #[serde(default)]
    rack: Vec<Spanned<RackKeys>>,
    #[serde(default)]
    wan: Vec<Spanned<WanKeys>>,
    #[serde(default)]
    host: Vec<Spanned<HostKeys>>,
    /// A table of hosts beside the file.
    #[serde(default = "Option::default")]
    hosts: Option<Spanned<String>>,
    #[serde(default)]
    vm: Vec<Spanned<VmKeys>>,
    #[serde(default = "Option::default")]
    inventory: Option<Spanned<String>>,
    #[serde(default = "Option::default")]
    link: Option<Spanned<LinkKeys>>,
    #[serde(default)]
    migration: MigrationKeys,
    #[serde(default)]
    traffic: Vec<Spanned<TrafficKeys>>,
    #[serde(default = "Option::default")]
    moves: Option<Spanned<MovesKeys>>,
    #[serde(default, rename = "move")]
    single: Vec<Spanned<MoveKeys>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteKeys {
    name: String,
    core: Option<BitRate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RackKeys {
    name: String,
    #[serde(default = "one")]
    count: usize,
    site: Option<String>,
    uplink: Option<BitRate>,
    /// The hosts' cards together over the uplink.
    over_subscription: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WanKeys {
    between: [String; 2],
    capacity: BitRate,
    #[serde(default = "Option::default")]
    rtt: Option<SimTime>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostKeys {
    name: String,
    #[serde(default = "one")]
    count: usize,
    /// A rack, or several among which the hosts are dealt; by default one for all.
    #[serde(default)]
    rack: Names,
    memory: Bytes,
    overcommit: Option<f64>,
    cores: f64,
    nic: BitRate,
    storage: Option<BitRate>,
    power_idle: Option<f64>,
    power_full: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VmKeys {
    #[serde(default = "one")]
    count: usize,
    /// Hosts among which the guests are dealt; `a*` is every host whose name begins with a.
    on: Names,
    #[serde(default = "Option::default")]
    cpu: Option<f64>,
    /// Whether they may be moved.
    #[serde(default = "yes", rename = "move")]
    moves: bool,
    /// The group whose guests are kept on different hosts.
    #[serde(default = "Option::default")]
    apart: Option<String>,
    /// Its keys as a single guest's.
    guest: GuestKeys,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrafficKeys {
    from: String,
    to: String,
    rate: BitRate,
    #[serde(default)]
    begin: SimTime,
    #[serde(default = "Option::default")]
    end: Option<SimTime>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MovesKeys {
    /// Everything off these hosts ...
    #[serde(default)]
    off: Names,
    /// ... but these guests ...
    #[serde(default)]
    except: Names,
    /// ... onto these; by default onto all others.
    #[serde(default)]
    to: Names,
    #[serde(default)]
    place: Placement,
    #[serde(default)]
    order: Order,
    #[serde(default)]
    no_room: NoRoom,
    at_once: Option<usize>,
    per_host: Option<usize>,
    #[serde(alias = "per_line")]
    per_link: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveKeys {
    vm: String,
    to: String,
}

/// Where something stands: in the file, or in a row of a table beside it.
#[derive(Debug, Clone)]
enum Spot {
    Table(Range<usize>),
    Row(String),
}

impl From<Range<usize>> for Spot {
    fn from(table: Range<usize>) -> Spot {
        Spot::Table(table)
    }
}

/// A file being read: where mistakes are gathered.
struct Reader<'a> {
    file: &'a FilePath,
    text: &'a str,
    open: Open<'a>,
    mistakes: Vec<InputError>,
    /// Where each host stands, by number.
    hosts_at: Vec<Spot>,
}

impl Reader<'_> {
    fn mistake(&mut self, at: impl Into<Spot>, message: impl ToString) {
        self.mistakes.push(match at.into() {
            Spot::Table(table) => InputError::at(self.file, self.text, table.start, message),
            Spot::Row(place) => InputError::new(place, message),
        });
    }

    /// The numbers of what a list of names and patterns means.
    fn find(
        &mut self,
        names: &[String],
        known: &BTreeMap<String, usize>,
        what: &str,
        at: impl Into<Spot>,
    ) -> Vec<usize> {
        let at = at.into();
        let mut found = Vec::new();
        for name in names {
            let before = found.len();
            match name.strip_suffix('*') {
                Some(start) => {
                    let mut matching: Vec<usize> = known
                        .iter()
                        .filter(|(n, _)| n.starts_with(start))
                        .map(|(_, i)| *i)
                        .collect();
                    matching.sort_unstable();
                    found.extend(matching);
                }
                None => found.extend(known.get(&shown(name))),
            }
            if found.len() == before {
                let some: Vec<&str> = known.keys().take(6).map(String::as_str).collect();
                let more = if known.len() > some.len() { ", ..." } else { "" };
                let meant = nearest(name, known.keys())
                    .map_or(String::new(), |known| format!(" Did you mean `{known}`?"));
                let known = match some.is_empty() {
                    true => "none".to_owned(),
                    false => format!("{}{more}", some.join(", ")),
                };
                self.mistake(
                    at.clone(),
                    format!("there is no {what} `{}`; there are {known}.{meant}", quoted(name)),
                );
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|index| seen.insert(*index));
        found
    }
}

/// The names of `count` things: `{n}` counts from 1, `{n:02}` with two digits at least; without
/// either a number is put behind the name if there are several.
fn names(name: &str, count: usize) -> impl Iterator<Item = String> + '_ {
    let counted = counter(name);
    (1..=count).map(move |n| match (&counted, count) {
        (Some((before, digits, after)), _) => format!("{before}{n:0digits$}{after}"),
        (None, 1) => name.to_owned(),
        (None, _) => format!("{name}{n}"),
    })
}

/// Where a name counts, and with how many digits at least.
fn counter(name: &str) -> Option<(&str, usize, &str)> {
    const MOST_DIGITS: usize = 9;
    let (before, rest) = name.split_once("{n")?;
    let (format, after) = rest.split_once('}')?;
    match format.strip_prefix(":0") {
        None if format.is_empty() => Some((before, 0, after)),
        Some(digits) => {
            Some((before, digits.parse().ok().filter(|digits| *digits <= MOST_DIGITS)?, after))
        }
        None => None,
    }
}

fn add(known: &mut BTreeMap<String, usize>, name: &str, index: usize) -> Result<(), String> {
    match known.insert(name.to_owned(), index) {
        None => Ok(()),
        Some(before) => {
            known.insert(name.to_owned(), before);
            Err(format!("the name `{name}` is taken"))
        }
    }
}

/// Reads a fleet.
///
/// # Errors
/// Everything that is wrong, each with file and line and what is accepted.
pub fn read(file: &FilePath) -> Result<Fleet, Mistakes> {
    read_changed(file, &Changes::default())
}

/// Like [`read`], with changes that go over what the file says.
///
/// # Errors
/// Everything that is wrong, each with file and line and what is accepted.
pub fn read_changed(file: &FilePath, changes: &Changes) -> Result<Fleet, Mistakes> {
    let text = read_file(file)?;
    parse_beside(file, &text, changes, &from_disk)
}

/// Like [`read`], of a text that is at hand; an inventory lies beside `file`.
///
/// # Errors
/// Everything that is wrong, each with file and line and what is accepted.
pub fn parse(file: &FilePath, text: &str) -> Result<Fleet, Mistakes> {
    parse_beside(file, text, &Changes::default(), &from_disk)
}

/// Opens a file that a fleet names.
pub type Open<'a> = &'a dyn Fn(&FilePath) -> std::io::Result<Box<dyn Read>>;

fn from_disk(file: &FilePath) -> std::io::Result<Box<dyn Read>> {
    Ok(Box::new(std::fs::File::open(file)?))
}

/// Like [`read_changed`], of a text that is at hand; `open` opens the tables that it names.
///
/// # Errors
/// Everything that is wrong, each with file and line and what is accepted.
pub fn parse_beside(
    file: &FilePath,
    text: &str,
    changes: &Changes,
    open: Open,
) -> Result<Fleet, Mistakes> {
    let mut keys: File = from_toml(file, text)?;
    change_site(&mut keys, changes);
    let keys = keys;
    let mut reader = Reader { file, text, open, mistakes: Vec::new(), hosts_at: Vec::new() };
    for (what, counts, most) in [
        (
            "racks",
            keys.rack.iter().map(|t| (t.get_ref().count, t.span())).collect::<Vec<_>>(),
            MOST_HOSTS,
        ),
        ("hosts", keys.host.iter().map(|t| (t.get_ref().count, t.span())).collect(), MOST_HOSTS),
        ("guests", keys.vm.iter().map(|t| (t.get_ref().count, t.span())).collect(), MOST_GUESTS),
    ] {
        let mut sum = 0_usize;
        for (count, span) in counts {
            sum = sum.saturating_add(count);
            if sum > most {
                reader.mistake(span, format!("{sum} {what} in all; it takes up to {most}"));
                return Err(Mistakes(reader.mistakes));
            }
        }
    }
    let mut cluster = Cluster {
        name: if keys.name.is_empty() {
            file.file_stem().map_or(String::new(), |s| shown(&s.to_string_lossy()))
        } else {
            shown(&keys.name)
        },
        rtt: keys.rtt.unwrap_or(SimTime(200_000)),
        ..Cluster::default()
    };
    let hosts = places(&keys, changes, &mut cluster, &mut reader);
    let mut vms = BTreeMap::new();
    let link = keys.link.as_ref().map(|table| link(table, &mut reader)).unwrap_or_default();
    let defaults = Keys { link, migration: keys.migration.clone(), ..Keys::default() };
    let defaults = Defaults { keys: &defaults, over: &changes.keys.migration };
    for table in &keys.vm {
        guests(table, defaults, &hosts, &mut cluster, &mut vms, &mut reader);
    }
    if let Some(inventory) = &keys.inventory {
        let place = file.with_file_name(inventory.get_ref());
        let name = place.display().to_string();
        let input = open(&place).map_err(|e| {
            let why = format!("`inventory`: {name}: {e}");
            InputError::at(reader.file, reader.text, inventory.span().start, why).into()
        });
        match input.and_then(|input| super::inventory::parse(&name, input, defaults, &hosts)) {
            Ok(found) => {
                for (line, vm) in found {
                    match add(&mut vms, &vm.guest.name, cluster.vms.len()) {
                        Ok(()) => cluster.vms.push(vm),
                        Err(taken) => {
                            reader.mistakes.push(InputError::new(
                                format!("{}:{line}", place.display()),
                                taken,
                            ));
                        }
                    }
                }
            }
            Err(Mistakes(more)) => reader.mistakes.extend(more),
        }
    }
    crowded(&cluster, "", &mut reader);
    let traffic = keys
        .traffic
        .iter()
        .filter_map(|table| {
            let t = table.get_ref();
            let [from, to] = [&t.from, &t.to]
                .map(|name| reader.find(std::slice::from_ref(name), &hosts, "host", table.span()));
            let route = [*from.first()?, *to.first()?];
            if cluster.route(route[0], route[1]).is_none() {
                reader.mistake(table.span(), format!("no path leads from {} to {}", t.from, t.to));
                return None;
            }
            Some(Traffic { route, rate: t.rate, during: t.begin..t.end.unwrap_or(SimTime::MAX) })
        })
        .collect();
    let (moves, limits) = moves(&keys, changes, &hosts, &vms, &mut cluster, &mut reader);
    if reader.mistakes.is_empty() {
        let mut after = cluster.clone();
        for one in &moves {
            after.vms[one.vm].host = one.to;
        }
        crowded(&after, "after the moves ", &mut reader);
    }
    if reader.mistakes.is_empty() {
        let inventory = keys.inventory.as_ref().map(|name| file.with_file_name(name.get_ref()));
        Ok(Fleet { cluster, moves, limits, traffic, tolerance: TOLERANCE, inventory })
    } else {
        Err(Mistakes(reader.mistakes))
    }
}

/// What is changed of hosts and links goes over what the file says of them.
fn change_site(keys: &mut File, changes: &Changes) {
    let to = &changes.site;
    keys.rtt = to.rtt.or(keys.rtt);
    for table in &mut keys.host {
        change_host(table.get_mut(), changes);
    }
    for table in &mut keys.rack {
        let rack = table.get_mut();
        // The later of the two that say the same is what holds.
        if to.uplink.is_some() || to.over_subscription.is_some() {
            (rack.uplink, rack.over_subscription) = (to.uplink, to.over_subscription);
        }
    }
    for table in &mut keys.site {
        let site = table.get_mut();
        site.core = to.core.or(site.core);
    }
    for table in &mut keys.wan {
        let wan = table.get_mut();
        wan.capacity = to.wan.unwrap_or(wan.capacity);
        wan.rtt = to.wan_rtt.or(wan.rtt);
    }
    // A guest's own link goes over the file's, and this over both.
    let links = keys.link.iter_mut().map(Spanned::get_mut);
    let own = keys.vm.iter_mut().filter_map(|table| table.get_mut().guest.link.as_mut());
    for link in links.chain(own) {
        link.transport = to.transport.or(link.transport);
        link.send_buffer = to.send_buffer.or(link.send_buffer);
    }
    if keys.link.is_none() && (to.transport.is_some() || to.send_buffer.is_some()) {
        let mut link = LinkKeys::default();
        (link.transport, link.send_buffer) = (to.transport, to.send_buffer);
        keys.link = Some(Spanned::new(0..0, link));
    }
}

fn change_host(host: &mut HostKeys, changes: &Changes) {
    let to = &changes.site;
    host.nic = to.nic.unwrap_or(host.nic);
    host.memory = to.memory.unwrap_or(host.memory);
    host.cores = to.cores.unwrap_or(host.cores);
    host.overcommit = to.overcommit.or(host.overcommit);
    host.storage = to.storage.or(host.storage);
}

/// The keys of `[link]` that a fleet has a use for; the others are mistakes.
fn link(table: &Spanned<LinkKeys>, reader: &mut Reader) -> LinkKeys {
    let mut keys = table.get_ref().clone();
    for (key, why) in without_effect(&mut keys) {
        let offset = line_of_key(reader.text, whole_table(reader.text, table.span()), key);
        reader.mistake(offset..offset, why);
    }
    keys
}

/// Sites, racks, lines and hosts; returns the hosts by name.
fn places(
    keys: &File,
    changes: &Changes,
    cluster: &mut Cluster,
    reader: &mut Reader,
) -> BTreeMap<String, usize> {
    let (mut sites, mut racks, mut hosts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for table in &keys.site {
        let site = table.get_ref();
        if site.core == Some(BitRate(0)) {
            reader.mistake(
                table.span(),
                "core is 0bit/s; it takes a rate above zero, or is left out",
            );
        }
        if let Err(taken) = add(&mut sites, &site.name, cluster.sites.len()) {
            reader.mistake(table.span(), taken);
            continue;
        }
        cluster.sites.push(Site { name: shown(&site.name), core: site.core });
    }
    if cluster.sites.is_empty() {
        cluster.sites.push(Site { name: "site".to_owned(), core: None });
    }
    let mut over_subscribed = Vec::new();
    for table in &keys.rack {
        let rack = table.get_ref();
        let site = match &rack.site {
            Some(name) => reader
                .find(std::slice::from_ref(name), &sites, "site", table.span())
                .first()
                .copied(),
            None => Some(0),
        };
        if rack.uplink == Some(BitRate(0)) {
            reader.mistake(
                table.span(),
                "uplink is 0bit/s; it takes a rate above zero, or is left out",
            );
        }
        if rack.uplink.is_some() && rack.over_subscription.is_some() {
            let why = "uplink and over_subscription say the same in two ways; one is enough";
            reader.mistake(table.span(), why);
        }
        if rack.over_subscription.is_some_and(|ratio| !(ratio >= 1.0 && ratio.is_finite())) {
            reader.mistake(
                table.span(),
                "over_subscription is the hosts' cards over the uplink: 1 or more",
            );
        }
        for name in names(&shown(&rack.name), rack.count) {
            if let Err(taken) = add(&mut racks, &name, cluster.racks.len()) {
                reader.mistake(table.span(), taken);
                continue;
            }
            over_subscribed.push(rack.over_subscription);
            cluster.racks.push(Rack { name, site: site.unwrap_or(0), uplink: rack.uplink });
        }
    }
    if cluster.racks.is_empty() {
        cluster.racks.push(Rack { name: "rack".to_owned(), site: 0, uplink: None });
        over_subscribed.push(None);
    }
    for table in &keys.wan {
        let wan = table.get_ref();
        if wan.capacity == BitRate(0) {
            reader.mistake(table.span(), "capacity is 0bit/s; it takes a rate above zero");
        }
        let ends = wan.between.each_ref().map(|name| {
            reader.find(std::slice::from_ref(name), &sites, "site", table.span()).first().copied()
        });
        match ends {
            [Some(a), Some(b)] if a != b => cluster.wans.push(Wan {
                between: [a, b],
                capacity: wan.capacity,
                rtt: wan.rtt.unwrap_or(SimTime::ZERO),
            }),
            [Some(_), Some(_)] => reader.mistake(table.span(), "joins a site with itself"),
            _ => {}
        }
    }
    let mut listed =
        keys.hosts.as_ref().map(|name| hosts_of(name.get_ref(), reader)).unwrap_or_default();
    listed.iter_mut().for_each(|(_, host)| change_host(host, changes));
    // Without racks of its own, a file has those that its table of hosts names.
    if keys.rack.is_empty() {
        for name in listed.iter().flat_map(|(_, host)| &host.rack.0) {
            if racks.contains_key(&shown(name)) {
                continue;
            }
            // The first takes the place of the one that stands for none.
            if racks.is_empty() {
                cluster.racks.clear();
                over_subscribed.clear();
            }
            racks.insert(shown(name), cluster.racks.len());
            over_subscribed.push(None);
            cluster.racks.push(Rack { name: shown(name), site: 0, uplink: None });
        }
    }
    let own = keys.host.iter().map(|table| (Spot::from(table.span()), table.get_ref()));
    for (spot, host) in own.chain(listed.iter().map(|(spot, host)| (spot.clone(), host))) {
        add_hosts(host, &spot, &racks, &mut hosts, cluster, reader);
    }
    if keys.host.is_empty() && keys.hosts.is_none() {
        reader.mistake(0..0, "has no hosts: it takes [[host]] tables, or `hosts = \"hosts.csv\"`");
    }
    for (rack, ratio) in over_subscribed.into_iter().enumerate() {
        if let Some(ratio) = ratio {
            let cards: f64 = cluster
                .hosts
                .iter()
                .filter(|host| host.rack == rack)
                .map(|host| host.nic.0 as f64)
                .sum();
            cluster.racks[rack].uplink.get_or_insert(BitRate(((cards / ratio) as u64).max(1)));
        }
    }
    hosts
}

/// The hosts of one table or row.
fn add_hosts(
    host: &HostKeys,
    spot: &Spot,
    racks: &BTreeMap<String, usize>,
    hosts: &mut BTreeMap<String, usize>,
    cluster: &mut Cluster,
    reader: &mut Reader,
) {
    let among = if host.rack.0.is_empty() {
        vec![0]
    } else {
        reader.find(&host.rack.0, racks, "rack", spot.clone())
    };
    if host.overcommit.is_some_and(|ratio| !(1.0..=100.0).contains(&ratio)) {
        reader.mistake(spot.clone(), "overcommit is the guests' memory over the host's: 1 to 100");
    }
    if !CORES.contains(&host.cores) {
        let (least, most) = (CORES.start(), CORES.end());
        reader
            .mistake(spot.clone(), format!("cores is {}; it takes {least} to {most}", host.cores));
    }
    for (key, rate) in [("nic", Some(host.nic)), ("storage", host.storage)] {
        if rate == Some(BitRate(0)) {
            reader.mistake(spot.clone(), format!("{key} is 0bit/s; it takes a rate above zero"));
        }
    }
    for (key, watts) in [("power_idle", host.power_idle), ("power_full", host.power_full)] {
        if watts.is_some_and(|watts| !(0.0..=1e6).contains(&watts)) {
            reader.mistake(spot.clone(), format!("{key} takes 0 to 1000000 watts"));
        }
    }
    for (index, name) in names(&shown(&host.name), host.count).enumerate() {
        if let Err(taken) = add(hosts, &name, cluster.hosts.len()) {
            reader.mistake(spot.clone(), taken);
            continue;
        }
        reader.hosts_at.push(spot.clone());
        cluster.hosts.push(Host {
            name,
            rack: among.get(index % among.len().max(1)).copied().unwrap_or(0),
            memory: host.memory,
            overcommit: host.overcommit.unwrap_or(1.0),
            cores: host.cores,
            nic: host.nic,
            storage: host.storage,
            power: host.power_idle.zip(host.power_full).map(|(idle, full)| [idle, full]),
        });
    }
}

/// What a row says of its host.
const HOST_COLUMNS: Columns = Columns {
    needed: &["name", "memory", "cores", "nic"],
    optional: &["rack", "overcommit", "storage", "power_idle", "power_full", "note"],
};

/// The hosts of a table beside the file.
fn hosts_of(name: &str, reader: &mut Reader) -> Vec<(Spot, HostKeys)> {
    let file = reader.file.with_file_name(name);
    let place = shown(&file.display().to_string());
    let mut found = Vec::new();
    let input = match (reader.open)(&file) {
        Ok(input) => input,
        Err(why) => {
            reader.mistakes.push(InputError::new(place, why));
            return found;
        }
    };
    let read = HOST_COLUMNS.read(&place, input, MOST_HOSTS, |line, row| {
        let numbers = (row.parse("memory"), row.parse("cores"), row.parse("nic"));
        let keys = HostKeys {
            name: row.text("name").unwrap_or_default().to_owned(),
            count: 1,
            rack: Names(row.text("rack").map(str::to_owned).into_iter().collect()),
            memory: numbers.0.unwrap_or(Bytes(0)),
            overcommit: row.parse("overcommit"),
            cores: numbers.1.unwrap_or(1.0),
            nic: numbers.2.unwrap_or(BitRate(1)),
            storage: row.parse("storage"),
            power_idle: row.parse("power_idle"),
            power_full: row.parse("power_full"),
        };
        if row.is_right() {
            found.push((Spot::Row(format!("{place}:{line}")), keys));
        }
    });
    if let Err(Mistakes(more)) = read {
        reader.mistakes.extend(more);
    } else if found.is_empty() {
        reader.mistakes.push(InputError::new(place, "has no rows; it has one for each host"));
    }
    found
}

/// The guests of one table.
fn guests(
    table: &Spanned<VmKeys>,
    defaults: Defaults,
    hosts: &BTreeMap<String, usize>,
    cluster: &mut Cluster,
    vms: &mut BTreeMap<String, usize>,
    reader: &mut Reader,
) {
    let own = table.get_ref();
    let on = reader.find(&own.on.0, hosts, "host", table.span());
    if on.is_empty() {
        return;
    }
    let mut keys = Keys {
        link: own.guest.link.clone().unwrap_or_default().over(&defaults.keys.link),
        migration: defaults.migration(&own.guest.migration.clone().unwrap_or_default()),
        guest: own.guest.clone(),
    };
    let name = keys.guest.name.clone().unwrap_or_else(|| "vm".to_owned());
    for (index, name) in names(&name, own.count).enumerate() {
        keys.guest.name = Some(name.clone());
        match super::inventory::vm(&keys, on[index % on.len()], own.cpu) {
            Err(error) => return reader.mistake(table.span(), error),
            Ok(vm) => match add(vms, &name, cluster.vms.len()) {
                Ok(()) => {
                    cluster.vms.push(Vm { stays: !own.moves, apart: own.apart.clone(), ..vm });
                }
                Err(taken) => return reader.mistake(table.span(), taken),
            },
        }
    }
}

/// Hosts whose guests do not fit, now or later.
fn crowded(cluster: &Cluster, when: &str, reader: &mut Reader) {
    for (index, (host, free)) in cluster.hosts.iter().zip(cluster.free()).enumerate() {
        if free < 0 {
            let used = Bytes(u64::try_from(i128::from(host.room()) - free).unwrap_or(u64::MAX));
            let over = match host.overcommit {
                ratio if ratio > 1.0 => format!(" and lets {ratio} times as much be given"),
                _ => "; `overcommit` of a host lets more be given".to_owned(),
            };
            let spot = reader.hosts_at[index].clone();
            reader.mistake(
                spot,
                format!(
                    "{when}the guests on host `{}` have {used} of memory, the host {}{over}",
                    host.name, host.memory
                ),
            );
        }
    }
}

/// The guest on a host from which another is kept apart.
fn beside(cluster: &Cluster, vm: usize, host: usize) -> Option<&str> {
    let group = cluster.vms[vm].apart.as_deref()?;
    let there = cluster
        .vms
        .iter()
        .find(|other| other.host == host && other.apart.as_deref() == Some(group))?;
    Some(&there.guest.name)
}

/// What is to be moved: single moves first, then everything off hosts.
fn moves(
    keys: &File,
    changes: &Changes,
    hosts: &BTreeMap<String, usize>,
    vms: &BTreeMap<String, usize>,
    cluster: &mut Cluster,
    reader: &mut Reader,
) -> (Vec<Move>, Limits) {
    let mut found: Vec<Move> = Vec::new();
    for table in &keys.single {
        let single = table.get_ref();
        let vm = reader.find(std::slice::from_ref(&single.vm), vms, "guest", table.span());
        let to = reader.find(std::slice::from_ref(&single.to), hosts, "host", table.span());
        let (Some(&vm), Some(&to)) = (vm.first(), to.first()) else { continue };
        let from = cluster.vms[vm].host;
        if from == to {
            reader.mistake(table.span(), format!("`{}` is at `{}` already", single.vm, single.to));
        } else if cluster.route(from, to).is_none() {
            let from = &cluster.hosts[from].name;
            reader.mistake(table.span(), format!("no path leads from `{from}` to `{}`", single.to));
        } else if cluster.vms[vm].stays {
            reader.mistake(table.span(), format!("`{}` is one that stays (`move`)", single.vm));
        } else if found.iter().any(|known| known.vm == vm) {
            reader.mistake(table.span(), format!("`{}` is moved twice", single.vm));
        } else if let Some(other) = beside(cluster, vm, to) {
            let why = format!("`{}` is kept apart from `{other}` (`apart`)", single.vm);
            reader.mistake(table.span(), why);
        } else {
            found.push(Move { vm, to });
        }
    }
    let Some(table) = &keys.moves else {
        return (found, changes.over(Limits::default(), Placement::default(), Order::default()).0);
    };
    let wanted = table.get_ref();
    let limits =
        Limits { at_once: wanted.at_once, per_host: wanted.per_host, per_link: wanted.per_link };
    let (limits, place, order) = changes.over(limits, wanted.place, wanted.order);
    if [limits.at_once, limits.per_host, limits.per_link].contains(&Some(0)) {
        reader.mistake(table.span(), "a limit of 0 moves nothing; it takes 1 or more");
    }
    let off = reader.find(&wanted.off.0, hosts, "host", table.span());
    let to = if wanted.to.0.is_empty() {
        (0..cluster.hosts.len()).filter(|host| !off.contains(host)).collect()
    } else {
        reader.find(&wanted.to.0, hosts, "host", table.span())
    };
    let except = reader.find(&wanted.except.0, vms, "guest", table.span());
    let named: BTreeSet<usize> = found.iter().map(|one| one.vm).chain(except).collect();
    let leaving = Leaving { hosts: &off, but: &named };
    let evacuation = super::moves::evacuate(cluster, leaving, &to, place, order);
    let short = !evacuation.homeless.is_empty();
    if short && wanted.no_room == NoRoom::Refuse {
        reader.mistake(
            table.span(),
            format!(
                "{}. {} fit; `except` lets some stay, `no_room = \"stay\"` all that do not fit",
                evacuation.shortfall,
                evacuation.moves.len()
            ),
        );
    } else if short {
        cluster.left_behind =
            Some(format!("{}; left where they are (`no_room`)", evacuation.shortfall));
    }
    found.extend(evacuation.moves);
    (found, limits)
}
