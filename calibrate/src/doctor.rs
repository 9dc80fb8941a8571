//! What this machine can do, and what would let it do more.

use std::fs;
use std::path::Path;

use crate::lab::Congestion;
use crate::reach::Reach;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    There,
    /// It is not, and something can be done without it.
    Lacking,
    /// It is not, and no migration can be made.
    Missing,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How it stands.
    pub standing: Standing,
    /// The version, or why it is not there and what that means.
    pub detail: String,
    /// What to do about it.
    pub fix: Option<String>,
}

fn there(what: &'static str, detail: impl Into<String>) -> Finding {
    Finding { what, standing: Standing::There, detail: detail.into(), fix: None }
}

/// A program, its version, and the package that has it.
fn program(
    what: &'static str,
    command: &[&str],
    package: &str,
    standing: Standing,
    without: &str,
) -> Finding {
    let found = Reach::Here.which(command[0]).or_else(|| {
        // Daemons are not on everybody's path.
        let place = format!("/usr/sbin/{}", command[0]);
        Path::new(&place).exists().then_some(place)
    });
    match found {
        Some(place) => {
            let mut words = vec![place.as_str()];
            words.extend(&command[1..]);
            let said = Reach::Here.run(&words).unwrap_or_default();
            there(what, said.lines().next().unwrap_or("").trim().to_owned())
        }
        None => Finding {
            what,
            standing,
            detail: without.to_owned(),
            fix: Some(format!("apt-get install --no-install-recommends {package}")),
        },
    }
}

/// Looks at everything that a real migration on this machine takes.
pub fn examine() -> Vec<Finding> {
    use Standing::{Lacking, Missing};
    let mut findings = vec![
        if nix::unistd::geteuid().is_root() {
            there("root", "yes")
        } else {
            Finding {
                what: "root",
                standing: Missing,
                detail: "the lab makes network namespaces".to_owned(),
                fix: Some("sudo migcal ...".to_owned()),
            }
        },
        kvm(),
        program(
            "QEMU",
            &["qemu-system-x86_64", "--version"],
            "qemu-system-x86",
            Missing,
            "nothing to migrate",
        ),
        program(
            "libvirt",
            &["libvirtd", "--version"],
            "libvirt-daemon",
            Missing,
            "nothing to migrate with",
        ),
        driver(),
        program(
            "virsh",
            &["virsh", "--version"],
            "libvirt-clients",
            Lacking,
            "only needed by hand",
        ),
        program("ip", &["ip", "-V"], "iproute2", Missing, "no network namespaces, no link"),
        program("tc", &["tc", "-V"], "iproute2", Missing, "no shaped link"),
        program(
            "ss",
            &["ss", "-V"],
            "iproute2",
            Lacking,
            "bytes queued at the stop are not recorded",
        ),
        program(
            "nsenter",
            &["nsenter", "--version"],
            "util-linux",
            Missing,
            "no way into the lab's hosts",
        ),
        program(
            "Python",
            &["python3", "--version"],
            "python3",
            Missing,
            "offline copies and measurements of the link need it at each host",
        ),
        program(
            "gcc",
            &["gcc", "--version"],
            "gcc",
            Lacking,
            "needed to build migcal: it makes the guest",
        ),
        program("sshd", &["sshd", "-V"], "openssh-server", Lacking, "the lab has no SSH transport"),
        program("cpio", &["cpio", "--version"], "cpio", Lacking, "no Linux guest can be assembled"),
        namespaces(),
    ];
    findings.extend(["tbf", "netem"].map(qdisc));
    findings.push(congestion());
    findings.push(userfaultfd());
    findings.push(room());
    findings
}

fn kvm() -> Finding {
    let why = match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Err(e) if Path::new("/dev/kvm").exists() => Some((
            format!("/dev/kvm is there, and: {e}"),
            "add yourself to the group kvm, or be root",
        )),
        Err(_) => Some((
            "there is no /dev/kvm".to_owned(),
            "switch on virtualisation in the firmware (VT-x, AMD-V), or nested virtualisation at the host",
        )),
        Ok(_) => None,
    };
    if let Some((detail, fix)) = why {
        return Finding {
            what: "KVM",
            standing: Standing::Lacking,
            detail: format!("{detail}: guests run under TCG, --engine tcg"),
            fix: Some(fix.to_owned()),
        };
    }
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let hardware = flags
        .lines()
        .find(|l| l.starts_with("flags"))
        .is_some_and(|l| l.split(' ').any(|f| f == "vmx" || f == "svm"));
    if hardware {
        there("KVM", "with hardware virtualisation: every guest runs")
    } else {
        there(
            "KVM",
            "without hardware virtualisation (nested): the freestanding guest runs, Linux guests need --engine tcg",
        )
    }
}

