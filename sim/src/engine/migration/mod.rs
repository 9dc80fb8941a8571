//! One migration as a state machine over the guest's memory: every mode and lever, for both memories.
//!
//! The machine does no I/O and owns no clock. Whoever drives it (see [`crate::world`]) does, at each step:
//!
//! ```text
//!   wake(now)            its own time has come: what was planned until now has happened, and the machine takes its next decision
//!   set_rate(now, rate)  its share of the link has changed: what was planned until now has happened
//!   plan(now)            lays out what happens next at the current share, until the next decision
//!   next_wake()          when that is
//!   demand()             what it could use of the link
//! ```
//!
//! Between two decisions everything is piecewise linear, so a plan is a handful of legs and a round costs one event, however
//! long it takes: see `plan.rs`.

mod outcome;
mod plan;

pub use outcome::{Bottleneck, Bound, Decision, Ending, Outcome, Patience, Round};

use migsim_models::equations::{DowntimeParts, Terms};
use migsim_models::profile::Profile;
use migsim_models::qemu::{self, Throttle};
use migsim_models::spec::{Guest, Mode, OnTimeout, Path, Policy, Switch, Transport};
use migsim_models::units::{BitRate, PAGE_BYTES, SimTime};

use crate::engine::{GuestMemory, PageCount};
use plan::{Goal, Plan, Speeds, Window};

/// A migration gets nowhere when so many rounds in a row left no less than an earlier one did ...
const STUCK_ROUNDS: u64 = 40;
/// ... by more than this share. Without a timeout it is given up then.
const STUCK_PROGRESS: f64 = 0.995;
/// The simulator follows so many rounds at most ...
const MOST_ROUNDS: u64 = 50_000;
/// ... and fewer of a memory whose rounds are costly: so much effort in all, some tenths of a second.
const MOST_EFFORT: u64 = 12_000_000;
/// What a write that is replayed costs.
const EFFORT_OF_WRITE: u64 = 8;
/// Of a migration among very many on a link: what is that near has come.
const MOMENT: SimTime = SimTime(20_000);
/// Rounds go on as they do when so little of what they send stays in the socket.
const STEADY: f64 = 0.01;
/// Before 1.3 a round is but one quota of the rate limit. Where so many lie before QEMU could stop, one look stands for several.
const QUOTAS_AHEAD: f64 = 1024.0;

/// What a migration's machine knows from the start, as plain numbers.
#[derive(Debug, Clone)]
struct Settings {
    policy: Policy,
    speeds: Speeds,
    /// First page sent.
    first_page: SimTime,
    sync: SimTime,
    stop_and_flush: [SimTime; 2],
    device_bytes: f64,
    device_state: SimTime,
    destination_load: SimTime,
    control: SimTime,
    postcopy_control: SimTime,
    switch_delay: SimTime,
    fault_s: f64,
    /// What stands between QEMU and the far end: so many bytes and the rate for so long, and at most so many.
    queue_fixed: f64,
    queue_s: f64,
    queue_most: f64,
    /// Share of the queue that drains from a full socket before QEMU wakes.
    wake: f64,
    /// Most payload over the path by the TCP window.
    window_rate: f64,
    share: f64,
    /// The most bytes per second after the switch to post-copy.
    postcopy_cap: f64,
    offline: OfflineSettings,
    longest_phase: SimTime,
}

#[derive(Debug, Clone, Copy)]
struct OfflineSettings {
    suspend: SimTime,
    copy: SimTime,
    resume: SimTime,
    image_bytes: f64,
    files_bytes: f64,
    copy_cap: f64,
    pages: PageCount,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Until the first page is sent.
    Setup,
    /// Rounds of pre-copy.
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

/// Rounds that do what those before did need not be followed one by one.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Since when the rounds are watched, and what had come of it all by then.
    since: SimTime,
    looks: u64,
    syncs: u64,
    passes: u64,
    sent: PageCount,
    arrived: f64,
    queued: f64,
    /// From when on they have been seen enough of, and until when they all are taken to be alike.
    skips: Option<[SimTime; 2]>,
}

