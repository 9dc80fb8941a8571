//! The program `migsim`.

mod commands;
mod keys;

fn main() -> std::process::ExitCode {
    commands::main()
}
