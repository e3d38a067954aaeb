//! The harm that a hostile container does to another one.
//!
//! `cargo bench --bench storm -- --help`, as root. One container asks for files on many threads without a pause; a
//! victim in another container reads each of four files every 10 ms. Each storm stands beside a container of the
//! same share that only computes (`spin`). The bounds: the victim's 99th percentile at most doubles, no read of
//! it fails, and the attacker gets no `ENFILE`. With `--nested` and `--flat` a container makes thousands of cgroups
//! and reads on and on: no read may take longer than 50 ms, nor the daemon more than 2 % of a CPU.
//!
//! The numbers count on a machine that does nothing else.

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

#[path = "storm/attacker.rs"]
mod attacker;
#[path = "storm/census.rs"]
mod census;
#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use anyhow::Context;
use attacker::{Attacker, Damage, Kind, Storm};
use census::{Census, Shape};
use clap::{Parser, ValueEnum};
use nix::errno::Errno;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use support::{
    contestant::{Contestant, Whose},
    harness::Cgroup,
    histogram::Histogram,
    machine::Machine,
    reader::{self, Reader, Task, Way, now},
    short,
    world::{World, enclosed},
};

/// The files that the victim reads: two that the kernel caches in a container's own tree, and two direct ones.
const READ: [&str; 4] = [
    "proc/meminfo",
    "proc/stat",
    "proc/vmstat",
    "sys/devices/system/cpu/online",
];
/// The time from one read of a file to the next.
const PERIOD: Duration = Duration::from_millis(10);
/// The time of a storm before the measurement.
const WARM: Duration = Duration::from_millis(500);
/// The bound of the victim's 99th percentile, as a multiple of that beside a container that spins.
const BOUND: f64 = 2.0;

/// Let one container ask for files at full tilt, and measure another one's reads
#[derive(Debug, Parser)]
#[command(name = "storm")]
struct Options {
    /// Kinds of storms
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "open,cached,pread,stat,readdir,poll,splice,direct,cached-direct,cached-stat,signals,hold"
    )]
    kinds: Vec<Kind>,
    /// Numbers of threads, one run for each
    #[arg(long, value_delimiter = ',', default_value = "1,64")]
    threads: Vec<usize>,
    /// Trees that attacker and victim have
    #[arg(long, value_delimiter = ',', default_value = "own,shared")]
    trees: Vec<Tree>,
    /// Measured time of each run, in seconds
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// CPU limit of the attacker, in hundredths of a CPU
    #[arg(long, default_value_t = 100)]
    cpu: u64,
    /// Number of cgroups that an attacker nests, at most 3000 or so; 0 leaves the case out
    #[arg(long, default_value_t = 0)]
    nested: usize,
    /// Number of cgroups that an attacker makes side by side; 0 leaves the case out
    #[arg(long, default_value_t = 0)]
    flat: usize,
    /// File for the numbers
    #[arg(long, default_value = "target/bench/storm.json")]
    json: PathBuf,
    /// Option that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A tree of Plimsoll.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tree {
    /// The container's own directory
    Own,
    /// The shared tree, in which the daemon must find the container of the reader
    Shared,
}

impl Tree {
    fn whose(self) -> Whose {
        match self {
            Tree::Own => Whose::Plimsoll,
            Tree::Shared => Whose::PlimsollShared,
        }
    }
}

/// Returns the name of a tree for a table.
fn tree_name(whose: Whose) -> &'static str {
    match whose {
        Whose::PlimsollShared => "shared tree",
        _ => "own tree",
    }
}

/// The reads of one file of the victim. Times are in microseconds.
#[derive(Debug, Serialize)]
struct Seen {
    file: &'static str,
    median_us: f64,
    p99_us: f64,
    max_us: f64,
    /// The 99th percentile as a multiple of that beside a container that spins.
    times_spin: f64,
    failed: u64,
}

/// The result of one storm.
#[derive(Debug, Serialize)]
struct Row {
    whose: Whose,
    storm: Storm,
    rounds_per_second: f64,
    damage: Damage,
    daemon_cpu_percent: f64,
    seen: Vec<Seen>,
}

fn main() -> ExitCode {
    if let Some(status) = reader::run_if_reader().or_else(attacker::run_if_attacker) {
        return status;
    }
    let options = Options::parse();
    enclosed(|world| measure(world, &options))
}

fn measure(world: &World, options: &Options) -> anyhow::Result<()> {
    let machine = Machine::here("storm");
    machine.print();
    let mut rows = Vec::new();
    for tree in &options.trees {
        let contestant = Contestant::start(world, tree.whose())?.context("no daemon")?;
        let mut field = Field::new(world, &contestant, options)?;
        Row::print_heading();
        for threads in &options.threads {
            rows.extend(field.weather(&options.kinds, *threads)?);
        }
    }
    let mut census = Vec::new();
    Census::print_heading();
    for crowd in [(Shape::Nested, options.nested), (Shape::Flat, options.flat)] {
        for tree in options.trees.iter().filter(|_| crowd.1 > 0) {
            census.extend(census::count(world, tree.whose(), crowd, options.seconds)?);
        }
    }
    let broken = rows.iter().filter(|row| !row.broken().is_empty()).count()
        + census.iter().filter(|row| !row.is_within_bounds()).count();
    println!(
        "\n{broken} of {} rows break a bound",
        rows.len() + census.len()
    );
    let json = serde_json::json!({"machine": machine, "storms": rows, "census": census});
    let directory = options.json.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(&options.json, format!("{json:#}")))
        .with_context(|| format!("cannot write {}", options.json.display()))?;
    println!("written  {}", options.json.display());
    Ok(())
}

