//! Pure. The tables of what is served; the tree, the mounts and the documentation come from them.
//!
//! What is left to the kernel, and why (seen with strace):
//!
//! | file | who reads it | why it is not served |
//! |---|---|---|
//! | `/proc/interrupts`, `/proc/softirqs` | `mpstat -I`, `mpstat -A`, `sar -A`; no program by default | counts of the host's devices, which no cgroup has; Docker and `plimsoll run` hide the first |
//! | `/proc/zoneinfo`, `/proc/buddyinfo` | none of those that were tried | zones are the machine's |
//! | `/proc/partitions` | none of those that were tried | |
//! | `/proc/schedstat` | agents of the host | they watch the host, and are left out |
//! | `/proc/pressure` on cgroup v1 | `atop`, node_exporter | v1 counts no pressure for a cgroup; `plimsoll run` hides the host's |
//! | `/sys/devices/system/memory` | `lsmem` | the machine's memory by block of 128 MB or more, which is no measure of a limit; `plimsoll run` hides it |
//! | `/sys/block/*/stat` | `iostat` without `-p ALL`, `vmstat -d`, btop | one file a disk in trees of links that other programs need whole; `/proc/diskstats` tells the same |

mod attribute;
mod attribute_tables;

pub use attribute::{Attribute, CPUS, NODES, Subject, VisibleDevices, number_after};
pub use attribute_tables::Rule;

/// A file that is served, as one variant each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum File {
    /// `/proc/meminfo`
    Meminfo,
    /// `/proc/cpuinfo`
    Cpuinfo,
    /// `/proc/stat`
    Stat,
    /// `/proc/uptime`
    Uptime,
    /// `/proc/loadavg`
    Loadavg,
    /// `/proc/swaps`
    Swaps,
    /// `/sys/devices/system/cpu/online`
    CpuOnline,
    /// `/proc/diskstats`
    Diskstats,
    /// `/proc/vmstat`
    Vmstat,
    /// `/proc/slabinfo`
    Slabinfo,
    /// `/proc/pressure/cpu`
    PressureCpu,
    /// `/proc/pressure/memory`
    PressureMemory,
    /// `/proc/pressure/io`
    PressureIo,
    /// `/proc/pressure/irq`
    PressureIrq,
}

/// The directory of the pressure files.
pub const PRESSURE: &str = "proc/pressure";

/// Every file, in the order of the tree's node numbers; rows are only ever added at the end.
pub const FILES: [File; 14] = [
    File::Meminfo,
    File::Cpuinfo,
    File::Stat,
    File::Uptime,
    File::Loadavg,
    File::Swaps,
    File::CpuOnline,
    File::Diskstats,
    File::Vmstat,
    File::Slabinfo,
    File::PressureCpu,
    File::PressureMemory,
    File::PressureIo,
    File::PressureIrq,
];

impl File {
    /// The path below `/` in a container, and below a tree's root in ours; never begins with `/`.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            File::Meminfo => "proc/meminfo",
            File::Cpuinfo => "proc/cpuinfo",
            File::Stat => "proc/stat",
            File::Uptime => "proc/uptime",
            File::Loadavg => "proc/loadavg",
            File::Swaps => "proc/swaps",
            File::CpuOnline => "sys/devices/system/cpu/online",
            File::Diskstats => "proc/diskstats",
            File::Vmstat => "proc/vmstat",
            File::Slabinfo => "proc/slabinfo",
            File::PressureCpu => "proc/pressure/cpu",
            File::PressureMemory => "proc/pressure/memory",
            File::PressureIo => "proc/pressure/io",
            File::PressureIrq => "proc/pressure/irq",
        }
    }

    /// Its place in [`FILES`].
    #[must_use]
    pub fn row(self) -> usize {
        FILES.iter().position(|row| *row == self).unwrap_or(0)
    }

    /// The last component of [`File::path`]; unique among the files, so it names one for a user.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// The file that a user means: a name, a path below `/`, or an absolute path.
    ///
    /// `None` when there is no such file.
    #[must_use]
    pub fn named(text: &str) -> Option<File> {
        let text = text.strip_prefix('/').unwrap_or(text);
        FILES
            .into_iter()
            .find(|file| file.path() == text || file.name() == text)
    }

    /// The permission bits, as the kernel's own file has them.
    #[must_use]
    pub fn mode(self) -> u16 {
        match self {
            File::Slabinfo => 0o400,
            // kernel/sched/psi.c, psi_proc_init: whoever wants to may set a trigger.
            file if file.pressure().is_some() => 0o666,
            _ => 0o444,
        }
    }

    /// The resource whose pressure the file tells (`Documentation/accounting/psi.rst`).
    #[must_use]
    pub fn pressure(self) -> Option<&'static str> {
        match self {
            File::PressureCpu | File::PressureMemory | File::PressureIo | File::PressureIrq => {
                Some(self.name())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_name_path_and_absolute_path() {
        for file in FILES {
            assert_eq!(File::named(file.name()), Some(file));
            assert_eq!(File::named(file.path()), Some(file));
            assert_eq!(File::named(&format!("/{}", file.path())), Some(file));
        }
        assert_eq!(File::named("kcore"), None);
    }
}
