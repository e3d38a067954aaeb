//! Pure. The instructions of the kernel's BPF machine, put together one by one
//! (`Documentation/bpf/standardization/instruction-set.rst`).
//!
//! Each instruction is a number: the operation in bits 0 to 7, the target register in 8 to 11, the source
//! register in 12 to 15, an offset in 16 to 31, and a constant in 32 to 63.

/// A register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(u8);

/// The result of a call.
pub const R0: Register = Register(0);
/// The first argument of a call, and of the program.
pub const R1: Register = Register(1);
/// The second argument of a call.
pub const R2: Register = Register(2);
/// The third argument of a call.
pub const R3: Register = Register(3);
/// A register that a call does not change.
pub const R6: Register = Register(6);
/// A register that a call does not change.
pub const R7: Register = Register(7);
/// A register that a call does not change.
pub const R8: Register = Register(8);
/// A register that a call does not change.
pub const R9: Register = Register(9);
/// The end of the stack, which grows downwards for 512 bytes.
pub const FRAME: Register = Register(10);

/// The second operand of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// The number in a register.
    Register(Register),
    /// A number, whose sign is extended to 64 bits.
    Constant(i32),
}

impl From<Register> for Operand {
    fn from(register: Register) -> Operand {
        Operand::Register(register)
    }
}

impl From<i32> for Operand {
    fn from(constant: i32) -> Operand {
        Operand::Constant(constant)
    }
}

/// Arithmetic on 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Arithmetic {
    /// Addition.
    Add = 0x00,
    /// Subtraction.
    Subtract = 0x10,
    /// Division without a sign.
    Divide = 0x30,
    /// The bits of either operand.
    Or = 0x40,
    /// The bits of both operands.
    And = 0x50,
    /// A shift to the left.
    Left = 0x60,
    /// A shift to the right that fills with zeros.
    Right = 0x70,
    /// The bits of one operand alone.
    Xor = 0xa0,
    /// A copy of the second operand.
    Set = 0xb0,
    /// A shift to the right that fills with the sign.
    SignedRight = 0xc0,
}

/// A comparison of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum JumpTest {
    /// Both are equal.
    Equal = 0x10,
    /// Both differ.
    NotEqual = 0x50,
    /// The first is less, without a sign.
    Less = 0xa0,
    /// The first is less or equal, without a sign.
    LessOrEqual = 0xb0,
    /// The first is less or equal, with a sign.
    SignedLessOrEqual = 0xd0,
}

/// The bytes that a load or a store moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum MemoryWidth {
    /// Two bytes.
    Bytes2 = 0x08,
    /// Four bytes.
    Bytes4 = 0x00,
    /// Eight bytes.
    Bytes8 = 0x18,
}

/// A function of the kernel that a program may call (`include/uapi/linux/bpf.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum KernelFunction {
    /// `bpf_map_lookup_elem(map, key)`
    MapLookup = 1,
    /// `bpf_probe_write_user(to, from, size)`
    WriteUser = 36,
    /// `bpf_probe_read_user(to, size, from)`
    ReadUser = 112,
    /// `bpf_probe_read_kernel(to, size, from)`
    ReadKernel = 113,
    /// `bpf_ktime_get_boot_ns()`
    BootClock = 125,
    /// `bpf_get_current_task_btf()`
    CurrentTask = 158,
}

/// A place in the program, to which a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JumpTarget(usize);

/// A program in the making.
#[derive(Debug, Default)]
pub struct Assembler {
    code: Vec<u64>,
    targets: Vec<Option<usize>>,
    jumps: Vec<(usize, JumpTarget)>,
}

// Classes of operations (include/uapi/linux/bpf_common.h, bpf.h), and whether the operand is a register.
const ARITHMETIC_64: u8 = 0x07;
const SET_LOW_HALF: u8 = 0xbc;
const JUMP: u8 = 0x05;
const FROM_REGISTER: u8 = 0x08;
const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const STORE_CONSTANT: u8 = 0x62;
const LOAD_NUMBER: u8 = 0x18;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
/// The source register of [`LOAD_NUMBER`] that marks the number as the descriptor of a map.
const MAP_DESCRIPTOR: Register = Register(1);
/// The source register, and the target of instructions that have none.
const NO_REGISTER: Register = Register(0);

impl Assembler {
    fn emit(&mut self, code: u8, registers: (Register, Register), offset: i16, constant: i32) {
        let (to, from) = registers;
        self.code.push(
            u64::from(code)
                | (u64::from(to.0) << 8)
                | (u64::from(from.0) << 12)
                | (u64::from(offset.cast_unsigned()) << 16)
                | (u64::from(constant.cast_unsigned()) << 32),
        );
    }

    /// Adds an instruction with an operand: `code` is the operation with a constant.
    fn emit_with(&mut self, code: u8, to: Register, operand: Operand) {
        match operand {
            Operand::Register(from) => self.emit(code | FROM_REGISTER, (to, from), 0, 0),
            Operand::Constant(constant) => self.emit(code, (to, NO_REGISTER), 0, constant),
        }
    }

    /// Computes `to` and the operand, into `to`.
    pub fn compute(&mut self, how: Arithmetic, to: Register, operand: impl Into<Operand>) {
        self.emit_with(ARITHMETIC_64 | how as u8, to, operand.into());
    }

    /// Copies the operand into `to`.
    pub fn set(&mut self, to: Register, operand: impl Into<Operand>) {
        self.compute(Arithmetic::Set, to, operand);
    }

    /// Copies the lower 32 bits of `from` into `to`, whose upper bits become 0.
    pub fn set_low_half(&mut self, to: Register, from: Register) {
        self.emit(SET_LOW_HALF, (to, from), 0, 0);
    }

