//! `plimsoll show`.

use crate::{
    answer::Answers,
    container::{Caller, Container},
    files::{FILES, File},
};
use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Print the bytes that a container would read from a file.
///
/// They are computed here and now, without a daemon and without a mount. Counters that a daemon
/// carries from read to read (CPU time, load) start anew.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true))]
#[command(after_help = "Examples:\n  plimsoll show --pid 4711 meminfo\n  \
    plimsoll show --cgroup /sys/fs/cgroup/system.slice/nginx.service /proc/stat")]
pub(super) struct Show {
    /// As the process PID would see it (a process of the host itself sees the host's)
    #[arg(long, value_name = "PID", group = "whose")]
    pid: Option<u32>,
    /// As the container in the cgroup PATH would see it (from the hierarchy's root, or its mount;
    /// on cgroup v1 the memory controller's hierarchy)
    #[arg(long, value_name = "PATH", group = "whose")]
    cgroup: Option<PathBuf>,
    /// The file: a name (meminfo) or a path (/proc/meminfo)
    #[arg(value_parser = file)]
    file: File,
}

fn file(text: &str) -> Result<File, String> {
    File::named(text).ok_or_else(|| {
        let names: Vec<&str> = FILES.iter().map(|file| file.name()).collect();
        format!("no such file is served; there are {}", names.join(", "))
    })
}

impl Show {
    pub(super) fn run(self) -> Result<()> {
        let answers = Answers::here()?;
        let bytes = match self.whose(&answers)? {
            Caller::Host => answers.host(self.file)?,
            Caller::Container(container) => answers.answer(self.file, &container)?,
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    }

    fn whose(&self, answers: &Answers) -> Result<Caller> {
        if let Some(pid) = self.pid {
            return answers
                .caller(pid)
                .with_context(|| format!("cannot tell whose process {pid} is"));
        }
        let path = self.cgroup.as_deref().unwrap_or(Path::new("/"));
        let container: Container = answers
            .container_at(path)
            .with_context(|| format!("cannot find the cgroup {}", path.display()))?;
        Ok(Caller::Container(container))
    }
}
