//! The bytes of every file on every captured machine.

use super::{Captured, MACHINES, attributes};
use plimsoll::{
    facts::host::{StatLine, parse},
    view::files::{Attribute, File},
};
use std::fs;

#[test]
fn every_file_on_every_machine_reads_as_expected() {
    let bless = std::env::var_os("PLIMSOLL_BLESS").is_some();
    let mut wrong = Vec::new();
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let path = captured.path.join("expected").join(file.name());
            let read = captured.read(file);
            if bless {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &read).unwrap();
            }
            if fs::read_to_string(&path).unwrap_or_default() != read {
                wrong.push(format!("{name}/{}", file.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "not as expected: {}", wrong.join(", "));
}

#[test]
fn every_attribute_on_every_machine_reads_as_expected() {
    let bless = std::env::var_os("PLIMSOLL_BLESS").is_some();
    let mut wrong = Vec::new();
    for name in MACHINES {
        let captured = Captured::open(name);
        for attribute in attributes(&captured) {
            let path = captured.path.join("expected").join(attribute.path());
            let read = captured
                .answers
                .render_attribute(attribute, &captured.container);
            let Ok(read) = read else {
                // The attribute is of an unseen CPU.
                if path.exists() {
                    wrong.push(format!("{name}/{}", attribute.path()));
                }
                continue;
            };
            if bless {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &read).unwrap();
            }
            if fs::read(&path).unwrap_or_default() != read {
                wrong.push(format!("{name}/{}", attribute.path()));
            }
        }
    }
    assert!(wrong.is_empty(), "not as expected: {}", wrong.join(", "));
}

#[test]
fn a_typed_view_has_the_numbers_of_the_bytes() {
    for name in MACHINES {
        let captured = Captured::open(name);
        let (answers, container) = (&captured.answers, &captured.container);

        let memory = answers.memory(container).unwrap();
        let meminfo = parse::meminfo(&captured.read(File::Meminfo));
        let sizes = [
            ("MemTotal", memory.total),
            ("MemFree", memory.free),
            ("MemAvailable", memory.available),
            ("SwapTotal", memory.swap_total),
            ("SwapFree", memory.swap_free),
        ];
        for (line, size) in sizes {
            assert_eq!(meminfo.size(line).kib(), size.kib(), "{name}: {line}");
        }
        let swaps = captured.read(File::Swaps);
        let device = swaps.lines().nth(1).map(|line| line.split_whitespace());
        let size = device.and_then(|mut words| words.nth(2)?.parse().ok());
        let view = answers.swaps(container).unwrap().device;
        assert_eq!(view.map(|sizes| sizes.swap_total.kib()), size, "{name}");

        let cpus = answers.cpus(container).unwrap();
        assert_eq!(format!("{cpus}\n"), captured.read(File::CpuOnline));
        let stat = answers.stat(container).unwrap();
        let text = captured.read(File::Stat);
        let columns = text.lines().next().unwrap().split_whitespace();
        let columns: Vec<u64> = columns.filter_map(|word| word.parse().ok()).collect();
        let total = stat.total;
        let times = [total.user, total.nice, total.system, total.idle];
        assert_eq!(times.map(|time| time.ticks().0), columns[..4], "{name}");
        // The line of interrupts is filled up to a constant size.
        let others = |lines: &[StatLine]| -> Vec<StatLine> {
            let others = lines.iter().filter(|line| line.name != "intr");
            others.cloned().collect()
        };
        assert_eq!(
            others(&stat.lines),
            others(&parse::stat(&text).lines),
            "{name}"
        );

        let uptime = answers.uptime(container).unwrap();
        let text = captured.read(File::Uptime);
        let hundredths = text.replace('.', "");
        let up = hundredths.split(' ').next().unwrap().parse();
        assert_eq!(Ok(uptime.up.0 / 10_000), up, "{name}");
        let load = answers.loadavg(container).unwrap();
        let [one, ..] = load.averages.hundredths();
        let text = captured.read(File::Loadavg);
        let first = text.split(' ').next().unwrap().replace('.', "");
        assert_eq!(Ok(one), first.parse(), "{name}");

        let disks = answers.diskstats(container).unwrap();
        let reads: Vec<String> = (disks.iter())
            .map(|disk| format!("{} {}", disk.name, disk.columns[0]))
            .collect();
        let text = captured.read(File::Diskstats);
        let shown: Vec<String> = (text.lines())
            .map(|line| line.split_whitespace().skip(2).take(2).collect::<Vec<_>>())
            .map(|words| words.join(" "))
            .collect();
        assert_eq!(reads, shown, "{name}");
        let counts = answers.vmstat(container).unwrap();
        let lines = counts
            .iter()
            .map(|(name, count)| format!("{name} {count}\n"));
        assert_eq!(lines.collect::<String>(), captured.read(File::Vmstat));
    }
}

#[test]
fn only_attributes_in_the_tables_are_served() {
    let captured = Captured::open("big-128cpu");
    let served: Vec<String> = attributes(&captured)
        .into_iter()
        .map(Attribute::path)
        .collect();
    for secret in [
        "cpu40/crash_notes",
        "crash_hotplug",
        "vulnerabilities/of_tomorrow",
    ] {
        let path = format!("sys/devices/system/cpu/{secret}");
        assert!(
            captured.path.join(&path).exists() && !served.contains(&path),
            "{path}"
        );
    }
}

#[test]
fn the_memory_of_the_nodes_adds_up_to_meminfo() {
    let captured = Captured::open("big-128cpu");
    let node = |number: u32| {
        let path = format!("sys/devices/system/node/node{number}/meminfo");
        let attribute = Attribute::at(&path).unwrap();
        let read = captured
            .answers
            .render_attribute(attribute, &captured.container);
        String::from_utf8(read.unwrap()).unwrap()
    };
    let sum = |name: &str| -> u64 {
        let of =
            |number: u32| crate::harness::field(&node(number), &format!("Node {number} {name}"));
        of(0) + of(1)
    };
    for name in [
        "MemTotal",
        "MemFree",
        "AnonPages",
        "Mapped",
        "Active(file)",
        "Slab",
    ] {
        assert_eq!(sum(name), captured.kib(name), "{name}");
    }
    assert_eq!(sum("FilePages"), captured.kib("Cached"));
    assert_eq!(
        sum("MemUsed"),
        captured.kib("MemTotal") - captured.kib("MemFree")
    );
}

#[test]
fn the_host_reads_its_own_bytes_on_every_machine() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let own = fs::read(captured.path.join(file.path())).unwrap();
            assert_eq!(
                captured.answers.read_host(file).unwrap(),
                own,
                "{name}: {}",
                file.name()
            );
        }
        for attribute in attributes(&captured) {
            let own = fs::read(captured.path.join(attribute.path())).unwrap();
            assert_eq!(
                captured.answers.read_host_attribute(attribute).unwrap(),
                own
            );
        }
    }
}

#[test]
fn no_content_exceeds_the_size_that_stat_tells() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let size = captured.answers.max_size(file);
            let content = captured
                .read(file)
                .len()
                .max(captured.answers.read_host(file).unwrap().len());
            assert!(
                u64::try_from(content).unwrap() <= size,
                "{name}: {}",
                file.name()
            );
        }
    }
}
