//! Pure. The OCI configuration of a container, from the request and the values resolved for it.

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
        security::Security,
        user::User,
    },
};

/// The values of a container's configuration that the request leaves open.
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
    /// The cgroup below the top of each hierarchy.
    pub(crate) cgroups: PathBuf,
    /// The cgroup directories, each with its path in the container.
    pub(crate) cgroup_binds: Vec<(PathBuf, PathBuf)>,
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
const READ_ONLY_PATHS: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The default of the command's `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Builds the OCI configuration of a container.
///
/// # Errors
///
/// A configuration that breaks the rules of oci-spec, which no request can cause.
pub(crate) fn spec(request: &Request, resolved: &Resolved) -> Result<Spec, OciSpecError> {
    let root = RootBuilder::default()
        .path(resolved.rootfs.clone())
        .readonly(request.read_only)
        .build()?;
    let hooks = resolved.hook.iter().map(hook);
    SpecBuilder::default()
        .version("1.2.0")
        .root(root)
        .hostname(resolved.hostname.clone())
        .mounts(mounts(resolved)?)
        .process(process(request, resolved)?)
        .hooks(
            HooksBuilder::default()
                .create_container(hooks.collect::<Result<Vec<_>, _>>()?)
                .build()?,
        )
        .linux(linux(request, resolved)?)
        .build()
}

fn process(request: &Request, resolved: &Resolved) -> Result<Process, OciSpecError> {
    let user = UserBuilder::default()
        .uid(resolved.user.uid)
        .gid(resolved.user.gid)
        .umask(0o022u32)
        .additional_gids(resolved.user.groups.clone())
        .build()?;
    ProcessBuilder::default()
        .terminal(request.terminal)
        .user(user)
        .args(resolved.args.clone())
        .env(environment(request, resolved))
        .cwd(request.directory.clone())
        .capabilities(capabilities(&request.security)?)
        .no_new_privileges(request.security.no_new_privileges)
        .build()
}

