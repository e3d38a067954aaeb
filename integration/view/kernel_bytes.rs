//! Every file is byte for byte what a kernel could have printed, for every machine and every view.

use super::{
    captured::{Captured, MACHINES, attributes, files_below, set_now},
    grammar,
    properties::{cpus, machine, memory},
};
use plimsoll::{
    base::units::{Bytes, CpuId, Micros, NodeId},
    facts::{
        cgroup::CpuUse,
        host::{self, Amount, MeminfoLine},
    },
    view::{
        files::{FILES, File},
        model::{
            self,
            disk::Disk,
            load::{Averages, Loadavg, Tasks},
            memory::{Sizes, Swaps},
            stat::Clock,
            time::{Birth, Uptime},
        },
        render,
    },
};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert_eq, proptest};
use std::{fs, path::PathBuf};

/// Verifies bytes that were rendered beside the machine's own text.
fn verified(file: File, own: &str, render: impl FnOnce(&mut Vec<u8>)) -> Result<(), String> {
    let mut out = Vec::new();
    render(&mut out);
    grammar::verify(file.path(), std::str::from_utf8(&out).unwrap(), own)
}

#[test]
fn the_grammar_accepts_the_files_of_every_captured_kernel_and_of_this_one() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let own = fs::read_to_string(captured.path.join(file.path())).unwrap();
            assert_eq!(grammar::verify(file.path(), &own, &own), Ok(()), "{name}");
        }
    }
    for file in FILES {
        if let Ok(own) = fs::read_to_string(format!("/{}", file.path())) {
            assert_eq!(grammar::verify(file.path(), &own, &own), Ok(()));
        }
    }
}

#[test]
fn the_grammar_rejects_what_no_kernel_prints() {
    let own = |file: File| fs::read_to_string(format!("/{}", file.path())).unwrap();
    for (file, wrong) in [
        (File::Uptime, "9.00 9.00  \n"),
        (File::Uptime, "9.00 09.00\n"),
        (File::Uptime, "9.00 9.00"),
        (File::Uptime, "9.00 9.00\n\n"),
        (File::Loadavg, "0.00 0.00 0.00 1/2 007\n"),
        (
            File::Swaps,
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority \n",
        ),
    ] {
        assert!(
            grammar::verify(file.path(), wrong, &own(file)).is_err(),
            "{wrong:?}"
        );
    }
    for (file, part, by) in [
        (File::Meminfo, " kB\n", " kB \n"),
        (File::Meminfo, ":  ", ": "),
        (File::Stat, "\nctxt", "  \nctxt"),
        (File::Stat, "cpu  ", "cpu "),
        (File::Stat, "\nbtime ", "\nbtime 0"),
        (File::Stat, "softirq", "softirqs"),
    ] {
        let own = own(file);
        let wrong = own.replacen(part, by, 1);
        assert_ne!(own, wrong);
        assert!(
            grammar::verify(file.path(), &wrong, &own).is_err(),
            "{by:?}"
        );
    }
}

#[test]
fn every_file_of_every_captured_machine_is_one_that_its_kernel_could_have_printed() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let own = fs::read_to_string(captured.path.join(file.path())).unwrap();
            let served = captured.read(file);
            assert_eq!(
                grammar::verify(file.path(), &served, &own),
                Ok(()),
                "{name}"
            );
        }
        for attribute in attributes(&captured) {
            let own = fs::read_to_string(captured.path.join(attribute.path())).unwrap();
            let served = captured
                .answers
                .render_attribute(attribute, &captured.container);
            let Ok(served) = served else { continue };
            let served = String::from_utf8(served).unwrap();
            assert_eq!(
                grammar::verify(&attribute.path(), &served, &own),
                Ok(()),
                "{name}"
            );
        }
    }
}

