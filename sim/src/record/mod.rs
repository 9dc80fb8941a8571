//! Run records: files of real migrations, one a row, predicted in their order and compared with
//! what was measured.
//!
//! The schema is the project's interchange format (docs/run-record.md). Columns may stand in any
//! order; unknown ones are kept.

mod batch;
mod compared;
mod measured;
mod written;

pub use batch::{BatchAnswer, BatchFound, BatchReport, count_questions, predict_batch};
pub use compared::ComparedRun;
pub use measured::{
    Against, AgainstAnswer, Compared, EndsIn, Measured, UnderWay, compared, ends_in,
};
pub use written::question_columns;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::io::{Read, Write};
use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use csv::StringRecord;
use migsim_models::profile::Profile;
use migsim_models::qemu::Version;
use migsim_models::spec::{Layout, Mode, Policy};
use migsim_models::units::{BitRate, Bytes, Pages, SimTime};
use migsim_models::workload::{NAMES, Workload, is_name};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::statistics::{Data, OrderStatistics};

use crate::answer::{Between, Hosts, Percentiles, Quantiles, Times, commoner, median, runs};
use crate::engine::{Fidelity, Outcome};
use crate::input::{Case, Cells, InputError, Keys, Rows, ThrottleKeys, quoted, uneven};
use migsim_models::text::harmless;

/// Columns without which there is no question.
const NEEDED: [&str; 4] = ["mode", "memory_mib", "workload", "link_mbit"];

/// What a prediction adds to a row.
pub const PREDICTED: [&str; 15] = [
    "pred_outcome",
    "pred_elapsed_ms",
    "pred_downtime_ms",
    "pred_wire_bytes",
    "pred_normal_pages",
    "pred_zero_pages",
    "pred_rounds",
    "pred_suspend_ms",
    "pred_copy_ms",
    "pred_resume_ms",
    "pred_elapsed_p5_ms",
    "pred_elapsed_p95_ms",
    "pred_downtime_p5_ms",
    "pred_downtime_p95_ms",
    "pred_p_converge",
];

/// Rows read, predicted in parallel and written at a time: memory stays flat, however long the
/// file.
const BATCH: usize = 4096;
/// Of longer files the summary takes a random sample of so many rows.
const SAMPLE: usize = 20_000;

/// The columns of a file by name.
#[derive(Debug, Clone)]
pub struct Columns(BTreeMap<String, usize>);

/// A row that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: column `{column}`: {reason}")]
pub struct RowError {
    /// The file, as given.
    pub file: String,
    /// Line of the row.
    pub line: u64,
    /// The column at fault.
    pub column: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
}

/// What is wrong in a row, before its place is known.
type Fault = (String, String);

impl Columns {
    /// Reads a header.
    ///
    /// # Errors
    /// A needed column is missing, or a column stands there twice.
    pub fn new(file: &str, header: &StringRecord) -> Result<Columns, InputError> {
        let mut columns = BTreeMap::new();
        for (index, name) in header.iter().enumerate() {
            let name = name.trim();
            if !name.is_empty() && columns.insert(name.to_owned(), index).is_some() {
                return Err(InputError::new(
                    format!("{file}:1"),
                    format!("column `{name}` stands there twice"),
                ));
            }
        }
        let missing: Vec<&str> =
            NEEDED.into_iter().filter(|name| !columns.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(InputError::new(
                format!("{file}:1"),
                format!(
                    "lacks the column `{}`; a run record has at least {}{}",
                    missing.join("`, `"),
                    NEEDED.join(", "),
                    if header.is_empty() { "; the file has no rows at all" } else { "" }
                ),
            ));
        }
        Ok(Columns(columns))
    }

    fn cells<'a>(&'a self, row: &'a StringRecord) -> Cells<'a> {
        Cells { columns: &self.0, row }
    }

    fn text<'a>(&'a self, row: &'a StringRecord, column: &str) -> Option<&'a str> {
        self.cells(row).text(column)
    }

    fn parse<T: FromStr>(
        &self,
        row: &StringRecord,
        column: &str,
        accepted: &str,
    ) -> Result<Option<T>, Fault>
    where
        T::Err: Display,
    {
        self.cells(row).parse(column).map_err(|why| {
            let separator = if accepted.is_empty() { "" } else { "; it takes " };
            (column.to_owned(), format!("{why}{separator}{accepted}"))
        })
    }

