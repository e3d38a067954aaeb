//! Pure. Ways through the tree, for tests.

use super::entry::{Entry, ROOT};
use crate::{
    base::units::{CpuSet, NodeId},
    view::files::VisibleDevices,
};

/// Returns the devices of a caller that sees the first and the last CPU, and the last node.
pub(super) fn shown() -> VisibleDevices {
    let cpus = CpuSet::parse("0,8191").unwrap();
    VisibleDevices {
        nodes: vec![(NodeId(1023), cpus.clone())],
        policies: cpus.clone(),
        cpus,
    }
}

/// Adds an entry and every entry below it to `found`.
pub(super) fn walk(from: Entry, found: &mut Vec<Entry>) {
    found.push(from);
    for (_, child) in from.named_children() {
        walk(child, found);
    }
    for (_, _, child) in from.numbered_children(&shown()) {
        walk(child, found);
    }
}

/// Returns the entry at a path from the root.
pub(super) fn at(path: &str) -> Option<Entry> {
    path.split('/')
        .try_fold(ROOT, |entry, name| entry.child(name))
}
