//! Pure. The mounts that a path can reach: no other mount covers them.

use super::parse::{Mount, MountLine};
use std::{collections::HashMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// The place of a mount: its own id, the id of the mount that it lies on, and its mount point.
/// All points of one machine are escaped, or none.
#[derive(Debug, Clone, Copy)]
struct Position<'a> {
    id: u32,
    parent: u32,
    point: &'a [u8],
}

/// Returns the mounts that a path can reach, which no other mount covers, in their order.
///
/// The function ignores the order of the mounts: on some hosts `/` comes after the mounts on `/`.
#[must_use]
pub fn visible(mounts: &[Mount]) -> Vec<&Mount> {
    let mut tree = MountTree::of(mounts.iter().map(Position::of).collect());
    let visible = mounts.iter().enumerate();
    visible
        .filter_map(|(at, mount)| tree.shows(at).then_some(mount))
        .collect()
}

/// Returns the mounts of the file system types `kinds` among the lines of a `mountinfo` file that a
/// path can reach, in their order. A line of another type costs no copy.
#[must_use]
pub(super) fn visible_of(mountinfo: &[u8], kinds: &[&str]) -> Vec<Mount> {
    let lines: Vec<MountLine<'_>> = MountLine::all(mountinfo).collect();
    let places = lines.iter().map(|line| Position {
        id: line.id,
        parent: line.parent,
        point: line.point,
    });
    let mut tree = MountTree::of(places.collect());
    let is_wanted = |line: &MountLine<'_>| kinds.iter().any(|kind| line.is_of(kind));
    let wanted = lines.iter().enumerate().filter(|(_, line)| is_wanted(line));
    wanted
        .filter(|(at, _)| tree.shows(*at))
        .map(|(_, line)| line.mount())
        .collect()
}

