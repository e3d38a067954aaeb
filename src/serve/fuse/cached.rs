//! The requests of the cached connection, one by one.
//!
//! The kernel keeps what it has read, and asks for the attributes once their time is over: only
//! if the file has changed since are its pages dropped and read again (`FUSE_AUTO_INVAL_DATA`, in
//! `fuse_change_attributes` of `fs/fuse/inode.c`). So the content is made when attributes are asked
//! for, and is what is read after that; a lookup of what nobody reads makes none. Files are not
//! opened: the first open is told that nobody cares, and the kernel asks never again.
//!
//! | what is read | how old it can be |
//! |---|---|
//! | a file that was just opened | [`Answers::max_age`] and two jiffies, in which the kernel does not ask |
//! | a descriptor that is kept, or a file that was opened while one is read on and on | five times the age, and two jiffies: a reader that takes many steps finds one moment |
//!
//! Who opens a file asks, and then its first read may ask once more, if the time is over just then.
//! That read looks to us as one of a descriptor that is kept. So it is told what was said last, but
//! not for long, and the next open asks again; only who comes back at once without an open is
//! believed to keep it.
//!
//! [`Answers::max_age`]: crate::view::answer::Answers::max_age

use super::{
    content_cache::Content,
    error::ReplyError,
    reply::{REMOVABLE_TTL, slice},
    request::guarded,
    server::Server,
};
use crate::{
    base::units::{Micros, Tid},
    serve::{
        tree::{CachedEntry, Entry, Owner},
        wire::Side,
    },
};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    ReplyOpen, ReplyStatfs, Request,
};
use std::{ffi::OsStr, io, sync::Arc, time::Duration};

// The kernel counts it in jiffies, and rounds up.
const CONTENT_TTL: Duration = Duration::from_millis(1);
// Whoever opens a file asks for its attributes; those who open it at once share the answer.
const OPEN_MAX_AGE: Micros = Micros(1_000);
// So many times the age of an answer, the content that a kept descriptor reads may be old.
const HELD_AGE_FACTOR: usize = 4;
// A read that follows the one before within that time has opened nothing in between: the kernel
// asks on every read of a file whose attributes have no time.
const RECHECK_INTERVAL: Micros = Micros(1_000);
// Offsets in a directory: its own entries come first, then the containers by key.
const FIRST_CONTAINER_OFFSET: u64 = 255;

/// The cached connection.
#[derive(Debug)]
pub struct Cached(pub Arc<Server>);

impl Cached {
    fn find_child(
        &self,
        parent: INodeNo,
        name: &OsStr,
    ) -> Result<(Duration, Duration, FileAttr), ReplyError> {
        let parent = CachedEntry::from_inode(parent.0).ok_or(ReplyError::Absent)?;
        let name = name.to_str().ok_or(ReplyError::Absent)?;
        let child = parent.child(name, |file| self.0.answers.is_cacheable(file));
        let child = child.ok_or(ReplyError::Absent)?;
        match (parent, child) {
            (
                CachedEntry::Root,
                CachedEntry::Served(Entry::Directory(Owner::Container(key), _)),
            ) => {
                self.0.answers.container(key)?;
            }
            (_, CachedEntry::Served(entry) | CachedEntry::DirectLink(entry))
                if !self.0.answers.has(&entry.path()) =>
            {
                return Err(ReplyError::Absent);
            }
            _ => {}
        }
        let entry_ttl = if child == CachedEntry::SelfLink {
            Duration::ZERO
        } else {
            REMOVABLE_TTL
        };
        if let Some(attributes) = self.unread(child) {
            return Ok((Duration::ZERO, entry_ttl, attributes));
        }
        let attributes = self.attributes(child, OPEN_MAX_AGE)?;
        Ok((ttl(child), entry_ttl, attributes))
    }

