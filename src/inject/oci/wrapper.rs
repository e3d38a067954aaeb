//! A wrapper that edits the configuration of a new container and executes the real runtime in its own
//! process (exec).

use super::{
    arguments::Call,
    edit::{add_clocks, add_hook},
    error::{ConfigurationError, MAX_CONFIGURATION, WrapperError},
    features, hook_spec,
    outline::Outline,
    program,
};
use crate::{
    base::{
        config::LeaveOut,
        output,
        paths::RUN_DIR,
        sys::{self, chain},
    },
    facts::engines::NewContainer,
    inject::leave_out::LeaveOutRules,
};
use serde_json::json;
use std::{
    convert::Infallible,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// The settings of the wrapper.
#[derive(Debug, Default)]
pub struct Wrapper {
    /// The real runtime, by path or by name; `None` for the first of runc and crun that is found.
    pub runtime: Option<PathBuf>,
    /// Gives containers a time namespace where the real runtime supports one.
    pub has_time_namespace: bool,
    /// Refuses to make a container that cannot get its view.
    pub is_required: bool,
    /// The containers that stay as their engine makes them.
    pub leave_out: LeaveOut,
}

/// The environment variable with the pid of the wrapper, set before exec. A wrapper that finds its
/// own pid in it was executed by itself.
const LOOP_GUARD: &str = "PLIMSOLL_RUNTIME_PID";

impl Wrapper {
    /// Edits the configuration that the arguments of an OCI runtime name, and executes the real
    /// runtime in this process (exec). Returns only an error.
    ///
    /// `warn` gets one line when a container is made without its view.
    ///
    /// # Errors
    ///
    /// When there is no runtime to execute, or a container that must have its view cannot get it. The
    /// error is also written to the log that the engine named, if the log is in JSON.
    pub fn exec_runtime(
        &self,
        args: &[OsString],
        warn: impl FnOnce(&str),
    ) -> Result<Infallible, WrapperError> {
        let call = Call::parse(args);
        let done = self.edit_and_exec(&call, args, warn);
        if let (Some(log), Err(error)) = (&call.log, &done) {
            report(log, error);
        }
        done
    }

    fn edit_and_exec(
        &self,
        call: &Call,
        args: &[OsString],
        warn: impl FnOnce(&str),
    ) -> Result<Infallible, WrapperError> {
        let own = own_path();
        let path = env::var("PATH").ok();
        let runtime = program::find(self.runtime.as_deref(), path.as_deref(), &own)?;
        let pid = std::process::id().to_string();
        if env::var(LOOP_GUARD).is_ok_and(|before| before == pid) {
            return Err(WrapperError::Circle(runtime));
        }
        if let Some(configuration) = &call.configuration {
            let id = call.id.as_deref().unwrap_or_default();
            match self.edit((id, configuration), &own, &runtime) {
                Err(error) if self.is_required => return Err(error.into()),
                Err(error) => warn(&format!("a container gets no view: {}", chain(&error))),
                Ok(()) => {}
            }
        }
        let source = Command::new(&runtime)
            .args(args)
            .env(LOOP_GUARD, pid)
            .exec();
        let path = runtime;
        Err(WrapperError::Exec { path, source })
    }

    /// Edits the configuration of the container `id`, unless the container is left out.
    fn edit(
        &self,
        (id, path): (&str, &Path),
        own: &Path,
        runtime: &Path,
    ) -> Result<(), ConfigurationError> {
        let text = read(path)?;
        if self.leaves_out(id, path, &text) {
            return Ok(());
        }
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
        let clocks = self.has_time_namespace
            && features::supports_time_namespace_cached(runtime, Path::new(RUN_DIR));
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

    /// Returns whether a rule leaves the container `id` out of the view, whose configuration at `path`
    /// has that text.
    fn leaves_out(&self, id: &str, path: &Path, text: &[u8]) -> bool {
        let bundle = path.parent().unwrap_or(path).canonicalize();
        let container = NewContainer {
            id,
            bundle: bundle.as_deref().unwrap_or(path),
            pid: None,
        };
        let configuration = serde_json::from_slice(text).ok();
        let rules = LeaveOutRules::new(self.leave_out.clone());
        rules.of_new(container, configuration).left_out.is_some()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigurationError> {
    let refused = |source| ConfigurationError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(refused)?;
    let read = file.take(MAX_CONFIGURATION + 1).read_to_end(&mut text);
    if u64::try_from(read.map_err(refused)?).is_ok_and(|read| read > MAX_CONFIGURATION) {
        return Err(ConfigurationError::Long(path.to_owned()));
    }
    Ok(text)
}

/// Returns the path of this program, for the hook that the runtime calls later.
fn own_path() -> PathBuf {
    let own =
        fs::read_link("/proc/self/exe").unwrap_or_else(|_| hook_spec::PACKAGED_PROGRAM.into());
    // After an upgrade the link ends in ` (deleted)`; the path without it is the new program. The name
    // of a program may end so too.
    let upgraded = own.as_os_str().as_bytes().strip_suffix(b" (deleted)");
    match upgraded.filter(|_| !own.exists()) {
        Some(path) => OsStr::from_bytes(path).into(),
        None => own,
    }
}

/// Writes an error to the log of a runtime, which the engine reads.
fn report(log: &Path, error: &WrapperError) {
    let line = json!({ "level": "error", "msg": format!("plimsoll: {}", chain(error)) });
    if let Ok(mut log) = OpenOptions::new().create(true).append(true).open(log) {
        let _ = writeln!(log, "{}", output::json(&line.to_string()));
    }
}
