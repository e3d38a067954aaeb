//! The engines that are installed, and the containers of each that get the view.

use super::{Finding, Level, probe};
use crate::{
    base::{mountinfo::Mount, paths::FS_TYPE},
    facts::engines::{self, Engine, EnginePackage, Flag, HookMethod},
    inject::install::{self, Alias, DockerAlias, SetUp},
};
use std::{path::Path, thread};

/// The state of one engine that is installed.
#[derive(Debug)]
pub(super) struct EngineState {
    engine: Engine,
    /// The version; `None` where the program was not asked, or did not answer.
    version: Option<String>,
    set_up: SetUp,
    /// The flag with which Docker takes no default runtime from its configuration.
    flag: Option<Flag>,
    /// The containers of Docker that need our runtime's name, which is no runtime of ours.
    alias: Option<DockerAlias>,
    /// The file with the hook of lxcfs, with which no hook of ours can be set up.
    lxcfs: Option<String>,
    /// No daemon serves.
    awaits_daemon: bool,
}

/// Reads the state of each engine that is installed below `root` and has hooks. The programs are
/// asked for their versions only if `is_here`: `root` is this machine's.
pub(super) fn read(root: &Path, mounts: &[Mount], is_here: bool) -> Vec<EngineState> {
    let engines = Engine::ALL.into_iter().filter(|engine| engine.has_hooks());
    let installed = engines.filter_map(|engine| engines::installed(engine, root));
    let asked = installed.map(|installed| {
        let set_up = set_up(root, mounts, installed.package);
        let flag = install::docker_flag(root, installed.package);
        let alias = install::docker_alias(root, installed.package);
        let lxcfs = install::lxcfs_hook(root, installed.package);
        // Each program may take its time, so they are asked at once.
        let version = thread::spawn(move || {
            let printed = is_here.then(|| probe::command(installed.program, &["--version"]));
            printed.flatten().as_deref().and_then(version)
        });
        (
            installed.package.engine,
            (set_up, flag, alias, lxcfs),
            version,
        )
    });
    let asked: Vec<_> = asked.collect();
    let states =
        asked.into_iter().map(
            |(engine, (set_up, flag, alias, lxcfs), version)| EngineState {
                flag,
                alias,
                lxcfs,
                awaits_daemon: false,
                engine,
                version: version.join().ok().flatten(),
                set_up,
            },
        );
    states.collect()
}

/// Returns the first word that is a version, of the text that a program prints about itself.
fn version(printed: &str) -> Option<String> {
    let words = printed.split([' ', '\n', ',']);
    let is_version = |word: &&str| {
        let word = word.strip_prefix('v').unwrap_or(word);
        word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.')
    };
    let mut versions = words.filter(is_version);
    versions.next().map(str::to_owned)
}

/// Returns the set-up of an engine. A Plimsoll daemon at the mount point of lxcfs is a set-up too.
pub(in crate::ops) fn set_up(root: &Path, mounts: &[Mount], package: &EnginePackage) -> SetUp {
    if let HookMethod::LxcInclude { lxcfs, .. } = package.hook {
        let mut ours = mounts.iter().filter(|mount| mount.kind == FS_TYPE);
        if ours.any(|mount| mount.point == Path::new(lxcfs)) {
            return SetUp::All(lxcfs.into());
        }
    }
    install::set_up(root, package)
}

/// Finds everything about an engine. `awaits_daemon` is true if no daemon serves.
pub(super) fn find_all(state: EngineState, awaits_daemon: bool) -> Vec<Finding> {
    let state = EngineState {
        awaits_daemon,
        ..state
    };
    let first = [find(&state)].into_iter();
    first.chain(find_alias(&state)).collect()
}

fn find(state: &EngineState) -> Finding {
    let version = state.version.as_deref().unwrap_or("unknown version");
    let name = state.engine.name();
    if let Some(flag) = &state.flag {
        return flagged(state, version, flag);
    }
    match &state.set_up {
        SetUp::All(by) => {
            let by = by.display();
            let text = match state.awaits_daemon {
                true => format!(
                    "{version}; every container gets the view by {by}, once a daemon serves"
                ),
                false => format!("{version}; every container gets the view by {by}"),
            };
            Finding::new(Level::Ok, name, text)
        }
        SetUp::OnRequest(by) => {
            let by = by.display();
            let text = format!("{version}; only containers that ask for the view get it, by {by}");
            Finding::new(Level::Note, name, text)
        }
        SetUp::Unread(directory) => {
            let text = format!(
                "{version}; no container gets the view: the hook in {} is not read, because hooks_dir \
                 does not name that directory",
                directory.display()
            );
            let fix = format!("plimsoll install {name}, which writes the hook where it is read");
            Finding::new(Level::Error, name, text).fix(fix)
        }
        SetUp::No => {
            let text = format!("{version}; no container gets the view");
            let fix = match &state.lxcfs {
                Some(hook) => format!(
                    "move {hook} of lxcfs away (dpkg-divert --rename), then plimsoll install {name}"
                ),
                None => format!("plimsoll install {name}"),
            };
            Finding::new(Level::Warning, name, text).fix(fix)
        }
    }
}

