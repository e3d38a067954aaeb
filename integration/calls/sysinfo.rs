//! The program of `sysinfo(2)`: the formula of `/proc/meminfo`, and who gets the kernel's answer.

use super::{
    HOST_NAMESPACE, KERNELS, PAGE, host,
    interpreter::Kernel,
    offsets,
    task::{BUFFER, Caller, Counters, UNLIMITED},
};
use plimsoll::{
    base::units::{Bytes, CpuSet, Limit, Micros},
    calls::{offsets::CallerWidth, programs, value::Published},
    facts::{
        cgroup::{Memory, MemoryLevel, MemoryUse, SwapLevel, SwapLimit},
        host::{Amount, Meminfo, MeminfoLine},
    },
    view::model::memory::{self, CounterBounds, Sizes},
};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

/// The byte of which the kernel's own answer consists.
const KERNELS_OWN: u8 = 0xaa;

fn pages(count: u64) -> Bytes {
    Bytes(count * PAGE)
}

/// A value with these sizes: memory, free memory, swap and free swap in pages.
fn value(sizes: [u64; 4], is_final: bool) -> Published {
    let [total, free, swap_total, swap_free] = sizes.map(pages);
    let memory = CounterBounds {
        total,
        free,
        swap_total,
        swap_free,
        is_final,
    };
    Published {
        seen: CpuSet::parse("0").unwrap(),
        memory,
        shared: pages(3),
        buffers: pages(4),
        loads: Some([5, 6, 7]),
        tasks: 8,
        start: Some(Micros(2_000_000)),
    }
}

/// A value with sizes that bound those of the counters.
fn bounds(sizes: [u64; 4]) -> Published {
    value(sizes, false)
}

/// Runs the program, and returns the caller's buffer.
fn answered(
    caller: &Caller,
    value: &Published,
    width: CallerWidth,
    change: impl FnOnce(&mut Kernel),
) -> Vec<u8> {
    let offsets = offsets("6.12-amd64");
    let (mut kernel, arguments) = caller.kernel(&offsets, value);
    kernel.memory.write(BUFFER, &[KERNELS_OWN; 112]);
    kernel.boot = 5_000_000_000;
    change(&mut kernel);
    let code = programs::sysinfo(&offsets, host(true), 3, width).unwrap();
    kernel.run(&code, arguments);
    kernel.memory.read(BUFFER, 112)
}

fn number(bytes: &[u8], at: usize, size: usize) -> u64 {
    let mut number = bytes[at..at + size].to_vec();
    number.resize(8, 0);
    u64::from_le_bytes(number.try_into().unwrap())
}

fn is_kernels_own(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == KERNELS_OWN)
}

#[test]
fn every_field_is_the_containers() {
    let cgroup = Counters {
        used: 40,
        max: 100,
        ..Counters::default()
    };
    let caller = Caller::in_container(vec![cgroup, Counters::default()]);
    let bytes = answered(
        &caller,
        &bounds([1000, 900, 50, 45]),
        CallerWidth::Bits64,
        |_| {},
    );
    let numbers: Vec<u64> = (0..10).map(|index| number(&bytes, index * 8, 8)).collect();
    let sizes = [100, 60, 3, 4, 50, 45].map(|size| size * PAGE);
    assert_eq!(numbers[..4], [3, 5, 6, 7]);
    assert_eq!(numbers[4..], sizes);
    let high = (number(&bytes, 88, 8), number(&bytes, 96, 8));
    assert_eq!(
        (number(&bytes, 80, 2), high, number(&bytes, 104, 4)),
        (8, (0, 0), 1)
    );
}

#[test]
fn a_32_bit_caller_gets_bytes_or_pages_as_from_the_kernel() {
    let caller = Caller::in_container(vec![Counters::default()]);
    for (total, unit) in [(100, 1), (1 << 20, PAGE)] {
        let value = bounds([total, 50, 20, 10]);
        let bytes = answered(&caller, &value, CallerWidth::Bits32, |_| {});
        let numbers: Vec<u64> = (0..10).map(|index| number(&bytes, index * 4, 4)).collect();
        let sizes = [total, 50, 3, 4, 20, 10].map(|size| size * PAGE / unit);
        assert_eq!(numbers[..4], [3, 5, 6, 7]);
        assert_eq!(numbers[4..], sizes);
        assert_eq!((number(&bytes, 40, 2), number(&bytes, 52, 4)), (8, unit));
        assert!(
            is_kernels_own(&bytes[64..]),
            "more than the structure was written"
        );
    }
}

