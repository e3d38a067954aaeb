//! `plimsoll hook`: what a container runtime calls; hidden, for no person types it.

use std::{fs, io, path::PathBuf};

use crate::inject;

/// Binds the view's files into the container whose OCI state is on standard input.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Hook {
    /// Where the view is mounted.
    #[arg(long, value_name = "DIR")]
    view: PathBuf,
    /// Writes the error there as one line, for a runtime that does not hand it on.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

impl Hook {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let result = inject::hook::deliver(&self.view, io::stdin()).map_err(anyhow::Error::from);
        match (result, self.report) {
            (Err(error), Some(report)) => {
                fs::write(report, format!("{error:#}"))?;
                Ok(1)
            }
            (result, _) => result.map(|()| 0),
        }
    }
}
