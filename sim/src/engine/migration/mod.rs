//! One migration as a state machine over the guest's memory: every mode and lever, for both
//! memories.
//!
//! The machine does no I/O and owns no clock. Whoever drives it ([`World`](super::World)) does, at
//! each step:
//!
//! ```text
//!   wake(now)            its own time has come: what was planned until now has happened, and the machine takes its next decision
//!   set_rate(now, rate)  its share of the link has changed: what was planned until now has happened
//!   plan(now)            lays out what happens next at the current share, until the next decision
//!   next_wake()          when that is
//!   demand()             what it could use of the link
//! ```
//!
//! Between two decisions everything is piecewise linear, so a plan is a handful of legs and an
//! iteration costs one event, however long it takes.
//!
//! | file | holds |
//! | --- | --- |
//! | settings | what is known from the start, as plain numbers |
//! | precopy, postcopy, offline | the stages of each mode |
//! | legs | what happens until the next decision, laid out |
//! | patience | migrations that get nowhere |
//! | rule | an own rule of when to stop the guest |
//! | ending, outcome | how it ends, and what is said of it |

mod ending;
mod legs;
mod offline;
mod outcome;
mod patience;
mod postcopy;
mod precopy;
mod rule;
mod settings;

pub use outcome::{Bottleneck, Bound, Decision, Ending, Iteration, Outcome, Patience};
pub use rule::Look;

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::profile::Profile;
use migsim_models::qemu::{self, Throttle};
use migsim_models::spec::{Guest, Mode, Path, Policy, Switch};
use migsim_models::units::SimTime;

use crate::engine::{GuestMemory, PageCount};
use legs::{Goal, Plan, Window};
use patience::{STUCK_ITERATIONS, Waiting};
use rule::OwnRule;
use settings::Settings;

/// Of a migration among very many on a link: what is that near has come.
const MOMENT: SimTime = SimTime(20_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until the first page is sent.
    Setup,
    /// Iterations of pre-copy.
    Iterating,
    /// The last sync of pre-copy is under way, the guest still runs.
    Stopping,
    /// The guest is stopped; the rest of RAM is on its way.
    RestOfRam,
    /// The devices' state is on its way.
    DeviceState,
    /// Loading, control round trips.
    Finishing,
    /// Post-copy: the guest is stopped, its state on its way.
    SwitchOver,
    /// Post-copy: the guest is at the destination, or about to run there, and its pages follow.
    Postcopy,
    Suspending,
    Copying,
    Resuming,
    Over,
}

/// One migration under way.
#[derive(Debug)]
pub struct Migration<M> {
    settings: Settings,
    memory: M,
    /// Instead of QEMU's.
    own_rule: Option<OwnRule>,
    stage: Stage,
    rate: f64,
    /// The last one above zero while pages were sent.
    last_rate: f64,
    /// What the hosts' processors leave of its speed, and of the guest's.
    cpu: f64,
    guest_cpu: f64,
    /// The share of a processor's time that the guest is let run, by throttle and stop.
    speed: f64,
    plan: Plan,
    /// A fixed time at which the current stage ends; `None` where the plan says.
    deadline: Option<SimTime>,
    switch_at: Option<SimTime>,
    resume_at: Option<SimTime>,
    forced_sync_at: Option<SimTime>,
    window: Window,
    throttle: Throttle,
    /// Iterations that got nowhere, and what the last one left.
    idle_iterations: u64,
    left_before: f64,
    last_decision: SimTime,
    dirtied_since_decision: f64,
    wire_at_decision: f64,
    last_sync: SimTime,
    syncs: u64,
    /// How often progress was judged, and how much work the iterations were.
    looks: u64,
    effort: u64,
    best_pending: f64,
    best_look: u64,
    best_at: SimTime,
    /// It gets nowhere, and waits for its timeout or its switch to post-copy.
    waiting: Option<Waiting>,
    /// It is watched for so many iterations at least: more each time that they were found to be
    /// unlike.
    watched_iterations: u64,
    suspended_at: Option<SimTime>,
    stopped_at: SimTime,
    overhead_end: SimTime,
    /// With a full socket; or at the end, once QEMU and the hosts had done their part.
    waited_for_path: bool,
    queued_part: SimTime,
    ram_received: SimTime,
    terms: Terms,
    parts: DowntimeParts,
    outcome: Outcome,
    iteration: Iteration,
    iteration_wire: f64,
    /// Endless while the guest runs here.
    wire_at_stop: f64,
    sent: PageCount,
    /// Bytes of the stream that the far end has.
    arrived: f64,
}

