//! The container of a process, on machines that are directories.

use plimsoll::{
    base::units::{Pid, Tid},
    facts::{
        cgroup::Layout,
        container::{Birth, Caller, CallerError, Callers, Container, birth},
        host::Machine,
    },
};
use std::{
    ffi::OsStr,
    fs::{self, hard_link},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// A directory with the files of a machine.
struct Files {
    root: TempDir,
    is_v2: bool,
}

/// A process with one thread.
struct Process<'a> {
    pid: u32,
    /// The cgroup, from the root of the hierarchy.
    cgroup: &'a str,
    parent: u32,
    /// The pids in the pid namespaces below the machine's.
    inside: &'a [u32],
    /// The names of the pid, mount, cgroup and time namespace.
    namespaces: [&'a str; 4],
}

/// The first process of a container, with the pid 1 there.
const fn init(pid: u32, cgroup: &str) -> Process<'_> {
    Process {
        pid,
        cgroup,
        parent: 1,
        inside: &[1],
        namespaces: ["box", "box", "host", "host"],
    }
}

const DOCKER: &str = "/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

impl Files {
    fn v1() -> Files {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory,cpu\n";
        Files::with(mounts, false)
    }

    fn v2() -> Files {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        Files::with(mounts, true)
    }

    fn with(mountinfo: &str, is_v2: bool) -> Files {
        let root = tempfile::tempdir().unwrap();
        let files = Files { root, is_v2 };
        files.write("proc/self/mountinfo", mountinfo);
        files.write("sys/fs/cgroup/cgroup.controllers", "memory cpu\n");
        let host = ["host"; 4];
        files.namespaces("proc/self", host);
        files.process(&Process {
            pid: 1,
            cgroup: "/init.scope",
            parent: 0,
            inside: &[],
            namespaces: host,
        });
        files
    }

    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn namespaces(&self, place: &str, names: [&str; 4]) {
        for (kind, name) in ["pid", "mnt", "cgroup", "time"].iter().zip(names) {
            // The same namespace is the same inode.
            let namespace = format!("namespaces/{kind}-{name}");
            if !self.path(&namespace).exists() {
                self.write(&namespace, "");
            }
            let link = self.path(place).join("ns").join(kind);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&link);
            hard_link(self.path(&namespace), link).unwrap();
        }
    }

    /// Makes a cgroup.
    fn cgroup(&self, path: &str) -> &Files {
        let path = Path::new(path).strip_prefix("/").unwrap();
        fs::create_dir_all(self.path("sys/fs/cgroup").join(path)).unwrap();
        self
    }

    /// Writes the text of `/proc/PID/cgroup`.
    fn membership(&self, place: &str, path: impl AsRef<[u8]>) {
        let head: &[u8] = if self.is_v2 { b"0::" } else { b"1:memory,cpu:" };
        let text = [head, path.as_ref(), b"\n"].concat();
        self.write(&format!("{place}/cgroup"), text);
    }

    fn stat(&self, place: &str, state: char, started: u64) {
        let flags = if state == 'Z' { 4 } else { 0 };
        let before = "0 ".repeat(12);
        let stat = format!("7 (x) {state} 0 0 0 0 0 {flags} {before}{started} 0\n");
        self.write(&format!("{place}/stat"), stat);
    }

    /// Makes a process and its cgroup.
    fn process(&self, process: &Process<'_>) {
        let Process { pid, cgroup, .. } = process;
        let place = format!("proc/{pid}");
        self.cgroup(cgroup).membership(&place, cgroup);
        let (parent, inside) = (process.parent, process.inside.iter());
        let inside: String = inside.map(|pid| format!("\t{pid}")).collect();
        let status = format!("Name:\tx\nPPid:\t{parent}\nNSpid:\t{pid}{inside}\n");
        self.write(&format!("{place}/status"), status);
        for place in [&place, &format!("{place}/task/{pid}")] {
            self.stat(place, 'S', 100 * u64::from(*pid));
        }
        self.namespaces(&place, process.namespaces);
        let procs = self.path(format!("sys/fs/cgroup{cgroup}/cgroup.procs"));
        let procs = fs::read_to_string(procs).unwrap_or_default() + &format!("{pid}\n");
        self.write(&format!("sys/fs/cgroup{cgroup}/cgroup.procs"), procs);
    }

    /// Ends the main thread of a process. The kernel shows the thread in `/` of v1.
    fn end_main_thread(&self, pid: u32) {
        let place = format!("proc/{pid}");
        self.stat(&place, 'Z', 0);
        self.stat(&format!("{place}/task/{pid}"), 'Z', 0);
        if !self.is_v2 {
            self.membership(&place, "/");
        }
        for kind in ["mnt", "cgroup", "time"] {
            fs::remove_file(self.path(format!("{place}/ns/{kind}"))).unwrap();
        }
    }

    /// Makes another thread of a process.
    fn thread(&self, pid: u32, tid: u32, cgroup: &str, namespaces: [&str; 4]) {
        let place = format!("proc/{pid}/task/{tid}");
        self.cgroup(cgroup).membership(&place, cgroup);
        self.stat(&place, 'S', 0);
        self.namespaces(&place, namespaces);
        let status = fs::read(self.path(format!("proc/{pid}/status"))).unwrap();
        self.write(&format!("{place}/status"), status);
    }

    /// Makes the cgroup namespace `name` of a process. `inside` is the cgroup of the process as a reader
    /// in the namespace sees it.
    fn cgroup_namespace(&self, name: &str, inside: &str) {
        let head = if self.is_v2 { "0::" } else { "1:memory,cpu:" };
        let text = format!("{head}{inside}\n");
        // The inode stays.
        fs::write(self.path(format!("namespaces/cgroup-{name}")), text).unwrap();
    }

    fn machine(&self) -> (Machine, Layout, Callers) {
        let machine = Machine::at(self.root.path()).unwrap();
        let callers = Callers::new(&machine).unwrap();
        (machine, Layout::read(self.root.path()).unwrap(), callers)
    }

    fn caller(&self, tid: u32) -> Result<Caller, CallerError> {
        let (machine, cgroups, callers) = self.machine();
        callers.identify(Tid(tid), &cgroups, &machine)
    }

    fn caller_process(&self, pid: u32) -> Result<Caller, CallerError> {
        let (machine, cgroups, callers) = self.machine();
        callers.identify_process(Pid(pid), &cgroups, &machine)
    }

    /// Returns the cgroup of the container that the thread is in, which the process `tid` must be in too.
    #[track_caller]
    fn root_of(&self, tid: u32) -> PathBuf {
        let thread = container(self.caller(tid));
        let process = container(self.caller_process(tid));
        assert_eq!(thread, process);
        thread.paths.path().to_owned()
    }

    fn birth_of(&self, pid: u32) -> Birth {
        let container = container(self.caller_process(pid));
        let (machine, cgroups, callers) = self.machine();
        let found = birth(&container, &callers, (&cgroups, &machine), None);
        found.unwrap().1
    }
}

