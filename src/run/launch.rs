//! The steps of a run, from the first check to the removal of the last directory.
//!
//! The order of the steps keeps the loss of a failure small: a step that creates more follows the
//! steps that may fail without it. Each created thing removes itself when dropped. The creation of a
//! container forks, so this process has one thread from beginning to end, and the daemon of the
//! served files is another process.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, umask},
};
use serde_json::json;

use crate::{
    base::{
        output::complain,
        respawn::{self, Respawn},
        sys::{self, process::Lifeline},
        units::{Bytes, Limit},
    },
    inject::oci::hook_spec::HookSpec,
    run::{
        bundle::{self, Resolved},
        cgroups::{create::ContainerCgroups, hierarchies::Hierarchies},
        check,
        error::{RunError, at, step},
        options::{
            request::{MIN_MEMORY, Network, Request, TreeSource},
            user,
        },
        process::{
            confinement::Confinement,
            console::Console,
            create::Begun,
            init::Init,
            reexec,
            setup::Setup,
            supervise::{Signals, supervise},
            ulimits::CommandLimits,
        },
        root::{dirs::ContainerDir, mountpoints::Mountpoints, rootfs::Rootfs, safe_root::SafeRoot},
        tree::ServedTree,
    },
};

/// The timeout of the hook for the daemon's answer.
const HOOK_TIMEOUT: Duration = Duration::from_secs(60);

/// The mounts that a container gets at its start, above its root.
const LATER_MOUNTS: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit status of the command; 128 and the signal's number after a death by signal.
    pub status: u8,
    /// The directory with the kept changes; `None` if they are not kept.
    pub kept: Option<PathBuf>,
}

/// Runs a container to its end, and removes everything but the kept changes.
///
/// The calling process must have one thread, and nothing that it did before the call may be harmful
/// twice: the program may start again from the beginning. After the call the process is in a
/// private mount namespace.
///
/// # Errors
///
/// A container that cannot be started. Nothing of such a container remains.
pub fn run(request: Request) -> Result<Exit, RunError> {
    let request = check::machine(request)?;
    reexec::from_read_only_mount();
    let confinement = Confinement::new(&request.security)?;
    let limits = CommandLimits::prepare(&request.security.ulimits)?;
    let hierarchies = Hierarchies::find()?;
    hierarchies.check(&request.limits)?;
    let signals = Signals::block()?;
    // The container's files get the modes that a container expects.
    umask(Mode::from_bits_truncate(0o022));
    let lifeline = Lifeline::of_this_process().map_err(step("watch this process"))?;
    let init = Init::new(lifeline, confinement, limits);
    let mut dir = ContainerDir::create(request.name.as_deref(), request.keep)?;
    enter_mount_namespace()?;
    let (status, rootfs) = {
        let mountpoints = Mountpoints::mount(&dir)?;
        let mut tree = find_or_serve_tree(&request, &dir, &mountpoints)?;
        let hostname = choose_hostname(&request, dir.name());
        let mut rootfs = Rootfs::mount(&request, &dir, &mountpoints, &hostname)?;
        let cgroups = ContainerCgroups::create(hierarchies, dir.name(), &request.limits)?;
        let launch = Launch {
            request: &request,
            dir: &dir,
            tree: tree.as_ref(),
            cgroups: &cgroups,
        };
        let resolved = launch.resolve(&mut rootfs, hostname)?;
        let status = launch.run_to_end(&resolved, &init, &signals);
        // The order matters: the processes, then the tree that they read, then the mounts. After its
        // process 1 a container has no process.
        if let (Ok(_), Some(tree)) = (&status, &mut tree) {
            tree.end();
        }
        drop(cgroups);
        drop(tree);
        drop(mountpoints);
        (status?, rootfs)
    };
    if let Some(blamed) = init.limits.blamed(status) {
        complain(&blamed);
    }
    if request.keep
        && let Err(error) = rootfs.undo.merge_changes()
    {
        dir.leave();
        return Err(error);
    }
    let kept = dir.keep_changes()?;
    Ok(Exit { status, kept })
}

/// Enters a private mount namespace: no later mount is seen outside, and each ends with this
/// process.
fn enter_mount_namespace() -> Result<(), RunError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(step("make a mount namespace"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    let none = None::<&str>;
    mount(none, "/", none, flags, none).map_err(step("make mounts private to this process"))
}

fn find_or_serve_tree(
    request: &Request,
    dir: &ContainerDir,
    mountpoints: &Mountpoints,
) -> Result<Option<ServedTree>, RunError> {
    let of_host = match request.tree {
        TreeSource::HostOrOwn => ServedTree::of_host(&request.mountpoint),
        TreeSource::Own => None,
        TreeSource::None => return Ok(None),
    };
    let log = dir.path().join("daemon.log");
    let tree = of_host.map_or_else(
        || ServedTree::embedded(mountpoints.create("view")?, log),
        Ok,
    );
    tree.map(Some)
}

fn choose_hostname(request: &Request, name: &str) -> String {
    let of_host = || match request.network {
        Network::Host => nix::unistd::gethostname().ok()?.into_string().ok(),
        Network::None => None,
    };
    let hostname = request.hostname.clone().or_else(of_host);
    // The name of a container may contain `_`, which a host name may not.
    hostname.unwrap_or_else(|| name.replace('_', "-"))
}

/// The parts of a container that exist before its processes.
struct Launch<'a> {
    request: &'a Request,
    dir: &'a ContainerDir,
    tree: Option<&'a ServedTree>,
    cgroups: &'a ContainerCgroups,
}