#[test]
fn a_cgroup_below_the_containers_counts_to_the_container() {
    let limit = |max| Counters {
        max,
        ..Counters::default()
    };
    // The limits of cgroups within a container are the container's own affair.
    let caller = Caller {
        container: 1,
        ..Caller::in_container(vec![limit(10), limit(70), limit(UNLIMITED)])
    };
    let bytes = answered(
        &caller,
        &bounds([1000, 900, 0, 0]),
        CallerWidth::Bits64,
        |_| {},
    );
    assert_eq!(number(&bytes, 32, 8), 70 * PAGE);
}

#[test]
fn a_process_of_the_host_gets_the_kernels_answer() {
    let caller = Caller {
        mount_namespace: HOST_NAMESPACE,
        pid_level: 0,
        ..Caller::in_container(vec![Counters::default()])
    };
    let value = bounds([10, 10, 0, 0]);
    assert!(is_kernels_own(&answered(
        &caller,
        &value,
        CallerWidth::Bits64,
        |_| {}
    )));
    // Only both namespaces together are the host's.
    for (mount_namespace, pid_level) in [(HOST_NAMESPACE, 1), (HOST_NAMESPACE + 1, 0)] {
        let caller = Caller {
            mount_namespace,
            pid_level,
            ..Caller::in_container(vec![Counters::default()])
        };
        assert!(!is_kernels_own(&answered(
            &caller,
            &value,
            CallerWidth::Bits64,
            |_| {}
        )));
    }
}

#[test]
fn without_a_value_or_after_an_error_or_a_lost_page_the_kernels_answer_stays() {
    let value = bounds([10, 10, 0, 0]);
    let answer = |caller: &Caller, change: fn(&mut Kernel)| {
        answered(caller, &value, CallerWidth::Bits64, change)
    };
    let caller = Caller::in_container(vec![Counters::default()]);
    assert!(is_kernels_own(&answer(&caller, |kernel| kernel
        .map
        .clear())));
    assert!(is_kernels_own(&answer(&caller, |kernel| kernel
        .is_write_protected =
        true)));
    let failed = Caller {
        returned: -14,
        ..caller
    };
    assert!(is_kernels_own(&answer(&failed, |_| {})));
}

#[test]
fn a_number_that_is_not_published_stays_the_kernels() {
    let caller = Caller::in_container(vec![Counters::default()]);
    let value = Published {
        loads: None,
        tasks: 0,
        start: None,
        ..bounds([10, 10, 0, 0])
    };
    let bytes = answered(&caller, &value, CallerWidth::Bits64, |_| {});
    assert!(is_kernels_own(&bytes[..32]) && is_kernels_own(&bytes[80..82]));
    assert_eq!(number(&bytes, 32, 8), 10 * PAGE);
}

#[test]
fn a_begun_second_counts_and_a_birth_to_come_is_no_uptime() {
    let caller = Caller::in_container(vec![Counters::default()]);
    let value = bounds([10, 10, 0, 0]);
    for (boot, seconds) in [
        (1_999_999_999, 0),
        (2_000_000_000, 0),
        (2_000_000_001, 1),
        (4_000_000_000, 2),
    ] {
        let bytes = answered(&caller, &value, CallerWidth::Bits64, |kernel| {
            kernel.boot = boot
        });
        assert_eq!(number(&bytes, 0, 8), seconds, "{boot}");
    }
}

#[test]
fn final_sizes_are_the_answer_whatever_the_counters_say() {
    let limited = Counters {
        used: 9,
        max: 9,
        ..Counters::default()
    };
    let caller = Caller::in_container(vec![limited]);
    let value = value([8, 7, 6, 5], true);
    let bytes = answered(&caller, &value, CallerWidth::Bits64, |_| {});
    let sizes = [32, 40, 64, 72].map(|at| number(&bytes, at, 8));
    assert_eq!(sizes, [8, 7, 6, 5].map(|size| size * PAGE));
}

