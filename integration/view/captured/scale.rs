//! A machine of 1000 CPUs, 100 memory nodes and 64 TB, whose container may use all of it.

use super::{Captured, now, set_now};
use crate::{
    harness::{
        field,
        scale::{Scale, scaled},
    },
    view::grammar::verify,
};
use plimsoll::{
    base::units::Micros,
    facts::engines,
    view::files::{Attribute, File},
};
use std::fs;

const BIG: Scale = Scale {
    cpus: 1000,
    nodes: 100,
    mounts: 1000,
    containers: 0,
};

fn machine(scale: Scale) -> Captured {
    let root = scaled(scale);
    Captured::at(root.path().to_owned(), root)
}

fn text(captured: &Captured, path: &str) -> String {
    let attribute = Attribute::at(path).unwrap();
    let bytes = captured
        .answers
        .render_attribute(attribute, &captured.container);
    String::from_utf8(bytes.unwrap()).unwrap()
}

fn node(captured: &Captured, node: u32) -> String {
    text(
        captured,
        &format!("sys/devices/system/node/node{node}/meminfo"),
    )
}

#[test]
fn every_file_of_a_machine_of_64_tb_and_1000_cpus_is_as_its_kernel_prints_it() {
    let captured = machine(BIG);
    for file in captured.files() {
        let own = fs::read_to_string(captured.path.join(file.path())).unwrap_or_default();
        verify(file.path(), &captured.read(file), &own).unwrap();
    }
    assert_eq!(captured.kib("MemTotal"), 527_987_124 * 130);
    assert_eq!(captured.processors(), (0..1000).collect::<Vec<u32>>());
    let stat = captured.read(File::Stat);
    assert_eq!(
        stat.lines().filter(|line| line.starts_with("cpu")).count(),
        1001
    );
    assert_eq!(captured.read(File::CpuOnline), "0-999\n");
    assert_eq!(text(&captured, "sys/devices/system/node/online"), "0-99\n");
    let distances = text(&captured, "sys/devices/system/node/node99/distance");
    assert_eq!(distances.split_whitespace().count(), 100);
}

#[test]
fn the_memory_of_100_nodes_is_the_memory_of_the_machine_to_the_kib() {
    let captured = machine(BIG);
    for name in ["MemTotal", "MemFree", "AnonPages"] {
        let parts = (0..100).map(|at| {
            let text = node(&captured, at).replace(&format!("Node {at} "), "");
            field(&text, name)
        });
        assert_eq!(parts.sum::<u64>(), captured.kib(name), "{name}");
    }
}

#[test]
fn a_read_of_one_node_reads_no_file_of_the_others_once_their_sizes_are_known() {
    let captured = machine(Scale {
        cpus: 64,
        nodes: 8,
        mounts: 0,
        containers: 0,
    });
    let before = node(&captured, 5);
    let nodes = captured.path.join("sys/devices/system/node");
    for other in [0, 1, 2, 3, 4, 6, 7] {
        for file in ["meminfo", "cpulist"] {
            fs::remove_file(nodes.join(format!("node{other}/{file}"))).unwrap();
        }
    }
    set_now(Micros(now().0 + 10_000_000));
    assert_eq!(node(&captured, 5), before);
}

#[test]
fn a_node_that_grows_has_its_new_size_at_once() {
    let captured = machine(Scale {
        cpus: 64,
        nodes: 2,
        mounts: 0,
        containers: 0,
    });
    let total = |at: u32| {
        field(
            &node(&captured, at).replace(&format!("Node {at} "), ""),
            "MemTotal",
        )
    };
    let before = [total(0), total(1)];
    assert!(before[0].abs_diff(before[1]) <= 1);
    for (file, factor) in [
        ("proc/meminfo", 3),
        ("sys/devices/system/node/node1/meminfo", 5),
    ] {
        let path = captured.path.join(file);
        let text = fs::read_to_string(&path).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("MemTotal:"))
            .unwrap();
        let (name, size) = line.split_once(':').unwrap();
        let size: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
        let larger = text.replace(line, &format!("{name}: {:>15} kB", size * factor));
        captured.write(file, &larger);
    }
    set_now(Micros(now().0 + 10_000_000));
    let (first, second) = (total(0), total(1));
    assert!(
        (second / first) == 5 || second.abs_diff(5 * first) < 10,
        "{first} {second}"
    );
}

#[test]
fn a_cpu_that_goes_offline_is_on_no_node() {
    let captured = machine(Scale {
        cpus: 64,
        nodes: 2,
        mounts: 0,
        containers: 0,
    });
    let cpus = |captured: &Captured| text(captured, "sys/devices/system/node/node1/cpulist");
    assert_eq!(cpus(&captured), "32-63\n");
    captured.write("sys/devices/system/cpu/online", "0-62\n");
    captured.write("sys/devices/system/node/node1/cpulist", "32-62\n");
    set_now(Micros(now().0 + 10_000_000));
    assert_eq!(cpus(&captured), "32-62\n");
    assert_eq!(text(&captured, "sys/devices/system/node/has_cpu"), "0-1\n");
}

#[test]
fn every_container_of_a_large_node_is_found_by_its_name() {
    let root = scaled(Scale {
        containers: 500,
        ..BIG
    });
    let all = engines::all(root.path()).unwrap();
    let names = all.iter().filter(|one| one.shown().starts_with("web-"));
    assert_eq!(names.count(), 500);
}
