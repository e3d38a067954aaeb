//! The requests of `/dev/fuse`: who asks for what, and which errno an error is.

use super::{
    open::{Open, OpenFiles, TooMany},
    tree::{Entry, Owner},
};
use crate::{
    answer::{AnswerError, Answers},
    container::{Caller, CallerError},
    files::{FILES, File},
    metrics,
    sys::ReadError,
};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, Request,
};
use parking_lot::Mutex;
use std::{
    collections::HashSet,
    error::Error,
    ffi::OsStr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime},
};

// Names and attributes never change; what may end is a container.
const FOREVER: Duration = Duration::from_secs(3600);
const BRIEF: Duration = Duration::from_secs(1);
// Offsets in a directory: its own entries come first, then the containers by key.
const CONTAINERS_FROM: u64 = 255;
// A container may cause as many different errors as it likes; the log has an end.
const MOST_CAUSES: usize = 256;

/// Why a request gets no answer.
#[derive(Debug, thiserror::Error)]
enum RequestError {
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
}

impl RequestError {
    fn errno(&self) -> Errno {
        match self {
            RequestError::Container(error) if error.is_gone() => Errno::ENOENT,
            RequestError::IsHost => Errno::ENOENT,
            RequestError::TooMany(_) => Errno::ENFILE,
            _ => Errno::EIO,
        }
    }
}

/// A file system whose files are the answers.
#[derive(Debug)]
pub struct Server {
    answers: Arc<Answers>,
    /// A size for each file that no content exceeds.
    sizes: Vec<u64>,
    open: OpenFiles,
    /// The causes of errors that were logged.
    causes: Mutex<HashSet<String>>,
}

impl Server {
    /// Serves those answers.
    #[must_use]
    pub fn new(answers: Arc<Answers>) -> Server {
        Server {
            sizes: FILES.iter().map(|file| answers.bound(*file)).collect(),
            answers,
            open: OpenFiles::default(),
            causes: Mutex::default(),
        }
    }

