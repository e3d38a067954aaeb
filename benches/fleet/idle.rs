//! The wakeups of the daemon while containers live and no process reads.

use crate::{
    Fleet, Options, contestants,
    support::{contestant::Contestant, machine::Machine, world::World},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

/// Lets all containers read once, then counts the wakeups of the daemon.
pub(crate) fn watch(world: &World, options: &Options, idle: Duration) -> anyhow::Result<()> {
    Machine::here("fleet").print();
    println!(
        "\n{:>10}  {:<16}{:>9}{:>10}{:>9}{:>14}",
        "containers", "of", "seconds", "switches", "CPU ms", "system calls"
    );
    for count in &options.containers {
        for whose in contestants(options) {
            let Some(contestant) = Contestant::start(world, whose)? else {
                continue;
            };
            if contestant.processes().is_empty() {
                continue;
            }
            let mut fleet = Fleet::launch(world, &contestant, *count)?;
            fleet.read_once()?;
            eprintln!(
                "{whose:?}: {} s of silence",
                options.settle + idle.as_secs()
            );
            std::thread::sleep(Duration::from_secs(options.settle));
            row(world, &contestant, *count, idle)?;
        }
    }
    println!("switches are those of all threads; 0 means that nothing woke the daemon");
    Ok(())
}

fn row(
    world: &World,
    contestant: &Contestant,
    containers: usize,
    idle: Duration,
) -> anyhow::Result<()> {
    let log = world.directory.path().join("trace");
    let trace = Trace::begin(contestant, &log)?;
    // The start of the trace wakes the daemon once.
    std::thread::sleep(Duration::from_secs(1));
    let before = (contestant.switches(), contestant.cpu()?);
    std::thread::sleep(idle);
    let switches = contestant.switches() - before.0;
    let cpu = contestant.cpu()?.saturating_sub(before.1);
    let calls = trace.map(Trace::end).transpose()?;
    println!(
        "{containers:>10}  {:<16}{:>9}{switches:>10}{:>9.1}{:>14}",
        format!("{:?}", contestant.whose).to_lowercase(),
        idle.as_secs(),
        cpu.as_secs_f64() * 1000.0,
        calls.map_or("no strace".to_owned(), |calls| calls.to_string())
    );
    Ok(())
}

/// An strace on every thread of the daemon.
struct Trace<'a> {
    strace: std::process::Child,
    log: &'a Path,
}

impl Trace<'_> {
    /// Starts strace. Returns none where strace is not installed.
    fn begin<'a>(contestant: &Contestant, log: &'a Path) -> anyhow::Result<Option<Trace<'a>>> {
        let pids: Vec<String> = (contestant.processes().iter())
            .map(|pid| format!("-p{pid}"))
            .collect();
        let strace = Command::new("strace")
            .args(["-f", "-q", "-o"])
            .arg(log)
            .args(pids)
            .stderr(Stdio::null())
            .spawn();
        match strace {
            Ok(strace) => Ok(Some(Trace { strace, log })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends strace and returns the number of system calls that returned. A call that waits all the time does not
    /// return.
    fn end(mut self) -> anyhow::Result<usize> {
        let pid = i32::try_from(self.strace.id())?;
        kill(Pid::from_raw(pid), Signal::SIGINT)?;
        self.strace.wait()?;
        let log = fs::read_to_string(self.log)?;
        Ok(log.lines().filter(|line| line.contains(" = ")).count())
    }
}
