//! The properties that every view has for any facts.

use plimsoll::{
    base::units::{Bytes, CpuId, CpuSet, Limit, Micros},
    facts::{
        cgroup::{
            AncestorThrottle, Cpu, CpuUse, Memory, MemoryLevel, MemoryUse, Quota, SwapLevel,
            SwapLimit,
        },
        host::{self, Amount, MeminfoLine},
    },
    view::{
        model::{
            self,
            load::Tasks,
            stat::{Clock, Times},
            time::Birth,
        },
        render,
    },
};
use proptest::prelude::{
    Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

const SIZES: [&str; 7] = [
    "MemTotal",
    "MemFree",
    "MemAvailable",
    "Cached",
    "SwapTotal",
    "SwapFree",
    "CommitLimit",
];

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![0u64..=1 << 20, 0u64..=1 << 40, any::<u64>()].prop_map(Bytes)
}

fn limit() -> impl Strategy<Value = Limit<Bytes>> {
    prop_oneof![Just(Limit::Unlimited), bytes().prop_map(Limit::At)]
}

pub(super) fn machine() -> impl Strategy<Value = host::Meminfo> {
    prop::collection::vec(bytes(), SIZES.len()).prop_map(|sizes| host::Meminfo {
        lines: SIZES
            .iter()
            .zip(sizes)
            .map(|(name, size)| MeminfoLine {
                name: (*name).to_owned(),
                // The kernel prints whole KiB.
                amount: Amount::Size(Bytes::from_kib(size.kib())),
            })
            .collect(),
        ..host::Meminfo::default()
    })
}

fn level() -> impl Strategy<Value = MemoryLevel> {
    let max = prop_oneof![
        limit().prop_map(SwapLimit::Alone),
        limit().prop_map(SwapLimit::WithMemory),
    ];
    let swap =
        (max, limit(), bytes()).prop_map(|(max, high, current)| SwapLevel { max, high, current });
    (limit(), bytes(), bytes(), prop::option::of(swap)).prop_map(
        |(max, current, reclaimable, swap)| MemoryLevel {
            steps: 0,
            max,
            high: Limit::Unlimited,
            current,
            reclaimable,
            swap,
        },
    )
}

pub(super) fn memory() -> impl Strategy<Value = Memory> {
    let usage = (bytes(), bytes(), bytes()).prop_map(|(anon, file, slab)| MemoryUse {
        anon,
        file,
        inactive_file: file,
        slab_reclaimable: slab,
        ..MemoryUse::default()
    });
    (prop::collection::vec(level(), 0..5), usage).prop_map(|(levels, usage)| Memory {
        levels,
        usage,
        is_unswappable: false,
    })
}

pub(super) fn cpus() -> impl Strategy<Value = CpuSet> {
    prop::collection::vec((0u32..64).prop_map(CpuId), 1..9)
        .prop_map(|cpus| cpus.into_iter().collect())
}

/// The events from one read to the next: time passes, CPUs come and go, the container works and is
/// throttled.
#[derive(Debug, Clone)]
struct Step {
    seen: CpuSet,
    elapsed: u64,
    user: u64,
    system: u64,
    throttled: u64,
    siblings: u64,
}

fn step() -> impl Strategy<Value = Step> {
    (
        cpus(),
        0u64..3_000_000,
        0u64..9_000_000,
        0u64..9_000_000,
        0u64..9_000_000,
        0u64..9_000_000,
    )
        .prop_map(|(seen, elapsed, user, system, throttled, siblings)| Step {
            seen,
            elapsed,
            user,
            system,
            throttled,
            siblings,
        })
}

