//! Pure. The shapes of the cgroups that engines make for containers, as rows.

use super::table::Engine;

/// The id of a container, with the engine to which the id belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The engine.
    pub engine: Engine,
    /// The id, unique among the engine's containers.
    pub id: String,
}

/// The shapes, tried in this order on each cgroup of a path. A row without an engine is a cgroup
/// that looks like a container's and is none.
///
/// `<ID>` stands for 64 hexadecimal digits and `<NAME>` for any text. A text before the last `/`
/// is the name of the parent; with `...` behind it, the path above holds that text anywhere.
///
/// Incus names its cgroups as LXC does: [`Engine::Lxc`] stands for both here.
const SHAPES: [(Option<Engine>, &str); 16] = [
    (Some(Engine::Docker), "docker-<ID>.scope"),
    (Some(Engine::Docker), "docker-<ID>"),
    (Some(Engine::Podman), "libpod-<ID>.scope"),
    (Some(Engine::Podman), "libpod-<ID>"),
    (Some(Engine::Containerd), "cri-containerd-<ID>.scope"),
    (Some(Engine::Containerd), "cri-containerd-<ID>"),
    (Some(Engine::Crio), "crio-<ID>.scope"),
    (Some(Engine::Crio), "crio-<ID>"),
    (Some(Engine::Lxc), "lxc.payload.<NAME>"),
    // libvirt names the scopes of its machines so, with the driver in front.
    (None, "machine-qemu<NAME>.scope"),
    (None, "machine-lxc<NAME>.scope"),
    (Some(Engine::Nspawn), "machine-<NAME>.scope"),
    (Some(Engine::Nspawn), "systemd-nspawn@<NAME>.service"),
    (Some(Engine::Docker), "docker/<ID>"),
    (Some(Engine::Lxc), "lxc.payload/<NAME>"),
    (Some(Engine::Containerd), "/kubepods.../<ID>"),
];

/// Returns the container that the cgroup at `path` belongs to, the innermost if the path holds
/// several; `None` if the path holds none.
#[must_use]
pub fn labelled(path: &str) -> Option<Label> {
    let mut rest = path.trim_end_matches('/');
    while !rest.is_empty() {
        let (above, name) = rest.rsplit_once('/').unwrap_or(("", rest));
        let above = above.trim_end_matches('/');
        let row = |(engine, shape): &(Option<Engine>, &str)| {
            Some((*engine, id_in(shape, above, name)?.to_owned()))
        };
        if let Some((Some(engine), id)) = SHAPES.iter().find_map(row) {
            return Some(Label { engine, id });
        }
        rest = above;
    }
    None
}

/// Returns the id in the name of a cgroup of that shape, which lies below the path `above`; `None`
/// for a cgroup of another shape.
fn id_in<'name>(shape: &str, above: &str, name: &'name str) -> Option<&'name str> {
    let (place, shape) = shape.rsplit_once('/').unwrap_or(("", shape));
    let is_there = match place.strip_suffix("...") {
        Some(text) => above.contains(text),
        None if place.is_empty() => true,
        None => above.rsplit('/').next() == Some(place),
    };
    let (before, rest) = shape.split_once('<')?;
    let (form, behind) = rest.split_once('>')?;
    let id = name.strip_prefix(before)?.strip_suffix(behind)?;
    (is_there && (form != "ID" || is_long(id))).then_some(id)
}

/// Returns whether the id has the 64 hexadecimal digits that most engines draw at random.
pub(super) fn is_long(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|letter| letter.is_ascii_hexdigit())
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
