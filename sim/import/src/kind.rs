//! What a file is, told by its first lines.

use serde_json::Value;

use crate::source::{Source, no_json};
use crate::table::header;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// RVTools' tab of guests.
    RvInfo,
    /// Its tab of hosts.
    RvHost,
    /// Its tab of guests' memory.
    RvMemory,
    /// Another of its tabs, of which nothing is taken.
    RvOther,
    /// `virsh list`.
    VirshList,
    /// `virsh dominfo`.
    VirshDominfo,
    /// `virsh dumpxml`.
    VirshDumpxml,
    /// `virsh nodeinfo`.
    VirshNodeinfo,
    /// `virsh domstats`.
    VirshDomstats,
    /// `openstack server list`.
    OpenStackServers,
    /// `openstack hypervisor list` or `show`.
    OpenStackHypervisors,
    /// `openstack flavor list`.
    OpenStackFlavors,
    /// `kubectl get vmi,nodes -o json`.
    KubeVirt,
    /// `pvesh get /cluster/resources`.
    ProxmoxResources,
    /// A guest's file under /etc/pve.
    ProxmoxConf,
    /// A sheet of guests of one's own, by the names of its columns.
    Sheet,
    /// `virsh domjobinfo`.
    DomJobInfo,
    /// QMP's `query-migrate`.
    QueryMigrate,
    /// HMP's `info migrate`.
    InfoMigrate,
    /// The log of a task of Proxmox.
    ProxmoxTask,
    /// `openstack server migration show`, or what Nova's API answers.
    NovaMigration,
    /// nova-compute's log.
    NovaLog,
    /// virt-launcher's log.
    KubeVirtLog,
    /// A VirtualMachineInstanceMigration of KubeVirt.
    KubeVirtMigration,
    /// migsim's scenario of one guest or a few.
    Scenario,
    /// migsim's fleet.
    Fleet,
    /// migsim's run records.
    Records,
}

/// What reads a kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `migsim inventory import`.
    Inventory,
    /// `migsim records import`.
    Records,
    /// It is migsim's own, or of no use: the command that takes it.
    Other(&'static str),
}

impl Kind {
    /// What people call it.
    pub fn what(self) -> &'static str {
        self.told().0
    }

    /// What reads it.
    pub fn used_by(self) -> Use {
        self.told().1
    }

    /// What it is, and the command that takes it.
    pub fn belongs(self) -> String {
        let takes = match self.used_by() {
            Use::Inventory => "`migsim inventory import` reads it",
            Use::Records => "`migsim records import` reads it",
            Use::Other(what) => what,
        };
        format!("is {}; {takes}", self.what())
    }

    fn told(self) -> (&'static str, Use) {
        use Use::{Inventory, Other, Records};
        match self {
            Kind::RvInfo => ("a vInfo tab of RVTools", Inventory),
            Kind::RvHost => ("a vHost tab of RVTools", Inventory),
            Kind::RvMemory => ("a vMemory tab of RVTools", Inventory),
            Kind::RvOther => (
                "a tab of RVTools of which nothing is needed",
                Other("`migsim inventory import` takes vInfo, vHost and vMemory"),
            ),
            Kind::VirshList => ("the output of `virsh list`", Inventory),
            Kind::VirshDominfo => ("the output of `virsh dominfo`", Inventory),
            Kind::VirshDumpxml => ("a domain of `virsh dumpxml`", Inventory),
            Kind::VirshDomstats => ("the output of `virsh domstats`", Inventory),
            Kind::VirshNodeinfo => ("the output of `virsh nodeinfo`", Inventory),
            Kind::OpenStackServers => ("the output of `openstack server list`", Inventory),
            Kind::OpenStackHypervisors => ("the output of `openstack hypervisor list`", Inventory),
            Kind::OpenStackFlavors => ("the output of `openstack flavor list`", Inventory),
            Kind::KubeVirt => ("guests or nodes of KubeVirt", Inventory),
            Kind::ProxmoxResources => ("Proxmox's cluster resources", Inventory),
            Kind::ProxmoxConf => ("a guest's configuration of Proxmox", Inventory),
            Kind::Sheet => ("a sheet of guests", Inventory),
            Kind::DomJobInfo => ("the output of `virsh domjobinfo`", Records),
            Kind::QueryMigrate => ("an answer to QMP's query-migrate", Records),
            Kind::InfoMigrate => ("the output of HMP's info migrate", Records),
            Kind::ProxmoxTask => ("a migration task's log of Proxmox", Records),
            Kind::NovaMigration => ("a migration of OpenStack", Records),
            Kind::NovaLog => ("a log of nova-compute", Records),
            Kind::KubeVirtLog => ("a log of virt-launcher", Records),
            Kind::KubeVirtMigration => ("a migration of KubeVirt", Records),
            Kind::Scenario => ("a scenario", Other("`migsim predict FILE` answers it")),
            Kind::Fleet => ("a fleet", Other("`migsim fleet FILE` moves it")),
            Kind::Records => {
                ("a file of run records", Other("`migsim predict --records FILE` predicts them"))
            }
        }
    }
}

