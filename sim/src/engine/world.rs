//! What drives migrations: the event queue, the network, and any number of machines that share it.
//!
//! Each machine has one event, its next wake. When a migration begins or ends to use a link, or the
//! link changes, the shares of those that it touches change, and their events move; nothing else
//! does.

use migsim_models::profile::Profile;
use migsim_models::spec::{Guest, Path, Policy};
use migsim_models::units::{BitRate, Pages, SimTime};

use super::memory::Watched;
use crate::engine::{
    EventId, EventQueue, FlowId, FlowMemory, GuestMemory, LinkId, Migration, Moment, Network,
    Outcome, PageMemory, Workplace,
};

/// Pages of a chunk of the dirty log that QEMU clears together: 1 GiB (`hw/core/machine.c`,
/// x-clear-bitmap-shift of 18).
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
    /// KVM's bitmap: bits are cleared so many pages at a time, just before the first of them is
    /// sent.
    Chunked {
        /// Pages of a chunk, above zero.
        pages: u64,
    },
    /// The dirty ring, and guests without KVM: bits are cleared at the sync.
    Eager,
}

/// The largest guest that is followed page by page: 128 GiB.
pub const MOST_PAGES: Pages = Pages(1 << 25);

impl Fidelity {
    /// Checks that a guest can be followed so.
    ///
    /// # Errors
    /// It has too many pages to follow each of them.
    pub fn check(self, guest: &Guest) -> Result<(), String> {
        if matches!(self, Fidelity::Page { .. }) && guest.memory > MOST_PAGES {
            let (memory, most) = (guest.memory.bytes(), MOST_PAGES.bytes());
            return Err(format!(
                "page by page a guest of up to {most} is followed; this one has {memory}"
            ));
        }
        Ok(())
    }
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
    /// Its own time zero.
    started: SimTime,
    wake: Option<EventId>,
}

/// A migration's share of its lines has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateChange {
    /// When.
    pub at: SimTime,
    /// Which migration.
    pub migration: usize,
    /// To so many bytes per second on the wire.
    pub rate: f64,
    /// Bytes on the wire that the far end has by then.
    pub carried: f64,
}

/// Migrations under way on a network.
///
/// What happens at one moment happens together: all machines that wake then decide, and only then
/// the links are shared anew.
#[derive(Debug)]
pub struct World<M> {
    now: SimTime,
    queue: EventQueue<Event>,
    network: Network,
    /// By the number of their flow; `None`: over.
    machines: Vec<Option<Box<Machine<M>>>>,
    finished: Vec<(usize, Outcome)>,
    /// Every change of a share since they were last taken, where someone wants to know.
    rates: Option<Vec<RateChange>>,
    /// By migration: bytes on the wire that the far end has, as of its last wake or change.
    carried: Vec<f64>,
    /// Whether shares of links may be off by a little.
    tolerant: bool,
    // Kept between moments, so that none allocates: flows whose share has changed, machines whose
    // plan is to be made anew.
    changed: Vec<FlowId>,
    stale: Vec<usize>,
}

impl<M> Default for World<M> {
    /// With room for one migration: most worlds hold no more, and growing into it is a thirtieth of
    /// what one costs.
    fn default() -> Self {
        World {
            now: SimTime::ZERO,
            queue: EventQueue::default(),
            network: Network::default(),
            machines: Vec::with_capacity(1),
            finished: Vec::with_capacity(1),
            rates: None,
            carried: Vec::with_capacity(1),
            tolerant: false,
            changed: Vec::with_capacity(1),
            stale: Vec::with_capacity(2),
        }
    }
}

impl<M: GuestMemory> World<M> {
    /// From now on a migration among very many on a link need not know at once that its share has
    /// changed by so much, see [`Network`].
    pub fn set_tolerance(&mut self, tolerance: f64) {
        self.tolerant = tolerance > 0.0;
        self.network.set_tolerance(tolerance);
    }

    /// A link of that capacity.
    pub fn add_link(&mut self, capacity: BitRate) -> LinkId {
        self.network.add_link(capacity.bytes_per_s())
    }

    /// A link of a path's capacity, with the changes of it.
    pub fn add_path(&mut self, path: &Path) -> LinkId {
        let link = self.add_link(path.capacity);
        for change in &path.changes {
            self.change_capacity(change.at, link, change.capacity);
        }
        link
    }

    /// From `at` on the link has another capacity.
    pub fn change_capacity(&mut self, at: SimTime, link: LinkId, capacity: BitRate) {
        self.queue.schedule(at, Event::Capacity(link, capacity.bytes_per_s()));
    }

