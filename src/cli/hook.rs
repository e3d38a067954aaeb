//! `plimsoll hook`: the command that a container runtime calls. It is hidden, for no person types it.

use crate::{
    base::{
        config::{self, Config, HOOK_TIMEOUT_RANGE},
        output::{complain, escaped},
        paths, respawn,
    },
    inject::{
        Delivery,
        hook::{self, NewRoot, OciState, Stage},
        leave_out::LeaveOutRules,
        notes::PendingNote,
    },
};
use anyhow::Context;
use std::{fs, io, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

/// Binds the view's files into the container whose OCI state is on standard input.
///
/// For stage createRuntime or createContainer of an OCI runtime. A container that cannot have its
/// files starts all the same, with the host's; a line on standard error and in the system log
/// (journalctl -t plimsoll) says why. The daemon gives the container its files when the daemon is
/// back. A container with the annotation or label plimsoll.io/view=false keeps the host's files, and so
/// does one that [leave-out] in the configuration names. For a container that CRIU restores the hook does
/// nothing: CRIU restores the files. The settings come from /etc/plimsoll/config.toml and the options. Of its environment the hook reads only LXC_ROOTFS_MOUNT
/// and LXC_NAME, and only with --lxc.
///
/// Exit status: 0, or 1 if the container must not start.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Hook {
    /// The mount point of the view, instead of the configuration's
    #[arg(long = respawn::VIEW, value_name = "DIR")]
    view: Option<PathBuf>,
    /// Fails if a file is missing, as `require = true` in the configuration
    #[arg(long = respawn::REQUIRE)]
    require: bool,
    /// Serves a container without limits too, as `unlimited = true` in the configuration
    #[arg(long = respawn::UNLIMITED)]
    unlimited: bool,
    /// The time to wait for the daemon, instead of the configuration's
    #[arg(long = respawn::HOOK_TIMEOUT, value_name = "TIME", value_parser = |text: &str| HOOK_TIMEOUT_RANGE.parse(text))]
    hook_timeout: Option<Duration>,
    /// Takes name and root of the container from LXC (lxc.hook.mount), not from standard input
    #[arg(long)]
    lxc: bool,
    /// Further arguments of LXC; ignored
    #[arg(value_name = "ARG", requires = "lxc")]
    args: Vec<String>,
    /// Writes the error to a file as one line, for a runtime that does not pass the hook's error on
    #[arg(long = respawn::REPORT, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Reads this configuration instead
    #[arg(long, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

/// The status of a hook whose container must not start.
const REFUSED: u8 = 1;

impl Hook {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        let config = self.config();
        let rules = LeaveOutRules::new(config.leave_out.clone());
        let delivered = called(self.lxc, &rules).and_then(|call| match call {
            Some((id, stage)) => deliver(&id, &stage, &config),
            None => Ok(()),
        });
        let Err(error) = delivered else {
            return Ok(0);
        };
        let line = format!("{error:#}");
        if let Some(report) = &self.report {
            fs::write(report, &line)?;
        }
        complain(&line);
        if config.require {
            return Ok(REFUSED);
        }
        log(&line);
        Ok(0)
    }

    fn config(&self) -> Config {
        let config = match config::read(&self.config) {
            Ok(config) => config,
            Err(error) => {
                let error = anyhow::Error::from(error);
                log(&format!("a container starts with the defaults: {error:#}"));
                complain(&format!("{error:#}"));
                Config::default()
            }
        };
        Config {
            mountpoint: self.view.clone().unwrap_or(config.mountpoint),
            require: self.require || config.require,
            unlimited: self.unlimited || config.unlimited,
            hook_timeout: self.hook_timeout.unwrap_or(config.hook_timeout),
            ..config
        }
    }
}

/// Returns the name of the container and the stage of the hook; `None` for a container that `rules`
/// leave out of the view, or whose mounts CRIU restores.
fn called(by_lxc: bool, rules: &LeaveOutRules) -> anyhow::Result<Option<(String, Stage)>> {
    if !by_lxc {
        let state = OciState::read(io::stdin())?;
        if state.is_restored() {
            return Ok(None);
        }
        let stage = state.stage(rules).with_context(|| keeps(&state.id))?;
        return Ok(stage.map(|stage| (state.id, stage)));
    }
    let variable =
        |name| std::env::var(name).with_context(|| format!("{name} is not set: not called by LXC"));
    let name = variable("LXC_NAME")?;
    let root = PathBuf::from(variable("LXC_ROOTFS_MOUNT")?);
    let verdict = rules.of_lxc(&name, &root);
    if verdict.left_out.is_some() {
        return Ok(None);
    }
    // LXC calls the hook when it has made every mount.
    let stage = Stage::Inside(NewRoot {
        path: root,
        later: Vec::new(),
        host_parts: verdict.host_parts,
    });
    Ok(Some((name, stage)))
}

fn keeps(id: &str) -> String {
    format!("container {id} has the host's files")
}

fn deliver(id: &str, stage: &Stage, config: &Config) -> anyhow::Result<()> {
    let view = &config.mountpoint;
    let of = || keeps(id);
    let delivered = hook::bind(view, stage, config.unlimited, config.hook_timeout);
    let missing = match delivered {
        Some(Delivery::Mounted { refused, .. }) => {
            let mut refused = refused.into_iter();
            let Some(first) = refused.next() else {
                return Ok(());
            };
            let more = match refused.len() {
                0 => String::new(),
                more => format!(" (and {more} files more)"),
            };
            anyhow::bail!("container {id} has not all of its files: {first}{more}");
        }
        Some(Delivery::Unlimited | Delivery::LeftOut(_)) => return Ok(()),
        Some(Delivery::Late(why) | Delivery::Failed(why)) => anyhow::bail!("{}: {why}", of()),
        Some(Delivery::NotServed(why)) => why,
        None => format!(
            "the daemon at {} has not answered within {}",
            view.display(),
            humantime::format_duration(config.hook_timeout)
        ),
    };
    if config.require {
        anyhow::bail!("{}: {missing}", of());
    }
    let noted = PendingNote::of(id, view, stage.pid()).and_then(|note| note.leave());
    match noted {
        Ok(()) => anyhow::bail!("{} until the daemon is back: {missing}", of()),
        Err(error) => anyhow::bail!(
            "{}: {missing}; plimsoll attach gives it its own later (no note can be left: {error})",
            of()
        ),
    }
}

/// Writes a line to the system log, if there is one: a runtime does not pass on the output of a hook
/// that succeeds.
pub(super) fn log(line: &str) {
    // Severity and facility by RFC 3164: a warning of a daemon.
    let line = line.replace('\n', " ");
    let line = format!("<28>plimsoll: {}", escaped(&line));
    let sent = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.connect("/dev/log")?;
        socket.send(line.as_bytes())
    });
    // A line that is lost here still stands on standard error.
    drop(sent);
}
