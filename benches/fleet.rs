//! The cost of many containers: latency, and CPU, memory and descriptors of the daemon.
//!
//! `cargo bench --bench fleet -- --containers 1,100,1000`, as root. Each container is a process in
//! cgroups, a pid and a mount namespace of its own. The process reads the six files that programs read
//! most, without a pause and then once a second. Each contestant serves alone while it is measured.
//! `integration/lab/race fleet` runs this bench where lxcfs is installed. With `--idle SECONDS` the bench
//! measures the daemon while the containers live and no process reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench that fails should fail loudly, and a bench prints numbers"
)]

#[path = "fleet/idle.rs"]
mod idle;
#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use anyhow::{Context, ensure};
use clap::Parser;
use plimsoll::view::files::FILES;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use support::{
    captured::Captured,
    contestant::{Contestant, Whose},
    harness::Cgroup,
    histogram::Counter,
    machine::Machine,
    reader::{self, Done, Reader, Task, Way, now},
    world::{World, enclosed},
};

/// The files that a container reads.
const READ: [&str; 6] = [
    "proc/meminfo",
    "proc/stat",
    "proc/cpuinfo",
    "proc/uptime",
    "proc/loadavg",
    "sys/devices/system/cpu/online",
];

/// Let many containers read at once: the kernel's own files, those of lxcfs and of Plimsoll
#[derive(Debug, Parser)]
#[command(name = "fleet")]
struct Options {
    /// Numbers of containers, one run for each
    #[arg(long, value_delimiter = ',', default_value = "1,100")]
    containers: Vec<usize>,
    /// Measured time of each run, in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Race the shared tree too, in which the daemon must find the container of the reader
    #[arg(long)]
    shared: bool,
    /// Leave out the kernel's own files and lxcfs
    #[arg(long)]
    alone: bool,
    /// Let every container read once, and count the wakeups of the daemon in the following seconds
    #[arg(long, value_name = "SECONDS")]
    idle: Option<u64>,
    /// With --idle: seconds between the last read and the count
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    settle: u64,
    /// File for the numbers
    #[arg(long, default_value = "target/bench/fleet.json")]
    json: PathBuf,
    /// Option that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// The frequency of the reads of a container.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Rhythm {
    /// Without a pause.
    ClosedLoop,
    /// Each file once a second.
    OnceASecond,
}

impl Rhythm {
    fn period(self) -> Option<Duration> {
        match self {
            Rhythm::ClosedLoop => None,
            Rhythm::OnceASecond => Some(Duration::from_secs(1)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Rhythm::ClosedLoop => "no pause",
            Rhythm::OnceASecond => "1 Hz",
        }
    }
}

/// The result of one run. Times are in microseconds.
#[derive(Debug, Serialize)]
struct Row {
    containers: usize,
    rhythm: Rhythm,
    whose: Whose,
    reads_per_second: f64,
    median_us: f64,
    p99_us: f64,
    max_us: f64,
    daemon_cpu_percent: f64,
    daemon_us_per_read: f64,
    daemon_pss_kib: u64,
    daemon_descriptors: u64,
    failed: u64,
}

fn main() -> ExitCode {
    if let Some(status) = reader::run_if_reader() {
        return status;
    }
    let options = Options::parse();
    enclosed(|world| match options.idle {
        Some(seconds) => idle::watch(world, &options, Duration::from_secs(seconds)),
        None => measure(world, &options),
    })
}

fn measure(world: &World, options: &Options) -> anyhow::Result<()> {
    let machine = Machine::here("fleet");
    machine.print();
    println!(
        "\n{:>10}  {:<10}{:<12}{:>9}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}{:>6}{:>8}",
        "containers",
        "reads",
        "of",
        "reads/s",
        "p50 us",
        "p99 us",
        "max us",
        "CPU %",
        "us/read",
        "PSS MiB",
        "fds",
        "failed"
    );
    let mut rows = Vec::new();
    for count in &options.containers {
        for whose in contestants(options) {
            let Some(contestant) = Contestant::start(world, whose)? else {
                continue;
            };
            let mut fleet = Fleet::launch(world, &contestant, *count)?;
            for rhythm in [Rhythm::ClosedLoop, Rhythm::OnceASecond] {
                let row = fleet.run(&contestant, rhythm, Duration::from_secs(options.seconds))?;
                row.print();
                rows.push(row);
            }
        }
    }
    let answers = answers()?;
    let directory = options.json.parent().unwrap_or(Path::new("."));
    let json = serde_json::json!({"machine": machine, "rows": rows, "answer_us": answers});
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&options.json, format!("{json:#}")))
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    println!("written  {}", options.json.display());
    Ok(())
}

fn contestants(options: &Options) -> Vec<Whose> {
    let mut all = vec![Whose::Native, Whose::Lxcfs];
    if options.alone {
        all.clear();
    }
    if options.shared {
        all.push(Whose::PlimsollShared);
    }
    all.push(Whose::Plimsoll);
    all
}

/// Containers, one reader in each.
struct Fleet {
    readers: Vec<Reader>,
    _containers: Vec<Cgroup>,
}