impl Launch<'_> {
    /// Resolves what the request leaves open, with the files of the root. Creates the working
    /// directory.
    fn resolve(&self, rootfs: &mut Rootfs, hostname: String) -> Result<Resolved, RunError> {
        let request = self.request;
        let mut safe_root = SafeRoot::open(&rootfs.path)?;
        let user = user::resolve(
            request.user.as_deref().unwrap_or_default(),
            &safe_root.read_text("/etc/passwd"),
            &safe_root.read_text("/etc/group"),
        )?;
        let args = match request.command.as_slice() {
            [] => vec![shell(&safe_root).to_owned()],
            command => command.to_vec(),
        };
        self.make_workdir(&mut safe_root)?;
        if !request.read_only {
            rootfs.record(safe_root.into_created(), self.dir)?;
        }
        Ok(Resolved {
            rootfs: rootfs.path.clone(),
            hostname,
            args,
            user,
            term: std::env::var("TERM").ok(),
            cgroup_binds: self.cgroups.binds(),
            has_legacy_cgroups: self.cgroups.are_legacy(),
            hook: self.tree.map(|tree| self.hook(tree)),
            // Without a view the container's uptime is the host's too, as with other runtimes.
            clocks: self.tree.and_then(|_| sys::clocks()),
        })
    }

    /// Creates the working directory in the root. A root that is read-only must have the directory,
    /// unless a mount brings the directory at the start.
    fn make_workdir(&self, safe_root: &mut SafeRoot) -> Result<(), RunError> {
        let path = &self.request.directory;
        let wrong = |wrong: String| RunError::Workdir {
            path: path.clone(),
            wrong,
        };
        if !self.request.read_only {
            let created = safe_root.create_dir(path).map(drop);
            return created.map_err(|error| wrong(sys::chain(&error)));
        }
        let is_later = LATER_MOUNTS.iter().any(|mount| path.starts_with(mount));
        match safe_root.open_path(path) {
            Err(_) if !is_later => Err(wrong(
                "the container has no such directory, and its root is read-only".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    fn hook(&self, tree: &ServedTree) -> HookSpec {
        let hook = Respawn::Hook {
            view: tree.path(),
            timeout: HOOK_TIMEOUT,
            report: &self.report(),
        };
        let args = hook.args().into_iter();
        let args = args.map(|arg| arg.to_string_lossy().into_owned());
        HookSpec::of_bundled_runtime(respawn::PROGRAM, args)
    }

    /// Returns the file for the hook's error: the status of a hook does not tell why it failed.
    fn report(&self) -> PathBuf {
        self.dir.path().join("hook")
    }

    /// Creates the container, starts it, and waits for its end; returns the exit status.
    fn run_to_end(
        &self,
        resolved: &Resolved,
        init: &Init,
        signals: &Signals,
    ) -> Result<u8, RunError> {
        let request = self.request;
        let setup = Setup {
            request,
            resolved,
            state: json!({
                "ociVersion": "1.2.0",
                "id": self.dir.name(),
                "status": "creating",
                "bundle": self.write_bundle(resolved)?.to_string_lossy(),
            }),
        };
        let begun = Begun::new(&setup, init).map_err(|error| self.explain(error))?;
        if let Some(tree) = self.tree {
            tree.wait_until_ready()?;
        }
        let mut created = begun
            .set_up(&request.directory)
            .map_err(|error| self.explain(error))?;
        let console = match created.terminal.take() {
            Some(master) => Some(open_console(master, request, resolved)?),
            None => None,
        };
        self.cgroups.limit_pids(&request.limits)?;
        let pid = created.start()?;
        let status = supervise(pid, signals, console)?;
        warn_of_kills(self.cgroups.oom_kills(), request.limits.memory);
        Ok(status)
    }

    /// Writes the OCI configuration for the hook into the directory of the bundle, and returns that
    /// directory.
    fn write_bundle(&self, resolved: &Resolved) -> Result<PathBuf, RunError> {
        let bundle = self.dir.create_dir("bundle")?;
        let path = bundle.join("config.json");
        let configuration = bundle::configuration(self.request, resolved);
        fs::write(&path, configuration.to_string()).map_err(at("write", path))?;
        Ok(bundle)
    }

    /// Explains an error of process 1: by the hook's own report, or by the lack of memory.
    fn explain(&self, error: RunError) -> RunError {
        if let Ok(report) = fs::read_to_string(self.report()) {
            return RunError::Create(report);
        }
        match (error, self.request.limits.memory) {
            (error @ RunError::Workdir { .. }, _) => error,
            // A start in little memory fails in many ways, and rarely for another reason.
            (_, Limit::At(memory)) if memory < Bytes(MIN_MEMORY.0 * 2) => {
                RunError::TooLittleMemory(memory)
            }
            (error, _) => error,
        }
    }
}

/// Prints that the kernel has killed processes of the container for lack of memory, if it has.
fn warn_of_kills(kills: u64, memory: Limit<Bytes>) {
    let killed = match kills {
        0 => return,
        1 => "1 process".to_owned(),
        more => format!("{more} processes"),
    };
    let reason = match memory {
        Limit::At(memory) => format!("the use of memory has reached --memory {memory}"),
        Limit::Unlimited => "this machine has no memory left".to_owned(),
    };
    complain(&format!(
        "the kernel killed {killed} of the container: {reason}"
    ));
}

/// Returns the shell for a container without a command.
fn shell(safe_root: &SafeRoot) -> &'static str {
    let bash = "/bin/bash";
    match safe_root.open_path(Path::new(bash)) {
        Ok(_) => bash,
        Err(_) => "/bin/sh",
    }
}

fn open_console(
    master: OwnedFd,
    request: &Request,
    resolved: &Resolved,
) -> Result<Console, RunError> {
    let mut console = Console::new(master, resolved.user.uid)?;
    console.copy_size();
    if request.interactive {
        console.forward_stdin();
    }
    Ok(console)
}
