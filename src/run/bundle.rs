//! Pure. What was asked, and what was found out for it, as an OCI configuration.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use oci_spec::{
    OciSpecError,
    runtime::{
        Capability, Hook, HookBuilder, HooksBuilder, Linux, LinuxBuilder, LinuxCapabilities,
        LinuxCapabilitiesBuilder, LinuxNamespaceBuilder, LinuxNamespaceType, LinuxTimeOffset,
        LinuxTimeOffsetBuilder, Mount, MountBuilder, Process, ProcessBuilder, RootBuilder, Spec,
        SpecBuilder, UserBuilder,
    },
};

use crate::{
    base::units::{Clocks, Offset},
    inject::oci::hook_spec::{self, HookSpec},
    run::options::{
        request::{Network, Request},
        user::User,
    },
};

/// What a container's configuration needs beside the request.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Its root, mounted.
    pub(crate) rootfs: PathBuf,
    /// Its host name.
    pub(crate) hostname: String,
    /// The command and its arguments.
    pub(crate) args: Vec<String>,
    /// Who runs it.
    pub(crate) user: User,
    /// What a terminal is called here.
    pub(crate) term: Option<String>,
    /// Its cgroup below each hierarchy's top.
    pub(crate) cgroups: PathBuf,
    /// Its cgroup directories, each with where it appears.
    pub(crate) cgroup_binds: Vec<(PathBuf, PathBuf)>,
    /// The hook that brings in the view.
    pub(crate) hook: HookSpec,
    /// The clocks of this moment; `None` where the kernel has no time namespaces.
    pub(crate) clocks: Option<Clocks>,
}

