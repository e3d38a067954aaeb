//! Containers that were started while no daemon served get their files from this one.

use crate::{
    inject::waiting::{self, Notices},
    sys::process,
};
use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

/// Has every container that waits for the view there get its files, now and whenever one more waits.
pub(super) fn attend(mountpoint: &Path) {
    let mountpoint = mountpoint.to_owned();
    thread::spawn(move || {
        if let Err(error) = welcome(&mountpoint) {
            tracing::warn!(%error, "cannot look for containers that wait for their files");
        }
    });
}

fn welcome(mountpoint: &PathBuf) -> io::Result<()> {
    waiting::make_room()?;
    let notices = Notices::new()?;
    loop {
        if waiting::is_any() {
            // By a process of its own: a file system in a container may have it wait for ever.
            let status = process::with_fresh_signals(&mut Command::new("/proc/self/exe"))
                .args(["attach", "--waiting", "--view"])
                .arg(mountpoint)
                .stdin(Stdio::null())
                .status()?;
            tracing::info!(%status, "containers that waited have been looked at");
        }
        waiting::wait(&notices)?;
    }
}
