//! The files of /etc that are the container's own: neither files of the host nor kept changes.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
};

use crate::{
    base::sys::mount::{Depth, attach, clone_tree},
    run::{
        error::{RunError, at},
        options::request::{Network, Request, RootSource},
        root::{bind::open_path, dirs::ContainerDir, safe_root::SafeRoot},
    },
};

/// The names of the files of /etc that are the container's own.
pub(crate) const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// Writes the container's own files of /etc outside of the root, and mounts them in the root.
///
/// # Errors
///
/// A file that cannot be written, and a mount that the kernel refuses.
pub(crate) fn mount_files(
    safe_root: &mut SafeRoot,
    dir: &ContainerDir,
    request: &Request,
    hostname: &str,
) -> Result<(), RunError> {
    // A comment may hold bytes that are no UTF-8.
    let host_text = |path: &str| fs::read(path).unwrap_or_default();
    let hosts = match request.network {
        Network::Host => host_text("/etc/hosts"),
        Network::None => format!(
            "127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost ip6-localhost ip6-loopback {hostname}\n"
        )
        .into_bytes(),
    };
    let directory = dir.create_dir("etc")?;
    let texts = [
        hosts,
        format!("{hostname}\n").into_bytes(),
        host_text("/etc/resolv.conf"),
    ];
    for (name, text) in ETC_FILES.iter().zip(texts) {
        let source = directory.join(name);
        fs::write(&source, text).map_err(at("write", &source))?;
        fs::set_permissions(&source, fs::Permissions::from_mode(0o644))
            .map_err(at("write", &source))?;
        let path = Path::new("/etc").join(name);
        let target = match request.root {
            // The container writes to this directory itself, so a link in the directory must stay.
            RootSource::Directory(_) => safe_root.follow_link(&path)?,
            RootSource::Host | RootSource::Layers(_) => safe_root.replace_link(&path)?,
        };
        let from = open_path(&source)?;
        clone_tree(from.as_fd(), Depth::Alone)
            .and_then(|copy| attach(copy.as_fd(), target.as_fd()))
            .map_err(at("mount the container's", path))?;
    }
    Ok(())
}
