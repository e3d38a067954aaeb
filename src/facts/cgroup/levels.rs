//! The levels of a cgroup: itself and the cgroups above it, whose limits bind it too.

use crate::base::metrics;
use std::path::Path;

/// The number of levels that are read from the cgroup up.
const INNER: usize = 32;
/// The number of levels that are read from the root of the hierarchy down.
const OUTER: usize = 32;

/// Returns the levels of the cgroup at `path` from the inside out, each with the number of steps
/// above the cgroup.
///
/// Of more than 64 levels only the 32 innermost and the 32 outermost are returned: an engine makes
/// a dozen at most, and each one costs a read some files. The outermost ones have the limits that
/// the host set, since a container can only make levels below its own.
pub(super) fn levels(path: &Path) -> impl Iterator<Item = (usize, &Path)> {
    let count = path.ancestors().count();
    let is_partial = count > INNER + OUTER;
    if is_partial {
        metrics::PARTIAL_READS.count();
    }
    let is_read = move |steps: usize| !is_partial || steps < INNER || count - steps <= OUTER;
    (path.ancestors().enumerate()).filter(move |(steps, _)| is_read(*steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_and_the_outer_levels_of_a_deep_cgroup_are_read() {
        let few = Path::new("/a/b");
        let all: Vec<_> = levels(few).collect();
        assert_eq!(all, [(0, few), (1, "/a".as_ref()), (2, "/".as_ref())]);
        let deep = format!("/host/limited{}", "/x".repeat(1000));
        let read: Vec<_> = levels(Path::new(&deep)).collect();
        assert_eq!(read.len(), INNER + OUTER);
        assert_eq!(read[0].0, 0);
        assert!(read.contains(&(1000, "/host/limited".as_ref())));
        assert_eq!(read.last(), Some(&(1002, "/".as_ref())));
    }
}
