//! Containers that were started while no daemon served get their files from this one.

use super::ServeSettings;
use crate::{base::respawn::Respawn, inject::notes};
use std::{cell::Cell, path::PathBuf, process::Stdio, thread, time::SystemTime};

/// Looks for containers that wait for their files.
///
/// It asks now and then rather than for a notice: a process that holds an inotify takes 10 ms more
/// to end (`fsnotify_destroy_group` waits for a grace period), and readers wait for its end.
#[derive(Debug)]
pub(super) struct PendingAttach {
    mountpoint: PathBuf,
    /// The file with the configuration that says which containers get their files.
    configuration: PathBuf,
    /// When the notes had changed last that were looked at.
    seen: Cell<Option<SystemTime>>,
}

impl PendingAttach {
    /// For the view that is served so.
    pub(super) fn of(config: &ServeSettings) -> PendingAttach {
        if let Err(error) = notes::create_directory() {
            tracing::warn!(%error, "containers cannot say that they wait for their files");
        }
        PendingAttach {
            mountpoint: config.mountpoint.clone(),
            configuration: config.configuration.clone(),
            seen: Cell::default(),
        }
    }

    /// Has every container that waits get its files, which is not waited for; unless no note was
    /// left since this was asked last.
    pub(super) fn look(&self) {
        let changed = notes::last_change();
        if self.seen.replace(changed) == changed || !notes::is_any_pending() {
            return;
        }
        // By a process of its own: a file system in a container may have it wait for ever.
        let mut attach = Respawn::AttachPending {
            view: &self.mountpoint,
            configuration: &self.configuration,
        }
        .command();
        attach.stdin(Stdio::null());
        thread::spawn(move || match attach.status() {
            Ok(status) => {
                tracing::info!(%status, "containers that waited have been looked at");
            }
            Err(error) => tracing::warn!(%error, "cannot look for containers that wait"),
        });
    }
}
