//! Sets engines up, so that every container has the view, and takes the set-up back.
//!
//! A plan is complete before the first file is written. A record keeps the content of a file before
//! its first change: `uninstall` restores that content, byte for byte, if nobody else has changed the
//! file since, and else removes only our part.

mod change;
mod containerd;
mod docker;
mod hooks;
mod installable;
mod record;
mod runtimes;
mod setup_file;
mod state;

pub use change::Change;
pub use installable::Installable;
pub use state::{LxcHooks, SetUp, lxc_hooks, set_up};

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::facts::engines::Engine;
use record::FileRecord;
use setup_file::SetUpFile;

/// The reason for which an engine cannot be set up. Nothing was written, but for
/// [`InstallError::Write`].
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// An engine that the user named is not installed.
    #[error("{} is not installed here: there is no {program}", engine.name())]
    Missing {
        /// The engine.
        engine: Engine,
        /// The program by which the engine would be found.
        program: &'static str,
    },
    /// The containers of LXC and Incus take the files of lxcfs.
    #[error(
        "{hook} gives containers of LXC and Incus the files of lxcfs: move that file away (dpkg-divert --rename), or run plimsoll \
         daemon {lxcfs} in the place of lxcfs"
    )]
    Taken {
        /// The file with the hook of lxcfs.
        hook: String,
        /// The mount point of lxcfs.
        lxcfs: &'static str,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be edited.
    #[error("cannot edit {}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: EditError,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The reason for which a configuration cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not of the configuration's format.
    #[error("cannot parse the configuration: {0}")]
    Garbled(String),
    /// A part has another type than the engine expects.
    #[error("{0} has another type than the engine expects")]
    Misshapen(&'static str),
    /// containerd's configuration is of a version that has no such runtimes.
    #[error("the configuration is not of version 2 or later (see containerd config migrate)")]
    Version,
    /// Docker's default runtime would never be called any more.
    #[error(
        "the default runtime is {0}; name its program as runtime.path in /etc/plimsoll/config.toml, so \
         that plimsoll calls it"
    )]
    OtherDefault(String),
}

/// The machine whose engines are set up.
#[derive(Debug, Clone)]
pub struct TargetHost {
    /// The machine's root directory.
    pub root: PathBuf,
    /// The path of this program on the machine.
    pub program: PathBuf,
    /// The configuration names the runtime that `plimsoll-runtime` calls.
    pub is_chained: bool,
}

impl TargetHost {
    /// Returns the path by which an engine calls the program as its runtime.
    fn runtime(&self) -> PathBuf {
        self.program.with_file_name("plimsoll-runtime")
    }

    /// Returns the name of the program's file.
    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// The changes for one engine.
#[derive(Debug)]
pub struct Plan {
    /// The engine.
    pub engine: Installable,
    /// The engine is installed on the machine.
    pub is_installed: bool,
    /// The files that concern the engine, in the order in which they are written.
    pub changes: Vec<Change>,
    steps: Vec<Step>,
}

/// The fate of the record of a changed file.
///
/// Each step belongs to the change at the same index.
#[derive(Debug)]
enum Step {
    Keep(FileRecord),
    Forget(FileRecord),
    Nothing,
}

impl Plan {
    /// Tells whether any file is to be changed.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.changes.iter().any(Change::is_needed)
    }
}

/// The files and records of the machine, as the plans so far leave them.
struct Planned<'a> {
    host: &'a TargetHost,
    texts: BTreeMap<PathBuf, Option<String>>,
    records: BTreeMap<PathBuf, Option<FileRecord>>,
}

impl Planned<'_> {
    fn on(host: &TargetHost) -> Planned<'_> {
        Planned {
            host,
            texts: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    fn text(&self, target: &SetUpFile) -> Result<Option<String>, InstallError> {
        let path = target.path();
        match self.texts.get(&path) {
            Some(text) => Ok(text.clone()),
            None => change::read(&self.host.root, &path, target.kind()),
        }
    }

    fn record(&self, path: &Path) -> Result<Option<FileRecord>, InstallError> {
        match self.records.get(path) {
            Some(record) => Ok(record.clone()),
            None => FileRecord::read(&self.host.root, path),
        }
    }

    fn add(&mut self, plan: &mut Plan, change: Change, step: Step) {
        self.texts.insert(change.path.clone(), change.after.clone());
        let record = match &step {
            Step::Keep(record) => Some(Some(record.clone())),
            Step::Forget(_) => Some(None),
            Step::Nothing => None,
        };
        if let Some(record) = record {
            self.records.insert(change.path.clone(), record);
        }
        plan.changes.push(change);
        plan.steps.push(step);
    }
}

fn plan(host: &TargetHost, engine: Installable) -> Plan {
    Plan {
        engine,
        is_installed: engine.is_installed(&host.root),
        changes: Vec::new(),
        steps: Vec::new(),
    }
}

