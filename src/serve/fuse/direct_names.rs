//! The names of the direct connection: look one up, list a directory.

use super::{
    direct::Direct,
    error::ReplyError,
    reply::{PER_CALLER_TTL, PERMANENT_TTL, REMOVABLE_TTL},
};
use crate::{
    base::units::{CpuSet, Tid},
    facts::container::Caller,
    serve::tree::{Entry, Owner},
    view::files::{Attribute, POLICIES, Subject, VisibleDevices},
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
        let is_there = match entry {
            Entry::Directory(Owner::Container(key), _) if parent == Entry::OwnTrees => {
                self.0.must_show(key, tid)?;
                true
            }
            Entry::System(owner, attribute) => {
                let is_visible = match attribute.subject() {
                    Subject::Machine => true,
                    device => self.0.answers.sees(&self.0.caller(owner, tid)?, device)?,
                };
                is_visible && self.0.answers.has(&attribute.path())
            }
            Entry::Link(owner, _) => {
                let caller = self.0.caller(owner, tid)?;
                let devices = self.visible_devices(parent, &caller)?;
                let mut links = parent.numbered_children(&devices).into_iter();
                links.any(|(_, link, _)| link == name)
            }
            Entry::File(owner, file) if file.pressure().is_some() => {
                let caller = self.0.caller(owner, tid)?;
                self.0.answers.has_pressure(file, &caller)
            }
            Entry::File(_, file) => self.0.answers.has(file.path()),
            Entry::Directory(_, directory) => self.0.answers.has(directory.path()),
            Entry::Containers | Entry::OwnTrees => true,
        };
        if !is_there {
            return Err(ReplyError::Absent);
        }
        Ok((name_ttl(parent, entry), entry))
    }

    /// Returns the CPUs and memory nodes that the caller sees, and the policies if they are children
    /// of `directory`.
    fn visible_devices(
        &self,
        directory: Entry,
        caller: &Caller,
    ) -> Result<VisibleDevices, ReplyError> {
        let devices = self.0.answers.visible_devices(caller)?;
        let policies = match directory.path() == POLICIES {
            true => self.0.answers.policies(&devices.cpus),
            false => CpuSet::default(),
        };
        Ok(VisibleDevices {
            policies,
            ..devices
        })
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
            list.extend(entry.numbered_children(&self.visible_devices(entry, caller)?));
        }
        Ok(list)
    }
}

/// Returns the TTL of the name of an entry in its directory.
fn name_ttl(parent: Entry, entry: Entry) -> Duration {
    match entry {
        Entry::Directory(Owner::Container(_), _) if parent == Entry::OwnTrees => PER_CALLER_TTL,
        Entry::System(_, attribute) => match attribute.subject() {
            Subject::Machine => REMOVABLE_TTL,
            device if attribute != Attribute::directory(device) => REMOVABLE_TTL,
            Subject::Cpu(_) | Subject::Node(_) | Subject::Policy(_) => PER_CALLER_TTL,
        },
        Entry::Link(..) => PER_CALLER_TTL,
        Entry::File(_, file) if file.pressure().is_some() => PER_CALLER_TTL,
        _ => PERMANENT_TTL,
    }
}