    /// A finite number that is not negative.
    fn number(&self, row: &StringRecord, column: &str) -> Result<Option<f64>, Fault> {
        let accepted = "a number that is not negative";
        match self.parse::<f64>(row, column, accepted)? {
            Some(value) if !(value.is_finite() && value >= 0.0) => {
                Err((column.to_owned(), format!("`{value}`: it takes {accepted}")))
            }
            other => Ok(other),
        }
    }

    fn needed<T>(&self, column: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| (column.to_owned(), "is empty, and needed".to_owned()))
    }

    /// The question that a row asks.
    ///
    /// # Errors
    /// The column at fault, what is wrong, and what is accepted.
    fn case(&self, row: &StringRecord) -> Result<Case, Fault> {
        let ms = |column: &str| -> Result<Option<SimTime>, Fault> {
            Ok(self.number(row, column)?.map(|ms| SimTime::from_secs_f64(ms / 1e3)))
        };
        let mib = |column: &str| -> Result<Option<Bytes>, Fault> {
            Ok(self.number(row, column)?.map(|mib| Bytes((mib * f64::from(1 << 20)) as u64)))
        };
        let flag = |column: &str| -> Result<Option<bool>, Fault> {
            match self.text(row, column) {
                None => Ok(None),
                Some("0") => Ok(Some(false)),
                Some("1") => Ok(Some(true)),
                Some(text) => {
                    Err((column.to_owned(), format!("`{}`: it takes 0 or 1", quoted(text))))
                }
            }
        };
        let whole = "a whole number";
        let mut keys = Keys::default();
        let (g, l, m) = (&mut keys.guest, &mut keys.link, &mut keys.migration);
        let memory: u64 = self.needed("memory_mib", self.parse(row, "memory_mib", whole)?)?;
        g.memory = Some(Bytes(memory.saturating_mul(1 << 20)).pages());
        // Absent or empty: all of it.
        g.touched = self.parse::<u64>(row, "touched_pages", whole)?.map(Pages);
        let mut workload = self.needed("workload", self.parse::<Workload>(row, "workload", "")?)?;
        if let Some(name) = self.text(row, "application") {
            if !is_name(name) {
                let why = format!("`{}`: it takes {NAMES}", quoted(name));
                return Err(("application".to_owned(), why));
            }
            workload.of_application(name);
        }
        g.workload = Some(workload);
        g.vcpus = self.parse(row, "vcpus", whole)?;
        // A record's guest is the lab's, which touches its memory from the front; a column of its
        // own may say otherwise.
        g.layout = Some(self.parse(row, "layout", "")?.unwrap_or(Layout::Front));
        g.zero_head = self.parse::<u64>(row, "zero_head_pages", whole)?.map(Pages);
        g.phase_offset = ms("phase_offset_ms")?;
        g.delta_bytes = self.parse(row, "delta_bytes", whole)?;
        let mbit = self.needed("link_mbit", self.number(row, "link_mbit")?)?;
        l.capacity = Some(BitRate((mbit * 1e6) as u64));
        l.rtt = self.number(row, "rtt_us")?.map(|us| SimTime::from_secs_f64(us / 1e6));
        l.send_buffer = self
            .number(row, "send_buffer_bytes")?
            .filter(|bytes| *bytes > 0.0)
            .map(|bytes| Bytes(bytes as u64));
        l.transport = self.parse(row, "transport", "")?;
        m.mode = Some(self.needed("mode", self.parse::<Mode>(row, "mode", "")?)?);
        m.qemu = self.parse(row, "qemu", "")?;
        m.downtime_limit = ms("downtime_limit_ms")?;
        m.bandwidth_cap = self
            .number(row, "bandwidth_cap_mib")?
            .filter(|mib| *mib > 0.0)
            .map(|mib| BitRate((mib * f64::from(8 << 20)) as u64));
        m.postcopy_bandwidth = self
            .number(row, "postcopy_bandwidth_mib")?
            .filter(|mib| *mib > 0.0)
            .map(|mib| BitRate((mib * f64::from(8 << 20)) as u64));
        m.auto_converge = flag("auto_converge")?;
        m.xbzrle = flag("xbzrle")?;
        m.multifd_channels = self.parse(row, "multifd_channels", whole)?;
        m.xbzrle_cache = mib("xbzrle_cache_mib")?;
        m.throttle = Some(ThrottleKeys {
            initial: self.parse(row, "throttle_initial", whole)?,
            increment: self.parse(row, "throttle_increment", whole)?,
            max: self.parse(row, "throttle_max", whole)?,
            trigger: self.parse(row, "throttle_trigger", whole)?,
        });
        m.postcopy_after_passes = self.parse(row, "postcopy_after_passes", whole)?;
        m.postcopy_after = ms("postcopy_after_ms")?;
        m.on_timeout = self.parse(row, "on_timeout", "")?;
        m.offline_files = self.number(row, "offline_files_bytes")?.map(|bytes| Bytes(bytes as u64));
        m.timeout = self.number(row, "timeout_s")?.filter(|s| *s > 0.0).map(SimTime::from_secs_f64);
        m.log_chunk = match self.text(row, "engine") {
            None | Some("kvm") => mib("log_chunk_mib")?,
            // Without KVM there is no log to be cleared lazily.
            Some("tcg") => Some(Bytes(0)),
            Some(other) => {
                return Err((
                    "engine".to_owned(),
                    format!("`{}`: it takes kvm or tcg", quoted(other)),
                ));
            }
        };
        Case::build(&keys).map_err(|error| {
            let column = match error.key {
                "memory" => "memory_mib",
                "touched" => "touched_pages",
                "capacity" => "link_mbit",
                "downtime_limit" => "downtime_limit_ms",
                "timeout" => "timeout_s",
                "xbzrle_cache" => "xbzrle_cache_mib",
                "log_chunk" => "log_chunk_mib",
                "rtt" => "rtt_us",
                "switch" => "postcopy_after_passes",
                "send_buffer" => "send_buffer_bytes",
                other => other,
            };
            (column.to_owned(), error.to_string())
        })
    }
}

