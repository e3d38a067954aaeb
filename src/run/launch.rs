//! Runs a container from the first check to the last directory removed.
//!
//! The steps stand in the order in which they can fail with the least made; each thing that is
//! made removes itself when dropped. libcontainer forks, so this process has one thread from
//! beginning to end, and the daemon that serves the view is another process.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use libcontainer::{
    container::{Container, builder::ContainerBuilder},
    syscall::syscall::SyscallType,
};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, umask},
    unistd::Pid,
};

use crate::{
    base::{
        mountinfo,
        respawn::{self, Respawn},
        sys::{self, chain, network, process::Lifeline},
        units::{Bytes, Limit},
    },
    inject::oci::hook_spec::HookSpec,
    run::{
        bundle::{self, Found},
        cgroups::{container::Cgroups, hierarchies::Hierarchies},
        check,
        error::{RunError, at, step},
        options::{
            request::{LEAST_MEMORY, Network, Request},
            user,
        },
        process::{
            console::{Console, Socket},
            init::Init,
            reexec,
            supervise::{Signals, supervise},
        },
        root::{
            dirs::Place,
            mountpoints::Scaffold,
            rootfs::{self, Rootfs},
            safe_root::Inside,
        },
        tree::View,
    },
};

/// The time after which the hook gives up the daemon.
const HOOK_TIMEOUT: Duration = Duration::from_secs(20);

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The command's exit status; 128 and the signal's number if one ended it.
    pub status: u8,
    /// Where what it changed is kept.
    pub kept: Option<PathBuf>,
}

/// Runs a container to its end, and removes all of it but what is to be kept.
///
/// The calling process must have one thread, and have done nothing yet that cannot be done twice: it
/// may begin anew. It is in a mount namespace of its own afterwards.
///
/// # Errors
///
/// When the container cannot be started; then nothing of it is left.
pub fn run(request: Request) -> Result<Outcome, RunError> {
    let request = check::machine(request)?;
    reexec::raise();
    let hierarchies = Hierarchies::find()?;
    hierarchies.check(&request.limits)?;
    let signals = Signals::hold()?;
    // What is made for the container is as open as a container expects it.
    umask(Mode::from_bits_truncate(0o022));
    let lifeline = Lifeline::of_this_process().map_err(step("watch this process"))?;
    let mut place = Place::claim(request.name.as_deref(), request.keep)?;
    own_mounts()?;
    let (status, rootfs) = {
        let scaffold = Scaffold::raise(&place)?;
        let view = view(&request, &place, &scaffold)?;
        let name = place.name().to_owned();
        let hostname = hostname(&request, &name);
        let mut rootfs = rootfs::mounted(&request, &place, &scaffold, &hostname)?;
        let cgroups = Cgroups::create(hierarchies, &name, &request.limits)?;
        let found = found(&request, &mut rootfs, &cgroups, &view, &place, hostname)?;
        let status = contained(&request, &found, &cgroups, &place, lifeline, &signals);
        // In this order: the processes, then the view they read, then the mounts.
        drop(cgroups);
        drop(view);
        drop(scaffold);
        (status?, rootfs)
    };
    if request.keep
        && let Err(error) = rootfs.traces.gather()
    {
        place.leave();
        return Err(error);
    }
    let kept = place.keep()?;
    Ok(Outcome { status, kept })
}

