//! Mounts of the host that never answer, such as one of a dead NFS server.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        statfs::statfs,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::base::sys::{fd, process};

/// The timeout for the answers of all mounts of the host together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The timeout for the answer of one mount, once not all have answered.
const ONE_ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// Returns the mount points of `points`, parents first, that do not answer, and all below them. A
/// child process asks, because the question may never return.
///
/// The caller must have one thread only.
pub(crate) fn silent(points: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut silent: BTreeSet<PathBuf> = BTreeSet::new();
    if answer(points, ANSWER_TIMEOUT) {
        return silent;
    }
    for point in points {
        let is_below = point.ancestors().any(|above| silent.contains(above));
        if is_below || !answer(std::slice::from_ref(point), ONE_ANSWER_TIMEOUT) {
            silent.insert(point.clone());
        }
    }
    silent
}

/// Returns whether every mount answers before the timeout; an error is an answer.
fn answer(points: &[PathBuf], timeout: Duration) -> bool {
    let asked = process::forked(|| match replace_standard_streams() {
        Ok(()) => {
            points.iter().for_each(|point| ask(point));
            0
        }
        Err(_) => 1,
    });
    // Without a child nobody can tell, and the mounts count as well.
    asked.map_or(true, |child| has_ended(child, timeout))
}

/// Asks what an overlay asks of a layer.
fn ask(point: &Path) {
    let _ = fs::metadata(point);
    let _ = statfs(point);
}

/// Replaces standard input, output and error by /dev/null: a child that cannot be killed would keep
/// their readers waiting.
fn replace_standard_streams() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for stream in [
        io::stdin().as_fd(),
        io::stdout().as_fd(),
        io::stderr().as_fd(),
    ] {
        fd::dup_onto(stream, null.as_fd())?;
    }
    Ok(())
}

/// Waits for a child, and kills it at the timeout.
fn has_ended(child: Pid, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    while Instant::now() < deadline {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_micros(200)),
            Ok(_) | Err(_) => return true,
        }
    }
    let _ = kill(child, Signal::SIGKILL);
    let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
    false
}
