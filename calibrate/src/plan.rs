//! What one real migration is to be: the guest, the link, the mode and the levers.

use migsim::input::InputError;
use migsim_models::qemu::{AutoConverge, Version};
use migsim_models::spec::{self, Layout, Mode, Policy, Transport};
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use migsim_models::words;
use migsim_models::workload::{Pattern, Workload};
use serde::{Deserialize, Serialize};

use crate::lab::{Congestion, Link};

/// What the guest's memory is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Noise: what no compression helps against.
    Random,
    /// The same word over and over.
    Repeated,
    /// Zeros: pages of which a migration sends 9 bytes.
    Zero,
}
words!(Content, "content", "random" => Random, "repeated" => Repeated, "zero" => Zero);

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The kernel's virtualisation.
    Kvm,
    /// QEMU's translation: slow, everywhere.
    Tcg,
}
words!(Engine, "engine", "kvm" => Kvm, "tcg" => Tcg);

/// Which guest is migrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The project's own freestanding guest, which follows a workload to the page.
    Freestanding,
    /// Linux with redis under load.
    Redis,
    /// Linux with a Python job.
    Python,
    /// Linux with a database under load.
    Sqlite,
}
words!(Kind, "guest", "freestanding" => Freestanding, "redis" => Redis, "python" => Python, "sqlite" => Sqlite);

/// A run by its keys: flags of `migcal run`, and keys of a campaign's plan. What is left out has
/// its default.
#[derive(Debug, Clone, PartialEq, Default, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunKeys {
    /// The guest: freestanding, redis, python, sqlite [default: freestanding]
    #[arg(long)]
    pub guest: Option<Kind>,
    /// What runs the guest: kvm or tcg [default: kvm]
    #[arg(long)]
    pub engine: Option<Engine>,
    /// RAM [default: 256MiB]
    #[arg(long)]
    pub memory: Option<Bytes>,
    /// Virtual processors; the freestanding guest works on the first [default: 1]
    #[arg(long)]
    pub vcpus: Option<u32>,
    /// Memory that holds something [default: all that the guest can hold]
    #[arg(long)]
    pub touched: Option<Pages>,
    /// What it holds: random, repeated, zero [default: random]
    #[arg(long)]
    pub content: Option<Content>,
    /// Bytes that change in a page at each write, 4 to 4028 in steps of 4 [default: 4]
    #[arg(long, alias = "delta")]
    #[serde(alias = "delta")]
    pub delta_bytes: Option<u32>,
    /// What the guest writes [default: idle]
    #[arg(long)]
    pub workload: Option<Workload>,
    /// How far into its first `on` a phased workload is at the start [default: wherever it is]
    #[arg(long)]
    pub phase_offset: Option<SimTime>,
    /// precopy, postcopy, paused, offline [default: precopy]
    #[arg(long)]
    pub mode: Option<Mode>,
    /// tcp, tunnelled, ssh [default: tcp]
    #[arg(long)]
    pub transport: Option<Transport>,
    /// QEMU's downtime limit [default: 300ms]
    #[arg(long)]
    pub downtime_limit: Option<SimTime>,
    /// The migration's own cap, whole MiB/s [default: none]
    #[arg(long)]
    pub bandwidth_cap: Option<BitRate>,
    /// Throttle a guest that does not converge
    #[arg(long)]
    pub auto_converge: bool,
    /// Compress pages against what was sent before
    #[arg(long)]
    pub xbzrle: bool,
    /// Channels of multifd [default: off]
    #[arg(long, alias = "multifd")]
    #[serde(alias = "multifd")]
    pub multifd_channels: Option<u32>,
    /// Give the migration up after this long [default: 2min]
    #[arg(long)]
    pub timeout: Option<SimTime>,
    /// How much of KVM's dirty log is cleared at once [default: QEMU's 1GiB]
    #[arg(long)]
    pub log_chunk: Option<Bytes>,
    /// A lab's link: capacity, 1Mbit/s to 100Gbit/s [default: as the lab has it; 200Mbit/s of one
    /// brought up for the run]
    #[arg(long)]
    pub link: Option<BitRate>,
    /// Its delay one way; needs the kernel's netem [default: none]
    #[arg(long)]
    pub delay: Option<SimTime>,
    /// The most a sender's socket buffer holds [default: 4MiB]
    #[arg(long)]
    pub send_buffer: Option<Bytes>,
    /// TCP's congestion control: cubic, reno or bbr [default: the first of them that the kernel
    /// lets a namespace use]
    #[arg(long)]
    pub congestion: Option<Congestion>,
    /// Let migrations at the same time have equal shares of it, as the fair queue of a network
    /// card does
    #[arg(long)]
    pub fair: bool,
}

