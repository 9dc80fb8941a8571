//! A site as the three files of a fleet, and what had to be assumed for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use migsim::input::{InputError, Mistakes, quoted, shown};
use migsim_models::text::{counted, first_of};
use migsim_models::units::Bytes;

use super::{Given, Guest, Host, Site};

/// What a guest writes of which nothing is known.
const LITTLE: &str = "app:linux-idle";
/// So many names stand in a sentence.
const NAMED: usize = 6;

/// The files of a fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetFiles {
    /// The fleet, which names the others.
    pub fleet: String,
    /// Its hosts.
    pub hosts: String,
    /// Its guests.
    pub guests: String,
    /// What was read, left out and assumed, in sentences.
    pub notes: Vec<String>,
}

impl Site {
    /// The fleet that it is; `hosts` and `guests` are what the two tables are called.
    ///
    /// # Errors
    /// Everything that is in no file and was not given, by name.
    pub fn finish(
        mut self,
        given: &Given,
        [hosts, guests]: [&str; 2],
    ) -> Result<FleetFiles, Mistakes> {
        self.fill_in();
        let mut missing = Vec::new();
        let off = self.left_out();
        self.host_rows(given, &mut missing);
        let host_names: Vec<String> = self.hosts.iter().map(|host| host.name.clone()).collect();
        self.check_names(given, &mut missing);
        self.guest_rows(given, &mut missing);
        if self.guests.is_empty() {
            missing.push(format!("no file has a guest that runs{off}"));
        }
        if !missing.is_empty() {
            let told = |why: String| InputError::new("not in the files", why);
            return Err(Mistakes(missing.into_iter().map(told).collect()));
        }
        let host_table = self.host_table();
        let guest_table = self.guest_table(given);
        let fleet = self.fleet(given, [hosts, guests], &host_names);
        Ok(FleetFiles { fleet, hosts: host_table, guests: guest_table, notes: self.notes })
    }

    /// Takes memory from flavors, and hosts by the name that they have.
    fn fill_in(&mut self) {
        for guest in &mut self.guests {
            if let Some((memory, vcpus)) =
                guest.flavor.as_ref().and_then(|name| self.flavors.get(name))
            {
                guest.memory = guest.memory.or(Some(*memory));
                guest.vcpus = guest.vcpus.or(Some(*vcpus));
            }
        }
        for index in 0..self.guests.len() {
            let name = self.guests[index].host.clone().or_else(|| self.on.clone());
            let known = name.as_deref().and_then(|name| self.host_called(name));
            self.guests[index].host = known.map(|host| self.hosts[host].name.clone()).or(name);
        }
        // The same name on two hosts is two guests.
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for guest in &mut self.guests {
            let count = seen.entry(guest.name.clone()).or_insert(0);
            *count += 1;
            if *count > 1 {
                let id = guest.id.clone().unwrap_or_else(|| count.to_string());
                let name = format!("{} ({id})", guest.name);
                self.notes.push(format!(
                    "a second guest is called `{}`; it is written as `{name}`",
                    quoted(&guest.name)
                ));
                guest.name = name;
            }
        }
    }

    /// Leaves out what does not run; a word on it for an error.
    fn left_out(&mut self) -> String {
        let mut why: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.guests.retain(|guest| match &guest.off {
            Some(off) => {
                why.entry(off.clone()).or_default().push(guest.name.clone());
                false
            }
            None => true,
        });
        // A sheet of everything that there is may have more than these guests.
        let is_known = |guest: &Guest| !guest.is_beside;
        if self.guests.iter().any(is_known) {
            let lost =
                |guest: &Guest| guest.is_beside && (guest.memory.is_none() || guest.host.is_none());
            let names: Vec<String> = self
                .guests
                .iter()
                .filter(|guest| lost(guest))
                .map(|guest| guest.name.clone())
                .collect();
            self.guests.retain(|guest| !lost(guest));
            if !names.is_empty() {
                let (count, named) =
                    (counted(names.len(), "guest"), first_of(names.into_iter(), NAMED));
                self.notes.push(format!("left out, in no file but a sheet without their memory or host: {count}: {named}"));
            }
        }
        let count: usize = why.values().map(Vec::len).sum();
        for (why, names) in why {
            let named = first_of(names.iter().cloned(), NAMED);
            self.notes.push(format!(
                "left out, not moved live: {} ({why}): {named}",
                counted(names.len(), "guest")
            ));
        }
        if count > 0 { format!("; {count} do not") } else { String::new() }
    }

