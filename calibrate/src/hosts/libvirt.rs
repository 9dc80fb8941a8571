//! Two libvirt hosts: a lab's, or two servers by their URIs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use migsim_models::spec::{Mode, Transport};
use migsim_models::units::{BitRate, Pages, human_bytes};
use migsim_models::workload::Workload;
use serde_json::Value;
use virt::connect::Connect;
use virt::domain::{Domain, MigrateParameters};
use virt::error::ErrorNumber;
use virt::sys;

use super::beats::Beats;
use super::ffi::{self, Doing, Event, Listening};
use super::identity::{Described, Identity, refuse_same_host};
use super::observed::{observed_from, was_killed};
use super::{Facts, Hosts, JobStats, Observed, Pause, Presence, Progress};
use crate::dirty::{Target, measure_rehearsal, measure_snapshots};
use crate::domain::{FOLDER, FREESTANDING, Files, QEMUS_FOLDER, read_serial, xml};
use crate::helper::{Helper, LinkMeasure, TooQuiet, Undone, measure_link, secret, undo};
use crate::lab::{DEVICE, InUse, Lab, Link, Side, uuid_of};
use crate::linux;
use crate::plan::{Kind, RunPlan};
use crate::reach::{Place, Reach, bracketed};

/// A frame of 1500 bytes carries 1448 of TCP's payload; a shaper counts it as 1514, Ethernet as
/// 1538 with its gap.
const FRAME_PAYLOAD: f64 = 1448.0;
const ETHERNET_FRAME: f64 = 1538.0;
/// How long a link is measured, and how often one that is not known.
const PROBE_S: f64 = 2.0;
const PROBES: usize = 3;
/// How long a guest may take to fill its memory, and per MiB of it.
const BOOT: Duration = Duration::from_secs(60);
const BOOT_PER_MIB: Duration = Duration::from_millis(40);
/// Windows over which a Linux guest's writes are measured.
const CURVE_WINDOWS_MS: [u64; 8] = [60, 125, 250, 500, 1000, 2000, 4000, 8000];
const LINUX_BOOT: Duration = Duration::from_secs(400);

/// Which two hosts.
#[derive(Debug)]
pub enum Site {
    /// A lab's, which nobody else uses meanwhile.
    Lab {
        /// The lab.
        lab: Box<Lab>,
        /// Keeps others off.
        in_use: Arc<InUse>,
    },
    /// Two servers.
    Servers {
        /// The tool's URI of the source.
        source: String,
        /// The tool's URI of the destination.
        destination: String,
        /// The destination's URI as the source reaches it; `None`: the same without the tool's own
        /// `command`.
        peer: Option<String>,
    },
}

/// Two libvirt hosts and the guest between them.
pub struct LibvirtHosts {
    site: Site,
    name: String,
    /// What its name and those of guests moved beside it begin with: they are no strangers to each
    /// other.
    family: String,
    uuid: String,
    connects: [Option<Connect>; 2],
    identities: [Option<Identity>; 2],
    undone: [Undone; 2],
    call: Option<Receiver<Result<(), String>>>,
    events: (Sender<Event>, Receiver<Event>),
    listening: Option<Listening>,
    iterations: u64,
    completed: Option<JobStats>,
    watch: Option<Helper>,
    watched: Vec<Value>,
    beats: Option<Beats>,
    clock: Instant,
    /// When the migration was asked for: since the epoch.
    begun: Option<f64>,
    ready_at: Option<Instant>,
    worked: Option<Duration>,
    interrupted: Arc<AtomicBool>,
    measured: HashMap<String, LinkMeasure>,
    versions: Option<(String, String)>,
}

