//! The engines that are here, and whether their containers get the view.

use super::{Finding, Level, ask};
use crate::base::{mountinfo::Mount, paths::FS_TYPE};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

/// Where LXC reads what all containers get.
pub(super) const LXC_HOOKS: &str = "/usr/share/lxc/config/common.conf.d";

/// Where programs are.
const PROGRAMS: [&str; 7] = [
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/sbin",
    "usr/libexec/incus",
    "opt/incus/bin",
    "snap/bin",
];
/// Where Podman and CRI-O read hooks.
const HOOKS: [&str; 2] = [
    "etc/containers/oci/hooks.d",
    "usr/share/containers/oci/hooks.d",
];
/// Where containers are given devices by CDI.
const CDI: [&str; 2] = ["etc/cdi", "var/run/cdi"];

/// An engine: its name, its programs, and where it would say that it uses the view.
struct Kind {
    name: &'static str,
    programs: &'static [&'static str],
    /// Files, or directories of files, one of which names Plimsoll once it is set up.
    configured_in: &'static [&'static str],
    /// Whether what lxcfs would serve reaches its containers by itself.
    takes_lxcfs: bool,
}

const KINDS: [Kind; 6] = [
    Kind {
        name: "docker",
        programs: &["dockerd", "docker"],
        configured_in: &["etc/docker/daemon.json"],
        takes_lxcfs: false,
    },
    Kind {
        name: "containerd",
        programs: &["containerd"],
        configured_in: &["etc/containerd/config.toml", "etc/containerd/conf.d"],
        takes_lxcfs: false,
    },
    Kind {
        name: "podman",
        programs: &["podman"],
        configured_in: &HOOKS,
        takes_lxcfs: false,
    },
    Kind {
        name: "crio",
        programs: &["crio"],
        configured_in: &HOOKS,
        takes_lxcfs: false,
    },
    Kind {
        name: "lxc",
        programs: &["lxc-start"],
        configured_in: &["usr/share/lxc/config/common.conf.d"],
        takes_lxcfs: true,
    },
    Kind {
        name: "incus",
        programs: &["incusd"],
        configured_in: &["usr/share/lxc/config/common.conf.d"],
        takes_lxcfs: true,
    },
];

/// How the containers of an engine get the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetUp {
    /// All of them, by that file or mount.
    All(PathBuf),
    /// Those that ask for it.
    OnRequest(PathBuf),
    No,
}

#[derive(Debug)]
pub(super) struct Engine {
    name: &'static str,
    /// `None` where it was not asked, or did not answer.
    version: Option<String>,
    set_up: SetUp,
}

/// The engines that are installed below `root`; they are asked for their versions if this is the
/// machine itself.
pub(super) fn read(root: &Path, mounts: &[Mount], is_here: bool) -> Vec<Engine> {
    let here = KINDS.into_iter().filter_map(|kind| {
        let program = program(root, kind.programs)?;
        let set_up = set_up(root, mounts, &kind);
        // Each may take its time.
        let version = thread::spawn(move || {
            let printed = is_here.then(|| ask::command(program, &["--version"]));
            printed.flatten().as_deref().and_then(version)
        });
        Some((kind.name, set_up, version))
    });
    let here: Vec<_> = here.collect();
    let here = here.into_iter().map(|(name, set_up, version)| Engine {
        name,
        version: version.join().ok().flatten(),
        set_up,
    });
    here.collect()
}

fn program(root: &Path, names: &[&str]) -> Option<PathBuf> {
    let paths = names
        .iter()
        .flat_map(|name| PROGRAMS.map(|directory| root.join(directory).join(name)));
    paths.into_iter().find(|path| path.exists())
}

/// The first word of what a program prints about itself that is a version.
fn version(printed: &str) -> Option<String> {
    let words = printed.split([' ', '\n', ',']);
    let is_version = |word: &&str| {
        let word = word.strip_prefix('v').unwrap_or(word);
        word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
    };
    let mut versions = words.filter(is_version);
    versions.next().map(str::to_owned)
}

