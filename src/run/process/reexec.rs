//! Keeps a container from changing the program it was started by.
//!
//! A process of the container can reach this program's file by /proc/PID/exe, past every mount of
//! its own root, while it still is this program; `plimsoll run -- /proc/self/exe` does so without
//! any trick. The kernel refuses to write a program that is running, but kernels 6.11 and 6.12
//! do not. So this program runs itself anew from a mount of its own that cannot be written to.

use std::{
    env,
    ffi::{CString, OsString},
    os::{fd::AsFd, unix::ffi::OsStringExt},
};

use nix::{
    fcntl::{OFlag, open},
    sys::{
        prctl,
        stat::Mode,
        statvfs::{FsFlags, statvfs},
    },
};

use crate::base::sys::{
    mount::{self, Depth, Forbid},
    process,
};

const EXE: &str = "/proc/self/exe";

/// Becomes this program again, with its file out of a container's reach; returns when it is, or
/// when the kernel has no such mounts and the refusal to write a running program has to do.
pub(crate) fn raise() {
    if statvfs(EXE).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)) {
        // What the kernel shows as the name of a program that was run by a descriptor is its number.
        let _ = prctl::set_name(c"plimsoll");
        return;
    }
    if let Err(error) = again() {
        tracing::debug!(%error, "the program's file stays as it is");
    }
}

fn again() -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let exe = open(EXE, flags, Mode::empty())?;
    let exe = mount::clone_tree(exe.as_fd(), Depth::Alone)?;
    let writes = Forbid {
        writes: true,
        devices: false,
    };
    mount::forbid(exe.as_fd(), writes, Depth::Alone)?;
    let string = |text: OsString| CString::new(text.into_vec()).unwrap_or_default();
    let args: Vec<CString> = env::args_os().map(string).collect();
    let variable = |(name, value): (OsString, OsString)| {
        let mut text = name;
        text.push("=");
        text.push(value);
        string(text)
    };
    let env: Vec<CString> = env::vars_os().map(variable).collect();
    match process::become_file(&exe, &args, &env)? {}
}
