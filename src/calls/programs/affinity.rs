//! Pure. The program of `sched_getaffinity(2)`: keeps the seen CPUs of the kernel's mask, if one is there.

use super::{
    HostFacts,
    builder::{Builder, UserCopy},
};
use crate::calls::{
    assembler::{Arithmetic, FRAME, JumpTest, MemoryWidth, R1, R2, R7, R8, R9},
    offsets::{CallerWidth, Offsets},
    value::{MASK_CPUS, SEEN},
};

/// The slot of the mask: the last 128 bytes before the slots that [`Builder`] uses.
const MASK: i16 = -256;
/// The slot of the number of bytes that the kernel has written.
const WRITTEN: i16 = -128;
/// The bytes of the mask in the value of a container.
const MASK_SIZE: i16 = 128;
const _: () = assert!(MASK_SIZE.unsigned_abs() as u32 * 8 == MASK_CPUS);

/// Returns the program for callers of that width, which finds the containers in the map with the descriptor
/// `map`; `None` if the program is too long for its jumps.
#[must_use]
pub fn affinity(
    offsets: &Offsets,
    host: HostFacts,
    map: i32,
    width: CallerWidth,
) -> Option<Vec<u64>> {
    let mut program = Builder::new(offsets, host);
    // The call returns the bytes that it has written, or an error.
    program.load(R9, R1, 8);
    program.leave_if(JumpTest::SignedLessOrEqual, (R9, 0));
    program.argument(width, 2);
    program.keep(WRITTEN, R9);
    program.find_container(map);
    program.load(R9, FRAME, WRITTEN);
    let is_short = program.code.target();
    let size = i32::from(MASK_SIZE);
    program
        .code
        .jump_if(JumpTest::LessOrEqual, (R9, size), is_short);
    program.code.set(R9, size);
    program.code.place(is_short);
    let words = || (0..MASK_SIZE).step_by(8);
    for word in words() {
        program.keep(MASK + word, 0);
    }
    let copy = UserCopy {
        slot: MASK,
        size: R9.into(),
    };
    program.read_user(&copy);
    program.code.set(R8, 0);
    for word in words() {
        program.load(R1, FRAME, MASK + word);
        program.load(R2, R7, SEEN + word);
        program.code.compute(Arithmetic::And, R1, R2);
        let place = (FRAME, MASK + word);
        program.code.store(MemoryWidth::Bytes8, place, R1);
        program.code.compute(Arithmetic::Or, R8, R1);
    }
    // A mask without a CPU is none that a kernel could answer.
    program.leave_if_zero(R8);
    program.write_user(&copy);
    program.finish()
}
