//! No read is torn: threads in a container verify every read, while the limits and the use of the container
//! change as fast as they can.
//!
//! The test makes 100,000 reads. `PLIMSOLL_TORN_READS=10000000 cargo test --release torn -- --ignored --nocapture`
//! makes ten million and prints the age of their content.
#![allow(
    clippy::print_stdout,
    reason = "a hunt without prey prints its numbers"
)]

use crate::harness::{Cgroup, Daemon, FILES, stdout_of};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::Read,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

mod content;
mod digit;
mod size;

use content::{Content, Fault, Past};

/// The environment variable that holds, in the container, its cgroup and the mount point.
const INSIDE: &str = "PLIMSOLL_TORN_INSIDE";
/// The environment variable that holds the number of reads.
const READS: &str = "PLIMSOLL_TORN_READS";
const THREADS: u64 = 8;
/// The maximum age of a limit that a read shows. The daemon promises less, but on a busy machine it may wait
/// long for a CPU between the read of the limit and the answer.
const MAX_LIMIT_AGE: Duration = Duration::from_secs(1);

#[test]
#[ignore = "needs root, /dev/fuse and cgroups"]
fn no_read_is_torn_while_limits_and_content_change() {
    // This test is also the program in the container.
    if let Ok(inside) = std::env::var(INSIDE) {
        let (cgroup, mountpoint) = inside.split_once(' ').unwrap();
        return hunt(&Cgroup::of_another(Path::new(cgroup)), mountpoint);
    }
    let daemon = Daemon::start();
    let cgroup = Cgroup::new();
    cgroup.limit_memory(256 << 20);
    cgroup.limit_cpu(200);
    let test = std::env::current_exe().unwrap();
    // The names of tests begin below the crate.
    let (_, room) = module_path!().split_once("::").unwrap();
    let name = format!("{room}::no_read_is_torn_while_limits_and_content_change");
    let script = format!(
        "exec {} --exact {name} --include-ignored --nocapture",
        test.display()
    );
    let inside = format!(
        "{} {}",
        cgroup.path().display(),
        daemon.mountpoint.display()
    );
    let mut command = cgroup.shell(&daemon, &script);
    let report = stdout_of(&command.env(INSIDE, inside).output().unwrap());
    assert!(report.contains("none torn"), "{report}");
    print!("{report}");
}

/// The state that the threads share.
struct Hunt {
    left: AtomicU64,
    is_over: AtomicBool,
    limits: Limits,
    faults: Mutex<Vec<String>>,
    staleness: Mutex<Vec<Duration>>,
    read: [AtomicU64; FILES.len()],
}

fn hunt(cgroup: &Cgroup, mountpoint: &str) {
    let reads = std::env::var(READS).map_or(100_000, |reads| reads.parse().unwrap());
    let own = Path::new(mountpoint).join(format!("containers/{}", cgroup.key()));
    let roots = [PathBuf::from("/"), own];
    let cached = |file: &Path| {
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        device(file) != device(Path::new(mountpoint))
    };
    let targets = || -> Vec<Target> {
        let files = FILES.iter().enumerate().map(|(row, file)| (row, *file));
        files
            .flat_map(|(row, file)| roots.iter().map(move |root| (row, file, root.join(file))))
            .map(|(row, file, path)| Target::new(row, file, cached(&path), path))
            .collect()
    };
    let hunt = Hunt {
        left: AtomicU64::new(reads),
        is_over: AtomicBool::new(false),
        limits: Limits::default(),
        faults: Mutex::default(),
        staleness: Mutex::default(),
        read: Default::default(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| hunt.limits.change(cgroup, &hunt.is_over));
        scope.spawn(|| change_cpus(cgroup, &hunt.is_over));
        scope.spawn(|| use_memory(&hunt.is_over));
        let hunt = &hunt;
        let readers: Vec<_> = (1..=THREADS)
            .map(|seed| (seed, targets()))
            .map(|(seed, targets)| scope.spawn(move || hunt.read(seed, targets)))
            .collect();
        let ended: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        hunt.is_over.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|ended| ended.unwrap());
    });
    hunt.report(reads, began.elapsed());
}

impl Hunt {
    fn read(&self, seed: u64, mut targets: Vec<Target>) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut staleness = Vec::new();
        while (self.left)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            let at = random.below(targets.len());
            let target = &mut targets[at];
            self.read[target.row].fetch_add(1, Ordering::Relaxed);
            match target.read(&mut random, &self.limits) {
                Ok(stale) => staleness.extend(stale),
                Err(fault) => {
                    let mut faults = self.faults.lock().unwrap();
                    faults.push(format!("{}: {fault}", target.path.display()));
                    if faults.len() > 20 {
                        break;
                    }
                }
            }
        }
        self.staleness.lock().unwrap().append(&mut staleness);
    }

    fn report(self, reads: u64, took: Duration) {
        let faults = self.faults.into_inner().unwrap();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        for (file, read) in FILES.iter().zip(&self.read) {
            assert!(read.load(Ordering::Relaxed) > 0, "no thread read {file}");
        }
        let changes = self.limits.changes.load(Ordering::Relaxed);
        assert!(changes > 100, "the limit changed only {changes} times");
        let mut staleness = self.staleness.into_inner().unwrap();
        staleness.sort_unstable();
        let quantile = |percent: usize| {
            let at = (staleness.len() * percent / 100).min(staleness.len() - 1);
            staleness[at].as_secs_f64() * 1000.0
        };
        println!(
            "{reads} reads in {:.0} s, none torn; {changes} limits; MemTotal was older than the read \
             by {:.1} ms (median), {:.1} (p99), {:.1} (max)",
            took.as_secs_f64(),
            quantile(50),
            quantile(99),
            quantile(100)
        );
    }
}

