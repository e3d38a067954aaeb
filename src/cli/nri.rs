//! `plimsoll nri`: the plugin of containerd and CRI-O.

use super::{rights::require_root, stderr};
use crate::{
    base::{config, paths, respawn},
    inject::{
        attach::{AttachOptions, Execution},
        nri::{self, PluginSettings},
    },
};
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;

/// Give the containers of pods their files before they start, as a plugin of containerd or CRI-O.
///
/// The plugin speaks NRI, the Node Resource Interface. The runtime tells the plugin of each container
/// that starts, and waits for the plugin, at most 500 ms. Containers that run already get their files too.
/// The plugin runs in the foreground, and waits for a runtime that is not there. SIGTERM or Ctrl-C ends
/// the plugin; the containers keep their files, which the daemon serves.
#[derive(Debug, clap::Args)]
#[command(after_long_help = NOTES)]
pub(super) struct Nri {
    /// The socket on which the runtime accepts plugins
    #[arg(long, value_name = "PATH", default_value = paths::NRI_SOCKET)]
    socket: PathBuf,
    /// The mount point of the view, instead of the configuration's
    #[arg(long = respawn::VIEW, value_name = "DIR")]
    view: Option<PathBuf>,
    /// Reads this configuration
    #[arg(long = respawn::CONFIG, value_name = "FILE", default_value = paths::CONFIG_FILE)]
    config: PathBuf,
}

const NOTES: &str = "\
A container gets nothing if its limits leave it the whole machine (unless the
configuration says `unlimited = true`), if it has the pid namespace of the
host, if its runtime class has a kernel of its own (kata, gvisor), or if it is
left out: by [leave-out] in the configuration, or by an annotation of its pod.
The annotation plimsoll.io/view=false leaves out every container of the pod,
and view.plimsoll.io/container.NAME=false or =true decides for one container.

No container fails or waits longer because of the plugin: `require` of the
configuration does not count here. A container that starts while no daemon
serves gets its files when a daemon is back.

Exit status:
  0 after a signal; 125 for an error, such as another plugin on the socket.";

impl Nri {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        stderr::logs(LevelFilter::INFO);
        let config = config::read(&self.config)?;
        require_root("plimsoll nri")?;
        let settings = PluginSettings {
            socket: self.socket,
            options: AttachOptions {
                view: self.view.unwrap_or(config.mountpoint),
                unlimited: config.unlimited,
                is_forced: false,
                execution: Execution::Apply,
                timeout: config.hook_timeout,
            },
            leave_out: config.leave_out,
        };
        nri::serve(&settings)?;
        Ok(0)
    }
}
