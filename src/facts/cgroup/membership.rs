//! Pure. The cgroup of a task in each hierarchy.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The mark that the kernel appends to the path of a cgroup of v2 that was removed under a zombie
/// (`proc_cgroup_show` in `kernel/cgroup/cgroup.c`). The name of a living cgroup may end so too.
const REMOVED: &[u8] = b" (deleted)";

/// The cgroup of a task in each hierarchy: `/proc/TID/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    hierarchies: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    controllers: String,
    path: PathBuf,
}

impl Line {
    fn is_v2(&self) -> bool {
        self.controllers.is_empty()
    }
}

impl Membership {
    /// Parses the lines `ID:CONTROLLERS:PATH`. A path may hold any byte but a newline, which
    /// `cgroup_mkdir` refuses; the kernel escapes none. Other lines are left out.
    #[must_use]
    pub fn parse(text: &(impl AsRef<[u8]> + ?Sized)) -> Membership {
        let lines = text.as_ref().split(|byte| *byte == b'\n');
        let hierarchies = lines.filter_map(|line| {
            let mut parts = line.splitn(3, |byte| *byte == b':');
            let _id: u32 = str::from_utf8(parts.next()?).ok()?.parse().ok()?;
            let controllers = String::from_utf8_lossy(parts.next()?).into_owned();
            let path = parts.next().filter(|path| path.starts_with(b"/"))?;
            let path = OsStr::from_bytes(path).into();
            Some(Line { controllers, path })
        });
        Membership {
            hierarchies: hierarchies.collect(),
        }
    }

    /// Returns the path in the v1 hierarchy that has `controller`.
    #[must_use]
    pub fn v1(&self, controller: &str) -> Option<&PathBuf> {
        let mut lines = self.hierarchies.iter();
        let line = lines.find(|line| line.controllers.split(',').any(|name| name == controller));
        line.map(|line| &line.path)
    }

    /// Returns the path in the v2 hierarchy as the kernel prints the path. If
    /// [`Membership::without_mark`] returns another path, only a look at the hierarchy shows which of
    /// the two is the cgroup's.
    #[must_use]
    pub fn v2(&self) -> Option<&PathBuf> {
        let mut lines = self.hierarchies.iter();
        lines.find(|line| line.is_v2()).map(|line| &line.path)
    }

    /// Returns the path in the v2 hierarchy without the mark of a removed cgroup; `None` if the path
    /// ends in no such mark.
    #[must_use]
    pub fn without_mark(&self) -> Option<PathBuf> {
        let path = self.v2()?.as_os_str().as_bytes();
        let left = path.strip_suffix(REMOVED)?;
        Some(OsStr::from_bytes(left).into())
    }

    /// Returns the path in each hierarchy, in the kernel's order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.hierarchies.iter().map(|line| line.path.as_path())
    }

    /// Returns true if every v1 hierarchy shows the task at its root, as the kernel does for each
    /// task that ends, wherever the task was.
    #[must_use]
    pub fn is_at_roots_of_v1(&self) -> bool {
        let mut v1 = self.hierarchies.iter().filter(|line| !line.is_v2());
        let is_root = |line: &Line| line.path == Path::new("/");
        v1.next().is_some_and(is_root) && v1.all(is_root)
    }

    /// Returns the cgroups that are the root of a cgroup namespace, from the membership of a task in
    /// that namespace (`self`). `inside` is that membership as a reader in the namespace sees it;
    /// `witness` is any membership as a reader outside and one inside sees it.
    ///
    /// Only the depth of the root comes from `witness`, so a task that moves between the reads never
    /// gets a root above the true one. A hierarchy in which the task has left the namespace's root
    /// keeps the task's own cgroup.
    #[must_use]
    pub fn root_of_namespace(&self, inside: &Membership, witness: [&Membership; 2]) -> Membership {
        let steps_up = |line: &Line| {
            let is_below = ups(inside.same_hierarchy(line)?) == 0;
            let [outside, inside] = witness.map(|witness| witness.same_hierarchy(line));
            let depth = depth_of_root(outside?, inside?)?;
            let steps = names(&line.path).count().checked_sub(depth)?;
            is_below.then_some(steps)
        };
        let hierarchies = self.hierarchies.iter().map(|line| {
            let steps = steps_up(line).unwrap_or(0);
            let root = line.path.ancestors().nth(steps);
            Line {
                controllers: line.controllers.clone(),
                path: root.unwrap_or(&line.path).to_owned(),
            }
        });
        Membership {
            hierarchies: hierarchies.collect(),
        }
    }

    fn same_hierarchy(&self, line: &Line) -> Option<&Path> {
        let mut lines = self.hierarchies.iter();
        let same = lines.find(|other| other.controllers == line.controllers)?;
        Some(&same.path)
    }
}

/// Returns the depth of the root of a cgroup namespace, from a cgroup's path as a reader outside and
/// as one inside sees it: `/a/b` and `/../../a/b` for a root such as `/x/y`.
fn depth_of_root(outside: &Path, inside: &Path) -> Option<usize> {
    let ups = ups(inside);
    let below = names(inside).count() - ups;
    Some(names(outside).count().checked_sub(below)? + ups)
}