/// Whether an engine's containers get the view: the one place that decides it.
fn set_up(root: &Path, mounts: &[Mount], kind: &Kind) -> SetUp {
    let rival = mounts.iter().find(|mount| {
        mount.kind == FS_TYPE
            && ["/var/lib/lxcfs", "/var/lib/incus-lxcfs"]
                .map(Path::new)
                .contains(&mount.point.as_path())
    });
    if let Some(mount) = rival.filter(|_| kind.takes_lxcfs) {
        return SetUp::All(mount.point.clone());
    }
    let mut files = kind.configured_in.iter();
    if let Some(file) = files.find(|file| has_file_with(&root.join(file), "plimsoll")) {
        let file = Path::new("/").join(file);
        // A runtime that is there is used by all containers only if it is the default.
        let text = fs::read_to_string(root.join(file.strip_prefix("/").unwrap_or(&file)));
        let text = text.unwrap_or_default();
        return match kind.name {
            "docker" if !names_as_default(&text, "default-runtime") => SetUp::OnRequest(file),
            "containerd" if !names_as_default(&text, "default_runtime_name") => {
                SetUp::OnRequest(file)
            }
            _ => SetUp::All(file),
        };
    }
    let mut devices = CDI.iter();
    match devices.find(|path| has_file_with(&root.join(path), "plimsoll")) {
        Some(path) if !kind.takes_lxcfs => SetUp::OnRequest(Path::new("/").join(path)),
        _ => SetUp::No,
    }
}

/// Whether that key of a configuration in JSON or TOML has our runtime.
fn names_as_default(text: &str, key: &str) -> bool {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .any(|line| {
            line.split_once(key).is_some_and(|(_, rest)| {
                rest.split(',')
                    .next()
                    .is_some_and(|value| value.contains("plimsoll"))
            })
        })
}

/// Whether that file, or one in that directory, has the text in it.
pub(super) fn has_file_with(path: &Path, text: &str) -> bool {
    let has = |path: &Path| fs::read_to_string(path).is_ok_and(|content| content.contains(text));
    match fs::read_dir(path) {
        Ok(files) => files.flatten().any(|file| has(&file.path())),
        Err(_) => has(path),
    }
}

pub(super) fn find(engine: &Engine) -> Finding {
    let version = engine.version.as_deref().unwrap_or("of an unknown version");
    let name = engine.name;
    match &engine.set_up {
        SetUp::All(by) => {
            let text = format!("{version}; its containers get the view by {}", by.display());
            Finding::new(Level::Ok, name, text)
        }
        SetUp::OnRequest(by) => {
            let by = by.display();
            let text =
                format!("{version}; those of its containers that ask for it get the view, by {by}");
            Finding::new(Level::Note, name, text)
        }
        SetUp::No => {
            let text = format!("{version}; its containers do not get the view");
            let fix = format!("plimsoll install {name}");
            Finding::new(Level::Warning, name, text).fix(fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        for (printed, expected) in [
            (
                "Docker version 26.1.5+dfsg1, build a72d7cd\n",
                Some("26.1.5+dfsg1"),
            ),
            (
                "containerd github.com/containerd/containerd 1.7.24~ds1 1.7.24~ds1-6\n",
                Some("1.7.24~ds1"),
            ),
            ("podman version 5.4.2\n", Some("5.4.2")),
            ("6.0.4\n", Some("6.0.4")),
            ("nothing\n", None),
        ] {
            assert_eq!(version(printed).as_deref(), expected);
        }
    }

    #[test]
    fn a_runtime_that_is_not_the_default_is_only_for_those_that_ask() {
        let root = tempfile::tempdir().unwrap();
        let docker = |text: &str| {
            fs::create_dir_all(root.path().join("etc/docker")).unwrap();
            fs::write(root.path().join("etc/docker/daemon.json"), text).unwrap();
            set_up(root.path(), &[], &KINDS[0])
        };
        assert_eq!(docker("{\"debug\": true}"), SetUp::No);
        let runtimes = "\"runtimes\": {\"plimsoll\": {\"path\": \"/usr/bin/plimsoll-runtime\"}}";
        let file = PathBuf::from("/etc/docker/daemon.json");
        assert_eq!(
            docker(&format!("{{{runtimes}}}")),
            SetUp::OnRequest(file.clone())
        );
        let default = format!("{{\n\"default-runtime\": \"plimsoll\",\n{runtimes}}}");
        assert_eq!(docker(&default), SetUp::All(file.clone()));
        let other = format!("{{\"default-runtime\": \"runc\", {runtimes}}}");
        assert_eq!(docker(&other), SetUp::OnRequest(file));
    }

    #[test]
    fn lxc_is_set_up_where_lxcfs_would_serve() {
        let line = "30 24 0:26 / /var/lib/lxcfs ro - fuse.plimsoll plimsoll:/var/lib/lxcfs rw\n";
        let mounts: Vec<Mount> = crate::base::mountinfo::parse(line).collect();
        let at = PathBuf::from("/var/lib/lxcfs");
        assert_eq!(
            set_up(Path::new("/nowhere"), &mounts, &KINDS[4]),
            SetUp::All(at)
        );
        assert_eq!(set_up(Path::new("/nowhere"), &mounts, &KINDS[0]), SetUp::No);
    }
}
