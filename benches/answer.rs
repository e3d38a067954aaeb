//! The cost of an answer without FUSE, on captured machines of 2, 16 and 128 CPUs: parse, view and
//! render of each file, and the whole answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench that fails should fail loudly, and a bench prints numbers"
)]

#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use plimsoll::{
    base::units::{Bytes, CpuSet, Limit, Micros},
    facts::{
        cgroup::{self, Cpu, CpuUse, DeviceUse, Memory, MemoryLevel},
        host::parse,
    },
    view::{
        files::FILES,
        model::{
            self,
            load::{Averages, Tasks},
            stat::Clock,
            time::Birth,
        },
        render,
    },
};
use std::hint::black_box;
use support::captured::{Captured, skip_a_second};

/// Measures parse, view and render of one file of one machine.
fn steps<Facts, View>(
    bench: &mut Criterion,
    machine: &Captured,
    file: &str,
    parse: impl Fn(&str) -> Facts,
    view: impl Fn(&Facts) -> View,
    render: impl Fn(&View, &mut Vec<u8>),
) {
    let text = machine.text(file);
    let mut group = bench.benchmark_group(format!("{}/{}", machine.name, support::short(file)));
    group.bench_function("parse", |b| b.iter(|| parse(black_box(&text))));
    let facts = parse(&text);
    group.bench_function("view", |b| b.iter(|| view(black_box(&facts))));
    let view = view(&facts);
    let mut out = Vec::new();
    group.bench_function("render", |b| {
        b.iter(|| {
            out.clear();
            render(black_box(&view), &mut out);
        });
    });
}

/// Returns the memory facts of a container in a pod in a slice.
fn memory() -> Memory {
    let level = |steps| MemoryLevel {
        steps,
        max: Limit::At(Bytes(512 << 20)),
        ..MemoryLevel::default()
    };
    Memory {
        levels: (0..3).map(level).collect(),
        ..Memory::default()
    }
}

fn memory_files(bench: &mut Criterion, machine: &Captured) {
    let memory = memory();
    steps(
        bench,
        machine,
        "proc/meminfo",
        parse::meminfo,
        |host| model::memory::meminfo(&memory, &[], host),
        render::memory::meminfo,
    );
    let host = parse::meminfo(&machine.text("proc/meminfo"));
    steps(
        bench,
        machine,
        "proc/swaps",
        str::len,
        |_| model::memory::swaps(&memory, &host),
        render::memory::swaps,
    );
    steps(
        bench,
        machine,
        "proc/vmstat",
        parse::vmstat,
        |names| {
            let counts = model::vmstat::VmstatFacts {
                sizes: model::memory::sizes(&memory, &[], &host),
                usage: &memory.usage,
                events: &[],
                devices: &[],
                hugetlb: Bytes::ZERO,
                page: Bytes(4096),
                huge_page: Bytes(2 << 20),
            };
            model::vmstat::vmstat(&counts, names)
        },
        |view, out| render::vmstat::vmstat(view, out),
    );
}

fn cpu_files(bench: &mut Criterion, machine: &Captured) {
    let online = machine.text("sys/devices/system/cpu/online");
    let seen = CpuSet::parse(&online).unwrap_or_default();
    steps(
        bench,
        machine,
        "proc/cpuinfo",
        parse::cpuinfo,
        |host| model::cpu::cpuinfo(&seen, host),
        render::cpu::cpuinfo,
    );
    steps(
        bench,
        machine,
        "sys/devices/system/cpu/online",
        |text| CpuSet::parse(text).unwrap_or_default(),
        |online| model::cpu::seen(&Cpu::default(), online),
        render::cpu::list,
    );
    let usage = CpuUse {
        user: Micros::SECOND,
        ..CpuUse::default()
    };
    let start = Clock::started(&seen, &CpuUse::default(), Micros::ZERO, Micros::SECOND);
    steps(
        bench,
        machine,
        "proc/stat",
        parse::stat,
        |host| {
            let clock = start.at(&seen, black_box(&usage), Micros(2_000_000));
            model::stat::stat(&clock, &Tasks::default(), Birth::Offset(0), host)
        },
        render::stat::stat,
    );
    let clock = start.at(&seen, &usage, Micros(2_000_000));
    steps(
        bench,
        machine,
        "proc/uptime",
        str::len,
        |_| model::time::Uptime {
            up: model::time::uptime(Birth::Offset(0), Micros(3_000_000)),
            idle: clock.total().idle,
        },
        render::time::uptime,
    );
}

fn other_files(bench: &mut Criterion, machine: &Captured) {
    steps(
        bench,
        machine,
        "proc/loadavg",
        str::len,
        |_| {
            model::load::loadavg(
                Averages::starting_at(1, Micros::SECOND).after(2),
                &Tasks::default(),
            )
        },
        render::load::loadavg,
    );
    let disks = parse::diskstats(&machine.text("proc/diskstats"));
    let devices: Vec<DeviceUse> = (disks.iter())
        .map(|disk| DeviceUse {
            number: disk.number,
            ..DeviceUse::default()
        })
        .collect();
    steps(
        bench,
        machine,
        "proc/diskstats",
        parse::diskstats,
        |host| model::disk::diskstats(&devices, host),
        |view, out| render::disk::diskstats(view, out),
    );
    let v1 = machine.text("sys/fs/cgroup/memory/stage/web/memory.stat");
    let v2 = machine.text("sys/fs/cgroup/kubepods.slice/memory.stat");
    let name = format!("{}/memory.stat/parse", machine.name);
    bench.bench_function(&name, |b| {
        b.iter(|| match v2.as_str() {
            "" => cgroup::parse::memory_stat_v1(black_box(&v1)),
            v2 => cgroup::parse::memory_stat(black_box(v2)),
        });
    });
}

/// Measures whole answers, from the container to the bytes: read without a pause, and read once a second.
fn whole(bench: &mut Criterion, machine: &Captured) {
    let mut group = bench.benchmark_group(format!("{}/answer", machine.name));
    for file in FILES {
        let answer = || machine.answers.render(file, &machine.container);
        if answer().is_err() {
            // Cgroup v1 has no pressure.
            continue;
        }
        group.bench_function(file.name(), |b| b.iter(answer));
        group.bench_function(format!("{} after a second", file.name()), |b| {
            b.iter_batched(skip_a_second, |()| answer(), BatchSize::PerIteration);
        });
    }
}

fn all(bench: &mut Criterion) {
    for machine in Captured::curve().expect("a captured machine is missing") {
        memory_files(bench, &machine);
        cpu_files(bench, &machine);
        other_files(bench, &machine);
        whole(bench, &machine);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
