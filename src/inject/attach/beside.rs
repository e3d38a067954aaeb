//! The mount namespaces that a container has beside that of its first process: those of systemd's
//! services with options such as `ProtectProc=`, and of sandboxes, each with a procfs of its own.

use super::container::{self, AttachOptions, Execution, Running};
use crate::{
    base::{
        mountinfo::{self, Mount},
        paths::FS_TYPE,
        sys::{ReadError, chain},
        units::{Key, Pid},
    },
    facts::{
        cgroup::Layout,
        container::{Caller, Callers},
        host::Machine,
    },
    inject::{
        deliver::Delivery,
        namespace::{MountNamespace, inode_of, namespace_of, processes},
        own_mounts::OwnMounts,
    },
};
use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// The maximum number of mount namespaces beside the first one that are examined of one container.
const MAX_NAMESPACES: usize = 256;

/// The maximum number of processes that are remembered of one mount namespace.
const MAX_PIDS: usize = 4;

/// The time after which the processes of the machine are no longer listed.
const SCAN_TIMEOUT: Duration = Duration::from_secs(2);

/// The time after which no more namespaces of one container are reached, in multiples of the timeout
/// of one namespace.
const TIMEOUTS: u32 = 4;

/// The name of a pid namespace below `/proc/PID/ns`.
const PID: &str = "pid";

/// The inode number of a namespace.
type Inode = u64;

/// The mount namespaces of the machine by the pid namespaces of their processes, at one moment.
#[derive(Debug)]
pub struct NamespaceTable {
    table: BTreeMap<Inode, BTreeMap<Inode, Vec<Pid>>>,
    is_whole: bool,
    machine: Machine,
    cgroups: Layout,
    callers: Callers,
}

/// The mount namespaces of one container beside that of one of its processes.
#[derive(Debug)]
pub(in crate::inject) struct Beside {
    found: Vec<OtherNamespace>,
    /// The mounts of this process.
    here: Arc<OwnMounts>,
    is_whole: bool,
}

#[derive(Debug)]
struct OtherNamespace {
    inode: Inode,
    pids: Vec<Pid>,
}

impl NamespaceTable {
    /// Reads the namespaces of every process, for at most two seconds.
    ///
    /// # Errors
    /// When `/proc` or the cgroup hierarchies cannot be read.
    pub fn read() -> Result<NamespaceTable, ReadError> {
        let root = Path::new("/");
        let machine = Machine::at(root)?;
        let mut namespaces = NamespaceTable {
            table: BTreeMap::new(),
            is_whole: true,
            cgroups: Layout::read(root)?,
            callers: Callers::new(&machine)?,
            machine,
        };
        // Without a list of processes no namespace is known, which is_whole says.
        if namespaces.scan().is_err() {
            namespaces.is_whole = false;
        }
        Ok(namespaces)
    }

    fn scan(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + SCAN_TIMEOUT;
        for pid in processes()? {
            if Instant::now() > deadline {
                self.is_whole = false;
                break;
            }
            let pid = pid?;
            // A process may end, and a kernel thread has no mount namespace.
            if let Some((pids, mounts)) = namespaces(pid) {
                let known = self.table.entry(pids).or_default().entry(mounts);
                let known = known.or_default();
                if known.len() < MAX_PIDS {
                    known.push(pid);
                }
            }
        }
        Ok(())
    }

    /// Returns the other mount namespaces in the pid namespace of the process `pid` whose processes are
    /// in the same container, those of the oldest processes first. None for a container without a pid
    /// namespace of its own. `here` are the mounts of this process, for an attach.
    #[must_use]
    pub(in crate::inject) fn beside(&self, pid: Pid, here: Arc<OwnMounts>) -> Beside {
        let mut beside = self.of_container(pid, here);
        let own = inode_of(&pid.to_string());
        beside.found.retain(|other| Some(other.inode) != own);
        beside
    }

