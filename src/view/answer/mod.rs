//! The whole flow in one call: caller, limits, view, bytes.
//!
//! What cannot be read falls back in steps, each counted and logged once for a container and a
//! cause: the facts as they are now; the last good facts; an error. Never the host's bytes.

mod attributes;
mod cached_facts;
mod explain;
mod explain_lines;
mod load_sampling;
mod padding;
mod persistence;
mod pressure;
mod saved_counters;
mod state;

pub use explain::{Explained, Input};
pub use load_sampling::sample_loads;

use crate::{
    base::{
        metrics,
        state::Store,
        sys::{self, ReadError},
        units::{CpuSet, Key, Micros, Tid},
    },
    facts::{
        cgroup::{Layout, Paths},
        container::{self, Caller, CallerError, Callers, Container, PerContainer},
        host::Machine,
    },
    view::{
        files::File,
        model::{self, stat::Clock, time::Birth},
        render,
    },
};
use cached_facts::HostState;
use load_sampling::LoadWatch;
use padding::{PaddedSizes, read_host_text};
use state::ContainerState;
use std::{path::Path, sync::Arc};

// What is costly to find out and rarely changes: who a container is, its birth, its tasks.
const SLOW_FACT_MAX_AGE: Micros = Micros::SECOND;

/// Why a file cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The container's cgroup tells nothing, and never did.
    #[error("cannot tell the limits of container {key}")]
    Container {
        /// The container.
        key: Key,
        /// What it did not tell.
        source: ReadError,
    },
    /// The container does not see that CPU or memory node.
    #[error("{path} is not there for this container")]
    Unseen {
        /// The attribute.
        path: String,
    },
    /// The machine tells nothing.
    #[error("cannot tell the machine's facts")]
    Host(#[from] ReadError),
}

/// The rooms that an answer needs, put together.
#[derive(Debug)]
pub struct Answers {
    machine: Machine,
    cgroups: Layout,
    callers: Callers,
    containers: PerContainer<ContainerState>,
    store: Option<Arc<Store>>,
    load_watch: LoadWatch,
    facts: HostState,
    padded_sizes: PaddedSizes,
    max_age: Micros,
    now: fn() -> Micros,
}

impl Answers {
    /// Answers for this machine.
    ///
    /// # Errors
    /// When its `/proc` or its cgroup hierarchies cannot be read.
    pub fn here() -> Result<Answers, ReadError> {
        Answers::at(Path::new("/"), sys::since_boot)
    }

    /// Answers for the machine whose root directory is `root`, and whose boot clock is `now`: a
    /// captured one, for instance.
    ///
    /// # Errors
    /// When its `/proc` or its cgroup hierarchies cannot be read.
    pub fn at(root: &Path, now: fn() -> Micros) -> Result<Answers, ReadError> {
        let machine = Machine::at(root)?;
        Ok(Answers {
            cgroups: Layout::read(root)?,
            callers: Callers::new(&machine)?,
            containers: PerContainer::default(),
            store: None,
            load_watch: LoadWatch::default(),
            facts: HostState::default(),
            padded_sizes: PaddedSizes::of(&machine),
            max_age: Micros::ZERO,
            machine,
            now,
        })
    }

    /// The same, from facts that may be so old: within that time one read of a kernel's file
    /// serves all answers. Without, every answer reads anew.
    #[must_use]
    pub fn with_max_age(self, max_age: Micros) -> Answers {
        Answers { max_age, ..self }
    }

    /// How old the facts of an answer may be.
    #[must_use]
    pub fn max_age(&self) -> Micros {
        self.max_age
    }

    /// The time since the machine's boot.
    #[must_use]
    pub fn now(&self) -> Micros {
        (self.now)()
    }

