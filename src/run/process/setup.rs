//! The steps of process 1 from its start to the wait for the command's start.
//!
//! The order of the steps matters. The cgroup namespace begins at the cgroups that the process is in.
//! A file system of the kernel shows the namespaces of its mounter. The hook needs the mounts of the
//! container, and the host's root. The user comes last but the binding to the parent, which a change
//! of the user would undo (`prctl(2)`, PR_SET_PDEATHSIG).

use std::{
    fs,
    io::{self, Write},
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::prctl,
    unistd::{chdir, getcwd, sethostname, setsid},
};
use serde_json::Value;

use crate::{
    base::sys::{fd::close_all_on_exec, network},
    inject::oci::hook_spec,
    run::{
        bundle::{self, Resolved},
        error::{RunError, at, step},
        options::request::{Network, Request},
        process::{confinement::Confinement, privileges, streams},
        root::{
            enter::{enter_root, make_read_only, mask},
            kernel_mounts::mount_kernel_file_systems,
        },
    },
};

/// A container to set up, from its process 1.
#[derive(Debug)]
pub(crate) struct Setup<'a> {
    /// The request.
    pub(crate) request: &'a Request,
    /// The values that the request leaves open.
    pub(crate) resolved: &'a Resolved,
    /// The OCI state for the hook.
    pub(crate) state: Value,
}

impl Setup<'_> {
    /// Moves this process, the first of a pid namespace, into a session and into the container's
    /// cgroups.
    ///
    /// # Errors
    ///
    /// A cgroup that refuses the process.
    pub(super) fn enter_cgroups(&self) -> Result<(), RunError> {
        setsid().map_err(step("make a session"))?;
        for (cgroup, _) in &self.resolved.cgroup_binds {
            let path = cgroup.join("cgroup.procs");
            // 0 stands for the writer.
            fs::write(&path, "0").map_err(at("enter", path))?;
        }
        Ok(())
    }

    /// Makes this process, which is in the container's cgroups, process 1 of the container. Returns
    /// the master of the container's terminal, if it has one.
    ///
    /// # Errors
    ///
    /// The first step that the kernel refuses.
    pub(super) fn carry_out(&self) -> Result<Option<OwnedFd>, RunError> {
        let (request, resolved) = (self.request, self.resolved);
        self.enter_namespaces()?;
        mount_kernel_file_systems(
            &resolved.rootfs,
            &resolved.cgroup_binds,
            resolved.has_legacy_cgroups,
        )?;
        self.run_hook()?;
        enter_root(&resolved.rootfs)?;
        let terminal = match request.terminal {
            true => Some(streams::connect_terminal()?),
            false => {
                streams::replace_null_streams(request.interactive)?;
                None
            }
        };
        make_read_only(bundle::READ_ONLY_PATHS)?;
        mask(&bundle::masked_paths(resolved))?;
        chdir(&request.directory).map_err(|error| self.wrong_directory(error))?;
        // As root: the keys of another user are few (/proc/sys/kernel/keys/maxkeys).
        Confinement::separate_keys().map_err(step("make a session keyring"))?;
        privileges::become_user(&resolved.user, &request.security)?;
        // The change of the user has set what fs.suid_dumpable says.
        prctl::set_dumpable(false).map_err(step("protect process 1"))?;
        self.check_directory()?;
        close_all_on_exec().map_err(step("close files"))?;
        Ok(terminal)
    }

    fn enter_namespaces(&self) -> Result<(), RunError> {
        let mut flags = CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWCGROUP;
        let has_network = self.request.network == Network::None;
        flags.set(CloneFlags::CLONE_NEWNET, has_network);
        unshare(flags).map_err(step("make the container's namespaces"))?;
        sethostname(&self.resolved.hostname).map_err(step("set the host name"))?;
        if has_network {
            network::raise_loopback().map_err(step("bring up the container's loopback device"))?;
        }
        let (none, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(none, "/", none, flags, none).map_err(step("make the container's mounts private"))
    }

    /// Runs the hook, with the OCI state on its standard input.
    fn run_hook(&self) -> Result<(), RunError> {
        let Some(hook) = &self.resolved.hook else {
            return Ok(());
        };
        let wrong = || at("run the hook", &hook.path);
        let mut command = Command::new(&hook.path);
        if let Some((name, args)) = hook.args.split_first() {
            command.arg0(name).args(args);
        }
        let variables = hook_spec::ENVIRONMENT
            .iter()
            .filter_map(|variable| variable.split_once('='));
        let mut child = command
            .env_clear()
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(wrong())?;
        if let Some(mut stdin) = child.stdin.take() {
            // A hook that has ended already tells by its status whether it failed.
            let _ = stdin.write_all(self.state.to_string().as_bytes());
        }
        match child.wait().map_err(wrong())? {
            status if status.success() => Ok(()),
            status => Err(RunError::Create(format!("the hook ended with {status}"))),
        }
    }

    /// Checks that the working directory is in the container's root, and not only reachable by a
    /// path of the host.
    fn check_directory(&self) -> Result<(), RunError> {
        match getcwd() {
            Ok(path) if path.starts_with(Path::new("/")) => Ok(()),
            Ok(_) => Err(self.wrong_directory(Errno::ENOENT)),
            Err(error) => Err(self.wrong_directory(error)),
        }
    }

    fn wrong_directory(&self, error: Errno) -> RunError {
        RunError::Workdir {
            path: self.request.directory.clone(),
            wrong: match error {
                Errno::ENOENT => "the container has no such directory".to_owned(),
                error => io::Error::from(error).to_string(),
            },
        }
    }
}
