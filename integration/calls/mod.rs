//! The programs in the kernel that answer `sysinfo(2)` and `sched_getaffinity(2)`.

mod interpreter;
mod kernels;
mod listing;
mod live;
mod task;

mod affinity;
mod sysinfo;

use plimsoll::calls::{
    btf::Btf,
    offsets::{Offsets, Registers},
    programs::HostFacts,
};
use std::path::PathBuf;

/// Kernels of which the fixtures have the types that the programs read.
const KERNELS: [&str; 4] = ["6.1-amd64", "6.12-amd64", "6.18-amd64", "7.3-amd64"];
/// The number of the host's mount namespace; the kernel gives such numbers above 2^31.
const HOST_NAMESPACE: u32 = 0xf000_0000;
/// The size of a page.
const PAGE: u64 = 4096;

fn fixture(name: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/fixtures/btf");
    PathBuf::from(fixtures).join(name)
}

fn offsets(kernel: &str) -> Offsets {
    let bytes = std::fs::read(fixture(kernel)).unwrap();
    Offsets::of(&Btf::parse(bytes).unwrap(), Registers::X86_64).unwrap()
}

fn host(counts_swap_alone: bool) -> HostFacts {
    HostFacts {
        counts_swap_alone,
        mount_namespace: HOST_NAMESPACE,
        page_shift: 12,
    }
}
