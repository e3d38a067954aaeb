//! `plimsoll install` and `plimsoll uninstall`.

/// The report of the plans, as text and as JSON.
mod report;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgGroup, Args, ValueEnum, builder::PossibleValuesParser};
use report::{EngineReport, Extent};

use super::rights::require_root;
use crate::{
    base::{config, output, paths},
    facts::engines::Engine,
    inject::{
        install::{self, HooksElsewhere, Installable, Plan, TargetHost},
        tree::{is_served, not_served},
    },
};

/// The exit status of `--check` where something would change: that of `terraform plan
/// -detailed-exitcode` and of Puppet's `--detailed-exitcodes`.
const CHANGE_STATUS: u8 = 2;

/// Set up engines, so that every new container has the view.
///
/// Writes the configuration files of each engine, keeps their other content, and prints the command
/// that makes the engine read them. Restarts nothing. A second call changes nothing; uninstall
/// restores the files.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(false))]
#[command(after_long_help = INSTALL)]
pub(super) struct Install {
    #[command(flatten)]
    selection: EngineSelection,
}

/// Restore the files that install has written.
///
/// A file without later changes gets its former content back, byte for byte. A file with later
/// changes keeps them and loses the entries of Plimsoll.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(false))]
#[command(after_long_help = UNINSTALL)]
pub(super) struct Uninstall {
    #[command(flatten)]
    selection: EngineSelection,
}

#[derive(Debug, Args)]
struct EngineSelection {
    /// The engines
    #[arg(value_name = "ENGINE", group = "which", value_parser = engines())]
    engines: Vec<String>,
    /// Select every engine that is installed on this machine
    #[arg(long, group = "which")]
    all: bool,
    /// Print the changes as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write nothing, and exit with status 2 if something would change
    ///
    /// Configuration management asks in this way. The exit status is 0 if nothing would change.
    #[arg(long)]
    check: bool,
    /// The output format
    #[arg(short, long, value_enum, default_value_t = InstallFormat::Text)]
    output: InstallFormat,
    /// The root directory of the machine
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InstallFormat {
    /// Text for people
    Text,
    /// JSON for programs: an array of objects with `engine`, `state` (`changed`, `unchanged`,
    /// `absent` for an engine that is not on the machine, or `skipped` with a `reason`), `files` (`path`, `diff`, which is
    /// empty if only the record for uninstall changes), `then`, the command that must follow, if any, and
    /// `needed_by`, the containers that need the name of the runtime after an uninstall, if any.
    /// With --check and --dry-run `changed` is what would change
    Json,
}

const INSTALL: &str = "\
Engines:
  docker      the runtime plimsoll in /etc/docker/daemon.json, or where
              --config-file of the service leads, as the default; refused
              where the service has --default-runtime
  containerd  the runtime handler plimsoll in /etc/containerd/config.toml, or
              beside it where it imports conf.d (containerd 2), for a
              Kubernetes RuntimeClass; and NRI, for plimsoll nri, where
              containerd has it switched off
  podman      a hook in a directory of hooks_dir, by default
              /usr/share/containers/oci/hooks.d; where /usr is read-only,
              below /etc with a drop-in that names the directory
  crio        the same hook
  lxc         a mount hook in /usr/share/lxc/config/common.conf.d, unless
              lxcfs has one there
  incus       the same hook; below /opt/incus for the package of Zabbly
  cdi         the device plimsoll.io/view=container in /etc/cdi; not one of
              --all
  criu        the mounts of the view in /etc/criu/default.conf, so that CRIU
              dumps and restores containers that have the view (runc
              checkpoint, podman container checkpoint)

Examples:
  plimsoll install docker --dry-run
      the changes as a diff
  plimsoll install docker && systemctl reload docker
      every new container has the view
  plimsoll install --all --check
      writes nothing, and says by its exit status whether something would
      change
  plimsoll install --all -o json
      JSON for programs

Exit status:
  0 if every engine is set up, is not there, or is skipped for the reason that
  is printed; with --check 2 if something would change; 125 for an error, after
  which nothing is written unless the error is a failed write.

Where the hook of lxcfs is set up for LXC and Incus, install the package
plimsoll-lxcfs, or move the hook away (dpkg-divert --rename), or run plimsoll
daemon /var/lib/lxcfs in the place of lxcfs, where the hook of lxcfs finds
every file. Debian's incus.service requires lxcfs.service, so on Debian the
last way does not work for Incus.

A container is restored where criu is installed here too and the daemon
serves. A container whose /proc is not masked (--privileged) must lose the
files before its checkpoint: plimsoll detach.";

const UNINSTALL: &str = "\
Examples:
  plimsoll uninstall --all --dry-run
      the changes as a diff
  plimsoll uninstall docker && systemctl reload docker
  plimsoll uninstall --all --check
      exits with 2 if an engine is set up, else with 0

Docker starts each container with the runtime that made it. Where a container
was made while plimsoll was the default runtime, the name plimsoll stays in
Docker's configuration as a name of runc, with a list of these containers.
Make them anew, then uninstall docker once more.";

fn engines() -> PossibleValuesParser {
    PossibleValuesParser::new(Installable::all().into_iter().map(Installable::name))
}

impl Install {
    pub(super) fn run(self) -> Result<u8> {
        let host = self.selection.host()?;
        self.selection.check_rights()?;
        if self.selection.is_here() {
            install::check_program(&host.program)?;
        }
        let engines = self.selection.engines();
        if !self.selection.all {
            for engine in &engines {
                engine.require(&host)?;
            }
        }
        let plans = install::plan_install(&host, &engines)?;
        self.selection.carry_out(&host, &plans)?;
        let status = self.selection.show(&host, &plans, Installable::note)?;
        let podman = Installable::named(Engine::Podman.name());
        if engines.iter().any(|engine| Some(*engine) == podman) {
            warn_of_podman(&host.root);
        }
        let is_set_up = plans.iter().any(|plan| !plan.changes.is_empty());
        if self.selection.is_here() && !self.selection.check && is_set_up && !is_served(&host.view)
        {
            let missing = not_served(&host.view);
            output::complain(&format!(
                "{missing}; until then containers see this machine"
            ));
        }
        Ok(status)
    }
}

/// Complains of a file that makes single calls of Podman read hooks elsewhere.
fn warn_of_podman(root: &Path) {
    if let Some(HooksElsewhere { name, file }) = install::hooks_elsewhere(root) {
        output::complain(&format!(
            "podman: {} has {name}: a container that is made with it gets no view if its hooks are read elsewhere",
            file.display()
        ));
    }
}

impl Uninstall {
    pub(super) fn run(self) -> Result<u8> {
        let host = self.selection.host()?;
        self.selection.check_rights()?;
        let mut plans = install::plan_uninstall(&host, &self.selection.engines())?;
        self.selection.carry_out(&host, &plans)?;
        if self.selection.all {
            // A package calls this at its removal, and most engines are not there.
            plans.retain(|plan| plan.is_needed() || plan.alias.is_some());
        }
        if plans.is_empty() && self.selection.output == InstallFormat::Text {
            output::print("no engine is set up\n")?;
            return Ok(0);
        }
        if self.selection.dry_run && self.selection.output == InstallFormat::Text {
            // Standard output is a patch.
            let aliases = plans.iter().filter_map(|plan| plan.alias.as_ref());
            aliases.for_each(|alias| output::complain(&report::need(alias)));
        }
        self.selection.show(&host, &plans, Installable::farewell)
    }
}

impl EngineSelection {
    /// Returns whether the machine is this one.
    fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Returns whether the files are written.
    fn writes(&self) -> bool {
        !self.dry_run && !self.check
    }