    /// Who the thread `tid` is; it must wait for the answer meanwhile.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn caller(&self, tid: Tid) -> Result<Caller, CallerError> {
        self.callers.identify(tid, &self.cgroups, &self.machine)
    }

    /// The container with that key.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when there is none.
    pub fn container(&self, key: Key) -> Result<Arc<Container>, ReadError> {
        let now = (self.now)();
        if let Some(state) = self.containers.get(key) {
            let mut state = state.lock();
            if let Some(container) = state.container.within(SLOW_FACT_MAX_AGE, now) {
                return Ok(container);
            }
            let last = state.container.last().filter(|_| state.is_placed);
            let is_there =
                |container: &Arc<Container>| self.cgroups.key(&container.paths).ok() == Some(key);
            if let Some(container) = last.filter(is_there) {
                return Ok(state.container.set(now, container));
            }
        }
        let (container, is_placed) = (self.callers).container(key, &self.cgroups, &self.machine)?;
        let state = self.containers.entry(key);
        let mut state = state.lock();
        state.is_placed = is_placed;
        Ok(state.container.set((self.now)(), Arc::new(container)))
    }

    /// The container whose cgroup has that path, from the root of the hierarchy or from `/`.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when there is none.
    pub fn container_at(&self, path: &Path) -> Result<Arc<Container>, ReadError> {
        let path = self.cgroups.below(path);
        let key = self.cgroups.key(&Paths::at(&path))?;
        self.container(key)
    }

    /// The keys of the containers that have read something, in ascending order.
    #[must_use]
    pub fn known_containers(&self) -> Vec<Key> {
        self.forget_dead();
        let mut keys: Vec<Key> = self
            .containers
            .entries()
            .iter()
            .map(|(key, _)| *key)
            .collect();
        keys.sort_unstable();
        keys
    }

    fn forget_dead(&self) {
        self.containers.forget_dead(|key| {
            let path = self.cgroups.path_of(key);
            let is_alive = !path.is_err_and(|error| error.is_gone());
            if !is_alive {
                self.remove_saved(key);
            }
            is_alive
        });
    }

    /// A size that no content of the file exceeds, in whole pages: twice what the host's own has,
    /// were all its possible CPUs online.
    ///
    /// busybox copies no more than that, and other tools take whole pages for a guess.
    #[must_use]
    pub fn max_size(&self, file: File) -> u64 {
        const SIZE_UNIT: u64 = 4096;
        let cpus = |path: &str| {
            let bytes = self.machine.bytes(Path::new(path)).unwrap_or_default();
            let cpus = CpuSet::parse(&String::from_utf8_lossy(&bytes));
            cpus.map_or(1, |cpus| cpus.len().max(1))
        };
        let possible = cpus("sys/devices/system/cpu/possible");
        let online = cpus("sys/devices/system/cpu/online");
        let length = read_host_text(&self.machine, file)
            .unwrap_or_default()
            .len();
        let bound = 2 * length * possible.div_ceil(online);
        u64::try_from(bound)
            .unwrap_or(SIZE_UNIT)
            .next_multiple_of(SIZE_UNIT)
            .max(SIZE_UNIT)
    }

    /// The bytes of the host's own file.
    ///
    /// # Errors
    /// When the kernel does not give them.
    pub fn read_host(&self, file: File) -> Result<Vec<u8>, AnswerError> {
        Ok(self.machine.bytes(Path::new(file.path()))?)
    }

    /// The bytes that the container should read from the file, now.
    ///
    /// # Errors
    /// When neither the present facts nor earlier ones are known.
    pub fn render(&self, file: File, container: &Container) -> Result<Vec<u8>, AnswerError> {
        if self.containers.has_doubled() {
            self.forget_dead();
        }
        let mut out = Vec::with_capacity(4096);
        match file {
            File::PressureCpu | File::PressureMemory | File::PressureIo | File::PressureIrq => {
                return self.pressure(file, container);
            }
            File::Meminfo => {
                render::memory::meminfo(&self.meminfo(container)?, &mut out);
            }
            File::Swaps => {
                let view = model::memory::swaps(&self.memory(container)?, &*self.host_meminfo()?);
                render::memory::swaps(&view, &mut out);
            }
            File::Cpuinfo => {
                let (_, _, seen) = self.cpu(container)?;
                let view = model::cpu::cpuinfo(&seen, &*self.host_cpuinfo()?);
                render::cpu::cpuinfo(&view, &mut out);
            }
            File::CpuOnline => {
                let (_, _, seen) = self.cpu(container)?;
                render::cpu::list(&seen, &mut out);
            }
            File::Stat => {
                let host = self.host_stat()?;
                let (clock, birth) = self.clock(container)?;
                let tasks = self.tasks(container)?;
                let view = model::stat::stat(&clock, &tasks, birth, &host);
                render::stat::stat(&view, &mut out);
            }
            File::Uptime => {
                let (clock, birth) = self.clock(container)?;
                let view = model::time::Uptime {
                    up: model::time::uptime(birth, (self.now)()),
                    idle: clock.total().idle,
                };
                render::time::uptime(&view, &mut out);
            }
            File::Loadavg => {
                let view = self.load(container)?;
                render::load::loadavg(&view, &mut out);
            }
            File::Diskstats => {
                let devices = self.devices(container)?;
                let view = model::disk::diskstats(&devices, &self.machine.diskstats()?);
                render::disk::diskstats(&view, &mut out);
            }
            File::Vmstat => render::vmstat::vmstat(&self.vmstat(container)?, &mut out),
            File::Slabinfo => {
                render::vmstat::slabinfo(&self.machine.slabinfo_header()?, &mut out);
            }
        }
        metrics::ANSWERS.count();
        Ok(out)
    }

    fn meminfo(&self, container: &Container) -> Result<model::memory::Meminfo, AnswerError> {
        let host = self.host_meminfo()?;
        let hugetlb = self.hugetlb(container, &host)?;
        let memory = self.memory(container)?;
        Ok(model::memory::meminfo(&memory, &hugetlb, &host))
    }

    fn vmstat(&self, container: &Container) -> Result<Vec<(String, u64)>, AnswerError> {
        let memory = self.memory(container)?;
        let events = self.memory_counts(container)?;
        let devices = self.devices(container)?;
        let meminfo = self.host_meminfo()?;
        let counts = model::vmstat::VmstatFacts {
            sizes: model::memory::sizes(&memory, &meminfo),
            usage: &memory.usage,
            events: &events,
            devices: &devices,
            page: sys::page_size(),
            huge_page: meminfo.size("Hugepagesize"),
        };
        Ok(model::vmstat::vmstat(&counts, &self.machine.vmstat()?))
    }

    /// Moves the container's clock to the moment of the last facts.
    fn clock(&self, container: &Container) -> Result<(Clock, Birth), AnswerError> {
        let birth = self.birth(container);
        // The facts are a little older than the moment that they are booked at, never newer:
        // use that seems to come from the future would have to be taken back. Nor are they much
        // older: what was used since would be booked as idle.
        let (now, cpu, seen) = self.cpu(container)?;
        let state = self.containers.entry(container.key);
        let mut state = state.lock();
        let clock = match &state.clock {
            Some(clock) => clock.at(&seen, &cpu.usage, now),
            None => Clock::started(&seen, &cpu.usage, model::time::uptime(birth, now), now),
        };
        state.clock = Some(clock.clone());
        self.save(container.key, &state);
        Ok((clock, birth))
    }

    fn birth(&self, container: &Container) -> Birth {
        let now = (self.now)();
        let state = self.containers.entry(container.key);
        let known = {
            let state = state.lock();
            if let Some(birth) = state.birth.within(SLOW_FACT_MAX_AGE, now) {
                return birth;
            }
            state.init.zip(state.birth.last())
        };
        let found = container::birth(container, &self.cgroups, &self.machine, known);
        let now = (self.now)();
        let mut state = state.lock();
        // Nobody may be in it any more, or not yet.
        let last = (None, state.birth.last().unwrap_or(Birth::Started(now)));
        let (init, birth) = found.unwrap_or(last);
        state.init = init;
        state.birth.set(now, birth)
    }
}
