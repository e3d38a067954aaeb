//! Pure. `/proc/stat`.

use super::put;
use crate::view::model::stat::{Stat, Times};

/// Writes `/proc/stat` (`fs/proc/stat.c`).
pub fn stat(view: &Stat, out: &mut Vec<u8>) {
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
        out.push(b'\n');
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
}
