//! `plimsoll show`: the bytes of a served file, or the source of each value.

use crate::{
    base::units::Pid,
    facts::container::Caller,
    view::{
        answer::{Answers, Explained},
        files::{Attribute, FILES, File, Rule},
    },
};
use anyhow::{Context, Result};
use clap::{ArgGroup, Args, ValueEnum};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Print the bytes that a container would read from a file.
///
/// The command computes the bytes itself, without a daemon and without a mount. Counters that a
/// daemon carries from read to read (CPU time, load) start at their first value.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("caller").required(true))]
#[command(after_help = "Examples:\n  plimsoll show --pid 4711 meminfo\n  \
    plimsoll show --cgroup /sys/fs/cgroup/system.slice/nginx.service /proc/stat\n  \
    plimsoll show --pid 4711 meminfo --explain | less")]
pub(super) struct Show {
    /// Shows the file as process PID reads it; a process of the host reads the host's file
    #[arg(long, value_name = "PID", group = "caller")]
    pid: Option<Pid>,
    /// Shows the file as the container in the cgroup PATH reads it; PATH begins at the root or at
    /// the mount point of the hierarchy, on cgroup v1 the memory controller's
    #[arg(long, value_name = "PATH", group = "caller")]
    cgroup: Option<PathBuf>,
    /// The file: a name (meminfo) or a path (/proc/meminfo, /sys/devices/system/cpu/present)
    #[arg(value_parser = show_target)]
    file: ShowTarget,
    /// Prints the source of each value instead of the bytes
    #[arg(long)]
    explain: bool,
    /// The format of the explanation
    #[arg(short, long, value_enum, default_value_t = ExplainFormat::Table, requires = "explain")]
    output: ExplainFormat,
}

/// The format of an explanation.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExplainFormat {
    /// Text for people
    Table,
    /// JSON for programs: an array of objects with `name`, `value`, `formula`, `decided_by` (absent
    /// without a choice) and `inputs` (`file`, `key`, `value`)
    Json,
}

/// A served file, or a served attribute of sysfs.
#[derive(Debug, Clone, Copy)]
enum ShowTarget {
    File(File),
    Attribute(Attribute),
}

/// Parses the name or path of a served file.
fn show_target(text: &str) -> Result<ShowTarget, String> {
    let attribute = || {
        Attribute::at(text.strip_prefix('/').unwrap_or(text))
            .filter(|attribute| ![Rule::Directory, Rule::Link].contains(&attribute.rule()))
    };
    let file = File::named(text).map(ShowTarget::File);
    file.or_else(|| attribute().map(ShowTarget::Attribute)).ok_or_else(|| {
        let names: Vec<&str> = FILES.iter().map(|file| file.name()).collect();
        format!(
            "no such file is served; the served files are {}, and files below /sys/devices/system/cpu and node",
            names.join(", ")
        )
    })
}

impl Show {
    /// Prints the file, or the explanation.
    pub(super) fn run(self) -> Result<()> {
        let answers = Answers::here()?;
        let bytes = match (self.file, self.caller(&answers)?) {
            (ShowTarget::File(file), Caller::Container(container)) if self.explain => {
                self.format(&answers.explain(file, &container)?)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) if self.explain => {
                self.format(&answers.explain_attribute(attribute, &container)?)?
            }
            (ShowTarget::File(file), Caller::Container(container)) => {
                answers.render(file, &container)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) => {
                answers.render_attribute(attribute, &container)?
            }
            (target, Caller::Host) => {
                let (path, bytes) = match target {
                    ShowTarget::File(file) => (file.path().to_owned(), answers.read_host(file)?),
                    ShowTarget::Attribute(attribute) => {
                        (attribute.path(), answers.read_host_attribute(attribute)?)
                    }
                };
                match self.explain {
                    true => self.format(&Answers::explain_host(&path, &bytes))?,
                    false => bytes,
                }
            }
        };
        let mut out = std::io::stdout().lock();
        match out.write_all(&bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot write to standard output")
            }
            _ => Ok(()),
        }
    }

    /// Returns the container or host whose file is shown.
    fn caller(&self, answers: &Answers) -> Result<Caller> {
        if let Some(pid) = self.pid {
            return answers
                .caller_process(pid)
                .with_context(|| format!("cannot find the container of process {pid}"));
        }
        let path = self.cgroup.as_deref().unwrap_or(Path::new("/"));
        let container = answers
            .container_at(path)
            .with_context(|| format!("cannot find the cgroup {}", path.display()))?;
        Ok(Caller::Container(container))
    }

    /// Formats an explanation.
    fn format(&self, lines: &[Explained]) -> Result<Vec<u8>> {
        if let ExplainFormat::Json = self.output {
            let text =
                serde_json::to_string_pretty(lines).context("cannot print the explanation")?;
            return Ok((text + "\n").into_bytes());
        }
        let mut text = String::new();
        for line in lines {
            text += &format!("{} {}\n    {}\n", line.name, line.value, line.formula);
            if let Some(level) = &line.decided_by {
                text += &format!("    decided by {level}\n");
            }
            for input in &line.inputs {
                let key = input.key.as_deref().map(|key| format!(" {key}"));
                let key = key.unwrap_or_default();
                text += &format!("    {}{key}: {}\n", input.file, input.value);
            }
        }
        Ok(text.into_bytes())
    }
}
