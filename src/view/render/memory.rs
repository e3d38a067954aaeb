//! Pure. `/proc/meminfo` and `/proc/swaps`.

use super::put;
use crate::view::model::memory::{Amount, Meminfo, MeminfoLine, Swaps};

/// The columns of a line: of the name with its colon, and of the number.
pub(super) type Widths = (usize, usize);

/// Columns of nearly every size: "%8lu" behind the longest usual name.
pub(super) const SIZE_WIDTHS: Widths = (16, 8);
// The counts of huge pages (mm/hugetlb.c), and HardwareCorrupted: "%5lu".
const COUNT_WIDTHS: Widths = (19, 5);
// The path of a device or file that no program in the container can open, as the kernel fills it.
const SWAP_PATH: &str = "/dev/swap";

/// Writes `/proc/meminfo` (`fs/proc/meminfo.c`). A number with more digits than its columns makes
/// the line longer.
pub fn meminfo(view: &Meminfo, out: &mut Vec<u8>) {
    for line in &view.lines {
        let (name_width, _) = SIZE_WIDTHS;
        let widths = match line.amount {
            Amount::Size(_) if line.name.len() < name_width => SIZE_WIDTHS,
            Amount::Size(_) | Amount::Count(_) => COUNT_WIDTHS,
        };
        put_line(line, widths, out);
    }
}

/// Writes a line in those columns.
pub(super) fn put_line(line: &MeminfoLine, (name, number): Widths, out: &mut Vec<u8>) {
    let (value, unit) = match line.amount {
        Amount::Size(size) => (size.kib(), " kB"),
        Amount::Count(count) => (count, ""),
    };
    let blank = name.saturating_sub(line.name.len() + 1);
    put(
        out,
        format_args!("{}:{:blank$}{value:number$}{unit}\n", line.name, ""),
    );
}

/// Writes `/proc/swaps` (`mm/swapfile.c`, `swap_show`).
pub fn swaps(view: &Swaps, out: &mut Vec<u8>) {
    put(
        out,
        format_args!("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    );
    if let Some(sizes) = view.device {
        let size = sizes.swap_total.kib();
        let used = sizes.swap_total.less(sizes.swap_free).kib();
        // The kernel puts a second tab behind a short number.
        let tab = |number: u64| if number < 10_000_000 { "\t" } else { "" };
        put(
            out,
            format_args!(
                "{SWAP_PATH:<40}partition\t{size}\t{}{used}\t{}-2\n",
                tab(size),
                tab(used),
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::units::Bytes, facts::host::parse, view::model::memory::Sizes};

    #[test]
    fn meminfo_is_aligned_as_the_kernel_aligns_it() {
        let text = "MemTotal:       24684584 kB\nHardwareCorrupted:     0 kB\n\
                    HugePages_Total:       0\nCmaFree:               0 kB\nActive(anon):      12345 kB\n\
                    ShadowCallStack:   12345 kB\nMemFree:        263856264 kB\nVmallocTotal:   34359738367 kB\n\
                    HugePages_Free:    123456\n";
        let view = Meminfo {
            lines: parse::meminfo(text).lines,
        };
        let mut out = Vec::new();
        meminfo(&view, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn swap_beyond_a_hundred_gigabytes_keeps_its_digits() {
        let sizes = Sizes {
            swap_total: Bytes::from_kib(136_314_876),
            swap_free: Bytes::from_kib(136_314_870),
            ..Sizes::default()
        };
        let mut out = Vec::new();
        swaps(
            &Swaps {
                device: Some(sizes),
            },
            &mut out,
        );
        let text = String::from_utf8(out).unwrap();
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(words, ["/dev/swap", "partition", "136314876", "6", "-2"]);
    }

    #[test]
    fn without_swap_only_the_header_stands() {
        let mut out = Vec::new();
        swaps(&Swaps { device: None }, &mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
