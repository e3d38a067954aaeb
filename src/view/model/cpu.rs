//! Pure. The CPUs that a container sees: those of a machine whose other CPUs are offline.
//!
//! | value | meaning |
//! |---|---|
//! | allowed | the online CPUs of the effective cpuset |
//! | n | the strictest quota of the container and its ancestors in CPUs, rounded up, at least 1; without a quota, the number of allowed CPUs |
//! | seen | the first n allowed CPUs, with the host's numbers |
//! | `cpuinfo` | the host's blocks of the seen CPUs; `siblings` and `cpu cores` count seen CPUs only |
//! | `cpu/online` | the seen CPUs |
//! | `sched_getaffinity(2)` | the seen CPUs among those that the kernel lets the process use; where none is seen, all that the kernel lets it use |

use crate::{
    base::units::{CpuSet, Limit},
    facts::{
        cgroup::Cpu,
        host::{self, CpuinfoBlock, CpuinfoLine},
    },
};
use std::collections::{BTreeSet, HashMap};

/// Returns the CPUs that the container sees: at least one, as long as the machine has one online.
#[must_use]
pub fn seen(cpu: &Cpu, online: &CpuSet) -> CpuSet {
    let allowed = match &cpu.cpuset {
        Some(cpuset) => cpuset.intersection(online),
        None => online.clone(),
    };
    // A cpuset may be out of date for a moment while CPUs go online and offline.
    let allowed = if allowed.is_empty() { online } else { &allowed };
    match cpu.quota {
        Limit::Unlimited => allowed.clone(),
        Limit::At(quota) => allowed.first(quota.cpus()),
    }
}

/// Returns the answer of `sched_getaffinity(2)` to a process of the container: of the CPUs `allowed`,
/// which the kernel lets the process use, the seen ones; all of them where none is seen.
#[must_use]
pub fn affinity(allowed: &CpuSet, seen: &CpuSet) -> CpuSet {
    let both = allowed.intersection(seen);
    match both.is_empty() {
        true => allowed.clone(),
        false => both,
    }
}

/// `/proc/cpuinfo` of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpuinfo {
    /// Blocks, in the machine's order.
    pub blocks: Vec<Block>,
}

/// Block of lines in `/proc/cpuinfo`: a CPU, or a header or trailer of some architectures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Block {
    /// Lines without their newlines.
    pub lines: Vec<String>,
    /// Returns whether an empty line follows.
    pub ended: bool,
}

/// Returns `/proc/cpuinfo` of the machine without the CPUs that are not `seen`.
#[must_use]
pub fn cpuinfo(seen: &CpuSet, host: &host::Cpuinfo) -> Cpuinfo {
    let is_seen = |block: &&CpuinfoBlock| block.cpu.is_none_or(|cpu| seen.contains(cpu));
    let shown: Vec<&CpuinfoBlock> = host.blocks.iter().filter(is_seen).collect();
    let packages = Packages::of(&shown);
    let blocks = shown
        .iter()
        .map(|block| {
            let lines = block.lines.iter().filter(|line| is_shown(line, seen));
            Block {
                lines: lines.map(|line| packages.shown(line, block)).collect(),
                ended: block.ended,
            }
        })
        .collect();
    Cpuinfo { blocks }
}

// The header on s390 has a line for each CPU (`processor 3: ...`).
fn is_shown(line: &CpuinfoLine, seen: &CpuSet) -> bool {
    match line.key.strip_prefix("processor ").map(str::parse) {
        Some(Ok(cpu)) => seen.contains(crate::base::units::CpuId(cpu)),
        _ => true,
    }
}

/// Shown CPUs by their package (`physical id`): the number of CPUs, and their cores. Each block is
/// read once, for a machine may have thousands.
struct Packages<'host> {
    by_id: HashMap<Option<&'host str>, (usize, BTreeSet<Option<&'host str>>)>,
    /// The number of blocks that were looked at.
    #[cfg(test)]
    steps: std::cell::Cell<usize>,
}

impl<'host> Packages<'host> {
    fn of(shown: &[&'host CpuinfoBlock]) -> Packages<'host> {
        let mut by_id: HashMap<_, (usize, BTreeSet<_>)> = HashMap::new();
        for block in shown.iter().filter(|block| block.cpu.is_some()) {
            let (cpus, cores) = by_id.entry(value(block, "physical id")).or_default();
            *cpus += 1;
            cores.insert(value(block, "core id"));
        }
        Packages {
            by_id,
            #[cfg(test)]
            steps: std::cell::Cell::new(shown.len()),
        }
    }

    // show_cpuinfo in arch/x86/kernel/cpu/proc.c counts the online CPUs and cores of the package.
    fn shown(&self, line: &CpuinfoLine, block: &CpuinfoBlock) -> String {
        let package = || {
            #[cfg(test)]
            self.steps.update(|steps| steps + 1);
            self.by_id.get(&value(block, "physical id"))
        };
        let count = match line.key.as_str() {
            "siblings" => package().map_or(0, |(cpus, _)| *cpus),
            "cpu cores" => package().map_or(0, |(_, cores)| cores.len()),
            "# processors" => self.by_id.values().map(|(cpus, _)| cpus).sum(),
            _ => return line.text.clone(),
        };
        match line.text.split_once(':') {
            Some((key, _)) => format!("{key}: {count}"),
            None => line.text.clone(),
        }
    }
}

fn value<'block>(block: &'block CpuinfoBlock, key: &str) -> Option<&'block str> {
    let line = block.lines.iter().find(|line| line.key == key)?;
    Some(line.value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::Micros,
        facts::{cgroup::Quota, host::parse},
    };

