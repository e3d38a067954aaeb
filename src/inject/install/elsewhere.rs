//! The files that make single calls of Podman read hooks elsewhere than Podman's settings say: by an
//! environment variable that names other settings, or by a flag.
//!
//! Any program may call Podman so, and no list of files is complete. These are the files of the
//! machine's administrator.

use super::change::below;
use crate::base::sys;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The variables that name settings which Podman reads instead of the usual ones, or after them.
const VARIABLES: [&str; 2] = ["CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE"];

/// The flag that names directories of hooks.
const FLAG: &str = "--hooks-dir";

/// The files, and the directories of files, that set variables for many programs or call Podman.
const PLACES: [&str; 12] = [
    "/etc/environment",
    "/etc/environment.d",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/systemd/system.conf",
    "/etc/systemd/system.conf.d",
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/etc/containers/systemd",
];

/// A place that makes Podman read hooks elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksElsewhere {
    /// The variable or the flag.
    pub name: &'static str,
    /// The file, as the machine names it.
    pub file: PathBuf,
}

/// Returns the first place on the machine whose root directory is `root`.
#[must_use]
pub fn hooks_elsewhere(root: &Path) -> Option<HooksElsewhere> {
    let files = PLACES
        .iter()
        .flat_map(|place| files(root, Path::new(place)));
    let mut found = files.filter_map(|file| {
        let text = sys::read_text(&below(root, &file)).ok()?;
        let name = text.lines().find_map(named)?;
        Some(HooksElsewhere { name, file })
    });
    found.next()
}

/// Returns the file, or the files in the directory and in the directories there.
fn files(root: &Path, place: &Path) -> Vec<PathBuf> {
    let names = |directory: &Path| {
        let entries = fs::read_dir(below(root, directory));
        let entries = entries.into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = entries
            .map(|entry| directory.join(entry.file_name()))
            .collect();
        names.sort();
        names
    };
    let is_file = |path: &PathBuf| below(root, path).is_file();
    let first = [place.to_owned()].into_iter().chain(names(place));
    let inner = names(place).into_iter().flat_map(|path| names(&path));
    first.chain(inner).filter(is_file).collect()
}

/// Returns the variable that a line sets, or the flag that it gives to Podman.
fn named(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let sets = |variable: &&'static str| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let assignment = format!("{variable}=");
        let mut found = line.match_indices(assignment.as_str());
        found.any(|(at, _)| {
            line.get(..at)
                .is_some_and(|before| !before.ends_with(is_part))
        })
    };
    let variable = VARIABLES.into_iter().find(|variable| sets(variable));
    // A Quadlet gives Podman's flags in the keys PodmanArgs and GlobalArgs.
    let calls =
        line.contains("podman") || line.starts_with("PodmanArgs") || line.starts_with("GlobalArgs");
    variable.or_else(|| (calls && line.contains(FLAG)).then_some(FLAG))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Option<(&'static str, PathBuf)> {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        let found = hooks_elsewhere(root.path())?;
        Some((found.name, found.file))
    }

    #[test]
    fn a_file_that_makes_podman_read_hooks_elsewhere_is_named() {
        for (path, text, name) in [
            (
                "etc/environment",
                "CONTAINERS_CONF=/srv/c.conf\n",
                "CONTAINERS_CONF",
            ),
            (
                "etc/profile.d/x.sh",
                "export CONTAINERS_CONF_OVERRIDE=/srv/c.conf\n",
                "CONTAINERS_CONF_OVERRIDE",
            ),
            (
                "etc/profile.d/alias.sh",
                "alias podman='podman --hooks-dir /srv/hooks'\n",
                "--hooks-dir",
            ),
            (
                "etc/systemd/system/web.service",
                "[Service]\nExecStart=/usr/bin/podman --hooks-dir=/srv run web\n",
                "--hooks-dir",
            ),
            (
                "etc/systemd/system/podman.service.d/env.conf",
                "[Service]\nEnvironment=\"CONTAINERS_CONF=/srv/c.conf\"\n",
                "CONTAINERS_CONF",
            ),
            (
                "etc/containers/systemd/web.container",
                "[Container]\nGlobalArgs=--hooks-dir /srv\n",
                "--hooks-dir",
            ),
        ] {
            assert_eq!(
                found(path, text),
                Some((name, Path::new("/").join(path))),
                "{text}"
            );
        }
        for text in [
            "# CONTAINERS_CONF=/srv/c.conf\n",
            "MY_CONTAINERS_CONF=/srv/c.conf\n",
            "ExecStart=/usr/bin/crio --hooks-dir /srv\n",
            "",
        ] {
            assert_eq!(found("etc/environment", text), None, "{text}");
        }
    }
}