/// The 50 % and the 90 % interval of a figure, ms, where there is one.
pub type Within = [Option<[f64; 2]>; 2];

/// What a predictor, ours or another, says of a run: what the columns of its measurements hold.
/// `None`: it does not speak of that figure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowPrediction {
    /// Whether it completes.
    pub completed: bool,
    /// The probability of that.
    pub p_converge: Option<f64>,
    /// libvirt's time_elapsed: here the total migration time, or when it was given up.
    pub elapsed_ms: Option<f64>,
    /// libvirt's downtime, where it completes.
    pub downtime_ms: Option<f64>,
    /// QEMU's transferred bytes.
    pub wire_bytes: Option<f64>,
    /// Non-zero pages sent.
    pub normal_pages: Option<f64>,
    /// Zero pages sent.
    pub zero_pages: Option<f64>,
    /// QEMU's dirty-sync-count.
    pub dirty_syncs: Option<f64>,
    /// Suspend, copy, resume.
    pub offline_ms: Option<[f64; 3]>,
    /// Where half of the total times are, and nine of ten.
    pub elapsed_within: Within,
    /// The same of downtimes.
    pub downtime_within: Within,
}

impl RowPrediction {
    /// Predicts a case.
    pub fn of(case: &Case, profile: &Profile, fidelity: Fidelity) -> RowPrediction {
        RowPrediction::mean(&commoner(runs(case, profile, fidelity)))
    }

    /// What a run that was made already says.
    pub fn of_run(run: &Outcome) -> RowPrediction {
        RowPrediction::mean(std::slice::from_ref(run))
    }

    /// Predicts a case; beside it the run that stands for the others.
    pub fn with_run(
        case: &Case,
        profile: &Profile,
        fidelity: Fidelity,
    ) -> (RowPrediction, Outcome) {
        let runs = commoner(runs(case, profile, fidelity));
        (RowPrediction::mean(&runs), median(runs))
    }