/// From here on no mount is seen outside, and every mount ends with this process.
fn own_mounts() -> Result<(), RunError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(step("make a mount namespace"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    let none = None::<&str>;
    mount(none, "/", none, flags, none).map_err(step("keep mounts to this process"))?;
    let mounts = mountinfo::own().map_err(at("read", "/proc/self/mountinfo"))?;
    // libcontainer takes the list of mounts for text, and fails at a name that is none.
    let odd = mounts.iter().filter(|mount| mount.point.to_str().is_none());
    for mount in odd {
        // It may have gone with another one.
        let _ = umount2(&mount.point, MntFlags::MNT_DETACH);
    }
    Ok(())
}

fn view(request: &Request, place: &Place, scaffold: &Scaffold) -> Result<View, RunError> {
    match View::of_host(&request.view) {
        Some(view) => Ok(view),
        None => View::embedded(scaffold.point("view")?, &place.path().join("daemon.log")),
    }
}

fn hostname(request: &Request, name: &str) -> String {
    let hosts = || match request.network {
        Network::Host => nix::unistd::gethostname().ok()?.into_string().ok(),
        Network::None => None,
    };
    let hostname = request.hostname.clone().or_else(hosts);
    // A container's name may have what a host's may not.
    hostname.unwrap_or_else(|| name.replace('_', "-"))
}

fn found(
    request: &Request,
    rootfs: &mut Rootfs,
    cgroups: &Cgroups,
    view: &View,
    place: &Place,
    hostname: String,
) -> Result<Found, RunError> {
    let mut inside = Inside::open(&rootfs.path)?;
    let asked = request.user.as_deref().unwrap_or_default();
    let user = user::resolve(
        asked,
        &inside.text("/etc/passwd"),
        &inside.text("/etc/group"),
    )?;
    let mut args = request.command.clone();
    if args.is_empty() {
        let bash = Path::new("/bin/bash");
        let shell = if inside.find(bash).is_ok() {
            "/bin/bash"
        } else {
            "/bin/sh"
        };
        args.push(shell.to_owned());
    }
    if !request.read_only {
        inside.directory(&request.directory)?;
        rootfs.remember(inside.made(), place)?;
    }
    let report = report(place);
    let hook = Respawn::Hook {
        view: view.path(),
        timeout: HOOK_TIMEOUT,
        report: &report,
    };
    let hook_args = hook.args().into_iter();
    Ok(Found {
        rootfs: rootfs.path.clone(),
        hostname,
        args,
        user,
        term: std::env::var("TERM").ok(),
        cgroups: cgroups.path(),
        cgroup_binds: cgroups.binds(),
        hook: HookSpec::of_bundled_runtime(
            respawn::PROGRAM,
            hook_args.map(|arg| arg.to_string_lossy().into_owned()),
        ),
        clocks: sys::clocks(),
    })
}

/// Where the hook writes what went wrong: libcontainer only hands on that something did.
fn report(place: &Place) -> PathBuf {
    place.path().join("hook")
}

/// Makes the container, starts it, and waits for its end.
fn contained(
    request: &Request,
    found: &Found,
    cgroups: &Cgroups,
    place: &Place,
    lifeline: Lifeline,
    signals: &Signals,
) -> Result<u8, RunError> {
    let bundle = place.directory("bundle")?;
    let spec = bundle::spec(request, found).map_err(|error| RunError::Create(error.to_string()))?;
    let path = bundle.join("config.json");
    spec.save(&path)
        .map_err(|error| RunError::Create(error.to_string()))?;
    let socket = if request.terminal {
        Some(Socket::listen(place.path())?)
    } else {
        None
    };
    let made = made(request, place, &bundle, socket.as_ref(), lifeline);
    let mut container = made.map_err(|error| explained(error, request, place))?;
    let console = match socket {
        Some(socket) => Some(console(socket, request, found)?),
        None => None,
    };
    cgroups.limit_pids(&request.limits)?;
    let failed = |error: libcontainer::error::LibcontainerError| RunError::Create(chain(&error));
    let pid = container.pid().map(|pid| Pid::from_raw(pid.as_raw()));
    let pid = pid.ok_or_else(|| RunError::Create("it has no process".to_owned()))?;
    if request.network == Network::None {
        loopback(pid)?;
    }
    container.start().map_err(failed)?;
    supervise(pid, signals, console)
}

/// Makes 127.0.0.1 answer in a network that holds nothing else.
fn loopback(pid: Pid) -> Result<(), RunError> {
    let opened = |path: String| fs::File::open(&path).map_err(at("open", path));
    let theirs = opened(format!("/proc/{pid}/ns/net"))?;
    let own = opened("/proc/self/ns/net".to_owned())?;
    network::raise_loopback(&theirs, &own).map_err(step("bring up the container's loopback device"))
}

fn console(socket: Socket, request: &Request, found: &Found) -> Result<Console, RunError> {
    let mut console = socket.receive(found.user.uid)?;
    console.fit();
    if request.interactive {
        console.listen();
    }
    Ok(console)
}

fn made(
    request: &Request,
    place: &Place,
    bundle: &Path,
    socket: Option<&Socket>,
    lifeline: Lifeline,
) -> Result<Container, String> {
    let state = place
        .directory("state")
        .map_err(|error| error.to_string())?;
    let mut builder = ContainerBuilder::new(place.name().to_owned(), SyscallType::default())
        .with_root_path(state)
        .map_err(|error| chain(&error))?
        .with_console_socket(socket.map(Socket::path))
        .with_executor(Init::new(lifeline));
    if !request.interactive && !request.terminal {
        let null = fs::File::open("/dev/null").map_err(|error| error.to_string())?;
        builder = builder.with_stdin(OwnedFd::from(null));
    }
    builder
        .as_init(bundle)
        .with_systemd(false)
        .with_detach(socket.is_some())
        .build()
        .map_err(|error| chain(&error))
}

/// What went wrong as far as it is known: the hook's own words, or that memory ran out.
fn explained(error: String, request: &Request, place: &Place) -> RunError {
    if let Ok(said) = fs::read_to_string(report(place)) {
        return RunError::Create(said);
    }
    match request.limits.memory {
        // Whatever a start in little memory fails with: it is rarely anything else.
        Limit::At(memory) if memory < Bytes(LEAST_MEMORY.0 * 2) => {
            RunError::TooLittleMemory(memory)
        }
        _ => RunError::Create(error),
    }
}