#[track_caller]
fn container(caller: Result<Caller, CallerError>) -> Arc<Container> {
    match caller.unwrap() {
        Caller::Container(container) => container,
        Caller::Host => panic!("a container is taken for the host"),
    }
}

#[test]
fn a_process_in_the_namespaces_of_process_1_is_the_host() {
    let files = Files::v2();
    files.process(&Process {
        pid: 5,
        cgroup: "/user",
        parent: 1,
        inside: &[],
        namespaces: ["host", "host", "box", "box"],
    });
    assert_eq!(files.caller(5).unwrap(), Caller::Host);
    assert_eq!(files.caller_process(5).unwrap(), Caller::Host);
}

#[test]
fn a_process_with_mounts_of_its_own_among_the_hosts_counts_to_its_own_cgroup() {
    let files = Files::v1();
    files.process(&Process {
        inside: &[],
        namespaces: ["host", "box", "host", "host"],
        ..init(5, "/box")
    });
    assert_eq!(files.root_of(5), Path::new("/box"));
}

/// A process of the container of [`init`] that is not its first.
const fn second(pid: u32, cgroup: &str) -> Process<'_> {
    Process {
        inside: &[2],
        parent: 5,
        ..init(pid, cgroup)
    }
}

#[test]
fn a_service_below_its_init_counts_to_the_inits_cgroup() {
    let files = Files::v1();
    files.process(&init(5, "/box"));
    files.process(&second(6, "/box/service"));
    assert_eq!(files.root_of(6), Path::new("/box"));
    let container = container(files.caller(6));
    assert_eq!(container.init, Some(Pid(5)));
}

