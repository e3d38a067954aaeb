//! Limits as they bind: what a container can have before the kernel throttles or kills.

use super::Captured;
use plimsoll::view::files::File;
use std::fs;

const APP: &str = "sys/fs/cgroup/stage/pod/app";
const MIB: u64 = 1 << 20;

fn write_app(captured: &Captured, file: &str, value: impl std::fmt::Display) {
    captured.write(&format!("{APP}/{file}"), &format!("{value}\n"));
}

fn unlimited(captured: &Captured) {
    for level in ["stage/pod/app", "stage/pod", "stage"] {
        captured.write(&format!("sys/fs/cgroup/{level}/memory.max"), "max\n");
    }
}

#[test]
fn memory_high_below_the_limit_bounds_what_is_available() {
    let captured = Captured::copy("v2-4cpu");
    write_app(&captured, "memory.high", 200 * MIB);
    write_app(&captured, "memory.max", 400 * MIB);
    write_app(&captured, "memory.current", 150 * MIB);
    assert_eq!(captured.kib("MemTotal"), 400 << 10);
    assert_eq!(captured.kib("MemFree"), 50 << 10);
    // The page cache and slab of the container come on top.
    let available = captured.kib("MemAvailable");
    assert!((50 << 10..66 << 10).contains(&available), "{available}");
}

#[test]
fn memory_high_of_the_pod_bounds_what_is_available() {
    let captured = Captured::copy("v2-4cpu");
    write_app(&captured, "memory.current", 100 * MIB);
    captured.write("sys/fs/cgroup/stage/pod/memory.current", "125829120\n");
    captured.write("sys/fs/cgroup/stage/pod/memory.high", "136314880\n");
    assert_eq!(captured.kib("MemTotal"), 256 << 10);
    assert_eq!(captured.kib("MemFree"), 10 << 10);
}

#[test]
fn a_container_with_memory_high_alone_is_limited() {
    let captured = Captured::copy("v2-4cpu");
    unlimited(&captured);
    assert_eq!(captured.kib("MemTotal"), 2_982_844);
    write_app(&captured, "memory.high", 300 * MIB);
    captured.write("sys/fs/cgroup/stage/memory.high", "419430400\n");
    assert_eq!(captured.kib("MemTotal"), 300 << 10);
    let explained = captured.answers.explain(File::Meminfo, &captured.container);
    let explained = explained.unwrap();
    let total = &explained[0];
    assert!(total.decided_by.as_ref().unwrap().ends_with("pod/app"));
    let names = |file: &str| total.inputs.iter().any(|input| input.file.ends_with(file));
    assert!(names("pod/app/memory.high") && names("stage/memory.high"));
}

#[test]
fn a_soft_limit_of_v1_throttles_nobody() {
    let captured = Captured::copy("hybrid-v1");
    let before = captured.read(File::Meminfo);
    let file = "sys/fs/cgroup/memory/stage/pod/app/memory.soft_limit_in_bytes";
    captured.write(file, "1048576\n");
    assert_eq!(captured.read(File::Meminfo), before);
}

#[test]
fn a_swappiness_of_zero_on_v1_leaves_no_swap_but_what_is_used() {
    let captured = Captured::copy("hybrid-v1");
    let used = captured.kib("SwapTotal") - captured.kib("SwapFree");
    let app = "sys/fs/cgroup/memory/stage/pod/app";
    captured.write(&format!("{app}/memory.swappiness"), "0\n");
    assert_eq!(
        (captured.kib("SwapTotal"), captured.kib("SwapFree")),
        (used, 0)
    );
    let memory = fs::read_to_string(captured.path.join(app).join("memory.usage_in_bytes"));
    captured.write(
        &format!("{app}/memory.memsw.usage_in_bytes"),
        &memory.unwrap(),
    );
    assert_eq!(captured.kib("SwapTotal"), 0);
    assert_eq!(captured.read(File::Swaps).lines().count(), 1);
}

