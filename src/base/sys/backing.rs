//! Backing files of a FUSE connection (`fs/fuse/passthrough.c`), by number.

#![allow(
    unsafe_code,
    reason = "a number of a backing file may be wrapped once only"
)]

use fuser::{FileHandle, FopenFlags, ReplyOpen};
use std::{io, os::fd::BorrowedFd};

/// Registers a backing file on the connection of the reply, and returns its number there. The
/// connection holds the file until the connection ends.
///
/// # Errors
/// EPERM where the connection has no backing files (before Linux 6.9), EOPNOTSUPP or ELOOP for a file
/// that the kernel does not take.
pub fn register_backing(reply: &ReplyOpen, file: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(reply.open_backing(file)?.into_raw())
}

/// Replies with an open file that has the backing file with that number. A number that the connection
/// does not have costs the caller EIO.
pub fn reply_with_backing(reply: ReplyOpen, handle: FileHandle, flags: FopenFlags, backing: u32) {
    // SAFETY: `wrap_backing` makes a value that unregisters the number on drop and has no other effect.
    // `into_raw` below takes the value apart without a drop, and nobody unregisters the number.
    let backing = unsafe { reply.wrap_backing(backing) };
    reply.opened_passthrough(handle, flags, &backing);
    backing.into_raw();
}
