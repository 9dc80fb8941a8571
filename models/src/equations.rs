//! The two figures and four equations of the study this project starts from, and the parts of a
//! downtime.
//!
//! Source: "Performance Analysis of Live and Offline VM Migration Using KVM", I.J. Modern Education
//! and Computer Science, 2016, 11, 50-57, equations 1 to 4 and figure 8.
//!
//! ```text
//! (1) TMT(pre-copy)  = TI + OV        (3) TDT(pre-copy)  = DM + VS
//! (2) TMT(post-copy) = OV             (4) TDT(post-copy) = VS
//! ```
//!
//! One pair of sums serves every mode, TMT = TI + OV and TDT = DM + VS, because a mode without a
//! term has it at zero:
//!
//! | mode | TI | DM | VS | OV |
//! | --- | --- | --- | --- | --- |
//! | pre-copy | first page sent until the vCPUs stop | from there until the last RAM page is received | from there until the guest runs | TMT - TI |
//! | post-copy from the start | 0 | 0 | the downtime | until the last page has arrived |
//! | post-copy after iterations of pre-copy | those iterations | 0 | the downtime | TMT - TI |
//! | pre-copy of a paused guest | 0 | until the last RAM page is received | the rest | TMT |
//! | offline | 0 | suspend and copy | resume | TMT |

use crate::units::SimTime;

/// The terms of the four equations, each in simulated time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// TI: the time of all iterations over memory while the guest runs.
    pub ti: SimTime,
    /// OV: everything else that the migration takes.
    pub ov: SimTime,
    /// DM: the time for the dirty memory, with the guest stopped.
    pub dm: SimTime,
    /// VS: the time for the state of the virtual machine, until it runs.
    pub vs: SimTime,
}

impl Terms {
    /// Total migration time, TI + OV: equation 1, and 2 where TI is zero.
    pub fn tmt(&self) -> SimTime {
        self.ti + self.ov
    }

    /// Total downtime, DM + VS: equation 3, and 4 where DM is zero.
    pub fn tdt(&self) -> SimTime {
        self.dm + self.vs
    }
}

/// What a downtime is made of; the parts add up to DM + VS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DowntimeParts {
    /// Preparing both sides while the guest is already paused (a paused guest only).
    pub setup: SimTime,
    /// Stopping the vCPUs.
    pub stop: SimTime,
    /// Flushing the guest's disks.
    pub flush: SimTime,
    /// The last look at the dirty log.
    pub sync: SimTime,
    /// Bytes that the socket and the network had taken before the stop and still deliver.
    pub queued: SimTime,
    /// The pages that were still to be sent.
    pub rest_of_ram: SimTime,
    /// Saving the devices' state and sending it.
    pub device_state: SimTime,
    /// Loading the devices' state at the destination.
    pub destination_load: SimTime,
    /// Round trips of the management layer until the guest is told to run.
    pub control: SimTime,
    /// Offline: stopping the guest and writing its memory image.
    pub suspend: SimTime,
    /// Offline: moving the image, the configuration and the redo files.
    pub copy: SimTime,
    /// Offline: reading the image back and starting the guest.
    pub resume: SimTime,
}

impl DowntimeParts {
    /// Name and length of every part, in the order in which they happen.
    pub fn named(&self) -> [(&'static str, SimTime); 12] {
        [
            ("setup", self.setup),
            ("stop", self.stop),
            ("flush", self.flush),
            ("sync", self.sync),
            ("queued bytes", self.queued),
            ("rest of RAM", self.rest_of_ram),
            ("device state", self.device_state),
            ("destination load", self.destination_load),
            ("control round trips", self.control),
            ("suspend", self.suspend),
            ("copy", self.copy),
            ("resume", self.resume),
        ]
    }

    /// What of it no luck shortens: all but the pages and bytes that were still to be sent, and the
    /// offline phases.
    pub fn fixed(&self) -> SimTime {
        self.stop + self.flush + self.sync + self.destination_load + self.control
    }

    /// The whole downtime.
    pub fn total(&self) -> SimTime {
        self.named().into_iter().map(|(_, part)| part).sum()
    }
}
