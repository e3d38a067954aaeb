//! For tests. Ways through the tree.

use super::entry::{Entry, ROOT};
use crate::{
    base::units::{CpuSet, NodeId},
    view::files::VisibleDevices,
};

/// What is shown to whoever sees the first and the last CPU, and the last node.
pub(super) fn shown() -> VisibleDevices {
    let cpus = CpuSet::parse("0,8191").unwrap();
    VisibleDevices {
        nodes: vec![(NodeId(1023), cpus.clone())],
        cpus,
    }
}

/// Adds an entry and all that stands below it.
pub(super) fn walk(from: Entry, found: &mut Vec<Entry>) {
    found.push(from);
    for (_, child) in from.named_children() {
        walk(child, found);
    }
    for (_, _, child) in from.numbered_children(&shown()) {
        walk(child, found);
    }
}

/// What is there, by its path from the root.
pub(super) fn at(path: &str) -> Option<Entry> {
    path.split('/')
        .try_fold(ROOT, |entry, name| entry.child(name))
}
