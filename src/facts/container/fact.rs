//! Pure. The facts of a container that no file of its cgroups states.

use crate::base::units::Micros;

/// The tasks of a container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tasks {
    /// The number of tasks that run or are ready to run (state `R`).
    pub running: u64,
    /// The number of tasks in uninterruptible sleep (state `D`) that no freezer holds.
    pub blocked: u64,
    /// The number of tasks in any state.
    pub total: u64,
    /// The pid of the youngest task, in its own pid namespace; 0 if there is no task.
    pub last_pid: u32,
}

/// The moment at which a container started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Birth {
    /// The offset of the boot clock of the container's time namespace from the machine's, in
    /// microseconds (`time_namespaces(7)`): of a time namespace of its own, or, for a container
    /// without a pid namespace of its own, of any; 0 in the machine's.
    Offset(i64),
    /// The start of the container's init, on the machine's boot clock.
    Started(Micros),
}