/// Finds the containers of Docker that were made with our runtime, where the runtime is not ours any
/// more.
fn find_alias(state: &EngineState) -> Option<Finding> {
    let name = state.engine.name();
    Some(match state.alias.as_ref()? {
        DockerAlias::Known(Alias { runtime, users }) => {
            let text = format!(
                "the runtime plimsoll is a name of {}, for containers that were made with it: {}",
                runtime.display(),
                users.join(", ")
            );
            let fix = format!("make them anew, then plimsoll uninstall {name}");
            Finding::new(Level::Note, name, text).fix(fix)
        }
        DockerAlias::Unknown(users) => {
            let text = format!(
                "Docker has no runtime plimsoll, so containers that were made with it do not start: {}",
                users.join(", ")
            );
            let fix = format!(
                "plimsoll install {name}, or plimsoll uninstall {name}, which makes plimsoll a name of runc; \
                 then systemctl reload docker"
            );
            Finding::new(Level::Error, name, text).fix(fix)
        }
    })
}

/// Judges a flag that does not go with a default runtime in the configuration.
fn flagged(state: &EngineState, version: &str, Flag { name, file, .. }: &Flag) -> Finding {
    let file = file.display();
    let (level, harm) = match state.set_up {
        SetUp::All(_) => (Level::Error, "Docker does not start again"),
        _ => (Level::Warning, "no container gets the view"),
    };
    let text = format!(
        "{version}; {harm}: {name} in {file} forbids a default runtime in the configuration"
    );
    let fix = format!(
        "remove {name} from {file}, then plimsoll install {}",
        state.engine
    );
    Finding::new(level, state.engine.name(), text).fix(fix)
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
    fn lxc_is_set_up_where_lxcfs_would_serve() {
        let line = "30 24 0:26 / /var/lib/lxcfs ro - fuse.plimsoll plimsoll:/var/lib/lxcfs rw\n";
        let mounts: Vec<Mount> = crate::base::mountinfo::parse(line).collect();
        let of = |engine: Engine| {
            let package = engine.packages().next().unwrap();
            set_up(Path::new("/nowhere"), &mounts, package)
        };
        assert_eq!(of(Engine::Lxc), SetUp::All("/var/lib/lxcfs".into()));
        assert_eq!(of(Engine::Docker), SetUp::No);
    }

    /// The findings of a machine with these files, none of which holds anything.
    fn found(files: &[&str]) -> Vec<Finding> {
        let root = tempfile::tempdir().unwrap();
        for path in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        read(root.path(), &[], false).iter().map(find).collect()
    }

    #[test]
    fn incus_of_zabblys_package_is_found_and_install_knows_it() {
        let found = found(&["opt/incus/bin/incusd"]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].fix.as_deref(), Some("plimsoll install incus"));
    }

    /// The findings beside the first one of a Docker with a container of our runtime.
    fn of_docker_with(configuration: &str) -> Vec<Finding> {
        let root = tempfile::tempdir().unwrap();
        let stored = r#"{"Runtime":"plimsoll"}"#;
        for (path, text) in [
            ("usr/bin/dockerd", ""),
            ("etc/docker/daemon.json", configuration),
            ("var/lib/docker/containers/web/hostconfig.json", stored),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let states = read(root.path(), &[], false);
        states.iter().filter_map(find_alias).collect()
    }

    #[test]
    fn containers_whose_runtime_is_gone_are_an_error_and_with_an_alias_a_note() {
        let runtime =
            |path: &str| format!(r#"{{"runtimes": {{"plimsoll": {{"path": "{path}"}}}}}}"#);
        let found = of_docker_with("{}");
        assert_eq!(found[0].level, Level::Error);
        assert!(found[0].finding.ends_with("do not start: web"), "{found:?}");
        let found = of_docker_with(&runtime("/usr/bin/runc"));
        assert_eq!(found[0].level, Level::Note);
        assert!(
            found[0].finding.contains("a name of /usr/bin/runc"),
            "{found:?}"
        );
        assert_eq!(of_docker_with(&runtime("/usr/bin/plimsoll-runtime")), []);
    }

    #[test]
    fn an_engine_with_the_hook_of_lxcfs_is_set_up_after_that_hook_is_gone() {
        let hook = "usr/share/lxc/config/common.conf.d/00-lxcfs.conf";
        let fix = found(&["usr/bin/lxc-start", hook])[0].fix.clone().unwrap();
        assert_eq!(
            fix,
            format!("move /{hook} of lxcfs away (dpkg-divert --rename), then plimsoll install lxc")
        );
    }

    #[test]
    fn a_set_up_without_a_daemon_gives_no_container_the_view_yet() {
        let docker = EngineState {
            engine: Engine::Docker,
            version: None,
            set_up: SetUp::All("/etc/docker/daemon.json".into()),
            flag: None,
            alias: None,
            lxcfs: None,
            awaits_daemon: true,
        };
        let found = find(&docker);
        assert!(
            found.finding.ends_with(", once a daemon serves"),
            "{found:?}"
        );
    }

    #[test]
    fn an_engine_without_hooks_is_not_mentioned() {
        assert_eq!(found(&["usr/bin/systemd-nspawn"]), []);
    }
}
