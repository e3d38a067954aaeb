//! The files of `/proc`: no text panics, and a rendered meminfo is parsed back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{base::units::CpuSet, facts::{cgroup::Memory, host::parse}, view::{model, render}};

fuzz_target!(|text: &str| {
    let meminfo = parse::meminfo(text);
    let view = model::memory::meminfo(&Memory::default(), &[], &meminfo);
    let mut bytes = Vec::new();
    render::memory::meminfo(&view, &mut bytes);
    let again = parse::meminfo(&String::from_utf8_lossy(&bytes));
    assert_eq!(again.lines.len(), meminfo.lines.len());
    let sizes = model::memory::sizes(&Memory::default(), &[], &meminfo);
    assert!(sizes.free <= sizes.available && sizes.available <= sizes.total);
    let cpuinfo = parse::cpuinfo(text);
    let seen: CpuSet = cpuinfo.blocks.iter().filter_map(|block| block.cpu).collect();
    let mut bytes = Vec::new();
    render::cpu::cpuinfo(&model::cpu::cpuinfo(&seen, &cpuinfo), &mut bytes);
    assert!(bytes.len() <= text.len() * 4 + 64);
    let _ = (parse::stat(text), parse::node_meminfo(text), parse::diskstats(text));
    let _ = (parse::vmstat(text), parse::slabinfo_header(text), parse::task_stat(text));
    let _ = (parse::ns_pids(text), parse::boottime_offset(text), parse::has_capability(text, 24));
    let _ = parse::parent(text);
});
