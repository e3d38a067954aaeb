//! The overlays of a container's root: read-only layers below a fresh directory for changes.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
};

use nix::mount::{MsFlags, mount};

use crate::{
    base::sys::mount::Depth,
    run::{
        error::{RunError, at},
        root::{
            bind::{bind, open_path},
            dirs::ContainerDir,
            mountpoints::Mountpoints,
        },
    },
};

/// The overlays of one container.
pub(crate) struct Overlays<'a> {
    /// The directory that holds the upper and work directories.
    pub(crate) dir: &'a ContainerDir,
    /// The mount points of the layers.
    pub(crate) mountpoints: &'a Mountpoints,
    layers: usize,
}

impl<'a> Overlays<'a> {
    /// Returns an empty set of overlays.
    pub(crate) fn new(dir: &'a ContainerDir, mountpoints: &'a Mountpoints) -> Overlays<'a> {
        Overlays {
            dir,
            mountpoints,
            layers: 0,
        }
    }

    /// Mounts `layers`, lowest first, on `target`, below a new upper directory with the name
    /// `upper`; returns the path of the upper directory.
    ///
    /// # Errors
    ///
    /// A layer that cannot be opened, and an overlay that the kernel refuses. No upper directory
    /// remains after a refusal.
    pub(crate) fn mount(
        &mut self,
        layers: &[PathBuf],
        target: &Path,
        upper: &str,
    ) -> Result<PathBuf, RunError> {
        let lower = self.bind_layers(layers)?;
        let work = upper.replacen("upper", "work", 1);
        let upper = self.dir.create_dir(upper)?;
        let work = self.dir.create_dir(&work)?;
        // The root of an overlay shows the owner and the mode of its uppermost layer.
        if let Some(top) = layers.last() {
            copy_owner_and_mode(top, &upper)?;
        }
        let options = format!(
            "lowerdir={lower},upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
        let mounted = mount(
            Some("plimsoll"),
            target,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        );
        if let Err(error) = mounted {
            // These directories would be in the way of a later directory of this name.
            let _ = fs::remove_dir_all(&upper);
            let _ = fs::remove_dir_all(&work);
            let layers: Vec<_> = layers.iter().map(|l| l.display().to_string()).collect();
            return Err(RunError::Overlay {
                layers: layers.join(", "),
                source: error.into(),
            });
        }
        Ok(upper)
    }

    /// Binds each layer, without the mounts below the layer, on a mount point with a short name
    /// that contains no separator of mount options; returns the names for `lowerdir`, uppermost
    /// first.
    fn bind_layers(&mut self, layers: &[PathBuf]) -> Result<String, RunError> {
        let mut names = Vec::new();
        for layer in layers {
            let name = format!("l{}", self.layers);
            self.layers += 1;
            bind(
                &open_path(layer)?,
                &self.mountpoints.create(&name)?,
                Depth::Alone,
            )?;
            names.push(name);
        }
        names.reverse();
        Ok(names.join(":"))
    }
}

/// Gives the directory `to` the owner and the mode of `from`.
///
/// # Errors
///
/// A `from` that cannot be read, and a `to` that cannot be changed.
pub(crate) fn copy_owner_and_mode(from: &Path, to: &Path) -> Result<(), RunError> {
    let meta = fs::metadata(from).map_err(at("read", from))?;
    chown(to, Some(meta.uid()), Some(meta.gid()))
        .and_then(|()| fs::set_permissions(to, meta.permissions()))
        .map_err(at("set the owner and the mode of", to))
}
