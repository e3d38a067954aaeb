//! Takes the mounts of a view out of the containers.

use super::{
    dead::DeadDevices, each::each, namespaces::device, outermost::outermost, report::RepairResult,
};
use crate::{
    base::{mountinfo::Mount, paths::FS_TYPE, sys::chain},
    inject::{hosts_files::HostsFiles, namespace::MountNamespace, target},
};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The time for all containers. A keeper gives a daemon that ends ten seconds, systemd twenty.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(7);

/// Takes the mounts of the file systems that are mounted at `points` out of every container, which
/// sees the host's files there again.
///
/// The caller must have one thread only.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub(super) fn remove(points: &[PathBuf]) -> io::Result<RepairResult> {
    let devices: Vec<String> = points.iter().filter_map(|point| device(point)).collect();
    let is_wanted = |mount: &Mount| devices.contains(&mount.device);
    each(points, REMOVE_TIMEOUT, is_wanted, remove_from)
}

fn remove_from(
    namespace: &MountNamespace,
    mounts: &[Mount],
    _: &DeadDevices,
) -> Vec<Result<usize, String>> {
    let all: Vec<&Mount> = mounts.iter().collect();
    let places: Vec<(&Path, Option<HostsFiles>)> = outermost(&all)
        .into_iter()
        .map(|outer| {
            (
                namespace.root.below(outer.mount),
                HostsFiles::of(&outer.mount.root),
            )
        })
        .collect();
    if let Err(error) = namespace.enter() {
        return vec![Err(chain(&error))];
    }
    let wanted: BTreeSet<u32> = mounts.iter().map(|mount| mount.id).collect();
    let is_ours = |mount: &Mount| match mount.kind == FS_TYPE {
        true => wanted.contains(&mount.id),
        false => target::is_ours(mount),
    };
    let results = places.iter().map(|(path, hosts)| {
        let root = &namespace.root;
        root.uncover(path, is_ours, hosts.as_ref(), &namespace.fds)
            .map_err(|error| chain(&error))
    });
    results.collect()
}