/// Returns the command's environment: the defaults, then the requested variables. The last value of
/// a name counts.
fn environment(request: &Request, resolved: &Resolved) -> Vec<String> {
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

/// Returns the container's capabilities. The kernel takes them from a command of another user at
/// exec; a command of root keeps them.
///
/// Process 1 of a container whose programs may gain privileges has CAP_SYS_ADMIN until it has its
/// filter ([`Security::needs_admin`]). The bounding set never has more than the container's own, so
/// no program gets the capability from process 1.
fn capabilities(security: &Security) -> Result<LinuxCapabilities, OciSpecError> {
    let own = security.capabilities.clone();
    let mut first = own.clone();
    if security.needs_admin() {
        first.insert(Capability::SysAdmin);
    }
    LinuxCapabilitiesBuilder::default()
        .bounding(own)
        .effective(first.clone())
        .permitted(first)
        .inheritable(HashSet::new())
        .ambient(HashSet::new())
        .build()
}

fn hook(spec: &HookSpec) -> Result<Hook, OciSpecError> {
    let hook = HookBuilder::default()
        .path(&spec.path)
        .args(spec.args.clone())
        .env(hook_spec::ENVIRONMENT.map(str::to_owned));
    match spec.timeout {
        Some(timeout) => hook.timeout(timeout).build(),
        None => hook.build(),
    }
}

fn mounts(resolved: &Resolved) -> Result<Vec<Mount>, OciSpecError> {
    let mut mounts = vec![
        mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"])?,
        mount(
            "tmpfs",
            "tmpfs",
            "/dev",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        )?,
        mount(
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
        mount(
            "tmpfs",
            "shm",
            "/dev/shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        )?,
        mount(
            "mqueue",
            "mqueue",
            "/dev/mqueue",
            &["nosuid", "noexec", "nodev"],
        )?,
        mount(
            "sysfs",
            "sysfs",
            "/sys",
            &["nosuid", "noexec", "nodev", "ro"],
        )?,
    ];
    if !is_unified(resolved) {
        let options = &["nosuid", "noexec", "nodev", "mode=755"];
        mounts.push(mount("tmpfs", "tmpfs", CGROUP_MOUNT, options)?);
    }
    for (from, at) in &resolved.cgroup_binds {
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

/// The mount point of the cgroup file systems in a container.
const CGROUP_MOUNT: &str = "/sys/fs/cgroup";

/// Returns whether the container has a single cgroup, of v2.
fn is_unified(resolved: &Resolved) -> bool {
    let is_whole = |(_, at): &(PathBuf, PathBuf)| at == Path::new(CGROUP_MOUNT);
    resolved.cgroup_binds.iter().any(is_whole)
}

/// Returns the paths that are masked. cgroup v1 counts no pressure, so /proc/pressure would show
/// the host's; every program copes with a kernel without these files.
fn masked_paths(resolved: &Resolved) -> Vec<String> {
    let pressure = (!is_unified(resolved)).then(|| "/proc/pressure".to_owned());
    let masked = MASKED_PATHS.iter().map(ToString::to_string);
    masked.chain(pressure).collect()
}

fn mount(kind: &str, from: &str, at: &str, options: &[&str]) -> Result<Mount, OciSpecError> {
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    MountBuilder::default()
        .typ(kind)
        .source(from)
        .destination(at)
        .options(options)
        .build()
}

fn linux(request: &Request, resolved: &Resolved) -> Result<Linux, OciSpecError> {
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
    if resolved.clocks.is_some() {
        kinds.push(LinuxNamespaceType::Time);
    }
    let namespace = |kind| LinuxNamespaceBuilder::default().typ(kind).build();
    let namespaces: Result<Vec<_>, _> = kinds.into_iter().map(namespace).collect();
    let paths = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let linux = LinuxBuilder::default()
        .namespaces(namespaces?)
        .masked_paths(masked_paths(resolved))
        .readonly_paths(paths(READ_ONLY_PATHS))
        .cgroups_path(resolved.cgroups.clone())
        .rootfs_propagation("private");
    match resolved.clocks {
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
            cgroups: "/plimsoll/box".into(),
            cgroup_binds: vec![("/sys/fs/cgroup/plimsoll/box".into(), CGROUP_MOUNT.into())],
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

    fn kinds(spec: &Spec) -> Vec<LinuxNamespaceType> {
        let linux = spec.linux().as_ref().unwrap();
        let namespaces = linux.namespaces().as_ref().unwrap();
        namespaces.iter().map(|namespace| namespace.typ()).collect()
    }

    #[test]
    fn a_container_cannot_change_the_hosts_devices_and_kernel_settings() {
        let spec = spec(&request(), &resolved()).unwrap();
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
        for at in ["/sys", CGROUP_MOUNT] {
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
                !MASKED_PATHS.iter().any(|masked| path.starts_with(masked)),
                "{path:?}"
            );
        }
    }

    #[test]
    fn only_where_no_cgroup_has_pressure_is_it_hidden() {
        let hidden = |resolved: &Resolved| {
            masked_paths(resolved)
                .iter()
                .any(|path| path == "/proc/pressure")
        };
        let unified = resolved();
        let mut legacy = resolved();
        legacy.cgroup_binds = vec![("/a".into(), "/sys/fs/cgroup/memory".into())];
        assert!(!hidden(&unified) && hidden(&legacy));
    }

    #[test]
    fn both_clocks_begin_at_0() {
        let spec = spec(&request(), &resolved()).unwrap();
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
        assert!(
            kinds(&spec(&request, &resolved()).unwrap()).contains(&LinuxNamespaceType::Network)
        );
        request.network = Network::Host;
        assert!(
            !kinds(&spec(&request, &resolved()).unwrap()).contains(&LinuxNamespaceType::Network)
        );
    }

    #[test]
    fn a_kernel_without_time_namespaces_gets_none() {
        let mut resolved = resolved();
        resolved.clocks = None;
        let spec = spec(&request(), &resolved).unwrap();
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
        let spec = spec(&request, &resolved()).unwrap();
        let env = spec.process().as_ref().unwrap().env().as_ref().unwrap();
        assert_eq!(env, &["HOSTNAME=box", "HOME=/home/a", "PATH=/x", "A=2"]);
    }
}
