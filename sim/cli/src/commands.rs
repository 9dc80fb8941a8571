//! The command line: raw arguments in, checked questions out, one module for each command.

mod explore;
mod fleet;
mod import;
mod predict;
mod sensitivity;
mod study;
mod sweep;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use migsim::answer::Between;
use migsim::engine::Fidelity;
use migsim::schema::SCHEMAS;
use migsim_models::profile::{Manager, Profile, SHIPPED, shipped};
use migsim_models::text::{counted, first_of};
use migsim_report::apps::applications;
use migsim_report::file::Care;
use migsim_report::format::Told;
use migsim_report::keys::keys;
use migsim_report::outputs::OutputArgs;
use migsim_report::parts::{self, Part};
use migsim_report::predict::published;
use migsim_report::{program, terminal};

/// Which hosts are asked about, in full: what answers follow from.
fn said(between: &Between) -> anyhow::Result<String> {
    Ok(match between {
        Between::Given(hosts) => hosts.profile.to_commented_toml()?,
        Between::Servers(manager) => format!("servers of the link's class, {manager:?}"),
    })
}

#[derive(Debug, Parser)]
#[command(name = "migsim", version = program::version(), about, after_help = EXAMPLES)]
struct Cli {
    /// Say more: what a profile leaves to its base
    #[arg(long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  migsim predict --memory 4GiB --touched 3GiB --workload 'uniform(wss=512MiB, rate=5000p/s)' --link 1Gbit/s
  migsim predict scenarios/first.toml --plot first.svg
  migsim predict --records runs.csv --out predicted.csv
  migsim sweep scenarios/first.toml --vary 'rate=1000p/s..60000p/s:40' --plot sweep.svg
  migsim profile server-10g > my-hosts.toml";

const PROFILE_EXAMPLES: &str = "\
Examples:
  migsim profile server-10g
  migsim profile lab > my-hosts.toml; migsim predict scenarios/first.toml --profile my-hosts.toml
  migsim profile server-25g --manager kubevirt";

#[derive(Debug, Subcommand)]
enum Command {
    /// Say how long a migration takes, how long the guest is down, whether it converges, and
    /// why
    Predict(Box<predict::PredictArgs>),
    /// Answer the same question over a range of one or two numbers
    Sweep(Box<sweep::SweepArgs>),
    /// Say which of all that is not known an answer hangs on, and so what to measure first
    Sensitivity(Box<sensitivity::SensitivityArgs>),
    /// Write the simulator as one HTML file, with a question in it: to move a number and watch
    Explore(Box<explore::ExploreArgs>),
    /// Put the parts of a study together: byte for byte what one run writes
    #[command(after_help = "Example:\n  migsim merge study --out study.csv")]
    Merge {
        /// The folder that `--part` wrote into
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The file of all rows
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Move many guests at once: how long it takes in all, and who waits for what
    Fleet(Box<fleet::FleetArgs>),
    /// Make a fleet of what other tools list; look at an inventory before it is used
    Inventory {
        #[command(subcommand)]
        command: fleet::InventoryCommand,
    },
    /// Read what other tools say of migrations that were made, or are under way
    Records {
        #[command(subcommand)]
        command: RecordsCommand,
    },
    /// Print the parameters of a pair of hosts
    #[command(after_help = PROFILE_EXAMPLES)]
    Profile {
        /// Which: fitted to the project's own recorded runs (`lab`), assumed before any run was
        /// seen, hosts that cost nothing (`ideal`), or servers by the class of their network
        #[arg(value_parser = PossibleValuesParser::new(SHIPPED))]
        which: String,
        #[command(flatten)]
        manager: ManagerArg,
    },
    /// Print the JSON Schema of what a command writes
    #[command(after_help = "Example:\n  migsim schema prediction > prediction.schema.json")]
    Schema {
        /// Which; without it, they are listed
        #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, ..)| name)))]
        name: Option<String>,
    },
    /// Print what a shell needs to complete commands: `source <(migsim completions bash)`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// List the applications that `app:NAME` takes for a workload, with where each is from
    #[command(
        after_help = "Example:\n  migsim predict --memory 16GiB --link 10GbE --workload 'app:postgres(load=0.5)'"
    )]
    Apps {
        #[command(flatten)]
        outputs: OutputArgs,
    },
    /// List the keys of scenarios, in files, as flags and in sweeps, with what each means
    #[command(after_help = "Example:\n  migsim keys --format markdown")]
    Keys {
        #[command(flatten)]
        outputs: OutputArgs,
    },
    /// List the published models that --model takes
    #[command(after_help = "Example:\n  migsim predict scenarios/first.toml --model all")]
    Models {
        #[command(flatten)]
        outputs: OutputArgs,
    },
}

