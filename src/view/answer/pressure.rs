//! The pressure files: the cgroup's own, and triggers on them. There is no view, for there is
//! nothing to compute.

use super::{AnswerError, Answers};
use crate::{
    base::{
        metrics,
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
    /// Whether that caller has the pressure file: a container that the kernel counts it for, or a
    /// process of a host that has it.
    #[must_use]
    pub fn has_pressure(&self, file: File, caller: &Caller) -> bool {
        self.has(file.path()) && self.pressure_file(file, caller).is_some()
    }

    fn pressure_file(&self, file: File, caller: &Caller) -> Option<(&Dir, PathBuf)> {
        match caller {
            Caller::Host => Some((self.machine.root(), PathBuf::from(file.path()))),
            Caller::Container(container) => self.own_pressure_file(file, container),
        }
    }

    fn own_pressure_file(&self, file: File, container: &Container) -> Option<(&Dir, PathBuf)> {
        self.cgroups
            .pressure_file(&container.paths, file.pressure()?)
    }

    /// The bytes of the container's own pressure file.
    ///
    /// # Errors
    /// [`AnswerError::Unseen`] when it has none; when the kernel does not give them.
    pub(super) fn pressure(
        &self,
        file: File,
        container: &Container,
    ) -> Result<Vec<u8>, AnswerError> {
        let Some((root, path)) = self.own_pressure_file(file, container) else {
            let path = file.path().to_owned();
            return Err(AnswerError::Unseen { path });
        };
        let text = root.read(&path).map_err(ReadError::refused(&path))?;
        metrics::ANSWERS.count();
        Ok(text)
    }

    /// Sets a trigger on that caller's pressure file. It lives as long as the file that is
    /// returned, which `poll(2)` tells of it.
    ///
    /// # Errors
    /// Those of the kernel; `ENOENT` where the caller has no such file.
    pub fn trigger(&self, file: File, caller: &Caller, trigger: &Trigger) -> io::Result<fs::File> {
        let (root, path) = self
            .pressure_file(file, caller)
            .ok_or(io::ErrorKind::NotFound)?;
        let mut file = root.writable(&path)?;
        file.write_all(trigger.to_string().as_bytes())?;
        Ok(file)
    }

    /// Whether the thread `tid` has `CAP_SYS_RESOURCE`, in whatever user namespace
    /// (`kernel/sched/psi.c`, `psi_trigger_create` asks the one who opened the file).
    #[must_use]
    pub fn is_privileged(&self, tid: Tid) -> bool {
        let status = self
            .machine
            .proc_text(Path::new(&tid.to_string()).join("status"));
        status.is_ok_and(|status| parse::has_capability(&status, CAP_SYS_RESOURCE))
    }
}