    /// The mean over runs that end alike.
    fn mean(runs: &[Outcome]) -> RowPrediction {
        let completed = runs.iter().all(Outcome::completed);
        let mean =
            |of: &dyn Fn(&Outcome) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
        let offline = runs.iter().all(|run| run.mode == Mode::Offline);
        RowPrediction {
            completed,
            elapsed_ms: Some(mean(&|run| run.ended_at.as_millis_f64())),
            downtime_ms: completed
                .then(|| mean(&|run| run.reported_downtime().map_or(0.0, SimTime::as_millis_f64))),
            wire_bytes: Some(mean(&|run| run.wire_bytes as f64)),
            normal_pages: Some(mean(&|run| run.normal_pages as f64)),
            zero_pages: Some(mean(&|run| run.zero_pages as f64)),
            dirty_syncs: (!offline).then(|| mean(&|run| run.dirty_syncs as f64)),
            offline_ms: (offline && completed).then(|| {
                [
                    mean(&|run| run.downtime_parts.suspend.as_millis_f64()),
                    mean(&|run| run.downtime_parts.copy.as_millis_f64()),
                    mean(&|run| run.downtime_parts.resume.as_millis_f64()),
                ]
            }),
            ..RowPrediction::default()
        }
    }

    /// The same with how sure it is.
    #[must_use]
    pub fn with(self, sure: Option<Quantiles>) -> RowPrediction {
        let times = sure.and_then(|sure| sure.times);
        let within = |of: fn(&Times) -> Percentiles| -> Within {
            let p = times.as_ref().map(of);
            [p.map(|p| [p.p25, p.p75]), p.map(|p| [p.p5, p.p95])]
        };
        RowPrediction {
            p_converge: sure.map(|sure| sure.p_converge),
            elapsed_within: within(|times| times.elapsed_ms),
            downtime_within: within(|times| times.reported_ms),
            ..self
        }
    }

    fn fields(&self) -> [String; 15] {
        let ms = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.3}"));
        let count = |value: Option<f64>| {
            value.map_or(String::new(), |value| format!("{:.0}", libm::round(value)))
        };
        let phases = self.offline_ms.map_or([None; 3], |p| p.map(Some));
        let [elapsed, downtime] = [self.elapsed_within[1], self.downtime_within[1]];
        [
            if self.completed { "completed" } else { "not-converged" }.to_owned(),
            ms(self.elapsed_ms),
            ms(self.downtime_ms),
            count(self.wire_bytes),
            count(self.normal_pages),
            count(self.zero_pages),
            count(self.dirty_syncs),
            ms(phases[0]),
            ms(phases[1]),
            ms(phases[2]),
            ms(elapsed.map(|[low, _]| low)),
            ms(elapsed.map(|[_, high]| high)),
            ms(downtime.map(|[low, _]| low)),
            ms(downtime.map(|[_, high]| high)),
            ms(self.p_converge),
        ]
    }
}

/// Columns that ask the question; runs that agree in all of them are repeats of one configuration.
const ASKED: [&str; 26] = [
    "mode",
    "engine",
    "guest",
    "transport",
    "congestion",
    "qemu",
    "vcpus",
    "memory_mib",
    "touched_pages",
    "layout",
    "zero_head_pages",
    "workload",
    "application",
    "phase_offset_ms",
    "delta_bytes",
    "link_mbit",
    "send_buffer_bytes",
    "bandwidth_cap_mib",
    "downtime_limit_ms",
    "auto_converge",
    "xbzrle",
    "multifd_channels",
    "log_chunk_mib",
    "timeout_s",
    "content",
    "fault",
];

/// A recorded run: the question that it answers, and what was measured. `None`: it was not.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The line of its row.
    pub line: u64,
    /// Its id.
    pub id: String,
    /// The series that it belongs to: runs on the same hosts in one go.
    pub campaign: String,
    /// What was asked, as one word: repeats have the same.
    pub configuration: String,
    /// The question.
    pub case: Case,
    /// Whether it completed; `None`: it failed.
    pub completed: Option<bool>,
    /// libvirt's time_elapsed, ms.
    pub elapsed_ms: Option<f64>,
    /// libvirt's downtime, ms.
    pub downtime_ms: Option<f64>,
    /// QEMU's transferred bytes.
    pub wire_bytes: Option<f64>,
    /// QEMU's dirty-sync-count.
    pub dirty_syncs: Option<f64>,
    /// Suspend, copy, resume, ms.
    pub offline_ms: Option<[f64; 3]>,
    /// From the call to QEMU's start of the migration, ms.
    pub prepare_ms: Option<f64>,
    /// Whether something else kept the host from its work: by [`Disturbance::default`], unless a
    /// caller has judged by another.
    pub disturbed: bool,
    /// Processors' worth of unrelated work.
    pub background_cpu: Option<f64>,
    /// Processors' worth of time that a hypervisor below the host took away, which is part of the
    /// unrelated work.
    pub steal_cpu: Option<f64>,
    /// Processors that the host has.
    pub host_cpus: Option<f64>,
    /// Share of the run in which some task waited for a processor, 0 to 1.
    pub cpu_pressure: Option<f64>,
    /// Of guests moved at the same time over the same link: what they share, and when this one was
    /// asked for.
    pub together: Option<(String, SimTime)>,
}

