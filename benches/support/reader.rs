//! A process in a container that reads files on request, and reports the times.
//!
//! The reader is a process of this program. It gets its tasks as lines of JSON on its standard input.

use super::{
    harness::Cgroup,
    histogram::{Counter, Histogram},
    world,
};
use anyhow::{Context, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    time::{ClockId, clock_gettime},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

/// The first argument of a reader.
const INSIDE: &str = "--read-inside-a-container";

/// The cgroups and mounts of a reader.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    /// The `cgroup.procs` of the cgroup, in each hierarchy.
    procs: Vec<PathBuf>,
    /// The bind mounts: source and target.
    binds: Vec<(PathBuf, PathBuf)>,
}

/// The way of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Way {
    /// Open, read to the end, close.
    Open,
    /// Reads at offset 0 of a descriptor that stays open.
    Kept,
}

/// A task of a reader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The files, which are read one after the other.
    pub(crate) paths: Vec<PathBuf>,
    /// The way of reading each file.
    pub(crate) way: Way,
    /// The number of threads that read.
    pub(crate) threads: usize,
    /// The time to begin, on the monotonic clock.
    pub(crate) start: Duration,
    /// The time from one read of all files to the next. None to read without a pause.
    pub(crate) period: Option<Duration>,
    /// The time to read before the measurement.
    pub(crate) warm: Duration,
    /// The time of the measurement. Each thread reads all files at least once.
    pub(crate) counted: Duration,
}

/// The result of a task.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The times of the measured reads.
    pub(crate) took: Histogram,
    /// The number of all reads.
    pub(crate) reads: u64,
    /// The number of reads that failed or had no newline at the end. An empty read is good only for a file that
    /// can be empty.
    pub(crate) bad: u64,
    /// The length of the content.
    pub(crate) bytes: usize,
}

impl Done {
    /// Adds the result of another reader.
    pub(crate) fn add(&mut self, other: &Done) {
        self.took.add(&other.took);
        self.reads += other.reads;
        self.bad += other.bad;
        self.bytes = self.bytes.max(other.bytes);
    }
}

/// A reader in a container. Killed when dropped.
pub(crate) struct Reader {
    process: Child,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    /// Starts a reader in the cgroup and in new pid and mount namespaces, with these bind mounts. The caller must
    /// wait for [`Reader::ready`].
    pub(crate) fn start(cgroup: &Cgroup, binds: Vec<(PathBuf, PathBuf)>) -> anyhow::Result<Reader> {
        Reader::start_as(INSIDE, cgroup, binds)
    }

    /// Starts this program with that first argument, in the same place as a reader.
    pub(crate) fn start_as(
        argument: &str,
        cgroup: &Cgroup,
        binds: Vec<(PathBuf, PathBuf)>,
    ) -> anyhow::Result<Reader> {
        let own = File::open("/proc/self/ns/pid")?;
        unshare(CloneFlags::CLONE_NEWPID).context("cannot create a pid namespace")?;
        let spawned = Command::new("/proc/self/exe")
            .arg(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        setns(own, CloneFlags::CLONE_NEWPID).context("cannot return to the pid namespace")?;
        let mut process = spawned.context("cannot start a reader")?;
        let mut reader = Reader {
            tasks: process.stdin.take().context("no pipe")?,
            answers: BufReader::new(process.stdout.take().context("no pipe")?),
            process,
        };
        let procs = cgroup.procs();
        reader.say(&Place { procs, binds })?;
        Ok(reader)
    }

    /// Waits until the reader is in its cgroup and namespaces.
    pub(crate) fn ready(&mut self) -> anyhow::Result<()> {
        self.hear()
    }

    /// Begins a task. [`Reader::end`] waits for its end.
    pub(crate) fn begin(&mut self, task: &Task) -> anyhow::Result<()> {
        self.say(task)
    }

    /// Waits for the end of the task and returns its result.
    pub(crate) fn end(&mut self) -> anyhow::Result<Done> {
        self.hear()
    }

    /// Writes one line to the process.
    pub(crate) fn say(&mut self, what: &impl Serialize) -> anyhow::Result<()> {
        say(&mut self.tasks, what).context("a reader has ended")
    }

    /// Waits for one line of the process.
    pub(crate) fn hear<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        hear(&mut self.answers)?.context("a reader has ended")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the time on the clock of [`Task::start`].
pub(crate) fn now() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}

/// Acts as a reader if this process was started as one. Returns its exit status then.
pub(crate) fn run_if_reader() -> Option<ExitCode> {
    let is_reader = std::env::args().nth(1).is_some_and(|first| first == INSIDE);
    is_reader.then(|| match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => world::failed(&error.context("in a container")),
    })
}

