//! The files of a cgroup, and the texts that a container writes to its pressure files: no text panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::{base::units::Bytes, facts::cgroup::{Membership, Trigger, devices, parse}};

fuzz_target!(|bytes: &[u8]| {
    if let Some(trigger) = Trigger::parse(bytes, true) {
        let text = trigger.to_string();
        assert_eq!(Trigger::parse(text.as_bytes(), true), Some(trigger));
    }
    let _ = Membership::parse(bytes).without_mark();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = (parse::number(text), parse::limit(text), parse::limit_in_bytes(text));
    let _ = (parse::cpu_max(text), parse::cfs(text, text), parse::cpu_stat(text));
    let _ = (parse::memory_stat(text), parse::memory_stat_v1(text), parse::throttled_time(text));
    let _ = (parse::cpuacct(text, text), devices::io_stat(text), devices::blkio(text, text));
    let _ = (parse::numa_stat(text), parse::numa_stat_v1(text, Bytes(4096)));
});