#[test]
fn without_zswap_and_write_back_nothing_more_is_swapped() {
    let captured = Captured::copy("v2-4cpu");
    write_app(&captured, "memory.zswap.writeback", 0);
    write_app(&captured, "memory.zswap.max", "max");
    captured.write("sys/fs/cgroup/stage/pod/memory.zswap.max", "max\n");
    assert_eq!(captured.kib("SwapTotal"), 128 << 10);
    write_app(&captured, "memory.zswap.max", 0);
    write_app(&captured, "memory.swap.current", 0);
    assert_eq!(captured.kib("SwapTotal"), 0);
    write_app(&captured, "memory.zswap.writeback", 1);
    assert_eq!(captured.kib("SwapTotal"), 128 << 10);
}

#[test]
fn swap_above_memory_swap_high_is_not_free() {
    let captured = Captured::copy("v2-4cpu");
    write_app(&captured, "memory.swap.current", 20 * MIB);
    write_app(&captured, "memory.swap.high", 24 * MIB);
    assert_eq!(captured.kib("SwapTotal"), 128 << 10);
    assert_eq!(captured.kib("SwapFree"), 4 << 10);
}

/// Returns the columns user, idle and steal of the first line.
fn times(captured: &Captured) -> [u64; 3] {
    let stat = captured.read(File::Stat);
    let columns: Vec<u64> = (stat.lines().next().unwrap().split_whitespace())
        .filter_map(|word| word.parse().ok())
        .collect();
    [columns[0], columns[3], columns[7]]
}

/// Makes the pod's 1.5 CPUs the only quota, under which the container used all of the pod's time.
fn under_the_pods_quota() -> Captured {
    let captured = Captured::copy("v2-4cpu");
    let pod = "sys/fs/cgroup/stage/pod";
    write_app(&captured, "cpu.max", "max 100000");
    let used = "usage_usec 9000000\nuser_usec 9000000\nsystem_usec 0\n";
    write_app(&captured, "cpu.stat", format!("{used}throttled_usec 0"));
    captured.write(&format!("{pod}/cpu.max"), "150000 100000\n");
    captured.write(
        &format!("{pod}/cpu.stat"),
        &format!("{used}nr_periods 60\nnr_throttled 60\nthrottled_usec 12000000\n"),
    );
    captured
}

/// Returns the files that an explanation names for the throttled time.
fn throttled_files(captured: &Captured) -> Vec<String> {
    let explained = captured.answers.explain(File::Stat, &captured.container);
    let inputs = explained.unwrap().swap_remove(0).inputs.into_iter();
    let throttled = inputs.filter(|input| input.value.ends_with("throttled"));
    throttled
        .map(|input| {
            let names: Vec<&str> = input.file.rsplitn(3, '/').collect();
            format!("{}/{}", names[1], names[0])
        })
        .collect()
}

#[test]
fn a_quota_of_the_pod_takes_its_time_as_steal() {
    let captured = under_the_pods_quota();
    write_app(&captured, "cpu.stat.local", "throttled_usec 2000000");
    let [user, _, steal] = times(&captured);
    assert_eq!((user, steal), (900, 200));
    assert_eq!(throttled_files(&captured), ["app/cpu.stat.local"]);
}

#[test]
fn an_older_kernel_has_the_steal_in_the_pods_count() {
    let captured = under_the_pods_quota();
    fs::remove_file(captured.path.join(APP).join("cpu.stat.local")).unwrap();
    let [user, _, steal] = times(&captured);
    assert_eq!((user, steal), (900, 1200));
    assert_eq!(throttled_files(&captured), ["app/cpu.stat", "pod/cpu.stat"]);
}

#[test]
fn on_v1_a_container_has_its_part_of_the_pods_throttled_time() {
    let captured = Captured::copy("hybrid-v1");
    let pod = "sys/fs/cgroup/cpu,cpuacct/stage/pod";
    let text = |file: &str| fs::read_to_string(captured.path.join(pod).join(file)).unwrap();
    captured.write(&format!("{pod}/app/cpu.cfs_quota_us"), "-1\n");
    captured.write(&format!("{pod}/app/cpu.stat"), "throttled_time 0\n");
    captured.write(&format!("{pod}/cpu.cfs_quota_us"), "150000\n");
    captured.write(&format!("{pod}/cpu.stat"), "throttled_time 3000000000\n");
    let used: u64 = text("app/cpuacct.usage").trim().parse().unwrap();
    captured.write(&format!("{pod}/cpuacct.usage"), &format!("{}\n", used * 2));
    let [_, _, steal] = times(&captured);
    assert!((147..=150).contains(&steal), "{steal}");
}
