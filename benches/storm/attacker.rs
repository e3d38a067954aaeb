//! A process in a container that asks for files on many threads, without a pause.
//!
//! The attacker is a process of this program, which gets its orders as lines of JSON on its standard input.

use super::support::{
    contestant::Contestant,
    harness::Cgroup,
    reader::{Reader, enter, hear, say},
    world,
};
use anyhow::Context;
use nix::{
    errno::Errno,
    fcntl::{OFlag, SpliceFFlags, open, splice},
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        pthread::{Pthread, pthread_kill},
        resource::{Resource, getrlimit, setrlimit},
        sendfile::sendfile,
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
        stat::{Mode, stat},
        statfs::statfs,
        uio::pread,
    },
    unistd::{pipe, read},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, thread::JoinHandleExt},
    },
    process::ExitCode,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The first argument of an attacker.
const INSIDE: &str = "--attack-inside-a-container";
/// The files that are mounted in an attacker's container.
pub(crate) const FILES: [&str; 5] = [
    "proc/vmstat",
    "proc/diskstats",
    "proc/meminfo",
    "proc/stat",
    "sys/devices/system/cpu/online",
];
/// The files of the direct connection that storms read.
const DIRECT: [&str; 3] = [
    "/proc/vmstat",
    "/sys/devices/system/cpu/online",
    "/proc/diskstats",
];
/// The files of the cached connection that storms read, in a container's own tree.
const CACHED: [&str; 2] = ["/proc/meminfo", "/proc/stat"];
const DIRECTORY: &str = "/sys/devices/system/cpu";
/// The number of descriptors that a thread holds open before it closes them.
const HELD: usize = 4096;
/// The stack of a thread, in bytes, so that thousands fit.
const STACK: usize = 160 << 10;
/// The pause between two rounds of signals.
const SIGNAL_PERIOD: Duration = Duration::from_micros(200);

/// The kind of a storm: what each thread does on and on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Computes, and asks for nothing
    Spin,
    /// Opens, reads and closes direct files
    Open,
    /// Opens and closes direct files
    OpenOnly,
    /// Opens, reads and closes cached files
    Cached,
    /// Reads a descriptor that stays open
    Pread,
    /// Reads single bytes in the middle of a file
    PreadByte,
    /// Reads at offsets that no file has
    Offset,
    /// Asks for attributes of CPUs
    Stat,
    /// Asks for names that are not there
    Lookup,
    /// Lists a directory
    Readdir,
    /// Polls a file, with poll and epoll
    Poll,
    /// Copies a file by splice and sendfile
    Splice,
    /// Reads with O_DIRECT
    Direct,
    /// Reads cached files with O_DIRECT, past the kernel's cache
    CachedDirect,
    /// Asks for the attributes of cached files, past the kernel's cache
    CachedStat,
    /// Opens and reads, while signals interrupt every thread
    Signals,
    /// Opens files and holds them open
    Hold,
    /// Asks for the file system's figures, locks, extended attributes and changes of a file
    Misc,
}

/// An order to an attacker.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Storm {
    /// The kind.
    pub(crate) kind: Kind,
    /// The number of threads.
    pub(crate) threads: usize,
}

/// The result of a storm.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Damage {
    /// The number of rounds that all threads made.
    pub(crate) rounds: u64,
    /// The number of each error, by errno.
    pub(crate) errors: BTreeMap<i32, u64>,
}

/// An attacker in a container.
pub(crate) struct Attacker(Reader);

impl Attacker {
    /// Starts an attacker that waits for an order, in a container that has the files of a contestant.
    pub(crate) fn start(contestant: &Contestant, cgroup: &Cgroup) -> anyhow::Result<Attacker> {
        let binds = contestant.binds(&FILES, cgroup);
        let mut reader = Reader::start_as(INSIDE, cgroup, binds)?;
        reader.ready()?;
        Ok(Attacker(reader))
    }

    /// Begins a storm, and returns when every thread runs.
    pub(crate) fn begin(&mut self, storm: Storm) -> anyhow::Result<()> {
        self.0.say(&storm)?;
        self.0.hear()
    }

    /// Ends the storm. The attacker takes no other order.
    pub(crate) fn end(mut self) -> anyhow::Result<Damage> {
        self.0.say(&())?;
        self.0.hear()
    }
}

