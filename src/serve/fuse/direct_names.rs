//! The names of the direct connection: look one up, list a directory.

use super::{
    direct::Direct,
    error::ReplyError,
    reply::{PER_CALLER_TTL, PERMANENT_TTL, REMOVABLE_TTL},
};
use crate::{
    base::units::Tid,
    serve::tree::{Entry, Owner},
    view::files::{Attribute, Subject},
};
use fuser::INodeNo;
use std::{ffi::OsStr, time::Duration};

impl Direct {
    /// Finds the child of a directory for the thread `tid`, and returns the TTL of its name and the
    /// child.
    pub(super) fn find_child(
        &self,
        parent: INodeNo,
        name: &OsStr,
        tid: Tid,
    ) -> Result<(Duration, Entry), ReplyError> {
        let parent = Entry::from_inode(parent.0).ok_or(ReplyError::Absent)?;
        let name = name.to_str().ok_or(ReplyError::Absent)?;
        let entry = parent.child(name).ok_or(ReplyError::Absent)?;
        let ttl = match entry {
            Entry::Directory(Owner::Container(key), _) if parent == Entry::OwnTrees => {
                self.0.answers.container(key)?;
                REMOVABLE_TTL
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
                    return Err(ReplyError::Absent);
                }
                match attribute.subject() {
                    subject if attribute != Attribute::directory(subject) => REMOVABLE_TTL,
                    Subject::Machine => REMOVABLE_TTL,
                    Subject::Cpu(_) | Subject::Node(_) => PER_CALLER_TTL,
                }
            }
            Entry::Link(owner, _) => {
                let shown = self
                    .0
                    .answers
                    .visible_devices(&self.0.caller(owner, tid)?)?;
                let mut members = parent.numbered_children(&shown).into_iter();
                if !members.any(|(_, member, _)| member == name) {
                    return Err(ReplyError::Absent);
                }
                PER_CALLER_TTL
            }
            Entry::File(owner, file) if file.pressure().is_some() => {
                if !self
                    .0
                    .answers
                    .has_pressure(file, &self.0.caller(owner, tid)?)
                {
                    return Err(ReplyError::Absent);
                }
                PER_CALLER_TTL
            }
            Entry::File(_, file) if !self.0.answers.has(file.path()) => {
                return Err(ReplyError::Absent);
            }
            Entry::Directory(_, directory) if !self.0.answers.has(directory.path()) => {
                return Err(ReplyError::Absent);
            }
            _ => PERMANENT_TTL,
        };
        Ok((ttl, entry))
    }

    /// Lists a directory for the thread `tid`: offset, name and entry of each child.
    ///
    /// The offset of a child stays, whichever other children come or go between two calls.
    pub(super) fn list_directory(
        &self,
        inode: INodeNo,
        tid: Tid,
    ) -> Result<Vec<(u64, String, Entry)>, ReplyError> {
        let entry = Entry::from_inode(inode.0).ok_or(ReplyError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), entry));
        let named = own.into_iter().chain(entry.named_children());
        let caller = match entry.varying_owner() {
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
            list.extend(entry.numbered_children(&self.0.answers.visible_devices(caller)?));
        }
        Ok(list)
    }
}
