//! Hosts, the links between them, and the guests on them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use migsim_models::spec::{Guest, Path, Policy, Transport};
use migsim_models::units::{BitRate, Bytes, SimTime};

use crate::engine::DirtyLog;

/// The most hosts, and racks, of a cluster ...
pub(super) const MOST_HOSTS: usize = 100_000;
/// ... and the most guests.
pub(super) const MOST_GUESTS: usize = 1_000_000;

/// A server.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Its name, unlike every other's.
    pub name: String,
    /// Its rack, by number.
    pub rack: usize,
    /// RAM for guests.
    pub memory: Bytes,
    /// The guests' memory may be so many times that, 1 or more: what KSM, ballooning and swap make
    /// of it.
    pub overcommit: f64,
    /// Processors.
    pub cores: f64,
    /// Capacity of its network card, each way.
    pub nic: BitRate,
    /// How fast its storage writes and reads images of offline moves; `None`: as the profile says.
    pub storage: Option<BitRate>,
    /// Watts when idle and at full load.
    pub power: Option<[f64; 2]>,
}

/// Hosts under one switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Rack {
    /// Its name.
    pub name: String,
    /// Its site, by number.
    pub site: usize,
    /// Capacity of the switch's uplink, each way; `None`: never short.
    pub uplink: Option<BitRate>,
}

/// Racks in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// What the switches between the racks carry in all; `None`: never short.
    pub core: Option<BitRate>,
}

/// A link between two sites.
#[derive(Debug, Clone, PartialEq)]
pub struct Wan {
    /// The sites, by number.
    pub between: [usize; 2],
    /// Capacity, each way.
    pub capacity: BitRate,
    /// What it adds to the round trip.
    pub rtt: SimTime,
}

/// A guest on a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Vm {
    /// What is moved.
    pub guest: Guest,
    /// How.
    pub policy: Policy,
    /// How its dirty log is read.
    pub dirty_log: DirtyLog,
    /// What carries the stream.
    pub transport: Transport,
    /// What its sender's socket buffer holds at most; `None`: the profile's.
    pub send_buffer: Option<Bytes>,
    /// Where it is, by number.
    pub host: usize,
    /// Whether it stays there, whatever is moved: passed-through devices, licences.
    pub stays: bool,
    /// The group whose guests are kept on different hosts, where it is in one.
    pub apart: Option<String>,
    /// What its table says to people of it, what was assumed among it.
    pub note: Option<String>,
    /// Processors' worth of work that it does, up to its vCPUs.
    pub cpu: f64,
    /// Whether its workload was given, and its vCPUs; what was not is idle, and one.
    pub given: [bool; 2],
}

impl Host {
    /// Bytes of memory that its guests may have together.
    pub fn room(&self) -> u64 {
        if self.overcommit <= 1.0 {
            return self.memory.0;
        }
        (self.memory.as_f64() * self.overcommit) as u64
    }
}

impl Vm {
    /// Bytes of memory that it takes of a host.
    pub fn need(&self) -> i128 {
        self.guest.memory.bytes().0.into()
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    /// What reports call it.
    pub name: String,
    /// Servers.
    pub hosts: Vec<Host>,
    /// Their racks.
    pub racks: Vec<Rack>,
    /// Those's sites.
    pub sites: Vec<Site>,
    /// Lines between sites.
    pub wans: Vec<Wan>,
    /// Guests.
    pub vms: Vec<Vm>,
    /// Round trip between two hosts of a site.
    pub rtt: SimTime,
    /// Who stays because no host has room, in words.
    pub left_behind: Option<String>,
}

/// A link, each way one of its own, by what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// Out of a host.
    Tx(usize),
    /// Into a host.
    Rx(usize),
    /// From a rack's switch up.
    Up(usize),
    /// Down to a rack's switch.
    Down(usize),
    /// Between the racks of a site.
    Core(usize),
    /// A link between sites, from its first end to its second.
    Forward(usize),
    /// And from its second to its first.
    Reverse(usize),
}

