//! Pure. `/proc/meminfo` and `/proc/swaps`.

use super::put;
use crate::view::model::memory::{Amount, Meminfo, Swaps};

// Every line of fs/proc/meminfo.c and mm/hugetlb.c ends its number in this column.
const LAST_COLUMN: usize = 24;

/// Writes `/proc/meminfo` (`fs/proc/meminfo.c`).
pub fn meminfo(view: &Meminfo, out: &mut Vec<u8>) {
    for line in &view.lines {
        let (number, unit) = match line.amount {
            Amount::Size(size) => (size.kib(), " kB"),
            Amount::Count(count) => (count, ""),
        };
        let width = LAST_COLUMN.saturating_sub(line.name.len() + 2);
        put(out, format_args!("{}: {number:width$}{unit}\n", line.name));
    }
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
                "{:<40}virtual\t\t{size}\t{}{used}\t{}-2\n",
                "none",
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
                    HugePages_Total:       0\nCmaFree:               0 kB\nActive(anon):      12345 kB\n";
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
        assert_eq!(words, ["none", "virtual", "136314876", "6", "-2"]);
    }

    #[test]
    fn without_swap_only_the_header_stands() {
        let mut out = Vec::new();
        swaps(&Swaps { device: None }, &mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
}
