//! Which two hosts a command works on.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use migcal::domain::check_name;
use migcal::helper::{Undone, undo};
use migcal::hosts::Hosts;
use migcal::hosts::libvirt::{LibvirtHosts, Site};
use migcal::lab::{Lab, Link, Side, down, reach};
use migcal::run::Settled;
use migsim_report::terminal::{self, SOME_FAILED};

use super::lab::swept;

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
    /// Whether no measurement that was killed has left a guest changed for good.
    nothing_stands: bool,
    _own_lab: Option<OwnLab>,
}

/// A lab that goes when it is dropped.
struct OwnLab(String);

impl Drop for OwnLab {
    fn drop(&mut self) {
        if let Err(error) = down(&self.0) {
            terminal::complain(&format!(
                "error: {error:#}; `migcal lab down --name {}` tries again",
                self.0
            ));
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

    /// The link of the lab as it is now, or as one that is brought up begins; `None`: two servers.
    /// The guest's name is checked first of all.
    pub(super) fn link(&self) -> anyhow::Result<Option<Link>> {
        check_name("--name", &self.name)?;
        match &self.lab {
            _ if !self.is_lab() => Ok(None),
            None => Ok(Some(Link::default())),
            Some(name) => Ok(Some(Lab::named(name)?.link())),
        }
    }

    /// Opens the hosts; a lab is brought up with `link` if none was named. What killed tools have
    /// left is put in order, and told.
    pub(super) fn open(&self, link: Link, interrupted: &Arc<AtomicBool>) -> anyhow::Result<Opened> {
        check_name("--name", &self.name)?;
        swept();
        let mut own_lab = None;
        let site = match (&self.source, &self.destination) {
            (Some(source), Some(destination)) => Site::Servers {
                source: source.clone(),
                destination: destination.clone(),
                peer: self.peer.clone(),
            },
            _ => {
                let (lab, in_use) = match &self.lab {
                    Some(name) => {
                        let lab = Lab::named(name)?;
                        let in_use = lab.lock()?;
                        (lab, in_use)
                    }
                    None => {
                        let name = format!("own-{}", std::process::id());
                        own_lab = Some(OwnLab(name.clone()));
                        Lab::up_for_me(&name, link)?
                    }
                };
                Site::Lab { lab: Box::new(lab), in_use: Arc::new(in_use) }
            }
        };
        let hosts = LibvirtHosts::open(site, &self.name, interrupted)?;
        let mut nothing_stands = true;
        for (side, undone) in Side::BOTH.into_iter().zip(hosts.undone()) {
            nothing_stands &= tell(undone, &hosts.uri(side));
        }
        Ok(Opened { hosts, nothing_stands, _own_lab: own_lab })
    }
}

/// Says what was found of measurements that were killed, and put back. Returns whether nothing
/// stands.
pub(super) fn tell(undone: &Undone, uri: &str) -> bool {
    for (name, what) in &undone.put_back {
        terminal::complain(&format!("`{name}` is as it was again: {what} when migcal was killed"));
    }
    for (name, why) in &undone.stands {
        terminal::complain(&format!(
            "`{name}` was left changed by a measurement that was killed, and could not be put back: {why}. `migcal settle --connect '{uri}'` \
             tries again; `virsh -c '{uri}' resume '{name}'` lets it go on"
        ));
    }
    undone.stands.is_empty()
}

#[derive(Debug, Args)]
pub(super) struct SettleArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Of this host alone: put back what a measurement that was killed has left changed of its
    /// guests
    #[arg(long, value_name = "URI", conflicts_with_all = ["lab", "source", "destination", "peer"])]
    connect: Option<String>,
}

/// `migcal settle`.
pub(super) fn settle(args: &SettleArgs) -> anyhow::Result<ExitCode> {
    if let Some(uri) = &args.connect {
        let undone = undo(&reach(uri)?)?;
        let fine = tell(&undone, uri);
        if undone == Undone::default() {
            terminal::print("no measurement has left anything changed\n")?;
        }
        return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) });
    }
    if args.site.is_own_lab() {
        anyhow::bail!(
            "which hosts? It takes --lab NAME, or --source URI --destination URI, or --connect URI for measurements at one"
        );
    }
    let interrupted = terminal::interruptible()?;
    let mut opened = args.site.open(Link::default(), &interrupted)?;
    let settled = migcal::run::settle(&mut opened.hosts, terminal::complain);
    let (text, code) = match &settled {
        Settled::RunsAt(side) => (
            format!("the guest runs at the {side}, {}, and nowhere else", opened.hosts.uri(*side)),
            ExitCode::SUCCESS,
        ),
        Settled::Stuck { holder, advice } => {
            let holder = holder.map_or(String::new(), |side| format!("the {side} holds it: "));
            (format!("{holder}{advice}"), ExitCode::from(SOME_FAILED))
        }
    };
    let code = if opened.nothing_stands { code } else { ExitCode::from(SOME_FAILED) };
    drop(opened);
    terminal::print(&format!("{text}\n"))?;
    Ok(code)
}
