//! The cost of large machines: each piece of work on a machine of one size and on one of four times that size.
//! The ratio of the two times is near 4 where the work grows with the machine, near 1 where it does not, and near
//! 16 where it is quadratic.
//!
//! `cargo bench --bench scale`, as root. The machines of 250 and 1000 CPUs, 25 and 100 memory nodes, 2500 and
//! 10,000 containers are made as directories. The 10,000 and 40,000 mounts are real ones of a mount namespace, and
//! so are the daemon, the hook and the containers there, whose namespaces have all of these mounts too. The 5000 and
//! 20,000 threads and the 100 and 400 containers of the last tables are real; for more, raise `kernel.pid_max` and
//! `kernel.threads-max`. Each time is the least of `--rounds`.

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

#[path = "scale/live.rs"]
mod live;
#[allow(dead_code, reason = "each bench uses its part")]
mod support;

use clap::Parser;
use nix::mount::{MsFlags, mount};
use plimsoll::{
    base::units::Micros,
    facts::engines,
    view::{answer::Answers, files::Attribute},
};
use serde_json::json;
use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Instant,
};
use support::{
    captured::{Captured, skip_a_second},
    harness::{
        self, Cgroup, Daemon, fixture, plimsoll,
        scale::{Scale, scaled},
    },
    machine::Machine,
    short,
    world::{World, enclosed},
};

/// The maximum age of a fact in a daemon without options.
const FACT_AGE: Micros = Micros(5_000);
/// The larger size by the smaller one.
const FACTOR: u32 = 4;

/// Measure each piece of work at two sizes of the machine
#[derive(Debug, Parser)]
#[command(name = "scale")]
struct Options {
    /// CPUs of the larger machine; it has a tenth of that in memory nodes
    #[arg(long, default_value_t = 1000)]
    cpus: u32,
    /// Containers of the larger machine
    #[arg(long, default_value_t = 10_000)]
    containers: u32,
    /// Mounts of the larger machine
    #[arg(long, default_value_t = 40_000)]
    mounts: u32,
    /// Sleeping threads of a container on the larger machine
    #[arg(long, default_value_t = 20_000)]
    threads: u32,
    /// Containers with a process on the larger machine
    #[arg(long, default_value_t = 400)]
    live: u32,
    /// Measure only the part with this name: directory, mounts, threads or live
    #[arg(long)]
    only: Option<String>,
    /// Sleep in so many threads, for the measured container
    #[arg(long, hide = true)]
    sleep: Option<u32>,
    /// Number of measurements of each time
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Option that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A piece of work and its least time at one size, in milliseconds.
type Row = (String, f64);

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(threads) = options.sleep {
        live::sleep(threads);
        return ExitCode::SUCCESS;
    }
    enclosed(|world| measure(world, &options))
}

fn measure(world: &World, options: &Options) -> anyhow::Result<()> {
    Machine::here("scale").print();
    let wants = |part: &str| options.only.as_deref().is_none_or(|only| only == part);
    println!("\nmilliseconds {:>37} {:>9} {:>7}", "N", "4 N", "ratio");
    if wants("directory") {
        let small = on_directory(options, FACTOR)?;
        print(&small, &on_directory(options, 1)?);
    }
    if wants("threads") {
        let small = live::with_threads(world, options, options.threads / FACTOR)?;
        print(
            &small,
            &live::with_threads(world, options, options.threads)?,
        );
    }
    if wants("live") {
        let small = live::with_containers(world, options, options.live / FACTOR)?;
        print(
            &small,
            &live::with_containers(world, options, options.live)?,
        );
    }
    if wants("mounts") {
        mounts(world, 0, options.mounts / FACTOR)?;
        let small = among_mounts(world, options)?;
        mounts(world, options.mounts / FACTOR, options.mounts)?;
        print(&small, &among_mounts(world, options)?);
    }
    Ok(())
}

fn print(small: &[Row], large: &[Row]) {
    for ((name, few), (_, many)) in small.iter().zip(large) {
        println!("{name:<40} {few:>9.2} {many:>9.2} {:>7.1}", many / few);
    }
}