impl<M: GuestMemory> Migration<M> {
    /// A migration that starts at time zero.
    pub fn new(
        guest: &Guest,
        path: &Path,
        policy: &Policy,
        profile: &Profile,
        memory: M,
    ) -> Migration<M> {
        let settings = Settings::new(guest, path, policy, profile);
        let offline = policy.mode == Mode::Offline;
        let mut migration = Migration {
            memory,
            own_rule: None,
            stage: if offline { Stage::Suspending } else { Stage::Setup },
            rate: 0.0,
            last_rate: 0.0,
            cpu: 1.0,
            guest_cpu: 1.0,
            speed: 1.0,
            plan: Plan::empty(),
            deadline: Some(if offline { settings.offline.suspend } else { settings.first_page }),
            switch_at: match (policy.mode, policy.switch) {
                (Mode::Postcopy, Switch::AtStart) => Some(settings.first_page),
                (Mode::Postcopy, Switch::AfterTime(at)) => Some(at.max(settings.first_page)),
                _ => None,
            },
            resume_at: None,
            forced_sync_at: None,
            window: Window::default(),
            throttle: Throttle::default(),
            idle_iterations: 0,
            left_before: f64::INFINITY,
            last_decision: SimTime::ZERO,
            dirtied_since_decision: 0.0,
            wire_at_decision: 0.0,
            last_sync: SimTime::ZERO,
            syncs: 0,
            looks: 0,
            effort: 0,
            best_pending: f64::INFINITY,
            best_look: 0,
            best_at: SimTime::ZERO,
            waiting: None,
            watched_iterations: STUCK_ITERATIONS,
            suspended_at: None,
            stopped_at: SimTime::ZERO,
            overhead_end: SimTime::ZERO,
            waited_for_path: false,
            queued_part: SimTime::ZERO,
            ram_received: SimTime::ZERO,
            terms: Terms::default(),
            parts: DowntimeParts::default(),
            outcome: Outcome::new(policy.mode),
            iteration: Iteration::default(),
            iteration_wire: 0.0,
            wire_at_stop: f64::INFINITY,
            sent: PageCount::default(),
            arrived: 0.0,
            settings,
        };
        if matches!(policy.mode, Mode::Paused | Mode::Offline) {
            migration.suspended_at = Some(SimTime::ZERO);
            migration.let_run(SimTime::ZERO, 0.0);
        }
        migration
    }