/// When unrelated work disturbs a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Disturbance {
    /// Unrelated work above this share of the host's processors, 0 to 1.
    pub above: f64,
}

impl Default for Disturbance {
    /// 10 %: 0.2 processors of a machine of two.
    fn default() -> Self {
        Disturbance { above: 0.1 }
    }
}

/// Why a run does not count, where [`Observation::disturbed`].
pub const DISTURBED: &str = "disturbed by other work on the machine";
/// Where so little of the time some task waits for a processor, there are enough for everyone,
/// however busy they are.
const AT_EASE: f64 = 0.05;
/// Processors of the hosts of records that do not say it.
const PROCESSORS: f64 = 2.0;

impl Disturbance {
    /// Whether something else kept the host from its work: unrelated work, unless the kernel says
    /// that hardly anything waited for a processor; or a hypervisor below that took processors
    /// away, of which the kernel's account of waiting does not know.
    pub fn is_in(&self, run: &Observation) -> bool {
        let most = self.above * run.host_cpus.unwrap_or(PROCESSORS);
        let at_ease = run.cpu_pressure.is_some_and(|pressure| pressure < AT_EASE);
        let over = |cpu: Option<f64>| cpu.is_some_and(|cpu| cpu > most);
        over(run.steal_cpu) || !at_ease && over(run.background_cpu)
    }
}

/// Reads a file of recorded runs. Rows that cannot be read are returned beside them.
///
/// # Errors
/// The file cannot be used at all.
pub fn observations(
    file: &str,
    input: impl Read,
) -> Result<(Vec<Observation>, Vec<RowError>), InputError> {
    let unusable = |e: &dyn Display| InputError::new(file, e);
    let (mut reader, taken) = Rows::reader(input);
    let header = reader.headers().map_err(|e| unusable(&e))?.clone();
    let columns = Columns::new(file, &header)?;
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = row.map_err(|e| unusable(&e))?;
        taken();
        let line = row.position().map_or(0, csv::Position::line);
        match observation(&columns, &row, line, header.len()) {
            Ok(observation) => found.push(observation),
            Err((column, reason)) => {
                errors.push(RowError { file: file.to_owned(), line, column, reason });
            }
        }
    }
    if found.is_empty() && errors.is_empty() {
        return Err(no_rows(file));
    }
    Ok((found, errors))
}

/// What is wrong with a file of a header alone.
pub fn no_rows(file: &str) -> InputError {
    InputError::new(file, "has no rows; a run record has one for each migration")
}

/// Refuses a row that has lost fields, or has too many.
fn whole(row: &StringRecord, width: usize) -> Result<(), Fault> {
    if row.len() == width {
        return Ok(());
    }
    Err(("(all)".to_owned(), uneven(row.len(), width)))
}

