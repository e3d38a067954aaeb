//! A container at full tilt: it gets no errors, and the others their answers.

use crate::harness::{Cgroup, Daemon, oci::configured, python, stdout_of};
use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// Opens, reads and closes a file on many threads. Prints the errors, by number.
const STORM: &str = "import collections, os, threading, time
end, errors = time.time() + 4, collections.Counter()
def storm():
  while time.time() < end:
    try:
      file = os.open('/proc/vmstat', os.O_RDONLY); os.read(file, 9); os.close(file)
    except OSError as error: errors[error.errno] += 1
threads = [threading.Thread(target=storm) for n in range(64)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print(dict(errors))";

/// Reads a file of the cached connection past the kernel's cache, on many threads.
const PAST_THE_CACHE: &str = "import mmap, os, sys, threading, time
end, path = time.time() + 4, sys.argv[1] + '/containers/self/proc/meminfo'
def storm():
  file, page = os.open(path, os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
  while time.time() < end: assert os.preadv(file, [page], 0) > 0
threads = [threading.Thread(target=storm) for n in range(16)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print('over')";

/// The number of files that a container holds open, as many as a process may by default.
const HELD: &str = "import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
files = [os.open('/proc/vmstat', os.O_RDONLY) for n in range(4000)]
print(all(os.pread(file, 3, 0) == b'nr_' for file in files))";

/// Returns the CPU time of a process in clock ticks: `utime` and `stime` in `proc_pid_stat(5)`.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let times = after_name.split(' ').skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}

/// Returns the part of a CPU that a daemon uses after the burst that a container may use at once.
fn share_of_a_cpu(daemon: &Daemon) -> f64 {
    thread::sleep(Duration::from_millis(1500));
    let (begun, before) = (Instant::now(), ticks(daemon.pid()));
    thread::sleep(Duration::from_secs(2));
    let used = ticks(daemon.pid()) - before;
    f64::from(u32::try_from(used).unwrap()) / 100.0 / begun.elapsed().as_secs_f64()
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and python3"]
fn a_container_that_reads_past_the_kernels_cache_gets_no_more_than_its_share() {
    let (_directory, config) = configured("");
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--config", &config]);
    let (hostile, victim) = (Cgroup::new(), Cgroup::new());
    let path = daemon.mountpoint.display().to_string();
    let mut storm = hostile.shell(&daemon, &python(PAST_THE_CACHE, &path));
    let storm = storm.stdout(Stdio::piped()).spawn().unwrap();
    let share = share_of_a_cpu(&daemon);
    let own = format!("{path}/containers/self/proc/meminfo");
    let seen = victim.stdout(&daemon, &format!("for n in 1 2 3 4 5; do cat {own}; done"));
    assert_eq!(seen.matches("MemTotal").count(), 5);
    assert_eq!(stdout_of(&storm.wait_with_output().unwrap()), "over\n");
    assert!(share < 0.25, "{share}");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and python3"]
fn a_container_that_opens_without_a_pause_gets_no_error_and_no_more_than_its_share() {
    let (_directory, config) = configured("");
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--config", &config]);
    let (hostile, victim) = (Cgroup::new(), Cgroup::new());
    let mut storm = hostile.shell(&daemon, &python(STORM, ""));
    let storm = storm.stdout(Stdio::piped()).spawn().unwrap();
    let share = share_of_a_cpu(&daemon);
    let seen = victim.stdout(&daemon, "for n in 1 2 3 4 5; do cat /proc/vmstat; done");
    assert_eq!(seen.matches("pgfault ").count(), 5);
    let output = storm.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{}\n");
    assert!(share < 0.25, "{share}");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, python3 and a real CPU"]
fn a_container_can_hold_as_many_files_open_as_on_a_machine() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    assert_eq!(cgroup.stdout(&daemon, &python(HELD, "")), "True\n");
}
