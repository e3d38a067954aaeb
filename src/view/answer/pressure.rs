//! Pressure files, and triggers on them. A pressure file has no view: the container reads the file
//! of its own cgroup as it is.

use super::{answers::Answers, error::AnswerError};
use crate::{
    base::{
        sys::{Dir, ReadError},
        units::Tid,
    },
    facts::{
        cgroup::Trigger,
        container::{Caller, Container},
        host::parse,
    },
    view::files::File,
};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

// include/uapi/linux/capability.h
const CAP_SYS_RESOURCE: u32 = 24;

impl Answers {
    /// Returns whether that caller has the pressure file: a container for which the kernel counts
    /// the pressure, or a process of a host that has the file.
    #[must_use]
    pub fn has_pressure(&self, file: File, caller: &Caller) -> bool {
        self.has(file.path()) && self.pressure_file(file, caller).is_some()
    }

    fn pressure_file(&self, file: File, caller: &Caller) -> Option<(&Dir, PathBuf)> {
        match caller {
            Caller::Host => Some((self.machine.root(), PathBuf::from(file.path()))),
            Caller::Container(container) => self.cgroup_pressure_file(file, container),
        }
    }

    fn cgroup_pressure_file(&self, file: File, container: &Container) -> Option<(&Dir, PathBuf)> {
        self.cgroups
            .pressure_file(&container.paths, file.pressure()?)
    }

    /// Returns the bytes of the pressure file of the container's cgroup.
    pub(super) fn read_pressure(
        &self,
        file: File,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let Some((root, path)) = self.cgroup_pressure_file(file, container) else {
            let path = file.path().to_owned();
            return Err(AnswerError::Unseen { path });
        };
        Ok(root.read(&path).map_err(ReadError::refused(&path))?)
    }

    /// Sets a trigger on that caller's pressure file. The trigger lives as long as the returned
    /// file, on which `poll(2)` reports its events.
    ///
    /// # Errors
    /// Errors of the kernel; `ENOENT` where the caller has no such file.
    pub fn trigger(&self, file: File, caller: &Caller, trigger: &Trigger) -> io::Result<fs::File> {
        let (root, path) = self
            .pressure_file(file, caller)
            .ok_or(io::ErrorKind::NotFound)?;
        let mut file = root.writable(&path)?;
        file.write_all(trigger.to_string().as_bytes())?;
        Ok(file)
    }

    /// Returns whether the thread `tid` has `CAP_SYS_RESOURCE` in any user namespace
    /// (`psi_trigger_create` in `kernel/sched/psi.c` asks the thread that opened the file).
    #[must_use]
    pub fn is_privileged(&self, tid: Tid) -> bool {
        let status = self
            .machine
            .proc_text(Path::new(&tid.to_string()).join("status"));
        status.is_ok_and(|status| parse::has_capability(&status, CAP_SYS_RESOURCE))
    }
}
