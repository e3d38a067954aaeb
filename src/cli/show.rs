//! `plimsoll show`.

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
/// They are computed here and now, without a daemon and without a mount. Counters that a daemon
/// carries from read to read (CPU time, load) start anew.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whose").required(true))]
#[command(after_help = "Examples:\n  plimsoll show --pid 4711 meminfo\n  \
    plimsoll show --cgroup /sys/fs/cgroup/system.slice/nginx.service /proc/stat\n  \
    plimsoll show --pid 4711 meminfo --explain | less")]
pub(super) struct Show {
    /// As the process PID would see it (a process of the host itself sees the host's)
    #[arg(long, value_name = "PID", group = "whose")]
    pid: Option<Pid>,
    /// As the container in the cgroup PATH would see it (from the hierarchy's root, or its mount;
    /// on cgroup v1 the memory controller's hierarchy)
    #[arg(long, value_name = "PATH", group = "whose")]
    cgroup: Option<PathBuf>,
    /// The file: a name (meminfo) or a path (/proc/meminfo, /sys/devices/system/cpu/present)
    #[arg(value_parser = show_target)]
    file: ShowTarget,
    /// Say for each line where its value comes from, instead of the bytes
    #[arg(long)]
    explain: bool,
    /// How to print the explanation
    #[arg(short, long, value_enum, default_value_t = ExplainFormat::Table, requires = "explain")]
    output: ExplainFormat,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ExplainFormat {
    /// For people
    Table,
    /// For programs: an array of objects with `name`, `value`, `formula`, `decided_by` (if there
    /// was something to decide) and `inputs` (`file`, `key`, `value`)
    Json,
}

/// What is served under the name that a user gave.
#[derive(Debug, Clone, Copy)]
enum ShowTarget {
    File(File),
    Attribute(Attribute),
}

fn show_target(text: &str) -> Result<ShowTarget, String> {
    let attribute = || {
        Attribute::at(text.strip_prefix('/').unwrap_or(text))
            .filter(|attribute| attribute.rule() != Rule::Directory)
    };
    let asked = File::named(text).map(ShowTarget::File);
    asked.or_else(|| attribute().map(ShowTarget::Attribute)).ok_or_else(|| {
        let names: Vec<&str> = FILES.iter().map(|file| file.name()).collect();
        format!(
            "no such file is served; there are {}, and files below /sys/devices/system/cpu and node",
            names.join(", ")
        )
    })
}

impl Show {
    pub(super) fn run(self) -> Result<()> {
        let answers = Answers::here()?;
        let bytes = match (self.file, self.whose(&answers)?) {
            (ShowTarget::File(file), Caller::Container(container)) if self.explain => {
                self.printed(&answers.explain(file, &container)?)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) if self.explain => {
                self.printed(&answers.explain_attribute(attribute, &container)?)?
            }
            (ShowTarget::File(file), Caller::Container(container)) => {
                answers.render_padded(file, &container)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) => {
                answers.render_attribute(attribute, &container)?
            }
            (asked, Caller::Host) => {
                let (path, bytes) = match asked {
                    ShowTarget::File(file) => (file.path().to_owned(), answers.read_host(file)?),
                    ShowTarget::Attribute(attribute) => {
                        (attribute.path(), answers.read_host_attribute(attribute)?)
                    }
                };
                match self.explain {
                    true => self.printed(&Answers::explain_host(&path, &bytes))?,
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

    fn whose(&self, answers: &Answers) -> Result<Caller> {
        if let Some(pid) = self.pid {
            return answers
                .caller(pid.main_thread())
                .with_context(|| format!("cannot tell whose process {pid} is"));
        }
        let path = self.cgroup.as_deref().unwrap_or(Path::new("/"));
        let container = answers
            .container_at(path)
            .with_context(|| format!("cannot find the cgroup {}", path.display()))?;
        Ok(Caller::Container(container))
    }

    fn printed(&self, lines: &[Explained]) -> Result<Vec<u8>> {
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
