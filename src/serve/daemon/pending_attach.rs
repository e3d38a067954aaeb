//! The late attach: containers that started while no daemon served get their files.

use super::settings::ServeSettings;
use crate::{base::respawn::Respawn, inject::notes};
use std::{
    cell::Cell,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::SystemTime,
};

/// The search for containers that wait for their files.
///
/// The search polls instead of using inotify: a process with an inotify instance takes 10 ms longer
/// to end (`fsnotify_destroy_group` waits for a grace period), and readers wait for that end.
#[derive(Debug)]
pub(super) struct PendingAttach {
    mountpoint: PathBuf,
    /// The configuration file, which determines the containers that get their files.
    config_file: PathBuf,
    /// The times of the last changes of the notes, at the last search.
    seen: Cell<[Option<SystemTime>; 2]>,
    /// True while a process attaches containers: any user can change notes on and on.
    is_running: Arc<AtomicBool>,
}

impl PendingAttach {
    /// Prepares the search for a daemon with these settings.
    pub(super) fn new(settings: &ServeSettings) -> PendingAttach {
        if let Err(error) = notes::create_directories() {
            tracing::warn!(%error, "containers cannot leave notes that they wait for their files");
        }
        PendingAttach {
            mountpoint: settings.mountpoint.clone(),
            config_file: settings.config_file.clone(),
            seen: Cell::default(),
            is_running: Arc::default(),
        }
    }

    /// Starts a process that attaches every waiting container, if a note has changed since the last
    /// call and no such process runs. Does not wait for that process.
    pub(super) fn poll(&self) {
        if self.is_running.load(Ordering::Acquire) {
            return;
        }
        let changed = notes::last_changes();
        if self.seen.replace(changed) == changed || !notes::is_any_pending() {
            return;
        }
        // Another process, since a file system in a container may block the attach for ever.
        let mut attach = Respawn::AttachPending {
            view: &self.mountpoint,
            configuration: &self.config_file,
        }
        .command();
        attach.stdin(Stdio::null());
        self.is_running.store(true, Ordering::Release);
        let is_running = Arc::clone(&self.is_running);
        thread::spawn(move || {
            match attach.status() {
                Ok(status) => tracing::info!(%status, "attached the containers that waited"),
                Err(error) => tracing::warn!(%error, "cannot attach the containers that wait"),
            }
            is_running.store(false, Ordering::Release);
        });
    }
}
