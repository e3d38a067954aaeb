//! Attaches and detaches containers one after the other, and keeps the notes about them.

use super::{
    beside::{self, NamespaceTable},
    container::{self, AttachOptions, Execution, Running},
    select::Selected,
};
use crate::{
    base::{
        config::LeaveOut,
        sys::{ReadError, chain},
        units::Pid,
    },
    facts::{
        cgroup::Layout,
        container::{Caller, Callers},
        engines::{self, RunningContainer},
        host::Machine,
    },
    inject::{
        deliver::Delivery,
        leave_out::{HostParts, LeaveOutRules, Verdict},
        namespace::is_being_made,
        notes::{self, AttachedNote},
        own_mounts::OwnMountsReader,
    },
};
use std::{cell::OnceCell, io, iter, path::Path, sync::Arc, thread, time::Duration};

/// The file of this process's mounts, for messages.
const MOUNTINFO: &str = "/proc/self/mountinfo";
/// The maximum number of pauses for a runtime that still makes a container, and their length.
const MAX_PAUSES: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The result for one container.
#[derive(Debug)]
pub struct AttachResult {
    /// The outcome in the container.
    pub delivery: Delivery,
    /// The error of the container's note. Without a note `doctor` cannot tell whether the container
    /// has lost its files.
    pub note: io::Result<()>,
}

/// The result for one container with a pending note.
#[derive(Debug)]
pub struct PendingResult {
    /// The name that the engine gave the container.
    pub id: String,
    /// The outcome in the container.
    pub delivery: Delivery,
}

/// Attaches containers.
#[derive(Debug)]
pub struct Attacher {
    options: AttachOptions,
    rules: LeaveOutRules,
    machine: Machine,
    cgroups: Layout,
    callers: Callers,
    here: OwnMountsReader,
    /// The namespaces at the first attach of a container.
    namespaces: OnceCell<Result<NamespaceTable, String>>,
}

/// Detaches containers.
#[derive(Debug)]
pub struct Detacher {
    execution: Execution,
    timeout: Duration,
    namespaces: OnceCell<Result<NamespaceTable, String>>,
}