/// The files of a cgroup that hold one number, which changes from one moment to the next.
const CHANGING: [&str; 6] = [
    "memory.max",
    "memory.current",
    "memory.swap.current",
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "cpuacct.usage",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_moment_of_a_container_reads_otherwise_than_a_kernel_prints(
        at in 0..MACHINES.len(), hours in 1u64..20_000, number in 0u64..1 << 50,
    ) {
        let captured = Captured::copy(MACHINES[at]);
        let size = captured.read(File::Stat).len();
        let mut files: Vec<PathBuf> = Vec::new();
        files_below(&captured.path, &captured.path.join("sys/fs/cgroup"), &mut files);
        for file in &files {
            let name = file.file_name().unwrap().to_str().unwrap();
            if CHANGING.contains(&name) {
                captured.write(file.to_str().unwrap(), &format!("{number}\n"));
            }
        }
        set_now(Micros(hours * 3_600_000_000));
        for file in captured.files() {
            let own = fs::read_to_string(captured.path.join(file.path())).unwrap();
            let served = captured.read(file);
            prop_assert_eq!(grammar::verify(file.path(), &served, &own), Ok(()));
            if file == File::Stat && captured.answers.is_cacheable(file) {
                prop_assert_eq!(served.len(), size);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_meminfo_is_one_that_a_kernel_could_have_printed(memory in memory(), host in machine()) {
        let view = model::memory::meminfo(&memory, &[], &host);
        let names: String = view.lines.iter().map(|line| format!("{}:\n", line.name)).collect();
        prop_assert_eq!(
            verified(File::Meminfo, &names, |out| render::memory::meminfo(&view, out)),
            Ok(())
        );
        let mut out = Vec::new();
        render::node::meminfo(NodeId(3), &view.lines, &mut out);
        for line in std::str::from_utf8(&out).unwrap().lines() {
            let verdict = grammar::verify("sys/devices/system/node/node3/meminfo", &format!("{line}\n"), line);
            prop_assert_eq!(verdict, Ok(()));
        }
    }

    #[test]
    fn the_counts_of_huge_pages_stand_in_the_kernels_columns(count in any::<u64>()) {
        let line = |name: &str, amount| MeminfoLine { name: name.to_owned(), amount };
        let lines = vec![
            line("HardwareCorrupted", Amount::Size(Bytes::from_kib(count >> 10))),
            line("HugePages_Total", Amount::Count(count)),
            line("HugePages_Free", Amount::Count(count)),
            line("Hugepagesize", Amount::Size(Bytes::from_kib(count >> 10))),
        ];
        let own = "HardwareCorrupted:\nHugePages_Total:\nHugePages_Free:\nHugepagesize:\n";
        let view = model::memory::Meminfo { lines };
        prop_assert_eq!(
            verified(File::Meminfo, own, |out| render::memory::meminfo(&view, out)),
            Ok(())
        );
    }

    #[test]
    fn any_swap_is_one_that_a_kernel_could_have_printed(total in any::<u64>(), free in any::<u64>()) {
        let device = Some(Sizes {
            swap_total: Bytes(total.max(free)),
            swap_free: Bytes(free.min(total)),
            ..Sizes::default()
        });
        prop_assert_eq!(
            verified(File::Swaps, "", |out| render::memory::swaps(&Swaps { device }, out)),
            Ok(())
        );
    }

    #[test]
    fn any_times_are_ones_that_a_kernel_could_have_printed(
        seen in cpus(), user in 0u64..1 << 60, idle in 0u64..1 << 60, up in 0u64..1 << 60,
        running in 0u64..1000, size in 0usize..5000,
    ) {
        let own = "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\nintr 7 0 3\nctxt 5\nbtime 5\nprocesses 3\n\
                   procs_running 1\nprocs_blocked 0\nsoftirq 3 1 2\n";
        let host = host::parse::stat(own);
        let clock = Clock::started(&seen, &CpuUse::default(), Micros(idle), Micros::SECOND);
        let usage = CpuUse { user: Micros(user), ..CpuUse::default() };
        let clock = clock.at(&seen, &usage, Micros(up));
        let tasks = Tasks { running, ..Tasks::default() };
        let view = model::stat::stat(&clock, &tasks, Birth::Started(Micros::ZERO), &host);
        let mut length = 0;
        let verdict = verified(File::Stat, own, |out| {
            render::stat::stat_of_size(&view, size, out);
            length = out.len();
        });
        prop_assert_eq!(verdict, Ok(()));
        let mut natural = Vec::new();
        render::stat::stat(&view, &mut natural);
        prop_assert_eq!(length, natural.len().max(size));

        let uptime = Uptime { up: Micros(up), idle: Micros(idle) };
        prop_assert_eq!(verified(File::Uptime, "", |out| render::time::uptime(&uptime, out)), Ok(()));
        let load = Loadavg {
            averages: Averages::of_numbers([user >> 20, idle >> 20, up >> 20]),
            tasks: Tasks { running: running.max(1), total: user >> 40, last_pid: 4_194_303, ..tasks },
        };
        prop_assert_eq!(verified(File::Loadavg, "", |out| render::load::loadavg(&load, out)), Ok(()));
    }

    #[test]
    fn any_disk_is_one_that_a_kernel_could_have_printed(
        numbers in prop::collection::vec(any::<u64>(), 17), major in 0u32..5000, minor in any::<u32>(),
    ) {
        let disk = Disk {
            number: (major, minor),
            name: "nvme0n1p2".to_owned(),
            columns: numbers.clone(),
        };
        prop_assert_eq!(
            verified(File::Diskstats, "", |out| render::disk::diskstats(&[disk], out)),
            Ok(())
        );
        let counts: Vec<(String, u64)> =
            numbers.iter().map(|count| ("pgfault".to_owned(), *count)).collect();
        let own = "pgfault 1\n".repeat(17);
        prop_assert_eq!(
            verified(File::Vmstat, &own, |out| render::vmstat::vmstat(&counts, out)),
            Ok(())
        );
        let list: plimsoll::base::units::CpuSet = [CpuId(major), CpuId(major + 1)].into_iter().collect();
        prop_assert_eq!(verified(File::CpuOnline, "", |out| render::cpu::list(&list, out)), Ok(()));
    }
}