/// What a file is; `None`: nothing that is known here.
pub fn recognise(source: &Source) -> Option<Kind> {
    let text = source.text.trim_start();
    match text.as_bytes().first()? {
        b'<' => text.contains("<domain").then_some(Kind::VirshDumpxml),
        b'{' | b'[' if !text.starts_with("[[") => of_json(text).or_else(|| of_lines(text)),
        _ => of_lines(text).or_else(|| of_sheet(text)),
    }
}

const KUBECTL: &str = "is a table of kubectl; give what `-o json` prints";
const YAML: &str = "is YAML; give what `kubectl ... -o json` prints";
const DRAWN: &str = "is a table for people; give what `--output-format json` prints";
/// How outputs begin that are not read, and what to give for them.
const LIKE: [(&str, &str); 8] = [
    ("apiVersion:", YAML),
    ("- apiVersion:", YAML),
    ("+--", "is a table for people; give what `-f json` prints"),
    ("\u{250c}", DRAWN),
    ("\u{2554}", DRAWN),
    (
        "VMID NAME",
        "is the output of `qm list`; give what `pvesh get /cluster/resources --output-format json` prints",
    ),
    ("NAME AGE", KUBECTL),
    ("NAMESPACE NAME", KUBECTL),
];
/// Words of virsh in other languages.
const TRANSLATED: [&str; 5] =
    ["Job-Typ", "Type de t\u{e2}che", "Prozessor(en)", "Verwendeter Speicher", "Max. Speicher"];

/// Why a file that is not known is not, where that can be said.
pub(crate) fn broken(source: &Source) -> Option<String> {
    let text = source.text.trim_start();
    let first = text.lines().next().unwrap_or("");
    let begins: Vec<&str> = first.split_whitespace().take(2).collect();
    let begins = begins.join(" ");
    if let Some((_, hint)) = LIKE.iter().find(|(start, _)| begins.starts_with(start)) {
        return Some((*hint).to_owned());
    }
    if TRANSLATED.iter().any(|word| text.contains(word)) {
        return Some(
            "is virsh in another language; give what it prints with `LC_ALL=C virsh ...`"
                .to_owned(),
        );
    }
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let error = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.err()?;
    Some(no_json(&error))
}

/// Of a JSON, its first value.
fn of_json(text: &str) -> Option<Kind> {
    let value = serde_json::Deserializer::from_str(text).into_iter::<Value>().next()?.ok()?;
    let inner = value.get("data").filter(|data| data.is_array()).unwrap_or(&value);
    let one = inner.as_array().map_or(Some(inner), |list| list.first())?;
    let has = |keys: &[&str]| keys.iter().all(|key| one.get(key).is_some());
    if has(&["n", "t"]) {
        return Some(Kind::ProxmoxTask);
    }
    if has(&["type", "id"]) && one.get("status").or(one.get("node")).or(one.get("pool")).is_some() {
        return Some(Kind::ProxmoxResources);
    }
    let is_migration = |of: &Value| of.get("ram").is_some() || of.get("status").is_some();
    if has(&["QMP"])
        || has(&["return"])
        || has(&["ram"])
        || (has(&["total-time"]) && is_migration(one))
    {
        return Some(Kind::QueryMigrate);
    }
    if has(&["memory_total_bytes"]) || has(&["Memory Total Bytes"]) || has(&["migrations"]) {
        return Some(Kind::NovaMigration);
    }
    if has(&["Source Compute", "Type"]) {
        return Some(Kind::NovaMigration);
    }
    if has(&["Hypervisor Hostname"]) || has(&["hypervisor_hostname"]) {
        return Some(Kind::OpenStackHypervisors);
    }
    if has(&["RAM", "VCPUs"]) {
        return Some(Kind::OpenStackFlavors);
    }
    if has(&["ID", "Name", "Status"]) {
        return Some(Kind::OpenStackServers);
    }
    let kind = one.get("kind").and_then(Value::as_str)?;
    let first = one.get("items").and_then(|items| items.get(0));
    let of_item = first.and_then(|item| item.get("kind")).and_then(Value::as_str).unwrap_or(kind);
    match of_item {
        "VirtualMachineInstanceMigration" | "VirtualMachineInstanceMigrationList" => {
            Some(Kind::KubeVirtMigration)
        }
        _ if kind.ends_with("List") || ["VirtualMachineInstance", "Node"].contains(&kind) => {
            Some(Kind::KubeVirt)
        }
        _ => None,
    }
}

