//! FUSE: the device, the kernel's timeouts for a daemon that answers late, and suspends that failed.

use super::{
    Finding, Level,
    files::{exists, text},
};
use std::{path::Path, time::Duration};

/// The sysctls with the seconds after which the kernel ends a connection; 0 is never.
const TIMEOUTS: [&str; 2] = ["default_request_timeout", "max_request_timeout"];
/// The maximum time in which the next daemon takes over from one that hung.
const MAX_RESTART: Duration = Duration::from_secs(10);

/// The number of suspends since the boot that failed because a process did not freeze
/// (`Documentation/ABI/testing/sysfs-power`).
const FAILED_FREEZES: &str = "sys/power/suspend_stats/failed_freeze";

/// The state of FUSE on the machine.
pub(super) struct FuseState {
    has_device: bool,
    timeouts: Vec<(&'static str, u64)>,
    failed_freezes: u64,
}

pub(super) fn read(root: &Path) -> FuseState {
    let timeouts = TIMEOUTS.into_iter().filter_map(|name| {
        let seconds = text(root, &format!("proc/sys/fs/fuse/{name}"))?;
        Some((name, seconds.parse().ok()?))
    });
    FuseState {
        has_device: exists(root, "dev/fuse"),
        timeouts: timeouts.collect(),
        failed_freezes: text(root, FAILED_FREEZES)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0),
    }
}

/// Judges the state. `watchdog` is the time after which a daemon that hangs is replaced.
pub(super) fn find(fuse: &FuseState, watchdog: Duration) -> Vec<Finding> {
    let mut found = vec![match fuse.has_device {
        true => Finding::new(Level::Ok, "fuse", "/dev/fuse is there"),
        false => Finding::new(Level::Error, "fuse", "there is no /dev/fuse").fix("modprobe fuse"),
    }];
    let enough = watchdog.saturating_add(MAX_RESTART).as_secs();
    for (name, seconds) in &fuse.timeouts {
        if *seconds == 0 || *seconds >= enough {
            continue;
        }
        let text = format!(
            "fs.fuse.{name} is {seconds}: if the daemon hangs, the kernel ends its connections before the \
             watchdog acts, and reads fail until the next daemon has repaired the containers"
        );
        let fix = format!(
            "sysctl -w fs.fuse.{name}=0 (or {enough}), and in /etc/sysctl.d; this holds from the next mount of the daemon on"
        );
        found.push(Finding::new(Level::Warning, "fuse", text).fix(fix));
    }
    if fuse.failed_freezes > 0 {
        // request_wait_answer in fs/fuse/dev.c is not freezable.
        let text = format!(
            "a suspend failed {} times since the boot because a process did not freeze: the kernel cannot freeze a \
             process that reads the view while the daemon is frozen already",
            fuse.failed_freezes
        );
        let fix = "freeze the containers before a suspend (cgroup.freeze), or suspend again";
        found.push(Finding::new(Level::Note, "fuse", text).fix(fix));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_timeout_that_is_shorter_than_a_restart_is_warned_of() {
        let found = |seconds, watchdog| {
            let fuse = FuseState {
                has_device: true,
                timeouts: vec![
                    ("default_request_timeout", 0),
                    ("max_request_timeout", seconds),
                ],
                failed_freezes: 0,
            };
            find(&fuse, Duration::from_secs(watchdog)).split_off(1)
        };
        assert_eq!(found(0, 10), []);
        assert_eq!(found(20, 10), []);
        for found in [found(19, 10), found(30, 60)] {
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].level, Level::Warning);
            assert!(found[0].finding.contains("max_request_timeout is "));
        }
    }

    #[test]
    fn without_the_device_nothing_can_be_served() {
        let fuse = FuseState {
            has_device: false,
            timeouts: Vec::new(),
            failed_freezes: 0,
        };
        assert_eq!(find(&fuse, Duration::ZERO)[0].level, Level::Error);
    }
}
