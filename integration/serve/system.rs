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
        let moves = [
            "cur_freq",
            "meminfo",
            "numastat",
            "vmstat",
            "/above",
            "/below",
            "/rejected",
            "/time",
            "/usage",
            "_time",
        ];
        if file.is_symlink() {
            let targets = [&file, &own].map(|link| fs::read_link(link).unwrap());
            assert_eq!(targets[0], targets[1], "{}", file.display());
            continue;
        }
        if moves
            .iter()
            .any(|name| file.to_string_lossy().ends_with(name))
        {
            assert!(own.exists(), "{}", file.display());
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

/// Entries that the view leaves out; `src/view/files/attribute_tables.rs` has the reason of each.
const LEFT_OUT: [&str; 22] = [
    "/compact",
    "/demote",
    "/demote_size",
    "/crash_hotplug",
    "/reclaim",
    "/probe",
    "/release",
    "/microcode/reload",
    "/topology/ppin",
    "/crash_notes",
    "/crash_notes_size",
    "/autosuspend_delay_ms",
    "/memory_side_cache",
    "/cpufreq/stats",
    "/s2idle",
    "/cpufreq/ondemand",
    "/cpufreq/conservative",
    "/cpufreq/schedutil",
    "/node0/memory",
    "/node0/access",
    "/node0/memory_failure",
    "/node0/x86",
];

#[test]
#[ignore = "needs root and /dev/fuse"]
fn every_entry_of_the_kernels_trees_is_there_or_left_out_for_a_reason() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_cpu(100);
    // The kernel has cpuN/cpufreq as a link to the policy, and the view as a directory.
    let find = "find /sys/devices/system/cpu /sys/devices/system/node -mindepth 1 -printf '%p %y %l\\n' \
        | grep -v '/cpufreq ' | sort";
    let text = |output: std::process::Output| stdout_of(&output);
    let kernels = text(
        std::process::Command::new("sh")
            .args(["-c", find])
            .output()
            .unwrap(),
    );
    let own: std::collections::BTreeSet<String> = cgroup
        .stdout(&daemon, find)
        .lines()
        .map(str::to_owned)
        .collect();
    let is_of_another = |path: &str| {
        let mut parts = path.split('/');
        parts.any(|part| {
            let number = part.strip_prefix("cpu").or(part.strip_prefix("policy"));
            number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 0))
        })
    };
    let is_left_out = |path: &str| {
        let mut left = LEFT_OUT.iter();
        left.any(|name| {
            path.find(name).is_some_and(|at| {
                let rest = &path[at + name.len()..];
                rest.is_empty() || rest.starts_with('/') || rest.parse::<u32>().is_ok()
            })
        })
    };
    let lacks: Vec<&str> = kernels
        .lines()
        .filter(|line| {
            let path = line.split(' ').next().unwrap();
            !is_of_another(path) && !is_left_out(path) && !own.contains(*line)
        })
        .collect();
    assert_eq!(lacks, [""; 0]);
    let foreign = own.iter().filter(|line| {
        let path = line.split(' ').next().unwrap();
        let is_the_kernels = kernels.lines().any(|kernels| kernels == line.as_str());
        is_of_another(path) || !is_the_kernels && !path.contains("/cpu0/cpufreq/")
    });
    assert_eq!(foreign.collect::<Vec<_>>(), [""; 0]);
}

#[test]
#[ignore = "needs root and /dev/fuse"]
fn the_only_nodes_counts_are_those_of_the_containers_vmstat() {
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(64 << 20);
    let script = "cat /sys/devices/system/node/node*/vmstat | awk '{ n[$1] += $2 } END { for (k in n) print k, n[k] }' | sort; \
        echo; sort /proc/vmstat; ls -l /sys/devices/system/node/node0/vmstat >&2";
    let text = cgroup.stdout(&daemon, script);
    let (nodes, whole) = text.split_once("\n\n").unwrap();
    // Memory in use moves between two reads.
    let count = |text: &str, name: &str| -> u64 {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(other, _)| *other == name);
        found.unwrap().1.parse().unwrap()
    };
    let free = count(nodes, "nr_free_pages");
    assert!(free.abs_diff(count(whole, "nr_free_pages")) < 4096 && free <= (64 << 20) / 4096);
    assert_eq!(count(nodes, "numa_hit"), 0);
    assert_eq!(count(nodes, "nr_dirtied"), 0);
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
