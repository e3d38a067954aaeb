//! `plimsoll runtime`.

use std::{ffi::OsString, path::Path};

use super::hook;
use crate::{
    base::{
        config::{self, Config},
        output, paths,
    },
    inject::oci::Wrapper,
};

/// Be an OCI runtime: runc or crun, with the view in every container.
///
/// Docker and containerd have no hooks of their own, so they call this runtime. A new container
/// gets the hook that mounts its files, and a time namespace where the real runtime supports one.
/// Every other call goes to the real runtime unchanged, and so does
/// one that makes a container which is left out of the view (plimsoll.io/view=false, or [leave-out] in
/// the configuration). The program does the same when it is
/// called as plimsoll-runtime, the name in the configuration of an engine.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RuntimeCommand {
    /// The arguments of an OCI runtime; after --, also options that Plimsoll has itself
    #[arg(
        value_name = "ARG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    args: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  plimsoll install docker --dry-run
      the change that makes plimsoll the runtime of Docker
  docker run --runtime plimsoll -m 256m busybox cat /proc/meminfo
      one container, where plimsoll is registered but not the default
  ctr run --runc-binary /usr/bin/plimsoll-runtime IMAGE NAME
      one container of containerd
  plimsoll runtime -- --version
      the version of the real runtime

Configuration (/etc/plimsoll/config.toml):
  [runtime]
  # The real runtime, by path or name; else runc, else crun.
  path = \"nvidia-container-runtime\"
  # Containers keep the clocks of the host.
  time-namespace = false

A container whose configuration cannot be edited starts without its view, with
a warning, unless the configuration says require = true.";

impl RuntimeCommand {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        become_runtime(&self.args)
    }
}

/// Executes the real runtime in this process (exec) with the arguments `args`; returns only on
/// failure.
pub(super) fn become_runtime(args: &[OsString]) -> anyhow::Result<u8> {
    let warn = |line: &str| {
        output::complain(line);
        hook::log(line);
    };
    // A bad configuration must not prevent the stop and removal of containers.
    let config = config::read(Path::new(paths::CONFIG_FILE)).unwrap_or_else(|error| {
        warn(&format!(
            "{:#}; the defaults are used",
            anyhow::Error::from(error)
        ));
        Config::default()
    });
    let path = config.runtime.path;
    let wrapper = Wrapper {
        runtime: (!path.as_os_str().is_empty()).then_some(path),
        has_time_namespace: config.runtime.time_namespace,
        is_required: config.require,
        leave_out: config.leave_out,
    };
    match wrapper.exec_runtime(args, warn)? {}
}
