//! The present set-up of an engine: the containers that get the view, and the file by which they do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml_edit::{DocumentMut, Item};

use super::{
    alias::{self, DockerAlias},
    change::below,
    containerd, docker, hooks,
    runtimes::{Runtimes, is_our_program},
    service,
};
use crate::{
    base::sys,
    facts::engines::{
        ADMINISTRATORS_HOOKS, CDI_DIRECTORIES, CommandLines, EnginePackage, Flag, HookMethod,
    },
};

/// The part of an engine's containers that gets the view, with the file or directory by which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetUp {
    /// Every container gets the view.
    All(PathBuf),
    /// Only containers that ask for the view get it: by the name of a runtime, or by a device.
    OnRequest(PathBuf),
    /// No container gets the view: the engine does not read the directory that has our hook.
    Unread(PathBuf),
    /// No container gets the view.
    No,
}

/// Returns the set-up of the engine on the machine whose root directory is `root`.
///
/// A file counts only as the engine reads it: one that the engine does not read, cannot parse, or
/// reads as something else sets nothing up.
#[must_use]
pub fn set_up(root: &Path, package: &EnginePackage) -> SetUp {
    let own = match &package.hook {
        HookMethod::DockerRuntime { configuration } => {
            docker_set_up(root, &service::configuration(root, package, configuration))
        }
        HookMethod::ContainerdRuntime {
            configuration,
            imported,
        } => {
            let path = service::configuration(root, package, configuration);
            containerd_set_up(root, &path, Path::new(imported))
        }
        HookMethod::OciHooks { directory, .. } => oci_hook_set_up(root, package, directory),
        HookMethod::LxcInclude { directory, .. } => {
            return match lxc_hooks(root, directory).has_ours {
                true => SetUp::All(directory.into()),
                false => SetUp::No,
            };
        }
        HookMethod::AttachOnly => return SetUp::No,
    };
    match own {
        SetUp::No => cdi_set_up(root),
        own => own,
    }
}

/// The mount hooks that the containers of LXC or Incus include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LxcHooks {
    /// A hook is Plimsoll's.
    pub has_ours: bool,
    /// A hook is lxcfs's.
    pub has_lxcfs: bool,
}

/// Returns the mount hooks in the files of `directory` on the machine whose root directory is
/// `root`.
#[must_use]
pub fn lxc_hooks(root: &Path, directory: &str) -> LxcHooks {
    let texts = texts(root, Path::new(directory), "conf");
    let programs: Vec<&str> = texts
        .iter()
        .flat_map(|text| hooks::lxc_programs(text))
        .collect();
    let (lxcfs, others): (Vec<&str>, Vec<&str>) = programs
        .into_iter()
        .partition(|program| program.ends_with(LXCFS_HOOK));
    let is_ours_there = |program: &&str| has_our_hook(root, Path::new(program));
    LxcHooks {
        has_ours: others.into_iter().any(is_our_program) || lxcfs.iter().any(is_ours_there),
        has_lxcfs: !lxcfs.iter().all(is_ours_there),
    }
}

/// The end of the path of lxcfs's mount hook. The package `plimsoll-lxcfs` has a hook of ours at that path.
const LXCFS_HOOK: &str = "lxcfs/lxc.mount.hook";

/// Returns whether the package `plimsoll-lxcfs`, whose hook is ours, is installed in the place of lxcfs.
pub(super) fn has_our_lxcfs(root: &Path) -> bool {
    has_our_hook(root, &Path::new("/usr/share").join(LXCFS_HOOK))
}

fn has_our_hook(root: &Path, script: &Path) -> bool {
    text(root, script).contains("plimsoll hook --lxc")
}

/// Returns the flag of Docker's service with which Docker takes no default runtime from its
/// configuration.
#[must_use]
pub fn docker_flag(root: &Path, package: &EnginePackage) -> Option<Flag> {
    match package.hook {
        HookMethod::DockerRuntime { .. } => service::docker_conflict(root, package),
        _ => None,
    }
}