impl Cluster {
    /// What was assumed of its guests that decides what comes of moving them.
    pub fn notes(&self) -> Vec<String> {
        let count = self.vms.len();
        let mut notes: Vec<String> = self.left_behind.iter().cloned().collect();
        let idle = self.vms.iter().filter(|vm| !vm.given[0]).count();
        if idle > 0 {
            notes.push(format!(
                "{idle} of {count} guests have no workload and are taken to write nothing: they move as fast as a guest can; one that writes takes \
                 longer, is down for longer, or does not arrive"
            ));
        }
        let single = self.vms.iter().filter(|vm| !vm.given[1] && vm.given[0]).count();
        if single > 0 {
            notes.push(format!(
                "{single} of {count} guests have a workload and no vcpus and are taken to have one: with `--profile lab`, whose hosts let a vCPU write some 50,000 pages a second, that holds fast writers back"
            ));
        }
        let mut said: BTreeMap<&str, usize> = BTreeMap::new();
        let assumed = self.vms.iter().filter_map(|vm| {
            let parts = vm.note.as_deref()?.split(';').map(str::trim);
            parts.into_iter().find_map(|part| part.strip_prefix("assumed:"))
        });
        for what in assumed.flat_map(str::split_whitespace) {
            *said.entry(what).or_default() += 1;
        }
        for (what, of) in said {
            notes.push(format!(
                "{what} of {of} of {count} guests is assumed, not known (column `note`)"
            ));
        }
        notes
    }

    /// The network card that most hosts have; of two that as many have, the slower one.
    pub fn usual_nic(&self) -> BitRate {
        let mut counts = BTreeMap::new();
        for host in &self.hosts {
            *counts.entry(host.nic).or_insert(0_usize) += 1;
        }
        let most = counts.into_iter().max_by_key(|(nic, count)| (*count, Reverse(*nic)));
        most.map_or(BitRate(0), |(nic, _)| nic)
    }

    /// Bytes of memory that no guest has, by host.
    pub fn free(&self) -> Vec<i128> {
        let mut free: Vec<i128> = self.hosts.iter().map(|host| host.room().into()).collect();
        for vm in &self.vms {
            free[vm.host] -= vm.need();
        }
        free
    }

    /// All links, in a fixed order.
    pub fn links(&self) -> Vec<Link> {
        let hosts = (0..self.hosts.len()).flat_map(|host| [Link::Tx(host), Link::Rx(host)]);
        let racks = (0..self.racks.len()).filter(|rack| self.racks[*rack].uplink.is_some());
        let sites =
            (0..self.sites.len()).filter(|site| self.sites[*site].core.is_some()).map(Link::Core);
        let wans = (0..self.wans.len()).flat_map(|wan| [Link::Forward(wan), Link::Reverse(wan)]);
        hosts
            .chain(racks.flat_map(|rack| [Link::Up(rack), Link::Down(rack)]))
            .chain(sites)
            .chain(wans)
            .collect()
    }

    /// What a link carries.
    pub fn capacity(&self, link: Link) -> BitRate {
        match link {
            Link::Tx(host) | Link::Rx(host) => self.hosts[host].nic,
            Link::Up(rack) | Link::Down(rack) => {
                self.racks[rack].uplink.unwrap_or(BitRate::UNLIMITED)
            }
            Link::Core(site) => self.sites[site].core.unwrap_or(BitRate::UNLIMITED),
            Link::Forward(wan) | Link::Reverse(wan) => self.wans[wan].capacity,
        }
    }

    /// What reports call a link.
    pub fn link_name(&self, link: Link) -> String {
        let between = |wan: usize, from: usize, to: usize| {
            let [from, to] = [from, to].map(|end| &self.sites[self.wans[wan].between[end]].name);
            format!("{from} to {to}")
        };
        match link {
            Link::Tx(host) => format!("{} tx", self.hosts[host].name),
            Link::Rx(host) => format!("{} rx", self.hosts[host].name),
            Link::Up(rack) => format!("{} up", self.racks[rack].name),
            Link::Down(rack) => format!("{} down", self.racks[rack].name),
            Link::Core(site) => format!("{} core", self.sites[site].name),
            Link::Forward(wan) => between(wan, 0, 1),
            Link::Reverse(wan) => between(wan, 1, 0),
        }
    }

    /// The links from one host to another, and the round trip; `None`: no link joins their sites,
    /// or it is the same host.
    pub fn route(&self, from: usize, to: usize) -> Option<(Vec<Link>, SimTime)> {
        if from == to {
            return None;
        }
        let (racks, mut rtt) = ([self.hosts[from].rack, self.hosts[to].rack], self.rtt);
        let mut links = vec![Link::Tx(from)];
        if racks[0] != racks[1] {
            let up_down = racks.map(|rack| self.racks[rack].uplink.is_some());
            let sites = racks.map(|rack| self.racks[rack].site);
            let core = |site: usize| self.sites[site].core.map(|_| Link::Core(site));
            links.extend(up_down[0].then_some(Link::Up(racks[0])));
            links.extend(core(sites[0]));
            if sites[0] != sites[1] {
                for link in self.between(sites[0], sites[1])? {
                    if let Link::Forward(wan) | Link::Reverse(wan) = link {
                        rtt += self.wans[wan].rtt;
                    }
                    links.push(link);
                }
                links.extend(core(sites[1]));
            }
            links.extend(up_down[1].then_some(Link::Down(racks[1])));
        }
        links.push(Link::Rx(to));
        Some((links, rtt))
    }

