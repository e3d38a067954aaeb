//! How large the kernel was told that a file is whose size changes, and what it reads behind the end.
//!
//! The kernel's readers look up the size apart from the page: one that is told another size between
//! the two reads what was there before as far as the new end, or what lies behind the old one. So a
//! file does not become smaller while anybody may be between them, but has empty lines at its end;
//! and behind the end of the page that the kernel keeps there are empty lines too, for when it grows
//! (`fs/fuse/inode.c`, `fuse_change_attributes`; `mm/filemap.c`, `filemap_read`).

use crate::{
    shelf::{Kind, Shelf},
    units::Micros,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// A reader that takes longer from one to the other has been stopped in the middle of a system call.
const LONGEST: Micros = Micros(10_000_000);
/// When a size was told is not noted more often.
const SELDOM: Micros = Micros(1_000_000);
/// So many are kept before those go that have become old.
const MANY: usize = 1024;
const PAGE: usize = 4096;

/// Sizes by inode number, each kept for a successor too.
#[derive(Debug)]
pub(super) struct Told {
    sizes: Mutex<HashMap<u64, Size>>,
    shelf: Arc<Shelf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    bytes: usize,
    /// When it was told last, or a little later.
    told: Micros,
}

impl Told {
    /// Those that a daemon before this one kept on the shelf.
    pub(super) fn new(shelf: Arc<Shelf>) -> Told {
        let keys = shelf.keys(Kind::Size).into_iter();
        let known = keys.filter_map(|inode| {
            let size = Size::of(&shelf.get(Kind::Size, inode)?)?;
            Some((inode, size))
        });
        Told {
            sizes: Mutex::new(known.collect()),
            shelf,
        }
    }

    /// The size to be told at `now` of a file that has so many bytes.
    pub(super) fn size(&self, inode: u64, bytes: usize, now: Micros) -> usize {
        let mut sizes = self.sizes.lock();
        let known = sizes.get(&inode).copied();
        let recent = known.filter(|size| now.less(size.told) < LONGEST);
        let bytes = recent.map_or(bytes, |size| size.bytes.max(bytes));
        let is_noted = |size: Size| size.bytes == bytes && now <= size.told;
        if known.is_some_and(is_noted) {
            return bytes;
        }
        if known.is_none() && sizes.len() >= MANY {
            sizes.retain(|inode, size| {
                let stays = now.less(size.told) < LONGEST;
                if !stays {
                    self.shelf.remove(Kind::Size, *inode);
                }
                stays
            });
        }
        let told = now.plus(SELDOM);
        let size = Size { bytes, told };
        self.shelf.put(Kind::Size, inode, &size.record());
        sizes.insert(inode, size);
        bytes
    }
}

impl Size {
    fn record(self) -> [u8; 16] {
        let words = [u64::try_from(self.bytes).unwrap_or(0), self.told.0];
        let mut record = [0; 16];
        for (to, word) in record.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        record
    }

    fn of(record: &[u8]) -> Option<Size> {
        let (bytes, told) = record.split_first_chunk()?;
        Some(Size {
            bytes: usize::try_from(u64::from_le_bytes(*bytes)).ok()?,
            told: Micros(u64::from_le_bytes(told.try_into().ok()?)),
        })
    }
}

/// The text with empty lines behind it, to the end of its last page.
pub(super) fn paged(text: &[u8]) -> Vec<u8> {
    let mut page = text.to_vec();
    page.resize(text.len().next_multiple_of(PAGE), b'\n');
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told::new(Arc::new(Shelf::new().unwrap()))
    }

    #[test]
    fn a_file_grows_at_once_and_shrinks_when_nobody_has_asked_for_long() {
        let told = told();
        let size = |bytes, now| told.size(1, bytes, Micros(now));
        let most = LONGEST.0 + SELDOM.0;
        assert_eq!(size(2, 0), 2);
        assert_eq!(size(4, 1), 4);
        assert_eq!(size(2, 2), 4);
        assert_eq!(size(2, LONGEST.0 - 1), 4);
        assert_eq!(size(2, 2 * LONGEST.0 - 2), 4);
        assert_eq!(size(2, 3 * LONGEST.0 + SELDOM.0), 2);
        assert_eq!(size(4, 3 * LONGEST.0 + SELDOM.0 + 1), 4);
        assert_eq!(size(2, 4 * LONGEST.0 + most), 2);
    }

    #[test]
    fn a_daemon_that_follows_knows_what_the_one_before_has_told() {
        let earlier = told();
        earlier.size(7, 4, Micros(1));
        let later = Told::new(Arc::clone(&earlier.shelf));
        assert_eq!(later.size(7, 2, Micros(2)), 4);
        assert_eq!(Size::of(b"short"), None);
    }

    #[test]
    fn what_was_told_long_ago_takes_no_room() {
        let told = told();
        for inode in 0..4 * MANY as u64 {
            told.size(inode, 2, Micros(inode * LONGEST.0));
        }
        assert!(told.sizes.lock().len() <= MANY);
        assert!(told.shelf.keys(Kind::Size).len() <= MANY);
    }

    #[test]
    fn behind_the_text_its_page_is_full_of_empty_lines() {
        let page = paged(b"0-3\n");
        assert_eq!((page.len(), &page[..6]), (PAGE, &b"0-3\n\n\n"[..]));
        assert!(page[4..].iter().all(|byte| *byte == b'\n'));
        assert_eq!(paged(b""), b"");
    }
}
