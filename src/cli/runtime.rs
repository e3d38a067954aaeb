//! `plimsoll runtime`.

use std::{ffi::OsString, path::Path};

use crate::{
    base::{
        config::{self, Config},
        paths,
    },
    inject::oci::Wrapper,
};

/// Be an OCI runtime: runc or crun, with the view in every container.
///
/// For engines that have no hooks of their own, Docker and containerd. A container that is made
/// gets the hook that brings its files in, and a time namespace where the runtime has them;
/// every other call is the real runtime's, untouched. Called as plimsoll-runtime, which is what
/// an engine's configuration names, the program does the same.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Runtime {
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
      what makes it the runtime of Docker
  docker run --runtime plimsoll -m 256m busybox cat /proc/meminfo
      one container, if it is installed and not the default
  ctr run --runc-binary /usr/bin/plimsoll-runtime docker.io/library/busybox:latest b
      one container of containerd
  plimsoll runtime -- --version
      the version of the real runtime

Configuration (/etc/plimsoll/config.toml):
  [runtime]
  path = \"nvidia-container-runtime\"  # what it becomes, by path or name; else runc, else crun
  time-namespace = false             # no clocks of its own for a container

A container whose configuration cannot be edited starts without its view, with a warning, unless
the configuration says require = true.";

impl Runtime {
    pub(super) fn run(self) -> anyhow::Result<u8> {
        become_runtime(&self.args)
    }
}

/// Becomes the real runtime, with these arguments; returns only an error.
pub(super) fn become_runtime(args: &[OsString]) -> anyhow::Result<u8> {
    let warn = |line: &str| {
        super::complain(line);
        super::hook::log(line);
    };
    // A mistake in the configuration must not keep every container from being stopped and removed.
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
        has_clocks: config.runtime.time_namespace,
        is_required: config.require,
    };
    match wrapper.become_runtime(args, warn)? {}
}
