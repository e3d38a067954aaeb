//! `plimsoll attach` and `plimsoll detach`: the files of containers that run already.

use super::rights::require_root;
use crate::{
    base::{
        config::{self, Config},
        output::{self, Styled, Tone, escaped},
        paths, respawn,
        units::Pid,
    },
    facts::engines::{Engine, RunningContainer},
    inject::{
        Delivery,
        attach::{
            self, AttachOptions, AttachResult, Attacher, Detacher, Execution, PendingResult,
            Selected, Selection,
        },
    },
};
use anyhow::Result;
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;

/// The status where a container could not be reached.
const UNREACHED: u8 = 1;

/// Give containers that run already their own /proc and /sys files.
///
/// The container needs nothing for it and is not restarted; its programs keep the files that they
/// have open. A container that has its files already stays as it is, and files of a dead daemon are
/// replaced. CONTAINER is the name or the id (four letters of a random one are enough) that docker,
/// podman, containerd, CRI-O, LXC, Incus, systemd-nspawn or another engine shows; of a pod,
/// NAMESPACE/POD/CONTAINER; of an engine that is not known, the path or the last name of its cgroup.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
// The usage that clap makes names a hidden option.
#[command(override_usage = "plimsoll attach [OPTIONS] <CONTAINER...|--pid <PID>|--all>")]
#[command(after_long_help = ATTACH_NOTES)]
pub(super) struct Attach {
    #[command(flatten)]
    which: Which,
    /// Containers whose hooks found no daemon and left a note
    #[arg(long = respawn::PENDING, hide = true, group = "which")]
    pending: bool,
    /// Attaches also containers that are left out of the view
    #[arg(long)]
    force: bool,
    /// The mount point of the view, instead of the configuration's
    #[arg(long = respawn::VIEW, value_name = "DIR")]
    view: Option<PathBuf>,
}

