//! `migsim inventory import` and `migsim records import`: what other tools write.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use migsim::answer::{Answer, Understood, shape};
use migsim::engine::Fidelity;
use migsim::input::{Case, InputError, Keys, Mistakes, Scenario};
use migsim::record::{Against, AgainstAnswer, compared, ends_in, question_columns};
use migsim_import::{FleetFiles, FoundRun, Given, Site, Source, Use, recognise, runs};
use migsim_models::units::{BitRate, Bytes};
use migsim_models::workload::Workload;
use migsim_report::file::{Care, Output};
use migsim_report::outputs::OutputArgs;
use migsim_report::terminal::SOME_FAILED;
use migsim_report::{against, terminal};

use super::ManagerArg;
use crate::keys::KeyFlags;

/// `migsim inventory import`.
#[derive(Debug, Args)]
#[command(after_help = INVENTORY_EXAMPLES)]
pub(super) struct InventoryArgs {
    /// Files of RVTools, virsh, openstack, kubectl, Proxmox, or sheets of one's own; what they say
    /// of the same guests and hosts is put together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The folder for fleet.toml, hosts.csv and guests.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What reports call the fleet [default: as the folder is called]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Hosts that are emptied, like 'esx01,esx02' or 'old*'
    #[arg(long, value_name = "HOST,...", value_delimiter = ',')]
    off: Vec<String>,
    /// Hosts that take the guests in [default: all others that are in use]
    #[arg(long, value_name = "HOST,...", value_delimiter = ',')]
    to: Vec<String>,
    /// Guests that stay where they are
    #[arg(long, value_name = "GUEST,...", value_delimiter = ',')]
    except: Vec<String>,
    /// Each host's network card, where no file says it, like 10GbE
    #[arg(long, value_name = "RATE")]
    nic: Option<BitRate>,
    /// Each host's memory, where no file says it
    #[arg(long, value_name = "SIZE")]
    host_memory: Option<Bytes>,
    /// Each host's cores, where no file says it
    #[arg(long, value_name = "N", value_parser = cores)]
    host_cores: Option<f64>,
    /// The host that files of virsh are from, which do not say it [default: their folder's name]
    #[arg(long, value_name = "HOST")]
    on: Option<String>,
    /// What guests write of which no file says it [default: app:linux-idle]
    #[arg(long, value_name = "NOTATION")]
    workload: Option<Workload>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

const INVENTORY_EXAMPLES: &str = "\
Examples:
  migsim inventory import RVTools_tabvInfo.csv RVTools_tabvHost.csv --nic 25GbE --off 'esx01*' --out rack
  migsim inventory import kvm01/*.xml kvm01/nodeinfo.txt kvm02/nodeinfo.txt --nic 10GbE --off kvm01 --out rack
  kubectl get vmi,nodes -A -o json > site.json; migsim inventory import site.json --nic 10GbE --out rack";

/// `migsim records import`.
#[derive(Debug, Args)]
#[command(after_help = RECORDS_EXAMPLES)]
pub(super) struct RecordsArgs {
    /// Files of virsh domjobinfo, query-migrate, info migrate, or logs of Proxmox, Nova and
    /// KubeVirt; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the run records go [default: standard output]
    #[arg(long, value_name = "RUNS.csv")]
    out: Option<PathBuf>,
    /// Say what is predicted beside what was measured, and when a migration that is under way
    /// ends; the question is that of a scenario, where one is given, and else as far as the files
    /// tell it
    #[arg(long, value_name = "SAVED.toml", num_args = 0..=1)]
    against: Option<Option<PathBuf>>,
    #[command(flatten)]
    outputs: OutputArgs,
    /// Parameters of the two hosts, from a file or by name (see `migsim profile`) [default:
    /// servers of the link's class]
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    manager: ManagerArg,
    #[command(flatten)]
    keys: KeyFlags,
}

const RECORDS_EXAMPLES: &str = "\
Examples:
  virsh domjobinfo db1 > db1.txt; migsim records import db1.txt --against
  migsim records import task.log --link 10GbE --workload app:linux-idle --against
  migsim records import runs/*.json --link 25GbE --workload 'dirty(2000p/s)' --out runs.csv";

fn cores(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(cores) if cores > 0.0 && cores <= 1e6 => Ok(cores),
        _ => Err("it takes a number above zero, as 64".to_owned()),
    }
}

pub(super) fn inventory(args: &InventoryArgs) -> anyhow::Result<ExitCode> {
    let folder = args.out.file_name().map(|name| name.to_string_lossy().into_owned());
    let given = Given {
        name: args.name.clone().or(folder).unwrap_or_else(|| "fleet".to_owned()),
        nic: args.nic,
        host_memory: args.host_memory,
        host_cores: args.host_cores,
        on: args.on.clone(),
        off: args.off.clone(),
        to: args.to.clone(),
        except: args.except.clone(),
        workload: args.workload.as_ref().map(Workload::to_string),
    };
    let mut site = Site::new(&given);
    let mut mistakes = Vec::new();
    for file in &args.files {
        let read = Source::read(file).map_err(Mistakes::from);
        if let Err(Mistakes(more)) = read.and_then(|source| site.add(&source)) {
            mistakes.extend(more);
        }
    }
    Mistakes(mistakes).or(())?;
    let names = ["hosts.csv", "guests.csv"];
    let FleetFiles { fleet, hosts, guests, notes } = site.finish(&given, names)?;
    std::fs::create_dir_all(&args.out)
        .map_err(|why| InputError::new(args.out.display().to_string(), why))?;
    let inputs: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    let care = Care { inputs: &inputs, edited: true, force: args.force };
    let create = |name: &str| Output::create(&args.out.join(name), care);
    let files = [create(names[0])?, create(names[1])?, create("fleet.toml")?];
    for (file, text) in files.into_iter().zip([hosts, guests, fleet]) {
        file.write(text.as_bytes())?;
    }
    for note in notes {
        terminal::complain(&note);
    }
    let file = args.out.join("fleet.toml");
    // What a fleet cannot be is told now, not when it is moved.
    if let Err(Mistakes(found)) = migsim::fleet::read(&file) {
        terminal::complain(&format!("written, but not yet a fleet:\n{}", Mistakes(found)));
        return Ok(ExitCode::from(SOME_FAILED));
    }
    let then = match args.off.is_empty() {
        true => "which hosts are emptied is still to be said, in `off` of its [moves] or by --off"
            .to_owned(),
        false => format!("`migsim fleet {}` moves it", file.display()),
    };
    terminal::print(&format!("{}: {then}\n", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// An error of a file, or where the file belongs if it is one of another tool. What can be read
/// but once, like a pipe, is not read again for it.
pub(super) fn or_foreign(file: &Path, error: impl Into<anyhow::Error>) -> anyhow::Error {
    let foreign = || -> Option<InputError> {
        let source = file.is_file().then(|| Source::read(file).ok())??;
        let kind = recognise(&source)?;
        let is_foreign = !matches!(kind.used_by(), Use::Other(_));
        is_foreign.then(|| InputError::new(source.place, kind.belongs()))
    };
    foreign().map_or_else(|| error.into(), Into::into)
}

/// A scenario from a file, where there is one, and flags.
pub(super) fn scenario(file: Option<&Path>, flags: &Keys) -> anyhow::Result<Scenario> {
    Scenario::asked(file, flags).map_err(|error| match file {
        Some(file) => or_foreign(file, error),
        None => error.into(),
    })
}

/// A migration of a file with the question that it answers.
struct Asked {
    run: FoundRun,
    keys: Keys,
    case: Case,
    /// What is not in the file.
    assumed: Vec<String>,
}

pub(super) fn records(args: &RecordsArgs) -> anyhow::Result<ExitCode> {
    if args.against.is_none() && args.outputs.is_given() {
        let why = "go with --against; run records are CSV, and go to --out";
        return Err(InputError::new("--format and --export", why).into());
    }
    let saved = args.against.iter().flatten().next();
    let saved = saved.map(|file| Scenario::read(file, &Keys::default())).transpose()?;
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for file in &args.files {
        match Source::read(file).map_err(Mistakes::from).and_then(|source| runs(&source)) {
            Ok(more) => found.extend(more),
            Err(Mistakes(more)) => mistakes.extend(more),
        }
    }
    let mut asked = Vec::new();
    for run in found {
        match question(args, saved.as_ref(), run) {
            Ok(one) => asked.push(one),
            Err(Mistakes(more)) => mistakes.extend(more),
        }
    }
    Mistakes(mistakes).or(())?;
    let inputs: Vec<&Path> = args.files.iter().map(PathBuf::as_path).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let table = args.out.as_ref().map(|file| Output::create(file, care)).transpose()?;
    if args.against.is_some() {
        compare(args, &asked, care)?;
    } else {
        for one in &asked {
            for note in one
                .assumed
                .iter()
                .map(|what| format!("assumed: {what}"))
                .chain(one.run.notes.clone())
            {
                terminal::complain(&format!("{}: {note}", one.run.place));
            }
            if one.run.under_way.is_some() {
                terminal::complain(&format!(
                    "{}: is under way: it has no outcome yet; --against says when it ends",
                    one.run.place
                ));
            }
        }
    }
    match table {
        Some(table) => table.write(&csv_of(&asked)?)?,
        None if args.against.is_none() => terminal::print(&String::from_utf8(csv_of(&asked)?)?)?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The question of a run: flags go over a saved scenario, that over what the file tells.
fn question(
    args: &RecordsArgs,
    saved: Option<&Scenario>,
    run: FoundRun,
) -> Result<Asked, Mistakes> {
    let wrong = |why: String| Mistakes::from(InputError::new(&run.place, why));
    let saved = match saved.map(|scenario| scenario.keys().collect::<Vec<_>>()) {
        None => Keys::default(),
        Some(guests) => {
            match guests.iter().find(|keys| keys.guest.name.as_deref() == Some(&run.name)) {
                Some(keys) => (*keys).clone(),
                None if guests.len() == 1 => guests[0].clone(),
                None => {
                    return Err(wrong(format!(
                        "the scenario has {} guests, none called {}",
                        guests.len(),
                        run.name
                    )));
                }
            }
        }
    };
    let given = args.keys.0.over(&saved);
    let mut keys = given.over(&run.keys);
    keys.guest.name.get_or_insert_with(|| run.name.clone());
    let mut missing = Vec::new();
    if keys.guest.memory.is_none() {
        missing.push("the guest's memory: give --memory, like --memory 16GiB");
    }
    if keys.link.capacity.is_none() {
        missing.push("the link: give --link, like --link 10Gbit/s");
    }
    if keys.guest.workload.is_none() {
        missing.push("what the guest writes: give --workload, like --workload 'dirty(2000p/s)', or app:linux-idle if it does little");
    }
    if !missing.is_empty() {
        let told =
            missing.iter().map(|what| InputError::new(&run.place, format!("does not tell {what}")));
        return Err(Mistakes(told.collect()));
    }
    let is_given = |what: &str| match what {
        "memory" => given.guest.memory.is_some(),
        "touched" => given.guest.touched.is_some(),
        "workload" => given.guest.workload.is_some(),
        "link" => given.link.capacity.is_some(),
        "multifd_channels" => given.migration.multifd_channels.is_some(),
        _ => false,
    };
    let key = |line: &str| line.split(':').next().unwrap_or("").to_owned();
    let mut assumed: Vec<String> =
        run.assumed.iter().filter(|line| !is_given(&key(line))).cloned().collect();
    let defaults = [
        (keys.guest.vcpus.is_none(), "one vCPU"),
        (keys.migration.qemu.is_none(), "the rules of QEMU 7.2"),
        (keys.migration.downtime_limit.is_none(), "a downtime limit of 300 ms"),
        (keys.guest.touched.is_none(), "all of memory touched"),
    ];
    let defaults: Vec<&str> =
        defaults.into_iter().filter(|(lacks, _)| *lacks).map(|(_, what)| what).collect();
    if !defaults.is_empty() {
        assumed.push(defaults.join(", "));
    }
    let case = Case::build(&keys).map_err(|why| wrong(why.to_string()))?;
    Ok(Asked { run, keys, case, assumed })
}

/// What is predicted beside what was measured.
fn compare(args: &RecordsArgs, asked: &[Asked], care: Care) -> anyhow::Result<()> {
    let between = terminal::between(args.profile.as_deref(), args.manager.manager)?;
    let prepared = args.outputs.prepare(care)?;
    let (mut results, mut verdicts) = (Vec::new(), Vec::new());
    for one in asked {
        let hosts = between.over(one.case.path.capacity);
        let understood = Understood::of(&one.keys, &one.case, hosts);
        let answer =
            Answer::new(one.case.clone(), hosts, hosts.draws(), Fidelity::Flow, understood);
        verdicts.push(migsim::answer::verdict(&answer));
        results.push(Against {
            place: one.run.place.clone(),
            name: one.run.name.clone(),
            figures: compared(&one.run.measured, &answer),
            under_way: one.run.under_way,
            ends_in: one.run.under_way.and_then(|now| ends_in(&now, &answer)),
            assumed: one.assumed.clone(),
            notes: one.run.notes.clone(),
            prediction: shape::Prediction::from(&answer),
        });
    }
    prepared.write(&against::told(&AgainstAnswer::new(results), &verdicts))
}

/// Run records: the columns that any of them has.
fn csv_of(asked: &[Asked]) -> anyhow::Result<Vec<u8>> {
    let rows: Vec<Vec<(&str, String)>> = asked
        .iter()
        .map(|one| {
            let mut row = question_columns(&one.keys);
            row.extend(one.run.measured.columns());
            row.push(("source", one.run.place.clone()));
            row.push(("assumed", one.assumed.join("; ")));
            row
        })
        .collect();
    let mut columns: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !columns.contains(name) {
            columns.push(name);
        }
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(&columns)?;
    for row in &rows {
        let cell = |column: &&str| {
            row.iter().find(|(name, _)| name == column).map_or("", |(_, value)| value.as_str())
        };
        table.write_record(columns.iter().map(cell))?;
    }
    table.flush()?;
    Ok(table.into_inner()?)
}
