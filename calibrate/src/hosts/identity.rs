//! What a host and a domain say of themselves, from libvirt's XML.

use anyhow::{Context, bail};
use roxmltree::{Document, Node};
use virt::connect::Connect;
use virt::domain::Domain;

use super::ffi::Doing;
use crate::domain::TITLE;

/// Which host it is, whatever it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Its libvirt's own id of it, from the firmware or its configuration.
    pub(super) uuid: String,
    /// What it calls itself.
    pub(super) name: String,
    /// User and group that QEMU runs as.
    pub(super) qemu_user: (u32, u32),
}

impl Identity {
    /// Asks a host.
    pub(super) fn of(connect: &Connect) -> anyhow::Result<Identity> {
        let capabilities = connect.capabilities().doing("asking a host which one it is")?;
        let name = connect.hostname().doing("asking a host for its name")?;
        let (uuid, qemu_user) = read_capabilities(&capabilities)?;
        Ok(Identity { uuid, name, qemu_user })
    }

    /// Why two hosts are one, if they are: by libvirt's own checks before a migration
    /// (`src/qemu/qemu_migration_cookie.c`, `qemuMigrationCookieXMLParse`).
    pub(super) fn is(&self, other: &Identity) -> Option<String> {
        if self.uuid == other.uuid {
            Some(format!("libvirt's id of both is {}", self.uuid))
        } else if self.name == other.name {
            Some(format!(
                "both call themselves `{}`, and libvirt does not migrate between hosts of one name",
                self.name
            ))
        } else {
            None
        }
    }
}

fn read_capabilities(xml: &str) -> anyhow::Result<(String, (u32, u32))> {
    let document = Document::parse(xml).context("a host's capabilities")?;
    let host = child(document.root_element(), "host")
        .context("a host's capabilities do not speak of the host")?;
    let uuid = child(host, "uuid").and_then(|node| node.text()).context("a host has no id")?;
    // As <secmodel><model>dac</model><baselabel type='kvm'>+64055:+64055</baselabel>...
    let label = host
        .children()
        .filter(|node| node.has_tag_name("secmodel"))
        .filter(|node| child(*node, "model").and_then(|model| model.text()) == Some("dac"))
        .find_map(|node| child(node, "baselabel")?.text());
    let ids = label.and_then(|label| {
        let (user, group) = label.split_once(':')?;
        Some((
            user.trim_start_matches('+').parse().ok()?,
            group.trim_start_matches('+').parse().ok()?,
        ))
    });
    Ok((uuid.trim().to_owned(), ids.unwrap_or((0, 0))))
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// What a domain's XML says of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Described {
    /// Whether migcal has made it.
    pub(crate) ours: bool,
    /// Whether KVM runs it.
    pub(crate) kvm: bool,
    /// The QMP socket that its own command line gives it, beside libvirt's.
    pub(crate) qmp: Option<String>,
}

impl Described {
    /// Asks libvirt for it.
    pub(crate) fn of(domain: &Domain) -> anyhow::Result<Described> {
        Described::read(&domain.xml_desc(0).doing("reading a domain's XML")?)
    }

    fn read(xml: &str) -> anyhow::Result<Described> {
        let document = Document::parse(xml).context("a domain's XML")?;
        let domain = document.root_element();
        let words: Vec<&str> = domain
            .descendants()
            .filter(|node| node.tag_name().name() == "arg")
            .filter_map(|node| node.attribute("value"))
            .collect();
        let qmp = words.windows(2).find_map(|pair| {
            let [flag, value] = pair else { return None };
            let path = value.strip_prefix("unix:")?.split(',').next()?;
            (*flag == "-qmp").then(|| path.to_owned())
        });
        Ok(Described {
            ours: child(domain, "title").and_then(|title| title.text()) == Some(TITLE),
            kvm: domain.attribute("type") == Some("kvm"),
            qmp,
        })
    }
}

/// Refuses two names of one host.
///
/// # Errors
/// They are the same host; nothing has been touched.
pub(super) fn refuse_same_host(of: [&Identity; 2], uris: [&str; 2]) -> anyhow::Result<()> {
    let [source, destination] = of;
    if let Some(why) = source.is(destination) {
        bail!(
            "source and destination are the same host: {} and {} ({why}); nothing was touched. A migration takes two hosts",
            uris[0],
            uris[1]
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(uuid: &str, name: &str) -> Identity {
        Identity { uuid: uuid.to_owned(), name: name.to_owned(), qemu_user: (0, 0) }
    }

    #[test]
    fn two_names_of_one_host_are_refused() {
        let refused =
            |a, b| refuse_same_host([&a, &b], ["qemu:///system", "qemu+ssh://alias/system"]);
        assert!(refused(host("1", "a"), host("2", "b")).is_ok());
        for (a, b) in [(host("1", "a"), host("1", "b")), (host("1", "a"), host("2", "a"))] {
            let error = refused(a, b).unwrap_err().to_string();
            assert!(error.contains("same host") && error.contains("alias"), "{error}");
        }
    }

    #[test]
    fn a_hosts_id_and_qemus_user_are_read() {
        let dac = "<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+108</baselabel></secmodel>";
        let xml = |models: &str| {
            format!("<capabilities><host><uuid> u-1 </uuid>{models}</host><guest/></capabilities>")
        };
        let apparmor = "<secmodel><model>apparmor</model></secmodel>";
        assert_eq!(
            read_capabilities(&xml(&format!("{apparmor}{dac}"))).unwrap(),
            ("u-1".to_owned(), (64055, 108))
        );
        assert_eq!(read_capabilities(&xml("")).unwrap().1, (0, 0));
        assert!(read_capabilities("<capabilities/>").is_err());
    }

    #[test]
    fn a_domain_says_whose_it_is_and_where_its_second_socket_lies() {
        let plan = crate::plan::RunKeys::default().plan(None).unwrap();
        let ours = Described::read(&crate::domain::xml("g", "id", &plan, None)).unwrap();
        assert!(ours.ours && ours.kvm);
        assert_eq!(ours.qmp.as_deref(), Some("/var/lib/libvirt/migcal/run/g.qmp"));
        let theirs = Described::read(
            "<domain type='qemu'><name>g</name><description>a guest of migcal</description><title>mine</title></domain>",
        );
        assert_eq!(theirs.unwrap(), Described::default());
    }
}