#[derive(Debug, Subcommand)]
enum RecordsCommand {
    /// Make run records of what virsh, QEMU, Proxmox, OpenStack and KubeVirt print, or say what is
    /// predicted beside it
    Import(Box<import::RecordsArgs>),
}

/// How questions are answered, whatever they are.
#[derive(Debug, Args)]
struct Manner {
    /// Expected counts, or every page and every write (the reference, slower)
    #[arg(long, value_enum, default_value_t = FidelityName::Flow)]
    fidelity: FidelityName,
    /// Seed of the writes at page fidelity, and of what is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Parameters of the two hosts, from a file or by name (see `migsim profile`) [default:
    /// servers of the link's class; of records those of the project's own lab]
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    manager: ManagerArg,
}

/// Who runs migrations.
#[derive(Debug, Args)]
struct ManagerArg {
    /// Who runs the migration, which takes seconds before and after it (docs/guide.md) [default:
    /// as the profile has it]
    #[arg(long, value_parser = PossibleValuesParser::new(Manager::WORDS).try_map(|word| word.parse::<Manager>()))]
    manager: Option<Manager>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FidelityName {
    Flow,
    Page,
}

impl Manner {
    fn fidelity(&self) -> Fidelity {
        match self.fidelity {
            FidelityName::Flow => Fidelity::Flow,
            FidelityName::Page => Fidelity::Page { seed: self.seed },
        }
    }

    fn is_by_pages(&self) -> bool {
        self.fidelity == FidelityName::Page
    }

    fn between(&self) -> anyhow::Result<Between> {
        Ok(terminal::between(self.profile.as_deref(), self.manager.manager)?)
    }
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = program::parse::<Cli>();
    terminal::be_verbose(cli.verbose);
    if let Err(error) = terminal::interruptible_at_once() {
        return terminal::exit_status(Err(error));
    }
    let result = match cli.command {
        Command::Predict(args) => predict::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Sensitivity(args) => sensitivity::run(&args),
        Command::Explore(args) => explore::run(&args),
        Command::Merge { folder, out } => merge(&folder, &out),
        Command::Fleet(args) => fleet::fleet(&args),
        Command::Inventory { command } => fleet::inventory(&command),
        Command::Records { command: RecordsCommand::Import(args) } => import::records(&args),
        Command::Profile { which, manager } => profile(&which, manager.manager),
        Command::Apps { outputs } => list(&outputs, &applications()),
        Command::Keys { outputs } => list(&outputs, &keys()),
        Command::Models { outputs } => list(&outputs, &published()),
        Command::Schema { name } => {
            program::schema(&SCHEMAS, name.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            program::completions::<Cli>(shell).map(|()| ExitCode::SUCCESS)
        }
    };
    terminal::exit_status(result)
}

fn profile(which: &str, manager: Option<Manager>) -> anyhow::Result<ExitCode> {
    let written = |profile: Profile| {
        profile.run_by(manager).to_commented_toml().context("writing the profile")
    };
    let text = match shipped(which) {
        Some(text) if manager.is_none() => text.to_owned(),
        Some(text) => written(Profile::parse(text)?)?,
        None => written(Profile::ideal())?,
    };
    terminal::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn merge(folder: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let missing = parts::merge(folder, out)?;
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    terminal::complain(&format!(
        "{}: {} missing, and nothing was written: {}",
        folder.display(),
        counted(missing.len(), "part"),
        first_of(missing.iter().map(Part::to_string), 10)
    ));
    Ok(ExitCode::from(terminal::SOME_FAILED))
}

fn list(outputs: &OutputArgs, list: &Told) -> anyhow::Result<ExitCode> {
    outputs.prepare(Care::default())?.write(list)?;
    Ok(ExitCode::SUCCESS)
}
