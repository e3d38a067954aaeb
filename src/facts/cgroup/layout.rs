//! The mount of each controller, and the cgroup of a process there. Behind this file, v1, v2 and
//! hybrid hosts look alike.

use super::{Fact, Membership, Paths, fact as facts, levels::levels, parse};
use crate::base::{
    mountinfo::{self, Mount},
    paths::NO_CGROUPS,
    sys::{self, Budget, Dir, ReadError, Records},
    units::{Id, IdSet, Key},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The cgroup version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// A mounted hierarchy.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) root: Dir,
}

/// The hierarchies of a machine, by controller.
#[derive(Debug)]
pub struct Layout {
    pub(super) memory: Option<Arc<Hierarchy>>,
    pub(super) cpu: Option<Arc<Hierarchy>>,
    pub(super) cpuacct: Option<Arc<Hierarchy>>,
    pub(super) cpuset: Option<Arc<Hierarchy>>,
    pub(super) io: Option<Arc<Hierarchy>>,
    pub(super) hugetlb: Option<Arc<Hierarchy>>,
    /// The hierarchy whose inode numbers are the keys: memory's, where there is one.
    pub(super) key_hierarchy: Arc<Hierarchy>,
}

impl Layout {
    /// Opens the hierarchies that are mounted on the machine whose root directory is `root`.
    ///
    /// # Errors
    /// When `proc/self/mountinfo` cannot be read, a hierarchy cannot be opened, or there is none.
    pub fn read(root: &Path) -> Result<Layout, ReadError> {
        let mountinfo = root.join("proc/self/mountinfo");
        let mounts = mountinfo::visible_at(&mountinfo, &["cgroup", "cgroup2"]);
        let mounts = mounts.map_err(ReadError::refused(&mountinfo))?;
        let budget = Budget::of_this_process();
        let open = |mount: &Mount, version| {
            let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
            let mut root = Dir::open(&point).map_err(ReadError::refused(&point))?;
            if root.is_pseudo_fs() {
                root = root.holding_files(budget.clone(), Records::Short);
            }
            Ok::<_, ReadError>(Arc::new(Hierarchy { version, root }))
        };
        let v2 = whole(&mounts, |mount| mount.kind == "cgroup2")
            .map(|mount| open(mount, Version::V2))
            .transpose()?;
        let enabled = match &v2 {
            Some(v2) => v2.text("/", "cgroup.controllers")?.unwrap_or_default(),
            None => String::new(),
        };
        let find = |controller: &str| -> Result<Option<Arc<Hierarchy>>, ReadError> {
            let v1 = whole(&mounts, |mount| {
                mount.kind == "cgroup" && mount.options.iter().any(|name| name == controller)
            });
            match v1 {
                Some(mount) => open(mount, Version::V1).map(Some),
                None if enabled.split_whitespace().any(|name| name == controller) => Ok(v2.clone()),
                None => Ok(None),
            }
        };
        let (memory, cpu) = (find("memory")?, find("cpu")?);
        // cpu.stat counts time in every cgroup of v2, whether the controller is enabled or not.
        let cpuacct = find("cpuacct")?.or_else(|| v2.clone());
        let key_hierarchy = memory
            .clone()
            .or_else(|| v2.clone())
            .or_else(|| cpu.clone());
        Ok(Layout {
            key_hierarchy: key_hierarchy.ok_or_else(|| {
                let missing = io::Error::new(io::ErrorKind::NotFound, NO_CGROUPS);
                ReadError::refused(Path::new("/sys/fs/cgroup"))(missing)
            })?,
            cpuset: find("cpuset")?,
            io: find("blkio")?.or(find("io")?),
            hugetlb: find("hugetlb")?,
            memory,
            cpu,
            cpuacct,
        })
    }

    /// Returns whether the hierarchy that gives a process of that membership its key is mounted
    /// here. A caller that sees only a part of the hierarchies would take the inode numbers of
    /// another hierarchy for keys.
    #[must_use]
    pub fn has_keys_of(&self, membership: &Membership) -> bool {
        let is_v1 = |hierarchy: &Arc<Hierarchy>| matches!(hierarchy.version, Version::V1);
        membership.v1("memory").is_none() || self.memory.as_ref().is_some_and(is_v1)
    }

