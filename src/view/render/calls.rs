//! Pure. The answers of system calls as lines for people: the kernel answers with a structure and a mask.

use super::put;
use crate::{
    base::units::{Bytes, CpuSet},
    view::model::sysinfo::Sysinfo,
};

// "totalswap" and its colon, and a space.
const NAME_WIDTH: usize = 11;

/// Writes an answer of `sysinfo(2)`: a line for each field, by the name of the field.
pub fn sysinfo(view: &Sysinfo, out: &mut Vec<u8>) {
    let loads = view
        .loads
        .hundredths()
        .map(|load| format!("{}.{:02}", load / 100, load % 100));
    put_line("uptime", &format!("{} s", view.seconds()), out);
    put_line("loads", &loads.join(" "), out);
    for (name, Bytes(size)) in [
        ("totalram", view.total),
        ("freeram", view.free),
        ("sharedram", view.shared),
        ("bufferram", view.buffers),
        ("totalswap", view.swap_total),
        ("freeswap", view.swap_free),
    ] {
        put_line(name, &format!("{size} bytes"), out);
    }
    put_line("procs", &view.tasks.to_string(), out);
}

/// Writes an answer of `sched_getaffinity(2)`: the CPUs, and their number.
pub fn affinity(cpus: &CpuSet, out: &mut Vec<u8>) {
    put_line("cpus", &cpus.to_string(), out);
    put_line("count", &cpus.len().to_string(), out);
}

fn put_line(name: &str, value: &str, out: &mut Vec<u8>) {
    let name = format!("{name}:");
    put(out, format_args!("{name:<NAME_WIDTH$}{value}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::units::Micros, view::model::load::Averages};

    #[test]
    fn an_answer_has_a_line_for_each_field() {
        let view = Sysinfo {
            up: Micros(61_000_001),
            loads: Averages::of_numbers([2048, 1024, 41]),
            total: Bytes(268_435_456),
            free: Bytes(4096),
            shared: Bytes(0),
            buffers: Bytes(0),
            swap_total: Bytes(8192),
            swap_free: Bytes(4096),
            tasks: 3,
        };
        let mut out = Vec::new();
        sysinfo(&view, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "uptime:    62 s\nloads:     1.00 0.50 0.02\ntotalram:  268435456 bytes\n\
             freeram:   4096 bytes\nsharedram: 0 bytes\nbufferram: 0 bytes\n\
             totalswap: 8192 bytes\nfreeswap:  4096 bytes\nprocs:     3\n"
        );
    }

    #[test]
    fn cpus_are_listed_and_counted() {
        let mut out = Vec::new();
        affinity(&CpuSet::parse("0,2-3").unwrap(), &mut out);
        assert_eq!(out, b"cpus:      0,2-3\ncount:     3\n");
    }
}
