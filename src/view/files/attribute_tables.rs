//! Pure. The tables of the attributes below `/sys/devices/system`
//! (`Documentation/ABI/stable/sysfs-devices-system-cpu`,
//! `Documentation/ABI/stable/sysfs-devices-node`).
//!
//! A container sees an attribute if a table names it and the machine has it. So an attribute of a
//! future kernel stays hidden until a developer has decided that it reveals no secret of the host.

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
    /// Nodes with a seen CPU.
    CpuNodes,
    /// Distances to the seen nodes.
    Distances,
    /// Part of the container's memory that is on the node.
    Meminfo,
    /// The machine's lines with a count of 0 each, for no cgroup counts them.
    Zeros,
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
            Rule::CpuNodes => "the nodes of the seen CPUs",
            Rule::Distances => "the machine's distances to the seen nodes",
            Rule::Meminfo => "the node's part of /proc/meminfo, by the use of each node",
            Rule::Zeros => "0: no cgroup counts it",
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
const MACHINE: [(&str, Rule); 47] = [
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
];

const CPU: [(&str, Rule); 65] = [
    ("", Rule::Directory),
    ("online", Rule::Online),
    ("cpu_capacity", Rule::Fact),
    ("topology", Rule::Directory),
    ("topology/core_id", Rule::Fact),
    ("topology/cluster_id", Rule::Fact),
    ("topology/die_id", Rule::Fact),
    ("topology/physical_package_id", Rule::Fact),
    ("topology/book_id", Rule::Fact),
    ("topology/drawer_id", Rule::Fact),
    ("topology/core_cpus", Rule::CpuMask),
    ("topology/core_cpus_list", Rule::CpuList),
    ("topology/thread_siblings", Rule::CpuMask),
    ("topology/thread_siblings_list", Rule::CpuList),
    ("topology/cluster_cpus", Rule::CpuMask),
    ("topology/cluster_cpus_list", Rule::CpuList),
    ("topology/die_cpus", Rule::CpuMask),
    ("topology/die_cpus_list", Rule::CpuList),
    ("topology/package_cpus", Rule::CpuMask),
    ("topology/package_cpus_list", Rule::CpuList),
    ("topology/core_siblings", Rule::CpuMask),
    ("topology/core_siblings_list", Rule::CpuList),
    ("topology/book_siblings", Rule::CpuMask),
    ("topology/book_siblings_list", Rule::CpuList),
    ("topology/drawer_siblings", Rule::CpuMask),
    ("topology/drawer_siblings_list", Rule::CpuList),
    ("cpufreq", Rule::Directory),
    ("cpufreq/affected_cpus", Rule::CpuWords),
    ("cpufreq/related_cpus", Rule::CpuWords),
    ("cpufreq/base_frequency", Rule::Fact),
    ("cpufreq/bios_limit", Rule::Fact),
    ("cpufreq/cpuinfo_max_freq", Rule::Fact),
    ("cpufreq/cpuinfo_min_freq", Rule::Fact),
    ("cpufreq/cpuinfo_transition_latency", Rule::Fact),
    ("cpufreq/energy_performance_preference", Rule::Fact),
    ("cpufreq/scaling_available_frequencies", Rule::Fact),
    ("cpufreq/scaling_available_governors", Rule::Fact),
    ("cpufreq/scaling_cur_freq", Rule::Fact),
    ("cpufreq/scaling_driver", Rule::Fact),
    ("cpufreq/scaling_governor", Rule::Fact),
    ("cpufreq/scaling_max_freq", Rule::Fact),
    ("cpufreq/scaling_min_freq", Rule::Fact),
    ("acpi_cppc", Rule::Directory),
    ("acpi_cppc/highest_perf", Rule::Fact),
    ("acpi_cppc/lowest_freq", Rule::Fact),
    ("acpi_cppc/lowest_nonlinear_perf", Rule::Fact),
    ("acpi_cppc/lowest_perf", Rule::Fact),
    ("acpi_cppc/nominal_freq", Rule::Fact),
    ("acpi_cppc/nominal_perf", Rule::Fact),
    ("acpi_cppc/reference_perf", Rule::Fact),
    ("cache", Rule::Directory),
    ("polarization", Rule::Fact),
    ("cpufreq/freqdomain_cpus", Rule::CpuWords),
    ("cpufreq/amd_pstate_highest_perf", Rule::Fact),
    ("cpufreq/amd_pstate_hw_prefcore", Rule::Fact),
    ("cpufreq/amd_pstate_lowest_nonlinear_freq", Rule::Fact),
    ("cpufreq/amd_pstate_max_freq", Rule::Fact),
    ("cpufreq/amd_pstate_prefcore_ranking", Rule::Fact),
    ("cpufreq/boost", Rule::Fact),
    ("cpufreq/cpb", Rule::Fact),
    ("cpufreq/cpuinfo_avg_freq", Rule::Fact),
    ("cpufreq/cpuinfo_cur_freq", Rule::Fact),
    (
        "cpufreq/energy_performance_available_preferences",
        Rule::Fact,
    ),
    ("cpufreq/scaling_boost_frequencies", Rule::Fact),
    ("cpufreq/scaling_setspeed", Rule::Fact),
];

// Files of cache/indexN.
const CACHE: [(&str, Rule); 13] = [
    ("", Rule::Directory),
    ("id", Rule::Fact),
    ("level", Rule::Fact),
    ("type", Rule::Fact),
    ("size", Rule::Fact),
    ("coherency_line_size", Rule::Fact),
    ("number_of_sets", Rule::Fact),
    ("physical_line_partition", Rule::Fact),
    ("ways_of_associativity", Rule::Fact),
    ("allocation_policy", Rule::Fact),
    ("write_policy", Rule::Fact),
    ("shared_cpu_map", Rule::CpuMask),
    ("shared_cpu_list", Rule::CpuList),
];
const MAX_CACHES: u16 = 16;
const FIRST_CACHE_NUMBER: u16 = 256;
const NUMBERS_PER_CACHE: u16 = 16;

const NODE: [(&str, Rule); 7] = [
    ("", Rule::Directory),
    ("cpulist", Rule::CpuList),
    ("cpumap", Rule::CpuMask),
    ("distance", Rule::Distances),
    ("meminfo", Rule::Meminfo),
    ("numastat", Rule::Zeros),
    ("hugepages", Rule::Directory),
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
/// Rows of a CPU.
pub(super) static CPU_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| {
    let mut rows = numbered(&CPU);
    for index in 0..MAX_CACHES {
        for row in numbered(&CACHE) {
            rows.push(TableRow {
                number: FIRST_CACHE_NUMBER + index * NUMBERS_PER_CACHE + row.number,
                path: joined(&format!("cache/index{index}"), &row.path),
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
