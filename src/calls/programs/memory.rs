//! Pure. Memory and swap of a container from the counters of its cgroups, by the formula of `/proc/meminfo`
//! (`view::model::memory`).
//!
//! The walk over the cgroups has no branch but its end, because the kernel follows each way through each round
//! before it accepts a program. Every number of pages is below 2^63, so the sign of a difference tells the less.

use super::{MAX_LEVELS, builder::Builder};
use crate::calls::{
    assembler::{
        Arithmetic, FRAME, JumpTest, KernelFunction, MemoryWidth, R1, R2, R3, R7, R8, R9, Register,
    },
    value,
};

// The slots of the sizes.
pub(super) const TOTAL: i16 = -128;
pub(super) const FREE: i16 = -136;
pub(super) const SWAP_TOTAL: i16 = -144;
pub(super) const SWAP_FREE: i16 = -152;
/// Slot of the number that the kernel copies.
const READ: i16 = -160;
/// Slot of the number of visited cgroups.
const VISITED: i16 = -168;
/// Slot of the use of one cgroup.
const USED: i16 = -176;
/// Slot of the limit of one cgroup.
const MAX: i16 = -184;
/// Slot of the lowest `memory.high`.
const LOWEST_HIGH: i16 = -192;
/// Slot of the lowest limit of memory and swap together (cgroup v1).
const LOWEST_BOTH: i16 = -200;
/// Slot of the swap in use by the container's own cgroup.
const OWN_SWAP: i16 = -208;

/// The sizes, each with its field in the value of a container.
const SIZES: [(i16, i16); 4] = [
    (TOTAL, value::TOTAL),
    (FREE, value::FREE),
    (SWAP_TOTAL, value::SWAP_TOTAL),
    (SWAP_FREE, value::SWAP_FREE),
];

