//! How large the kernel was told that a file is whose size changes, and what it reads behind the end.
//!
//! The kernel's readers look up the size apart from the page: one that is told another size between
//! the two reads what was there before as far as the new end, or what lies behind the old one. So a
//! file does not become smaller while anybody may be between them, but has empty lines at its end;
//! and behind the end of the page that the kernel keeps there are empty lines too, for when it grows
//! (`fs/fuse/inode.c`, `fuse_change_attributes`; `mm/filemap.c`, `filemap_read`).

use crate::units::Micros;
use parking_lot::Mutex;
use std::collections::HashMap;

/// A reader that takes longer from one to the other has been stopped in the middle of a system call.
const LONGEST: Micros = Micros(10_000_000);
/// So many are kept before those go that have become old.
const MANY: usize = 1024;
const PAGE: usize = 4096;

/// Sizes by inode number.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<u64, Size>>);

#[derive(Debug, Clone, Copy)]
struct Size {
    bytes: usize,
    /// When it was told last.
    told: Micros,
}

impl Told {
    /// The size to be told at `now` of a file that has so many bytes.
    pub(super) fn size(&self, inode: u64, bytes: usize, now: Micros) -> usize {
        let mut sizes = self.0.lock();
        if sizes.len() >= MANY && !sizes.contains_key(&inode) {
            sizes.retain(|_, size| now.less(size.told) < LONGEST);
        }
        let before = sizes.get(&inode);
        let before = before.filter(|size| now.less(size.told) < LONGEST);
        let bytes = before.map_or(bytes, |size| size.bytes.max(bytes));
        sizes.insert(inode, Size { bytes, told: now });
        bytes
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

    #[test]
    fn a_file_grows_at_once_and_shrinks_when_nobody_has_asked_for_long() {
        let told = Told::default();
        let size = |bytes, now| told.size(1, bytes, Micros(now));
        assert_eq!(size(2, 0), 2);
        assert_eq!(size(4, 1), 4);
        assert_eq!(size(2, 2), 4);
        assert_eq!(size(2, LONGEST.0 + 1), 4);
        assert_eq!(size(2, 2 * LONGEST.0 + 1), 2);
    }

    #[test]
    fn what_was_told_long_ago_takes_no_room() {
        let told = Told::default();
        for inode in 0..10 * MANY as u64 {
            told.size(inode, 2, Micros(inode * LONGEST.0));
        }
        assert!(told.0.lock().len() <= MANY);
    }

    #[test]
    fn behind_the_text_its_page_is_full_of_empty_lines() {
        let page = paged(b"0-3\n");
        assert_eq!((page.len(), &page[..6]), (PAGE, &b"0-3\n\n\n"[..]));
        assert!(page[4..].iter().all(|byte| *byte == b'\n'));
        assert_eq!(paged(b""), b"");
    }
}
