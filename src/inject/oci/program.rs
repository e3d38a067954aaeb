//! The search for the real runtime.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::error::WrapperError;

/// The runtimes to search for if none is configured, in order.
pub(in crate::inject) const RUNTIMES: [&str; 2] = ["runc", "crun"];

/// The search path of a caller without a `PATH`.
pub(in crate::inject) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds the configured runtime, by path or by name, or the first of runc and crun, in the
/// directories of `path`.
///
/// # Errors
///
/// When there is none, or when the configured one is this program.
pub(super) fn find(
    configured: Option<&Path>,
    path: Option<&str>,
    own: &Path,
) -> Result<PathBuf, WrapperError> {
    let path = path.filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
    if let Some(configured) = configured {
        let found = match configured.is_absolute() {
            true => is_program(configured).then(|| configured.to_owned()),
            false => find_in(path, configured),
        };
        let found = found.ok_or_else(|| WrapperError::Missing(configured.to_owned()))?;
        return match is_same(&found, own) {
            true => Err(WrapperError::Itself(found)),
            false => Ok(found),
        };
    }
    let mut found = RUNTIMES
        .iter()
        .filter_map(|name| find_in(path, Path::new(name)));
    found
        .find(|program| !is_same(program, own))
        .ok_or(WrapperError::None)
}

fn find_in(path: &str, name: &Path) -> Option<PathBuf> {
    let absolute = path
        .split(':')
        .filter(|directory| directory.starts_with('/'));
    let mut places = absolute.map(|directory| Path::new(directory).join(name));
    places.find(|place| is_program(place))
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::symlink};

    fn program(directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn runc_comes_before_crun_and_what_is_configured_before_both() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let own = program(here, "plimsoll");
        let path = here.to_str();
        assert!(matches!(find(None, path, &own), Err(WrapperError::None)));
        let crun = program(here, "crun");
        assert_eq!(find(None, path, &own).unwrap(), crun);
        let runc = program(here, "runc");
        assert_eq!(find(None, path, &own).unwrap(), runc);
        let named = find(Some(Path::new("crun")), path, &own).unwrap();
        assert_eq!(named, crun);
        assert_eq!(find(Some(&crun), Some("/none"), &own).unwrap(), crun);
    }

    #[test]
    fn the_wrapper_never_calls_itself() {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let own = program(here, "plimsoll");
        symlink("plimsoll", here.join("runc")).unwrap();
        let path = here.to_str();
        assert!(matches!(find(None, path, &own), Err(WrapperError::None)));
        let itself = find(Some(Path::new("runc")), path, &own);
        assert!(matches!(itself, Err(WrapperError::Itself(_))));
        let crun = program(here, "crun");
        assert_eq!(find(None, path, &own).unwrap(), crun);
    }

    #[test]
    fn a_runtime_that_is_configured_and_not_there_is_named() {
        let missing = find(Some(Path::new("/none/runc")), None, Path::new("/own"));
        let said = missing.unwrap_err().to_string();
        assert_eq!(said, "there is no runtime /none/runc");
    }
}
