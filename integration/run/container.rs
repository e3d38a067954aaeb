//! Starts containers of `plimsoll run`, and finds what they leave on the machine.

use crate::harness::{busybox_root, kill, only_line, plimsoll, stdout_of, wait_until};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// The path of the program under test.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_plimsoll");

/// `plimsoll run` with these arguments, and nothing to read on its standard input.
pub(super) fn run(args: &[&str]) -> Command {
    let mut command = plimsoll();
    command.arg("run").args(args).stdin(Stdio::null());
    command
}

/// Runs a container to its end.
pub(super) fn output(args: &[&str]) -> Output {
    run(args).output().unwrap()
}

/// Returns the standard output of a container that must succeed.
pub(super) fn stdout(args: &[&str]) -> String {
    stdout_of(&output(args))
}

/// Returns the exit status of `plimsoll run` with these arguments.
pub(super) fn status(args: &[&str]) -> i32 {
    output(args).status.code().unwrap()
}

/// Returns the one line with which `plimsoll run` refuses these arguments.
pub(super) fn refusal(args: &[&str]) -> String {
    refusal_of(&mut run(args))
}

/// Returns the one line with which a command refuses to start a container: exit status 125, and
/// nothing on the standard output.
pub(super) fn refusal_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = only_line(&format!("{command:?}"), &output, 125, &output.stderr);
    assert!(text.starts_with("plimsoll: "), "{text}");
    assert!(output.stdout.is_empty());
    text
}

/// A container that has printed `up`. Its standard output goes to a file.
pub(super) struct Running {
    pub(super) process: Child,
    stdout: PathBuf,
    _directory: tempfile::TempDir,
}

impl Running {
    /// Starts a shell with that script in a process group of its own.
    pub(super) fn start(args: &[&str], script: &str) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let stdout = directory.path().join("out");
        let script = format!("echo up; {script}");
        let args: Vec<&str> = args
            .iter()
            .copied()
            .chain(["--", "sh", "-c", &script])
            .collect();
        let process = run(&args)
            .stdout(fs::File::create(&stdout).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let running = Running {
            process,
            stdout,
            _directory: directory,
        };
        wait_until("the container prints up", || running.has_printed("up"));
        running
    }

    /// Asserts that the container has printed that line.
    pub(super) fn has_printed(&self, line: &str) -> bool {
        let text = fs::read_to_string(&self.stdout).unwrap();
        text.lines().any(|printed| printed == line)
    }

    /// Signals `plimsoll run`.
    pub(super) fn signal(&self, signal: &str) {
        kill(signal, self.process.id());
    }

    /// Signals every process of the group, as a terminal does.
    pub(super) fn signal_group(&self, signal: &str) {
        kill(signal, format!("-{}", self.process.id()));
    }

    /// Waits for the end, and returns the exit status.
    pub(super) fn status(mut self) -> i32 {
        self.process.wait().unwrap().code().unwrap()
    }
}

/// Lists every trace that a container of this name can leave on the machine: directories, locks, mounts,
/// cgroups and processes.
pub(super) fn traces(name: &str) -> Vec<String> {
    let mut traces = Vec::new();
    for root in ["/var/lib/plimsoll-run", "/run/plimsoll-run"] {
        let path = Path::new(root).join("live").join(name);
        if path.exists() {
            traces.push(path.display().to_string());
        }
    }
    // Files for a mount point have the mount point's name, with each "-" escaped.
    for entry in fs::read_dir("/run/plimsoll")
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path().display().to_string();
        if path.replace("\\x2d", "-").contains(name) {
            traces.push(path);
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let named = mounts.lines().filter(|line| line.contains(name));
    traces.extend(named.map(str::to_owned));
    traces.extend(cgroups(name).iter().map(|path| path.display().to_string()));
    traces.extend(processes(name));
    traces
}

/// Lists the cgroup directories of a container.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter(|line| line.contains(" - cgroup"));
    points
        .map(|line| {
            Path::new(line.split(' ').nth(4).unwrap())
                .join("plimsoll")
                .join(name)
        })
        .filter(|path| path.exists())
        .collect()
}

/// Lists the command lines that contain this word, but for that of this process.
pub(super) fn processes(word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(word) && entry.file_name() != *std::process::id().to_string() {
            found.push(line);
        }
    }
    found
}

/// Reads a limit of a container from the kernel, by the file names of cgroup v2 and v1.
pub(super) fn limit(name: &str, v2: &str, v1: &str) -> String {
    let directories = cgroups(name);
    let file = |file: &str| {
        directories
            .iter()
            .map(|directory| directory.join(file))
            .find(|path| path.exists())
    };
    let path = file(v2).or_else(|| file(v1)).unwrap();
    fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Returns the directory that keeps the changes of a container of `--keep`.
pub(super) fn kept(name: &str) -> PathBuf {
    ["/var/lib/plimsoll-run", "/run/plimsoll-run"]
        .map(|root| Path::new(root).join("kept").join(name))
        .into_iter()
        .find(|path| path.exists())
        .unwrap()
}

/// A root directory with nothing but a static busybox, gone when dropped.
pub(super) fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    busybox_root(root.path());
    root
}

/// Lists the names in a directory, in order.
pub(super) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns a path as text.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