/// A victim, and the place for its attackers.
struct Field<'a> {
    world: &'a World,
    contestant: &'a Contestant,
    options: &'a Options,
    /// One reader for each file.
    readers: Vec<Reader>,
    _victim: Cgroup,
    attackers: usize,
}

impl<'a> Field<'a> {
    fn new(
        world: &'a World,
        contestant: &'a Contestant,
        options: &'a Options,
    ) -> anyhow::Result<Field<'a>> {
        let victim = world
            .cgroup
            .child(&format!("victim-{:?}", contestant.whose));
        victim.limit_memory(512 << 20);
        victim.limit_cpu(100);
        let mut readers = Vec::new();
        for _ in READ {
            let mut reader = contestant.reader(&READ, &victim)?;
            reader.ready()?;
            readers.push(reader);
        }
        Ok(Field {
            world,
            contestant,
            options,
            readers,
            _victim: victim,
            attackers: 0,
        })
    }

    /// Runs a container that spins, and then each kind of storm.
    fn weather(&mut self, kinds: &[Kind], threads: usize) -> anyhow::Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let all = [Kind::Spin].into_iter().chain(kinds.iter().copied());
        for kind in all {
            let mut row = self.run(Storm { kind, threads })?;
            let spin = rows.first().map(|row| &row.seen);
            for (at, seen) in row.seen.iter_mut().enumerate() {
                let beside = spin.map_or(seen.p99_us, |spin| spin[at].p99_us);
                seen.times_spin = seen.p99_us / beside;
            }
            row.print();
            rows.push(row);
        }
        Ok(rows)
    }

    fn run(&mut self, storm: Storm) -> anyhow::Result<Row> {
        self.attackers += 1;
        let cgroup = self
            .world
            .cgroup
            .child(&format!("attacker-{}", self.attackers));
        cgroup.limit_memory(2 << 30);
        cgroup.limit_cpu(self.options.cpu);
        let mut attacker = Attacker::start(self.contestant, &cgroup)?;
        attacker.begin(storm)?;
        let counted = Duration::from_secs(self.options.seconds);
        for (reader, file) in self.readers.iter_mut().zip(READ) {
            reader.begin(&Task {
                paths: vec![Path::new("/").join(file)],
                way: Way::Open,
                threads: 1,
                start: now()?,
                period: Some(PERIOD),
                warm: WARM,
                counted,
            })?;
        }
        std::thread::sleep(WARM);
        let (before, begun) = (self.contestant.cpu()?, Instant::now());
        let mut seen = Vec::new();
        for (reader, file) in self.readers.iter_mut().zip(READ) {
            let done = reader.end()?;
            seen.push(Seen::of(file, &done.took, done.bad));
        }
        let cpu = self.contestant.cpu()?.saturating_sub(before).as_secs_f64();
        let elapsed = begun.elapsed().as_secs_f64();
        let damage = attacker.end()?;
        Ok(Row {
            whose: self.contestant.whose,
            storm,
            rounds_per_second: damage.rounds as f64 / (WARM + counted).as_secs_f64(),
            damage,
            daemon_cpu_percent: 100.0 * cpu / elapsed,
            seen,
        })
    }
}

impl Seen {
    fn of(file: &'static str, took: &Histogram, failed: u64) -> Seen {
        Seen {
            file,
            median_us: took.quantile(0.5).unwrap_or_default(),
            p99_us: took.quantile(0.99).unwrap_or_default(),
            max_us: took.max(),
            times_spin: 1.0,
            failed,
        }
    }
}

impl Row {
    fn print_heading() {
        print!(
            "\n{:<13}{:<11}{:>7}{:>11}{:>7}",
            "of", "storm", "threads", "rounds/s", "CPU %"
        );
        READ.iter()
            .for_each(|file| print!("{:>12} p50/p99 us (x)", short(file)));
        println!("  errors");
    }

    fn print(&self) {
        print!(
            "{:<13}{:<11}{:>7}{:>11.0}{:>7.1}",
            tree_name(self.whose),
            self.storm.kind.to_possible_value().unwrap().get_name(),
            self.storm.threads,
            self.rounds_per_second,
            self.daemon_cpu_percent
        );
        for seen in &self.seen {
            let numbers = format!(
                "{:.0}/{:.0} ({:.1})",
                seen.median_us, seen.p99_us, seen.times_spin
            );
            print!("{numbers:>27}");
        }
        let errors = self.damage.errors.iter();
        errors.for_each(|(errno, count)| print!("  {} {count}", Errno::from_raw(*errno)));
        println!("{}", self.broken());
    }

    /// Returns the bounds that the storm breaks, as a text; an empty one if none.
    fn broken(&self) -> String {
        let mut broken = String::new();
        if self.damage.errors.contains_key(&(Errno::ENFILE as i32)) {
            broken += "  BROKEN: ENFILE";
        }
        for seen in &self.seen {
            if seen.failed > 0 {
                broken += &format!(
                    "  BROKEN: {} reads of {} failed",
                    seen.failed,
                    short(seen.file)
                );
            }
            if seen.times_spin > BOUND {
                broken += &format!("  BROKEN: {} x {:.1}", short(seen.file), seen.times_spin);
            }
        }
        broken
    }
}
