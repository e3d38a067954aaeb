//! Memory that outlives the process: an unnamed file whose descriptor a successor can receive.
#![allow(unsafe_code, reason = "mapped memory is plain pointers")]

use std::{
    fs::File,
    io,
    num::NonZeroUsize,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    mman::{MapFlags, ProtFlags, mmap, munmap},
    stat::fstat,
};

/// Memory that other processes may map too, by its descriptor. The memory grows up to a maximum
/// size.
#[derive(Debug)]
pub struct Shared {
    file: File,
    start: NonNull<libc::c_void>,
    max: NonZeroUsize,
    /// The present size. An access beyond the size raises SIGBUS.
    size: AtomicUsize,
}

// SAFETY: every access is a copy within the bounds of the mapping. The callers agree on who writes
// to which bytes, as with a file.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Makes memory of size 0, with a name that `/proc/PID/maps` shows.
    ///
    /// # Errors
    /// The errors of `memfd_create(2)` and `mmap(2)`.
    pub fn new(name: &str, max: NonZeroUsize) -> io::Result<Shared> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let fd = memfd_create(name, flags)?;
        // Another process with the descriptor could take mapped memory away otherwise.
        fcntl(&fd, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK))?;
        Shared::of(fd, max)
    }

    /// Maps the memory that another process made.
    ///
    /// # Errors
    /// The errors of `fstat(2)` and `mmap(2)`.
    pub fn of(fd: OwnedFd, max: NonZeroUsize) -> io::Result<Shared> {
        let size = usize::try_from(fstat(&fd)?.st_size).map_err(io::Error::other)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the place of the new mapping, so no other mapping is replaced.
        let start = unsafe { mmap(None, max, protection, MapFlags::MAP_SHARED, &fd, 0) }?;
        Ok(Shared {
            file: File::from(fd),
            start,
            max,
            size: AtomicUsize::new(size.min(max.get())),
        })
    }

    /// Returns the present size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.load(Ordering::Acquire)
    }

    /// Grows the memory to `size` bytes; the new bytes are zero. The memory never shrinks.
    ///
    /// # Errors
    /// ENOSPC beyond the maximum size; the errors of `ftruncate(2)`.
    pub fn grow(&self, size: usize) -> io::Result<()> {
        if size > self.max.get() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        if size > self.size() {
            let length = u64::try_from(size).map_err(io::Error::other)?;
            self.file.set_len(length)?;
            self.size.store(size, Ordering::Release);
        }
        Ok(())
    }

    /// Copies the bytes to `offset`; copies none when the bytes exceed the present size.
    pub fn write(&self, offset: usize, bytes: &[u8]) {
        if self.has(offset, bytes.len()) {
            // SAFETY: `has` checked that these bytes lie within the mapping and within the file,
            // which never shrinks; no slice of this program lies in the mapping.
            let place = unsafe { self.start.cast::<u8>().as_ptr().add(offset) };
            // SAFETY: as above, for the length of `bytes`.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        }
    }

    /// Copies `length` bytes from `offset`; `None` when the bytes exceed the present size.
    #[must_use]
    pub fn read(&self, offset: usize, length: usize) -> Option<Vec<u8>> {
        if !self.has(offset, length) {
            return None;
        }
        let mut bytes = vec![0u8; length];
        // SAFETY: `has` checked that these bytes lie within the mapping and within the file.
        let place = unsafe { self.start.cast::<u8>().as_ptr().add(offset) };
        // SAFETY: as above; `bytes` has that length and is not in the mapping.
        unsafe { ptr::copy_nonoverlapping(place, bytes.as_mut_ptr(), length) };
        Some(bytes)
    }

    /// Replaces the word at `offset`, which is a multiple of 8, if the word is `current`, in one atomic
    /// step for every process. Returns the word that was there. `None` when the word exceeds the
    /// present size or `offset` is no multiple of 8.
    #[must_use]
    pub fn exchange(&self, offset: usize, current: u64, new: u64) -> Option<u64> {
        if !self.has(offset, size_of::<u64>()) || !offset.is_multiple_of(align_of::<u64>()) {
            return None;
        }
        // SAFETY: `has` checked that the word lies within the mapping and within the file.
        let place = unsafe { self.start.cast::<u8>().as_ptr().add(offset) };
        // SAFETY: as above; the mapping begins at a page, so the word is aligned, and it lives as long
        // as `self`.
        let word = unsafe { AtomicU64::from_ptr(place.cast()) };
        let order = Ordering::SeqCst;
        let before = word.compare_exchange(current.to_le(), new.to_le(), order, order);
        Some(u64::from_le(before.unwrap_or_else(|before| before)))
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
        // SAFETY: this value owns the mapping, and nothing borrows from the mapping.
        let _ = unsafe { munmap(self.start, self.max.get()) };
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
    fn a_word_is_replaced_only_in_place_of_the_expected_one() {
        let memory = Shared::new("test", NonZeroUsize::new(4096).unwrap()).unwrap();
        memory.grow(4096).unwrap();
        assert_eq!(memory.exchange(16, 0, 7), Some(0));
        assert_eq!(memory.exchange(16, 0, 8), Some(7));
        assert_eq!(memory.read(16, 8).unwrap(), 7u64.to_le_bytes());
        assert_eq!(memory.exchange(4, 0, 1), None);
        assert_eq!(memory.exchange(4096, 0, 1), None);
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
