//! Finds the containers with Plimsoll's files, and the cgroup of which the files tell.

use super::namespaces::OccupiedNamespace;
use crate::base::{
    mountinfo::Mount,
    paths::CONTAINERS,
    units::{Key, Pid},
};
use std::io;

/// The files of one cgroup in one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundFiles {
    /// A process in the container.
    pub pid: Pid,
    /// The key whose files are mounted in the container.
    pub key: Key,
}

/// Finds every container with files of a directory `containers/KEY`, of any view.
///
/// # Errors
/// When the processes of the machine cannot be listed.
pub fn find_bound() -> io::Result<Vec<BoundFiles>> {
    let others = OccupiedNamespace::all()?.into_iter();
    let others = others.filter(|namespace| !namespace.is_own);
    let bound = others.filter_map(|namespace| {
        let (pid, mounts) = namespace.own_mounts()?;
        let key = mounts.iter().find_map(key_of)?;
        Some(BoundFiles { pid, key })
    });
    Ok(bound.collect())
}

/// Returns the key in the root of a mount: `/KEY/proc/meminfo` of the cached connection, which is
/// mounted at `containers`, or `/containers/KEY/proc/meminfo` of the direct one.
fn key_of(mount: &Mount) -> Option<Key> {
    let names = mount.root.iter().skip(1);
    let mut names = names.skip_while(|name| *name == CONTAINERS);
    names.next()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mountinfo;

    #[test]
    fn the_root_of_a_mount_names_the_cgroup_whose_files_it_shows() {
        let key = |root: &str| {
            let line = format!("30 24 0:26 {root} /proc/stat ro - fuse.plimsoll plimsoll rw\n");
            key_of(&mountinfo::parse(&line).next().unwrap())
        };
        assert_eq!(key("/containers/4711/proc/stat"), Some(Key(4711)));
        assert_eq!(key("/4711/proc/stat"), Some(Key(4711)));
        assert_eq!(key("/proc/stat"), None);
        assert_eq!(key("/"), None);
    }
}
