//! Constant sizes of the files that the kernel may cache.

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

/// The constant size of each file in bytes, by row; `None` for a file that is not cacheable on this
/// machine. A size of 0 is not known before the first answer.
#[derive(Debug)]
pub(super) struct PaddedSizes(Vec<Option<AtomicUsize>>);

impl PaddedSizes {
    /// Returns the sizes on that machine.
    pub(super) fn of(machine: &Machine) -> PaddedSizes {
        let cpus = |list: &str| -> Option<usize> {
            let cpus: CpuSet = machine.list(&format!("{CPUS}/{list}")).ok()?;
            Some(cpus.len())
        };
        let (possible, online) = (cpus("possible"), cpus("online"));
        let size = |file: File| {
            let text = read_host_text(machine, file).ok()?;
            let host = HostFile {
                text: std::str::from_utf8(&text).ok()?,
                possible: possible?,
                online: online?,
            };
            layout::padded_size(file, host).map(AtomicUsize::new)
        };
        PaddedSizes(FILES.into_iter().map(size).collect())
    }

    fn size(&self, file: File) -> Option<&AtomicUsize> {
        self.0.get(file.row())?.as_ref()
    }

    /// Returns whether the file has a constant size.
    pub(super) fn has(&self, file: File) -> bool {
        self.size(file).is_some()
    }

    /// Returns the constant size of the file, if it is known.
    pub(super) fn get(&self, file: File) -> Option<usize> {
        let size = self.size(file)?.load(Ordering::Relaxed);
        (size > 0).then_some(size)
    }

    /// Returns the constant size of the file for a content of `length` bytes, and keeps the length
    /// if it is larger.
    pub(super) fn grow(&self, file: File, length: usize) -> Option<usize> {
        let known = self.size(file)?.fetch_max(length, Ordering::Relaxed);
        if 0 < known && known < length {
            tracing::warn!(file = file.path(), "content exceeds the computed size");
        }
        Some(known.max(length))
    }
}
