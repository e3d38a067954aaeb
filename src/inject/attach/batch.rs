//! Attaches and detaches containers one after the other, and keeps the notes about them.

use super::{
    beside::{self, NamespaceTable},
    container::{self, AttachOptions, Execution, Running},
    select::Selected,
};
use crate::{
    base::{
        sys::{ReadError, chain},
        units::Pid,
    },
    facts::{
        cgroup::Layout,
        container::{Caller, Callers},
        host::Machine,
    },
    inject::{
        deliver::Delivery,
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
    /// An attacher on this machine.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn new(options: AttachOptions) -> Result<Attacher, ReadError> {
        let root = Path::new("/");
        let machine = Machine::at(root)?;
        Ok(Attacher {
            options,
            cgroups: Layout::read(root)?,
            callers: Callers::new(&machine)?,
            here: OwnMountsReader::new().map_err(ReadError::refused(Path::new(MOUNTINFO)))?,
            machine,
            namespaces: OnceCell::new(),
        })
    }

    /// Mounts the served files in a container, and writes its note. A container that was named gets
    /// the files even without limits.
    ///
    /// The caller must have one thread only.
    #[must_use]
    pub fn attach(&self, selected: &Selected) -> AttachResult {
        let unlimited = selected.is_named || self.options.unlimited;
        let delivery = self.attach_process(selected.pid, unlimited);
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
        pending.map(|container| {
            let pauses = iter::repeat_n(PAUSE, MAX_PAUSES);
            pauses
                .take_while(|_| is_being_made(container.pid))
                .for_each(thread::sleep);
            PendingResult {
                id: container.id,
                delivery: self.attach_process(container.pid, self.options.unlimited),
            }
        })
    }

    fn attach_process(&self, pid: Pid, unlimited: bool) -> Delivery {
        let callers = &self.callers;
        let caller = callers.identify_process(pid, &self.cgroups, &self.machine);
        let key = match caller {
            Ok(Caller::Container(container)) => container.key,
            Ok(Caller::Host) => {
                return Delivery::Failed(format!("process {pid} is one of the host itself"));
            }
            Err(error) => return Delivery::Failed(chain(&error)),
        };
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
        let first = container::attach(Running { pid, key }, Arc::clone(&here), &options);
        with_others(&self.namespaces, first, |namespaces, first| {
            namespaces.beside(pid, here).attach(key, &options, first)
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
