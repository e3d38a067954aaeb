//! Sets engines up, so that every container has the view, and takes the set-up back.
//!
//! A plan is complete before the first file is written. A record keeps the content of a file before
//! its first change: `uninstall` restores that content, byte for byte, if nobody else has changed the
//! file since, and else removes only our part.

mod alias;
mod change;
mod containerd;
mod criu;
mod docker;
mod elsewhere;
mod hooks;
mod installable;
mod lasting;
mod plan;
mod record;
mod runtimes;
mod service;
mod setup_file;
mod state;

pub use alias::{Alias, DockerAlias};
pub use change::Change;
pub use criu::{CriuState, criu_state};
pub use elsewhere::{HooksElsewhere, hooks_elsewhere};
pub use installable::{Installable, lxcfs_hook};
pub use lasting::check_program;
pub use plan::{Plan, carry_out, plan_install, plan_uninstall};
pub use state::{LxcHooks, SetUp, docker_alias, docker_flag, lxc_hooks, set_up};

use std::{io, path::PathBuf};

/// The reason for which an engine cannot be set up. Nothing was written, but for
/// [`InstallError::Write`].
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// An engine or program that the user named is not installed.
    #[error("{name} is not installed here: there is no {program}")]
    Missing {
        /// The name on the command line.
        name: &'static str,
        /// The program by which the engine would be found.
        program: &'static str,
    },
    /// The containers of LXC and Incus take the files of lxcfs.
    #[error(
        "{hook} gives containers of LXC and Incus the files of lxcfs: install the package plimsoll-lxcfs, move that file away \
         (dpkg-divert --rename), or run plimsoll daemon {lxcfs} in the place of lxcfs"
    )]
    Taken {
        /// The file with the hook of lxcfs.
        hook: String,
        /// The mount point of lxcfs.
        lxcfs: &'static str,
    },
    /// The program lies where it will not stay.
    #[error(
        "engines would call {}, and {} does not last: copy the program to /usr/local/bin, and install with the copy",
        program.display(),
        directory.display()
    )]
    Fleeting {
        /// The program.
        program: PathBuf,
        /// The directory that is emptied.
        directory: PathBuf,
    },
    /// The engine's service has a flag that does not go with our part of its configuration.
    #[error(
        "{flag} in {} forbids a runtime in {}: remove the flag, and name its program as runtime.path in \
         /etc/plimsoll/config.toml if containers need that runtime",
        file.display(),
        configuration.display()
    )]
    Flag {
        /// The flag.
        flag: String,
        /// The file that holds the flag.
        file: PathBuf,
        /// The configuration.
        configuration: PathBuf,
    },
    /// Docker refuses the configuration with our part.
    #[error("dockerd refuses {} with the runtime plimsoll: {said}", path.display())]
    Unproven {
        /// The configuration.
        path: PathBuf,
        /// The answer of dockerd.
        said: String,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be edited.
    #[error("cannot edit {}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: EditError,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// The reason for which a configuration cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not of the configuration's format.
    #[error("cannot parse the configuration: {0}")]
    Garbled(String),
    /// A part has another type than the engine expects.
    #[error("{0} has another type than the engine expects")]
    Misshapen(&'static str),
    /// containerd's configuration is of a version that has no such runtimes.
    #[error("the configuration is not of version 2 or later (see containerd config migrate)")]
    Version,
    /// Docker's default runtime would never be called any more.
    #[error(
        "the default runtime is {0}; name its program as runtime.path in /etc/plimsoll/config.toml, so \
         that plimsoll calls it"
    )]
    OtherDefault(String),
}

/// The machine whose engines are set up.
#[derive(Debug, Clone)]
pub struct TargetHost {
    /// The machine's root directory.
    pub root: PathBuf,
    /// The path of this program on the machine.
    pub program: PathBuf,
    /// The runtime that `plimsoll-runtime` calls, by path or by name, if the configuration names one.
    pub chained: Option<PathBuf>,
    /// The mount point of the view.
    pub view: PathBuf,
}

impl TargetHost {
    /// Returns the path by which an engine calls the program as its runtime.
    fn runtime(&self) -> PathBuf {
        self.program.with_file_name("plimsoll-runtime")
    }

    /// Returns the name of the program's file.
    fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}
