//! The Linux guest for real applications: Debian's cloud kernel, and a first file system made of
//! Debian's packages.
//!
//! Nothing is installed: the packages are fetched by apt, unpacked beside each other, and packed
//! into one archive, which is kept for the next time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

const INIT: &str = include_str!("../guest/linux/init");
const JOB: &str = include_str!("../guest/linux/job.py");
/// What the jobs run, with all that it depends on.
const APPLICATIONS: [&str; 3] = ["busybox-static", "redis-server", "python3"];
const KERNEL: &str = "linux-image-cloud-amd64";
/// What packages depend on to be installed, and nothing needs to run.
const NOT_NEEDED: [&str; 29] = [
    "adduser",
    "cdebconf",
    "coreutils",
    "debconf",
    "debconf-2.0",
    "debianutils",
    "dpkg",
    "gcc-12-base",
    "init-system-helpers",
    "install-info",
    "libdebconfclient0",
    "libdebian-installer4",
    "libnewt0.52",
    "libslang2",
    "login",
    "lsb-base",
    "mailcap",
    "media-types",
    "mime-support",
    "mount",
    "passwd",
    "readline-common",
    "sensible-utils",
    "sysvinit-utils",
    "tar",
    "tzdata",
    "usr-is-merged",
    "usrmerge",
    "util-linux",
];
/// Folders of packages that no program reads.
const DEAD_WEIGHT: [&str; 6] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "boot",
];

/// What is booted.
#[derive(Debug, Clone)]
pub struct Image {
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The first file system: cpio, compressed.
    pub initrd: Vec<u8>,
}

/// The guest's image, assembled on first use.
///
/// # Errors
/// A package cannot be fetched, or a program that unpacks is missing; with the command that
/// installs it.
pub fn image() -> anyhow::Result<Image> {
    let folder = cache();
    let (kernel, initrd) = (folder.join("kernel"), folder.join("initrd"));
    if !kernel.exists() || !initrd.exists() {
        assemble(&folder)?;
    }
    Ok(Image { kernel: fs::read(kernel)?, initrd: fs::read(initrd)? })
}

/// Where the image is kept. Another job or init is another image.
fn cache() -> PathBuf {
    let root = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from("/var/cache"), PathBuf::from);
    let content = crate::lab::uuid_of(&format!("{INIT}{JOB}"));
    root.join("migcal").join(format!("linux-{}", &content[..8]))
}

fn assemble(folder: &Path) -> anyhow::Result<()> {
    for (program, package) in
        [("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("cpio", "cpio"), ("gzip", "gzip")]
    {
        if crate::reach::Reach::Here.which(program).is_none() {
            bail!(
                "the Linux guest is made of Debian's packages, and `{program}` is missing: apt-get install {package}"
            );
        }
    }
    let work = tempfile::tempdir().context("no room to unpack packages")?;
    let (packages, root) = (work.path().join("packages"), work.path().join("root"));
    fs::create_dir_all(&packages)?;
    fs::create_dir_all(&root)?;
    let mut names = dependencies(&APPLICATIONS)?;
    names.push(kernel_package()?);
    fetch(&packages, &names)?;
    for entry in fs::read_dir(&packages)? {
        run(Command::new("dpkg-deb").arg("-x").arg(entry?.path()).arg(&root))?;
    }
    let boot = fs::read_dir(root.join("boot"))?.flatten().map(|e| e.path());
    let kernel = boot
        .into_iter()
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("vmlinuz")))
        .context("the kernel's package holds no vmlinuz")?;
    fs::create_dir_all(folder)?;
    fs::copy(kernel, folder.join("kernel.new"))?;
    for dead in DEAD_WEIGHT {
        let _ = fs::remove_dir_all(root.join(dead));
    }
    let _ = fs::remove_dir_all(root.join("lib/modules"));
    for place in ["proc", "sys", "dev", "tmp", "etc"] {
        fs::create_dir_all(root.join(place))?;
    }
    for (name, content) in
        [("init", INIT), ("job.py", JOB), ("etc/passwd", "root:x:0:0::/:/bin/sh\n")]
    {
        fs::write(root.join(name), content)?;
    }
    run(Command::new("chmod").arg("755").arg(root.join("init")))?;
    let pack = "find . -print0 | sort -z | cpio --null --quiet --reproducible -o -H newc | gzip -1 > \"$0\"";
    run(Command::new("sh").args(["-ec", pack]).arg(folder.join("initrd.new")).current_dir(&root))?;
    for name in ["kernel", "initrd"] {
        fs::rename(folder.join(format!("{name}.new")), folder.join(name))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("`{name}` did not start"))?;
    if !output.status.success() {
        bail!("`{name}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The package that the cloud kernel's name stands for today.
fn kernel_package() -> anyhow::Result<String> {
    let said = run(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let name = said.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(name.with_context(|| format!("apt knows no {KERNEL}; run apt-get update"))?.to_owned())
}

fn dependencies(names: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut command = Command::new("apt-cache");
    command.args([
        "depends",
        "--recurse",
        "--no-recommends",
        "--no-suggests",
        "--no-conflicts",
        "--no-breaks",
    ]);
    command.args(["--no-replaces", "--no-enhances"]).args(names);
    let said =
        run(&mut command).context("apt does not know the guest's packages; run apt-get update")?;
    let mut found: Vec<String> = said
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()))
        .filter(|name| {
            !NOT_NEEDED.contains(name) && !name.contains([':']) && !name.contains("perl")
        })
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

fn fetch(folder: &Path, names: &[String]) -> anyhow::Result<()> {
    let download =
        || run(Command::new("apt-get").args(["-q", "download"]).args(names).current_dir(folder));
    if download().is_err() {
        // The lists may be older than the archive.
        run(Command::new("apt-get").args(["-q", "update"]))?;
        download().context("fetching the guest's packages")?;
    }
    Ok(())
}
