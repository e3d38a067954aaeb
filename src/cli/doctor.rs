//! `plimsoll doctor`.

use crate::{
    base::{output, paths},
    ops::doctor::{self, Finding, Level},
};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Examine this machine, and print each problem with its fix.
///
/// Examines the kernel, FUSE, cgroups, harmful settings, the daemon, SELinux, dead files in containers,
/// each engine with the set-up of its containers, and lxcfs. Prints also the numbers that no view can
/// make true on this machine. Changes nothing; a check that blocks is given up after 2 seconds.
#[derive(Debug, Args)]
#[command(
    after_help = "A finding is ok, a note (a fact about this machine, no fault), a warning, or an\n\
    error. The fix follows the arrow.\n\n\
    Exit status: 0 without warnings and errors, 1 with warnings, 2 with errors, 125\n\
    if the machine could not be examined.\n\n\
    Examples:\n  plimsoll doctor\n  plimsoll doctor -o json | jq -r '.[] | select(.level == \"error\").fix'"
)]
pub(super) struct Doctor {
    /// The mount point of the daemon [default: as configured, /var/lib/plimsoll]
    mountpoint: Option<PathBuf>,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = DoctorFormat::Table)]
    output: DoctorFormat,
    /// Examine the captured machine below DIR
    #[arg(long, hide = true, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

/// The format of the findings.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DoctorFormat {
    /// One line for each finding, which a terminal gets wrapped and in colour, for people
    Table,
    /// JSON for programs: an array of objects with `level`, `subject`, `finding` and `fix` (or null)
    Json,
}

impl Doctor {
    pub(super) fn run(self) -> Result<u8> {
        let found = doctor::examine(&self.root, self.mountpoint, &self.config)?;
        match self.output {
            DoctorFormat::Table => {
                let width = output::terminal_width();
                let findings = found.iter().map(|finding| finding.styled(width));
                output::print_styled(&findings.collect())?;
            }
            DoctorFormat::Json => output::print_json(&found)?,
        }
        let worst = found.iter().map(|Finding { level, .. }| *level).max();
        Ok(worst.map_or(0, Level::status))
    }
}
