//! Memory that outlives the process: a file without a name that a successor is handed.
#![allow(unsafe_code, reason = "mapped memory is plain pointers")]

use std::{
    fs::File,
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    mman::{MapFlags, ProtFlags, mmap, munmap},
    stat::fstat,
};

/// Memory that other processes may hold too, by a descriptor; it has a largest size, and grows up
/// to it.
#[derive(Debug)]
pub struct Shared {
    file: File,
    start: NonNull<libc::c_void>,
    most: NonZeroUsize,
    /// How much of it is there; what lies beyond must not be touched.
    size: AtomicUsize,
}

// SAFETY: the memory is reached by copies that stay inside of it; who writes where at a time is
// for the callers to agree on, as with a file.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// New memory of no size, with a name that `/proc/PID/maps` shows.
    ///
    /// # Errors
    /// Those of `memfd_create(2)` and `mmap(2)`.
    pub fn new(name: &str, most: NonZeroUsize) -> io::Result<Shared> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let fd = memfd_create(name, flags)?;
        // Whoever holds it too cannot take mapped memory away from under us.
        fcntl(&fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
        Shared::of(fd, most)
    }

    /// The memory that a process before this one made.
    ///
    /// # Errors
    /// Those of `fstat(2)` and `mmap(2)`.
    pub fn of(fd: OwnedFd, most: NonZeroUsize) -> io::Result<Shared> {
        let size = usize::try_from(fstat(&fd)?.st_size).map_err(io::Error::other)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice is nobody else's.
        let start = unsafe { mmap(None, most, protection, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Shared {
            file: File::from(fd),
            start,
            most,
            size: AtomicUsize::new(size.min(most.get())),
        })
    }

    /// How much there is.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    /// Makes it that large, with zeros at its end; it never becomes smaller.
    ///
    /// # Errors
    /// `ENOSPC` beyond the largest size; those of `ftruncate(2)`.
    pub fn grow(&self, size: usize) -> io::Result<()> {
        if size > self.most.get() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        if size > self.size() {
            let length = u64::try_from(size).map_err(io::Error::other)?;
            self.file.set_len(length)?;
            self.size.store(size, Ordering::Release);
        }
        Ok(())
    }

    /// Copies the bytes to that place; what does not fit into it is left out altogether.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        if self.has(offset, bytes.len()) {
            // SAFETY: `has` found these bytes inside of the mapping and of the file behind it,
            // which never shrinks; a slice of ours is never in that mapping.
            let place = unsafe { self.start.cast::<u8>().as_ptr().add(offset) };
            // SAFETY: as above, for the length of `bytes`.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        }
    }

    /// A copy of so many bytes from that place, if they are there.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        if !self.has(offset, length) {
            return None;
        }
        let mut bytes = vec![0u8; length];
        // SAFETY: `has` found these bytes inside of the mapping and of the file behind it.
        let place = unsafe { self.start.cast::<u8>().as_ptr().add(offset) };
        // SAFETY: as above; `bytes` has that length and is not in the mapping.
        unsafe { ptr::copy_nonoverlapping(place, bytes.as_mut_ptr(), length) };
        Some(bytes)
    }

    fn has(&self, offset: usize, length: usize) -> bool {
        offset
            .checked_add(length)
            .is_some_and(|end| end <= self.size())
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it.
        let _ = unsafe { munmap(self.start, self.most.get()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_for_whoever_has_the_descriptor() {
        let most = NonZeroUsize::new(1 << 20).unwrap();
        let here = Shared::new("test", most).unwrap();
        here.grow(4096).unwrap();
        here.write(100, b"kept");
        let fd = here.as_fd().try_clone_to_owned().unwrap();
        let there = Shared::of(fd, most).unwrap();
        assert_eq!(there.read(100, 4).unwrap(), b"kept");
        assert_eq!(there.size(), 4096);
    }

    #[test]
    fn nothing_is_read_or_written_beyond_its_end() {
        let most = NonZeroUsize::new(8192).unwrap();
        let memory = Shared::new("test", most).unwrap();
        memory.grow(4096).unwrap();
        memory.write(4095, b"ab");
        assert_eq!(memory.read(4095, 1).unwrap(), [0]);
        assert_eq!(memory.read(4095, 2), None);
        assert_eq!(memory.read(usize::MAX, 2), None);
        assert!(memory.grow(8193).is_err());
    }
}