/// Of lines of text.
fn of_lines(text: &str) -> Option<Kind> {
    let starts = |word: &str| text.lines().any(|line| line.trim_start().starts_with(word));
    let holds = |word: &str| text.contains(word);
    if starts("Job type:") {
        return Some(Kind::DomJobInfo);
    }
    let words = ["active", "completed", "failed", "cancelled", "setup", "postcopy", "device"];
    let status = text.lines().find_map(|line| line.trim_start().strip_prefix("Status:"));
    let is_status = |value: &str| words.iter().any(|word| value.trim_start().starts_with(word));
    if starts("Migration status:") || starts("globals:") || status.is_some_and(is_status) {
        return Some(Kind::InfoMigrate);
    }
    if holds("\"return\"") && holds("\"status\"") {
        return Some(Kind::QueryMigrate);
    }
    if holds("Migration running for") {
        return Some(Kind::NovaLog);
    }
    if holds("Migration info for") || holds("\"component\":\"virt-launcher\"") {
        return Some(Kind::KubeVirtLog);
    }
    if holds("starting migration of VM")
        || holds("migration active, transferred")
        || holds("ERROR: migration aborted")
    {
        return Some(Kind::ProxmoxTask);
    }
    // In a session the prompt stands before it.
    let is_list = text.lines().zip(text.lines().skip(1)).any(|(line, next)| {
        line.split_whitespace().take(3).eq(["Id", "Name", "State"])
            && next.trim_start().starts_with("---")
    });
    if is_list {
        return Some(Kind::VirshList);
    }
    if starts("Max memory:") && starts("CPU(s):") {
        return Some(Kind::VirshDominfo);
    }
    if starts("Domain: '") && (holds("dirtyrate.") || holds("balloon.") || holds("state.state")) {
        return Some(Kind::VirshDomstats);
    }
    if starts("CPU model:") && starts("Memory size:") {
        return Some(Kind::VirshNodeinfo);
    }
    let is_table = |name: &str| starts(&format!("[[{name}]]"));
    if is_table("host") || is_table("vm") || starts("[moves]") || is_table("rack") {
        return Some(Kind::Fleet);
    }
    if is_table("guest") {
        return Some(Kind::Scenario);
    }
    let setting = |line: &str| {
        let key = line.split(": ").next().filter(|_| line.contains(": "));
        key.is_some_and(|key| {
            let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
            ["memory", "cores", "sockets", "ostype", "scsihw", "net", "scsi", "hostpci", "vmgenid"]
                .contains(&name)
        })
    };
    (text.lines().filter(|line| setting(line)).count() >= 2 || starts("template: 1"))
        .then_some(Kind::ProxmoxConf)
}

/// Of the columns of a sheet.
fn of_sheet(text: &str) -> Option<Kind> {
    let names = header(text);
    let has = |wanted: &[&str]| wanted.iter().all(|name| names.iter().any(|n| n == name));
    let is_info = |names: &[&str]| names.iter().filter(|name| has(&[name])).count() >= 2;
    if has(&["vm", "powerstate"])
        && is_info(&["cpus", "memory", "host", "guest state", "dns name"])
        && !has(&["sockets"])
    {
        return Some(Kind::RvInfo);
    }
    if has(&["host", "# memory"]) {
        return Some(Kind::RvHost);
    }
    if has(&["vm", "consumed"]) && (has(&["size mib"]) || has(&["size mb"])) {
        return Some(Kind::RvMemory);
    }
    if has(&["vi sdk server"]) || has(&["vi sdk uuid"]) || has(&["vm", "powerstate"]) {
        return Some(Kind::RvOther);
    }
    if has(&["hypervisor hostname"]) {
        return Some(Kind::OpenStackHypervisors);
    }
    if has(&["ram", "vcpus", "id"]) {
        return Some(Kind::OpenStackFlavors);
    }
    if has(&["id", "name", "status"]) && (has(&["flavor"]) || has(&["flavor name"])) {
        return Some(Kind::OpenStackServers);
    }
    if has(&["source compute", "type"]) {
        return Some(Kind::NovaMigration);
    }
    if has(&["memory_mib", "link_mbit"]) {
        return Some(Kind::Records);
    }
    crate::site::is_sheet(&names).then_some(Kind::Sheet)
}
