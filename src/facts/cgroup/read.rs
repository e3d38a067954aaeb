//! Reads the facts of a container's cgroups, of either version.

use super::{
    AncestorThrottle, Cpu, DeviceUse, HugetlbLevel, Layout, Members, Memory, Numa, Paths,
    layout::Version, parse, quota::Quotas, v1, v2,
};
use crate::base::{
    sys::{Dir, ReadError},
    units::{Bytes, Pid, Tid},
};
use std::path::{Path, PathBuf};

impl Layout {
    /// Reads the memory of the container at `paths`; no limit and no use where no controller counts.
    /// The files of swap are read only if the machine `has_swap`.
    ///
    /// # Errors
    /// When a file of a cgroup cannot be read; [`ReadError::is_gone`] when it was removed.
    pub fn memory(&self, paths: &Paths, has_swap: bool) -> Result<Memory, ReadError> {
        match &self.memory {
            None => Ok(Memory::default()),
            Some(hierarchy) => match hierarchy.version {
                Version::V1 => v1::memory(&hierarchy.root, &paths.memory, has_swap),
                Version::V2 => v2::memory(&hierarchy.root, &paths.memory, has_swap),
            },
        }
    }

    /// Reads the CPUs of the container at `paths`; no limit and no use where no controller counts.
    ///
    /// # Errors
    /// As for [`Layout::memory`].
    pub fn cpu(&self, paths: &Paths) -> Result<Cpu, ReadError> {
        let mut cpu = Cpu::default();
        if let Some(hierarchy) = &self.cpuset {
            cpu.cpuset = match hierarchy.version {
                Version::V1 => v1::cpuset(&hierarchy.root, &paths.cpuset)?,
                Version::V2 => v2::cpuset(&hierarchy.root, &paths.cpuset)?,
            };
        }
        if let Some(hierarchy) = &self.cpuacct {
            cpu.usage = match hierarchy.version {
                Version::V1 => v1::cpu_use(&hierarchy.root, &paths.cpuacct)?,
                Version::V2 => v2::cpu_use(&hierarchy.root, &paths.cpuacct)?,
            };
        }
        if let Some(hierarchy) = &self.cpu {
            let quotas = match hierarchy.version {
                Version::V1 => {
                    cpu.usage.throttled = v1::throttled(&hierarchy.root, &paths.cpu)?;
                    v1::quotas(&hierarchy.root, &paths.cpu)?
                }
                Version::V2 => v2::quotas(&hierarchy.root, &paths.cpu)?,
            };
            self.throttled_above(paths, &quotas, &mut cpu)?;
            cpu.quota = quotas.strictest;
            cpu.quota_steps = quotas.steps;
        }
        Ok(cpu)
    }

    /// Adds the time for which the quotas of ancestors throttled the container.
    fn throttled_above(
        &self,
        paths: &Paths,
        quotas: &Quotas,
        cpu: &mut Cpu,
    ) -> Result<(), ReadError> {
        let Some(hierarchy) = self.cpu.as_ref().filter(|_| !quotas.above.is_empty()) else {
            return Ok(());
        };
        let local = match hierarchy.version {
            Version::V1 => v1::throttled_local(&hierarchy.root, &paths.cpu)?,
            Version::V2 => v2::throttled_local(&hierarchy.root, &paths.cpu)?,
        };
        if let Some(local) = local {
            cpu.usage.throttled = cpu.usage.throttled.max(local);
            cpu.counts_ancestors = true;
            return Ok(());
        }
        for &steps in &quotas.above {
            if let Some(throttle) = self.throttle(paths, steps)? {
                cpu.usage.above.push(throttle);
            }
        }
        Ok(())
    }