#[test]
fn containers_that_share_a_pid_namespace_count_each_to_their_own_cgroup() {
    for files in [Files::v1(), Files::v2()] {
        files.process(&init(5, "/pod/pause"));
        files.process(&second(6, "/pod/app"));
        assert_eq!(files.root_of(6), Path::new("/pod/app"));
        // A name that begins like the init's is no cgroup below it.
        files.process(&second(7, "/pod/pause2"));
        assert_eq!(files.root_of(7), Path::new("/pod/pause2"));
        assert_eq!(container(files.caller(6)).init, None);
    }
}

#[test]
fn systemd_in_init_scope_is_the_container_above() {
    let files = Files::v2();
    files.process(&init(5, "/box/init.scope"));
    files.process(&second(6, "/box/system.slice/x"));
    assert_eq!(files.root_of(5), Path::new("/box"));
    assert_eq!(files.root_of(6), Path::new("/box"));
}

#[test]
fn an_init_whose_main_thread_has_ended_is_found_by_a_living_thread() {
    for files in [Files::v1(), Files::v2()] {
        files.process(&init(5, "/box"));
        files.process(&second(6, "/box/service"));
        files.end_main_thread(5);
        files.thread(5, 8, "/box", init(5, "/box").namespaces);
        assert_eq!(files.root_of(6), Path::new("/box"));
        let init = container(files.caller_process(5));
        assert_eq!(init.paths.path(), Path::new("/box"));
    }
}

#[test]
fn a_main_thread_that_ended_in_another_cgroup_does_not_count() {
    let files = Files::v2();
    files.process(&init(5, "/first"));
    files.end_main_thread(5);
    // The kernel moves the living threads only.
    files.thread(5, 8, "/second", init(5, "/").namespaces);
    let moved = container(files.caller_process(5));
    assert_eq!(moved.paths.path(), Path::new("/second"));
}

#[test]
fn an_init_without_a_living_thread_leaves_each_process_its_own_cgroup() {
    let files = Files::v1();
    files.process(&init(5, "/box"));
    files.process(&second(6, "/box/service"));
    files.end_main_thread(5);
    assert_eq!(files.root_of(6), Path::new("/box/service"));
}

#[test]
fn a_process_that_has_ended_counts_to_its_init_and_never_to_the_root_of_the_cgroups() {
    let files = Files::v1();
    files.process(&init(5, "/box"));
    files.process(&second(6, "/box/service"));
    files.end_main_thread(6);
    let found = container(files.caller_process(6));
    assert_eq!(found.paths.path(), Path::new("/box"));
    files.end_main_thread(5);
    for pid in [5, 6] {
        let error = files.caller_process(pid).unwrap_err();
        assert!(matches!(error, CallerError::Ended { .. }), "{error}");
    }
    // Among the host's processes there is no init that could tell.
    let files = Files::v1();
    files.process(&Process {
        inside: &[],
        namespaces: ["host", "box", "host", "host"],
        ..init(5, "/box")
    });
    files.end_main_thread(5);
    let said = files.caller_process(5).unwrap_err().to_string();
    assert!(said.ends_with("process 5: the process has ended"), "{said}");
}

#[test]
fn a_living_cgroup_is_found_whatever_its_name() {
    for name in ["/a (deleted)", "/a:b", "/a\\012b", "/a ", "/a\r", "/..a"] {
        for files in [Files::v1(), Files::v2()] {
            files.process(&init(5, name));
            files.process(&second(6, &format!("{name}/service")));
            assert_eq!(files.root_of(5), Path::new(name));
            assert_eq!(files.root_of(6), Path::new(name));
        }
    }
    let files = Files::v2();
    let name = OsStr::from_bytes(b"/a\xff");
    fs::create_dir(
        files
            .path("sys/fs/cgroup")
            .join(OsStr::from_bytes(b"a\xff")),
    )
    .unwrap();
    files.process(&init(5, "/box"));
    files.membership("proc/5", name.as_bytes());
    assert_eq!(files.root_of(5), Path::new(name));
}

