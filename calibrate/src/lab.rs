//! Two libvirt hosts on one machine: a network, mount and UTS namespace and a libvirtd each, joined
//! by a shaped link.
//!
//! Each host is anchored by a process that only holds its namespaces: a daemon that dies leaves the
//! host standing. All state lies in one folder a lab, and every process in the lab's network
//! namespaces is the lab's, so that taking down needs nothing that a crash could have kept from
//! being written.
//!
//! Its libvirtds and guests run as root, so nobody but root gets to them: the folder is closed, and
//! with it each socket.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use migsim::input::InputError;
use migsim_models::units::{BitRate, Bytes, SimTime};
use migsim_models::words;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::domain::check_name;
use crate::reach::{Place, Reach};

/// Where labs keep their state; each in a folder of its name.
const ROOT: &str = "/var/lib/migcal";
/// What a libvirtd writes to, and under what name a host of the lab keeps its own.
const OWN_FOLDERS: [(&str, &str); 6] = [
    ("/etc/libvirt", "etc"),
    ("/run/libvirt", "run"),
    ("/var/lib/libvirt", "lib"),
    ("/var/cache/libvirt", "cache"),
    ("/var/log/libvirt", "log"),
    // sshd does not start without.
    ("/run/sshd", "sshd"),
];
/// In a lab that goes with its maker: the maker's process id.
const MAKER: &str = "maker";
/// The lab's end of the link in each network namespace.
pub const DEVICE: &str = "migcal0";
/// How long a daemon may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// One of the two hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Where the guest starts.
    Source,
    /// Where it is to go.
    Destination,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Source, Side::Destination];

    fn letter(self) -> char {
        match self {
            Side::Source => 'a',
            Side::Destination => 'b',
        }
    }

    /// Its place in a pair: 0, then 1.
    pub fn index(self) -> usize {
        usize::from(self == Side::Destination)
    }

    /// The host's address on the lab's link: the same in every lab, none of which sees another.
    pub fn address(self) -> &'static str {
        match self {
            Side::Source => "10.77.0.1",
            Side::Destination => "10.77.0.2",
        }
    }
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Side::Source => "source",
            Side::Destination => "destination",
        })
    }
}

/// The path between the lab's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Frames a second that iteration, in bits: 1 Mbit/s to 100 Gbit/s.
    pub capacity: BitRate,
    /// Extra time one way; needs the kernel's netem.
    #[serde(default)]
    pub delay: SimTime,
    /// The most that a sender's socket buffer holds (the third figure of net.ipv4.tcp_wmem).
    #[serde(default = "Link::default_send_buffer")]
    pub send_buffer: Bytes,
    /// TCP's congestion control; `None`: the first of [`Congestion::PREFERRED`] that the kernel
    /// lets a namespace use.
    #[serde(default)]
    pub congestion: Option<Congestion>,
    /// Whether migrations at the same time get equal shares, as from the fair queue that Linux
    /// gives a network card (fq_codel), instead of standing in one line, where the first to
    /// come keeps most of it.
    #[serde(default)]
    pub fair: bool,
}

/// Migrations at the same time that a fair link keeps apart: QEMU listens on libvirt's ports from
/// this one on.
const FIRST_PORT: u32 = 49_152;
const FAIR_FLOWS: u32 = 16;

/// TCP's congestion control, by Linux's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// Linux's default.
    Cubic,
    /// The classic one.
    Reno,
    /// By a model of the path instead of by losses.
    Bbr,
}

impl Congestion {
    /// In the order of how common they are between servers.
    pub const PREFERRED: [Congestion; 3] = [Congestion::Cubic, Congestion::Reno, Congestion::Bbr];
}

words!(Congestion, "congestion control", "cubic" => Cubic, "reno" => Reno, "bbr" => Bbr);

impl Default for Link {
    fn default() -> Link {
        Link::of(BitRate(200_000_000))
    }
}

impl Link {
    /// Linux's own default of net.ipv4.tcp_wmem.
    fn default_send_buffer() -> Bytes {
        Bytes(4 << 20)
    }

