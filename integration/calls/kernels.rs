//! The kernels on which the programs are made.

use super::{KERNELS, fixture, host, offsets};
use plimsoll::{
    calls::{
        btf::Btf,
        offsets::{CallerWidth, Registers},
        programs,
    },
    view::answer::SYSTEM_CALLS,
};

/// The instructions that a program may have: an x86_64 kernel translates each into some bytes of its own.
const MAX_INSTRUCTIONS: usize = 400;

#[test]
fn the_fields_of_each_kernel_are_found() {
    for kernel in KERNELS {
        let offsets = offsets(kernel);
        let counters = [offsets.memory, offsets.swap];
        for counter in counters {
            assert!(counter.usage < counter.max, "{kernel}: {offsets:?}");
        }
        assert!(
            offsets.memory.usage < offsets.swap.usage,
            "{kernel}: {offsets:?}"
        );
        // arch/x86/include/asm/ptrace.h, which no kernel can change.
        assert_eq!(offsets.arguments, [112, 104, 96]);
        assert_eq!(offsets.arguments_32, [40, 88, 96]);
    }
}

#[test]
fn each_kernel_has_the_functions_that_are_the_system_calls() {
    for kernel in KERNELS {
        let btf = Btf::parse(std::fs::read(fixture(kernel)).unwrap()).unwrap();
        for call in SYSTEM_CALLS {
            for width in [CallerWidth::Bits64, CallerWidth::Bits32] {
                let name = call.kernel_name();
                let function = format!("{}{name}", Registers::X86_64.prefix(width));
                let has_it = btf.function(&function).is_ok();
                // A kernel need not run 32-bit programs.
                assert!(
                    has_it || width == CallerWidth::Bits32,
                    "{kernel}: {function}"
                );
            }
        }
    }
}

#[test]
fn the_programs_of_each_kernel_are_short() {
    for kernel in KERNELS {
        for is_v2 in [true, false] {
            for width in [CallerWidth::Bits64, CallerWidth::Bits32] {
                let offsets = offsets(kernel);
                let sysinfo = programs::sysinfo(&offsets, host(is_v2), 3, width).unwrap();
                let affinity = programs::affinity(&offsets, host(is_v2), 3, width).unwrap();
                let lengths = [sysinfo.len(), affinity.len()];
                assert!(
                    lengths.iter().all(|length| *length < MAX_INSTRUCTIONS),
                    "{lengths:?}"
                );
            }
        }
    }
}