#[test]
fn a_cgroup_that_was_removed_is_gone_and_no_other() {
    let files = Files::v2();
    files.cgroup("/box").process(&init(5, "/box/x"));
    files.membership("proc/5", "/box/x (deleted)");
    assert_eq!(files.root_of(5), Path::new("/box/x"));
    fs::remove_dir_all(files.path("sys/fs/cgroup/box/x")).unwrap();
    match files.caller(5).unwrap_err() {
        CallerError::Unread { source, .. } => assert!(source.is_gone()),
        error => panic!("{error}"),
    }
}

#[test]
fn a_cgroup_outside_of_this_cgroup_namespace_is_no_container() {
    let files = Files::v2();
    files.cgroup("/other").process(&init(5, "/box"));
    files.membership("proc/5", "/../other");
    let error = files.caller(5).unwrap_err();
    assert!(matches!(error, CallerError::Outside { .. }), "{error}");
}

#[test]
fn a_container_that_moved_itself_is_the_root_of_its_cgroup_namespace() {
    for files in [Files::v1(), Files::v2()] {
        let namespaces = ["box", "box", "box", "host"];
        files.process(&Process {
            namespaces,
            ..init(5, "/pod/box/init")
        });
        files.process(&Process {
            namespaces,
            ..second(6, "/pod/box/service")
        });
        files.cgroup_namespace("box", "/init");
        assert_eq!(files.root_of(5), Path::new("/pod/box"));
        assert_eq!(files.root_of(6), Path::new("/pod/box"));
        // A process that was moved out of the namespace's root.
        files.cgroup_namespace("box", "/../../pod/box/init");
        assert_eq!(files.root_of(5), Path::new("/pod/box/init"));
    }
}

#[test]
fn a_container_of_a_pod_that_moved_itself_is_the_root_of_its_own_cgroup_namespace() {
    let files = Files::v2();
    files.process(&init(5, "/pod/pause"));
    files.process(&Process {
        parent: 1,
        namespaces: ["box", "app", "app", "host"],
        ..second(6, "/pod/app/init")
    });
    files.cgroup_namespace("app", "/init");
    assert_eq!(files.root_of(6), Path::new("/pod/app"));
}

#[test]
fn the_cgroup_namespace_of_an_outer_container_is_not_that_of_an_inner_one() {
    let files = Files::v1();
    let namespaces = ["box", "box", "box", "host"];
    files.process(&Process {
        namespaces,
        ..init(5, "/outer/init")
    });
    files.process(&Process {
        namespaces,
        ..second(6, "/outer/init")
    });
    files.process(&Process {
        parent: 6,
        inside: &[7, 1],
        namespaces: ["inner", "inner", "box", "host"],
        ..init(7, "/outer/inner")
    });
    files.cgroup_namespace("box", "/init");
    assert_eq!(files.root_of(6), Path::new("/outer"));
    files.cgroup_namespace("box", "/inner");
    assert_eq!(files.root_of(7), Path::new("/outer/inner"));
}

#[test]
fn a_container_that_moved_itself_is_found_by_its_engines_shape() {
    let files = Files::v1();
    let leaf = format!("{DOCKER}/init");
    files.process(&init(5, &leaf));
    files.process(&second(6, DOCKER));
    assert_eq!(files.root_of(5), Path::new(DOCKER));
    assert_eq!(files.root_of(6), Path::new(DOCKER));
    // A deeper cgroup namespace of its own does not take the container away from its engine's limit.
    files.process(&Process {
        namespaces: ["box", "box", "box", "host"],
        ..init(5, &leaf)
    });
    files.cgroup_namespace("box", "/");
    assert_eq!(files.root_of(5), Path::new(DOCKER));
}

