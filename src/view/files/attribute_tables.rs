//! Pure. The tables of what is served below `/sys/devices/system`
//! (`Documentation/ABI/stable/sysfs-devices-system-cpu`, `Documentation/ABI/stable/sysfs-devices-node`).
//!
//! What a table does not name is not there for a container: what a kernel to come adds is a
//! secret of the host until somebody has looked at it. What a table names and the machine lacks
//! is not there either.

use std::sync::LazyLock;

/// What a container reads from an attribute, made from what the machine's own says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// It is a directory.
    Directory,
    /// The machine's own: a fact that is nobody's secret.
    Fact,
    /// The CPUs that are seen.
    Seen,
    /// The possible CPUs that are not seen.
    Unseen,
    /// The machine's list of CPUs, without those that are not seen.
    Cpus,
    /// The same as a mask.
    CpuMask,
    /// The same with spaces.
    CpuWords,
    /// `1`: a CPU that is seen is switched on.
    On,
    /// Whether two of the seen CPUs are threads of one core.
    Smt,
    /// The machine's list of memory nodes, without those that are not seen.
    Nodes,
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

impl Text {
    /// What is computed, in words.
    #[must_use]
    pub fn formula(self) -> &'static str {
        match self {
            Text::Directory => "a directory",
            Text::Fact => "a fact of the machine",
            Text::Seen => "the seen CPUs",
            Text::Unseen => "the possible CPUs that are not seen",
            Text::Cpus | Text::CpuMask | Text::CpuWords => "the machine's CPUs here that are seen",
            Text::On => "1: a CPU that is seen is switched on",
            Text::Smt => "whether two of the seen CPUs are threads of one core",
            Text::Nodes => "the nodes of the effective cpuset.mems, and those of the seen CPUs",
            Text::MemoryNodes => "the nodes of the effective cpuset.mems that have memory",
            Text::CpuNodes => "the nodes of the seen CPUs",
            Text::Distances => "the machine's distances to the nodes that are seen",
            Text::Meminfo => "the node's part of /proc/meminfo, by what is used of each node",
            Text::Zeros => "0: nobody counts it by cgroup",
        }
    }
}

/// A row of a table.
pub(super) struct Row {
    /// Its number, which is in no other row of the table.
    pub(super) number: u16,
    /// The path below the directory of a CPU or node; of the machine, below `/`.
    pub(super) path: String,
    /// What a container reads.
    pub(super) text: Text,
}

