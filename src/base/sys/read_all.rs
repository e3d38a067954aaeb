//! Reads the whole content of a file that the kernel makes, in as few calls as its records need.

use nix::errno::Errno;
use std::{cell::RefCell, io};

/// The size of a page on most machines, and the smallest on any.
const PAGE: usize = 4096;
/// The largest buffer that a thread keeps between two reads, in bytes.
const MAX_KEPT_BUFFER: usize = 4 * PAGE;
/// The length below which a file of short records is complete after one read, in bytes.
const COMPLETE_BELOW: usize = PAGE / 4;

/// The length of the records of a file. The kernel returns whole records only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// At most 3 KiB, unless the file has one record: every file of a cgroup.
    Short,
    /// Any length: a disk with all its partitions is one record.
    Any,
}

/// Reads the whole content of a file. `read` is the call that reads at an offset.
///
/// One read returns as many records as fit into a page, the next one the rest; a single record
/// comes at once (`fs/seq_file.c`, `seq_read_iter`). So a read of short records that returns less
/// than [`COMPLETE_BELOW`] bytes returned the whole file, and needs no second read for the end.
///
/// # Errors
/// The errors of `read`.
pub(super) fn read_all(
    read: impl Fn(&mut [u8], i64) -> nix::Result<usize>,
    records: Records,
) -> io::Result<Vec<u8>> {
    thread_local! {
        // `read_to_end` would ask for size and position, which the kernel does not have here.
        static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; PAGE]);
    }
    ROOM.with_borrow_mut(|room| {
        let all = filled(room, read, records)
            .map(|filled| room.get(..filled).unwrap_or_default().to_vec());
        // One large file must not keep its memory for ever.
        room.truncate(MAX_KEPT_BUFFER);
        room.shrink_to(MAX_KEPT_BUFFER);
        all
    })
}

fn filled(
    content: &mut Vec<u8>,
    read: impl Fn(&mut [u8], i64) -> nix::Result<usize>,
    records: Records,
) -> io::Result<usize> {
    let mut filled = 0;
    loop {
        let room = content.get_mut(filled..).unwrap_or_default();
        let offset = i64::try_from(filled).map_err(io::Error::other)?;
        match read(room, offset) {
            Ok(0) => return Ok(filled),
            Ok(more) => filled += more,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if filled == content.len() {
            content.resize(filled * 2, 0);
        } else if records == Records::Short && filled < COMPLETE_BELOW {
            return Ok(filled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::uio::pread;
    use std::fs::{self, File};

    #[test]
    fn a_short_file_is_not_asked_for_its_end_and_one_that_comes_in_parts_is() {
        let parts = |parts: &'static [usize]| {
            let asked = std::cell::Cell::new(0);
            let read = |room: &mut [u8], offset| {
                let part = parts.get(asked.get()).copied().unwrap_or(0);
                let before: usize = parts.iter().take(asked.get()).sum();
                assert_eq!(usize::try_from(offset).unwrap(), before);
                asked.set(asked.get() + 1);
                room[..part].fill(b'x');
                Ok(part)
            };
            let content = read_all(read, Records::Short).unwrap();
            (content.len(), asked.get())
        };
        assert_eq!(parts(&[7]), (7, 1));
        assert_eq!(parts(&[]), (0, 1));
        assert_eq!(parts(&[4090, 6, 4000, 10]), (8106, 5));
        assert_eq!(parts(&[4096, 3]), (4099, 3));
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, vec![b'x'; 10_000]).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(
            read_all(|room, offset| pread(&file, room, offset), Records::Any)
                .unwrap()
                .len(),
            10_000
        );
    }
}
