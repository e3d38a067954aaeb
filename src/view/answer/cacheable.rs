//! The files that the kernel may cache on this machine.

use super::layout::{self, HostFile};
use crate::{
    base::{sys::ReadError, units::CpuSet},
    facts::host::Machine,
    view::files::{CPUS, FILES, File},
};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Reads as much of the machine's own file as the served file depends on.
pub(super) fn read_host_text(machine: &Machine, file: File) -> Result<Vec<u8>, ReadError> {
    match file {
        // The lines after the header are served to no container, and cost the kernel milliseconds.
        File::Slabinfo => Ok(machine.slabinfo_header()?.concat().into_bytes()),
        _ => machine.bytes(Path::new(file.path())),
    }
}

/// Applies `judge` to the machine's own file, with the numbers of possible and online CPUs. `None`
/// if the machine does not tell them, or has no such file.
fn on_host<T>(
    machine: &Machine,
    file: File,
    cpus: Option<(usize, usize)>,
    judge: impl FnOnce(HostFile<'_>) -> T,
) -> Option<T> {
    let (possible, online) = cpus?;
    let text = String::from_utf8(read_host_text(machine, file).ok()?).ok()?;
    Some(judge(HostFile {
        text: &text,
        possible,
        online,
    }))
}

/// The files that the kernel may cache on a machine, and the constant size of one of them.
#[derive(Debug)]
pub(super) struct Cacheable {
    /// Whether the kernel may cache the file, by row.
    files: Vec<bool>,
    /// Size of `/proc/stat` in bytes; 0 if the kernel may not cache the file.
    stat_size: AtomicUsize,
}

impl Cacheable {
    /// Returns the cacheable files of that machine.
    pub(super) fn of(machine: &Machine) -> Cacheable {
        let cpus = |list: &str| -> Option<usize> {
            let cpus: CpuSet = machine.list(&format!("{CPUS}/{list}")).ok()?;
            Some(cpus.len())
        };
        let cpus = cpus("possible").zip(cpus("online"));
        let is_cacheable = |file: File| {
            let is_cacheable = |host: HostFile<'_>| layout::is_cacheable(file, host);
            on_host(machine, file, cpus, is_cacheable).unwrap_or(false)
        };
        let stat_size = on_host(machine, File::Stat, cpus, layout::stat_size).flatten();
        Cacheable {
            files: FILES.into_iter().map(is_cacheable).collect(),
            stat_size: AtomicUsize::new(stat_size.unwrap_or(0)),
        }
    }

    /// Returns whether the kernel may cache the file.
    pub(super) fn has(&self, file: File) -> bool {
        self.files.get(file.row()).copied().unwrap_or(false)
    }

    /// Returns the constant size of `/proc/stat` in bytes; 0 if the file has none.
    pub(super) fn stat_size(&self) -> usize {
        self.stat_size.load(Ordering::Relaxed)
    }

    /// Enlarges the constant size of `/proc/stat` to a content of `length` bytes, so that the size
    /// changes once.
    pub(super) fn grow_stat(&self, length: usize) {
        if self.has(File::Stat) && self.stat_size.fetch_max(length, Ordering::Relaxed) < length {
            tracing::warn!(
                file = File::Stat.path(),
                "content exceeds the computed size"
            );
        }
    }
}