/// Returns the facts and the moment after a step.
fn after(step: &Step, usage: &CpuUse, now: Micros) -> (CpuUse, Micros) {
    let above = usage.above.first().copied().unwrap_or_default();
    let used = Micros(step.user).plus(Micros(step.system));
    let usage = CpuUse {
        above: vec![AncestorThrottle {
            steps: 1,
            throttled: above.throttled.plus(Micros(step.throttled)),
            used: above.used.plus(used).plus(Micros(step.siblings)),
        }],
        user: usage.user.plus(Micros(step.user)),
        system: usage.system.plus(Micros(step.system)),
        throttled: usage.throttled.plus(Micros(step.throttled)),
        ..CpuUse::default()
    };
    (usage, now.plus(Micros(step.elapsed)))
}

fn busy(times: &Times) -> Micros {
    times.user.plus(times.nice).plus(times.system)
}

fn all(times: &Times) -> Micros {
    busy(times).plus(times.idle).plus(times.steal)
}

fn grew(before: &Times, now: &Times) -> bool {
    now.user >= before.user
        && now.nice >= before.nice
        && now.system >= before.system
        && now.idle >= before.idle
        && now.steal >= before.steal
}

proptest! {
    #[test]
    fn free_is_at_most_available_and_that_at_most_the_total(memory in memory(), host in machine()) {
        let sizes = model::memory::sizes(&memory, &[], &host);
        prop_assert!(sizes.free <= sizes.available);
        prop_assert!(sizes.available <= sizes.total);
        prop_assert!(sizes.total <= host.size("MemTotal"));
        prop_assert!(sizes.swap_free <= sizes.swap_total);
        prop_assert!(sizes.swap_total <= host.size("SwapTotal"));
    }

    #[test]
    fn memory_high_bounds_what_is_available_and_never_more_than_a_limit_the_total(
        memory in memory(), host in machine(), at in any::<prop::sample::Index>(), high in bytes(),
    ) {
        let before = model::memory::sizes(&memory, &[], &host);
        let mut memory = memory;
        if !memory.levels.is_empty() {
            let level = at.index(memory.levels.len());
            memory.levels[level].high = Limit::At(high);
        }
        let after = model::memory::sizes(&memory, &[], &host);
        prop_assert!(after.available <= before.available);
        prop_assert!(after.free <= before.free);
        prop_assert!(after.total == before.total || after.total == high);
        prop_assert!(memory.levels.is_empty() || after.available <= high);
    }

    #[test]
    fn lowering_a_limit_never_raises_a_total(
        memory in memory(),
        host in machine(),
        at in any::<prop::sample::Index>(),
        lowered in bytes(),
    ) {
        let before = model::memory::sizes(&memory, &[], &host);
        let mut memory = memory;
        if !memory.levels.is_empty() {
            let level = at.index(memory.levels.len());
            let level = &mut memory.levels[level];
            level.max = level.max.stricter(Limit::At(lowered));
        }
        let after = model::memory::sizes(&memory, &[], &host);
        prop_assert!(after.total <= before.total);
        prop_assert!(after.available <= before.available);
        prop_assert!(after.free <= before.free);
        // On v1 less memory can mean more swap, because memory and swap share a limit.
        let both = |sizes: model::memory::Sizes| sizes.total.plus(sizes.swap_total);
        prop_assert!(both(after) <= both(before));
    }

    #[test]
    fn while_its_own_limit_binds_what_a_container_takes_is_used(
        max in 1u64..1 << 30, used in 0u64..1 << 30, more in 0u64..1 << 20,
    ) {
        let host = host::parse::meminfo(
            "MemTotal: 99999999 kB\nMemAvailable: 99999999 kB\nSwapTotal: 0 kB\n",
        );
        let under = |current: u64| Memory {
            levels: vec![MemoryLevel {
                steps: 0,
                max: Limit::At(Bytes(max)),
                current: Bytes(current.min(max)),
                ..MemoryLevel::default()
            }],
            ..Memory::default()
        };
        let before = model::memory::sizes(&under(used), &[], &host);
        let after = model::memory::sizes(&under(used + more), &[], &host);
        let taken = (used + more).min(max) - used.min(max);
        prop_assert_eq!(before.available.less(after.available), Bytes(taken));
        prop_assert_eq!(before.total, after.total);
    }

    #[test]
    fn a_rendered_meminfo_is_parsed_back(memory in memory(), host in machine()) {
        let view = model::memory::meminfo(&memory, &[], &host);
        let mut out = Vec::new();
        render::memory::meminfo(&view, &mut out);
        let read = host::parse::meminfo(std::str::from_utf8(&out).unwrap());
        for (line, read) in view.lines.iter().zip(&read.lines) {
            prop_assert_eq!(&line.name, &read.name);
            if let (Amount::Size(size), Amount::Size(read)) = (line.amount, read.amount) {
                prop_assert_eq!(size.kib(), read.kib());
            }
        }
        prop_assert_eq!(view.lines.len(), read.lines.len());
    }

    #[test]
    fn the_seen_cpus_are_some_of_the_hosts(
        online in cpus(), cpuset in prop::option::of(cpus()), quota in 1u64..2_000_000,
    ) {
        let quota = Quota::new(Micros(quota), Micros(100_000)).unwrap();
        let cpu = Cpu { cpuset, quota: Limit::At(quota), ..Cpu::default() };
        let seen = model::cpu::seen(&cpu, &online);
        prop_assert!(!seen.is_empty());
        prop_assert!(seen.iter().all(|cpu| online.contains(cpu)));
        prop_assert!(seen.len() <= quota.cpus());
    }

    #[test]
    fn every_file_shows_the_same_cpus(online in cpus(), quota in 1u64..2_000_000) {
        let text: String = online.iter().map(|cpu| format!("processor\t: {}\n\n", cpu.0)).collect();
        let quota = Quota::new(Micros(quota), Micros(100_000)).map_or(Limit::Unlimited, Limit::At);
        let cpu = Cpu { quota, ..Cpu::default() };
        let seen = model::cpu::seen(&cpu, &online);

        let mut list = Vec::new();
        render::cpu::list(&seen, &mut list);
        let listed = CpuSet::parse(std::str::from_utf8(&list).unwrap());
        prop_assert_eq!(listed, Some(seen.clone()));

        let mut cpuinfo = Vec::new();
        let view = model::cpu::cpuinfo(&seen, &host::parse::cpuinfo(&text));
        render::cpu::cpuinfo(&view, &mut cpuinfo);
        let blocks = host::parse::cpuinfo(std::str::from_utf8(&cpuinfo).unwrap()).blocks;
        let shown: CpuSet = blocks.iter().filter_map(|block| block.cpu).collect();
        prop_assert_eq!(&shown, &seen);

        let mut stat = Vec::new();
        let clock = Clock::started(&seen, &CpuUse::default(), Micros::SECOND, Micros::SECOND);
        let host = host::parse::stat("cpu  1 2 3 4 5 6 7 8 9 10\nbtime 5\n");
        let view =
            model::stat::stat(&clock, &Tasks::default(), Birth::Started(Micros::ZERO), &host);
        render::stat::stat(&view, &mut stat);
        let read = host::parse::stat(std::str::from_utf8(&stat).unwrap());
        prop_assert_eq!(read.cpus.into_iter().collect::<CpuSet>(), seen);
        prop_assert_eq!(read.columns, 10);
    }

    #[test]
    fn no_counter_runs_backwards(steps in prop::collection::vec(step(), 1..12)) {
        let (mut usage, mut now) = (CpuUse::default(), Micros::SECOND);
        let mut clock = Clock::started(&steps[0].seen, &usage, Micros::ZERO, now);
        let mut last = std::collections::BTreeMap::<CpuId, Times>::new();
        for step in &steps {
            (usage, now) = after(step, &usage, now);
            let next = clock.at(&step.seen, &usage, now);
            prop_assert!(grew(&clock.total(), &next.total()));
            for (cpu, times) in next.cpus() {
                if let Some(before) = last.insert(cpu, times) {
                    prop_assert!(grew(&before, &times));
                }
            }
            clock = next;
        }
    }

    #[test]
    fn steal_is_at_most_the_time_for_which_quotas_throttled_the_container(
        seen in cpus(), steps in prop::collection::vec(step(), 1..8),
    ) {
        let (mut usage, mut now) = (CpuUse::default(), Micros::SECOND);
        let mut clock = Clock::started(&seen, &usage, Micros::ZERO, now);
        let mut throttled = Micros::ZERO;
        for step in &steps {
            (usage, now) = after(step, &usage, now);
            clock = clock.at(&seen, &usage, now);
            throttled = throttled.plus(Micros(step.throttled));
            // The container's own quota and that of an ancestor.
            prop_assert!(clock.total().steal <= throttled.times(2));
        }
    }

    #[test]
    fn the_line_of_all_cpus_is_the_sum_of_their_lines(seen in cpus(), step in step()) {
        let (usage, now) = after(&step, &CpuUse::default(), Micros::SECOND);
        let clock = Clock::started(&seen, &usage, now, now);
        let host = host::parse::stat("cpu  1 2 3 4 5 6 7 8 9 10\n");
        let view = model::stat::stat(&clock, &Tasks::default(), Birth::Offset(0), &host);
        let mut out = Vec::new();
        render::stat::stat(&view, &mut out);
        let text = String::from_utf8(out).unwrap();
        let column = |line: &str, at: usize| -> u64 {
            line.split_whitespace().nth(at).unwrap().parse().unwrap()
        };
        for at in 1..=10 {
            let sum: u64 = text.lines().skip(1).map(|line| column(line, at)).sum();
            prop_assert_eq!(column(text.lines().next().unwrap(), at), sum);
        }
    }

    #[test]
    fn a_cpus_columns_grow_by_the_time_that_passed(
        seen in cpus(), steps in prop::collection::vec(step(), 1..8),
    ) {
        let (mut usage, mut now) = (CpuUse::default(), Micros::SECOND);
        let mut clock = Clock::started(&seen, &usage, Micros::ZERO, now);
        for step in &steps {
            let before = now;
            (usage, now) = after(step, &usage, now);
            let next = clock.at(&seen, &usage, now);
            for ((_, then), (_, times)) in clock.cpus().zip(next.cpus()) {
                prop_assert_eq!(all(&times).less(all(&then)), now.less(before));
            }
            clock = next;
        }
    }

    #[test]
    fn all_used_cpu_time_shows_in_the_end_and_no_more(
        seen in cpus(), steps in prop::collection::vec(step(), 1..8),
    ) {
        let (mut usage, mut now) = (CpuUse::default(), Micros::SECOND);
        let mut clock = Clock::started(&seen, &usage, Micros::ZERO, now);
        for step in &steps {
            (usage, now) = after(step, &usage, now);
            clock = clock.at(&seen, &usage, now);
            prop_assert!(busy(&clock.total()) <= usage.user.plus(usage.system));
        }
        let rest = clock.at(&seen, &usage, now.plus(Micros(1_000_000_000)));
        prop_assert_eq!(rest.total().user, usage.user);
        prop_assert_eq!(rest.total().system, usage.system);
    }

    #[test]
    fn reads_in_between_do_not_change_the_sum(
        seen in cpus(), parts in prop::collection::vec((1u64..2_000_000, 0u64..=100), 1..8),
    ) {
        let start = Clock::started(&seen, &CpuUse::default(), Micros::ZERO, Micros::SECOND);
        let (mut often, mut usage, mut now) = (start.clone(), CpuUse::default(), Micros::SECOND);
        for (elapsed, percent) in parts {
            now = now.plus(Micros(elapsed));
            let room = u64::try_from(seen.len()).unwrap() * elapsed;
            usage.user = usage.user.plus(Micros(room * percent / 100));
            often = often.at(&seen, &usage, now);
        }
        let once = start.at(&seen, &usage, now);
        prop_assert_eq!(often.total(), once.total());
    }
}