    /// Makes sure that this process may write the files.
    fn check_rights(&self) -> Result<()> {
        match self.is_here() && self.writes() {
            true => require_root("a change of an engine's configuration"),
            false => Ok(()),
        }
    }

    fn host(&self) -> Result<TargetHost> {
        let path = Path::new(paths::CONFIG_FILE);
        let path = path.strip_prefix("/").unwrap_or(path);
        let config = config::read_if_there(&self.root.join(path))?;
        let own = std::env::current_exe().ok().filter(|_| self.is_here());
        Ok(TargetHost {
            root: self.root.clone(),
            program: own.unwrap_or_else(|| "/usr/bin/plimsoll".into()),
            chained: Some(config.runtime.path).filter(|path| !path.as_os_str().is_empty()),
            view: config.mountpoint,
        })
    }

    fn engines(&self) -> Vec<Installable> {
        let all = || {
            Installable::all()
                .into_iter()
                .filter(|it| it.is_one_of_all())
        };
        match self.all {
            true => all().collect(),
            false => self
                .engines
                .iter()
                .filter_map(|name| Installable::named(name))
                .collect(),
        }
    }

    fn carry_out(&self, host: &TargetHost, plans: &[Plan]) -> Result<()> {
        if self.writes() {
            install::carry_out(host, plans)?;
        }
        Ok(())
    }

    /// Prints the plans, and returns the exit status.
    fn show(
        &self,
        host: &TargetHost,
        plans: &[Plan],
        note: fn(Installable) -> &'static str,
    ) -> Result<u8> {
        let extent = match (self.dry_run, self.check) {
            (true, _) => Extent::Diff,
            (false, true) => Extent::Check,
            (false, false) => Extent::Done,
        };
        let report = EngineReport { host, extent, note };
        match self.output {
            InstallFormat::Text => {
                let texts = plans.iter().map(|plan| report.text(plan));
                output::print(&texts.collect::<String>())?;
            }
            InstallFormat::Json => {
                let plans = plans.iter().map(|plan| report.json(plan));
                output::print_json(&plans.collect::<Vec<_>>())?;
            }
        }
        match self.check && plans.iter().any(Plan::is_needed) {
            true => Ok(CHANGE_STATUS),
            false => Ok(0),
        }
    }
}
