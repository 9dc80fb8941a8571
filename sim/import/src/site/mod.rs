//! Guests and hosts gathered from files, and what is not in them.

mod kubevirt;
mod openstack;
mod plain;
mod proxmox;
mod rvtools;
mod virsh;
mod write;

use std::collections::BTreeMap;

use migsim::input::{InputError, Mistakes, quoted, shown};
use migsim_models::text::counted;
use migsim_models::units::{BitRate, Bytes};

use crate::kind::{Kind, Use, broken, recognise};
use crate::source::Source;

pub(crate) use plain::is_sheet;
pub use write::FleetFiles;

/// A host as far as files tell of it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Host {
    name: String,
    memory: Option<Bytes>,
    cores: Option<f64>,
    nic: Option<BitRate>,
    rack: Option<String>,
    /// Why nothing may move there, where that is so.
    out: Option<String>,
}

/// A guest as far as files tell of it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Guest {
    name: String,
    /// What another file may call it by.
    id: Option<String>,
    host: Option<String>,
    memory: Option<Bytes>,
    touched: Option<Bytes>,
    vcpus: Option<u32>,
    /// Processors' worth of work.
    cpu: Option<f64>,
    workload: Option<String>,
    /// Why it stays, where it does.
    stays: Option<String>,
    apart: Option<String>,
    /// How much it is, by name.
    flavor: Option<String>,
    /// Why it is not moved live at all: switched off, a template.
    off: Option<String>,
    /// It stands in a sheet that may list more than the guests of this site.
    is_beside: bool,
    place: String,
}

/// What is not in files and was given beside them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// What reports call the fleet.
    pub name: String,
    /// Each host's network card, where its file does not say.
    pub nic: Option<BitRate>,
    /// Each host's memory, where its file does not say.
    pub host_memory: Option<Bytes>,
    /// Each host's cores, where its file does not say.
    pub host_cores: Option<f64>,
    /// The host of files that do not say where they are from.
    pub on: Option<String>,
    /// Hosts that are emptied; `a*`: all whose name begins so.
    pub off: Vec<String>,
    /// Hosts that take the guests in; none: all others.
    pub to: Vec<String>,
    /// Guests that stay.
    pub except: Vec<String>,
    /// What guests write of which no file says it; `None`: what an idle Linux does.
    pub workload: Option<String>,
}

/// Guests and hosts from any number of files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Site {
    hosts: Vec<Host>,
    guests: Vec<Guest>,
    /// Memory and vCPUs by the name of a size.
    flavors: BTreeMap<String, (Bytes, u32)>,
    /// What was read, and what was left out, in sentences.
    notes: Vec<String>,
    /// The host that files are from which do not say it.
    on: Option<String>,
    /// Guests by name and by what other files call them, which many share.
    by_name: BTreeMap<String, Vec<usize>>,
    by_id: BTreeMap<String, usize>,
    /// Hosts by their names without a domain, in small letters.
    by_host: BTreeMap<String, Vec<usize>>,
}

impl Site {
    /// An empty one; `given` may name the host of files that do not say where they are from.
    pub fn new(given: &Given) -> Site {
        Site { on: given.on.clone(), ..Site::default() }
    }

    /// Adds what a file says.
    ///
    /// # Errors
    /// It is of no use here, with what it is and what takes it; or what is wrong in it.
    pub fn add(&mut self, source: &Source) -> Result<Kind, Mistakes> {
        let refused = |why: String| Mistakes::from(InputError::new(&source.place, why));
        let Some(kind) = recognise(source) else {
            return Err(refused(broken(source).unwrap_or_else(|| NOT_KNOWN.to_owned())));
        };
        match kind.used_by() {
            Use::Inventory => {}
            // Who exports one tab exports all.
            Use::Other(_) if kind == Kind::RvOther => {
                self.notes.push(format!("{} is {}: left out", source.place, kind.what()));
                return Ok(kind);
            }
            Use::Records | Use::Other(_) => return Err(refused(kind.belongs())),
        }
        let before = (self.guests.len(), self.hosts.len());
        match kind {
            Kind::RvInfo | Kind::RvHost | Kind::RvMemory => rvtools::read(self, source, kind)?,
            Kind::VirshList => {
                virsh::list(self, source)?;
                // A session may have more.
                if source.text.contains("Max memory:") {
                    virsh::dominfo(self, source)?;
                }
            }
            Kind::VirshDominfo => virsh::dominfo(self, source)?,
            Kind::VirshDumpxml => virsh::dumpxml(self, source)?,
            Kind::VirshDomstats => virsh::domstats(self, source)?,
            Kind::VirshNodeinfo => virsh::nodeinfo(self, source)?,
            Kind::OpenStackServers | Kind::OpenStackHypervisors | Kind::OpenStackFlavors => {
                openstack::read(self, source, kind)?;
            }
            Kind::KubeVirt => kubevirt::read(self, source)?,
            Kind::ProxmoxResources => proxmox::resources(self, source)?,
            Kind::ProxmoxConf => proxmox::conf(self, source)?,
            _ => plain::read(self, source)?,
        }
        let (guests, hosts) = (self.guests.len() - before.0, self.hosts.len() - before.1);
        self.notes.push(format!(
            "{} is {}: {} and {} that were not known before",
            source.place,
            kind.what(),
            counted(guests, "guest"),
            counted(hosts, "host")
        ));
        Ok(kind)
    }

