//! Pure. What a container is made of, from the request and the values resolved for it, and the part of
//! it that the hook reads.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    base::units::{Clocks, Offset},
    inject::oci::hook_spec::HookSpec,
    run::options::{
        request::{Network, Request},
        user::User,
    },
};

/// The values of a container that the request leaves open.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    /// The path of the mounted root.
    pub(crate) rootfs: PathBuf,
    /// The host name.
    pub(crate) hostname: String,
    /// The command and its arguments.
    pub(crate) args: Vec<String>,
    /// The user that runs the command.
    pub(crate) user: User,
    /// The `TERM` of this process.
    pub(crate) term: Option<String>,
    /// The cgroup directories, each with its path in the container.
    pub(crate) cgroup_binds: Vec<(PathBuf, PathBuf)>,
    /// True on a host of cgroup v1.
    pub(crate) has_legacy_cgroups: bool,
    /// The hook that binds the served files; `None` for a container without them.
    pub(crate) hook: Option<HookSpec>,
    /// The host's clocks at the start; `None` on a kernel without time namespaces.
    pub(crate) clocks: Option<Clocks>,
}

/// Docker's masked paths, and the memory blocks of the host, whose sizes lsmem adds up.
const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/system/memory",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Docker's read-only paths.
pub(crate) const READ_ONLY_PATHS: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The default of the command's `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the OCI configuration of a container, as far as the hook reads it.
pub(crate) fn configuration(request: &Request, resolved: &Resolved) -> Value {
    let namespaces = namespaces(request, resolved);
    let namespaces: Vec<Value> = namespaces
        .iter()
        .map(|kind| json!({"type": kind}))
        .collect();
    json!({
        "ociVersion": "1.2.0",
        "root": {"path": resolved.rootfs.to_string_lossy()},
        "linux": {
            "namespaces": namespaces,
            "maskedPaths": masked_paths(resolved),
            "readonlyPaths": READ_ONLY_PATHS,
        },
    })
}

/// Returns the kinds of the namespaces that a container has of its own, in the words of the OCI.
fn namespaces(request: &Request, resolved: &Resolved) -> Vec<&'static str> {
    let mut kinds = vec!["pid", "mount", "uts", "ipc", "cgroup"];
    if request.network == Network::None {
        kinds.push("network");
    }
    if resolved.clocks.is_some() {
        kinds.push("time");
    }
    kinds
}

/// Returns the offsets of the clocks of a time namespace, in the form of `/proc/PID/timens_offsets`.
pub(crate) fn offsets(clocks: Clocks) -> String {
    let line = |(clock, offset): (&str, Offset)| {
        format!("{clock} {} {}\n", offset.seconds, offset.nanoseconds)
    };
    clocks.offsets().map(line).concat()
}

/// Returns the command's environment: the defaults, then the requested variables. The last value of
/// a name counts.
pub(crate) fn environment(request: &Request, resolved: &Resolved) -> Vec<String> {
    let mut variables = vec![
        ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
        ("HOSTNAME".to_owned(), resolved.hostname.clone()),
        ("HOME".to_owned(), resolved.user.home.clone()),
    ];
    if request.terminal {
        let term = resolved.term.clone().unwrap_or("xterm".to_owned());
        variables.push(("TERM".to_owned(), term));
    }
    for (name, value) in &request.environment {
        variables.retain(|(other, _)| other != name);
        variables.push((name.clone(), value.clone()));
    }
    let line = |(name, value)| format!("{name}={value}");
    variables.into_iter().map(line).collect()
}

/// Returns the paths that are masked. cgroup v1 counts no pressure, so /proc/pressure would show
/// the host's; every program copes with a kernel without these files.
pub(crate) fn masked_paths(resolved: &Resolved) -> Vec<PathBuf> {
    let pressure = resolved.has_legacy_cgroups.then_some("/proc/pressure");
    let masked = MASKED_PATHS.iter().copied().chain(pressure);
    masked.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn resolved() -> Resolved {
        Resolved {
            rootfs: "/root".into(),
            hostname: "box".into(),
            args: vec!["sh".into()],
            user: User {
                uid: 1,
                gid: 2,
                groups: vec![2, 3],
                home: "/home/a".into(),
            },
            term: None,
            cgroup_binds: Vec::new(),
            has_legacy_cgroups: false,
            hook: Some(HookSpec::of_bundled_runtime(
                "/proc/self/exe",
                ["hook".to_owned()],
            )),
            clocks: Some(Clocks {
                monotonic: 1_500_000_000,
                boottime: 2_000_000_000,
            }),
        }
    }

    fn request() -> Request {
        Request {
            directory: "/".into(),
            ..Request::default()
        }
    }

    #[test]
    fn a_container_cannot_change_the_kernels_settings_and_not_read_its_memory() {
        assert!(READ_ONLY_PATHS.contains(&"/proc/sys"));
        assert!(masked_paths(&resolved()).contains(&"/proc/kcore".into()));
    }

    #[test]
    fn the_hook_learns_every_path_that_is_covered_later() {
        let configuration = configuration(&request(), &resolved());
        let linux = &configuration["linux"];
        assert_eq!(linux["maskedPaths"], json!(masked_paths(&resolved())));
        assert_eq!(linux["readonlyPaths"], json!(READ_ONLY_PATHS));
        assert_eq!(configuration["root"]["path"], "/root");
    }

    #[test]
    fn no_served_file_is_masked_or_covered_by_a_later_mount() {
        for bind in crate::inject::binds() {
            let path = Path::new("/").join(bind.path);
            assert!(
                !MASKED_PATHS.iter().any(|masked| path.starts_with(masked)),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_where_no_cgroup_has_pressure_is_it_hidden() {
        let hidden = |resolved: &Resolved| {
            let masked = masked_paths(resolved);
            masked
                .iter()
                .any(|path| path == Path::new("/proc/pressure"))
        };
        let unified = resolved();
        let mut legacy = resolved();
        legacy.has_legacy_cgroups = true;
        assert!(!hidden(&unified) && hidden(&legacy));
    }

    #[test]
    fn both_clocks_begin_at_0() {
        let offsets = offsets(resolved().clocks.unwrap());
        assert_eq!(offsets, "monotonic -2 500000000\nboottime -2 0\n");
    }

    #[test]
    fn the_network_is_a_namespace_of_its_own_unless_it_is_the_hosts() {
        let mut request = request();
        assert!(namespaces(&request, &resolved()).contains(&"network"));
        request.network = Network::Host;
        assert!(!namespaces(&request, &resolved()).contains(&"network"));
    }

    #[test]
    fn a_kernel_without_time_namespaces_gets_none() {
        let mut resolved = resolved();
        assert!(namespaces(&request(), &resolved).contains(&"time"));
        resolved.clocks = None;
        assert!(!namespaces(&request(), &resolved).contains(&"time"));
    }

    #[test]
    fn the_last_variable_of_a_name_counts() {
        let mut request = request();
        request.environment = vec![
            ("A".into(), "1".into()),
            ("PATH".into(), "/x".into()),
            ("A".into(), "2".into()),
        ];
        let environment = environment(&request, &resolved());
        assert_eq!(
            environment,
            ["HOSTNAME=box", "HOME=/home/a", "PATH=/x", "A=2"]
        );
    }
}
