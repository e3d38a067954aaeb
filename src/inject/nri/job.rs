//! The work in containers, each in a child process: the plugin itself never waits for a container, a
//! file system or the daemon.

use super::{
    messages::{Pod, PodContainer},
    rule::{description, is_in_cgroup, is_sandboxed, shown},
};
use crate::{
    base::{
        sys::{ReadError, chain, fd},
        units::Pid,
    },
    inject::{
        attach::Attacher,
        deliver::Delivery,
        namespace::{HeldProcess, namespace_of},
        notes::PendingNote,
        subprocess::ChildWork,
    },
};
use std::{
    fs::{self, File},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    time::{Duration, Instant},
};

/// The time for a container that does not answer, before others have had their turn and after that.
const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
const SECOND_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum number of problems in a report.
const MAX_PROBLEMS: usize = 100;

/// The maximum length of a problem in a report, in bytes.
const MAX_PROBLEM: usize = 400;

/// A container of a pod with its pod.
pub(super) type ContainerInPod = (Pod, PodContainer);

/// The result for the containers of a list.
#[derive(Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct ListReport {
    /// The number of containers that have got files.
    pub(super) attached: usize,
    /// The number of containers that had their files, or get none.
    pub(super) unchanged: usize,
    /// The errors, each with its container.
    pub(super) problems: Vec<String>,
}

/// Work that goes on.
#[derive(Debug)]
pub(super) struct ContainerJob {
    /// The container of a start; `None` for a list.
    pub(super) start: Option<StartingContainer>,
    /// The time after which the work is given up.
    pub(super) deadline: Instant,
    work: ChildWork,
}

/// A container that starts.
#[derive(Debug)]
pub(super) struct StartingContainer {
    /// The stream of the runtime's call, while the call is not answered.
    pub(super) stream: Option<u32>,
    /// The name of the container.
    pub(super) shown: String,
    /// The time of the call.
    pub(super) begun: Instant,
    id: String,
    process: Option<HeldProcess>,
}

impl StartingContainer {
    /// Holds the first process of a container whose start the runtime has told.
    pub(super) fn new(stream: u32, (pod, container): &ContainerInPod) -> StartingContainer {
        StartingContainer {
            stream: Some(stream),
            shown: shown(pod, container),
            begun: Instant::now(),
            id: container.id.clone(),
            process: HeldProcess::of(Pid(container.pid)),
        }
    }

    /// Leaves a note for the next daemon, which attaches the container, if the container runs and has
    /// not got its files.
    pub(super) fn leave_note(&self, view: &Path, delivery: &Delivery) {
        if let Delivery::NotServed(_) | Delivery::Late(_) = delivery
            && let Some(process) = self.process.as_ref().filter(|process| process.is_alive())
        {
            leave_note(&self.id, process.pid, view);
        }
    }
}

