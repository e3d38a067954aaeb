//! Where each controller is mounted and where a process stands in it: v1, v2 and hybrid hosts
//! look alike from here on.

use super::{Cpu, Memory, parse::Membership, v1, v2};
use crate::{
    mounts::{self, Mount},
    sys::{self, Dir, ReadError},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// A mounted hierarchy.
#[derive(Debug)]
struct Hierarchy {
    version: Version,
    root: Dir,
}

/// The hierarchies of a machine, by controller.
#[derive(Debug)]
pub struct Layout {
    memory: Option<Arc<Hierarchy>>,
    cpu: Option<Arc<Hierarchy>>,
    cpuacct: Option<Arc<Hierarchy>>,
    cpuset: Option<Arc<Hierarchy>>,
    /// The hierarchy whose directories give containers their keys: memory's, where there is one.
    home: Arc<Hierarchy>,
}

/// Where a container stands: its path in the hierarchy of each controller, from that one's root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    memory: PathBuf,
    cpu: PathBuf,
    cpuacct: PathBuf,
    cpuset: PathBuf,
    home: PathBuf,
}

impl Place {
    /// Whether `other` is this place or lies below it, in the hierarchy that gives the keys.
    #[must_use]
    pub fn holds(&self, other: &Place) -> bool {
        other.home.starts_with(&self.home)
    }

    /// The container's path in the hierarchy that gives the keys.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.home
    }

    /// The container of an init that systemd has put into `init.scope`, which lies below the
    /// container's own cgroup; any other place as it is.
    #[must_use]
    pub fn out_of_init_scope(self) -> Place {
        if self.home.file_name() != Some("init.scope".as_ref()) {
            return self;
        }
        match self.home.parent().map(Path::to_owned) {
            Some(parent) => self.clone().up_to(&parent).unwrap_or(self),
            None => self,
        }
    }

    /// The container at `path` that this place, of one of its processes, lies in: as many steps
    /// up in every hierarchy in which the steps have the same names.
    ///
    /// `None` if this place does not lie in `path`.
    #[must_use]
    pub fn up_to(self, path: &Path) -> Option<Place> {
        let steps = self.home.strip_prefix(path).ok()?.to_owned();
        let up = |path: PathBuf| match path.ends_with(&steps) {
            true => path
                .ancestors()
                .nth(steps.components().count())
                .map(Path::to_owned),
            false => Some(path),
        };
        Some(Place {
            memory: up(self.memory)?,
            cpu: up(self.cpu)?,
            cpuacct: up(self.cpuacct)?,
            cpuset: up(self.cpuset)?,
            home: path.to_owned(),
        })
    }
}

