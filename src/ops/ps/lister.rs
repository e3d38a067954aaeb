//! Reads the containers of the list: from the kernel and from the engines' own files, so that neither an
//! engine nor a daemon is asked.

use super::{
    listed::{ListedContainer, ListedPressure, ListedView, ViewState},
    missing::{HookReach, Viewless, reason},
    numbers::{cpu, memory},
    pressure::some_of_ten_seconds,
    view_mounts::{DeadMountsCache, ViewMounts, Views, view_mounts},
};
use crate::{
    base::{
        config::Config,
        mountinfo,
        sys::{ReadError, chain},
        units::{Micros, Pid},
    },
    facts::{
        container::Container,
        engines::{self, Engine, RunningContainer},
    },
    inject::{
        install::SetUp,
        leave_out::LeaveOutRules,
        notes::{self, AttachedNote},
    },
    ops::doctor::{ReadResult, set_up_of_engine},
    view::{answer::Answers, files::File, model::summary::Summary},
};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

/// The time between the two samples of the first list.
const FIRST_INTERVAL: Duration = Duration::from_millis(300);

/// The maximum age of facts, within which one read of a kernel file serves all numbers of a container.
const MAX_AGE: Micros = Micros(5_000);

/// The identity of a container for as long as the machine is up.
type Identity = (Engine, String, Pid);

/// Lists the containers, and remembers the numbers of the last list, from which those of the next one
/// are counted.
#[derive(Debug)]
pub struct Lister {
    answers: Answers,
    rules: LeaveOutRules,
    takes_unlimited: bool,
    /// The configured mount point.
    mountpoint: PathBuf,
    samples: HashMap<Identity, Summary>,
    dead: DeadMountsCache,
}

/// The facts that one list reads once for all containers.
struct ListFacts {
    views: Views,
    attached: HashSet<AttachedNote>,
    /// The reach of the hook of each engine that has hooks.
    hooks: HashMap<Engine, HookReach>,
}

