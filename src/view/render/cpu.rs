//! Pure. `/proc/cpuinfo` and the CPU lists of `/sys`.

use super::put;
use crate::{base::units::CpuSet, view::model::cpu::Cpuinfo};

/// Writes `/proc/cpuinfo`.
pub fn cpuinfo(view: &Cpuinfo, out: &mut Vec<u8>) {
    for block in &view.blocks {
        for line in &block.lines {
            put(out, format_args!("{line}\n"));
        }
        if block.ended {
            out.push(b'\n');
        }
    }
}

/// Writes a list of CPUs, as in `/sys/devices/system/cpu/online`.
pub fn list(cpus: &CpuSet, out: &mut Vec<u8>) {
    put(out, format_args!("{cpus}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{facts::host::parse, view::model};

    #[test]
    fn a_machine_whose_cpus_are_all_seen_is_shown_as_it_is() {
        let text =
            "Machine\t: X\n\nprocessor\t: 0\nflags\t\t: a b\n\nprocessor\t: 1\n\nSerial\t: 7\n";
        let all = CpuSet::parse("0-1").unwrap();
        let mut out = Vec::new();
        cpuinfo(&model::cpu::cpuinfo(&all, &parse::cpuinfo(text)), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn a_list_ends_in_a_newline_and_nothing_else() {
        let mut out = Vec::new();
        list(&CpuSet::parse("0,2-3").unwrap(), &mut out);
        assert_eq!(out, b"0,2-3\n");
    }
}
