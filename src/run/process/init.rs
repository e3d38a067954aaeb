//! Process 1 of a container: starts the command, forwards signals, reaps orphans, and ends with the
//! command's status.
//!
//! The command is not process 1 itself, for three reasons. The kernel drops every signal to process
//! 1 without a handler, so Ctrl-C would not end a `sleep`. Nothing would reap orphans. And the exec
//! of a program with the set-user-ID bit clears the signal at the parent's death (`prctl(2)`,
//! PR_SET_PDEATHSIG), which this process never loses, because it never calls exec.

use std::{
    ffi::{CString, OsStr},
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid, setpgid, tcsetpgrp},
};

use crate::{
    base::{
        output::{complain, escaped},
        sys::process::{self, Lifeline},
    },
    run::{
        bundle::{self, Resolved},
        error::{RunError, step},
        options::request::Request,
        process::{confinement::Confinement, ulimits::CommandLimits},
    },
};

/// The exit status for a missing program, as in a shell.
const NOT_FOUND: i32 = 127;
/// The exit status for a program that cannot be run, as in a shell.
const NOT_EXECUTABLE: i32 = 126;

/// Process 1 of a container that is set up.
#[derive(Debug)]
pub(crate) struct Init {
    /// The limits of the command.
    pub(crate) limits: CommandLimits,
    lifeline: Lifeline,
    confinement: Confinement,
}

impl Init {
    /// Returns process 1 for the lifeline of this process, with the confinement of process 1 and of
    /// the command, and with the limits of the command.
    pub(crate) fn new(lifeline: Lifeline, confinement: Confinement, limits: CommandLimits) -> Init {
        Init {
            limits,
            lifeline,
            confinement,
        }
    }

    /// Binds process 1 to its parent's life, until a change of the user undoes that. Each wait of
    /// process 1 would be a wait without end after the death of the parent.
    ///
    /// # Errors
    ///
    /// A parent that is dead.
    pub(super) fn bind_to_parent(&self) -> Result<(), RunError> {
        let bound = self.lifeline.bind();
        bound.map_err(step("bind process 1 to its parent"))
    }

    /// Runs the command to its end. Returns only a status for a failed start, since the end of the
    /// command ends this process.
    pub(super) fn run(&self, request: &Request, resolved: &Resolved) -> i32 {
        let strings = |list: &[String]| -> Option<Vec<CString>> {
            let strings = list.iter().map(|text| CString::new(text.as_str()).ok());
            strings.collect()
        };
        let args = strings(&resolved.args);
        let env = strings(&bundle::environment(request, resolved));
        let (Some(args), Some(env)) = (args, env) else {
            complain("cannot run the command: it contains a zero byte");
            return NOT_EXECUTABLE;
        };
        run_command(&self.confinement, || match self.limits.apply() {
            Ok(()) => exec_command(&args, &env, request.terminal),
            Err(_) => NOT_EXECUTABLE,
        })
    }
}

/// Runs the command to its end, under the confinement. Returns only a status for a failed start,
/// since the end of the command ends this process.
fn run_command(confinement: &Confinement, command: impl FnOnce() -> i32) -> i32 {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let child = match confinement.fork(command) {
        Ok(child) => child,
        Err(error) => {
            complain(&format!("cannot start the command's process: {error}"));
            return NOT_EXECUTABLE;
        }
    };
    // Parent and child both make this call, so the group exists for a signal whichever runs first.
    let _ = setpgid(child, child);
    let _ = prctl::set_name(c"plimsoll-init");
    // Inherited descriptors would hold the lock of `plimsoll run` and files of the host.
    process::run_without_descriptors(child, forward_signals)
}

/// Forwards signals to the command and reaps orphans until the command ends; returns its status.
fn forward_signals(child: Pid) -> i32 {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = reap(child) {
                    return status;
                }
            }
            // A terminal sends these signals to the whole foreground group, so the command's whole
            // group gets them here.
            Ok(signal @ (Signal::SIGINT | Signal::SIGQUIT | Signal::SIGHUP)) => {
                let _ = killpg(child, signal);
            }
            Ok(Signal::SIGTTIN | Signal::SIGTTOU) | Err(_) => {}
            Ok(signal) => {
                let _ = kill(child, signal);
            }
        }
    }
}

/// Reaps every process that has ended; returns the status of the command if it is among them.
fn reap(child: Pid) -> Option<i32> {
    let mut status = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => status = Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                status = Some(128 + process::number(signal));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return status,
            Ok(_) => {}
        }
    }
}

/// Replaces this process by the command; returns the exit status of a failure.
fn exec_command(args: &[CString], env: &[CString], terminal: bool) -> i32 {
    // The command gets its own group: the signals of a terminal are not for process 1.
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
    if terminal {
        let _ = tcsetpgrp(io::stdin(), getpid());
    }
    if let Err(error) = process::reset_signals() {
        complain(&format!("cannot reset signals: {error}"));
        return NOT_EXECUTABLE;
    }
    let Some(program) = args.first() else {
        return NOT_FOUND;
    };
    let shown = escaped(OsStr::from_bytes(program.as_bytes()));
    let mut refused = None;
    for path in candidates(program, env) {
        match process::become_program(&path, args, env) {
            Ok(never) => match never {},
            Err(Errno::ENOENT | Errno::ENOTDIR) if !exists(&path) => {}
            Err(Errno::EACCES) if is_directory(&path) => refused = refused.or(Some(Errno::EISDIR)),
            // A later directory may hold a program that can be run; a shell looks there too.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        None if program.as_bytes().contains(&b'/') => {
            complain(&format!(
                "cannot run {shown}: no such file in the container"
            ));
            NOT_FOUND
        }
        None => {
            complain(&format!(
                "cannot run {shown}: not found in the container's PATH"
            ));
            NOT_FOUND
        }
        Some(Errno::ENOENT) => {
            complain(&format!(
                "cannot run {shown}: its interpreter is not in the container"
            ));
            NOT_FOUND
        }
        Some(error) => {
            complain(&format!(
                "cannot run {shown}: {}",
                error.desc().to_lowercase()
            ));
            NOT_EXECUTABLE
        }
    }
}

fn is_directory(path: &CString) -> bool {
    Path::new(OsStr::from_bytes(path.as_bytes())).is_dir()
}

fn exists(path: &CString) -> bool {
    Path::new(OsStr::from_bytes(path.as_bytes()))
        .symlink_metadata()
        .is_ok()
}

/// Returns the paths at which a program may lie: the name itself if it contains a slash, else the
/// name in each directory of PATH. An empty name has none.
fn candidates(program: &CString, env: &[CString]) -> Vec<CString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let path = env
        .iter()
        .find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="));
    let path = path.unwrap_or_default();
    if program.as_bytes().is_empty() {
        return Vec::new();
    }
    let joined = |directory: &[u8]| {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        CString::new([directory, b"/", program.as_bytes()].concat()).ok()
    };
    path.split(|byte| *byte == b':')
        .filter_map(joined)
        .collect()
}
