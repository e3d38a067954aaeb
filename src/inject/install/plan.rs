//! The plan of a set-up, complete before the first file is written, and the carrying out of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Alias, Change, InstallError, Installable, TargetHost, change,
    record::{self, FileRecord},
    setup_file::SetUpFile,
};

/// The changes for one engine.
#[derive(Debug)]
pub struct Plan {
    /// The engine.
    pub engine: Installable,
    /// The engine is installed on the machine.
    pub is_installed: bool,
    /// The files that concern the engine, in the order in which they are written.
    pub changes: Vec<Change>,
    /// The alias that an `uninstall` leaves for containers which need it.
    pub alias: Option<Alias>,
    steps: Vec<RecordStep>,
}

/// The fate of the record of a changed file.
///
/// Each step belongs to the change at the same index.
#[derive(Debug, PartialEq, Eq)]
enum RecordStep {
    Keep(FileRecord),
    Forget(FileRecord),
    Nothing,
}

impl RecordStep {
    /// Returns the step that keeps `record`, which is nothing if that record is there.
    fn keep(record: FileRecord, there: Option<&FileRecord>) -> RecordStep {
        match there == Some(&record) {
            true => RecordStep::Nothing,
            false => RecordStep::Keep(record),
        }
    }
}

impl Plan {
    /// Returns whether anything is to be written: a file, or the record of one.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.written().next().is_some()
    }

    /// Iterates over the changes of files, and over the files whose records alone are to be changed,
    /// as when a second engine uses a file that is there.
    pub fn written(&self) -> impl Iterator<Item = &Change> {
        let both = self.changes.iter().zip(&self.steps);
        let written =
            both.filter(|(change, step)| change.is_needed() || **step != RecordStep::Nothing);
        written.map(|(change, _)| change)
    }
}

/// The files and records of the machine, as the plans so far leave them.
struct Preview<'a> {
    host: &'a TargetHost,
    texts: BTreeMap<PathBuf, Option<String>>,
    records: BTreeMap<PathBuf, Option<FileRecord>>,
}

