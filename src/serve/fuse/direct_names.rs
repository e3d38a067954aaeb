//! The names of the direct connection: looking one up, and listing a directory.

use super::{
    direct::Direct,
    error::RequestError,
    reply::{BRIEF, FOREVER, NEVER},
};
use crate::{
    base::units::Tid,
    serve::tree::{Entry, Owner},
    view::files::{Attribute, Subject},
};
use fuser::INodeNo;
use std::{ffi::OsStr, time::Duration};

impl Direct {
    /// What has that name in that directory, and how long it has; attributes last for ever.
    pub(super) fn find_child(
        &self,
        parent: INodeNo,
        name: &OsStr,
        tid: Tid,
    ) -> Result<(Duration, Entry), RequestError> {
        let parent = Entry::of_inode(parent.0).ok_or(RequestError::Absent)?;
        let name = name.to_str().ok_or(RequestError::Absent)?;
        let entry = parent.child(name).ok_or(RequestError::Absent)?;
        let ttl = match entry {
            Entry::Directory(Owner::Container(key), _) if parent == Entry::OwnTrees => {
                self.0.answers.container(key)?;
                BRIEF
            }
            Entry::System(owner, attribute) => {
                let is_shown = match attribute.subject() {
                    Subject::Machine => true,
                    subject => self
                        .0
                        .answers
                        .visible_devices(&self.0.caller(owner, tid)?)?
                        .has(subject),
                };
                if !is_shown || !self.0.answers.has(&attribute.path()) {
                    return Err(RequestError::Absent);
                }
                match attribute.subject() {
                    subject if attribute != Attribute::directory(subject) => BRIEF,
                    Subject::Machine => BRIEF,
                    Subject::Cpu(_) | Subject::Node(_) => NEVER,
                }
            }
            Entry::Link(owner, _) => {
                let shown = self
                    .0
                    .answers
                    .visible_devices(&self.0.caller(owner, tid)?)?;
                let mut members = parent.members(&shown).into_iter();
                if !members.any(|(_, member, _)| member == name) {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(owner, file) if file.pressure().is_some() => {
                if !self
                    .0
                    .answers
                    .has_pressure(file, &self.0.caller(owner, tid)?)
                {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(_, file) if !self.0.answers.has(file.path()) => {
                return Err(RequestError::Absent);
            }
            Entry::Directory(_, directory) if !self.0.answers.has(directory.path()) => {
                return Err(RequestError::Absent);
            }
            _ => FOREVER,
        };
        Ok((ttl, entry))
    }

    /// What stands in a directory, each with its offset: a place in the order that stays its own,
    /// whatever comes and goes between two calls.
    pub(super) fn list_directory(
        &self,
        inode: INodeNo,
        tid: Tid,
    ) -> Result<Vec<(u64, String, Entry)>, RequestError> {
        let entry = Entry::of_inode(inode.0).ok_or(RequestError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), entry));
        let named = own.into_iter().chain(entry.children());
        let caller = match entry.differs() {
            Some(owner) => Some(self.0.caller(owner, tid)?),
            None => None,
        };
        let is_there = |child: &Entry| match (child, &caller) {
            (Entry::File(_, file), Some(caller)) if file.pressure().is_some() => {
                self.0.answers.has_pressure(*file, caller)
            }
            (Entry::Containers, _) => true,
            _ => self.0.answers.has(&child.path()),
        };
        let mut list: Vec<_> = (1u64..)
            .zip(named)
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if let Some(caller) = &caller {
            list.extend(entry.members(&self.0.answers.visible_devices(caller)?));
        }
        Ok(list)
    }
}
