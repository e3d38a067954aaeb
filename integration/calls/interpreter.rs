//! An interpreter of the instructions that the programs use, on a memory that the test has filled.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a machine computes with bits"
)]

use std::collections::BTreeMap;

const STACK_END: u64 = 0x7000_0000;
const STACK_SIZE: u64 = 512;
/// The maximum number of instructions in one run.
const MAX_STEPS: usize = 10_000;
const EFAULT: i64 = -14;

/// A memory of bytes. A read of a byte that nothing wrote is a failure of the test.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<u64, u8>);

impl Memory {
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        let places = at..;
        self.0.extend(places.zip(bytes.iter().copied()));
    }

    pub(super) fn write_word(&mut self, at: u64, word: u64) {
        self.write(at, &word.to_le_bytes());
    }

    pub(super) fn read(&self, at: u64, size: u64) -> Vec<u8> {
        let byte = |at| self.0.get(&at).copied();
        let bytes =
            (at..at + size).map(|at| byte(at).unwrap_or_else(|| panic!("nothing at {at:#x}")));
        bytes.collect()
    }

    fn read_number(&self, at: u64, size: u64) -> u64 {
        let mut bytes = self.read(at, size);
        bytes.resize(8, 0);
        u64::from_le_bytes(bytes.try_into().unwrap())
    }
}

/// The state of a kernel, from which its functions answer a program.
#[derive(Default)]
pub(super) struct Kernel {
    pub(super) memory: Memory,
    /// The address of the running task.
    pub(super) task: u64,
    /// The nanoseconds since boot.
    pub(super) boot: u64,
    /// The addresses of the values in the map.
    pub(super) map: BTreeMap<u64, u64>,
    /// A write to the caller's buffer fails.
    pub(super) is_write_protected: bool,
}

impl Kernel {
    /// Runs a program with the address of its arguments, and returns the number of instructions.
    pub(super) fn run(&mut self, code: &[u64], arguments: u64) -> usize {
        let mut registers = [0u64; 11];
        registers[1] = arguments;
        registers[10] = STACK_END;
        // What an earlier program left on the stack cannot be read.
        self.memory
            .0
            .retain(|at, _| !(STACK_END - STACK_SIZE..STACK_END).contains(at));
        let mut next = 0;
        for step in 1..=MAX_STEPS {
            let word = code[next];
            next += 1;
            if word as u8 == 0x95 {
                return step;
            }
            if word as u8 == 0x18 {
                registers[usize::from(((word >> 8) & 15) as u8)] =
                    (word >> 32) | (code[next] >> 32 << 32);
                next += 1;
                continue;
            }
            let jump = self.step(word, &mut registers);
            next = next.checked_add_signed(jump).unwrap();
        }
        panic!("the program does not end");
    }

    /// Carries out an instruction, and returns the number of instructions to skip.
    fn step(&mut self, word: u64, registers: &mut [u64; 11]) -> isize {
        let code = word as u8;
        let (to, from) = (
            usize::from(((word >> 8) & 15) as u8),
            usize::from(((word >> 12) & 15) as u8),
        );
        let (offset, constant) = ((word >> 16) as i16, (word >> 32) as i32);
        let operand = match code & 8 {
            0 => i64::from(constant) as u64,
            _ => registers[from],
        };
        let size = |code: u8| [4, 2, 1, 8][usize::from((code >> 3) & 3)];
        let at = |base: u64| base.wrapping_add_signed(offset.into());
        match code & 7 {
            7 => registers[to] = computed(code & 0xf0, registers[to], operand),
            4 => {
                assert_eq!(code, 0xbc, "an operation on 32 bits other than a copy");
                registers[to] = registers[from] & 0xffff_ffff;
            }
            1 => registers[to] = self.memory.read_number(at(registers[from]), size(code)),
            2 | 3 => {
                let number = if code & 7 == 2 {
                    i64::from(constant) as u64
                } else {
                    registers[from]
                };
                let bytes = &number.to_le_bytes()[..size(code) as usize];
                self.memory.write(at(registers[to]), bytes);
            }
            5 if code == 0x85 => self.call(constant, registers),
            5 if code == 0x05 || holds(code & 0xf0, registers[to], operand) => {
                return offset.into();
            }
            5 => {}
            _ => panic!("an unknown instruction {word:#x}"),
        }
        0
    }

    fn call(&mut self, function: i32, registers: &mut [u64; 11]) {
        let [_, first, second, third, ..] = *registers;
        registers[0] = match function {
            1 => {
                let key = self.memory.read_number(second, 8);
                self.map.get(&key).copied().unwrap_or(0)
            }
            36 if self.is_write_protected => EFAULT as u64,
            36 => {
                let bytes = self.memory.read(second, third);
                self.memory.write(first, &bytes);
                0
            }
            112 | 113 => {
                let bytes = self.memory.read(third, second);
                self.memory.write(first, &bytes);
                0
            }
            125 => self.boot,
            158 => self.task,
            _ => panic!("an unknown function {function}"),
        };
        // A call changes its arguments.
        registers[1..6].fill(0xdead_dead_dead_dead);
    }
}

fn computed(how: u8, first: u64, second: u64) -> u64 {
    match how {
        0x00 => first.wrapping_add(second),
        0x10 => first.wrapping_sub(second),
        0x30 => first / second,
        0x40 => first | second,
        0x50 => first & second,
        0x60 => first << second,
        0x70 => first >> second,
        0xa0 => first ^ second,
        0xb0 => second,
        0xc0 => (first as i64 >> second) as u64,
        _ => panic!("an unknown operation {how:#x}"),
    }
}

fn holds(test: u8, first: u64, second: u64) -> bool {
    match test {
        0x10 => first == second,
        0x50 => first != second,
        0xa0 => first < second,
        0xb0 => first <= second,
        0xd0 => first as i64 <= second as i64,
        _ => panic!("an unknown test {test:#x}"),
    }
}