    /// Checks what tc can make.
    ///
    /// # Errors
    /// Names what it cannot, and what it takes.
    pub fn check(&self) -> Result<(), InputError> {
        let refuse = |what: &str, message: String| Err(InputError::new(what, message));
        if !(1_000_000..=100_000_000_000).contains(&self.capacity.0) {
            return refuse(
                "link",
                format!("{} cannot be shaped; it takes 1Mbit/s to 100Gbit/s", self.capacity),
            );
        }
        if self.delay > SimTime::from_secs(10) {
            return refuse("delay", format!("{} is too long; it takes up to 10s", self.delay));
        }
        if !((16 << 10)..=(1 << 30)).contains(&self.send_buffer.0) {
            return refuse(
                "send_buffer",
                format!("{} is no send buffer; it takes 16KiB to 1GiB", self.send_buffer),
            );
        }
        if self.fair && self.delay > SimTime::ZERO {
            return refuse(
                "fair",
                "a fair link has no delay yet; leave the one or the other out".to_owned(),
            );
        }
        Ok(())
    }

    /// A link of this capacity, without delay, with Linux's default send buffer.
    pub fn of(capacity: BitRate) -> Link {
        Link {
            capacity,
            delay: SimTime::ZERO,
            send_buffer: Link::default_send_buffer(),
            congestion: None,
            fair: false,
        }
    }
}

/// What is written down of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    link: Link,
    anchors: [i32; 2],
}

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    name: String,
    folder: PathBuf,
    written: Written,
}

/// Holds a lab for one user at a time; given back when dropped.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "holds the lock")] Flock<fs::File>);

impl Lab {
    /// Brings a lab up: what an earlier one of this name left is taken down first.
    ///
    /// # Errors
    /// Something is missing on this machine (`migcal doctor` says what installs it); nothing is
    /// left then.
    pub fn up(name: &str, link: Link) -> anyhow::Result<Lab> {
        Ok(Lab::build_up(name, link, false)?.0)
    }

    /// The same for this process alone: others are kept off it from the first moment on, and if
    /// this process is killed the next command takes it down.
    ///
    /// # Errors
    /// As of [`Lab::up`].
    pub fn up_for_me(name: &str, link: Link) -> anyhow::Result<(Lab, InUse)> {
        Lab::build_up(name, link, true)
    }

    fn build_up(name: &str, link: Link, for_me: bool) -> anyhow::Result<(Lab, InUse)> {
        check_name("--name", name)?;
        link.check()?;
        check_root()?;
        let folder = Path::new(ROOT).join(name);
        if folder.exists() {
            // One in use is not taken down, whole or not.
            drop(lock(&folder, name)?);
        }
        if Lab::find(name)?.is_some_and(|lab| lab.daemon_answers(Side::Source)) {
            bail!("the lab `{name}` is up already; `migcal lab down --name {name}` takes it down");
        }
        down(name)?;
        closed_folder(Path::new(ROOT))?;
        closed_folder(&folder)?;
        let in_use = lock(&folder, name)?;
        if for_me {
            fs::write(folder.join(MAKER), std::process::id().to_string())?;
        }
        let lab = Lab::build(name, folder, link).inspect_err(|_| {
            // The error that is told is the first one.
            let _ = down(name);
        })?;
        Ok((lab, in_use))
    }

    fn build(name: &str, folder: PathBuf, link: Link) -> anyhow::Result<Lab> {
        make_mount_points()?;
        for side in Side::BOTH {
            Reach::Here.run(&["ip", "netns", "add", &namespace(name, side)])?;
        }
        let (a, b) = (namespace(name, Side::Source), namespace(name, Side::Destination));
        Reach::Here.run(&[
            "ip", "-n", &a, "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE, "netns",
            &b,
        ])?;
        for side in Side::BOTH {
            let ns = namespace(name, side);
            let address = format!("{}/24", side.address());
            Reach::Here.run(&["ip", "-n", &ns, "address", "add", &address, "dev", DEVICE])?;
            Reach::Here.run(&["ip", "-n", &ns, "link", "set", "lo", "up"])?;
            Reach::Here.run(&["ip", "-n", &ns, "link", "set", DEVICE, "up"])?;
        }
        let mut anchors = [0; 2];
        for (side, anchor) in Side::BOTH.into_iter().zip(&mut anchors) {
            *anchor = start_anchor(name, &folder, side)?;
        }
        let mut lab = Lab { name: name.to_owned(), folder, written: Written { link, anchors } };
        lab.shape(link)?;
        for side in Side::BOTH {
            lab.start_daemon(side)?;
        }
        Ok(lab)
    }