/// Plans the set-up of these engines. The plan of an engine that is not installed is empty.
///
/// # Errors
///
/// When a file cannot be read or edited. Nothing is written.
pub fn plan_install(host: &TargetHost, engines: &[Installable]) -> Result<Vec<Plan>, InstallError> {
    let mut planned = Planned::on(host);
    let mut plans = Vec::new();
    for engine in engines {
        let mut plan = plan(host, *engine);
        let targets = match plan.is_installed {
            true => engine.files(host)?,
            false => Vec::new(),
        };
        for target in targets {
            let text = planned.text(&target)?;
            let after = target.set(host, text.as_deref())?;
            let change = Change {
                path: target.path(),
                kind: target.kind(),
                before: text,
                after: Some(after.clone()),
            };
            let record = planned.record(&change.path)?;
            let step = match (record, change.is_needed()) {
                // Others have set the file up, who will take that back.
                (None, false) => Step::Nothing,
                (record, _) => Step::Keep(recorded(host, &target, &change, record, plan.engine)?),
            };
            planned.add(&mut plan, change, step);
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// Returns the record of a change, which continues the record of an `earlier` one.
///
/// # Errors
///
/// When the content without our part cannot be determined.
fn recorded(
    host: &TargetHost,
    target: &SetUpFile,
    change: &Change,
    earlier: Option<FileRecord>,
    engine: Installable,
) -> Result<FileRecord, InstallError> {
    let before = match (&earlier, &change.before) {
        (Some(earlier), Some(text)) if *text != earlier.after => {
            target.unset(text, earlier.before.as_deref())?
        }
        (Some(earlier), _) => earlier.before.clone(),
        (None, before) => before.clone(),
    };
    let mut record = FileRecord {
        path: change.path.clone(),
        kind: change.kind,
        engines: Vec::new(),
        before,
        after: change.after.clone().unwrap_or_default(),
        made: change.missing(&host.root),
    };
    if let Some(earlier) = earlier {
        record.engines = earlier.engines;
        record.made.extend(earlier.made);
    }
    if !record.engines.iter().any(|name| name == engine.name()) {
        record.engines.push(engine.name().to_owned());
    }
    Ok(record)
}

/// Plans the removal of these engines' set-up. A file that another engine needs too stays.
///
/// # Errors
///
/// When a file cannot be read or edited. Nothing is written.
pub fn plan_uninstall(
    host: &TargetHost,
    engines: &[Installable],
) -> Result<Vec<Plan>, InstallError> {
    let mut planned = Planned::on(host);
    let mut plans = Vec::new();
    for engine in engines {
        let mut plan = plan(host, *engine);
        for target in engine.possible_files(host) {
            let Some(text) = planned.text(&target)? else {
                continue;
            };
            let record = planned.record(&target.path())?;
            let (after, step) = undone(&target, &text, record, engine.name())?;
            let change = Change {
                path: target.path(),
                kind: target.kind(),
                before: Some(text),
                after,
            };
            planned.add(&mut plan, change, step);
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// Returns the content of a file without that engine's part, and the fate of the file's record.
///
/// # Errors
///
/// When our part cannot be taken out.
fn undone(
    target: &SetUpFile,
    text: &str,
    record: Option<FileRecord>,
    engine: &str,
) -> Result<(Option<String>, Step), InstallError> {
    let Some(mut record) = record else {
        return Ok((target.unset(text, None)?, Step::Nothing));
    };
    let had = record.engines.len();
    record.engines.retain(|name| name != engine);
    if !record.engines.is_empty() {
        let step = match had == record.engines.len() {
            true => Step::Nothing,
            false => Step::Keep(record),
        };
        return Ok((Some(text.to_owned()), step));
    }
    let after = match text == record.after {
        true => record.before.clone(),
        false => target.unset(text, record.before.as_deref())?,
    };
    Ok((after, Step::Forget(record)))
}

/// Carries the plans out.
///
/// # Errors
///
/// [`InstallError::Write`] at the first file that cannot be written. The files before that one are
/// changed, and `uninstall` knows them.
pub fn carry_out(host: &TargetHost, plans: &[Plan]) -> Result<(), InstallError> {
    for plan in plans {
        for (change, step) in plan.changes.iter().zip(&plan.steps) {
            // The record comes first: `uninstall` could not know an unrecorded change.
            if let Step::Keep(record) = step {
                record.write(&host.root)?;
            }
            change.apply(&host.root)?;
            if let Step::Forget(record) = step {
                record.remove(&host.root)?;
                for made in &record.made {
                    // A directory with files of others stays.
                    let _ = fs::remove_dir(change::below(&host.root, made));
                }
            }
        }
    }
    Ok(())
}
