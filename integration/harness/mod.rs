//! The things that the tests of the real program share.

mod cgroup;
mod daemon;
pub(crate) mod oci;

#[allow(unused_imports, reason = "the benches use `roots`")]
pub(crate) use cgroup::{Cgroup, hierarchy, is_v2, roots};
pub(crate) use daemon::Daemon;
pub(crate) use oci::busybox_root;

use std::{
    fmt::Display,
    fs,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The program under test.
pub(crate) fn plimsoll() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
}

/// Returns the standard output of a program that must have succeeded.
#[track_caller]
pub(crate) fn stdout_of(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number in the line of a file like meminfo that begins with `name` and a colon.
pub(crate) fn field(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name} in: {text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// So long after a change an answer may be of the moment before it: the default of `--max-age`, the
/// jiffies for which the kernel does not ask again, and some play.
pub(crate) const AGE: Duration = Duration::from_millis(50);

/// The maximum time that a test waits for an event. An emulated machine is slow.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until `condition` holds, for at most [`WAIT_TIMEOUT`]. `event` says in the panic what the
/// test waited for: "the daemon ends".
#[track_caller]
pub(crate) fn wait_until(event: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {event}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a name that no other test has, in this process or another one.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("plimsoll-test-{name}-{}-{next}", std::process::id())
}

/// Sends a signal to the process with that pid, or to the process group `-pid`.
pub(crate) fn kill(signal: &str, pid: impl Display) {
    let pid = pid.to_string();
    let status = Command::new("kill")
        .args(["-s", signal, "--", &pid])
        .status();
    assert!(status.unwrap().success(), "kill -s {signal} {pid}");
}

/// The children of a process that has one thread.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    numbers(&list.unwrap_or_default())
}

/// The numbers in a list like that of a process's children.
pub(crate) fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}
