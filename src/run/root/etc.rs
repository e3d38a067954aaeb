//! The files of /etc that are a container's own: never the host's, never part of what is kept.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
};

use crate::{
    base::sys::mount::{self as tree, Depth},
    run::{
        error::{RunError, at},
        options::request::{Network, Request, Root},
        root::{dirs::Place, safe_root::Inside},
    },
};

/// The files of /etc that are the container's own.
pub(crate) const OWN: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// Writes the container's own files of /etc outside of its root, and mounts them there.
pub(crate) fn own_files(
    inside: &mut Inside,
    place: &Place,
    request: &Request,
    hostname: &str,
) -> Result<(), RunError> {
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let hosts = match request.network {
        Network::Host => host("/etc/hosts"),
        Network::None => format!(
            "127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback {hostname}\n"
        ),
    };
    let directory = place.directory("etc")?;
    let texts = [hosts, format!("{hostname}\n"), host("/etc/resolv.conf")];
    for (name, text) in OWN.iter().zip(texts) {
        let source = directory.join(name);
        fs::write(&source, text).map_err(at("write", &source))?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o644))
            .map_err(at("write", &source))?;
        let path = Path::new("/etc").join(name);
        let target = match request.root {
            // A link stays as it is where nothing is copied on write.
            Root::Directory(_) => inside.file_behind(&path)?,
            Root::Host | Root::Layers(_) => inside.file_itself(&path)?,
        };
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let from = open(&source, flags, Mode::empty()).map_err(at("open", &source))?;
        tree::clone_tree(from.as_fd(), Depth::Alone)
            .and_then(|copy| tree::attach(copy.as_fd(), target.as_fd()))
            .map_err(at("mount the container's", path))?;
    }
    Ok(())
}