    /// The lab of this name, if it is up.
    ///
    /// # Errors
    /// What is written down of it cannot be read.
    pub fn find(name: &str) -> anyhow::Result<Option<Lab>> {
        check_name("--lab", name)?;
        let folder = Path::new(ROOT).join(name);
        let Ok(text) = fs::read_to_string(folder.join("lab.toml")) else { return Ok(None) };
        let written: Written = toml::from_str(&text)
            .with_context(|| format!("{}: is damaged", folder.join("lab.toml").display()))?;
        let lab = Lab { name: name.to_owned(), folder, written };
        let stands = Side::BOTH.into_iter().all(|side| lab.anchor_stands(side));
        Ok(stands.then_some(lab))
    }

    /// The lab of this name, which has to be up.
    ///
    /// # Errors
    /// It is not, or what is written down of it cannot be read.
    pub fn named(name: &str) -> anyhow::Result<Lab> {
        Lab::find(name)?.with_context(|| {
            format!("no lab `{name}` is up; `migcal lab up --name {name}` brings it up")
        })
    }

    /// The names of all labs of which something is left.
    ///
    /// # Errors
    /// The folder of the labs cannot be read.
    pub fn names() -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        match fs::read_dir(ROOT) {
            Ok(entries) => {
                names.extend(entries.flatten().filter_map(|e| e.file_name().into_string().ok()));
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                bail!("labs are root's, and {ROOT} is closed to others; run it with sudo")
            }
            Err(_) => {}
        }
        if let Ok(entries) = fs::read_dir("/run/netns") {
            names.extend(entries.flatten().filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let name = name.strip_prefix("migcal-")?;
                Some(name.strip_suffix("-a").or_else(|| name.strip_suffix("-b"))?.to_owned())
            }));
        }
        names.retain(|name| check_name("--name", name).is_ok());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The link as it is shaped now.
    pub fn link(&self) -> Link {
        self.written.link
    }

    /// Keeps every other tool off the lab until the returned value is dropped.
    ///
    /// # Errors
    /// Another tool uses it.
    pub fn lock(&self) -> anyhow::Result<InUse> {
        lock(&self.folder, &self.name)
    }

    /// Whether another tool uses it.
    pub fn is_in_use(&self) -> bool {
        self.lock().is_err()
    }

    /// The processes of a host that let SSH in.
    pub fn sshd_pids(&self, side: Side) -> Vec<i32> {
        let pids = pids_in(&namespace(&self.name, side));
        pids.into_iter().filter(|pid| comm(*pid).as_deref() == Some("sshd")).collect()
    }

    /// Where its state lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How commands get to a host.
    pub fn reach(&self, side: Side) -> Reach {
        Reach::Namespaces { pid: self.anchor(side) }
    }

    /// The URI of a host's libvirtd for a tool on this machine.
    pub fn uri(&self, side: Side) -> String {
        format!("qemu:///system?socket={}", self.host(side).join("run/libvirt-sock").display())
    }

    /// The network namespace of a host, as a file.
    pub fn network_namespace(&self, side: Side) -> PathBuf {
        Path::new("/run/netns").join(namespace(&self.name, side))
    }

    /// Where a path that a host sees under /var/lib/libvirt lies on this machine.
    pub fn outside(&self, side: Side, inside: &Path) -> PathBuf {
        let rest = inside.strip_prefix("/var/lib/libvirt").unwrap_or(inside);
        self.host(side).join("lib").join(rest)
    }

    /// Shapes the link anew.
    ///
    /// # Errors
    /// A delay is asked for and the kernel has no netem; `tc` is missing.
    pub fn shape(&mut self, link: Link) -> anyhow::Result<()> {
        let before = self.written.link;
        self.shape_as(link).inspect_err(|_| {
            // What was there is there again: no run is to be told of a link that is another.
            let _ = self.shape_as(before);
        })?;
        self.written.link = link;
        self.write()
    }

    fn shape_as(&self, link: Link) -> anyhow::Result<()> {
        let rate = format!("{}bit", link.capacity.0);
        let wmem = format!("4096 16384 {}", link.send_buffer.0);
        for side in Side::BOTH {
            let ns = namespace(&self.name, side);
            // The bucket holds 256 kB, or at high rates what passes between two timer ticks of 4
            // ms.
            let burst = format!("{}b", (256 << 10).max(link.capacity.0 / 8 / 250));
            let shape = ["qdisc", "replace", "dev", DEVICE];
            let bucket = ["tbf", "rate", &rate, "burst", &burst, "latency", "50ms"];
            // A tree of classes cannot be replaced by another.
            let _ = Reach::Here.run(&["tc", "-n", &ns, "qdisc", "del", "dev", DEVICE, "root"]);
            if link.fair {
                Reach::Here
                    .run_with(
                        &["tc", "-n", &ns, "-batch", "-"],
                        fair(link.capacity, &burst).as_bytes(),
                    )
                    .context("a fair link needs the kernel's sch_htb and cls_u32")?;
            } else if link.delay > SimTime::ZERO {
                let delay = format!("{}us", link.delay.0 / 1000);
                let netem = ["root", "handle", "1:", "netem", "delay", &delay, "limit", "100000"];
                let words = [&["tc", "-n", &ns], &shape[..], &netem[..]].concat();
                Reach::Here.run(&words).context(
                    "a delay needs the kernel's netem (module sch_netem), which this one does not have; leave the delay out",
                )?;
                let words = [
                    &["tc", "-n", &ns],
                    &shape[..],
                    &["parent", "1:1", "handle", "10:"],
                    &bucket[..],
                ]
                .concat();
                Reach::Here.run(&words)?;
            } else {
                let words =
                    [&["tc", "-n", &ns], &shape[..], &["root", "handle", "10:"], &bucket[..]]
                        .concat();
                Reach::Here.run(&words)?;
            }
            let set = |key: &str, value: &str| {
                let place = format!("/proc/sys/net/ipv4/{key}");
                Reach::Here.run_with(&["ip", "netns", "exec", &ns, "tee", &place], value.as_bytes())
            };
            set("tcp_wmem", &wmem)?;
            match link.congestion {
                Some(one) => {
                    let said = || {
                        format!(
                            "this kernel does not let a namespace use the congestion control `{one}`"
                        )
                    };
                    set("tcp_congestion_control", &one.to_string()).with_context(said)?;
                }
                // Whatever this machine's default is, and whatever it lets a namespace use.
                None => {
                    let _ = Congestion::PREFERRED
                        .iter()
                        .any(|one| set("tcp_congestion_control", &one.to_string()).is_ok());
                }
            }
            // Connections remember how they went before (RFC 9040); the next run is to start
            // afresh.
            let _ = Reach::Here.run(&["ip", "-n", &ns, "tcp_metrics", "flush"]);
        }
        Ok(())
    }

    /// Cuts the link, or joins it again.
    ///
    /// # Errors
    /// The lab is gone.
    pub fn set_cut(&self, cut: bool) -> anyhow::Result<()> {
        let ns = namespace(&self.name, Side::Source);
        Reach::Here.run(&[
            "ip",
            "-n",
            &ns,
            "link",
            "set",
            DEVICE,
            if cut { "down" } else { "up" },
        ])?;
        Ok(())
    }

    /// Whether the link is cut.
    pub fn is_cut(&self) -> bool {
        let ns = namespace(&self.name, Side::Source);
        Reach::Here
            .run(&["ip", "-n", &ns, "-o", "link", "show", DEVICE])
            .is_ok_and(|text| !text.contains(",UP"))
    }

    /// The process id of a host's libvirtd, if it runs.
    pub fn daemon_pid(&self, side: Side) -> Option<i32> {
        let pid: i32 = fs::read_to_string(self.host(side).join("run/libvirtd.pid"))
            .ok()?
            .trim()
            .parse()
            .ok()?;
        (self.lives_here(side, pid) && comm(pid).as_deref() == Some("libvirtd")).then_some(pid)
    }

    /// The processes of a host that run a guest.
    pub fn guest_pids(&self, side: Side) -> Vec<i32> {
        let pids = pids_in(&namespace(&self.name, side));
        pids.into_iter()
            .filter(|pid| comm(*pid).is_some_and(|c| c.starts_with("qemu-system")))
            .collect()
    }

    /// Whether a host's libvirtd accepts connections.
    pub fn daemon_answers(&self, side: Side) -> bool {
        self.daemon_pid(side).is_some()
            && std::os::unix::net::UnixStream::connect(self.host(side).join("run/libvirt-sock"))
                .is_ok()
    }

    /// Ends a host's libvirtd, whose guests run on, and starts another that finds them.
    ///
    /// # Errors
    /// It does not end, or none starts.
    pub fn restart_daemon(&self, side: Side) -> anyhow::Result<()> {
        if let Some(pid) = self.daemon_pid(side) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).context("ending libvirtd")?;
            let began = Instant::now();
            while self.daemon_pid(side) == Some(pid) {
                if began.elapsed() > PATIENCE {
                    bail!("the {side}'s libvirtd, process {pid}, does not end");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.start_daemon(side)
    }

    /// Starts a host's libvirtd, if it does not run.
    ///
    /// # Errors
    /// It ends at once or does not answer; with the end of its log.
    pub fn start_daemon(&self, side: Side) -> anyhow::Result<()> {
        if self.daemon_answers(side) {
            return Ok(());
        }
        let host = self.host(side);
        let log = closed_file(&host.join("libvirtd.log"))?;
        let daemon = ["libvirtd", "--listen", "--pid-file", "/run/libvirt/libvirtd.pid"];
        // Guests are left behind by the daemon that starts them; the helper takes their exit status
        // when they end.
        let words = [&["python3", "-c", crate::helper::PROGRAM, "reap"], &daemon[..]].concat();
        let mut command = self.reach(side).command(&words);
        // Of a process group of its own: Ctrl-C is for the tool alone, which takes the lab down in
        // order.
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        let started = Instant::now();
        while !self.daemon_answers(side) {
            let ended = child.try_wait()?;
            if ended.is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(host.join("libvirtd.log")).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!(
                    "the {side}'s libvirtd {}; `migcal doctor` says what is missing. Its last words:\n{}",
                    if ended.is_some() { "ended at once" } else { "does not answer" },
                    last.into_iter().rev().collect::<Vec<_>>().join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // The child outlives the tool: its end is noticed by `daemon_pid`, and someone must take
        // its exit status.
        std::thread::spawn(move || child.wait());
        Ok(())
    }

    /// Starts an SSH daemon at both hosts, and returns the URIs under which a tool on this machine
    /// reaches them so.
    ///
    /// # Errors
    /// OpenSSH is missing.
    pub fn start_ssh(&self) -> anyhow::Result<[String; 2]> {
        let folder = self.folder.join("ssh");
        closed_folder(&folder)?;
        let path = |name: &str| folder.join(name).display().to_string();
        for key in ["host", "user"] {
            if !folder.join(key).exists() {
                Reach::Here.run(&[
                    "ssh-keygen",
                    "-q",
                    "-t",
                    "ed25519",
                    "-N",
                    "",
                    "-f",
                    &path(key),
                ])?;
            }
        }
        for side in Side::BOTH {
            let config = format!(
                "ListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile {}\nStrictModes no\nUsePAM no\n\
                 PermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n",
                side.address(),
                path("host"),
                path("user.pub"),
                path(&format!("sshd-{side}.pid")),
            );
            let file = path(&format!("sshd-{side}.conf"));
            fs::write(&file, config)?;
            let daemon = Reach::Here
                .which("/usr/sbin/sshd")
                .context("sshd is missing: `apt-get install openssh-server`")?;
            if self.sshd_pids(side).is_empty() {
                self.reach(side).run(&[&daemon, "-f", &file])?;
            }
        }
        // The keys are the lab's own, and so is what is known of them: root's known_hosts is left
        // alone.
        let ssh = format!(
            "ssh -i {} -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR \"$@\"\n",
            path("user")
        );
        // From outside, the source's network namespace is where both are in reach.
        let from_outside = format!("nsenter --target {} --net -- {ssh}", self.anchor(Side::Source));
        for (name, command) in [("ssh", from_outside), ("ssh-from-source", ssh)] {
            fs::write(folder.join(name), format!("#!/bin/sh\nexec {command}"))?;
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o700))?;
        }
        Ok(Side::BOTH.map(|side| {
            format!("qemu+ssh://root@{}/system?command={}", side.address(), path("ssh"))
        }))
    }

    /// The destination's URI over SSH, as the source's libvirtd reaches it.
    ///
    /// # Errors
    /// OpenSSH is missing.
    pub fn ssh_from_source(&self) -> anyhow::Result<String> {
        let wrapper = self.folder.join("ssh/ssh-from-source");
        if !wrapper.exists() {
            self.start_ssh()?;
        }
        let address = Side::Destination.address();
        Ok(format!("qemu+ssh://root@{address}/system?command={}", wrapper.display()))
    }

    /// Takes it down.
    ///
    /// # Errors
    /// See [`down`].
    pub fn down(self) -> anyhow::Result<bool> {
        down(&self.name)
    }

    fn host(&self, side: Side) -> PathBuf {
        self.folder.join(side.letter().to_string())
    }

    fn anchor(&self, side: Side) -> i32 {
        self.written.anchors[side.index()]
    }

    fn anchor_stands(&self, side: Side) -> bool {
        self.lives_here(side, self.anchor(side))
    }

    /// Whether a process lives in the host's network: a number may have passed to another process
    /// since.
    fn lives_here(&self, side: Side, pid: i32) -> bool {
        let theirs = fs::metadata(format!("/proc/{pid}/ns/net"));
        let ours = fs::metadata(self.network_namespace(side));
        matches!((theirs, ours), (Ok(a), Ok(b)) if a.ino() == b.ino())
    }

    fn write(&self) -> anyhow::Result<()> {
        let text = toml::to_string(&self.written)?;
        fs::write(self.folder.join("lab.toml"), text)?;
        Ok(())
    }
}

