//! A task in a cgroup, as the kernel's structures in the interpreter's memory.

use super::{HOST_NAMESPACE, PAGE, interpreter::Kernel};
use plimsoll::{
    base::units::Bytes,
    calls::{offsets::Offsets, value::Published},
};

/// The number by which the kernel stands for no limit: `PAGE_COUNTER_MAX`.
pub(super) const UNLIMITED: u64 = i64::MAX.unsigned_abs() / PAGE;

const TASK: u64 = 0x10_0000;
const NAMESPACES: u64 = 0x12_0000;
const MOUNTS: u64 = 0x13_0000;
const PID: u64 = 0x14_0000;
const SETS: u64 = 0x15_0000;
const REGISTERS: u64 = 0x16_0000;
const ARGUMENTS: u64 = 0x17_0000;
const VALUE: u64 = 0x18_0000;
const CGROUPS: u64 = 0x100_0000;
const CGROUP_SIZE: u64 = 0x10_0000;
/// The buffer of the caller; a 32-bit caller can name it.
pub(super) const BUFFER: u64 = 0x5000_0000;
/// The key of the container.
const KEY: u64 = 4711;

/// The counters of a cgroup, in pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    pub(super) used: u64,
    pub(super) max: u64,
    pub(super) high: u64,
    /// The swap in use; on cgroup v1 memory and swap.
    pub(super) swap_used: u64,
    pub(super) swap_max: u64,
    pub(super) swap_high: u64,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            used: 0,
            max: UNLIMITED,
            high: UNLIMITED,
            swap_used: 0,
            swap_max: UNLIMITED,
            swap_high: UNLIMITED,
        }
    }
}

/// A call that returns, and who made it.
pub(super) struct Caller {
    /// The cgroups from the task's own up to the root.
    pub(super) cgroups: Vec<Counters>,
    /// The index of the container among these.
    pub(super) container: usize,
    pub(super) mount_namespace: u32,
    /// The depth of the task's pid namespace.
    pub(super) pid_level: u32,
    /// The result of the call.
    pub(super) returned: i64,
}

impl Caller {
    /// A task in a container with these cgroups, whose call succeeds.
    pub(super) fn in_container(cgroups: Vec<Counters>) -> Caller {
        Caller {
            cgroups,
            container: 0,
            mount_namespace: HOST_NAMESPACE + 5,
            pid_level: 1,
            returned: 0,
        }
    }

    /// Returns the kernel in the moment of the return, with the container's value in the map, and the address
    /// of the program's arguments.
    pub(super) fn kernel(&self, offsets: &Offsets, value: &Published) -> (Kernel, u64) {
        let mut kernel = Kernel {
            task: TASK,
            ..Kernel::default()
        };
        let mut put = |base: u64, offset: i16, word: u64| {
            kernel
                .memory
                .write_word(base + u64::try_from(offset).unwrap(), word);
        };
        put(TASK, offsets.task_namespaces, NAMESPACES);
        put(NAMESPACES, offsets.mount_namespace, MOUNTS);
        put(MOUNTS, offsets.mount_number, self.mount_namespace.into());
        put(TASK, offsets.task_pid, PID);
        put(PID, offsets.pid_level, self.pid_level.into());
        put(TASK, offsets.task_cgroups, SETS);
        put(SETS, offsets.memory_state, CGROUPS);
        for (index, counters) in (0u64..).zip(&self.cgroups) {
            let state = CGROUPS + index * CGROUP_SIZE;
            let (cgroup, node) = (state + CGROUP_SIZE / 4, state + CGROUP_SIZE / 2);
            let is_last = index + 1 == self.cgroups.len() as u64;
            put(
                state,
                offsets.state_parent,
                if is_last { 0 } else { state + CGROUP_SIZE },
            );
            put(state, offsets.state_cgroup, cgroup);
            put(cgroup, offsets.cgroup_node, node);
            put(node, offsets.node_id, KEY + index);
            put(state, offsets.memory.usage, counters.used);
            put(state, offsets.memory.max, counters.max);
            put(state, offsets.memory.high, counters.high);
            put(state, offsets.swap.usage, counters.swap_used);
            put(state, offsets.swap.max, counters.swap_max);
            put(state, offsets.swap.high, counters.swap_high);
        }
        for registers in [offsets.arguments, offsets.arguments_32] {
            for register in registers {
                // A 32-bit program leaves anything in the upper half.
                put(REGISTERS, register, 0xffff_0000_0000_0000 | BUFFER);
            }
        }
        for register in offsets.arguments {
            put(REGISTERS, register, BUFFER);
        }
        put(ARGUMENTS, 0, REGISTERS);
        put(ARGUMENTS, 8, self.returned.cast_unsigned());
        kernel.memory.write(VALUE, &value.bytes(Bytes(PAGE)));
        kernel.map.insert(KEY + self.container as u64, VALUE);
        (kernel, ARGUMENTS)
    }
}
