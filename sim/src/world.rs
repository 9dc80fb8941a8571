//! What drives migrations: the event queue, the network, and any number of machines that share it.
//!
//! Each machine has one event, its next wake. When a migration begins or ends to use a link, or the link changes, the shares of
//! those that it touches change, and their events move; nothing else does.

use migsim_models::profile::Profile;
use migsim_models::spec::{Guest, Path, Policy};
use migsim_models::units::{BitRate, SimTime};

use crate::memory::{FlowMemory, GuestMemory, PageMemory, Workplace};
use crate::migration::{Migration, Outcome};
use crate::network::{FlowId, LinkId, Network};
use crate::queue::{EventId, EventQueue};

/// Pages of a chunk of the dirty log that QEMU clears together: 1 GiB (`hw/core/machine.c`, x-clear-bitmap-shift of 18).
pub const CHUNK_PAGES: u64 = 1 << 18;

/// How the guest's memory is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fidelity {
    /// Expected counts: fast, and what predictions use.
    Flow,
    /// Every page, every write, from a seed: the reference.
    Page {
        /// The same seed gives the same writes.
        seed: u64,
    },
}

/// How the guest's dirty log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirtyLog {
    /// KVM's bitmap: bits are cleared so many pages at a time, just before the first of them is sent.
    Chunked {
        /// Pages of a chunk, above zero.
        pages: u64,
    },
    /// The dirty ring, and guests without KVM: bits are cleared at the sync.
    Eager,
}

impl Default for DirtyLog {
    fn default() -> Self {
        DirtyLog::Chunked { pages: CHUNK_PAGES }
    }
}

/// One question: a guest, the path, the policy, the hosts' profile.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is moved.
    pub guest: &'a Guest,
    /// Over what.
    pub path: &'a Path,
    /// How.
    pub policy: &'a Policy,
    /// Between what.
    pub profile: &'a Profile,
    /// How the dirty log is read.
    pub dirty_log: DirtyLog,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Wake(usize),
    Capacity(LinkId, f64),
}

#[derive(Debug)]
struct Machine<M> {
    migration: Migration<M>,
    flow: FlowId,
    wake: Option<EventId>,
}

/// Migrations under way on a network.
#[derive(Debug)]
pub struct World<M> {
    now: SimTime,
    queue: EventQueue<Event>,
    network: Network,
    machines: Vec<Machine<M>>,
    /// The flows whose share the current event changes.
    changed: Vec<FlowId>,
}

impl<M> Default for World<M> {
    fn default() -> Self {
        World {
            now: SimTime::ZERO,
            queue: EventQueue::default(),
            network: Network::default(),
            machines: Vec::new(),
            changed: Vec::new(),
        }
    }
}

impl<M: GuestMemory> World<M> {
    /// A link of that capacity.
    pub fn add_link(&mut self, capacity: BitRate) -> LinkId {
        self.network.add_link(capacity.bytes_per_s())
    }

    /// From `at` on the link has another capacity.
    pub fn change_capacity(&mut self, at: SimTime, link: LinkId, capacity: BitRate) {
        self.queue.schedule(at, Event::Capacity(link, capacity.bytes_per_s()));
    }

    /// A migration over a path of links, started at time zero. Returns its index.
    pub fn add_migration(&mut self, migration: Migration<M>, path: Vec<LinkId>) -> usize {
        let flow = self.network.add_flow(path);
        let index = self.machines.len();
        self.machines.push(Machine { migration, flow, wake: None });
        self.replan(index);
        index
    }

    /// Runs until nothing is left to happen, and returns the outcomes in the order in which migrations were added.
    pub fn run(mut self) -> Vec<Outcome> {
        while let Some((now, event)) = self.queue.pop() {
            self.now = now;
            match event {
                Event::Wake(index) => {
                    self.machines[index].wake = None;
                    self.machines[index].migration.wake(now);
                    let machine = &self.machines[index];
                    let demand = machine.migration.demand();
                    self.network.set_demand(machine.flow, demand, &mut self.changed);
                    if !self.changed.contains(&machine.flow) {
                        // Its own plan is made anew even where its share stayed.
                        self.replan(index);
                    }
                    self.retime();
                }
                Event::Capacity(link, capacity) => {
                    self.network.set_capacity(link, capacity, &mut self.changed);
                    self.retime();
                }
            }
        }
        let now = self.now;
        self.machines.into_iter().map(|machine| machine.migration.into_outcome(now)).collect()
    }

    /// Tells migrations their new shares and moves their events.
    fn retime(&mut self) {
        while let Some(flow) = self.changed.pop() {
            // Flows are added with their machines, so their numbers are the same.
            let index = flow.0;
            let rate = self.network.rate(flow);
            self.machines[index].migration.set_rate(self.now, rate);
            self.replan(index);
        }
    }

    fn replan(&mut self, index: usize) {
        let machine = &mut self.machines[index];
        machine.migration.plan(self.now);
        match (machine.migration.next_wake(), machine.wake) {
            (Some(at), Some(id)) => {
                self.queue.reschedule(id, at);
            }
            (Some(at), None) => machine.wake = Some(self.queue.schedule(at, Event::Wake(index))),
            (None, Some(id)) => {
                self.queue.cancel(id);
                machine.wake = None;
            }
            (None, None) => {}
        }
    }
}

impl Question<'_> {
    /// The migration's machine over the guest's memory in expected counts.
    pub fn flow(&self, offset: SimTime) -> Migration<FlowMemory> {
        let catch_up = self.guest.workload.terms.iter().map(|term| term.catch_up).collect();
        let memory = FlowMemory::new(self.workplace(offset), catch_up);
        Migration::new(self.guest, self.path, self.policy, self.profile, memory)
    }

    /// The migration's machine over the guest's memory page by page.
    pub fn page(&self, offset: SimTime, seed: u64) -> Migration<PageMemory> {
        let memory = PageMemory::new(self.workplace(offset), &self.guest.workload.terms, seed);
        Migration::new(self.guest, self.path, self.policy, self.profile, memory)
    }

    fn workplace(&self, offset: SimTime) -> Workplace {
        let chunk = match self.dirty_log {
            DirtyLog::Chunked { pages } => Some(pages),
            DirtyLog::Eager => None,
        };
        Workplace::new(self.guest, self.policy, self.profile, chunk, offset)
    }

    /// Answers it: one migration, alone on its path, whose workload is `offset` into its first phase.
    pub fn answer(&self, fidelity: Fidelity, offset: SimTime) -> Outcome {
        match fidelity {
            Fidelity::Flow => self.alone(self.flow(offset)),
            Fidelity::Page { seed } => self.alone(self.page(offset, seed)),
        }
    }

    fn alone<M: GuestMemory>(&self, migration: Migration<M>) -> Outcome {
        let mut world = World::default();
        let link = world.add_link(self.path.capacity);
        for change in &self.path.changes {
            world.change_capacity(change.at, link, change.capacity);
        }
        world.add_migration(migration, vec![link]);
        match world.run().pop() {
            Some(outcome) => outcome,
            None => unreachable!("a world of one migration has one outcome"),
        }
    }
}