    /// Whether a guest can go from one host to another.
    pub fn joined(&self, from: usize, to: usize) -> bool {
        let [a, b] = [from, to].map(|host| self.racks[self.hosts[host].rack].site);
        from != to && (a == b || self.between(a, b).is_some())
    }

    /// The fewest links between two sites.
    fn between(&self, from: usize, to: usize) -> Option<Vec<Link>> {
        let mut came: Vec<Option<(usize, Link)>> = vec![None; self.sites.len()];
        let mut next = VecDeque::from([from]);
        while let Some(site) = next.pop_front() {
            for (wan, link) in self.wans.iter().enumerate() {
                let step = match link.between {
                    [a, b] if a == site => (b, Link::Forward(wan)),
                    [a, b] if b == site => (a, Link::Reverse(wan)),
                    _ => continue,
                };
                if step.0 != from && came[step.0].is_none() {
                    came[step.0] = Some((site, step.1));
                    next.push_back(step.0);
                }
            }
        }
        let mut links = Vec::new();
        let mut at = to;
        while at != from {
            let (before, link) = came[at]?;
            links.push(link);
            at = before;
        }
        links.reverse();
        Some(links)
    }

    /// The path of one guest's migration, as a question of one guest has it: the narrowest link,
    /// the whole round trip.
    pub fn path(&self, vm: &Vm, links: &[Link], rtt: SimTime) -> Path {
        let capacity = links.iter().map(|link| self.capacity(*link)).min_by_key(|rate| rate.0);
        Path {
            capacity: capacity.unwrap_or(BitRate::UNLIMITED),
            rtt,
            transport: vm.transport,
            send_buffer: vm.send_buffer,
            changes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_sites() -> Cluster {
        let host = |name: &str, rack| Host {
            name: name.to_owned(),
            rack,
            memory: Bytes(1 << 38),
            overcommit: 1.0,
            cores: 32.0,
            nic: BitRate(10_000_000_000),
            storage: None,
            power: None,
        };
        let rack = |name: &str, site, uplink| Rack { name: name.to_owned(), site, uplink };
        let site = |name: &str, core| Site { name: name.to_owned(), core };
        Cluster {
            hosts: vec![host("a", 0), host("b", 0), host("c", 1), host("d", 2), host("e", 3)],
            racks: vec![
                rack("r0", 0, Some(BitRate(40_000_000_000))),
                rack("r1", 0, None),
                rack("r2", 1, None),
                rack("r3", 2, None),
            ],
            sites: vec![
                site("s0", Some(BitRate(100_000_000_000))),
                site("s1", None),
                site("s2", None),
            ],
            wans: vec![Wan {
                between: [1, 0],
                capacity: BitRate(1_000_000_000),
                rtt: SimTime::from_millis(8),
            }],
            rtt: SimTime(200_000),
            ..Cluster::default()
        }
    }

    #[test]
    fn a_route_takes_each_link_on_the_way_and_none_else() {
        let cluster = two_sites();
        let names = |from, to| {
            cluster.route(from, to).map(|(links, _)| {
                links.into_iter().map(|link| cluster.link_name(link)).collect::<Vec<_>>().join(", ")
            })
        };
        assert_eq!(names(0, 1).unwrap(), "a tx, b rx");
        assert_eq!(names(0, 2).unwrap(), "a tx, r0 up, s0 core, c rx");
        assert_eq!(names(3, 0).unwrap(), "d tx, s1 to s0, s0 core, r0 down, a rx");
        assert_eq!(cluster.route(3, 0).unwrap().1, SimTime(8_200_000));
        assert_eq!((names(0, 0), names(0, 4)), (None, None), "there already, and no link");
        for (link, count) in [(Link::Core(0), 1), (Link::Up(1), 0), (Link::Reverse(0), 1)] {
            assert_eq!(cluster.links().iter().filter(|l| **l == link).count(), count, "{link:?}");
        }
    }
}
