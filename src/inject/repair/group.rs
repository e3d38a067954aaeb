//! Groups of mount namespaces, by owner: one group must not take the time of the others.

use crate::base::{
    mountinfo::Mount,
    paths::CONTAINERS,
    units::{Key, Pid},
};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt};

/// The group of a mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// The namespaces with the files of one container.
    Container(Key),
    /// The other namespaces of one user of the host.
    User(u32),
}

impl Group {
    /// Returns the group of a namespace with these mounts of Plimsoll and that process.
    pub(super) fn of(mounts: &[Mount], pid: Pid) -> Group {
        let user = || fs::metadata(format!("/proc/{pid}")).map_or(u32::MAX, |one| one.uid());
        let key = mounts.iter().find_map(key_of);
        key.map_or_else(|| Group::User(user()), Group::Container)
    }
}

/// Returns the key in the root of a mount: `/KEY/proc/meminfo` of the cached connection, which is
/// mounted at `containers`, or `/containers/KEY/proc/meminfo` of the direct one.
pub(super) fn key_of(mount: &Mount) -> Option<Key> {
    let names = mount.root.iter().skip(1);
    let mut names = names.skip_while(|name| *name == CONTAINERS);
    names.next()?.to_str()?.parse().ok()
}

/// Returns the items in turns: the first one of each group, then the second ones, and so on.
pub(super) fn in_turns<T>(items: Vec<(Group, T)>) -> Vec<T> {
    let mut counts: BTreeMap<Group, usize> = BTreeMap::new();
    let numbered = items.into_iter().map(|(group, item)| {
        let count = counts.entry(group).or_default();
        *count += 1;
        (*count, item)
    });
    let mut numbered: Vec<(usize, T)> = numbered.collect();
    numbered.sort_by_key(|(turn, _)| *turn);
    numbered.into_iter().map(|(_, item)| item).collect()
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

    #[test]
    fn a_group_with_many_namespaces_takes_one_turn_as_another_one() {
        let (many, one) = (Group::User(1000), Group::Container(Key(7)));
        let items = [
            (many, "a"),
            (many, "b"),
            (many, "c"),
            (one, "x"),
            (one, "y"),
        ];
        assert_eq!(in_turns(items.to_vec()), ["a", "x", "b", "y", "c"]);
    }
}
