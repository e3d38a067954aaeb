//! Lists and masks of CPUs: a printed list is parsed back, and a mask keeps its width.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::base::units::CpuSet;

fuzz_target!(|text: &str| {
    let _ = CpuSet::listed(text);
    let Some(set) = CpuSet::parse(text) else {
        return;
    };
    assert_eq!(CpuSet::parse(&set.to_string()), Some(set.clone()));
    for mask in [text, "ffffffff,ffffffff", "3"] {
        for (masked, mask) in set.masked(mask).lines().zip(mask.lines()) {
            // `lines` takes a carriage return away.
            if !mask.contains('\r') {
                assert_eq!(masked.chars().count(), mask.chars().count());
            }
        }
    }
});
