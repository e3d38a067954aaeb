//! Counts that a cgroup knows: of memory, huge pages, kills, and tasks.

use super::Captured;
use plimsoll::{base::units::Micros, view::files::File};

const APP: &str = "sys/fs/cgroup/stage/pod/app";

fn vmstat(captured: &Captured, name: &str) -> u64 {
    let text = captured.read(File::Vmstat);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// Replaces the values of the lines of a file that begin with these names.
fn edit(captured: &Captured, file: &str, lines: &[(&str, &str)]) {
    let text = std::fs::read_to_string(captured.path.join(file)).unwrap();
    let edited = |line: &str| {
        lines.iter().find_map(|(name, value)| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', ':'])
                .then(|| format!("{name}{}{value}", &rest[..1]))
        })
    };
    let text: String = (text.lines())
        .map(|line| edited(line).unwrap_or_else(|| line.to_owned()) + "\n")
        .collect();
    captured.write(file, &text);
}

#[test]
fn transparent_huge_pages_have_their_own_size() {
    let captured = Captured::copy("v2-4cpu");
    edit(
        &captured,
        &format!("{APP}/memory.stat"),
        &[("anon_thp", "104857600")],
    );
    edit(
        &captured,
        "proc/meminfo",
        &[("Hugepagesize", " 1048576 kB")],
    );
    assert_eq!(vmstat(&captured, "nr_anon_transparent_hugepages "), 50);
    let sizes = "sys/kernel/mm/transparent_hugepage";
    std::fs::create_dir_all(captured.path.join(sizes)).unwrap();
    captured.write(&format!("{sizes}/hpage_pmd_size"), "33554432\n");
    assert_eq!(vmstat(&captured, "nr_anon_transparent_hugepages "), 3);
}

/// Returns a container of 256 MB on a machine with 512 huge pages of 2 MB.
fn beside_a_pool() -> Captured {
    let captured = Captured::copy("v2-4cpu");
    let pool = [("HugePages_Total", " 512"), ("HugePages_Free", " 512")];
    edit(&captured, "proc/meminfo", &pool);
    captured
}

#[test]
fn the_machines_pool_of_huge_pages_is_no_part_of_a_small_container() {
    let captured = beside_a_pool();
    let names = ["HugePages_Total", "HugePages_Free", "Hugetlb"];
    assert_eq!(names.map(|name| captured.kib(name)), [0, 0, 0]);
    captured.write(&format!("{APP}/hugetlb.2MB.current"), "8388608\n");
    assert_eq!(names.map(|name| captured.kib(name)), [4, 0, 8192]);
}

#[test]
fn hugetlb_limits_and_use_decide_about_the_pool() {
    let captured = beside_a_pool();
    captured.write(&format!("{APP}/hugetlb.2MB.max"), "67108864\n");
    captured.write(&format!("{APP}/hugetlb.2MB.current"), "8388608\n");
    captured.write(&format!("{APP}/hugetlb.2MB.rsvd.current"), "12582912\n");
    let names = [
        "HugePages_Total",
        "HugePages_Free",
        "HugePages_Rsvd",
        "Hugetlb",
    ];
    assert_eq!(names.map(|name| captured.kib(name)), [32, 28, 2, 65536]);
    captured.write(&format!("{APP}/hugetlb.2MB.rsvd.max"), "33554432\n");
    assert_eq!(names.map(|name| captured.kib(name)), [16, 12, 2, 32768]);
}

#[test]
fn kills_and_stalls_for_lack_of_memory_are_counted() {
    let captured = Captured::copy("v2-4cpu");
    let events = "low 0\nhigh 4\nmax 116\noom 3\noom_kill 2\noom_group_kill 0\n";
    captured.write(&format!("{APP}/memory.events"), events);
    assert_eq!(vmstat(&captured, "oom_kill "), 2);
    assert_eq!(vmstat(&captured, "allocstall_normal "), 120);
    assert_eq!(vmstat(&captured, "pswpin "), 275);
}

