//! Pure. The table of the attributes of a CPU.

use super::attribute_tables::{Rule, TableRow, joined, numbered};
use std::sync::LazyLock;

// New rows are added at the end of a table only: the position of a row becomes an inode number.
const CPU: [(&str, Rule); 98] = [
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
    ("uevent", Rule::Fact),
    ("subsystem", Rule::Link),
    ("driver", Rule::Link),
    ("firmware_node", Rule::Link),
    ("cache/uevent", Rule::Fact),
    ("power", Rule::Directory),
    ("power/async", Rule::Fact),
    ("power/control", Rule::Fact),
    ("power/pm_qos_resume_latency_us", Rule::Fact),
    ("power/runtime_active_kids", Rule::Fact),
    ("power/runtime_active_time", Rule::Fact),
    ("power/runtime_enabled", Rule::Fact),
    ("power/runtime_status", Rule::Fact),
    ("power/runtime_suspended_time", Rule::Fact),
    ("power/runtime_usage", Rule::Fact),
    ("hotplug", Rule::Directory),
    ("hotplug/fail", Rule::Fact),
    ("hotplug/state", Rule::Fact),
    ("hotplug/target", Rule::Fact),
    ("microcode", Rule::Directory),
    ("microcode/processor_flags", Rule::Fact),
    ("microcode/version", Rule::Fact),
    ("regs", Rule::Directory),
    ("regs/identification", Rule::Directory),
    // Programs for arm64 choose their code by these registers.
    ("regs/identification/midr_el1", Rule::Fact),
    ("regs/identification/revidr_el1", Rule::Fact),
    ("regs/identification/smidr_el1", Rule::Fact),
    ("thermal_throttle", Rule::Directory),
    ("thermal_throttle/core_throttle_count", Rule::Zero),
    ("thermal_throttle/core_throttle_max_time_ms", Rule::Zero),
    ("thermal_throttle/core_throttle_total_time_ms", Rule::Zero),
    ("thermal_throttle/package_throttle_count", Rule::Zero),
    ("cpuidle", Rule::Directory),
];

// Files of cpuidle/stateN (`Documentation/admin-guide/pm/cpuidle.rst`).
const IDLE: [(&str, Rule); 13] = [
    ("", Rule::Directory),
    ("above", Rule::Zero),
    ("below", Rule::Zero),
    ("default_status", Rule::Fact),
    ("desc", Rule::Fact),
    ("disable", Rule::Fact),
    ("latency", Rule::Fact),
    ("name", Rule::Fact),
    ("power", Rule::Fact),
    ("rejected", Rule::Zero),
    ("residency", Rule::Fact),
    ("time", Rule::Zero),
    ("usage", Rule::Zero),
];
// CPUIDLE_STATE_MAX in include/linux/cpuidle.h.
const MAX_IDLE_STATES: u16 = 10;
const FIRST_IDLE_NUMBER: u16 = 112;
const NUMBERS_PER_IDLE_STATE: u16 = 14;

// Files of cache/indexN.
const CACHE: [(&str, Rule); 14] = [
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
    ("uevent", Rule::Fact),
];
const MAX_CACHES: u16 = 16;
const FIRST_CACHE_NUMBER: u16 = 256;
const NUMBERS_PER_CACHE: u16 = 16;

/// Rows of a CPU.
pub(super) static CPU_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| {
    let mut rows = numbered(&CPU);
    let idle = (FIRST_IDLE_NUMBER, NUMBERS_PER_IDLE_STATE);
    for index in 0..MAX_IDLE_STATES {
        rows.extend(repeated(
            &IDLE,
            &format!("cpuidle/state{index}"),
            idle,
            index,
        ));
    }
    let cache = (FIRST_CACHE_NUMBER, NUMBERS_PER_CACHE);
    for index in 0..MAX_CACHES {
        rows.extend(repeated(
            &CACHE,
            &format!("cache/index{index}"),
            cache,
            index,
        ));
    }
    rows
});

/// Returns the rows of the directory with that index. The rows of index 0 begin with the number
/// `first`, and each index has `stride` numbers.
fn repeated(
    table: &[(&str, Rule)],
    directory: &str,
    (first, stride): (u16, u16),
    index: u16,
) -> Vec<TableRow> {
    let rows = numbered(table).into_iter();
    rows.map(|row| TableRow {
        number: first + index * stride + row.number,
        path: joined(directory, &row.path),
        rule: row.rule,
    })
    .collect()
}
