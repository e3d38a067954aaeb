//! The container of a reader: nested containers, pods, and the file that another process opened.

use crate::harness::{
    Cgroup, Daemon, field, hierarchy, plimsoll, read_line, stdout_of, wait_until,
};
use std::{
    fs,
    process::{Command, Stdio},
};

const MIB: u64 = 1 << 20;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn self_leads_each_container_to_its_own_directory() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(100 * MIB);
    let own = daemon.path("containers/self/proc/meminfo");
    let script = format!(
        "cat {}; readlink {} >&2",
        own.display(),
        daemon.path("containers/self").display()
    );
    let output = cgroup.shell(&daemon, &script).output().unwrap();
    assert_eq!(field(&stdout_of(&output), "MemTotal"), 100 * 1024);
    let key = String::from_utf8(output.stderr).unwrap();
    assert_eq!(key.trim(), cgroup.key().to_string());
    let direct =
        fs::read_to_string(daemon.path(&format!("containers/{}/proc/meminfo", key.trim())));
    assert_eq!(field(&direct.unwrap(), "MemTotal"), 100 * 1024);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_containers_directory_goes_when_its_cgroup_goes() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let link = daemon.path("containers/self");
    let script = format!("readlink {}", link.display());
    let key = cgroup.stdout(&daemon, &script);
    let directory = daemon.path(&format!("containers/{}", key.trim()));
    assert!(directory.exists());
    drop(cgroup);
    wait_until("the directory is gone", || !directory.exists());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_below_its_init_and_init_itself_see_the_container_of_the_init() {
    let daemon = Daemon::start();
    let container = Cgroup::new();
    let (init, service) = (container.child("init.scope"), container.child("service"));
    container.limit_memory(96 * MIB);
    service.limit_memory(32 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let join = service.join("$$").replace('$', "\\$");
    let script = format!("{look}; sh -c \"{join}{look}\"");
    let text = init.stdout(&daemon, &script);
    drop((init, service));
    let total = "MemTotal:          98304 kB\n";
    assert_eq!(text, total.repeat(2));
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn pods_that_share_a_pid_namespace_see_each_its_own() {
    let daemon = Daemon::start();
    let pod = Cgroup::new();
    let (pause, app) = (pod.child("pause"), pod.child("app"));
    pause.limit_memory(16 * MIB);
    app.limit_memory(64 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let join = app.join("$$").replace('$', "\\$");
    let script = format!("{look}; sh -c \"{join}{look}\"");
    let text = pause.stdout(&daemon, &script);
    drop((pause, app));
    assert_eq!(
        text,
        "MemTotal:          16384 kB\nMemTotal:          65536 kB\n"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_in_a_container_sees_its_own_limit_and_never_more_than_the_outer_has() {
    let daemon = Daemon::start();
    let outer = Cgroup::new();
    let (init, tight, loose) = (
        outer.child("init.scope"),
        outer.child("tight"),
        outer.child("loose"),
    );
    outer.limit_memory(96 * MIB);
    tight.limit_memory(32 * MIB);
    let look = "grep MemTotal /proc/meminfo";
    let enter = |inner: &Cgroup| {
        let join = inner.join("$$").replace('$', "\\$");
        format!("sh -c \"{join}exec unshare --pid --fork {look}\"\n")
    };
    let script = format!("{look}\n{}{}", enter(&tight), enter(&loose));
    let text = init.stdout(&daemon, &script);
    drop((init, tight, loose));
    let kib: Vec<u64> = text.lines().map(|line| field(line, "MemTotal")).collect();
    assert_eq!(kib, [96 << 10, 32 << 10, 96 << 10]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_open_file_stays_with_the_container_that_opened_it() {
    let daemon = Daemon::start();
    let parent = Cgroup::new();
    let (first, second) = (parent.child("first"), parent.child("second"));
    first.limit_memory(32 * MIB);
    second.limit_memory(64 * MIB);
    // In the host's pid namespace the cgroup of a process decides its container.
    let script = format!(
        "{}exec unshare --mount sh -ec 'exec 3< {view}/proc/meminfo\n{}head -1 <&3; head -1 {view}/proc/meminfo'",
        first.join("$$"),
        second.join("$$"),
        view = daemon.mountpoint.display(),
    );
    let output = Command::new("sh").args(["-ec", &script]).output().unwrap();
    drop((first, second));
    let text = stdout_of(&output);
    let kib: Vec<u64> = text.lines().map(|line| field(line, "MemTotal")).collect();
    assert_eq!(kib, [32 << 10, 64 << 10]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_reader_at_the_root_of_the_cgroups_finds_the_machine_and_consistent_numbers() {
    let daemon = Daemon::start();
    let mut join = String::new();
    for controller in ["memory", "cpu", "cpuacct", "cpuset"] {
        let procs = hierarchy(controller).join("cgroup.procs");
        join += &format!("echo $$ > {}\n", procs.display());
    }
    let script = format!(
        "{join}exec unshare -pfm --kill-child --mount-proc sh -ec 'cat {view}/proc/meminfo; echo; cat {view}/proc/swaps; head -1 {view}/proc/uptime'",
        view = daemon.mountpoint.display()
    );
    let text = stdout_of(&Command::new("sh").args(["-ec", &script]).output().unwrap());
    let host = fs::read_to_string("/proc/meminfo").unwrap();
    for name in ["MemTotal", "SwapTotal"] {
        assert_eq!(field(&text, name), field(&host, name), "{name}");
    }
    let (free, available) = (field(&text, "MemFree"), field(&text, "MemAvailable"));
    assert!(
        free <= available && available <= field(&text, "MemTotal"),
        "{text}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and prlimit"]
fn the_number_of_descriptors_is_bounded_for_any_number_of_containers() {
    const MAX_DESCRIPTORS: u32 = 400;
    let daemon = Daemon::with_descriptors(MAX_DESCRIPTORS);
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
            .unwrap()
            .count()
    };
    let containers: Vec<Cgroup> = (0..80).map(|_| Cgroup::new()).collect();
    let look = "cat /proc/stat /proc/loadavg /proc/meminfo";
    let look = |container: &Cgroup| container.stdout(&daemon, look);
    assert!(look(&containers[0]).contains("MemTotal"));
    let before = descriptors();
    for container in &containers {
        assert!(look(container).contains("MemTotal"));
    }
    // The budget is half of the maximum. The machine and the readers add some; one descriptor for each
    // file would make 600.
    assert!(
        descriptors() <= before + MAX_DESCRIPTORS as usize / 2 + 120,
        "{before}, then {}",
        descriptors()
    );
    assert!(look(&containers[0]).contains("MemTotal"));
}

/// Python that ends the main thread of a process. Another thread prints the first line of a file.
const MAIN_THREAD_ENDS: &str = r#"
import ctypes, threading, time
def look():
    while open("/proc/self/stat").read().split()[2] != "Z": time.sleep(0.01)
    print(open("/proc/meminfo").readline(), end="", flush=True)
    time.sleep(SECONDS)
threading.Thread(target=look).start()
ctypes.CDLL(None).syscall(ctypes.c_long(EXIT), ctypes.c_long(0))
"#;

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_zombie_main_thread_is_counted_in_its_living_threads_cgroup() {
    let daemon = Daemon::start();
    let container = Cgroup::new();
    container.limit_memory(64 * MIB);
    let script = MAIN_THREAD_ENDS
        .replace("SECONDS", "3")
        .replace("EXIT", &libc::SYS_exit.to_string());
    let script = format!("cat >/tmp/$$.py <<'END'\n{script}\nEND\nexec python3 /tmp/$$.py\n");
    let mut shell = container.shell(&daemon, &script);
    let mut init = shell.stdout(Stdio::piped()).spawn().unwrap();
    let read = read_line(init.stdout.as_mut().unwrap());
    let pids = fs::read_to_string(container.directory("memory").join("cgroup.procs")).unwrap();
    let zombie = pids.lines().last().unwrap();
    let shown = plimsoll()
        .args(["show", "--pid", zombie, "meminfo"])
        .output();
    let shown = stdout_of(&shown.unwrap());
    init.wait().unwrap();
    assert_eq!(field(&read, "MemTotal"), 64 << 10);
    assert_eq!(field(&shown, "MemTotal"), 64 << 10);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_that_has_ended_counts_to_its_inits_container_and_never_to_the_host() {
    let daemon = Daemon::start();
    let container = Cgroup::new();
    container.limit_memory(64 * MIB);
    let script = "python3 -c '\nimport os, time\nchild = os.fork()\nif not child: os._exit(0)\n\
        print(\"made\", flush=True)\ntime.sleep(3)'";
    let mut shell = container.shell(&daemon, script);
    let mut init = shell.stdout(Stdio::piped()).spawn().unwrap();
    read_line(init.stdout.as_mut().unwrap());
    let zombie = || {
        let all = fs::read_dir("/proc").unwrap();
        let mut pids = all.filter_map(|one| one.unwrap().file_name().into_string().ok());
        let is_it = |pid: &String| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat
                .split_whitespace()
                .nth(3)
                .unwrap_or_default()
                .to_owned();
            let tree = fs::read_to_string(format!("/proc/{parent}/cmdline")).unwrap_or_default();
            stat.contains(") Z ") && tree.contains("os.fork()")
        };
        pids.find(is_it)
    };
    wait_until("the child has ended", || zombie().is_some());
    let shown = plimsoll()
        .args(["show", "--pid", &zombie().unwrap(), "meminfo"])
        .output();
    let shown = stdout_of(&shown.unwrap());
    init.wait().unwrap();
    assert_eq!(field(&shown, "MemTotal"), 64 << 10);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_living_cgroup_may_have_any_name() {
    let daemon = Daemon::start();
    let parent = Cgroup::new();
    for name in ["web (deleted)", "a:b", "x\\n y ", "init.scope (deleted)"] {
        let container = parent.child(name);
        container.limit_memory(48 * MIB);
        let join = container.procs();
        let join: String = join
            .iter()
            .map(|procs| format!("echo $$ > '{}'\n", procs.display()))
            .collect();
        let look = format!(
            "{join}exec unshare -pfm --kill-child --mount-proc sh -c 'head -1 {}/proc/meminfo; exec sleep 1000'",
            daemon.mountpoint.display()
        );
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-ec", &look]).stdout(Stdio::piped()).spawn();
        let shell = shell.as_mut().unwrap();
        let read = read_line(shell.stdout.as_mut().unwrap());
        assert_eq!(field(&read, "MemTotal"), 48 << 10, "{name}");
        let pids = fs::read_to_string(container.directory("memory").join("cgroup.procs"));
        let pid = pids.unwrap().lines().nth(1).unwrap().to_owned();
        let shown = plimsoll().args(["show", "--pid", &pid, "meminfo"]).output();
        let shown = stdout_of(&shown.unwrap());
        assert_eq!(field(&shown, "MemTotal"), 48 << 10, "{name}");
        // `--kill-child` ends the container with it.
        shell.kill().unwrap();
        shell.wait().unwrap();
    }
}

// On cgroup v2 a cgroup with processes, here the launcher, has no limited cgroups below
// (`view::callers` has both versions).
#[test]
#[ignore = "needs root, /dev/fuse and cgroup v1"]
fn a_container_that_moves_itself_into_a_cgroup_below_is_its_cgroup_namespaces_root() {
    let daemon = Daemon::start();
    let container = Cgroup::new();
    let leaf = container.child("init");
    container.limit_memory(80 * MIB);
    leaf.limit_memory(32 * MIB);
    let look = "grep MemTotal /proc/meminfo; sleep 2";
    let join = leaf.join("$$").replace('$', "\\$");
    let script = format!("exec unshare --cgroup sh -c \"{join}{look}\"");
    let mut shell = container.shell(&daemon, &script);
    let mut init = shell.stdout(Stdio::piped()).spawn().unwrap();
    let read = read_line(init.stdout.as_mut().unwrap());
    let pids = fs::read_to_string(leaf.directory("memory").join("cgroup.procs")).unwrap();
    let shown = plimsoll()
        .args(["show", "--pid", pids.lines().next().unwrap(), "meminfo"])
        .output();
    let shown = stdout_of(&shown.unwrap());
    init.wait().unwrap();
    drop(leaf);
    assert_eq!(field(&read, "MemTotal"), 80 << 10);
    assert_eq!(field(&shown, "MemTotal"), 80 << 10);
}