impl Fleet {
    /// Makes the containers and waits until their readers are ready.
    fn launch(world: &World, contestant: &Contestant, count: usize) -> anyhow::Result<Fleet> {
        eprintln!("{:?}: starting {count} containers", contestant.whose);
        let mut readers = Vec::new();
        let mut containers = Vec::new();
        for number in 0..count {
            let container = world.cgroup.child(&format!("fleet-{number}"));
            container.limit_memory(512 << 20);
            container.limit_cpu(100);
            readers.push(contestant.reader(&READ, &container)?);
            containers.push(container);
            if number % 100 == 99 {
                eprintln!("{:?}: {} started", contestant.whose, number + 1);
            }
        }
        for reader in &mut readers {
            reader.ready()?;
        }
        Ok(Fleet {
            readers,
            _containers: containers,
        })
    }

    /// Lets all containers read for that time. Reads once a second are spread over the second.
    fn run(
        &mut self,
        contestant: &Contestant,
        rhythm: Rhythm,
        counted: Duration,
    ) -> anyhow::Result<Row> {
        let containers = self.readers.len();
        eprintln!(
            "{:?}: {}, {} s",
            contestant.whose,
            rhythm.name(),
            counted.as_secs() + 3
        );
        let start = now()? + Duration::from_secs(1);
        let warm = Duration::from_secs(2);
        for (reader, number) in self.readers.iter_mut().zip(0..) {
            let phase = match rhythm.period() {
                // Out of order, because neighbours were made one after the other.
                Some(period) => period * (number * 617 % 1000) / 1000,
                None => Duration::ZERO,
            };
            reader.begin(&Task {
                start: start + phase,
                period: rhythm.period(),
                warm,
                counted,
                ..once()
            })?;
        }
        std::thread::sleep((start + warm).saturating_sub(now()?));
        let (before, began) = (contestant.cpu()?, now()?);
        std::thread::sleep((start + warm + counted).saturating_sub(now()?));
        let (after, ended) = (contestant.cpu()?, now()?);
        let pss = contestant.pss();
        let descriptors = contestant.descriptors();
        let mut all = Done::default();
        for reader in &mut self.readers {
            all.add(&reader.end()?);
        }
        let cpu = after.saturating_sub(before).as_secs_f64() / (ended - began).as_secs_f64();
        let rate = all.took.count() as f64 / counted.as_secs_f64();
        ensure!(rate > 0.0, "no container read anything");
        Ok(Row {
            containers,
            rhythm,
            whose: contestant.whose,
            reads_per_second: rate,
            median_us: all.took.quantile(0.5).unwrap_or_default(),
            p99_us: all.took.quantile(0.99).unwrap_or_default(),
            max_us: all.took.max(),
            daemon_cpu_percent: 100.0 * cpu,
            daemon_us_per_read: 1e6 * cpu / rate,
            daemon_pss_kib: pss,
            daemon_descriptors: descriptors,
            failed: all.bad,
        })
    }

    /// Lets all containers read every file once.
    fn read_once(&mut self) -> anyhow::Result<Done> {
        let start = now()?;
        reader::together(&mut self.readers, &Task { start, ..once() })
    }
}

/// Returns the task to read every file once, without a delay.
fn once() -> Task {
    Task {
        paths: READ.map(|file| Path::new("/").join(file)).to_vec(),
        way: Way::Open,
        threads: 1,
        start: Duration::ZERO,
        period: None,
        warm: Duration::ZERO,
        counted: Duration::ZERO,
    }
}

impl Row {
    fn print(&self) {
        println!(
            "{:>10}  {:<10}{:<12}{:>9.0}{:>10.1}{:>10.0}{:>10.0}{:>9.1}{:>9.1}{:>9.1}{:>6}{:>8}",
            self.containers,
            self.rhythm.name(),
            match self.whose {
                Whose::Native => "native",
                Whose::Lxcfs => "lxcfs",
                Whose::Plimsoll => "plimsoll",
                Whose::PlimsollShared => "shared tree",
                Whose::Floor => "tmpfs",
                Whose::Passthrough => "fuse copy",
            },
            self.reads_per_second,
            self.median_us,
            self.p99_us,
            self.max_us,
            self.daemon_cpu_percent,
            self.daemon_us_per_read,
            self.daemon_pss_kib as f64 / 1024.0,
            self.daemon_descriptors,
            self.failed
        );
    }
}

/// Measures a whole answer without FUSE on captured machines of 2, 16 and 128 CPUs, in microseconds.
fn answers() -> anyhow::Result<serde_json::Value> {
    println!("\na whole answer on captured machines, median microseconds");
    let files: Vec<_> = (FILES.iter())
        .filter(|file| READ.contains(&file.path()))
        .collect();
    print!("{:<12}{:>5}", "", "CPUs");
    files.iter().for_each(|file| print!("{:>10}", file.name()));
    println!();
    let mut json = serde_json::Map::new();
    for captured in Captured::curve()? {
        print!("{:<12}{:>5}", captured.name, captured.cpus());
        let mut row = serde_json::Map::new();
        for file in &files {
            let mut took = Counter::new();
            for _ in 0..300 {
                let before = std::time::Instant::now();
                captured.answers.render(**file, &captured.container)?;
                took.count(u64::try_from(before.elapsed().as_nanos())?);
            }
            let median = took.histogram().quantile(0.5);
            print!("{:>10.1}", median.unwrap_or_default());
            row.insert(file.name().to_owned(), median.into());
        }
        println!();
        json.insert(captured.cpus().to_string(), row.into());
    }
    Ok(json.into())
}
