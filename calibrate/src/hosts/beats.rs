//! The guest's heartbeat, heard outside: a byte every 4 ms from its second serial port, stamped by
//! one clock whichever host it runs at.

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sched::{CloneFlags, setns};

#[derive(Debug, Default)]
struct Heard {
    last: Option<Instant>,
    longest: Option<Duration>,
}

/// Ears in one or more networks. Dropped, they close.
#[derive(Debug)]
pub(super) struct Beats {
    heard: Arc<Mutex<Heard>>,
    ended: Arc<AtomicBool>,
    ears: Vec<JoinHandle<()>>,
}

/// How soon an ear notices that it is to close.
const NOTICES: Duration = Duration::from_millis(20);

/// What fills the receiver of the guest's serial port, from which nobody reads: QEMU then asks its
/// socket for nothing more.
///
/// When nobody listens any more the kernel tells QEMU that its beats are refused. That wakes its
/// main loop to read (`chardev/char-udp.c`, `udp_chr_read`); but the next beat, sent by a vCPU's
/// thread, may take the error away first, and then the read waits for ever, and with it everything
/// that QEMU's main loop does (seen: a guest that ran and answered nothing).
const STOPPER: [u8; 64] = [0; 64];

impl Beats {
    /// Listens at `port`: in each of the network namespaces, or on this machine if there are none.
    pub(super) fn listen(namespaces: &[PathBuf], port: u16) -> anyhow::Result<Beats> {
        let mut beats = Beats { heard: Arc::default(), ended: Arc::default(), ears: Vec::new() };
        if namespaces.is_empty() {
            beats.open(None, port)?;
        }
        for namespace in namespaces {
            beats.open(Some(namespace), port)?;
        }
        Ok(beats)
    }

    fn open(&mut self, namespace: Option<&Path>, port: u16) -> anyhow::Result<()> {
        let namespace = namespace.map(Path::to_owned);
        // A thread may change its network namespace, and a socket stays in the one where it was
        // opened.
        let socket = std::thread::spawn(move || -> anyhow::Result<UdpSocket> {
            let address = match &namespace {
                Some(path) => {
                    setns(File::open(path)?, CloneFlags::CLONE_NEWNET)?;
                    "127.0.0.1"
                }
                None => "0.0.0.0",
            };
            Ok(UdpSocket::bind((address, port))?)
        })
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that listens ended"))?
        .context("listening for the guest's heartbeat")?;
        socket.set_read_timeout(Some(NOTICES))?;
        let (heard, ended) = (Arc::clone(&self.heard), Arc::clone(&self.ended));
        self.ears.push(std::thread::spawn(move || {
            let mut buffer = [0; 64];
            let mut speaks = None;
            while !ended.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut buffer) {
                    let now = Instant::now();
                    if speaks.replace(from) != Some(from) {
                        // Once is enough; if it does not arrive, it is as it was.
                        let _ = socket.send_to(&STOPPER, from);
                    }
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(last) = heard.last {
                        heard.longest = heard.longest.max(Some(now - last));
                    }
                    heard.last = Some(now);
                }
            }
        }));
        Ok(())
    }

    /// Forgets the longest silence so far.
    pub(super) fn restart(&self) {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).longest = None;
    }

    /// The longest silence between two beats.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).longest
    }
}

impl Drop for Beats {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The next guest's are heard at the same port.
        for ear in self.ears.drain(..) {
            let _ = ear.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_speaks_is_answered_once_so_that_qemu_reads_no_more() {
        let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let beats = Beats::listen(&[], free).unwrap();
        let guest = UdpSocket::bind("127.0.0.1:0").unwrap();
        guest.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        guest.connect(("127.0.0.1", free)).unwrap();
        let mut answer = [0; 128];
        guest.send(b".").unwrap();
        // More than the FIFO of a serial port holds.
        assert_eq!(guest.recv(&mut answer).unwrap(), 64);
        guest.send(b".").unwrap();
        guest.set_read_timeout(Some(NOTICES)).unwrap();
        assert!(guest.recv(&mut answer).is_err(), "it is answered once");
        drop(beats);
    }
}
