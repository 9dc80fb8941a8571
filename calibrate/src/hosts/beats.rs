//! The guest's heartbeat, heard outside: a byte every 4 ms from its second serial port, stamped by one clock whichever
//! host it runs at.

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
        // A thread may change its network namespace, and a socket stays in the one where it was opened.
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
            while !ended.load(Ordering::Relaxed) {
                if socket.recv(&mut buffer).is_ok() {
                    let now = Instant::now();
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