fn observation(
    columns: &Columns,
    row: &StringRecord,
    line: u64,
    width: usize,
) -> Result<Observation, Fault> {
    whole(row, width)?;
    let number = |column: &str| columns.number(row, column);
    let completed = match columns.text(row, "outcome") {
        Some("completed") => Some(true),
        Some("not-converged") => Some(false),
        Some("failed") => None,
        // A row that says how long it took has completed.
        None => number("elapsed_ms")?.map(|_| true),
        Some(other) => {
            let what = format!("`{}`: it takes completed, not-converged or failed", quoted(other));
            return Err(("outcome".to_owned(), what));
        }
    };
    let offline = [number("suspend_ms")?, number("copy_ms")?, number("resume_ms")?];
    let mut found = Observation {
        line,
        id: columns.text(row, "id").unwrap_or("").to_owned(),
        campaign: columns.text(row, "campaign").unwrap_or("").to_owned(),
        configuration: ASKED.map(|column| columns.text(row, column).unwrap_or("")).join("|"),
        case: columns.case(row)?,
        completed,
        elapsed_ms: number("elapsed_ms")?,
        downtime_ms: number("downtime_ms")?,
        wire_bytes: number("wire_bytes")?,
        dirty_syncs: number("rounds")?,
        offline_ms: match offline {
            [Some(suspend), Some(copy), Some(resume)] => Some([suspend, copy, resume]),
            _ => None,
        },
        prepare_ms: number("prepare_ms")?,
        background_cpu: number("background_cpu")?,
        steal_cpu: number("steal_cpu")?,
        host_cpus: number("host_cpus")?,
        cpu_pressure: number("cpu_pressure")?,
        disturbed: false,
        together: match columns.text(row, "group") {
            Some(group) => {
                let began = SimTime::from_secs_f64(number("began_ms")?.unwrap_or(0.0) / 1e3);
                Some((format!("{} {group}", columns.text(row, "campaign").unwrap_or("")), began))
            }
            None => None,
        },
    };
    found.disturbed = Disturbance::default().is_in(&found);
    Ok(found)
}

/// Numbers of which quantiles are wanted: all of them, or a random sample of many.
#[derive(Debug, Clone)]
struct Sample {
    values: Vec<f64>,
    seen: usize,
    rng: ChaCha8Rng,
}

impl Sample {
    fn new() -> Sample {
        Sample { values: Vec::new(), seen: 0, rng: ChaCha8Rng::seed_from_u64(0) }
    }

    /// Reservoir sampling (Vitter 1985, algorithm R).
    fn push(&mut self, value: f64) {
        self.seen += 1;
        if self.values.len() < SAMPLE {
            self.values.push(value);
        } else {
            let at = self.rng.random_range(0..self.seen);
            if let Some(slot) = self.values.get_mut(at) {
                *slot = value;
            }
        }
    }

    fn quantile(&self, p: f64) -> f64 {
        Data::new(self.values.clone()).quantile(p)
    }
}

/// Errors of the predictions of one mode, where rows hold measurements.
#[derive(Debug, Clone)]
struct ModeErrors {
    elapsed: Sample,
    downtime_ms: Sample,
    wire: Sample,
    dirty_syncs: [usize; 3],
    verdicts: [usize; 4],
}

/// A summary of errors over a file.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Rows predicted.
    pub predicted: usize,
    /// Rows that could not be read.
    pub failed: usize,
    /// QEMU's, of the rows that were predicted.
    pub versions: BTreeSet<Version>,
    by_mode: BTreeMap<String, ModeErrors>,
}

