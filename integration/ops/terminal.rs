//! The output of each command, where a container has chosen a name on which a terminal acts.

use crate::harness::{Cgroup, file_tree, plimsoll, read_line, stdout_of, unique};
use serde_json::json;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A name that clears the screen, sets the title, begins a line, and turns the text around.
const NAME: &str = "a\x1b[2J\x1b]0;owned\x07\nb\r\u{9b}31m\u{202e}c\u{2028}\u{200b}";

/// Asserts that the output has no character on which a terminal acts. Returns it as one text.
#[track_caller]
fn calm(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    let is_active = |char: char| {
        char != '\n' && char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
    };
    assert!(!text.contains(is_active), "{text:?}");
    text
}

/// Runs the program, with that text on its standard input.
fn output_with(words: &[&OsStr], input: &str) -> Output {
    let mut command = plimsoll();
    command.args(words).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its options does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn no_command_acts_on_the_terminal_by_a_name_that_it_refuses() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join(NAME);
    fs::write(&config, format!("mountpoint = {:?}\n\u{9b} = 1\n", "x")).unwrap();
    let config = config.to_str().unwrap();
    let state = json!({ "ociVersion": "1.0.0", "id": NAME, "pid": 0, "bundle": NAME }).to_string();
    for words in [
        &["run", "-m", NAME][..],
        &["run", "--rootfs", NAME],
        &["run", "--config", config, "true"],
        &["run", "--volume", NAME],
        &["run", "--user", NAME],
        &["daemon", "--config", config],
        &["daemon", "--max-age", NAME],
        &["daemon", "/proc/self", "--config", config, "--replace"],
        &["attach", NAME],
        &["attach", "--pid", "1", "--config", config],
        &["detach", NAME],
        &["show", "--cgroup", NAME, "meminfo"],
        &["show", "--pid", "1", NAME],
        &["ps", "--filter", NAME],
        &["ps", "--sort", NAME],
        &["ps", "--config", config],
        &["status", "--config", config],
        &["status", config, "-o", NAME],
        &["doctor", "--root", NAME],
        &["doctor", "--root", "/nowhere", "--config", config],
        &["install", NAME],
        &["uninstall", "docker", "--root", config],
        &["generate", "man", config],
        &["hook", "--config", config],
        &["hook", "--view", config, "--require"],
        &["runtime", "--", "create", "--bundle", NAME, NAME],
        &[NAME],
    ] {
        let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
        let output = output_with(&words, &state);
        let text = calm(&output);
        assert!(text.ends_with('\n'), "{words:?}: {text}");
        assert!(!text.contains("\nb"), "{words:?}: {text}");
    }
}

