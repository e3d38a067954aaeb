//! The flags of an engine's service that decide what `install` may write, and where.

use super::{InstallError, TargetHost};
use crate::{
    base::sys,
    facts::engines::{CommandLines, EnginePackage, Flag},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// The time after which dockerd's answer is not waited for.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);

/// Returns the configuration file that the engine reads: the one that a flag of its service names,
/// else `default`.
pub(super) fn configuration(root: &Path, package: &EnginePackage, default: &str) -> PathBuf {
    let flag = CommandLines::of(root, package).flag(&["config-file", "config", "c"]);
    let named = flag.map(|flag| PathBuf::from(flag.value));
    let named = named.filter(|path| path.is_absolute());
    named.unwrap_or_else(|| default.into())
}

/// Returns the flag of Docker's service that forbids the key `default-runtime` in the configuration:
/// dockerd does not start with a directive in both places.
pub(super) fn docker_conflict(root: &Path, package: &EnginePackage) -> Option<Flag> {
    CommandLines::of(root, package).flag(&["default-runtime"])
}

/// Makes sure that dockerd starts with `text` as its configuration and the flags of its service.
///
/// dockerd 23 and later proves the configuration itself. Without a proof, a flag `--add-runtime` is a
/// conflict too: dockerd before 18.09 did not merge runtimes of flags and of the file.
///
/// # Errors
/// [`InstallError::Flag`] when a flag is in the way, [`InstallError::Unproven`] when dockerd refuses the
/// configuration.
pub(super) fn check_docker(
    host: &TargetHost,
    (package, program): (&EnginePackage, &Path),
    configuration: &Path,
    text: &str,
) -> Result<(), InstallError> {
    let conflict = |flag: Flag| InstallError::Flag {
        flag: flag.name,
        file: flag.file,
        configuration: configuration.to_owned(),
    };
    if let Some(flag) = docker_conflict(&host.root, package) {
        return Err(conflict(flag));
    }
    let lines = CommandLines::of(&host.root, package);
    let said = match host.root == Path::new("/") {
        true => proof(program, &lines, text),
        false => None,
    };
    match (said, lines.flag(&["add-runtime"])) {
        (Some((true, _)), _) | (None, None) => Ok(()),
        (None, Some(flag)) => Err(conflict(flag)),
        (Some((false, said)), _) => Err(InstallError::Unproven {
            path: configuration.to_owned(),
            said,
        }),
    }
}

/// Returns whether dockerd accepts the configuration, and its last words; `None` if dockerd cannot
/// tell.
fn proof(program: &Path, lines: &CommandLines, text: &str) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.arg("--validate").arg("--config-file=/dev/stdin");
    let mut is_value = false;
    for argument in lines.arguments() {
        let is_moved = argument.split('=').next() == Some("--config-file");
        if !is_moved && !is_value {
            command.arg(argument);
        }
        is_value = is_moved && !argument.contains('=');
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let (mut input, output) = (child.stdin.take()?, child.stderr.take()?);
    let text = text.to_owned();
    let said = sys::with_timeout(PROOF_TIMEOUT, move || {
        let _ = input.write_all(text.as_bytes());
        drop(input);
        sys::text_from(output)
    });
    if said.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    let said = said?;
    // dockerd before 23.
    let is_known = !said.contains("unknown flag: --validate");
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    is_known.then(|| (status.success(), last.unwrap_or_default().to_owned()))
}
