//! What a request asks for: the entry, the caller, the content; and which errno an error is.

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

// A container may cause as many different errors as it likes; the log has an end.
const MAX_LOGGED_CAUSES: usize = 256;

/// What both connections serve: files whose content are the answers.
#[derive(Debug)]
pub struct Server {
    pub(super) answers: Arc<Answers>,
    /// What its files say that they were made at.
    began: SystemTime,
    /// A size for each file that no content exceeds.
    sizes: Vec<u64>,
    /// The same for attributes.
    attribute_size: u64,
    pub(super) contents: ContentCache,
    pub(super) open_files: OpenFiles,
    pub(super) triggers: Triggers,
    store: Arc<Store>,
    /// The causes of errors that were logged.
    causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers, and keeps on the store what a successor must know.
    #[must_use]
    pub fn new(answers: Arc<Answers>, store: Arc<Store>) -> Server {
        Server {
            began: SystemTime::now(),
            sizes: FILES.iter().map(|file| answers.max_size(*file)).collect(),
            contents: ContentCache::default(),
            attribute_size: answers.max_attribute_size(),
            answers,
            open_files: OpenFiles::new(Arc::clone(&store)),
            triggers: Triggers::default(),
            store,
            causes: Mutex::default(),
        }
    }

    /// Remembers how far the requests of a connection have come, and what this thread is at.
    pub(super) fn note_request(&self, side: Side, request: &Request, inode: INodeNo) {
        self.store.mark(side.index(), request.unique().0);
        set_inode(inode.0);
    }

    pub(super) fn attributes(&self, entry: Entry) -> FileAttr {
        let told = match entry {
            entry if entry.is_directory() => (FileType::Directory, 0o555, 0),
            Entry::Directory(..) | Entry::Containers | Entry::OwnTrees | Entry::Link(..) => {
                (FileType::Symlink, 0o777, 0)
            }
            Entry::System(..) => (FileType::RegularFile, 0o444, self.attribute_size),
            Entry::File(_, file) => {
                let size = self.sizes.get(file.row()).copied();
                (FileType::RegularFile, file.mode(), size.unwrap_or(0))
            }
        };
        attributes(INodeNo(entry.inode()), told, self.began)
    }

    pub(super) fn caller(&self, owner: Owner, tid: Tid) -> Result<Caller, ReplyError> {
        Ok(match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        })
    }

    /// What the file says to that caller; to a container, at most [`Answers::max_age`] ago.
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

    /// What the file says to the container, now.
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

    pub(super) fn container_key(&self, tid: Tid) -> Result<Key, ReplyError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(ReplyError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    /// Counts an error that a reader gets, and logs it once for each cause.
    pub(super) fn report(&self, path: &str, error: &ReplyError) -> Errno {
        metrics::FAILURES.count();
        let mut causes = self.causes.lock();
        let error_text = chain(error);
        if causes.len() < MAX_LOGGED_CAUSES && causes.insert(error_text.clone()) {
            tracing::warn!(file = path, error = %error_text, "answered by an error");
        }
        error.errno()
    }
}
