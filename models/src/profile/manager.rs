//! Who runs the migration, and how long that takes around it.

use super::{Param, Profile};
use crate::units::SimTime;
use crate::words;

/// What asks QEMU to migrate, and tells its user when that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// QEMU is asked directly.
    None,
    /// libvirt alone, as by `virsh migrate`.
    Libvirt,
    /// KubeVirt: a pod is scheduled and started at the destination first.
    Kubevirt,
    /// OpenStack Nova.
    Nova,
    /// Proxmox VE.
    Proxmox,
}

words!(Manager, "manager", "none" => None,
    "libvirt" => Libvirt, "kubevirt" => Kubevirt, "nova" => Nova, "proxmox" => Proxmox);

/// A time and its standard deviation, in milliseconds.
type Around = [u64; 2];

impl Manager {
    /// All of them.
    pub const ALL: [Manager; 5] =
        [Manager::None, Manager::Libvirt, Manager::Kubevirt, Manager::Nova, Manager::Proxmox];

    /// Where its times are from.
    pub fn source(self) -> &'static str {
        match self {
            Manager::None => "QEMU is asked directly",
            Manager::Libvirt => {
                "510 runs of the project's own lab: QEMU is started at the destination"
            }
            Manager::Kubevirt => {
                "one migration of OpenShift 4.5 (a public workshop of 2020): 4 s from the scheduled pod to the ready target, 5 s more until it ran, \
                 8 s for a small guest. How long scheduling takes is a guess"
            }
            Manager::Nova => {
                "OpenStack Icehouse on 1 Gbit/s (ICCLab of ZHAW, 2014): unloaded guests of five flavors took some 3 s more than their memory"
            }
            Manager::Proxmox => {
                "task logs of Proxmox VE 4.2 to 9, four reports: 2 and 2 s, 5 and 4 s, some 6 s, 6 to 16 s in all"
            }
        }
    }

    /// From the command to QEMU's start of the migration, and from the guest's running at the
    /// destination to the word that it is over.
    fn times(self) -> [Around; 2] {
        match self {
            Manager::None => [[0, 0]; 2],
            Manager::Libvirt => [[350, 100], [10, 10]],
            Manager::Kubevirt => [[10_000, 4_000], [3_000, 2_000]],
            Manager::Nova => [[2_000, 1_000], [1_000, 500]],
            Manager::Proxmox => [[3_500, 1_500], [3_000, 1_000]],
        }
    }
}

impl Profile {
    /// The same hosts, run by that manager; `None`: by whoever it has been.
    #[must_use]
    pub fn run_by(mut self, manager: Option<Manager>) -> Profile {
        let Some(manager) = manager else { return self };
        let [prepare, finish] = manager.times().map(|[value, error]| Param {
            value: SimTime::from_millis(value),
            error: Some(SimTime::from_millis(error)).filter(|error| *error > SimTime::ZERO),
        });
        (self.software.prepare, self.software.finish) = (prepare, finish);
        self.name = format!("{}, run by {manager}", self.name);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manager_is_called_by_its_word_and_adds_no_less_than_libvirt() {
        for manager in Manager::ALL {
            assert_eq!(manager.to_string().parse(), Ok(manager));
            let hosts = Profile::ideal().run_by(Some(manager));
            let around = hosts.software.prepare.value + hosts.software.finish.value;
            let libvirt = Profile::ideal().run_by(Some(Manager::Libvirt)).software.prepare.value;
            assert!(manager == Manager::None || around >= libvirt, "{manager}");
            hosts.check().unwrap();
        }
        let refused = "vcenter".parse::<Manager>().unwrap_err().to_string();
        assert!(refused.contains("none, libvirt, kubevirt, nova, proxmox"), "{refused}");
    }
}
