//! Pure. The parts of `/proc` and `/sys` that a container was given from the host, and keeps.
//!
//! A caller of an engine binds the host's `/sys` at `/sys` (`docker run -v /sys:/sys`) to look at the
//! machine. Engines bind it too, but only as a substitute, where the kernel refuses the container a sysfs
//! of its own: in a user namespace without a network namespace of its own, and for `/proc` without a pid
//! namespace of its own (Podman without root and with `--net host`, nerdctl, `runc spec --rootless`).
//! Such a substitute has the options `nosuid`, `noexec` and `nodev`, and that of `/sys` says `ro` or `rw`;
//! a bind with other options is the caller's. A bind that a caller makes exactly like the substitute, in
//! such a container, is taken for the substitute.
//!
//! LXC, Incus and systemd-nspawn keep no such configuration. A new sysfs is that of the container's network
//! namespace, and a new procfs that of its pid namespace, each with a device number of its own. A mount
//! with the device number of the host's, in a container with such a namespace of its own, is a bind.

use crate::{
    base::mountinfo::Mount,
    facts::engines::{ConfiguredMount, ContainerConfiguration},
};
use std::path::{Path, PathBuf};

/// The user namespace in which a container's mounts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The host's.
    Host,
    /// Another one: a runtime without root, or a container with user ids of its own.
    Mapped,
}

/// A file system of the host's kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTree {
    /// The type: `sysfs` or `proc`.
    pub kind: &'static str,
    /// The mount point on the host, and in a container.
    pub point: &'static str,
    /// The device number, as `MAJOR:MINOR`.
    pub device: String,
}

/// The parts of a container's `/proc` and `/sys` that are the host's by the wish of the engine's caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostParts(Vec<PathBuf>);

impl HostParts {
    /// Finds the parts in the configuration of a container.
    #[must_use]
    pub fn of(configuration: &ContainerConfiguration, users: Users) -> HostParts {
        let users = match configuration.has_namespace("user") {
            true => Users::Mapped,
            false => users,
        };
        let mounts = configuration.mounts.iter();
        let wished = mounts.filter(|mount| {
            users == Users::Host || !is_substitute(mount, |kind| configuration.has_namespace(kind))
        });
        HostParts(wished.map(|mount| mount.destination.clone()).collect())
    }

    /// Finds the parts among the mounts of a container whose root is at `root` in the mount points.
    /// `trees` are those of which the container, with a namespace of its own, could have new ones.
    #[must_use]
    pub fn among(mounts: &[Mount], root: &Path, trees: &[HostTree]) -> HostParts {
        let part = |mount: &Mount| {
            let own = |tree: &&HostTree| tree.kind == mount.kind && tree.device == mount.device;
            let tree = trees.iter().find(own)?;
            let below = mount.root.strip_prefix("/").ok()?;
            let path: PathBuf = Path::new(tree.point).join(below).components().collect();
            let point = Path::new("/").join(mount.point.strip_prefix(root).ok()?);
            (point == path).then_some(path)
        };
        HostParts(mounts.iter().filter_map(part).collect())
    }

    /// Returns whether the file or directory at `path`, relative to the root, lies in such a part.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        let path = Path::new("/").join(path);
        self.0.iter().any(|part| path.starts_with(part))
    }
}

