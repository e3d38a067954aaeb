//! Pure. The program that the kernel runs at each system call.
//!
//! The program first finds the architecture, then the number of the call in a binary search, so a
//! call costs some ten instructions. Since Linux 5.11 the kernel runs no program for a call that is
//! allowed whatever its arguments (`seccomp_cache_check_allow`, kernel/seccomp.c).

use std::collections::BTreeMap;

use crate::run::seccomp::{
    architecture::{Architecture, PRIVATE, X32_BIT},
    filter::{Action, CallRule, Comparison, Condition, ENOSYS, Filter},
};

/// An instruction of classic BPF: `struct sock_filter` (include/uapi/linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// The operation.
    pub(crate) code: u16,
    /// The number of instructions to skip if the test of a jump holds.
    pub(crate) jump_true: u8,
    /// The number of instructions to skip if the test of a jump does not hold.
    pub(crate) jump_false: u8,
    /// The operand.
    pub(crate) operand: u32,
}

/// The maximum number of instructions of a program (BPF_MAXINSNS).
pub(crate) const MAX_INSTRUCTIONS: usize = 4096;

// The operations (include/uapi/linux/bpf_common.h): a load of a word at a fixed offset, an AND with
// a constant, jumps, and a return of a constant.
const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;

// The offsets in `struct seccomp_data` (include/uapi/linux/seccomp.h). The low half of an argument
// comes first on the machines that this program knows.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const ARGUMENT_SIZE: u32 = 8;
const HIGH_HALF: u32 = 4;

/// Instructions that end in a return, whatever jumps are taken.
type Code = Vec<Instruction>;

