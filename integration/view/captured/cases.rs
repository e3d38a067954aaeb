//! Single machines: pods, swap, unknown fields, cgroups that vanish or make no sense.

use super::Captured;
use plimsoll::{
    facts::container::Caller,
    view::files::{Attribute, File},
};
use std::{fs, path::Path, sync::Arc};

#[test]
fn a_pod_on_a_big_machine_sees_three_of_its_cpus_by_their_numbers() {
    let captured = Captured::open("big-128cpu");
    assert_eq!(captured.processors(), [40, 41, 42]);
    assert_eq!(captured.read(File::CpuOnline), "40-42\n");
    let stat = captured.read(File::Stat);
    let cpus: Vec<&str> = stat
        .lines()
        .filter_map(|line| line.strip_prefix("cpu")?.split(' ').next())
        .filter(|number| !number.is_empty())
        .collect();
    assert_eq!(cpus, ["40", "41", "42"]);
}

#[test]
fn a_hungry_sibling_in_the_pod_leaves_less_than_the_limit() {
    let captured = Captured::open("big-128cpu");
    assert_eq!(captured.kib("MemTotal"), 4 << 20);
    // Its own limit alone would leave 2.8 GiB.
    assert!(captured.kib("MemAvailable") < 2 << 20);
    assert_eq!(captured.read(File::Swaps).lines().count(), 1);
}

#[test]
fn swap_on_v1_is_memsw_less_memory() {
    let captured = Captured::open("hybrid-v1");
    assert_eq!(captured.kib("MemTotal"), 256 << 10);
    // memsw is 320M here, and 400M beside 400M of memory in the parent.
    assert_eq!(captured.kib("SwapTotal"), 64 << 10);
}

#[test]
fn v2_limits_swap_by_itself() {
    let captured = Captured::open("v2-4cpu");
    assert_eq!(captured.kib("MemTotal"), 256 << 10);
    assert_eq!(captured.kib("SwapTotal"), 128 << 10);
    assert!(captured.kib("SwapFree") < captured.kib("SwapTotal"));
    assert_eq!(captured.processors(), [1, 2]);
}

#[test]
fn unknown_fields_keep_their_place_and_show_nothing_of_the_host() {
    let captured = Captured::open("unknown-fields");
    let text = |path: &str| fs::read_to_string(captured.path.join(path)).unwrap();
    let names = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split([':', ' ']).next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&captured.read(File::Meminfo)),
        names(&text("proc/meminfo"))
    );
    let columns = |text: &str| text.lines().next().unwrap().split_whitespace().count();
    assert_eq!(
        columns(&captured.read(File::Stat)),
        columns(&text("proc/stat"))
    );
}

#[test]
fn the_trailer_of_arm_stays() {
    let captured = Captured::open("arm32-4cpu");
    assert_eq!(captured.processors(), [0, 1]);
    assert!(captured.read(File::Cpuinfo).contains("Hardware"));
}

const APP: &str = "sys/fs/cgroup/stage/pod/app";

#[test]
fn a_cgroup_that_vanished_is_answered_from_the_last_good_facts() {
    let captured = Captured::copy("v2-4cpu");
    let before = captured.read(File::Meminfo);
    fs::remove_dir_all(captured.path.join(APP)).unwrap();
    assert_eq!(captured.read(File::Meminfo), before);
    let cpuinfo = captured.answers.render(File::Cpuinfo, &captured.container);
    assert!(cpuinfo.is_err());
}

#[test]
fn a_cgroup_file_that_cannot_be_read_or_makes_no_sense_is_answered_from_the_last_good_facts() {
    for spoil in [
        |captured: &Captured| captured.write(&format!("{APP}/memory.max"), "no number\n"),
        |captured: &Captured| {
            let file = captured.path.join(APP).join("memory.max");
            fs::remove_file(&file).unwrap();
            fs::create_dir(file).unwrap();
        },
    ] {
        let captured = Captured::copy("v2-4cpu");
        let before = captured.read(File::Meminfo);
        spoil(&captured);
        assert_eq!(captured.read(File::Meminfo), before);
        // A container without good facts gets an error.
        let never = Captured::copy("v2-4cpu");
        spoil(&never);
        let meminfo = never.answers.render(File::Meminfo, &never.container);
        assert!(meminfo.is_err());
    }
}

