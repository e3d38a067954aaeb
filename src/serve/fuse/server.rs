//! What a request asks for: the entry, the caller, the content; and which errno an error is.

use super::{
    content_cache::{Text, Texts},
    open_files::{OpenFiles, TooMany},
    reply::attributes,
    triggers::{TriggerError, Triggers},
};
use crate::{
    base::{
        metrics,
        state::Store,
        sys::{ReadError, chain},
        units::{Key, Tid},
    },
    facts::container::{Caller, CallerError, Container},
    serve::{
        tree::{Entry, Owner},
        wire::Side,
    },
    view::{
        answer::{AnswerError, Answers},
        files::{Attribute, FILES, Subject},
    },
};
use fuser::{Errno, FileAttr, FileType, INodeNo, Request};
use parking_lot::Mutex;
use std::{
    cell::Cell,
    collections::HashSet,
    ffi::OsStr,
    sync::Arc,
    time::{Duration, SystemTime},
};

// For the life of a daemon attributes do not change, nor do names; what may end is a container, or
// what the machine has.
pub(super) const FOREVER: Duration = Duration::from_secs(3600);
pub(super) const BRIEF: Duration = Duration::from_secs(1);
// Whether there is such a CPU differs from one caller to the next.
const NEVER: Duration = Duration::ZERO;
// A container may cause as many different errors as it likes; the log has an end.
const MOST_CAUSES: usize = 256;

thread_local! {
    /// The inode that this thread's last request was about.
    static AT: Cell<u64> = const { Cell::new(0) };
}

/// The file that this thread's last request was about and whose it is, for a log.
pub(super) fn at_work() -> String {
    match Entry::of_inode(AT.get()) {
        Some(entry @ (Entry::File(owner, _) | Entry::System(owner, _))) => match owner {
            Owner::Container(key) => format!("{} of container {key}", entry.path()),
            Owner::Caller => entry.path(),
        },
        Some(entry) => entry.path(),
        None => format!("inode {}", AT.get()),
    }
}

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot find the container")]
    Container(#[from] ReadError),
    #[error(transparent)]
    TooMany(#[from] TooMany),
    #[error("a process of the host has no container")]
    IsHost,
    #[error("there is no such file")]
    Absent,
    #[error("it cannot be written")]
    ReadOnly,
    #[error(transparent)]
    Trigger(#[from] TriggerError),
}

impl RequestError {
    pub(super) fn errno(&self) -> Errno {
        match self {
            RequestError::Container(error) if error.is_gone() => Errno::ENOENT,
            RequestError::IsHost | RequestError::Absent => Errno::ENOENT,
            RequestError::TooMany(_) => Errno::ENFILE,
            RequestError::ReadOnly => Errno::EROFS,
            RequestError::Trigger(error) => error.errno(),
            RequestError::Answer(AnswerError::Unseen { .. }) => Errno::ENOENT,
            _ => Errno::EIO,
        }
    }
}

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
    pub(super) texts: Texts,
    pub(super) open: OpenFiles,
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
            sizes: FILES.iter().map(|file| answers.bound(*file)).collect(),
            texts: Texts::default(),
            attribute_size: answers.attribute_bound(),
            answers,
            open: OpenFiles::new(Arc::clone(&store)),
            triggers: Triggers::default(),
            store,
            causes: Mutex::default(),
        }
    }

    /// Remembers how far the requests of a connection have come, and what this thread is at.
    pub(super) fn saw(&self, side: Side, request: &Request, inode: INodeNo) {
        self.store.mark(side.place(), request.unique().0);
        AT.set(inode.0);
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

    /// What has that name in that directory, and how long it has; attributes last for ever.
    pub(super) fn lookup(
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
                self.answers.container(key)?;
                BRIEF
            }
            Entry::System(owner, attribute) => {
                let is_shown = match attribute.subject() {
                    Subject::Machine => true,
                    subject => self.answers.shown(&self.caller(owner, tid)?)?.has(subject),
                };
                if !is_shown || !self.answers.has(&attribute.path()) {
                    return Err(RequestError::Absent);
                }
                match attribute.subject() {
                    subject if attribute != Attribute::directory(subject) => BRIEF,
                    Subject::Machine => BRIEF,
                    Subject::Cpu(_) | Subject::Node(_) => NEVER,
                }
            }
            Entry::Link(owner, _) => {
                let shown = self.answers.shown(&self.caller(owner, tid)?)?;
                let mut members = parent.members(&shown).into_iter();
                if !members.any(|(_, member, _)| member == name) {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(owner, file) if file.pressure().is_some() => {
                if !self.answers.has_pressure(file, &self.caller(owner, tid)?) {
                    return Err(RequestError::Absent);
                }
                NEVER
            }
            Entry::File(_, file) if !self.answers.has(file.path()) => {
                return Err(RequestError::Absent);
            }
            Entry::Directory(_, directory) if !self.answers.has(directory.path()) => {
                return Err(RequestError::Absent);
            }
            _ => FOREVER,
        };
        Ok((ttl, entry))
    }

    pub(super) fn caller(&self, owner: Owner, tid: Tid) -> Result<Caller, RequestError> {
        Ok(match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        })
    }

    /// What the file says to that caller; to a container, at most [`Answers::max_age`] ago.
    pub(super) fn content(&self, entry: Entry, caller: &Caller) -> Result<Arc<[u8]>, RequestError> {
        let host = match (entry, caller) {
            (_, Caller::Container(container)) => {
                let own = entry.of(container.key);
                let now = self.answers.now();
                let young = self.texts.within(own.inode(), self.answers.max_age(), now);
                let text = young.map_or_else(|| self.said(own, container), Ok)?;
                return Ok(text.bytes);
            }
            (Entry::File(_, file), Caller::Host) => self.answers.host(file)?,
            (Entry::System(_, attribute), Caller::Host) => {
                self.answers.host_attribute(attribute)?
            }
            _ => return Err(RequestError::Absent),
        };
        Ok(host.into())
    }

    /// What the file says to the container, now.
    pub(super) fn said(&self, own: Entry, container: &Container) -> Result<Text, RequestError> {
        let taken = self.answers.now();
        let bytes = match own {
            Entry::File(_, file) => self.answers.served(file, container)?,
            Entry::System(_, attribute) => self.answers.attribute(attribute, container)?,
            _ => return Err(RequestError::Absent),
        };
        Ok(self.texts.put(own.inode(), bytes.into(), taken))
    }

    pub(super) fn own(&self, tid: Tid) -> Result<Key, RequestError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(RequestError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    /// Counts an error that a reader gets, and logs it once for each cause.
    pub(super) fn refused(&self, path: &str, error: &RequestError) -> Errno {
        metrics::FAILURES.count();
        let mut causes = self.causes.lock();
        let error_text = chain(error);
        if causes.len() < MOST_CAUSES && causes.insert(error_text.clone()) {
            tracing::warn!(file = path, error = %error_text, "answered by an error");
        }
        error.errno()
    }
}
