//! The whole content of a file that the kernel makes, in as few calls as its records need.

use nix::errno::Errno;
use std::{cell::RefCell, io};

/// The size of a page on most machines; on the others it is larger.
const PAGE: usize = 4096;
/// Room for more than nearly every file that is read.
const MOST_ROOM: usize = 4 * PAGE;
/// So short is nearly every file of a cgroup.
const SHORT: usize = PAGE / 4;

/// How long the records of a file are, of which the kernel gives only whole ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// No longer than 3 KiB, unless it is one alone: every file of a cgroup.
    Short,
    /// Of any length: a disk with all its partitions is one.
    Any,
}

/// The whole content of a file, by a call that reads at an offset.
///
/// The kernel gives as many records of a file as there is room for in a page, and the rest when it
/// is asked again; a file of one record it gives at once (`fs/seq_file.c`, `seq_read_iter`). So where
/// records are short, what is shorter than [`SHORT`] is all: it is not asked again for the end.
///
/// # Errors
/// Those of the call.
pub(super) fn whole(
    read: impl Fn(&mut [u8], i64) -> nix::Result<usize>,
    records: Records,
) -> io::Result<Vec<u8>> {
    thread_local! {
        // The size and the position that `read_to_end` would ask for say nothing of such a file.
        static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; PAGE]);
    }
    ROOM.with_borrow_mut(|room| {
        let all = filled(room, read, records)
            .map(|filled| room.get(..filled).unwrap_or_default().to_vec());
        // One large file should not hold its memory for ever.
        room.truncate(MOST_ROOM);
        room.shrink_to(MOST_ROOM);
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
        } else if records == Records::Short && filled < SHORT {
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
            let content = whole(read, Records::Short).unwrap();
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
            whole(|room, offset| pread(&file, room, offset), Records::Any)
                .unwrap()
                .len(),
            10_000
        );
    }
}