impl Layout {
    /// The hierarchies that are mounted on the machine whose root directory is `root`.
    ///
    /// # Errors
    /// When `proc/self/mountinfo` cannot be read, a hierarchy cannot be opened, or there is none.
    pub fn read(root: &Path) -> Result<Layout, ReadError> {
        let mountinfo = root.join("proc/self/mountinfo");
        let text = std::fs::read_to_string(&mountinfo).map_err(ReadError::refused(&mountinfo))?;
        let mounts: Vec<Mount> = mounts::parse(&text).collect();
        let mounts = mounts::visible(&mounts);
        let open = |mount: &Mount, version| {
            let point = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point));
            let root = Dir::open(&point).map_err(ReadError::refused(&point))?;
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
        let home = memory
            .clone()
            .or_else(|| v2.clone())
            .or_else(|| cpu.clone());
        Ok(Layout {
            home: home.ok_or_else(|| {
                ReadError::refused(Path::new("/sys/fs/cgroup"))(io::ErrorKind::NotFound.into())
            })?,
            cpuset: find("cpuset")?,
            memory,
            cpu,
            cpuacct,
        })
    }

    /// Where a process with that membership stands.
    ///
    /// `None` if the membership lacks the hierarchy that gives the keys, or names a place outside
    /// of what is mounted here (`/..`, as another cgroup namespace may).
    #[must_use]
    pub fn place(&self, membership: &Membership) -> Option<Place> {
        let path = |hierarchy: &Option<Arc<Hierarchy>>, controller: &str| match hierarchy {
            Some(hierarchy) => hierarchy.path(membership, controller),
            None => Some(PathBuf::from("/")),
        };
        let memory = path(&self.memory, "memory")?;
        Some(Place {
            home: match &self.memory {
                Some(_) => memory.clone(),
                None => self.home.path(membership, "cpu")?,
            },
            cpu: path(&self.cpu, "cpu")?,
            cpuacct: path(&self.cpuacct, "cpuacct")?,
            cpuset: path(&self.cpuset, "cpuset")?,
            memory,
        })
    }

    /// The place whose path is the same in every hierarchy.
    #[must_use]
    pub fn place_at(&self, path: &Path) -> Place {
        Place {
            memory: path.to_owned(),
            cpu: path.to_owned(),
            cpuacct: path.to_owned(),
            cpuset: path.to_owned(),
            home: path.to_owned(),
        }
    }

    /// A path from the root of the hierarchy that gives the keys; one that leads to its mount from
    /// `/` is cut short.
    #[must_use]
    pub fn below(&self, path: &Path) -> PathBuf {
        let mount = self.home.root.path().unwrap_or_default();
        let below = path.strip_prefix(&mount).unwrap_or(path);
        Path::new("/").join(below)
    }

    /// The path of the directory with that inode number in the hierarchy that gives the keys.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when there is none.
    pub fn path_of(&self, key: u64) -> Result<PathBuf, ReadError> {
        let asked = PathBuf::from(key.to_string());
        let gone = || ReadError::refused(&asked)(io::ErrorKind::NotFound.into());
        let found = sys::directory_by_inode(&self.home.root, key)
            .and_then(|dir| dir.path())
            .map_err(|_| gone())?;
        let root = self.home.root.path().map_err(ReadError::refused(&asked))?;
        let below = found.strip_prefix(&root).map_err(|_| gone())?;
        let path = Path::new("/").join(below);
        // A directory that was removed keeps its old path, with a mark, while it is held open.
        match self.inode(&path) {
            Ok(inode) if inode == key => Ok(path),
            _ => Err(gone()),
        }
    }

    /// The key of a place: the inode number of its directory in the hierarchy that gives the keys.
    ///
    /// # Errors
    /// [`ReadError::is_gone`] when the cgroup was removed.
    pub fn key(&self, place: &Place) -> Result<u64, ReadError> {
        self.inode(&place.home)
    }

    fn inode(&self, path: &Path) -> Result<u64, ReadError> {
        (self.home.root.dir(path))
            .and_then(|dir| sys::inode(&dir))
            .map_err(ReadError::refused(path))
    }

    /// The memory of the container at `place`; no limit and no use where no controller counts.
    ///
    /// # Errors
    /// When a file of a cgroup cannot be read; [`ReadError::is_gone`] when it was removed.
    pub fn memory(&self, place: &Place) -> Result<Memory, ReadError> {
        match &self.memory {
            None => Ok(Memory::default()),
            Some(hierarchy) => match hierarchy.version {
                Version::V1 => v1::memory(&hierarchy.root, &place.memory),
                Version::V2 => v2::memory(&hierarchy.root, &place.memory),
            },
        }
    }

    /// The CPUs of the container at `place`; no limit and no use where no controller counts.
    ///
    /// # Errors
    /// As for [`Layout::memory`].
    pub fn cpu(&self, place: &Place) -> Result<Cpu, ReadError> {
        let mut cpu = Cpu::default();
        if let Some(hierarchy) = &self.cpuset {
            cpu.cpuset = match hierarchy.version {
                Version::V1 => v1::cpuset(&hierarchy.root, &place.cpuset)?,
                Version::V2 => v2::cpuset(&hierarchy.root, &place.cpuset)?,
            };
        }
        if let Some(hierarchy) = &self.cpuacct {
            cpu.usage = match hierarchy.version {
                Version::V1 => v1::cpu_use(&hierarchy.root, &place.cpuacct)?,
                Version::V2 => v2::cpu_use(&hierarchy.root, &place.cpuacct)?,
            };
        }
        if let Some(hierarchy) = &self.cpu {
            match hierarchy.version {
                Version::V1 => {
                    cpu.quota = v1::quota(&hierarchy.root, &place.cpu)?;
                    cpu.usage.throttled = v1::throttled(&hierarchy.root, &place.cpu)?;
                }
                Version::V2 => cpu.quota = v2::quota(&hierarchy.root, &place.cpu)?,
            }
        }
        Ok(cpu)
    }

    /// The threads of the container at `place`, descendants' included, at any depth.
    ///
    /// A cgroup that goes away meanwhile has none.
    ///
    /// # Errors
    /// When the container's own directory cannot be read.
    pub fn threads(&self, place: &Place) -> Result<Vec<u32>, ReadError> {
        let file = match self.home.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.threads",
        };
        self.pids(place, file)
    }

    /// The processes of the container at `place`, as [`Layout::threads`] has its threads.
    ///
    /// # Errors
    /// When the container's own directory cannot be read.
    pub fn processes(&self, place: &Place) -> Result<Vec<u32>, ReadError> {
        self.pids(place, "cgroup.procs")
    }

    fn pids(&self, place: &Place, file: &str) -> Result<Vec<u32>, ReadError> {
        let root = &self.home.root;
        root.dir(&place.home)
            .map_err(ReadError::refused(&place.home))?;
        let mut pids = Vec::new();
        let mut left = vec![place.home.clone()];
        while let Some(path) = left.pop() {
            let text = root.text(&path.join(file)).unwrap_or_default();
            pids.extend(text.lines().filter_map(|pid| pid.parse::<u32>().ok()));
            let below = root.directories(&path).unwrap_or_default();
            left.extend(below.into_iter().map(|name| path.join(name)));
        }
        Ok(pids)
    }
}