    /// What stands in a directory, each with its offset: the containers that have read something,
    /// and what stands in the directory of each.
    fn list_directory(
        &self,
        inode: INodeNo,
    ) -> Result<Vec<(u64, String, CachedEntry)>, ReplyError> {
        let node = CachedEntry::from_inode(inode.0).ok_or(ReplyError::Absent)?;
        let own = [".", ".."].map(|name| (name.to_owned(), node));
        let children = node
            .children(|file| self.0.answers.is_cacheable(file))
            .into_iter();
        let is_there = |child: &CachedEntry| match child {
            CachedEntry::Served(entry) | CachedEntry::DirectLink(entry) => {
                self.0.answers.has(&entry.path())
            }
            CachedEntry::Root | CachedEntry::SelfLink => true,
        };
        let mut list: Vec<_> = (1u64..)
            .zip(own.into_iter().chain(children))
            .filter(|(_, (_, child))| is_there(child))
            .map(|(offset, (name, child))| (offset, name, child))
            .collect();
        if node == CachedEntry::Root {
            let known = self.0.answers.known_containers().into_iter();
            list.extend(known.filter_map(|key| {
                let offset = key.0.checked_add(FIRST_CONTAINER_OFFSET)?;
                let entry = Entry::container_root(key)?;
                Some((offset, key.to_string(), CachedEntry::Served(entry)))
            }));
        }
        Ok(list)
    }

    /// The attributes of a file that nobody has read yet, or long ago: whoever mounts it reads
    /// nothing, and whoever reads it asks for its attributes then.
    fn unread(&self, node: CachedEntry) -> Option<FileAttr> {
        let CachedEntry::Served(entry @ Entry::File(_, file)) = node else {
            return None;
        };
        if self.0.contents.changed(entry.inode()).is_some() {
            return None;
        }
        let size = self.0.answers.padded_size(file)?;
        Some(FileAttr {
            size: u64::try_from(size).ok()?,
            ..self.bare(node)
        })
    }

    /// The attributes of whatever it is, with no content.
    fn bare(&self, node: CachedEntry) -> FileAttr {
        let attributes = match node {
            CachedEntry::Root => FileAttr {
                kind: FileType::Directory,
                ..self.0.attributes(Entry::Containers)
            },
            CachedEntry::Served(entry) => self.0.attributes(entry),
            CachedEntry::SelfLink | CachedEntry::DirectLink(_) => FileAttr {
                kind: FileType::Symlink,
                perm: 0o777,
                size: 0,
                ..self.0.attributes(Entry::Containers)
            },
        };
        FileAttr {
            ino: INodeNo(node.inode()),
            ..attributes
        }
    }

    /// The attributes, of a file with a content that is not older than that.
    fn attributes(&self, node: CachedEntry, age: Micros) -> Result<FileAttr, ReplyError> {
        let mut attributes = self.bare(node);
        if let CachedEntry::Served(entry @ Entry::File(..)) = node {
            let content = self.content(entry, age)?;
            attributes.size = u64::try_from(content.bytes.len()).unwrap_or(0);
            attributes.mtime = content.changed;
            attributes.ctime = content.changed;
        }
        Ok(attributes)
    }

    fn content(&self, entry: Entry, age: Micros) -> Result<Content, ReplyError> {
        let now = self.0.answers.now();
        if let Some(content) = self.0.contents.get_younger(entry.inode(), age, now) {
            return Ok(content);
        }
        let Entry::File(Owner::Container(key), _) = entry else {
            return Err(ReplyError::Absent);
        };
        let container = self.0.answers.container(key)?;
        self.0.make_content(entry, &container)
    }

    // What was read of a kept descriptor is not replaced in the middle of a reader's many steps.
    fn held_max_age(&self) -> Micros {
        self.0
            .answers
            .max_age()
            .times(HELD_AGE_FACTOR)
            .max(OPEN_MAX_AGE)
    }

