//! The guided minute: two containers of this machine, one without the view and one with it, in which
//! a shell carries out the printed commands. Every printed number is the output of such a command.

mod container;
mod daemon;
mod interrupt;
mod reader;
mod screen;

pub use reader::read_until_told;

use std::{
    env,
    path::PathBuf,
    process::{self, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    base::{
        respawn::{DEMO_PROGRAM, DemoContainer, NO_TREE, OWN_TREE, READER, Respawn},
        sys,
        units::{Bytes, Pid},
    },
    run,
};
use container::ShellContainer;
use interrupt::{Interrupted, Interrupts};
use reader::{Count, FILE, READING};
use screen::Screen;

/// The limit of memory of the containers, in the first steps and in the last one.
const MEMORY: [Bytes; 2] = [Bytes(256 << 20), Bytes(512 << 20)];

/// The limit of CPU time of the containers, as a number of CPUs.
const CPUS: u32 = 1;

/// The time in which every file follows a new limit: the maximum age of an answer, the time for which
/// the kernel does not ask again, and a reserve.
const MAX_AGE: Duration = Duration::from_millis(100);

/// The time for which the reader reads before and after the death of the daemon.
const READING_TIME: Duration = Duration::from_secs(1);

/// The timeout for the next daemon.
const SUCCESSOR_TIMEOUT: Duration = Duration::from_secs(30);

/// The interval at which the next daemon is looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Shows the demo on standard output, with a pause after each step. Returns the exit status: 0, or 128
/// and the number of the signal that ended the demo.
///
/// # Errors
/// A container that cannot be started, and an output that nobody can write to. Nothing remains of a
/// container.
pub fn run(pause: Duration) -> Result<u8> {
    let interrupts = Interrupts::block()?;
    let demo = DemoRun {
        program: env::current_exe().context("cannot find the file of this program")?,
        commands: commands(),
        screen: Screen::new(pause, &interrupts),
    };
    match demo.show() {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<Interrupted>() {
            Some(Interrupted(signal)) => {
                Ok(u8::try_from(128 + sys::process::number(*signal)).unwrap_or(u8::MAX))
            }
            None => Err(error),
        },
    }
}

/// The parts of a demo that all steps use.
struct DemoRun<'demo> {
    program: PathBuf,
    commands: &'static [&'static str],
    screen: Screen<'demo>,
}

