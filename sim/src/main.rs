//! The program `migsim`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