    /// The same with an own rule of when to stop the guest, in pre-copy instead of QEMU's: asked at
    /// the end of each iteration, which goes through all pages then.
    #[must_use]
    pub fn stopping_when(
        mut self,
        rule: impl FnMut(&Look) -> bool + Send + 'static,
    ) -> Migration<M> {
        self.own_rule = Some(OwnRule(Box::new(rule)));
        self
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether the guest is at the destination already: post-copy.
    pub fn is_over_there(&self) -> bool {
        matches!(self.stage, Stage::SwitchOver | Stage::Postcopy | Stage::Over)
    }

    /// The most of the link's bytes per second that it could use now; `None`: nothing.
    pub fn demand(&self) -> Option<f64> {
        let s = &self.settings;
        let payload = match self.stage {
            Stage::Setup | Stage::Suspending | Stage::Finishing | Stage::Resuming | Stage::Over => {
                return None;
            }
            Stage::Copying => s.path_rate().min(s.offline.copy_cap),
            // No more than its processor fills.
            stage => {
                let cap = match stage {
                    Stage::Iterating => s.speeds.cap,
                    Stage::Postcopy => s.postcopy_cap,
                    _ => f64::INFINITY,
                };
                s.path_rate().min(cap).min(s.speeds.slowed(self.cpu).buffer_rate())
            }
        };
        Some(payload / s.share)
    }

    /// Bytes on the wire so far that the far end has.
    pub fn carried(&self) -> f64 {
        self.arrived / self.settings.share
    }

    /// When it has to be woken; `None`: never, unless its share of the link changes.
    pub fn next_wake(&self) -> Option<SimTime> {
        if self.is_over() {
            return None;
        }
        let end = self.skips().map_or(self.deadline.unwrap_or(self.plan.end), |[_, until]| until);
        let wake = [self.timeout(), self.pending_switch(), self.resume_at, self.forced_sync()]
            .into_iter()
            .flatten()
            .fold(end, SimTime::min);
        (wake < SimTime::HORIZON).then_some(wake)
    }

    /// Its share of the link, in bytes per second on the wire, changes; what was planned until now
    /// has happened.
    pub fn set_rate(&mut self, now: SimTime, rate: f64) {
        self.commit(now);
        // What was watched so far was watched at another rate.
        self.waiting = None;
        self.rate = rate * self.settings.share;
        if rate > 0.0 && !matches!(self.stage, Stage::Copying) {
            self.last_rate = self.rate;
        }
    }

    /// It is planned with a share of the link of so many bytes per second on the wire, a little
    /// more than it has.
    pub(in crate::engine) fn expect(&mut self, rate: f64) {
        self.rate = rate * self.settings.share;
    }

    /// Since it was planned it has really got so many bytes per second on the wire, on average:
    /// what was planned is laid out anew from there. What would end in a moment ends now.
    pub(in crate::engine) fn amend(&mut self, now: SimTime, average: f64) {
        let rate = average * self.settings.share;
        if self.plan.is_empty() || rate == self.rate {
            return;
        }
        self.rate = rate;
        if rate > 0.0 && self.stage != Stage::Copying {
            self.last_rate = rate;
        }
        let queue_bytes =
            if self.stage == Stage::Copying { f64::INFINITY } else { self.settings.queue(rate) };
        self.plan.lay_out_again(rate, queue_bytes, queue_bytes * self.settings.wake);
        if self.plan.end.since(now) <= MOMENT {
            self.plan.end = self.plan.end.min(now);
        }
    }

    /// What the hosts' processors leave changes: of the migration's own speed, and of the guest's
    /// where it runs; what was planned until now has happened.
    pub fn set_cpu(&mut self, now: SimTime, migration: f64, guest: f64) {
        self.commit(now);
        self.cpu = migration;
        if self.guest_cpu != guest {
            self.guest_cpu = guest;
            self.let_run(now, self.speed);
        }
    }

    fn let_run(&mut self, now: SimTime, speed: f64) {
        self.speed = speed;
        self.memory.set_speed(now, speed * self.guest_cpu);
    }

    /// The outcome, once it is over or has been given up for good.
    pub fn into_outcome(mut self, now: SimTime) -> Outcome {
        if !self.is_over() {
            let cut = self.demand().is_some() && self.rate <= 0.0;
            let (until, ending) = match cut {
                true => (now, Ending::PathCut),
                false => (SimTime::HORIZON, Ending::GaveUp(Patience::Time)),
            };
            self.commit(until);
            self.give_up(until, ending);
        }
        self.plan.recycle();
        self.outcome
    }

    fn timeout(&self) -> Option<SimTime> {
        let live = matches!(self.stage, Stage::Setup | Stage::Iterating);
        self.settings.policy.timeout.filter(|_| live && self.outcome.timed_out_at.is_none())
    }

    fn pending_switch(&self) -> Option<SimTime> {
        self.switch_at.filter(|_| self.stage == Stage::Iterating)
    }

    /// Not in the first iteration, nor while nothing moves: it would change nothing.
    fn forced_sync(&self) -> Option<SimTime> {
        let matters = self.stage == Stage::Iterating && self.rate > 0.0 && self.skips().is_none();
        self.forced_sync_at.filter(|_| matters)
    }

    /// Its own time has come.
    pub fn wake(&mut self, now: SimTime) {
        let done = self.skips().is_none() && now >= self.deadline.unwrap_or(self.plan.end);
        self.commit(now);
        if self.memory.is_exhausted() {
            return self.give_up(now, Ending::GaveUp(Patience::Writes));
        }
        if self.resume_at.is_some_and(|at| at <= now) {
            self.resume_at = None;
            self.let_run(now, 1.0);
        }
        if done {
            self.deadline = None;
            self.advance(now);
        }
        if self.timeout().is_some_and(|at| at <= now) {
            self.time_out(now);
        }
        if self.pending_switch().is_some_and(|at| at <= now) {
            self.switch_over(now);
        }
        if self.forced_sync().is_some_and(|at| at <= now) {
            self.force_sync(now);
        }
    }

    /// The current stage has come to its end.
    fn advance(&mut self, now: SimTime) {
        match self.stage {
            Stage::Setup => self.begin(now),
            Stage::Iterating => self.look(now),
            Stage::Stopping => self.stop(now),
            Stage::RestOfRam => {
                if self.memory.pending() > 0.0 {
                    return; // only the stretch that was planned is done
                }
                self.ram_received = now;
                self.waited_for_path |= now > self.overhead_end;
                self.end_iteration(now, Decision::End);
                self.stage = Stage::DeviceState;
                self.window.queued += self.settings.device_bytes;
            }
            Stage::DeviceState => {
                let s = &self.settings;
                self.parts.device_state = now - self.ram_received + s.device_state;
                self.parts.destination_load = s.destination_load;
                self.parts.control = s.control;
                self.deadline = Some(now + s.device_state + s.destination_load + s.control);
                self.stage = Stage::Finishing;
            }
            Stage::Finishing => self.finish_precopy(now),
            Stage::SwitchOver => self.send_rest_behind(now),
            Stage::Postcopy => self.finish_postcopy(now),
            Stage::Suspending => self.begin_copy(now),
            Stage::Copying => self.end_copy(now),
            Stage::Resuming => self.finish_offline(now),
            Stage::Over => {}
        }
    }

    /// Lays out what happens next at the current share of the link.
    pub fn plan(&mut self, now: SimTime) {
        let goal = match self.stage {
            Stage::Iterating => Goal::Threshold,
            Stage::RestOfRam
            | Stage::DeviceState
            | Stage::SwitchOver
            | Stage::Postcopy
            | Stage::Copying => Goal::Drain,
            _ => {
                self.plan.clear(now);
                return;
            }
        };
        if self.skips().is_some() {
            self.plan.clear(now);
            return;
        }
        if self.forced_sync_at.is_some_and(|at| at < now) {
            self.forced_sync_at = Some(self.next_tick(now));
        }
        self.window.pass(now);
        let s = &self.settings;
        let pages = matches!(self.stage, Stage::Iterating | Stage::RestOfRam | Stage::Postcopy);
        self.plan.runs.clear();
        if pages {
            self.memory.upcoming(&mut self.plan.runs);
        }
        let (queue_bytes, cap) = match self.stage {
            Stage::Copying => (f64::INFINITY, f64::INFINITY),
            Stage::Iterating => (s.queue(self.rate), s.speeds.cap),
            Stage::Postcopy => (s.queue(self.rate), s.postcopy_cap),
            _ => (s.queue(self.rate), f64::INFINITY),
        };
        // A memory that wants to be asked again has more than it named.
        let named: f64 = self.plan.runs.iter().map(|run| run.pages.total()).sum();
        let complete = !pages || self.memory.pending() - named < 0.5;
        let request = legs::Request {
            goal,
            rate: self.rate,
            cap,
            queue_bytes,
            wake_bytes: queue_bytes * s.wake,
            // An own rule is asked when all is sent.
            downtime_limit: if self.own_rule.is_some() {
                SimTime::ZERO
            } else {
                s.policy.downtime_limit
            },
            pending: if pages { self.memory.pending() } else { 0.0 },
            complete,
            look_in: s
                .policy
                .qemu
                .measures_its_own_buffer()
                .then(|| (self.quotas_ahead() * self.quota_s() - self.window.sending).max(0.0)),
        };
        let speeds = s.speeds.slowed(self.cpu);
        self.plan.lay_out(now, &self.window, &speeds, &request);
    }

    /// What was planned until `now` has happened.
    fn commit(&mut self, now: SimTime) {
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.skips.is_some()) {
            let since = waiting.skips.map_or(now, |[since, _]| since);
            if now > since {
                self.skip(&waiting, since, now);
            }
            self.plan.clear(now);
            return;
        }
        if self.plan.is_empty() || (now <= self.plan.start && now < self.plan.end) {
            return;
        }
        let queue = self.settings.queue(self.rate);
        let queue_delay = if self.rate > 0.0 { queue / self.rate } else { 0.0 };
        let page = if self.rate > 0.0 { qemu::NORMAL_PAGE_WIRE / self.rate } else { 0.0 };
        let fault_s = self.settings.fault_s + queue_delay + page;
        let memory = &mut self.memory;
        let mut sent = PageCount::default();
        let before = self.window;
        self.waited_for_path |= self.plan.held_back;
        self.window = self.plan.happen(now, |run, share, from, until| {
            sent.add(&memory.send(run, share, crate::engine::Sending { from, until, fault_s }));
        });
        // Faults pull other pages than those whose turn it was; what they have more in bytes stands
        // in the queue.
        self.window.correct(&before, self.settings.speeds.wire(&sent));
        self.arrived += self.window.arrived() - before.arrived();
        self.plan.clear(now);
        self.sent.add(&sent);
        self.iteration.pages.add(&sent);
    }
}