impl DemoRun<'_> {
    fn show(&self) -> Result<()> {
        let [memory, _] = MEMORY;
        self.screen.title(&format!(
            "A container of {} of memory and {CPUS} CPU, in four steps. Ctrl-C ends the demo.\n",
            megabytes(memory)
        ))?;
        self.screen
            .title("1. Without Plimsoll, the container reads the numbers of this machine:")?;
        let mut plain = self.start("plain", NO_TREE)?;
        self.read(&mut plain, self.commands)?;
        drop(plain);
        self.screen.pause()?;
        self.screen
            .title("2. With Plimsoll, the container reads its own:")?;
        let mut container = self.start("seen", OWN_TREE)?;
        self.read(&mut container, self.commands)?;
        self.screen.pause()?;
        self.kill_daemon(&mut container)?;
        self.screen.pause()?;
        self.change_limit(&mut container)?;
        drop(container);
        self.screen
            .title("The containers are removed. The next one is yours:")?;
        self.screen.command(&format!(
            "plimsoll run --memory {memory} --cpus {CPUS} -- {}",
            self.commands.first().unwrap_or(&"")
        ))
    }

    fn start(&self, name: &str, tree: &'static str) -> Result<ShellContainer<'_>> {
        let start = DemoContainer {
            name: &container_name(name),
            memory: MEMORY[0],
            cpus: CPUS,
            tree,
            program: &self.program,
        };
        ShellContainer::start(Respawn::DemoContainer(start), self.screen.interrupts)
    }

    /// Shows commands and their output in a container.
    fn read(&self, container: &mut ShellContainer<'_>, commands: &[&str]) -> Result<()> {
        for command in commands {
            self.screen.command(command)?;
            self.screen.output(&container.output(command)?)?;
        }
        Ok(())
    }

    /// Kills the daemon under a reader.
    fn kill_daemon(&self, container: &mut ShellContainer<'_>) -> Result<()> {
        let screen = &self.screen;
        screen.title(&format!(
            "3. The daemon dies while a program in the container reads {FILE} without a pause:"
        ))?;
        container.write(&format!("{DEMO_PROGRAM} demo --{READER}\n"))?;
        while container.line()? != READING {}
        screen.interrupts.sleep(READING_TIME)?;
        let killed = daemon::find(container.pid()).context("cannot find the daemon")?;
        screen.command(&format!("kill -9 {killed}"))?;
        daemon::kill_daemon(killed)?;
        let next = self.successor(container.pid(), killed)?;
        screen.interrupts.sleep(READING_TIME)?;
        container.write("\n")?;
        let line = container.line()?;
        let count =
            Count::parse(&line).with_context(|| format!("the reader has failed: {line}"))?;
        screen.output(&format!(
            "The next daemon, process {next}, goes on where the first one stopped.\n\
             {} reads, {} failed reads, the slowest took {} ms\n",
            count.reads,
            count.failed,
            milliseconds(count.slowest)
        ))
    }

    /// Waits for the daemon that takes the place of `killed`.
    fn successor(&self, run: Pid, killed: Pid) -> Result<Pid> {
        let deadline = Instant::now() + SUCCESSOR_TIMEOUT;
        loop {
            match daemon::find(run) {
                Some(next) if next != killed => return Ok(next),
                _ if Instant::now() > deadline => {
                    anyhow::bail!("no daemon took the place of {killed}")
                }
                _ => self.screen.interrupts.sleep(POLL_INTERVAL)?,
            }
        }
    }

    /// Changes the limit of memory under a running container.
    fn change_limit(&self, container: &mut ShellContainer<'_>) -> Result<()> {
        let [before, after] = MEMORY;
        self.screen.title(&format!(
            "4. The limit of memory changes from {} to {} while the container runs:",
            megabytes(before),
            megabytes(after)
        ))?;
        let file = run::change_memory(&container_name("seen"), after)?;
        self.screen
            .command(&format!("echo {after} > {}", file.display()))?;
        self.screen.interrupts.sleep(MAX_AGE)?;
        self.read(container, self.commands.get(..1).unwrap_or_default())?;
        self.screen.pause()
    }
}

/// Returns a name that no container of another demo has.
fn container_name(name: &str) -> String {
    format!("demo-{name}-{}", process::id())
}

/// Returns the commands that show the view, the one for memory first. The programs of procps read
/// files; other programs of these names may ask the kernel by sysinfo(2), which no file answers.
fn commands() -> &'static [&'static str] {
    let version = Command::new("free").arg("--version").output();
    let is_procps =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("procps"));
    match is_procps {
        true => &[
            "free -m | head -2",
            "top -bn1 | head -1",
            "grep -c ^processor /proc/cpuinfo",
        ],
        false => &[
            "head -3 /proc/meminfo",
            "cat /proc/uptime",
            "grep -c ^processor /proc/cpuinfo",
        ],
    }
}

/// Returns a size as people write it.
fn megabytes(size: Bytes) -> String {
    format!("{} MB", size.0 >> 20)
}

/// Returns a time in milliseconds, with one digit after the point.
fn milliseconds(time: Duration) -> String {
    let tenths = time.as_micros().div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_to_a_tenth_of_a_millisecond() {
        for (micros, text) in [(0, "0.0"), (1, "0.1"), (9_990, "10.0"), (10_200, "10.2")] {
            assert_eq!(milliseconds(Duration::from_micros(micros)), text);
        }
    }
}
