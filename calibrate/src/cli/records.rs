//! Files of run records, as commands take them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use clap::Args;
use migcal::campaign::Manifest;
use migsim::record::{Disturbance, Observation, observations};
use migsim_models::profile::Profile;
use migsim_models::qemu::Version;
use migsim_report::terminal;
use sha2::{Digest, Sha256};

/// Records of several files, and what a provenance says of them.
#[derive(Default)]
pub(super) struct Records {
    pub(super) runs: Vec<Observation>,
    /// SHA-256 of the files, one after another.
    pub(super) data: String,
    pub(super) campaigns: BTreeSet<String>,
    pub(super) versions: BTreeSet<String>,
    /// QEMU's, major and minor.
    pub(super) qemu: BTreeSet<Version>,
    /// As the campaigns' manifests tell.
    pub(super) hosts: BTreeSet<String>,
}

/// What counts as disturbed.
#[derive(Debug, Args)]
pub(super) struct DisturbanceArgs {
    /// Leave out runs during which unrelated work took more than this share of the host's
    /// processors while something waited for one
    #[arg(long, value_name = "SHARE", default_value_t = Disturbance::default().above, value_parser = share)]
    pub(super) disturbed_above: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    share.ok_or_else(|| {
        "it takes a share of the processors, 0 to 1; 1 leaves nothing out".to_owned()
    })
}

/// Reads files of run records; a row that cannot be read ends it.
pub(super) fn read<P: AsRef<Path>>(
    files: &[P],
    disturbance: &DisturbanceArgs,
) -> anyhow::Result<Records> {
    let rule = Disturbance { above: disturbance.disturbed_above };
    let mut hash = Sha256::new();
    let mut read = Records::default();
    for place in files {
        let file = place.as_ref().display().to_string();
        let bytes = std::fs::read(place).with_context(|| format!("{file}: cannot be read"))?;
        hash.update(&bytes);
        let (mut runs, errors) = observations(&file, &bytes[..])?;
        for run in &mut runs {
            run.disturbed = rule.is_in(run);
        }
        if let Some(error) = errors.first() {
            let mut error = error.clone();
            if errors.len() > 1 {
                error.reason.push_str(&format!(
                    " (and {} more rows that cannot be read)",
                    errors.len() - 1
                ));
            }
            return Err(error.into());
        }
        read.qemu.extend(runs.iter().map(|run| run.case.policy.qemu));
        read.runs.extend(runs);
        collect(&bytes, &mut read);
        let manifest = std::fs::read_to_string(place.as_ref().with_file_name("manifest.toml"))
            .unwrap_or_default();
        if let Ok(manifest) = toml::from_str::<Manifest>(&manifest) {
            read.hosts.extend(manifest.hosts.iter().map(ToString::to_string));
        }
    }
    read.data = format!("{:x}", hash.finalize());
    Ok(read)
}

fn collect(bytes: &[u8], read: &mut Records) {
    let mut reader = csv::Reader::from_reader(bytes);
    let Ok(header) = reader.headers().cloned() else { return };
    let place = |name: &str| header.iter().position(|c| c == name);
    let (campaign, qemu, libvirt) = (place("campaign"), place("qemu"), place("libvirt"));
    for row in reader.records().flatten() {
        let text = |column: Option<usize>| column.and_then(|c| row.get(c)).unwrap_or("").to_owned();
        read.campaigns.insert(text(campaign));
        read.versions.insert(format!("QEMU {}, libvirt {}", text(qemu), text(libvirt)));
    }
    read.campaigns.remove("");
}

impl Records {
    /// Says where versions of QEMU differ among the runs, or from those that a profile was fitted
    /// to: rules are of the version, but what hosts take is of what was measured.
    pub(super) fn warn_of_versions(&self, profile: Option<&Profile>) {
        if profile.is_none() && self.qemu.len() > 1 {
            let versions: Vec<String> = self.qemu.iter().map(ToString::to_string).collect();
            terminal::complain(&format!(
                "note: runs of QEMU {} are fitted together; where their hosts differ as well, fit each by itself",
                versions.join(", ")
            ));
        }
        if let Some(note) = profile.and_then(|profile| profile.note_of_versions(&self.qemu)) {
            terminal::complain(&note);
        }
    }
}