fn limit() -> impl Strategy<Value = u64> {
    prop_oneof![Just(UNLIMITED), 0u64..3000]
}

fn counters() -> impl Strategy<Value = Counters> {
    (0u64..3000, limit(), limit(), 0u64..3000, limit(), limit()).prop_map(
        |(used, max, high, swap_used, swap_max, swap_high)| Counters {
            used,
            max,
            high,
            swap_used,
            swap_max,
            swap_high,
        },
    )
}

/// Returns the facts that the files are made from, in a cgroup with these counters on cgroup v2 or v1.
fn facts(cgroups: &[Counters], is_v2: bool, cache: u64) -> Memory {
    let at = |limit: u64| match limit {
        UNLIMITED => Limit::Unlimited,
        limit => Limit::At(pages(limit)),
    };
    let swap = |counters: &Counters| match is_v2 {
        true => SwapLevel {
            max: SwapLimit::Alone(at(counters.swap_max)),
            high: at(counters.swap_high),
            current: pages(counters.swap_used),
        },
        false => SwapLevel {
            max: SwapLimit::WithMemory(at(counters.swap_max)),
            high: Limit::Unlimited,
            current: pages(counters.swap_used).less(pages(counters.used)),
        },
    };
    let level = |(steps, counters): (usize, &Counters)| MemoryLevel {
        steps,
        max: at(counters.max),
        high: at(counters.high),
        current: pages(counters.used),
        reclaimable: Bytes::ZERO,
        swap: Some(swap(counters)),
    };
    Memory {
        levels: cgroups.iter().enumerate().map(level).collect(),
        usage: MemoryUse {
            file: pages(cache),
            inactive_file: pages(cache),
            ..MemoryUse::default()
        },
        is_unswappable: false,
    }
}

fn machine(sizes: [u64; 4]) -> Meminfo {
    let names = ["MemTotal", "MemAvailable", "SwapTotal", "SwapFree"];
    let line = |(name, size): (&str, u64)| MeminfoLine {
        name: name.to_owned(),
        amount: Amount::Size(pages(size)),
    };
    Meminfo {
        lines: names.into_iter().zip(sizes).map(line).collect(),
        page: Bytes(PAGE),
    }
}

proptest! {
    #[test]
    fn the_program_computes_what_meminfo_shows(
        cgroups in prop::collection::vec(counters(), 1..6),
        is_v2 in any::<bool>(),
        machine_sizes in [1000u64..4000, 0u64..4000, 0u64..4000, 0u64..4000],
        cache in 0u64..3000,
        kernel in prop::sample::select(KERNELS.to_vec()),
    ) {
        let mut cgroups = cgroups;
        for (index, cgroup) in cgroups.iter_mut().enumerate() {
            // A cgroup uses what those within it use.
            cgroup.used += 3000 * index as u64;
            if !is_v2 {
                cgroup.high = UNLIMITED;
                cgroup.swap_high = UNLIMITED;
            }
        }
        let [total, available, swap_total, swap_free] = machine_sizes;
        let (available, swap_free) = (available.min(total), swap_free.min(swap_total));
        let cache = cache.min(cgroups[0].used);
        let host_facts = machine([total, available, swap_total, swap_free]);
        let facts = facts(&cgroups, is_v2, cache);
        let Sizes { total, free, swap_total, swap_free, .. } = memory::sizes(&facts, &[], &host_facts);
        let value = Published {
            memory: memory::bounds(&facts, &[], &host_facts),
            ..bounds([0; 4])
        };
        let offsets = offsets(kernel);
        let caller = Caller::in_container(cgroups);
        let (mut kernel, arguments) = caller.kernel(&offsets, &value);
        kernel.memory.write(BUFFER, &[KERNELS_OWN; 112]);
        let code = programs::sysinfo(&offsets, host(is_v2), 3, CallerWidth::Bits64).unwrap();
        kernel.run(&code, arguments);
        let bytes = kernel.memory.read(BUFFER, 112);
        let answered = [32, 40, 64, 72].map(|at| Bytes(number(&bytes, at, 8)));
        prop_assert_eq!(answered, [total, free, swap_total, swap_free]);
    }
}