impl std::fmt::Debug for LibvirtHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LibvirtHosts")
            .field("site", &self.site)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl LibvirtHosts {
    /// The hosts of a site; the guest between them is called `name`.
    ///
    /// # Errors
    /// Both are the same host, which is found out before anything is done; a host is out of reach,
    /// or has a domain of that name that is not migcal's.
    pub fn open(
        site: Site,
        name: &str,
        interrupted: &Arc<AtomicBool>,
    ) -> anyhow::Result<LibvirtHosts> {
        ffi::start_event_loop();
        let mut hosts = LibvirtHosts {
            site,
            name: name.to_owned(),
            family: name.to_owned(),
            uuid: uuid_of(&format!("guest {name}")),
            connects: [None, None],
            identities: [None, None],
            undone: Default::default(),
            call: None,
            events: channel(),
            listening: None,
            iterations: 0,
            completed: None,
            watch: None,
            watched: Vec::new(),
            beats: None,
            clock: Instant::now(),
            begun: None,
            ready_at: None,
            worked: None,
            interrupted: Arc::clone(interrupted),
            measured: HashMap::new(),
            versions: None,
        };
        for side in Side::BOTH {
            hosts.reach(side)?;
        }
        hosts.mend();
        for side in Side::BOTH {
            hosts.connect(side)?;
        }
        if let [Some(source), Some(destination)] = &hosts.identities {
            refuse_same_host(
                [source, destination],
                [&hosts.tool_uri(Side::Source), &hosts.tool_uri(Side::Destination)],
            )?;
        }
        for side in Side::BOTH {
            hosts.check_ours(side)?;
            let reach = hosts.reach(side)?;
            if reach.which("python3").is_none() {
                bail!(
                    "there is no python3 {reach}, which a run needs there; `apt-get install python3` installs it"
                );
            }
            hosts.undone[side.index()] = undo(&reach)?;
        }
        Ok(hosts)
    }

    /// What was found of measurements that were killed, at source and destination.
    pub fn undone(&self) -> &[Undone; 2] {
        &self.undone
    }

    /// The lab, if these are a lab's hosts.
    pub fn lab(&self) -> Option<&Lab> {
        match &self.site {
            Site::Lab { lab, .. } => Some(lab),
            Site::Servers { .. } => None,
        }
    }

    /// Removes what a host's libvirt knows of the guest, which does not run.
    ///
    /// Where post-copy was torn by the end of the source's QEMU, libvirt (9.0) keeps the
    /// migration's job for a recovery that cannot come, and everybody else from the guest: only
    /// a new daemon knows better. Guests do not end with their daemon.
    fn undefine(&mut self, side: Side) -> anyhow::Result<()> {
        let Some(domain) = self.find(side)? else { return Ok(()) };
        let what = format!("removing the guest from the {side}");
        match domain.undefine() {
            Err(e) if e.code().known() == Some(ErrorNumber::OperationTimeout) => {}
            other => return other.doing(what),
        }
        let Site::Lab { lab, .. } = &self.site else {
            bail!(
                "{what}: libvirt there keeps it for a migration that has ended; restart its daemon (`systemctl restart libvirtd`, or \
                 virtqemud), with which no guest ends, and try again"
            );
        };
        lab.restart_daemon(side)?;
        self.find(side)?.map_or(Ok(()), |domain| domain.undefine().doing(what))
    }

    fn tool_uri(&self, side: Side) -> String {
        match (&self.site, side) {
            (Site::Lab { lab, .. }, side) => lab.uri(side),
            (Site::Servers { source, .. }, Side::Source) => source.clone(),
            (Site::Servers { destination, .. }, Side::Destination) => destination.clone(),
        }
    }

    /// How commands get to a host.
    ///
    /// # Errors
    /// Its URI does not say.
    pub fn reach(&self, side: Side) -> anyhow::Result<Reach> {
        match &self.site {
            Site::Lab { lab, .. } => Ok(lab.reach(side)),
            Site::Servers { .. } => Reach::from_uri(&self.tool_uri(side)),
        }
    }

    /// The destination's address, as the source reaches it.
    fn destination_address(&self) -> anyhow::Result<String> {
        match &self.site {
            Site::Lab { .. } => Ok(Side::Destination.address().to_owned()),
            Site::Servers { destination, peer, .. } => {
                let uri = peer.as_ref().unwrap_or(destination);
                Place::parse(uri)?.host.with_context(|| {
                    format!(
                        "`{uri}` names no host; the source has to reach the destination by it, as qemu+ssh://HOST/system (--peer)"
                    )
                })
            }
        }
    }

    /// The destination's libvirtd, as the source's reaches it.
    fn peer(&self, transport: Transport) -> anyhow::Result<String> {
        match &self.site {
            Site::Lab { lab, .. } if transport == Transport::Ssh => Ok(lab.ssh_from_source()?),
            Site::Lab { .. } => Ok(format!("qemu+tcp://{}/system", Side::Destination.address())),
            Site::Servers { peer: Some(peer), .. } => Ok(peer.clone()),
            Site::Servers { destination, .. } => {
                let (base, query) = destination.split_once('?').unwrap_or((destination, ""));
                let kept: Vec<&str> = query
                    .split('&')
                    .filter(|p| !p.is_empty() && !p.starts_with("command="))
                    .collect();
                Ok(if kept.is_empty() {
                    base.to_owned()
                } else {
                    format!("{base}?{}", kept.join("&"))
                })
            }
        }
    }

    /// QEMU's version at the source, and libvirt's.
    fn versions(&mut self) -> anyhow::Result<(String, String)> {
        if let Some(known) = &self.versions {
            return Ok(known.clone());
        }
        let connect = self.connect(Side::Source)?;
        let qemu = connect.hyp_version().map_or(String::new(), ffi::dotted);
        let libvirt = connect.lib_version().map_or(String::new(), ffi::dotted);
        Ok(self.versions.insert((qemu, libvirt)).clone())
    }

    fn connect(&mut self, side: Side) -> anyhow::Result<&Connect> {
        let slot = side.index();
        let alive =
            self.connects[slot].as_ref().is_some_and(|connect| connect.is_alive().unwrap_or(false));
        if !alive {
            let uri = self.tool_uri(side);
            let connect =
                Connect::open(Some(&uri)).doing(format!("the {side}, {uri}, is out of reach"))?;
            // A host that has vanished is noticed within 20 s.
            let _ = connect.set_keep_alive(5, 3);
            let identity = Identity::of(&connect)?;
            // An address that moves from host to host would make two of one.
            if let Some(known) = self.identities[slot].replace(identity.clone())
                && known.uuid != identity.uuid
            {
                self.identities[slot] = Some(known);
                bail!(
                    "{uri} leads to another host now than before, `{}`; nothing is done there",
                    identity.name
                );
            }
            self.connects[slot] = Some(connect);
        }
        self.connects[slot].as_ref().context("there is no connection")
    }

    /// The guest's domain at a host, if it has one.
    fn find(&mut self, side: Side) -> anyhow::Result<Option<Domain>> {
        let uuid = self.uuid.clone();
        match self.connect(side)?.lookup_domain_by_uuid_string(&uuid) {
            Ok(domain) => Ok(Some(domain)),
            Err(e) if e.code().known() == Some(ErrorNumber::NoDomain) => Ok(None),
            Err(e) => bail!("the {side} does not say whether it has the guest: {}", e.message()),
        }
    }

    fn domain(&mut self, side: Side) -> anyhow::Result<Domain> {
        let name = self.name.clone();
        self.find(side)?.with_context(|| format!("the {side} has no guest `{name}`"))
    }

    /// Refuses a host that has a domain of the guest's name which migcal has not made.
    fn check_ours(&mut self, side: Side) -> anyhow::Result<()> {
        let (name, uuid) = (self.name.clone(), self.uuid.clone());
        let Ok(domain) = self.connect(side)?.lookup_domain_by_name(&name) else { return Ok(()) };
        let ours = domain.uuid_string().is_ok_and(|id| id == uuid)
            && Described::of(&domain).is_ok_and(|it| it.ours);
        if !ours {
            bail!(
                "the {side} has a domain `{name}` that migcal has not made; give the guest another --name"
            );
        }
        Ok(())
    }

    /// Where files of guests lie at a host: root's own, and what QEMU makes as its own user.
    fn make_folders(&mut self, side: Side) -> anyhow::Result<()> {
        let (user, group) =
            self.identities[side.index()].as_ref().map_or((0, 0), |identity| identity.qemu_user);
        let reach = self.reach(side)?;
        reach.run(&["install", "-d", "-m", "711", FOLDER])?;
        reach.run(&[
            "install",
            "-d",
            "-m",
            "700",
            "-o",
            &user.to_string(),
            "-g",
            &group.to_string(),
            QEMUS_FOLDER,
        ])?;
        Ok(())
    }

    fn read_words(&self, side: Side) -> anyhow::Result<crate::domain::Said> {
        let serial = Files::of(&self.name).serial().display().to_string();
        // Nothing there yet is nothing said yet.
        Ok(read_serial(&self.reach(side)?.run(&["cat", &serial]).unwrap_or_default()))
    }

    /// Where the guest sends its heartbeat, as its host sees it, and the port.
    fn observer(&self) -> anyhow::Result<(String, u16)> {
        let port = 40_000 + (u16::from_str_radix(&self.uuid[..4], 16).unwrap_or(0) % 10_000);
        let address = match &self.site {
            Site::Lab { .. } => "127.0.0.1".to_owned(),
            Site::Servers { .. } => {
                let seen = self
                    .reach(Side::Source)?
                    .run(&["sh", "-c", "echo ${SSH_CLIENT%% *}"])?
                    .trim()
                    .to_owned();
                if seen.is_empty() { "127.0.0.1".to_owned() } else { seen }
            }
        };
        Ok((address, port))
    }

    fn wait_for_guest(&mut self, plan: &RunPlan) -> anyhow::Result<()> {
        let mib = u32::try_from(plan.memory.0 >> 20).unwrap_or(u32::MAX);
        let patience =
            if plan.kind == Kind::Freestanding { BOOT + BOOT_PER_MIB * mib } else { LINUX_BOOT };
        let started = Instant::now();
        loop {
            let said = self.read_words(Side::Source)?;
            if let Some(error) = said.error {
                bail!("the guest refused its workload: {error}");
            }
            if said.ready {
                self.ready_at = Some(Instant::now());
                return Ok(());
            }
            if self.presence(Side::Source) != Presence::Running {
                bail!(
                    "the guest ended while it started; its QEMU's log is at the source, /var/log/libvirt/qemu/{}.log",
                    self.name
                );
            }
            if started.elapsed() > patience {
                bail!(
                    "the guest was not ready after {} s; `migcal doctor` says whether KVM works here",
                    patience.as_secs()
                );
            }
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted while the guest started");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn collect_events(&mut self) {
        for event in self.events.1.try_iter() {
            match event {
                Event::Iteration(pass) => self.iterations = self.iterations.max(pass),
                Event::Completed(stats) => self.completed = Some(stats),
            }
        }
        if let Some(watch) = &self.watch {
            self.watched.extend(watch.drain());
        }
    }

    fn run_in_background(
        &mut self,
        domain: Domain,
        peer: String,
        parameters: MigrateParameters,
        flags: u32,
    ) {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let result = domain.migrate_to_uri3(Some(&peer), parameters, flags);
            let _ = sender.send(result.map_err(|e| e.message().to_owned()));
        });
        self.call = Some(receiver);
    }

    fn flags(plan: &RunPlan) -> u32 {
        let policy = &plan.policy;
        let mut flags = sys::VIR_MIGRATE_PEER2PEER;
        let mut set = |condition: bool, flag: u32| {
            if condition {
                flags |= flag;
            }
        };
        set(plan.is_live(), sys::VIR_MIGRATE_LIVE);
        set(policy.mode == Mode::Postcopy, sys::VIR_MIGRATE_POSTCOPY);
        set(policy.auto_converge.is_some(), sys::VIR_MIGRATE_AUTO_CONVERGE);
        set(policy.xbzrle.is_some(), sys::VIR_MIGRATE_COMPRESSED);
        set(policy.multifd_channels > 0, sys::VIR_MIGRATE_PARALLEL);
        set(
            matches!(plan.transport, Transport::Tunnelled | Transport::Ssh),
            sys::VIR_MIGRATE_TUNNELLED,
        );
        flags
    }

    fn parameters(&self, plan: &RunPlan) -> anyhow::Result<MigrateParameters> {
        let policy = &plan.policy;
        let mut parameters = MigrateParameters::default();
        if plan.transport == Transport::Tcp {
            parameters.uri = Some(format!("tcp://{}", bracketed(&self.destination_address()?)));
        }
        parameters.bandwidth = policy.bandwidth_cap.map(|cap| cap.0 / (8 << 20));
        if let Some(rule) = policy.auto_converge {
            parameters.auto_converge_initial = Some(i32::try_from(rule.initial)?);
            parameters.auto_converge_increment = Some(i32::try_from(rule.increment)?);
        }
        if let Some(cache) = policy.xbzrle {
            parameters.compression = Some("xbzrle".to_owned());
            parameters.compression_xbzrle_cache = Some(cache.0);
        }
        if policy.multifd_channels > 0 {
            parameters.parallel_connections = Some(i32::try_from(policy.multifd_channels)?);
        }
        Ok(parameters)
    }
}