/// Acts as an attacker if this process was started as one. Returns its exit status then.
pub(crate) fn run_if_attacker() -> Option<ExitCode> {
    let is_attacker = std::env::args().nth(1).is_some_and(|first| first == INSIDE);
    is_attacker.then(|| match attack() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => world::failed(&error.context("in an attacker")),
    })
}

fn attack() -> anyhow::Result<()> {
    let mut orders = BufReader::new(io::stdin());
    let mut answers = io::stdout();
    enter(&mut orders, &mut answers)?;
    let storm: Storm = hear(&mut orders)?.context("the attacker got no order")?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let no_action = SigHandler::Handler(ignore);
    let action = SigAction::new(no_action, SaFlags::empty(), SigSet::empty());
    install(&action)?;
    let tally = Arc::new(Tally::default());
    let threads: anyhow::Result<Vec<Pthread>> = (0..storm.threads)
        .map(|number| {
            let tally = Arc::clone(&tally);
            let run = move || Thread::new(number).run(storm.kind, &tally);
            let thread = thread::Builder::new().stack_size(STACK).spawn(run)?;
            Ok(thread.as_pthread_t())
        })
        .collect();
    let threads = threads?;
    if storm.kind == Kind::Signals {
        thread::spawn(move || interrupt(&threads));
    }
    say(&mut answers, &())?;
    let _: Option<()> = hear(&mut orders)?;
    tally.is_over.store(true, Ordering::Relaxed);
    // A thread may wait for its container's share: the end of the process ends it.
    say(&mut answers, &tally.damage())
}

extern "C" fn ignore(_: libc::c_int) {}

#[allow(unsafe_code, reason = "nix has no safe call for a handler")]
fn install(action: &SigAction) -> nix::Result<()> {
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, action) }.map(drop)
}

/// Sends every thread a signal, on and on.
fn interrupt(threads: &[Pthread]) {
    loop {
        for thread in threads {
            // No thread ends before the process does.
            let _ = pthread_kill(*thread, Signal::SIGUSR1);
        }
        thread::sleep(SIGNAL_PERIOD);
    }
}

/// The counts of all threads.
#[derive(Debug, Default)]
struct Tally {
    is_over: AtomicBool,
    rounds: AtomicU64,
    /// The errors, by errno; created at the first error.
    errors: OnceLock<Vec<AtomicU64>>,
}