fn names(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.iter().filter(|name| *name != "/")
}

/// Returns the number of steps with which a path leads out of a cgroup namespace.
fn ups(path: &Path) -> usize {
    names(path).take_while(|name| *name == "..").count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn a_membership_names_each_hierarchy() {
        let text = "(null)\n:::\n5::\nx::/\n4:cpu,cpuacct:/a:b\n3:name=systemd:/s\n0::/u\n";
        let membership = Membership::parse(text);
        assert_eq!(membership.v1("cpuacct"), Some(&PathBuf::from("/a:b")));
        assert_eq!(membership.v1("memory"), None);
        assert_eq!(membership.v2(), Some(&PathBuf::from("/u")));
        assert_eq!(membership.without_mark(), None);
    }

    #[test]
    fn a_name_may_hold_any_bytes_and_end_like_a_mark() {
        let text = b"4:memory:/a (deleted)\n3:cpu:/b\xff\\x20 \r\n0::/u (deleted)\n";
        let membership = Membership::parse(text);
        let path = |path: &'static [u8]| PathBuf::from(OsStr::from_bytes(path));
        assert_eq!(membership.v1("memory"), Some(&path(b"/a (deleted)")));
        assert_eq!(membership.v1("cpu"), Some(&path(b"/b\xff\\x20 \r")));
        assert_eq!(membership.v2(), Some(&path(b"/u (deleted)")));
        assert_eq!(membership.without_mark(), Some(path(b"/u")));
    }

    fn root(task: [&str; 2], witness: [&str; 2]) -> Option<PathBuf> {
        let [outside, inside, w_outside, w_inside] = [task[0], task[1], witness[0], witness[1]]
            .map(|path| Membership::parse(&format!("0::{path}\n")));
        let root = outside.root_of_namespace(&inside, [&w_outside, &w_inside]);
        root.v2().cloned()
    }

    #[test]
    fn the_depth_of_a_namespaces_root_cuts_the_path_of_its_task() {
        let daemon = ["/system/daemon", "/../../system/daemon"];
        for (task, witness, expected) in [
            (["/box/1/init", "/init"], daemon, "/box/1"),
            (["/box/1", "/"], daemon, "/box/1"),
            (["/box/1/init", "/init"], ["/box/1/init", "/init"], "/box/1"),
            (["/box/1/a", "/a"], ["/box/2", "/../2"], "/box/1"),
            (["/box/1/a", "/a"], ["/box/1/d", "/d"], "/box/1"),
            (["/box/1/a", "/a"], ["/", "/../.."], "/box/1"),
        ] {
            assert_eq!(root(task, witness), Some(expected.into()), "{task:?}");
        }
    }

    #[test]
    fn a_task_that_moves_during_the_look_up_gets_no_root_above_its_own() {
        // The root is /box/1; the task was in /box/1/a and is in /box/1/1/a now.
        let daemon = ["/daemon", "/../../daemon"];
        let moved = root(["/box/1/a", "/1/a"], daemon);
        assert_eq!(moved, Some("/box/1".into()));
        // A task that left the namespace's root.
        let left = root(["/other/b/c", "/../../other/b/c"], daemon);
        assert_eq!(left, Some("/other/b/c".into()));
    }

    #[test]
    fn the_root_is_found_in_each_hierarchy_by_itself() {
        let outside = Membership::parse("2:memory:/box/init\n1:cpu:/other/a/b\n0::/box\n");
        let inside = Membership::parse("2:memory:/init\n1:cpu:/a/b\n");
        let root = outside.root_of_namespace(&inside, [&outside, &inside]);
        let expected = Membership::parse("2:memory:/box\n1:cpu:/other\n0::/box\n");
        assert_eq!(root, expected);
    }

    #[test]
    fn a_task_that_ends_shows_at_the_root_of_each_v1_hierarchy() {
        let is_root = |text: &str| Membership::parse(text).is_at_roots_of_v1();
        assert!(is_root("2:memory:/\n1:cpu:/\n0::/box\n"));
        assert!(!is_root("2:memory:/box\n1:cpu:/\n0::/\n"));
        assert!(!is_root("0::/\n") && !is_root(""));
    }

    proptest! {
        #[test]
        fn a_line_that_is_not_understood_costs_only_itself(odd in "[^0-9\\n]{0,40}", at in 0usize..4) {
            let mut lines = vec!["4:cpu,cpuacct:/a:b", "3:name=systemd:/s", "0::/u"];
            let expected = Membership::parse(&lines.join("\n"));
            lines.insert(at, &odd);
            prop_assert_eq!(Membership::parse(&lines.join("\n")), expected);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>(), inside in any::<String>()) {
            let outside = Membership::parse(&text);
            let inside = Membership::parse(&format!("0::{inside}"));
            let _ = outside.root_of_namespace(&inside, [&inside, &outside]);
        }
    }
}
