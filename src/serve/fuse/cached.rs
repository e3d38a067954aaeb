//! The cached connection: a file system whose files the kernel keeps in its page cache.
//!
//! The kernel keeps the bytes that it has read. It asks for the attributes when their TTL is over,
//! and drops the pages if size or mtime have changed (`FUSE_AUTO_INVAL_DATA`, in
//! `fuse_change_attributes` of `fs/fuse/inode.c`). So a GETATTR makes the content of a file, and
//! the READs after it get that content. A LOOKUP makes a content too: any other size would cut the file
//! of a reader that reads it at that moment. The first OPEN is refused with ENOSYS, after which the
//! kernel sends no OPEN again.
//!
//! | reader | age of the bytes, at most |
//! |---|---|
//! | opens the file | [`Answers::max_age`] and two jiffies: the TTL as the kernel counts it |
//! | holds a descriptor, or opens the file while another reader reads without a pause | five times that age, and two jiffies: a reader in many steps sees one content |
//!
//! open(2) sends GETATTR without a file handle, read(2) sends GETATTR with one if the TTL is over.
//! If the TTL of a fresh open is over before its first read(2), that read looks like one of a
//! long-held descriptor. A recheck claim distinguishes the two ([`ContentCache::claim_recheck`]):
//!
//! ```text
//!     reader   request           reply                  why
//! |   open(2)  GETATTR           new content A, 1 ms    no content under 1 ms is cached
//! |   read(2)  READ              A
//! |   read(2)  -                 -                      TTL holds: the page cache has A
//! |   ... TTL is over; first read after an open, or a descriptor that is held for long?
//! |   read(2)  GETATTR + handle  A, TTL 0               claim granted: the next use asks again
//! |
//! |   next, either a fresh open:
//! |   open(2)  GETATTR           new content B, 1 ms    A is older than 1 ms; ends the claim
//! |
//! |   or a read within 1 ms on the same descriptor:
//! |   read(2)  GETATTR + handle  A, TTL 1 ms            claim refused: a held descriptor
//! |   read(2)  -                 -                      TTL holds: the page cache has A
//! |   ... A is older than 4 * max_age
//! v   read(2)  GETATTR + handle  new content C, 1 ms    a held descriptor moves on, too
//! ```
//!
//! With 1 ms in the place of TTL 0, an open within that time would send no GETATTR and read A, which
//! is up to four ages old.
//!
//! [`Answers::max_age`]: crate::view::answer::Answers::max_age
//! [`ContentCache::claim_recheck`]: super::content_cache::ContentCache::claim_recheck

