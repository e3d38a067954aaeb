//! A FUSE file system that computes nothing: the content of each file is constant. The cost of a read is that of a
//! request to any process.
//!
//! The file system is a process of this program, so that its CPU time is counted apart.

use super::world;
use anyhow::{Context, ensure};
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, Request,
};
use plimsoll::serve::{
    fuse::{attributes, slice},
    wire::{Connection, Side},
};
use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, SystemTime},
};

/// The first argument of a process that serves copies.
const SERVES: &str = "--serve-copies-of";
const SERVING: &str = "serving";
// The number of threads of the daemon on a small machine.
const THREADS: usize = 2;
const TTL: Duration = Duration::from_secs(1);

/// A process that serves copies. Killed when dropped.
pub(crate) struct Passthrough {
    /// The server's process.
    pub(crate) process: Child,
    /// The mount point of the served files.
    pub(crate) mountpoint: PathBuf,
}

impl Passthrough {
    /// Serves copies of the machine's files, by their paths below `/`, on that directory.
    pub(crate) fn on(mountpoint: PathBuf, files: &[String]) -> anyhow::Result<Passthrough> {
        let mut process = Command::new("/proc/self/exe")
            .arg(SERVES)
            .arg(&mountpoint)
            .args(files)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let stdout = process.stdout.take().context("no pipe")?;
        BufReader::new(stdout).read_line(&mut said)?;
        let server = Passthrough {
            process,
            mountpoint,
        };
        ensure!(said.trim() == SERVING, "the copies are not served");
        Ok(server)
    }
}

impl Drop for Passthrough {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves copies if this process was started for that. Returns its exit status then.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != SERVES {
        return None;
    }
    let mountpoint = PathBuf::from(arguments.next()?);
    Some(match serve(&mountpoint, arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => world::failed(&error.context("serving copies")),
    })
}

fn serve(mountpoint: &Path, files: Vec<String>) -> anyhow::Result<()> {
    let mut nodes = vec![Node::default()];
    for file in files {
        let content = fs::read(Path::new("/").join(&file))?;
        add(&mut nodes, &file, content)?;
    }
    let mut connection = Connection::begin(Side::Direct, mountpoint)?;
    let session = connection.session(Copies(nodes), THREADS)?;
    println!("{SERVING}");
    Ok(session.run()?)
}

/// A directory or a file. The first node is the root.
#[derive(Debug, Default)]
struct Node {
    children: Vec<(String, usize)>,
    content: Option<Vec<u8>>,
}

fn add(nodes: &mut Vec<Node>, path: &str, content: Vec<u8>) -> anyhow::Result<()> {
    let mut at = 0;
    for name in path.split('/') {
        let child = nodes[at].children.iter().find(|(other, _)| other == name);
        at = if let Some((_, child)) = child {
            *child
        } else {
            let child = nodes.len();
            nodes.push(Node::default());
            nodes[at].children.push((name.to_owned(), child));
            child
        };
    }
    ensure!(nodes[at].children.is_empty(), "{path} is a directory");
    nodes[at].content = Some(content);
    Ok(())
}

/// The nodes in the order of their inode numbers, which begin at 1.
struct Copies(Vec<Node>);

impl Copies {
    fn node(&self, inode: INodeNo) -> Option<&Node> {
        self.0.get(usize::try_from(inode.0).ok()?.checked_sub(1)?)
    }

    fn attributes(&self, inode: INodeNo) -> Option<FileAttr> {
        let content = self.node(inode)?.content.as_ref();
        let kind = match content {
            Some(_) => FileType::RegularFile,
            None => FileType::Directory,
        };
        Some(FileAttr {
            size: content.map_or(0, |content| content.len() as u64),
            ..attributes(inode, kind, SystemTime::UNIX_EPOCH)
        })
    }
}

impl Filesystem for Copies {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let children = self.node(parent).map(|node| &node.children);
        let mut named = children.into_iter().flatten();
        let child = named.find(|(child, _)| name == child.as_str());
        let inode = child.map(|(_, child)| INodeNo(*child as u64 + 1));
        match inode.and_then(|inode| self.attributes(inode)) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(inode) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_NOFLUSH;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let content = self.node(inode).and_then(|node| node.content.as_deref());
        reply.data(slice(content.unwrap_or_default(), offset, size));
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        reply.ok();
    }
}