/// Returns the containers of Docker that need the name of our runtime, where Docker has the name as
/// that of another program, or not at all.
#[must_use]
pub fn docker_alias(root: &Path, package: &EnginePackage) -> Option<DockerAlias> {
    let HookMethod::DockerRuntime { configuration } = package.hook else {
        return None;
    };
    let path = service::configuration(root, package, configuration);
    alias::of_docker(root, package, docker::program(&text(root, &path)))
}

fn docker_set_up(root: &Path, configuration: &Path) -> SetUp {
    let runtimes = docker::runtimes(&text(root, configuration));
    let runtimes = runtimes.unwrap_or_default();
    match (runtimes.is_ours_default(), runtimes.ours.is_empty()) {
        (true, _) => SetUp::All(configuration.into()),
        (false, false) => SetUp::OnRequest(configuration.into()),
        (false, true) => SetUp::No,
    }
}

fn containerd_set_up(root: &Path, configuration: &Path, imported: &Path) -> SetUp {
    let main = text(root, configuration);
    let mut files = vec![(configuration, main.clone())];
    if containerd::runtime_table(&main) == Ok(containerd::RuntimeTable::DropIn) {
        let drop_ins = texts(root, imported, "toml").into_iter();
        files.extend(drop_ins.map(|text| (imported, text)));
    }
    // A later file adds runtimes to an earlier one's, and overrides its default.
    let mut merged = Runtimes::default();
    let (mut declared_in, mut default_in) = (None, None);
    for (path, text) in &files {
        let Ok(runtimes) = containerd::runtimes(text) else {
            continue;
        };
        if !runtimes.ours.is_empty() {
            declared_in.get_or_insert(*path);
        }
        if runtimes.default.is_some() {
            merged.default = runtimes.default;
            default_in = Some(*path);
        }
        merged.ours.extend(runtimes.ours);
    }
    match (merged.is_ours_default(), default_in, declared_in) {
        (true, Some(path), _) => SetUp::All(path.into()),
        (_, _, Some(path)) => SetUp::OnRequest(path.into()),
        _ => SetUp::No,
    }
}

fn oci_hook_set_up(root: &Path, package: &EnginePackage, default: &str) -> SetUp {
    let has_ours = |directory: &&str| {
        let hooks = texts(root, Path::new(directory), "json");
        hooks.iter().any(|text| hooks::is_our_oci_hook(text))
    };
    let read = hook_directories(root, package);
    let mut read = read.iter().map(String::as_str);
    let mut unread = [default, ADMINISTRATORS_HOOKS].into_iter();
    match (read.find(has_ours), unread.find(has_ours)) {
        (Some(directory), _) => SetUp::All(directory.into()),
        (None, Some(directory)) => SetUp::Unread(directory.into()),
        (None, None) => SetUp::No,
    }
}

fn cdi_set_up(root: &Path) -> SetUp {
    let has_ours = |directory: &&&str| {
        let directory = Path::new(directory);
        let devices = ["json", "yaml"].map(|extension| texts(root, directory, extension));
        devices.iter().flatten().any(|text| hooks::is_our_cdi(text))
    };
    match CDI_DIRECTORIES.iter().find(has_ours) {
        Some(directory) => SetUp::OnRequest((*directory).into()),
        None => SetUp::No,
    }
}

