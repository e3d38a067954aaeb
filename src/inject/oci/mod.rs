//! An OCI runtime that is another one with our hook: for engines without hooks of their own.
//!
//! It edits the configuration of a container that is to be made, and then becomes the real
//! runtime; every other call it becomes at once.

mod arguments;
mod edit;
mod features;
pub mod hook_spec;
mod outline;
mod program;

pub use edit::{ShapeError, add_clocks, add_hook};

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use outline::Outline;
use serde_json::json;

use crate::base::{
    paths::RUN_DIR,
    sys::{self, chain},
};

/// Why the real runtime was not called.
#[derive(Debug, thiserror::Error)]
pub enum WrapperError {
    /// None is installed.
    #[error("there is neither runc nor crun here; name a runtime in the configuration")]
    None,
    /// The configured one is not installed.
    #[error("there is no runtime {}", .0.display())]
    Missing(PathBuf),
    /// The configured one is this program.
    #[error("the runtime {} is plimsoll itself", .0.display())]
    Itself(PathBuf),
    /// The runtime that was called has called this program again.
    #[error("the runtime {} calls plimsoll again", .0.display())]
    Circle(PathBuf),
    /// It cannot be run.
    #[error("cannot run {}", path.display())]
    Exec {
        /// The runtime.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The view is required, and the container's configuration cannot be edited.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
}

/// Why a container's configuration was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The configuration.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is longer than any engine writes.
    #[error("{} is longer than {} MiB", .0.display(), LONGEST >> 20)]
    Long(PathBuf),
    /// It is no JSON.
    #[error("cannot parse {}", path.display())]
    Parse {
        /// The configuration.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// It is no OCI configuration.
    #[error("cannot edit {}", path.display())]
    Edit {
        /// The configuration.
        path: PathBuf,
        /// What is wrong with it.
        source: ShapeError,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The configuration.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// How the wrapper works.
#[derive(Debug, Default)]
pub struct Wrapper {
    /// The real runtime, by path or by name; without it the first of runc and crun that is found.
    pub runtime: Option<PathBuf>,
    /// Whether containers get a time namespace where the real runtime has them.
    pub has_clocks: bool,
    /// Whether a container must not start without its view.
    pub is_required: bool,
}

/// The variable that tells a second call of the wrapper in the same process from a first one.
const CIRCLE: &str = "PLIMSOLL_RUNTIME_PID";

/// The longest configuration that is edited, in bytes.
const LONGEST: u64 = 64 << 20;

impl Wrapper {
    /// Does what the arguments of an OCI runtime ask for; returns only when that fails.
    ///
    /// `warn` is told, in one line, when a container is made without its view.
    ///
    /// # Errors
    ///
    /// When there is no runtime to become, or a container that must have its view cannot get it.
    /// It is written to the log that the engine named too, if that is one of JSON.
    pub fn become_runtime(
        &self,
        args: &[OsString],
        warn: impl FnOnce(&str),
    ) -> Result<Infallible, WrapperError> {
        let call = arguments::parse(args);
        let done = self.edit_and_become(&call, args, warn);
        if let (Some(log), Err(error)) = (&call.log, &done) {
            report(log, error);
        }
        done
    }

    fn edit_and_become(
        &self,
        call: &arguments::Call,
        args: &[OsString],
        warn: impl FnOnce(&str),
    ) -> Result<Infallible, WrapperError> {
        let own = own_path();
        let path = env::var("PATH").ok();
        let runtime = program::find(self.runtime.as_deref(), path.as_deref(), &own)?;
        let pid = std::process::id().to_string();
        if env::var(CIRCLE).is_ok_and(|before| before == pid) {
            return Err(WrapperError::Circle(runtime));
        }
        if let Some(configuration) = &call.configuration {
            match self.edit(configuration, &own, &runtime) {
                Err(error) if self.is_required => return Err(error.into()),
                Err(error) => warn(&format!("a container gets no view: {}", chain(&error))),
                Ok(()) => {}
            }
        }
        let source = Command::new(&runtime).args(args).env(CIRCLE, pid).exec();
        let path = runtime;
        Err(WrapperError::Exec { path, source })
    }

    fn edit(&self, path: &Path, own: &Path, runtime: &Path) -> Result<(), ConfigurationError> {
        let text = read(path)?;
        let parsed = Outline::parse(&text);
        let mut outline = parsed.map_err(|source| ConfigurationError::Parse {
            path: path.to_owned(),
            source,
        })?;
        let edited = |source| {
            let path = path.to_owned();
            ConfigurationError::Edit { path, source }
        };
        let hook = own.to_string_lossy();
        let mut is_changed = add_hook(&mut outline.parts, &hook).map_err(edited)?;
        let clocks = self.has_clocks && features::with_clocks(runtime, Path::new(RUN_DIR));
        if let Some(now) = sys::clocks().filter(|_| clocks) {
            is_changed |= add_clocks(&mut outline.parts, now).map_err(edited)?;
        }
        if !is_changed {
            return Ok(());
        }
        let written = sys::write_atomic(path, outline.text().as_bytes());
        written.map_err(|source| ConfigurationError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigurationError> {
    let refused = |source| ConfigurationError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(refused)?;
    let read = file.take(LONGEST + 1).read_to_end(&mut text);
    if u64::try_from(read.map_err(refused)?).is_ok_and(|read| read > LONGEST) {
        return Err(ConfigurationError::Long(path.to_owned()));
    }
    Ok(text)
}

/// Where this program lies, for a hook that is called later.
fn own_path() -> PathBuf {
    let own = fs::read_link("/proc/self/exe").unwrap_or_else(|_| "/usr/bin/plimsoll".into());
    // A program that was replaced since it was started: its place holds the new one.
    match own.to_str().and_then(|own| own.strip_suffix(" (deleted)")) {
        Some(place) => place.into(),
        None => own,
    }
}

/// Tells the engine what went wrong where it looks for what a runtime says.
fn report(log: &Path, error: &WrapperError) {
    let line = json!({ "level": "error", "msg": format!("plimsoll: {}", chain(error)) });
    if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(log) {
        let _ = writeln!(log, "{line}");
    }
}