/// Docker's default capabilities without MKNOD: on cgroup v2 nothing else stands between
/// a device node and the host's device.
const CAPABILITIES: &[Capability] = &[
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// Docker's masked paths, and the host's memory block by block, which lsmem adds up.
const MASKED: &[&str] = &[
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
const READ_ONLY: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The OCI configuration of a container.
///
/// # Errors
///
/// When the configuration's own rules are broken, which no request can bring about.
pub(crate) fn spec(request: &Request, found: &Found) -> Result<Spec, OciSpecError> {
    let root = RootBuilder::default()
        .path(found.rootfs.clone())
        .readonly(request.read_only)
        .build()?;
    SpecBuilder::default()
        .version("1.2.0")
        .root(root)
        .hostname(found.hostname.clone())
        .mounts(mounts(found)?)
        .process(process(request, found)?)
        .hooks(
            HooksBuilder::default()
                .create_container(vec![hook(found)?])
                .build()?,
        )
        .linux(linux(request, found)?)
        .build()
}

fn process(request: &Request, found: &Found) -> Result<Process, OciSpecError> {
    let user = UserBuilder::default()
        .uid(found.user.uid)
        .gid(found.user.gid)
        .umask(0o022u32)
        .additional_gids(found.user.groups.clone())
        .build()?;
    ProcessBuilder::default()
        .terminal(request.terminal)
        .user(user)
        .args(found.args.clone())
        .env(environment(request, found))
        .cwd(request.directory.clone())
        .capabilities(capabilities()?)
        .no_new_privileges(false)
        .build()
}

/// What was asked for, after what every command finds; the last of a name counts.
fn environment(request: &Request, found: &Found) -> Vec<String> {
    let mut variables = vec![
        ("PATH".to_owned(), PATH.to_owned()),
        ("HOSTNAME".to_owned(), found.hostname.clone()),
        ("HOME".to_owned(), found.user.home.clone()),
    ];
    if request.terminal {
        let term = found.term.clone().unwrap_or("xterm".to_owned());
        variables.push(("TERM".to_owned(), term));
    }
    for (name, value) in &request.environment {
        variables.retain(|(other, _)| other != name);
        variables.push((name.clone(), value.clone()));
    }
    let line = |(name, value)| format!("{name}={value}");
    variables.into_iter().map(line).collect()
}

/// A command of another user loses them by becoming a program; one of root keeps them.
fn capabilities() -> Result<LinuxCapabilities, OciSpecError> {
    let all: HashSet<Capability> = CAPABILITIES.iter().copied().collect();
    LinuxCapabilitiesBuilder::default()
        .bounding(all.clone())
        .effective(all.clone())
        .permitted(all)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}

fn hook(found: &Found) -> Result<Hook, OciSpecError> {
    let hook = HookBuilder::default()
        .path(&found.hook.path)
        .args(found.hook.args.clone())
        .env(hook_spec::ENVIRONMENT.map(str::to_owned));
    match found.hook.timeout {
        Some(timeout) => hook.timeout(timeout).build(),
        None => hook.build(),
    }
}

fn mounts(found: &Found) -> Result<Vec<Mount>, OciSpecError> {
    let mut mounts = vec![
        mounted("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        mounted(
            "tmpfs",
            "tmpfs",
            "/dev",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        )?,
        mounted(
            "devpts",
            "devpts",
            "/dev/pts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        )?,
        mounted(
            "tmpfs",
            "shm",
            "/dev/shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        )?,
        mounted(
            "mqueue",
            "mqueue",
            "/dev/mqueue",
            &["nosuid", "noexec", "nodev"],
        )?,
        mounted(
            "sysfs",
            "sysfs",
            "/sys",
            &["nosuid", "noexec", "nodev", "ro"],
        )?,
    ];
    if !is_unified(found) {
        let options = &["nosuid", "noexec", "nodev", "mode=755"];
        mounts.push(mounted("tmpfs", "tmpfs", CGROUPS, options)?);
    }
    for (from, at) in &found.cgroup_binds {
        let options = ["bind", "ro", "nosuid", "noexec", "nodev"].map(str::to_owned);
        let bind = MountBuilder::default()
            .typ("bind")
            .source(from)
            .destination(at)
            .options(options)
            .build()?;
        mounts.push(bind);
    }
    Ok(mounts)
}

const CGROUPS: &str = "/sys/fs/cgroup";

/// Whether its cgroup is one, of v2.
fn is_unified(found: &Found) -> bool {
    let one = |(_, at): &(PathBuf, PathBuf)| at == Path::new(CGROUPS);
    found.cgroup_binds.iter().any(one)
}

/// Where nothing is to be seen. v1 counts no pressure for a cgroup: there the files would be the
/// host's, and a kernel without them is known to every program.
fn masked(found: &Found) -> Vec<String> {
    let pressure = (!is_unified(found)).then(|| "/proc/pressure".to_owned());
    let masked = MASKED.iter().map(ToString::to_string);
    masked.chain(pressure).collect()
}

fn mounted(kind: &str, from: &str, at: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    MountBuilder::default()
        .typ(kind)
        .source(from)
        .destination(at)
        .options(options)
        .build()
}

fn linux(request: &Request, found: &Found) -> Result<Linux, OciSpecError> {
    let mut kinds = vec![
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Cgroup,
    ];
    if request.network == Network::None {
        kinds.push(LinuxNamespaceType::Network);
    }
    if found.clocks.is_some() {
        kinds.push(LinuxNamespaceType::Time);
    }
    let namespace = |kind| LinuxNamespaceBuilder::default().typ(kind).build();
    let namespaces: Result<Vec<_>, _> = kinds.into_iter().map(namespace).collect();
    let paths = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let linux = LinuxBuilder::default()
        .namespaces(namespaces?)
        .masked_paths(masked(found))
        .readonly_paths(paths(READ_ONLY))
        .cgroups_path(found.cgroups.clone())
        .rootfs_propagation("private");
    match found.clocks {
        Some(clocks) => linux.time_offsets(offsets(clocks)?).build(),
        None => linux.build(),
    }
}

fn offsets(clocks: Clocks) -> Result<HashMap<String, LinuxTimeOffset>, OciSpecError> {
    let offset = |(name, offset): (&str, Offset)| {
        let offset = LinuxTimeOffsetBuilder::default()
            .secs(offset.seconds)
            .nanosecs(offset.nanoseconds)
            .build()?;
        Ok((name.to_owned(), offset))
    };
    clocks.offsets().into_iter().map(offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
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
            cgroups: "/plimsoll/box".into(),
            cgroup_binds: vec![("/sys/fs/cgroup/plimsoll/box".into(), CGROUPS.into())],
            hook: HookSpec::of_bundled_runtime("/proc/self/exe", ["hook".to_owned()]),
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

    fn kinds(spec: &Spec) -> Vec<LinuxNamespaceType> {
        let linux = spec.linux().as_ref().unwrap();
        let namespaces = linux.namespaces().as_ref().unwrap();
        namespaces.iter().map(|namespace| namespace.typ()).collect()
    }

    #[test]
    fn a_container_cannot_change_the_hosts_devices_and_kernel_settings() {
        let spec = spec(&request(), &found()).unwrap();
        let process = spec.process().as_ref().unwrap();
        let capabilities = process.capabilities().as_ref().unwrap();
        for set in [
            capabilities.bounding(),
            capabilities.effective(),
            capabilities.permitted(),
        ] {
            let set = set.as_ref().unwrap();
            for denied in [
                Capability::Mknod,
                Capability::SysAdmin,
                Capability::SysRawio,
                Capability::SysModule,
                Capability::SysPtrace,
                Capability::DacReadSearch,
            ] {
                assert!(!set.contains(&denied), "{denied:?}");
            }
        }
        let linux = spec.linux().as_ref().unwrap();
        let read_only = linux.readonly_paths().as_ref().unwrap();
        assert!(read_only.iter().any(|path| path == "/proc/sys"));
        let masked = linux.masked_paths().as_ref().unwrap();
        assert!(masked.iter().any(|path| path == "/proc/kcore"));
        let mounts = spec.mounts().as_ref().unwrap();
        for at in ["/sys", CGROUPS] {
            let mount = mounts
                .iter()
                .find(|mount| mount.destination() == Path::new(at));
            let options = mount.unwrap().options().as_ref().unwrap();
            assert!(options.iter().any(|option| option == "ro"), "{at}");
        }
    }

    #[test]
    fn no_served_file_is_masked_or_covered_by_a_later_mount() {
        for bind in crate::inject::binds() {
            let path = Path::new("/").join(bind.path);
            assert!(
                !MASKED.iter().any(|masked| path.starts_with(masked)),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_where_no_cgroup_has_pressure_is_it_hidden() {
        let hidden = |found: &Found| masked(found).iter().any(|path| path == "/proc/pressure");
        let unified = found();
        let mut legacy = found();
        legacy.cgroup_binds = vec![("/a".into(), "/sys/fs/cgroup/memory".into())];
        assert!(!hidden(&unified) && hidden(&legacy));
    }

    #[test]
    fn both_clocks_begin_at_0() {
        let spec = spec(&request(), &found()).unwrap();
        let offsets = spec
            .linux()
            .as_ref()
            .unwrap()
            .time_offsets()
            .as_ref()
            .unwrap();
        let offset = |name: &str| {
            (
                offsets[name].secs().unwrap(),
                offsets[name].nanosecs().unwrap(),
            )
        };
        assert_eq!(offset("monotonic"), (-2, 500_000_000));
        assert_eq!(offset("boottime"), (-2, 0));
    }

    #[test]
    fn the_network_is_a_namespace_of_its_own_unless_it_is_the_hosts() {
        let mut request = request();
        assert!(kinds(&spec(&request, &found()).unwrap()).contains(&LinuxNamespaceType::Network));
        request.network = Network::Host;
        assert!(!kinds(&spec(&request, &found()).unwrap()).contains(&LinuxNamespaceType::Network));
    }

    #[test]
    fn a_kernel_without_time_namespaces_gets_none() {
        let mut found = found();
        found.clocks = None;
        let spec = spec(&request(), &found).unwrap();
        assert!(!kinds(&spec).contains(&LinuxNamespaceType::Time));
        assert!(spec.linux().as_ref().unwrap().time_offsets().is_none());
    }

    #[test]
    fn the_last_variable_of_a_name_counts() {
        let mut request = request();
        request.environment = vec![
            ("A".into(), "1".into()),
            ("PATH".into(), "/x".into()),
            ("A".into(), "2".into()),
        ];
        let spec = spec(&request, &found()).unwrap();
        let env = spec.process().as_ref().unwrap().env().as_ref().unwrap();
        assert_eq!(env, &["HOSTNAME=box", "HOME=/home/a", "PATH=/x", "A=2"]);
    }
}
