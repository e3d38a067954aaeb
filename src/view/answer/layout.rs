//! Pure. Which files the kernel may cache, and the constant size of `/proc/stat`.
//!
//! The kernel replaces a cached page as a whole, so that a reader sees one moment. But the kernel
//! looks up the file's size apart from the page: a reader during a change of size finds the earlier
//! content with the new size, or the new content with the earlier size. So only a file whose size
//! never changes, or hardly ever, is cached:
//!
//! | file | size |
//! |---|---|
//! | `meminfo` | constant while each number has at most eight digits, because the kernel aligns these; changes when a number passes 95 GiB |
//! | `stat` | constant: the line `intr` has as many interrupts as the other lines leave room for |
//! | `slabinfo` | constant: only the header is served |
//! | `uptime` | changes after 10 s, 100 s, and so on; not cached |
//! | `loadavg`, `swaps`, `cpuinfo` | changes with tasks, swap, clock rates and limits; not cached |
//! | the rest | changes with devices, counts and limits; not cached |
//!
//! A reader during the change of `meminfo` gets a newline too many or too few at the end: a page is
//! full of newlines behind the content (`serve::fuse::reply`). No number is wrong.

use crate::view::{files::File, model::stat::LEGACY_INTERRUPTS};

/// The smallest page size that Linux has: 4096 bytes on most machines, more on some of arm64 and
/// ppc64. Content of that size lies within one page on every machine.
pub(crate) const MIN_PAGE_SIZE: usize = 4096;
// "cpu4095", five columns that a container can fill with eleven digits each, and five of 0.
const CPU_LINE_WIDTH: usize = 78;
// "procs_running" and eleven digits.
const STAT_LINE_WIDTH: usize = 25;
// Digits that each number of meminfo may gain over the machine's own: up to a petabyte.
const MEMINFO_SLACK: usize = 4;

/// Rounds a size in bytes up to whole pages of 4096 bytes, at least one.
pub(super) fn whole_pages(size: usize) -> u64 {
    let pages = size.max(1).next_multiple_of(MIN_PAGE_SIZE);
    u64::try_from(pages).unwrap_or(u64::MAX)
}

/// A file of the machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostFile<'text> {
    /// Content of the file.
    pub(super) text: &'text str,
    /// Number of possible CPUs of the machine.
    pub(super) possible: usize,
    /// Number of CPUs that are online.
    pub(super) online: usize,
}

/// Returns whether the kernel may cache the file of the containers on the machine with the file
/// `host`.
pub(super) fn is_cacheable(file: File, host: HostFile<'_>) -> bool {
    match file {
        File::Meminfo => {
            let lines = host.text.lines().count();
            host.text.len() + lines * MEMINFO_SLACK <= MIN_PAGE_SIZE
        }
        File::Stat => stat_size(host).is_some(),
        File::Slabinfo => true,
        File::Cpuinfo
        | File::Uptime
        | File::Loadavg
        | File::Swaps
        | File::CpuOnline
        | File::Diskstats
        | File::Vmstat
        | File::PressureCpu
        | File::PressureMemory
        | File::PressureIo
        | File::PressureIrq => false,
    }
}

/// Returns the constant size in bytes that `/proc/stat` has in every container of the machine with
/// the file `host`: room for all CPUs, with numbers of eleven digits. `None` if no page has that
/// room, or if no line of the file can be filled.
pub(super) fn stat_size(host: HostFile<'_>) -> Option<usize> {
    let lines = || host.text.lines();
    if !lines().any(|line| line.starts_with("intr ")) {
        return None;
    }
    let others = lines().filter(|line| !line.starts_with("cpu"));
    let others: usize = others
        .map(|line| zeros_width(line).max(STAT_LINE_WIDTH) + 1)
        .sum();
    let of = |cpus: usize| (cpus + 1) * (CPU_LINE_WIDTH + 1) + others;
    match of(host.possible) {
        size if size <= MIN_PAGE_SIZE => Some(size),
        // A virtual machine may have many possible CPUs that nobody ever plugs in.
        _ => (of(host.online) <= MIN_PAGE_SIZE).then_some(MIN_PAGE_SIZE),
    }
}

// The width of a line of /proc/stat that no cgroup counts, with zeros for its numbers.
fn zeros_width(line: &str) -> usize {
    let mut words = line.split(' ');
    match words.next() {
        Some("intr") => "intr".len() + 2 * words.count().min(1 + LEGACY_INTERRUPTS),
        Some(name) => name.len() + 2 * words.count(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(text: &str, possible: usize, online: usize) -> HostFile<'_> {
        HostFile {
            text,
            possible,
            online,
        }
    }

    #[test]
    fn stat_has_a_constant_size_on_machines_whose_cpus_fit_a_page() {
        let stat = "cpu  1\ncpu0 1\nintr 0 0\nctxt 0\n";
        let size = |possible, online| stat_size(machine(stat, possible, online));
        assert!(size(2, 2).unwrap() < 400);
        assert!(size(48, 48).is_some());
        assert_eq!(size(128, 128), None);
        assert_eq!(size(240, 4), Some(MIN_PAGE_SIZE));
    }

    #[test]
    fn stat_without_a_line_that_can_be_filled_is_not_cached() {
        assert_eq!(stat_size(machine("cpu  1\ncpu0 1\nctxt 0\n", 1, 1)), None);
    }

    #[test]
    fn files_whose_size_changes_in_a_quiet_container_are_not_cached() {
        let host = machine("cpu  1\nintr 0 0\n", 2, 2);
        let cached: Vec<&str> = crate::view::files::FILES
            .into_iter()
            .filter(|file| is_cacheable(*file, host))
            .map(File::name)
            .collect();
        assert_eq!(cached, ["meminfo", "stat", "slabinfo"]);
    }

    #[test]
    fn meminfo_that_needs_two_pages_is_not_cached() {
        let line = "MemTotal:       263856264 kB\n";
        assert!(is_cacheable(File::Meminfo, machine(&line.repeat(60), 1, 1)));
        assert!(!is_cacheable(
            File::Meminfo,
            machine(&line.repeat(140), 1, 1)
        ));
    }
}
