//! `plimsoll doctor`.

use crate::{
    base::paths,
    ops::doctor::{self, Finding, Level},
};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use std::{io::Write, path::PathBuf};

/// Say what is well on this machine and what is not, each with its fix.
///
/// It looks at the kernel, FUSE, cgroups, settings that hurt, the daemon, files in containers for
/// which nobody answers, each engine and whether its containers get the view, and lxcfs; and says
/// what the view cannot make true here. It changes nothing, and waits for nothing long.
#[derive(Debug, Args)]
#[command(
    after_help = "A finding is ok, a note (so on this machine, and no fault), a warning, or an error; behind the arrow\n\
    stands what to do.\n\n\
    Exit status: 0 if there is neither warning nor error, 1 if there are warnings, 2 if there are errors,\n\
    125 if nothing could be looked at.\n\n\
    Examples:\n  plimsoll doctor\n  plimsoll doctor -o json | jq -r '.[] | select(.level == \"error\").fix'"
)]
pub(super) struct Doctor {
    /// Where the daemon serves [default: as configured, /var/lib/plimsoll]
    mountpoint: Option<PathBuf>,
    /// How to print what is found
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Looks at the captured machine below DIR
    #[arg(long, hide = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Reads this configuration
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Output {
    /// A line each, for people
    Table,
    /// For programs: an array of objects with `level`, `subject`, `finding` and `fix` (or null)
    Json,
}

impl Doctor {
    pub(super) fn run(self) -> Result<u8> {
        let found = doctor::examine(&self.root, self.mountpoint, &self.config)?;
        let text = match self.output {
            Output::Table => found.iter().map(|found| found.line() + "\n").collect(),
            Output::Json => serde_json::to_string_pretty(&found)? + "\n",
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                return Err(error).context("cannot write to standard output");
            }
            _ => {}
        }
        let worst = found.iter().map(|Finding { level, .. }| *level).max();
        Ok(worst.map_or(0, Level::status))
    }
}
