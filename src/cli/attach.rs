//! `plimsoll attach` and `plimsoll detach`: the files of containers that run already.

use crate::{
    base::{
        config::{self, Config},
        paths, respawn,
        units::Pid,
    },
    facts::{
        container::Caller,
        engines::{self, Container},
    },
    inject::{
        self, Delivery,
        attach::{self, Execution},
        notes::{self, AttachedNote, PendingContainer},
    },
    view::answer::Answers,
};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, ValueEnum};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

/// The status where a container could not be reached.
const UNREACHED: u8 = 1;

/// Give containers that run already their own /proc and /sys files.
///
/// Nothing is needed in the container and it is not restarted; what its programs have open they keep.
/// A container that has its files already is left as it is, and files of a daemon that is dead are
/// replaced. CONTAINER is a name or an id (four letters of it are enough) of docker, podman,
/// containerd, CRI-O, LXC, Incus or systemd-nspawn; of a pod, NAMESPACE/POD/CONTAINER.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true))]
#[command(after_long_help = ATTACH_NOTES)]
pub(super) struct Attach {
    #[command(flatten)]
    which: Which,
    /// Those that hooks have left word of, which found no daemon
    #[arg(long = respawn::PENDING, hide = true, group = "which")]
    pending: bool,
    /// Where the view is mounted, if not where the configuration says
    #[arg(long = respawn::VIEW, value_name = "DIR")]
    view: Option<PathBuf>,
}

/// Take Plimsoll's files out of containers, which see the host's from then on.
///
/// Those of a daemon that is dead too. The next start of a container gives it its files again, where
/// a hook is installed. CONTAINER is as for `plimsoll attach`.
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
    /// Says what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print what was done
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Reads this configuration
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs: an array of objects with `engine`, `id`, `name` (each null where unknown),
    /// `pid`, `state`, `mounts`, `unchanged` and `problems`
    Json,
}

const ATTACH_NOTES: &str = "\
With --all, containers whose limits leave them the whole machine get nothing, unless the configuration
says `unlimited = true`; one that is named gets its files in any case. Processes in the container with
mount namespaces of their own (containers in it, systemd services) keep what they have: name them by
--pid. Who may unmount in the container can take the files away again.
A container that its engine starts again has them again only by the hook (plimsoll install); `plimsoll
doctor` names those that have lost them.

Examples:
  plimsoll attach web                  the container of that name, whoever runs it
  plimsoll attach --all --dry-run      what would become of every container
  plimsoll attach --pid 4711           the container of a process, of any engine or none

Exit status:
  0; 1 if a container could not be reached, or not every file be put; 125 for another error.";

const EXIT_STATUS: &str = "\
Exit status:
  0; 1 if a container could not be reached; 125 for another error.";

/// One container, as far as it is known.
#[derive(Debug)]
struct Asked {
    container: Option<Container>,
    pid: Pid,
    /// Whether it was named, and not only one of all.
    is_named: bool,
}

impl Asked {
    /// Leaves or takes back the note of a container that will be known again.
    fn note(&self, act: fn(&AttachedNote) -> io::Result<()>) {
        let Some(container) = &self.container else {
            return;
        };
        let note = AttachedNote {
            engine: container.engine.to_string(),
            id: container.id.clone(),
        };
        if let Err(error) = act(&note) {
            let shown = container.shown();
            super::complain(&format!(
                "doctor will not tell whether {shown} has lost its files: {error}"
            ));
        }
    }
}

/// What became of one.
#[derive(Debug, serde::Serialize)]
struct Row {
    engine: Option<engines::Engine>,
    id: Option<String>,
    name: Option<String>,
    pid: Pid,
    state: &'static str,
    mounts: usize,
    unchanged: usize,
    problems: Vec<String>,
    #[serde(skip)]
    shown: String,
}

impl Attach {
    pub(super) fn run(self) -> Result<u8> {
        let config = config::read(&self.which.config)?;
        let view = self.view.unwrap_or(config.mountpoint.clone());
        must_be_root()?;
        if self.pending {
            return attach_waiting(&view, &config);
        }
        let answers = Answers::here()?;
        let act = |asked: &Asked| {
            let unlimited = asked.is_named || config.unlimited;
            let execution = self.which.execution();
            let delivered = attach_one(
                &answers,
                &view,
                asked.pid,
                unlimited,
                execution,
                config.hook_timeout,
            );
            if execution == Execution::Apply && matches!(delivered, Delivery::Mounted { .. }) {
                asked.note(AttachedNote::leave);
            }
            delivered
        };
        let words = match self.which.dry_run {
            true => ["would be attached", "has its files"],
            false => ["attached", "has its files"],
        };
        self.which.report(words, act)
    }
}

impl Detach {
    pub(super) fn run(self) -> Result<u8> {
        let Config { hook_timeout, .. } = config::read(&self.which.config)?;
        must_be_root()?;
        let execution = self.which.execution();
        let words = match self.which.dry_run {
            true => ["would be detached", "has none of our files"],
            false => ["detached", "has none of our files"],
        };
        self.which.report(words, |asked| {
            if execution == Execution::Apply {
                asked.note(AttachedNote::take_back);
            }
            told(
                attach::detach(asked.pid, execution, hook_timeout),
                hook_timeout,
            )
        })
    }
}

fn must_be_root() -> Result<()> {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => bail!("only root may enter containers"),
    }
}