/// What makes `tc` share a link among migrations: a class for each of libvirt's ports, and one for
/// all else, which lend each other what they do not use.
fn fair(capacity: BitRate, burst: &str) -> String {
    let (all, each) = (capacity.0, capacity.0 / u64::from(FAIR_FLOWS + 1));
    let queue = capacity.0 / 8 / 20;
    let mut script = format!(
        "qdisc add dev {DEVICE} root handle 10: htb default 100\n\
         class add dev {DEVICE} parent 10: classid 10:1 htb rate {all}bit burst {burst} cburst {burst} quantum 60000\n"
    );
    for flow in 0..=FAIR_FLOWS {
        let class = 100 + flow;
        script += &format!(
            "class add dev {DEVICE} parent 10:1 classid 10:{class} htb rate {each}bit ceil {all}bit burst 16k cburst 16k quantum 6056\n\
             qdisc add dev {DEVICE} parent 10:{class} bfifo limit {queue}\n"
        );
        if flow > 0 {
            let port = FIRST_PORT + flow - 1;
            script += &format!(
                "filter add dev {DEVICE} parent 10: protocol ip prio 1 u32 match ip dport {port} 0xffff flowid 10:{class}\n"
            );
        }
    }
    script
}

fn namespace(name: &str, side: Side) -> String {
    format!("migcal-{name}-{}", side.letter())
}