impl Summary {
    fn add(
        &mut self,
        columns: &Columns,
        row: &StringRecord,
        asked: &Policy,
        prediction: &RowPrediction,
    ) {
        self.predicted += 1;
        self.versions.insert(asked.qemu);
        let measured = |column: &str| columns.number(row, column).ok().flatten();
        let outcome = columns.text(row, "outcome");
        let elapsed = measured("elapsed_ms").filter(|ms| *ms > 0.0);
        if outcome.is_none() && elapsed.is_none() {
            return;
        }
        let errors = self.by_mode.entry(asked.mode.to_string()).or_insert_with(|| ModeErrors {
            elapsed: Sample::new(),
            downtime_ms: Sample::new(),
            wire: Sample::new(),
            dirty_syncs: [0; 3],
            verdicts: [0; 4],
        });
        let completed = match outcome {
            Some("completed") | None => true,
            Some("not-converged") => false,
            Some(_) => return,
        };
        errors.verdicts[usize::from(!completed) * 2 + usize::from(!prediction.completed)] += 1;
        if !completed || !prediction.completed {
            return;
        }
        if let (Some(said), Some(ms)) = (prediction.elapsed_ms, elapsed) {
            errors.elapsed.push((said / ms - 1.0).abs());
        }
        if let (Some(a), Some(b)) = (prediction.downtime_ms, measured("downtime_ms")) {
            errors.downtime_ms.push((a - b).abs());
        }
        let bytes = measured("wire_bytes").filter(|bytes| *bytes > 0.0);
        if let (Some(said), Some(bytes)) = (prediction.wire_bytes, bytes) {
            errors.wire.push((said / bytes - 1.0).abs());
        }
        if let (Some(a), Some(b)) = (prediction.dirty_syncs, measured("rounds")) {
            let off = (libm::round(a) - b).abs();
            errors.dirty_syncs[if off < 0.5 { 0 } else { 1 + usize::from(off > 1.5) }] += 1;
        }
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows predicted", self.predicted)?;
        if self.failed > 0 {
            write!(f, ", {} could not be read", self.failed)?;
        }
        for (mode, e) in &self.by_mode {
            let [both, early, late, neither] = e.verdicts;
            write!(
                f,
                "\n{mode}: {} measured; verdict right in {}, predicted not to converge but did {early}, predicted to but did not {late}",
                both + early + late + neither,
                both + neither
            )?;
            let line = |f: &mut fmt::Formatter<'_>,
                        name: &str,
                        s: &Sample,
                        scale: f64,
                        unit: &str| {
                if s.values.is_empty() {
                    return Ok(());
                }
                let q = |p| s.quantile(p) * scale;
                write!(
                    f,
                    "\n  {name:<12} median {:>7.2}{unit}  90 % {:>7.2}{unit}  worst {:>7.2}{unit}",
                    q(0.5),
                    q(0.9),
                    q(1.0)
                )
            };
            line(f, "total time", &e.elapsed, 100.0, " %")?;
            line(f, "downtime", &e.downtime_ms, 1.0, " ms")?;
            line(f, "wire bytes", &e.wire, 100.0, " %")?;
            let [exact, one, more] = e.dirty_syncs;
            if exact + one + more > 0 {
                write!(f, "\n  dirty syncs  exact {exact}, off by one {one}, by more {more}")?;
            }
        }
        Ok(())
    }
}

/// How a file of records was gone through.
#[derive(Debug)]
pub struct Report {
    /// Errors of the predictions.
    pub summary: Summary,
    /// Whether it was interrupted: what was written so far is whole rows.
    pub interrupted: bool,
}

/// How a file of records is to be gone through.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// What errors call the file.
    pub file: &'a str,
    /// Between which hosts.
    pub between: &'a Between,
    /// How guests' memory is kept.
    pub fidelity: Fidelity,
    /// Whether it is said how sure each prediction is: some sixty times the work.
    pub intervals: bool,
    /// Which rows or lines are its own, from 0 on; `None`: all.
    pub own: Option<Range<u64>>,
    /// Raised when the work is to end after the current batch.
    pub interrupted: &'a AtomicBool,
}

impl Job<'_> {
    /// Whether the row of that number is one of its own.
    fn is_own(&self, row: u64) -> bool {
        self.own.as_ref().is_none_or(|own| own.contains(&row))
    }

    /// How sure an answer is, where that is asked.
    pub fn sure(&self, hosts: &Hosts, case: &Case, run: &Outcome) -> Option<Quantiles> {
        let draws = self.intervals.then(|| hosts.draws()).flatten()?;
        draws.quantiles(case, &hosts.profile, run)
    }
}

/// How many rows a file of run records has.
///
/// # Errors
/// It cannot be read.
pub fn count_records(file: &str, input: impl Read) -> Result<u64, InputError> {
    let (mut reader, taken) = Rows::reader(input);
    let (mut row, mut count) = (StringRecord::new(), 0);
    while reader.read_record(&mut row).map_err(|e| InputError::new(file, e))? {
        taken();
        count += 1;
    }
    Ok(count)
}

