//! A start of this program from a read-only mount, which keeps the program's file from containers.
//!
//! A process of the container that still runs this program reaches the program's file by
//! /proc/PID/exe, past every mount of the container's root; `plimsoll run -- /proc/self/exe` needs
//! no trick for this. Kernels refuse to write the file of a running program, except kernels 6.11
//! and 6.12. So this program starts itself again from a private read-only mount.

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

/// The file of this program, even after a replacement of its path.
const EXE: &str = "/proc/self/exe";

/// Starts this program again from a read-only mount. Returns in the new program, and also on a
/// kernel without such mounts, where the refusal to write a running program must suffice.
pub(crate) fn from_read_only_mount() {
    if statvfs(EXE).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)) {
        // The kernel names a program that was started by a descriptor after the descriptor's
        // number.
        let _ = prctl::set_name(c"plimsoll");
        return;
    }
    if let Err(error) = reexec() {
        tracing::debug!(%error, "cannot start the program from a read-only mount");
    }
}

fn reexec() -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let exe = open(EXE, flags, Mode::empty())?;
    let exe = mount::clone_tree(exe.as_fd(), Depth::Alone)?;
    mount::forbid(exe.as_fd(), Forbid::writes_if(true), Depth::Alone)?;
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
