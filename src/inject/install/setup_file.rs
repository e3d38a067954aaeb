//! The files that set engines up: the path of each, and the content with our part and without.

use std::path::{Path, PathBuf};

use super::{
    EditError, InstallError, TargetHost,
    change::{self, FileKind},
    containerd, criu, docker, hooks,
    runtimes::is_our_program,
};

/// A file that sets an engine up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetUpFile {
    /// The link `plimsoll-runtime`, which engines execute.
    RuntimeLink(PathBuf),
    /// Docker's configuration.
    Docker(PathBuf),
    /// containerd's configuration.
    Containerd(PathBuf),
    /// A file that only Plimsoll writes, and that containerd's configuration imports.
    ContainerdDropIn {
        /// The configuration.
        configuration: PathBuf,
        /// The directory that the configuration imports.
        imported: &'static str,
    },
    /// A hook in the directory of hooks that Podman and CRI-O read.
    OciHook(PathBuf),
    /// A drop-in of the settings of Podman or CRI-O that names the directories of hooks.
    HookDirectories {
        /// The file.
        path: PathBuf,
        /// The keys down to the list.
        key: &'static [&'static str],
        /// The directories.
        directories: Vec<String>,
    },
    /// A mount hook in the directory that the containers of LXC or Incus include.
    LxcHook(&'static str),
    /// A device of the Container Device Interface.
    CdiDevice,
    /// CRIU's configuration.
    Criu,
}

impl SetUpFile {
    /// Returns the path on the machine.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            SetUpFile::RuntimeLink(path) => path.clone(),
            SetUpFile::Docker(path)
            | SetUpFile::Containerd(path)
            | SetUpFile::HookDirectories { path, .. } => path.clone(),
            SetUpFile::ContainerdDropIn { imported, .. } => {
                Path::new(imported).join("plimsoll.toml")
            }
            SetUpFile::OciHook(directory) => directory.join("plimsoll.json"),
            SetUpFile::LxcHook(directory) => Path::new(directory).join("plimsoll.conf"),
            SetUpFile::CdiDevice => "/etc/cdi/plimsoll.json".into(),
            SetUpFile::Criu => criu::CONFIGURATION.into(),
        }
    }

    /// Returns the kind of the file.
    pub(super) fn kind(&self) -> FileKind {
        match self {
            SetUpFile::RuntimeLink(_) => FileKind::Link,
            _ => FileKind::Text,
        }
    }

    /// Returns the content with our part. `text` is the present content, `None` if the file does not
    /// exist.
    ///
    /// # Errors
    /// [`InstallError::Edit`] when the content is not a valid configuration of the engine.
    pub(super) fn set(
        &self,
        host: &TargetHost,
        text: Option<&str>,
    ) -> Result<String, InstallError> {
        let text = text.unwrap_or_default();
        let runtime = host.runtime();
        let runtime = runtime.to_string_lossy();
        let program = host.program.to_string_lossy();
        let set = match self {
            SetUpFile::RuntimeLink(_) if is_our_program(text) => Ok(text.to_owned()),
            SetUpFile::RuntimeLink(_) => Ok(host.name()),
            SetUpFile::Docker(_) => docker::set(text, &runtime, host.chained.is_some()),
            SetUpFile::Containerd(_) => containerd::set(text, &runtime),
            SetUpFile::ContainerdDropIn { configuration, .. } => {
                containerd::drop_in(&content(host, configuration)?, &runtime)
            }
            SetUpFile::OciHook(_) => Ok(hooks::oci(&program)),
            SetUpFile::HookDirectories {
                key, directories, ..
            } => Ok(hooks::directories(key, directories)),
            SetUpFile::LxcHook(_) => Ok(hooks::lxc(&program)),
            SetUpFile::CdiDevice => Ok(hooks::cdi(&program)),
            SetUpFile::Criu => Ok(criu::set(text, &host.view)),
        };
        set.map_err(self.edit_error())
    }

    /// Returns the content without our part; `None` if nothing is left. `text` is the present
    /// content, and `before` the content before our first change.
    ///
    /// # Errors
    /// [`InstallError::Edit`] when the content is not a valid configuration of the engine.
    pub(super) fn unset(
        &self,
        text: &str,
        before: Option<&str>,
    ) -> Result<Option<String>, InstallError> {
        let unset = match self {
            // A link that `install` did not make belongs to a package.
            SetUpFile::RuntimeLink(_) => Ok(Some(text.to_owned())),
            SetUpFile::Docker(_) => docker::unset(text, before),
            SetUpFile::Containerd(_) | SetUpFile::ContainerdDropIn { .. } => {
                containerd::unset(text)
            }
            SetUpFile::Criu => Ok(Some(criu::unset(text)).filter(|left| !left.is_empty())),
            SetUpFile::OciHook(_)
            | SetUpFile::HookDirectories { .. }
            | SetUpFile::LxcHook(_)
            | SetUpFile::CdiDevice => Ok(None),
        };
        unset.map_err(self.edit_error())
    }

    /// Returns the content `text`, which has no part of ours, with our name for the program `runtime`.
    ///
    /// # Errors
    /// [`InstallError::Edit`] when the content is not a valid configuration of the engine.
    pub(super) fn with_alias(
        &self,
        host: &TargetHost,
        text: &str,
        runtime: &str,
    ) -> Result<String, InstallError> {
        let set = match self {
            SetUpFile::RuntimeLink(_) => Ok(runtime.to_owned()),
            SetUpFile::Docker(_) => docker::alias(text, runtime),
            SetUpFile::Containerd(_) => containerd::set(text, runtime),
            SetUpFile::ContainerdDropIn { configuration, .. } => {
                containerd::drop_in(&content(host, configuration)?, runtime)
            }
            _ => Ok(text.to_owned()),
        };
        set.map_err(self.edit_error())
    }

    fn edit_error(&self) -> impl FnOnce(EditError) -> InstallError {
        let path = self.path();
        |source| InstallError::Edit { path, source }
    }
}

/// Returns the table in which this version of containerd expects runtimes.
///
/// # Errors
/// When the configuration cannot be read, or is not valid.
pub(super) fn containerd_table(
    host: &TargetHost,
    configuration: &Path,
) -> Result<containerd::RuntimeTable, InstallError> {
    let table = containerd::runtime_table(&content(host, configuration)?);
    table.map_err(SetUpFile::Containerd(configuration.to_owned()).edit_error())
}

fn content(host: &TargetHost, path: &Path) -> Result<String, InstallError> {
    let text = change::read(&host.root, path, FileKind::Text)?;
    Ok(text.unwrap_or_default())
}
