//! The runtime `plimsoll` after `uninstall`: an alias of the real runtime, as long as a container needs
//! the name or the program.

use super::{
    EditError, InstallError, TargetHost,
    change::below,
    runtimes::{NAME, is_our_program},
    setup_file::SetUpFile,
};
use crate::{
    facts::engines::{self, Engine, EnginePackage},
    inject::oci::{DEFAULT_PATH, RUNTIMES},
};
use std::path::{Path, PathBuf};

/// An alias that `uninstall` leaves, and the containers that need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The real runtime, by path or by name.
    pub runtime: PathBuf,
    /// The containers, as people call them, in order.
    pub users: Vec<String>,
}

/// Returns the alias that must stay in a file of that engine; `None` if no container needs one.
pub(super) fn of(host: &TargetHost, engine: Engine, file: &SetUpFile) -> Option<Alias> {
    let root = &host.root;
    let users = match file {
        SetUpFile::Docker(_) => {
            let installed = engines::installed(engine, root)?;
            engines::docker_containers_of(root, installed.package, NAME)
        }
        SetUpFile::Containerd(_) | SetUpFile::ContainerdDropIn { .. } => {
            engines::running_with(root, &host.runtime(), false)
        }
        SetUpFile::RuntimeLink(program) => engines::running_with(root, program, true),
        _ => Vec::new(),
    };
    if users.is_empty() {
        return None;
    }
    let runtime = real_runtime(host);
    let is_link = matches!(file, SetUpFile::RuntimeLink(_));
    (runtime.is_absolute() || !is_link).then_some(Alias { runtime, users })
}

/// Returns the runtime that `plimsoll-runtime` calls on that machine: by its path, or by its name if
/// only the engine finds it.
fn real_runtime(host: &TargetHost) -> PathBuf {
    let names = match &host.chained {
        Some(chained) => vec![chained.clone()],
        None => RUNTIMES.map(PathBuf::from).to_vec(),
    };
    let places = names.iter().flat_map(|name| {
        // A join with an absolute path is that path.
        let directories = DEFAULT_PATH.split(':');
        directories.map(move |directory| Path::new(directory).join(name))
    });
    let mut there = places.filter(|path| below(&host.root, path).exists());
    let found = there.next();
    found.unwrap_or_else(|| names.into_iter().next().unwrap_or_default())
}

impl Alias {
    /// Returns the content `left`, which has no part of Plimsoll, with the alias.
    ///
    /// # Errors
    /// [`InstallError::Edit`] when the content is not a valid configuration of the engine.
    pub(super) fn put(
        &self,
        host: &TargetHost,
        file: &SetUpFile,
        left: Option<&str>,
    ) -> Result<String, InstallError> {
        let runtime = self.runtime.to_string_lossy();
        file.with_alias(host, left.unwrap_or_default(), &runtime)
    }
}

/// The runtime that Docker has by the name `plimsoll`, where it is not Plimsoll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerAlias {
    /// Docker knows the name as that of another program.
    Known(Alias),
    /// Docker does not know the name, so these containers do not start.
    Unknown(Vec<String>),
}

/// Returns the containers of Docker that need the name of a runtime which is not Plimsoll any more;
/// `None` if there are none. `program` is the one that Docker's configuration has by the name.
pub(super) fn of_docker(
    root: &Path,
    package: &EnginePackage,
    program: Result<Option<String>, EditError>,
) -> Option<DockerAlias> {
    let program = program.ok()?;
    if program.as_deref().is_some_and(is_our_program) {
        return None;
    }
    let users = engines::docker_containers_of(root, package, NAME);
    if users.is_empty() {
        return None;
    }
    Some(match program {
        Some(program) => DockerAlias::Known(Alias {
            runtime: program.into(),
            users,
        }),
        None => DockerAlias::Unknown(users),
    })
}
