//! The state that both file systems share: contents, attributes, callers, and the log of errors.

use super::{
    content_cache::{Content, ContentCache},
    error::ReplyError,
    open_files::OpenFiles,
    reply::{attributes, block_size},
    request::set_inode,
    triggers::Triggers,
};
use crate::{
    base::{
        metrics,
        state::Store,
        sys::chain,
        units::{Key, Micros, Tid},
    },
    facts::container::{Caller, Container},
    serve::{
        tree::{Entry, Owner},
        wire::Side,
    },
    view::{answer::Answers, files::FILES},
};
use fuser::{Errno, FileAttr, FileType, INodeNo, Request};
use parking_lot::Mutex;
use std::{collections::HashSet, sync::Arc, time::SystemTime};

// Maximum number of error texts that are logged: a container can cause any number of them.
const MAX_LOGGED_CAUSES: usize = 256;

/// The state that both file systems share.
#[derive(Debug)]
pub struct Server {
    pub(super) answers: Arc<Answers>,
    /// Start of this server, the time of every file whose content is not known.
    began: SystemTime,
    /// Size that no content exceeds, for each file by its row.
    max_sizes: Vec<u64>,
    pub(super) contents: ContentCache,
    pub(super) open_files: OpenFiles,
    pub(super) triggers: Triggers,
    store: Arc<Store>,
    /// Error texts that were logged.
    logged_causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers, and records open files and requests for a successor in the store.
    #[must_use]
    pub fn new(answers: Arc<Answers>, store: Arc<Store>) -> Server {
        Server {
            began: SystemTime::now(),
            max_sizes: FILES.iter().map(|file| answers.max_size(*file)).collect(),
            contents: ContentCache::default(),
            answers,
            open_files: OpenFiles::new(Arc::clone(&store)),
            triggers: Triggers::default(),
            store,
            logged_causes: Mutex::default(),
        }
    }

    /// Records the number of a request for a successor, and the inode number for this thread's
    /// logs.
    pub(super) fn note_request(&self, side: Side, request: &Request, inode: INodeNo) {
        self.store.mark(side.index(), request.unique().0);
        set_inode(inode.0);
    }

    /// Returns the attributes of an entry. A file of sysfs has the size of the kernel's own file, a
    /// file of procfs the maximum of its size.
    pub(super) fn attributes(&self, entry: Entry) -> FileAttr {
        let constant = attributes(INodeNo(entry.inode()), kind(entry), self.began);
        let path = match entry {
            Entry::File(_, file) if !file.is_in_sysfs() => {
                let size = self.max_sizes.get(file.row()).copied().unwrap_or(0);
                return FileAttr {
                    perm: file.mode(),
                    size,
                    blksize: block_size(size),
                    ..constant
                };
            }
            Entry::File(..) | Entry::System(..) if !entry.is_directory() => entry.path(),
            _ => return constant,
        };
        let kernel = self.answers.kernel_size_and_mode(&path);
        let (size, mode) = kernel.unwrap_or((0, constant.perm));
        // Kernels from 5.15 to 5.19 state no size of lists and masks of CPUs.
        let size = size.max(u64::from(constant.blksize));
        FileAttr {
            perm: mode & constant.perm,
            size,
            blksize: block_size(size),
            ..constant
        }
    }

    /// Returns the caller whose content the owner's files have; for [`Owner::Caller`] that of the
    /// thread `tid`.
    pub(super) fn caller(&self, owner: Owner, tid: Tid) -> Result<Caller, ReplyError> {
        Ok(match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        })
    }

    /// Returns the content of a file for that caller: one that is younger than `max_age`, or a new
    /// one.
    pub(super) fn content_for(
        &self,
        entry: Entry,
        caller: &Caller,
        max_age: Micros,
    ) -> Result<Arc<[u8]>, ReplyError> {
        let now = self.answers.now();
        // No container's entry has the inode number of the shared tree, so that the host's content
        // is cached under it.
        let own = match caller {
            Caller::Container(container) => entry.in_tree_of(container.key),
            Caller::Host => entry,
        };
        if let Some(young) = self.contents.get_younger(own.inode(), max_age, now) {
            return Ok(young.bytes);
        }
        let host = match (own, caller) {
            (_, Caller::Container(container)) => {
                return Ok(self.make_content(own, container)?.bytes);
            }
            (Entry::File(_, file), Caller::Host) => self.answers.read_host(file)?,
            (Entry::System(_, attribute), Caller::Host) => {
                self.answers.read_host_attribute(attribute)?
            }
            _ => return Err(ReplyError::Absent),
        };
        Ok(self.contents.put(own.inode(), host.into(), now).bytes)
    }

    /// Makes and caches the content that a file of the container has now.
    pub(super) fn make_content(
        &self,
        own: Entry,
        container: &Container,
    ) -> Result<Content, ReplyError> {
        let taken = self.answers.now();
        let bytes = match own {
            Entry::File(_, file) => self.answers.render(file, container)?,
            Entry::System(_, attribute) => self.answers.render_attribute(attribute, container)?,
            _ => return Err(ReplyError::Absent),
        };
        Ok(self.contents.put(own.inode(), bytes.into(), taken))
    }

    /// Returns the key of the container that the thread `tid` is in.
    pub(super) fn container_key(&self, tid: Tid) -> Result<Key, ReplyError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(ReplyError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    /// Counts an error that a reader gets, logs each text once, and returns the errno.
    pub(super) fn report(&self, path: &str, error: &ReplyError) -> Errno {
        metrics::FAILURES.count();
        let mut causes = self.logged_causes.lock();
        let error_text = chain(error);
        if causes.len() < MAX_LOGGED_CAUSES && causes.insert(error_text.clone()) {
            tracing::warn!(file = path, error = %error_text, "answered by an error");
        }
        error.errno()
    }
}

/// Returns the type of an entry's inode, which never changes.
pub(super) fn kind(entry: Entry) -> FileType {
    match entry {
        entry if entry.is_directory() => FileType::Directory,
        Entry::File(..) | Entry::System(..) => FileType::RegularFile,
        Entry::Directory(..) | Entry::Containers | Entry::OwnTrees | Entry::Link(..) => {
            FileType::Symlink
        }
    }
}

/// Returns the owner of a file whose size is that of its content; `None` for any other entry.
pub(super) fn content_owner(entry: Entry) -> Option<Owner> {
    match entry {
        Entry::File(owner, file) if !file.is_in_sysfs() => Some(owner),
        _ => None,
    }
}