impl Builder<'_> {
    /// Computes the sizes of the container in R7 with the cgroup in R8, in bytes, into their slots.
    pub(super) fn sizes(&mut self) {
        for (slot, field) in SIZES {
            self.load(R1, R7, field);
            self.keep(slot, R1);
        }
        let (bounds, done) = (self.code.target(), self.code.target());
        self.code.load(MemoryWidth::Bytes4, R1, (R7, value::FLAGS));
        self.code.compute(Arithmetic::And, R1, value::FINAL);
        self.code.jump_if(JumpTest::Equal, (R1, 0), bounds);
        self.code.jump(done);
        self.code.place(bounds);
        self.own_swap();
        self.load(R1, R7, value::TOTAL);
        self.keep(LOWEST_HIGH, R1);
        self.code.set(R1, 1);
        self.code.compute(Arithmetic::Left, R1, 62);
        self.keep(LOWEST_BOTH, R1);
        self.walk();
        self.decide();
        self.code.place(done);
        for (slot, _) in SIZES {
            self.load(R1, FRAME, slot);
            let shift = i32::from(self.host.page_shift);
            self.code.compute(Arithmetic::Left, R1, shift);
            self.keep(slot, R1);
        }
    }

    /// Visits the cgroups from R8 up.
    fn walk(&mut self) {
        self.keep(VISITED, 0);
        let (again, top) = (self.code.target_here(), self.code.target());
        self.code.jump_if(JumpTest::Equal, (R8, 0), top);
        self.visit_memory();
        self.visit_swap();
        self.load(R8, R8, self.offsets.state_parent);
        self.load(R1, FRAME, VISITED);
        self.code.compute(Arithmetic::Add, R1, 1);
        self.keep(VISITED, R1);
        self.code.jump_if(JumpTest::Less, (R1, MAX_LEVELS), again);
        self.code.place(top);
    }

    fn visit_memory(&mut self) {
        let counter = self.offsets.memory;
        self.read(R1, counter.usage);
        self.keep(USED, R1);
        self.read(R1, counter.max);
        self.keep(MAX, R1);
        self.lower(TOTAL, R1);
        self.read(R1, counter.high);
        self.lower(LOWEST_HIGH, R1);
        self.load(R2, FRAME, MAX);
        self.lesser(R1, R2);
        self.less_slot(R1, USED);
        self.lower(FREE, R1);
    }

    fn visit_swap(&mut self) {
        let counter = self.offsets.swap;
        self.read(R9, counter.max);
        if !self.host.counts_swap_alone {
            self.lower(LOWEST_BOTH, R9);
            return;
        }
        self.lower(SWAP_TOTAL, R9);
        self.read(R1, counter.usage);
        self.keep(USED, R1);
        self.read(R1, counter.high);
        self.lesser(R1, R9);
        self.less_slot(R1, USED);
        self.lower(SWAP_FREE, R1);
    }

    /// Computes the swap in use by the cgroup in R8 itself.
    fn own_swap(&mut self) {
        if self.host.counts_swap_alone {
            self.read(R1, self.offsets.swap.usage);
        } else {
            self.read(R1, self.offsets.memory.usage);
            self.keep(USED, R1);
            self.read(R1, self.offsets.swap.usage);
            self.less_slot(R1, USED);
        }
        self.keep(OWN_SWAP, R1);
    }

    /// Decides the sizes after the walk.
    fn decide(&mut self) {
        let is_limited = self.code.target();
        self.load(R1, FRAME, TOTAL);
        self.load(R2, R7, value::TOTAL);
        self.code.jump_if(JumpTest::Less, (R1, R2), is_limited);
        self.load(R1, FRAME, LOWEST_HIGH);
        self.keep(TOTAL, R1);
        self.code.place(is_limited);
        self.load(R1, FRAME, TOTAL);
        self.lower(FREE, R1);
        if !self.host.counts_swap_alone {
            self.load(R1, FRAME, LOWEST_BOTH);
            self.less_slot(R1, TOTAL);
            self.lower(SWAP_TOTAL, R1);
        }
        self.load(R1, FRAME, SWAP_TOTAL);
        self.less_slot(R1, OWN_SWAP);
        self.lower(SWAP_FREE, R1);
    }

    /// Reads a counter of the cgroup in R8.
    fn read(&mut self, to: Register, offset: i16) {
        self.set_address(R1, READ);
        self.code.set(R2, 8);
        self.code.set(R3, R8);
        self.code.compute(Arithmetic::Add, R3, i32::from(offset));
        self.code.call(KernelFunction::ReadKernel);
        self.load(to, FRAME, READ);
    }

    /// Sets the register to the lesser of it and `other`. Changes R3.
    fn lesser(&mut self, register: Register, other: Register) {
        self.code.compute(Arithmetic::Subtract, register, other);
        self.code.set(R3, register);
        self.code.compute(Arithmetic::SignedRight, R3, 63);
        self.code.compute(Arithmetic::And, register, R3);
        self.code.compute(Arithmetic::Add, register, other);
    }

    /// Sets the slot to the lesser of it and the register. Changes R2 and R3.
    fn lower(&mut self, slot: i16, register: Register) {
        self.load(R2, FRAME, slot);
        self.lesser(R2, register);
        self.keep(slot, R2);
    }

    /// Subtracts the slot from the register, and keeps 0 where the difference is negative. Changes R2 and R3.
    fn less_slot(&mut self, register: Register, slot: i16) {
        self.load(R2, FRAME, slot);
        self.less(register, R2);
    }

    /// Subtracts, and keeps 0 where the difference is negative. Changes R3.
    pub(super) fn less(&mut self, register: Register, other: Register) {
        self.code.compute(Arithmetic::Subtract, register, other);
        self.code.set(R3, register);
        self.code.compute(Arithmetic::SignedRight, R3, 63);
        self.code.compute(Arithmetic::Xor, R3, -1);
        self.code.compute(Arithmetic::And, register, R3);
    }
}
