//! Pure. `/proc/vmstat` and the header of `/proc/slabinfo`.

use super::put;

/// Writes `/proc/vmstat` (`mm/vmstat.c`).
pub fn vmstat(view: &[(String, u64)], out: &mut Vec<u8>) {
    for (name, count) in view {
        put(out, format_args!("{name} {count}\n"));
    }
}

/// Writes `/proc/slabinfo` without any slab cache: a cgroup of v2 has no slab caches of its own, and
/// those of v1 are empty since Linux 5.9 (`mm/slab_common.c`).
pub fn slabinfo(header: &[String], out: &mut Vec<u8>) {
    for line in header {
        put(out, format_args!("{line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vmstat_is_a_name_and_a_number_a_line() {
        let mut out = Vec::new();
        vmstat(&[("pgfault".to_owned(), 7)], &mut out);
        slabinfo(&["slabinfo - version: 2.1".to_owned()], &mut out);
        assert_eq!(out, b"pgfault 7\nslabinfo - version: 2.1\n");
    }
}