/// How commands get to the host that a libvirt URI names: also where its socket is a lab's.
///
/// # Errors
/// As of [`Reach::from_uri`]; or the lab is not up.
pub fn reach(uri: &str) -> anyhow::Result<Reach> {
    let place = Place::parse(uri)?;
    let socket = place.parameter("socket").filter(|_| place.host.is_none()).map(Path::new);
    let Some(inside) = socket.and_then(|socket| socket.strip_prefix(ROOT).ok()) else {
        return Reach::from_uri(uri);
    };
    let words: Vec<&str> = inside.iter().filter_map(|word| word.to_str()).collect();
    let [name, letter, ..] = words[..] else { return Reach::from_uri(uri) };
    let lab = Lab::named(name)?;
    let side = Side::BOTH.into_iter().find(|side| letter == side.letter().to_string());
    Ok(lab.reach(side.with_context(|| format!("a lab has no host `{letter}`"))?))
}

/// Takes down labs whose makers were killed, and returns their names: they were to go with them.
///
/// # Errors
/// One of them does not go.
pub fn sweep() -> anyhow::Result<Vec<String>> {
    let mut gone = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        return Ok(gone);
    }
    for name in Lab::names()? {
        let folder = Path::new(ROOT).join(&name);
        let maker = fs::read_to_string(folder.join(MAKER))
            .ok()
            .and_then(|text| text.trim().parse::<i32>().ok());
        let Some(maker) = maker else { continue };
        let held = folder.exists() && lock(&folder, &name).is_err();
        if !held && !comm(maker).is_some_and(|comm| comm.starts_with("migcal")) {
            down(&name)?;
            gone.push(name);
        }
    }
    Ok(gone)
}

