//! `migsim explore`: the simulator in one HTML file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use migsim::input::{InputError, Keys};
use migsim_import::{Kind, Source, recognise};
use migsim_report::file::{Care, Output};
use migsim_report::{page, program, terminal};

use super::import;
use crate::keys::KeyFlags;

const EXAMPLES: &str = "\
Examples:
  migsim explore --open
  migsim explore scenarios/first.toml --out first.html
  migsim explore rack.toml --out rack.html
  migsim explore runs.csv --profile my-hosts.toml";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExploreArgs {
    /// A scenario, a fleet, or a file of run records; without one, what flags say, or an example
    #[arg(value_name = "FILE.toml|FLEET.toml|RUNS.csv")]
    file: Option<PathBuf>,
    /// Where the page goes
    #[arg(long, value_name = "FILE.html", default_value = "explore.html")]
    out: PathBuf,
    /// Show it in the browser
    #[arg(long)]
    open: bool,
    /// Parameters of the two hosts, from a file or by name (see `migsim profile`) [default:
    /// servers of the link's class]
    #[arg(long, value_name = "FILE|NAME")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    manager: super::ManagerArg,
    #[command(flatten)]
    keys: KeyFlags,
}

pub(super) fn run(args: &ExploreArgs) -> anyhow::Result<ExitCode> {
    // What cannot be used is refused here, not in the page.
    terminal::profile(args.profile.as_deref())?;
    let mut made = page::about(args.profile.as_deref(), args.manager.manager)?;
    let inputs: Vec<&Path> = args.file.iter().chain(&args.profile).map(PathBuf::as_path).collect();
    let care = Care { inputs: &inputs, ..Care::default() };
    let kind = match &args.file {
        None => None,
        Some(file) => recognise(&Source::read(file)?),
    };
    let flags = args.keys.0 != Keys::default();
    match (&args.file, kind) {
        (Some(file), Some(Kind::Fleet | Kind::Records)) if flags => {
            let why = "takes no flags of a migration beside it: what is asked stands in the file";
            return Err(InputError::new(file.display().to_string(), why).into());
        }
        (Some(file), Some(Kind::Fleet)) => page::hold_fleet(&mut made, file)?,
        (Some(file), Some(Kind::Records)) => page::hold_records(&mut made, file)?,
        (None, _) if !flags => {}
        (file, _) => {
            let scenario = import::scenario(file.as_deref(), &args.keys.0)?;
            page::hold_scenario(&mut made, &scenario)?;
        }
    }
    made.made = args.file.as_ref().map(|_| program::made());
    Output::create(&args.out, care)?.write(made.html().as_bytes())?;
    let shown = args.out.display();
    if args.open {
        open::that(&args.out).with_context(|| format!("{shown} is written, but not opened"))?;
    }
    terminal::complain(&format!("{shown} is written: it needs a browser, and no network"));
    Ok(ExitCode::SUCCESS)
}