#[test]
fn kills_on_v1_are_those_of_the_oom_control() {
    let captured = Captured::copy("hybrid-v1");
    captured.write(
        "sys/fs/cgroup/memory/stage/pod/app/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
    );
    assert_eq!(vmstat(&captured, "oom_kill "), 5);
}

#[test]
fn allocations_that_met_a_limit_of_v1_are_stalls() {
    let captured = Captured::copy("hybrid-v1");
    let app = "sys/fs/cgroup/memory/stage/pod/app";
    captured.write(&format!("{app}/memory.failcnt"), "116\n");
    assert_eq!(vmstat(&captured, "allocstall_normal "), 116);
    captured.write(&format!("{app}/memory.memsw.failcnt"), "4\n");
    assert_eq!(vmstat(&captured, "allocstall_normal "), 120);
}

/// Gives the state to the tasks 258, 259 and 262, which run.
fn in_state(state: &str) -> Captured {
    let captured = Captured::copy("v2-4cpu");
    for tid in [258, 259, 262] {
        let file = format!("proc/{tid}/task/{tid}/stat");
        let text = std::fs::read_to_string(captured.path.join(&file)).unwrap();
        captured.write(&file, &text.replacen(") R ", &format!(") {state} "), 1));
    }
    captured
}

fn running_and_blocked(captured: &Captured) -> (u64, u64) {
    let stat = captured.read(File::Stat);
    let value = |name: &str| {
        let mut lines = stat.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    (value("procs_running "), value("procs_blocked "))
}

#[test]
fn a_young_container_has_the_load_of_its_own_time_only() {
    let captured = Captured::open("v2-4cpu");
    // Three tasks run, 23.52 s after the start of the init.
    assert_eq!(captured.read(File::Loadavg), "0.97 0.23 0.08 3/5 0\n");
}

#[test]
fn a_reader_that_comes_every_two_minutes_finds_averages() {
    let captured = Captured::copy("v2-4cpu");
    captured.read(File::Loadavg);
    for tid in [258, 259, 262] {
        let file = format!("proc/{tid}/task/{tid}/stat");
        let text = std::fs::read_to_string(captured.path.join(&file)).unwrap();
        captured.write(&file, &text.replacen(") R ", ") S ", 1));
    }
    let now = super::NOW.get();
    super::NOW.set(now.plus(Micros(120_000_000)));
    // 0.97 * exp(-2), 0.226 * exp(-2 / 5), 0.0774 * exp(-2 / 15).
    let load = captured.read(File::Loadavg);
    super::NOW.set(now.plus(Micros(4 * 3600 * 1_000_000)));
    let later = captured.read(File::Loadavg);
    assert_eq!(
        (load.as_str(), later.as_str()),
        ("0.13 0.15 0.07 1/5 0\n", "0.00 0.00 0.00 1/5 0\n")
    );
}

#[test]
fn a_frozen_stopped_idle_or_dead_task_is_no_load() {
    for state in ["T", "t", "I", "Z", "X", "P"] {
        let captured = in_state(state);
        assert_eq!(
            captured.read(File::Loadavg),
            "0.00 0.00 0.00 1/5 0\n",
            "{state}"
        );
        assert_eq!(running_and_blocked(&captured), (1, 0));
    }
    let captured = in_state("D");
    for tid in [258, 259, 262] {
        captured.write(&format!("proc/{tid}/wchan"), "__refrigerator");
    }
    assert_eq!(captured.read(File::Loadavg), "0.00 0.00 0.00 1/5 0\n");
    assert_eq!(running_and_blocked(&captured), (1, 0));
}

#[test]
fn a_task_in_uninterruptible_sleep_is_load() {
    let captured = in_state("D");
    captured.write("proc/258/wchan", "io_schedule");
    assert_eq!(captured.read(File::Loadavg), "0.97 0.23 0.08 1/5 0\n");
    assert_eq!(running_and_blocked(&captured), (1, 3));
}
