//! The namespaces in which the next child of this process begins.

use nix::sched::{CloneFlags, setns, unshare};
use std::{
    fs::{self, File},
    io,
};

/// CLONE_NEWTIME of `include/uapi/linux/sched.h`, which nix lacks.
const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// A new pid namespace, and perhaps a new time namespace, in which the next child of this process
/// begins. This process stays in its own, and after a drop its children begin there again.
#[derive(Debug)]
pub struct ChildNamespaces {
    pid: File,
    time: Option<File>,
}

impl ChildNamespaces {
    /// Makes a pid namespace; and a time namespace with `offsets`, in the form of
    /// `/proc/PID/timens_offsets`, if there are any. The caller must have one thread.
    ///
    /// # Errors
    ///
    /// The errors of `unshare(2)`, and a kernel that refuses the offsets.
    pub fn new(offsets: Option<&str>) -> io::Result<ChildNamespaces> {
        let time = offsets.map(|_| File::open("/proc/self/ns/time"));
        let namespaces = ChildNamespaces {
            pid: File::open("/proc/self/ns/pid")?,
            time: time.transpose()?,
        };
        unshare(namespaces.flags())?;
        if let Some(offsets) = offsets {
            fs::write("/proc/self/timens_offsets", offsets)?;
        }
        Ok(namespaces)
    }

    fn flags(&self) -> CloneFlags {
        match self.time {
            Some(_) => CloneFlags::CLONE_NEWPID | CLONE_NEWTIME,
            None => CloneFlags::CLONE_NEWPID,
        }
    }
}

impl Drop for ChildNamespaces {
    fn drop(&mut self) {
        // No kernel refuses a process its own namespaces.
        let _ = setns(&self.pid, CloneFlags::CLONE_NEWPID);
        if let Some(time) = &self.time {
            let _ = setns(time, CLONE_NEWTIME);
        }
    }
}
