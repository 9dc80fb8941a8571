//! A run as one CSV row: the interchange schema (docs/run-record.md) and what this project adds to
//! it.

use migsim_models::units::SimTime;
use serde::{Deserialize, Serialize};

use crate::hosts::{Facts, JobStats, Observed};
use crate::plan::RunPlan;

/// One real migration. An empty field was not measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the columns are described in docs/run-record.md, in this order")]
pub struct Record {
    pub id: String,
    pub campaign: String,
    pub mode: String,
    pub engine: String,
    pub transport: String,
    pub qemu: String,
    pub libvirt: String,
    pub vcpus: u32,
    pub memory_mib: u64,
    pub touched_pages: u64,
    pub workload: String,
    pub phase_offset_ms: Option<f64>,
    pub delta_bytes: Option<u32>,
    pub link_mbit: f64,
    pub rtt_us: Option<f64>,
    pub bandwidth_cap_mib: u64,
    pub downtime_limit_ms: u64,
    pub auto_converge: u8,
    pub xbzrle: u8,
    pub multifd_channels: u32,
    pub timeout_s: Option<f64>,
    pub outcome: String,
    pub elapsed_ms: Option<f64>,
    pub setup_ms: Option<f64>,
    pub downtime_ms: Option<f64>,
    pub qemu_total_ms: Option<f64>,
    pub qemu_downtime_ms: Option<f64>,
    pub rounds: Option<f64>,
    pub wire_bytes: Option<f64>,
    pub normal_pages: Option<f64>,
    pub zero_pages: Option<f64>,
    pub guest_gap_ms: Option<f64>,
    pub suspend_ms: Option<f64>,
    pub copy_ms: Option<f64>,
    pub resume_ms: Option<f64>,
    pub wall_ms: Option<f64>,
    // Columns of this project's own.
    pub repeat: u32,
    pub guest: String,
    pub content: String,
    pub layout: String,
    pub zero_head_pages: Option<u64>,
    pub log_chunk_mib: Option<f64>,
    pub goodput_mbit: Option<f64>,
    pub goodput_spread_mbit: Option<f64>,
    pub send_buffer_bytes: Option<f64>,
    pub congestion: String,
    pub beat_gap_ms: Option<f64>,
    pub switched: u8,
    pub prepare_ms: Option<f64>,
    pub stop_ms: Option<f64>,
    pub stop_socket_bytes: Option<f64>,
    pub stop_unsent_bytes: Option<f64>,
    pub stop_shaper_bytes: Option<f64>,
    pub background_cpu: Option<f64>,
    pub steal_cpu: Option<f64>,
    pub host_cpus: Option<f64>,
    pub cpu_pressure: Option<f64>,
    pub busy_cpu: Option<f64>,
    pub loadavg: Option<f64>,
    /// What the guests that were moved at the same time share.
    pub group: String,
    /// When it was asked for, since the first of them was.
    pub began_ms: Option<f64>,
    pub started_at: String,
    pub holder: String,
    pub fault: String,
    pub error: String,
}

