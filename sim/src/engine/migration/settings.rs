//! What a migration knows from the start, as plain numbers: guest, path, policy and host profile
//! worked out once.

use migsim_models::profile::Profile;
use migsim_models::qemu;
use migsim_models::spec::{Guest, Path, Policy, Transport};
use migsim_models::units::{BitRate, SimTime};

use super::legs::Speeds;
use crate::engine::PageCount;

/// What a migration's machine knows from the start, as plain numbers.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) speeds: Speeds,
    /// First page sent.
    pub(super) first_page: SimTime,
    pub(super) sync: SimTime,
    pub(super) stop_and_flush: [SimTime; 2],
    pub(super) device_bytes: f64,
    pub(super) device_state: SimTime,
    pub(super) destination_load: SimTime,
    pub(super) control: SimTime,
    /// After all else, until the management layer says that it is over.
    pub(super) finish: SimTime,
    pub(super) forced_stop_after: u64,
    pub(super) postcopy_control: SimTime,
    pub(super) switch_delay: SimTime,
    pub(super) fault_s: f64,
    /// What stands between QEMU and the far end: so many bytes and the rate for so long, and at
    /// most so many.
    pub(super) queue_fixed: f64,
    pub(super) queue_s: f64,
    pub(super) queue_most: f64,
    /// Share of the queue that drains from a full socket before QEMU wakes.
    pub(super) wake: f64,
    /// Most payload over the path by the TCP window.
    pub(super) window_rate: f64,
    /// Most payload that what carries the stream gets through.
    pub(super) carrier_rate: f64,
    pub(super) share: f64,
    /// The most bytes per second after the switch to post-copy.
    pub(super) postcopy_cap: f64,
    pub(super) offline: OfflineSettings,
    pub(super) longest_phase: SimTime,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OfflineSettings {
    pub(super) suspend: SimTime,
    pub(super) copy: SimTime,
    pub(super) resume: SimTime,
    pub(super) image_bytes: f64,
    pub(super) files_bytes: f64,
    pub(super) copy_cap: f64,
    pub(super) pages: PageCount,
}

impl Settings {
    /// The most payload over the path per second, whatever the link gives.
    pub(super) fn path_rate(&self) -> f64 {
        self.window_rate.min(self.carrier_rate)
    }

    /// Bytes that stand between QEMU and the far end at a rate, when QEMU is faster.
    pub(super) fn queue(&self, rate: f64) -> f64 {
        (self.queue_fixed + rate * self.queue_s).min(self.queue_most)
    }

    pub(super) fn new(guest: &Guest, path: &Path, policy: &Policy, profile: &Profile) -> Settings {
        let (software, switchover, cpu) = (&profile.software, &profile.switchover, &profile.cpu);
        let (firmware_normal, firmware_zero) = profile.guest.firmware();
        let gib = guest.memory.gib();
        let per_gib = |fixed: SimTime, each: SimTime| {
            fixed + SimTime::from_secs_f64(each.as_secs_f64() * gib)
        };
        let multifd = policy.multifd_channels > 0;
        let threads = f64::from(policy.multifd_channels.max(1));
        let share = profile.share(path.transport);
        let rtt = path.rtt.as_secs_f64();
        // Each channel of multifd has a socket of its own.
        let network = &profile.network;
        let buffer = path.send_buffer.unwrap_or(network.queue_bytes.value).as_f64() * threads;
        let zero = (guest.memory.0 - guest.touched.0 + firmware_zero) as f64;
        let normal = (guest.touched.0 + firmware_normal) as f64;
        let image_bytes =
            qemu::wire_bytes(normal, zero, false) + switchover.device_bytes.value.as_f64();
        let files_bytes = policy.offline_files.as_f64();
        let offline = &profile.offline;
        let phase =
            |fixed: SimTime, bytes: f64, rate: f64| fixed + SimTime::from_secs_f64(bytes / rate);
        let cached = image_bytes.min(offline.cache_bytes.value.as_f64());
        let suspend = phase(offline.suspend.value, cached, offline.cache_rate.value.bytes_per_s());
        Settings {
            speeds: Speeds {
                normal_wire: qemu::page_wire(multifd),
                encoded_wire: qemu::xbzrle_wire(guest.delta_bytes),
                normal_s: 1.0 / (cpu.page_rate.value.pages_per_s() * threads),
                zero_s: policy.qemu.zero_page_share(policy.multifd_channels)
                    / cpu.zero_page_rate.value.pages_per_s(),
                encoded_s: 1.0 / cpu.xbzrle_page_rate.value.pages_per_s(),
                cap: policy
                    .bandwidth_cap
                    .filter(|_| !multifd || policy.qemu.caps_multifd())
                    .map_or(f64::INFINITY, BitRate::bytes_per_s),
            },
            postcopy_cap: policy.postcopy_bandwidth.map_or(f64::INFINITY, BitRate::bytes_per_s),
            first_page: software.prepare.value
                + per_gib(software.qemu_setup.value, software.qemu_setup_per_gib.value),
            finish: software.finish.value,
            sync: per_gib(software.round.value, software.sync_per_gib.value),
            stop_and_flush: [switchover.stop.value, switchover.flush.value],
            device_bytes: switchover.device_bytes.value.as_f64(),
            device_state: switchover.device_state.value,
            destination_load: switchover.destination_load.value,
            control: switchover.control.value
                + SimTime::from_secs_f64(rtt * switchover.control_round_trips.value),
            forced_stop_after: switchover.forced_stop_after.value,
            postcopy_control: profile.postcopy.control.value + path.rtt,
            switch_delay: profile.postcopy.switch_delay.value,
            fault_s: profile.postcopy.fault.value.as_secs_f64() + rtt,
            queue_most: buffer * network.queue_share.value,
            queue_fixed: network.queue_fixed.value.as_f64() * threads,
            queue_s: network.queue_time.value.as_secs_f64() * threads,
            // Through the management layer it is a pipe that fills, and with multifd the channels'
            // threads that sleep.
            wake: match path.transport {
                Transport::Tcp | Transport::Tls if !multifd => qemu::SOCKET_WAKE,
                _ => 0.0,
            },
            window_rate: if rtt > 0.0 { buffer / rtt } else { f64::INFINITY },
            carrier_rate: profile.carrier_rate(path, policy.multifd_channels),
            share,
            offline: OfflineSettings {
                suspend: phase(
                    suspend,
                    image_bytes - cached,
                    offline.write_rate.value.bytes_per_s(),
                ),
                copy: offline.copy.value,
                resume: phase(
                    offline.resume.value,
                    image_bytes,
                    offline.read_rate.value.bytes_per_s(),
                ),
                image_bytes,
                files_bytes,
                copy_cap: offline.copy_read_rate.value.bytes_per_s(),
                pages: PageCount { normal, zero, ..PageCount::default() },
            },
            longest_phase: guest.workload.longest_period().unwrap_or_default(),
            policy: policy.clone(),
        }
    }
}
