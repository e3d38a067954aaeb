//! What stands in the directories of both connections.

use super::server::{RequestError, Server};
use crate::{
    base::units::Tid,
    serve::tree::{Branch, Entry},
};
use fuser::INodeNo;

// Offsets in a directory: its own entries come first, then the containers by key.
const CONTAINERS_FROM: u64 = 255;

impl Server {
    /// What stands in a directory, each with its offset: a place in the order that stays its own,
    /// whatever comes and goes between two calls.
    pub(super) fn list(
        &self,
        inode: INodeNo,
        tid: Tid,
    ) -> Result<Vec<(u64, String, Entry)>, RequestError> {
        let entry = Entry::of_inode(inode.0).ok_or(RequestError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), entry));
        let named = own.into_iter().chain(entry.children());
        let caller = match entry.differs() {
            Some(owner) => Some(self.caller(owner, tid)?),
            None => None,
        };
        let is_there = |child: &Entry| match (child, &caller) {
            (Entry::File(_, file), Some(caller)) if file.pressure().is_some() => {
                self.answers.has_pressure(*file, caller)
            }
            (Entry::Containers, _) => true,
            _ => self.answers.has(&child.path()),
        };
        let mut list: Vec<_> = (1u64..)
            .zip(named)
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if let Some(caller) = &caller {
            list.extend(entry.members(&self.answers.shown(caller)?));
        }
        Ok(list)
    }

    /// The same of a directory on the cached connection: the containers that have read something,
    /// and what stands in the directory of each.
    pub(super) fn branches(
        &self,
        inode: INodeNo,
    ) -> Result<Vec<(u64, String, Branch)>, RequestError> {
        let branch = Branch::of_inode(inode.0).ok_or(RequestError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), branch));
        let children = branch
            .children(|file| self.answers.is_constant(file))
            .into_iter();
        let is_there = |child: &Branch| match child {
            Branch::Inside(entry) | Branch::Link(entry) => self.answers.has(&entry.path()),
            Branch::Root | Branch::Own => true,
        };
        let mut list: Vec<_> = (1u64..)
            .zip(own.into_iter().chain(children))
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if branch == Branch::Root {
            let known = self.answers.known().into_iter();
            list.extend(known.filter_map(|key| {
                let offset = key.0.checked_add(CONTAINERS_FROM)?;
                let entry = Entry::container(key)?;
                Some((offset, key.to_string(), Branch::Inside(entry)))
            }));
        }
        Ok(list)
    }
}