impl<'a> Position<'a> {
    fn of(mount: &'a Mount) -> Position<'a> {
        Position {
            id: mount.id,
            parent: mount.parent,
            point: mount.point.as_os_str().as_bytes(),
        }
    }
}

/// The mounts of a namespace, by the mount that each lies on.
struct MountTree<'a> {
    places: Vec<Position<'a>>,
    by_id: HashMap<u32, usize>,
    /// The number of mounts that lie on a mount at one point.
    on: HashMap<(u32, &'a [u8]), usize>,
    /// Whether a path reaches the top of the way to a mount, for each mount that was asked for.
    known: Vec<Option<bool>>,
    /// The number of look-ups in `on` and of steps to a parent.
    #[cfg(test)]
    steps: std::cell::Cell<usize>,
}

impl<'a> MountTree<'a> {
    fn of(places: Vec<Position<'a>>) -> MountTree<'a> {
        let mut tree = MountTree {
            by_id: HashMap::with_capacity(places.len()),
            on: HashMap::with_capacity(places.len()),
            known: vec![None; places.len()],
            places,
            #[cfg(test)]
            steps: std::cell::Cell::default(),
        };
        for (at, place) in tree.places.iter().enumerate() {
            tree.by_id.entry(place.id).or_insert(at);
            // The root of a namespace lies on itself (`proc_pid_mountinfo(5)`), and covers nothing.
            if place.parent != place.id {
                *tree.on.entry((place.parent, place.point)).or_default() += 1;
            }
        }
        tree
    }

    /// Returns whether a path can reach the mount, and nothing covers it.
    fn shows(&mut self, at: usize) -> bool {
        let Some(place) = self.places.get(at).copied() else {
            return false;
        };
        self.number_on(place.id, place.point) == 0 && self.is_reached(at)
    }

    /// Returns whether no mount covers a directory between the root and the mount point.
    fn is_reached(&mut self, at: usize) -> bool {
        let mut way = Vec::new();
        let mut next = Some(at);
        let mut is_reached = true;
        while let Some(at) = next {
            let Some((known, place)) = self.known.get_mut(at).zip(self.places.get(at)) else {
                break;
            };
            if let Some(known) = *known {
                is_reached = known;
                break;
            }
            // A text may describe a ring of mounts, which no path can reach: a mount that the way
            // passes twice counts as hidden.
            *known = Some(false);
            way.push(at);
            let parent = self.by_id.get(&place.parent).copied();
            next = parent.filter(|_| place.parent != place.id);
            if next.is_some() && self.is_hidden(*place) {
                is_reached = false;
                break;
            }
        }
        for at in way {
            if let Some(known) = self.known.get_mut(at) {
                *known = Some(is_reached);
            }
        }
        is_reached
    }

    /// Returns whether another mount on the same parent covers the mount point or a directory above.
    fn is_hidden(&self, place: Position<'_>) -> bool {
        let point = Path::new(OsStr::from_bytes(place.point));
        let above = point.ancestors().map(|above| above.as_os_str().as_bytes());
        // The mount itself is one of those at its own point.
        above
            .enumerate()
            .any(|(steps, above)| self.number_on(place.parent, above) > usize::from(steps == 0))
    }

    /// Returns the number of mounts that lie on the mount `id` at that point.
    fn number_on(&self, id: u32, point: &[u8]) -> usize {
        #[cfg(test)]
        self.steps.update(|steps| steps + 1);
        self.on.get(&(id, point)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};
    use proptest::{
        collection::vec,
        prelude::{prop_assert_eq, proptest},
    };

    const COVERED: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
42 27 0:40 / /mnt rw - nfs4 server:/x rw
43 42 8:3 / /mnt rw - ext4 /dev/sda3 rw
48 42 8:4 / /mnt/hidden rw - ext4 /dev/sda4 rw
";

    #[test]
    fn a_mount_that_another_covers_is_not_visible() {
        let mounts: Vec<Mount> = parse(COVERED).collect();
        let kinds: Vec<_> = visible(&mounts)
            .into_iter()
            .filter(|mount| mount.point.starts_with("/mnt"))
            .map(|mount| mount.kind.as_str())
            .collect();
        assert_eq!(kinds, ["ext4"]);
    }

    #[test]
    fn mounts_that_lie_upon_each_other_in_a_ring_are_not_visible() {
        let ring = "1 3 0:1 / /a rw - a a rw\n2 1 0:1 / /b rw - b b rw\n3 2 0:1 / /c rw - c c rw\n";
        let mounts: Vec<Mount> = parse(ring).collect();
        assert_eq!(visible(&mounts), Vec::<&Mount>::new());
    }

    #[test]
    fn the_root_of_a_namespace_lies_on_itself_and_covers_nothing() {
        // A machine that runs from its initramfs, as proc_pid_mountinfo(5) has it.
        let text = "1 1 0:2 / / rw - rootfs none rw\n20 1 0:21 / /proc rw - proc proc rw\n";
        let mounts: Vec<Mount> = parse(text).collect();
        assert_eq!(visible(&mounts).len(), 2);
    }

    /// The lines of a node whose `count` containers have an overlay each.
    fn node(count: u32) -> String {
        let lines = (0..count).map(|at| {
            let id = 1000 + at;
            format!(
                "{id} 24 0:{id} / /var/lib/docker/overlay2/{at}/merged rw - overlay overlay rw\n"
            )
        });
        let root = "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 24 0:26 / /sys rw - sysfs sysfs rw\n";
        let cgroup = "31 30 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        root.chars()
            .chain(lines.collect::<String>().chars())
            .chain(cgroup.chars())
            .collect()
    }

    #[test]
    fn four_times_the_mounts_are_four_times_the_work() {
        let steps = |count| {
            let text = node(count);
            let mounts: Vec<Mount> = parse(&text).collect();
            let mut tree = MountTree::of(mounts.iter().map(Position::of).collect());
            let shown = (0..mounts.len()).filter(|at| tree.shows(*at)).count();
            assert_eq!(shown, mounts.len());
            tree.steps.get()
        };
        let (some, many) = (steps(250), steps(1000));
        assert!(
            many <= 4 * some,
            "{some} steps for 250 mounts, {many} for 1000"
        );
    }

    #[test]
    fn a_chain_of_mounts_is_walked_once() {
        let lines = (2..1002).map(|id| {
            format!(
                "{id} {} 0:1 / /a{} rw - a a rw\n",
                id - 1,
                "/a".repeat(id % 3)
            )
        });
        let mounts: Vec<Mount> = parse(&lines.collect::<String>()).collect();
        let mut tree = MountTree::of(mounts.iter().map(Position::of).collect());
        let _ = (0..mounts.len()).filter(|at| tree.shows(*at)).count();
        assert!(tree.steps.get() <= 6 * mounts.len(), "{}", tree.steps.get());
    }

    #[test]
    fn only_the_wanted_types_are_copied_of_the_mounts_that_are_visible() {
        let found = visible_of(node(9).as_bytes(), &["cgroup", "cgroup2"]);
        let found: Vec<&str> = found.iter().map(|mount| mount.kind.as_str()).collect();
        assert_eq!(found, ["cgroup2"]);
        let covered = node(1) + "32 31 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
        assert_eq!(visible_of(covered.as_bytes(), &["cgroup2"]), []);
    }

    /// The definition, for each mount against each.
    fn is_visible(mount: &Mount, mounts: &[Mount]) -> bool {
        let on = |other: &&Mount, id: u32| other.parent == id && other.id != other.parent;
        let is_covered = mounts
            .iter()
            .any(|other| on(&other, mount.id) && other.point == mount.point);
        let mut at = mount;
        for _ in mounts {
            let parent = mounts
                .iter()
                .find(|other| other.id == at.parent && other.id != at.id);
            let Some(parent) = parent else {
                return !is_covered;
            };
            let hides = |other: &&Mount| {
                on(other, parent.id) && other.id != at.id && at.point.starts_with(&other.point)
            };
            if mounts.iter().any(|other| hides(&other)) {
                return false;
            }
            at = parent;
        }
        false
    }

    proptest! {
        #[test]
        fn a_mount_is_visible_by_the_definition_in_any_tree(
            tree in vec((0u32..9, vec("[ab]", 0..4)), 0..9)
        ) {
            let lines = tree.iter().enumerate().map(|(id, (parent, point))| {
                format!("{id} {parent} 0:1 / /{} rw - a a rw\n", point.join("/"))
            });
            let text: String = lines.collect();
            let mounts: Vec<Mount> = parse(&text).collect();
            let expected: Vec<&Mount> = mounts.iter().filter(|one| is_visible(one, &mounts)).collect();
            prop_assert_eq!(visible(&mounts), expected.clone());
            let expected: Vec<Mount> = expected.into_iter().cloned().collect();
            prop_assert_eq!(visible_of(text.as_bytes(), &["a"]), expected);
        }
    }
}
