//! The cost of an answer without FUSE, on captured machines: parse, view and render of each file.

use criterion::{Criterion, criterion_group, criterion_main};
use plimsoll::{
    cgroup::{Cpu, CpuUse, Memory},
    host::parse,
    render,
    units::{CpuSet, Micros},
    view::{self, load::Tasks, stat::Clock, time::Birth},
};
use std::{fs, hint::black_box, path::Path};

const MACHINES: [&str; 2] = ["v1-2cpu", "big-128cpu"];

fn text(machine: &str, file: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/fixtures");
    fs::read_to_string(fixtures.join(machine).join(file)).unwrap_or_default()
}

fn meminfo(bench: &mut Criterion) {
    for machine in MACHINES {
        let text = text(machine, "proc/meminfo");
        let facts = parse::meminfo(&text);
        let mut group = bench.benchmark_group(format!("{machine}/meminfo"));
        group.bench_function("parse", |b| b.iter(|| parse::meminfo(black_box(&text))));
        let memory = Memory::default();
        group.bench_function("view", |b| {
            b.iter(|| view::memory::meminfo(black_box(&memory), &[], &facts));
        });
        let view = view::memory::meminfo(&memory, &[], &facts);
        let mut out = Vec::new();
        group.bench_function("render", |b| {
            b.iter(|| {
                out.clear();
                render::memory::meminfo(black_box(&view), &mut out);
            });
        });
    }
}

fn cpuinfo(bench: &mut Criterion) {
    for machine in MACHINES {
        let text = text(machine, "proc/cpuinfo");
        let facts = parse::cpuinfo(&text);
        let mut group = bench.benchmark_group(format!("{machine}/cpuinfo"));
        group.bench_function("parse", |b| b.iter(|| parse::cpuinfo(black_box(&text))));
        let seen = CpuSet::parse(&text_online(machine)).unwrap_or_default();
        group.bench_function("view", |b| {
            b.iter(|| view::cpu::cpuinfo(black_box(&seen), &facts));
        });
        let view = view::cpu::cpuinfo(&seen, &facts);
        let mut out = Vec::new();
        group.bench_function("render", |b| {
            b.iter(|| {
                out.clear();
                render::cpu::cpuinfo(black_box(&view), &mut out);
            });
        });
    }
}

fn text_online(machine: &str) -> String {
    text(machine, "sys/devices/system/cpu/online")
}

fn stat(bench: &mut Criterion) {
    for machine in MACHINES {
        let text = text(machine, "proc/stat");
        let facts = parse::stat(&text);
        let mut group = bench.benchmark_group(format!("{machine}/stat"));
        group.bench_function("parse", |b| b.iter(|| parse::stat(black_box(&text))));
        let seen = CpuSet::parse(&text_online(machine)).unwrap_or_default();
        let cpu = Cpu {
            usage: CpuUse {
                user: Micros::SECOND,
                ..CpuUse::default()
            },
            ..Cpu::default()
        };
        let start = Clock::started(&seen, &CpuUse::default(), Micros::ZERO, Micros::SECOND);
        group.bench_function("view", |b| {
            b.iter(|| {
                let clock = start.at(&seen, black_box(&cpu.usage), Micros(2_000_000));
                view::stat::stat(&clock, &Tasks::default(), Birth::Offset(0), &facts)
            });
        });
        let view = view::stat::stat(&start, &Tasks::default(), Birth::Offset(0), &facts);
        let mut out = Vec::new();
        group.bench_function("render", |b| {
            b.iter(|| {
                out.clear();
                render::stat::stat(black_box(&view), &mut out);
            });
        });
    }
}

criterion_group!(benches, meminfo, cpuinfo, stat);
criterion_main!(benches);
