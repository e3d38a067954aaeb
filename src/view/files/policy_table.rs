//! Pure. The table of the attributes of a policy of CPU frequencies.

use super::attribute_tables::{Rule, TableRow, numbered};
use std::sync::LazyLock;

// New rows are added at the end only: the position of a row becomes an inode number.
// Files of a policy of CPU frequencies (`Documentation/admin-guide/pm/cpufreq.rst`).
const POLICY: [(&str, Rule); 29] = [
    ("", Rule::Directory),
    ("affected_cpus", Rule::CpuWords),
    ("related_cpus", Rule::CpuWords),
    ("freqdomain_cpus", Rule::CpuWords),
    ("amd_pstate_highest_perf", Rule::Fact),
    ("amd_pstate_hw_prefcore", Rule::Fact),
    ("amd_pstate_lowest_nonlinear_freq", Rule::Fact),
    ("amd_pstate_max_freq", Rule::Fact),
    ("amd_pstate_prefcore_ranking", Rule::Fact),
    ("base_frequency", Rule::Fact),
    ("bios_limit", Rule::Fact),
    ("boost", Rule::Fact),
    ("cpuinfo_avg_freq", Rule::Fact),
    ("cpuinfo_cur_freq", Rule::Fact),
    ("cpuinfo_max_freq", Rule::Fact),
    ("cpuinfo_min_freq", Rule::Fact),
    ("cpuinfo_transition_latency", Rule::Fact),
    ("energy_performance_available_preferences", Rule::Fact),
    ("energy_performance_preference", Rule::Fact),
    ("scaling_available_frequencies", Rule::Fact),
    ("scaling_available_governors", Rule::Fact),
    ("scaling_boost_frequencies", Rule::Fact),
    ("scaling_cur_freq", Rule::Fact),
    ("scaling_driver", Rule::Fact),
    ("scaling_governor", Rule::Fact),
    ("scaling_max_freq", Rule::Fact),
    ("scaling_min_freq", Rule::Fact),
    ("scaling_setspeed", Rule::Fact),
    ("cpb", Rule::Fact),
];

/// Rows of a policy of CPU frequencies.
pub(super) static POLICY_ROWS: LazyLock<Vec<TableRow>> = LazyLock::new(|| numbered(&POLICY));
