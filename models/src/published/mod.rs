//! The published models of migration time, on the same inputs as ours: what it is compared against.
//!
//! Each sits in its own function, beside its source. The letters of the formulas are those of
//! [`SYMBOLS`].

mod cloud;
mod gudkov;
mod rounds;

pub use gudkov::{MeasuredCurve, gudkov};

use crate::profile::Profile;
use crate::spec::{Guest, Mode, Path, Policy};
use crate::units::{PAGE_BYTES, Pages, SimTime};
use crate::workload::Workload;

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
    /// Guests are mostly zeros, which cost next to nothing to send, and QEMU has to be started
    /// before a page is sent. Most models speak of neither: their M is then what is not zero, R
    /// what is left of the bandwidth beside the headers of pages, and the start is added.
    pub fn fair(&self, profile: &Profile) -> FairInputs<'a> {
        let page = PAGE_BYTES as f64;
        FairInputs {
            bare: self.clone(),
            touched: Inputs {
                memory: self.touched,
                bandwidth: self.bandwidth * page / crate::qemu::NORMAL_PAGE_WIRE,
                ..self.clone()
            },
            around_s: (profile.software.prepare.value + profile.software.finish.value)
                .as_secs_f64(),
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
    /// The start of QEMU, and what the management layer takes at the end, in seconds.
    around_s: f64,
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

/// How the formula of a published model is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Its code was read: what is here does the same.
    FromCode,
    /// Neither its text nor its code could be read.
    FromMemory,
}

impl Known {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Known::FromCode => "code read",
            Known::FromMemory => "from memory",
        }
    }
}

/// A published model.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// What `--model` takes.
    pub name: &'static str,
    /// Authors, title, where and when it came out; and what is otherwise here.
    pub reference: &'static str,
    /// The DOI of that, where one is known for sure.
    pub doi: Option<&'static str>,
    /// What it computes, in [`SYMBOLS`].
    pub formula: &'static str,
    /// How that is known.
    pub known: Known,
    /// The mode it speaks of.
    pub mode: Mode,
    /// Whether it counts zero pages and the headers of pages itself.
    pub counts_zero_pages: bool,
    /// The model.
    pub predict: fn(&Inputs) -> Prediction,
}

/// What the formulas are written in.
pub const SYMBOLS: &str = "\
M     memory, bytes
R     bandwidth, bytes/s
D     dirty rate, bytes/s: distinct bytes dirtied in a second
D(t)  distinct bytes dirtied in t seconds
W     working set, bytes: all that is dirtied at all
L     downtime limit, s
λ     D / R
V_i   bytes of round i, V_0 = M
T_i   V_i / R, seconds of round i
T_r   the resume, 20 ms";

impl Model {
    /// What it predicts on inputs as good as the simulator's.
    pub fn on_fair_inputs(&self, inputs: &FairInputs) -> Prediction {
        let found =
            (self.predict)(if self.counts_zero_pages { &inputs.bare } else { &inputs.touched });
        Prediction { tmt_s: found.tmt_s.map(|s| s + inputs.around_s), ..found }
    }
}

/// All models, the simplest first.
pub const MODELS: &[Model] = &[
    cloud::CLOUDSIM,
    cloud::DSLAB,
    cloud::DISSECT_CF,
    cloud::SIMGRID,
    cloud::BTRPLACE,
    rounds::LIU,
    rounds::LIU_WWS,
    rounds::STRUNK,
    rounds::AKOUSH_AVG,
    rounds::AKOUSH_HIST,
    gudkov::GUDKOV,
    rounds::HINES_GOPALAN,
];

/// The model of that name.
pub fn model(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|model| model.name == name)
}

/// Every measured point of the workload's curve, if it is one curve and nothing else.
fn measured_points(workload: &Workload) -> Option<impl Iterator<Item = (SimTime, Pages)>> {
    match workload.terms.as_slice() {
        [term] if term.phase.is_none() => term.pattern.measured(),
        _ => None,
    }
}

pub use rounds::akoush_bounds;
