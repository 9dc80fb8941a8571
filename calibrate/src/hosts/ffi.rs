//! The calls to libvirt that the virt crate leaves out, and typed parameters read so that C's
//! memory stays C's.
#![expect(unsafe_code, reason = "libvirt is a C library")]

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::fmt::Display;
use std::ptr;
use std::sync::Once;
use std::sync::mpsc::Sender;

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::sys;

use super::JobStats;

/// A version as libvirt counts it, as people write it: 7002022 is 7.2.22.
pub(crate) fn dotted(version: u32) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

/// What libvirt tells about a domain while it migrates.
#[derive(Debug)]
pub(crate) enum Event {
    /// An iteration over memory has begun; the first is 1.
    Iteration(u64),
    /// The job has ended well, with its statistics.
    Completed(JobStats),
}

/// Says what was being done when libvirt refused.
pub(crate) trait Doing<T> {
    /// The result, its error after `what`.
    fn doing(self, what: impl Display) -> anyhow::Result<T>;
}

impl<T> Doing<T> for Result<T, Error> {
    fn doing(self, what: impl Display) -> anyhow::Result<T> {
        self.map_err(|error| anyhow::anyhow!("{what}: {}", error.message()))
    }
}

fn checked(result: c_int) -> Result<(), Error> {
    if result < 0 { Err(Error::last_error()) } else { Ok(()) }
}

/// Numbers among typed parameters, by name.
///
/// # Safety
/// `params` points to `count` parameters that libvirt has filled.
unsafe fn numbers(params: *const sys::virTypedParameter, count: usize) -> JobStats {
    let mut stats = JobStats::new();
    for index in 0..count {
        // SAFETY: within the `count` parameters; the union's member is the one that the type names.
        let (name, value) = unsafe {
            let param = &*params.add(index);
            let value = match param.type_ as sys::virTypedParameterType {
                sys::VIR_TYPED_PARAM_INT => f64::from(param.value.i),
                sys::VIR_TYPED_PARAM_UINT => f64::from(param.value.ui),
                sys::VIR_TYPED_PARAM_LLONG => param.value.l as f64,
                sys::VIR_TYPED_PARAM_ULLONG => param.value.ul as f64,
                sys::VIR_TYPED_PARAM_DOUBLE => param.value.d,
                sys::VIR_TYPED_PARAM_BOOLEAN => f64::from(param.value.b),
                _ => continue,
            };
            (CStr::from_ptr(param.field.as_ptr()), value)
        };
        stats.insert(name.to_string_lossy().into_owned(), value);
    }
    stats
}

/// Statistics of the current job, or of the last completed one. `None`: there is none.
pub(crate) fn job_stats(domain: &Domain, completed: bool) -> Result<Option<JobStats>, Error> {
    let mut kind: c_int = 0;
    let mut params: sys::virTypedParameterPtr = ptr::null_mut();
    let mut count: c_int = 0;
    let flags = if completed {
        sys::VIR_DOMAIN_JOB_STATS_COMPLETED | sys::VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
    } else {
        0
    };
    // SAFETY: the domain is alive; libvirt allocates the parameters and we give them back to it.
    unsafe {
        checked(sys::virDomainGetJobStats(
            domain.as_ptr(),
            &mut kind,
            &mut params,
            &mut count,
            flags,
        ))?;
        let stats = numbers(params, usize::try_from(count).unwrap_or(0));
        sys::virTypedParamsFree(params, count);
        Ok((kind != sys::VIR_DOMAIN_JOB_NONE as c_int).then_some(stats))
    }
}

/// Ends the current job.
pub(crate) fn abort_job(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain is alive.
    checked(unsafe { sys::virDomainAbortJob(domain.as_ptr()) })
}

/// Switches a running migration to post-copy.
pub(crate) fn start_postcopy(domain: &Domain) -> Result<(), Error> {
    // SAFETY: the domain is alive.
    checked(unsafe { sys::virDomainMigrateStartPostCopy(domain.as_ptr(), 0) })
}

/// Stops a domain and writes its memory to a file at its host.
pub(crate) fn save(domain: &Domain, path: &str) -> Result<(), Error> {
    let path = CString::new(path)?;
    // SAFETY: the domain is alive; libvirt copies the path.
    checked(unsafe { sys::virDomainSave(domain.as_ptr(), path.as_ptr()) })
}

/// Starts a measurement of the dirty-page rate over `seconds`, 1 to 60.
pub(crate) fn start_dirty_rate(domain: &Domain, seconds: u32, mode: c_uint) -> Result<(), Error> {
    let seconds = c_int::try_from(seconds).unwrap_or(c_int::MAX);
    // SAFETY: the domain is alive.
    checked(unsafe { sys::virDomainStartDirtyRateCalc(domain.as_ptr(), seconds, mode) })
}