/// Returns the program of a filter; `None` if it is too long for the kernel.
pub(crate) fn program(filter: &Filter) -> Option<Vec<Instruction>> {
    let mut kinds: Vec<u32> = filter.architectures.iter().map(|one| one.audit()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let mut code = answer(Action::KillProcess);
    for kind in kinds {
        let mut section = vec![plain(LOAD, NUMBER)];
        section.extend(search(&ranges(filter, kind)));
        code = branch(JUMP_EQUAL, kind, section, code);
    }
    code.insert(0, plain(LOAD, ARCHITECTURE));
    (code.len() <= MAX_INSTRUCTIONS).then_some(code)
}

/// Returns the answers to all numbers of the architectures with this `audit` value: the first number
/// of each range, and the code for the range, in rising order.
fn ranges(filter: &Filter, audit: u32) -> Vec<(u32, Code)> {
    let mut ranges = BTreeMap::new();
    let of_kind = filter.architectures.iter().copied();
    for architecture in of_kind.filter(|one| one.audit() == audit) {
        add_ranges(filter, architecture, &mut ranges);
    }
    // A call of an architecture without rules, which shares its kind with one that has rules.
    for (first, architecture) in [(0, Architecture::X86_64), (X32_BIT, Architecture::X32)] {
        if architecture.audit() == audit {
            let code = answer(Action::KillProcess);
            ranges.entry(first).or_insert(code);
        }
    }
    let mut merged: Vec<(u32, Code)> = Vec::new();
    for (first, code) in ranges {
        if merged.last().is_none_or(|(_, last)| *last != code) {
            merged.push((first, code));
        }
    }
    merged
}

fn add_ranges(filter: &Filter, architecture: Architecture, ranges: &mut BTreeMap<u32, Code>) {
    let calls = architecture.calls();
    let mut rules: BTreeMap<u32, Vec<&CallRule>> = BTreeMap::new();
    for rule in &filter.rules {
        let known = rule.names.iter().filter_map(|name| calls.get(&**name));
        for number in known {
            rules.entry(*number).or_default().push(rule);
        }
    }
    ranges.insert(architecture.first_number(), answer(filter.default));
    let common = ..architecture.first_number() + PRIVATE;
    let last = rules.range(common).next_back().map(|(number, _)| *number);
    for (number, rules) in rules {
        ranges.insert(number, decide(&rules, filter.default));
        // A rule of the next number replaces this end of the range.
        let beyond = match Some(number) == last {
            true => beyond_last(filter.default),
            false => filter.default,
        };
        ranges.insert(number + 1, answer(beyond));
    }
}

/// Returns the answer to a number above every number of a rule. A call that is newer than the rules
/// fails as on an older kernel, so that a C library uses the calls before it; runc does the same
/// (libcontainer/seccomp/patchbpf).
fn beyond_last(default: Action) -> Action {
    match default {
        Action::Allow | Action::Log | Action::Trace(_) => default,
        _ => Action::Errno(ENOSYS),
    }
}

/// Returns the code for one call: the rules with conditions, then the first one without.
fn decide(rules: &[&CallRule], default: Action) -> Code {
    let general = rules.iter().find(|rule| rule.conditions.is_empty());
    let mut code = answer(general.map_or(default, |rule| rule.action));
    let with_conditions = rules.iter().filter(|rule| !rule.conditions.is_empty());
    for rule in with_conditions.rev() {
        let mut decision = answer(rule.action);
        for condition in rule.conditions.iter().rev() {
            decision = test(condition, decision);
        }
        decision.extend(code);
        code = decision;
    }
    code
}

/// Returns `decision` behind a test: if the condition does not hold, the program goes on after
/// `decision`, which holds all tests and the one answer of a rule.
fn test(condition: &Condition, decision: Code) -> Code {
    let offset = FIRST_ARGUMENT + ARGUMENT_SIZE * u32::from(condition.argument);
    let loads = [plain(LOAD, offset + HIGH_HALF), plain(LOAD, offset)];
    // The distance from the last instruction of the test to the code after the decision.
    let skip = u8::try_from(decision.len()).unwrap_or(u8::MAX);
    let mut code = match condition.comparison {
        Comparison::Equal(value) => equal(loads, value, skip),
        Comparison::NotEqual(value) => not_equal(loads, value, skip),
        Comparison::Greater(value) => above(loads, (JUMP_GREATER, value), skip),
        Comparison::GreaterOrEqual(value) => above(loads, (JUMP_GREATER_OR_EQUAL, value), skip),
        Comparison::Less(value) => not_above(loads, (JUMP_GREATER_OR_EQUAL, value), skip),
        Comparison::LessOrEqual(value) => not_above(loads, (JUMP_GREATER, value), skip),
        Comparison::MaskedEqual { mask, value } => masked_equal(loads, (mask, value), skip),
    };
    code.extend(decision);
    code
}

fn equal([high, low]: [Instruction; 2], value: u64, skip: u8) -> Code {
    let (upper, lower) = halves(value);
    vec![
        high,
        jump(JUMP_EQUAL, upper, (0, skip.saturating_add(2))),
        low,
        jump(JUMP_EQUAL, lower, (0, skip)),
    ]
}

fn not_equal([high, low]: [Instruction; 2], value: u64, skip: u8) -> Code {
    let (upper, lower) = halves(value);
    vec![
        high,
        jump(JUMP_EQUAL, upper, (0, 2)),
        low,
        jump(JUMP_EQUAL, lower, (skip, 0)),
    ]
}

/// Returns the test of an argument above `value`, with the jump for the lower halves.
fn above([high, low]: [Instruction; 2], (last, value): (u16, u64), skip: u8) -> Code {
    let (upper, lower) = halves(value);
    vec![
        high,
        jump(JUMP_GREATER, upper, (3, 0)),
        jump(JUMP_EQUAL, upper, (0, skip.saturating_add(2))),
        low,
        jump(last, lower, (0, skip)),
    ]
}

/// Returns the opposite of [`above`].
fn not_above([high, low]: [Instruction; 2], (last, value): (u16, u64), skip: u8) -> Code {
    let (upper, lower) = halves(value);
    vec![
        high,
        jump(JUMP_GREATER, upper, (skip.saturating_add(3), 0)),
        jump(JUMP_EQUAL, upper, (0, 2)),
        low,
        jump(last, lower, (skip, 0)),
    ]
}

fn masked_equal([high, low]: [Instruction; 2], (mask, value): (u64, u64), skip: u8) -> Code {
    let ((upper_mask, lower_mask), (upper, lower)) = (halves(mask), halves(value));
    vec![
        high,
        plain(AND, upper_mask),
        jump(JUMP_EQUAL, upper, (0, skip.saturating_add(3))),
        low,
        plain(AND, lower_mask),
        jump(JUMP_EQUAL, lower, (0, skip)),
    ]
}

/// Returns the upper and the lower 32 bits.
fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
    (
        u32::from_be_bytes([a, b, c, d]),
        u32::from_be_bytes([e, f, g, h]),
    )
}

/// Returns the code that finds the range of the loaded number. The first range begins at 0.
fn search(ranges: &[(u32, Code)]) -> Code {
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    match (lower, upper) {
        (_, []) => answer(Action::KillProcess),
        ([], [(_, code), ..]) => code.clone(),
        (_, [(first, _), ..]) => {
            branch(JUMP_GREATER_OR_EQUAL, *first, search(upper), search(lower))
        }
    }
}

