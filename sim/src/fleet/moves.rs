//! What goes where, in which order, and how many at a time.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use migsim_models::text::{counted, first_of};
use migsim_models::units::human_bytes;
use migsim_models::words;
use serde::Deserialize;

use super::cluster::{Cluster, Link};

/// A guest's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Which guest, by number.
    pub vm: usize,
    /// To which host, by number.
    pub to: usize,
}

/// Where guests go for whom no host is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// To the host with the most memory left.
    #[default]
    Spread,
    /// To the first that has room.
    Fill,
}

/// In which order guests go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// As they are listed.
    #[default]
    Listed,
    /// Those with the most memory first.
    Largest,
    /// Those with the least first.
    Smallest,
}

/// What becomes of guests for whom no host has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoRoom {
    /// The fleet is refused.
    #[default]
    Refuse,
    /// They stay where they are, and the others are moved.
    Stay,
}

words!(Placement, "placement", "spread" => Spread, "fill" => Fill);
words!(Order, "order", "listed" => Listed, "largest" => Largest, "smallest" => Smallest);

/// How many migrations at a time; `None`: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// In all.
    pub at_once: Option<usize>,
    /// That leave, or arrive at, one host.
    pub per_host: Option<usize>,
    /// Over one link that hosts share: an uplink, a core, a link between sites; each way.
    pub per_link: Option<usize>,
}

impl Limits {
    /// How many a link lets through at a time.
    pub fn of(&self, link: Link) -> usize {
        match link {
            Link::Tx(_) | Link::Rx(_) => self.per_host,
            _ => self.per_link,
        }
        .unwrap_or(usize::MAX)
    }
}

/// What leaves: the guests of some hosts, but for those that stay and some that are named.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// The hosts, by number.
    pub hosts: &'a [usize],
    /// The guests that are not meant, by number.
    pub but: &'a BTreeSet<usize>,
}

/// So many guests are named that find no room.
const NAMED: usize = 12;

/// Where everything goes that leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evacuation {
    /// What goes where, in order.
    pub moves: Vec<Move>,
    /// Guests for whom there is no room, or no path, by number.
    pub homeless: Vec<usize>,
    /// Who they are and how much is short, in words; empty: nobody.
    pub shortfall: String,
}

/// Everything that leaves, onto `to`: guests in the order of their hosts.
pub fn evacuate(
    cluster: &Cluster,
    leaving: Leaving,
    to: &[usize],
    place: Placement,
    order: Order,
) -> Evacuation {
    let mut room = cluster.free();
    let mut on: Vec<Vec<usize>> = vec![Vec::new(); cluster.hosts.len()];
    for (index, vm) in cluster.vms.iter().enumerate() {
        on[vm.host].push(index);
    }
    let goes = |vm: &usize| !cluster.vms[*vm].stays && !leaving.but.contains(vm);
    let mut leaving: Vec<usize> =
        leaving.hosts.iter().flat_map(|host| on[*host].iter().copied()).filter(goes).collect();
    // Which groups have a guest where, in the end.
    let mut groups: BTreeSet<(usize, &str)> = {
        let gone: BTreeSet<usize> = leaving.iter().copied().collect();
        let staying = cluster.vms.iter().enumerate().filter(|(index, _)| !gone.contains(index));
        staying.filter_map(|(_, vm)| Some((vm.host, vm.apart.as_deref()?))).collect()
    };
    sort(cluster, &mut leaving, order);
    let smallest = leaving.iter().map(|vm| cluster.vms[*vm].need()).min().unwrap_or(0);
    // The hosts that may still have room: by it, or as they are listed.
    let mut by_room: BTreeSet<(i128, Reverse<usize>)> =
        to.iter().map(|host| (room[*host], Reverse(*host))).collect();
    let mut listed: Vec<usize> = to.to_vec();
    let (mut moves, mut homeless) = (Vec::new(), Vec::new());
    for vm in leaving {
        let need = cluster.vms[vm].need();
        let group = cluster.vms[vm].apart.as_deref();
        let fits = |host: &usize| {
            room[*host] >= need
                && cluster.joined(cluster.vms[vm].host, *host)
                && group.is_none_or(|group| !groups.contains(&(*host, group)))
        };
        let found = match place {
            // Of equal ones the first.
            Placement::Spread => by_room.iter().rev().map(|(_, Reverse(host))| *host).find(fits),
            Placement::Fill => listed.iter().copied().find(fits),
        };
        let Some(host) = found else {
            homeless.push(vm);
            continue;
        };
        groups.extend(group.map(|group| (host, group)));
        by_room.remove(&(room[host], Reverse(host)));
        room[host] -= need;
        if room[host] >= smallest {
            by_room.insert((room[host], Reverse(host)));
        } else {
            listed.retain(|other| *other != host);
        }
        moves.push(Move { vm, to: host });
    }
    if homeless.is_empty() {
        return Evacuation { moves, ..Evacuation::default() };
    }
    let short: u64 = homeless.iter().map(|vm| cluster.vms[*vm].guest.memory.bytes().0).sum();
    let guest = |vm: &usize| {
        let guest = &cluster.vms[*vm].guest;
        format!("`{}` ({})", guest.name, human_bytes(guest.memory.bytes().as_f64()))
    };
    let most = to.iter().copied().max_by_key(|host| (room[*host], Reverse(*host)));
    let left = most.map_or(String::new(), |host| {
        let room = human_bytes(room[host].max(0) as f64);
        format!("; the most that is left is {room} at `{}`", cluster.hosts[host].name)
    });
    let kept = match homeless.iter().any(|vm| cluster.vms[*vm].apart.is_some()) {
        true => " and without another of their group (`apart`)",
        false => "",
    };
    let all = homeless.len() + moves.len();
    let shortfall = format!(
        "{} of {} {} no host with room and a path to it{kept}, {} in all: {}{left}",
        homeless.len(),
        counted(all, "guest"),
        if homeless.len() == 1 { "finds" } else { "find" },
        human_bytes(short as f64),
        first_of(homeless.iter().map(guest), NAMED),
    );
    Evacuation { moves, homeless, shortfall }
}

fn sort(cluster: &Cluster, vms: &mut [usize], order: Order) {
    let memory = |vm: &usize| cluster.vms[*vm].guest.memory;
    match order {
        Order::Listed => {}
        Order::Largest => vms.sort_by_key(|vm| Reverse(memory(vm))),
        Order::Smallest => vms.sort_by_key(memory),
    }
}