    /// Returns the paths of a process with that membership.
    ///
    /// `None` if the membership lacks the hierarchy that gives the keys, or a path leads out of the
    /// mounted part of a hierarchy (`/..`, as the path of another cgroup namespace may).
    #[must_use]
    pub fn paths(&self, membership: &Membership) -> Option<Paths> {
        let path = |hierarchy: &Option<Arc<Hierarchy>>, controller: &str| match hierarchy {
            Some(hierarchy) => hierarchy.path(membership, controller),
            None => Some(PathBuf::from("/")),
        };
        let memory = path(&self.memory, "memory")?;
        Some(Paths {
            key_path: match &self.memory {
                Some(_) => memory.clone(),
                None => self.key_hierarchy.path(membership, "cpu")?,
            },
            cpu: path(&self.cpu, "cpu")?,
            cpuacct: path(&self.cpuacct, "cpuacct")?,
            cpuset: path(&self.cpuset, "cpuset")?,
            io: path(&self.io, "blkio")?,
            hugetlb: path(&self.hugetlb, "hugetlb")?,
            memory,
        })
    }

    /// Returns the path relative to the hierarchy whose inode numbers are the keys. A path that
    /// begins with the mount point of that hierarchy loses the mount point.
    #[must_use]
    pub fn below(&self, path: &Path) -> PathBuf {
        let mount = self.key_hierarchy.root.path().unwrap_or_default();
        let below = path.strip_prefix(&mount).unwrap_or(path);
        Path::new("/").join(below)
    }

    /// Returns the path of the directory with that inode number in the hierarchy whose inode
    /// numbers are the keys.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when no directory has the number.
    pub fn path_of(&self, key: Key) -> Result<PathBuf, ReadError> {
        let asked = PathBuf::from(key.to_string());
        let gone = || ReadError::refused(&asked)(io::ErrorKind::NotFound.into());
        // A shortage of descriptors or memory is no proof that the directory is gone.
        let refused = |error: io::Error| match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => ReadError::refused(&asked)(error),
            _ => gone(),
        };
        let found = sys::directory_by_inode(&self.key_hierarchy.root, key.0)
            .and_then(|dir| dir.path())
            .map_err(refused)?;
        let root = self
            .key_hierarchy
            .root
            .path()
            .map_err(ReadError::refused(&asked))?;
        let below = found.strip_prefix(&root).map_err(|_| gone())?;
        let path = Path::new("/").join(below);
        // A directory that was removed keeps its old path, with a mark, while it is held open.
        match self.inode(&path) {
            Ok(inode) if inode == key.0 => Ok(path),
            Err(error) if error.is_shortage() => Err(error),
            _ => Err(gone()),
        }
    }

    /// Closes files of cgroups that nobody read for a minute, some at a time: the kernel keeps a
    /// removed cgroup as long as one of its files is open.
    pub fn close_idle(&self) {
        let all = self.of_controllers().chain([&self.key_hierarchy]);
        all.for_each(|hierarchy| hierarchy.root.close_idle());
    }

    /// Returns whether all controllers are in one hierarchy, so that a container has one path.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.of_controllers()
            .all(|hierarchy| Arc::ptr_eq(hierarchy, &self.key_hierarchy))
    }

    /// Returns the hierarchy of each controller that is mounted.
    fn of_controllers(&self) -> impl Iterator<Item = &Arc<Hierarchy>> {
        let all = [
            &self.memory,
            &self.cpu,
            &self.cpuacct,
            &self.cpuset,
            &self.io,
            &self.hugetlb,
        ];
        all.into_iter().flatten()
    }

    /// Returns the key of the container at `paths`: the inode number of its directory in the
    /// hierarchy that gives the keys.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when the cgroup was removed.
    pub fn key(&self, paths: &Paths) -> Result<Key, ReadError> {
        self.inode(&paths.key_path).map(Key)
    }

    fn inode(&self, path: &Path) -> Result<u64, ReadError> {
        (self.key_hierarchy.root.inode(path)).map_err(ReadError::refused(path))
    }

    /// Returns the file that states the fact, in the cgroup `steps` above the container at `paths`,
    /// with the file's own word for a `key` of `memory.stat` in v2; `None` where no file states the
    /// fact.
    #[must_use]
    pub fn origin(
        &self,
        paths: &Paths,
        asked: Fact,
        steps: usize,
        key: Option<&str>,
    ) -> Option<(PathBuf, Option<String>)> {
        let (hierarchy, path) = match asked {
            Fact::MemoryMax | Fact::MemoryHigh | Fact::MemoryCurrent | Fact::MemoryStat => {
                (&self.memory, &paths.memory)
            }
            Fact::SwapMax | Fact::SwapCurrent => (&self.memory, &paths.memory),
            Fact::Quota | Fact::Throttled | Fact::ThrottledLocal => (&self.cpu, &paths.cpu),
            Fact::CpuUse => (&self.cpuacct, &paths.cpuacct),
            Fact::Cpus | Fact::Mems => (&self.cpuset, &paths.cpuset),
            Fact::Devices => (&self.io, &paths.io),
            Fact::Tasks => (&self.memory, &paths.key_path),
        };
        let hierarchy = hierarchy.as_ref()?;
        let level = path.ancestors().nth(steps)?;
        let key = match (hierarchy.version, key) {
            (Version::V1, Some(key)) => Some(parse::v1_key(key)?.to_owned()),
            (_, key) => key.map(str::to_owned),
        };
        let has = |file: &&str| hierarchy.root.has(&level.join(file));
        let file = match hierarchy.version {
            Version::V1 => facts::v1_names(asked)
                .into_iter()
                .find(has)
                .unwrap_or(facts::v1(asked)),
            Version::V2 => facts::v2(asked),
        };
        let directory = hierarchy.root.path().ok()?;
        let directory = directory.join(level.strip_prefix("/").unwrap_or(level));
        Some((directory.join(file), key))
    }
}

