//! The state that both file systems share: contents, attributes, callers, and the log of errors.

use super::{
    content_cache::{Content, ContentCache},
    error::ReplyError,
    open_files::OpenFiles,
    reply::attributes,
    request::set_inode,
    triggers::Triggers,
};
use crate::{
    base::{
        metrics,
        state::Store,
        sys::chain,
        units::{Key, Tid},
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
    /// Size that no attribute exceeds.
    max_attribute_size: u64,
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
            max_attribute_size: answers.max_attribute_size(),
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

    /// Returns the attributes of an entry; a file's size is the maximum.
    pub(super) fn attributes(&self, entry: Entry) -> FileAttr {
        let of = |kind| attributes(INodeNo(entry.inode()), kind, self.began);
        match entry {
            entry if entry.is_directory() => of(FileType::Directory),
            Entry::Directory(..) | Entry::Containers | Entry::OwnTrees | Entry::Link(..) => {
                of(FileType::Symlink)
            }
            Entry::System(..) => FileAttr {
                size: self.max_attribute_size,
                ..of(FileType::RegularFile)
            },
            Entry::File(_, file) => FileAttr {
                perm: file.mode(),
                size: self.max_sizes.get(file.row()).copied().unwrap_or(0),
                ..of(FileType::RegularFile)
            },
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

    /// Returns the content of a file for that caller; for a container, a content that is younger
    /// than [`Answers::max_age`].
    pub(super) fn content_for(
        &self,
        entry: Entry,
        caller: &Caller,
    ) -> Result<Arc<[u8]>, ReplyError> {
        let host = match (entry, caller) {
            (_, Caller::Container(container)) => {
                let own = entry.in_tree_of(container.key);
                let now = self.answers.now();
                let young = self
                    .contents
                    .get_younger(own.inode(), self.answers.max_age(), now);
                let content = young.map_or_else(|| self.make_content(own, container), Ok)?;
                return Ok(content.bytes);
            }
            (Entry::File(_, file), Caller::Host) => self.answers.read_host(file)?,
            (Entry::System(_, attribute), Caller::Host) => {
                self.answers.read_host_attribute(attribute)?
            }
            _ => return Err(ReplyError::Absent),
        };
        Ok(host.into())
    }

    /// Makes and caches the content that a file of the container has now.
    pub(super) fn make_content(
        &self,
        own: Entry,
        container: &Container,
    ) -> Result<Content, ReplyError> {
        let taken = self.answers.now();
        let bytes = match own {
            Entry::File(_, file) => self.answers.render_padded(file, container)?,
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
