//! Moving a fleet: moves start as slots and memory come free, and share links and processors while
//! they last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::atomic::{AtomicBool, Ordering};

use migsim_models::profile::Profile;
use migsim_models::qemu::NORMAL_PAGE_WIRE;
use migsim_models::spec::Mode;
use migsim_models::units::{BitRate, SimTime, human_bytes};

use super::chance::Chance;
use super::cluster::Link;
use super::meter::Meter;
use super::processors::Processors;
use super::task::Fleet;
use crate::engine::{
    Bottleneck, FlowMemory, LinkId, Outcome, Question, RateChange, World, headroom,
};
use crate::input::Case;

/// Lines and processors answer to each other so often in one moment; where both are short they come
/// ever closer.
const MOST_ANSWERS: usize = 12;

/// What came of one move.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveOutcome {
    /// Which of the list's moves.
    pub index: usize,
    /// Which guest, by number.
    pub vm: usize,
    /// From which host, to which.
    pub hosts: [usize; 2],
    /// When it began.
    pub began: SimTime,
    /// What it was, by its own clock; without its iterations.
    pub outcome: Outcome,
    /// What the guest lost of its service: seconds of standing still, of throttling, of faults,
    /// and of short processors.
    pub lost_s: f64,
    /// Why it did not arrive, if it did not.
    pub why_not: Option<String>,
}

impl MoveOutcome {
    /// When it was over.
    pub fn ended(&self) -> SimTime {
        self.began + self.outcome.ended_at
    }
}

/// What came of all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetOutcome {
    /// In the order of the list.
    pub moves: Vec<MoveOutcome>,
    /// Moves that never began, and what they waited for that did not come free.
    pub never: Vec<(usize, String)>,
    /// The links, in the order of their meter.
    pub links: Vec<Link>,
    /// Bytes on the wire, by link.
    pub carried: Meter,
    /// Processor seconds, by host.
    pub worked: Meter,
    /// The most migrations that were under way at a time.
    pub most_at_once: usize,
}

/// Something that only so many moves can hold at a time.
#[derive(Debug, Clone, Default)]
struct Slots {
    held: usize,
    most: usize,
    /// Moves that wait for it, the first of the list first.
    waiting: BinaryHeap<Reverse<usize>>,
}

/// A fleet on its way.
struct Run<'a> {
    fleet: &'a Fleet,
    profile: &'a Profile,
    world: World<FlowMemory>,
    links: BTreeMap<Link, LinkId>,
    /// By link; the last is for all.
    slots: Vec<Slots>,
    /// Bytes of memory that no guest has, by host; and the moves that wait for some.
    free: Vec<i128>,
    crowded: Vec<BinaryHeap<Reverse<usize>>>,
    /// Which move each migration of the world is.
    running: Vec<usize>,
    routes: Vec<Vec<LinkId>>,
    began: Vec<Option<SimTime>>,
    done: Vec<Option<MoveOutcome>>,
    processors: Processors,
    carried: Meter,
    /// By migration: bytes that it had carried over its links, and when.
    known: Vec<(f64, SimTime)>,
    chance: Chance,
    changes: Vec<RateChange>,
    most_at_once: usize,
}

/// Moves a fleet, as it is expected to go or as `chance` has it. `progress` hears how many moves
/// are over. `None`: interrupted.
pub fn run(
    fleet: &Fleet,
    profile: &Profile,
    chance: Chance,
    interrupted: &AtomicBool,
    mut progress: impl FnMut(usize),
) -> Option<FleetOutcome> {
    let mut run = Run::new(fleet, profile, chance);
    for index in 0..fleet.moves.len() {
        run.start(index);
    }
    let mut over = 0;
    loop {
        run.settle();
        if !run.world.step() {
            break;
        }
        let finished: Vec<(usize, Outcome)> = run.world.take_finished().collect();
        over += finished.len();
        for (migration, outcome) in finished {
            run.finish(migration, outcome);
            progress(over);
        }
        if interrupted.load(Ordering::Relaxed) {
            return None;
        }
    }
    // What has no way left is given up; who waits for its slots still does.
    run.world.abandon();
    let cut: Vec<(usize, Outcome)> = run.world.take_finished().collect();
    for (migration, outcome) in cut {
        run.record(migration, outcome);
    }
    let last = run.done.iter().flatten().map(MoveOutcome::ended).max().unwrap_or_default();
    run.processors.close(last);
    let waited = |index: usize| {
        let one = fleet.moves[index];
        let (need, free) = (fleet.cluster.vms[one.vm].need(), run.free[one.to].max(0));
        let host = &fleet.cluster.hosts[one.to].name;
        let bytes = |bytes: i128| human_bytes(bytes as f64);
        if free < need {
            format!(
                "it never left: {host} has {} free until the end, and it needs {}",
                bytes(free),
                bytes(need)
            )
        } else {
            "it never left: no slot came free".to_owned()
        }
    };
    let never = (0..fleet.moves.len())
        .filter(|index| run.done[*index].is_none())
        .map(|i| (i, waited(i)))
        .collect();
    Some(FleetOutcome {
        moves: run.done.into_iter().flatten().collect(),
        never,
        links: fleet.cluster.links(),
        carried: run.carried,
        worked: run.processors.meter,
        most_at_once: run.most_at_once,
    })
}

