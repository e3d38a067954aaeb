//! The report of `install` and `uninstall` about each engine, as text for people and as JSON.

use serde_json::{Value, json};

use crate::{
    base::output::escaped,
    inject::install::{Alias, Change, InstallError, Installable, Plan, TargetHost},
};

/// The part of a plan that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of the plan.
    Done,
    /// Nothing. The text names what would change.
    Check,
    /// Nothing. The text is a patch.
    Diff,
}

/// The report of plans.
pub(super) struct EngineReport<'a> {
    /// The machine.
    pub(super) host: &'a TargetHost,
    /// The part of the plans that was carried out.
    pub(super) extent: Extent,
    /// The sentence about the containers of a changed engine.
    pub(super) note: fn(Installable) -> &'static str,
}

impl EngineReport<'_> {
    /// Returns the text about an engine.
    pub(super) fn text(&self, plan: &Plan) -> String {
        let name = plan.engine.name();
        if let Some(refusal) = self.refusal(plan) {
            return format!("{name}: not set up: {refusal}\n");
        }
        if !plan.is_installed && !plan.is_needed() {
            return format!("{name}: not installed here\n");
        }
        if plan.changes.is_empty() {
            return format!("{name}: nothing to write\n");
        }
        match (&plan.alias, plan.is_needed(), self.extent) {
            (Some(alias), false, _) => return self.kept_name(plan, alias),
            (None, false, _) => return format!("{name}: nothing to change\n"),
            (_, true, Extent::Diff) => return plan.changes.iter().map(Change::diff).collect(),
            (Some(alias), true, _) => return self.kept_name(plan, alias),
            (None, true, _) => {}
        }
        let note = match self.extent {
            Extent::Done => format!("; {}", (self.note)(plan.engine)),
            Extent::Check | Extent::Diff => String::new(),
        };
        format!(
            "{name}: {}{note}\n{}",
            self.changed(plan),
            self.then(plan).unwrap_or_default()
        )
    }

    /// Returns the words about the files of a plan: the changed ones, or those whose record alone
    /// changed.
    fn changed(&self, plan: &Plan) -> String {
        let paths = |changes: Vec<&Change>| {
            let paths = changes.into_iter().map(|it| it.path.display().to_string());
            paths.collect::<Vec<_>>().join(" and ")
        };
        let written = plan.changes.iter().filter(|change| change.is_needed());
        let (written, recorded) = (written.collect::<Vec<_>>(), plan.written().collect());
        match (self.extent, written.is_empty()) {
            (Extent::Done, false) => format!("changed {}", paths(written)),
            (_, false) => format!("would change {}", paths(written)),
            (Extent::Done, true) => format!("changed the record of {}", paths(recorded)),
            (_, true) => format!("would change the record of {}", paths(recorded)),
        }
    }

    /// Returns the line with the command that must follow, if any.
    fn then(&self, plan: &Plan) -> Option<String> {
        let then = follow_up(plan)?;
        let name = plan.engine.name();
        Some(match self.extent {
            Extent::Done => format!("{name}: now run: {then}\n"),
            Extent::Check | Extent::Diff => format!("{name}: after that run: {then}\n"),
        })
    }

    /// Returns the text about an engine whose containers need the name of our runtime.
    fn kept_name(&self, plan: &Plan, alias: &Alias) -> String {
        let engine = plan.engine.name();
        let changed = match plan.is_needed() {
            false => String::new(),
            true => format!("{engine}: {}\n", self.changed(plan)),
        };
        format!(
            "{changed}{engine}: {}\n\
             {engine}: make them anew, then run: plimsoll uninstall {engine} (or take that runtime out of its file by hand)\n{}",
            need(alias),
            self.then(plan).unwrap_or_default()
        )
    }

    /// Returns the object about an engine.
    pub(super) fn json(&self, plan: &Plan) -> Value {
        let refusal = self.refusal(plan);
        let state = match (plan.is_needed(), plan.is_installed) {
            (true, _) => "changed",
            (false, true) if refusal.is_some() => "skipped",
            (false, true) => "unchanged",
            (false, false) => "absent",
        };
        let file = |change: &Change| json!({ "path": change.path, "diff": change.diff() });
        let files: Vec<_> = plan.written().map(file).collect();
        let optional = [
            follow_up(plan).map(|then| ("then", json!(then))),
            refusal.map(|refusal| ("reason", json!(refusal.to_string()))),
            (plan.alias.as_ref()).map(|alias| ("needed_by", json!(alias.users))),
        ];
        let always = [
            ("engine", json!(plan.engine.name())),
            ("state", json!(state)),
            ("files", json!(files)),
        ];
        let fields = always.into_iter().chain(optional.into_iter().flatten());
        fields.collect()
    }

    /// Returns the reason for which an installed engine cannot be set up, and has no set-up.
    fn refusal(&self, plan: &Plan) -> Option<InstallError> {
        let is_left = plan.is_installed && plan.changes.is_empty();
        let refused = is_left.then(|| plan.engine.require(self.host).err());
        refused.flatten()
    }
}

/// Returns the command that must follow before the change of a file counts, if any.
fn follow_up(plan: &Plan) -> Option<&'static str> {
    let is_written = plan.changes.iter().any(Change::is_needed);
    plan.engine.follow_up().filter(|_| is_written)
}

/// Returns the sentence about the containers that need the name of our runtime.
pub(super) fn need(Alias { runtime, users }: &Alias) -> String {
    let number = match users.len() {
        1 => "1 container".to_owned(),
        more => format!("each of {more} containers"),
    };
    let users: Vec<String> = users.iter().map(|name| escaped(name).to_string()).collect();
    format!(
        "the runtime plimsoll stays as a name of {}, because {number} needs it: {}",
        escaped(runtime),
        users.join(", ")
    )
}
