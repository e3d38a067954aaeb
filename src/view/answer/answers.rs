//! [`Answers`]: the facts, the state and the settings that answers are made from.

use super::{
    cacheable::Cacheable,
    load_watch::LoadWatch,
    state::{ContainerState, HostState},
};
use crate::{
    base::{
        state::Store,
        sys::{self, ReadError},
        units::Micros,
    },
    facts::{
        cgroup::Layout,
        container::{Callers, PerContainer},
        host::Machine,
    },
};
use std::{path::Path, sync::Arc};

/// Answers of one machine to its containers: typed views, and the bytes of each served file.
///
/// All methods may be called from several threads at once.
#[derive(Debug)]
pub struct Answers {
    pub(super) machine: Machine,
    pub(super) cgroups: Layout,
    pub(super) callers: Callers,
    pub(super) containers: PerContainer<ContainerState>,
    pub(super) host: HostState,
    pub(super) store: Option<Arc<Store>>,
    pub(super) load_watch: LoadWatch,
    pub(super) cacheable: Cacheable,
    pub(super) max_age: Micros,
    pub(super) now: fn() -> Micros,
}

impl Answers {
    /// Returns the answers of this machine.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn here() -> Result<Answers, ReadError> {
        Answers::at(Path::new("/"), sys::since_boot)
    }

    /// Returns the answers of the machine with the root directory `root` and the boot clock `now`;
    /// a test passes a captured machine.
    ///
    /// # Errors
    /// When `proc` or the cgroup hierarchies below `root` cannot be read.
    pub fn at(root: &Path, now: fn() -> Micros) -> Result<Answers, ReadError> {
        let machine = Machine::at(root)?;
        Ok(Answers {
            cgroups: Layout::read(root)?,
            callers: Callers::new(&machine)?,
            containers: PerContainer::default(),
            host: HostState::default(),
            store: None,
            load_watch: LoadWatch::default(),
            cacheable: Cacheable::of(&machine),
            max_age: Micros::ZERO,
            machine,
            now,
        })
    }

    /// Sets the maximal age of the facts in an answer. Within that age, one read of a kernel file
    /// serves all answers. The default of zero makes every answer read anew.
    #[must_use]
    pub fn with_max_age(self, max_age: Micros) -> Answers {
        Answers { max_age, ..self }
    }

    /// Returns the maximal age of the facts in an answer.
    #[must_use]
    pub fn max_age(&self) -> Micros {
        self.max_age
    }

    /// Returns the time since the machine's boot.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.now)()
    }
}
