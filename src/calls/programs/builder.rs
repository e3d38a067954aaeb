//! Pure. The parts that all programs have: the arguments of the call, the container of the task, the copies from
//! and to the caller's memory.

use super::{HostFacts, MAX_LEVELS};
use crate::calls::{
    assembler::{
        Arithmetic, Assembler, FRAME, JumpTarget, JumpTest, KernelFunction, MemoryWidth, Operand,
        R0, R1, R2, R3, R6, R7, R8, R9, Register,
    },
    offsets::{CallerWidth, Offsets},
};

/// The slot on the stack for the key of the map.
pub(super) const KEY: i16 = -120;

/// A program in the making. R6 is the address of the caller's buffer, R7 the address of the container's value,
/// R8 the memory controller's state of the container's cgroup.
pub(super) struct Builder<'facts> {
    pub(super) code: Assembler,
    pub(super) offsets: &'facts Offsets,
    pub(super) host: HostFacts,
    /// The end of the program, which leaves the kernel's answer.
    pub(super) out: JumpTarget,
}

/// A copy between the stack and the caller's buffer.
pub(super) struct UserCopy {
    /// The slot on the stack.
    pub(super) slot: i16,
    /// The number of bytes.
    pub(super) size: Operand,
}

impl<'facts> Builder<'facts> {
    pub(super) fn new(offsets: &'facts Offsets, host: HostFacts) -> Builder<'facts> {
        let mut code = Assembler::default();
        let out = code.target();
        Builder {
            code,
            offsets,
            host,
            out,
        }
    }

    /// Loads eight bytes.
    pub(super) fn load(&mut self, to: Register, from: Register, offset: i16) {
        self.code.load(MemoryWidth::Bytes8, to, (from, offset));
    }

    /// Stores eight bytes on the stack.
    pub(super) fn keep(&mut self, slot: i16, operand: impl Into<Operand>) {
        self.code.store(MemoryWidth::Bytes8, (FRAME, slot), operand);
    }

    /// Ends the program if the register and the number compare so.
    pub(super) fn leave_if(&mut self, test: JumpTest, (register, number): (Register, i32)) {
        self.code.jump_if(test, (register, number), self.out);
    }

    /// Ends the program if the register is 0.
    pub(super) fn leave_if_zero(&mut self, register: Register) {
        self.leave_if(JumpTest::Equal, (register, 0));
    }

    /// Loads a pointer, and ends the program if the pointer is null.
    fn follow(&mut self, to: Register, from: Register, offset: i16) {
        self.load(to, from, offset);
        self.leave_if_zero(to);
    }

    /// Sets the register to the address of the slot.
    pub(super) fn set_address(&mut self, to: Register, slot: i16) {
        self.code.set(to, FRAME);
        self.code.compute(Arithmetic::Add, to, i32::from(slot));
    }

    /// Sets R6 to an argument of the system call, from the saved registers that the program's first argument
    /// points at.
    pub(super) fn argument(&mut self, width: CallerWidth, index: usize) {
        self.load(R2, R1, 0);
        let all = match width {
            CallerWidth::Bits64 => self.offsets.arguments,
            CallerWidth::Bits32 => self.offsets.arguments_32,
        };
        let offset = all.get(index).copied().unwrap_or_default();
        self.load(R6, R2, offset);
        if width == CallerWidth::Bits32 {
            self.code.set_low_half(R6, R6);
        }
    }

    /// Sets R7 to the value of the running task's container and R8 to the state of its cgroup; ends the program
    /// for a process of the host, and for a task in no cgroup of the map.
    pub(super) fn find_container(&mut self, map: i32) {
        self.code.call(KernelFunction::CurrentTask);
        self.leave_if_host();
        let offsets = self.offsets;
        self.follow(R8, R0, offsets.task_cgroups);
        self.load(R8, R8, offsets.memory_state);
        self.code.set(R9, 0);
        let (again, found) = (self.code.target_here(), self.code.target());
        self.leave_if_zero(R8);
        self.follow(R1, R8, offsets.state_cgroup);
        self.follow(R1, R1, offsets.cgroup_node);
        self.load(R1, R1, offsets.node_id);
        self.keep(KEY, R1);
        self.code.set_map(R1, map);
        self.set_address(R2, KEY);
        self.code.call(KernelFunction::MapLookup);
        self.code.jump_if(JumpTest::NotEqual, (R0, 0), found);
        self.load(R8, R8, offsets.state_parent);
        self.code.compute(Arithmetic::Add, R9, 1);
        self.code.jump_if(JumpTest::Less, (R9, MAX_LEVELS), again);
        self.code.jump(self.out);
        self.code.place(found);
        self.code.set(R7, R0);
    }

    /// Ends the program if the task in R0 is in the host's mount namespace and in the first pid namespace.
    fn leave_if_host(&mut self) {
        let offsets = self.offsets;
        let inside = self.code.target();
        self.follow(R1, R0, offsets.task_namespaces);
        self.follow(R1, R1, offsets.mount_namespace);
        let number = (R1, offsets.mount_number);
        self.code.load(MemoryWidth::Bytes4, R1, number);
        // The numbers of namespaces are above 2^31, which a constant of the comparison cannot be.
        self.code.set_number(R2, self.host.mount_namespace);
        self.code.jump_if(JumpTest::NotEqual, (R1, R2), inside);
        self.follow(R1, R0, offsets.task_pid);
        self.code
            .load(MemoryWidth::Bytes4, R1, (R1, offsets.pid_level));
        self.leave_if_zero(R1);
        self.code.place(inside);
    }

    /// Copies from the caller's buffer to the stack, or ends the program.
    pub(super) fn read_user(&mut self, copy: &UserCopy) {
        self.set_address(R1, copy.slot);
        self.code.set(R2, copy.size);
        self.code.set(R3, R6);
        self.code.call(KernelFunction::ReadUser);
        self.leave_if(JumpTest::NotEqual, (R0, 0));
    }

    /// Copies from the stack to the caller's buffer.
    pub(super) fn write_user(&mut self, copy: &UserCopy) {
        self.code.set(R1, R6);
        self.set_address(R2, copy.slot);
        self.code.set(R3, copy.size);
        self.code.call(KernelFunction::WriteUser);
    }

    /// Returns the program, with its end.
    pub(super) fn finish(mut self) -> Option<Vec<u64>> {
        self.code.place(self.out);
        self.code.set(R0, 0);
        self.code.exit();
        self.code.finish()
    }
}
