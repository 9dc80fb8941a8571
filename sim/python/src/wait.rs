//! Work that may take long: done beside Python, which is told how far it is and may end it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How often Python is asked whether somebody has pressed Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);

/// What work and who waits for it know of each other.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// It is to end early.
    pub(crate) stop: AtomicBool,
    /// How much of it is done.
    pub(crate) done: AtomicU64,
}

/// Does work, of so many parts, in a thread of its own. `progress` is called with the parts done
/// and all of them, in Python's own thread.
///
/// # Errors
/// Ctrl-C, or what `progress` raised.
pub(crate) fn long<T: Send>(
    py: Python<'_>,
    progress: Option<Py<PyAny>>,
    all: u64,
    go: impl FnOnce(&Work) -> T + Send,
) -> PyResult<T> {
    let work = Work::default();
    let (over, ended) = mpsc::channel::<()>();
    let ended = Mutex::new(ended);
    let (found, raised) = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Dropped at the end, and if it panics.
            let _over = over;
            go(&work)
        });
        let mut raised = None;
        loop {
            let waits = py.detach(|| {
                let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
                ended.recv_timeout(LOOK)
            });
            let told = || -> PyResult<()> {
                py.check_signals()?;
                if let Some(progress) = &progress {
                    progress.call1(py, (work.done.load(Ordering::Relaxed), all))?;
                }
                Ok(())
            };
            if raised.is_none() {
                raised = told().err();
                work.stop.fetch_or(raised.is_some(), Ordering::Relaxed);
            }
            if waits == Err(mpsc::RecvTimeoutError::Disconnected) {
                break;
            }
        }
        (py.detach(|| worker.join()), raised)
    });
    if let Some(raised) = raised {
        return Err(raised);
    }
    found.map_err(|_| PyRuntimeError::new_err("migsim has failed inside: please report this"))
}