impl Hierarchy {
    fn path(&self, membership: &Membership, controller: &str) -> Option<PathBuf> {
        let path = match self.version {
            Version::V1 => membership.v1(controller)?.clone(),
            Version::V2 => self.path_v2(membership)?,
        };
        let outside = path.components().any(|part| part.as_os_str() == "..");
        (!outside).then_some(path)
    }

    /// Returns the path in this hierarchy of v2. The text alone does not tell a cgroup that was
    /// removed from a living one whose name ends like the kernel's mark.
    fn path_v2(&self, membership: &Membership) -> Option<PathBuf> {
        let path = membership.v2()?;
        let unmarked = membership.without_mark();
        Some(match unmarked.filter(|_| !self.root.has(path)) {
            Some(removed) => removed,
            None => path.clone(),
        })
    }

    fn text(&self, path: &str, file: &str) -> Result<Option<String>, ReadError> {
        optional(&self.root, &Path::new(path).join(file))
    }
}

/// Reads a file that a cgroup may lack: its controller is not enabled there, or the kernel is older.
/// `None` if the cgroup lacks the file.
///
/// # Errors
/// When the file is there and cannot be read.
pub(super) fn optional(root: &Dir, path: &Path) -> Result<Option<String>, ReadError> {
    match root.text_held(path).map_err(ReadError::refused(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads and parses a file that a cgroup may lack; `None` if the cgroup lacks the file.
///
/// # Errors
/// When the file is there and cannot be read or parsed.
pub(super) fn fact<T>(
    root: &Dir,
    path: &Path,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    optional(root, path)?
        .map(|text| parse(&text).ok_or_else(|| ReadError::garbled(path)))
        .transpose()
}

/// Reads the first of the `files` that a cgroup has, of the nearest cgroup from `path` up whose file
/// lists any number.
///
/// # Errors
/// When a file is there and cannot be read.
pub(super) fn nearest<I: Id>(
    root: &Dir,
    path: &Path,
    files: &[&str],
) -> Result<Option<IdSet<I>>, ReadError> {
    for (_, level) in levels(path) {
        for file in files {
            match optional(root, &level.join(file))?.map(|text| IdSet::listed(&text)) {
                Some(ids) if ids.is_empty() => break,
                Some(ids) => return Ok(Some(ids)),
                None => {}
            }
        }
    }
    Ok(None)
}

// Returns the mount that shows most of a hierarchy: a bind mount of a container shows a part.
fn whole(mounts: &[Mount], wanted: impl Fn(&Mount) -> bool) -> Option<&Mount> {
    mounts
        .iter()
        .filter(|mount| wanted(mount))
        .min_by_key(|mount| mount.root.components().count())
}
