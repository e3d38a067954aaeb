//! The promises of lxcfs's own tests (the scripts below `tests` of lxc/lxcfs), in our words. Other promises of those
//! tests are cases of `compliance`, `pressure` and `handover`.

use crate::harness::{Cgroup, Daemon, field, python, stdout_of};
use std::{
    fs,
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

const MIB: u64 = 1 << 20;

/// A container of systemd: a cgroup namespace of its own, and cgroups in it for its services.
struct SystemContainer {
    /// Three of the host, the outermost first, of which the last is the container's.
    above: Vec<Cgroup>,
    /// Systemd's own, and four for the services, the outermost first.
    init: Option<Cgroup>,
    services: Vec<Cgroup>,
    shell: Child,
}

impl SystemContainer {
    /// Starts a container whose shell runs the command as a process of systemd's scope for itself, and then as one of
    /// the innermost cgroup.
    fn start(daemon: &Daemon, command: &str) -> SystemContainer {
        let mut above = vec![Cgroup::new()];
        for name in ["2", "3"] {
            above.push(above.last().unwrap().child(name));
        }
        let root = above[2].path();
        let at = |name: &str| Cgroup::of_another(&root.join(name)).join("0");
        let inside = format!(
            "echo; read _; {to_init}echo; read _; view={view}; {command}\n{to_service}{command}",
            to_init = at("init.scope"),
            to_service = at("4/5/6/7"),
            view = daemon.mountpoint.display(),
        );
        let mut shell = Command::new("sh");
        shell.env("INSIDE", inside).arg("-ec").arg(format!(
            "{} exec unshare -C -p -m -f --kill-child --mount-proc sh -ec \"$INSIDE\"",
            above[2].join("$$")
        ));
        let spawned = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut container = SystemContainer {
            above,
            init: None,
            services: Vec::new(),
            shell: spawned.unwrap(),
        };
        // A cgroup of v2 with processes gives no controller to its children: the shell and its parent move first.
        container.wait_for_line();
        let init = container.above[2].child_without_controllers("init.scope");
        for procs in init.procs() {
            fs::write(procs, container.shell.id().to_string()).unwrap();
        }
        container.init = Some(init);
        container.resume();
        container.wait_for_line();
        for name in ["4", "5", "6", "7"] {
            let parent = container.services.last().unwrap_or(&container.above[2]);
            container.services.push(parent.child(name));
        }
        container
    }

    fn wait_for_line(&mut self) {
        let stdout = self.shell.stdout.as_mut().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
    }

    fn resume(&mut self) {
        let stdin = self.shell.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    /// Runs the command in both cgroups, and returns what it printed.
    fn output(&mut self) -> String {
        self.resume();
        let mut text = String::new();
        let stdout = self.shell.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        assert!(self.shell.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for SystemContainer {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        while self.services.pop().is_some() {}
        self.init.take();
        while self.above.pop().is_some() {}
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn memory_limits_above_a_system_container_bind_and_those_of_its_services_do_not() {
    let daemon = Daemon::start();
    let command = "awk '/^MemTotal:/ { print $2 }' $view/proc/meminfo";
    let mut container = SystemContainer::start(&daemon, command);
    container.above[0].limit_memory(500 * MIB);
    container.above[1].limit_memory(600 * MIB);
    container.services[0].limit_memory(400 * MIB);
    container.services[2].limit_memory(900 * MIB);
    assert_eq!(container.output(), "512000\n512000\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn quotas_above_a_system_container_count_its_cpus_and_those_of_its_services_do_not() {
    let daemon = Daemon::start();
    let command = "grep -c '^cpu[0-9]' $view/proc/stat";
    let mut container = SystemContainer::start(&daemon, command);
    container.above[0].limit_cpu(150);
    container.services[0].limit_cpu(100);
    container.services[2].limit_cpu(100);
    assert_eq!(container.output(), "2\n2\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn a_cpuset_of_a_service_binds_its_threads_and_not_the_system_container() {
    let daemon = Daemon::start();
    let command = "echo $(grep -c '^cpu[0-9]' $view/proc/stat; nproc)";
    let mut container = SystemContainer::start(&daemon, command);
    for cgroup in container
        .above
        .iter()
        .chain(&container.init)
        .chain(&container.services[..1])
    {
        cgroup.limit_cpus("0-1");
    }
    for cgroup in container.services.iter().rev() {
        cgroup.limit_cpus("1");
    }
    assert_eq!(container.output(), "2 2\n2 1\n");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_container_that_has_just_started_has_the_uptime_the_cpu_and_the_memory_of_its_own() {
    let (daemon, cgroup) = (Daemon::start(), Cgroup::new());
    cgroup.limit_memory(64 * MIB);
    cgroup.limit_cpus("0");
    let script = "cat /proc/uptime; grep ^processor /proc/cpuinfo; cat /sys/devices/system/cpu/online; \
        grep -c ^cpu /proc/stat; grep ^MemTotal: /proc/meminfo";
    let text = cgroup.stdout(&daemon, script);
    let lines: Vec<&str> = text.lines().collect();
    let up = lines[0].split(' ').map(|time| time.parse::<f64>().unwrap());
    assert!(
        // An emulated machine takes seconds to start a container, and has been up for longer.
        up.clone().count() == 2 && up.into_iter().all(|time| time < 20.0),
        "{text}"
    );
    assert_eq!(lines[1..4], ["processor\t: 0", "0", "2"]);
    assert_eq!(field(&text, "MemTotal"), 64 << 10);
    assert!(lines[4].ends_with(" 65536 kB"), "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_directory_of_the_cpus_can_be_bound_over_the_kernels_and_counted() {
    let daemon = Daemon::start();
    let count = |within: &str| {
        let mut shell = Command::new("unshare");
        let script = format!(
            "{within} mount --bind {}/sys/devices/system/cpu /sys/devices/system/cpu; getconf _NPROCESSORS_CONF",
            daemon.mountpoint.display()
        );
        shell.args(["-m", "sh", "-ec", &script]);
        stdout_of(&shell.output().unwrap())
            .trim()
            .parse::<u32>()
            .unwrap()
    };
    let cgroup = Cgroup::new();
    assert!(count("") >= 1);
    assert!(count(&cgroup.join("$$")) >= 1);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_file_that_is_read_in_steps_with_pauses_has_the_shape_of_a_whole_one() {
    let (daemon, cgroup) = (Daemon::start(), Cgroup::new());
    let script = "import os, time\n\
        def shape(text): return bytes(c for c in text if c not in b'0123456789. ')\n\
        for name in ['meminfo', 'stat', 'cpuinfo']:\n  fd = os.open('/proc/' + name, os.O_RDONLY)\n  parts = []\n  \
        while True:\n    part = os.read(fd, 1024)\n    time.sleep(0.5)\n    if not part: break\n    parts.append(part)\n  \
        print(shape(b''.join(parts)) == shape(open('/proc/' + name, 'rb').read()), name)";
    let text = cgroup.stdout(&daemon, &python(script, ""));
    assert_eq!(text.matches("True").count(), 3, "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn no_system_call_changes_an_entry_of_the_view() {
    let (daemon, cgroup) = (Daemon::start(), Cgroup::new());
    let script = "import os, socket\nos.chdir('VIEW')\nkey = str(KEY)\n\
        def bind(path):\n  with socket.socket(socket.AF_UNIX) as s: s.bind(path)\n\
        acts = dict(create=lambda p: os.open(p, os.O_WRONLY | os.O_CREAT | os.O_EXCL), write=lambda p: os.open(p, os.O_WRONLY),\n  \
        truncate=lambda p: os.truncate(p, 0), rename=lambda p: os.rename(p, p + '.1'), link=lambda p: os.link(p, p + '.1'),\n  \
        unlink=os.unlink, rmdir=os.rmdir, mkdir=lambda p: os.mkdir(p + '.1'), symlink=lambda p: os.symlink('x', p + '.1'),\n  \
        onto=lambda p: os.rename('/tmp', p), chmod=lambda p: os.chmod(p, 0o666), chown=lambda p: os.chown(p, 1, 1),\n  \
        mknod=lambda p: os.mknod(p + '.1'), fifo=lambda p: os.mkfifo(p + '.1'), utime=os.utime, bind=lambda p: bind(p + '.1'),\n  \
        attribute=lambda p: os.setxattr(p, 'user.x', b'x'), below=lambda p: os.mkdir(p + '/1'))\n\
        for path in ['proc', 'proc/meminfo', 'proc/cpuinfo', 'sys/devices/system/cpu', 'sys/devices/system/cpu/online', \
        'sys/devices/system/node', 'containers', 'containers/' + key, 'containers/' + key + '/proc/meminfo']:\n  \
        for name, act in acts.items():\n    \
        try: act(path)\n    except OSError: continue\n    print(name, path)\nprint('lives', len(os.listdir('proc')) > 5)";
    let view = daemon.mountpoint.to_str().unwrap();
    let script = script.replace("VIEW", view);
    let script = script.replace("KEY", &cgroup.key().to_string());
    assert_eq!(cgroup.stdout(&daemon, &python(&script, "")), "lives True\n");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_listing_is_whole_while_containers_come_and_go() {
    let (daemon, cgroup) = (Daemon::start(), Cgroup::new());
    let script = format!(
        "import os\nos.chdir('{}')\ndef names(path): return sorted((e.name, e.is_dir()) for e in os.scandir(path))\n\
         paths = ['proc', 'sys/devices/system/cpu', 'sys/devices/system/cpu/cpu0', 'sys/devices/system/node']\n\
         first = [names(path) for path in paths]\n\
         print(sum([names(path) for path in paths] != first for _ in range(1000)), all(first))\n\
         print(all(str({}) in os.listdir('containers') for _ in range(200)))",
        daemon.mountpoint.display(),
        cgroup.key()
    );
    let script = format!("cat /proc/meminfo >/dev/null; {}", python(&script, ""));
    let mut reader = cgroup.shell(&daemon, &script);
    let mut reader: Child = reader.stdout(Stdio::piped()).spawn().unwrap();
    while reader.try_wait().unwrap().is_none() {
        let other = Cgroup::new();
        other.stdout(
            &daemon,
            "cat /proc/meminfo /sys/devices/system/cpu/online >/dev/null",
        );
    }
    let output = reader.wait_with_output().unwrap();
    assert_eq!(stdout_of(&output), "0 True\nTrue\n");
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroup v2"]
fn a_trigger_that_is_written_with_its_nul_fires_again_and_again() {
    let (daemon, cgroup) = (Daemon::start(), Cgroup::new());
    cgroup.limit_cpu(20);
    let script = "import os, select, subprocess, time\n\
        burner = subprocess.Popen(['sh', '-c', 'while :; do :; done'])\n\
        fd = os.open('/proc/pressure/cpu', os.O_RDWR | os.O_NONBLOCK)\nos.write(fd, b'some 20000 2000000\\0')\n\
        p = select.poll()\np.register(fd, select.POLLPRI)\nbegun = time.time()\n\
        for _ in range(4):\n  ((_, event),) = p.poll(5000)\n  assert event & select.POLLPRI and not event & select.POLLERR\n\
        took = time.time() - begun\nburner.kill()\nprint(5 < took < 12, took)";
    let text = cgroup.stdout(&daemon, &python(script, ""));
    assert!(text.starts_with("True"), "{text}");
}