impl RunKeys {
    /// A lab's link that is now as `now`, as these keys want it.
    pub fn link_after(&self, now: Link) -> Link {
        Link {
            capacity: self.link.unwrap_or(now.capacity),
            delay: self.delay.unwrap_or(now.delay),
            send_buffer: self.send_buffer.unwrap_or(now.send_buffer),
            congestion: self.congestion.or(now.congestion),
            fair: self.fair || now.fair,
        }
    }

    /// Keys that shape a link, which nobody can between two servers.
    fn shaping(&self) -> Option<&'static str> {
        let keys = [
            ("link", self.link.is_some()),
            ("delay", self.delay.is_some()),
            ("send_buffer", self.send_buffer.is_some()),
            ("congestion", self.congestion.is_some()),
            ("fair", self.fair),
        ];
        keys.into_iter().find_map(|(key, given)| given.then_some(key))
    }

    /// Keys that are given and change nothing of such a run, with the reason.
    pub fn without_effect(&self) -> Vec<(&'static str, String)> {
        let mut idle = Vec::new();
        let mut idle_if = |no_effect: bool, keys: &[(&'static str, bool)], why: &str| {
            let given = keys.iter().filter(|(_, given)| no_effect && *given);
            idle.extend(given.map(|(key, _)| (*key, why.to_owned())));
        };
        let of_a_stream = [
            ("downtime_limit", self.downtime_limit.is_some()),
            ("bandwidth_cap", self.bandwidth_cap.is_some()),
            ("multifd_channels", self.multifd_channels.is_some()),
            ("timeout", self.timeout.is_some()),
            ("log_chunk", self.log_chunk.is_some()),
            ("transport", self.transport.is_some_and(|one| one != Transport::Tcp)),
        ];
        let of_rounds = [("auto_converge", self.auto_converge), ("xbzrle", self.xbzrle)];
        let mode = self.mode.unwrap_or_default();
        let offline =
            "an offline move is a suspend, a copy and a resume; QEMU's migration has no part in it";
        idle_if(mode == Mode::Offline, &of_a_stream, offline);
        idle_if(mode == Mode::Offline, &of_rounds, offline);
        idle_if(
            mode == Mode::Paused,
            &of_rounds,
            "a guest that is paused writes nothing that would be sent again",
        );
        let kind = self.guest.unwrap_or(Kind::Freestanding);
        let of_the_freestanding = [
            ("touched", self.touched.is_some()),
            ("content", self.content.is_some()),
            ("delta_bytes", self.delta_bytes.is_some()),
            ("workload", self.workload.is_some()),
            ("phase_offset", self.phase_offset.is_some()),
        ];
        let linux =
            format!("{kind} does its own work; only the freestanding guest does what it is told");
        idle_if(kind != Kind::Freestanding, &of_the_freestanding, &linux);
        let phased = self
            .workload
            .iter()
            .flat_map(|workload| &workload.terms)
            .any(|term| term.phase.is_some());
        idle_if(
            !phased,
            &[("phase_offset", self.phase_offset.is_some())],
            "no term of the workload has a phase(...)",
        );
        idle
    }

    /// The run, checked. `lab`: its link as it is now; `None`: two servers, between which nothing
    /// is shaped.
    ///
    /// # Errors
    /// Names the first quantity that cannot be, and what it takes, or that would change nothing.
    pub fn plan(&self, lab: Option<Link>) -> Result<RunPlan, InputError> {
        self.plan_of_many(lab, &[])
    }

    /// The same of one of many runs, which may have keys in common that change nothing of this one:
    /// `general`.
    ///
    /// # Errors
    /// As of [`RunKeys::plan`].
    pub fn plan_of_many(&self, lab: Option<Link>, general: &[&str]) -> Result<RunPlan, InputError> {
        if let (None, Some(key)) = (lab, self.shaping()) {
            let why = "the path between two servers is measured and left as it is; only a lab's link is shaped";
            return Err(InputError::new(key, why));
        }
        if let Some((key, why)) =
            self.without_effect().into_iter().find(|(key, _)| !general.contains(key))
        {
            return Err(InputError::new(key, format!("has no effect here: {why}; leave it out")));
        }
        let workload = self.workload.clone().unwrap_or_else(Workload::idle);
        let memory = self.memory.unwrap_or(Bytes(256 << 20));
        let kind = self.guest.unwrap_or(Kind::Freestanding);
        let most = match kind {
            Kind::Freestanding => Pages(memory.pages().0.saturating_sub(BOTTOM_PAGES + TOP_PAGES)),
            // What it has touched is measured.
            _ => Pages(0),
        };
        let plan = RunPlan {
            kind,
            engine: self.engine.unwrap_or(Engine::Kvm),
            memory,
            vcpus: self.vcpus.unwrap_or(1),
            touched: self.touched.unwrap_or(most),
            content: self.content.unwrap_or(Content::Random),
            delta: self.delta_bytes.unwrap_or(4),
            workload,
            phase_offset: self.phase_offset,
            link: lab.map(|now| self.link_after(now)),
            policy: Policy {
                mode: self.mode.unwrap_or_default(),
                downtime_limit: self.downtime_limit.unwrap_or(Policy::default().downtime_limit),
                bandwidth_cap: self.bandwidth_cap,
                auto_converge: self.auto_converge.then(AutoConverge::default),
                xbzrle: self.xbzrle.then_some(Policy::DEFAULT_XBZRLE),
                multifd_channels: self.multifd_channels.unwrap_or(0),
                timeout: Some(self.timeout.unwrap_or(SimTime::from_secs(120))),
                ..Policy::default()
            },
            transport: self.transport.unwrap_or_default(),
            log_chunk: self.log_chunk,
        };
        plan.check()?;
        Ok(plan)
    }
}

