//! Runs real migrations, and learns from them.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
