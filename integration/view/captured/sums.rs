//! Sums that hold on a kernel hold for every state of a container's cgroups.

use super::{Captured, attributes};
use plimsoll::{
    facts::host::parse,
    view::files::{Attribute, File},
};
use proptest::{
    prelude::{Strategy, any, prop, prop_assert, prop_assert_eq},
    test_runner::{Config, TestCaseError, TestRunner},
};
use std::collections::BTreeMap;

/// Keys of `memory.stat` that lines of meminfo show.
const KEYS: [&str; 20] = [
    "anon",
    "file",
    "shmem",
    "file_mapped",
    "swapcached",
    "inactive_anon",
    "active_anon",
    "inactive_file",
    "active_file",
    "unevictable",
    "slab_reclaimable",
    "slab_unreclaimable",
    "kernel_stack",
    "pagetables",
    "anon_thp",
    "zswapped",
    "file_dirty",
    "file_writeback",
    "percpu",
    "zswap",
];

/// Keys of `memory.stat` that the kernel counts in bytes; the others are whole pages.
const IN_BYTES: [&str; 4] = ["slab_reclaimable", "slab_unreclaimable", "percpu", "zswap"];

/// Lines of meminfo, each with the line of vmstat that counts its pages.
const IN_BOTH: [(&str, &str); 16] = [
    ("MemFree", "nr_free_pages"),
    ("Active(anon)", "nr_active_anon"),
    ("Inactive(anon)", "nr_inactive_anon"),
    ("Active(file)", "nr_active_file"),
    ("Inactive(file)", "nr_inactive_file"),
    ("Unevictable", "nr_unevictable"),
    ("AnonPages", "nr_anon_pages"),
    ("Mapped", "nr_mapped"),
    ("Shmem", "nr_shmem"),
    ("SReclaimable", "nr_slab_reclaimable"),
    ("SUnreclaim", "nr_slab_unreclaimable"),
    ("PageTables", "nr_page_table_pages"),
    ("Dirty", "nr_dirty"),
    ("Writeback", "nr_writeback"),
    ("SwapCached", "nr_swapcached"),
    ("SecPageTables", "nr_sec_page_table_pages"),
];

const PAGE: u64 = 4096;

/// A state of a container's memory, in bytes.
#[derive(Debug, Clone)]
struct State {
    counts: Vec<u64>,
    /// Use, limits and pool: `current`, `max`, `high`, the hugetlb limit, pages in use.
    sizes: [u64; 5],
    swap: [u64; 2],
    is_granted: bool,
    pool: u64,
}

fn state() -> impl Strategy<Value = State> {
    (
        prop::collection::vec(0u64..1 << 34, KEYS.len()),
        any::<[u32; 5]>(),
        any::<[u32; 2]>(),
        any::<bool>(),
        0u64..4096,
    )
        .prop_map(|(counts, sizes, swap, is_granted, pool)| State {
            counts: in_pages(counts),
            sizes: sizes.map(|size| u64::from(size) / PAGE * PAGE * 3),
            swap: swap.map(|size| u64::from(size) / PAGE * PAGE),
            is_granted,
            pool,
        })
}

/// Rounds the counts of pages to whole pages, and leaves those of bytes.
fn in_pages(counts: Vec<u64>) -> Vec<u64> {
    let whole = |(key, count): (&&str, u64)| match IN_BYTES.contains(key) {
        true => count,
        false => count / PAGE * PAGE,
    };
    KEYS.iter().zip(counts).map(whole).collect()
}

fn write(captured: &Captured, app: &str, state: &State) {
    let stat: String = KEYS
        .iter()
        .zip(&state.counts)
        .map(|(key, count)| format!("{key} {count}\n"))
        .collect();
    let nodes: String = KEYS
        .iter()
        .zip(&state.counts)
        .map(|(key, count)| {
            let first = count / PAGE / 3 * PAGE;
            format!("{key} N0={first} N1={}\n", count - first)
        })
        .collect();
    let [current, max, high, huge, in_use] = state.sizes;
    let huge = if state.is_granted {
        huge.to_string()
    } else {
        "max".to_owned()
    };
    let files = [
        ("memory.stat", stat),
        ("memory.numa_stat", nodes),
        ("memory.current", current.to_string()),
        ("memory.max", max.to_string()),
        ("memory.high", high.to_string()),
        ("memory.swap.max", state.swap[0].to_string()),
        ("memory.swap.current", state.swap[1].to_string()),
        ("hugetlb.2MB.max", huge),
        ("hugetlb.2MB.current", in_use.to_string()),
    ];
    for (file, text) in files {
        captured.write(&format!("{app}/{file}"), &text);
    }
    let text = std::fs::read_to_string(captured.path.join("proc/meminfo")).unwrap();
    let lines = text.lines().map(|line| match line.split(':').next() {
        Some(name @ ("HugePages_Total" | "HugePages_Free")) => format!("{name}: {}\n", state.pool),
        _ => format!("{line}\n"),
    });
    captured.write("proc/meminfo", &lines.collect::<String>());
}

