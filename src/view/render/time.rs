//! Pure. `/proc/uptime`.

use super::put;
use crate::{base::units::Micros, view::model::time::Uptime};

/// Writes `/proc/uptime` (`fs/proc/uptime.c`): seconds with two digits after the point, rounded
/// down.
pub fn uptime(view: &Uptime, out: &mut Vec<u8>) {
    let parts = |time: Micros| (time.0 / 1_000_000, time.0 / 10_000 % 100);
    let ((up, up_part), (idle, idle_part)) = (parts(view.up), parts(view.idle));
    put(
        out,
        format_args!("{up}.{up_part:02} {idle}.{idle_part:02}\n"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptime_has_two_digits_after_the_point() {
        let view = Uptime {
            up: Micros(61_059_999),
            idle: Micros(120_000_000),
        };
        let mut out = Vec::new();
        uptime(&view, &mut out);
        assert_eq!(out, b"61.05 120.00\n");
    }
}