/// Returns the directories of hooks that the engine reads, in ascending order of precedence; none for
/// an engine without such hooks.
///
/// A flag of the engine's service counts first, then the list in the last of the settings that has
/// one; a list with `{append=true}` adds to those before. The engine reads both directories of its
/// packages if the list is empty, and the default one if there is no list.
pub(super) fn hook_directories(root: &Path, package: &EnginePackage) -> Vec<String> {
    let HookMethod::OciHooks {
        directory,
        settings,
        key,
        ..
    } = &package.hook
    else {
        return Vec::new();
    };
    let lines = CommandLines::of(root, package);
    if let Some(flag) = lines.flag(&["hooks-dir"]) {
        return flag.value.split(',').map(str::to_owned).collect();
    }
    let moved = [
        lines.flag(&["config", "c"]),
        lines.flag(&["config-dir", "d"]),
    ];
    let moved = moved.into_iter().flatten().map(|flag| flag.value);
    let mut paths: Vec<String> = settings.iter().map(|path| (*path).to_owned()).collect();
    paths.extend(moved);
    let mut found: Option<Vec<String>> = None;
    for path in &paths {
        let texts = match below(root, Path::new(path)).is_dir() {
            true => texts(root, Path::new(path), "conf"),
            false => vec![text(root, Path::new(path))],
        };
        for (list, appends) in texts.iter().filter_map(|text| directories(text, key)) {
            let mut all = found.filter(|_| appends).unwrap_or_default();
            all.extend(list);
            found = Some(all);
        }
    }
    match found {
        None => vec![(*directory).to_owned()],
        Some(none) if none.is_empty() => {
            [*directory, ADMINISTRATORS_HOOKS].map(str::to_owned).into()
        }
        Some(found) => found,
    }
}

/// Returns the list of directories under the key, and whether the list adds to earlier ones.
fn directories(text: &str, key: &[&str]) -> Option<(Vec<String>, bool)> {
    let document: DocumentMut = text.parse().ok()?;
    let mut item = Some(document.as_item());
    for key in key {
        item = item.and_then(|item| item.get(key));
    }
    let list = item.and_then(Item::as_array)?;
    let names = list.iter().filter_map(|it| it.as_str().map(str::to_owned));
    let attributes = list.iter().filter_map(|it| it.as_inline_table());
    let mut appends = attributes.filter_map(|table| table.get("append")?.as_bool());
    Some((names.collect(), appends.any(|appends| appends)))
}

/// Returns the text of a file; an empty one if the file cannot be read.
fn text(root: &Path, path: &Path) -> String {
    sys::read_text(&below(root, path)).unwrap_or_default()
}