/// One real migration, as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Which guest.
    pub kind: Kind,
    /// What runs it.
    pub engine: Engine,
    /// Its RAM, a whole number of MiB from 32.
    pub memory: Bytes,
    /// Its processors.
    pub vcpus: u32,
    /// Pages that hold something when the migration starts.
    pub touched: Pages,
    /// What they hold.
    pub content: Content,
    /// Bytes that change in a page at each write, 4 to 4028 in steps of 4.
    pub delta: u32,
    /// What it writes.
    pub workload: Workload,
    /// How far into its first `on` a phased workload shall be at the start; `None`: wherever it
    /// is.
    pub phase_offset: Option<SimTime>,
    /// How the lab's link is shaped for it; `None`: as it is.
    pub link: Option<Link>,
    /// Mode and levers.
    pub policy: Policy,
    /// What carries the stream.
    pub transport: Transport,
    /// How much of KVM's dirty log is cleared at once (QEMU's x-clear-bitmap-shift); `None`:
    /// QEMU's 1 GiB.
    pub log_chunk: Option<Bytes>,
}

/// What the freestanding guest keeps for itself at the bottom of its memory (`guest.c`, MEMORY),
/// and how much of that is not zero: boot code, the program, its stack.
const BOTTOM_PAGES: u64 = 2048;
const BOTTOM_USED_PAGES: u64 = 68;
/// What the firmware keeps at the top, rounded up: its tables of the machine.
const TOP_PAGES: u64 = 256;
/// Pages of a `zipf` term that one page of its table is for (`guest.c`, `struct alias`).
const ALIASES_PER_PAGE: u64 = 512;

impl RunPlan {
    /// What a host has to have free for its memory. An operating system touches all of it sooner or
    /// later; zero pages that nobody touches are not there.
    pub fn resident(&self) -> Bytes {
        match self.kind {
            Kind::Freestanding => Pages(self.touched.0 + BOTTOM_PAGES).bytes().min(self.memory),
            _ => self.memory,
        }
    }

    /// The zero pages at the bottom of the freestanding guest's memory.
    pub fn zero_head(&self) -> Pages {
        let tables = self.workload.terms.iter().map(|term| match term.pattern {
            Pattern::Zipf { wss, .. } => wss.0.div_ceil(ALIASES_PER_PAGE),
            _ => 0,
        });
        Pages(BOTTOM_PAGES - BOTTOM_USED_PAGES - tables.sum::<u64>())
    }