/// What became of it, of one that has not come back too.
fn told(delivered: Option<Delivery>, hook_timeout: Duration) -> Delivery {
    let late = || {
        let hook_timeout = humantime::format_duration(hook_timeout);
        Delivery::Failed(format!(
            "a file system there, or the daemon, has not answered within {hook_timeout}"
        ))
    };
    delivered.unwrap_or_else(late)
}

fn attach_one(
    answers: &Answers,
    view: &Path,
    pid: Pid,
    unlimited: bool,
    execution: Execution,
    hook_timeout: Duration,
) -> Delivery {
    let container = match answers.caller(pid.main_thread()) {
        Ok(Caller::Container(container)) => container,
        Ok(Caller::Host) => {
            return Delivery::Failed("it is a process of the host itself".to_owned());
        }
        Err(error) => return Delivery::Failed(format!("{:#}", anyhow::Error::from(error))),
    };
    let inside = (pid, container.key);
    told(
        attach::attach(view, inside, unlimited, execution, hook_timeout),
        hook_timeout,
    )
}

/// Those that hooks have left word of, and that are still there.
fn attach_waiting(view: &Path, config: &Config) -> Result<u8> {
    let answers = Answers::here()?;
    let mut status = 0;
    for PendingContainer { id, pid } in notes::take_up(view) {
        for _ in 0..100 {
            if !inject::is_being_made(pid) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let execution = Execution::Apply;
        match attach_one(
            &answers,
            view,
            pid,
            config.unlimited,
            execution,
            config.hook_timeout,
        ) {
            Delivery::Mounted { refused, .. } if refused.is_empty() => {}
            Delivery::Unlimited => {}
            Delivery::Mounted { refused, .. } => {
                let first = refused.first().map_or("", String::as_str);
                super::complain(&format!("container {id} has not all of its files: {first}"));
                status = UNREACHED;
            }
            Delivery::NotServed(why) | Delivery::Failed(why) => {
                super::complain(&format!("container {id} keeps the host's files: {why}"));
                status = UNREACHED;
            }
        }
    }
    Ok(status)
}

impl Which {
    fn execution(&self) -> Execution {
        match self.dry_run {
            true => Execution::DryRun,
            false => Execution::Apply,
        }
    }

    /// The containers that are meant, all of them known before anything is done.
    fn asked(&self) -> Result<Vec<Asked>> {
        let all = engines::all(Path::new("/")).context("cannot list the containers")?;
        if self.all {
            let all = all.into_iter().map(|container| Asked {
                pid: container.pid,
                container: Some(container),
                is_named: false,
            });
            return Ok(all.collect());
        }
        let mut asked = Vec::new();
        for word in &self.containers {
            let container = engines::find(&all, word)?;
            asked.push(Asked {
                pid: container.pid,
                container: Some(container.clone()),
                is_named: true,
            });
        }
        asked.extend(self.pid.iter().map(|pid| Asked {
            container: all.iter().find(|one| one.pid == *pid).cloned(),
            pid: *pid,
            is_named: true,
        }));
        Ok(asked)
    }

    fn report(&self, words: [&'static str; 2], act: impl Fn(&Asked) -> Delivery) -> Result<u8> {
        let asked = self.asked()?;
        let rows = asked.iter().map(|asked| row(asked, act(asked), words));
        let rows: Vec<Row> = rows.collect();
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?,
            Output::Table if rows.is_empty() => writeln!(out, "no container runs")?,
            Output::Table => {
                for row in &rows {
                    writeln!(out, "{}", row.line())?;
                }
            }
        }
        let is_well = rows.iter().all(|row| row.problems.is_empty());
        Ok(if is_well { 0 } else { UNREACHED })
    }
}

fn row(asked: &Asked, delivered: Delivery, [done, nothing]: [&'static str; 2]) -> Row {
    let (state, mounts, unchanged, problems) = match delivered {
        Delivery::Mounted {
            mounts,
            unchanged,
            refused,
        } => match (mounts, refused.is_empty()) {
            (0, true) => (nothing, 0, unchanged, refused),
            (0, false) if unchanged == 0 => ("failed", 0, 0, refused),
            (_, false) => ("incomplete", mounts, unchanged, refused),
            (_, true) => (done, mounts, unchanged, refused),
        },
        Delivery::Unlimited => ("no limit", 0, 0, Vec::new()),
        Delivery::NotServed(why) | Delivery::Failed(why) => ("failed", 0, 0, vec![why]),
    };
    let container = asked.container.as_ref();
    Row {
        engine: container.map(|one| one.engine),
        id: container.map(|one| one.id.clone()),
        name: container.and_then(|one| one.name.clone()),
        pid: asked.pid,
        state,
        mounts,
        unchanged,
        problems,
        shown: container.map_or("-".to_owned(), |one| one.shown().to_owned()),
    }
}

impl Row {
    /// What it is, and what became of it: all in one line.
    fn line(&self) -> String {
        let engine = self
            .engine
            .map_or("-".to_owned(), |engine| engine.to_string());
        let mut line = format!(
            "{engine:<10}  {:<24}  {:>7}  {}",
            self.shown, self.pid, self.state
        );
        if self.mounts > 0 {
            line += &format!(" ({} files)", self.mounts);
        }
        if let Some(first) = self.problems.first() {
            line += &format!(": {first}");
        }
        if self.problems.len() > 1 {
            line += &format!(" (and {} problems more)", self.problems.len() - 1);
        }
        line
    }
}
