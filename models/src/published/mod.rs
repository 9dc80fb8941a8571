//! The published models of migration time, on the same inputs as ours: what it is compared against.
//!
//! Each sits in its own function with its source in its head. "From memory" means that the formula was not checked against the paper's
//! text; "read" means that it was, or that the code was. M is the memory, R the bandwidth, D the dirty rate.

mod cloud;
mod gudkov;
mod rounds;

pub use gudkov::{MeasuredCurve, gudkov};

use crate::profile::Profile;
use crate::spec::{Guest, Mode, Path, Policy};
use crate::units::{PAGE_BYTES, Pages, SimTime};
use crate::workload::{Pattern, Workload};

/// What the published models take, in bytes, bytes per second and seconds.
#[derive(Debug, Clone)]
pub struct Inputs<'a> {
    /// Memory M of the guest, in bytes.
    pub memory: f64,
    /// The part of it that is not zero.
    pub touched: f64,
    /// Bandwidth R.
    pub bandwidth: f64,
    /// The most bytes that the guest dirties at all.
    pub working_set: f64,
    /// Downtime limit in seconds.
    pub downtime_limit: f64,
    /// The round trip of the path in seconds.
    pub rtt: f64,
    /// What dirties the memory.
    pub workload: &'a Workload,
}

impl<'a> Inputs<'a> {
    /// The inputs of a question, with `share` of the path's capacity usable.
    pub fn new(guest: &'a Guest, path: &Path, policy: &Policy, share: f64) -> Inputs<'a> {
        let link = path.capacity.bytes_per_s() * share;
        let cap = policy.bandwidth_cap.map_or(f64::INFINITY, super::units::BitRate::bytes_per_s);
        Inputs {
            memory: guest.memory.bytes().as_f64(),
            touched: guest.touched.bytes().as_f64(),
            bandwidth: link.min(cap),
            working_set: guest.workload.working_set().bytes().as_f64(),
            downtime_limit: policy.downtime_limit.as_secs_f64(),
            rtt: path.rtt.as_secs_f64(),
            workload: &guest.workload,
        }
    }

    /// The same question on inputs as good as the simulator's.
    ///
    /// Guests are mostly zeros, which cost next to nothing to send, and QEMU has to be started before a page is sent. Most models speak of
    /// neither: their M is then what is not zero, R what is left of the bandwidth beside the headers of pages, and the start is added.
    pub fn fair(&self, profile: &Profile) -> FairInputs<'a> {
        let page = PAGE_BYTES as f64;
        FairInputs {
            bare: self.clone(),
            touched: Inputs {
                memory: self.touched,
                bandwidth: self.bandwidth * page / crate::qemu::NORMAL_PAGE_WIRE,
                ..self.clone()
            },
            prepare_s: profile.software.prepare.value.as_secs_f64(),
        }
    }

    /// Distinct bytes dirtied in `seconds`, D(t).
    pub fn dirtied(&self, seconds: f64) -> f64 {
        self.workload.distinct(SimTime::from_secs_f64(seconds), SimTime::ZERO) * PAGE_BYTES as f64
    }

    /// The dirty rate of models that know only one: distinct bytes of a second, per second.
    pub fn dirty_rate(&self) -> f64 {
        self.dirtied(1.0)
    }
}

/// Inputs as good as the simulator's, see [`Inputs::fair`].
#[derive(Debug, Clone)]
pub struct FairInputs<'a> {
    /// For models that know of zero pages and headers themselves.
    bare: Inputs<'a>,
    /// For the others.
    touched: Inputs<'a>,
    /// The start of QEMU, in seconds.
    prepare_s: f64,
}

/// What a model predicts. A figure that it does not speak of is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// Whether it comes to an end.
    pub converges: bool,
    /// Total migration time in seconds.
    pub tmt_s: Option<f64>,
    /// Downtime in seconds.
    pub downtime_s: Option<f64>,
}

impl Prediction {
    fn new(tmt_s: f64, downtime_s: Option<f64>) -> Prediction {
        Prediction { converges: true, tmt_s: Some(tmt_s), downtime_s }
    }

    const DIVERGES: Prediction = Prediction { converges: false, tmt_s: None, downtime_s: None };
}

/// A published model.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// What `--model` takes.
    pub name: &'static str,
    /// Where it comes from, in a line.
    pub source: &'static str,
    /// The mode it speaks of.
    pub mode: Mode,
    /// The model.
    pub predict: fn(&Inputs) -> Prediction,
}

impl Model {
    /// What it predicts on inputs as good as the simulator's.
    pub fn on_fair_inputs(&self, inputs: &FairInputs) -> Prediction {
        // Gudkov's counts zero pages and headers itself.
        let given = if self.name == "gudkov" { &inputs.bare } else { &inputs.touched };
        let found = (self.predict)(given);
        Prediction { tmt_s: found.tmt_s.map(|s| s + inputs.prepare_s), ..found }
    }
}

/// All models, the simplest first.
pub const MODELS: &[Model] = &[
    Model { name: "cloudsim", source: "CloudSim: M / (R/2)", mode: Mode::Precopy, predict: cloud::cloudsim },
    Model { name: "dslab", source: "DSLab: M / R", mode: Mode::Precopy, predict: cloud::dslab },
    Model {
        name: "dissect-cf",
        source: "DISSECT-CF: at most 5 rounds, down to 256 KiB",
        mode: Mode::Precopy,
        predict: cloud::dissect_cf,
    },
    Model { name: "simgrid", source: "SimGrid 4.1, VmLiveMigration.cpp", mode: Mode::Precopy, predict: cloud::simgrid },
    Model {
        name: "btrplace",
        source: "BtrPlace, CNetwork.java: hot and cold pages",
        mode: Mode::Precopy,
        predict: cloud::btrplace,
    },
    Model { name: "liu", source: "Liu et al., HPDC 2011: geometric rounds", mode: Mode::Precopy, predict: rounds::liu },
    Model {
        name: "liu-wws",
        source: "Liu et al., HPDC 2011, refined by the writable working set",
        mode: Mode::Precopy,
        predict: rounds::liu_wws,
    },
    Model {
        name: "strunk",
        source: "Strunk 2012: geometric rounds, bounded in number",
        mode: Mode::Precopy,
        predict: rounds::strunk,
    },
    Model {
        name: "akoush-avg",
        source: "Akoush et al., MASCOTS 2010, AVG: a constant dirty rate, Xen's stop rules",
        mode: Mode::Precopy,
        predict: rounds::akoush_avg,
    },
    Model {
        name: "akoush-hist",
        source: "Akoush et al., MASCOTS 2010, HIST: recorded dirty pages, Xen's stop rules",
        mode: Mode::Precopy,
        predict: rounds::akoush_hist,
    },
    Model {
        name: "gudkov",
        source: "Gudkov, qemu-devel 2023: rounds over a measured dirty curve",
        mode: Mode::Precopy,
        predict: gudkov::predict,
    },
    Model {
        name: "hines-gopalan",
        source: "Hines and Gopalan 2009: post-copy",
        mode: Mode::Postcopy,
        predict: rounds::hines_gopalan,
    },
];

/// The model of that name.
pub fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

/// Every measured point of the workload's curve, if it is one curve and nothing else.
fn measured_points(workload: &Workload) -> Option<&[(SimTime, Pages)]> {
    match workload.terms.as_slice() {
        [term] if term.phase.is_none() => match &term.pattern {
            Pattern::Curve(points) => Some(points),
            _ => None,
        },
        _ => None,
    }
}

pub use rounds::akoush_bounds;
