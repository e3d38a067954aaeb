//! Pure. The tables of the attributes below `/sys/devices/system`
//! (`Documentation/ABI/stable/sysfs-devices-system-cpu`,
//! `Documentation/ABI/stable/sysfs-devices-node`).
//!
//! A container sees an attribute if a table names it and the machine has it. So an attribute of a
//! future kernel stays hidden until a developer has decided that it reveals no secret of the host.
//!
//! | in no table | reason |
//! |---|---|
//! | `compact`, `reclaim`, `probe`, `release`, `microcode/reload` | they can only be written, and change the machine |
//! | `hugepages/*/demote`, `demote_size` | they change the machine's pool of huge pages |
//! | `topology/ppin`, `crash_notes`, `crash_notes_size` | serial numbers and addresses of the machine, root's alone |
//! | `crash_hotplug` | a question of the machine's own kdump |
//! | `power/autosuspend_delay_ms` | a read fails on the machine too |
//! | `nodeN/memoryM` | links to the memory of the machine in blocks, which do not add up to the container's |
//! | `nodeN/accessN`, `nodeN/memory_side_cache` | hardware of nodes that a container may not see |
//! | `nodeN/memory_failure`, `nodeN/x86` | errors of the machine's memory, and its memory for enclaves (SGX) |
//! | `cpufreq/stats`, `cpuidle/stateN/s2idle` | work and suspends of the machine |
//! | `cpufreq/ondemand`, `cpufreq/schedutil`, ... | the machine's tuning, for those who may write |

use std::sync::LazyLock;

/// Rule by which the text of an attribute is made for a container from the machine's own text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Directory, without a text.
    Directory,
    /// The machine's own text: a fact that is no secret.
    Fact,
    /// Seen CPUs.
    SeenCpus,
    /// Possible CPUs that are not seen.
    UnseenCpus,
    /// The machine's own link, relative and to a fact that is no secret.
    Link,
    /// The machine's list of CPUs, without the unseen ones.
    CpuList,
    /// The machine's mask of CPUs, without the unseen ones.
    CpuMask,
    /// The machine's CPUs with spaces between them, without the unseen ones.
    CpuWords,
    /// `1`, for a seen CPU is online.
    Online,
    /// `1` if two of the seen CPUs are threads of one core, else `0`.
    SmtActive,
    /// Seen memory nodes.
    SeenNodes,
    /// Nodes whose memory the container may use.
    MemoryNodes,
    /// The machine's list of nodes, without the unseen ones.
    NodeList,
    /// Nodes with a seen CPU.
    CpuNodes,
    /// Distances to the seen nodes.
    Distances,
    /// Part of the container's memory that is on the node.
    Meminfo,
    /// Part of the counts in the container's `/proc/vmstat` that is on the node.
    Vmstat,
    /// The machine's lines with a count of 0 each, for no cgroup counts them.
    Zeros,
    /// `0`, a count that no cgroup has.
    Zero,
    /// Huge pages of the node that the container may have.
    HugePages,
    /// Huge pages of the node that the container may have, and nobody uses.
    FreeHugePages,
    /// `0`: the huge pages of the container are taken for permanent ones.
    SurplusHugePages,
}

impl Rule {
    /// Returns the formula in words, for `plimsoll show --explain`.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            Rule::Directory => "a directory",
            Rule::Fact => "a fact of the machine",
            Rule::Link => "a link of the machine",
            Rule::SeenCpus => "the seen CPUs",
            Rule::UnseenCpus => "the possible CPUs that are not seen",
            Rule::CpuList | Rule::CpuMask | Rule::CpuWords => {
                "the machine's CPUs in this file that are seen"
            }
            Rule::Online => "1: a seen CPU is online",
            Rule::SmtActive => "1 if two of the seen CPUs are threads of one core, else 0",
            Rule::SeenNodes => {
                "the nodes of the effective cpuset.mems, and the nodes of the seen CPUs"
            }
            Rule::MemoryNodes => "the nodes of the effective cpuset.mems that have memory",
            Rule::NodeList => "the machine's nodes in this file that are seen",
            Rule::CpuNodes => "the nodes of the seen CPUs",
            Rule::Distances => "the machine's distances to the seen nodes",
            Rule::Meminfo => "the node's part of /proc/meminfo, by the use of each node",
            Rule::Vmstat => "the node's part of /proc/vmstat, by the use of each node",
            Rule::Zeros | Rule::Zero => "0: no cgroup counts it",
            Rule::HugePages => {
                "the node's part of the pool, at most every hugetlb limit; without one at most MemTotal"
            }
            Rule::FreeHugePages => {
                "the free part of it, at most every hugetlb limit less the use of its level"
            }
            Rule::SurplusHugePages => "0: the pages of the container are taken for permanent ones",
        }
    }
}

