//! The programs in the running kernel.

use crate::harness::{Cgroup, stdout_of};
use plimsoll::{
    base::units::{Key, Pid},
    calls::{
        kernel::{CallPrograms, ProgramError},
        obstacle::Obstacle,
        programs::HostFacts,
        publish::published,
    },
    facts::container::key_of_first,
    view::answer::{Answers, SYSTEM_CALLS, SystemCall},
};
use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command, time::Duration};

const MIB: u64 = 1 << 20;

/// The maximum of instructions that a kernel follows before it accepts a program: Linux 6.12 follows 1,800. A branch
/// in a loop makes it a hundred times as many on some kernels.
const MAX_VERIFIED: u32 = 5_000;

fn host() -> HostFacts {
    let namespace = fs::metadata("/proc/self/ns/mnt").unwrap().ino();
    HostFacts {
        counts_swap_alone: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
        mount_namespace: namespace.try_into().unwrap(),
        page_shift: 12,
    }
}

/// Attaches the programs, and publishes the container of the cgroup.
fn answering(calls: &[SystemCall], cgroup: &Cgroup) -> CallPrograms {
    let answers = Answers::here().unwrap();
    let container = answers.container(Key(cgroup.key())).unwrap();
    let value = published(&answers, &container).unwrap();
    let programs = CallPrograms::attach(calls, host()).unwrap();
    programs.publish(container.key, &value).unwrap();
    programs
}

/// Returns the output of a script in the cgroup, in a pid and a mount namespace of its own.
fn inside(cgroup: &Cgroup, script: &str) -> String {
    let script = format!(
        "{}exec unshare --mount --pid --fork sh -c '{script}'",
        cgroup.join("$$")
    );
    stdout_of(&Command::new("sh").args(["-c", &script]).output().unwrap())
}

fn outside(script: &str) -> String {
    stdout_of(&Command::new("sh").args(["-c", script]).output().unwrap())
}

#[test]
#[ignore = "needs root, cgroups, 2 CPUs, busybox and BPF writes"]
fn programs_that_ask_sysinfo_or_the_affinity_find_the_container() {
    let (cgroup, other) = (Cgroup::new(), Cgroup::new());
    cgroup.limit_memory(256 * MIB);
    cgroup.limit_cpu(100);
    let cpus = outside("nproc");
    let pages = outside("getconf _PHYS_PAGES");
    let programs = answering(&SYSTEM_CALLS, &cgroup);

    assert_eq!(inside(&cgroup, "nproc"), "1\n");
    assert_eq!(inside(&cgroup, "busybox nproc"), "1\n");
    assert_eq!(inside(&cgroup, "getconf _PHYS_PAGES"), "65536\n");
    for untouched in [outside("nproc"), inside(&other, "nproc")] {
        assert_eq!(untouched, cpus);
    }
    for untouched in [
        outside("getconf _PHYS_PAGES"),
        inside(&other, "getconf _PHYS_PAGES"),
    ] {
        assert_eq!(untouched, pages);
    }

    // A changed limit holds at the next call, without a new value.
    cgroup.limit_memory(512 * MIB);
    assert_eq!(inside(&cgroup, "getconf _PHYS_PAGES"), "131072\n");
    programs.withdraw(Key(cgroup.key())).unwrap();
    assert_eq!(inside(&cgroup, "nproc"), cpus);
}

#[test]
#[ignore = "needs root, cgroups and BPF writes"]
fn free_memory_in_a_container_is_what_its_meminfo_shows() {
    let cgroup = Cgroup::new();
    cgroup.limit_memory(256 * MIB);
    let _programs = answering(&SYSTEM_CALLS, &cgroup);
    let taken = "dd if=/dev/zero of=/dev/shm/taken bs=1M count=100 2>/dev/null";
    let pages = inside(&cgroup, &format!("{taken}; getconf _AVPHYS_PAGES"));
    let free = pages.trim().parse::<u64>().unwrap() * 4;
    // The file stays charged to the cgroup.
    let answers = Answers::here().unwrap();
    let container = answers.container(Key(cgroup.key())).unwrap();
    let shown = answers.memory(&container).unwrap().free.kib();
    fs::remove_file("/dev/shm/taken").unwrap();
    // The programs themselves have taken some memory, and given it back.
    assert!(shown.abs_diff(free) < 8 << 10, "{free} {shown}");
    assert!(free < 160 << 10, "{free}");
}

#[test]
#[ignore = "needs root, cgroups, 2 CPUs, /usr/bin/python3 and BPF writes"]
fn a_task_in_a_cgroup_below_the_containers_finds_the_container() {
    let cgroup = Cgroup::new();
    let below = cgroup.child("below");
    cgroup.limit_cpu(100);
    let _programs = answering(&[SystemCall::Affinity], &cgroup);
    assert_eq!(inside(&below, "nproc"), "1\n");
    // A process that may use none of the seen CPUs gets the kernel's answer.
    let own = r#"taskset -c 1 /usr/bin/python3 -c "import os; print(os.sched_getaffinity(0))""#;
    assert_eq!(inside(&below, own), "{1}\n");
}

#[test]
#[ignore = "needs root, cgroups, 2 CPUs and BPF writes"]
fn the_kernel_follows_few_instructions_of_each_program() {
    let programs = CallPrograms::attach(&SYSTEM_CALLS, host()).unwrap();
    let verified = programs.verified();
    assert!(verified.len() >= SYSTEM_CALLS.len());
    for (function, count) in &verified {
        assert!(
            count.is_none_or(|count| count < MAX_VERIFIED),
            "{function}: {verified:?}"
        );
    }
}

#[test]
#[ignore = "needs root, cgroups, 2 CPUs and BPF writes"]
fn programs_that_are_dropped_leave_the_kernels_answer() {
    let cgroup = Cgroup::new();
    let cpus = outside("nproc");
    cgroup.limit_cpu(100);
    let programs = answering(&[SystemCall::Affinity], &cgroup);
    assert_eq!(inside(&cgroup, "nproc"), "1\n");
    drop(programs);
    // The kernel detaches a program some time after the last descriptor is closed.
    let is_detached = |_| {
        std::thread::sleep(Duration::from_millis(100));
        inside(&cgroup, "nproc") == cpus
    };
    assert!((0..50).any(is_detached));
}

/// Switches the function tracer of the kernel on or off.
fn switch_tracer(to: &str) -> std::io::Result<()> {
    fs::write("/proc/sys/kernel/ftrace_enabled", to)
}

#[test]
#[ignore = "needs root, cgroups, a quiet machine and BPF writes"]
fn programs_that_never_run_are_told_from_programs_that_answer() {
    let attach = || CallPrograms::attach(&[SystemCall::Sysinfo], host());
    let own = key_of_first(Pid(std::process::id())).unwrap();
    let programs = attach().unwrap();
    assert!(programs.are_answering(own).unwrap());
    // Linux 6.12 switches the tracer off, and an attached program does nothing then; 7.3 refuses.
    if switch_tracer("0").is_ok() {
        let (are_answering, attached) = (programs.are_answering(own), attach());
        switch_tracer("1").unwrap();
        assert!(!are_answering.unwrap());
        let error = attached.unwrap_err();
        let is_named = matches!(error, ProgramError::Impossible(Obstacle::TracerOff));
        assert!(is_named, "{error:?}");
    }
    assert!(programs.are_answering(own).unwrap());
}
