//! Pure. The tables of the served files; the tree and the mounts come from them.
//!
//! Files that are left to the kernel, and the reasons (readers found with strace):
//!
//! | file | readers | reason |
//! |---|---|---|
//! | `/proc/interrupts`, `/proc/softirqs` | `mpstat -I`, `mpstat -A`, `sar -A`; no program by default | they count interrupts of the host's devices, which no cgroup counts; Docker and `plimsoll run` hide the first |
//! | `/proc/zoneinfo`, `/proc/buddyinfo` | no tried program | zones belong to the machine |
//! | `/proc/partitions` | no tried program | |
//! | `/proc/schedstat` | agents of the host | an agent of the host watches the host, and runs outside of containers |
//! | `/proc/pressure` on cgroup v1 | `atop`, node_exporter | v1 counts no pressure of a cgroup; `plimsoll run` hides the host's file |
//! | `/sys/devices/system/memory` | `lsmem` | memory of the machine in blocks of 128 MB or more, too coarse for a limit; `plimsoll run` hides the directory |
//! | `/sys/block/*/stat` | `iostat` without `-p ALL`, `vmstat -d`, btop | one file for each disk, in trees of links that other programs need whole; `/proc/diskstats` has the same numbers |

mod attribute;
mod attribute_tables;
mod cpu_table;
mod policy_table;

pub use attribute::{Attribute, CPUS, NODES, POLICIES, Subject, VisibleDevices, number_after};
pub use attribute_tables::Rule;

/// A served file outside of the tables of attributes.
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

/// Directory of the pressure files, below `/`.
pub const PRESSURE: &str = "proc/pressure";

/// Every file, in the order of the tree's inode numbers: new files are added at the end only.
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
    /// Returns the path below `/` in a container, and below the root of a served tree. The path does
    /// not begin with `/`.
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

    /// Returns the index in [`FILES`].
    #[must_use]
    pub fn row(self) -> usize {
        FILES.iter().position(|row| *row == self).unwrap_or(0)
    }

    /// Returns the last component of [`File::path`]. The name is unique among the files, so that a
    /// user may name a file by it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    /// Returns the file that a user names by its name, its path below `/`, `/proc` or
    /// `/sys/devices/system`, or its absolute path; `None` when there is no such file.
    #[must_use]
    pub fn named(text: &str) -> Option<File> {
        let text = text.strip_prefix('/').unwrap_or(text);
        let is_named = |file: &File| {
            let below = |top: &str| file.path().strip_prefix(top) == Some(text);
            let is_path = file.path() == text || below("proc/") || below("sys/devices/system/");
            is_path || file.name() == text
        };
        FILES.into_iter().find(is_named)
    }

    /// Returns whether the file lies in sysfs, and not in procfs.
    #[must_use]
    pub fn is_in_sysfs(self) -> bool {
        self.path().starts_with("sys/")
    }

    /// Returns the permission bits of the kernel's own file.
    #[must_use]
    pub fn mode(self) -> u16 {
        match self {
            File::Slabinfo => 0o400,
            // kernel/sched/psi.c, psi_proc_init: every process may set a trigger.
            file if file.pressure().is_some() => 0o666,
            _ => 0o444,
        }
    }

    /// Returns the resource of a pressure file (`Documentation/accounting/psi.rst`); `None` for
    /// other files.
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
        let online = File::named("/sys/devices/system/cpu/online");
        assert!(online.is_some());
        assert_eq!(File::named("cpu/online"), online);
        assert_eq!(
            File::named("pressure/cpu"),
            File::named("/proc/pressure/cpu")
        );
        assert_eq!(File::named("kcore"), None);
    }
}
