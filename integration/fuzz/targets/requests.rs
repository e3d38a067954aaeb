//! Requests of the kernel on both connections, as fuser hands them over: each is answered, and none panics.
//!
//! Bodies are arbitrary. Headers are as the kernel makes them, because fuser ends a session that gets a
//! header which does not fit its request.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use plimsoll::{
    base::{state::{Kind, Store}, sys::fd},
    serve::{
        fuse::{Cached, Direct, Server},
        wire::{Connection, Handshake},
    },
    view::answer::Answers,
};
use std::{
    fs,
    io::ErrorKind,
    os::unix::{fs::MetadataExt, net::UnixDatagram},
    path::PathBuf,
    process,
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::Duration,
};

/// Numbers of requests that get a reply, in `enum fuse_opcode` of include/uapi/linux/fuse.h. Left out are
/// FORGET, INTERRUPT, DESTROY and replies.
const CODES: [u32; 38] = [
    LOOKUP, GETATTR, 4, 5, 6, 8, 9, 10, 11, 12, 13, OPEN, READ, WRITE, 17, RELEASE, 20, SETXATTR, 22, 23, 24, 25,
    27, READDIR, 29, 30, 31, 34, 35, 37, IOCTL, POLL, 43, READDIRPLUS, 45, LSEEK, 47, 50,
];
const LOOKUP: u32 = 1;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const WRITE: u32 = 16;
const RELEASE: u32 = 18;
const SETXATTR: u32 = 21;
const INIT: u32 = 26;
const READDIR: u32 = 28;
const IOCTL: u32 = 39;
const POLL: u32 = 40;
const READDIRPLUS: u32 = 44;
const LSEEK: u32 = 46;

/// The bits of an inode number below the key of the container.
const NODE_BITS: u64 = 24;
/// The largest size that the kernel asks for (`max_pages`), in bytes.
const MAX_SIZE: u32 = 1 << 20;
/// The time after which a request without a reply has none.
const TIMEOUT: Duration = Duration::from_secs(20);

/// One request.
#[derive(Debug, Arbitrary)]
struct Call {
    is_direct: bool,
    code: u8,
    key: Owner,
    node: Node,
    /// The body begins with the handle of the last file that was opened.
    has_handle: bool,
    has_tid: bool,
    body: Vec<u8>,
}

/// The container in an inode number.
#[derive(Debug, Arbitrary)]
enum Owner {
    Shared,
    Known,
    Any(u32),
}

/// The local number in an inode number.
#[derive(Debug, Arbitrary)]
enum Node {
    Row(u8),
    Any(u32),
}

/// The kernel's end of a connection.
struct Kernel {
    socket: UnixDatagram,
    unique: u64,
    handle: u64,
}

struct Machine {
    kernels: [Mutex<Kernel>; 2],
    store: Arc<Store>,
    key: u64,
}

static MACHINE: LazyLock<Machine> = LazyLock::new(|| {
    let store = Arc::new(Store::new().unwrap());
    let answers = Answers::here().unwrap().with_store(Arc::clone(&store));
    // Requests beyond a share of 10,000 CPUs do not wait.
    let server = Arc::new(Server::new(Arc::new(answers), Arc::clone(&store), 1_000_000));
    Machine {
        kernels: [
            Mutex::new(Kernel::with("direct", Direct(Arc::clone(&server)))),
            Mutex::new(Kernel::with("cached", Cached(server))),
        ],
        store,
        key: key().unwrap_or_default(),
    }
});

/// Returns the key of some cgroup of this machine.
fn key() -> Option<u64> {
    let roots = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].map(PathBuf::from);
    let entries = roots.iter().filter_map(|root| fs::read_dir(root).ok()).flatten();
    let mut directories = entries.flatten().filter_map(|entry| entry.metadata().ok());
    directories.find(|entry| entry.is_dir()).map(|entry| entry.ino())
}

impl Kernel {
    fn with(name: &str, files: impl fuser::Filesystem + Send + Sync + 'static) -> Kernel {
        let (ours, theirs) = fd::pair().unwrap();
        let socket = UnixDatagram::from(ours);
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        // `struct fuse_init_in`: version 7.40, and every capability of the first word but the second word.
        let mut body = [7u32, 40, 1 << 17, !(1 << 30)].map(u32::to_le_bytes).concat();
        body.resize(64, 0);
        let handshake = Handshake {
            name: name.to_owned(),
            mountpoint: "/nowhere".into(),
            init_request: request(INIT, 2, 1, &body),
            init_reply: Vec::new(),
        };
        let mut connection = Connection::resume(handshake, theirs).unwrap();
        let session = connection.session(files, 1).unwrap();
        connection.leave_mounted();
        thread::spawn(|| session.run().unwrap());
        let mut kernel = Kernel {
            socket,
            unique: 2,
            handle: 0,
        };
        kernel.reply();
        kernel
    }

