//! FUSE: the device, and the kernel's timeouts for a daemon that answers late.

use super::{
    Finding, Level,
    files::{exists, text},
};
use std::path::Path;

/// The sysctls with the seconds after which the kernel ends a connection; 0 is never.
const TIMEOUTS: [&str; 2] = ["default_request_timeout", "max_request_timeout"];

/// The state of FUSE on the machine.
pub(super) struct FuseState {
    has_device: bool,
    timeouts: Vec<(&'static str, u64)>,
}

pub(super) fn read(root: &Path) -> FuseState {
    let timeouts = TIMEOUTS.into_iter().filter_map(|name| {
        let seconds = text(root, &format!("proc/sys/fs/fuse/{name}"))?;
        Some((name, seconds.parse().ok()?))
    });
    FuseState {
        has_device: exists(root, "dev/fuse"),
        timeouts: timeouts.collect(),
    }
}

pub(super) fn find(fuse: &FuseState) -> Vec<Finding> {
    let mut found = vec![match fuse.has_device {
        true => Finding::new(Level::Ok, "fuse", "/dev/fuse is there"),
        false => Finding::new(Level::Error, "fuse", "there is no /dev/fuse").fix("modprobe fuse"),
    }];
    for (name, seconds) in fuse.timeouts.iter().filter(|(_, seconds)| *seconds > 0) {
        let text = format!(
            "fs.fuse.{name} is {seconds}: a daemon that is replaced or hangs for {seconds} s loses every container"
        );
        let fix = format!("sysctl -w fs.fuse.{name}=0, and in /etc/sysctl.d");
        found.push(Finding::new(Level::Warning, "fuse", text).fix(fix));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_timeout_is_warned_of() {
        let fuse = FuseState {
            has_device: true,
            timeouts: vec![("default_request_timeout", 0), ("max_request_timeout", 30)],
        };
        let found = find(&fuse);
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].level, Level::Warning);
        assert!(found[1].finding.contains("max_request_timeout is 30"));
    }

    #[test]
    fn without_the_device_nothing_can_be_served() {
        let fuse = FuseState {
            has_device: false,
            timeouts: Vec::new(),
        };
        assert_eq!(find(&fuse)[0].level, Level::Error);
    }
}