fn lock(folder: &Path, name: &str) -> anyhow::Result<InUse> {
    match Flock::lock(closed_file(&folder.join("in-use"))?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(InUse(lock)),
        Err(_) => {
            bail!(
                "the lab `{name}` is in use by another migcal; wait for it, or bring up one of another --name"
            )
        }
    }
}

/// A folder that its owner alone can enter.
fn closed_folder(place: &Path) -> anyhow::Result<()> {
    let failed = || format!("{}: cannot be created", place.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(place).with_context(failed)?;
    // One that an earlier version left may be open.
    fs::set_permissions(place, fs::Permissions::from_mode(0o700)).with_context(failed)
}

/// A file that its owner alone can read.
fn closed_file(place: &Path) -> anyhow::Result<fs::File> {
    let file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(place);
    file.with_context(|| format!("{}: cannot be written", place.display()))
}

fn check_root() -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("the lab makes network namespaces, which takes root; run it with sudo");
    }
    Ok(())
}

/// Folders that a mount needs to be there. Those that were not are noted, and go with the last lab.
fn make_mount_points() -> anyhow::Result<()> {
    let missing: Vec<&str> = OWN_FOLDERS
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| !Path::new(path).exists())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut note = fs::read_to_string(made_note()).unwrap_or_default();
    for path in missing {
        note.push_str(path);
        note.push('\n');
        fs::write(made_note(), &note)?;
        fs::create_dir_all(path)?;
    }
    Ok(())
}

