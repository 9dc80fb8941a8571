//! Builds the guest of real runs (guest/) with the machine's gcc: no binary in the repository.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Bytes of incompressible content that the guest fills its memory with.
const NOISE: usize = 64 << 10;

fn main() {
    println!("cargo::rerun-if-changed=guest");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    println!("cargo::rustc-env=MIGCAL_COMMIT={}", commit().unwrap_or_default());
    if env::var_os("CARGO_FEATURE_LIBVIRT").is_none() {
        return;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("noise.bin"), noise()).expect("OUT_DIR can be written");
    build_guest(Path::new("guest"), &out);
}

/// The commit that is built, for the manifests of campaigns; none outside of a clone.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// SplitMix64 (Steele, Lea, Flood 2014) from a fixed seed.
fn noise() -> Vec<u8> {
    let mut state = 0_u64;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    std::iter::repeat_with(next).take(NOISE / 8).flat_map(u64::to_le_bytes).collect()
}

fn build_guest(sources: &Path, out: &Path) {
    let mut gcc = Command::new("gcc");
    gcc.args([
        "-m32",
        "-march=i686",
        "-ffreestanding",
        "-nostdlib",
        "-static",
        "-fno-pic",
        "-fno-pie",
        "-no-pie",
    ])
    // The guest runs where instructions are emulated one by one: no floating point, no vectors.
    .args(["-mgeneral-regs-only", "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-O2"])
    .args(["-Wall", "-Wextra", "-Werror"])
    .args([
        "-Wl,--build-id=none",
        "-Wl,-melf_i386",
        "-Wl,-z,noexecstack",
        "-Wl,--no-warn-rwx-segments",
    ])
    .arg(format!("-Wa,-I{}", out.display()))
    .arg("-T")
    .arg(sources.join("link.ld"))
    .arg("-o")
    .arg(out.join("guest.elf"))
    .arg(sources.join("boot.S"))
    .arg(sources.join("guest.c"));
    match gcc.output() {
        Ok(done) if done.status.success() => {}
        Ok(done) => panic!(
            "gcc could not build calibrate/guest:\n{}",
            String::from_utf8_lossy(&done.stderr)
        ),
        Err(e) => panic!(
            "gcc, which builds the guest of real runs, did not start: {e}\n\
             install it with `apt-get install gcc`, or build what needs no real migrations with `--no-default-features`"
        ),
    }
}
