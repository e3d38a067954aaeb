//! Process 1 of a container: starts the command, hands signals on, reaps orphans, ends as it ends.
//!
//! The command is not process 1 itself. The kernel drops signals to process 1 that it has no
//! handler for, so Ctrl-C would not end a `sleep`; nobody would reap its orphans; and a program
//! with the set-user-ID bit forgets that it is to die with its parent (`prctl(2)`,
//! PR_SET_PDEATHSIG), which this process never does, for it becomes no other program.

use std::{
    collections::HashMap,
    ffi::{CString, OsStr},
    io::{self, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
    sync::Arc,
};

use libcontainer::workload::{
    Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError,
};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        prctl,
        signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask},
        stat::fstat,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, setpgid, tcsetpgrp},
};
use oci_spec::runtime::Spec;

use crate::base::sys::process::{self, Lifeline};

/// The status when there is no such program, as a shell has it.
const NOT_FOUND: i32 = 127;
/// The status when the program cannot be run, as a shell has it.
const NOT_EXECUTABLE: i32 = 126;

/// Becomes process 1 of a container, which dies with the process whose lifeline it holds.
#[derive(Debug, Clone)]
pub(crate) struct Init {
    lifeline: Arc<Lifeline>,
}

impl Init {
    pub(crate) fn new(lifeline: Lifeline) -> Init {
        Init {
            lifeline: Arc::new(lifeline),
        }
    }
}

impl Executor for Init {
    fn validate(&self, _: &Spec) -> Result<(), ExecutorValidationError> {
        Ok(())
    }

    /// libcontainer calls this last before it waits for the start, without end if nobody starts
    /// it: from here on the process dies with its parent.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        let dead = |error: Errno| ExecutorSetEnvsError::Other(format!("cannot outlive: {error}"));
        self.lifeline.bind().map_err(dead)
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let strings = |list: &Option<Vec<String>>| -> Result<Vec<CString>, ExecutorError> {
            let list = list.as_deref().unwrap_or_default().iter();
            list.map(|text| CString::new(text.as_str()).map_err(|_| ExecutorError::InvalidArg))
                .collect()
        };
        let args = strings(process.args())?;
        let env = strings(process.env())?;
        let terminal = process.terminal().unwrap_or(false);
        let status = serve(&args, &env, terminal);
        process::exit_now(status)
    }
}

/// Runs the command to its end, and answers with its status.
fn serve(args: &[CString], env: &[CString], terminal: bool) -> i32 {
    let _ = fix_null();
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    let child = match process::forked(|| command(args, env, terminal)) {
        Ok(child) => child,
        Err(error) => {
            complain(&format!("cannot start a process: {error}"));
            return NOT_EXECUTABLE;
        }
    };
    // The command does so itself too: whoever is later, a signal to the group finds it.
    let _ = setpgid(child, child);
    let _ = prctl::set_name(c"plimsoll-init");
    // Else the container would hold what its `plimsoll run` holds: its lock, the host's files.
    process::run_without_descriptors(child, wait_for)
}

fn wait_for(child: Pid) -> i32 {
    loop {
        match SigSet::all().wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(status) = reaped(child) {
                    return status;
                }
            }
            // A terminal sends these to everyone in the foreground, and so does who types Ctrl-C
            // where there is none.
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

/// Reaps every process that has ended; the status once the command is among them.
fn reaped(child: Pid) -> Option<i32> {
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

/// Becomes the command; the status when that fails.
fn command(args: &[CString], env: &[CString], terminal: bool) -> i32 {
    // A group of its own: a terminal's signals are for the command, not for process 1.
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
    let shown = program.to_string_lossy();
    let mut refused = None;
    for path in candidates(program, env) {
        match process::become_program(&path, args, env) {
            Ok(never) => match never {},
            Err(Errno::ENOENT | Errno::ENOTDIR) if !exists(&path) => {}
            // The next directory may have one that can be run, as a shell looks on.
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
                "cannot run {shown}: the interpreter it names is not in the container"
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

fn exists(path: &CString) -> bool {
    Path::new(OsStr::from_bytes(path.as_bytes()))
        .symlink_metadata()
        .is_ok()
}

/// Where a program may be: itself if it is a path, else in each directory of PATH.
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

/// libcontainer 0.7 replaces a standard stream on the host's /dev/null by the container's, but
/// opens that for reading only: writing `> /dev/null` would fail.
fn fix_null() -> nix::Result<()> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null");
    let null = null.map_err(|_| Errno::ENODEV)?;
    let device = fstat(&null)?.st_rdev;
    if stale(io::stdin(), device)? {
        dup2_stdin(&null)?;
    }
    if stale(io::stdout(), device)? {
        dup2_stdout(&null)?;
    }
    if stale(io::stderr(), device)? {
        dup2_stderr(&null)?;
    }
    Ok(())
}

fn stale(stream: impl AsFd, null: u64) -> nix::Result<bool> {
    let flags = OFlag::from_bits_truncate(fcntl(stream.as_fd(), FcntlArg::F_GETFL)?);
    Ok(fstat(stream.as_fd())?.st_rdev == null && flags & OFlag::O_ACCMODE == OFlag::O_RDONLY)
}

/// One line on the container's standard error, as a shell would say it.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "plimsoll: {line}");
}
