//! Pure. The value of a container in the map: what the programs know of the container.
//!
//! Limits and use of the container's cgroups are not in the value: the program of `sysinfo(2)` reads them
//! from the kernel's counters in the moment of the call. The value has the numbers of the machine that bound
//! them, and what no counter holds.

use crate::{
    base::units::{Bytes, CpuSet, Micros},
    view::model::memory::CounterBounds,
};

/// Size of the key, in bytes: the key of the container.
pub const KEY_SIZE: u32 = 8;
/// Size of the value, in bytes.
pub const VALUE_SIZE: usize = 224;
/// The number of CPUs in the mask. The programs leave larger numbers to the kernel.
pub const MASK_CPUS: u32 = 1024;

// Offsets of the fields, which have eight bytes each, but for the mask of the seen CPUs.
pub(super) const SEEN: i16 = 0;
pub(super) const TOTAL: i16 = 128;
pub(super) const FREE: i16 = 136;
pub(super) const SHARED: i16 = 144;
pub(super) const BUFFERS: i16 = 152;
pub(super) const SWAP_TOTAL: i16 = 160;
pub(super) const SWAP_FREE: i16 = 168;
pub(super) const LOADS: i16 = 176;
pub(super) const TASKS: i16 = 200;
pub(super) const START: i16 = 208;
pub(super) const FLAGS: i16 = 216;

/// The flag of sizes that are the answer, whatever the counters of the cgroups say.
pub(super) const FINAL: i32 = 1;
/// The flag of known load averages.
pub(super) const HAS_LOADS: i32 = 2;

/// Value of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Seen CPUs.
    pub seen: CpuSet,
    /// Memory and swap.
    pub memory: CounterBounds,
    /// `Shmem`.
    pub shared: Bytes,
    /// `Buffers`.
    pub buffers: Bytes,
    /// Load averages in the fixed point of `sysinfo(2)`; `None` leaves the kernel's.
    pub loads: Option<[u64; 3]>,
    /// Number of tasks; 0 leaves the kernel's.
    pub tasks: u16,
    /// Moment on the machine's boot clock from which the uptime counts; `None` leaves the kernel's.
    pub start: Option<Micros>,
}

impl Published {
    /// Returns the bytes of the value on a machine with pages of `page`.
    #[must_use]
    pub fn bytes(&self, page: Bytes) -> Vec<u8> {
        let pages = |size: Bytes| size.0 / page.0.max(1);
        let CounterBounds {
            total,
            free,
            swap_total,
            swap_free,
            is_final,
        } = self.memory;
        let memory_flag = if is_final { FINAL } else { 0 };
        let loads_flag = self.loads.map_or(0, |_| HAS_LOADS);
        let flags = u64::from((memory_flag | loads_flag).unsigned_abs());
        let start = self.start.map(|start| start.0.saturating_mul(1000).max(1));
        let sizes = [
            pages(total),
            pages(free),
            self.shared.0,
            self.buffers.0,
            pages(swap_total),
            pages(swap_free),
        ];
        let rest = [u64::from(self.tasks), start.unwrap_or(0), flags];
        let words = mask(&self.seen).into_iter().chain(sizes);
        let words = words.chain(self.loads.unwrap_or_default()).chain(rest);
        words.flat_map(u64::to_ne_bytes).collect()
    }
}

/// Returns the mask of the CPUs below [`MASK_CPUS`].
fn mask(cpus: &CpuSet) -> [u64; 16] {
    let mut mask = [0; 16];
    for cpu in cpus.iter() {
        let word = usize::try_from(cpu.0 / u64::BITS).ok();
        if let Some(word) = word.and_then(|word| mask.get_mut(word)) {
            *word |= 1 << (cpu.0 % u64::BITS);
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], offset: i16) -> u64 {
        let at = usize::try_from(offset).unwrap();
        u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    fn value() -> Published {
        let [total, free, swap_total, swap_free] = [8192, 4096, 12288, 0].map(Bytes);
        Published {
            seen: CpuSet::parse("0,65,1023,1024").unwrap(),
            memory: CounterBounds {
                total,
                free,
                swap_total,
                swap_free,
                is_final: true,
            },
            shared: Bytes(5),
            buffers: Bytes(6),
            loads: Some([7, 8, 9]),
            tasks: 10,
            start: Some(Micros(11)),
        }
    }

    #[test]
    fn each_field_lies_at_its_offset() {
        let bytes = value().bytes(Bytes(4096));
        assert_eq!(bytes.len(), VALUE_SIZE);
        let mask = [SEEN, SEEN + 8, SEEN + 120].map(|at| word(&bytes, at));
        assert_eq!(mask, [1, 2, 1 << 63]);
        let sizes = [TOTAL, FREE, SHARED, BUFFERS, SWAP_TOTAL, SWAP_FREE];
        assert_eq!(sizes.map(|at| word(&bytes, at)), [2, 1, 5, 6, 3, 0]);
        let rest = [LOADS + 16, TASKS, START, FLAGS];
        assert_eq!(rest.map(|at| word(&bytes, at)), [9, 10, 11_000, 3]);
    }

    #[test]
    fn a_container_as_old_as_the_machine_has_a_start() {
        let value = Published {
            start: Some(Micros::ZERO),
            loads: None,
            ..value()
        };
        let bytes = value.bytes(Bytes(4096));
        assert_eq!((word(&bytes, START), word(&bytes, FLAGS)), (1, 1));
    }
}