impl Attacher {
    /// An attacher on this machine. It leaves out the containers that `leave_out` names, and those that
    /// decline the view themselves.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn new(options: AttachOptions, leave_out: LeaveOut) -> Result<Attacher, ReadError> {
        let root = Path::new("/");
        let machine = Machine::at(root)?;
        Ok(Attacher {
            options,
            rules: LeaveOutRules::new(leave_out),
            cgroups: Layout::read(root)?,
            callers: Callers::new(&machine)?,
            here: OwnMountsReader::new().map_err(ReadError::refused(Path::new(MOUNTINFO)))?,
            machine,
            namespaces: OnceCell::new(),
        })
    }

    /// Mounts the served files in a container, and writes its note. A container that was named gets
    /// the files even without limits, but not if a rule leaves it out.
    ///
    /// The caller must have one thread only.
    #[must_use]
    pub fn attach(&self, selected: &Selected) -> AttachResult {
        let unlimited = selected.is_named || self.options.unlimited;
        let container = selected.container.as_ref();
        let verdict = container.map(|container| self.rules.of_running(container));
        let delivery = self.attach_process(selected.pid, unlimited, verdict.unwrap_or_default());
        let is_done = self.options.execution == Execution::Apply
            && matches!(delivery, Delivery::Mounted { .. });
        let note = match is_done {
            true => with_note(selected, AttachedNote::leave),
            false => Ok(()),
        };
        AttachResult { delivery, note }
    }

    /// Attaches each container that has a pending note and still runs. Lazy: one container per
    /// `next`.
    ///
    /// The caller must have one thread only.
    pub fn attach_pending(&self) -> impl Iterator<Item = PendingResult> {
        let pending = notes::claim_pending(&self.options.view).into_iter();
        let running = OnceCell::new();
        pending.map(move |container| {
            let pauses = iter::repeat_n(PAUSE, MAX_PAUSES);
            pauses
                .take_while(|_| is_being_made(container.pid))
                .for_each(thread::sleep);
            let (id, pid) = (container.id, container.pid);
            // Where the containers cannot be listed, the name in the note is all that is known.
            let running: &Vec<RunningContainer> =
                running.get_or_init(|| engines::all(Path::new("/")).unwrap_or_default());
            let verdict = match engines::of_process(running, Path::new("/"), pid) {
                Some(container) => self.rules.of_running(container),
                None => self.rules.of_name(&id),
            };
            let delivery = self.attach_process(pid, self.options.unlimited, verdict);
            PendingResult { id, delivery }
        })
    }

    fn attach_process(&self, pid: Pid, unlimited: bool, verdict: Verdict) -> Delivery {
        match verdict.left_out {
            Some(reason) if !self.options.is_forced => {
                return Delivery::LeftOut(reason.to_string());
            }
            _ => {}
        }
        match self.running(pid, verdict.host_parts) {
            Ok(container) => self.attach_running(&container, unlimited),
            Err(delivery) => delivery,
        }
    }

    /// Returns the container of the process `pid`, or the outcome where there is none.
    fn running(&self, pid: Pid, host_parts: HostParts) -> Result<Running, Delivery> {
        let callers = &self.callers;
        let caller = callers.identify_process(pid, &self.cgroups, &self.machine);
        match caller {
            Ok(Caller::Container(container)) => Ok(Running {
                pid,
                key: container.key,
                host_parts,
            }),
            Ok(Caller::Host) => {
                let error = format!("process {pid} is one of the host itself");
                Err(Delivery::Failed(error))
            }
            Err(error) => Err(Delivery::Failed(chain(&error))),
        }
    }

    fn attach_running(&self, container: &Running, unlimited: bool) -> Delivery {
        let options = AttachOptions {
            unlimited,
            ..self.options.clone()
        };
        let here = match self.here.now() {
            Ok(here) => here,
            Err(error) => {
                return Delivery::Failed(chain(&ReadError::refused(Path::new(MOUNTINFO))(error)));
            }
        };
        let first = container::attach(container, Arc::clone(&here), &options);
        with_others(&self.namespaces, first, |namespaces, first| {
            let beside = namespaces.beside(container.pid, here);
            beside.attach(container, &options, first)
        })
    }
}

impl Detacher {
    /// A detacher that gives the work in one mount namespace up after `timeout`.
    #[must_use]
    pub fn new(execution: Execution, timeout: Duration) -> Detacher {
        Detacher {
            execution,
            timeout,
            namespaces: OnceCell::new(),
        }
    }

    /// Removes every mount of Plimsoll from each mount namespace of a container, and deletes its note.
    ///
    /// The caller must have one thread only.
    #[must_use]
    pub fn detach(&self, selected: &Selected) -> AttachResult {
        let (pid, execution, timeout) = (selected.pid, self.execution, self.timeout);
        let note = match execution {
            Execution::Apply => with_note(selected, AttachedNote::remove),
            Execution::DryRun => Ok(()),
        };
        let first = container::detach(pid, execution, timeout);
        let delivery = with_others(&self.namespaces, first, |namespaces, first| {
            let beside = namespaces.beside(pid, Arc::default());
            beside.detach(execution, timeout, first)
        });
        AttachResult { delivery, note }
    }
}

/// Calls `act` with the namespaces of the machine and the result for the first one of a container, if
/// that one was reached.
fn with_others(
    namespaces: &OnceCell<Result<NamespaceTable, String>>,
    mut first: Delivery,
    act: impl FnOnce(&NamespaceTable, Delivery) -> Delivery,
) -> Delivery {
    let Delivery::Mounted { refused, .. } = &mut first else {
        return first;
    };
    match namespaces.get_or_init(beside::table) {
        Ok(namespaces) => act(namespaces, first),
        Err(error) => {
            refused.push(format!("cannot find its other mount namespaces: {error}"));
            first
        }
    }
}

/// Calls `act` with the container's note, if an engine knows the container.
fn with_note(
    selected: &Selected,
    act: impl FnOnce(&AttachedNote) -> io::Result<()>,
) -> io::Result<()> {
    let Some(container) = &selected.container else {
        return Ok(());
    };
    act(&AttachedNote {
        engine: container.engine.to_string(),
        id: container.id.clone(),
    })
}
