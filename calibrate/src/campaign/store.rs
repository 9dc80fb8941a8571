//! A campaign's folder: runs.csv, a row a run; samples.jsonl, all that was seen of each; plan.toml;
//! manifest.toml.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use migsim_report::file::{Care, Output};
use serde::{Deserialize, Serialize};

use crate::hosts::replay::Trace;
use crate::reach::Reach;
use crate::record::{Record, now};

/// Where and with what a campaign was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Manifest {
    /// The campaign's name.
    pub campaign: String,
    /// When it began, UTC.
    pub began: String,
    /// When its last run so far ended, UTC.
    pub ended: String,
    /// How many runs it has.
    pub runs: usize,
    /// The project's version.
    pub migcal: String,
    /// The project's commit.
    pub commit: String,
    /// QEMU's version at the source.
    pub qemu: String,
    /// libvirt's.
    pub libvirt: String,
    /// Each host's kernel, processors and memory.
    pub hosts: Vec<HostFacts>,
}

/// A host, as a manifest knows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// `source` or `destination`.
    pub side: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's name.
    pub cpu: String,
    /// How many.
    pub cpus: String,
    /// RAM, MiB.
    pub memory_mib: u64,
}

impl std::fmt::Display for HostFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HostFacts { side, kernel, cpu, cpus, memory_mib } = self;
        write!(f, "{side}: {cpu}, {cpus} processors, {memory_mib} MiB, Linux {kernel}")
    }
}

impl HostFacts {
    /// Looks a host up.
    pub fn of(side: &str, reach: &Reach) -> HostFacts {
        let ask = |script: &str| {
            reach.run(&["sh", "-c", script]).map(|t| t.trim().to_owned()).unwrap_or_default()
        };
        HostFacts {
            side: side.to_owned(),
            kernel: ask("uname -r"),
            cpu: ask("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1"),
            cpus: ask("nproc"),
            memory_mib: ask("sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo")
                .parse::<u64>()
                .unwrap_or(0)
                >> 10,
        }
    }
}

/// The folder of a campaign, open for more runs.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    known: BTreeSet<String>,
    rows: csv::Writer<File>,
    samples: File,
    /// What is written to manifest.toml after each run.
    pub manifest: Manifest,
}

impl Store {
    /// Opens a folder for the campaign of this plan; a new one is made. What a crash left
    /// half-written is cut off, and rows that an earlier version wrote get the columns that
    /// have come since, empty.
    ///
    /// # Errors
    /// The folder belongs to another plan, has columns that are not known here, or cannot be
    /// written.
    pub fn open(folder: &Path, plan: &str) -> anyhow::Result<Store> {
        let place = |name: &str| folder.join(name);
        let show = |path: &Path| path.display().to_string();
        fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be created", show(folder)))?;
        match fs::read_to_string(place("plan.toml")) {
            Ok(known) if known != plan => {
                bail!(
                    "{}: holds runs of another plan (see its plan.toml); give this one another --out",
                    show(folder)
                )
            }
            Ok(_) => {}
            Err(_) if place("runs.csv").exists() => {
                bail!(
                    "{}: has runs.csv and no plan.toml; give the campaign another --out",
                    show(folder)
                )
            }
            Err(_) => fs::write(place("plan.toml"), plan)
                .with_context(|| format!("{}: cannot be written", show(&place("plan.toml"))))?,
        }
        cut_torn_line(&place("runs.csv"))?;
        cut_torn_line(&place("samples.jsonl"))?;
        let known = known_rows(&place("runs.csv"))?;
        keep_samples_of(&place("samples.jsonl"), &known)?;
        let append = |name: &str| -> anyhow::Result<File> {
            let path = place(name);
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("{}: cannot be written", show(&path)))
        };
        let file = append("runs.csv")?;
        let empty = file.metadata()?.len() == 0;
        let rows = csv::WriterBuilder::new().has_headers(empty).from_writer(file);
        let manifest = fs::read_to_string(place("manifest.toml"))
            .ok()
            .and_then(|t| toml::from_str(&t).ok())
            .unwrap_or_default();
        Ok(Store {
            rows,
            samples: append("samples.jsonl")?,
            known,
            manifest,
            folder: folder.to_owned(),
        })
    }

    /// Whether a run has been made.
    pub fn has(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// How many runs there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Writes a run down.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, record: &Record, trace: &Trace) -> anyhow::Result<()> {
        // The row comes last: a run is known when all of it is there.
        let mut line = serde_json::to_string(trace)?;
        line.push('\n');
        self.samples.write_all(line.as_bytes()).context("samples.jsonl cannot be written")?;
        self.rows.serialize(record).context("runs.csv cannot be written")?;
        self.rows.flush().context("runs.csv cannot be written")?;
        self.known.insert(record.id.clone());
        self.manifest.runs = self.known.len();
        self.manifest.ended = now();
        self.write_manifest()
    }

    /// Writes manifest.toml, whole.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_manifest(&self) -> anyhow::Result<()> {
        whole(&self.folder.join("manifest.toml"), &toml::to_string(&self.manifest)?)
    }
}

