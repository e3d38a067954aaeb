//! Pure. The program of `sysinfo(2)`.

use super::{
    HostFacts,
    builder::{Builder, UserCopy},
    memory::{FREE, SWAP_FREE, SWAP_TOTAL, TOTAL},
};
use crate::calls::{
    assembler::{
        Arithmetic, FRAME, JumpTarget, JumpTest, KernelFunction, MemoryWidth, R0, R1, R2, R7, R9,
    },
    offsets::{CallerWidth, Offsets},
    value,
};

/// The slot of the structure.
const STRUCTURE: i16 = -112;

/// `struct sysinfo` of a caller (`include/uapi/linux/sysinfo.h`, `struct compat_sysinfo` in `kernel/sys.c`).
struct Structure {
    /// The width of a number.
    width: MemoryWidth,
    /// The bytes of a number.
    number: i16,
    /// The offset of `procs`.
    tasks: i16,
    /// The offset of `totalhigh`.
    high: i16,
    /// The offset of `mem_unit`.
    unit: i16,
    size: i16,
}

impl Structure {
    fn of(width: CallerWidth) -> Structure {
        match width {
            CallerWidth::Bits64 => Structure {
                width: MemoryWidth::Bytes8,
                number: 8,
                tasks: 80,
                high: 88,
                unit: 104,
                size: 112,
            },
            CallerWidth::Bits32 => Structure {
                width: MemoryWidth::Bytes4,
                number: 4,
                tasks: 40,
                high: 44,
                unit: 52,
                size: 64,
            },
        }
    }

    /// Returns the slot of a number before `procs`.
    fn slot(&self, index: i16) -> i16 {
        STRUCTURE + index * self.number
    }
}

/// Returns the program for callers of that width, which finds the containers in the map with the descriptor
/// `map`; `None` if the program is too long for its jumps.
#[must_use]
pub fn sysinfo(
    offsets: &Offsets,
    host: HostFacts,
    map: i32,
    width: CallerWidth,
) -> Option<Vec<u64>> {
    let mut program = Builder::new(offsets, host);
    let structure = Structure::of(width);
    // The call returns 0, or an error.
    program.load(R2, R1, 8);
    program.leave_if(JumpTest::NotEqual, (R2, 0));
    program.argument(width, 0);
    program.find_container(map);
    let copy = UserCopy {
        slot: STRUCTURE,
        size: i32::from(structure.size).into(),
    };
    program.read_user(&copy);
    program.sizes();
    program.choose_unit(width);
    program.put_sizes(&structure);
    program.put_loads(&structure);
    program.put_tasks(&structure);
    program.put_uptime(&structure);
    program.write_user(&copy);
    program.finish()
}

impl Builder<'_> {
    /// Sets R9 to the number of bits by which sizes are shifted: 0, or the page's for a 32-bit caller who cannot
    /// count the bytes (`do_compat_sysinfo`).
    fn choose_unit(&mut self, width: CallerWidth) {
        self.code.set(R9, 0);
        if width == CallerWidth::Bits64 {
            return;
        }
        let (few, many) = (self.code.target(), self.code.target());
        for slot in [TOTAL, SWAP_TOTAL] {
            self.load(R1, FRAME, slot);
            self.code.compute(Arithmetic::Right, R1, 32);
            self.code.jump_if(JumpTest::NotEqual, (R1, 0), many);
        }
        self.code.jump(few);
        self.code.place(many);
        self.code.set(R9, i32::from(self.host.page_shift));
        self.code.place(few);
    }

    /// Writes the sizes into the structure, in units of 2^R9 bytes.
    fn put_sizes(&mut self, structure: &Structure) {
        for (index, base, offset) in [
            (4, FRAME, TOTAL),
            (5, FRAME, FREE),
            (6, R7, value::SHARED),
            (7, R7, value::BUFFERS),
            (8, FRAME, SWAP_TOTAL),
            (9, FRAME, SWAP_FREE),
        ] {
            self.load(R1, base, offset);
            self.code.compute(Arithmetic::Right, R1, R9);
            let place = (FRAME, structure.slot(index));
            self.code.store(structure.width, place, R1);
        }
        for offset in [structure.high, structure.high + structure.number] {
            let place = (FRAME, STRUCTURE + offset);
            self.code.store(structure.width, place, 0);
        }
        self.code.set(R1, 1);
        self.code.compute(Arithmetic::Left, R1, R9);
        let place = (FRAME, STRUCTURE + structure.unit);
        self.code.store(MemoryWidth::Bytes4, place, R1);
    }

    fn put_loads(&mut self, structure: &Structure) {
        let unknown = self.code.target();
        self.code.load(MemoryWidth::Bytes4, R1, (R7, value::FLAGS));
        self.code.compute(Arithmetic::And, R1, value::HAS_LOADS);
        self.code.jump_if(JumpTest::Equal, (R1, 0), unknown);
        for index in 0..3 {
            self.load(R1, R7, value::LOADS + 8 * index);
            let place = (FRAME, structure.slot(1 + index));
            self.code.store(structure.width, place, R1);
        }
        self.code.place(unknown);
    }

    fn put_tasks(&mut self, structure: &Structure) {
        let unknown = self.jump_if_unknown(value::TASKS);
        let place = (FRAME, STRUCTURE + structure.tasks);
        self.code.store(MemoryWidth::Bytes2, place, R1);
        self.code.place(unknown);
    }

    fn put_uptime(&mut self, structure: &Structure) {
        let unknown = self.jump_if_unknown(value::START);
        self.code.call(KernelFunction::BootClock);
        self.load(R1, R7, value::START);
        self.less(R0, R1);
        // The kernel counts a second that has begun.
        self.code.compute(Arithmetic::Add, R0, 999_999_999);
        self.code.compute(Arithmetic::Divide, R0, 1_000_000_000);
        let place = (FRAME, structure.slot(0));
        self.code.store(structure.width, place, R0);
        self.code.place(unknown);
    }

    /// Loads a field of the value into R1. Returns the target of a jump for a field that is 0.
    fn jump_if_unknown(&mut self, field: i16) -> JumpTarget {
        let unknown = self.code.target();
        self.load(R1, R7, field);
        self.code.jump_if(JumpTest::Equal, (R1, 0), unknown);
        unknown
    }
}