/// Returns the least time of some runs in milliseconds. `prepared` makes what one run needs.
fn least<T>(options: &Options, prepared: impl Fn() -> T, run: impl Fn(&T)) -> f64 {
    let times = (0..options.rounds).map(|_| {
        let needed = prepared();
        let begun = Instant::now();
        run(&needed);
        begun.elapsed().as_secs_f64() * 1000.0
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Measures work on a machine that is a directory, with its sizes divided by that.
fn on_directory(options: &Options, divisor: u32) -> anyhow::Result<Vec<Row>> {
    let part = |count: u32| count / divisor;
    let root = scaled(Scale {
        cpus: part(options.cpus),
        nodes: part(options.cpus) / 10,
        mounts: part(options.mounts),
        containers: part(options.containers),
    });
    let found = |(): &()| drop(engines::all(root.path()).unwrap());
    let mut rows = vec![(
        "find all containers".to_owned(),
        least(options, || (), found),
    )];
    let fixture = fixture("big-128cpu");
    let open = || Captured::at("scaled", &fixture, root.path()).unwrap();
    let start = least(options, || (), |()| drop(open()));
    rows.push(("read the hierarchies of a directory".to_owned(), start));
    let container = open();
    let caller = plimsoll::facts::container::Caller::Container(container.container.clone());
    for file in plimsoll::view::files::FILES {
        if file.pressure().is_some() && !container.answers.has_pressure(file, &caller) {
            continue;
        }
        let read = |fresh: &Captured| drop(fresh.answers.render(file, &fresh.container).unwrap());
        let path = file.path();
        rows.push((
            format!("first read of {}", short(path)),
            least(options, open, read),
        ));
    }
    // As in a daemon: one read of a kernel file serves the readers of some milliseconds.
    let served = || {
        let Captured { answers, .. } = open();
        answers.with_max_age(FACT_AGE)
    };
    let every_node = |answers: &Answers| {
        skip_a_second();
        for node in 0..part(options.cpus) / 10 {
            let path = format!("sys/devices/system/node/node{node}/meminfo");
            let attribute = Attribute::at(&path).unwrap();
            let container = &container.container;
            drop(answers.render_attribute(attribute, container).unwrap());
        }
    };
    rows.push((
        "read meminfo of every node".to_owned(),
        least(options, served, every_node),
    ));
    Ok(rows)
}

/// Makes the mounts with the numbers from `first` to `end`.
fn mounts(world: &World, first: u32, end: u32) -> anyhow::Result<()> {
    let all = world.directory.path().join("mounts");
    let none = None::<&str>;
    for number in first..end {
        let point = all.join(number.to_string());
        fs::create_dir_all(&point)?;
        mount(Some("/proc"), &point, none, MsFlags::MS_BIND, none)?;
    }
    Ok(())
}

/// Measures the real program among the mounts of this namespace.
fn among_mounts(world: &World, options: &Options) -> anyhow::Result<Vec<Row>> {
    let start = least(options, Daemon::new_mountpoint, |point| {
        drop(Daemon::on(point.clone()))
    });
    let daemon = Daemon::start();
    let view = daemon.mountpoint.to_str().unwrap();
    let configuration = world.directory.path().join("config.toml");
    fs::write(&configuration, format!("mountpoint = {view:?}\n"))?;
    let config = ["--config", configuration.to_str().unwrap()];
    let limited = world.cgroup.child(&harness::unique("scale"));
    limited.limit_memory(64 << 20);
    let root = world.directory.path().join("root");
    let bundle = world.directory.path().join("config.json");
    fs::write(&bundle, json!({"root": {"path": root}}).to_string())?;
    let container = || Running::start(&limited, &root);
    let attach = |running: &Running| {
        let pid = running.0.id().to_string();
        must(plimsoll().args(["attach", "--pid", &pid]).args(config), "");
    };
    let hook = |running: &Running| {
        let state = json!({"ociVersion": "1.0.2", "id": "x", "status": "creating",
            "pid": running.0.id(), "bundle": world.directory.path()});
        let arguments = ["hook", "--view", view, "--require", "--hook-timeout", "1m"];
        must(plimsoll().args(arguments), &state.to_string());
    };
    let doctor = |(): &()| drop(plimsoll().arg("doctor").output().unwrap());
    Ok(vec![
        ("start and end a daemon".to_owned(), start),
        (
            "hook (createRuntime)".to_owned(),
            least(options, container, hook),
        ),
        (
            "attach a container with all the mounts".to_owned(),
            least(options, container, attach),
        ),
        ("doctor".to_owned(), least(options, || (), doctor)),
    ])
}

/// A container that a runtime makes: its mount namespace has the mounts of this one.
struct Running(Child);

impl Running {
    fn start(cgroup: &Cgroup, root: &Path) -> Running {
        fs::create_dir_all(root.join("proc")).unwrap();
        fs::create_dir_all(root.join("sys")).unwrap();
        let root = root.display();
        let inside = format!(
            "mount --bind {root} {root}; mount -t proc proc {root}/proc; mount -t sysfs sysfs {root}/sys; \
             echo; exec sleep 1000"
        );
        let joined = cgroup.join("$$");
        let mut shell = Command::new("sh");
        shell.arg("-ec").arg(format!(
            "{joined} exec unshare -m --propagation private sh -ec '{inside}'"
        ));
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        harness::read_line(child.stdout.as_mut().unwrap());
        Running(child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command, which must succeed.
fn must(command: &mut Command, input: &str) {
    use std::io::Write;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    harness::stdout_of(&output);
}
