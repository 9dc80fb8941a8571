//! The guest as libvirt sees it: its XML, its files at a host, and what it says on its serial port.

use std::path::{Path, PathBuf};

use migsim::input::InputError;
use migsim_models::text::quoted;

use crate::plan::{Engine, Kind, RunPlan};

/// The freestanding guest, built from calibrate/guest.
#[cfg(feature = "libvirt")]
pub const FREESTANDING: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.elf"));

/// Where migcal keeps files at a host. Root's own: what helpers put back is read from here.
pub const FOLDER: &str = "/var/lib/libvirt/migcal";
/// What QEMU itself makes, as its own user.
pub const QEMUS_FOLDER: &str = "/var/lib/libvirt/migcal/run";

/// Where a guest keeps its files at a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    name: String,
}

impl Files {
    /// Those of the guest of this name, which [`check_name`] takes.
    pub fn of(name: &str) -> Files {
        Files { name: name.to_owned() }
    }

    fn at(&self, folder: &str, ending: &str) -> PathBuf {
        Path::new(folder).join(format!("{}.{ending}", self.name))
    }

    /// What is booted.
    pub fn kernel(&self) -> PathBuf {
        self.at(FOLDER, "kernel")
    }

    /// The first file system, for Linux.
    pub fn initrd(&self) -> PathBuf {
        self.at(FOLDER, "initrd")
    }

    /// What the guest says.
    pub fn serial(&self) -> PathBuf {
        self.at(QEMUS_FOLDER, "serial")
    }

    /// The guest's second QMP socket.
    pub fn qmp(&self) -> PathBuf {
        self.at(QEMUS_FOLDER, "qmp")
    }

    /// The image of an offline migration.
    pub fn image(&self) -> PathBuf {
        self.at(FOLDER, "save")
    }

    /// The image while it arrives.
    pub fn part(&self) -> PathBuf {
        self.at(FOLDER, "save.part")
    }

    /// All of them, for removal.
    pub fn all(&self) -> [PathBuf; 6] {
        [self.kernel(), self.initrd(), self.serial(), self.qmp(), self.image(), self.part()]
    }
}

/// Checks a name that migcal gives to a guest or a lab: what paths, URIs and other programs take as
/// it is.
///
/// # Errors
/// It is not 1 to 64 of letters, digits, `.`, `_` and `-`, or begins with a dot.
pub fn check_name(flag: &str, name: &str) -> Result<(), InputError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fine) || name.starts_with('.') {
        let message = format!(
            "`{}` is no name for it; it takes 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`, no dot first",
            quoted(name)
        );
        return Err(InputError::new(flag, message));
    }
    Ok(())
}

/// Marks a domain as one that migcal made and may end.
pub const TITLE: &str = "a guest of migcal";

/// The domain of a run. Beats go to UDP port `beats` of `observer`.
pub fn xml(name: &str, uuid: &str, plan: &RunPlan, beats: Option<(&str, u16)>) -> String {
    let files = Files::of(name);
    let text = |path: &Path| escaped(&path.display().to_string());
    let (kind, cpu) = match plan.engine {
        Engine::Kvm => (
            "kvm",
            "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>kvm64</model></cpu>",
        ),
        Engine::Tcg => ("qemu", ""),
    };
    let (command_line, initrd) = match plan.kind {
        Kind::Freestanding => (plan.command_line(), String::new()),
        _ => (
            format!("console=ttyS0 quiet panic=-1 migcal.job={}", plan.kind),
            format!("<initrd>{}</initrd>", text(&files.initrd())),
        ),
    };
    let beat = beats.map_or(String::new(), |(observer, port)| {
        format!(
            "<serial type='udp'><source mode='connect' host='{observer}' service='{port}'/><target port='1'/></serial>"
        )
    });
    // QEMU before 9.0 syncs a block of RAM that is a multiple of 64 pages without telling TCG's
    // TLB, and misses the writes that go on through it (include/exec/ram_addr.h,
    // cpu_physical_memory_sync_dirty_bitmap): the guest arrives torn. Two pages less,
    // and it takes the path that tells.
    let odd_ram = match plan.engine {
        Engine::Kvm => String::new(),
        Engine::Tcg => {
            let size = plan.memory.0 - (8 << 10);
            format!(
                "<qemu:arg value='-object'/><qemu:arg value='memory-backend-ram,id=odd.ram,size={size}'/>\
                 <qemu:arg value='-machine'/><qemu:arg value='memory-backend=odd.ram'/>\
                 <qemu:arg value='-m'/><qemu:arg value='size={}k'/>",
                size >> 10
            )
        }
    };
    let chunk = plan.log_chunk.map_or(String::new(), |chunk| {
        format!(
            "<qemu:arg value='-global'/><qemu:arg value='migration.x-clear-bitmap-shift={}'/>",
            chunk.pages().0.ilog2()
        )
    });
    format!(
        "<domain type='{kind}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><uuid>{uuid}</uuid><title>{TITLE}</title>
  <memory unit='b'>{memory}</memory><vcpu>{vcpus}</vcpu>{cpu}
  <os><type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel}</kernel>{initrd}<cmdline>{command_line}</cmdline></os>
  <features><acpi/><apic/></features><clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>destroy</on_reboot><on_crash>preserve</on_crash>
  <devices>
    <controller type='usb' model='none'/><memballoon model='none'/>
    <serial type='file'><source path='{serial}' append='on'/><target port='0'/></serial>{beat}
  </devices>
  <qemu:commandline>
    <qemu:arg value='-qmp'/><qemu:arg value='unix:{qmp},server=on,wait=off'/>{chunk}{odd_ram}
  </qemu:commandline>
</domain>
",
        name = escaped(name),
        memory = plan.memory.0,
        vcpus = plan.vcpus,
        kernel = text(&files.kernel()),
        command_line = escaped(&command_line),
        serial = text(&files.serial()),
        qmp = text(&files.qmp()),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&apos;")
}

