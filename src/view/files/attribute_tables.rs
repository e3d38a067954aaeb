//! Pure. The tables of what is served below `/sys/devices/system`
//! (`Documentation/ABI/stable/sysfs-devices-system-cpu`, `Documentation/ABI/stable/sysfs-devices-node`).
//!
//! What a table does not name is not there for a container: what a kernel to come adds is a
//! secret of the host until somebody has looked at it. What a table names and the machine lacks
//! is not there either.

use std::sync::LazyLock;

/// What a container reads from an attribute, made from what the machine's own says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is a directory.
    Directory,
    /// The machine's own: a fact that is nobody's secret.
    Fact,
    /// The CPUs that are seen.
    SeenCpus,
    /// The possible CPUs that are not seen.
    UnseenCpus,
    /// The machine's list of CPUs, without those that are not seen.
    CpuList,
    /// The same as a mask.
    CpuMask,
    /// The same with spaces.
    CpuWords,
    /// `1`: a CPU that is seen is switched on.
    Online,
    /// Whether two of the seen CPUs are threads of one core.
    SmtActive,
    /// The machine's list of memory nodes, without those that are not seen.
    SeenNodes,
    /// The nodes whose memory may be used.
    MemoryNodes,
    /// The nodes that have a CPU that is seen.
    CpuNodes,
    /// The distances to the nodes that are seen.
    Distances,
    /// The node's part of the container's memory.
    Meminfo,
    /// The machine's lines with a count of 0 each: nobody counts these by cgroup.
    Zeros,
}

impl Rule {
    /// What is computed, in words.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            Rule::Directory => "a directory",
            Rule::Fact => "a fact of the machine",
            Rule::SeenCpus => "the seen CPUs",
            Rule::UnseenCpus => "the possible CPUs that are not seen",
            Rule::CpuList | Rule::CpuMask | Rule::CpuWords => {
                "the machine's CPUs here that are seen"
            }
            Rule::Online => "1: a CPU that is seen is switched on",
            Rule::SmtActive => "whether two of the seen CPUs are threads of one core",
            Rule::SeenNodes => "the nodes of the effective cpuset.mems, and those of the seen CPUs",
            Rule::MemoryNodes => "the nodes of the effective cpuset.mems that have memory",
            Rule::CpuNodes => "the nodes of the seen CPUs",
            Rule::Distances => "the machine's distances to the nodes that are seen",
            Rule::Meminfo => "the node's part of /proc/meminfo, by what is used of each node",
            Rule::Zeros => "0: nobody counts it by cgroup",
        }
    }
}

/// A row of a table.
pub(super) struct TableRow {
    /// Its number, which is in no other row of the table.
    pub(super) number: u16,
    /// The path below the directory of a CPU or node; of the machine, below `/`.
    pub(super) path: String,
    /// What a container reads.
    pub(super) rule: Rule,
}

// Rows are only ever added at the end of a table: their places become inode numbers.
const MACHINE: [(&str, Rule); 47] = [
    ("sys/devices/system/node", Rule::Directory),
    ("sys/devices/system/cpu/present", Rule::SeenCpus),
    ("sys/devices/system/cpu/offline", Rule::UnseenCpus),
    // What a program sizes by these it indexes by the CPU that a thread really runs on.
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
    // libnuma sizes its masks by it.
    ("sys/devices/system/node/possible", Rule::Fact),
    ("sys/devices/system/node/has_cpu", Rule::CpuNodes),
    ("sys/devices/system/node/has_memory", Rule::MemoryNodes),
    (
        "sys/devices/system/node/has_normal_memory",
        Rule::MemoryNodes,
    ),
    // Without it lxcfs's own hook binds the directory entry by entry.
    ("sys/devices/system/cpu/uevent", Rule::Fact),
    ("sys/devices/system/node/uevent", Rule::Fact),
];

const CPU: [(&str, Rule); 52] = [
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
];

// The files of cache/indexN.
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

const NODE: [(&str, Rule); 6] = [
    ("", Rule::Directory),
    ("cpulist", Rule::CpuList),
    ("cpumap", Rule::CpuMask),
    ("distance", Rule::Distances),
    ("meminfo", Rule::Meminfo),
    ("numastat", Rule::Zeros),
];

fn numbered(table: &[(&str, Rule)]) -> Vec<TableRow> {
    let row = |(number, (path, rule)): (u16, &(&str, Rule))| TableRow {
        number,
        path: (*path).to_owned(),
        rule: *rule,
    };
    (0..).zip(table).map(row).collect()
}

/// What is served of the machine.
pub(super) static MACHINE_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| numbered(&MACHINE));
/// What is served of a memory node.
pub(super) static NODE_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| numbered(&NODE));
/// What is served of a CPU.
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

/// A path below a directory; the directory itself for an empty one.
pub(super) fn joined(directory: &str, name: &str) -> String {
    match name {
        "" => directory.to_owned(),
        name => format!("{directory}/{name}"),
    }
}