impl Record {
    /// What is known of a run before it begins.
    pub fn planned(id: &str, campaign: &str, plan: &RunPlan, facts: &Facts) -> Record {
        let policy = &plan.policy;
        let freestanding = plan.kind == crate::plan::Kind::Freestanding;
        Record {
            id: id.to_owned(),
            campaign: campaign.to_owned(),
            mode: policy.mode.to_string(),
            engine: plan.engine.to_string(),
            transport: plan.transport.to_string(),
            qemu: major_minor(&facts.qemu),
            libvirt: facts.libvirt.clone(),
            vcpus: plan.vcpus,
            memory_mib: plan.memory.0 >> 20,
            touched_pages: plan.touched.0,
            workload: plan.workload.to_string(),
            phase_offset_ms: plan.phase_offset.map(SimTime::as_millis_f64),
            delta_bytes: freestanding.then_some(plan.delta),
            link_mbit: facts.link_mbit,
            rtt_us: Some(round(facts.rtt_us, 1)),
            bandwidth_cap_mib: policy.bandwidth_cap.map_or(0, |cap| cap.0 / (8 << 20)),
            downtime_limit_ms: policy.downtime_limit.0 / 1_000_000,
            auto_converge: policy.auto_converge.is_some().into(),
            xbzrle: policy.xbzrle.is_some().into(),
            multifd_channels: policy.multifd_channels,
            timeout_s: policy.timeout.map(SimTime::as_secs_f64),
            guest: plan.kind.to_string(),
            content: plan.content.to_string(),
            layout: if freestanding { "front" } else { "mixed" }.to_owned(),
            zero_head_pages: freestanding.then(|| plan.zero_head().0),
            log_chunk_mib: plan.log_chunk.map(|chunk| chunk.0 as f64 / f64::from(1 << 20)),
            goodput_mbit: Some(round(facts.goodput_mbit, 2)),
            goodput_spread_mbit: facts.goodput_spread_mbit.map(|spread| round(spread, 2)),
            send_buffer_bytes: facts.send_buffer,
            congestion: facts.congestion.clone().unwrap_or_default(),
            ..Record::default()
        }
    }

    /// Fills in libvirt's statistics (`virDomainGetJobStats`' names).
    pub fn take_stats(&mut self, stats: &JobStats) {
        let get = |key: &str| stats.get(key).copied();
        self.elapsed_ms = get("time_elapsed");
        self.setup_ms = get("setup_time");
        self.downtime_ms = get("downtime");
        self.rounds = get("memory_iteration");
        self.wire_bytes = get("memory_processed");
        self.normal_pages = get("memory_normal");
        self.zero_pages = get("memory_constant");
    }

    /// Fills in what was seen beside them.
    pub fn take_observed(&mut self, seen: &Observed) {
        // QEMU says 0 until it has worked a figure out; nothing takes no time at all.
        let qemu = |key: &str| {
            seen.qemu.get(key).copied().filter(|_| seen.qemu.get("total-time") != Some(&0.0))
        };
        self.qemu_total_ms = qemu("total-time");
        self.qemu_downtime_ms = qemu("downtime");
        let at = |event: &str| {
            seen.events.iter().find(|(name, _)| name == event).map(|(_, ms)| round(*ms, 1))
        };
        self.switched = at("MIGRATION postcopy-active").is_some().into();
        self.prepare_ms = at("MIGRATION setup");
        self.stop_ms = at("STOP");
        let rounded = |value: Option<f64>, digits| value.map(|v| round(v, digits));
        self.guest_gap_ms = rounded(seen.guest_gap_ms, 1);
        self.beat_gap_ms = rounded(seen.beat_gap_ms, 1);
        self.stop_socket_bytes = seen.stop_socket_bytes;
        self.stop_unsent_bytes = seen.stop_unsent_bytes;
        self.stop_shaper_bytes = seen.stop_shaper_bytes;
        self.background_cpu = rounded(seen.background_cpu, 3);
        self.steal_cpu = rounded(seen.steal_cpu, 3);
        self.host_cpus = seen.host_cpus;
        self.cpu_pressure = rounded(seen.cpu_pressure, 3);
        self.busy_cpu = rounded(seen.busy_cpu, 3);
        self.loadavg = rounded(seen.loadavg, 2);
    }
}

/// A version without its patch level: `7.2` of `7.2.22`.
pub fn major_minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The time of day in UTC, as 2026-11-23T05:40:00Z.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A measured figure with the digits that mean something.
pub fn round(value: f64, digits: u32) -> f64 {
    let scale = f64::from(10_u32.pow(digits));
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_qemu_has_not_worked_out_yet_is_no_figure() {
        let taken = |total: f64| {
            let qemu = [("total-time".to_owned(), total), ("downtime".to_owned(), 40.0)]
                .into_iter()
                .collect();
            let mut record = Record::default();
            record.take_observed(&Observed { qemu, ..Observed::default() });
            (record.qemu_total_ms, record.qemu_downtime_ms)
        };
        assert_eq!(taken(0.0), (None, None));
        assert_eq!(taken(3500.0), (Some(3500.0), Some(40.0)));
    }
}