impl Lister {
    /// Makes a lister for this machine with its configuration.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn new(config: Config) -> Result<Lister, ReadError> {
        Ok(Lister {
            answers: Answers::here()?.with_max_age(MAX_AGE),
            rules: LeaveOutRules::new(config.leave_out),
            takes_unlimited: config.unlimited,
            mountpoint: config.mountpoint,
            samples: HashMap::new(),
            dead: DeadMountsCache::default(),
        })
    }

    /// Lists the containers that run. The first call takes two samples, 0.3 s apart. A container that
    /// ends meanwhile is left out.
    ///
    /// # Errors
    /// When the processes of the machine, or the mounts of this process, cannot be listed.
    pub fn list(&mut self) -> io::Result<Vec<ListedContainer>> {
        if self.samples.is_empty() {
            let running = engines::all(Path::new("/"))?;
            if running.is_empty() {
                return Ok(Vec::new());
            }
            self.samples = self.sampled(&running);
            thread::sleep(FIRST_INTERVAL);
        }
        let running = engines::all(Path::new("/"))?;
        let mut facts = ListFacts::read(&running)?;
        let mut samples = HashMap::new();
        let mut list = Vec::new();
        for one in &running {
            let mounts = match view_mounts(one.pid) {
                Ok(Some(mounts)) => mounts,
                Ok(None) => continue,
                Err(_) => ViewMounts::Unseen,
            };
            let mut listed = self.listed(one, &mut samples);
            if listed.problem.is_some() && !fs::exists(format!("/proc/{}", one.pid))? {
                continue;
            }
            let is_limited = samples.get(&identity(one)).map(Summary::is_limited);
            listed.view = self.view(one, mounts, is_limited, &mut facts);
            list.push(listed);
        }
        self.samples = samples;
        Ok(list)
    }

    fn sampled(&self, running: &[RunningContainer]) -> HashMap<Identity, Summary> {
        let samples = running.iter().filter_map(|one| {
            let container = self.answers.container_of_first(one.pid).ok()?;
            Some((identity(one), self.answers.summary(&container).ok()?))
        });
        samples.collect()
    }

    /// Returns the container with its numbers, without its view. Adds its sample to `samples`.
    fn listed(
        &self,
        one: &RunningContainer,
        samples: &mut HashMap<Identity, Summary>,
    ) -> ListedContainer {
        let mut listed = ListedContainer {
            engine: one.engine,
            id: one.id.clone(),
            name: one.name.clone(),
            shown: one.shown().to_owned(),
            pid: one.pid,
            cgroup: None,
            started: None,
            uptime: None,
            memory: None,
            cpu: None,
            pressure: None,
            view: ListedView {
                state: ViewState::Unknown,
                mountpoint: None,
                reason: None,
                fix: None,
            },
            problem: None,
        };
        let container = match self.answers.container_of_first(one.pid) {
            Ok(container) => container,
            Err(error) => {
                listed.problem = Some(chain(&error));
                return listed;
            }
        };
        listed.cgroup = Some(container.paths.path().to_string_lossy().into_owned());
        match self.answers.summary(&container) {
            Err(error) => listed.problem = Some(chain(&error)),
            Ok(now) => {
                listed.started = start(now.up);
                listed.uptime = Some(now.up.0 / Micros::SECOND.0);
                listed.memory = Some(memory(&now));
                listed.cpu = Some(cpu(self.samples.get(&identity(one)), &now));
                listed.pressure = self.pressure(&container);
                samples.insert(identity(one), now);
            }
        }
        listed
    }

    /// Reads the pressure files of the container; `None` where the kernel has none.
    fn pressure(&self, container: &Container) -> Option<ListedPressure> {
        let share = |file| {
            let bytes = self.answers.render(file, container).ok()?;
            some_of_ten_seconds(&String::from_utf8_lossy(&bytes))
        };
        let pressure = ListedPressure {
            cpu: share(File::PressureCpu),
            memory: share(File::PressureMemory),
            io: share(File::PressureIo),
        };
        let is_known = pressure.cpu.or(pressure.memory).or(pressure.io).is_some();
        is_known.then_some(pressure)
    }

    fn view(
        &mut self,
        one: &RunningContainer,
        mounts: ViewMounts,
        is_limited: Option<bool>,
        facts: &mut ListFacts,
    ) -> ListedView {
        let (state, mountpoint, reason) = match mounts {
            ViewMounts::None => return self.missing(one, is_limited, facts),
            ViewMounts::Unseen => {
                let reason = "the mounts are for root to see";
                (ViewState::Unknown, None, Some(reason))
            }
            ViewMounts::Some(devices, view) => {
                let read = facts
                    .views
                    .read_in(one.pid, &devices, &view, &mut self.dead);
                let (state, reason) = match read {
                    ReadResult::Hangs => (ViewState::Hangs, Some("reads wait")),
                    ReadResult::Fails => (ViewState::Dead, Some("reads fail")),
                    ReadResult::Good | ReadResult::Unknown => (ViewState::Served, None),
                };
                (state, Some(view), reason)
            }
        };
        ListedView {
            state,
            mountpoint,
            reason: reason.map(str::to_owned),
            fix: None,
        }
    }

    /// Finds out why the container has no view.
    fn missing(
        &self,
        one: &RunningContainer,
        is_limited: Option<bool>,
        facts: &mut ListFacts,
    ) -> ListedView {
        let note = AttachedNote {
            engine: one.engine.to_string(),
            id: one.id.clone(),
        };
        let (reason, fix) = reason(&Viewless {
            engine: one.engine,
            shown: one.shown(),
            left_out: (self.rules.of_running(one).left_out).map(|rule| rule.to_string()),
            is_served: facts.views.read_of(&self.mountpoint) == ReadResult::Good,
            was_attached: facts.attached.contains(&note),
            is_limited,
            takes_unlimited: self.takes_unlimited,
            hook: facts.hooks.get(&one.engine).copied(),
        });
        ListedView {
            state: ViewState::None,
            mountpoint: None,
            reason: Some(reason),
            fix,
        }
    }
}

impl ListFacts {
    fn read(running: &[RunningContainer]) -> io::Result<ListFacts> {
        let root = Path::new("/");
        let mounts = mountinfo::own()?;
        let present: HashSet<Engine> = running.iter().map(|one| one.engine).collect();
        let hooks = present.into_iter().filter(|engine| engine.has_hooks());
        let hooks = hooks.map(|engine| {
            let set_up = engines::installed(engine, root)
                .map(|installed| set_up_of_engine(root, &mounts, installed.package));
            (engine, reach(&set_up.unwrap_or(SetUp::No)))
        });
        Ok(ListFacts {
            hooks: hooks.collect(),
            attached: notes::attached().into_iter().collect(),
            views: Views::among(mounts),
        })
    }
}

fn reach(set_up: &SetUp) -> HookReach {
    match set_up {
        SetUp::All(_) => HookReach::All,
        SetUp::OnRequest(_) => HookReach::OnRequest,
        SetUp::Unread(_) | SetUp::No => HookReach::None,
    }
}

fn identity(one: &RunningContainer) -> Identity {
    (one.engine, one.id.clone(), one.pid)
}

/// Returns the date of the start of a container that has been up for `up`.
fn start(up: Micros) -> Option<String> {
    let started = SystemTime::now().checked_sub(Duration::from_micros(up.0))?;
    Some(humantime::format_rfc3339_seconds(started).to_string())
}
