//! The direct connection: a thin shell that turns each request into a call, and the result into a
//! reply.

use super::{
    reply::{PERMANENT_TTL, content_owner, slice},
    request::work,
    server::{Server, kind},
};
use crate::{
    base::units::Tid,
    serve::{tree::Entry, wire::Side},
};
use fuser::{
    BsdFileFlags, Errno, FileHandle, Filesystem, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyPoll,
    ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use std::{
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The file system of the direct connection. Each OPEN finds out the caller, and each READ comes
/// here: the kernel caches no content.
#[derive(Debug, Clone)]
pub struct Direct(pub Arc<Server>);

impl Filesystem for Direct {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // For `no_mmap`. A kernel without backing files has no such capability.
        if config.add_capabilities(InitFlags::FUSE_PASSTHROUGH).is_ok() {
            let _ = config.set_max_stack_depth(1);
        }
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let (this, work) = (self.clone(), work(Side::Direct, request, parent));
        let name = name.to_owned();
        self.0.run_fairly(work, move || {
            match this.find_child(parent, &name, work.tid) {
                Ok((ttl, entry)) => {
                    let attributes = this.0.attributes(entry);
                    // The size of the content is asked for by a GETATTR, which comes before any use.
                    let attributes_ttl = match content_owner(entry) {
                        Some(_) => Duration::ZERO,
                        None => PERMANENT_TTL,
                    };
                    reply.entry_with_ttls(&attributes_ttl, &ttl, &attributes, Generation(0));
                }
                Err(error) => reply.error(error.errno()),
            }
        });
    }

    fn getattr(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: Option<FileHandle>,
        reply: ReplyAttr,
    ) {
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        self.0
            .run_fairly(work, move || match Entry::from_inode(inode.0) {
                Some(entry) => {
                    let (ttl, attributes) = this.attributes(entry, handle, work.tid);
                    reply.attr(&ttl, &attributes);
                }
                None => reply.error(Errno::ENOENT),
            });
    }

    fn readlink(&self, request: &Request, inode: INodeNo, reply: ReplyData) {
        self.0.run(
            work(Side::Direct, request, inode),
            || match Entry::from_inode(inode.0) {
                Some(Entry::Link(_, link)) => reply.data(link.target().as_bytes()),
                Some(entry) if entry.is_link() => match self.0.answers.link_target(&entry.path()) {
                    Some(target) => reply.data(target.as_os_str().as_bytes()),
                    None => reply.error(Errno::ENOENT),
                },
                _ => reply.error(Errno::EINVAL),
            },
        );
    }

    fn open(&self, request: &Request, inode: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        self.0
            .run_fairly(work, move || match this.open_file(inode, work.tid, flags) {
                Ok(handle) => this.0.no_mmap.reply(reply, handle),
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
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        // sendfile and splice fill the page cache, which belongs to the inode: the next reader
        // would get these bytes, though they may be another container's. After EINVAL, programs
        // fall back to read.
        if lock_owner.is_none() {
            return self.0.run_at_once(work, || reply.error(Errno::EINVAL));
        }
        self.0.run_fairly(work, move || {
            match this.read_file(inode, handle, work.tid, offset) {
                Ok(content) => reply.data(slice(&content, offset, size)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn release(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.run(work(Side::Direct, request, inode), || {
            self.close_file(handle);
            reply.ok();
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
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        self.0.run_fairly(work, move || {
            let list = match this.list_directory(inode, work.tid) {
                Ok(list) => list,
                Err(error) => return reply.error(error.errno()),
            };
            for (at, name, entry) in list.into_iter().filter(|(at, ..)| *at > offset) {
                if reply.add(INodeNo(entry.inode()), at, kind(entry), name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn write(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        _: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.0.run(work(Side::Direct, request, inode), || {
            match self.set_trigger(inode, handle, data) {
                Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn poll(
        &self,
        request: &Request,
        inode: INodeNo,
        handle: FileHandle,
        notifier: PollNotifier,
        _: PollEvents,
        flags: PollFlags,
        reply: ReplyPoll,
    ) {
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        self.0.run_fairly(work, move || {
            let waits = flags.contains(PollFlags::FUSE_POLL_SCHEDULE_NOTIFY);
            reply.poll(this.poll_file(inode, handle, waits.then_some(notifier)));
        });
    }

    fn lseek(
        &self,
        request: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let (this, work) = (self.clone(), work(Side::Direct, request, inode));
        self.0
            .run_fairly(work, move || match Entry::from_inode(inode.0) {
                Some(entry) => match this.seek(entry, offset, whence) {
                    Ok(offset) => reply.offset(offset),
                    Err(errno) => reply.error(errno),
                },
                None => reply.error(Errno::ENOENT),
            });
    }

    fn setattr(
        &self,
        request: &Request,
        inode: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let other = mode.or(uid).or(gid).is_some() || atime.or(mtime).is_some();
        self.0.run(
            work(Side::Direct, request, inode),
            || match Entry::from_inode(inode.0) {
                // A shell that redirects to a pressure file truncates the file first, to no effect.
                Some(entry) if size.is_some() && !other && entry.is_pressure() => {
                    let (ttl, attributes) = self.attributes(entry, None, Tid(request.pid()));
                    reply.attr(&ttl, &attributes);
                }
                _ => reply.error(Errno::EROFS),
            },
        );
    }

    fn mknod(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn mkdir(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn symlink(&self, _: &Request, _: INodeNo, _: &OsStr, _: &Path, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EROFS);
    }

    fn unlink(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rmdir(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::EROFS);
    }

    fn rename(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: INodeNo,
        _: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::EROFS);
    }

    fn create(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        reply.error(Errno::EROFS);
    }

    fn statfs(&self, request: &Request, inode: INodeNo, reply: ReplyStatfs) {
        // No blocks: df leaves such file systems out.
        self.0.run(work(Side::Direct, request, inode), || {
            reply.statfs(0, 0, 0, 0, 0, 4096, 255, 4096)
        });
    }
}
