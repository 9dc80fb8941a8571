//! Which two hosts a command works on.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use migcal::hosts::Hosts;
use migcal::hosts::libvirt::{LibvirtHosts, Site};
use migcal::lab::{Lab, Link, down};
use migcal::run::Settled;
use migsim::terminal::{self, SOME_FAILED};

/// The two hosts.
#[derive(Debug, Args)]
pub(super) struct SiteArgs {
    /// A lab that is up [default: one of its own, taken down at the end]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["source", "destination"])]
    lab: Option<String>,
    /// libvirt URI of the source, for two real servers: qemu+ssh://USER@HOST/system
    #[arg(long, value_name = "URI", requires = "destination")]
    source: Option<String>,
    /// libvirt URI of the destination
    #[arg(long, value_name = "URI", requires = "source")]
    destination: Option<String>,
    /// The destination's URI as the source reaches it, where that differs
    #[arg(long, value_name = "URI", requires = "destination")]
    peer: Option<String>,
    /// What the guest is called at the hosts
    #[arg(long, default_value = "migcal-guest")]
    pub(super) name: String,
}

/// The hosts, and the lab that was brought up for them, if one was. Dropped in this order.
pub(super) struct Opened {
    pub(super) hosts: LibvirtHosts,
    _own_lab: Option<OwnLab>,
}

/// A lab that goes when it is dropped.
struct OwnLab(String);

impl Drop for OwnLab {
    fn drop(&mut self) {
        if let Err(error) = down(&self.0) {
            terminal::complain(&format!("error: {error:#}; `migcal lab down --name {}` tries again", self.0));
        }
    }
}

impl SiteArgs {
    /// Whether the hosts go away at the end: with them whatever runs there.
    pub(super) fn is_own_lab(&self) -> bool {
        self.is_lab() && self.lab.is_none()
    }

    /// Whether the hosts are a lab's, whose link can be shaped.
    pub(super) fn is_lab(&self) -> bool {
        self.source.is_none()
    }

    /// Opens the hosts; a lab is brought up with `link` if none was named.
    pub(super) fn open(&self, link: Link, interrupted: &Arc<AtomicBool>) -> anyhow::Result<Opened> {
        let mut own_lab = None;
        let site = match (&self.source, &self.destination) {
            (Some(source), Some(destination)) => {
                Site::Servers { source: source.clone(), destination: destination.clone(), peer: self.peer.clone() }
            }
            _ => {
                let lab = match &self.lab {
                    Some(name) => Lab::find(name)?.ok_or_else(|| {
                        anyhow::anyhow!("no lab `{name}` is up; `migcal lab up --name {name}` brings it up")
                    })?,
                    None => {
                        let name = format!("own-{}", std::process::id());
                        own_lab = Some(OwnLab(name.clone()));
                        Lab::up(&name, link)?
                    }
                };
                let in_use = lab.lock()?;
                Site::Lab { lab: Box::new(lab), in_use: Arc::new(in_use) }
            }
        };
        Ok(Opened { hosts: LibvirtHosts::open(site, &self.name, interrupted)?, _own_lab: own_lab })
    }
}

#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    #[command(flatten)]
    site: SiteArgs,
}

/// `migcal settle`.
pub(super) fn settle(args: &SettleArgs) -> anyhow::Result<ExitCode> {
    if args.site.is_own_lab() {
        anyhow::bail!("which two hosts? It takes --lab NAME, or --source URI --destination URI");
    }
    let interrupted = terminal::interruptible()?;
    let mut opened = args.site.open(Link::default(), &interrupted)?;
    let settled = migcal::run::settle(&mut opened.hosts, terminal::complain);
    let (text, code) = match &settled {
        Settled::RunsAt(side) => {
            (format!("the guest runs at the {side}, {}, and nowhere else", opened.hosts.uri(*side)), ExitCode::SUCCESS)
        }
        Settled::Stuck { holder, advice } => {
            let holder = holder.map_or(String::new(), |side| format!("the {side} holds it: "));
            (format!("{holder}{advice}"), ExitCode::from(SOME_FAILED))
        }
    };
    drop(opened);
    terminal::print(&format!("{text}\n"))?;
    Ok(code)
}
