//! The Linux guest for real applications: Debian's cloud kernel, and a first file system made of Debian's packages.

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
/// A package cannot be fetched.
pub fn image() -> anyhow::Result<Image> {
    anyhow::bail!("the Linux guest has not been assembled")
}