fn serve() -> anyhow::Result<()> {
    let mut tasks = BufReader::new(std::io::stdin());
    let mut answers = std::io::stdout();
    enter(&mut tasks, &mut answers)?;
    while let Some(task) = hear(&mut tasks)? {
        say(&mut answers, &perform(&task)?)?;
    }
    Ok(())
}

/// Moves this process to the place that it is told, and says so.
pub(crate) fn enter(tasks: &mut impl BufRead, answers: &mut impl Write) -> anyhow::Result<()> {
    let place: Place = hear(tasks)?.context("the reader got no place")?;
    for procs in &place.procs {
        std::fs::write(procs, "0").with_context(|| format!("cannot join {}", procs.display()))?;
    }
    world::enter_mounts()?;
    for (source, target) in &place.binds {
        let none = None::<&str>;
        mount(Some(source), target, none, MsFlags::MS_BIND, none)
            .with_context(|| format!("cannot bind {}", source.display()))?;
    }
    say(answers, &())
}

/// Writes a value as one line.
pub(crate) fn say(to: &mut impl Write, what: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    Ok(to.flush()?)
}

/// Reads a value of one line. Returns none at the end.
pub(crate) fn hear<T: for<'a> Deserialize<'a>>(
    from: &mut impl BufRead,
) -> anyhow::Result<Option<T>> {
    let mut line = String::new();
    match from.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

fn perform(task: &Task) -> anyhow::Result<Done> {
    let mut all = Done::default();
    if task.threads == 1 {
        return read(task);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..task.threads)
            .map(|_| scope.spawn(|| read(task)))
            .collect();
        for thread in threads {
            let done = thread.join();
            all.add(&done.map_err(|_| anyhow::anyhow!("a thread of a reader panicked"))??);
        }
        Ok(all)
    })
}

fn read(task: &Task) -> anyhow::Result<Done> {
    let mut buffer = vec![0; 128 << 10];
    let sources: anyhow::Result<Vec<Source>> = (task.paths.iter())
        .map(|path| Source::new(path, task.way))
        .collect();
    let sources = sources?;
    let mut took = Counter::new();
    let mut done = Done::default();
    let end = task.start + task.warm + task.counted;
    std::thread::sleep(task.start.saturating_sub(now()?));
    let (mut next, began) = (task.start, Instant::now());
    loop {
        for source in &sources {
            let before = Instant::now();
            let length = source.read(&mut buffer);
            let nanos = before.elapsed().as_nanos();
            done.reads += 1;
            done.bytes = *length.as_ref().unwrap_or(&0);
            let last = done.bytes.checked_sub(1).and_then(|last| buffer.get(last));
            let is_whole = last.map_or(source.may_be_empty, |last| *last == b'\n');
            done.bad += u64::from(length.is_err() || !is_whole);
            if before - began >= task.warm {
                took.count(u64::try_from(nanos)?);
            }
        }
        next += task.period.unwrap_or_default();
        if began.elapsed() >= task.warm + task.counted && !took.is_empty() || next >= end {
            break;
        }
        if task.period.is_some() {
            std::thread::sleep(next.saturating_sub(now()?));
        }
    }
    done.took = took.histogram();
    Ok(done)
}

/// A file with its way of reading.
struct Source<'a> {
    path: &'a Path,
    kept: Option<File>,
    may_be_empty: bool,
}

impl Source<'_> {
    /// Opens the file only to keep it: the first measured open must be the first open.
    fn new(path: &Path, way: Way) -> anyhow::Result<Source<'_>> {
        let kept = match way {
            Way::Open => None,
            Way::Kept => Some(File::open(path).with_context(|| path.display().to_string())?),
        };
        let may_be_empty = path.ends_with("diskstats");
        Ok(Source {
            path,
            kept,
            may_be_empty,
        })
    }

    fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(file) = &self.kept {
            return file.read_at(buffer, 0);
        }
        let mut file = File::open(self.path)?;
        let mut length = 0;
        loop {
            match file.read(&mut buffer[length..])? {
                0 => return Ok(length),
                read => length += read,
            }
        }
    }
}

/// Gives the task to every reader at once, and waits for all of them.
pub(crate) fn together(readers: &mut [Reader], task: &Task) -> anyhow::Result<Done> {
    for reader in &mut *readers {
        reader.begin(task)?;
    }
    let mut all = Done::default();
    for reader in readers {
        all.add(&reader.end()?);
    }
    ensure!(all.reads > 0, "no reader read anything");
    Ok(all)
}