impl Tally {
    fn count(&self, result: nix::Result<()>) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = result {
            let errors = self
                .errors
                .get_or_init(|| (0..256).map(|_| AtomicU64::new(0)).collect());
            if let Some(count) = usize::try_from(error as i32)
                .ok()
                .and_then(|at| errors.get(at))
            {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn damage(&self) -> Damage {
        let errors = self.errors.get().into_iter().flatten();
        let counts = errors.map(|count| count.load(Ordering::Relaxed));
        Damage {
            rounds: self.rounds.load(Ordering::Relaxed),
            errors: (0..).zip(counts).filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// A thread of a storm.
struct Thread {
    number: usize,
    round: usize,
    buffer: Vec<u8>,
    kept: Option<OwnedFd>,
    held: Vec<OwnedFd>,
}

impl Thread {
    fn new(number: usize) -> Thread {
        Thread {
            number,
            round: 0,
            buffer: vec![0; 32 << 10],
            kept: None,
            held: Vec::new(),
        }
    }

    fn run(mut self, kind: Kind, tally: &Tally) {
        while !tally.is_over.load(Ordering::Relaxed) {
            tally.count(self.act(kind));
            self.round += 1;
        }
    }

    fn act(&mut self, kind: Kind) -> nix::Result<()> {
        match kind {
            Kind::Spin => self.spin(),
            Kind::Open | Kind::Signals => self.read_all(OFlag::empty(), &DIRECT),
            Kind::Cached => self.read_all(OFlag::empty(), &CACHED),
            Kind::CachedDirect => self.read_all(OFlag::O_DIRECT, &CACHED),
            Kind::CachedStat => {
                let file = CACHED[self.round % CACHED.len()];
                let (at, flags) = (rustix::fs::CWD, rustix::fs::AtFlags::STATX_FORCE_SYNC);
                match rustix::fs::statx(at, file, flags, rustix::fs::StatxFlags::SIZE) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Errno::from_raw(error.raw_os_error())),
                }
            }
            Kind::OpenOnly => self.open(OFlag::empty(), &DIRECT).map(drop),
            Kind::Direct => self.read_all(OFlag::O_DIRECT, &DIRECT),
            Kind::Pread => self.read_kept(0),
            Kind::PreadByte => {
                self.buffer.truncate(1);
                self.read_kept(i64::try_from(1 + self.round % 2000).unwrap_or(1))
            }
            Kind::Offset => {
                let far = [i64::MAX, 1 << 62, 4096, 1, i64::MAX - 4095];
                self.read_kept(far[self.round % far.len()])
            }
            Kind::Stat => {
                stat(["/sys/devices/system/cpu/cpu0", DIRECT[0]][self.round % 2]).map(drop)
            }
            Kind::Lookup => match stat(format!("{DIRECTORY}/x{}", self.round).as_str()) {
                Err(Errno::ENOENT) => Ok(()),
                other => other.map(drop),
            },
            Kind::Readdir => match fs::read_dir(DIRECTORY) {
                Ok(entries) => {
                    entries.for_each(drop);
                    Ok(())
                }
                Err(error) => Err(errno(&error)),
            },
            Kind::Poll => self.poll(),
            Kind::Splice => self.splice(),
            Kind::Hold => self.hold(),
            Kind::Misc => self.ask_for_all(),
        }
    }

    fn spin(&self) -> nix::Result<()> {
        std::hint::black_box((0..100_000u64).fold(self.round as u64, |sum, next| sum ^ next));
        Ok(())
    }

    fn open(&self, flags: OFlag, files: &[&str]) -> nix::Result<OwnedFd> {
        let file = files[(self.number + self.round) % files.len()];
        open(file, flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    fn read_all(&mut self, flags: OFlag, files: &[&str]) -> nix::Result<()> {
        let file = self.open(flags, files)?;
        read(&file, &mut self.buffer).map(drop)
    }

    /// Returns the descriptor that this thread keeps open.
    fn kept(&mut self) -> nix::Result<&OwnedFd> {
        let file = match self.kept.take() {
            Some(file) => file,
            None => open(DIRECT[0], OFlag::O_CLOEXEC, Mode::empty())?,
        };
        Ok(self.kept.insert(file))
    }

    fn read_kept(&mut self, offset: i64) -> nix::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self
            .kept()
            .and_then(|file| pread(file, &mut buffer, offset));
        self.buffer = buffer;
        result.map(drop)
    }

    fn poll(&mut self) -> nix::Result<()> {
        let file = self.kept()?;
        let mut fds = [PollFd::new(
            file.as_fd(),
            PollFlags::POLLIN | PollFlags::POLLPRI,
        )];
        poll(&mut fds, PollTimeout::ZERO)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 0);
        epoll.add(file, event)?;
        epoll
            .wait(&mut [EpollEvent::empty()], EpollTimeout::ZERO)
            .map(drop)
    }

    /// Copies a file as programs do that avoid a copy through their memory. The refusal is expected.
    fn splice(&mut self) -> nix::Result<()> {
        let file = self.open(OFlag::empty(), &DIRECT)?;
        let (_reader, writer) = pipe()?;
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        let null = open(
            "/dev/null",
            OFlag::O_WRONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        let spliced = splice(&file, None, &writer, None, 65536, flags).map(drop);
        let sent = sendfile(&null, &file, None, 65536).map(drop);
        match spliced.and(sent) {
            Err(Errno::EINVAL) => Ok(()),
            other => other,
        }
    }

    fn hold(&mut self) -> nix::Result<()> {
        if self.held.len() >= HELD {
            self.held.clear();
        }
        let file = open(DIRECT[0], OFlag::O_CLOEXEC, Mode::empty())?;
        if self.round.is_multiple_of(7) {
            read(&file, &mut self.buffer)?;
        }
        self.held.push(file);
        Ok(())
    }

    /// Makes every other request. Most are refused, which is no error of a storm.
    fn ask_for_all(&mut self) -> nix::Result<()> {
        let file = File::from(self.open(OFlag::empty(), &DIRECT)?);
        let _ = (file.set_len(0), file.sync_all(), file.metadata());
        let _ = file.set_permissions(fs::Permissions::from_mode(0o777));
        let _ = nix::fcntl::posix_fallocate(&file, 0, 10);
        let _ = rustix::fs::fsetxattr(&file, "user.x", b"y", rustix::fs::XattrFlags::empty());
        let _ = rustix::fs::fgetxattr(&file, "user.x", &mut self.buffer[..]);
        let _ = rustix::fs::flistxattr(&file, &mut self.buffer[..]);
        statfs(DIRECT[0]).map(drop)
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}
