//! The content of a file that the kernel may cache: as large as ever, its lines at their places,
//! within one page.
//!
//! A page is replaced as a whole, so its reader sees one moment; but a size that changes is looked
//! up apart from the page, and then the reader sees lines cut short, or what lies behind the end.
//! So lines are filled up with spaces at their ends, which no reader of these files minds.

use super::{AnswerError, Answers};
use crate::{
    base::{sys::ReadError, units::CpuSet},
    facts::{container::Container, host::Machine},
    view::files::{CPUS, FILES, File},
};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// The size of a page on every machine.
const MAX_PADDED_SIZE: usize = 4096;
// A file that would be mostly spaces is better not cached.
const MAX_PADDING: usize = MAX_PADDED_SIZE / 2;
// "cpu4095", five columns that a container can fill with eleven digits each, and five of 0.
const CPU_LINE_WIDTH: usize = 78;
// "procs_running" and eleven digits.
const STAT_LINE_WIDTH: usize = 25;
// Twice ten digits, a point and two more.
const UPTIME_SIZE: usize = 32;
// Three averages, and numbers of tasks up to PID_MAX_LIMIT.
const LOADAVG_SIZE: usize = 56;
const SWAPS_SIZE: usize = 128;
// "cpu MHz" and the like may have more digits at another moment.
const CPUINFO_SLACK: usize = 8;

/// What the machine's own file says, as far as what is served in its place depends on it.
pub(super) fn read_host_text(machine: &Machine, file: File) -> Result<Vec<u8>, ReadError> {
    match file {
        // The rest is no container's, and takes the kernel milliseconds.
        File::Slabinfo => Ok(machine.slabinfo_header()?.concat().into_bytes()),
        _ => machine.bytes(Path::new(file.path())),
    }
}

/// The size that each file always has, by row, if it has one on this machine.
#[derive(Debug)]
pub(super) struct PaddedSizes(Vec<Option<AtomicUsize>>);

impl PaddedSizes {
    /// The sizes on that machine.
    pub(super) fn of(machine: &Machine) -> PaddedSizes {
        let cpus = |list: &str| -> Option<usize> {
            let cpus: CpuSet = machine.list(&format!("{CPUS}/{list}")).ok()?;
            Some(cpus.len())
        };
        let (possible, online) = (cpus("possible"), cpus("online"));
        let constant = |file: File| {
            let text = read_host_text(machine, file).ok()?;
            let host = HostFile {
                text: std::str::from_utf8(&text).ok()?,
                possible: possible?,
                online: online?,
            };
            size(file, host).map(AtomicUsize::new)
        };
        PaddedSizes(FILES.into_iter().map(constant).collect())
    }

    fn size(&self, file: File) -> Option<&AtomicUsize> {
        self.0.get(file.row())?.as_ref()
    }
}

impl Answers {
    /// Whether the file has the same size at every moment, and its lines the same places, so that
    /// the kernel may cache it.
    #[must_use]
    pub fn is_cacheable(&self, file: File) -> bool {
        self.padded_sizes.size(file).is_some()
    }

    /// The size that it always has, in bytes; `None` if it has none, or has not been answered yet
    /// and is not known before.
    #[must_use]
    pub fn padded_size(&self, file: File) -> Option<usize> {
        let size = self.padded_sizes.size(file)?.load(Ordering::Relaxed);
        (size > 0).then_some(size)
    }

    /// The bytes that the container reads from the file: the answer, with spaces at the ends of
    /// lines where its size is always the same.
    ///
    /// # Errors
    /// As for [`Answers::render`].
    pub fn render_padded(&self, file: File, container: &Container) -> Result<Vec<u8>, AnswerError> {
        let bytes = self.render(file, container)?;
        let Some(size) = self.padded_sizes.size(file) else {
            return Ok(bytes);
        };
        let size = match size.fetch_max(bytes.len(), Ordering::Relaxed) {
            // Nothing is known of it before the first time.
            0 => bytes.len(),
            size if size < bytes.len() => {
                tracing::warn!(file = file.path(), "it has become larger than it could");
                bytes.len()
            }
            size => size,
        };
        Ok(fill(file, &bytes, size))
    }
}