    /// How long the kernel need not ask again; `is_kept` of a descriptor.
    fn ttl(&self, node: CachedEntry, is_kept: bool) -> Duration {
        let (cache, now) = (&self.0.contents, self.0.answers.now());
        match node {
            CachedEntry::Served(entry @ Entry::File(..))
                if is_kept
                    && cache
                        .get_younger(entry.inode(), OPEN_MAX_AGE, now)
                        .is_none()
                    && cache.claim_recheck(entry.inode(), RECHECK_INTERVAL, now) =>
            {
                Duration::ZERO
            }
            _ => ttl(node),
        }
    }

    fn report(&self, node: CachedEntry, error: &ReplyError) -> Errno {
        match node {
            CachedEntry::Served(entry @ Entry::File(..)) => self.0.report(&entry.path(), error),
            _ => error.errno(),
        }
    }
}

/// How long the kernel need not ask again.
fn ttl(node: CachedEntry) -> Duration {
    match node {
        CachedEntry::Served(Entry::File(..)) => CONTENT_TTL,
        _ => REMOVABLE_TTL,
    }
}

impl Filesystem for Cached {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        config
            .add_capabilities(InitFlags::FUSE_AUTO_INVAL_DATA)
            .map_err(|_| io::ErrorKind::Unsupported.into())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.0.note_request(Side::Cached, request, parent);
        guarded(|| match self.find_child(parent, name) {
            Ok((ttl, entry_ttl, attributes)) => {
                reply.entry_with_ttls(&ttl, &entry_ttl, &attributes, Generation(0));
            }
            Err(error) => reply.error(error.errno()),
        });
    }

    fn getattr(
        &self,
        request: &Request,
        inode: INodeNo,
        kept: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        self.0.note_request(Side::Cached, request, inode);
        guarded(|| {
            let Some(node) = CachedEntry::from_inode(inode.0) else {
                return reply.error(Errno::ENOENT);
            };
            let age = if kept.is_some() {
                self.held_max_age()
            } else {
                OPEN_MAX_AGE
            };
            match self.attributes(node, age) {
                Ok(attributes) => reply.attr(&self.ttl(node, kept.is_some()), &attributes),
                Err(error) => reply.error(self.report(node, &error)),
            }
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        guarded(|| match CachedEntry::from_inode(inode.0) {
            Some(CachedEntry::SelfLink) => match self.0.container_key(Tid(request.pid())) {
                Ok(key) => reply.data(key.to_string().as_bytes()),
                Err(error) => reply.error(error.errno()),
            },
            Some(link) => match link.target() {
                Some(target) => reply.data(target.as_bytes()),
                None => reply.error(Errno::EINVAL),
            },
            None => reply.error(Errno::ENOENT),
        });
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.0.note_request(Side::Cached, request, inode);
        guarded(|| match CachedEntry::from_inode(inode.0) {
            Some(node @ CachedEntry::Served(entry)) => {
                match self.content(entry, self.held_max_age()) {
                    Ok(content) => reply.data(slice(&content.bytes, offset, size)),
                    Err(error) => reply.error(self.report(node, &error)),
                }
            }
            _ => reply.error(Errno::EINVAL),
        });
    }

    fn readdir(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        guarded(|| {
            let list = match self.list_directory(inode) {
                Ok(list) => list,
                Err(error) => return reply.error(error.errno()),
            };
            for (at, name, node) in list.into_iter().filter(|(at, ..)| *at > offset) {
                let kind = match node {
                    CachedEntry::Root => FileType::Directory,
                    CachedEntry::Served(entry) if entry.is_directory() => FileType::Directory,
                    CachedEntry::Served(_) => FileType::RegularFile,
                    CachedEntry::SelfLink | CachedEntry::DirectLink(_) => FileType::Symlink,
                };
                if reply.add(INodeNo(node.inode()), at, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // No blocks: df leaves such file systems out.
        guarded(|| reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Key;

    #[test]
    fn only_files_are_asked_for_again_at_once() {
        assert_eq!(ttl(CachedEntry::Root), REMOVABLE_TTL);
        let file = crate::view::files::File::Meminfo;
        let file = Entry::File(Owner::Container(Key(1)), file);
        assert_eq!(ttl(CachedEntry::Served(file)), CONTENT_TTL);
    }
}
