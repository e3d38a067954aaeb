//! The reader of the demo: a program in a container that reads without a pause and counts.

use std::{
    fs,
    io::{self, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::base::output::print;

/// The line that the reader prints before its first read.
pub(super) const READING: &str = "reading";

/// The file that the reader reads.
pub(super) const FILE: &str = "/proc/meminfo";

/// The result of the reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// The reads, each with an open and a close.
    pub(super) reads: u64,
    /// The reads with an error or another total than the first read.
    pub(super) failed: u64,
    /// The time of the slowest read.
    pub(super) slowest: Duration,
}

impl Count {
    /// Returns the count in a line that [`parse`](Self::parse) takes.
    fn line(self) -> String {
        let micros = self.slowest.as_micros();
        format!("{} {} {micros}\n", self.reads, self.failed)
    }

    /// Parses the line of a count.
    pub(super) fn parse(line: &str) -> Option<Count> {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Count {
            reads: next()?,
            failed: next()?,
            slowest: Duration::from_micros(next()?),
        })
    }
}

/// Reads until standard input has a line or ends, and prints the count.
///
/// # Errors
/// When standard output cannot be written to.
pub fn read_until_told() -> anyhow::Result<()> {
    let is_told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&is_told);
    print(&format!("{READING}\n"))?;
    thread::spawn(move || {
        // An error ends the reader as the end of standard input does.
        let _ = io::stdin().read(&mut [0; 64]);
        teller.store(true, Ordering::Relaxed);
    });
    let mut count = Count::default();
    let first = total();
    while !is_told.load(Ordering::Relaxed) {
        let start = Instant::now();
        let total = total();
        count.slowest = count.slowest.max(start.elapsed());
        count.reads += 1;
        count.failed += u64::from(total.is_none() || total != first);
    }
    Ok(print(&count.line())?)
}

/// Returns the total of memory; `None` if the file cannot be read, or has none.
fn total() -> Option<u64> {
    let text = fs::read_to_string(FILE).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_as_it_was_printed() {
        let count = Count {
            reads: 9,
            failed: 1,
            slowest: Duration::from_micros(10_250),
        };
        assert_eq!(Count::parse(count.line().trim_end()), Some(count));
        assert_eq!(Count::parse("9 1"), None);
        assert_eq!(Count::parse("sh: not found"), None);
    }
}