/// One migration under way.
#[derive(Debug)]
pub struct Migration<M> {
    settings: Settings,
    memory: M,
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
    last_decision: SimTime,
    dirtied_since_decision: f64,
    wire_at_decision: f64,
    last_sync: SimTime,
    syncs: u64,
    /// How often progress was judged, and how much work the rounds were.
    looks: u64,
    effort: u64,
    best_pending: f64,
    best_look: u64,
    best_at: SimTime,
    /// It gets nowhere, and waits for its timeout or its switch to post-copy.
    waiting: Option<Waiting>,
    /// It is watched for so many rounds at least: more each time that they were found to be unlike.
    watched_rounds: u64,
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
    round: Round,
    round_wire: f64,
    /// Endless while the guest runs here.
    wire_at_stop: f64,
    sent: PageCount,
    /// Bytes of the stream that the far end has.
    arrived: f64,
}

impl<M: GuestMemory> Migration<M> {
    /// A migration that starts at time zero.
    pub fn new(guest: &Guest, path: &Path, policy: &Policy, profile: &Profile, memory: M) -> Migration<M> {
        let settings = Settings::new(guest, path, policy, profile);
        let offline = policy.mode == Mode::Offline;
        let mut migration = Migration {
            memory,
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
            watched_rounds: STUCK_ROUNDS,
            suspended_at: None,
            stopped_at: SimTime::ZERO,
            overhead_end: SimTime::ZERO,
            waited_for_path: false,
            queued_part: SimTime::ZERO,
            ram_received: SimTime::ZERO,
            terms: Terms::default(),
            parts: DowntimeParts::default(),
            outcome: Outcome::new(policy.mode),
            round: Round::default(),
            round_wire: 0.0,
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
            Stage::Setup | Stage::Suspending | Stage::Finishing | Stage::Resuming | Stage::Over => return None,
            Stage::Copying => s.window_rate.min(s.offline.copy_cap),
            // No more than its processor fills.
            stage => {
                let cap = match stage {
                    Stage::Iterating => s.speeds.cap,
                    Stage::Postcopy => s.postcopy_cap,
                    _ => f64::INFINITY,
                };
                s.window_rate.min(cap).min(s.speeds.slowed(self.cpu).buffer_rate())
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

    /// Its share of the link, in bytes per second on the wire, changes; what was planned until now has happened.
    pub fn set_rate(&mut self, now: SimTime, rate: f64) {
        self.commit(now);
        // What was watched so far was watched at another rate.
        self.waiting = None;
        self.rate = rate * self.settings.share;
        if rate > 0.0 && !matches!(self.stage, Stage::Copying) {
            self.last_rate = self.rate;
        }
    }

    /// It is planned with a share of the link of so many bytes per second on the wire, a little more than it has.
    pub(in crate::engine) fn expect(&mut self, rate: f64) {
        self.rate = rate * self.settings.share;
    }

    /// Since it was planned it has really got so many bytes per second on the wire, on average: what was planned is laid out anew from
    /// there. What would end in a moment ends now.
    pub(in crate::engine) fn amend(&mut self, now: SimTime, average: f64) {
        let rate = average * self.settings.share;
        if self.plan.is_empty() || rate == self.rate {
            return;
        }
        self.rate = rate;
        if rate > 0.0 && self.stage != Stage::Copying {
            self.last_rate = rate;
        }
        let queue_bytes = if self.stage == Stage::Copying { f64::INFINITY } else { self.settings.queue(rate) };
        self.plan.lay_out_again(rate, queue_bytes, queue_bytes * self.settings.wake);
        if self.plan.end.since(now) <= MOMENT {
            self.plan.end = self.plan.end.min(now);
        }
    }

    /// What the hosts' processors leave changes: of the migration's own speed, and of the guest's where it runs; what was
    /// planned until now has happened.
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
        self.outcome
    }

    fn timeout(&self) -> Option<SimTime> {
        let live = matches!(self.stage, Stage::Setup | Stage::Iterating);
        self.settings.policy.timeout.filter(|_| live && self.outcome.timed_out_at.is_none())
    }

    fn pending_switch(&self) -> Option<SimTime> {
        self.switch_at.filter(|_| self.stage == Stage::Iterating)
    }

    /// Not in the first round, nor while nothing moves: it would change nothing.
    fn forced_sync(&self) -> Option<SimTime> {
        let matters = self.stage == Stage::Iterating && self.rate > 0.0 && self.skips().is_none();
        self.forced_sync_at.filter(|_| matters)
    }

    fn skips(&self) -> Option<[SimTime; 2]> {
        self.waiting.as_ref().and_then(|waiting| waiting.skips)
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
                self.end_round(now, Decision::End);
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
            Stage::Suspending => {
                self.parts.suspend = now;
                self.stage = Stage::Copying;
                self.window.queued = self.settings.offline.image_bytes + self.settings.offline.files_bytes;
            }
            Stage::Copying => {
                let copied = now + self.settings.offline.copy;
                self.parts.copy = copied - self.parts.suspend;
                self.stage = Stage::Resuming;
                self.deadline = Some(copied + self.settings.offline.resume);
            }
            Stage::Resuming => self.finish_offline(now),
            Stage::Over => {}
        }
    }

    /// The first page is about to be sent.
    fn begin(&mut self, now: SimTime) {
        self.memory.start(now);
        self.syncs = 1;
        self.last_sync = now;
        self.last_decision = now;
        self.window = Window::starting(now);
        self.stage = Stage::Iterating;
        self.round = Round { n: 1, passes: 1, start: now, ..Round::default() };
    }

    /// QEMU looks at what is left (`migration/migration.c`, `migration_iteration_run`).
    fn look(&mut self, now: SimTime) {
        if !self.plan.crossed && self.memory.pending() > 0.0 {
            return; // only the stretch that was planned is done
        }
        let qemu = self.settings.policy.qemu;
        if qemu.measures_its_own_buffer() {
            let s = &self.settings;
            self.window.threshold = qemu::threshold(s.speeds.buffer_rate(), s.policy.downtime_limit);
            // The quotas that were filled since the last look had a sync each.
            let quotas = libm::round(self.window.sending / self.quota_s()).max(1.0) as u64;
            self.syncs += quotas - 1;
            self.round.passes += quotas - 1;
            self.round.n += quotas - 1;
        }
        // `ram_save_pending` syncs below the threshold, which is 0 in the first 100 ms; from 8.0 on also at it.
        let threshold = self.window.threshold;
        if threshold == 0.0 && qemu.major < 8 {
            self.round.unsent_pages = self.memory.pending();
            self.end_round(now, Decision::StopUnsynced);
            return self.prepare_stop(now, SimTime::ZERO);
        }
        let sync = self.settings.sync;
        self.sync(now);
        if qemu::may_stop(self.pending_bytes(), threshold, qemu) {
            self.end_round(now, Decision::Stop);
            return self.prepare_stop(now, sync);
        }
        self.end_round(now, Decision::Iterate);
        self.window.begin_round(now, sync);
        self.looks += 1;
        self.judge_progress(now);
        if self.settings.policy.mode == Mode::Postcopy
            && self.settings.policy.switch == Switch::AfterPasses(u32::try_from(self.syncs - 1).unwrap_or(u32::MAX))
        {
            self.switch_at = Some(now + self.settings.switch_delay);
        }
    }

    fn pending_bytes(&self) -> f64 {
        self.memory.pending() * PAGE_BYTES as f64
    }

    /// How long it takes QEMU before 1.3 to fill one quota of its rate limit, or the link to take it.
    fn quota_s(&self) -> f64 {
        let quota = self.settings.speeds.cap.min(f64::MAX) * qemu::WINDOW.as_secs_f64();
        (quota / self.rate.max(1.0)).clamp(qemu::WINDOW.as_secs_f64(), 1.0)
    }

    /// After how many quotas QEMU before 1.3 is to look: after each, but where it is far from what would let it stop.
    fn quotas_ahead(&self) -> f64 {
        let s = &self.settings;
        let threshold = qemu::threshold(s.speeds.buffer_rate(), s.policy.downtime_limit);
        let quota = s.speeds.cap.min(self.rate).max(1.0) * self.quota_s();
        libm::floor((self.pending_bytes() - threshold) / quota / QUOTAS_AHEAD).max(1.0)
    }

    /// A sync, with which a round ends, and which may throttle (`migration/ram.c`, `migration_bitmap_sync`).
    fn sync(&mut self, now: SimTime) {
        self.round.unsent_pages = self.memory.pending();
        self.round.threshold_bytes = self.window.threshold;
        let newly = self.memory.sync(now);
        self.syncs += 1;
        self.last_sync = now;
        self.dirtied_since_decision += newly;
        self.effort += self.memory.take_effort();
        if now - self.last_decision > qemu::THROTTLE_PERIOD {
            let wire = self.settings.speeds.wire(&self.sent);
            if let Some(rule) = &self.settings.policy.auto_converge {
                let dirtied = self.dirtied_since_decision * PAGE_BYTES as f64;
                let sent = wire - self.wire_at_decision;
                if self.throttle.decide(rule, self.settings.policy.qemu.throttling(), dirtied, sent) {
                    if self.suspended_at.is_none() {
                        self.let_run(now, self.throttle.speed());
                    }
                    self.best_pending = f64::INFINITY;
                    self.waiting = None;
                }
            }
            self.last_decision = now;
            self.dirtied_since_decision = 0.0;
            self.wire_at_decision = wire;
        }
        if self.settings.policy.auto_converge.is_some() && self.settings.policy.qemu.forces_syncs() {
            self.forced_sync_at = Some(self.next_tick(now));
        }
    }

    /// When auto-converge's timer next strikes, which was started with the first page.
    fn next_tick(&self, now: SimTime) -> SimTime {
        let (since, period) = (now - self.settings.first_page, qemu::FORCED_SYNC_PERIOD);
        self.settings.first_page + SimTime((since.0 / period.0 + 1).saturating_mul(period.0))
    }

    fn end_round(&mut self, now: SimTime, decision: Decision) {
        if self.round.start == now && self.round.pages == PageCount::default() {
            return;
        }
        self.round.end = now;
        self.round.decision = decision;
        if decision == Decision::End {
            self.round.unsent_pages = 0.0;
        }
        self.round.dirty_pages_at_end = self.memory.pending();
        let wire = self.settings.speeds.wire(&self.sent);
        self.round.wire_bytes = wire - self.round_wire;
        self.round_wire = wire;
        let next = Round {
            n: self.round.n + 1,
            passes: 1,
            start: now,
            throttle_percent: self.throttle.percent,
            ..Round::default()
        };
        self.outcome.push(std::mem::replace(&mut self.round, next));
    }

    /// From 9.2 on auto-converge looks every five seconds whether a sync has come, and makes one if not.
    fn force_sync(&mut self, now: SimTime) {
        if now - self.last_sync >= qemu::FORCED_SYNC_PERIOD {
            self.sync(now);
            self.end_round(now, Decision::ForcedSync);
            self.window.busy(now, self.settings.sync);
            self.looks += 1;
            self.run_out_of_patience(now);
        }
        self.forced_sync_at = Some(self.next_tick(now));
    }

    /// A migration that gets nowhere is given up, so that there is an answer, or is not followed further until what it waits for.
    fn judge_progress(&mut self, now: SimTime) {
        // Before 1.3 the threshold may be most of the memory: what counts is how much is above it.
        let own_buffer = self.settings.policy.qemu.measures_its_own_buffer();
        let below = if own_buffer { self.window.threshold / PAGE_BYTES as f64 } else { 0.0 };
        let pending = self.memory.pending() - below;
        if pending < self.best_pending * STUCK_PROGRESS {
            (self.best_pending, self.best_look, self.best_at) = (pending, self.looks, now);
            self.waiting = None;
            return self.run_out_of_patience(now);
        }
        let waited = now - self.best_at > self.settings.longest_phase;
        // Before 1.3 a round is but one quota of the rate limit.
        let rounds = if own_buffer { 100 * STUCK_ROUNDS } else { STUCK_ROUNDS };
        if self.looks - self.best_look < rounds || !waited {
            return self.run_out_of_patience(now);
        }
        if self.awaited().is_some() {
            self.watch(now, self.settings.longest_phase);
        } else if self.settings.policy.mode != Mode::Postcopy && self.settings.policy.timeout.is_none() {
            return self.give_up(now, Ending::NoProgress);
        }
        self.run_out_of_patience(now);
    }

    /// What ends the rounds in any case.
    fn awaited(&self) -> Option<SimTime> {
        [self.timeout(), self.pending_switch()].into_iter().flatten().min()
    }

    /// What takes too long to follow is not followed to its end.
    fn run_out_of_patience(&mut self, now: SimTime) {
        let skips = self.waiting.is_some_and(|waiting| waiting.skips.is_some());
        if skips || self.looks < MOST_ROUNDS && self.effort < MOST_EFFORT {
            return;
        }
        if self.awaited().is_some() && self.looks < 2 * MOST_ROUNDS && self.effort < 2 * MOST_EFFORT {
            self.watch(now, SimTime::ZERO);
        } else {
            self.give_up(now, Ending::GaveUp(Patience::Iterations));
        }
    }

    /// Watches some rounds, and so long; what follows until shortly before the end that it waits for is taken to be alike.
    fn watch(&mut self, now: SimTime, least: SimTime) {
        let Some(awaited) = self.awaited() else { return };
        let waiting = *self.waiting.get_or_insert(Waiting {
            since: now,
            looks: self.looks,
            syncs: self.syncs,
            passes: self.outcome.passes,
            sent: self.sent,
            arrived: self.arrived,
            queued: self.window.queued,
            skips: None,
        });
        let (watched, rounds) = (now - waiting.since, self.looks - waiting.looks);
        if rounds >= self.watched_rounds && watched >= least && watched > SimTime::ZERO {
            let until = awaited - watched;
            let wire = self.settings.speeds.wire(&self.sent) - self.settings.speeds.wire(&waiting.sent);
            // While the socket fills, rounds are not yet as they will be.
            if (self.window.queued - waiting.queued).abs() > STEADY * wire {
                self.waiting = None;
                self.watched_rounds = 2 * rounds;
            } else if until - now > watched {
                self.waiting = Some(Waiting { skips: Some([now, until]), ..waiting });
            }
        }
    }

    /// Until `now` the rounds were as those that were watched.
    fn skip(&mut self, waiting: &Waiting, since: SimTime, now: SimTime) {
        let skipped = now - since;
        let times = skipped.as_secs_f64() / (since - waiting.since).as_secs_f64();
        let often = |count: u64| libm::round(count as f64 * times) as u64;
        let mut sent = self.sent;
        sent.add(&waiting.sent.scaled(-1.0));
        let (wire, arrived) = (self.settings.speeds.wire(&sent), self.arrived - waiting.arrived);
        // What the socket took up meanwhile it does not take up again.
        let sent = sent.scaled(if wire > 0.0 { times * arrived / wire } else { times });
        let passes = often(self.outcome.passes - waiting.passes).max(1);
        self.syncs += often(self.syncs - waiting.syncs);
        self.arrived += arrived * times;
        self.memory.skip(now);
        self.sent.add(&sent);
        self.round.pages.add(&sent);
        self.round.passes = passes;
        self.round.n += passes - 1;
        self.round.unsent_pages = self.memory.pending();
        let wire_before = self.round_wire;
        self.end_round(now, Decision::Iterate);
        self.wire_at_decision += self.round_wire - wire_before;
        for time in [&mut self.last_sync, &mut self.last_decision, &mut self.best_at] {
            *time += skipped;
        }
        self.window.skip(now);
    }

    /// QEMU has decided to stop the guest; the sync that told it so takes until then.
    fn prepare_stop(&mut self, now: SimTime, sync: SimTime) {
        self.stage = Stage::Stopping;
        self.deadline = Some(now + sync);
        self.arrived += self.window.drain(self.rate, sync);
    }

    /// The vCPUs stop (`migration/migration.c`, `migration_completion`).
    fn stop(&mut self, now: SimTime) {
        self.halt(now);
        self.stage = Stage::RestOfRam;
        self.terms.ti = self.stopped_at.since(self.settings.first_page);
        self.parts.setup = self.settings.first_page.since(self.stopped_at);
    }

    /// Stops the guest and syncs a last time; both, and the flush of the disks, take until `overhead_end`.
    fn halt(&mut self, now: SimTime) {
        self.stopped_at = self.suspended_at.unwrap_or(now);
        self.wire_at_stop = self.round_wire;
        self.let_run(now, 0.0);
        self.memory.sync(now);
        self.syncs += 1;
        let [stop, flush] = self.settings.stop_and_flush;
        (self.parts.stop, self.parts.flush, self.parts.sync) = (stop, flush, self.settings.sync);
        self.overhead_end = now + stop + flush + self.settings.sync;
        self.window.busy(now, self.overhead_end - now);
        let drained = self.rate * (self.overhead_end - now).as_secs_f64();
        let queued = (self.window.queued - drained).max(0.0);
        self.queued_part = if self.rate > 0.0 { SimTime::from_secs_f64(queued / self.rate) } else { SimTime::ZERO };
    }

    fn finish_precopy(&mut self, now: SimTime) {
        self.terms.dm = self.ram_received - self.stopped_at;
        self.terms.vs = now - self.ram_received;
        let after_overhead = self.ram_received - self.overhead_end;
        self.parts.queued = self.queued_part.min(after_overhead);
        let p = &self.parts;
        let named = p.setup + p.stop + p.flush + p.sync + p.queued;
        self.parts.rest_of_ram = self.terms.dm.since(named);
        self.finish(now, now, now.since(self.parts.control + self.parts.destination_load));
    }

    /// Post-copy: the guest stops here, to run there (`migration/migration.c`, `postcopy_start`).
    fn switch_over(&mut self, now: SimTime) {
        self.switch_at = None;
        self.round.unsent_pages = self.memory.pending();
        self.end_round(now, Decision::SwitchOver);
        self.halt(now);
        // The dirty bitmap of the last sync is what the destination throws away and pulls again.
        self.round.start = now;
        self.terms.ti = self.stopped_at.since(self.settings.first_page);
        self.outcome.switched_at = Some(now);
        self.memory.start_postcopy(now);
        self.window.queued += self.settings.device_bytes;
        self.stage = Stage::SwitchOver;
    }

    /// The guest's state has arrived; it starts there while its pages follow.
    fn send_rest_behind(&mut self, now: SimTime) {
        let s = &self.settings;
        self.waited_for_path |= now > self.overhead_end;
        self.parts.queued = self.queued_part.min(now - self.overhead_end);
        self.parts.device_state = now - self.overhead_end - self.parts.queued + s.device_state;
        self.parts.destination_load = s.destination_load;
        self.parts.control = s.postcopy_control;
        let resume = now + s.device_state + s.destination_load + s.postcopy_control;
        self.terms.vs = resume - self.stopped_at;
        // A timeout may have suspended it before: that standstill is its own, not one of the named parts.
        self.parts.rest_of_ram = self.terms.vs.since(self.parts.total());
        self.outcome.state_saved_in = s.device_state;
        self.outcome.resumed_at = Some(resume);
        self.resume_at = Some(resume);
        self.stage = Stage::Postcopy;
    }

    fn finish_postcopy(&mut self, now: SimTime) {
        // Only the stretch that was planned may be done; and what faults have pulled beside it may still be under way.
        if self.memory.pending() > 0.0 || self.window.queued > 0.5 {
            return;
        }
        self.end_round(now, Decision::End);
        // Everything may be there before the guest runs.
        let resumed = self.outcome.resumed_at.unwrap_or(now);
        self.waited_for_path |= now > resumed;
        self.finish(now.max(resumed), resumed, now);
    }

    fn finish_offline(&mut self, now: SimTime) {
        self.parts.resume = self.settings.offline.resume;
        self.terms.dm = self.parts.suspend + self.parts.copy;
        self.terms.vs = self.parts.resume;
        self.sent = self.settings.offline.pages;
        self.finish(now, now, self.parts.suspend + self.parts.copy);
        self.outcome.wire_bytes =
            libm::round(self.settings.offline.image_bytes + self.settings.offline.files_bytes) as u64;
    }

    /// It is complete: `total` when all is there and runs, `resumed` when the guest runs, `source_free` when the source has nothing left.
    fn finish(&mut self, total: SimTime, resumed: SimTime, source_free: SimTime) {
        if total >= SimTime::HORIZON {
            return self.give_up(SimTime::HORIZON, Ending::GaveUp(Patience::Time));
        }
        self.terms.ov = total - self.terms.ti;
        self.stage = Stage::Over;
        self.outcome.ending = Ending::Completed;
        self.outcome.resumed_at = Some(resumed);
        self.outcome.source_free_at = Some(source_free);
        self.outcome.ended_at = total;
        self.fill_in();
    }

    fn time_out(&mut self, now: SimTime) {
        self.outcome.timed_out_at = Some(now);
        match self.settings.policy.on_timeout {
            OnTimeout::Abort => self.give_up(now, Ending::TimedOut),
            OnTimeout::Suspend => {
                if self.suspended_at.is_none() {
                    self.suspended_at = Some(now);
                    self.let_run(now, 0.0);
                }
            }
            OnTimeout::Postcopy => self.switch_at = Some(now),
        }
    }

    fn give_up(&mut self, now: SimTime, ending: Ending) {
        if self.stage == Stage::Iterating {
            self.round.unsent_pages = self.memory.pending();
            self.end_round(now, Decision::GiveUp);
        }
        self.terms = Terms {
            ti: now.since(self.settings.first_page),
            ov: now.min(self.settings.first_page),
            ..Terms::default()
        };
        if self.settings.policy.mode == Mode::Offline || self.suspended_at == Some(SimTime::ZERO) {
            self.terms = Terms { ov: now, ..Terms::default() };
        }
        self.parts = DowntimeParts::default();
        self.stage = Stage::Over;
        self.outcome.ending = ending;
        self.outcome.ended_at = now;
        self.outcome.resumed_at = None;
        self.fill_in();
    }

    fn fill_in(&mut self) {
        let o = &mut self.outcome;
        o.terms = self.terms;
        o.downtime_parts = self.parts;
        o.normal_pages = libm::round(self.sent.normal) as u64;
        o.zero_pages = libm::round(self.sent.zero) as u64;
        let whole = PageCount {
            normal: o.normal_pages as f64,
            zero: o.zero_pages as f64,
            encoded: libm::round(self.sent.encoded),
            unchanged: libm::round(self.sent.unchanged),
        };
        o.encoded_pages = whole.encoded as u64;
        o.unchanged_pages = whole.unchanged as u64;
        o.wire_bytes = libm::round(self.settings.speeds.wire(&whole)) as u64;
        o.dirty_syncs = self.syncs;
        o.throttle_percent = self.throttle.percent;
        o.faults = self.memory.faults();
        o.effort = self.effort + self.memory.take_effort() + EFFORT_OF_WRITE * self.memory.replayed();
        if whole.total() > 0.0 && self.settings.policy.mode != Mode::Offline {
            let rounds = self.bound();
            let speeds = self.settings.speeds.slowed(self.cpu);
            let sent_s = speeds.wire(&whole) / rounds.bytes_per_s;
            self.outcome.bound_of_rounds = Some(rounds);
            // Zero pages go first. They may have taken longer than all others, and under a cap that post-copy does not have.
            let scanned_s = whole.zero * speeds.zero_s;
            let zero_wire = whole.zero * qemu::ZERO_PAGE_WIRE;
            let capped_s = if zero_wire <= self.wire_at_stop { zero_wire / self.settings.speeds.cap } else { 0.0 };
            self.outcome.bound = Some(if scanned_s.max(capped_s) <= sent_s {
                rounds
            } else if scanned_s > capped_s {
                Bound { by: Bottleneck::ZeroPageScan, bytes_per_s: whole.zero * PAGE_BYTES as f64 / scanned_s }
            } else {
                Bound { by: Bottleneck::Cap, bytes_per_s: self.settings.speeds.cap }
            });
        }
    }

    /// What holds back the pages that are sent whole: the link, if it gives less than could be used, or what says how much could be.
    fn bound(&self) -> Bound {
        let s = &self.settings;
        // Once the guest has stopped here there is no cap, or that of post-copy.
        let most_by_cap = match self.outcome.switched_at {
            _ if 2.0 * self.wire_at_stop > self.round_wire => s.speeds.cap,
            Some(_) => s.postcopy_cap,
            None => f64::INFINITY,
        };
        let thread = Bound { by: Bottleneck::SendingThread, bytes_per_s: s.speeds.slowed(self.cpu).buffer_rate() };
        let cap = Bound { by: Bottleneck::Cap, bytes_per_s: most_by_cap };
        let window = Bound { by: Bottleneck::TcpWindow, bytes_per_s: s.window_rate };
        let link = Bound { by: Bottleneck::Link, bytes_per_s: self.last_rate };
        let least = |a: Bound, b: Bound| if b.bytes_per_s < a.bytes_per_s * (1.0 - 1e-9) { b } else { a };
        let (own, path) = (least(thread, cap), least(window, link));
        // What always fits into the socket waits for the path only at the end, if there is one.
        if self.waited_for_path { least(own, path) } else { own }
    }

    /// Lays out what happens next at the current share of the link.
    pub fn plan(&mut self, now: SimTime) {
        let goal = match self.stage {
            Stage::Iterating => Goal::Threshold,
            Stage::RestOfRam | Stage::DeviceState | Stage::SwitchOver | Stage::Postcopy | Stage::Copying => Goal::Drain,
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
        let request = plan::Request {
            goal,
            rate: self.rate,
            cap,
            queue_bytes,
            wake_bytes: queue_bytes * s.wake,
            downtime_limit: s.policy.downtime_limit,
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
        // Faults pull other pages than those whose turn it was; what they have more in bytes stands in the queue.
        self.window.correct(&before, self.settings.speeds.wire(&sent));
        self.arrived += self.window.arrived() - before.arrived();
        self.plan.clear(now);
        self.sent.add(&sent);
        self.round.pages.add(&sent);
    }
}

impl Settings {
    /// Bytes that stand between QEMU and the far end at a rate, when QEMU is faster.
    fn queue(&self, rate: f64) -> f64 {
        (self.queue_fixed + rate * self.queue_s).min(self.queue_most)
    }

    fn new(guest: &Guest, path: &Path, policy: &Policy, profile: &Profile) -> Settings {
        let (software, switchover, cpu) = (&profile.software, &profile.switchover, &profile.cpu);
        let (firmware_normal, firmware_zero) = profile.guest.firmware();
        let gib = guest.memory.gib();
        let per_gib = |fixed: SimTime, each: SimTime| fixed + SimTime::from_secs_f64(each.as_secs_f64() * gib);
        let multifd = policy.multifd_channels > 0;
        let threads = f64::from(policy.multifd_channels.max(1));
        let share = profile.share(path.transport);
        let rtt = path.rtt.as_secs_f64();
        // Each channel of multifd has a socket of its own.
        let network = &profile.network;
        let buffer = path.send_buffer.unwrap_or(network.queue_bytes.value).as_f64() * threads;
        let zero = (guest.memory.0 - guest.touched.0 + firmware_zero) as f64;
        let normal = (guest.touched.0 + firmware_normal) as f64;
        let image_bytes = qemu::wire_bytes(normal, zero, false) + switchover.device_bytes.value.as_f64();
        let files_bytes = policy.offline_files.as_f64();
        let offline = &profile.offline;
        let phase = |fixed: SimTime, bytes: f64, rate: f64| fixed + SimTime::from_secs_f64(bytes / rate);
        let cached = image_bytes.min(offline.cache_bytes.value.as_f64());
        let suspend = phase(offline.suspend.value, cached, offline.cache_rate.value.bytes_per_s());
        Settings {
            speeds: Speeds {
                normal_wire: qemu::page_wire(multifd),
                encoded_wire: qemu::xbzrle_wire(guest.delta_bytes),
                normal_s: 1.0 / (cpu.page_rate.value.pages_per_s() * threads),
                zero_s: 1.0 / cpu.zero_page_rate.value.pages_per_s(),
                encoded_s: 1.0 / cpu.xbzrle_page_rate.value.pages_per_s(),
                cap: policy
                    .bandwidth_cap
                    .filter(|_| !multifd || policy.qemu.caps_multifd())
                    .map_or(f64::INFINITY, BitRate::bytes_per_s),
            },
            postcopy_cap: policy.postcopy_bandwidth.map_or(f64::INFINITY, BitRate::bytes_per_s),
            first_page: software.prepare.value + per_gib(software.qemu_setup.value, software.qemu_setup_per_gib.value),
            sync: per_gib(software.round.value, software.sync_per_gib.value),
            stop_and_flush: [switchover.stop.value, switchover.flush.value],
            device_bytes: switchover.device_bytes.value.as_f64(),
            device_state: switchover.device_state.value,
            destination_load: switchover.destination_load.value,
            control: switchover.control.value + SimTime::from_secs_f64(rtt * switchover.control_round_trips.value),
            postcopy_control: profile.postcopy.control.value + path.rtt,
            switch_delay: profile.postcopy.switch_delay.value,
            fault_s: profile.postcopy.fault.value.as_secs_f64() + rtt,
            queue_most: buffer * network.queue_share.value,
            queue_fixed: network.queue_fixed.value.as_f64() * threads,
            queue_s: network.queue_time.value.as_secs_f64() * threads,
            // Through the management layer it is a pipe that fills, and with multifd the channels' threads that sleep.
            wake: match path.transport {
                Transport::Tcp | Transport::Tls if !multifd => qemu::SOCKET_WAKE,
                _ => 0.0,
            },
            window_rate: if rtt > 0.0 { buffer / rtt } else { f64::INFINITY },
            share,
            offline: OfflineSettings {
                suspend: phase(suspend, image_bytes - cached, offline.write_rate.value.bytes_per_s()),
                copy: offline.copy.value,
                resume: phase(offline.resume.value, image_bytes, offline.read_rate.value.bytes_per_s()),
                image_bytes,
                files_bytes,
                copy_cap: offline.copy_read_rate.value.bytes_per_s(),
                pages: PageCount { normal, zero, ..PageCount::default() },
            },
            longest_phase: guest.workload.longest_period().unwrap_or_default(),
            policy: policy.clone(),
        }
    }
}