#[test]
fn a_container_inside_an_engines_container_keeps_its_own_cgroup() {
    let files = Files::v1();
    let (leaf, inner) = (format!("{DOCKER}/init"), format!("{DOCKER}/inner"));
    files.process(&init(5, &leaf));
    files.process(&Process {
        parent: 5,
        inside: &[7, 1],
        namespaces: ["inner", "inner", "host", "host"],
        ..init(7, &inner)
    });
    assert_eq!(files.root_of(7), Path::new(&inner));
    let nested = DOCKER.replace("0123", "4567");
    let (nested, leaf) = (
        format!("{DOCKER}{nested}"),
        format!("{DOCKER}{nested}/init"),
    );
    files.process(&Process {
        parent: 5,
        inside: &[8, 1],
        namespaces: ["nested", "nested", "host", "host"],
        ..init(8, &leaf)
    });
    assert_eq!(files.root_of(8), Path::new(&nested));
}

#[test]
fn a_container_starts_with_its_init_or_at_its_time_namespace() {
    let files = Files::v1();
    files.process(&init(5, "/box"));
    files.process(&second(4, "/box"));
    let started = |pid: u64| Birth::Started(plimsoll::base::units::Micros(pid * 1_000_000));
    assert_eq!(files.birth_of(5), started(5));
    files.write("proc/5/timens_offsets", "monotonic -9 0\nboottime -9 0\n");
    files.process(&Process {
        namespaces: ["box", "box", "host", "box"],
        ..init(5, "/box")
    });
    assert_eq!(files.birth_of(5), Birth::Offset(-9_000_000));
    // A main thread that has ended has no time namespace to ask.
    files.end_main_thread(5);
    files.thread(5, 8, "/box", ["box", "box", "host", "box"]);
    files.write("proc/8/timens_offsets", "boottime -9 0\n");
    assert_eq!(files.birth_of(4), Birth::Offset(-9_000_000));
}

#[test]
fn the_age_of_a_container_counts_a_suspend_between_its_start_and_the_hosts() {
    // CLOCK_BOOTTIME counts the five seconds of the suspend, and CLOCK_MONOTONIC does not.
    let files = Files::v2();
    files.process(&Process {
        namespaces: ["box", "box", "host", "box"],
        ..init(5, "/box")
    });
    files.write("proc/5/timens_offsets", "monotonic -4 0\nboottime -9 0\n");
    assert_eq!(files.birth_of(5), Birth::Offset(-9_000_000));
}

#[test]
fn a_container_starts_with_its_init_though_a_launcher_waits_in_its_cgroup() {
    let files = Files::v1();
    files.process(&Process {
        inside: &[],
        namespaces: ["host", "box", "host", "host"],
        ..init(4, "/box")
    });
    files.process(&Process {
        parent: 4,
        namespaces: ["box", "box", "host", "host"],
        ..init(5, "/box")
    });
    let known = container(files.caller_process(5));
    let birth_by_cgroup = || {
        let (machine, cgroups, callers) = files.machine();
        let container = Container {
            init: None,
            ..(*known).clone()
        };
        birth(&container, &callers, (&cgroups, &machine), None)
            .unwrap()
            .1
    };
    assert_eq!(birth_by_cgroup(), Birth::Offset(0));
    // As unshare --pid --fork leaves it.
    let children = files.path("proc/4/ns/pid_for_children");
    hard_link(files.path("namespaces/pid-box"), children).unwrap();
    let started = plimsoll::base::units::Micros(5_000_000);
    assert_eq!(birth_by_cgroup(), Birth::Started(started));
}

#[test]
fn a_container_among_the_processes_of_another_has_the_clock_of_its_own_kernel() {
    let files = Files::v1();
    files.write("proc/5/timens_offsets", "boottime -9 0\n");
    files.process(&Process {
        namespaces: ["box", "box", "host", "box"],
        ..init(5, "/web")
    });
    files.process(&second(6, "/other"));
    assert_eq!(files.birth_of(5), Birth::Offset(-9_000_000));
    assert_eq!(files.birth_of(6), Birth::Offset(0));
    // Among the host's processes, with a sandbox of its own inside.
    files.process(&Process {
        inside: &[],
        namespaces: ["host", "exporter", "host", "host"],
        ..init(6, "/exporter")
    });
    files.process(&Process {
        parent: 6,
        namespaces: ["sandbox", "sandbox", "host", "host"],
        ..init(7, "/exporter")
    });
    assert_eq!(files.birth_of(6), Birth::Offset(0));
}