/// Row of a table.
pub(super) struct TableRow {
    /// Number of the row, unique within the table.
    pub(super) number: u16,
    /// Path below the directory of the CPU or node; for the machine, below `/`.
    pub(super) path: String,
    /// Rule of the attribute.
    pub(super) rule: Rule,
}

// New rows are added at the end of a table only: the position of a row becomes an inode number.
const MACHINE: [(&str, Rule); 73] = [
    ("sys/devices/system/node", Rule::Directory),
    ("sys/devices/system/cpu/present", Rule::SeenCpus),
    ("sys/devices/system/cpu/offline", Rule::UnseenCpus),
    // A program sizes arrays by this file, and indexes them by the CPU that a thread really runs on.
    ("sys/devices/system/cpu/possible", Rule::Fact),
    ("sys/devices/system/cpu/kernel_max", Rule::Fact),
    ("sys/devices/system/cpu/enabled", Rule::CpuList),
    ("sys/devices/system/cpu/isolated", Rule::CpuList),
    ("sys/devices/system/cpu/nohz_full", Rule::CpuList),
    ("sys/devices/system/cpu/modalias", Rule::Fact),
    ("sys/devices/system/cpu/dispatching", Rule::Fact),
    ("sys/devices/system/cpu/smt", Rule::Directory),
    ("sys/devices/system/cpu/smt/active", Rule::SmtActive),
    ("sys/devices/system/cpu/smt/control", Rule::Fact),
    ("sys/devices/system/cpu/cpufreq", Rule::Directory),
    ("sys/devices/system/cpu/cpufreq/boost", Rule::Fact),
    ("sys/devices/system/cpu/cpuidle", Rule::Directory),
    (
        "sys/devices/system/cpu/cpuidle/available_governors",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/cpuidle/current_driver", Rule::Fact),
    (
        "sys/devices/system/cpu/cpuidle/current_governor",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/cpuidle/current_governor_ro",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities", Rule::Directory),
    (
        "sys/devices/system/cpu/vulnerabilities/gather_data_sampling",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/ghostwrite",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/indirect_target_selection",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/itlb_multihit",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/l1tf", Rule::Fact),
    ("sys/devices/system/cpu/vulnerabilities/mds", Rule::Fact),
    (
        "sys/devices/system/cpu/vulnerabilities/meltdown",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/mmio_stale_data",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/old_microcode",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/reg_file_data_sampling",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/retbleed",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spec_store_bypass",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spectre_v1",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spectre_v2",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/srbds", Rule::Fact),
    ("sys/devices/system/cpu/vulnerabilities/tsa", Rule::Fact),
    (
        "sys/devices/system/cpu/vulnerabilities/tsx_async_abort",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/vmscape", Rule::Fact),
    ("sys/devices/system/node/online", Rule::SeenNodes),
    // libnuma sizes its masks by this file.
    ("sys/devices/system/node/possible", Rule::Fact),
    ("sys/devices/system/node/has_cpu", Rule::CpuNodes),
    ("sys/devices/system/node/has_memory", Rule::MemoryNodes),
    (
        "sys/devices/system/node/has_normal_memory",
        Rule::MemoryNodes,
    ),
    // Without this file the hook of lxcfs binds the directory entry by entry.
    ("sys/devices/system/cpu/uevent", Rule::Fact),
    ("sys/devices/system/node/uevent", Rule::Fact),
    (
        "sys/devices/system/node/has_generic_initiator",
        Rule::NodeList,
    ),
    ("sys/devices/system/node/has_high_memory", Rule::MemoryNodes),
    ("sys/devices/system/node/power", Rule::Directory),
    ("sys/devices/system/node/power/control", Rule::Fact),
    (
        "sys/devices/system/node/power/runtime_active_time",
        Rule::Fact,
    ),
    ("sys/devices/system/node/power/runtime_status", Rule::Fact),
    (
        "sys/devices/system/node/power/runtime_suspended_time",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/power", Rule::Directory),
    ("sys/devices/system/cpu/power/control", Rule::Fact),
    (
        "sys/devices/system/cpu/power/runtime_active_time",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/power/runtime_status", Rule::Fact),
    (
        "sys/devices/system/cpu/power/runtime_suspended_time",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/hotplug", Rule::Directory),
    ("sys/devices/system/cpu/hotplug/states", Rule::Fact),
    ("sys/devices/system/cpu/aarch32_el0", Rule::CpuList),
    ("sys/devices/system/cpu/intel_pstate", Rule::Directory),
    (
        "sys/devices/system/cpu/intel_pstate/hwp_dynamic_boost",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/intel_pstate/max_perf_pct",
        Rule::Fact,
    ),
    (
        "sys/devices/system/cpu/intel_pstate/min_perf_pct",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/intel_pstate/no_turbo", Rule::Fact),
    (
        "sys/devices/system/cpu/intel_pstate/num_pstates",
        Rule::Fact,
    ),
    ("sys/devices/system/cpu/intel_pstate/status", Rule::Fact),
    ("sys/devices/system/cpu/intel_pstate/turbo_pct", Rule::Fact),
    ("sys/devices/system/cpu/amd_pstate", Rule::Directory),
    ("sys/devices/system/cpu/amd_pstate/prefcore", Rule::Fact),
    ("sys/devices/system/cpu/amd_pstate/status", Rule::Fact),
];

const NODE: [(&str, Rule); 15] = [
    ("", Rule::Directory),
    ("cpulist", Rule::CpuList),
    ("cpumap", Rule::CpuMask),
    ("distance", Rule::Distances),
    ("meminfo", Rule::Meminfo),
    ("numastat", Rule::Zeros),
    ("hugepages", Rule::Directory),
    ("vmstat", Rule::Vmstat),
    ("uevent", Rule::Fact),
    ("subsystem", Rule::Link),
    ("power", Rule::Directory),
    ("power/control", Rule::Fact),
    ("power/runtime_active_time", Rule::Fact),
    ("power/runtime_status", Rule::Fact),
    ("power/runtime_suspended_time", Rule::Fact),
];

// Files of hugepages/hugepages-SIZEkB.
const HUGE_PAGES: [(&str, Rule); 4] = [
    ("", Rule::Directory),
    ("nr_hugepages", Rule::HugePages),
    ("free_hugepages", Rule::FreeHugePages),
    ("surplus_hugepages", Rule::SurplusHugePages),
];
// Sizes of huge pages in KiB, of all architectures and base pages (arch/*/include/asm/hugetlb.h).
const HUGE_PAGE_SIZES: [u32; 14] = [
    64, 256, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 262_144, 524_288, 1_048_576, 2_097_152,
    16_777_216,
];
const FIRST_HUGE_PAGES_NUMBER: u16 = 64;
const NUMBERS_PER_SIZE: u16 = 8;

/// Returns the rows of a table, each with its position as its number.
pub(super) fn numbered(table: &[(&str, Rule)]) -> Vec<TableRow> {
    let row = |(number, (path, rule)): (u16, &(&str, Rule))| TableRow {
        number,
        path: (*path).to_owned(),
        rule: *rule,
    };
    (0..).zip(table).map(row).collect()
}

/// Rows of the machine.
pub(super) static MACHINE_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| numbered(&MACHINE));
/// Rows of a memory node.
pub(super) static NODE_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| {
    let mut rows = numbered(&NODE);
    for (index, size) in (0..).zip(HUGE_PAGE_SIZES) {
        for row in numbered(&HUGE_PAGES) {
            rows.push(TableRow {
                number: FIRST_HUGE_PAGES_NUMBER + index * NUMBERS_PER_SIZE + row.number,
                path: joined(&format!("hugepages/hugepages-{size}kB"), &row.path),
                rule: row.rule,
            });
        }
    }
    rows
});
/// Returns the path of `name` in the directory; the directory itself for an empty name.
pub(super) fn joined(directory: &str, name: &str) -> String {
    match name {
        "" => directory.to_owned(),
        name => format!("{directory}/{name}"),
    }
}