/// What a QEMU takes beside its guest's memory.
const BESIDE: u64 = 160 << 20;
/// What an image has beside its guest's memory, rounded up.
const BESIDE_IMAGE: u64 = 16 << 20;
/// What a host keeps free: below, Linux ends processes.
const SPARE: u64 = 128 << 20;

/// Whether a host has room for runs, in memory and, for offline moves, on its disk: each of `runs`
/// is of guests that are moved at the same time. `copies`: 2 where source and destination are one
/// machine, a lab's.
///
/// # Errors
/// Says what is short, and how much of it there is.
pub fn check_room(reach: &Reach, runs: &[Vec<&RunPlan>], copies: u64) -> anyhow::Result<()> {
    // The most that any of the runs takes.
    let most = |of: &dyn Fn(&RunPlan) -> u64| {
        let each = runs.iter().map(|guests| guests.iter().map(|plan| of(plan)).sum::<u64>());
        copies * each.max().unwrap_or(0)
    };
    let refuse = |what: &str, needed: u64, free: u64| {
        let (needed, free) = (human_bytes(needed as f64), human_bytes(free as f64));
        let of = if copies == 2 { "for both ends of the lab" } else { "for the guest" };
        bail!(
            "{what} {reach} is short: {needed} are needed {of}, {free} are free; less --memory or --touched takes less"
        )
    };
    let text = reach.run(&["cat", "/proc/meminfo"])?;
    let figure = |key: &str| meminfo(&text, key);
    let needed = most(&|plan| plan.resident().0 + BESIDE) + SPARE;
    let free = figure("MemAvailable").unwrap_or(u64::MAX);
    if needed > free {
        return refuse("memory", needed, free);
    }
    // Linux refuses what no machine of this size could ever have.
    let all =
        figure("MemTotal").unwrap_or(u64::MAX).saturating_add(figure("SwapTotal").unwrap_or(0));
    if let Some(largest) =
        runs.iter().flatten().map(|plan| plan.memory.0).max().filter(|largest| *largest > all)
    {
        return refuse("memory", largest, all);
    }
    let image = |plan: &RunPlan| {
        if plan.policy.mode == Mode::Offline { plan.resident().0 + BESIDE_IMAGE } else { 0 }
    };
    let needed = most(&image);
    if needed > 0 {
        let df = |place| reach.run(&["df", "-B1", "--output=avail", place]);
        let text = df("/var/lib/libvirt").or_else(|_| df("/var/lib"))?;
        let free =
            text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or(u64::MAX);
        if needed > free {
            return refuse("room in /var/lib/libvirt", needed, free);
        }
    }
    Ok(())
}