fn made_note() -> PathBuf {
    Path::new(ROOT).join(".made-folders")
}

/// Starts the process that holds a host's namespaces, with the host's own folders in their places,
/// and returns its id.
fn start_anchor(name: &str, folder: &Path, side: Side) -> anyhow::Result<i32> {
    let host = folder.join(side.letter().to_string());
    for (_, own) in OWN_FOLDERS {
        closed_folder(&host.join(own))?;
    }
    // A kernel takes names of hosts up to 64 characters.
    let host_name = format!("{}-{}", &name[name.len().saturating_sub(60)..], side.letter());
    let hosts = Side::BOTH
        .map(|s| format!("{} {}{}\n", s.address(), &host_name[..host_name.len() - 1], s.letter()));
    let hosts = hosts.concat();
    fs::write(host.join("hosts"), format!("127.0.0.1 localhost\n{hosts}"))?;
    // Debian makes this user with its service package, which a lab does not need; libvirtd does not
    // start without.
    for (file, line) in [
        ("passwd", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"),
        ("group", "libvirt-qemu:x:64055:\n"),
    ] {
        let mut text = fs::read_to_string(Path::new("/etc").join(file))?;
        if !text.lines().any(|known| known.starts_with("libvirt-qemu:")) {
            text.push_str(line);
        }
        fs::write(host.join(file), text)?;
    }
    // libvirt compares the two hosts' ids and refuses to migrate to the same one.
    let id = uuid_of(&format!("host {name}-{}", side.letter()));
    fs::write(
        host.join("etc/libvirtd.conf"),
        format!(
            "listen_tls = 0\nlisten_tcp = 1\nlisten_addr = \"{}\"\nauth_tcp = \"none\"\nauth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n\
             unix_sock_rw_perms = \"0700\"\nunix_sock_ro_perms = \"0700\"\nunix_sock_admin_perms = \"0700\"\n\
             host_uuid = \"{id}\"\nlog_outputs = \"3:stderr\"\nunix_sock_dir = \"/run/libvirt\"\n",
            side.address()
        ),
    )?;
    fs::write(
        host.join("etc/qemu.conf"),
        "user = \"root\"\ngroup = \"root\"\nremember_owner = 0\nsecurity_driver = \"none\"\ncgroup_controllers = []\nnamespaces = []\n\
         stdio_handler = \"file\"\n",
    )?;
    let mut script = String::from("printf %s \"$1\" > /proc/sys/kernel/hostname\n");
    for file in ["hosts", "passwd", "group"] {
        script.push_str(&format!("mount --bind \"$0/{file}\" /etc/{file}\n"));
    }
    for (path, own) in OWN_FOLDERS {
        script.push_str(&format!("mount --bind \"$0/{own}\" {path}\n"));
    }
    script.push_str("echo $$ > \"$0/anchor\"\nexec sleep infinity\n");
    let place = host.display().to_string();
    let ns = namespace(name, side);
    let mut child = Command::new("ip")
        .args([
            "netns",
            "exec",
            &ns,
            "unshare",
            "--mount",
            "--uts",
            "--propagation",
            "private",
            "--",
        ])
        .args(["sh", "-euc", &script, &place, &host_name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("`ip` did not start; install it with `apt-get install iproute2`")?;
    let started = Instant::now();
    loop {
        let written =
            fs::read_to_string(host.join("anchor")).ok().and_then(|t| t.trim().parse().ok());
        if let Some(pid) = written {
            std::thread::spawn(move || child.wait());
            return Ok(pid);
        }
        if child.try_wait()?.is_some() || started.elapsed() > PATIENCE {
            let output = child.wait_with_output()?;
            bail!(
                "the namespaces of the {side} could not be made: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A stable id made of a name.
pub fn uuid_of(name: &str) -> String {
    // FNV-1a, twice: it only has to differ.
    let hash = |salt: u64| {
        name.bytes().fold(0xcbf2_9ce4_8422_2325 ^ salt, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        })
    };
    let (high, low) = (hash(0), hash(0x5bd1));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

fn comm(pid: i32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}

fn pids_in(namespace: &str) -> Vec<i32> {
    let output = Reach::Here.run(&["ip", "netns", "pids", namespace]).unwrap_or_default();
    output.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Helpers that work at the hosts of a lab, or of all labs and at this machine: processes of this
/// project's Python, but for those that take exit statuses.
pub fn helper_pids(lab: Option<&Lab>) -> Vec<i32> {
    let pids: Vec<i32> = match lab {
        Some(lab) => {
            Side::BOTH.iter().flat_map(|side| pids_in(&namespace(&lab.name, *side))).collect()
        }
        None => fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect(),
    };
    let is_helper = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        words.any(|word| word == crate::helper::PROGRAM.as_bytes())
            && words.next().is_some_and(|what| what != b"reap")
    };
    pids.into_iter().filter(is_helper).collect()
}

/// Takes down all that a lab of this name left, whole or half-made. Returns whether there was
/// anything.
///
/// # Errors
/// A process does not end, or a namespace or folder cannot be removed.
pub fn down(name: &str) -> anyhow::Result<bool> {
    check_name("--name", name)?;
    check_root()?;
    let folder = Path::new(ROOT).join(name);
    let mut found = folder.exists();
    for side in Side::BOTH {
        let ns = namespace(name, side);
        if !Path::new("/run/netns").join(&ns).exists() {
            continue;
        }
        found = true;
        end_all(&ns)?;
        Reach::Here.run(&["ip", "netns", "delete", &ns])?;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("{}: cannot be removed", folder.display()))?;
    }
    if Lab::names()?.is_empty() {
        // Only empty ones go: whatever has moved into them since is not the lab's.
        for path in fs::read_to_string(made_note()).unwrap_or_default().lines().rev() {
            let _ = fs::remove_dir(path);
        }
        let _ = fs::remove_file(made_note());
        let _ = fs::remove_dir(ROOT);
    }
    Ok(found)
}

/// Ends every process in a network namespace: first by asking, then by force.
fn end_all(namespace: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let pids = pids_in(namespace);
        if pids.is_empty() {
            return Ok(());
        }
        let signal = if started.elapsed() < Duration::from_secs(2) {
            Signal::SIGTERM
        } else {
            Signal::SIGKILL
        };
        for pid in &pids {
            let _ = kill(Pid::from_raw(*pid), signal);
        }
        if started.elapsed() > PATIENCE {
            bail!("processes {pids:?} of the lab do not end");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_shaper_makes_is_refused() {
        assert!(Link::default().check().is_ok());
        let slow = Link::of(BitRate(1));
        let fast = Link::of(BitRate(200_000_000_000));
        let late = Link { delay: SimTime::from_secs(11), ..Link::default() };
        let both = Link { delay: SimTime::from_millis(1), fair: true, ..Link::default() };
        let small = Link { send_buffer: Bytes(1), ..Link::default() };
        for refused in [slow, fast, late, both, small] {
            assert!(refused.check().is_err(), "{refused:?}");
        }
    }

    #[test]
    fn ids_are_well_formed_and_differ() {
        let (a, b) = (uuid_of("host x-a"), uuid_of("host x-b"));
        assert_ne!(a, b);
        let lengths: Vec<usize> = a.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
