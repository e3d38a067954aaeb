//! Pure. The container of a cgroup, by the shape of its path.

use super::{
    shape_table::{Row, SHAPES},
    table::Engine,
};
use std::{borrow::Cow, iter};

/// The id of a container, with the engine to which the id belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Label {
    /// The engine.
    pub(super) engine: Engine,
    /// The id, unique among the engine's containers.
    pub(super) id: String,
}

/// The meaning of a cgroup's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CgroupShape {
    /// A container.
    Container(Label),
    /// A process beside a container: a monitor, or a virtual machine.
    Beside,
    /// No shape of the table.
    Unknown,
}

/// Returns the meaning of the cgroup at `path`: the innermost container, if the path holds several.
#[must_use]
pub(super) fn shape_of(path: &str) -> CgroupShape {
    let first = shaped(path).next();
    first.map_or(CgroupShape::Unknown, |(_, shape)| shape)
}

/// Returns the cgroups on `path` that engines made for containers, from the innermost out. None if the
/// cgroup at `path` is beside a container.
pub fn container_cgroups(path: &str) -> impl Iterator<Item = &str> {
    let shaped = shaped(path);
    let containers = shaped.take_while(|(_, shape)| *shape != CgroupShape::Beside);
    containers.map(|(path, _)| path)
}

/// Returns the cgroups on `path` with a shape of the table, from the innermost out.
fn shaped(path: &str) -> impl Iterator<Item = (&str, CgroupShape)> {
    let whole = path.trim_end_matches('/');
    let paths = iter::successors(Some(whole), |path| Some(split(path).0));
    let paths = paths.take_while(|path| !path.is_empty());
    paths.filter_map(|path| {
        let (above, name) = split(path);
        let row =
            |(engine, shape, _): &Row| Some((*engine, id_in(shape, above, name)?.into_owned()));
        let shape = match SHAPES.iter().find_map(row)? {
            (Some(engine), id) => CgroupShape::Container(Label { engine, id }),
            (None, _) => CgroupShape::Beside,
        };
        Some((path, shape))
    })
}

/// Splits the path of a cgroup into the path above and the name.
fn split(path: &str) -> (&str, &str) {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    (above.trim_end_matches('/'), name)
}

/// Returns the id in the name of a cgroup of that shape, which lies below the path `above`; `None`
/// for a cgroup of another shape.
fn id_in<'name>(shape: &str, above: &str, name: &'name str) -> Option<Cow<'name, str>> {
    let (place, shape) = shape.rsplit_once('/').unwrap_or(("", shape));
    let id = placeholder(shape, name)?;
    let is_there = match place.strip_suffix("...") {
        Some(text) => above.contains(text),
        None if place.is_empty() => true,
        None => {
            let mut names = above.rsplit('/');
            let mut shapes = place.rsplit('/');
            shapes.all(|shape| names.next().is_some_and(|name| fits(shape, name)))
        }
    };
    is_there.then_some(id)
}

/// Returns whether a name is of that shape.
fn fits(shape: &str, name: &str) -> bool {
    if shape.contains('<') {
        return placeholder(shape, name).is_some();
    }
    match shape.split_once('*') {
        None => name == shape,
        Some((first, last)) => name
            .strip_prefix(first)
            .is_some_and(|rest| rest.ends_with(last)),
    }
}

/// Returns the text of the `<ID>` or `<NAME>` of that shape in a name, as its engine shows it; for a
/// shape without either, the name itself.
fn placeholder<'name>(shape: &str, name: &'name str) -> Option<Cow<'name, str>> {
    let Some((before, rest)) = shape.split_once('<') else {
        return fits(shape, name).then_some(Cow::Borrowed(name));
    };
    let (form, behind) = rest.split_once('>')?;
    let name = name.strip_suffix(behind)?;
    if form == "ID" {
        // The length is known, so the text before the id may hold anything.
        let (head, id) = name.split_at_checked(name.len().checked_sub(ID_DIGITS)?)?;
        return (is_long(id) && fits(before, head)).then_some(Cow::Borrowed(id));
    }
    let id = after(before, name).filter(|id| !id.is_empty())?;
    Some(match behind {
        "" => Cow::Borrowed(id),
        // The name of a unit.
        _ => unescaped(id),
    })
}

/// Returns the text after a beginning, in which `*` stands for any text, as short as possible.
fn after<'name>(beginning: &str, name: &'name str) -> Option<&'name str> {
    match beginning.split_once('*') {
        None => name.strip_prefix(beginning),
        Some((first, second)) => {
            let (_, rest) = name.strip_prefix(first)?.split_once(second)?;
            Some(rest)
        }
    }
}