    /// The host that a file is from which does not say it: the one that was given, or the name of
    /// its folder.
    fn host_of(&mut self, source: &Source) -> Option<String> {
        if self.on.is_some() {
            return self.on.clone();
        }
        let folder = source.folder()?;
        let note =
            format!("{} is taken to be from host {folder}, as its folder is called", source.place);
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        Some(folder)
    }

    /// Adds a guest, or what is new of one that is known by its name or number.
    ///
    /// # Errors
    /// Two files say different things of the same guest.
    fn guest(&mut self, new: Guest) -> Result<(), InputError> {
        let new = Guest { name: shown(&new.name), host: new.host.as_deref().map(shown), ..new };
        let by_id = new.id.as_ref().and_then(|id| self.by_id.get(id)).copied();
        // Of the same name it is the same, unless both have other names beside it.
        let named = self.by_name.get(&new.name.to_lowercase()).into_iter().flatten().copied();
        let by_name =
            named.into_iter().find(|index| self.guests[*index].id.is_none() || new.id.is_none());
        let index = by_id.or(by_name).unwrap_or(self.guests.len());
        self.by_id.extend(new.id.clone().map(|id| (id, index)));
        self.by_name.entry(new.name.to_lowercase()).or_default().push(index);
        let Some(known) = self.guests.get_mut(index) else {
            self.guests.push(new);
            return Ok(());
        };
        if let (Some(before), Some(now)) = (known.memory, new.memory)
            && before != now
            && known.off.is_none()
            && new.off.is_none()
        {
            return Err(InputError::new(
                &new.place,
                format!(
                    "guest `{}` has {now} of memory here and {before} in {}",
                    quoted(&new.name),
                    known.place
                ),
            ));
        }
        let Guest {
            name,
            id,
            host,
            memory,
            touched,
            vcpus,
            cpu,
            workload,
            stays,
            apart,
            flavor,
            off,
            is_beside,
            ..
        } = new;
        // Numbers make poor names.
        if known.id.as_deref() == Some(known.name.as_str()) {
            known.name = name;
        }
        known.id = known.id.take().or(id);
        known.host = known.host.take().or(host);
        known.memory = known.memory.or(memory);
        known.touched = known.touched.or(touched);
        known.vcpus = known.vcpus.or(vcpus);
        known.cpu = known.cpu.or(cpu);
        known.workload = known.workload.take().or(workload);
        known.stays = known.stays.take().or(stays);
        known.apart = known.apart.take().or(apart);
        known.flavor = known.flavor.take().or(flavor);
        known.off = known.off.take().or(off);
        known.is_beside &= is_beside;
        Ok(())
    }

    /// Adds a host, or what is new of one that is known.
    fn host(&mut self, new: Host) {
        let new = Host { name: shown(&new.name), ..new };
        let found = self.host_called(&new.name);
        let Some(known) = found.and_then(|index| self.hosts.get_mut(index)) else {
            self.by_host.entry(short(&new.name)).or_default().push(self.hosts.len());
            self.hosts.push(new);
            return;
        };
        // The longer name has the domain.
        if new.name.len() > known.name.len() {
            known.name = new.name;
        }
        known.memory = known.memory.or(new.memory);
        known.cores = known.cores.or(new.cores);
        known.nic = known.nic.or(new.nic);
        known.rack = known.rack.take().or(new.rack);
        known.out = known.out.take().or(new.out);
    }

    /// The number of the host that a name means.
    fn host_called(&self, name: &str) -> Option<usize> {
        let alike = self.by_host.get(&short(name)).into_iter().flatten().copied();
        alike.into_iter().find(|index| same_host(&self.hosts[*index].name, name))
    }
}

/// A host's name without its domain.
fn short(name: &str) -> String {
    name.split('.').next().unwrap_or(name).to_lowercase()
}

/// Whether two names mean one host: one may lack the domain.
fn same_host(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (a.contains('.') != b.contains('.') && short(a) == short(b))
}

const NOT_KNOWN: &str = "is none of the files that are known here: RVTools' vInfo, vHost and vMemory as CSV; virsh list, dominfo, \
     dumpxml and nodeinfo; openstack server, hypervisor and flavor list; kubectl get vmi,nodes -o json; Proxmox's \
     /cluster/resources and NNN.conf; or a sheet with a header that has a name, a host and a memory";