impl ContainerJob {
    /// Starts the work in a container that starts. `held` are descriptors that the child must not keep
    /// open if it never ends.
    ///
    /// # Errors
    /// When the kernel refuses a child.
    pub(super) fn start(
        attacher: &Attacher,
        starting: StartingContainer,
        listed: &ContainerInPod,
        held: &[BorrowedFd<'_>],
    ) -> Result<ContainerJob, (StartingContainer, nix::Error)> {
        let process = starting.process.as_ref();
        let started = ChildWork::start(|| {
            release(held);
            let delivery = match process {
                Some(process) => attach_unstarted(attacher, process, listed),
                None => Delivery::Failed("the process has ended".to_owned()),
            };
            delivery.text()
        });
        match started {
            Ok(work) => Ok(ContainerJob {
                deadline: starting.begun + SECOND_TIMEOUT,
                start: Some(starting),
                work,
            }),
            Err(error) => Err((starting, error)),
        }
    }

    /// Starts the work in containers that run. `make` makes the attacher of the child, which shares no
    /// open file with other children.
    ///
    /// # Errors
    /// When the kernel refuses a child.
    pub(super) fn list(
        make: impl FnOnce() -> Result<Attacher, ReadError>,
        view: &Path,
        listed: &[ContainerInPod],
        held: &[BorrowedFd<'_>],
    ) -> nix::Result<ContainerJob> {
        let work = ChildWork::start(|| {
            release(held);
            let report = match make() {
                Ok(attacher) => attach_listed(&attacher, view, listed),
                Err(error) => ListReport {
                    problems: vec![chain(&error)],
                    ..ListReport::default()
                },
            };
            serde_json::to_vec(&report).unwrap_or_default()
        })?;
        // Every container can take its time twice.
        let count = u32::try_from(listed.len()).unwrap_or(u32::MAX);
        let time = (FIRST_TIMEOUT + SECOND_TIMEOUT).saturating_mul(count.saturating_add(1));
        let now = Instant::now();
        Ok(ContainerJob {
            start: None,
            deadline: now.checked_add(time).unwrap_or(now + SECOND_TIMEOUT),
            work,
        })
    }

    /// Returns the result of a start. Work that has not ended by `deadline` is given up.
    pub(super) fn delivery(self, deadline: Instant) -> Delivery {
        match self.work.answer(deadline) {
            Ok(Some(answer)) => Delivery::parse(&answer),
            Ok(None) => Delivery::Late("the container or the daemon has not answered".to_owned()),
            Err(error) => Delivery::Failed(error.desc().to_owned()),
        }
    }

    /// Returns the result of a list; `None` if the work has not ended by `deadline`, and is given up.
    pub(super) fn report(self, deadline: Instant) -> Option<ListReport> {
        let answer = self.work.answer(deadline).ok().flatten()?;
        serde_json::from_slice(&answer).ok()
    }
}

impl AsFd for ContainerJob {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.work.as_fd()
    }
}

/// Lets go of descriptors in a child: a child that never ends would keep a connection open whose plugin
/// is gone, and the lock.
fn release(held: &[BorrowedFd<'_>]) {
    if let Ok(null) = File::open("/dev/null") {
        for descriptor in held {
            let _ = fd::dup_onto(*descriptor, null.as_fd());
        }
    }
}

/// Attaches a container that its runtime has made and not started.
fn attach_unstarted(
    attacher: &Attacher,
    process: &HeldProcess,
    (pod, container): &ContainerInPod,
) -> Delivery {
    match left_out(pod, process.pid) {
        Some(reason) => Delivery::LeftOut(reason.to_owned()),
        None => attacher.attach_unstarted(process, &description(pod, container)),
    }
}

/// Returns the reason for which a container gets no view whatever the configuration says.
fn left_out(pod: &Pod, pid: Pid) -> Option<&'static str> {
    let namespace = |process: &str| namespace_of(process, "pid");
    if is_sandboxed(&pod.handler) {
        return Some("the runtime class, which has a kernel of its own");
    }
    let is_hosts = namespace(&pid.to_string()).is_some_and(|own| Some(own) == namespace("1"));
    is_hosts.then_some("the pid namespace of the host")
}

/// Attaches containers that run. Those that do not answer get a second and longer time, after the others.
fn attach_listed(attacher: &Attacher, view: &Path, listed: &[ContainerInPod]) -> ListReport {
    let mut report = ListReport::default();
    let attach = |listed: &ContainerInPod, timeout| attach_running(attacher, listed, timeout);
    let mut late = Vec::new();
    for one in listed {
        match attach(one, FIRST_TIMEOUT) {
            Some(Delivery::Late(_)) => late.push(one),
            delivery => report.add(one, view, delivery),
        }
    }
    for one in late {
        report.add(one, view, attach(one, SECOND_TIMEOUT));
    }
    report
}

/// Attaches a container that runs; `None` if it has ended since it was listed.
fn attach_running(
    attacher: &Attacher,
    (pod, container): &ContainerInPod,
    timeout: Duration,
) -> Option<Delivery> {
    let pid = Pid(container.pid);
    let process = HeldProcess::of(pid)?;
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !is_in_cgroup(container, &membership) || !process.is_alive() {
        return None;
    }
    if let Some(reason) = left_out(pod, pid) {
        return Some(Delivery::LeftOut(reason.to_owned()));
    }
    Some(attacher.attach_described(pid, &description(pod, container), timeout))
}

impl ListReport {
    fn add(&mut self, (pod, container): &ContainerInPod, view: &Path, delivery: Option<Delivery>) {
        let problem = match delivery {
            Some(Delivery::Mounted {
                mounts, refused, ..
            }) => {
                match mounts {
                    0 => self.unchanged += 1,
                    _ => self.attached += 1,
                }
                refused.into_iter().next()
            }
            Some(Delivery::NotServed(error) | Delivery::Late(error)) => {
                leave_note(&container.id, Pid(container.pid), view);
                Some(error)
            }
            Some(Delivery::Failed(error)) => Some(error),
            Some(Delivery::Unlimited | Delivery::LeftOut(_)) | None => {
                self.unchanged += 1;
                None
            }
        };
        if let Some(problem) = problem
            && self.problems.len() < MAX_PROBLEMS
        {
            let problem = format!("{}: {problem}", shown(pod, container));
            self.problems
                .push(problem.chars().take(MAX_PROBLEM).collect());
        }
    }
}

/// Leaves a note for the next daemon, which attaches the container. Where none can be left, the next
/// list of the runtime has the container.
fn leave_note(id: &str, pid: Pid, view: &Path) {
    let _ = PendingNote::of(id, view, Some(pid)).and_then(|note| note.leave());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> ContainerInPod {
        let pod = Pod {
            name: "shop".to_owned(),
            namespace: "default".to_owned(),
            ..Pod::default()
        };
        let container = PodContainer {
            name: "web".to_owned(),
            ..PodContainer::default()
        };
        (pod, container)
    }

    #[test]
    fn a_report_counts_the_containers_and_names_those_with_a_problem() {
        let mut report = ListReport::default();
        let mounted = |mounts, refused: &[&str]| Delivery::Mounted {
            mounts,
            unchanged: 0,
            refused: refused.iter().map(|text| (*text).to_owned()).collect(),
        };
        let view = Path::new("/view");
        for delivery in [
            Some(mounted(9, &[])),
            Some(mounted(0, &[])),
            Some(mounted(8, &["cannot cover /proc/stat: busy"])),
            Some(Delivery::Unlimited),
            Some(Delivery::Failed("gone".to_owned())),
            None,
        ] {
            report.add(&web(), view, delivery);
        }
        let problems = [
            "default/shop/web: cannot cover /proc/stat: busy",
            "default/shop/web: gone",
        ];
        let expected = ListReport {
            attached: 2,
            unchanged: 3,
            problems: problems.map(str::to_owned).to_vec(),
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn a_report_of_many_problems_fits_in_the_answer_of_a_child() {
        let mut report = ListReport::default();
        for _ in 0..1000 {
            let delivery = Delivery::Failed("x".repeat(10_000));
            report.add(&web(), Path::new("/view"), Some(delivery));
        }
        assert!(serde_json::to_vec(&report).unwrap().len() < 60_000);
    }

    #[test]
    fn a_process_of_the_hosts_own_pid_namespace_is_left_out() {
        let own = namespace_of("self", "pid");
        let is_host = own == namespace_of("1", "pid");
        let reason = left_out(&Pod::default(), Pid(std::process::id()));
        assert_eq!(reason.is_some(), is_host && own.is_some());
    }
}
