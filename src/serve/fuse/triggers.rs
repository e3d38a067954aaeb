//! The triggers on pressure files. A write sets a trigger, one thread waits for all of them, and a
//! poll reports an event.
//!
//! For each trigger the daemon holds a pressure file of the cgroup open, so that the kernel decides
//! when the trigger fires. A reader's poll consumes the event, as on the kernel's own file.

use super::open_files::OpenFile;
use crate::{base::units::Key, facts::cgroup::Trigger};
use fuser::{Errno, PollEvents, PollNotifier};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, OnceLock},
};

/// Maximum number of triggers of one container: each costs the kernel memory and time.
const MAX_TRIGGERS_PER_CONTAINER: usize = 64;

/// Events of a file that never blocks (`DEFAULT_POLLMASK` in `include/linux/poll.h`).
pub(super) const READY: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLWRNORM);
const FIRED: PollEvents = READY.union(PollEvents::POLLPRI);
// psi_trigger_poll returns these events without a trigger, and kernfs_fop_poll if the cgroup is
// gone.
const LOST: PollEvents = FIRED.union(PollEvents::POLLERR);

/// The error of setting a trigger.
#[derive(Debug, thiserror::Error)]
pub(super) enum TriggerError {
    /// The text is not a trigger, or asks for more than the caller may.
    #[error("the text is not a trigger that the caller may set")]
    Invalid,
    /// The open file has a trigger.
    #[error("the open file has a trigger")]
    Busy,
    /// The container has the maximum number of triggers.
    #[error("a container has {MAX_TRIGGERS_PER_CONTAINER} triggers")]
    TooMany,
    /// The kernel refuses the trigger.
    #[error("the kernel refuses the trigger")]
    Refused(#[from] io::Error),
}

impl TriggerError {
    /// Returns the errno that the writer gets.
    pub(super) fn errno(&self) -> Errno {
        match self {
            TriggerError::Invalid => Errno::EINVAL,
            TriggerError::Busy => Errno::EBUSY,
            TriggerError::TooMany => Errno::ENOSPC,
            TriggerError::Refused(error) => {
                Errno::from_i32(error.raw_os_error().unwrap_or(libc::EIO))
            }
        }
    }
}

/// The triggers by the handle of their open file.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    set: Arc<Mutex<HashMap<u64, ActiveTrigger>>>,
    /// The epoll instance, made with the first trigger together with the thread that waits on it;
    /// `None` if the kernel refused one of the two.
    epoll: OnceLock<Option<Arc<Epoll>>>,
}

/// A trigger that the kernel watches.
#[derive(Debug)]
struct ActiveTrigger {
    /// The container that set the trigger; `None` for the host.
    key: Option<Key>,
    /// The pressure file of the cgroup. `None` when the cgroup is gone.
    file: Option<File>,
    has_fired: bool,
    waiter: Option<PollNotifier>,
}

impl Triggers {
    /// Sets the trigger that was written to an open file. `make` asks the kernel for the trigger
    /// and returns the pressure file that holds it.
    pub(super) fn set(
        &self,
        handle: u64,
        open: &OpenFile,
        text: &[u8],
        make: impl FnOnce(&Trigger) -> io::Result<File>,
    ) -> Result<(), TriggerError> {
        let trigger = Trigger::parse(text, open.is_privileged).ok_or(TriggerError::Invalid)?;
        let key = open.key();
        let epoll = self.epoll()?;
        let mut set = self.set.lock();
        if set.contains_key(&handle) {
            return Err(TriggerError::Busy);
        }
        if key.is_some()
            && set.values().filter(|set| set.key == key).count() >= MAX_TRIGGERS_PER_CONTAINER
        {
            return Err(TriggerError::TooMany);
        }
        let file = make(&trigger)?;
        let event = EpollEvent::new(EpollFlags::EPOLLPRI, handle);
        epoll.add(&file, event).map_err(io::Error::from)?;
        let waiting = ActiveTrigger {
            key,
            file: Some(file),
            has_fired: false,
            waiter: None,
        };
        set.insert(handle, waiting);
        Ok(())
    }

    /// Returns the events of an open pressure file, and consumes the one of its trigger. `waiter`
    /// gets notified of the next event.
    pub(super) fn poll(&self, handle: u64, waiter: Option<PollNotifier>) -> PollEvents {
        let mut set = self.set.lock();
        match set.get_mut(&handle) {
            Some(set) if set.file.is_some() => {
                if std::mem::take(&mut set.has_fired) {
                    return FIRED;
                }
                set.waiter = waiter.or(set.waiter.take());
                READY
            }
            _ => LOST,
        }
    }

    /// Removes the trigger of an open file, if there is one.
    pub(super) fn remove(&self, handle: u64) {
        // The kernel removes a closed file from the epoll set.
        self.set.lock().remove(&handle);
    }

    /// Returns the epoll instance; makes it and its thread on the first call.
    fn epoll(&self) -> Result<Arc<Epoll>, TriggerError> {
        let made = self.epoll.get_or_init(|| {
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok()?;
            let epoll = Arc::new(epoll);
            let (waited, set) = (Arc::clone(&epoll), Arc::clone(&self.set));
            let thread = std::thread::Builder::new().name("triggers".to_owned());
            thread.spawn(move || watch(&waited, &set)).ok()?;
            Some(epoll)
        });
        let made = made.clone();
        made.ok_or_else(|| TriggerError::Refused(io::ErrorKind::OutOfMemory.into()))
    }
}

/// Waits for events, records each and notifies its waiter; never returns.
fn watch(epoll: &Epoll, set: &Mutex<HashMap<u64, ActiveTrigger>>) {
    let mut events = [EpollEvent::empty(); 16];
    loop {
        let fired = epoll.wait(&mut events, EpollTimeout::NONE).unwrap_or(0);
        for event in events.iter().take(fired) {
            let mut set = set.lock();
            let Some(set) = set.get_mut(&event.data()) else {
                continue;
            };
            set.has_fired = true;
            if event.events().contains(EpollFlags::EPOLLERR) {
                set.file = None;
            }
            if let Some(waiter) = set.waiter.take()
                && let Err(error) = waiter.notify()
            {
                tracing::debug!(%error, "cannot notify the waiter of a trigger");
            }
        }
    }
}