    /// Hosts that guests are on and no file tells of, and what hosts lack.
    fn host_rows(&mut self, given: &Given, missing: &mut Vec<String>) {
        let names: Vec<String> =
            self.guests.iter().filter_map(|guest| guest.host.clone()).collect();
        for name in names {
            self.host(Host { name, ..Host::default() });
        }
        self.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        let mut lacks = |what: &str, flag: &str, hosts: Vec<&Host>, files: &str| {
            if !hosts.is_empty() {
                let named = first_of(hosts.iter().map(|host| host.name.clone()), NAMED);
                missing.push(format!(
                    "{what} of {} ({named}): give {flag}{files}",
                    counted(hosts.len(), "host")
                ));
            }
        };
        let of = |lacks: fn(&Host) -> bool| {
            self.hosts.iter().filter(|host| lacks(host)).collect::<Vec<_>>()
        };
        if given.nic.is_none() {
            lacks(
                "the network card",
                "--nic, like `--nic 10GbE`",
                of(|host| host.nic.is_none()),
                "",
            );
        }
        if given.host_memory.is_none() {
            lacks(
                "the memory",
                "--host-memory, like `--host-memory 512GiB`",
                of(|host| host.memory.is_none()),
                ", or the file of hosts beside that of guests (vHost, `virsh nodeinfo`, `openstack hypervisor list --long`, nodes)",
            );
        }
        if given.host_cores.is_none() {
            lacks(
                "the cores",
                "--host-cores, like `--host-cores 64`",
                of(|host| host.cores.is_none()),
                "",
            );
        }
        let mut assumed = |what: &str, count: usize, value: String| {
            if count > 0 {
                self.notes.push(format!(
                    "given, not in the files: {what} of {} is {value}",
                    counted(count, "host")
                ));
            }
        };
        let count = |lacks: fn(&Host) -> bool| self.hosts.iter().filter(|host| lacks(host)).count();
        let (nics, memories, cores) = (
            count(|h| h.nic.is_none()),
            count(|h| h.memory.is_none()),
            count(|h| h.cores.is_none()),
        );
        if let Some(nic) = given.nic {
            assumed("the network card", nics, nic.to_string());
        }
        if let Some(memory) = given.host_memory {
            assumed("the memory", memories, memory.to_string());
        }
        if let Some(count) = given.host_cores {
            assumed("the number of cores", cores, count.to_string());
        }
        for host in &mut self.hosts {
            host.nic = host.nic.or(given.nic);
            host.memory = host.memory.or(given.host_memory);
            host.cores = host.cores.or(given.host_cores);
        }
    }