/// Predicts every row of `input` and writes it with its predictions to `output`, in order.
///
/// Rows that cannot be read are reported to `complain` and left out. `progress` hears how many
/// bytes of the input are done.
///
/// # Errors
/// The input cannot be used at all, or the output cannot be written.
pub fn predict_records(
    job: &Job,
    input: impl Read,
    output: impl Write,
    mut complain: impl FnMut(&RowError),
    mut progress: impl FnMut(u64),
) -> Result<Report, InputError> {
    let (file, interrupted) = (job.file, job.interrupted);
    let unusable = |e: &dyn Display| InputError::new(file, e);
    let (mut reader, taken) = Rows::reader(input);
    let header = reader.headers().map_err(|e| unusable(&e))?.clone();
    let columns = Columns::new(file, &header)?;
    let mut writer = csv::Writer::from_writer(output);
    let write = |e: csv::Error| InputError::unwritten(e);
    let mut summary = Summary::default();
    let mut batch: Vec<StringRecord> = Vec::with_capacity(BATCH);
    let mut wrote_header = false;
    let mut number = 0;
    let names = header.iter().chain(PREDICTED);
    if job.own.is_some() {
        // A part has its header whether or not it has rows.
        writer.write_record(names.clone()).map_err(write)?;
        wrote_header = true;
    }
    loop {
        batch.clear();
        while batch.len() < BATCH {
            let mut row = StringRecord::new();
            match reader.read_record(&mut row) {
                Ok(true) => {
                    taken();
                    if job.is_own(number) {
                        batch.push(row);
                    }
                    number += 1;
                }
                Ok(false) => break,
                Err(e) => return Err(unusable(&e)),
            }
        }
        if batch.is_empty() || interrupted.load(Ordering::Relaxed) {
            break;
        }
        if !wrote_header {
            writer.write_record(names.clone()).map_err(write)?;
            wrote_header = true;
        }
        let answers: Vec<Result<(Policy, RowPrediction), RowError>> =
            batch.par_iter().map(|row| answer(job, &columns, header.len(), row)).collect();
        for (row, answer) in batch.iter().zip(answers) {
            match answer {
                Ok((asked, prediction)) => {
                    summary.add(&columns, row, &asked, &prediction);
                    let fields = prediction.fields();
                    let fields = row.iter().chain(fields.iter().map(String::as_str));
                    writer
                        .write_record(fields.map(|cell| harmless(&crate::input::shown(cell))))
                        .map_err(write)?;
                }
                Err(error) => {
                    summary.failed += 1;
                    complain(&error);
                }
            }
        }
        progress(reader.position().byte());
    }
    if !wrote_header && !interrupted.load(Ordering::Relaxed) {
        return Err(no_rows(file));
    }
    writer.flush().map_err(InputError::unwritten)?;
    Ok(Report { summary, interrupted: interrupted.load(Ordering::Relaxed) })
}

fn answer(
    job: &Job,
    columns: &Columns,
    width: usize,
    row: &StringRecord,
) -> Result<(Policy, RowPrediction), RowError> {
    let line = row.position().map_or(0, csv::Position::line);
    let place =
        |(column, reason): Fault| RowError { file: job.file.to_owned(), line, column, reason };
    whole(row, width).map_err(place)?;
    let case = columns.case(row).map_err(place)?;
    job.fidelity.check(&case.guest).map_err(|why| place(("memory_mib".to_owned(), why)))?;
    let hosts = job.between.over(case.path.capacity);
    let (prediction, run) = RowPrediction::with_run(&case, &hosts.profile, job.fidelity);
    let prediction = prediction.with(job.sure(hosts, &case, &run));
    Ok((case.policy, prediction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_host_with_processors_to_spare_disturbs_nothing() {
        let header = "id,mode,memory_mib,touched_pages,workload,link_mbit,outcome,elapsed_ms,background_cpu,host_cpus,cpu_pressure,steal_cpu\n";
        let disturbed = |work: &str, above: f64| {
            let commas = ",".repeat(3 - work.matches(',').count());
            let file = format!("{header}a,precopy,64,0,idle,100,completed,900,{work}{commas}\n");
            let (runs, errors) = observations("a test", file.as_bytes()).unwrap();
            assert_eq!(errors, []);
            Disturbance { above }.is_in(&runs[0])
        };
        for (work, above, expected) in [
            // What earlier records say: of two processors.
            ("0.19,,", 0.1, false),
            ("0.21,,", 0.1, true),
            // A server of 64 with tenants: 30 of them work, and nobody waits.
            ("30,64,0.01", 0.1, false),
            ("30,64,0.2", 0.1, true),
            ("30,64,", 0.1, true),
            ("30,64,0.2", 0.5, false),
            ("6,64,0.2", 0.1, false),
            // Taken away from below: nobody here is seen to wait.
            ("0.5,2,0.01,0.5", 0.1, true),
        ] {
            assert_eq!(disturbed(work, above), expected, "{work} above {above}");
        }
    }
}
