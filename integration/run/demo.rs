//! The guided minute, `plimsoll demo`.

use super::container::traces;
use crate::harness::{kill, only_line, plimsoll, stdout_of, wait_until};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Stdio},
};

/// Starts a demo without pauses, in a process group of its own.
fn started() -> Child {
    let mut demo = plimsoll();
    demo.args(["demo", "--pause", "0"]).process_group(0);
    let demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped());
    demo.spawn().unwrap()
}

/// Everything of a demo that is left on the machine.
fn remains(of: u32) -> Vec<String> {
    let names = ["plain", "seen"].map(|name| format!("demo-{name}-{of}"));
    names.iter().flat_map(|name| traces(name)).collect()
}

/// Reads the output of a demo up to a line with this text.
fn read_until(demo: &mut Child, text: &str) {
    let lines = BufReader::new(demo.stdout.as_mut().unwrap()).lines();
    let mut lines = lines.map(|line| line.unwrap());
    assert!(lines.any(|line| line.contains(text)), "no line has {text}");
}

/// The lines of each step, without those before the first step.
fn steps(text: &str) -> Vec<Vec<&str>> {
    let mut steps = vec![Vec::new()];
    for line in text.lines() {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            steps.push(Vec::new());
        }
        steps.last_mut().unwrap().push(line.trim());
    }
    steps.split_off(1)
}

/// The line after that of a command which begins so.
fn printed_by<'text>(step: &[&'text str], command: &str, line: usize) -> &'text str {
    let begin = format!("# {command}");
    let at = step.iter().position(|line| line.starts_with(&begin));
    step[at.unwrap() + line]
}

/// The number in the second column of the line for memory, in whole units of `free -m` or in kB.
fn memory(step: &[&str]) -> u64 {
    let is_memory = |line: &&&str| line.starts_with("Mem:") || line.starts_with("MemTotal:");
    let line = step.iter().find(is_memory).unwrap();
    let number: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    match line.starts_with("Mem:") {
        true => number,
        false => number / 1024,
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_demo_shows_the_host_then_the_limits_a_death_without_a_failed_read_and_the_new_limit() {
    let demo = started();
    let pid = demo.id();
    let text = stdout_of(&demo.wait_with_output().unwrap());
    assert!(!text.contains('\x1b'), "{text}");
    let steps = steps(&text);
    let [plain, seen, death, change] = steps.as_slice() else {
        panic!("{text}");
    };
    let host = crate::harness::host_memory_kib() / 1024;
    assert!(memory(plain).abs_diff(host) <= 1, "{text}");
    assert_eq!(memory(seen), 256, "{text}");
    let cpus = "grep -c ^processor /proc/cpuinfo";
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap();
    let host = cpuinfo.matches("processor\t:").count().to_string();
    assert_eq!(printed_by(plain, cpus, 1), host);
    assert_eq!(printed_by(seen, cpus, 1), "1");
    assert!(
        printed_by(death, "kill -9", 2).contains(" 0 failed reads"),
        "{text}"
    );
    assert_eq!(memory(change), 512, "{text}");
    assert_eq!(remains(pid), Vec::<String>::new());
}

#[test]
#[ignore = "needs root, /dev/fuse and a real CPU"]
fn ctrl_c_at_any_step_of_the_demo_leaves_nothing_behind() {
    for step in ["in four steps", "1. ", "2. ", "3. ", "# kill -9", "4. "] {
        let mut demo = started();
        let pid = demo.id();
        read_until(&mut demo, step);
        kill("INT", format!("-{pid}"));
        let status = demo.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{step}");
        assert_eq!(remains(pid), Vec::<String>::new(), "{step}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_killed_demo_takes_its_container_along() {
    let mut demo = started();
    let pid = demo.id();
    read_until(&mut demo, "3. ");
    kill("KILL", pid);
    demo.wait().unwrap();
    wait_until("the container is removed", || remains(pid).is_empty());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_demo_of_another_user_is_refused_in_one_line() {
    let mut demo = plimsoll();
    let output = demo.arg("demo").uid(65534).output().unwrap();
    let line = only_line("demo", &output, 125, &output.stderr);
    assert_eq!(
        line,
        "plimsoll: a demo needs root: run plimsoll with sudo\n"
    );
}
