//! Pure. The layout of a file that the kernel may cache: constant size, lines at constant places,
//! all within one page of memory.
//!
//! The kernel replaces a cached page as a whole, so that a reader sees one moment. But the kernel
//! looks up the file's size apart from the page: after a change of size, a reader sees cut lines,
//! or bytes behind the end. So each line is padded with spaces at its end, which no reader of these
//! files minds.

use crate::view::files::File;

/// The smallest page size that Linux has: 4096 bytes on most machines, more on some of arm64 and
/// ppc64. Content of that size lies within one page on every machine.
const MIN_PAGE_SIZE: usize = 4096;
// A file that would be mostly spaces is better not cached.
const MAX_PADDING: usize = MIN_PAGE_SIZE / 2;
// "cpu4095", five columns that a container can fill with eleven digits each, and five of 0.
const CPU_LINE_WIDTH: usize = 78;
// "procs_running" and eleven digits.
const STAT_LINE_WIDTH: usize = 25;
// Twice ten digits, a point and two more.
const UPTIME_SIZE: usize = 32;
// Three averages, and numbers of tasks up to PID_MAX_LIMIT.
const LOADAVG_SIZE: usize = 56;
// The header, and one device with sizes of eleven digits.
const SWAPS_SIZE: usize = 128;
// "cpu MHz" and the like may have more digits at another moment.
const CPUINFO_SLACK: usize = 8;

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

/// Returns the constant size in bytes that the file has in every container of the machine with the
/// file `host`; `None` for a file that cannot be cached, and 0 if the first answer determines the
/// size.
pub(super) fn padded_size(file: File, host: HostFile<'_>) -> Option<usize> {
    let HostFile {
        text,
        possible,
        online,
    } = host;
    let (size, least) = match file {
        File::Meminfo => {
            let size = meminfo_size(text);
            (size, size)
        }
        File::Uptime => (UPTIME_SIZE, UPTIME_SIZE),
        File::Loadavg => (LOADAVG_SIZE, LOADAVG_SIZE),
        File::Swaps => (SWAPS_SIZE, SWAPS_SIZE),
        // Only the header is served, which does not change.
        File::Slabinfo => (0, 0),
        File::Stat => {
            let others = text.lines().filter(|line| !line.starts_with("cpu"));
            let others: usize = others
                .map(|line| zeros_width(line).max(STAT_LINE_WIDTH) + 1)
                .sum();
            let of = |cpus: usize| (cpus + 1) * (CPU_LINE_WIDTH + 1) + others;
            (of(possible), of(1))
        }
        File::Cpuinfo => {
            let each = text.len().div_ceil(online.max(1)) + CPUINFO_SLACK;
            (each * possible, each)
        }
        File::CpuOnline
        | File::Diskstats
        | File::Vmstat
        | File::PressureCpu
        | File::PressureMemory
        | File::PressureIo
        | File::PressureIrq => return None,
    };
    (size <= MIN_PAGE_SIZE && size - least.min(size) <= MAX_PADDING).then_some(size)
}

// The width of a line of /proc/stat that no cgroup counts, with zeros for its numbers.
fn zeros_width(line: &str) -> usize {
    let mut words = line.split(' ');
    match words.next() {
        Some("intr") | None => 0,
        Some(name) => name.len() + 2 * words.count(),
    }
}

// Lines are as long as the kernel's, or as the machine's whole memory would make them.
fn meminfo_size(text: &str) -> usize {
    let kib = |name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    let largest = kib("MemTotal:") + kib("SwapTotal:");
    let digits = largest.checked_ilog10().unwrap_or(0) as usize + 1;
    let line = |line: &str| {
        let name = line.find(':').map_or(0, |colon| colon + 2);
        let unit = if line.ends_with(" kB") { 3 } else { 0 };
        line.len().max(name + digits + unit) + 1
    };
    text.lines().map(line).sum()
}