/// A figure of /proc/meminfo, bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

impl Hosts for LibvirtHosts {
    fn check(&mut self, runs: &[Vec<&RunPlan>]) -> anyhow::Result<()> {
        let (qemu, _) = self.versions()?;
        if let Ok(version) = qemu.parse() {
            runs.iter().flatten().try_for_each(|plan| plan.check_for(version))?;
        }
        if self.lab().is_some() {
            // Its hosts are this machine.
            return check_room(&Reach::Here, runs, 2);
        }
        Side::BOTH.into_iter().try_for_each(|side| check_room(&self.reach(side)?, runs, 1))
    }

    fn path(&mut self, plan: &RunPlan) -> anyhow::Result<Facts> {
        if let (Site::Lab { lab, .. }, Some(link)) = (&mut self.site, plan.link)
            && lab.link() != link
        {
            lab.shape(link)?;
        }
        let (from, to) = (self.reach(Side::Source)?, self.reach(Side::Destination)?);
        let key = format!("{:?}", self.lab().map(Lab::link));
        let measure = match self.measured.get(&key) {
            Some(measure) => *measure,
            None => {
                // A lab's capacity is known.
                let probes = if self.lab().is_some() { 1 } else { PROBES };
                let measure =
                    measure_link(&from, &to, &self.destination_address()?, probes, PROBE_S)?;
                self.measured.insert(key, measure);
                measure
            }
        };
        let link_mbit = match self.lab().map(Lab::link) {
            Some(Link { capacity: BitRate(bits), .. }) => bits as f64 / 1e6,
            None => measure.goodput_bit_s / 1e6 * ETHERNET_FRAME / FRAME_PAYLOAD,
        };
        let setting = |key: &str| from.run(&["cat", &format!("/proc/sys/net/ipv4/{key}")]).ok();
        let (qemu, libvirt) = self.versions()?;
        Ok(Facts {
            qemu,
            libvirt,
            link_mbit,
            goodput_mbit: measure.goodput_bit_s / 1e6,
            goodput_spread_mbit: self.lab().is_none().then_some(measure.spread_bit_s / 1e6),
            rtt_us: measure.rtt_us,
            send_buffer: setting("tcp_wmem")
                .and_then(|t| t.split_whitespace().nth(2)?.parse().ok()),
            congestion: setting("tcp_congestion_control").map(|t| t.trim().to_owned()),
        })
    }