    /// Copies a number into `to`. A constant of other instructions above 2^31 would become negative.
    pub fn set_number(&mut self, to: Register, number: u32) {
        self.emit(LOAD_NUMBER, (to, NO_REGISTER), 0, number.cast_signed());
        self.emit(0, (NO_REGISTER, NO_REGISTER), 0, 0);
    }

    /// Copies the address of the map with that descriptor into `to`.
    pub fn set_map(&mut self, to: Register, descriptor: i32) {
        self.emit(LOAD_NUMBER, (to, MAP_DESCRIPTOR), 0, descriptor);
        self.emit(0, (NO_REGISTER, NO_REGISTER), 0, 0);
    }

    /// Loads from the address in `from`, plus the offset.
    pub fn load(&mut self, width: MemoryWidth, to: Register, (from, offset): (Register, i16)) {
        self.emit(LOAD | width as u8, (to, from), offset, 0);
    }

    /// Stores the operand at the address in `to`, plus the offset.
    pub fn store(
        &mut self,
        width: MemoryWidth,
        (to, offset): (Register, i16),
        operand: impl Into<Operand>,
    ) {
        match operand.into() {
            Operand::Register(from) => self.emit(STORE | width as u8, (to, from), offset, 0),
            Operand::Constant(constant) => {
                self.emit(
                    STORE_CONSTANT | width as u8,
                    (to, NO_REGISTER),
                    offset,
                    constant,
                );
            }
        }
    }

    /// Calls a function of the kernel.
    pub fn call(&mut self, function: KernelFunction) {
        let number = i32::from(function as u8);
        self.emit(CALL, (NO_REGISTER, NO_REGISTER), 0, number);
    }

    /// Ends the program.
    pub fn exit(&mut self) {
        self.emit(EXIT, (NO_REGISTER, NO_REGISTER), 0, 0);
    }

    /// Returns a new target without a place.
    pub fn target(&mut self) -> JumpTarget {
        self.targets.push(None);
        JumpTarget(self.targets.len() - 1)
    }

    /// Gives the target the place of the next instruction.
    pub fn place(&mut self, target: JumpTarget) {
        if let Some(place) = self.targets.get_mut(target.0) {
            *place = Some(self.code.len());
        }
    }

    /// Returns a target at the next instruction.
    pub fn target_here(&mut self) -> JumpTarget {
        let target = self.target();
        self.place(target);
        target
    }

    /// Jumps to the target.
    pub fn jump(&mut self, to: JumpTarget) {
        self.jumps.push((self.code.len(), to));
        self.emit(JUMP, (NO_REGISTER, NO_REGISTER), 0, 0);
    }

    /// Jumps to the target if the test of the register and the operand holds.
    pub fn jump_if(
        &mut self,
        test: JumpTest,
        (register, operand): (Register, impl Into<Operand>),
        to: JumpTarget,
    ) {
        self.jumps.push((self.code.len(), to));
        self.emit_with(JUMP | test as u8, register, operand.into());
    }

    /// Returns the program; `None` if a jump leads to a target without a place, or too far.
    #[must_use]
    pub fn finish(mut self) -> Option<Vec<u64>> {
        for (at, target) in self.jumps {
            let place = (*self.targets.get(target.0)?)?;
            // A jump counts from the instruction after it.
            let distance = i64::try_from(place).ok()? - i64::try_from(at).ok()? - 1;
            let distance = i16::try_from(distance).ok()?;
            *self.code.get_mut(at)? |= u64::from(distance.cast_unsigned()) << 16;
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_encoded_as_the_kernel_reads_it() {
        let mut code = Assembler::default();
        code.set(R6, R1);
        code.set(R0, -1);
        code.compute(Arithmetic::Add, R2, 8);
        code.load(MemoryWidth::Bytes8, R7, (R6, 16));
        code.store(MemoryWidth::Bytes4, (FRAME, -8), 0);
        code.store(MemoryWidth::Bytes8, (FRAME, -16), R7);
        code.call(KernelFunction::CurrentTask);
        code.exit();
        assert_eq!(
            code.finish().unwrap(),
            [
                0x0000_0000_0000_16bf,
                0xffff_ffff_0000_00b7,
                0x0000_0008_0000_0207,
                0x0000_0000_0010_6779,
                0x0000_0000_fff8_0a62,
                0x0000_0000_fff0_7a7b,
                0x0000_009e_0000_0085,
                0x0000_0000_0000_0095,
            ]
        );
    }

    #[test]
    fn a_jump_counts_from_the_instruction_after_it() {
        let mut code = Assembler::default();
        let again = code.target_here();
        let end = code.target();
        code.jump_if(JumpTest::Equal, (R1, 0), end);
        code.jump(again);
        code.place(end);
        code.exit();
        let code = code.finish().unwrap();
        assert_eq!(code[0], 0x0000_0000_0001_0115);
        assert_eq!(code[1], 0x0000_0000_fffe_0005);
    }

    #[test]
    fn a_number_and_a_map_take_two_instructions() {
        let mut code = Assembler::default();
        code.set_number(R2, 0xf000_0001);
        code.set_map(R1, 5);
        assert_eq!(
            code.finish().unwrap(),
            [0xf000_0001_0000_0218, 0, 0x0000_0005_0000_1118, 0]
        );
    }

    #[test]
    fn a_jump_to_nowhere_is_no_program() {
        let mut code = Assembler::default();
        let nowhere = code.target();
        code.jump(nowhere);
        assert_eq!(code.finish(), None);
    }
}