/// Returns whether an engine makes that bind of the host's tree where the kernel refuses a new one.
fn is_substitute(mount: &ConfiguredMount, has_namespace: impl Fn(&str) -> bool) -> bool {
    let is_forbidding = ["nosuid", "noexec", "nodev"]
        .iter()
        .all(|option| mount.has(option));
    let is_at = |path: &str| mount.destination == Path::new(path);
    let says_access = mount.has("ro") || mount.has("rw");
    is_forbidding
        && ((is_at("/sys") && says_access && !has_namespace("network"))
            || (is_at("/proc") && !has_namespace("pid")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns whether the CPUs' directory and `meminfo` are the host's.
    fn hosts(text: &str, users: Users) -> (bool, bool) {
        let configuration = serde_json::from_str(text).unwrap();
        let parts = HostParts::of(&configuration, users);
        let has = |path| parts.has(Path::new(path));
        (has("sys/devices/system/cpu"), has("proc/meminfo"))
    }

    fn configuration(mount: &str, namespaces: &str) -> String {
        format!(r#"{{"mounts": [{mount}], "linux": {{"namespaces": [{namespaces}]}}}}"#)
    }

    #[test]
    fn the_hosts_sys_that_a_caller_binds_is_left_alone() {
        // docker run -v /sys:/sys:ro, and podman run -v /sys:/sys:ro by root.
        for options in [
            r#"["rbind", "ro", "rprivate"]"#,
            r#"["ro", "rprivate", "noexec", "nosuid", "nodev", "rbind"]"#,
        ] {
            for namespaces in ["", r#"{"type": "network"}"#] {
                let mount = format!(
                    r#"{{"destination": "/sys", "type": "bind", "source": "/sys", "options": {options}}}"#
                );
                let text = configuration(&mount, namespaces);
                assert_eq!(hosts(&text, Users::Host), (true, false), "{text}");
            }
        }
        let own = r#"{"destination": "/sys", "type": "sysfs", "source": "sysfs"}"#;
        assert_eq!(hosts(&configuration(own, ""), Users::Host), (false, false));
        assert_eq!(hosts("{}", Users::Host), (false, false));
    }

    #[test]
    fn a_part_of_the_hosts_tree_is_left_alone_and_the_rest_is_served() {
        let mount = r#"{"destination": "/sys/devices/system/node", "type": "bind", "source": "/sys/devices/system/node"}"#;
        let configuration = serde_json::from_str(&configuration(mount, "")).unwrap();
        let parts = HostParts::of(&configuration, Users::Host);
        assert!(parts.has(Path::new("sys/devices/system/node")));
        assert!(!parts.has(Path::new("sys/devices/system/cpu")));
        assert!(!parts.has(Path::new("proc/meminfo")));
    }

    #[test]
    fn a_bind_of_the_hosts_tree_is_known_by_the_device_where_there_is_no_configuration() {
        let trees = [HostTree {
            kind: "sysfs",
            point: "/sys",
            device: "0:22".to_owned(),
        }];
        for (mount, is_hosts) in [
            ("/ /r/sys ro - sysfs sysfs rw", true),
            ("/devices /r/sys/devices ro - sysfs sysfs rw", true),
            // The container's own, another place, and another file system.
            ("/ /r/sys ro - sysfs own rw", false),
            ("/ /r/host/sys ro - sysfs sysfs rw", false),
            ("/ /sys ro - sysfs sysfs rw", false),
            ("/ /r/sys ro - tmpfs sysfs rw", false),
        ] {
            let device = if mount.contains("own") {
                "0:99"
            } else {
                "0:22"
            };
            let line = format!("31 24 {device} {mount}\n");
            let mounts: Vec<Mount> = crate::base::mountinfo::parse(&line).collect();
            let parts = HostParts::among(&mounts, Path::new("/r"), &trees);
            assert_eq!(
                parts.has(Path::new("sys/devices/system/cpu")),
                is_hosts,
                "{mount}"
            );
        }
    }

    #[test]
    fn an_engines_substitute_for_a_new_sys_or_proc_is_served() {
        // podman run --net host, and runc spec --rootless.
        for (kind, options) in [
            (
                "bind",
                r#"["rprivate", "nosuid", "noexec", "nodev", "ro", "rbind"]"#,
            ),
            ("none", r#"["rbind", "nosuid", "noexec", "nodev", "ro"]"#),
        ] {
            let mount = format!(
                r#"{{"destination": "/sys", "type": "{kind}", "source": "/sys", "options": {options}}}"#
            );
            let namespaces = r#"{"type": "pid"}, {"type": "mount"}"#;
            let text = configuration(&mount, namespaces);
            assert_eq!(hosts(&text, Users::Mapped), (false, false), "{kind}");
            let users = format!(r#"{{"type": "user"}}, {namespaces}"#);
            let text = configuration(&mount, &users);
            assert_eq!(hosts(&text, Users::Host), (false, false), "{kind}");
            // With a network namespace of its own, the container could have a new one.
            let network = format!(r#"{{"type": "network"}}, {namespaces}"#);
            let text = configuration(&mount, &network);
            assert_eq!(hosts(&text, Users::Mapped), (true, false), "{kind}");
        }
        // podman run --pid host
        let proc = r#"{"destination": "/proc", "type": "bind", "source": "/proc", "options": ["rprivate", "nosuid", "noexec", "nodev", "rbind"]}"#;
        assert_eq!(
            hosts(&configuration(proc, ""), Users::Mapped),
            (false, false)
        );
        assert_eq!(hosts(&configuration(proc, ""), Users::Host), (false, true));
        // podman run --net host -v /sys:/sys, without root
        let wished = r#"{"destination": "/sys", "type": "bind", "source": "/sys", "options": ["rprivate", "noexec", "nosuid", "nodev", "rbind"]}"#;
        assert_eq!(
            hosts(&configuration(wished, ""), Users::Mapped),
            (true, false)
        );
    }
}