#[test]
fn doctor_prints_a_hostile_mount_as_one_line_and_as_json() {
    // The kernel escapes blanks, newlines and backslashes of mount points, and nothing else.
    let mounts = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
        28 24 0:32 / /lxcfs\x1b[2J\u{9b}31m\\012ok rw - fuse.lxcfs lxcfs rw\n";
    let root = file_tree(&[
        ("proc/sys/kernel/osrelease", "6.8.0\x1b[2J\n"),
        ("proc/self/mountinfo", mounts),
    ]);
    let doctor = |format: &str| {
        let mut doctor = plimsoll();
        doctor.arg("doctor").arg("--root").arg(root.path());
        doctor.args(["-o", format]).output().unwrap()
    };
    let text = calm(&doctor("table"));
    assert!(
        text.contains("lxcfs serves /lxcfs\\x1b[2J\\u{9b}31m\\nok: "),
        "{text}"
    );
    let found: serde_json::Value = serde_json::from_str(&calm(&doctor("json"))).unwrap();
    let mut found = found.as_array().unwrap().iter();
    assert!(found.any(|one| {
        let finding = one["finding"].as_str().unwrap();
        finding.starts_with("lxcfs serves /lxcfs\x1b[2J\u{9b}31m\nok: ")
    }));
}

/// A process with a mount namespace of its own, in a cgroup with that name.
struct Named {
    process: Child,
    /// The cgroup and the one above it, in the order of their removal.
    _cgroups: [Cgroup; 2],
}

impl Named {
    fn start() -> Named {
        let above = Cgroup::new();
        // The kernel refuses a newline in the name of a cgroup.
        let cgroup = above.child(&NAME.replace('\n', ""));
        let mut unshare = Command::new("unshare");
        let process = unshare.args(["-m", "sleep", "1000"]).spawn().unwrap();
        for procs in cgroup.procs() {
            fs::write(procs, process.id().to_string()).unwrap();
        }
        Named {
            process,
            _cgroups: [cgroup, above],
        }
    }

    fn pid(&self) -> String {
        self.process.id().to_string()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs root and cgroups"]
fn show_explains_a_container_with_a_hostile_name_without_acting_on_the_terminal() {
    let above = Cgroup::new();
    let cgroup = above.child(&NAME.replace('\n', ""));
    cgroup.limit_memory(64 << 20);
    for format in ["table", "json"] {
        let mut show = plimsoll();
        show.arg("show").arg("--cgroup").arg(cgroup.path());
        let output = show.args(["meminfo", "--explain", "-o", format]).output();
        let text = calm(&output.unwrap());
        if format == "table" {
            assert!(
                text.contains("a\\x1b[2J\\x1b]0;owned\\x07b\\r\\u{9b}31m"),
                "{text}"
            );
            continue;
        }
        let lines: serde_json::Value = serde_json::from_str(&text).unwrap();
        let decided = lines[0]["decided_by"].as_str().unwrap();
        assert!(
            decided.ends_with(cgroup.path().to_str().unwrap()),
            "{decided:?}"
        );
    }
}

#[test]
#[ignore = "needs root and cgroups"]
fn ps_lists_a_container_with_a_hostile_name_without_acting_on_the_terminal() {
    let above = Cgroup::new();
    let cgroup = above.child(&NAME.replace('\n', ""));
    let mut shell = Command::new("sh");
    let script = "read x; exec unshare -pfm --kill-child --mount-proc sh -c 'echo ready; read x'";
    let shell = shell.args(["-c", script]).stdin(Stdio::piped());
    let mut process = shell.stdout(Stdio::piped()).spawn().unwrap();
    for procs in cgroup.procs() {
        fs::write(procs, process.id().to_string()).unwrap();
    }
    process.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready\n");
    for format in ["table", "wide", "json"] {
        let text = calm(&plimsoll().args(["ps", "-o", format]).output().unwrap());
        // A control character in the name of a cgroup is a question mark in the name of its container.
        assert!(text.contains("a?[2J?]0;owned?b??31m"), "{text}");
        if format == "json" {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn neither_daemon_nor_attach_acts_on_the_terminal_by_the_name_of_a_container() {
    let place = tempfile::tempdir().unwrap();
    let mountpoint = place.path().join(NAME).join("view");
    fs::create_dir_all(&mountpoint).unwrap();
    let log = place.path().join("log");
    let mut daemon = plimsoll();
    daemon.arg("daemon").arg(&mountpoint).arg("--no-keeper");
    daemon.stderr(File::create(&log).unwrap());
    let mut daemon = daemon.spawn().unwrap();
    let read_log = || fs::read_to_string(&log).unwrap();
    crate::harness::wait_until("the daemon serves", || read_log().contains("serving"));

    let named = Named::start();
    let attached = attach(&mountpoint, &["--pid", &named.pid()]);
    let json = attach(
        &mountpoint,
        &["--pid", &named.pid(), "-o", "json", "--dry-run"],
    );
    let by_name = attach(&mountpoint, &["--", NAME]);
    crate::harness::kill("TERM", daemon.id());
    daemon.wait().unwrap();
    calm(&attached);
    serde_json::from_str::<serde_json::Value>(&calm(&json)).unwrap();
    assert!(calm(&by_name).contains("a\\x1b[2J"));
    let output = Output {
        stdout: read_log().into(),
        stderr: Vec::new(),
        status: attached.status,
    };
    assert!(calm(&output).contains("a\\x1b[2J"));
    drop(named);
}

fn attach(view: &Path, words: &[&str]) -> Output {
    let mut attach = plimsoll();
    attach.arg("attach").arg("--view").arg(view).args(words);
    attach.output().unwrap()
}

#[test]
#[ignore = "needs root and cgroups"]
fn a_note_that_names_a_hostile_container_does_not_act_on_the_terminal() {
    let place = tempfile::tempdir().unwrap();
    let named = Named::start();
    // Nobody serves there, so the hook leaves a note, and the attach fails.
    let state = json!({
        "ociVersion": "1.0.0", "id": NAME, "pid": named.process.id(), "status": "creating",
        "bundle": place.path(),
    });
    let root = json!({ "root": { "path": "/" } });
    fs::write(place.path().join("config.json"), root.to_string()).unwrap();
    let view = place.path().to_str().unwrap();
    let hook = ["hook", "--view", view].map(OsStr::new);
    let left = calm(&output_with(&hook, &state.to_string()));
    assert!(
        left.contains("a\\x1b[2J") && left.contains("until the daemon is back"),
        "{left}"
    );
    let waiting = attach(place.path(), &["--pending"]);
    assert!(
        calm(&waiting).contains("container a\\x1b[2J"),
        "{waiting:?}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn run_does_not_act_on_the_terminal_by_the_names_in_its_container() {
    let place = tempfile::tempdir().unwrap();
    let root: PathBuf = place.path().join(NAME);
    fs::create_dir(&root).unwrap();
    crate::harness::busybox_root(&root);
    let run = |words: &[&str]| {
        let mut run = plimsoll();
        run.arg("run").arg("--rootfs").arg(&root).args(words);
        run.args(["--name", &unique("named")]).output().unwrap()
    };
    let run_in = |words: &[&str], command: &str| {
        let words = [words, &["--", command]].concat();
        let mut run = plimsoll();
        run.arg("run").arg("--name").arg(unique("named"));
        run.arg("--rootfs").arg(&root).args(words).output().unwrap()
    };
    assert!(calm(&run(&["--user", NAME])).contains("a\\x1b[2J"));
    let missing = run_in(&[], NAME);
    assert_eq!(missing.status.code(), Some(127));
    assert!(calm(&missing).contains("cannot run a\\x1b[2J"));
    stdout_of(&run_in(&[], "/bin/id"));
}
