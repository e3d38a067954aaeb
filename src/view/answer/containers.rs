//! Containers that answers are for: found by thread, by key and by cgroup path.

use super::{answers::Answers, cached_facts::SLOW_FACT_MAX_AGE};
use crate::{
    base::{
        sys::ReadError,
        units::{Key, Pid, Tid},
    },
    facts::{
        cgroup::Paths,
        container::{Caller, CallerError, Container, Sight},
    },
};
use std::{path::Path, sync::Arc};

impl Answers {
    /// Identifies the caller that the thread `tid` stands for. The thread must wait for the
    /// answer until the return, so that no other thread gets its id.
    ///
    /// # Errors
    /// When the kernel does not name the cgroup of the thread.
    pub fn caller(&self, tid: Tid) -> Result<Caller, CallerError> {
        self.callers.identify(tid, &self.cgroups, &self.machine)
    }

    /// Identifies the process `pid`, by a thread of it that lives.
    ///
    /// # Errors
    /// As for [`Answers::caller`], and when the process has ended.
    pub fn caller_process(&self, pid: Pid) -> Result<Caller, CallerError> {
        let (callers, cgroups) = (&self.callers, &self.cgroups);
        callers.identify_process(pid, cgroups, &self.machine)
    }

    /// Returns the container whose first process is `pid`. A user who may not see the namespaces of that
    /// process gets the container by the cgroups of the process.
    ///
    /// # Errors
    /// As for [`Answers::caller`]; [`CallerError::NoProcess`] also for a process of the host.
    pub fn container_of_first(&self, pid: Pid) -> Result<Arc<Container>, CallerError> {
        match self.caller_process(pid) {
            Ok(Caller::Container(container)) => Ok(container),
            Ok(Caller::Host) => Err(CallerError::NoProcess(pid)),
            Err(CallerError::Unread { .. }) => {
                let found = self.callers.by_cgroups(pid, &self.cgroups, &self.machine);
                found.map(Arc::new)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the containers that the thread `tid` may find by their keys. The thread must wait for the
    /// answer until the return.
    ///
    /// # Errors
    /// As for [`Answers::caller`].
    pub fn sight(&self, tid: Tid) -> Result<Sight, CallerError> {
        self.callers.sight(tid, &self.cgroups, &self.machine)
    }

    /// Returns whether there is a container with that key, and `sight` shows it.
    #[must_use]
    pub fn is_shown(&self, key: Key, sight: &Sight) -> bool {
        // A container that is not shown costs no more than one that is not there.
        let path = self.cgroups.path_of(key);
        path.is_ok_and(|path| sight.shows(&path))
    }

    /// Returns the container with the key `key`.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when no cgroup has that key.
    pub fn container(&self, key: Key) -> Result<Arc<Container>, ReadError> {
        let now = (self.now)();
        if let Some(state) = self.containers.get(key) {
            let mut state = state.lock();
            if let Some(container) = state.container.within(SLOW_FACT_MAX_AGE, now) {
                return Ok(container);
            }
            let last = state.container.last().filter(|_| state.is_placed);
            let is_there =
                |container: &Arc<Container>| self.cgroups.key(&container.paths).ok() == Some(key);
            if let Some(container) = last.filter(is_there) {
                return Ok(state.container.set(now, container));
            }
        }
        let (container, is_placed) = (self.callers).container(key, &self.cgroups, &self.machine)?;
        let state = self.containers.entry(key);
        let mut state = state.lock();
        state.is_placed = is_placed;
        Ok(state.container.set((self.now)(), Arc::new(container)))
    }

    /// Returns the container whose cgroup has the path `path`, from the root of the hierarchy or
    /// from `/`.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when there is no such cgroup.
    pub fn container_at(&self, path: &Path) -> Result<Arc<Container>, ReadError> {
        let path = self.cgroups.below(path);
        let key = self.cgroups.key(&Paths::at(&path))?;
        self.container(key)
    }

    /// Returns the keys of the living containers that have read a file, in ascending order.
    #[must_use]
    pub fn known_containers(&self) -> Vec<Key> {
        self.forget_dead();
        let entries = self.containers.entries();
        let mut keys: Vec<Key> = entries.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }

    /// Closes files of cgroups that nobody read for a minute, some at a time.
    pub fn close_idle_files(&self) {
        self.cgroups.close_idle();
    }

    /// Drops the state of the containers whose cgroup is gone.
    pub(super) fn forget_dead(&self) {
        self.containers.forget_dead(|key| {
            let path = self.cgroups.path_of(key);
            let is_alive = !path.is_err_and(|error| error.is_gone());
            if !is_alive {
                self.remove_saved(key);
            }
            is_alive
        });
    }
}