/// Returns the code that goes on with `holds` or `fails`, by a test of the loaded word.
fn branch(code: u16, operand: u32, holds: Code, fails: Code) -> Code {
    let mut all = match u8::try_from(holds.len()) {
        Ok(distance) => vec![jump(code, operand, (0, distance))],
        // A jump by a test reaches 255 instructions, a jump without a test reaches all.
        Err(_) => vec![
            jump(code, operand, (1, 0)),
            plain(JUMP, u32::try_from(holds.len()).unwrap_or(u32::MAX)),
        ],
    };
    all.extend(holds);
    all.extend(fails);
    all
}

fn answer(action: Action) -> Code {
    vec![plain(RETURN, action.value())]
}

fn plain(code: u16, operand: u32) -> Instruction {
    jump(code, operand, (0, 0))
}

/// Returns a jump, with the numbers of instructions to skip if its test holds and if it does not.
fn jump(code: u16, operand: u32, (jump_true, jump_false): (u8, u8)) -> Instruction {
    Instruction {
        code,
        jump_true,
        jump_false,
        operand,
    }
}

/// The kernel's part in a filter, for tests: runs programs.
#[cfg(test)]
pub(crate) mod machine {
    use super::*;

    /// A system call, as a filter sees it.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Call {
        pub(crate) architecture: Architecture,
        pub(crate) number: u32,
        pub(crate) arguments: [u64; 6],
    }

    impl Call {
        /// Returns the call of this name with these first arguments.
        pub(crate) fn named(architecture: Architecture, name: &str, arguments: &[u64]) -> Call {
            let mut all = [0; 6];
            all[..arguments.len()].copy_from_slice(arguments);
            Call {
                architecture,
                number: architecture.calls()[name],
                arguments: all,
            }
        }

        fn word(self, offset: u32) -> u32 {
            match offset {
                NUMBER => self.number,
                ARCHITECTURE => self.architecture.audit(),
                _ => {
                    let index = (offset - FIRST_ARGUMENT) / ARGUMENT_SIZE;
                    let (upper, lower) = halves(self.arguments[index as usize]);
                    match (offset - FIRST_ARGUMENT) % ARGUMENT_SIZE {
                        0 => lower,
                        HIGH_HALF => upper,
                        other => panic!("a load at {other} of an argument"),
                    }
                }
            }
        }
    }

    /// Returns the value that a program returns for a call, and the number of its steps.
    pub(crate) fn run(program: &[Instruction], call: Call) -> (u32, usize) {
        let (mut at, mut loaded, mut steps) = (0, 0, 0);
        loop {
            let one = program[at];
            at += 1;
            steps += 1;
            let mut jump = |holds| {
                let distance = if holds { one.jump_true } else { one.jump_false };
                at += usize::from(distance);
            };
            match one.code {
                LOAD => loaded = call.word(one.operand),
                AND => loaded &= one.operand,
                JUMP => at += one.operand as usize,
                JUMP_EQUAL => jump(loaded == one.operand),
                JUMP_GREATER => jump(loaded > one.operand),
                JUMP_GREATER_OR_EQUAL => jump(loaded >= one.operand),
                RETURN => return (one.operand, steps),
                other => panic!("no operation {other:#x}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{machine::*, *};
    use crate::run::seccomp::filter::EPERM;
    use proptest::prelude::*;

    const ARCHITECTURE: Architecture = Architecture::X86_64;

    fn filter(rules: Vec<CallRule>) -> Filter {
        Filter {
            default: Action::Errno(EPERM),
            architectures: vec![ARCHITECTURE],
            rules,
            logs: false,
        }
    }

    fn rule(name: &'static str, conditions: &[(u8, Comparison)], action: Action) -> CallRule {
        let condition = |(argument, comparison): &(u8, Comparison)| Condition {
            argument: *argument,
            comparison: *comparison,
        };
        CallRule {
            names: vec![name.into()],
            conditions: conditions.iter().map(condition).collect(),
            action,
        }
    }

    fn result(filter: &Filter, name: &str, arguments: &[u64]) -> u32 {
        let call = Call::named(ARCHITECTURE, name, arguments);
        run(&program(filter).unwrap(), call).0
    }

    #[test]
    fn a_call_without_a_rule_gets_the_default_and_a_newer_one_is_unknown() {
        let filter = filter(vec![rule("open", &[], Action::Allow)]);
        let answer = |number| {
            let call = Call {
                architecture: ARCHITECTURE,
                number,
                arguments: [0; 6],
            };
            run(&program(&filter).unwrap(), call).0
        };
        assert_eq!(answer(1), Action::Errno(EPERM).value());
        assert_eq!(answer(2), Action::Allow.value());
        assert_eq!(answer(3), Action::Errno(ENOSYS).value());
        assert_eq!(answer(X32_BIT - 1), Action::Errno(ENOSYS).value());
        // X32 has no rules here.
        assert_eq!(answer(X32_BIT | 2), Action::KillProcess.value());
        assert_eq!(answer(u32::MAX), Action::KillProcess.value());
    }

    #[test]
    fn a_newer_call_is_allowed_where_every_call_is() {
        let mut filter = filter(vec![rule("open", &[], Action::KillProcess)]);
        filter.default = Action::Allow;
        assert_eq!(result(&filter, "open", &[]), Action::KillProcess.value());
        assert_eq!(result(&filter, "mseal", &[]), Action::Allow.value());
    }

    #[test]
    fn another_architecture_ends_the_process() {
        let filter = filter(vec![rule("open", &[], Action::Allow)]);
        let call = Call::named(Architecture::X86, "open", &[]);
        let (answer, _) = run(&program(&filter).unwrap(), call);
        assert_eq!(answer, Action::KillProcess.value());
    }

    #[test]
    fn the_first_rule_whose_conditions_hold_decides() {
        let filter = filter(vec![
            rule("socket", &[], Action::Log),
            rule("socket", &[(0, Comparison::Equal(1))], Action::Allow),
            rule("socket", &[(0, Comparison::Less(3))], Action::Trap),
        ]);
        assert_eq!(result(&filter, "socket", &[1]), Action::Allow.value());
        assert_eq!(result(&filter, "socket", &[2]), Action::Trap.value());
        assert_eq!(result(&filter, "socket", &[3]), Action::Log.value());
    }

    #[test]
    fn every_condition_of_a_rule_must_hold() {
        let conditions = [
            (0, Comparison::GreaterOrEqual(5)),
            (2, Comparison::NotEqual(1 << 40)),
            (5, Comparison::LessOrEqual(7)),
        ];
        let filter = filter(vec![rule("mmap", &conditions, Action::Allow)]);
        let allowed =
            |arguments: [u64; 6]| result(&filter, "mmap", &arguments) == Action::Allow.value();
        assert!(allowed([5, 0, 0, 0, 0, 7]));
        assert!(!allowed([4, 0, 0, 0, 0, 7]));
        assert!(!allowed([5, 0, 1 << 40, 0, 0, 7]));
        assert!(!allowed([5, 0, 0, 0, 0, 8]));
    }

    #[test]
    fn a_jump_reaches_over_more_than_255_instructions() {
        // Neighbours with the same rules would share their code.
        let names = [
            "read", "write", "open", "close", "stat", "fstat", "lstat", "poll",
        ];
        let firsts = names.into_iter().zip((0..).step_by(100));
        let each = |(name, first): (&'static str, u64)| {
            (first..first + 40)
                .map(move |value| rule(name, &[(0, Comparison::Equal(value))], Action::Allow))
        };
        let filter = filter(firsts.clone().flat_map(each).collect());
        assert!(program(&filter).unwrap().len() > 1000);
        for (name, first) in firsts {
            let answer = |value| result(&filter, name, &[value]);
            assert_eq!(answer(first + 39), Action::Allow.value(), "{name}");
            assert_eq!(answer(first + 40), Action::Errno(EPERM).value(), "{name}");
        }
    }

    #[test]
    fn a_program_that_is_too_long_for_the_kernel_is_none() {
        let rules =
            (0..1000).map(|value| rule("read", &[(0, Comparison::Equal(value))], Action::Allow));
        assert_eq!(program(&filter(rules.collect())), None);
    }

    /// Numbers whose halves are often equal or neighbours.
    fn number() -> impl Strategy<Value = u64> {
        let half = prop_oneof![
            0..3u64,
            Just(u64::from(u32::MAX)),
            any::<u32>().prop_map(u64::from)
        ];
        (half.clone(), half).prop_map(|(upper, lower)| upper << 32 | lower)
    }

    proptest! {
        #[test]
        fn a_comparison_is_that_of_64_bits(value in number(), mask in number(), argument in number()) {
            for (comparison, holds) in [
                (Comparison::NotEqual(value), argument != value),
                (Comparison::Less(value), argument < value),
                (Comparison::LessOrEqual(value), argument <= value),
                (Comparison::Equal(value), argument == value),
                (Comparison::GreaterOrEqual(value), argument >= value),
                (Comparison::Greater(value), argument > value),
                (Comparison::MaskedEqual { mask, value }, argument & mask == value),
            ] {
                let filter = filter(vec![rule("ioctl", &[(3, comparison)], Action::Allow)]);
                let allowed = result(&filter, "ioctl", &[0, 0, 0, argument]) == Action::Allow.value();
                prop_assert_eq!(allowed, holds, "{:?} of {:#x}", comparison, argument);
            }
        }
    }
}