/// Returns the text with each `\xHH` of systemd as its character (systemd-escape(1)).
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(r"\x") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split(r"\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                bytes.push(byte);
                bytes.extend(rest.as_bytes());
            }
            _ => {
                bytes.extend(br"\x");
                bytes.extend(part.as_bytes());
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The digits of the ids that most engines draw at random.
const ID_DIGITS: usize = 64;

/// Returns whether the id has the 64 hexadecimal digits that most engines draw at random.
pub(super) fn is_long(id: &str) -> bool {
    id.len() == ID_DIGITS && id.bytes().all(|letter| letter.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, proptest};

    const ID: &str = "000000000000000000000000000000000000000000000000000000000000000a";

    fn container(engine: Engine, id: &str) -> CgroupShape {
        let id = id.to_owned();
        CgroupShape::Container(Label { engine, id })
    }

    #[test]
    fn the_example_of_each_shape_has_the_engine_and_the_id_that_the_engine_shows() {
        for (engine, shape, example) in SHAPES {
            let id = match shape.contains("<ID>") {
                true => ID,
                false => "web",
            };
            let expected = match engine {
                Some(engine) => container(*engine, id),
                None => CgroupShape::Beside,
            };
            let path = example.replace("<ID>", ID);
            assert_eq!(shape_of(&path), expected, "{path} of the shape {shape}");
        }
    }

    #[test]
    fn the_parent_that_an_administrator_chose_does_not_hide_a_container() {
        for parent in ["", "/a.slice", "/a.slice/a-b.slice", "/user.slice/b.scope"] {
            for (name, engine) in [
                (format!("docker-{ID}.scope"), Engine::Docker),
                (format!("libpod-{ID}.scope"), Engine::Podman),
                (format!("nerdctl-{ID}.scope"), Engine::Containerd),
                (format!("cri-containerd-{ID}.scope"), Engine::Containerd),
                (format!("crio-{ID}"), Engine::Crio),
                (format!("engine-{ID}.scope"), Engine::Other),
                (ID.to_owned(), Engine::Other),
            ] {
                let path = format!("{parent}/{name}");
                assert_eq!(shape_of(&path), container(engine, ID), "{path}");
            }
        }
    }

    #[test]
    fn a_name_that_systemd_has_escaped_is_shown_as_its_engine_shows_it() {
        for (path, engine, id) in [
            (
                r"/machine.slice/machine-my\x2dweb.scope/payload",
                Engine::Nspawn,
                "my-web",
            ),
            (
                r"/machine.slice/systemd-nspawn@my\x2dweb.service",
                Engine::Nspawn,
                "my-web",
            ),
            (
                r"/machine.slice/machine-lxc\x2d7\x2dmy\x2dweb.scope",
                Engine::Libvirt,
                "my-web",
            ),
            (
                r"/machine.slice/machine-odd\xzz\x.scope",
                Engine::Nspawn,
                r"odd\xzz\x",
            ),
            (
                "/machine.slice/machine-qemubox.scope",
                Engine::Nspawn,
                "qemubox",
            ),
        ] {
            assert_eq!(shape_of(path), container(engine, id), "{path}");
        }
    }

    #[test]
    fn a_cgroup_of_the_host_has_no_shape() {
        for path in [
            "/",
            "",
            "/init.scope",
            "/system.slice/docker.service",
            "/system.slice/lxc.service",
            "/machine.slice/libpod_pod_x.slice",
            "/kubepods.slice",
            "/lxc",
            "/docker",
            "/user.slice/user-1000.slice/session-2.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.x-7.scope",
        ] {
            assert_eq!(shape_of(path), CgroupShape::Unknown, "{path}");
        }
    }

    #[test]
    fn a_container_in_a_container_is_the_inner_one() {
        let inner = "1".repeat(64);
        let path = format!("/docker/{ID}/docker/{inner}");
        assert_eq!(shape_of(&path), container(Engine::Docker, &inner));
        let path = format!("/docker/{ID}/system.slice/web.service");
        assert_eq!(shape_of(&path), container(Engine::Docker, ID));
    }

    #[test]
    fn each_container_on_a_path_has_a_cgroup_of_its_own() {
        let inner = format!("/docker/{ID}/docker/{}", "1".repeat(64));
        let path = format!("{inner}/init");
        let found: Vec<&str> = container_cgroups(&path).collect();
        assert_eq!(found, [inner.as_str(), &format!("/docker/{ID}")]);
        let beside = format!("/docker/{ID}/lxc.monitor.web");
        assert_eq!(container_cgroups(&beside).next(), None);
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in any::<String>()) {
            let _ = shape_of(&path);
            let _ = unescaped(&path);
        }
    }
}