    /// Names that were given must be some.
    fn check_names(&self, given: &Given, missing: &mut Vec<String>) {
        let means = |wanted: &str, name: &str| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => wanted == name,
        };
        let hosts = || self.hosts.iter().map(|host| host.name.as_str());
        let guests = || self.guests.iter().map(|guest| guest.name.as_str());
        for (flag, what, wanted, known) in [
            ("--off", "host", &given.off, hosts().collect::<Vec<_>>()),
            ("--to", "host", &given.to, hosts().collect()),
            ("--except", "guest", &given.except, guests().collect()),
        ] {
            for name in wanted.iter().filter(|wanted| !known.iter().any(|name| means(wanted, name)))
            {
                let some = first_of(known.iter().map(|name| (*name).to_owned()), NAMED);
                missing.push(format!(
                    "{flag}: there is no {what} `{}`; there are {some}",
                    quoted(name)
                ));
            }
        }
    }

    /// What guests lack.
    fn guest_rows(&mut self, given: &Given, missing: &mut Vec<String>) {
        let named =
            |guests: &[&Guest]| first_of(guests.iter().map(|guest| guest.name.clone()), NAMED);
        let of = |lacks: fn(&Guest) -> bool| {
            self.guests.iter().filter(|guest| lacks(guest)).collect::<Vec<_>>()
        };
        let without = of(|guest| guest.memory.is_none());
        if !without.is_empty() {
            let flavor = match without.iter().any(|guest| guest.flavor.is_some()) {
                true => "`openstack flavor list -f json` has it",
                false => {
                    "`virsh dominfo` or `dumpxml` have it, or a sheet with the columns name and memory"
                }
            };
            missing.push(format!(
                "the memory of {} ({}): {flavor}",
                counted(without.len(), "guest"),
                named(&without)
            ));
        }
        let without = of(|guest| guest.host.is_none());
        if !without.is_empty() {
            missing.push(format!(
                "the host of {} ({}): give --on HOST for files of one host, or a sheet with the columns name and host",
                counted(without.len(), "guest"),
                named(&without)
            ));
        }
        let mut notes = Vec::new();
        let (vcpus, touched, workload) =
            (of(|g| g.vcpus.is_none()), of(|g| g.touched.is_none()), of(|g| g.workload.is_none()));
        if !vcpus.is_empty() {
            notes.push(format!(
                "assumed: one vCPU for {} ({}); with more, one that writes much writes more",
                counted(vcpus.len(), "guest"),
                named(&vcpus)
            ));
        }
        if !touched.is_empty() {
            notes.push(format!(
                "assumed: all of memory is touched, of {}; what is not is sent as zero pages, so that the total time may be shorter by up to that share",
                counted(touched.len(), "guest")
            ));
        }
        if !workload.is_empty() {
            let what = given.workload.as_deref().unwrap_or(LITTLE);
            notes.push(format!(
                "assumed: workload `{what}` of {}; intervals are as wide as that is unsure, and one that writes more takes longer or never arrives. A sheet with the columns name and dirty_rate (pages/s) says better",
                counted(workload.len(), "guest")
            ));
        }
        for guest in self.guests.iter().filter(|guest| guest.stays.is_some()) {
            notes.push(format!(
                "`{}` stays: {}",
                quoted(&guest.name),
                guest.stays.as_deref().unwrap_or_default()
            ));
        }
        self.notes.extend(notes);
    }

    fn host_table(&self) -> String {
        let racks = self.hosts.iter().any(|host| host.rack.is_some());
        let mut rows = csv::Writer::from_writer(Vec::new());
        let rack = |text: &str| racks.then(|| text.to_owned());
        let row = |cells: [String; 4], rack: Option<String>, note: String| {
            cells.into_iter().chain(rack).chain([note]).collect::<Vec<_>>()
        };
        let header = ["name", "memory", "cores", "nic"].map(str::to_owned);
        let mut lines = vec![row(header, rack("rack"), "note".to_owned())];
        for host in &self.hosts {
            let cells = [
                host.name.clone(),
                host.memory.unwrap_or(Bytes(0)).to_string(),
                host.cores.unwrap_or(1.0).to_string(),
                host.nic.map_or(String::new(), |nic| nic.to_string()),
            ];
            lines.push(row(
                cells,
                rack(host.rack.as_deref().unwrap_or("")),
                host.out.clone().unwrap_or_default(),
            ));
        }
        written(&mut rows, lines)
    }

    fn guest_table(&self, given: &Given) -> String {
        let mut rows = csv::Writer::from_writer(Vec::new());
        let header = [
            "name", "host", "memory", "touched", "vcpus", "cpu", "workload", "move", "apart",
            "note",
        ];
        let mut lines = vec![header.map(str::to_owned).to_vec()];
        for guest in &self.guests {
            let mut note: Vec<String> = guest.stays.clone().into_iter().collect();
            let guessed = [
                (guest.touched.is_none(), "touched"),
                (guest.vcpus.is_none(), "vcpus"),
                (guest.workload.is_none(), "workload"),
            ];
            let guessed: Vec<&str> =
                guessed.into_iter().filter(|(guessed, _)| *guessed).map(|(_, what)| what).collect();
            if !guessed.is_empty() {
                note.push(format!("assumed: {}", guessed.join(" ")));
            }
            let workload =
                guest.workload.as_deref().or(given.workload.as_deref()).unwrap_or(LITTLE);
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            lines.push(vec![
                guest.name.clone(),
                text(&guest.host),
                guest.memory.unwrap_or(Bytes(0)).to_string(),
                guest.touched.map_or(String::new(), |touched| touched.to_string()),
                guest.vcpus.map_or(String::new(), |vcpus| vcpus.to_string()),
                guest.cpu.map_or(String::new(), |cpu| format!("{cpu:.2}")),
                workload.to_owned(),
                if guest.stays.is_some() { "no" } else { "yes" }.to_owned(),
                text(&guest.apart),
                note.join("; "),
            ]);
        }
        written(&mut rows, lines)
    }

    fn fleet(&self, given: &Given, [hosts, guests]: [&str; 2], names: &[String]) -> String {
        let list = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| text_of(name)).collect();
            format!("[{}]", names.join(", "))
        };
        let mut text = String::new();
        for note in &self.notes {
            let _ = writeln!(text, "# {}", shown(note));
        }
        for (key, value) in [("name", given.name.as_str()), ("hosts", hosts), ("inventory", guests)]
        {
            let _ = writeln!(text, "{key} = {}", text_of(value));
        }
        text.push_str("\n# Between hosts only their network cards are known to bind; what racks share is an uplink:\n# [[rack]] name = \"...\" uplink = \"40Gbit/s\", and the column `rack` of the hosts.\n\n[moves]\n");
        // Nothing goes to a host that is out of use, if it can be helped.
        let out: BTreeSet<&str> = self
            .hosts
            .iter()
            .filter(|host| host.out.is_some())
            .map(|host| host.name.as_str())
            .collect();
        let is_off = |name: &String| {
            given.off.iter().any(|off| {
                off.strip_suffix('*').map_or(off == name, |start| name.starts_with(start))
            })
        };
        let rest: Vec<String> = names
            .iter()
            .filter(|name| !is_off(name) && !out.contains(name.as_str()))
            .cloned()
            .collect();
        if given.off.is_empty() {
            text.push_str("# Which hosts are emptied is not known yet.\n");
        }
        let _ = writeln!(text, "off = {}", list(&given.off));
        let to = if given.to.is_empty() && !out.is_empty() { &rest } else { &given.to };
        if !to.is_empty() {
            let _ = writeln!(text, "to = {}", list(to));
        }
        if !given.except.is_empty() {
            let _ = writeln!(text, "except = {}", list(&given.except));
        }
        text.push_str("per_host = 2\n");
        text
    }
}

/// A text as TOML has it, which takes JSON's.
fn text_of(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn written(rows: &mut csv::Writer<Vec<u8>>, lines: Vec<Vec<String>>) -> String {
    for line in lines {
        // Into memory nothing fails.
        let _ = rows.write_record(line);
    }
    let _ = rows.flush();
    String::from_utf8_lossy(rows.get_ref()).into_owned()
}
