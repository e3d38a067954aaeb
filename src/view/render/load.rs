//! Pure. `/proc/loadavg`.

use super::put;
use crate::view::model::load::Loadavg;

/// Writes `/proc/loadavg` (`fs/proc/loadavg.c`).
pub fn loadavg(view: &Loadavg, out: &mut Vec<u8>) {
    for hundredths in view.averages.hundredths() {
        put(
            out,
            format_args!("{}.{:02} ", hundredths / 100, hundredths % 100),
        );
    }
    let tasks = &view.tasks;
    put(
        out,
        format_args!("{}/{} {}\n", tasks.running, tasks.total, tasks.last_pid),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::units::Micros,
        view::model::load::{Averages, Tasks},
    };

    #[test]
    fn loadavg_is_written_as_the_kernel_writes_it() {
        let view = Loadavg {
            averages: Averages::starting_at(2, Micros(u64::MAX)).after(0),
            tasks: Tasks {
                running: 1,
                blocked: 0,
                total: 12,
                last_pid: 7,
            },
        };
        let mut out = Vec::new();
        loadavg(&view, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "1.84 1.97 1.99 1/12 7\n");
    }
}