/// Writes a file of the campaign's own, whole.
fn whole(place: &Path, text: &str) -> anyhow::Result<()> {
    Output::create(place, Care::default())?.write(text.as_bytes())
}

/// A crash in the middle of a line leaves it without its end.
fn cut_torn_line(path: &Path) -> anyhow::Result<()> {
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        OpenOptions::new().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(())
}

/// The runs that have a row. Their file has this version's columns afterwards: rows that follow
/// would not fit under others.
fn known_rows(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    if !path.exists() {
        return Ok(BTreeSet::new());
    }
    let mut reader = csv::Reader::from_path(path)?;
    let header = reader.headers()?.clone();
    let rows: Vec<Record> = reader
        .deserialize()
        .map(|row| row.with_context(|| format!("{}: a row cannot be read", path.display())))
        .collect::<anyhow::Result<_>>()?;
    let own = csv::Reader::from_reader(as_csv(&[Record::default()])?.as_bytes()).headers()?.clone();
    if let Some(foreign) = header.iter().find(|column| !own.iter().any(|known| known == *column)) {
        let path = path.display();
        bail!(
            "{path}: has a column `{foreign}` that this version does not write; give the campaign another --out"
        );
    }
    if header != own {
        whole(path, &as_csv(&rows)?)?;
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

fn as_csv(rows: &[Record]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Samples of a run whose row was never written are of no use: it is made again.
fn keep_samples_of(path: &Path, known: &BTreeSet<String>) -> anyhow::Result<()> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| serde_json::from_str::<Id>(line).is_ok_and(|of| known.contains(&of.id)))
        .collect();
    if kept.len() < text.lines().count() {
        let text: String = kept.iter().flat_map(|line| [*line, "\n"]).collect();
        whole(path, &text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> (Record, Trace) {
        (
            Record { id: id.to_owned(), ..Record::default() },
            Trace { id: id.to_owned(), ..Trace::default() },
        )
    }

    #[test]
    fn a_campaign_goes_on_after_a_crash_in_the_middle_of_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), "plan").unwrap();
        for id in ["a", "b"] {
            let (record, trace) = run(id);
            store.add(&record, &trace).unwrap();
        }
        drop(store);
        let rows = folder.path().join("runs.csv");
        let text = fs::read_to_string(&rows).unwrap();
        fs::write(&rows, &text[..text.len() - 5]).unwrap();
        let mut store = Store::open(folder.path(), "plan").unwrap();
        assert!(store.has("a") && !store.has("b"));
        let (record, trace) = run("b");
        store.add(&record, &trace).unwrap();
        drop(store);
        assert_eq!(fs::read_to_string(&rows).unwrap(), text);
        assert_eq!(
            fs::read_to_string(folder.path().join("samples.jsonl")).unwrap().lines().count(),
            2
        );
    }

    #[test]
    fn rows_of_an_earlier_version_get_the_columns_that_have_come_since() {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("runs.csv");
        fs::write(folder.path().join("plan.toml"), "plan").unwrap();
        fs::write(&rows, "id,mode,vcpus,memory_mib,elapsed_ms\na,precopy,1,512,9000.5\n").unwrap();
        let mut store = Store::open(folder.path(), "plan").unwrap();
        let (record, trace) = run("b");
        store.add(&record, &trace).unwrap();
        drop(store);
        let read: Vec<Record> =
            csv::Reader::from_path(&rows).unwrap().deserialize().map(Result::unwrap).collect();
        let first = Record {
            mode: "precopy".into(),
            vcpus: 1,
            memory_mib: 512,
            elapsed_ms: Some(9000.5),
            ..run("a").0
        };
        assert_eq!(read, [first, record]);
    }

    #[test]
    fn columns_that_somebody_added_are_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("runs.csv");
        fs::write(folder.path().join("plan.toml"), "plan").unwrap();
        fs::write(&rows, "id,mode,rack\na,precopy,7\n").unwrap();
        let error = Store::open(folder.path(), "plan").unwrap_err().to_string();
        assert!(error.contains("`rack`"), "{error}");
        assert!(fs::read_to_string(&rows).unwrap().contains("rack"));
    }

    #[test]
    fn a_folder_of_another_plan_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path(), "one").unwrap();
        let error = Store::open(folder.path(), "another").unwrap_err().to_string();
        assert!(error.contains("another plan"), "{error}");
    }
}