    #[test]
    fn four_times_the_cpus_are_four_times_the_work() {
        let steps = |cpus: u32| {
            let block = |cpu: u32| {
                let (package, core) = (cpu / 64, cpu / 2);
                format!(
                    "processor: {cpu}\nphysical id: {package}\nsiblings: 9\ncore id: {core}\ncpu cores: 9\n\n"
                )
            };
            let host = parse::cpuinfo(&(0..cpus).map(block).collect::<String>());
            let shown: Vec<&CpuinfoBlock> = host.blocks.iter().collect();
            let packages = Packages::of(&shown);
            let lines = |block: &CpuinfoBlock| -> Vec<String> {
                let lines = block.lines.iter();
                lines.map(|line| packages.shown(line, block)).collect()
            };
            let first = shown.iter().map(|block| lines(block)).next();
            assert_eq!(
                first.unwrap()[2..],
                ["siblings: 64", "core id: 0", "cpu cores: 32"]
            );
            let _: Vec<Vec<String>> = shown.iter().map(|block| lines(block)).collect();
            packages.steps.get()
        };
        let (some, many) = (steps(256), steps(1024));
        assert!(
            many <= 4 * some,
            "{some} steps for 256 CPUs, {many} for 1024"
        );
    }

    fn cpu(cpuset: &str, quota: Option<u64>) -> Cpu {
        Cpu {
            cpuset: CpuSet::parse(cpuset).filter(|set| !set.is_empty()),
            quota: quota
                .and_then(|quota| Quota::new(Micros(quota), Micros(100_000)))
                .map_or(Limit::Unlimited, Limit::At),
            ..Cpu::default()
        }
    }

    fn seen_on_eight(cpuset: &str, quota: Option<u64>) -> String {
        seen(&cpu(cpuset, quota), &CpuSet::parse("0-7").unwrap()).to_string()
    }

    #[test]
    fn a_cpuset_keeps_the_hosts_numbers() {
        assert_eq!(seen_on_eight("5,7", None), "5,7");
    }

    #[test]
    fn a_quota_shows_the_first_of_the_allowed() {
        assert_eq!(seen_on_eight("4-7", Some(150_000)), "4-5");
        assert_eq!(seen_on_eight("", Some(1_000)), "0");
        assert_eq!(seen_on_eight("2", Some(900_000)), "2");
    }

    #[test]
    fn a_cpu_that_is_switched_off_is_not_seen() {
        assert_eq!(seen_on_eight("6-9", None), "6-7");
    }

    #[test]
    fn a_cpuset_that_is_all_switched_off_still_leaves_a_cpu() {
        assert_eq!(seen_on_eight("9", Some(100_000)), "0");
    }

    const TWO_PACKAGES: &str = "processor\t: 0\nphysical id\t: 0\nsiblings\t: 4\ncore id\t\t: 0\ncpu cores\t: 2\n\n\
        processor\t: 1\nphysical id\t: 0\nsiblings\t: 4\ncore id\t\t: 0\ncpu cores\t: 2\n\n\
        processor\t: 2\nphysical id\t: 1\nsiblings\t: 4\ncore id\t\t: 0\ncpu cores\t: 2\n\n";

    #[test]
    fn siblings_and_cores_count_what_is_seen_in_the_package() {
        let host = parse::cpuinfo(TWO_PACKAGES);
        let view = cpuinfo(&CpuSet::parse("0-2").unwrap(), &host);
        assert_eq!(view.blocks[0].lines[2], "siblings\t: 2");
        assert_eq!(view.blocks[0].lines[4], "cpu cores\t: 1");
        assert_eq!(view.blocks[2].lines[2], "siblings\t: 1");
    }

    #[test]
    fn header_and_trailer_stay_when_a_cpu_is_hidden() {
        let host =
            parse::cpuinfo("Machine\t: X\n\nprocessor\t: 0\n\nprocessor\t: 1\n\nSerial\t: 7\n");
        let view = cpuinfo(&CpuSet::parse("1").unwrap(), &host);
        let lines: Vec<&str> = view
            .blocks
            .iter()
            .map(|block| block.lines[0].as_str())
            .collect();
        assert_eq!(lines, ["Machine\t: X", "processor\t: 1", "Serial\t: 7"]);
    }

    #[test]
    fn the_header_of_s390_counts_and_lists_what_is_seen() {
        let host = parse::cpuinfo(
            "vendor_id       : IBM\n# processors    : 2\nprocessor 0: version = FF\n\
             processor 1: version = FF\n\ncpu number      : 0\n\ncpu number      : 1\n",
        );
        let view = cpuinfo(&CpuSet::parse("1").unwrap(), &host);
        assert_eq!(
            view.blocks[0].lines[1..],
            ["# processors    : 1", "processor 1: version = FF"]
        );
        assert_eq!(view.blocks.len(), 2);
    }
}