/// A file as one thread reads it.
struct Target {
    row: usize,
    path: PathBuf,
    content: Content,
    past: Past,
    /// Asserts that the page cache serves the file: its size and layout are constant.
    is_cached: bool,
    kept: File,
    buffer: Vec<u8>,
}

impl Target {
    fn new(row: usize, file: &'static str, is_cached: bool, path: PathBuf) -> Target {
        let kept = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Target {
            row,
            content: Content::of(file),
            past: Past::default(),
            is_cached,
            kept,
            path,
            buffer: vec![0; 128 << 10],
        }
    }

    /// Reads in a random way and verifies every byte. Returns the age of a limit that was read.
    fn read(&mut self, random: &mut Random, limits: &Limits) -> Result<Option<Duration>, Fault> {
        let before = Instant::now();
        let mut is_of_one_moment = true;
        let length = match random.below(4) {
            0 => self.opened(None)?,
            1 => {
                // Between two reads the kernel may have dropped the page.
                is_of_one_moment = !self.is_cached;
                self.opened(Some(1 + random.below(1500)))?
            }
            2 => self.kept.read_at(&mut self.buffer, 0)?,
            _ => return self.piece(random).map(|()| None),
        };
        let text = &self.buffer[..length];
        let size = self.kept.metadata()?.len();
        if self.is_cached && text.len() as u64 != size {
            let length = text.len();
            return Err(Fault::new(format!("{length} bytes, not {size}"), text));
        }
        if !is_of_one_moment && !self.content.has_one_shape() {
            content::verify_bytes(text)?;
            return Ok(None);
        }
        self.content.verify_layout(text, &mut self.past)?;
        if !is_of_one_moment {
            return Ok(None);
        }
        self.content.verify_numbers(text, &mut self.past)?;
        match self.content.limit(text) {
            Some(limit) => limits.verify(limit, before).map(Some),
            None => Ok(None),
        }
    }

    fn opened(&mut self, chunk: Option<usize>) -> Result<usize, Fault> {
        let mut file = File::open(&self.path)?;
        let mut length = 0;
        loop {
            let rest = self.buffer.len() - length;
            let wanted = chunk.unwrap_or(rest).min(rest);
            match file.read(&mut self.buffer[length..length + wanted])? {
                0 => return Ok(length),
                read => length += read,
            }
        }
    }

    /// Reads a random piece of the kept descriptor and verifies it.
    fn piece(&mut self, random: &mut Random) -> Result<(), Fault> {
        let offset = random.below(1500);
        let wanted = 1 + random.below(700);
        let length = (self.kept).read_at(&mut self.buffer[..wanted], offset as u64)?;
        let piece = &self.buffer[..length];
        self.content
            .verify_piece(piece, offset, self.is_cached, &self.past)
    }
}

/// The limits that were set. No two are equal within a second.
#[derive(Default)]
struct Limits {
    /// The end of the time in which each limit, in KiB, was in force. None for the present limit.
    until: Mutex<HashMap<u64, Option<Instant>>>,
    changes: AtomicU64,
}

impl Limits {
    fn change(&self, cgroup: &Cgroup, is_over: &AtomicBool) {
        const LOWEST: u64 = 128 << 10;
        let mut last = 256 << 10;
        self.until.lock().unwrap().insert(last, None);
        for turn in 1.. {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            // A prime step in pages makes neighbours differ in every digit.
            let limit = LOWEST + 4 * (turn * 7919 % 65_521);
            self.until.lock().unwrap().insert(limit, None);
            cgroup.limit_memory(limit << 10);
            let now = Instant::now();
            self.until.lock().unwrap().insert(last, Some(now));
            self.changes.fetch_add(1, Ordering::Relaxed);
            last = limit;
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Returns the time from the end of that limit to the read.
    fn verify(&self, kib: u64, before: Instant) -> Result<Duration, Fault> {
        let until = self.until.lock().unwrap().get(&kib).copied();
        let Some(until) = until else {
            return Err(Fault::new(format!("MemTotal {kib} was never set"), b""));
        };
        let age = until.map_or(Duration::ZERO, |until| {
            before.saturating_duration_since(until)
        });
        if age > MAX_LIMIT_AGE {
            let fault = format!("MemTotal {kib} is {} ms old", age.as_millis());
            return Err(Fault::new(fault, b""));
        }
        Ok(age)
    }
}

fn change_cpus(cgroup: &Cgroup, is_over: &AtomicBool) {
    let two = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
    let lists: &[&str] = if two {
        &["0", "0-1", "1", "0-1"]
    } else {
        &["0"]
    };
    for (turn, list) in lists.iter().cycle().enumerate() {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        cgroup.limit_cpus(list);
        // The quota never throttles the readers.
        cgroup.limit_cpu([200, 150, 100, 250, 110][turn % 5]);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Takes memory and gives it back, so that the use and the counters change all the time.
fn use_memory(is_over: &AtomicBool) {
    for turn in 0usize.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let taken = vec![1u8; (1 + turn % 13) << 20];
        std::hint::black_box(&taken);
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Pseudo-random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