#[test]
fn swap_of_any_size_is_the_same_in_swaps_and_meminfo() {
    let captured = Captured::copy("v2-4cpu");
    let meminfo = fs::read_to_string(captured.path.join("proc/meminfo")).unwrap();
    for kib in [95_367_432_u64, 100_000_000, 136_314_876, 9_999_999_996] {
        let host: String = meminfo
            .lines()
            .map(|line| match line.split(':').next().unwrap() {
                name @ ("SwapTotal" | "SwapFree") => format!("{name}: {kib} kB\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        captured.write("proc/meminfo", &host);
        for level in ["stage/pod/app", "stage/pod", "stage"] {
            captured.write(&format!("sys/fs/cgroup/{level}/memory.swap.max"), "max\n");
        }
        assert_eq!(captured.kib("SwapTotal"), kib);
        let swaps = captured.read(File::Swaps);
        let size = swaps
            .lines()
            .nth(1)
            .unwrap()
            .split_whitespace()
            .nth(2)
            .unwrap();
        assert_eq!(size, kib.to_string(), "{swaps}");
    }
}

#[test]
fn the_cpus_are_the_effective_ones_and_not_those_asked_for() {
    let captured = Captured::copy("v2-4cpu");
    captured.write(&format!("{APP}/cpuset.cpus"), "0-3\n");
    captured.write(&format!("{APP}/cpuset.cpus.effective"), "0-1\n");
    assert_eq!(captured.processors(), [0, 1]);
    assert_eq!(captured.read(File::CpuOnline), "0-1\n");
}

#[test]
fn without_any_cpuset_the_cpus_are_the_machines_and_never_none() {
    let captured = Captured::copy("v2-4cpu");
    for level in ["stage/pod/app", "stage/pod", "stage", ""] {
        for file in ["cpuset.cpus", "cpuset.cpus.effective"] {
            let path = captured.path.join("sys/fs/cgroup").join(level).join(file);
            let _ = fs::remove_file(path);
        }
    }
    assert!(!captured.processors().is_empty());
    assert!(captured.read(File::Stat).contains("\ncpu0 "));
}

#[test]
fn an_unreadable_file_is_an_error_and_never_an_empty_file() {
    let captured = Captured::copy("big-128cpu");
    let file = "sys/devices/system/cpu/cpu40/topology/core_id";
    fs::remove_file(captured.path.join(file)).unwrap();
    fs::create_dir(captured.path.join(file)).unwrap();
    let attribute = Attribute::at(file).unwrap();
    let read = captured
        .answers
        .render_attribute(attribute, &captured.container);
    assert!(read.is_err());
    for file in ["proc/stat", "proc/meminfo", "proc/cpuinfo"] {
        fs::remove_file(captured.path.join(file)).unwrap();
        fs::create_dir(captured.path.join(file)).unwrap();
    }
    for file in [File::Stat, File::Meminfo, File::Cpuinfo] {
        let read = captured.answers.render(file, &captured.container);
        assert!(
            read.is_err_and(|error| !error.to_string().is_empty()),
            "{file:?}"
        );
    }
}

#[test]
fn a_mask_of_many_words_is_whole() {
    let captured = Captured::copy("big-128cpu");
    let file = "sys/devices/system/cpu/cpu40/topology/package_cpus";
    captured.write(file, &format!("{}ffffffff\n", "ffffffff,".repeat(255)));
    let read = captured
        .answers
        .render_attribute(Attribute::at(file).unwrap(), &captured.container);
    let text = String::from_utf8(read.unwrap()).unwrap();
    assert_eq!(text.matches(',').count(), 255);
    assert!(text.ends_with(",00000700,00000000\n"), "{text}");
}

/// Renames the files of cpuset as a hierarchy has them that is mounted with `noprefix`.
fn remove_prefix(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            remove_prefix(&path);
        } else if let Some(bare) = name.strip_prefix("cpuset.") {
            fs::rename(&path, path.with_file_name(bare)).unwrap();
        }
    }
}

#[test]
fn a_cpuset_that_is_mounted_without_prefix_is_the_containers() {
    for has_effective in [true, false] {
        let captured = Captured::copy("v1-2cpu");
        captured.write(
            "sys/fs/cgroup/cpuset/stage/web/cpuset.effective_cpus",
            "1\n",
        );
        captured.write("sys/fs/cgroup/cpuset/stage/web/cpuset.cpus", "1\n");
        captured.write(
            "sys/fs/cgroup/cpuset/stage/web/cpuset.effective_mems",
            "1\n",
        );
        captured.write("sys/fs/cgroup/cpuset/stage/web/cpuset.mems", "1\n");
        let nodes = captured.path.join("sys/devices/system/node");
        for node in ["node0", "node1"] {
            fs::create_dir_all(nodes.join(node)).unwrap();
            fs::write(nodes.join(node).join("cpulist"), &node[4..]).unwrap();
        }
        for list in ["online", "has_memory"] {
            fs::write(nodes.join(list), "0-1\n").unwrap();
        }
        let cpuset = captured.path.join("sys/fs/cgroup/cpuset");
        remove_prefix(&cpuset);
        if !has_effective {
            for cgroup in ["", "stage", "stage/web"] {
                let cgroup = cpuset.join(cgroup);
                fs::remove_file(cgroup.join("effective_cpus")).unwrap();
                fs::remove_file(cgroup.join("effective_mems")).unwrap();
            }
        }
        assert_eq!(captured.processors(), [1]);
        let nodes = Attribute::at("sys/devices/system/node/online").unwrap();
        let nodes = captured
            .answers
            .render_attribute(nodes, &captured.container);
        assert_eq!(nodes.unwrap(), b"1\n");
    }
}

#[test]
fn a_hierarchy_is_found_in_any_order_of_its_controllers_and_at_any_place() {
    let captured = Captured::copy("v1-2cpu");
    let expected = captured.read(File::Stat);
    let mountinfo = captured.path.join("proc/self/mountinfo");
    let text = fs::read_to_string(&mountinfo).unwrap();
    let root = captured.path.join("sys/fs/cgroup");
    fs::create_dir_all(captured.path.join("cg")).unwrap();
    fs::rename(root.join("cpuacct"), captured.path.join("cg/time")).unwrap();
    let text = text.replace(
        "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct",
        "33 27 0:30 /docker/x /part rw - cgroup cgroup rw,cpuacct,name=x\n\
         34 27 0:30 / /cg/time rw - cgroup none rw,xattr,release_agent=/a,cpuacct,name=x\n\
         35 27 0:39 / /cg/named rw - cgroup cpuacct rw,name=cpuacct,cpuacct.x",
    );
    fs::write(&mountinfo, text).unwrap();
    let again = plimsoll::view::answer::Answers::at(&captured.path, super::now).unwrap();
    let bytes = again.render(File::Stat, &captured.container).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn a_policy_of_several_cpus_is_seen_by_whoever_sees_one_of_them() {
    let captured = Captured::copy("big-128cpu");
    let directory = "sys/devices/system/cpu/cpufreq/policy38";
    fs::create_dir(captured.path.join(directory)).unwrap();
    let file = format!("{directory}/related_cpus");
    captured.write(&file, "38 39 40 41\n");
    let attribute = Attribute::at(&file).unwrap();
    let caller = Caller::Container(Arc::clone(&captured.container));
    let cpus = captured.answers.visible_devices(&caller).unwrap().cpus;
    let policies = captured.answers.policies(&cpus);
    assert_eq!(policies.to_string(), "38,40-42");
    assert!(captured.answers.sees(&caller, attribute.subject()).unwrap());
    let read = |attribute| {
        captured
            .answers
            .render_attribute(attribute, &captured.container)
    };
    assert_eq!(read(attribute).unwrap(), b"40 41\n");
    let unseen = Attribute::at("sys/devices/system/cpu/cpufreq/policy8/related_cpus").unwrap();
    assert!(!captured.answers.sees(&caller, unseen.subject()).unwrap());
    assert!(read(unseen).is_err());
}

#[test]
fn the_huge_pages_of_the_nodes_are_those_that_the_container_may_have() {
    let captured = Captured::copy("big-128cpu");
    let read = |size: &str, name: &str| -> Vec<u64> {
        let count = |node: u32| {
            let directory =
                format!("sys/devices/system/node/node{node}/hugepages/hugepages-{size}");
            let attribute = Attribute::at(&format!("{directory}/{name}_hugepages")).unwrap();
            let answers = &captured.answers;
            let text = answers
                .render_attribute(attribute, &captured.container)
                .unwrap();
            String::from_utf8(text).unwrap().trim_end().parse().unwrap()
        };
        [0, 1].map(count).to_vec()
    };
    // The cgroup may have 4 of the machine's 8 pages of 1 GB, and uses one.
    assert_eq!(
        (read("1048576kB", "nr"), read("1048576kB", "free")),
        (vec![2, 2], vec![2, 1])
    );
    // No limit concerns the pages of 2 MB, but the memory has 4 GB.
    for node in [0, 1] {
        let directory = format!("sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        captured.write(&format!("{directory}/nr_hugepages"), "50000\n");
        captured.write(&format!("{directory}/free_hugepages"), "40000\n");
    }
    assert_eq!(read("2048kB", "nr"), [1024, 1024]);
    assert_eq!(read("2048kB", "surplus"), [0, 0]);
}