impl Hierarchy {
    fn path(&self, membership: &Membership, controller: &str) -> Option<PathBuf> {
        let path = match self.version {
            Version::V1 => membership.v1(controller),
            Version::V2 => membership.v2(),
        }?;
        let outside = path.components().any(|part| part.as_os_str() == "..");
        (!outside).then(|| path.clone())
    }

    fn text(&self, path: &str, file: &str) -> Result<Option<String>, ReadError> {
        optional(&self.root, &Path::new(path).join(file))
    }
}

/// The text of a file that a cgroup may lack (the controller is not enabled there, or the kernel
/// is older), `None` then.
pub(super) fn optional(root: &Dir, path: &Path) -> Result<Option<String>, ReadError> {
    match root.text(path).map_err(ReadError::refused(path)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A fact in such a file; `None` where the file is lacking.
pub(super) fn fact<T>(
    root: &Dir,
    path: &Path,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    optional(root, path)?
        .map(|text| parse(&text).ok_or_else(|| ReadError::garbled(path)))
        .transpose()
}

// The mount that shows most of a hierarchy; a container's bind of it shows a part.
fn whole<'a>(mounts: &[&'a Mount], wanted: impl Fn(&Mount) -> bool) -> Option<&'a Mount> {
    mounts
        .iter()
        .copied()
        .filter(|mount| wanted(mount))
        .min_by_key(|mount| mount.root.components().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(home: &str, cpu: &str) -> Place {
        Place {
            memory: home.into(),
            cpu: cpu.into(),
            cpuacct: cpu.into(),
            cpuset: "/".into(),
            home: home.into(),
        }
    }

    #[test]
    fn a_process_deep_inside_leads_up_to_its_container_in_every_hierarchy() {
        let inside = place("/box/system.slice/x", "/other/system.slice/x");
        assert_eq!(inside.up_to("/box".as_ref()), Some(place("/box", "/other")));
    }

    #[test]
    fn a_hierarchy_that_goes_its_own_way_is_left_as_it_is() {
        let inside = place("/box/a", "/elsewhere");
        assert_eq!(
            inside.up_to("/box".as_ref()),
            Some(place("/box", "/elsewhere"))
        );
    }

    #[test]
    fn a_process_elsewhere_does_not_lead_to_the_container() {
        assert_eq!(place("/boxes/a", "/").up_to("/box".as_ref()), None);
    }

    #[test]
    fn init_scope_is_not_the_container() {
        let init = place("/box/init.scope", "/box/init.scope");
        assert_eq!(init.out_of_init_scope(), place("/box", "/box"));
        assert_eq!(place("/box", "/x").out_of_init_scope(), place("/box", "/x"));
    }

    #[test]
    fn a_place_holds_what_is_below_it_by_whole_names() {
        assert!(place("/a", "/").holds(&place("/a/b", "/")));
        assert!(!place("/a", "/").holds(&place("/ab", "/")));
    }
}