impl<'a> Run<'a> {
    fn new(fleet: &'a Fleet, profile: &'a Profile, chance: Chance) -> Run<'a> {
        let cluster = &fleet.cluster;
        let mut world = World::default();
        let mut links = BTreeMap::new();
        let mut slots = Vec::new();
        for link in cluster.links() {
            links.insert(link, world.add_link(cluster.capacity(link)));
            slots.push(Slots { most: fleet.limits.of(link), ..Slots::default() });
        }
        slots.push(Slots { most: fleet.limits.at_once.unwrap_or(usize::MAX), ..Slots::default() });
        busy(fleet, &links, &mut world);
        let carried = Meter::new(links.len());
        world.watch_rates();
        world.set_tolerance(fleet.tolerance);
        let free = cluster.free();
        Run {
            fleet,
            profile,
            world,
            links,
            slots,
            crowded: vec![BinaryHeap::new(); free.len()],
            free,
            running: Vec::new(),
            routes: Vec::new(),
            began: vec![None; fleet.moves.len()],
            done: vec![None; fleet.moves.len()],
            processors: Processors::new(cluster),
            carried,
            known: Vec::new(),
            chance,
            changes: Vec::new(),
            most_at_once: 0,
        }
    }

    /// Starts a move, or lets it wait for the first thing that is not free.
    fn start(&mut self, index: usize) {
        let cluster = &self.fleet.cluster;
        let one = self.fleet.moves[index];
        let vm = &cluster.vms[one.vm];
        let Some((route, rtt)) = cluster.route(vm.host, one.to) else { return };
        let links: Vec<LinkId> = route.iter().map(|link| self.links[link]).collect();
        let all = self.slots.len() - 1;
        let needed = || links.iter().map(|link| link.0).chain([all]);
        if let Some(full) = needed().find(|slot| self.slots[*slot].held >= self.slots[*slot].most) {
            self.slots[full].waiting.push(Reverse(index));
            return;
        }
        // While it moves, it has its memory at both ends.
        if self.free[one.to] < vm.need() {
            self.crowded[one.to].push(Reverse(index));
            return;
        }
        self.free[one.to] -= vm.need();
        for slot in needed() {
            self.slots[slot].held += 1;
        }
        self.most_at_once = self.most_at_once.max(self.slots[all].held);
        let path = cluster.path(vm, &route, rtt);
        let (guest, mut profile, offset) = self.chance.of(index, &vm.guest, self.profile);
        let disks = [vm.host, one.to].map(|host| cluster.hosts[host].storage);
        if vm.policy.mode == Mode::Offline && disks != [None, None] {
            let slower = |rate: &mut BitRate, disk: Option<BitRate>| {
                *rate = disk.map_or(*rate, |disk| disk.min(*rate));
            };
            let offline = &mut profile.to_mut().offline;
            slower(&mut offline.write_rate.value, disks[0]);
            slower(&mut offline.copy_read_rate.value, disks[0]);
            slower(&mut offline.read_rate.value, disks[1]);
        }
        let question = Question {
            guest: &guest,
            path: &path,
            policy: &vm.policy,
            profile: &profile,
            dirty_log: vm.dirty_log,
        };
        let migration = question.flow(offset);
        self.world.add_migration(migration, &links);
        self.running.push(index);
        self.routes.push(links);
        self.began[index] = Some(self.world.now());
        // Copying an image costs hardly any processor.
        let full = if vm.policy.mode == Mode::Offline {
            f64::INFINITY
        } else {
            profile.cpu.page_rate.value.pages_per_s() * NORMAL_PAGE_WIRE
                / profile.share(vm.transport)
        };
        let threads = f64::from(vm.policy.multifd_channels.max(1));
        let migration = self.running.len() - 1;
        self.processors.begin(migration, [vm.host, one.to], (full, threads), &mut self.world);
    }

    /// Shares links and processors until neither changes the other any more.
    fn settle(&mut self) {
        for _ in 0..MOST_ANSWERS {
            self.world.settle();
            self.changes.extend(self.world.take_rates());
            if self.changes.is_empty() {
                break;
            }
            self.measure();
        }
    }

    /// What has changed for links and processors.
    fn measure(&mut self) {
        for change in self.changes.drain(..) {
            if self.known.len() <= change.migration {
                self.known.resize(change.migration + 1, (0.0, SimTime::ZERO));
            }
            let known = &mut self.known[change.migration];
            let (before, since) = std::mem::replace(known, (change.carried, change.at));
            let rate = (change.carried - before) / (change.at - since).as_secs_f64();
            if rate > 0.0 {
                for link in &self.routes[change.migration] {
                    self.carried.add(link.0, rate, since, change.at);
                }
            }
            self.processors.change(change, &mut self.world);
        }
    }

    /// A move as a question of one guest, on a link of what it got.
    fn alone(&self, index: usize, outcome: &Outcome) -> Case {
        alone(self.fleet, index, outcome)
    }

    /// Keeps what came of a migration. Returns the host at which its guest no longer needs memory.
    fn record(&mut self, migration: usize, mut outcome: Outcome) -> usize {
        let index = self.running[migration];
        let one = self.fleet.moves[index];
        let vm = &self.fleet.cluster.vms[one.vm];
        let lost = outcome.lost_s();
        let why_not = (!outcome.completed())
            .then(|| crate::answer::why_not(&self.alone(index, &outcome), &outcome));
        outcome.forget_iterations();
        let short = self.processors.end(migration, vm.cpu, outcome.completed(), &mut self.world);
        let down = outcome.downtime().map_or(0.0, SimTime::as_secs_f64);
        // A write to a page whose log was cleared is a fault; who wants to write more than they let
        // it loses the rest.
        let classes = self.profile.classes_of(&vm.guest);
        let kept = headroom(&vm.guest, self.profile, &classes).min(1.0);
        let faulted = (1.0 - kept) * (outcome.ended_at.as_secs_f64() - down);
        self.done[index] = Some(MoveOutcome {
            index,
            vm: one.vm,
            hosts: [vm.host, one.to],
            began: self.began[index].unwrap_or_default(),
            lost_s: lost + faulted + short,
            why_not,
            outcome,
        });
        // It has left the one end or the other.
        let left = if self.done[index].as_ref().is_some_and(|moved| moved.outcome.completed()) {
            vm.host
        } else {
            one.to
        };
        self.free[left] += vm.need();
        left
    }

    fn finish(&mut self, migration: usize, outcome: Outcome) {
        let left = self.record(migration, outcome);
        let freed: Vec<usize> = self.routes[migration]
            .iter()
            .map(|link| link.0)
            .chain([self.slots.len() - 1])
            .collect();
        for slot in &freed {
            self.slots[*slot].held -= 1;
        }
        for slot in freed {
            // Each that is woken starts, or goes on to wait for something else.
            while self.slots[slot].held < self.slots[slot].most {
                let Some(Reverse(next)) = self.slots[slot].waiting.pop() else { break };
                self.start(next);
            }
        }
        // All that wait for memory there try again, the first of the list first: a smaller one may
        // fit where a larger one does not yet.
        for Reverse(next) in
            std::mem::take(&mut self.crowded[left]).into_sorted_vec().into_iter().rev()
        {
            self.start(next);
        }
    }
}