/// Take Plimsoll's files out of containers, which see the host's from then on.
///
/// The files of a dead daemon go too. The next start of a container gives it its files again, where a
/// hook is installed. CONTAINER is as for `plimsoll attach`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
#[command(after_long_help = EXIT_STATUS)]
pub(super) struct Detach {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Containers, by name or id
    #[arg(value_name = "CONTAINER", group = "which")]
    containers: Vec<String>,
    /// The container of this process
    #[arg(long, value_name = "PID", group = "which")]
    pid: Vec<Pid>,
    /// Every container of every engine
    #[arg(long, group = "which", conflicts_with_all = ["containers", "pid"])]
    all: bool,
    /// Reports what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// The form of the report
    #[arg(short, long, value_enum, default_value_t = AttachFormat::Table)]
    output: AttachFormat,
    /// Reads this configuration
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AttachFormat {
    /// For people
    Table,
    /// For programs: an array of objects with `engine`, `id`, `name` (each null where unknown),
    /// `pid`, `state`, `mounts`, `unchanged`, `problems` and `left_out` (the rule that leaves the
    /// container out, or null)
    Json,
}

const ATTACH_NOTES: &str = "\
With --all, containers whose limits leave them the whole machine get nothing,
unless the configuration says `unlimited = true`; one that is named gets its
files in any case. A container with the annotation or label
plimsoll.io/view=false, or one that [leave-out] in the configuration names,
gets nothing without --force. Processes of the container with mount namespaces
of their own (systemd services with ProtectProc= and the like, sandboxes) get
them too, at most 256 namespaces; one that starts later with a /proc of its
own has the host's files until the next attach. Containers in the container
keep the files that they have: name them by --pid. A process that may unmount
in the container can take the files away again. A container that its engine
starts again gets them again only by the hook (plimsoll install); `plimsoll
doctor` names the containers that have lost them.

Examples:
  plimsoll attach web
      the container of that name, of any engine
  plimsoll attach --all --dry-run
      a report on every container, without any change
  plimsoll attach --pid 4711
      the container of a process, of any engine or none

Exit status:
  0; 1 if a container could not be reached, a file not be mounted, or a
  container that is named is left out; 125 for another error.";

const EXIT_STATUS: &str = "\
Exit status:
  0; 1 if a container could not be reached; 125 for another error.";

/// The result for one container.
#[derive(Debug, serde::Serialize)]
struct AttachRow {
    engine: Option<Engine>,
    id: Option<String>,
    name: Option<String>,
    pid: Pid,
    state: &'static str,
    mounts: usize,
    unchanged: usize,
    problems: Vec<String>,
    left_out: Option<String>,
    #[serde(skip)]
    is_named: bool,
    #[serde(skip)]
    shown: String,
}

impl Attach {
    pub(super) fn run(self) -> Result<u8> {
        let config = match self.pending {
            // The daemon names the file that it was started with, which may be gone by now.
            true => config::read_if_there(&self.which.config)?,
            false => config::read(&self.which.config)?,
        };
        require_root("plimsoll attach")?;
        let options = AttachOptions {
            view: self.view.unwrap_or(config.mountpoint),
            unlimited: config.unlimited,
            is_forced: self.force,
            execution: self.which.execution(),
            timeout: config.hook_timeout,
        };
        let attacher = Attacher::new(options, config.leave_out)?;
        if self.pending {
            return Ok(report_pending(attacher.attach_pending()));
        }
        let names = StateNames {
            done: match self.which.dry_run {
                true => "would be attached",
                false => "attached",
            },
            nothing: "has its files",
        };
        self.which
            .report(&names, |selected| attacher.attach(selected))
    }
}

impl Detach {
    pub(super) fn run(self) -> Result<u8> {
        let Config { hook_timeout, .. } = config::read(&self.which.config)?;
        require_root("plimsoll detach")?;
        let names = StateNames {
            done: match self.which.dry_run {
                true => "would be detached",
                false => "detached",
            },
            nothing: "has none of our files",
        };
        let detacher = Detacher::new(self.which.execution(), hook_timeout);
        self.which
            .report(&names, |selected| detacher.detach(selected))
    }
}

/// Complains of each container that has not all of its files, and returns the exit status.
fn report_pending(results: Vec<PendingResult>) -> u8 {
    let mut status = 0;
    for PendingResult { id, delivery } in results {
        let problem = match delivery {
            Delivery::Unlimited | Delivery::LeftOut(_) => continue,
            Delivery::Mounted { refused, .. } => match refused.first() {
                Some(first) => format!("container {id} has not all of its files: {first}"),
                None => continue,
            },
            Delivery::NotServed(error) | Delivery::Late(error) | Delivery::Failed(error) => {
                format!("container {id} keeps the host's files: {error}")
            }
        };
        output::complain(&problem);
        status = UNREACHED;
    }
    status
}

/// The names of a container's state in the output.
struct StateNames {
    /// The name when files were mounted or removed.
    done: &'static str,
    /// The name for a container that needed no change.
    nothing: &'static str,
}

impl Which {
    fn execution(&self) -> Execution {
        match self.dry_run {
            true => Execution::DryRun,
            false => Execution::Apply,
        }
    }

    fn selection(&self) -> Selection {
        match self.all {
            true => Selection::All,
            false => Selection::Named {
                names: self.containers.clone(),
                pids: self.pid.clone(),
            },
        }
    }