    fn start_guest(&mut self, plan: &RunPlan) -> anyhow::Result<()> {
        self.clear()?;
        let files = Files::of(&self.name);
        let (observer, port) = self.observer()?;
        let namespaces: Vec<_> = match &self.site {
            Site::Lab { lab, .. } => Side::BOTH.map(|side| lab.network_namespace(side)).to_vec(),
            Site::Servers { .. } => Vec::new(),
        };
        self.beats = Beats::listen(&namespaces, port).ok();
        let xml = xml(&self.name, &self.uuid, plan, Some((&observer, port)));
        let image = if plan.kind == Kind::Freestanding { None } else { Some(linux::image()?) };
        // Each host boots from its own copy, also after an offline move.
        for side in Side::BOTH {
            let reach = self.reach(side)?;
            self.make_folders(side)?;
            reach.write_file(
                &files.kernel(),
                image.as_ref().map_or(FREESTANDING, |image| &image.kernel),
            )?;
            if let Some(image) = &image {
                reach.write_file(&files.initrd(), &image.initrd)?;
            }
        }
        let connect = self.connect(Side::Source)?;
        let domain = connect.define_domain_xml(&xml).doing("defining the guest")?;
        domain.create().doing("starting the guest")?;
        let limit = plan.policy.downtime_limit.0 / 1_000_000;
        domain.migrate_set_max_downtime(limit, 0).doing("setting the downtime limit")?;
        self.wait_for_guest(plan)?;
        // The first turns fill caches.
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn curve(&mut self, plan: &RunPlan) -> anyhow::Result<Option<(Workload, Pages)>> {
        if plan.kind == Kind::Freestanding {
            return Ok(None);
        }
        let target = Target {
            reach: self.reach(Side::Source)?,
            qmp: Files::of(&self.name).qmp(),
            uuid: self.uuid.clone(),
            name: self.name.clone(),
            memory: plan.memory.pages(),
            // The tool's own guest, which nobody waits for.
            longest_stop: Duration::from_secs(600),
        };
        let doing = "measuring what the guest writes";
        let (still, touched) =
            measure_snapshots(&target, &[1000], &self.interrupted).context(doing)?;
        // One that writes so little that QEMU would end its migration has been seen well enough.
        let curve = match measure_rehearsal(&target, &CURVE_WINDOWS_MS, &self.interrupted) {
            Err(error) if error.downcast_ref::<TooQuiet>().is_some() => still,
            result => result?,
        };
        Ok(Some((curve.workload(), touched)))
    }

    fn worked(&mut self) -> Option<Duration> {
        self.worked
    }

    fn begin(&mut self, plan: &RunPlan) -> anyhow::Result<()> {
        let domain = self.domain(Side::Source)?;
        self.events = channel();
        (self.iterations, self.completed, self.watched) = (0, None, Vec::new());
        let sender = self.events.0.clone();
        self.listening = None;
        let listening = ffi::listen(self.connect(Side::Source)?, &domain, &sender)
            .doing("listening to libvirt's events")?;
        self.listening = Some(listening);
        let reach = self.reach(Side::Source)?;
        let device = if self.lab().is_some() { DEVICE } else { "" };
        let address = self.destination_address()?;
        let qmp = Files::of(&self.name).qmp().display().to_string();
        let watch = Helper::start(&reach, &["watch", &qmp, device, &address, &self.family])?;
        let patience = Duration::from_secs(20);
        self.watched.extend(watch.next(patience)?);
        watch.expect("watching", patience).context("following the guest's QMP socket")?;
        self.watch = Some(watch);
        // A phased writer is met where the plan wants it.
        if let (Some(offset), Some(ready)) = (plan.phase_offset, self.ready_at)
            && let Some(period) =
                plan.workload.terms.iter().find_map(|term| term.phase).map(|phase| phase.period())
        {
            let into = ready.elapsed().as_nanos() as u64 % period.0.max(1);
            let left = (offset.0 + period.0 - into) % period.0.max(1);
            std::thread::sleep(Duration::from_nanos(left));
        }
        if let Some(beats) = &self.beats {
            beats.restart();
        }
        self.worked = self.ready_at.map(|at| at.elapsed());
        self.begun = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|t| t.as_secs_f64());
        if plan.policy.mode != Mode::Offline {
            let (peer, parameters) = (self.peer(plan.transport)?, self.parameters(plan)?);
            self.run_in_background(domain, peer, parameters, Self::flags(plan));
        }
        Ok(())
    }