    fn attributes(&self, entry: Entry) -> FileAttr {
        let now = SystemTime::now();
        let (kind, perm, size) = match entry {
            Entry::Directory(..) | Entry::Containers => (FileType::Directory, 0o555, 0),
            Entry::Own => (FileType::Symlink, 0o777, 0),
            Entry::File(_, file) => {
                let at = FILES.iter().position(|row| *row == file);
                let size = at.and_then(|at| self.sizes.get(at)).copied();
                (FileType::RegularFile, file.mode(), size.unwrap_or(0))
            }
        };
        FileAttr {
            ino: INodeNo(entry.inode()),
            size,
            blocks: 0,
            atime: now,
            mtime: now,
            ctime: now,
            crtime: now,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }

    fn lookup(&self, parent: INodeNo, name: &OsStr) -> Result<(Duration, Entry), Errno> {
        let parent = Entry::of_inode(parent.0).ok_or(Errno::ENOENT)?;
        let name = name.to_str().ok_or(Errno::ENOENT)?;
        let entry = parent.child(name).ok_or(Errno::ENOENT)?;
        match entry {
            Entry::Directory(Owner::Container(key), _) if parent == Entry::Containers => {
                self.answers
                    .container(key)
                    .map_err(|error| RequestError::Container(error).errno())?;
                Ok((BRIEF, entry))
            }
            Entry::Directory(Owner::Container(_), _) | Entry::File(Owner::Container(_), _) => {
                Ok((BRIEF, entry))
            }
            _ => Ok((FOREVER, entry)),
        }
    }

    fn caller(&self, owner: Owner, tid: u32) -> Result<Caller, RequestError> {
        Ok(match owner {
            Owner::Container(key) => Caller::Container(self.answers.container(key)?),
            Owner::Caller => self.answers.caller(tid)?,
        })
    }

    fn content(&self, file: File, caller: &Caller) -> Result<Arc<[u8]>, RequestError> {
        let content = match caller {
            Caller::Host => self.answers.host(file)?,
            Caller::Container(container) => self.answers.answer(file, container)?,
        };
        Ok(content.into())
    }

    fn own(&self, tid: u32) -> Result<u64, RequestError> {
        match self.answers.caller(tid)? {
            Caller::Host => Err(RequestError::IsHost),
            Caller::Container(container) => Ok(container.key),
        }
    }

    fn open(&self, inode: INodeNo, tid: u32) -> Result<FileHandle, Errno> {
        let Some(Entry::File(owner, file)) = Entry::of_inode(inode.0) else {
            return Err(Errno::EISDIR);
        };
        let caller = self
            .caller(owner, tid)
            .map_err(|error| self.refused(file, &error))?;
        let handle = self.open.add(caller);
        let handle = handle.map_err(|error| self.refused(file, &error.into()))?;
        Ok(FileHandle(handle))
    }

    /// The content of an open file: made anew for whoever reads from its start, as procfs does
    /// (`top` keeps its files open), and kept for those who read on.
    fn read(
        &self,
        inode: INodeNo,
        handle: FileHandle,
        tid: u32,
        offset: u64,
    ) -> Result<Arc<[u8]>, Errno> {
        let Some(Entry::File(owner, file)) = Entry::of_inode(inode.0) else {
            return Err(Errno::EISDIR);
        };
        let open = self.open.get(handle.0);
        let caller = match open {
            Some(Open {
                content: Some(content),
                ..
            }) if offset > 0 => return Ok(content),
            Some(open) => open.caller,
            // The handle is of a daemon before this one.
            None => self
                .caller(owner, tid)
                .map_err(|error| self.refused(file, &error))?,
        };
        let content = self
            .content(file, &caller)
            .map_err(|error| self.refused(file, &error))?;
        let open = Open {
            caller,
            content: Some(Arc::clone(&content)),
        };
        self.open
            .keep(handle.0, open)
            .map_err(|error| self.refused(file, &error.into()))?;
        Ok(content)
    }

    /// Counts an error that a reader gets, and logs it once for each cause.
    fn refused(&self, file: File, error: &RequestError) -> Errno {
        metrics::FAILURES.count();
        let mut causes = self.causes.lock();
        let error_text = chain(error);
        if causes.len() < MOST_CAUSES && causes.insert(error_text.clone()) {
            tracing::warn!(file = file.name(), error = %error_text, "answered by an error");
        }
        error.errno()
    }

    /// What stands in a directory, each with its offset: a place in the order that stays its own,
    /// whatever comes and goes between two calls.
    fn list(&self, inode: INodeNo) -> Result<Vec<(u64, String, Entry)>, Errno> {
        let entry = Entry::of_inode(inode.0).ok_or(Errno::ENOENT)?;
        let own = [(".", entry), ("..", entry)];
        let named = own.into_iter().chain(entry.children());
        let mut list: Vec<_> = (1u64..)
            .zip(named)
            .map(|(offset, (name, child))| (offset, name.to_owned(), child))
            .collect();
        if entry == Entry::Containers {
            let known = self.answers.known().into_iter();
            list.extend(known.filter_map(|key| {
                let offset = key.checked_add(CONTAINERS_FROM)?;
                Some((offset, key.to_string(), Entry::container(key)?))
            }));
        }
        Ok(list)
    }
}

/// Runs the handler of one request. Should it panic, the request alone is lost: its reply, which
/// was moved into the handler, says EIO when it is dropped.
fn guarded(handler: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(handler)).is_err() {
        metrics::PANICS.count();
        tracing::error!("a request panicked and was answered EIO");
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        guarded(|| match self.lookup(parent, name) {
            Ok((ttl, entry)) => reply.entry(&ttl, &self.attributes(entry), Generation(0)),
            Err(errno) => reply.error(errno),
        });
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        guarded(|| match Entry::of_inode(inode.0) {
            Some(entry) => reply.attr(&BRIEF, &self.attributes(entry)),
            None => reply.error(Errno::ENOENT),
        });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        guarded(|| match Entry::of_inode(inode.0) {
            Some(Entry::Own) => match self.own(request.pid()) {
                Ok(key) => reply.data(key.to_string().as_bytes()),
                Err(error) => reply.error(error.errno()),
            },
            _ => reply.error(Errno::EINVAL),
        });
    }

    fn open(&self, request: &Request, inode: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        guarded(|| match self.open(inode, request.pid()) {
            Ok(handle) => reply.opened(
                handle,
                FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH,
            ),
            Err(errno) => reply.error(errno),
        });
    }

    fn read(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        guarded(|| {
            // sendfile and splice fill the page cache, which belongs to the inode: the next
            // reader would be given these bytes, whoever that is. They fall back to read.
            if lock_owner.is_none() {
                return reply.error(Errno::EINVAL);
            }
            match self.read(inode, handle, request.pid(), offset) {
                Ok(content) => reply.data(slice(&content, offset, size)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.open.remove(handle.0);
        reply.ok();
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
            let list = match self.list(inode) {
                Ok(list) => list,
                Err(errno) => return reply.error(errno),
            };
            for (at, name, entry) in list.into_iter().filter(|(at, ..)| *at > offset) {
                let kind = self.attributes(entry).kind;
                if reply.add(INodeNo(entry.inode()), at, kind, name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // No blocks: df leaves such file systems out.
        reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096);
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn slice(content: &[u8], offset: u64, size: u32) -> &[u8] {
    let start = usize::try_from(offset).map_or(content.len(), |start| start.min(content.len()));
    let rest = content.get(start..).unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    rest.get(..size).unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_the_content_ends() {
        assert_eq!(slice(b"abc", 1, 1), b"b");
        assert_eq!(slice(b"abc", 1, 100), b"bc");
        assert_eq!(slice(b"abc", 3, 1), b"");
        assert_eq!(slice(b"abc", u64::MAX, 1), b"");
    }
}
