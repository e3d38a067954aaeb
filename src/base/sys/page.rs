//! The size of a page.

use crate::base::units::Bytes;
use nix::unistd::{SysconfVar, sysconf};

/// Returns the size of a page of memory; 4096 bytes when `sysconf(3)` fails.
#[must_use]
pub fn page_size() -> Bytes {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    Bytes(
        size.and_then(|size| u64::try_from(size).ok())
            .unwrap_or(4096),
    )
}
