//! `migcal lab`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use migcal::domain::check_name;
use migcal::lab::{Lab, Link, Side, down, sweep};
use migsim_models::units::{BitRate, SimTime};
use migsim_report::terminal;

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Bring two hosts up
    Up {
        #[command(flatten)]
        name: Name,
        /// Capacity of the link between the hosts
        #[arg(long, default_value = "200Mbit/s")]
        link: BitRate,
        /// Start an SSH daemon at each host as well, and print the URIs that reach them by it
        #[arg(long)]
        ssh: bool,
    },
    /// Say which labs there are, and what runs in them
    Status,
    /// Take a lab down: everything that it made, also what a crash left
    Down {
        #[command(flatten)]
        name: Name,
        /// All labs
        #[arg(long, conflicts_with = "name")]
        all: bool,
        /// Also where another migcal is at work in it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Name {
    /// Labs of different names stand side by side
    #[arg(long, default_value = "lab")]
    name: String,
}

pub(super) fn run(command: &LabCommand) -> anyhow::Result<ExitCode> {
    match command {
        LabCommand::Up { name, link, ssh } => {
            check_name("--name", &name.name)?;
            swept();
            let lab = Lab::up(&name.name, Link::of(*link))?;
            let uris = if *ssh { Some((lab.start_ssh()?, lab.ssh_from_source()?)) } else { None };
            let mut text = describe(&lab);
            if let Some(([source, destination], peer)) = uris {
                text.push_str(&format!(
                    "\nAs if they were two servers:\n\nmigcal run --source '{source}' --destination '{destination}' --peer '{peer}'\n"
                ));
            }
            terminal::print(&text)?;
        }
        LabCommand::Status => {
            let names = Lab::names()?;
            if names.is_empty() {
                terminal::print("no lab is up\n")?;
            }
            for name in names {
                terminal::print(&match Lab::find(&name)? {
                    Some(lab) => describe(&lab),
                    None => format!(
                        "{name}: half taken down; `migcal lab down --name {name}` removes what is left\n"
                    ),
                })?;
            }
        }
        LabCommand::Down { name, all, force } => {
            check_name("--name", &name.name)?;
            let names = if *all { Lab::names()? } else { vec![name.name.clone()] };
            for name in names {
                if !force && Lab::find(&name)?.is_some_and(|lab| lab.is_in_use()) {
                    anyhow::bail!(
                        "the lab `{name}` is in use by another migcal, whose guest would be lost; end that first, or take it down with --force"
                    );
                }
                let found = down(&name)?;
                terminal::print(&if found {
                    format!("{name}: down\n")
                } else {
                    format!("{name}: there was no such lab\n")
                })?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes down what labs of killed tools have left, and says so.
pub(super) fn swept() {
    match sweep() {
        Ok(gone) => {
            for name in gone {
                terminal::complain(&format!("took down the lab `{name}`, whose migcal was killed"));
            }
        }
        Err(error) => {
            terminal::complain(&format!(
                "a lab of a migcal that was killed does not go: {error:#}"
            ));
        }
    }
}

fn describe(lab: &Lab) -> String {
    let link = lab.link();
    let daemons = Side::BOTH.into_iter().filter(|side| lab.daemon_answers(*side)).count();
    let standing = match (daemons, lab.is_in_use()) {
        (2, true) => "up, in use",
        (2, false) => "up",
        (_, true) => "in use",
        _ => {
            "broken: `migcal settle --lab` starts its libvirtd again, `migcal lab down --name` removes it"
        }
    };
    let mut text =
        format!("{}: {standing}, {}, send buffer {}", lab.name(), link.capacity, link.send_buffer);
    if link.delay > SimTime::ZERO {
        text.push_str(&format!(", {} each way", link.delay));
    }
    text.push('\n');
    for side in Side::BOTH {
        let daemon = match lab.daemon_pid(side) {
            Some(pid) => format!("libvirtd {pid}"),
            None => "no libvirtd".to_owned(),
        };
        let pids = |pids: Vec<i32>| pids.iter().map(|pid| format!(" {pid}")).collect::<String>();
        let guests = lab.guest_pids(side);
        let count = if guests.is_empty() {
            "no guests".to_owned()
        } else {
            format!("guests{}", pids(guests))
        };
        let ssh = lab.sshd_pids(side);
        let ssh = if ssh.is_empty() { String::new() } else { format!(", sshd{}", pids(ssh)) };
        text.push_str(&format!(
            "  {side:<12} {}, {daemon}, {count}{ssh}, {}\n",
            side.address(),
            lab.uri(side)
        ));
    }
    text.push_str(&format!("  all of it in {}\n", lab.folder().display()));
    text
}