fn lines(text: &str) -> BTreeMap<String, u64> {
    let value = |line: &str| {
        let (name, rest) = line.split_once(':')?;
        let number = rest.split_whitespace().next()?.parse().ok()?;
        Some((name.to_owned(), number))
    };
    text.lines().filter_map(value).collect()
}

/// Returns meminfo of each memory node, without the node in front.
fn nodes(captured: &Captured) -> Vec<BTreeMap<String, u64>> {
    let files = attributes(captured).into_iter();
    let files = files.filter(|attribute| attribute.path().ends_with("/meminfo"));
    files
        .map(|attribute| {
            let read = captured
                .answers
                .render_attribute(attribute, &captured.container);
            let text = String::from_utf8(read.unwrap()).unwrap();
            let line = |line: &str| format!("{}\n", line.splitn(3, ' ').nth(2).unwrap());
            lines(&text.lines().map(line).collect::<String>())
        })
        .collect()
}

/// Compares the sums in the files of a container in many states.
fn in_every_state(machine: &str, compare: impl Fn(&Captured) -> Result<(), TestCaseError>) {
    let captured = Captured::copy(machine);
    let app = "sys/fs/cgroup".to_owned() + &app_of(&captured);
    let mut runner = TestRunner::new(Config::with_cases(64));
    let result = runner.run(&state(), |state| {
        write(&captured, &app, &state);
        compare(&captured)
    });
    result.unwrap();
}

#[test]
fn the_lines_of_meminfo_add_up() {
    in_every_state("v2-4cpu", |captured| {
        let view = lines(&captured.read(File::Meminfo));
        let of = |name: &str| view[name];
        prop_assert_eq!(of("Slab"), of("SReclaimable") + of("SUnreclaim"));
        prop_assert_eq!(of("KReclaimable"), of("SReclaimable"));
        prop_assert_eq!(of("Active"), of("Active(anon)") + of("Active(file)"));
        prop_assert_eq!(of("Inactive"), of("Inactive(anon)") + of("Inactive(file)"));
        let pages = vmstat(captured, "nr_file_pages ");
        let file = of("Cached") + of("SwapCached") + of("Buffers");
        prop_assert_eq!(pages * 4, file);
        prop_assert!(of("Shmem") <= of("Cached"));
        prop_assert!(of("MemFree") <= of("MemAvailable") && of("MemAvailable") <= of("MemTotal"));
        prop_assert_eq!(of("Hugetlb"), of("HugePages_Total") * of("Hugepagesize"));
        prop_assert!(of("Hugetlb") <= of("MemTotal"));
        prop_assert!(of("HugePages_Free") + of("HugePages_Rsvd") <= of("HugePages_Total"));
        prop_assert!(
            view.get("Zswapped").copied().unwrap_or(0) <= of("SwapTotal") - of("SwapFree")
        );
        // htop: the swap in use, without a sign.
        prop_assert!(of("SwapCached") <= of("SwapTotal") - of("SwapFree"));
        // netdata and atop take the free memory and the cache away from the whole.
        let cache = of("Cached") + of("SReclaimable") + of("Buffers");
        let taken = of("MemFree") + cache + of("Hugetlb");
        prop_assert!(of("MemFree") == 0 || taken <= of("MemTotal"));
        are_whole_pages(&view)?;
        let counts = counts(&captured.read(File::Vmstat));
        are_the_same(&view, &counts)?;
        let pending = counts["nr_dirty"] + counts["nr_writeback"];
        prop_assert_eq!(counts["nr_zone_write_pending"], pending);
        Ok(())
    });
}

/// Verifies that each size is a number of whole pages, as all of a kernel's but these are.
fn are_whole_pages(view: &BTreeMap<String, u64>) -> Result<(), TestCaseError> {
    for (name, value) in view {
        let is_other = name.starts_with("HugePages_")
            || name.starts_with("DirectMap")
            || ["VmallocTotal", "KernelStack"].contains(&name.as_str());
        prop_assert!(is_other || value % 4 == 0, "{}: {} kB", name, value);
    }
    Ok(())
}