    /// Sends a request and waits for its reply.
    fn ask(&mut self, code: u32, inode: u64, tid: u32, body: &[u8]) {
        self.unique += 2;
        let mut request = request(code, self.unique, inode, body);
        request[32..36].copy_from_slice(&tid.to_le_bytes());
        if self.socket.send(&request).is_err() {
            return;
        }
        let (error, body) = self.reply();
        if let (OPEN, 0, Some(handle)) = (code, error, body.first_chunk()) {
            self.handle = u64::from_le_bytes(*handle);
        }
    }

    /// Waits for the reply to the last request: its error and its body.
    fn reply(&mut self) -> (i32, Vec<u8>) {
        let mut buffer = vec![0; 2 << 20];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                // The timer of libFuzzer.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                received => received.expect("a request without a reply"),
            };
            let reply = &buffer[..length];
            let size = u32::from_le_bytes(reply[..4].try_into().unwrap());
            assert_eq!(usize::try_from(size).unwrap(), length);
            let error = i32::from_le_bytes(reply[4..8].try_into().unwrap());
            match u64::from_le_bytes(reply[8..16].try_into().unwrap()) {
                // A notification.
                0 => {}
                unique => {
                    assert_eq!(unique, self.unique, "a second reply to a request");
                    return (error, reply[16..].to_vec());
                }
            }
        }
    }
}

/// Builds a request with a `struct fuse_in_header`.
fn request(code: u32, unique: u64, inode: u64, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(40 + body.len()).unwrap();
    let mut request = [length, code].map(u32::to_le_bytes).concat();
    request.extend([unique, inode].map(u64::to_le_bytes).concat());
    request.resize(40, 0);
    request.extend(body);
    request
}

fuzz_target!(|calls: Vec<Call>| {
    for call in calls.into_iter().take(32) {
        let code = CODES[usize::from(call.code) % CODES.len()];
        let key = match call.key {
            Owner::Shared => 0,
            Owner::Known => MACHINE.key,
            Owner::Any(key) => key.into(),
        };
        let node = match call.node {
            Node::Row(row) => row.into(),
            Node::Any(node) => u64::from(node) & ((1 << NODE_BITS) - 1),
        };
        let mut kernel = MACHINE.kernels[usize::from(!call.is_direct)].lock().unwrap();
        let mut body = call.body;
        if call.has_handle {
            let at = if code == GETATTR { 8 } else { 0 };
            body.resize(body.len().max(at + 8), 0);
            body[at..at + 8].copy_from_slice(&kernel.handle.to_le_bytes());
        }
        if let (READ | WRITE | READDIR | READDIRPLUS, Some(size)) = (code, body.get_mut(16..20)) {
            let asked = u32::from_le_bytes(size.try_into().unwrap());
            size.copy_from_slice(&(asked % MAX_SIZE).to_le_bytes());
        }
        // fuser panics where a size is not that of the data, which the kernel never sends.
        if let (WRITE, Some(length)) = (code, body.len().checked_sub(40)) {
            body[16..20].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        }
        if let (IOCTL, Some(length)) = (code, body.len().checked_sub(32)) {
            body[24..28].copy_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        }
        if code == SETXATTR && body.len() >= 8 {
            let value = body[8..].iter().position(|byte| *byte == 0).map_or(0, |at| body.len() - at - 9);
            body[..4].copy_from_slice(&u32::try_from(value).unwrap().to_le_bytes());
        }
        if code == RELEASE && !call.has_handle {
            // A file of a daemon before this one.
            let handle = body.first_chunk().map_or(7, |handle| u64::from_le_bytes(*handle));
            MACHINE.store.put(Kind::OpenFile, handle, body.get(8..).unwrap_or_default());
            kernel.handle = handle;
            continue;
        }
        let tid = if call.has_tid { process::id() } else { 0 };
        kernel.ask(code, (key << NODE_BITS) | node, tid, &body);
    }
});
