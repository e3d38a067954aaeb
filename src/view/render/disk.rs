//! Pure. `/proc/diskstats`.

use super::put;
use crate::view::model::disk::Disk;

/// Writes `/proc/diskstats` (`block/genhd.c`, `diskstats_show`).
pub fn diskstats(view: &[Disk], out: &mut Vec<u8>) {
    for disk in view {
        let (major, minor) = disk.number;
        put(out, format_args!("{major:4} {minor:7} {}", disk.name));
        for column in &disk.columns {
            put(out, format_args!(" {column}"));
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_written_as_the_kernel_writes_it() {
        let disk = Disk {
            number: (259, 0),
            name: "nvme0n1".to_owned(),
            columns: vec![682, 0, 4],
        };
        let mut out = Vec::new();
        diskstats(&[disk], &mut out);
        assert_eq!(out, b" 259       0 nvme0n1 682 0 4\n");
    }
}
