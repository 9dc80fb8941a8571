//! Migrations that were made, or are under way: what a tool says of them, as questions with what
//! was measured.

mod kubevirt;
mod nova;
mod proxmox;
mod qemu;
mod snapshot;
mod virsh;

use migsim::input::{InputError, Keys, Mistakes};
use migsim::record::{Measured, UnderWay};

use crate::kind::{Kind, Use, broken, recognise};
use crate::source::Source;

pub(crate) use snapshot::{Snapshot, Status};

/// A migration as far as a file tells of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundRun {
    /// Where it stands.
    pub place: String,
    /// What it is called.
    pub name: String,
    /// What the file says of the question.
    pub keys: Keys,
    /// What was measured.
    pub measured: Measured,
    /// How far it is, where it is not over.
    pub under_way: Option<UnderWay>,
    /// What is not in the file and was taken to be so, in sentences.
    pub assumed: Vec<String>,
    /// What the file says besides that one should know.
    pub notes: Vec<String>,
}

/// The migrations that a file tells of.
///
/// # Errors
/// It is of no use here, with what it is and what takes it; or what is wrong in it.
pub fn runs(source: &Source) -> Result<Vec<FoundRun>, Mistakes> {
    let refused = |why: String| Mistakes::from(InputError::new(&source.place, why));
    let Some(kind) = recognise(source) else {
        return Err(refused(broken(source).unwrap_or_else(|| NOT_KNOWN.to_owned())));
    };
    if kind.used_by() != Use::Records {
        return Err(refused(kind.belongs()));
    }
    match kind {
        Kind::DomJobInfo => virsh::read(source),
        Kind::QueryMigrate => qemu::qmp(source),
        Kind::InfoMigrate => qemu::hmp(source),
        Kind::ProxmoxTask => proxmox::read(source),
        Kind::NovaMigration => nova::migrations(source),
        Kind::NovaLog => nova::log(source),
        Kind::KubeVirtLog => kubevirt::log(source),
        _ => kubevirt::migration(source),
    }
}

const NOT_KNOWN: &str = "is none of the files that are known here: virsh domjobinfo (--completed, --rawstats), QMP's query-migrate, \
     HMP's info migrate, a migration task's log of Proxmox, openstack server migration show, or logs of nova-compute and virt-launcher";