/// The domain's figures on its dirty-page rate, by libvirt's names.
pub(crate) fn dirty_rate(domain: &Domain) -> Result<JobStats, Error> {
    let mut records: *mut sys::virDomainStatsRecordPtr = ptr::null_mut();
    // SAFETY: the domain is alive, the list ends with null; libvirt allocates the records and we
    // give them back to it.
    unsafe {
        let mut domains = [domain.as_ptr(), ptr::null_mut()];
        let count = sys::virDomainListGetStats(
            domains.as_mut_ptr(),
            sys::VIR_DOMAIN_STATS_DIRTYRATE,
            &mut records,
            0,
        );
        checked(count)?;
        let stats = if count > 0 {
            let record = &**records;
            numbers(record.params, usize::try_from(record.nparams).unwrap_or(0))
        } else {
            JobStats::new()
        };
        sys::virDomainStatsRecordListFree(records);
        Ok(stats)
    }
}

/// libvirt's events arrive on a thread of their own, started once, before the first connection.
pub(crate) fn start_event_loop() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if virt::event::event_register_default_impl().is_ok() {
            std::thread::spawn(|| while virt::event::event_run_default_impl().is_ok() {});
        }
    });
    // Errors are returned; libvirt would print them as well.
    virt::error::clear_error_callback();
}

type Callback = sys::virConnectDomainEventGenericCallback;
type OnIteration = sys::virConnectDomainEventMigrationIterationCallback;
type OnCompleted = sys::virConnectDomainEventJobCompletedCallback;

unsafe extern "C" fn on_iteration(
    _: sys::virConnectPtr,
    _: sys::virDomainPtr,
    iteration: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the sender that `listen` has handed over, freed by `free_sender` alone.
    let sender = unsafe { &*opaque.cast::<Sender<Event>>() };
    let _ = sender.send(Event::Iteration(u64::try_from(iteration).unwrap_or(0)));
}

unsafe extern "C" fn on_completed(
    _: sys::virConnectPtr,
    _: sys::virDomainPtr,
    params: sys::virTypedParameterPtr,
    count: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: as above; the parameters are libvirt's and valid during the call.
    let (sender, stats) = unsafe {
        (&*opaque.cast::<Sender<Event>>(), numbers(params, usize::try_from(count).unwrap_or(0)))
    };
    let _ = sender.send(Event::Completed(stats));
}

unsafe extern "C" fn free_sender(opaque: *mut c_void) {
    // SAFETY: made by Box::into_raw in `listen`; libvirt calls this once, when nobody uses it any
    // more.
    drop(unsafe { Box::from_raw(opaque.cast::<Sender<Event>>()) });
}

/// Events go on coming until this is dropped.
pub(crate) struct Listening {
    connect: Connect,
    ids: Vec<c_int>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        for id in &self.ids {
            // SAFETY: the connection is alive; libvirt frees the sender with `free_sender`.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), *id) };
        }
    }
}

/// Sends what libvirt tells about a domain to `sender`.
pub(crate) fn listen(
    connect: &Connect,
    domain: &Domain,
    sender: &Sender<Event>,
) -> Result<Listening, Error> {
    let mut listening = Listening { connect: connect.clone(), ids: Vec::new() };
    // SAFETY: libvirt calls each function with the arguments that its event id stands for, as its
    // own macro VIR_DOMAIN_EVENT_CALLBACK casts them.
    let callbacks: [(sys::virDomainEventID, Callback); 2] = unsafe {
        [
            (
                sys::VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION,
                std::mem::transmute::<OnIteration, Callback>(Some(on_iteration)),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_JOB_COMPLETED,
                std::mem::transmute::<OnCompleted, Callback>(Some(on_completed)),
            ),
        ]
    };
    for (id, callback) in callbacks {
        let opaque = Box::into_raw(Box::new(sender.clone())).cast::<c_void>();
        // SAFETY: connection and domain are alive; libvirt frees the sender with `free_sender`.
        let registered = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                domain.as_ptr(),
                id as c_int,
                callback,
                opaque,
                Some(free_sender),
            )
        };
        if registered < 0 {
            // SAFETY: libvirt has not taken it.
            unsafe { free_sender(opaque) };
            return Err(Error::last_error());
        }
        listening.ids.push(registered);
    }
    Ok(listening)
}

/// A domain's state and the reason of it, as libvirt's numbers.
pub(crate) fn state(domain: &Domain) -> Result<(c_uint, c_uint), Error> {
    let (mut state, mut reason) = (0, 0);
    // SAFETY: the domain is alive.
    checked(unsafe { sys::virDomainGetState(domain.as_ptr(), &mut state, &mut reason, 0) })?;
    Ok((c_uint::try_from(state).unwrap_or(0), c_uint::try_from(reason).unwrap_or(0)))
}