    /// A migration over a path of links that starts now. Returns its number; they count from zero.
    pub fn add_migration(&mut self, migration: Migration<M>, path: &[LinkId]) -> usize {
        self.add_migration_at(self.now, migration, path)
    }

    /// A migration that starts at `at`, now or later. Returns its number.
    pub fn add_migration_at(
        &mut self,
        at: SimTime,
        migration: Migration<M>,
        path: &[LinkId],
    ) -> usize {
        let FlowId(index) = self.network.add_flow(path);
        self.machines.push(Some(Box::new(Machine { migration, started: at, wake: None })));
        self.carried.push(0.0);
        self.stale.push(index);
        index
    }

    /// What time it is.
    pub fn now(&self) -> SimTime {
        self.now
    }

    /// From now on every change of a share is kept until it is taken.
    pub fn watch_rates(&mut self) {
        self.rates.get_or_insert_default();
    }

    /// The changes of shares since they were last taken.
    pub fn take_rates(&mut self) -> impl Iterator<Item = RateChange> + '_ {
        self.rates.iter_mut().flat_map(|rates| rates.drain(..))
    }

    /// What the processors of its hosts leave a migration, and its guest.
    pub fn set_cpu(&mut self, index: usize, migration: f64, guest: f64) {
        self.amend(index);
        if let Some(machine) = &mut self.machines[index] {
            machine.migration.set_cpu(self.now.since(machine.started), migration, guest);
            self.network.set_demand(FlowId(index), machine.migration.demand());
            self.stale.push(index);
        }
    }

    /// Whether a migration's guest has been let run at its destination.
    pub fn is_over_there(&self, index: usize) -> bool {
        self.machines[index].as_ref().is_none_or(|machine| machine.migration.is_over_there())
    }

    /// Migrations that are over since they were last taken, with their own times.
    pub fn take_finished(&mut self) -> std::vec::Drain<'_, (usize, Outcome)> {
        self.finished.drain(..)
    }

    /// Lets everything happen that happens at the next moment. `false`: nothing is left to happen.
    pub fn step(&mut self) -> bool {
        self.settle();
        let Some(now) = self.queue.next_time() else { return false };
        self.now = now;
        while self.queue.next_time() == Some(now) {
            match self.queue.pop() {
                Some((_, Event::Wake(index))) => self.wake(index),
                Some((_, Event::Capacity(link, capacity))) => {
                    self.network.set_capacity(link, capacity);
                }
                None => {}
            }
        }
        true
    }

    /// Lets a machine know what it has really got of its link since it was planned.
    fn amend(&mut self, index: usize) {
        if self.tolerant
            && let Some(machine) = &mut self.machines[index]
        {
            let average = self.network.average(FlowId(index), self.now);
            machine.migration.amend(self.now.since(machine.started), average);
        }
    }

    fn wake(&mut self, index: usize) {
        self.amend(index);
        let Some(machine) = &mut self.machines[index] else { return };
        machine.wake = None;
        machine.migration.wake(self.now - machine.started);
        self.carried[index] = machine.migration.carried();
        self.network.set_demand(FlowId(index), machine.migration.demand());
        if !machine.migration.is_over() {
            self.stale.push(index);
        } else if let Some(machine) = self.machines[index].take() {
            self.finished.push((index, machine.migration.into_outcome(self.now - machine.started)));
        }
    }

    /// Shares the links anew and makes the plans anew that this, or a machine's own decision, has
    /// changed. [`World::step`] does so before time goes on; who watches the shares, to answer
    /// to them, does so before.
    pub fn settle(&mut self) {
        self.network.settle(self.now, &mut self.changed);
        let mut changed = std::mem::take(&mut self.changed);
        for flow in changed.drain(..) {
            let rate = self.network.rate(flow);
            self.amend(flow.0);
            if let Some(machine) = &mut self.machines[flow.0] {
                machine.migration.set_rate(self.now - machine.started, rate);
                self.carried[flow.0] = machine.migration.carried();
                self.stale.push(flow.0);
            }
            if let Some(rates) = &mut self.rates {
                rates.push(RateChange {
                    at: self.now,
                    migration: flow.0,
                    rate,
                    carried: self.carried[flow.0],
                });
            }
        }
        self.changed = changed;
        self.stale.sort_unstable();
        self.stale.dedup();
        for index in self.stale.drain(..) {
            let Some(machine) = &mut self.machines[index] else { continue };
            if self.tolerant {
                let flow = FlowId(index);
                machine.migration.expect(self.network.tell(flow, self.now));
                if let Some(rates) = &mut self.rates
                    && self.network.is_in_crowd(flow)
                {
                    let rate = self.network.rate(flow);
                    rates.push(RateChange {
                        at: self.now,
                        migration: index,
                        rate,
                        carried: self.carried[index],
                    });
                }
            }
            // One that has not started yet is planned from its start on.
            machine.migration.plan(self.now.since(machine.started));
            let next = machine.migration.next_wake().map(|at| machine.started + at);
            match (next, machine.wake) {
                (Some(at), Some(id)) => {
                    self.queue.reschedule(id, at);
                }
                (Some(at), None) => {
                    machine.wake = Some(self.queue.schedule(at, Event::Wake(index)));
                }
                (None, Some(id)) => {
                    self.queue.cancel(id);
                    machine.wake = None;
                }
                (None, None) => {}
            }
        }
    }

    /// Nothing is left to happen: what waits for a link that carries nothing any more has its
    /// outcome too.
    pub fn abandon(&mut self) {
        let now = self.now;
        (0..self.machines.len()).for_each(|index| self.amend(index));
        for (index, machine) in self.machines.iter_mut().enumerate() {
            if let Some(machine) = machine.take() {
                self.finished.push((index, machine.migration.into_outcome(now - machine.started)));
            }
        }
    }

    /// Runs until nothing is left to happen, and returns the outcomes in the order in which
    /// migrations were added.
    pub fn run(mut self) -> Vec<Outcome> {
        while self.step() {}
        self.abandon();
        self.finished.sort_by_key(|(index, _)| *index);
        self.finished.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

impl<'a> Question<'a> {
    /// A question about a guest of KVM with its usual dirty log.
    ///
    /// ```
    /// use migsim::engine::{Fidelity, Question};
    /// use migsim_models::profile::Profile;
    /// use migsim_models::spec::{Guest, Path, Policy};
    /// use migsim_models::units::SimTime;
    ///
    /// let guest = Guest::new("4GiB")?.workload("uniform(wss=512MiB, rate=5000p/s)")?;
    /// let (path, policy, profile) = (Path::new("1Gbit/s")?, Policy::default(), Profile::default());
    /// let outcome = Question::new(&guest, &path, &policy, &profile).answer(Fidelity::Flow, SimTime::ZERO);
    /// assert!(outcome.completed() && outcome.downtime() < outcome.tmt());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        guest: &'a Guest,
        path: &'a Path,
        policy: &'a Policy,
        profile: &'a Profile,
    ) -> Question<'a> {
        Question { guest, path, policy, profile, dirty_log: DirtyLog::default() }
    }

    /// The migration's machine over the guest's memory in expected counts.
    pub fn flow(&self, offset: SimTime) -> Migration<FlowMemory> {
        let guest = self.profile.as_known(self.guest);
        let catch_up = guest.workload.terms.iter().map(|term| term.catch_up).collect();
        let memory = FlowMemory::new(self.workplace(&guest, offset), catch_up);
        Migration::new(self.guest, self.path, self.policy, self.profile, memory)
    }

    /// The migration's machine over the guest's memory page by page.
    pub fn page(&self, offset: SimTime, seed: u64) -> Migration<PageMemory> {
        let guest = self.profile.as_known(self.guest);
        let workplace = self.workplace(&guest, offset);
        let memory = PageMemory::new(workplace, &guest.workload.terms, seed);
        Migration::new(self.guest, self.path, self.policy, self.profile, memory)
    }

    /// The answer page by page, as of [`Fidelity::Page`] with that seed; `look` gets the guest's
    /// memory as it is about every `every`, and after each look at the dirty log.
    pub fn watch(
        &self,
        offset: SimTime,
        seed: u64,
        every: SimTime,
        look: impl FnMut(Moment),
    ) -> Outcome {
        let guest = self.profile.as_known(self.guest);
        let workplace = self.workplace(&guest, offset);
        let memory = PageMemory::new(workplace, &guest.workload.terms, seed);
        let watched = Watched::new(memory, every, look);
        self.run(Migration::new(self.guest, self.path, self.policy, self.profile, watched))
    }

    fn workplace(&self, guest: &Guest, offset: SimTime) -> Workplace {
        let chunk = match self.dirty_log {
            DirtyLog::Chunked { pages } => Some(pages),
            DirtyLog::Eager => None,
        };
        Workplace::new(guest, self.policy, self.profile, chunk, offset)
    }

    /// Answers it: one migration, alone on its path, whose workload is `offset` into its first
    /// phase.
    pub fn answer(&self, fidelity: Fidelity, offset: SimTime) -> Outcome {
        match fidelity {
            Fidelity::Flow => self.run(self.flow(offset)),
            Fidelity::Page { seed } => self.run(self.page(offset, seed)),
        }
    }

    /// Runs a migration of this question's alone on its path: what [`Question::flow`] or
    /// [`Question::page`] made, with what was added to it.
    ///
    /// The outcome is that of a [`World`] with this migration alone. It needs neither queue nor
    /// network, and most questions are such.
    pub fn run<M: GuestMemory>(&self, mut migration: Migration<M>) -> Outcome {
        let (mut now, mut rate, mut demand) = (SimTime::ZERO, 0.0, 0.0_f64);
        let mut capacity = self.path.capacity.bytes_per_s();
        let mut changes = self.path.changes.iter().peekable();
        let mut stale = true;
        loop {
            let share = demand.min(capacity);
            if share != rate {
                rate = share;
                migration.set_rate(now, rate);
                stale = true;
            }
            if std::mem::take(&mut stale) {
                migration.plan(now);
            }
            let wake = migration.next_wake().unwrap_or(SimTime::MAX);
            let change = changes.peek().map_or(SimTime::MAX, |change| change.at);
            if wake.min(change) == SimTime::MAX {
                return migration.into_outcome(now);
            }
            now = wake.min(change);
            while let Some(change) = changes.next_if(|change| change.at == now) {
                capacity = change.capacity.bytes_per_s();
            }
            if wake == now {
                migration.wake(now);
                if migration.is_over() {
                    return migration.into_outcome(now);
                }
                demand = migration.demand().unwrap_or(0.0);
                stale = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Case;

    /// What [`Question::run`] takes for granted.
    #[test]
    fn a_migration_alone_is_that_of_a_world_with_nothing_else() {
        let guest =
            "[[guest]]\nmemory = \"2GiB\"\nworkload = \"uniform(wss=256MiB, rate=20000p/s)\"\n";
        let changes = "link.changes = [{ at = \"3s\", capacity = \"300Mbit/s\" }, { at = \"9s\", capacity = \"0bit/s\" }, \
            { at = \"20s\", capacity = \"2Gbit/s\" }]\n";
        let cut = "link.changes = [{ at = \"3s\", capacity = \"0bit/s\" }]\n";
        for changes in ["", changes, cut] {
            for lever in [
                "",
                "migration.mode = \"postcopy\"\n",
                "migration.mode = \"offline\"\n",
                "migration.auto_converge = true\n",
                "migration.timeout = \"12s\"\n",
                "migration.bandwidth_cap = \"400Mbit/s\"\n",
                "migration.xbzrle = true\n",
            ] {
                let case = Case::from_toml(&format!(
                    "link.capacity = \"1Gbit/s\"\n{changes}{lever}{guest}"
                ))
                .unwrap();
                let profile = Profile::default();
                let question = case.question(&profile);
                let mut world = World::default();
                let link = world.add_path(&case.path);
                world.add_migration(question.flow(SimTime::ZERO), &[link]);
                assert_eq!(
                    world.run(),
                    [question.answer(Fidelity::Flow, SimTime::ZERO)],
                    "{changes}{lever}"
                );
            }
        }
    }

    #[test]
    fn who_watches_a_migration_page_by_page_does_not_change_it() {
        for workload in
            ["uniform(wss=64MiB, rate=9000p/s) + sweep(wss=32MiB, rate=2000p/s)", "idle"]
        {
            for lever in ["", "migration.mode = \"postcopy\"\n", "migration.xbzrle = true\n"] {
                let case = Case::from_toml(&format!(
                    "link.capacity = \"1Gbit/s\"\n{lever}[[guest]]\nmemory = \"512MiB\"\ntouched = \"256MiB\"\nworkload = \"{workload}\"\n"
                ))
                .unwrap();
                let profile = Profile::default();
                let question = case.question(&profile);
                let mut moments = Vec::new();
                let every = SimTime::from_millis(100);
                let watched =
                    question.watch(SimTime::ZERO, 7, every, |moment| moments.push(moment));
                let alone = question.answer(Fidelity::Page { seed: 7 }, SimTime::ZERO);
                assert_eq!(watched, alone, "{workload} {lever}");
                let total: usize = moments[0].counts().iter().sum();
                assert_eq!(moments[0].counts(), [0, 0, total, 0], "all of it waits at first");
                let last = moments.last().unwrap().counts();
                assert_eq!(last[2], 0, "nothing waits at last");
                // What was dirtied when the last iteration ended was found by the syncs.
                let seen = moments.iter().map(|moment| moment.counts()[3]).max().unwrap();
                assert_eq!(seen > 0, workload != "idle");
            }
        }
    }
}
