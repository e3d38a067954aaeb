//! The trees below `/sys/devices/system`: a reader finds its own CPUs and its own memory.

use crate::harness::{Cgroup, Daemon, field, stdout_of};
use plimsoll::view::files::Attribute;
use std::{
    fs,
    path::{Path, PathBuf},
};

const CPUS: &str = "sys/devices/system/cpu";
const NODES: &str = "sys/devices/system/node";

fn online() -> Vec<u32> {
    let mut cpus: Vec<u32> = numbers(&Path::new("/").join(CPUS), "cpu");
    cpus.sort_unstable();
    cpus
}

fn numbers(directory: &Path, kind: &str) -> Vec<u32> {
    let names = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .filter_map(|name| name.to_str()?.strip_prefix(kind)?.parse().ok())
        .collect()
}

fn walk(path: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            walk(&entry.path(), files);
        } else {
            files.push(entry.path());
        }
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn a_process_of_the_host_finds_the_hosts_own_bytes_and_every_cpu() {
    let daemon = Daemon::start();
    let mut files = Vec::new();
    walk(&daemon.path("sys"), &mut files);
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let own = Path::new("/").join(file.strip_prefix(&daemon.mountpoint).unwrap());
        let moves = ["cur_freq", "meminfo", "numastat"];
        if file.is_symlink()
            || moves
                .iter()
                .any(|name| file.to_string_lossy().ends_with(name))
        {
            assert!(own.exists() && file.exists(), "{}", file.display());
            continue;
        }
        assert_eq!(
            fs::read(&file).unwrap(),
            fs::read(&own).unwrap(),
            "{}",
            file.display()
        );
    }
    let mut cpus = numbers(&daemon.path(CPUS), "cpu");
    cpus.sort_unstable();
    assert_eq!(cpus, online());
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn a_container_finds_the_directories_of_its_own_cpus_and_no_other() {
    let daemon = Daemon::start();
    let last = online().pop().unwrap();
    let (first, second) = (Cgroup::new(), Cgroup::new());
    first.limit_cpus("0");
    second.limit_cpus(&last.to_string());
    let script = "cd /sys/devices/system/cpu; echo $(ls -d cpu[0-9]*); cat online present; \
        for cpu in 0 LAST; do cat cpu$cpu/topology/core_id >/dev/null 2>&1 && echo has $cpu; done; true";
    let script = script.replace("LAST", &last.to_string());
    let look = |cgroup: &Cgroup| {
        let mut shell = cgroup.shell(&daemon, &script);
        stdout_of(&shell.output().unwrap())
    };
    // Both containers read the same names of the shared tree in turn.
    for _ in 0..3 {
        assert_eq!(look(&first), "cpu0\n0\n0\nhas 0\n");
        let own = format!("cpu{last}\n{last}\n{last}\nhas {last}\n");
        assert_eq!(look(&second), own);
    }
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn a_cpuset_that_changes_changes_the_tree() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_cpus("0-1");
    let file = cgroup.directory("cpuset");
    let script = format!(
        "cd /sys/devices/system/cpu; cd cpu1; ls ..; echo 0 > {}/cpuset.cpus; sleep 0.05; ls -d ../cpu[0-9]*; \
         cat ../cpu1/topology/core_id; cat topology/core_id; cat ../cpu0/topology/core_siblings_list",
        file.display()
    );
    let output = cgroup
        .shell(&daemon, &format!("set +e; {{ {script}; }} 2>&1; true"))
        .output()
        .unwrap();
    let text = stdout_of(&output);
    let (before, after) = text.split_once("../cpu0\n").unwrap();
    assert!(before.contains("cpu0\ncpu1\n"), "{text}");
    let gone: Vec<&str> = after.lines().collect();
    assert!(gone[0].ends_with("No such file or directory"), "{text}");
    assert!(gone[1].ends_with("No such file or directory"), "{text}");
    assert_eq!(gone[2..], ["0"], "{text}");
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_list_and_mask_in_a_container_of_one_cpu_names_that_cpu() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_cpu(100);
    let text = stdout_of(
        &cgroup
            .shell(
                &daemon,
                "cd /sys/devices/system; grep -Hs . cpu/cpu*/topology/*_list cpu/cpu*/cache/*/shared_cpu_list \
                 node/node*/cpulist cpu/online cpu/present node/has_cpu; echo; \
                 grep -Hs . cpu/cpu*/topology/core_cpus cpu/cpu*/cache/*/shared_cpu_map; true",
            )
            .output()
            .unwrap(),
    );
    let (lists, masks) = text.split_once("\n\n").unwrap();
    assert!(lists.lines().count() > 3, "{text}");
    for line in lists.lines() {
        assert!(line.ends_with(":0"), "{line}");
    }
    for line in masks.lines() {
        let (_, mask) = line.split_once(':').unwrap();
        assert_eq!(mask.trim_start_matches(['0', ',']), "1", "{line}");
    }
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_nodes_of_a_container_hold_as_much_as_its_meminfo() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 << 20);
    let script = "cat /sys/devices/system/node/node*/meminfo; readlink /sys/devices/system/node/node*/cpu0; \
        ls /sys/devices/system/node/node*/cpu0/topology/core_id";
    let text = cgroup.stdout(&daemon, script);
    let total: u64 = numbers(&daemon.path(NODES), "node")
        .iter()
        .map(|node| field(&text, &format!("Node {node} MemTotal")))
        .sum();
    assert_eq!(total, 64 << 10);
    assert!(
        text.contains("../../cpu/cpu0\n") && text.ends_with("topology/core_id\n"),
        "{text}"
    );
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn nothing_in_the_tree_can_be_written() {
    let daemon = Daemon::start();
    let mut files = Vec::new();
    walk(&daemon.path("sys"), &mut files);
    for file in files.into_iter().filter(|file| !file.is_symlink()) {
        let path = file.strip_prefix(&daemon.mountpoint).unwrap();
        assert!(Attribute::at(path.to_str().unwrap()).is_some() || path.ends_with("online"));
        let opened = fs::OpenOptions::new().write(true).open(&file);
        assert!(opened.is_err(), "{}", file.display());
    }
    assert!(fs::write(daemon.path(CPUS).join("probe"), "").is_err());
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn an_attribute_is_shown_without_a_daemon_too() {
    let cgroup = Cgroup::new();
    cgroup.limit_cpu(100);
    let show = |path: &str| {
        let mut show = crate::harness::plimsoll();
        show.args(["show", "--cgroup"]).arg(cgroup.path()).arg(path);
        show.output().unwrap()
    };
    assert_eq!(stdout_of(&show("/sys/devices/system/cpu/present")), "0\n");
    assert_eq!(
        stdout_of(&show("sys/devices/system/cpu/cpu0/topology/core_cpus_list")),
        "0\n"
    );
    let unseen = show("sys/devices/system/cpu/cpu8000/topology/core_id");
    assert_eq!(unseen.status.code(), Some(125));
    let said = String::from_utf8(unseen.stderr).unwrap();
    assert!(
        said.lines().count() == 1 && said.contains("not there for this container"),
        "{said}"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn a_uevent_is_empty_and_cannot_be_written() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    let script = "for of in cpu node; do file=/sys/devices/system/$of/uevent; wc -c < $file; \
        (echo add > $file) 2>&1 | grep -o -e 'Permission denied' -e 'Read-only file system'; done";
    let text = cgroup.stdout(&daemon, script);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines.len() == 4 && lines[0] == "0" && lines[2] == "0",
        "{text}"
    );
}
