//! The command line of migcal: one module for each command.

#[cfg(feature = "libvirt")]
mod campaign;
#[cfg(feature = "libvirt")]
mod dirty;
#[cfg(feature = "libvirt")]
mod faults;
mod fit;
mod identify;
mod lab;
mod noise;
mod paper;
mod records;
#[cfg(feature = "libvirt")]
mod run;
#[cfg(feature = "libvirt")]
mod site;
mod table;
mod transfer;
mod validate;

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use clap_complete::Shell;
use migcal::schema::SCHEMAS;
use migsim_report::{program, terminal};

#[derive(Debug, Parser)]
#[command(name = "migcal", version = program::version(), about, after_help = EXAMPLES)]
struct Cli {
    /// Say more: what a profile leaves to its base
    #[arg(long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  migcal doctor
  migcal run --memory 256MiB --touched 80MiB --workload 'uniform(wss=32MiB, rate=1500p/s)' --link 200Mbit/s";

#[derive(Debug, Subcommand)]
enum Command {
    /// Two libvirt hosts on this machine: bring them up, look at them, take them down
    Lab {
        #[command(subcommand)]
        command: lab::LabCommand,
    },
    /// Migrate a real guest once, and say how long it took and how long it was down
    #[cfg(feature = "libvirt")]
    Run(Box<run::RunArgs>),
    /// Make many runs by a plan, and write them down
    #[cfg(feature = "libvirt")]
    Campaign(campaign::CampaignArgs),
    /// Measure how fast a running guest dirties its memory, as a workload for `migsim predict`
    #[cfg(feature = "libvirt")]
    Dirty(dirty::DirtyArgs),
    /// Estimate a profile from run records
    Fit(fit::FitArgs),
    /// Say which parameters of a fitted profile the runs behind it determine
    Identify(identify::IdentifyArgs),
    /// Compare predictions with run records, beside the noise of the runs and every published model
    Validate(validate::ValidateArgs),
    /// Say how many runs of new hosts a profile of other hosts needs to be right there
    Transfer(transfer::TransferArgs),
    /// Say how much repeats of one configuration scatter
    Noise(noise::NoiseArgs),
    /// Draw the study's figures from real runs, with the predictions beside them
    Paper(paper::PaperArgs),
    /// Print the JSON Schema of what a command writes
    Schema {
        /// Which; without it, they are listed
        #[arg(value_parser = PossibleValuesParser::new(SCHEMAS.map(|(name, ..)| name)))]
        name: Option<String>,
    },
    /// Print what a shell needs to complete commands: `source <(migcal completions bash)`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Say what this machine can do, and what installs what it lacks
    Doctor,
    /// Make runs in a lab with faults put in, and check that no guest is lost and none runs twice
    #[cfg(feature = "libvirt")]
    Faults(faults::FaultsArgs),
    /// Make sure that a guest of migcal runs at exactly one host, whatever an earlier run left
    #[cfg(feature = "libvirt")]
    Settle(site::SettleArgs),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = program::parse::<Cli>();
    terminal::be_verbose(cli.verbose);
    terminal::exit_status(match cli.command {
        Command::Lab { command } => lab::run(&command),
        #[cfg(feature = "libvirt")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "libvirt")]
        Command::Campaign(args) => campaign::run(&args),
        #[cfg(feature = "libvirt")]
        Command::Dirty(args) => dirty::run(&args),
        Command::Fit(args) => fit::run(&args),
        Command::Identify(args) => identify::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Transfer(args) => transfer::run(&args),
        Command::Noise(args) => noise::run(&args),
        Command::Paper(args) => paper::run(&args),
        Command::Schema { name } => {
            program::schema(&SCHEMAS, name.as_deref()).map(|()| ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            program::completions::<Cli>(shell).map(|()| ExitCode::SUCCESS)
        }
        Command::Doctor => doctor(),
        #[cfg(feature = "libvirt")]
        Command::Faults(args) => faults::run(&args),
        #[cfg(feature = "libvirt")]
        Command::Settle(args) => site::settle(&args),
    })
}

fn doctor() -> anyhow::Result<ExitCode> {
    use migcal::doctor::{Standing, examine, report};
    let findings = examine();
    terminal::print(&report(&findings))?;
    let missing = findings.iter().any(|finding| finding.standing == Standing::Missing);
    Ok(if missing { ExitCode::from(terminal::SOME_FAILED) } else { ExitCode::SUCCESS })
}
