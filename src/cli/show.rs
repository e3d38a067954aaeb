//! `plimsoll show`: the bytes of a served file, or the source of each value.

use crate::{
    base::{
        output::{self, escaped},
        units::Pid,
    },
    facts::container::Caller,
    view::{
        answer::{Answers, Explained, SYSTEM_CALLS, SystemCall},
        files::{Attribute, FILES, File, Rule},
    },
};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Print the bytes that a container would read from a file.
///
/// The command computes the bytes itself, without a daemon and without a mount. Counters that a
/// daemon carries from read to read (CPU time, load) start at their first value.
///
/// `sysinfo` and `affinity` are no files: the command prints the answers of sysinfo(2) and
/// sched_getaffinity(2) that agree with the container's files, a field in each line. The daemon does
/// not give these answers yet: programs in the container get the kernel's own.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("caller").required(true))]
#[command(after_help = "Examples:\n  plimsoll show --pid 4711 meminfo\n  \
    plimsoll show --cgroup /sys/fs/cgroup/system.slice/nginx.service /proc/stat\n  \
    plimsoll show --pid 4711 meminfo --explain | less\n  \
    plimsoll show --pid 4711 sysinfo")]
pub(super) struct Show {
    /// Shows the file as process PID reads it; a process of the host reads the host's file
    #[arg(long, value_name = "PID", group = "caller")]
    pid: Option<Pid>,
    /// Shows the file as the container in the cgroup PATH reads it; PATH begins at the root or at
    /// the mount point of the hierarchy, on cgroup v1 the memory controller's
    #[arg(long, value_name = "PATH", group = "caller")]
    cgroup: Option<PathBuf>,
    /// The file: a name (meminfo) or a path (/proc/meminfo, cpu/present); or sysinfo, affinity
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

/// A served file, a served attribute of sysfs, or the answer of a system call.
#[derive(Debug, Clone, Copy)]
enum ShowTarget {
    File(File),
    Attribute(Attribute),
    Call(SystemCall),
}

/// Parses the name or path of a served file.
fn show_target(text: &str) -> Result<ShowTarget, String> {
    let attribute = || {
        let text = text.strip_prefix('/').unwrap_or(text);
        Attribute::at(text)
            .or_else(|| Attribute::at(&format!("sys/devices/system/{text}")))
            .filter(|attribute| ![Rule::Directory, Rule::Link].contains(&attribute.rule()))
    };
    let file = File::named(text).map(ShowTarget::File);
    let call = || SystemCall::named(text).map(ShowTarget::Call);
    let target = file
        .or_else(call)
        .or_else(|| attribute().map(ShowTarget::Attribute));
    target.ok_or_else(|| {
        let files: Vec<&str> = FILES.iter().map(|file| file.name()).collect();
        let calls = SYSTEM_CALLS.map(SystemCall::name);
        format!(
            "no such file is served; the served files are {}, and files below /sys/devices/system/cpu and node; the system calls are {}",
            files.join(", "),
            calls.join(" and ")
        )
    })
}

impl Show {
    /// Prints the file, or the explanation.
    pub(super) fn run(self) -> Result<()> {
        let answers = Answers::here()?;
        let caller = self.caller(&answers)?;
        if !self.explain {
            return Ok(output::print_file(&self.bytes(&answers, &caller)?)?);
        }
        let lines = self.explained(&answers, &caller)?;
        match self.output {
            ExplainFormat::Table => output::print(&table(&lines))?,
            ExplainFormat::Json => output::print_json(&lines)?,
        }
        Ok(())
    }

    /// Returns the explanation of each line.
    fn explained(&self, answers: &Answers, caller: &Caller) -> Result<Vec<Explained>> {
        let host = |path: &str| -> Result<Vec<Explained>> {
            Ok(Answers::explain_host(path, &self.bytes(answers, caller)?))
        };
        Ok(match (self.file, caller) {
            (ShowTarget::File(file), Caller::Container(container)) => {
                answers.explain(file, container)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) => {
                answers.explain_attribute(attribute, container)?
            }
            (ShowTarget::Call(call), Caller::Container(container)) => {
                answers.explain_call(call, container, self.pid)?
            }
            (ShowTarget::File(file), Caller::Host) => host(file.path())?,
            (ShowTarget::Attribute(attribute), Caller::Host) => host(&attribute.path())?,
            (ShowTarget::Call(_), Caller::Host) => {
                Answers::explain_host_call(&self.bytes(answers, caller)?)
            }
        })
    }

    /// Returns the bytes of the file, or the lines of the answer.
    fn bytes(&self, answers: &Answers, caller: &Caller) -> Result<Vec<u8>> {
        Ok(match (self.file, caller) {
            (ShowTarget::File(file), Caller::Container(container)) => {
                answers.render(file, container)?
            }
            (ShowTarget::Attribute(attribute), Caller::Container(container)) => {
                answers.render_attribute(attribute, container)?
            }
            (ShowTarget::Call(call), Caller::Container(container)) => {
                answers.render_call(call, container, self.pid)?
            }
            (ShowTarget::File(file), Caller::Host) => answers.read_host(file)?,
            (ShowTarget::Attribute(attribute), Caller::Host) => {
                answers.read_host_attribute(attribute)?
            }
            (ShowTarget::Call(call), Caller::Host) => answers.read_host_call(call, self.pid)?,
        })
    }

    /// Returns the container or host whose file is shown.
    fn caller(&self, answers: &Answers) -> Result<Caller> {
        if let Some(pid) = self.pid {
            return answers
                .caller_process(pid)
                .with_context(|| format!("cannot find the container of process {pid}"));
        }
        let path = self.cgroup.as_deref().unwrap_or(Path::new("/"));
        match answers.container_at(path) {
            Ok(container) => Ok(Caller::Container(container)),
            Err(error) if error.is_gone() => {
                bail!(
                    "there is no cgroup {}: write its path below the mount point of the memory controller",
                    path.display()
                )
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot find the cgroup {}", path.display()))
            }
        }
    }
}

/// Returns an explanation as text for people.
fn table(lines: &[Explained]) -> String {
    let mut text = String::new();
    for line in lines {
        let (name, value) = (escaped(&line.name), escaped(&line.value));
        text += &format!("{name} {value}\n    {}\n", line.formula);
        if let Some(level) = &line.decided_by {
            text += &format!("    decided by {}\n", escaped(level));
        }
        for input in &line.inputs {
            let key = input.key.as_deref().map(|key| format!(" {}", escaped(key)));
            let key = key.unwrap_or_default();
            let (file, value) = (escaped(&input.file), escaped(&input.value));
            text += &format!("    {file}{key}: {value}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::answer::Input;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn no_name_puts_a_control_character_or_a_line_into_an_explanation(name in any::<String>()) {
            let line = Explained {
                name: name.clone(),
                value: name.clone(),
                formula: "the limit".to_owned(),
                decided_by: Some(name.clone()),
                inputs: vec![Input {
                    file: name.clone(),
                    key: Some(name.clone()),
                    value: name,
                }],
            };
            let text = table(&[line]);
            prop_assert_eq!(text.lines().count(), 4);
            prop_assert!(!text.replace('\n', "").contains(char::is_control), "{:?}", text);
        }
    }
}
