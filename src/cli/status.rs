//! `plimsoll status`: the state of the daemon, for people and for scripts.

use crate::{
    base::{config, output, paths, respawn, sys},
    ops::status,
};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use nix::sys::{prctl, signal::Signal};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The bytes that a probe reads of a file.
const MAX_PROBED: u64 = 512;

/// Tell whether the daemon serves, since when, and for how many containers.
///
/// Reads one file of the view, as a container would, and says what a container gets. Nothing is asked
/// that could keep the answer: a daemon that does not answer within 2 seconds hangs. The number of
/// containers is that of the containers that this user may see. For all that could be wrong on this
/// machine see plimsoll doctor, for each container plimsoll ps.
#[derive(Debug, Args)]
#[command(after_long_help = NOTES)]
pub(super) struct Status {
    /// The mount point of the daemon [default: as configured, /var/lib/plimsoll]
    mountpoint: Option<PathBuf>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = StatusFormat::Table)]
    output: StatusFormat,
    /// Prints nothing: the exit status tells the state
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
    /// The configuration file
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
    /// Prints the first bytes of this file, and nothing if it cannot be read
    #[arg(long = respawn::PROBE, hide = true, value_name = "FILE")]
    probe: Option<PathBuf>,
}

/// The format of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StatusFormat {
    /// Lines as those of plimsoll doctor, for people
    Table,
    /// JSON for programs: an object with `state` (`serves`, `dead`, `hangs`, `absent`, `foreign`),
    /// `mountpoint`, `pid`, `version`, `program_version`, `supervisor` (`systemd`, `keeper`), `since`,
    /// `seconds`, `containers` (`running`, `served`), `restarts` (`count`, `last`) and `findings` (as
    /// of plimsoll doctor); what is not known is null
    Json,
}

const NOTES: &str = "\
A restart is the start of a daemon in the place of one that ended: by a signal,
by a hang, or by a reload of the unit. The log of the unit has the reason.

Exit status:
  0    a daemon serves
  1    the daemon is dead: reads in containers fail
  2    the daemon hangs: reads in containers wait
  3    no daemon: containers see the machine's files
  4    another file system is mounted there
  125  the state could not be found out

Examples:
  plimsoll status
  plimsoll status --quiet || systemctl start plimsoll
  plimsoll status -o json | jq .containers.served";

impl Status {
    pub(super) fn run(self) -> Result<u8> {
        if let Some(file) = &self.probe {
            return probe(file).map(|()| 0);
        }
        let configured = config::read(&self.config)?.mountpoint;
        let is_configured = self
            .mountpoint
            .as_ref()
            .is_none_or(|point| *point == configured);
        let mountpoint = self.mountpoint.unwrap_or(configured);
        let found = status::status(&mountpoint, is_configured)?;
        match self.output {
            _ if self.quiet => {}
            StatusFormat::Table => {
                let width = output::terminal_width();
                let findings = found.for_people();
                let lines = findings.iter().map(|finding| finding.styled(width));
                output::print_styled(&lines.collect())?;
            }
            StatusFormat::Json => output::print_json(&found)?,
        }
        Ok(found.state.status())
    }
}

/// Prints the start of a file. Ends with the process that started this one.
fn probe(file: &Path) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot end with the parent process")?;
    let start = File::open(file).map(|file| sys::text_from(file.take(MAX_PROBED)));
    Ok(output::print(&start.unwrap_or_default())?)
}
