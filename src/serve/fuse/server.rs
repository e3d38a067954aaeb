//! The state that both file systems share: contents, attributes, callers, and the log of errors.

use super::{
    content_cache::{Content, ContentCache},
    error::ReplyError,
    no_mmap::NoMmap,
    open_files::OpenFiles,
    reply::{attributes, block_size},
    request::file_of,
    shares::Shares,
    strikes::Strikes,
    suspects::Suspects,
    triggers::Triggers,
};
use crate::{
    base::{
        metrics,
        state::Store,
        sys::{self, chain},
        units::{Key, Micros, Tid},
    },
    facts::container::{Caller, Container, Sight},
    serve::{
        tree::{Entry, Owner},
        wire::{GATE, RESENT, Side, Work},
    },
    view::{answer::Answers, files::FILES},
};
use fuser::{Errno, FileAttr, FileType, INodeNo};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

// Maximum time for finding the container of a request that is stuck, perhaps in the same act.
const IDENTIFY_TIMEOUT: Duration = Duration::from_millis(500);
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
    pub(super) no_mmap: NoMmap,
    pub(super) triggers: Triggers,
    pub(super) store: Arc<Store>,
    pub(super) suspects: Suspects,
    pub(super) shares: Shares,
    pub(super) strikes: Strikes,
    /// Error texts that were logged.
    logged_causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers, and records open files and requests for a successor in the store. Each
    /// container may use `share` hundredths of a CPU of the daemon's work.
    #[must_use]
    pub fn new(answers: Arc<Answers>, store: Arc<Store>, share: u32) -> Server {
        Server {
            began: SystemTime::now(),
            max_sizes: FILES.iter().map(|file| answers.max_size(*file)).collect(),
            contents: ContentCache::default(),
            answers,
            open_files: OpenFiles::new(Arc::clone(&store)),
            no_mmap: NoMmap::new(Arc::clone(&store)),
            triggers: Triggers::default(),
            suspects: Suspects::new(Arc::clone(&store)),
            shares: Shares::new(share),
            strikes: Strikes::of(Arc::clone(&store)),
            store,
            logged_causes: Mutex::default(),
        }
    }

    /// Finds out which container caused each of the requests, which are stuck in this daemon and not
    /// answered yet. A container that cannot be found soon stays unknown.
    #[must_use]
    pub fn with_containers(self: &Arc<Self>, stuck: Vec<Work>) -> Vec<Work> {
        let server = Arc::clone(self);
        let unknown = stuck.clone();
        let known = sys::with_timeout(IDENTIFY_TIMEOUT, move || {
            let container = |tid| server.container_key(tid).ok();
            let known = stuck.into_iter().map(|work| Work {
                key: work.key.or_else(|| container(work.tid)),
                ..work
            });
            known.collect()
        });
        known.unwrap_or(unknown)
    }

    /// Records requests that are stuck in this daemon, which is about to end: their containers are
    /// struck. The caller refuses them.
    pub fn note_stuck(&self, stuck: &[Work]) {
        for work in stuck {
            let file = file_of(work.inode);
            self.strike(work.key, &file);
        }
    }

    /// Returns the requests at which too many daemons died, the last one just now. The caller
    /// refuses them, before any daemon serves.
    #[must_use]
    pub fn count_death(&self) -> Vec<(Side, u64)> {
        let culprits = self.suspects.count_death().into_iter();
        let refused = culprits.map(|culprit| {
            self.strike(culprit.key, "a request at which daemons died");
            (culprit.side, culprit.unique)
        });
        refused.collect()
    }

    /// Returns the smallest number of a request that waited for its container's share on that side when
    /// the daemon before this one ended.
    #[must_use]
    pub fn oldest_waiting(&self, side: Side) -> Option<u64> {
        self.suspects.oldest_waiting(side)
    }

    fn strike(&self, key: Option<Key>, file: &str) {
        metrics::FAILURES.count();
        let is_refused = key.is_some_and(|key| self.strikes.add(key, self.answers.now()));
        let container = key.map_or("unknown".to_owned(), |key| key.to_string());
        tracing::error!(container, file, "a request hangs and is answered EIO");
        if is_refused {
            tracing::error!(
                container,
                "the direct files of the container are refused for a minute"
            );
        }
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
            _ if constant.kind == FileType::RegularFile => entry.path(),
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
        if let Owner::Container(key) = owner {
            self.note_container(key);
        }
        let caller = match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        };
        if let Caller::Container(container) = &caller {
            self.note_container(container.key);
        }
        Ok(caller)
    }

    fn note_container(&self, key: Key) {
        if let Some(work) = GATE
            .note_container(key)
            .filter(|work| work.unique & RESENT != 0)
        {
            self.suspects.note_container(work, key);
        }
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
        if let Caller::Container(container) = caller {
            self.strikes.permits(container.key, now)?;
        }
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

    /// Refuses the look-up of a container's directory by a thread that may not find that container: the
    /// directory does not exist for it. The name must have a TTL of 0, or the kernel would show the name
    /// to other threads.
    ///
    /// An open directory and a bind of a container's directory lead on to the files in it, whoever holds
    /// them: who gave them could have given the numbers.
    pub(super) fn must_show(&self, key: Key, tid: Tid) -> Result<(), ReplyError> {
        let sight = self.answers.sight(tid).map_err(|_| ReplyError::Absent)?;
        match sight == Sight::All || self.answers.is_shown(key, &sight) {
            true => Ok(self.answers.container(key).map(drop)?),
            false => Err(ReplyError::Absent),
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
        entry if entry.is_link() => FileType::Symlink,
        Entry::File(..) | Entry::System(..) => FileType::RegularFile,
        Entry::Directory(..) | Entry::Containers | Entry::OwnTrees | Entry::Link(..) => {
            FileType::Symlink
        }
    }
}
