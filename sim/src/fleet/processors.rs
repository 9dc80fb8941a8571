//! The hosts' processors: migration threads and guests that want more than there is get it in
//! proportion.

use migsim_models::units::SimTime;

use super::cluster::Cluster;
use super::meter::Meter;
use crate::engine::{FlowMemory, RateChange, World};

/// All hosts' processors.
pub(super) struct Processors {
    cores: Vec<f64>,
    /// By host: how many are wanted, and since when.
    wanted: Vec<(f64, SimTime)>,
    /// By host: processor seconds.
    pub(super) meter: Meter,
    /// By migration: its hosts, how many processors it keeps busy at each, and what the guest has
    /// lost by now.
    migrations: Vec<Option<Busy>>,
    /// By host: the migrations that leave it or arrive there.
    at: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Busy {
    hosts: [usize; 2],
    /// Bytes per second that a whole processor sends, or receives.
    full: f64,
    most: f64,
    /// Processors that it would keep busy if it got them.
    threads: f64,
    /// What of its wish the migration gets, and its guest.
    cpu: f64,
    guest: f64,
    since: SimTime,
    lost_s: f64,
}

impl Processors {
    /// Guests alone, nothing moving.
    pub(super) fn new(cluster: &Cluster) -> Processors {
        let mut wanted = vec![(0.0, SimTime::ZERO); cluster.hosts.len()];
        for vm in &cluster.vms {
            wanted[vm.host].0 += vm.cpu;
        }
        Processors {
            cores: cluster.hosts.iter().map(|host| host.cores).collect(),
            meter: Meter::new(wanted.len()),
            wanted,
            migrations: Vec::new(),
            at: vec![Vec::new(); cluster.hosts.len()],
        }
    }

    /// What of its wish everyone on a host gets.
    fn share(&self, host: usize) -> f64 {
        let wanted = self.wanted[host].0;
        if wanted > self.cores[host] { self.cores[host] / wanted } else { 1.0 }
    }

    /// A host is wanted for so much more, or less, from now on. Returns whether it was or is short.
    fn want(&mut self, host: usize, more: f64, now: SimTime) -> bool {
        let (before, since) = self.wanted[host];
        self.meter.add(host, before.min(self.cores[host]), since, now);
        self.wanted[host] = (before + more, now);
        before.max(before + more) > self.cores[host]
    }

    /// All is over: what was wanted until now is counted.
    pub(super) fn close(&mut self, now: SimTime) {
        for host in 0..self.cores.len() {
            self.want(host, 0.0, now);
        }
    }

    /// A migration begins; it keeps a processor busy for every `full` bytes a second on the wire,
    /// and up to `most` of them.
    pub(super) fn begin(
        &mut self,
        migration: usize,
        hosts: [usize; 2],
        (full, most): (f64, f64),
        world: &mut World<FlowMemory>,
    ) {
        let since = world.now();
        self.migrations.push(Some(Busy {
            hosts,
            full,
            most,
            threads: 0.0,
            cpu: 1.0,
            guest: 1.0,
            since,
            lost_s: 0.0,
        }));
        for host in hosts {
            self.at[host].push(migration);
        }
        self.tell(hosts, world);
    }

    /// A migration sends faster or slower, and takes so much more or less of its hosts' processors.
    pub(super) fn change(&mut self, change: RateChange, world: &mut World<FlowMemory>) {
        let Some(Some(busy)) = self.migrations.get_mut(change.migration) else { return };
        // One that sends as fast as it can with what it gets would do more with more.
        let held_back = change.rate >= busy.full * busy.most * busy.cpu * (1.0 - 1e-9);
        let threads = if held_back { busy.most } else { change.rate / busy.full };
        let more = threads - std::mem::replace(&mut busy.threads, threads);
        let hosts = busy.hosts;
        let mut short = false;
        for host in hosts {
            short |= self.want(host, more, change.at);
        }
        if short {
            self.tell(hosts, world);
        }
    }

    /// Returns what the guest has lost by short processors, in seconds of its service.
    pub(super) fn end(
        &mut self,
        migration: usize,
        cpu: f64,
        moved: bool,
        world: &mut World<FlowMemory>,
    ) -> f64 {
        let Some(busy) = self.migrations[migration].take() else { return 0.0 };
        let [from, to] = busy.hosts;
        for host in busy.hosts {
            self.at[host].retain(|other| *other != migration);
            self.want(host, -busy.threads, world.now());
        }
        if moved {
            self.want(from, -cpu, world.now());
            self.want(to, cpu, world.now());
        }
        self.tell(busy.hosts, world);
        busy.lost_s + (1.0 - busy.guest) * (world.now() - busy.since).as_secs_f64()
    }

    /// Tells every migration at these hosts what is left for it, where that has changed.
    fn tell(&mut self, hosts: [usize; 2], world: &mut World<FlowMemory>) {
        for host in hosts {
            for place in 0..self.at[host].len() {
                let migration = self.at[host][place];
                let Some(busy) = self.migrations[migration] else { continue };
                let [from, to] = busy.hosts.map(|host| self.share(host));
                let (guest, cpu) =
                    (if world.is_over_there(migration) { to } else { from }, from.min(to));
                if (guest, cpu) == (busy.guest, busy.cpu) {
                    continue;
                }
                let now = world.now();
                self.migrations[migration] = Some(Busy {
                    guest,
                    cpu,
                    since: now,
                    lost_s: busy.lost_s + (1.0 - busy.guest) * (now - busy.since).as_secs_f64(),
                    ..busy
                });
                world.set_cpu(migration, cpu, guest);
            }
        }
    }
}
