//! Programs as text: a line for each instruction, in the notation of `bpftool prog dump xlated`.

use super::{fixture, host, offsets};
use plimsoll::calls::{offsets::CallerWidth, programs};
use std::fs;

/// Returns the program as text.
fn listing(code: &[u64]) -> String {
    let mut text = String::new();
    let mut numbers = code.iter().enumerate();
    while let Some((at, word)) = numbers.next() {
        let [code, registers, offset @ ..] = word.to_le_bytes();
        let (to, from) = (
            format!("r{}", registers & 15),
            format!("r{}", registers >> 4),
        );
        let offset: [u8; 6] = offset;
        let constant = i32::from_le_bytes(offset[2..].try_into().unwrap());
        let offset = i16::from_le_bytes([offset[0], offset[1]]);
        let operand = if code & 8 == 0 {
            constant.to_string()
        } else {
            from.clone()
        };
        let width = ["u32", "u16", "u8", "u64"][usize::from((code >> 3) & 3)];
        let place = |base: &str| format!("*({width} *)({base} {offset:+})");
        let target = i64::try_from(at).unwrap() + 1 + i64::from(offset);
        let line = match code & 7 {
            7 => format!("{to} {} {operand}", arithmetic(code & 0xf0)),
            4 => format!("w{} = w{}", registers & 15, registers >> 4),
            1 => format!("{to} = {}", place(&from)),
            2 => format!("{} = {constant}", place(&to)),
            3 => format!("{} = {from}", place(&to)),
            0 => {
                numbers.next();
                let map = if registers >> 4 == 1 { "map " } else { "" };
                format!("{to} = {map}{} ll", constant.cast_unsigned())
            }
            _ => match code {
                0x85 => format!("call {}", function(constant)),
                0x95 => "exit".to_owned(),
                0x05 => format!("goto {target}"),
                _ => format!("if {to} {} {operand} goto {target}", test(code & 0xf0)),
            },
        };
        text += &format!("{at:4}: {line}\n");
    }
    text
}

fn arithmetic(code: u8) -> &'static str {
    match code {
        0x00 => "+=",
        0x10 => "-=",
        0x30 => "/=",
        0x40 => "|=",
        0x50 => "&=",
        0x60 => "<<=",
        0x70 => ">>=",
        0xa0 => "^=",
        0xb0 => "=",
        0xc0 => "s>>=",
        _ => panic!("an unknown operation {code:#x}"),
    }
}

fn test(code: u8) -> &'static str {
    match code {
        0x10 => "==",
        0x50 => "!=",
        0xa0 => "<",
        0xb0 => "<=",
        0xd0 => "s<=",
        _ => panic!("an unknown test {code:#x}"),
    }
}

fn function(number: i32) -> &'static str {
    match number {
        1 => "bpf_map_lookup_elem",
        36 => "bpf_probe_write_user",
        112 => "bpf_probe_read_user",
        113 => "bpf_probe_read_kernel",
        125 => "bpf_ktime_get_boot_ns",
        158 => "bpf_get_current_task_btf",
        _ => panic!("an unknown function {number}"),
    }
}

/// The programs for 64-bit callers on Linux 6.12 with cgroup v2. `PLIMSOLL_BLESS=1` writes the texts anew.
#[test]
fn the_programs_are_the_expected_instructions() {
    let (offsets, host) = (offsets("6.12-amd64"), host(true));
    let width = CallerWidth::Bits64;
    for (name, code) in [
        ("sysinfo", programs::sysinfo(&offsets, host, 3, width)),
        ("affinity", programs::affinity(&offsets, host, 3, width)),
    ] {
        let (text, path) = (listing(&code.unwrap()), fixture(&format!("{name}.txt")));
        if std::env::var_os("PLIMSOLL_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "{name} is now:\n{text}");
    }
}
