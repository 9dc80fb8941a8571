//! The command line of migcal: one module for each command.

mod lab;

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
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::exit_status(match cli.command {
        Command::Lab { command } => lab::run(&command),
    })
}