    /// Calls `act` with each selected container, prints the results, and returns the exit status.
    fn report(&self, names: &StateNames, act: impl Fn(&Selected) -> AttachResult) -> Result<u8> {
        let selected = attach::select(&self.selection())?;
        let rows = selected.iter().map(|selected| {
            let result = act(selected);
            if let Err(error) = result.note {
                let shown = (selected.container.as_ref()).map_or("-", RunningContainer::shown);
                output::complain(&format!(
                    "doctor cannot tell whether {shown} has lost its files: {error}"
                ));
            }
            row(selected, result.delivery, names)
        });
        let rows: Vec<AttachRow> = rows.collect();
        match self.output {
            AttachFormat::Json => output::print_json(&rows)?,
            AttachFormat::Table if rows.is_empty() => output::print("no container runs\n")?,
            AttachFormat::Table => {
                // Programs read lines of containers only.
                let header = output::terminal_width().map(|_| line(HEADER) + "\n");
                let header = header.map(|header| Styled::default().add(Tone::Plain, &header));
                let lines = rows.iter().map(AttachRow::styled);
                output::print_styled(&header.into_iter().chain(lines).collect())?;
            }
        }
        let is_well = rows.iter().all(|row| {
            let is_refused = row.is_named && row.left_out.is_some();
            row.problems.is_empty() && !is_refused
        });
        Ok(if is_well { 0 } else { UNREACHED })
    }
}

fn row(selected: &Selected, delivery: Delivery, names: &StateNames) -> AttachRow {
    let mut left_out = None;
    let (state, mounts, unchanged, problems) = match delivery {
        Delivery::Mounted {
            mounts,
            unchanged,
            refused,
        } => match (mounts, refused.is_empty()) {
            (0, true) => (names.nothing, 0, unchanged, refused),
            (0, false) if unchanged == 0 => ("failed", 0, 0, refused),
            (_, false) => ("incomplete", mounts, unchanged, refused),
            (_, true) => (names.done, mounts, unchanged, refused),
        },
        Delivery::Unlimited => ("no limit", 0, 0, Vec::new()),
        Delivery::LeftOut(reason) => {
            left_out = Some(reason);
            ("left out", 0, 0, Vec::new())
        }
        Delivery::NotServed(error) | Delivery::Late(error) | Delivery::Failed(error) => {
            ("failed", 0, 0, vec![error])
        }
    };
    let container = selected.container.as_ref();
    AttachRow {
        engine: container.map(|one| one.engine),
        id: container.map(|one| one.id.clone()),
        name: container.and_then(|one| one.name.clone()),
        pid: selected.pid,
        state,
        mounts,
        unchanged,
        problems,
        left_out,
        is_named: selected.is_named,
        shown: container.map_or("-".to_owned(), |one| one.shown().to_owned()),
    }
}

/// The header of the rows on a terminal.
const HEADER: [&str; 4] = ["ENGINE", "CONTAINER", "PID", "STATE"];

/// Returns the columns of a row in one line.
fn line([engine, container, pid, state]: [&str; 4]) -> String {
    format!("{engine:<10}  {container:<24}  {pid:>7}  {state}")
}

impl AttachRow {
    /// Returns the container and its state in one line, with a colour for the state.
    fn styled(&self) -> Styled {
        let [container, state, rest] = self.parts();
        let text = Styled::default().add(Tone::Plain, &container);
        text.add(self.tone(), &state)
            .add(Tone::Plain, &(rest + "\n"))
    }

    fn tone(&self) -> Tone {
        match self.state {
            "failed" => Tone::Error,
            _ if !self.problems.is_empty() => Tone::Warning,
            "no limit" | "left out" => Tone::Note,
            _ => Tone::Good,
        }
    }

    /// Returns the columns before the state, the state, and the rest of the line.
    fn parts(&self) -> [String; 3] {
        let engine = self
            .engine
            .map_or("-".to_owned(), |engine| engine.to_string());
        let (shown, pid) = (escaped(&self.shown).to_string(), self.pid.to_string());
        let columns = line([&engine, &shown, &pid, ""]);
        let mut line = String::new();
        if self.mounts > 0 {
            line += &format!(" ({} files)", self.mounts);
        }
        if let Some(reason) = &self.left_out {
            line += &format!(" by {reason}; --force attaches it");
        }
        if let Some(first) = self.problems.first() {
            line += &format!(": {}", escaped(first));
        }
        if self.problems.len() > 1 {
            line += &format!(" (and {} problems more)", self.problems.len() - 1);
        }
        [columns, self.state.to_owned(), line]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};

    #[test]
    fn the_header_stands_over_the_columns() {
        let header = line(HEADER);
        let row = line(["docker", "web", "4711", "attached"]);
        for (name, value) in [("CONTAINER", "web"), ("STATE", "attached")] {
            assert_eq!(header.find(name), row.find(value), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_name_puts_a_control_character_into_the_line_of_a_container(name in any::<String>()) {
            let row = AttachRow {
                engine: None,
                id: Some(name.clone()),
                name: None,
                pid: Pid(7),
                state: "failed",
                mounts: 1,
                unchanged: 0,
                problems: vec![format!("cannot open {name}"), name.clone()],
                left_out: Some(name.clone()),
                is_named: true,
                shown: name,
            };
            let line = row.parts().concat();
            prop_assert!(!line.contains(char::is_control), "{:?}", line);
        }
    }
}