impl Preview<'_> {
    fn on(host: &TargetHost) -> Preview<'_> {
        Preview {
            host,
            texts: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    fn text(&self, file: &SetUpFile) -> Result<Option<String>, InstallError> {
        let path = file.path();
        match self.texts.get(&path) {
            Some(text) => Ok(text.clone()),
            None => change::read(&self.host.root, &path, file.kind()),
        }
    }

    fn record(&self, path: &Path) -> Result<Option<FileRecord>, InstallError> {
        match self.records.get(path) {
            Some(record) => Ok(record.clone()),
            None => FileRecord::read(&self.host.root, path),
        }
    }

    fn add(&mut self, plan: &mut Plan, change: Change, step: RecordStep) {
        self.texts.insert(change.path.clone(), change.after.clone());
        let record = match &step {
            RecordStep::Keep(record) => Some(Some(record.clone())),
            RecordStep::Forget(_) => Some(None),
            RecordStep::Nothing => None,
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
        alias: None,
        steps: Vec::new(),
    }
}

/// Plans the set-up of these engines. The plan of an engine that is not installed is empty.
///
/// # Errors
///
/// When a file cannot be read or edited. Nothing is written.
pub fn plan_install(host: &TargetHost, engines: &[Installable]) -> Result<Vec<Plan>, InstallError> {
    let mut preview = Preview::on(host);
    let mut plans = Vec::new();
    for engine in engines {
        let mut plan = plan(host, *engine);
        let files = match plan.is_installed {
            true => engine.files(host)?,
            false => Vec::new(),
        };
        for file in files {
            let text = preview.text(&file)?;
            let after = file.set(host, text.as_deref())?;
            engine.check(host, &file, &after)?;
            let change = Change {
                path: file.path(),
                kind: file.kind(),
                before: text,
                after: Some(after.clone()),
            };
            let record = preview.record(&change.path)?;
            let step = match (record, change.is_needed()) {
                // Somebody else made this change, so `uninstall` must not undo it.
                (None, false) => RecordStep::Nothing,
                (there, _) => {
                    let mut record = recorded(host, &file, &change, there.clone())?;
                    record.add_engine(plan.engine.name());
                    RecordStep::keep(record, there.as_ref())
                }
            };
            preview.add(&mut plan, change, step);
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// Returns the record of a change, which continues the record of an `earlier` one. The engine of the
/// change is not yet in it.
///
/// # Errors
///
/// [`InstallError::Edit`] when the file has changed since the earlier record, and our part cannot be
/// taken out.
fn recorded(
    host: &TargetHost,
    file: &SetUpFile,
    change: &Change,
    earlier: Option<FileRecord>,
) -> Result<FileRecord, InstallError> {
    let before = match (&earlier, &change.before) {
        (Some(earlier), Some(text)) if *text != earlier.after => {
            file.unset(text, earlier.before.as_deref())?
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
    Ok(record)
}

/// Plans the removal of these engines' set-up. A file that another engine needs too stays. So does the
/// name of our runtime as that of the real one, where containers need it.
///
/// # Errors
///
/// When a file cannot be read or edited. Nothing is written.
pub fn plan_uninstall(
    host: &TargetHost,
    engines: &[Installable],
) -> Result<Vec<Plan>, InstallError> {
    let mut preview = Preview::on(host);
    let mut plans = Vec::new();
    for engine in engines {
        let mut plan = plan(host, *engine);
        // A file that the engine does not read, or cannot parse, needs no alias.
        let read = engine.files(host).unwrap_or_default();
        for file in engine.possible_files(host) {
            let is_read = |it: &&SetUpFile| it.path() == file.path();
            let alias = read.iter().find(is_read);
            let alias = alias.and_then(|file| engine.alias(host, file));
            let text = preview.text(&file)?;
            if text.is_none() && alias.is_none() {
                continue;
            }
            let record = preview.record(&file.path())?;
            let removal = Removal {
                host,
                engine: engine.name(),
                file: &file,
                alias: alias.as_ref(),
            };
            let (after, step) = removal.plan(text.as_deref(), record)?;
            let change = Change {
                path: file.path(),
                kind: file.kind(),
                before: text,
                after,
            };
            preview.add(&mut plan, change, step);
            let is_link = matches!(file, SetUpFile::RuntimeLink(_));
            plan.alias = plan.alias.or(alias.filter(|_| !is_link));
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// The removal of one engine's part of a file.
struct Removal<'a> {
    host: &'a TargetHost,
    engine: &'static str,
    file: &'a SetUpFile,
    alias: Option<&'a Alias>,
}

impl Removal<'_> {
    /// Returns the content of the file without the engine's part, and the fate of the file's record.
    ///
    /// # Errors
    /// [`InstallError::Edit`] when our part cannot be taken out.
    fn plan(
        &self,
        text: Option<&str>,
        record: Option<FileRecord>,
    ) -> Result<(Option<String>, RecordStep), InstallError> {
        let unset = |before| self.file.unset(text.unwrap_or_default(), before);
        let Some(mut record) = record else {
            let after = match self.file {
                // The link of a package is not ours to change.
                SetUpFile::RuntimeLink(_) => text.map(str::to_owned),
                _ => self.with_alias(unset(None)?)?,
            };
            return Ok((after, RecordStep::Nothing));
        };
        let there = record.clone();
        record.engines.retain(|name| name != self.engine);
        if !record.engines.is_empty() {
            let step = RecordStep::keep(record, Some(&there));
            return Ok((text.map(str::to_owned), step));
        }
        let after = match text == Some(record.after.as_str()) {
            true => record.before.clone(),
            false => unset(record.before.as_deref())?,
        };
        let after = self.with_alias(after)?;
        if self.alias.is_none() {
            return Ok((after, RecordStep::Forget(record)));
        }
        // The next `uninstall` takes the alias out.
        record.add_engine(self.engine);
        record.after = after.clone().unwrap_or_default();
        Ok((after, RecordStep::keep(record, Some(&there))))
    }

    fn with_alias(&self, left: Option<String>) -> Result<Option<String>, InstallError> {
        match self.alias {
            Some(alias) => (alias.put(self.host, self.file, left.as_deref())).map(Some),
            None => Ok(left),
        }
    }
}

/// Checks that the changed files of a plan and their records can be written: an engine must not be set
/// up by half, nor the first of several engines alone.
///
/// # Errors
/// [`InstallError::Write`] at the first one that cannot.
fn check_writable(host: &TargetHost, plan: &Plan) -> Result<(), InstallError> {
    for (change, step) in plan.changes.iter().zip(&plan.steps) {
        if !change.is_needed() {
            continue;
        }
        if !matches!(step, RecordStep::Nothing) {
            record::check_writable(&host.root, &change.path)?;
        }
        let directory = change.path.parent().unwrap_or(&host.root);
        change::writable(&host.root, directory).map_err(|error| InstallError::Write {
            path: change.path.clone(),
            source: error.into(),
        })?;
    }
    Ok(())
}

/// Carries the plans out.
///
/// # Errors
///
/// [`InstallError::Write`] at the first file that cannot be written. Nothing is written if a file, or the
/// record of a file, lies on a read-only file system. After another error the files before that one are
/// changed, and `uninstall` finds them.
pub fn carry_out(host: &TargetHost, plans: &[Plan]) -> Result<(), InstallError> {
    for plan in plans {
        check_writable(host, plan)?;
    }
    for plan in plans {
        for (change, step) in plan.changes.iter().zip(&plan.steps) {
            // The record comes first: `uninstall` could not find an unrecorded change.
            if let RecordStep::Keep(record) = step {
                record.write(&host.root)?;
            }
            change.apply(&host.root)?;
            if let RecordStep::Forget(record) = step {
                record.remove(&host.root)?;
                for made in &record.made {
                    // A directory with other files stays.
                    let _ = fs::remove_dir(change::below(&host.root, made));
                }
            }
        }
    }
    Ok(())
}
