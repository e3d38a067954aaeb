//! Pure. Whose container a cgroup is, by its name.

/// A program that runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// containerd, for Kubernetes or by itself.
    Containerd,
    /// CRI-O.
    Crio,
    /// LXC, and Incus, which runs on it.
    Lxc,
    /// systemd-nspawn.
    Nspawn,
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
            Engine::Containerd => "containerd",
            Engine::Crio => "crio",
            Engine::Lxc => "lxc",
            Engine::Nspawn => "nspawn",
        })
    }
}

/// What an engine calls a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Whose it is.
    pub engine: Engine,
    /// Its id.
    pub id: String,
}

/// The container that a cgroup belongs to, the innermost if it lies in several; `None` if its path
/// names none.
#[must_use]
pub fn labelled(path: &str) -> Option<Label> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    (0..parts.len()).rev().find_map(|at| {
        let part = parts.get(at)?;
        let above = at.checked_sub(1).and_then(|at| parts.get(at)).copied();
        let (engine, id) = named(part).or_else(|| placed(part, above, path))?;
        Some(Label {
            engine,
            id: id.to_owned(),
        })
    })
}

/// By the name of the cgroup itself.
fn named(part: &str) -> Option<(Engine, &str)> {
    let scope = part.strip_suffix(".scope");
    for (begin, engine) in [
        ("docker-", Engine::Docker),
        ("libpod-", Engine::Podman),
        ("cri-containerd-", Engine::Containerd),
        ("crio-", Engine::Crio),
    ] {
        let id = scope.unwrap_or(part).strip_prefix(begin);
        if let Some(id) = id.filter(|id| is_id(id)) {
            return Some((engine, id));
        }
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some((Engine::Lxc, name));
    }
    let unit = part.strip_suffix(".service");
    let nspawn = unit.and_then(|unit| unit.strip_prefix("systemd-nspawn@"));
    let nspawn = nspawn.or_else(|| scope?.strip_prefix("machine-"));
    // libvirt names the scopes of its machines so too, with what runs them in front.
    let nspawn = nspawn.filter(|name| !name.starts_with("qemu") && !name.starts_with("lxc"));
    nspawn.map(|name| (Engine::Nspawn, name))
}

/// By where it lies.
fn placed<'a>(part: &'a str, above: Option<&str>, path: &str) -> Option<(Engine, &'a str)> {
    match above? {
        "docker" if is_id(part) => Some((Engine::Docker, part)),
        "lxc.payload" => Some((Engine::Lxc, part)),
        _ if is_id(part) && path.contains("/kubepods") => Some((Engine::Containerd, part)),
        _ => None,
    }
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|letter| letter.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    #[test]
    fn a_cgroup_tells_the_engine_and_the_container() {
        let id = "0".repeat(63) + "a";
        for (path, expected) in [
            (format!("/system.slice/docker-{id}.scope"), Engine::Docker),
            (format!("/docker/{id}"), Engine::Docker),
            (
                format!("/docker/{id}/system.slice/x.service"),
                Engine::Docker,
            ),
            (
                format!("/machine.slice/libpod-{id}.scope/container"),
                Engine::Podman,
            ),
            (format!("/libpod_parent/libpod-{id}"), Engine::Podman),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
                Engine::Containerd,
            ),
            (format!("/kubepods/burstable/pod1/{id}"), Engine::Containerd),
            (
                format!("/kubepods.slice/kubepods-pod1.slice/crio-{id}.scope"),
                Engine::Crio,
            ),
        ] {
            let label = Label {
                engine: expected,
                id: id.clone(),
            };
            assert_eq!(labelled(&path), Some(label), "{path}");
        }
        for (path, engine, id) in [
            ("/lxc.payload.web/init.scope", Engine::Lxc, "web"),
            ("/lxc.payload/web", Engine::Lxc, "web"),
            (
                "/machine.slice/machine-web.scope/payload",
                Engine::Nspawn,
                "web",
            ),
            (
                "/machine.slice/systemd-nspawn@web.service/payload",
                Engine::Nspawn,
                "web",
            ),
        ] {
            let id = id.to_owned();
            assert_eq!(labelled(path), Some(Label { engine, id }), "{path}");
        }
    }

    #[test]
    fn what_watches_over_a_container_is_none() {
        let id = "0".repeat(64);
        for path in [
            format!("/machine.slice/libpod-conmon-{id}.scope"),
            format!("/kubepods.slice/crio-conmon-{id}.scope"),
            "/lxc.monitor.web".to_owned(),
            "/machine.slice/machine-qemu-1.scope".to_owned(),
            "/system.slice/docker.service".to_owned(),
            "/".to_owned(),
        ] {
            assert_eq!(labelled(&path), None, "{path}");
        }
    }

    #[test]
    fn a_container_in_a_container_is_the_inner_one() {
        let (outer, inner) = ("0".repeat(64), "1".repeat(64));
        let label = labelled(&format!("/docker/{outer}/docker/{inner}"));
        assert_eq!(label.map(|label| label.id), Some(inner));
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in any::<String>()) {
            let _ = labelled(&path);
        }
    }
}
