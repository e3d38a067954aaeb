//! Pure. The block devices that a container sees: the devices it used, with its own requests.
//!
//! | column | meaning |
//! |---|---|
//! | reads, writes, discards completed; sectors of each | requests of the cgroup, over all partitions of the device |
//! | merged, milliseconds, in flight | 0: no cgroup counts them; on v1 the scheduler BFQ does, in kernels that are built to debug it |
//! | flushes | 0: the kernel counts no flush to a cgroup |

use crate::facts::{cgroup::DeviceUse, host};
use std::collections::HashMap;

/// Line of `/proc/diskstats` of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Major and minor number of the device.
    pub number: (u32, u32),
    /// Name of the device.
    pub name: String,
    /// Counts of the columns, as many as the kernel has.
    pub columns: Vec<u64>,
}

// A sector of /proc/diskstats has 512 bytes on every device.
const SECTOR: u64 = 512;

/// Returns `/proc/diskstats`: the machine's devices that the container used.
#[must_use]
pub fn diskstats(devices: &[DeviceUse], host: &[host::Disk]) -> Vec<Disk> {
    let used: HashMap<_, _> = devices.iter().map(|one| (one.number, one)).collect();
    host.iter()
        .filter_map(|disk| {
            let device = used.get(&disk.number)?;
            let mut columns = vec![0; disk.columns];
            // Documentation/admin-guide/iostats.rst counts the columns from 1.
            let known = [
                (1, device.read.requests),
                (3, device.read.bytes.0 / SECTOR),
                (5, device.written.requests),
                (7, device.written.bytes.0 / SECTOR),
                (12, device.discarded.requests),
                (14, device.discarded.bytes.0 / SECTOR),
            ];
            for (column, value) in known {
                if let Some(place) = columns.get_mut(column - 1) {
                    *place = value;
                }
            }
            Some(Disk {
                number: disk.number,
                name: disk.name.clone(),
                columns,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::Bytes,
        facts::{cgroup::Transfers, host::parse},
    };

    #[test]
    fn only_what_the_container_used_is_shown_with_what_it_did() {
        let host =
            parse::diskstats("8 0 sda 9 9 9 9 9 9 9 9 9 9 9\n8 16 sdb 9 9 9 9 9 9 9 9 9 9 9\n");
        let device = DeviceUse {
            number: (8, 16),
            read: Transfers {
                requests: 2,
                bytes: Bytes(1024),
            },
            discarded: Transfers {
                requests: 7,
                bytes: Bytes(512),
            },
            ..DeviceUse::default()
        };
        let view = diskstats(&[device], &host);
        assert_eq!(view.len(), 1);
        assert_eq!(view[0].name, "sdb");
        assert_eq!(view[0].columns, [2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
