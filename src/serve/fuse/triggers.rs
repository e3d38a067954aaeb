//! The triggers on pressure files: set by a write, waited for by one thread, told by a poll.
//!
//! Each is a file of the cgroup's own that the daemon holds open, so that the kernel decides when
//! it fires. A reader's poll consumes what fired, as the kernel's own does.

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

/// So many triggers one container may have. The kernel pays for each.
const MAX_TRIGGERS_PER_CONTAINER: usize = 64;

/// What a file is ready for that never waits (`DEFAULT_POLLMASK` in `include/linux/poll.h`).
pub(super) const READY: PollEvents = PollEvents::POLLIN
    .union(PollEvents::POLLOUT)
    .union(PollEvents::POLLRDNORM)
    .union(PollEvents::POLLWRNORM);
const FIRED: PollEvents = READY.union(PollEvents::POLLPRI);
// psi_trigger_poll says so without a trigger, and kernfs_fop_poll for a cgroup that is gone.
const LOST: PollEvents = FIRED.union(PollEvents::POLLERR);

/// Why a trigger is not set.
#[derive(Debug, thiserror::Error)]
pub(super) enum TriggerError {
    /// The text is none, or asks for more than the caller may.
    #[error("it is no trigger that the caller may set")]
    Invalid,
    /// The open file has one.
    #[error("the open file has a trigger")]
    Busy,
    /// The container has as many as it may.
    #[error("a container has {MAX_TRIGGERS_PER_CONTAINER} triggers")]
    TooMany,
    /// The kernel refuses it.
    #[error("the kernel refuses the trigger")]
    Refused(#[from] io::Error),
}

impl TriggerError {
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

/// The triggers by the handle of the open file that has them.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    set: Arc<Mutex<HashMap<u64, ActiveTrigger>>>,
    /// Made with the first trigger, like the thread that waits on it.
    epoll: OnceLock<Option<Arc<Epoll>>>,
}

/// A trigger that is set.
#[derive(Debug)]
struct ActiveTrigger {
    /// The container that has it.
    key: Option<Key>,
    /// The cgroup's own file. `None` when the cgroup is gone.
    file: Option<File>,
    has_fired: bool,
    waiter: Option<PollNotifier>,
}

impl Triggers {
    /// Sets the trigger that was written to an open file; `make` has the kernel set it.
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

    /// What an open pressure file is ready for; what has fired is consumed.
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

    /// Forgets the trigger of an open file.
    pub(super) fn remove(&self, handle: u64) {
        // Closing the cgroup's file takes it out of the epoll set.
        self.set.lock().remove(&handle);
    }

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

/// Tells whoever waits of every trigger that fires, for ever.
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
                tracing::debug!(%error, "nobody waits for a trigger any more");
            }
        }
    }
}
