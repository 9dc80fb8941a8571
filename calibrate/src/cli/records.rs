//! Files of run records, as commands take them.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use migcal::campaign::Manifest;
use migsim::records::{Observation, observations};
use sha2::{Digest, Sha256};

/// Records of several files, and what a provenance says of them.
#[derive(Default)]
pub(super) struct Records {
    pub(super) runs: Vec<Observation>,
    /// SHA-256 of the files, one after another.
    pub(super) data: String,
    pub(super) campaigns: BTreeSet<String>,
    pub(super) versions: BTreeSet<String>,
    /// As the campaigns' manifests tell.
    pub(super) hosts: BTreeSet<String>,
}

/// Reads files of run records; a row that cannot be read ends it.
pub(super) fn read<P: AsRef<Path>>(files: &[P]) -> anyhow::Result<Records> {
    let mut hash = Sha256::new();
    let mut read = Records::default();
    for place in files {
        let file = place.as_ref().display().to_string();
        let bytes = std::fs::read(place).with_context(|| format!("{file}: cannot be read"))?;
        hash.update(&bytes);
        let (runs, errors) = observations(&file, &bytes[..])?;
        if let Some(error) = errors.first() {
            let mut error = error.clone();
            if errors.len() > 1 {
                error.reason.push_str(&format!(" (and {} more rows that cannot be read)", errors.len() - 1));
            }
            return Err(error.into());
        }
        read.runs.extend(runs);
        collect(&bytes, &mut read);
        let manifest = std::fs::read_to_string(place.as_ref().with_file_name("manifest.toml")).unwrap_or_default();
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