    /// Returns a process of each mount namespace of the container of the process `pid` that has the
    /// kernel's own files and none of Plimsoll's. None if no mount namespace of the container has files
    /// of Plimsoll.
    #[must_use]
    pub fn without_view(&self, pid: Pid) -> Vec<Pid> {
        self.of_container(pid, Arc::default()).without_view()
    }

    /// Returns the mount namespaces of the container of the process `pid`, with that of the process.
    fn of_container(&self, pid: Pid, here: Arc<OwnMounts>) -> Beside {
        let mut all = Beside {
            found: Vec::new(),
            here,
            is_whole: self.is_whole,
        };
        let pids = namespace_of(&pid.to_string(), PID);
        let (Some(pids), Some(key)) = (pids, self.key(pid)) else {
            return all;
        };
        if ["self", "1"]
            .map(|host| namespace_of(host, PID))
            .contains(&Some(pids))
        {
            return all;
        }
        let found = self.table.get(&pids).into_iter().flatten();
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(|(_, pids)| pids.first().copied());
        all.is_whole &= found.len() <= MAX_NAMESPACES + 1;
        found.truncate(MAX_NAMESPACES + 1);
        // Containers can share a pid namespace, and each has a key of its own.
        found.retain(|(_, pids)| pids.iter().any(|pid| self.key(*pid) == Some(key)));
        let found = found.into_iter().map(|(inode, pids)| OtherNamespace {
            inode: *inode,
            pids: pids.clone(),
        });
        all.found.extend(found);
        all
    }

    fn key(&self, pid: Pid) -> Option<Key> {
        let callers = &self.callers;
        match callers.identify_process(pid, &self.cgroups, &self.machine) {
            Ok(Caller::Container(container)) => Some(container.key),
            Ok(Caller::Host) | Err(_) => None,
        }
    }
}

/// Returns the pid namespace and the mount namespace of a process.
fn namespaces(pid: Pid) -> Option<(Inode, Inode)> {
    let process = pid.to_string();
    namespace_of(&process, PID).zip(inode_of(&process))
}

impl Beside {
    fn without_view(&self) -> Vec<Pid> {
        let read = |pid: &Pid| Some((*pid, mountinfo::of(*pid).ok()?));
        let mounts = self.found.iter().filter_map(|one| {
            let mut read = one.pids.iter().filter_map(read);
            read.find(|(_, mounts)| !mounts.is_empty())
        });
        let mut lacking = Vec::new();
        let mut has_view = false;
        for (pid, mounts) in mounts {
            has_view |= mounts.iter().any(|mount| mount.kind == FS_TYPE);
            if lacks_view(&mounts) {
                lacking.push(pid);
            }
        }
        lacking.retain(|_| has_view);
        lacking
    }

    /// Puts the files of the container in each namespace too, and adds the results to `first`, that of
    /// the first namespace.
    ///
    /// The caller must have one thread only.
    pub(super) fn attach(
        &self,
        container: &Running,
        options: &AttachOptions,
        first: Delivery,
    ) -> Delivery {
        let each = |namespace: &mut MountNamespace| container::fill(namespace, container, options);
        self.each(options.timeout, first, each)
    }

    /// Removes Plimsoll's mounts from each namespace too, and adds the results to `first`.
    ///
    /// The caller must have one thread only.
    pub(super) fn detach(
        &self,
        execution: Execution,
        timeout: Duration,
        first: Delivery,
    ) -> Delivery {
        let each = |namespace: &mut MountNamespace| container::remove(namespace, execution);
        self.each(timeout, first, each)
    }

