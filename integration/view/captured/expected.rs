//! What containers on captured machines read: the expected bytes stand beside each fixture.

use plimsoll::{
    base::units::Micros,
    facts::{
        container::{Caller, Container},
        host::{StatLine, parse},
    },
    view::{
        answer::Answers,
        files::{Attribute, FILES, File},
    },
};
use std::{
    cell::Cell,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

const MACHINES: [&str; 7] = [
    "v1-2cpu",
    "v2-4cpu",
    "hybrid-v1",
    "big-128cpu",
    "arm64-4cpu",
    "arm32-4cpu",
    "unknown-fields",
];

thread_local! {
    static NOW: Cell<Micros> = const { Cell::new(Micros::ZERO) };
}

fn now() -> Micros {
    NOW.get()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("integration/fixtures")
        .join(name)
}

/// A captured machine and the container on it.
struct Captured {
    path: PathBuf,
    answers: Answers,
    container: Arc<Container>,
    _root: TempDir,
}

impl Captured {
    fn open(name: &str) -> Captured {
        let path = fixture(name);
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/fs")).unwrap();
        symlink(path.join("proc"), root.path().join("proc")).unwrap();
        symlink(path.join("sys/devices"), root.path().join("sys/devices")).unwrap();
        symlink(path.join("cgroup"), root.path().join("sys/fs/cgroup")).unwrap();
        Captured::at(path, root)
    }

    /// A copy of a machine whose files can be changed.
    fn copy(name: &str) -> Captured {
        let root = tempfile::tempdir().unwrap();
        let mut copy = std::process::Command::new("cp");
        let copied = copy
            .arg("-r")
            .arg(fixture(name).join("."))
            .arg(root.path())
            .status();
        assert!(copied.unwrap().success());
        fs::create_dir_all(root.path().join("sys/fs")).unwrap();
        let cgroups = root.path().join("sys/fs/cgroup");
        fs::rename(root.path().join("cgroup"), cgroups).unwrap();
        Captured::at(root.path().to_owned(), root)
    }

    fn at(path: PathBuf, root: TempDir) -> Captured {
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap();
        let uptime = text("proc/uptime")
            .split(' ')
            .next()
            .unwrap()
            .replace('.', "");
        NOW.set(Micros(uptime.parse::<u64>().unwrap() * 10_000));
        let answers = Answers::at(root.path(), now).unwrap();
        let Caller::Container(container) =
            answers.caller(text("pid").trim().parse().unwrap()).unwrap()
        else {
            panic!("{}: the container is taken for the host", path.display());
        };
        Captured {
            path,
            answers,
            container,
            _root: root,
        }
    }

    /// Writes a file of a [copy](Captured::copy).
    fn write(&self, file: &str, text: &str) {
        fs::write(self.path.join(file), text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// The files that the container has: without cgroup v2 it has no pressure.
    fn files(&self) -> Vec<File> {
        let caller = Caller::Container(self.container.clone());
        let has =
            |file: &File| file.pressure().is_none() || self.answers.has_pressure(*file, &caller);
        FILES.into_iter().filter(has).collect()
    }

    fn read(&self, file: File) -> String {
        let bytes = self.answers.render(file, &self.container).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn kib(&self, name: &str) -> u64 {
        crate::harness::field(&self.read(File::Meminfo), name)
    }

    fn processors(&self) -> Vec<u32> {
        let text = self.read(File::Cpuinfo);
        let lines = text.lines().filter(|line| line.starts_with("processor"));
        lines
            .map(|line| line.split(": ").nth(1).unwrap().parse().unwrap())
            .collect()
    }
}

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

/// The files below a directory, by their paths from `root`.
fn files_below(root: &Path, directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(root, &path, found),
            false => found.push(path.strip_prefix(root).unwrap().to_owned()),
        }
    }
}

/// What a captured machine says below `/sys/devices/system`, as far as it is served.
fn attributes(captured: &Captured) -> Vec<Attribute> {
    let mut paths = Vec::new();
    let directory = captured.path.join("sys/devices/system");
    files_below(&captured.path, &directory, &mut paths);
    paths.sort();
    let attribute = |path: &PathBuf| Attribute::at(path.to_str().unwrap());
    paths.iter().filter_map(attribute).collect()
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
                // It is of a CPU that is not seen.
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
fn every_line_is_explained_with_the_value_that_is_read() {
    for name in MACHINES {
        let captured = Captured::open(name);
        for file in captured.files() {
            let read = captured.read(file);
            let lines = read.lines().filter(|line| !line.is_empty());
            let explained = captured.answers.explain(file, &captured.container).unwrap();
            assert_eq!(
                explained.len(),
                lines.clone().count(),
                "{name}: {}",
                file.name()
            );
            for (line, explained) in lines.zip(explained) {
                assert!(
                    line.contains(&explained.value),
                    "{name}: {line}: {explained:?}"
                );
                assert!(!explained.formula.is_empty());
            }
        }
        for attribute in attributes(&captured) {
            let answers = &captured.answers;
            if let Ok(read) = answers.render_attribute(attribute, &captured.container) {
                let explained = answers
                    .explain_attribute(attribute, &captured.container)
                    .unwrap();
                let values: Vec<String> = explained.into_iter().map(|line| line.value).collect();
                assert_eq!(values.join("\n") + "\n", String::from_utf8(read).unwrap());
            }
        }
    }
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
        let lines: Vec<StatLine> = parse::stat(&text).lines;
        assert_eq!(stat.lines, lines, "{name}");

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
fn an_explanation_names_the_level_that_decides_and_the_files_that_hold_the_values() {
    let captured = Captured::open("big-128cpu");
    let explained = captured
        .answers
        .explain(File::Meminfo, &captured.container)
        .unwrap();
    let line = |name: &str| explained.iter().find(|line| line.name == name).unwrap();
    let total = line("MemTotal").decided_by.clone().unwrap();
    assert!(
        total.ends_with("pod7d0f.slice/cri-containerd-4b1c.scope"),
        "{total}"
    );
    // The pod's other containers leave less than the container's own limit does.
    let available = line("MemAvailable").decided_by.clone().unwrap();
    assert!(
        available.ends_with("kubepods-burstable-pod7d0f.slice"),
        "{available}"
    );
    for input in explained.iter().flat_map(|line| &line.inputs) {
        // The machine's own /proc is named as a user finds it, not where its copy lies here; and
        // what was computed from a whole file says so in words.
        if input.file.starts_with("/proc") || input.value.contains(' ') {
            continue;
        }
        let text = fs::read_to_string(&input.file).unwrap();
        let written = match &input.key {
            Some(key) => text
                .lines()
                .find_map(|line| line.strip_prefix(key.as_str())?.strip_prefix(' ')),
            None => Some(text.trim()),
        };
        assert!(input.value.starts_with(written.unwrap_or("0")), "{input:?}");
    }
    let mapped = &line("Mapped").inputs[0];
    assert_eq!(mapped.key.as_deref(), Some("file_mapped"));
}

#[test]
fn an_explanation_on_v1_names_the_keys_of_v1() {
    let captured = Captured::open("hybrid-v1");
    let explained = captured
        .answers
        .explain(File::Meminfo, &captured.container)
        .unwrap();
    let line = |name: &str| explained.iter().find(|line| line.name == name).unwrap();
    assert_eq!(
        line("AnonPages").inputs[0].key.as_deref(),
        Some("total_rss")
    );
    assert!(
        line("MemTotal").inputs[1]
            .file
            .ends_with("memory.limit_in_bytes")
    );
    assert!(line("Slab").inputs.is_empty());
}

#[test]
fn nothing_that_no_table_names_is_served_of_the_machine() {
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
fn v1_takes_swap_from_what_memsw_leaves_beside_memory() {
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
fn fields_that_nobody_has_seen_keep_their_place_and_show_nothing_of_the_host() {
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
        // What was never good is an error.
        let never = Captured::copy("v2-4cpu");
        spoil(&never);
        let meminfo = never.answers.render(File::Meminfo, &never.container);
        assert!(meminfo.is_err());
    }
}

/// D5.
#[test]
fn swap_of_any_size_is_the_same_in_swaps_and_meminfo() {
    let captured = Captured::copy("v2-4cpu");
    let meminfo = fs::read_to_string(captured.path.join("proc/meminfo")).unwrap();
    for kib in [95_367_432_u64, 100_000_000, 136_314_876, 9_999_999_999] {
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

/// D10.
#[test]
fn the_cpus_are_the_effective_ones_and_not_those_asked_for() {
    let captured = Captured::copy("v2-4cpu");
    captured.write(&format!("{APP}/cpuset.cpus"), "0-3\n");
    captured.write(&format!("{APP}/cpuset.cpus.effective"), "0-1\n");
    assert_eq!(captured.processors(), [0, 1]);
    assert_eq!(captured.read(File::CpuOnline), "0-1\n");
}

/// D17.
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

/// D19.
#[test]
fn what_cannot_be_read_is_an_error_and_never_an_empty_file() {
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

/// D19.
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
