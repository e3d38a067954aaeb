//! `plimsoll ps`: the containers of every engine.

use crate::{
    base::{
        config::{self, Config, WATCH_RANGE},
        output::{self, LiveTerminal, Styled, Tone, complain},
        paths,
    },
    ops::ps::{ListFilter, ListWidth, ListedContainer, Lister, SortKey, TableSpace, sorted, table},
};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use nix::{
    sys::signal::{Signal, raise},
    unistd::geteuid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH},
    iterator::Signals,
};
use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// The number that a shell adds to a signal for the exit status of a program that the signal ended.
const SIGNALLED: u8 = 128;

/// List the containers of every engine, with their limits, their use and their view.
///
/// Lists the containers of docker, podman, containerd, CRI-O, LXC, Incus, systemd-nspawn, plimsoll run,
/// bare runc and crun, and others, as the kernel and the engines' own files show them: neither an engine
/// nor a daemon is asked. A number here is the number in the container's own files. A user other than
/// root sees what the kernel shows to all: limits and use, and no names of root's containers.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(super) struct Ps {
    /// The output format
    #[arg(short, long, value_enum, default_value_t = PsFormat::Table)]
    output: PsFormat,
    /// Lists only containers with this property, see below; several of one key add, those of two keys
    /// restrict
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<ListFilter>,
    /// The order of the list
    #[arg(short, long, value_enum, value_name = "KEY", default_value_t = SortKey::Engine)]
    sort: SortKey,
    /// Shows the list again each INTERVAL, until Ctrl-C; needs a terminal
    #[arg(short, long, value_name = "INTERVAL", num_args = 0..=1, require_equals = true,
        default_missing_value = "2s", value_parser = |text: &str| WATCH_RANGE.parse(text))]
    watch: Option<Duration>,
    /// Leaves out the line with the titles of the columns
    #[arg(long)]
    no_header: bool,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

/// The format of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PsFormat {
    /// The columns of most interest, for people; as many as fit the terminal
    Table,
    /// All columns, for people
    Wide,
    /// JSON for programs: an array of objects with `engine`, `id`, `name`, `pid`, `cgroup`, `started`,
    /// `uptime`, `memory` (`limited`, `total`, `used`, `available`, `free`, `swap_total`, `swap_used`),
    /// `cpu` (`limited`, `cpus`, `quota`, `used`, `throttled`), `pressure` (`cpu`, `memory`, `io`),
    /// `view` (`state`, `mountpoint`, `reason`, `fix`) and `problem`; what is not known is null
    Json,
}

const NOTES: &str = "\
Columns:
  MEMORY     the memory in use that the kernel cannot take back: where a
             limit decides, MemTotal less MemAvailable of /proc/meminfo
  LIMIT      MemTotal; \"-\" if it is the machine's
  CPU        the CPU time used now: 100% is one CPU
  CPUS       the CPUs that quota or cpuset leave; \"-\" if all
  THROTTLED  the throttled time, as CPU: steal of /proc/stat
  PRESSURE   the share of the last 10 s in which a task waited for CPU,
             memory or disks: the highest; \"-\" on cgroup v1
  UP         the time since the container's start: /proc/uptime
  VIEW       yes; no, with the reason; dead or hangs, as its daemon

Wide has also the id, the first process, swap, each pressure (CPU-WAIT,
MEM-WAIT, IO-WAIT), the cgroup, and the command that gives a view.

In JSON a size is in bytes, a time in seconds, pressure in percent, and
`quota`, `used` and `throttled` of `cpu` are numbers of CPUs.

Filters:
  engine=ENGINE   docker, podman, containerd, lxc, incus, plimsoll, ...
  name=PATTERN    the name or the id, with * and ?
  view=STATE      served, none, hangs, dead, unknown

Exit status:
  0, also if no container runs; 125 for an error.

Examples:
  plimsoll ps --sort memory
  plimsoll ps --filter view=none -o wide
      the containers without a view, with the reasons and the commands
  plimsoll ps --watch --sort cpu
  plimsoll ps -o json | jq '.[] | select(.memory.limited | not).id'";

/// The line for a user who does not see everything.
const NOT_ROOT: &str = "names of root's containers, and containers of engines that are not known, are \
    for root to see: sudo plimsoll ps";

impl Ps {
    pub(super) fn run(self) -> Result<u8> {
        if self.watch.is_some() && self.output == PsFormat::Json {
            bail!(
                "--watch draws on a terminal: leave out -o json, or call the command again and again"
            );
        }
        let config = config::read(&self.config)?;
        if let Some(interval) = self.watch {
            return self.watch(config, interval);
        }
        let mut lister = lister(config)?;
        let list = self.list(&mut lister)?;
        if self.output == PsFormat::Json {
            output::print_json(&list)?;
        } else {
            let columns = output::terminal_width();
            let text = self.table(
                &list,
                TableSpace {
                    columns,
                    lines: None,
                },
            );
            output::print_styled(&text)?;
        }
        if !geteuid().is_root() {
            complain(NOT_ROOT);
        }
        Ok(0)
    }

    fn list(&self, lister: &mut Lister) -> Result<Vec<ListedContainer>> {
        let list = lister.list().context("cannot list the containers")?;
        Ok(sorted(list, self.sort, &self.filter))
    }

    fn table(&self, list: &[ListedContainer], space: TableSpace) -> Styled {
        if list.is_empty() {
            let text = match (self.filter.is_empty(), geteuid().is_root()) {
                (true, true) => "no container runs\n",
                (true, false) => "no container runs that this user may see\n",
                (false, _) => "no container that runs is like that\n",
            };
            return Styled::default().add(Tone::Plain, text);
        }
        let width = match self.output {
            PsFormat::Wide => ListWidth::Wide,
            PsFormat::Table | PsFormat::Json => ListWidth::Normal,
        };
        table(list, width, !self.no_header, space)
    }

    /// Shows the list again and again, until a signal ends this.
    fn watch(&self, config: Config, interval: Duration) -> Result<u8> {
        let mut terminal = Some(open()?);
        let signals = signals()?;
        let mut lister = lister(config)?;
        let mut list = self.list(&mut lister)?;
        let mut next = Instant::now() + interval;
        loop {
            if let Some(terminal) = &terminal {
                let size = output::terminal_size();
                let space = TableSpace {
                    columns: size.map(|(columns, _)| columns),
                    lines: size.map(|(_, rows)| rows),
                };
                terminal.show(&self.table(&list, space))?;
            }
            let left = next.saturating_duration_since(Instant::now());
            match signals.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) => {
                    list = self.list(&mut lister)?;
                    next = Instant::now() + interval;
                }
                // The terminal has another size: the same list is shown again.
                Ok(SIGWINCH) => {}
                Ok(SIGTSTP) => {
                    drop(terminal.take());
                    raise(Signal::SIGSTOP)?;
                    terminal = Some(open()?);
                }
                Ok(SIGINT) | Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Ok(signal) => return Ok(SIGNALLED + u8::try_from(signal).unwrap_or_default()),
            }
        }
    }
}

fn lister(config: Config) -> Result<Lister> {
    Lister::new(config).context("cannot read the cgroups")
}

fn open() -> Result<LiveTerminal> {
    let Some(terminal) = LiveTerminal::open()? else {
        bail!("--watch needs a terminal that it can draw on: leave it out to print the list once");
    };
    Ok(terminal)
}

/// Catches the signals that end the display, stop it, or tell of another size of the terminal.
fn signals() -> Result<Receiver<i32>> {
    let caught = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH];
    let mut signals = Signals::new(caught).context("cannot catch signals")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