/// Pads the text with spaces to `size` bytes, each line at its end. A longer text stays as it is.
pub(super) fn pad(file: File, text: &[u8], size: usize) -> Vec<u8> {
    let ended = text.iter().rev().take_while(|byte| **byte == b'\n').count();
    let (body, end) = text.split_at(text.len() - ended);
    let is_cpu = |line: &[u8]| line.starts_with(b"cpu");
    let width = |line: &[u8]| match file {
        File::Stat if is_cpu(line) => line.len().max(CPU_LINE_WIDTH),
        File::Stat => line.len().max(STAT_LINE_WIDTH),
        _ => line.len(),
    };
    let lines = || body.split(|byte| *byte == b'\n');
    let filled: usize = lines().map(|line| width(line) + 1).sum();
    let mut missing = (size + 1).saturating_sub(filled + end.len());
    // The line that takes the rest: in /proc/stat the last line of a CPU, in place of the lines of
    // unseen CPUs, so that the lines behind it stay at their places; elsewhere the last line.
    let last = match file {
        File::Stat => lines().filter(|line| is_cpu(line)).count(),
        _ => lines().count(),
    };
    let mut out = Vec::with_capacity(filled + missing + end.len());
    for (number, line) in (1..).zip(lines()) {
        if number > 1 {
            out.push(b'\n');
        }
        out.extend_from_slice(line);
        let mut room = width(line) - line.len();
        if number == last {
            room += std::mem::take(&mut missing);
        }
        out.resize(out.len() + room, b' ');
    }
    out.extend_from_slice(end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    fn machine(text: &str, cpus: usize) -> HostFile<'_> {
        HostFile {
            text,
            possible: cpus,
            online: cpus,
        }
    }

    #[test]
    fn spaces_stand_at_the_end_of_the_last_line_that_says_something() {
        assert_eq!(pad(File::Uptime, b"1.00 2.00\n", 12), b"1.00 2.00  \n");
        assert_eq!(pad(File::Cpuinfo, b"a\t: 1\n\n", 9), b"a\t: 1  \n\n");
    }

    #[test]
    fn the_lines_of_stat_stay_at_their_places() {
        let place = |text: &[u8]| {
            let out = pad(File::Stat, text, 500);
            assert_eq!(out.len(), 500);
            String::from_utf8(out).unwrap().find("btime").unwrap()
        };
        let small = place(b"cpu  1 2 3 4\ncpu0 1 2 3 4\nbtime 7\nctxt 1\n");
        let large = place(b"cpu  1 222222 3 44444\ncpu0 1 2 3 4\nbtime 7\nctxt 1\n");
        let more = place(b"cpu  2 4 6 8\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nbtime 7\nctxt 1\n");
        assert_eq!((small, small), (large, more));
    }

    #[test]
    fn what_has_no_room_is_not_cut() {
        assert_eq!(pad(File::Uptime, b"12345\n", 3), b"12345\n");
    }

    #[test]
    fn lines_of_meminfo_have_room_for_all_of_the_machines_memory() {
        let text =
            "MemTotal:       263856264 kB\nMemFree:            1024 kB\nHugePages_Total:       0\n";
        let full =
            "MemTotal:       263856264 kB\nMemFree:       263856264 kB\nHugePages_Total:       0\n";
        assert!(padded_size(File::Meminfo, machine(text, 1)).unwrap() >= full.len());
        assert!(padded_size(File::Meminfo, machine(text, 1)).unwrap() <= full.len() + 4);
    }

    #[test]
    fn stat_and_cpuinfo_are_cached_on_small_machines_only() {
        let stat = "cpu  1\ncpu0 1\nintr 0\nctxt 0\n";
        assert!(padded_size(File::Stat, machine(stat, 2)).is_some());
        assert!(padded_size(File::Stat, machine(stat, 128)).is_none());
        let cpuinfo = "x".repeat(2400);
        assert!(padded_size(File::Cpuinfo, machine(&cpuinfo, 2)).is_some());
        assert!(padded_size(File::Cpuinfo, machine(&cpuinfo.repeat(8), 16)).is_none());
        assert_eq!(padded_size(File::CpuOnline, machine("0-1\n", 2)), None);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_only_spaces_are_added(
            lines in prop::collection::vec("[a-z]{1,5} [0-9]{1,12}", 1..6),
            end in 1usize..3,
            room in 0usize..200,
            is_stat in any::<bool>(),
        ) {
            let text = lines.join("\n") + &"\n".repeat(end);
            let file = if is_stat { File::Stat } else { File::Meminfo };
            let filled = String::from_utf8(pad(file, text.as_bytes(), room)).unwrap();
            let bare: Vec<&str> = filled.lines().map(str::trim_end).collect();
            prop_assert_eq!(bare, text.lines().collect::<Vec<_>>());
        }
    }
}