fn driver() -> Finding {
    let places = ["/usr/lib/x86_64-linux-gnu/libvirt", "/usr/lib/libvirt", "/usr/lib64/libvirt"];
    let found = places
        .iter()
        .any(|place| Path::new(place).join("connection-driver/libvirt_driver_qemu.so").exists());
    if found {
        there("libvirt's QEMU driver", "yes")
    } else {
        Finding {
            what: "libvirt's QEMU driver",
            standing: Standing::Missing,
            detail: "libvirtd cannot start guests".to_owned(),
            fix: Some(
                "apt-get install --no-install-recommends libvirt-daemon-driver-qemu".to_owned(),
            ),
        }
    }
}

fn namespaces() -> Finding {
    match Reach::Here.run(&["unshare", "--net", "--mount", "--uts", "true"]) {
        Ok(_) => there("namespaces", "network, mount and UTS"),
        Err(error) => Finding {
            what: "namespaces",
            standing: Standing::Missing,
            detail: format!("{error:#}"),
            fix: Some(
                "a container needs --privileged, or CAP_SYS_ADMIN and CAP_NET_ADMIN".to_owned(),
            ),
        },
    }
}

fn qdisc(kind: &'static str) -> Finding {
    let (what, arguments, standing, without) = match kind {
        "tbf" => (
            "tc's tbf",
            "rate 100mbit burst 256kb latency 50ms",
            Standing::Missing,
            "no capacity can be given to the link",
        ),
        _ => ("tc's netem", "delay 1ms", Standing::Lacking, "links have no delay; capacity works"),
    };
    let script = format!("ip link set lo up && tc qdisc add dev lo root {kind} {arguments}");
    match Reach::Here.run(&["unshare", "--net", "sh", "-c", &script]) {
        Ok(_) => there(what, "yes"),
        Err(_) => Finding {
            what,
            standing,
            detail: without.to_owned(),
            fix: Some(format!(
                "modprobe sch_{kind}, where the kernel has it as a module (apt-get install linux-modules-extra or the distribution's full kernel)"
            )),
        },
    }
}

fn congestion() -> Finding {
    let usable = |one: &Congestion| {
        let script = format!("echo {one} > /proc/sys/net/ipv4/tcp_congestion_control");
        Reach::Here.run(&["unshare", "--net", "sh", "-c", &script]).is_ok()
    };
    let usable: Vec<String> =
        Congestion::PREFERRED.iter().filter(|one| usable(one)).map(ToString::to_string).collect();
    if usable.is_empty() {
        return Finding {
            what: "TCP congestion control",
            standing: Standing::Lacking,
            detail: "a lab uses the machine's own".to_owned(),
            fix: None,
        };
    }
    there(
        "TCP congestion control",
        format!(
            "a lab can use {}, and uses {} unless told otherwise",
            usable.join(", "),
            usable[0]
        ),
    )
}

fn userfaultfd() -> Finding {
    let known = Path::new("/proc/sys/vm/unprivileged_userfaultfd");
    match fs::read_to_string(known) {
        Ok(value) if value.trim() == "1" => there("userfaultfd", "yes, for everyone"),
        Ok(_) => {
            there("userfaultfd", "yes, for root: a lab's guests run as root, so post-copy works")
        }
        Err(_) => Finding {
            what: "userfaultfd",
            standing: Standing::Lacking,
            detail: "no post-copy: the kernel lacks CONFIG_USERFAULTFD".to_owned(),
            fix: Some("a distribution's kernel".to_owned()),
        },
    }
}

fn room() -> Finding {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available: u64 = text
        .lines()
        .find_map(|line| {
            line.strip_prefix("MemAvailable:")?.split_whitespace().next()?.parse().ok()
        })
        .unwrap_or(0);
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let detail = format!(
        "{} MiB of memory free (a guest takes its own twice while it moves), {cpus} processors",
        available >> 10
    );
    if available > 1 << 20 {
        there("room", detail)
    } else {
        Finding {
            what: "room",
            standing: Standing::Lacking,
            detail,
            fix: Some("end something, or give guests less memory".to_owned()),
        }
    }
}

/// The findings for people, and what would install everything that is not there.
pub fn report(findings: &[Finding]) -> String {
    let width = findings.iter().map(|f| f.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.standing {
            Standing::There => "yes",
            Standing::Lacking => "no",
            Standing::Missing => "NO",
        };
        text.push_str(&format!("{mark:<3} {:<width$}  {}\n", finding.what, finding.detail));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("    {:<width$}  -> {fix}\n", ""));
        }
    }
    let missing: Vec<&str> =
        findings.iter().filter(|f| f.standing == Standing::Missing).map(|f| f.what).collect();
    text.push_str(&if missing.is_empty() {
        "\nReal migrations can be made on this machine: `migcal run` makes one.\n".to_owned()
    } else {
        format!(
            "\nNo real migration can be made on this machine without: {}.\n",
            missing.join(", ")
        )
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_the_command_that_installs_it() {
        let finding =
            program("X", &["no-such-program-at-all"], "x-package", Standing::Missing, "no x");
        assert_eq!(finding.standing, Standing::Missing);
        let text = report(&[there("root", "yes"), finding]);
        assert!(text.contains("apt-get install --no-install-recommends x-package"), "{text}");
        assert!(text.contains("without: X."), "{text}");
    }
}
