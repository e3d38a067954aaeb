//! Pure. `/proc/stat`.

use super::put;
use crate::view::model::stat::{Stat, Times};

/// Writes `/proc/stat` (`fs/proc/stat.c`).
pub fn stat(view: &Stat, out: &mut Vec<u8>) {
    stat_of_size(view, 0, out);
}

/// Writes `/proc/stat` in `size` bytes, or in more if the numbers need more.
///
/// The line `intr` takes the rest: a kernel counts as many interrupts as the machine can have
/// (`show_all_irqs`), so more of them that never happened are a longer line. An odd byte makes one
/// of their zeros ` 00`.
pub fn stat_of_size(view: &Stat, size: usize, out: &mut Vec<u8>) {
    let start = out.len();
    let mut end_of_intr = None;
    // The kernel puts two spaces behind the sum, so that its columns stand above the CPUs'.
    put(out, format_args!("cpu "));
    times(&view.total, view.columns, out);
    for (cpu, columns) in &view.cpus {
        put(out, format_args!("cpu{}", cpu.0));
        times(columns, view.columns, out);
    }
    for line in &view.lines {
        put(out, format_args!("{}", line.name));
        for value in &line.values {
            put(out, format_args!(" {value}"));
        }
        if line.name == "intr" {
            end_of_intr = Some(out.len());
        }
        out.push(b'\n');
    }
    let missing = (start + size).saturating_sub(out.len());
    if let Some(end) = end_of_intr {
        let zeros = b" 0".iter().copied().cycle().take(missing / 2 * 2);
        let odd = std::iter::repeat_n(b'0', missing % 2);
        out.splice(end..end, zeros.chain(odd));
    }
}

fn times(times: &Times, columns: usize, out: &mut Vec<u8>) {
    let zero = crate::base::units::Micros::ZERO;
    // user, nice, system, idle, iowait, irq, softirq, steal: proc_stat(5).
    let known = [
        times.user,
        times.nice,
        times.system,
        times.idle,
        zero,
        zero,
        zero,
        times.steal,
    ];
    for time in known
        .into_iter()
        .chain(std::iter::repeat(zero))
        .take(columns)
    {
        put(out, format_args!(" {}", time.ticks().0));
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::{CpuId, Ticks},
        facts::host::StatLine,
    };

    #[test]
    fn stat_is_written_as_the_kernel_writes_it() {
        let columns = Times {
            user: Ticks(1).micros(),
            nice: Ticks(2).micros(),
            system: Ticks(3).micros(),
            idle: Ticks(4).micros(),
            steal: Ticks(5).micros(),
        };
        let view = Stat {
            total: columns,
            cpus: vec![(CpuId(7), columns)],
            columns: 10,
            lines: vec![StatLine {
                name: "intr".to_owned(),
                values: vec![0, 0],
            }],
        };
        let mut out = Vec::new();
        stat(&view, &mut out);
        let text = "cpu  1 2 3 4 0 0 0 5 0 0\ncpu7 1 2 3 4 0 0 0 5 0 0\nintr 0 0\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn zeros_of_interrupts_make_a_size_constant() {
        let of_size = |value: u64, size: usize| {
            let line = |name: &str, values: Vec<u64>| StatLine {
                name: name.to_owned(),
                values,
            };
            let view = Stat {
                total: Times::default(),
                cpus: Vec::new(),
                columns: 1,
                lines: vec![line("intr", vec![0, 0]), line("ctxt", vec![value])],
            };
            let mut out = Vec::new();
            stat_of_size(&view, size, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of_size(7, 29), "cpu  0\nintr 0 0 0 0 0\nctxt 7\n");
        assert_eq!(of_size(77, 29), "cpu  0\nintr 0 0 0 00\nctxt 77\n");
        assert_eq!(of_size(77, 25), "cpu  0\nintr 0 00\nctxt 77\n");
        assert_eq!(of_size(777, 3), "cpu  0\nintr 0 0\nctxt 777\n");
    }
}
