//! A container that makes thousands of cgroups, and reads on and on what makes the daemon visit them.

use super::support::{
    contestant::{Contestant, Whose},
    harness::Cgroup,
    reader::{Task, Way, now},
    world::{World, descend, remove_below},
};
use nix::sys::stat::{Mode, mkdirat};
use serde::Serialize;
use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

/// The files whose answers count the tasks of the container.
const READ: [&str; 2] = ["proc/loadavg", "proc/stat"];
/// The time from one read to the next.
const PERIOD: Duration = Duration::from_millis(50);
/// The maximum time of a read.
const READ_BOUND: Duration = Duration::from_millis(50);
/// The maximum of the daemon's time, in hundredths of a CPU.
const CPU_BOUND: f64 = 2.0;

/// The arrangement of the cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    /// Each in the one before.
    Nested,
    /// Side by side.
    Flat,
}

/// The result for one shape. Times are in microseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Census {
    shape: Shape,
    cgroups: usize,
    whose: Whose,
    file: &'static str,
    median_us: f64,
    p99_us: f64,
    max_us: f64,
    daemon_cpu_percent: f64,
    failed: u64,
}

/// Measures a container with so many cgroups.
pub(crate) fn count(
    world: &World,
    whose: Whose,
    (shape, cgroups): (Shape, usize),
    seconds: u64,
) -> anyhow::Result<Vec<Census>> {
    let Some(contestant) = Contestant::start(world, whose)? else {
        return Ok(Vec::new());
    };
    let container = world.cgroup.child(&format!("{shape:?}").to_lowercase());
    eprintln!("{whose:?}: making {cgroups} cgroups, {shape:?}");
    let _crowd = Crowd::make(&container, shape, cgroups)?;
    READ.map(|file| read(&contestant, &container, file, seconds))
        .into_iter()
        .map(|read| {
            let (done, cpu, file) = read?;
            let row = Census {
                shape,
                cgroups,
                whose,
                file,
                median_us: done.took.quantile(0.5).unwrap_or_default(),
                p99_us: done.took.quantile(0.99).unwrap_or_default(),
                max_us: done.took.max(),
                daemon_cpu_percent: cpu,
                failed: done.bad,
            };
            row.print();
            Ok(row)
        })
        .collect()
}

type Read = (super::support::reader::Done, f64, &'static str);

/// Reads a file on and on. Returns the times with the daemon's CPU time, in hundredths of a CPU.
fn read(
    contestant: &Contestant,
    container: &Cgroup,
    file: &'static str,
    seconds: u64,
) -> anyhow::Result<Read> {
    let mut reader = contestant.reader(&READ, container)?;
    reader.ready()?;
    let (before, begun) = (contestant.cpu()?, Instant::now());
    reader.begin(&Task {
        paths: vec![PathBuf::from("/").join(file)],
        way: Way::Open,
        threads: 1,
        start: now()?,
        period: Some(PERIOD),
        warm: Duration::ZERO,
        counted: Duration::from_secs(seconds),
    })?;
    let done = reader.end()?;
    let used = contestant.cpu()?.saturating_sub(before).as_secs_f64();
    Ok((done, 100.0 * used / begun.elapsed().as_secs_f64(), file))
}

impl Census {
    /// Prints the heading of the rows.
    pub(crate) fn print_heading() {
        println!(
            "\n{:<8}{:>8}  {:<13}{:<14}{:>10}{:>10}{:>10}{:>8}{:>8}",
            "cgroups", "", "of", "file", "p50 us", "p99 us", "max us", "CPU %", "failed"
        );
    }

    fn print(&self) {
        let broken = match self.is_within_bounds() {
            true => "",
            false => "  BROKEN: 50 ms, 2 % of a CPU",
        };
        println!(
            "{:<8}{:>8}  {:<13}{:<14}{:>10.0}{:>10.0}{:>10.0}{:>8.1}{:>8}{broken}",
            format!("{:?}", self.shape).to_lowercase(),
            self.cgroups,
            super::tree_name(self.whose),
            self.file,
            self.median_us,
            self.p99_us,
            self.max_us,
            self.daemon_cpu_percent,
            self.failed
        );
    }

    /// Returns true if no read took longer than it may, nor cost more.
    pub(crate) fn is_within_bounds(&self) -> bool {
        let max = READ_BOUND.as_secs_f64() * 1e6;
        self.max_us <= max && self.daemon_cpu_percent < CPU_BOUND && self.failed == 0
    }
}

/// The cgroups below a container. Removed when dropped.
struct Crowd(PathBuf);

impl Crowd {
    fn make(container: &Cgroup, shape: Shape, cgroups: usize) -> anyhow::Result<Crowd> {
        let crowd = Crowd(container.directory("memory"));
        let mut directory = OwnedFd::from(File::open(&crowd.0)?);
        for number in 0..cgroups {
            let name = format!("c{number}");
            mkdirat(&directory, name.as_str(), Mode::S_IRWXU)?;
            if shape == Shape::Nested {
                directory = descend(directory.as_fd(), &name)?;
            }
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        remove_below(&self.0);
    }
}