    fn progress(&mut self) -> Progress {
        self.collect_events();
        match self.call.as_ref().map(Receiver::try_recv) {
            None => Progress::Ended(Err("nothing was begun".to_owned())),
            Some(Err(TryRecvError::Empty)) => Progress::Running,
            Some(Err(TryRecvError::Disconnected)) => {
                Progress::Ended(Err("libvirt's call did not come back".to_owned()))
            }
            Some(Ok(result)) => {
                self.call = None;
                self.collect_events();
                Progress::Ended(result)
            }
        }
    }

    fn sample(&mut self) -> Option<JobStats> {
        let domain = self.find(Side::Source).ok()??;
        ffi::job_stats(&domain, false).ok()?
    }

    fn iterations(&mut self) -> u64 {
        self.collect_events();
        // libvirt's event of an iteration has been seen to stay away; QEMU's own has not.
        let by_qemu =
            self.watched.iter().filter_map(|said| said.get("data")?.get("pass")?.as_u64()).max();
        self.iterations.max(by_qemu.unwrap_or(0))
    }

    fn start_postcopy(&mut self) -> anyhow::Result<()> {
        let domain = self.domain(Side::Source)?;
        ffi::start_postcopy(&domain).doing("switching to post-copy")
    }

    fn abort(&mut self) -> anyhow::Result<()> {
        let domain = self.domain(Side::Source)?;
        ffi::abort_job(&domain).doing("aborting the migration")
    }

