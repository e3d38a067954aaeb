//! The cost of a read through the mount, end to end: the kernel's own files, lxcfs, Plimsoll.
//!
//! `cargo bench --bench mount`, as root. Processes in the same containers read from all contestants in turn, in
//! short bursts and several rounds, so that a disturbance of the machine disturbs all of them. Where lxcfs is
//! not installed its column is empty: `integration/lab/race` runs this bench where lxcfs is installed.

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

#[path = "mount/chart.rs"]
mod chart;
#[path = "mount/goals.rs"]
mod goals;
#[path = "mount/results.rs"]
mod results;
#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use anyhow::Context;
use clap::Parser;
use results::{Case, Results, Scene, Tally};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use support::{
    contestant::Contestant,
    harness::{Cgroup, FILES},
    machine::Machine,
    passthrough,
    reader::{self, Reader, Task, Way, now, together},
    world::{World, enclosed},
};

/// Race the files of a container: the kernel's own, those of lxcfs and of Plimsoll
#[derive(Debug, Parser)]
#[command(name = "mount")]
struct Options {
    /// Number of measurements of everything
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Measured time of each burst of reads, in milliseconds
    #[arg(long, default_value_t = 80)]
    burst: u64,
    /// Number of reads after a second without a read
    #[arg(long, default_value_t = 30)]
    tries: usize,
    /// Files, by their paths below /
    #[arg(long, value_delimiter = ',', default_values_t = FILES.map(str::to_owned))]
    files: Vec<String>,
    /// Race the shared tree too, in which the daemon must find the container of the reader
    #[arg(long)]
    shared: bool,
    /// Race copies too, on a tmpfs and through a FUSE file system that computes nothing: the cost of a
    /// read in the kernel alone, and with a request to a process
    #[arg(long)]
    floor: bool,
    /// File for the numbers
    #[arg(long, default_value = "target/bench/mount.json")]
    json: PathBuf,
    /// File for the chart
    #[arg(long, default_value = "target/bench/mount.svg")]
    svg: PathBuf,
    /// Option that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if let Some(status) = reader::run_if_reader().or_else(passthrough::run_if_asked) {
        return status;
    }
    let options = Options::parse();
    enclosed(|world| race(world, &options))
}

fn race(world: &World, options: &Options) -> anyhow::Result<()> {
    let machine = Machine::here("mount");
    let mut contestants = Contestant::all(world, options.shared)?;
    if options.floor {
        contestants.push(Contestant::floor(world, &options.files)?);
        contestants.push(Contestant::passthrough(world, &options.files)?);
    }
    let mut stages = Stage::all(world, options, &contestants)?;
    let mut results = Results::new(machine);
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        for stage in &mut stages {
            stage.round(round, options, &contestants, &mut results.cases)?;
        }
    }
    eprintln!("silence: {} s", options.tries);
    stages[0].silence(options, &contestants, &mut results.silence)?;
    results.throttled = stages.iter().map(Stage::throttled).sum();
    results.print();
    goals::print(&results);
    save(&options.json, &serde_json::to_vec_pretty(&results.json())?)?;
    save(&options.svg, chart::draw(&results).as_bytes())
}

fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)
        .and_then(|()| fs::write(path, bytes))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("written  {}", path.display());
    Ok(())
}

/// Containers, and readers in them for each contestant.
struct Stage {
    scene: Scene,
    /// The readers of each contestant, one for each container. Declared first, so that they are dropped before
    /// their containers.
    readers: Vec<Vec<Reader>>,
    containers: Vec<Cgroup>,
}

impl Stage {
    fn all(
        world: &World,
        options: &Options,
        contestants: &[Contestant],
    ) -> anyhow::Result<Vec<Stage>> {
        let files: Vec<&str> = options.files.iter().map(String::as_str).collect();
        [Scene::OneReader, Scene::Threads, Scene::Containers]
            .into_iter()
            .map(|scene| Stage::set(world, scene, &files, contestants))
            .collect()
    }

    /// Makes the containers and readers of a scene. Each container has as many CPUs as its threads can use, so
    /// that its quota throttles none.
    fn set(
        world: &World,
        scene: Scene,
        files: &[&str],
        contestants: &[Contestant],
    ) -> anyhow::Result<Stage> {
        let container = |number| {
            let container = world.cgroup.child(&format!("{}-{number}", scene.name()));
            container.limit_memory(512 << 20);
            container.limit_cpu(if scene == Scene::Threads { 200 } else { 100 });
            container
        };
        let containers: Vec<Cgroup> = (0..scene.containers()).map(container).collect();
        let readers = |contestant: &Contestant| {
            let reader = |container| {
                let mut reader = contestant.reader(files, container)?;
                reader.ready().map(|()| reader)
            };
            containers.iter().map(reader).collect()
        };
        let readers: anyhow::Result<_> = contestants.iter().map(readers).collect();
        Ok(Stage {
            scene,
            readers: readers?,
            containers,
        })
    }

    fn round(
        &mut self,
        round: usize,
        options: &Options,
        contestants: &[Contestant],
        cases: &mut BTreeMap<Case, Tally>,
    ) -> anyhow::Result<()> {
        let burst = Duration::from_millis(options.burst);
        for way in self.scene.ways() {
            for file in &options.files {
                for turn in 0..contestants.len() {
                    let who = (round + turn) % contestants.len();
                    let contestant = &contestants[who];
                    if !contestant.serves(file, &self.containers[0]) {
                        continue;
                    }
                    let task = Task {
                        paths: vec![Path::new("/").join(file)],
                        way: *way,
                        threads: self.scene.threads(),
                        start: now()? + Duration::from_millis(2),
                        period: None,
                        warm: burst / 5,
                        counted: burst,
                    };
                    let before = contestant.cpu()?;
                    let done = together(&mut self.readers[who], &task)?;
                    let cpu = contestant.cpu()?.saturating_sub(before);
                    let case = Case {
                        scene: self.scene,
                        way: *way,
                        file: file.clone(),
                        whose: contestant.whose,
                    };
                    cases.entry(case).or_default().add(&done, cpu);
                }
            }
        }
        Ok(())
    }

    /// Measures one read of the first file after each second without a read.
    fn silence(
        &mut self,
        options: &Options,
        contestants: &[Contestant],
        silence: &mut BTreeMap<support::contestant::Whose, Tally>,
    ) -> anyhow::Result<()> {
        for turn in 0..options.tries {
            std::thread::sleep(Duration::from_secs(1));
            for offset in 0..contestants.len() {
                let who = (turn + offset) % contestants.len();
                let task = Task {
                    paths: vec![Path::new("/").join(&options.files[0])],
                    way: Way::Open,
                    threads: 1,
                    start: now()? + Duration::from_millis(2),
                    period: None,
                    warm: Duration::ZERO,
                    counted: Duration::ZERO,
                };
                let done = together(&mut self.readers[who], &task)?;
                let tally = silence.entry(contestants[who].whose).or_default();
                tally.add(&done, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Returns the number of periods in which the quota throttled one of the containers.
    fn throttled(&self) -> u64 {
        let count = |container: &Cgroup| {
            let path = container.directory("cpu");
            let stat = fs::read_to_string(path.join("cpu.stat")).ok()?;
            let line = stat
                .lines()
                .find_map(|line| line.strip_prefix("nr_throttled "))?;
            line.parse::<u64>().ok()
        };
        self.containers.iter().filter_map(count).sum()
    }
}