/// What the guest says every 500 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Since it was ready, ms.
    pub ms: u64,
    /// Writes done.
    pub writes: u64,
    /// Writes due and not done.
    pub behind: u64,
    /// The longest time between two turns of its loop since the last report, µs.
    pub gap_us: u64,
}

/// What can be read from what a guest said on its serial port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Memory is filled, the workload runs.
    pub ready: bool,
    /// Why it does not do what it was asked to.
    pub error: Option<String>,
    /// Its reports, in order.
    pub reports: Vec<Report>,
}

/// Reads what a guest said. Lines that a stop has torn are left out.
pub fn read_serial(text: &str) -> Said {
    let mut said = Said::default();
    for line in text.lines() {
        if let Some(error) = line.strip_prefix("error: ") {
            said.error.get_or_insert_with(|| error.to_owned());
        } else if line.starts_with("ready") {
            said.ready = true;
        } else if let Some(report) = report(line) {
            said.reports.push(report);
        }
    }
    said
}

fn report(line: &str) -> Option<Report> {
    let mut report = Report::default();
    let mut found = 0;
    for pair in line.strip_prefix("r ")?.split(' ') {
        let (key, value) = pair.split_once('=')?;
        let field = match key {
            "ms" => &mut report.ms,
            "writes" => &mut report.writes,
            "behind" => &mut report.behind,
            "gap_us" => &mut report.gap_us,
            _ => continue,
        };
        *field = value.parse().ok()?;
        found += 1;
    }
    (found == 4).then_some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Link;

    #[test]
    fn names_that_could_reach_outside_are_refused() {
        let long = "x".repeat(65);
        for refused in [
            "", ".", "..", ".x", "a/b", "../x", "Ä", "a b", "a\nb", "g;id", "$(id)", "`id`", "'",
            "\"", "a:b", "%2e", &long,
        ] {
            assert!(check_name("--name", refused).is_err(), "{refused}");
        }
        for fine in ["lab-2", "A.b_c", "-x", &long[1..]] {
            assert!(check_name("--name", fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn the_guests_words_are_read_and_torn_lines_left_out() {
        let said = read_serial(
            "ready tsc_khz=2000\nr ms=500 writes=10 behind=0 gap_us=7\nr ms=1000 wri\nnoise\nr ms=1 writes=x behind=0 gap_us=1\n",
        );
        assert!(said.ready && said.error.is_none());
        assert_eq!(said.reports, [Report { ms: 500, writes: 10, behind: 0, gap_us: 7 }]);
        assert_eq!(
            read_serial("error: a number is missing at `x`").error.as_deref(),
            Some("a number is missing at `x`")
        );
    }

    #[test]
    fn the_domain_carries_the_plan() {
        let mut plan = crate::plan::RunKeys::default().plan(Some(Link::default())).unwrap();
        plan.log_chunk = Some(migsim_models::units::Bytes(64 << 20));
        let xml = xml("g", "id", &plan, Some(("127.0.0.1", 4711)));
        for part in [
            "<domain type='kvm'",
            "kvm64",
            "x-clear-bitmap-shift=14",
            "service='4711'",
            "workload=idle",
            "append='on'",
        ] {
            assert!(xml.contains(part), "{part} is not in {xml}");
        }
        plan.engine = Engine::Tcg;
        let xml = super::xml("g", "id", &plan, None);
        assert!(!xml.contains("kvm64"));
        // No multiple of 64 pages, or QEMU before 9.0 loses writes.
        assert!(xml.contains("id=odd.ram,size=268427264") && xml.contains("size=262136k"), "{xml}");
    }
}
