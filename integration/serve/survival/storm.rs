//! Four containers at full tilt, a daemon that is killed each second, and a victim that reads.
//!
//! The time is `PLIMSOLL_STORM_SECONDS`, an hour for a whole proof.

use super::MIB;
use crate::harness::{Cgroup, Daemon, children, field, kill, python, stdout_of, wait_until};
use plimsoll::base::mountinfo;
use std::{
    fs,
    io::Write,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The time of the storm in seconds, unless the environment names one.
const SECONDS: u64 = 20;
/// The time from one kill to the next.
const KILL_INTERVAL: Duration = Duration::from_secs(1);
/// The memory in KiB by which the daemons of the last third of the storm may exceed those of the first.
const MAX_GROWTH: u64 = 4096;

/// What each container does on eight threads, on and on.
const STORMS: [&str; 4] = [
    "file = os.open('/proc/vmstat', os.O_RDONLY); os.read(file, 9); os.pread(file, 9, 99); os.close(file)",
    "os.listdir('/sys/devices/system/cpu'); os.stat('/proc/diskstats'); os.path.exists('/proc/%d' % random.getrandbits(30))",
    "file = os.open('/proc/vmstat', os.O_RDONLY | os.O_DIRECT); held.append(file); os.preadv(file, [mmap.mmap(-1, 4096)], 0)
    if len(held) > 2000: [os.close(held.pop()) for file in held[:]]",
    "file = open('/proc/meminfo', 'rb'); poll = select.poll(); poll.register(file); poll.poll(0); file.read(); file.close()
    os.splice(os.open('/proc/stat', os.O_RDONLY), pipe, 4096)",
];

/// The program of a storm: a thread that gets an error goes on.
const STORM: &str = "import mmap, os, random, resource, select, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
held, pipe = [], os.pipe()[1]
def once():
    STORM
def storm():
  while True:
    try: once()
    except (OSError, IndexError): pass
[threading.Thread(target=storm).start() for n in range(8)]";

/// The victim reads every 10 ms until its input ends. It prints the errors, the number of reads, and the
/// longest one in milliseconds.
const VICTIM: &str = "import collections, os, sys, time
files = ['/proc/meminfo', '/proc/stat', '/proc/vmstat', '/sys/devices/system/cpu/online']
files += [sys.argv[1] + '/containers/self' + file for file in files]
errors, reads, longest, end = collections.Counter(), 0, 0, time.time() + float(sys.argv[2])
while time.time() < end:
  for file in files:
    begun = time.time()
    try:
      with open(file) as opened: text = opened.read()
      if not text.endswith('\\n'): errors['short ' + file] += 1
    except OSError as error: errors[str(error)] += 1
    reads, longest = reads + 1, max(longest, time.time() - begun)
  time.sleep(0.01)
print(dict(errors), reads, int(longest * 1000))";

/// A container that storms. Killed when dropped.
struct Attacker {
    process: Child,
    _cgroup: Cgroup,
}

impl Attacker {
    fn start(daemon: &Daemon, storm: &str) -> Attacker {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(256 * MIB);
        let script = python(&STORM.replace("STORM", storm), "");
        let process = cgroup.shell(daemon, &script).stdout(Stdio::null()).spawn();
        Attacker {
            process: process.unwrap(),
            _cgroup: cgroup,
        }
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // The shell in the pid namespace ends with `unshare`, and all its processes with the shell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups, python3 and a quiet machine"]
fn no_read_of_a_victim_fails_while_four_containers_storm_and_daemons_are_killed() {
    let asked = std::env::var("PLIMSOLL_STORM_SECONDS");
    let seconds = asked.map_or(SECONDS, |asked| asked.parse().unwrap());
    let daemon = Daemon::start();
    let mountpoint = daemon.mountpoint.clone();
    let cgroup = Cgroup::new();
    let arguments = format!("{} {seconds}", mountpoint.display());
    let victim = cgroup
        .shell(&daemon, &python(VICTIM, &arguments))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let attackers = STORMS.map(|storm| Attacker::start(&daemon, storm));
    let memory = kill_each_second(&daemon, Duration::from_secs(seconds));
    let output = victim.wait_with_output().unwrap();
    let said = stdout_of(&output);
    let report = format!("victim: {said}memory of the daemons in KiB: {memory:?}\n");
    std::io::stdout().write_all(report.as_bytes()).unwrap();
    drop(attackers);
    assert!(said.starts_with("{} "), "{said}");
    let third = memory.len() / 3;
    let largest = |part: &[u64]| part.iter().copied().max().unwrap();
    let (first, last) = (
        largest(&memory[..third]),
        largest(&memory[memory.len() - third..]),
    );
    assert!(last < first + MAX_GROWTH, "{memory:?}");
    drop(daemon);
    let mounts = mountinfo::own().unwrap();
    assert!(
        !mounts
            .iter()
            .any(|mount| mount.point.starts_with(&mountpoint))
    );
}

/// Kills the daemon each second. Returns the memory of each in KiB, shortly before its end.
fn kill_each_second(daemon: &Daemon, time: Duration) -> Vec<u64> {
    let end = Instant::now() + time;
    let mut memory = Vec::new();
    while Instant::now() + KILL_INTERVAL < end {
        thread::sleep(KILL_INTERVAL);
        wait_until("a daemon serves", || {
            !children(daemon.process.id()).is_empty()
        });
        let pid = daemon.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        if status.contains("VmRSS") {
            memory.push(field(&status, "VmRSS"));
        }
        kill("KILL", pid);
    }
    memory
}