/// Verifies that vmstat counts the pages of the lines of meminfo.
fn are_the_same(
    view: &BTreeMap<String, u64>,
    counts: &BTreeMap<String, u64>,
) -> Result<(), TestCaseError> {
    for (line, count) in IN_BOTH {
        if let (Some(kib), Some(pages)) = (view.get(line), counts.get(count)) {
            prop_assert_eq!(*kib, pages * 4, "{} and {}", line, count);
        }
    }
    Ok(())
}

fn counts(text: &str) -> BTreeMap<String, u64> {
    let count = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(count).collect()
}

#[test]
fn the_lines_of_the_nodes_add_up_to_the_machines() {
    in_every_state("big-128cpu", |captured| {
        let view = lines(&captured.read(File::Meminfo));
        let nodes = nodes(captured);
        prop_assert_eq!(nodes.len(), 2);
        for (name, whole) in &view {
            if nodes[0].contains_key(name) {
                let sum: u64 = nodes.iter().map(|node| node[name]).sum();
                prop_assert_eq!(sum, *whole, "{}", name);
            }
        }
        for node in &nodes {
            prop_assert_eq!(node["MemUsed"] + node["MemFree"], node["MemTotal"]);
            prop_assert_eq!(node["Active"], node["Active(anon)"] + node["Active(file)"]);
            prop_assert_eq!(
                node["Inactive"],
                node["Inactive(anon)"] + node["Inactive(file)"]
            );
            prop_assert_eq!(node["Slab"], node["SReclaimable"] + node["SUnreclaim"]);
            are_whole_pages(node)?;
        }
        let pages: u64 = nodes.iter().map(|node| node["FilePages"]).sum();
        prop_assert_eq!(pages, view["Cached"] + view["SwapCached"] + view["Buffers"]);
        Ok(())
    });
}

#[test]
fn the_counts_of_the_nodes_add_up_to_vmstat() {
    in_every_state("big-128cpu", |captured| {
        // A node has the names of zones, of NUMA and of nodes.
        let host = std::fs::read_to_string(captured.path.join("proc/vmstat")).unwrap();
        let is_of_node = |line: &&str| {
            ["nr_", "numa_", "workingset_"]
                .iter()
                .any(|kind| line.starts_with(kind))
        };
        let own: Vec<&str> = host.lines().filter(is_of_node).collect();
        for node in ["node0", "node1"] {
            let path = format!("sys/devices/system/node/{node}/vmstat");
            captured.write(&path, &(own.join("\n") + "\n"));
        }
        let whole = counts(&captured.read(File::Vmstat));
        let nodes = ["node0", "node1"].map(|node| {
            let path = format!("sys/devices/system/node/{node}/vmstat");
            let attribute = Attribute::at(&path).unwrap();
            let read = captured
                .answers
                .render_attribute(attribute, &captured.container);
            counts(&String::from_utf8(read.unwrap()).unwrap())
        });
        prop_assert!(nodes[0].len() == own.len() && own.len() > 50);
        for (view, counts) in self::nodes(captured).iter().zip(&nodes) {
            are_the_same(view, counts)?;
        }
        for (name, count) in &nodes[0] {
            prop_assert_eq!(count + nodes[1][name], whole[name], "{}", name);
        }
        Ok(())
    });
}

fn vmstat(captured: &Captured, name: &str) -> u64 {
    let text = captured.read(File::Vmstat);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

fn app_of(captured: &Captured) -> String {
    let paths = std::fs::read_to_string(captured.path.join("container")).unwrap();
    paths.trim().split_once("::").unwrap().1.to_owned()
}

#[test]
fn the_first_line_of_stat_is_the_sum_of_the_lines_of_the_cpus() {
    for name in super::MACHINES {
        let text = Captured::open(name).read(File::Stat);
        let numbers = |line: &str| -> Vec<u64> {
            let words = line.split_whitespace().skip(1);
            words.map(|word| word.parse().unwrap()).collect()
        };
        let first = numbers(text.lines().next().unwrap());
        let mut sum = vec![0; first.len()];
        for line in text
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with("cpu"))
        {
            for (sum, number) in sum.iter_mut().zip(numbers(line)) {
                *sum += number;
            }
        }
        assert_eq!(first, sum, "{name}");
        assert!(parse::stat(&text).columns == first.len());
    }
}