/// The machine that a file is about.
#[derive(Debug, Clone, Copy)]
struct HostFile<'text> {
    /// What its own file says.
    text: &'text str,
    /// How many CPUs it can ever have.
    possible: usize,
    /// How many CPUs it has.
    online: usize,
}

/// The size that the file always has in a container on that machine; `None` for a file that cannot
/// be cached there.
fn size(file: File, machine: HostFile<'_>) -> Option<usize> {
    let HostFile {
        text,
        possible,
        online,
    } = machine;
    let (size, least) = match file {
        File::Meminfo => {
            let size = meminfo(text);
            (size, size)
        }
        File::Uptime => (UPTIME_SIZE, UPTIME_SIZE),
        File::Loadavg => (LOADAVG_SIZE, LOADAVG_SIZE),
        File::Swaps => (SWAPS_SIZE, SWAPS_SIZE),
        // Nothing but its header, which does not change.
        File::Slabinfo => (0, 0),
        File::Stat => {
            let others = text.lines().filter(|line| !line.starts_with("cpu"));
            let others: usize = others
                .map(|line| zeros(line).max(STAT_LINE_WIDTH) + 1)
                .sum();
            let of = |cpus: usize| (cpus + 1) * (CPU_LINE_WIDTH + 1) + others;
            (of(possible), of(1))
        }
        File::Cpuinfo => {
            let each = text.len().div_ceil(online.max(1)) + CPUINFO_SLACK;
            (each * possible, each)
        }
        _ => return None,
    };
    (size <= MAX_PADDED_SIZE && size - least.min(size) <= MAX_PADDING).then_some(size)
}

// A line of /proc/stat that nobody counts by cgroup.
fn zeros(line: &str) -> usize {
    let mut words = line.split(' ');
    match words.next() {
        Some("intr") | None => 0,
        Some(name) => name.len() + 2 * words.count(),
    }
}

// Lines are as long as the kernel's, or as the machine's whole memory would make them.
fn meminfo(text: &str) -> usize {
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

/// Fills the text up with spaces to that size, each line at its end; one that is longer already
/// stays as it is.
fn fill(file: File, text: &[u8], size: usize) -> Vec<u8> {
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
    // The room of CPUs that are not seen, so that what follows them stays at its place; or of
    // whatever the last line may say more.
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
        assert_eq!(fill(File::Uptime, b"1.00 2.00\n", 12), b"1.00 2.00  \n");
        assert_eq!(fill(File::Cpuinfo, b"a\t: 1\n\n", 9), b"a\t: 1  \n\n");
    }

    #[test]
    fn the_lines_of_stat_stay_at_their_places() {
        let place = |text: &[u8]| {
            let out = fill(File::Stat, text, 500);
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
        assert_eq!(fill(File::Uptime, b"12345\n", 3), b"12345\n");
    }

    #[test]
    fn lines_of_meminfo_have_room_for_all_of_the_machines_memory() {
        let text =
            "MemTotal:       263856264 kB\nMemFree:            1024 kB\nHugePages_Total:       0\n";
        let full =
            "MemTotal:       263856264 kB\nMemFree:       263856264 kB\nHugePages_Total:       0\n";
        assert!(size(File::Meminfo, machine(text, 1)).unwrap() >= full.len());
        assert!(size(File::Meminfo, machine(text, 1)).unwrap() <= full.len() + 4);
    }

    #[test]
    fn stat_and_cpuinfo_are_cached_on_small_machines_only() {
        let stat = "cpu  1\ncpu0 1\nintr 0\nctxt 0\n";
        assert!(size(File::Stat, machine(stat, 2)).is_some());
        assert!(size(File::Stat, machine(stat, 128)).is_none());
        let cpuinfo = "x".repeat(2400);
        assert!(size(File::Cpuinfo, machine(&cpuinfo, 2)).is_some());
        assert!(size(File::Cpuinfo, machine(&cpuinfo.repeat(8), 16)).is_none());
        assert_eq!(size(File::CpuOnline, machine("0-1\n", 2)), None);
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
            let filled = String::from_utf8(fill(file, text.as_bytes(), room)).unwrap();
            let bare: Vec<&str> = filled.lines().map(str::trim_end).collect();
            prop_assert_eq!(bare, text.lines().collect::<Vec<_>>());
        }
    }
}
