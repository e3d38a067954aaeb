//! The init of a pid namespace.

use super::{namespace, pids};
use crate::{
    base::{
        sys::{self, ReadError},
        units::Pid,
    },
    facts::host::Machine,
};
use nix::{fcntl::OFlag, sys::stat::Mode};
use parking_lot::Mutex;
use std::{collections::HashMap, path::Path};

/// Finds inits.
#[derive(Debug, Default)]
pub(super) struct Inits {
    /// The inits by pid namespace, for kernels without a way to ask. An init lives as long as its
    /// namespace has processes, so that its pid is free only once the namespace is gone.
    known: Mutex<HashMap<u64, Pid>>,
}

impl Inits {
    /// Returns the init of the pid namespace with that inode number, in which the task is whose
    /// directory below `/proc` is `place`; `None` if the init cannot be found.
    ///
    /// # Errors
    /// When descriptors or memory are short.
    pub(super) fn of(
        &self,
        place: &str,
        inode: u64,
        machine: &Machine,
    ) -> Result<Option<Pid>, ReadError> {
        let link = format!("{place}/ns/pid");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let ns = match nix::fcntl::openat(machine.proc(), link.as_str(), flags, Mode::empty()) {
            Ok(ns) => ns,
            Err(error) => {
                let error = ReadError::refused(Path::new(&link))(error.into());
                return if error.is_shortage() {
                    Err(error)
                } else {
                    Ok(None)
                };
            }
        };
        Ok(match sys::init_of(&ns) {
            Ok(init) => Some(Pid(init)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                self.among_all(inode, machine)
            }
            Err(_) => None,
        })
    }

    // Before Linux 6.11 no ioctl returns the init, so every process is read, once for all namespaces
    // that are there.
    fn among_all(&self, wanted: u64, machine: &Machine) -> Option<Pid> {
        let of = |pid: Pid| namespace(machine, &pid.to_string(), "pid").ok();
        let known = self.known.lock().get(&wanted).copied();
        if let Some(init) = known.filter(|init| of(*init) == Some(wanted)) {
            return Some(init);
        }
        let all = machine.proc().directories(Path::new("/")).ok()?;
        let all = all
            .iter()
            .filter_map(|name| name.to_str()?.parse::<Pid>().ok());
        let mut found = HashMap::new();
        for pid in all {
            let Some(inode) = of(pid) else { continue };
            let is_init = || pids(machine, pid.main_thread()).last() == Some(&Pid(1));
            if !found.contains_key(&inode) && is_init() {
                found.insert(inode, pid);
            }
        }
        let init = found.get(&wanted).copied();
        *self.known.lock() = found;
        init
    }
}
