//! The command line of migcal: one module for each command.

#[cfg(feature = "libvirt")]
mod campaign;
mod lab;
#[cfg(feature = "libvirt")]
mod run;
#[cfg(feature = "libvirt")]
mod site;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use migsim::terminal;

#[derive(Debug, Parser)]
#[command(name = "migcal", version, about, after_help = EXAMPLES)]
struct Cli {
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
    /// Migrate a real guest once, and say how long it took and how long it stood still
    #[cfg(feature = "libvirt")]
    Run(Box<run::RunArgs>),
    /// Make many runs by a plan, and write them down
    #[cfg(feature = "libvirt")]
    Campaign(campaign::CampaignArgs),
    /// Make sure that a guest of migcal runs at exactly one host, whatever an earlier run left
    #[cfg(feature = "libvirt")]
    Settle(site::SettleArgs),
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::exit_status(match cli.command {
        Command::Lab { command } => lab::run(&command),
        #[cfg(feature = "libvirt")]
        Command::Run(args) => run::run(&args),
        #[cfg(feature = "libvirt")]
        Command::Campaign(args) => campaign::run(&args),
        #[cfg(feature = "libvirt")]
        Command::Settle(args) => site::settle(&args),
    })
}