    fn throttle(&self, paths: &Paths, steps: usize) -> Result<Option<AncestorThrottle>, ReadError> {
        let (Some(cpu), Some(cpuacct)) = (&self.cpu, &self.cpuacct) else {
            return Ok(None);
        };
        let above = |path: &PathBuf| path.ancestors().nth(steps).map(Path::to_owned);
        let (Some(path), Some(counted)) = (above(&paths.cpu), above(&paths.cpuacct)) else {
            return Ok(None);
        };
        Ok(Some(match cpu.version {
            Version::V2 => v2::throttle(&cpu.root, &path, steps)?,
            Version::V1 => AncestorThrottle {
                steps,
                throttled: v1::throttled(&cpu.root, &path)?,
                used: v1::cpu_used(&cpuacct.root, &counted)?,
            },
        }))
    }

    /// Reads the counts of the container's memory (`memory.stat`), by the names of v2; none where no
    /// controller counts.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn memory_counts(&self, paths: &Paths) -> Result<Vec<(String, u64)>, ReadError> {
        match &self.memory {
            None => Ok(Vec::new()),
            Some(hierarchy) => match hierarchy.version {
                Version::V1 => v1::memory_counts(&hierarchy.root, &paths.memory),
                Version::V2 => v2::memory_counts(&hierarchy.root, &paths.memory),
            },
        }
    }

    /// Reads limit and use of huge pages of that size, from the container up; none where no
    /// controller counts them.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn hugetlb(&self, paths: &Paths, size: Bytes) -> Result<Vec<HugetlbLevel>, ReadError> {
        let size = parse::huge_page_name(size);
        match &self.hugetlb {
            None => Ok(Vec::new()),
            Some(hierarchy) => match hierarchy.version {
                Version::V1 => v1::hugetlb(&hierarchy.root, &paths.hugetlb, &size),
                Version::V2 => v2::hugetlb(&hierarchy.root, &paths.hugetlb, &size),
            },
        }
    }

    /// Reads the memory nodes of the container at `paths`.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn numa(&self, paths: &Paths) -> Result<Numa, ReadError> {
        let mut numa = Numa::default();
        if let Some(hierarchy) = &self.cpuset {
            numa.mems = match hierarchy.version {
                Version::V1 => v1::mems(&hierarchy.root, &paths.cpuset)?,
                Version::V2 => v2::mems(&hierarchy.root, &paths.cpuset)?,
            };
        }
        if let Some(hierarchy) = &self.memory {
            numa.usage = match hierarchy.version {
                Version::V1 => v1::numa_use(&hierarchy.root, &paths.memory)?,
                Version::V2 => v2::numa_use(&hierarchy.root, &paths.memory)?,
            };
        }
        Ok(numa)
    }

    /// Returns the pressure file of the container at `paths` for that resource, with the directory
    /// that the path starts from; `None` on v1, which counts no pressure.
    #[must_use]
    pub fn pressure_file(&self, paths: &Paths, resource: &str) -> Option<(&Dir, PathBuf)> {
        let path = paths.key_path.join(format!("{resource}.pressure"));
        let root = &self.key_hierarchy.root;
        (self.key_hierarchy.version == Version::V2 && root.has(&path)).then_some((root, path))
    }

    /// Reads the requests of the container to each block device that it used, in the kernel's order.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn devices(&self, paths: &Paths) -> Result<Vec<DeviceUse>, ReadError> {
        match &self.io {
            None => Ok(Vec::new()),
            Some(hierarchy) => match hierarchy.version {
                Version::V1 => v1::devices(&hierarchy.root, &paths.io),
                Version::V2 => v2::devices(&hierarchy.root, &paths.io),
            },
        }
    }

    /// Begins to list the threads of the container at `paths` and of its descendants.
    ///
    /// # Errors
    /// When the container's own directory cannot be opened.
    pub fn threads(&self, paths: &Paths) -> Result<Members<Tid>, ReadError> {
        let file = match self.key_hierarchy.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        };
        Members::of(&self.key_hierarchy.root, &paths.key_path, file)
    }

    /// Begins to list the processes of the container at `paths` and of its descendants.
    ///
    /// # Errors
    /// When the container's own directory cannot be opened.
    pub fn processes(&self, paths: &Paths) -> Result<Members<Pid>, ReadError> {
        Members::of(&self.key_hierarchy.root, &paths.key_path, "cgroup.procs")
    }
}
