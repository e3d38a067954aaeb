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
        engines::{self, Description, RunningContainer},
        host::Machine,
    },
    inject::{
        deliver::Delivery,
        leave_out::{HostParts, LeaveOutRules, Verdict},
        namespace::{HeldProcess, is_being_made},
        notes::{self, AttachedNote, PendingContainer},
        own_mounts::{OwnMounts, OwnMountsReader},
    },
};
use std::{
    cell::OnceCell,
    io, iter,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// The file of this process's mounts, for messages.
const MOUNTINFO: &str = "/proc/self/mountinfo";
/// The maximum number of pauses for a runtime that still makes a container, and their length.
const MAX_PAUSES: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// The factor of the timeout for a container with a pending note that did not answer in time.
const SECOND_TIMEOUT_FACTOR: u32 = 15;

/// The time for the containers of users with pending notes, together.
const USERS_TIME: Duration = Duration::from_secs(60);

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
    /// decline the view themselves. Removes the notes that are older than 30 days, unless it only reports.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn new(options: AttachOptions, leave_out: LeaveOut) -> Result<Attacher, ReadError> {
        let root = Path::new("/");
        let machine = Machine::at(root)?;
        if options.execution == Execution::Apply {
            notes::prune_attached();
        }
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
        let options = AttachOptions {
            unlimited: selected.is_named || self.options.unlimited,
            ..self.options.clone()
        };
        let container = selected.container.as_ref();
        let verdict = container.map(|container| self.rules.of_running(container));
        let delivery = self.attach_process(selected.pid, &options, verdict.unwrap_or_default());
        let is_done = self.options.execution == Execution::Apply
            && matches!(delivery, Delivery::Mounted { .. });
        let note = match is_done {
            true => with_note(selected, AttachedNote::leave),
            false => Ok(()),
        };
        AttachResult { delivery, note }
    }

    /// Mounts the served files in the container of `process`, which its engine has described, and whose
    /// runtime has made it but not started it. The work is done in this process, which is in the
    /// container's mount namespace afterwards, and has no timeout. The process may be a fork of the one that
    /// made the attacher.
    #[must_use]
    pub fn attach_unstarted(&self, process: &HeldProcess, description: &Description) -> Delivery {
        let verdict = self.rules.of_described(description, process.pid);
        if let Some(reason) = verdict.left_out {
            return Delivery::LeftOut(reason.to_string());
        }
        let container = match self.running(process.pid, verdict.host_parts) {
            Ok(container) => container,
            Err(delivery) => return delivery,
        };
        // The caller may be one of several forks of the process that made this attacher. Forks share the
        // offset of a file that is open already.
        match OwnMounts::read() {
            Ok(here) => container::attach_here(&container, process, Arc::new(here), &self.options),
            Err(error) => unread_mounts(error),
        }
    }

    /// Mounts the served files in the container of the process `pid`, which its engine has described,
    /// within `timeout` for each mount namespace. No note is written: the engine tells of each start.
    ///
    /// The caller must have one thread only, and must be the process that made the attacher.
    #[must_use]
    pub fn attach_described(
        &self,
        pid: Pid,
        description: &Description,
        timeout: Duration,
    ) -> Delivery {
        let options = AttachOptions {
            timeout,
            ..self.options.clone()
        };
        let verdict = self.rules.of_described(description, pid);
        self.attach_process(pid, &options, verdict)
    }

    /// Attaches each container that has a pending note and still runs. A container that does not answer
    /// in time is attached once more after the others, with 15 times the timeout: no process
    /// waits for the container, and its note is gone. The containers of root come first, and those of
    /// users get a minute together: a user can leave notes of containers that never answer.
    ///
    /// The caller must have one thread only.
    #[must_use]
    pub fn attach_pending(&self) -> Vec<PendingResult> {
        let patient = AttachOptions {
            timeout: self.options.timeout * SECOND_TIMEOUT_FACTOR,
            ..self.options.clone()
        };
        let running = engines::all(Path::new("/")).unwrap_or_default();
        let deadline = Instant::now() + USERS_TIME;
        let attach = |container: PendingContainer, options: &AttachOptions| {
            let left = match container.is_roots {
                true => options.timeout,
                false => deadline.saturating_duration_since(Instant::now()),
            };
            let options = AttachOptions {
                timeout: options.timeout.min(left),
                ..options.clone()
            };
            let delivery = match options.timeout.is_zero() {
                true => Delivery::Late("the containers of users took too long together".to_owned()),
                false => self.attach_one_pending(&container, &running, &options),
            };
            (container, delivery)
        };
        let pending = notes::claim_pending(&self.options.view).into_iter();
        let first = pending.map(|container| attach(container, &self.options));
        let (late, others): (Vec<_>, Vec<_>) =
            first.partition(|(_, delivery)| matches!(delivery, Delivery::Late(_)));
        let late = late.into_iter();
        let again = late.map(|(container, _)| attach(container, &patient));
        let all = others.into_iter().chain(again);
        all.map(|(container, delivery)| PendingResult {
            id: container.id,
            delivery,
        })
        .collect()
    }

    fn attach_one_pending(
        &self,
        container: &PendingContainer,
        running: &[RunningContainer],
        options: &AttachOptions,
    ) -> Delivery {
        let pauses = iter::repeat_n(PAUSE, MAX_PAUSES);
        pauses
            .take_while(|_| is_being_made(container.pid))
            .for_each(thread::sleep);
        // Where the containers cannot be listed, the name in the note is all that is known.
        let verdict = match engines::of_process(running, Path::new("/"), container.pid) {
            Some(container) => self.rules.of_running(container),
            None => self.rules.of_name(&container.id),
        };
        self.attach_process(container.pid, options, verdict)
    }

    fn attach_process(&self, pid: Pid, options: &AttachOptions, verdict: Verdict) -> Delivery {
        match verdict.left_out {
            Some(reason) if !options.is_forced => {
                return Delivery::LeftOut(reason.to_string());
            }
            _ => {}
        }
        match self.running(pid, verdict.host_parts) {
            Ok(container) => self.attach_running(&container, options),
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

    fn attach_running(&self, container: &Running, options: &AttachOptions) -> Delivery {
        let here = match self.here.now() {
            Ok(here) => here,
            Err(error) => return unread_mounts(error),
        };
        let first = container::attach(container, Arc::clone(&here), options);
        with_others(&self.namespaces, first, |namespaces, first| {
            let beside = namespaces.beside(container.pid, here);
            beside.attach(container, options, first)
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

fn unread_mounts(error: io::Error) -> Delivery {
    Delivery::Failed(chain(&ReadError::refused(Path::new(MOUNTINFO))(error)))
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