use super::{
    content_cache::Content,
    error::ReplyError,
    reply::{PAGE_OF_NEWLINES, PER_CALLER_TTL, REMOVABLE_TTL, page_of, slice},
    request::work,
    server::Server,
};
use crate::{
    base::units::{Key, Micros, Tid},
    facts::container::Sight,
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

// TTL of the attributes of a file. The kernel counts in jiffies and rounds up.
const CONTENT_TTL: Duration = Duration::from_millis(1);
// Maximum age of the content that an open gets: opens at about the same time share one content.
const OPEN_MAX_AGE: Micros = Micros(1_000);
// Maximum age of the content that a held descriptor reads, in maximum ages of an answer.
const HELD_AGE_FACTOR: usize = 4;
// Maximum time from a reply with TTL 0 to the next GETATTR of a held descriptor. With TTL 0 the
// kernel asks on every read, and an open in between makes new content, which ends the claim.
const RECHECK_INTERVAL: Micros = Micros(1_000);
// Offsets in the root: named entries come first, then the containers by key.
const FIRST_CONTAINER_OFFSET: u64 = 255;

/// The file system of the cached connection.
#[derive(Debug, Clone)]
pub struct Cached(pub Arc<Server>);

impl Cached {
    /// Finds a child of a directory, and returns the TTL of its attributes, the TTL of its name,
    /// and its attributes.
    fn find_child(
        &self,
        parent: INodeNo,
        name: &OsStr,
        tid: Tid,
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
                self.0.must_show(key, tid)?;
            }
            (_, CachedEntry::Served(entry) | CachedEntry::DirectLink(entry))
                if !self.0.answers.has(&entry.path()) =>
            {
                return Err(ReplyError::Absent);
            }
            _ => {}
        }
        let entry_ttl = match parent {
            CachedEntry::Root => PER_CALLER_TTL,
            _ => REMOVABLE_TTL,
        };
        let attributes = self.attributes(child, OPEN_MAX_AGE)?;
        Ok((ttl(child), entry_ttl, attributes))
    }

    /// Lists a directory for the thread `tid`: offset, name and entry of each child. The root lists the
    /// containers that have read a file and that the thread may find.
    ///
    /// The offset of a child stays, whichever other children come or go between two calls.
    fn list_directory(
        &self,
        inode: INodeNo,
        tid: Tid,
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
            let sight = self.0.answers.sight(tid).map_err(|_| ReplyError::Absent)?;
            let known = self.0.answers.known_containers().into_iter();
            let is_shown = |key: &Key| sight == Sight::All || self.0.answers.is_shown(*key, &sight);
            list.extend(known.filter(is_shown).filter_map(|key| {
                let offset = key.0.checked_add(FIRST_CONTAINER_OFFSET)?;
                let entry = Entry::container_root(key)?;
                Some((offset, key.to_string(), CachedEntry::Served(entry)))
            }));
        }
        Ok(list)
    }

    /// Returns the attributes without those that depend on the content.
    fn constant_attributes(&self, node: CachedEntry) -> FileAttr {
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

    /// Returns the attributes; for a file, those of a content that is younger than `max_age`.
    fn attributes(&self, node: CachedEntry, max_age: Micros) -> Result<FileAttr, ReplyError> {
        let mut attributes = self.constant_attributes(node);
        if let CachedEntry::Served(entry @ Entry::File(..)) = node {
            let content = self.content(entry, max_age)?;
            attributes.size = u64::try_from(content.bytes.len()).unwrap_or(0);
            attributes.mtime = content.changed;
            attributes.ctime = content.changed;
        }
        Ok(attributes)
    }

    /// Returns a content that is younger than `max_age`: the cached one, or a new one.
    fn content(&self, entry: Entry, max_age: Micros) -> Result<Content, ReplyError> {
        let now = self.0.answers.now();
        if let Some(content) = self.0.contents.get_younger(entry.inode(), max_age, now) {
            return Ok(content);
        }
        let Entry::File(Owner::Container(key), _) = entry else {
            return Err(ReplyError::Absent);
        };
        let container = self.0.answers.container(key)?;
        self.0.make_content(entry, &container)
    }

    /// Returns the maximum age of the content that a held descriptor reads, long enough that a
    /// reader in many steps reads one content.
    fn held_max_age(&self) -> Micros {
        self.0
            .answers
            .max_age()
            .times(HELD_AGE_FACTOR)
            .max(OPEN_MAX_AGE)
    }

    /// Returns the TTL of the attributes; `is_read` marks a GETATTR with a handle, which a read
    /// sends.
    ///
    /// Returns 0 if the content is older than an open may get and the recheck claim is free.
    fn ttl(&self, node: CachedEntry, is_read: bool) -> Duration {
        let (cache, now) = (&self.0.contents, self.0.answers.now());
        match node {
            CachedEntry::Served(entry @ Entry::File(..))
                if is_read
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

    /// Counts and logs an error, if it concerns a file, and returns the errno.
    fn report(&self, node: CachedEntry, error: &ReplyError) -> Errno {
        match node {
            CachedEntry::Served(entry @ Entry::File(..)) => self.0.report(&entry.path(), error),
            _ => error.errno(),
        }
    }
}

/// Returns the TTL of the attributes of an entry with new content.
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
        let (this, name) = (self.clone(), name.to_owned());
        let (work, task) = (work(Side::Cached, request, parent), Tid(request.pid()));
        self.0
            .run_fairly(work, move || match this.find_child(parent, &name, task) {
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
        handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let (this, work) = (self.clone(), work(Side::Cached, request, inode));
        self.0.run_fairly(work, move || {
            let Some(node) = CachedEntry::from_inode(inode.0) else {
                return reply.error(Errno::ENOENT);
            };
            let max_age = if handle.is_some() {
                this.held_max_age()
            } else {
                OPEN_MAX_AGE
            };
            match this.attributes(node, max_age) {
                Ok(attributes) => reply.attr(&this.ttl(node, handle.is_some()), &attributes),
                Err(error) => reply.error(this.report(node, &error)),
            }
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        let (this, work) = (self.clone(), work(Side::Cached, request, inode));
        self.0
            .run_fairly(work, move || match CachedEntry::from_inode(inode.0) {
                Some(CachedEntry::SelfLink) => match this.0.container_key(work.tid) {
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
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let (this, work) = (self.clone(), work(Side::Cached, request, inode));
        self.0
            .run_fairly(work, move || match CachedEntry::from_inode(inode.0) {
                Some(node @ CachedEntry::Served(entry)) => {
                    match this.content(entry, this.held_max_age()) {
                        Ok(content) => {
                            let mut page = PAGE_OF_NEWLINES;
                            let filled = page_of(&content.bytes, flags, &mut page);
                            reply.data(slice(filled, offset, size));
                        }
                        Err(error) => reply.error(this.report(node, &error)),
                    }
                }
                _ => reply.error(Errno::EINVAL),
            });
    }

    fn readdir(
        &self,
        request: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let (this, task) = (self.clone(), Tid(request.pid()));
        let work = work(Side::Cached, request, inode);
        self.0.run_fairly(work, move || {
            let list = match this.list_directory(inode, task) {
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

    fn statfs(&self, request: &Request, inode: INodeNo, reply: ReplyStatfs) {
        // No blocks: df leaves such file systems out.
        self.0.run(work(Side::Cached, request, inode), || {
            reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_asked_for_again_at_once() {
        assert_eq!(ttl(CachedEntry::Root), REMOVABLE_TTL);
        let file = crate::view::files::File::Meminfo;
        let file = Entry::File(Owner::Container(Key(1)), file);
        assert_eq!(ttl(CachedEntry::Served(file)), CONTENT_TTL);
    }
}
