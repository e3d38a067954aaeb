//! The program of `sched_getaffinity(2)`: the seen CPUs of the kernel's mask.

use super::{
    host, offsets,
    task::{BUFFER, Caller, Counters},
};
use plimsoll::{
    base::units::{Bytes, CpuId, CpuSet},
    calls::{offsets::CallerWidth, programs, value::Published},
    view::model::{self, memory::CounterBounds},
};
use proptest::prelude::{Strategy, prop, prop_assert_eq, proptest};

/// The bytes of the caller's buffer: more than the programs change.
const BUFFER_SIZE: usize = 256;

fn mask(cpus: &CpuSet) -> Vec<u8> {
    let mut mask = vec![0; BUFFER_SIZE];
    for cpu in cpus.iter() {
        mask[cpu.0 as usize / 8] |= 1 << (cpu.0 % 8);
    }
    mask
}

/// Runs the program after the kernel has written so many bytes of the mask of the CPUs `allowed`. Returns the
/// mask that the caller finds.
fn answered(allowed: &CpuSet, seen: &CpuSet, written: i64, width: CallerWidth) -> Vec<u8> {
    let offsets = offsets("6.12-amd64");
    let value = Published {
        seen: seen.clone(),
        memory: CounterBounds {
            total: Bytes::ZERO,
            free: Bytes::ZERO,
            swap_total: Bytes::ZERO,
            swap_free: Bytes::ZERO,
            is_final: false,
        },
        shared: Bytes::ZERO,
        buffers: Bytes::ZERO,
        loads: None,
        tasks: 0,
        start: None,
    };
    let caller = Caller {
        returned: written,
        ..Caller::in_container(vec![Counters::default()])
    };
    let (mut kernel, arguments) = caller.kernel(&offsets, &value);
    kernel.memory.write(BUFFER, &mask(allowed));
    let code = programs::affinity(&offsets, host(true), 3, width).unwrap();
    kernel.run(&code, arguments);
    kernel.memory.read(BUFFER, BUFFER_SIZE as u64)
}

fn cpus(max: u32) -> impl Strategy<Value = CpuSet> {
    let cpu = (0..max).prop_map(CpuId);
    prop::collection::vec(cpu, 1..20).prop_map(|cpus| cpus.into_iter().collect())
}

proptest! {
    #[test]
    fn the_program_answers_what_the_view_says(
        allowed in cpus(1024), seen in cpus(1024), few in cpus(70), is_small in proptest::bool::ANY,
    ) {
        let seen = if is_small { few } else { seen };
        let expected = model::cpu::affinity(&allowed, &seen);
        for width in [CallerWidth::Bits64, CallerWidth::Bits32] {
            prop_assert_eq!(answered(&allowed, &seen, 128, width), mask(&expected));
        }
    }
}

#[test]
fn only_the_bytes_that_the_kernel_wrote_change() {
    let all: CpuSet = CpuSet::parse("0-127").unwrap();
    let seen = CpuSet::parse("1,64").unwrap();
    let found = answered(&all, &seen, 8, CallerWidth::Bits64);
    assert_eq!(found, mask(&CpuSet::parse("1,64-127").unwrap()));
}

#[test]
fn cpus_above_the_mask_of_the_programs_stay_the_kernels() {
    let all = CpuSet::parse("0-3,1024-1030").unwrap();
    let found = answered(&all, &CpuSet::parse("2").unwrap(), 256, CallerWidth::Bits64);
    assert_eq!(found, mask(&CpuSet::parse("2,1024-1030").unwrap()));
}

#[test]
fn an_error_of_the_call_stays() {
    let all = CpuSet::parse("0-3").unwrap();
    let found = answered(&all, &CpuSet::parse("2").unwrap(), -22, CallerWidth::Bits64);
    assert_eq!(found, mask(&all));
}