/// Returns the texts of the files with that extension in a directory, ordered by name.
fn texts(root: &Path, directory: &Path, extension: &str) -> Vec<String> {
    let files = fs::read_dir(below(root, directory));
    let files = files.into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == extension));
    paths.sort();
    let texts = paths.iter().map(|path| sys::read_text(path));
    texts.filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::engines::Engine;

    const RUNTIMES: &str =
        "\"runtimes\": {\"plimsoll\": {\"path\": \"/usr/bin/plimsoll-runtime\"}}";
    const DOCKER: &str = "/etc/docker/daemon.json";

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = below(root.path(), Path::new(path));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn of(engine: Engine, files: &[(&str, &str)]) -> SetUp {
        set_up(machine(files).path(), engine.packages().next().unwrap())
    }

    fn of_docker(text: &str) -> SetUp {
        of(Engine::Docker, &[(DOCKER, text)])
    }

    #[test]
    fn a_runtime_that_is_not_the_default_is_only_for_those_that_ask() {
        assert_eq!(of_docker("{\"debug\": true}"), SetUp::No);
        let on_request = SetUp::OnRequest(DOCKER.into());
        assert_eq!(of_docker(&format!("{{{RUNTIMES}}}")), on_request);
        let other = format!("{{\"default-runtime\": \"runc\", {RUNTIMES}}}");
        assert_eq!(of_docker(&other), on_request);
        let default = format!("{{\n\"default-runtime\": \"plimsoll\",\n{RUNTIMES}}}");
        assert_eq!(of_docker(&default), SetUp::All(DOCKER.into()));
    }

    #[test]
    fn a_default_runtime_whose_name_stands_on_the_next_line_is_the_default() {
        let text = format!("{{\n\"default-runtime\":\n  \"plimsoll\",\n{RUNTIMES}}}");
        assert_eq!(of_docker(&text), SetUp::All(DOCKER.into()));
    }

    #[test]
    fn our_name_in_an_option_of_the_log_sets_nothing_up() {
        let text = "{\"log-opts\": {\"tag\": \"plimsoll\"}, \"default-runtime\": \"runc\"}";
        assert_eq!(of_docker(text), SetUp::No);
    }

    #[test]
    fn a_runtime_of_ours_by_another_name_counts_too() {
        let path = "\"path\": \"/opt/plimsoll-runtime\"";
        let text =
            format!("{{\"runtimes\": {{\"mine\": {{{path}}}}}, \"default-runtime\": \"mine\"}}");
        assert_eq!(of_docker(&text), SetUp::All(DOCKER.into()));
    }

    const OCI_HOOK: &str = include_str!("../../../packaging/hooks.d/plimsoll.json");

    #[test]
    fn a_hook_in_a_directory_that_podman_does_not_read_sets_nothing_up() {
        let etc = ("/etc/containers/oci/hooks.d/plimsoll.json", OCI_HOOK);
        let unread = SetUp::Unread("/etc/containers/oci/hooks.d".into());
        assert_eq!(of(Engine::Podman, &[etc]), unread);
        assert_eq!(of(Engine::Crio, &[etc]), unread);
        let read = ("/usr/share/containers/oci/hooks.d/plimsoll.json", OCI_HOOK);
        let all = SetUp::All("/usr/share/containers/oci/hooks.d".into());
        assert_eq!(of(Engine::Podman, &[read]), all);
    }

    #[test]
    fn a_hook_in_a_directory_that_the_settings_name_counts() {
        let hook = ("/etc/containers/oci/hooks.d/plimsoll.json", OCI_HOOK);
        let podman = "[engine]\nhooks_dir = [\"/etc/containers/oci/hooks.d\"]\n";
        let podman = ("/etc/containers/containers.conf", podman);
        let all = SetUp::All("/etc/containers/oci/hooks.d".into());
        assert_eq!(of(Engine::Podman, &[hook, podman]), all);
        let crio = "[crio.runtime]\nhooks_dir = [\"/etc/containers/oci/hooks.d\"]\n";
        let crio = ("/etc/crio/crio.conf.d/10-hooks.conf", crio);
        assert_eq!(of(Engine::Crio, &[hook, crio]), all);
    }

    #[test]
    fn the_engines_last_word_about_its_directories_of_hooks_counts() {
        let podman = |files: &[(&str, &str)]| {
            hook_directories(
                machine(files).path(),
                Engine::Podman.packages().next().unwrap(),
            )
        };
        let (usr, etc) = ("/usr/share/containers/oci/hooks.d", ADMINISTRATORS_HOOKS);
        assert_eq!(podman(&[]), [usr]);
        let empty = (
            "/etc/containers/containers.conf",
            "[engine]\nhooks_dir = []\n",
        );
        assert_eq!(podman(&[empty]), [usr, etc]);
        let one = (
            "/etc/containers/containers.conf",
            "[engine]\nhooks_dir = [\"/one\"]\n",
        );
        let two = "[engine]\nhooks_dir = [\"/two\", {append=true}]\n";
        let two = ("/etc/containers/containers.conf.d/2.conf", two);
        assert_eq!(podman(&[one, two]), ["/one", "/two"]);
        let crio = (
            "/usr/lib/systemd/system/crio.service",
            "ExecStart=/usr/bin/crio --hooks-dir /a,/b\n",
        );
        let crio = machine(&[crio]);
        let package = Engine::Crio.packages().next().unwrap();
        assert_eq!(hook_directories(crio.path(), package), ["/a", "/b"]);
    }

    const HANDLER: &str = "version = 3\n\
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.plimsoll.options]\n\
        BinaryName = '/usr/bin/plimsoll-runtime'\n";

    #[test]
    fn a_handler_of_containerd_is_for_pods_that_ask_unless_it_is_the_default() {
        let path = "/etc/containerd/config.toml";
        let on_request = SetUp::OnRequest(path.into());
        assert_eq!(of(Engine::Containerd, &[(path, HANDLER)]), on_request);
        let default = "[plugins.'io.containerd.cri.v1.runtime'.containerd]\n\
            default_runtime_name = 'plimsoll'\n";
        let text = format!("{HANDLER}{default}");
        assert_eq!(
            of(Engine::Containerd, &[(path, &text)]),
            SetUp::All(path.into())
        );
        let comment = ("/etc/containerd/config.toml", "version = 2 # plimsoll\n");
        assert_eq!(of(Engine::Containerd, &[comment]), SetUp::No);
    }

    #[test]
    fn a_file_beside_containerds_configuration_counts_only_if_that_imports_it() {
        let drop_in = ("/etc/containerd/conf.d/plimsoll.toml", HANDLER);
        let imports = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n";
        let imports = ("/etc/containerd/config.toml", imports);
        let on_request = SetUp::OnRequest("/etc/containerd/conf.d".into());
        assert_eq!(of(Engine::Containerd, &[drop_in, imports]), on_request);
        let alone = ("/etc/containerd/config.toml", "version = 3\n");
        assert_eq!(of(Engine::Containerd, &[drop_in, alone]), SetUp::No);
    }

    #[test]
    fn a_mount_hook_of_ours_sets_lxc_up_and_a_comment_about_it_does_not() {
        let path = "/usr/share/lxc/config/common.conf.d/plimsoll.conf";
        let hook = (path, "lxc.hook.mount = /usr/bin/plimsoll hook --lxc\n");
        let directory = "/usr/share/lxc/config/common.conf.d";
        assert_eq!(of(Engine::Lxc, &[hook]), SetUp::All(directory.into()));
        let comment = (path, "# plimsoll was here\n");
        assert_eq!(of(Engine::Lxc, &[comment]), SetUp::No);
    }

    #[test]
    fn a_hook_at_the_path_of_lxcfs_is_of_the_package_that_has_it() {
        let directory = "/usr/share/lxc/config/common.conf.d";
        let conf = include_str!("../../../packaging/lxcfs/00-lxcfs.conf");
        let conf = ("/usr/share/lxc/config/common.conf.d/00-lxcfs.conf", conf);
        let script = "/usr/share/lxcfs/lxc.mount.hook";
        let ours = include_str!("../../../packaging/lxcfs/lxc.mount.hook");
        for (text, has_ours) in [(ours, true), ("#!/bin/sh -e\n", false)] {
            let root = machine(&[conf, (script, text)]);
            let found = lxc_hooks(root.path(), directory);
            let has_lxcfs = !has_ours;
            assert_eq!(
                found,
                LxcHooks {
                    has_ours,
                    has_lxcfs
                }
            );
        }
    }

    #[test]
    fn a_device_is_for_those_that_ask_for_it() {
        let device = ("/etc/cdi/plimsoll.json", hooks::cdi("/usr/bin/plimsoll"));
        let device = (device.0, device.1.as_str());
        assert_eq!(
            of(Engine::Podman, &[device]),
            SetUp::OnRequest("/etc/cdi".into())
        );
        assert_eq!(of(Engine::Lxc, &[device]), SetUp::No);
    }

    #[test]
    fn every_set_up_that_install_makes_is_found() {
        use crate::inject::install::{Installable, TargetHost, carry_out, plan_install};
        let root = machine(&[
            ("/usr/bin/dockerd", ""),
            ("/usr/bin/containerd", ""),
            ("/usr/bin/podman", ""),
            ("/usr/bin/crio", ""),
            ("/usr/bin/lxc-start", ""),
            ("/opt/incus/bin/incusd", ""),
        ]);
        let host = TargetHost {
            root: root.path().to_owned(),
            program: "/usr/bin/plimsoll".into(),
            chained: None,
            view: "/var/lib/plimsoll".into(),
        };
        carry_out(&host, &plan_install(&host, &Installable::all()).unwrap()).unwrap();
        fs::remove_dir_all(root.path().join("etc/cdi")).unwrap();
        for engine in [
            Engine::Docker,
            Engine::Podman,
            Engine::Crio,
            Engine::Lxc,
            Engine::Incus,
        ] {
            let installed = crate::facts::engines::installed(engine, root.path()).unwrap();
            let found = set_up(root.path(), installed.package);
            assert!(matches!(found, SetUp::All(_)), "{engine}: {found:?}");
        }
        let containerd = Engine::Containerd.packages().next().unwrap();
        assert!(matches!(
            set_up(root.path(), containerd),
            SetUp::OnRequest(_)
        ));
    }
}
