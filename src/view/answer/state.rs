//! What is remembered of one container.

use crate::{
    base::units::{CpuSet, Micros, Pid},
    facts::{
        cgroup::{Cpu, DeviceUse, HugetlbLevel, Memory, Numa},
        container::{Container, Youngest},
    },
    view::model::{
        load::{Averages, Tasks},
        stat::Clock,
        time::Birth,
    },
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};

/// A container's page in the containers.
#[derive(Debug, Default)]
pub(super) struct ContainerState {
    /// The container itself.
    pub(super) container: Latest<Arc<Container>>,
    /// Whether it is known where the container stands in every hierarchy.
    pub(super) is_placed: bool,
    /// The last good facts of its memory.
    pub(super) memory: Latest<Memory>,
    /// The last good facts of its CPUs, and those of them that are seen.
    pub(super) cpu: Latest<(Cpu, CpuSet)>,
    /// The last good facts of its huge pages.
    pub(super) hugetlb: Latest<Vec<HugetlbLevel>>,
    /// The last good facts of its memory nodes.
    pub(super) numa: Latest<Numa>,
    /// The last good facts of its block devices.
    pub(super) devices: Latest<Vec<DeviceUse>>,
    /// The last good counts of its memory.
    pub(super) counts: Latest<Vec<(String, u64)>>,
    /// Its CPUs' columns so far.
    pub(super) clock: Option<Clock>,
    /// Since when it is up.
    pub(super) birth: Latest<Birth>,
    /// The init that was born then.
    pub(super) init: Option<Pid>,
    /// Its tasks.
    pub(super) tasks: Latest<Tasks>,
    /// Held by who counts its tasks: the youngest of those that were counted last.
    pub(super) counting: Arc<Mutex<Option<Youngest>>>,
    /// Its load, as long as somebody reads it.
    pub(super) load: Option<SampledLoad>,
    /// The causes that were logged.
    pub(super) warned: BTreeSet<String>,
}

/// The load of a container, as the last sample left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SampledLoad {
    /// The averages.
    pub(super) averages: Averages,
    /// When the last sample was taken.
    pub(super) sampled: Micros,
    /// When somebody last read it.
    pub(super) read: Micros,
}

/// Something that was found out, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latest<T>(Option<(Micros, T)>);

impl<T> Default for Latest<T> {
    fn default() -> Latest<T> {
        Latest(None)
    }
}

impl<T: Clone> Latest<T> {
    /// What was found out less than `age` before `now`; nothing is for an age of zero.
    pub(super) fn within(&self, age: Micros, now: Micros) -> Option<T> {
        let (found, value) = self.0.as_ref()?;
        (now.less(*found) < age).then(|| value.clone())
    }

    /// The same, with the moment that it was found out at.
    pub(super) fn dated_within(&self, age: Micros, now: Micros) -> Option<(Micros, T)> {
        let (found, _) = self.0.as_ref()?;
        Some((*found, self.within(age, now)?))
    }

    /// What was found out last.
    pub(super) fn last(&self) -> Option<T> {
        self.0.as_ref().map(|(_, value)| value.clone())
    }

    /// Remembers what a daemon before this one found out last.
    pub(super) fn recall(&mut self, value: T) {
        self.0 = Some((Micros::ZERO, value));
    }

    /// Remembers what was found out at `now`, and returns it.
    pub(super) fn set(&mut self, now: Micros, value: T) -> T {
        self.0 = Some((now, value.clone()));
        value
    }
}
