//! Reads the machine's files below a root directory: the real one, or a captured copy.

use super::{Cpuinfo, Disk, Meminfo, Node, NodeLists, Stat, TaskStat, Vmstat, parse};
use crate::base::{
    sys::{self, Budget, Dir, ReadError, Records},
    units::{Bytes, CpuSet, Id, IdSet, NodeId, Pid, Tid},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files below `/proc` that are held open.
const MAX_OPEN_FILES: usize = 16;
/// The directory of the memory nodes below the machine's root.
const NODES: &str = "sys/devices/system/node";
/// The bytes of `/proc/slabinfo` that are read for its header of about 300 bytes.
const MAX_SLABINFO_HEADER: usize = 1024;

/// A machine, whose root directory and `/proc` are held open.
#[derive(Debug)]
pub struct Machine {
    root: Dir,
    proc: Dir,
}

impl Machine {
    /// Opens the machine whose root directory is `root`: `/`, or a captured copy.
    ///
    /// # Errors
    /// When `root` or its `proc` is no directory.
    pub fn at(root: &Path) -> Result<Machine, ReadError> {
        let proc = root.join("proc");
        Ok(Machine {
            root: Dir::open(root).map_err(ReadError::refused(root))?,
            proc: match Dir::open(&proc).map_err(ReadError::refused(&proc))? {
                dir if dir.is_pseudo_fs() => {
                    dir.holding_files(Budget::new(MAX_OPEN_FILES), Records::Any)
                }
                captured => captured,
            },
        })
    }

    /// Reads the bytes of the file at `path` below the machine's root.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        self.root.read(path).map_err(ReadError::refused(path))
    }

    /// Reads the text of the file at `path` below `/proc`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn proc_text(&self, path: impl AsRef<Path>) -> Result<String, ReadError> {
        let path = path.as_ref();
        self.proc
            .text(path)
            .map_err(|source| ReadError::refused(&Path::new("proc").join(path))(source))
    }

    /// Reads a file of `/proc` that belongs to no process and is held open for the next read.
    fn fact(&self, name: &str) -> Result<String, ReadError> {
        self.proc
            .text_held(Path::new(name))
            .map_err(|source| ReadError::refused(&Path::new("proc").join(name))(source))
    }

    /// Returns `/proc`, held open.
    #[must_use]
    pub fn proc(&self) -> &Dir {
        &self.proc
    }

    /// Reads `/proc/meminfo`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn meminfo(&self) -> Result<Meminfo, ReadError> {
        let text = self.fact("meminfo")?;
        Ok(Meminfo {
            page: sys::page_size(),
            ..parse::meminfo(&text)
        })
    }

    /// Reads `/proc/stat`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stat(&self) -> Result<Stat, ReadError> {
        self.fact("stat").map(|text| parse::stat(&text))
    }

    /// Reads `/proc/cpuinfo`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cpuinfo(&self) -> Result<Cpuinfo, ReadError> {
        self.fact("cpuinfo").map(|text| parse::cpuinfo(&text))
    }

    /// Reads `/proc/diskstats`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn diskstats(&self) -> Result<Vec<Disk>, ReadError> {
        self.fact("diskstats").map(|text| parse::diskstats(&text))
    }

    /// Reads the names in `/proc/vmstat`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn vmstat(&self) -> Result<Vmstat, ReadError> {
        self.fact("vmstat").map(|text| parse::vmstat(&text))
    }

    /// Reads the header of `/proc/slabinfo`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn slabinfo_header(&self) -> Result<Vec<String>, ReadError> {
        // A read of the whole file would have the kernel count all slabs, for milliseconds.
        let start = self
            .proc
            .read_prefix(Path::new("slabinfo"), MAX_SLABINFO_HEADER);
        start
            .map(|text| parse::slabinfo_header(&String::from_utf8_lossy(&text)))
            .map_err(ReadError::refused(Path::new("proc/slabinfo")))
    }

    /// Reads the online CPUs, from `/sys/devices/system/cpu/online`; where that file names none, from
    /// `/proc/stat`.
    ///
    /// # Errors
    /// When a file cannot be read, or none names a CPU.
    pub fn online(&self) -> Result<CpuSet, ReadError> {
        let path = "sys/devices/system/cpu/online";
        let mut online: CpuSet = self.list(path)?;
        if online.is_empty() {
            online = self.stat()?.cpus.into_iter().collect();
        }
        match online.is_empty() {
            true => Err(ReadError::garbled(Path::new(path))),
            false => Ok(online),
        }
    }

    /// Returns the size of a transparent huge page. A kernel without such pages states none: then the
    /// memory that one page of page table entries maps, each of 8 bytes.
    #[must_use]
    pub fn huge_page_size(&self, page: Bytes) -> Bytes {
        let stated = self.text("sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
        let stated = stated.ok().and_then(|size| size.trim().parse().ok());
        stated.map_or(Bytes(page.0.saturating_mul(page.0 / 8)), Bytes)
    }

    /// Returns whether anything lies at `path` below the machine's root.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.root.has(Path::new(path))
    }

    /// Reads the text of the file at `path` below the machine's root.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn text(&self, path: &str) -> Result<String, ReadError> {
        let path = Path::new(path);
        self.root.text(path).map_err(ReadError::refused(path))
    }

    /// Returns the machine's root directory, held open.
    #[must_use]
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// Reads the list of numbers at `path` below the machine's root. A word that is no number is left
    /// out.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list<I: Id>(&self, path: &str) -> Result<IdSet<I>, ReadError> {
        self.text(path).map(|text| IdSet::listed(&text))
    }

    /// Reads the lists of the memory nodes, beside the CPUs `cpus` that are online; empty lists where
    /// the kernel has no nodes.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn node_lists(&self, cpus: &CpuSet) -> Result<NodeLists, ReadError> {
        if !self.has(NODES) {
            return Ok(NodeLists::default());
        }
        Ok(NodeLists {
            online: self.list(&format!("{NODES}/online"))?,
            with_memory: self.list(&format!("{NODES}/has_memory"))?,
            cpus: cpus.clone(),
        })
    }

    /// Reads the online memory nodes of `lists`, each with its CPUs.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn nodes(&self, lists: &NodeLists) -> Result<Vec<Node>, ReadError> {
        let node = |id: NodeId| {
            let cpus = self.list(&format!("{NODES}/node{}/cpulist", id.0))?;
            let has_memory = lists.with_memory.contains(id);
            Ok(Node {
                id,
                cpus,
                has_memory,
            })
        };
        lists.online.iter().map(node).collect()
    }

    /// Reads the pool of huge pages of that size in the directory of a memory node: the number of its
    /// pages, and of the free ones; 0 where the node has no such pages, or the file has no number.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn node_huge_pages(&self, node: NodeId, size: Bytes) -> Result<(u64, u64), ReadError> {
        let directory = format!(
            "{NODES}/node{}/hugepages/hugepages-{}kB",
            node.0,
            size.kib()
        );
        if !self.has(&directory) {
            return Ok((0, 0));
        }
        let count = |name: &str| -> Result<u64, ReadError> {
            let text = self.text(&format!("{directory}/{name}"))?;
            let mut counts = text.lines().filter_map(|line| line.parse().ok());
            Ok(counts.next().unwrap_or(0))
        };
        Ok((count("nr_hugepages")?, count("free_hugepages")?))
    }

    /// Returns whether the machine has no huge page of that size on any node. False if the machine has
    /// no file with their number.
    #[must_use]
    pub fn lacks_huge_pages(&self, size: Bytes) -> bool {
        let path = format!(
            "sys/kernel/mm/hugepages/hugepages-{}kB/nr_hugepages",
            size.kib()
        );
        self.text(&path).is_ok_and(|count| count.trim() == "0")
    }

    /// Reads `meminfo` in the directory of a memory node, without the node in front of each line.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn node_meminfo(&self, node: NodeId) -> Result<Meminfo, ReadError> {
        let text = self.text(&format!("{NODES}/node{}/meminfo", node.0))?;
        Ok(Meminfo {
            page: sys::page_size(),
            ..parse::node_meminfo(&text)
        })
    }

    /// Reads the names in `vmstat` in the directory of a memory node.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn node_vmstat(&self, node: NodeId) -> Result<Vmstat, ReadError> {
        let text = self.text(&format!("{NODES}/node{}/vmstat", node.0))?;
        Ok(parse::vmstat(&text))
    }

    /// Reads `/proc/PID/stat` of the process `pid`.
    ///
    /// # Errors
    /// When the file cannot be read; [`ReadError::is_gone`] when there is no such process.
    pub fn process(&self, pid: Pid) -> Result<TaskStat, ReadError> {
        self.task_stat(format!("{pid}/stat").into())
    }

    /// Reads the CPUs that the kernel lets the process `pid` use, offline CPUs included; `None` where the
    /// kernel does not say.
    ///
    /// # Errors
    /// As for [`Machine::process`].
    pub fn allowed_cpus(&self, pid: Pid) -> Result<Option<CpuSet>, ReadError> {
        let status = self.proc_text(format!("{pid}/status"))?;
        Ok(parse::allowed_cpus(&status))
    }

    /// Reads `/proc/TID/task/TID/stat` of the thread `tid`.
    ///
    /// A read of `/proc/TID/stat` would cost a walk over every thread of the process (`do_task_stat`
    /// in `fs/proc/array.c`, `whole`).
    ///
    /// # Errors
    /// As for [`Machine::process`].
    pub fn thread(&self, tid: Tid) -> Result<TaskStat, ReadError> {
        self.thread_of(Pid(tid.0), tid)
    }

    /// Reads `/proc/PID/task/TID/stat` of the thread `tid` of the process `pid`.
    ///
    /// # Errors
    /// As for [`Machine::process`].
    pub fn thread_of(&self, pid: Pid, tid: Tid) -> Result<TaskStat, ReadError> {
        self.task_stat(format!("{pid}/task/{tid}/stat").into())
    }

    fn task_stat(&self, path: PathBuf) -> Result<TaskStat, ReadError> {
        parse::task_stat(&self.proc_text(&path)?).ok_or(ReadError::Garbled { path })
    }
}
/// Lists the children of a process of the machine whose root directory is `root`, those of all its
/// threads; none of a process that has ended. A child that has ended is listed until it is reaped.
#[must_use]
pub fn children(root: &Path, pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(root.join(format!("proc/{pid}/task"))) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| sys::read_text(&thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            let pids = list.split_whitespace().map(|pid| pid.parse().ok());
            pids.collect::<Vec<Option<Pid>>>()
        })
        .flatten()
        .collect()
}
