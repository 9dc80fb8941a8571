//! `migcal lab`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use migcal::lab::{Lab, Link, Side, down};
use migsim::terminal;
use migsim_models::units::{BitRate, SimTime};

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
            let lab = Lab::up(&name.name, Link::of(*link))?;
            let mut text = describe(&lab);
            if *ssh {
                let uris = lab.start_ssh()?;
                for (side, uri) in Side::BOTH.into_iter().zip(uris) {
                    text.push_str(&format!("  {side:<12} {uri}\n"));
                }
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
                    None => format!("{name}: half taken down; `migcal lab down --name {name}` removes what is left\n"),
                })?;
            }
        }
        LabCommand::Down { name, all } => {
            let names = if *all { Lab::names()? } else { vec![name.name.clone()] };
            for name in names {
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

fn describe(lab: &Lab) -> String {
    let link = lab.link();
    let mut text = format!("{}: up, {}, send buffer {}", lab.name(), link.capacity, link.send_buffer);
    if link.delay > SimTime::ZERO {
        text.push_str(&format!(", {} each way", link.delay));
    }
    text.push('\n');
    for side in Side::BOTH {
        let daemon = match lab.daemon_pid(side) {
            Some(pid) => format!("libvirtd {pid}"),
            None => "no libvirtd".to_owned(),
        };
        let guests = lab.guest_pids(side).len();
        text.push_str(&format!("  {side:<12} {}, {daemon}, {guests} guests, {}\n", side.address(), lab.uri(side)));
    }
    text
}
