//! Starts the real program, and finds out about processes: shared by all tests and benches.

mod cgroup;
mod daemon;
pub(crate) mod oci;
mod root;
pub(crate) mod scale;

#[allow(unused_imports, reason = "the benches use `remove` and `roots`")]
pub(crate) use cgroup::{Cgroup, hierarchy, is_v2, remove, roots};
pub(crate) use daemon::Daemon;
pub(crate) use root::{
    busybox, busybox_root, file_tree, fixture, fixture_copy, fixture_root, make_searchable,
};

use std::{
    fmt::Display,
    fs,
    io::Read,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// Returns a command that runs the program under test.
pub(crate) fn plimsoll() -> Command {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
}

/// Returns the standard output of a program that must have succeeded.
#[track_caller]
pub(crate) fn stdout_of(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the only line that a program printed to `stream` (one of the two of `output`), which must
/// end with that exit status. `what` names the case in the panic.
#[track_caller]
pub(crate) fn only_line(what: &str, output: &Output, status: i32, stream: &[u8]) -> String {
    let text = String::from_utf8_lossy(stream);
    assert_eq!(output.status.code(), Some(status), "{what}: {text}");
    assert_eq!(text.lines().count(), 1, "{what}: {text}");
    text.into_owned()
}

/// Reads one line and no byte more, so that the writer can go on.
pub(crate) fn read_line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && from.read(&mut byte).unwrap() == 1 {
        line.extend(byte);
    }
    String::from_utf8(line).unwrap()
}

/// Returns a command line of the shell that runs a script in Python with these arguments.
pub(crate) fn python(script: &str, arguments: &str) -> String {
    format!("python3 - {arguments} <<'END'\n{script}\nEND\n")
}

/// Returns the memory of this machine in KiB.
pub(crate) fn host_memory_kib() -> u64 {
    field(&fs::read_to_string("/proc/meminfo").unwrap(), "MemTotal")
}

/// Returns the numbers behind the name in a line of `/proc/stat`.
pub(crate) fn stat_columns(line: &str) -> Vec<u64> {
    let columns = line.split_whitespace().skip(1);
    columns.map(|column| column.parse().unwrap()).collect()
}

/// The files that most programs read first, by their paths below `/`.
pub(crate) const FILES: [&str; 10] = [
    "proc/meminfo",
    "proc/stat",
    "proc/cpuinfo",
    "proc/uptime",
    "proc/loadavg",
    "proc/swaps",
    "proc/slabinfo",
    "proc/vmstat",
    "proc/diskstats",
    "sys/devices/system/cpu/online",
];

/// Returns the number in the line of a file like meminfo that begins with `name` and a colon.
pub(crate) fn field(text: &str, name: &str) -> u64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .unwrap_or_else(|| panic!("no {name} in: {text}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// The maximum age of an answer: the default of `--max-age`, the jiffies for which the kernel does not
/// ask again, and a reserve.
pub(crate) const MAX_AGE: Duration = Duration::from_millis(50);

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

/// Stops a process, and waits until none of its threads runs. The signal takes effect only when the main
/// thread takes it.
pub(crate) fn stop(pid: u32) {
    kill("STOP", pid);
    let path = format!("/proc/{pid}/status");
    wait_until("the process has stopped", || {
        let status = fs::read_to_string(&path).unwrap();
        ["State:\tT", "State:\tZ"]
            .iter()
            .any(|state| status.contains(state))
    });
}

/// Lists the children of the main thread of a process. A process that has ended has none.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    numbers(&list.unwrap_or_default())
}

/// Parses a list of numbers like that of the children of a process.
pub(crate) fn numbers(list: &str) -> Vec<u32> {
    list.split_whitespace()
        .map(|number| number.parse().unwrap())
        .collect()
}