// Rows are only ever added at the end of a table: their places become inode numbers.
const MACHINE: [(&str, Text); 47] = [
    ("sys/devices/system/node", Text::Directory),
    ("sys/devices/system/cpu/present", Text::Seen),
    ("sys/devices/system/cpu/offline", Text::Unseen),
    // What a program sizes by these it indexes by the CPU that a thread really runs on.
    ("sys/devices/system/cpu/possible", Text::Fact),
    ("sys/devices/system/cpu/kernel_max", Text::Fact),
    ("sys/devices/system/cpu/enabled", Text::Cpus),
    ("sys/devices/system/cpu/isolated", Text::Cpus),
    ("sys/devices/system/cpu/nohz_full", Text::Cpus),
    ("sys/devices/system/cpu/modalias", Text::Fact),
    ("sys/devices/system/cpu/dispatching", Text::Fact),
    ("sys/devices/system/cpu/smt", Text::Directory),
    ("sys/devices/system/cpu/smt/active", Text::Smt),
    ("sys/devices/system/cpu/smt/control", Text::Fact),
    ("sys/devices/system/cpu/cpufreq", Text::Directory),
    ("sys/devices/system/cpu/cpufreq/boost", Text::Fact),
    ("sys/devices/system/cpu/cpuidle", Text::Directory),
    (
        "sys/devices/system/cpu/cpuidle/available_governors",
        Text::Fact,
    ),
    ("sys/devices/system/cpu/cpuidle/current_driver", Text::Fact),
    (
        "sys/devices/system/cpu/cpuidle/current_governor",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/cpuidle/current_governor_ro",
        Text::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities", Text::Directory),
    (
        "sys/devices/system/cpu/vulnerabilities/gather_data_sampling",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/ghostwrite",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/indirect_target_selection",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/itlb_multihit",
        Text::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/l1tf", Text::Fact),
    ("sys/devices/system/cpu/vulnerabilities/mds", Text::Fact),
    (
        "sys/devices/system/cpu/vulnerabilities/meltdown",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/mmio_stale_data",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/old_microcode",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/reg_file_data_sampling",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/retbleed",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spec_store_bypass",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spectre_v1",
        Text::Fact,
    ),
    (
        "sys/devices/system/cpu/vulnerabilities/spectre_v2",
        Text::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/srbds", Text::Fact),
    ("sys/devices/system/cpu/vulnerabilities/tsa", Text::Fact),
    (
        "sys/devices/system/cpu/vulnerabilities/tsx_async_abort",
        Text::Fact,
    ),
    ("sys/devices/system/cpu/vulnerabilities/vmscape", Text::Fact),
    ("sys/devices/system/node/online", Text::Nodes),
    // libnuma sizes its masks by it.
    ("sys/devices/system/node/possible", Text::Fact),
    ("sys/devices/system/node/has_cpu", Text::CpuNodes),
    ("sys/devices/system/node/has_memory", Text::MemoryNodes),
    (
        "sys/devices/system/node/has_normal_memory",
        Text::MemoryNodes,
    ),
    // Without it lxcfs's own hook binds the directory entry by entry.
    ("sys/devices/system/cpu/uevent", Text::Fact),
    ("sys/devices/system/node/uevent", Text::Fact),
];

const CPU: [(&str, Text); 52] = [
    ("", Text::Directory),
    ("online", Text::On),
    ("cpu_capacity", Text::Fact),
    ("topology", Text::Directory),
    ("topology/core_id", Text::Fact),
    ("topology/cluster_id", Text::Fact),
    ("topology/die_id", Text::Fact),
    ("topology/physical_package_id", Text::Fact),
    ("topology/book_id", Text::Fact),
    ("topology/drawer_id", Text::Fact),
    ("topology/core_cpus", Text::CpuMask),
    ("topology/core_cpus_list", Text::Cpus),
    ("topology/thread_siblings", Text::CpuMask),
    ("topology/thread_siblings_list", Text::Cpus),
    ("topology/cluster_cpus", Text::CpuMask),
    ("topology/cluster_cpus_list", Text::Cpus),
    ("topology/die_cpus", Text::CpuMask),
    ("topology/die_cpus_list", Text::Cpus),
    ("topology/package_cpus", Text::CpuMask),
    ("topology/package_cpus_list", Text::Cpus),
    ("topology/core_siblings", Text::CpuMask),
    ("topology/core_siblings_list", Text::Cpus),
    ("topology/book_siblings", Text::CpuMask),
    ("topology/book_siblings_list", Text::Cpus),
    ("topology/drawer_siblings", Text::CpuMask),
    ("topology/drawer_siblings_list", Text::Cpus),
    ("cpufreq", Text::Directory),
    ("cpufreq/affected_cpus", Text::CpuWords),
    ("cpufreq/related_cpus", Text::CpuWords),
    ("cpufreq/base_frequency", Text::Fact),
    ("cpufreq/bios_limit", Text::Fact),
    ("cpufreq/cpuinfo_max_freq", Text::Fact),
    ("cpufreq/cpuinfo_min_freq", Text::Fact),
    ("cpufreq/cpuinfo_transition_latency", Text::Fact),
    ("cpufreq/energy_performance_preference", Text::Fact),
    ("cpufreq/scaling_available_frequencies", Text::Fact),
    ("cpufreq/scaling_available_governors", Text::Fact),
    ("cpufreq/scaling_cur_freq", Text::Fact),
    ("cpufreq/scaling_driver", Text::Fact),
    ("cpufreq/scaling_governor", Text::Fact),
    ("cpufreq/scaling_max_freq", Text::Fact),
    ("cpufreq/scaling_min_freq", Text::Fact),
    ("acpi_cppc", Text::Directory),
    ("acpi_cppc/highest_perf", Text::Fact),
    ("acpi_cppc/lowest_freq", Text::Fact),
    ("acpi_cppc/lowest_nonlinear_perf", Text::Fact),
    ("acpi_cppc/lowest_perf", Text::Fact),
    ("acpi_cppc/nominal_freq", Text::Fact),
    ("acpi_cppc/nominal_perf", Text::Fact),
    ("acpi_cppc/reference_perf", Text::Fact),
    ("cache", Text::Directory),
    ("polarization", Text::Fact),
];

// The files of cache/indexN.
const CACHE: [(&str, Text); 13] = [
    ("", Text::Directory),
    ("id", Text::Fact),
    ("level", Text::Fact),
    ("type", Text::Fact),
    ("size", Text::Fact),
    ("coherency_line_size", Text::Fact),
    ("number_of_sets", Text::Fact),
    ("physical_line_partition", Text::Fact),
    ("ways_of_associativity", Text::Fact),
    ("allocation_policy", Text::Fact),
    ("write_policy", Text::Fact),
    ("shared_cpu_map", Text::CpuMask),
    ("shared_cpu_list", Text::Cpus),
];
const CACHES: u16 = 16;
const FIRST_CACHE: u16 = 256;
const CACHE_ROWS: u16 = 16;

const NODE: [(&str, Text); 6] = [
    ("", Text::Directory),
    ("cpulist", Text::Cpus),
    ("cpumap", Text::CpuMask),
    ("distance", Text::Distances),
    ("meminfo", Text::Meminfo),
    ("numastat", Text::Zeros),
];

fn numbered(table: &[(&str, Text)]) -> Vec<Row> {
    let row = |(number, (path, text)): (u16, &(&str, Text))| Row {
        number,
        path: (*path).to_owned(),
        text: *text,
    };
    (0..).zip(table).map(row).collect()
}

/// What is served of the machine.
pub(super) static MACHINE_ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| numbered(&MACHINE));
/// What is served of a memory node.
pub(super) static NODE_ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| numbered(&NODE));
/// What is served of a CPU.
pub(super) static CPU_ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let mut rows = numbered(&CPU);
    for index in 0..CACHES {
        for row in numbered(&CACHE) {
            rows.push(Row {
                number: FIRST_CACHE + index * CACHE_ROWS + row.number,
                path: joined(&format!("cache/index{index}"), &row.path),
                text: row.text,
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