    fn each(
        &self,
        timeout: Duration,
        mut sum: Delivery,
        work: impl Fn(&mut MountNamespace) -> Delivery,
    ) -> Delivery {
        let Delivery::Mounted { .. } = sum else {
            return sum;
        };
        let deadline = Instant::now() + timeout * TIMEOUTS;
        let mut is_whole = self.is_whole;
        for other in &self.found {
            if Instant::now() > deadline {
                is_whole = false;
                break;
            }
            for pid in &other.pids {
                let one = container::within(timeout, Arc::clone(&self.here), *pid, |namespace| {
                    // The kernel may have given the pid to a process elsewhere.
                    (namespace.inode == other.inode).then(|| work(namespace))
                });
                if let Some(one) = one {
                    add(&mut sum, *pid, one);
                    break;
                }
            }
        }
        if let (false, Delivery::Mounted { refused, .. }) = (is_whole, &mut sum) {
            refused.push(format!(
                "the container has more mount namespaces than {MAX_NAMESPACES}, or than were reached in time"
            ));
        }
        sum
    }
}

/// Adds the result for the namespace of process `pid` to that of the container.
fn add(sum: &mut Delivery, pid: Pid, one: Delivery) {
    let Delivery::Mounted {
        mounts,
        unchanged,
        refused,
    } = sum
    else {
        return;
    };
    let within = |error: String| format!("mounts of process {pid}: {error}");
    match one {
        Delivery::Mounted {
            mounts: more,
            unchanged: same,
            refused: errors,
        } => {
            *mounts += more;
            *unchanged += same;
            refused.extend(errors.into_iter().map(within));
        }
        Delivery::Unlimited | Delivery::LeftOut(_) => {}
        Delivery::NotServed(error) | Delivery::Late(error) | Delivery::Failed(error) => {
            refused.push(within(error))
        }
    }
}

/// Returns whether a namespace has a procfs at `/proc` with the files of the machine, and no file of
/// Plimsoll there.
fn lacks_view(mounts: &[Mount]) -> bool {
    let visible = mountinfo::visible(mounts);
    let is_procfs = |mount: &&Mount| {
        let is_part = mount.options.iter().any(|option| option == "subset=pid");
        mount.kind == "proc" && mount.point == Path::new("/proc") && !is_part
    };
    let is_ours = |mount: &&Mount| mount.kind == FS_TYPE && mount.point.starts_with("/proc");
    visible.iter().any(is_procfs) && !visible.iter().any(is_ours)
}

/// Returns the table, or the error as a delivery would name it.
pub(super) fn table() -> Result<NamespaceTable, String> {
    NamespaceTable::read().map_err(|error| chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_with_a_fresh_procfs_lacks_the_view_unless_the_procfs_has_processes_only() {
        let lacks = |text: &str| lacks_view(&mountinfo::parse(text).collect::<Vec<_>>());
        let root = "10 1 0:50 / / rw - overlay overlay rw\n";
        let proc = format!("{root}11 10 0:51 / /proc rw - proc proc rw\n");
        let ours = "20 11 0:60 /7/proc/stat /proc/stat ro - fuse.plimsoll plimsoll:/v rw\n";
        assert!(!lacks(root));
        assert!(lacks(&proc));
        assert!(!lacks(&format!("{proc}{ours}")));
        let fresh = "30 11 0:52 / /proc rw - proc proc rw,hidepid=invisible\n";
        assert!(lacks(&format!("{proc}{ours}{fresh}")));
        let subset = "30 11 0:52 / /proc rw - proc proc rw,subset=pid\n";
        assert!(!lacks(&format!("{proc}{ours}{subset}")));
    }

    #[test]
    fn the_results_of_all_namespaces_of_a_container_are_one() {
        let mounted = |mounts, unchanged| Delivery::Mounted {
            mounts,
            unchanged,
            refused: Vec::new(),
        };
        let mut sum = mounted(3, 1);
        add(&mut sum, Pid(7), mounted(2, 4));
        assert_eq!(sum, mounted(5, 5));
        add(&mut sum, Pid(8), Delivery::Failed("no".to_owned()));
        let Delivery::Mounted { refused, .. } = sum else {
            panic!("{sum:?}")
        };
        assert_eq!(refused, ["mounts of process 8: no"]);
    }
}