    fn completed(&mut self) -> Option<JobStats> {
        // The event may be a moment behind the call.
        for _ in 0..20 {
            self.collect_events();
            if self.completed.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let kept = self
            .find(Side::Source)
            .ok()
            .flatten()
            .and_then(|domain| ffi::job_stats(&domain, true).ok().flatten());
        // The kept statistics are final; the event's, without what the destination reported, are
        // better than none.
        kept.filter(|stats| stats.contains_key("time_elapsed")).or_else(|| self.completed.clone())
    }

    fn observed(&mut self) -> Observed {
        let beat_gap = self.beats.as_ref().and_then(Beats::longest);
        // What the guest says of its gap comes within half a second after it.
        std::thread::sleep(Duration::from_millis(700));
        self.collect_events();
        let mut observed = observed_from(&self.watched, self.begun.unwrap_or(0.0));
        observed.begun_s = self.begun;
        observed.beat_gap_ms = beat_gap.map(|gap| gap.as_secs_f64() * 1e3);
        let since = self.ready_at.zip(self.begun).map(|(ready, begun)| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64());
            // Reports are stamped in ms since ready.
            (ready.elapsed().as_secs_f64() - (now - begun)) * 1e3
        });
        let reports = Side::BOTH
            .into_iter()
            .filter_map(|side| self.read_words(side).ok())
            .flat_map(|said| said.reports);
        // The one that spans the beginning may hold a gap from before.
        observed.guest_gap_ms = reports
            .filter(|r| r.ms as f64 >= since.unwrap_or(0.0) + 500.0)
            .map(|r| r.gap_us as f64 / 1e3)
            .reduce(f64::max);
        self.watch = None;
        observed
    }

    fn save(&mut self) -> anyhow::Result<()> {
        let domain = self.domain(Side::Source)?;
        let image = Files::of(&self.name).image().display().to_string();
        ffi::save(&domain, &image).doing(format!("saving the guest to {image} at the source"))
    }

    fn copy(&mut self) -> anyhow::Result<()> {
        let image = Files::of(&self.name).image().display().to_string();
        let part = Files::of(&self.name).part().display().to_string();
        let to = self.reach(Side::Destination)?;
        let copied = (|| {
            let (address, secret) = (self.destination_address()?, secret()?);
            let server = Helper::start_with(&to, &["receive", &address, &part], &secret)?;
            let port = server.expect("port", Duration::from_secs(20))?;
            let from = self.reach(Side::Source)?;
            let client =
                Helper::start_with(&from, &["send", &address, &port.to_string(), &image], &secret)?;
            loop {
                match client.next(Duration::from_millis(50)) {
                    Ok(Some(_)) => break,
                    Ok(None) if self.interrupted.load(Ordering::Relaxed) => bail!("interrupted"),
                    Ok(None) => {}
                    // The cause is told where it lies: a full disk at the destination shows at the
                    // source as a broken connection.
                    Err(error) => {
                        let there = server.next(Duration::from_secs(2));
                        return Err(there.err().map_or_else(
                            || error.context("the source could not send the image"),
                            |e| e.context("the destination could not store the image"),
                        ));
                    }
                }
            }
            to.run(&["mv", &part, &image])
        })();
        if copied.is_err() {
            let _ = to.run(&["rm", "-f", &part]);
        }
        copied.map(|_| ()).context("copying the guest's image to the destination")
    }

    fn restore(&mut self, side: Side) -> anyhow::Result<()> {
        let image = Files::of(&self.name).image().display().to_string();
        let connect = self.connect(side)?;
        connect
            .restore_domain(&image)
            .doing(format!("restoring the guest from {image} at the {side}"))
    }

    fn forget_images(&mut self) {
        let files = Files::of(&self.name);
        let (image, part) =
            (files.image().display().to_string(), files.part().display().to_string());
        for side in Side::BOTH {
            // A host that does not answer keeps its own until the next command.
            let _ = self.reach(side).and_then(|reach| reach.run(&["rm", "-f", &image, &part]));
        }
    }

    fn has_image(&mut self, side: Side) -> bool {
        let image = Files::of(&self.name).image().display().to_string();
        // libvirt writes this magic last: before, the file says LibvirtQemudPart.
        let head = self.reach(side).and_then(|reach| reach.run(&["head", "-c", "16", &image]));
        head.is_ok_and(|head| head == "LibvirtQemudSave")
    }

    fn unstick(&mut self) -> bool {
        // QEMU speaks over one connection at a time; who follows the run does the same by itself.
        if self.watch.is_some() {
            return false;
        }
        let qmp = Files::of(&self.name).qmp().display().to_string();
        let helper =
            self.reach(Side::Source).and_then(|reach| Helper::start(&reach, &["unstick", &qmp]));
        let stuck = helper.and_then(|helper| helper.expect("stuck", Duration::from_secs(20)));
        stuck.is_ok_and(|stuck| stuck == Value::Bool(true))
    }

    fn same_host(&mut self) -> bool {
        matches!(&self.identities, [Some(source), Some(destination)] if source.is(destination).is_some())
    }

    fn presence(&mut self, side: Side) -> Presence {
        let state = match self.find(side) {
            Ok(None) => return Presence::Absent,
            Ok(Some(domain)) => ffi::state(&domain).map_err(|e| e.message().to_owned()),
            Err(error) => Err(format!("{error:#}")),
        };
        match state {
            Err(why) => Presence::Unknown(why),
            Ok((
                sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED,
                sys::VIR_DOMAIN_RUNNING_POSTCOPY_FAILED,
            )) => Presence::Paused(Pause::PostcopyFailed),
            Ok((sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED, _)) => Presence::Running,
            Ok((sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_POSTCOPY_FAILED)) => {
                Presence::Paused(Pause::PostcopyFailed)
            }
            Ok((
                sys::VIR_DOMAIN_PAUSED,
                sys::VIR_DOMAIN_PAUSED_MIGRATION
                | sys::VIR_DOMAIN_PAUSED_POSTCOPY
                | sys::VIR_DOMAIN_PAUSED_STARTING_UP,
            )) => Presence::Paused(Pause::Migration),
            Ok((sys::VIR_DOMAIN_PAUSED, _)) => Presence::Paused(Pause::Other),
            Ok(_) => Presence::Absent,
        }
    }

    fn job_active(&mut self) -> bool {
        self.call.is_some() || self.sample().is_some()
    }

    fn resume(&mut self, side: Side) -> anyhow::Result<()> {
        let domain = self.domain(side)?;
        domain.resume().doing(format!("letting the guest go on at the {side}"))
    }

    fn destroy(&mut self, side: Side) -> anyhow::Result<()> {
        let Some(domain) = self.find(side)? else { return Ok(()) };
        match domain.destroy() {
            Ok(()) => Ok(()),
            Err(e) if e.code().known() == Some(ErrorNumber::OperationInvalid) => Ok(()),
            Err(e) => bail!("ending the guest at the {side}: {}", e.message()),
        }
    }

    fn recover_postcopy(&mut self) -> anyhow::Result<()> {
        let domain = self.domain(Side::Source)?;
        let peer = self.peer(Transport::Tcp)?;
        let parameters = MigrateParameters {
            uri: Some(format!("tcp://{}", bracketed(&self.destination_address()?))),
            ..Default::default()
        };
        let flags = sys::VIR_MIGRATE_PEER2PEER
            | sys::VIR_MIGRATE_LIVE
            | sys::VIR_MIGRATE_POSTCOPY
            | sys::VIR_MIGRATE_POSTCOPY_RESUME;
        self.run_in_background(domain, peer, parameters, flags);
        Ok(())
    }

    fn diagnose(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        if let Site::Lab { lab, .. } = &self.site {
            if lab.is_cut() {
                found.push("the link is cut".to_owned());
            }
            for side in Side::BOTH.into_iter().filter(|side| !lab.daemon_answers(*side)) {
                found.push(format!("the {side}'s libvirtd does not run"));
            }
        }
        for side in Side::BOTH {
            // A QEMU that is sent away says so at the end of its log.
            let log = format!("/var/log/libvirt/qemu/{}.log", self.name);
            let last = self
                .reach(side)
                .and_then(|reach| reach.run(&["tail", "-n", "3", &log]))
                .unwrap_or_default();
            if was_killed(&last) {
                found.push(format!("the {side}'s QEMU was killed"));
            }
        }
        found
    }

    fn mend(&mut self) {
        if let Site::Lab { lab, .. } = &self.site {
            let _ = lab.set_cut(false);
            for side in Side::BOTH {
                // If it does not start, the next call to it says so.
                let _ = lab.start_daemon(side);
            }
        }
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        self.watch = None;
        self.beats = None;
        let files = Files::of(&self.name);
        // Both are ended before either is forgotten: where one host refuses to forget, half of a
        // guest does not run on at the other.
        for side in Side::BOTH {
            self.destroy(side)?;
        }
        for side in Side::BOTH {
            self.undefine(side)?;
            let places: Vec<String> = files.all().iter().map(|p| p.display().to_string()).collect();
            let mut words = vec!["rm", "-f"];
            words.extend(places.iter().map(String::as_str));
            let _ = self.reach(side)?.run(&words);
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn uri(&self, side: Side) -> String {
        self.tool_uri(side)
    }

    fn beside(&mut self, number: usize) -> anyhow::Result<Box<dyn Hosts + Send>> {
        let site = match &self.site {
            Site::Lab { lab, in_use } => {
                let again = Lab::find(lab.name())?
                    .with_context(|| format!("the lab `{}` is gone", lab.name()))?;
                Site::Lab { lab: Box::new(again), in_use: Arc::clone(in_use) }
            }
            Site::Servers { source, destination, peer } => Site::Servers {
                source: source.clone(),
                destination: destination.clone(),
                peer: peer.clone(),
            },
        };
        let name = format!("{}-{number}", self.name);
        let mut beside = LibvirtHosts::open(site, &name, &self.interrupted)?;
        beside.family.clone_from(&self.family);
        // The path is the same, and measuring it again would disturb whoever uses it.
        (beside.measured, beside.versions) = (self.measured.clone(), self.versions.clone());
        Ok(Box::new(beside))
    }
}