    /// Checks what must hold between its parts.
    ///
    /// # Errors
    /// Names the first quantity that cannot be, and what it takes.
    pub fn check(&self) -> Result<(), InputError> {
        let refuse = |what: &str, message: String| Err(InputError::new(what, message));
        if !self.memory.0.is_multiple_of(1 << 20) || self.memory.0 < 32 << 20 {
            return refuse(
                "memory",
                format!("{} is no whole number of MiB from 32MiB", self.memory),
            );
        }
        let guest = spec::Guest {
            name: String::new(),
            touched: self.touched,
            vcpus: self.vcpus,
            workload: self.workload.clone(),
            phase_offset: self.phase_offset,
            layout: Layout::Front,
            delta_bytes: self.delta,
            ..spec::Guest::of(self.memory.pages())
        };
        // What libvirt takes in whole units would be cut to them in silence.
        if !self.policy.downtime_limit.0.is_multiple_of(SimTime::from_millis(1).0) {
            let limit = self.policy.downtime_limit;
            return refuse(
                "downtime_limit",
                format!("{limit} is no whole number of milliseconds, which libvirt takes"),
            );
        }
        if let Err(error) = guest.check() {
            return refuse(error.key, error.message);
        }
        // The guest's own code and tables lie in the first 8 MiB.
        if self.kind == Kind::Freestanding
            && self.touched.0 + BOTTOM_PAGES + TOP_PAGES > self.memory.pages().0
        {
            return refuse(
                "touched",
                format!(
                    "{} do not fit into {} beside the guest's own 8MiB and 1MiB for the firmware",
                    self.touched.bytes(),
                    self.memory
                ),
            );
        }
        if self.workload.working_set() > self.touched.max(Pages(1))
            && self.kind == Kind::Freestanding
        {
            let wss = self.workload.working_set();
            return refuse(
                "touched",
                format!("{} are touched, and the working set alone has {wss}", self.touched),
            );
        }
        let is_written = |pattern: &Pattern| {
            matches!(
                pattern,
                Pattern::Uniform { .. } | Pattern::Sweep { .. } | Pattern::Zipf { .. }
            )
        };
        if self.kind == Kind::Freestanding
            && !self.workload.terms.iter().all(|term| is_written(&term.pattern))
        {
            return refuse(
                "workload",
                "a curve or a dirty rate can be predicted, not run; it takes idle, uniform, sweep, zipf, phase"
                    .to_owned(),
            );
        }
        if !(4..=4028).contains(&self.delta) || !self.delta.is_multiple_of(4) {
            return refuse("delta_bytes", format!("{} is not 4 to 4028 in steps of 4", self.delta));
        }
        if self.policy.bandwidth_cap.is_some_and(|cap| cap.0 % (8 << 20) != 0) {
            return refuse("bandwidth-cap", "libvirt takes whole MiB/s".to_owned());
        }
        if let Some(chunk) = self.log_chunk
            && (!chunk.0.is_power_of_two() || chunk.0 < 256 << 10)
        {
            return refuse("log-chunk", format!("{chunk} is no power of two from 256KiB"));
        }
        if let Some(link) = self.link {
            link.check()?;
        }
        if self.transport == Transport::Tls {
            return refuse(
                "transport",
                "TLS takes certificates at both hosts, which a lab does not have; it takes tcp, tunnelled or ssh"
                    .to_owned(),
            );
        }
        self.check_for(Version::V7_2)
    }

    /// The guest's command line, by which it follows the plan.
    pub fn command_line(&self) -> String {
        format!(
            "touched={} content={} delta={} workload={}",
            self.touched.0, self.content, self.delta, self.workload
        )
    }

    /// Whether QEMU of this version takes the plan, beyond [`RunPlan::check`].
    ///
    /// # Errors
    /// Names what it refuses.
    pub fn check_for(&self, version: Version) -> Result<(), InputError> {
        let policy = Policy { qemu: version, ..self.policy.clone() };
        policy.check_over(self.transport).map_err(|error| InputError::new(error.key, error.message))
    }

    /// Whether the guest runs while its memory is moved.
    pub fn is_live(&self) -> bool {
        matches!(self.policy.mode, Mode::Precopy | Mode::Postcopy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> RunKeys {
        toml::from_str(text).unwrap()
    }

    /// A limit of 0.5 ms became one of 0, which is another rule.
    #[test]
    fn what_libvirt_would_cut_to_whole_units_is_refused() {
        let refused = |text: &str| keys(text).plan(Some(Link::default())).unwrap_err().to_string();
        let limit = refused("memory = \"64MiB\"\ndowntime_limit = \"500us\"");
        assert!(
            limit.contains("downtime_limit: 500us is no whole number of milliseconds"),
            "{limit}"
        );
        let cap = refused("memory = \"64MiB\"\nbandwidth_cap = \"1500KiB/s\"");
        assert!(cap.contains("whole MiB/s"), "{cap}");
    }

    #[test]
    fn keys_are_called_as_migsim_calls_them_and_the_old_names_still_work() {
        assert_eq!(keys("multifd = 2\ndelta = 8"), keys("multifd_channels = 2\ndelta_bytes = 8"));
        // All that it can hold, as migsim takes all of the memory.
        let plan = keys("memory = \"64MiB\"").plan(Some(Link::default())).unwrap();
        assert_eq!(plan.touched.bytes(), Bytes(55 << 20));
        assert_eq!(plan.resident(), Bytes(63 << 20));
    }

    #[test]
    fn a_labs_link_stays_as_it_is_but_for_what_is_given() {
        let now =
            Link { fair: true, send_buffer: Bytes(1 << 20), ..Link::of(BitRate(2_000_000_000)) };
        let link = |text: &str| keys(text).plan(Some(now)).unwrap().link.unwrap();
        assert_eq!(link(""), now);
        assert_eq!(link("send_buffer = \"2MiB\""), Link { send_buffer: Bytes(2 << 20), ..now });
        assert_eq!(link("link = \"1Gbit/s\"").capacity, BitRate(1_000_000_000));
        assert_eq!(keys("").plan(None).unwrap().link, None);
    }
}