/// A move of a fleet as a question of one guest, on a link that gives it what it got of its links.
pub fn alone(fleet: &Fleet, index: usize, outcome: &Outcome) -> Case {
    let one = fleet.moves[index];
    let vm = &fleet.cluster.vms[one.vm];
    let (route, rtt) = fleet.cluster.route(vm.host, one.to).unwrap_or_default();
    let mut path = fleet.cluster.path(vm, &route, rtt);
    if let Some(bound) = outcome.bound_of_iterations.filter(|bound| bound.by == Bottleneck::Link) {
        path.capacity =
            path.capacity.min(BitRate((bound.bytes_per_s * 8.0) as u64)).max(BitRate(1));
    }
    Case { guest: vm.guest.clone(), path, policy: vm.policy.clone(), dirty_log: vm.dirty_log }
}

/// What other traffic takes from the links, while it lasts.
fn busy(fleet: &Fleet, links: &BTreeMap<Link, LinkId>, world: &mut World<FlowMemory>) {
    let mut changes: BTreeMap<Link, BTreeMap<SimTime, i128>> = BTreeMap::new();
    for traffic in &fleet.traffic {
        let Some((route, _)) = fleet.cluster.route(traffic.route[0], traffic.route[1]) else {
            continue;
        };
        for link in route {
            let times = changes.entry(link).or_default();
            *times.entry(traffic.during.start).or_default() += i128::from(traffic.rate.0);
            if traffic.during.end < SimTime::MAX {
                *times.entry(traffic.during.end).or_default() -= i128::from(traffic.rate.0);
            }
        }
    }
    for (link, times) in changes {
        let mut taken = 0;
        for (at, change) in times {
            taken += change;
            let left = i128::from(fleet.cluster.capacity(link).0) - taken;
            let left = u64::try_from(left.max(0)).map_or(BitRate::UNLIMITED, BitRate);
            world.change_capacity(at, links[&link], left);
        }
    }
}
