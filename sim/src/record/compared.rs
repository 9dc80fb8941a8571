//! A recorded run beside its prediction, as a page or a script goes on from it.

use migsim_models::spec::Switch;
use migsim_models::units::PAGE_BYTES;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Observation, RowPrediction};
use crate::input::Case;

/// A recorded run and what is predicted of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedRun {
    /// The line of its row.
    pub line: u64,
    /// Its id.
    pub id: String,
    /// How it was moved.
    pub mode: String,
    /// Capacity of the link, bit/s.
    pub link_bit_s: u64,
    /// Memory of the guest.
    pub memory_bytes: u64,
    /// What the guest writes, as a share of what the link carries.
    pub writes_to_link: f64,
    /// Whether it completed; `None`: it failed.
    pub completed: Option<bool>,
    /// Measured, ms.
    pub elapsed_ms: Option<f64>,
    /// Measured, ms.
    pub downtime_ms: Option<f64>,
    /// Whether it was predicted to.
    pub pred_completed: bool,
    /// Predicted, ms.
    pub pred_elapsed_ms: Option<f64>,
    /// Predicted, ms.
    pub pred_downtime_ms: Option<f64>,
    /// Its question, as [`crate::input::JsonQuestion`] reads it.
    pub question: Map<String, Value>,
}

impl ComparedRun {
    /// Of a run and what is said of it.
    pub fn new(run: &Observation, said: &RowPrediction) -> ComparedRun {
        let case = &run.case;
        let classes = case.guest.workload.classes(case.guest.touched, case.guest.memory);
        let written = classes.iter().fold(0.0, |sum, class| sum + class.rate);
        ComparedRun {
            line: run.line,
            id: run.id.clone(),
            mode: case.policy.mode.to_string(),
            link_bit_s: case.path.capacity.0,
            memory_bytes: case.guest.memory.bytes().0,
            writes_to_link: written * PAGE_BYTES as f64 / case.path.capacity.bytes_per_s(),
            completed: run.completed,
            elapsed_ms: run.elapsed_ms,
            downtime_ms: run.downtime_ms,
            pred_completed: said.completed,
            pred_elapsed_ms: said.elapsed_ms,
            pred_downtime_ms: said.downtime_ms,
            question: asked(case),
        }
    }
}

/// The question of a case.
fn asked(case: &Case) -> Map<String, Value> {
    let (guest, path, policy) = (&case.guest, &case.path, &case.policy);
    let mut keys = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        keys.extend(value.map(|value| (key.to_owned(), value.into())));
    };
    put("name", Some(guest.name.clone()));
    put("memory", Some(guest.memory.bytes().to_string()));
    put("touched", Some(guest.touched.bytes().to_string()));
    put("vcpus", Some(guest.vcpus.to_string()));
    put("workload", Some(guest.workload.to_string()));
    put("layout", Some(guest.layout.to_string()));
    put("zero_head", Some(guest.zero_head.bytes().to_string()));
    put("phase_offset", guest.phase_offset.map(|offset| offset.to_string()));
    put("delta_bytes", Some(guest.delta_bytes.to_string()));
    put("link", Some(path.capacity.to_string()));
    put("rtt", Some(path.rtt.to_string()));
    put("transport", Some(path.transport.to_string()));
    put("send_buffer", path.send_buffer.map(|bytes| bytes.to_string()));
    put("mode", Some(policy.mode.to_string()));
    put("qemu", Some(policy.qemu.to_string()));
    put("downtime_limit", Some(policy.downtime_limit.to_string()));
    put("bandwidth_cap", policy.bandwidth_cap.map(|cap| cap.to_string()));
    put("auto_converge", policy.auto_converge.map(|_| "true".to_owned()));
    put("xbzrle", policy.xbzrle.map(|_| "true".to_owned()));
    put("xbzrle_cache", policy.xbzrle.map(|cache| cache.to_string()));
    let channels = Some(policy.multifd_channels).filter(|channels| *channels > 0);
    put("multifd_channels", channels.map(|channels| channels.to_string()));
    match policy.switch {
        Switch::AfterIterations(count) => put("postcopy_after_passes", Some(count.to_string())),
        Switch::AtStart => put("postcopy_after_passes", Some("0".to_owned())),
        Switch::AfterTime(at) => put("postcopy_after", Some(at.to_string())),
    }
    put("timeout", policy.timeout.map(|timeout| timeout.to_string()));
    put("on_timeout", policy.timeout.map(|_| policy.on_timeout.to_string()));
    keys
}
