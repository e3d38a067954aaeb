//! The start of a container.

use super::{Birth, Caller, Callers, Container, namespace, pids, task::SeenTask};
use crate::{
    base::{
        metrics,
        sys::{Effort, ReadError},
        units::{Micros, Pid},
    },
    facts::{
        cgroup::{Layout, Members},
        host::{Machine, parse},
    },
};
use std::str::FromStr;

/// The maximum CPU time for listing the processes of a container, and for reading them.
const SEARCH_TIME: Micros = Micros(4_000);

/// A process of a container.
struct Member {
    pid: Pid,
    /// The pids from the outermost pid namespace to the process's own.
    pids: Vec<Pid>,
    started: Micros,
}

/// Returns the start of a container, and the init whose start that is, if there is one; `None` for a
/// container without processes. `known` is the result of the last call: as long as its init lives,
/// no other process is read.
///
/// A container without a pid namespace of its own shares the processes of another container or of the
/// host, so its clock is the kernel's: `ps` adds the start of a process to `btime`, or subtracts the
/// start from the uptime, and the kernel counts each start on the clock of the reader. A launcher, which
/// waits in the cgroup for the init that it started (`unshare --pid --fork`), is no such process.
#[must_use]
pub fn birth(
    container: &Container,
    callers: &Callers,
    (cgroups, machine): (&Layout, &Machine),
    known: Option<(Pid, Birth)>,
) -> Option<(Option<Pid>, Birth)> {
    if let Some(birth) = container.init.and_then(|init| of_init(machine, init)) {
        return Some((container.init, birth));
    }
    // The kernel may have reused the pid, but the new process has another start.
    if let Some((init, birth)) =
        known.filter(|(init, birth)| of_init(machine, *init) == Some(*birth))
    {
        return Some((Some(init), birth));
    }
    let mut members = members(container, cgroups, machine);
    members.sort_by_key(|member| member.started);
    let is_resident = |member: &&Member| !is_launcher(machine, member.pid);
    let oldest = members.iter().find(is_resident).or(members.first())?;
    // A container inside this one has an init too, but in a deeper pid namespace.
    let inits = members
        .iter()
        .filter(|member| member.pids.last() == Some(&Pid(1)));
    let init = inits.min_by_key(|init| init.pids.len());
    let own = init.filter(|init| init.pids.len() <= oldest.pids.len());
    let outer = || match callers.identify_process(oldest.pid, cgroups, machine) {
        // A cgroup within a container, whose init is in the container.
        Ok(Caller::Container(outer)) if outer.paths.contains(&container.paths) => outer.init,
        _ => None,
    };
    let init = own.map(|init| init.pid).or_else(outer);
    init.and_then(|init| Some((Some(init), of_init(machine, init)?)))
        .or_else(|| Some((None, kernel_clock(machine, oldest.pid)?)))
}

/// Reads processes of the container, as many as one request may: of more, those with the lowest
/// pids that were listed, which are the oldest until pids begin anew.
fn members(container: &Container, cgroups: &Layout, machine: &Machine) -> Vec<Member> {
    let mut processes = listed(cgroups.processes(&container.paths));
    if processes.is_empty() {
        // A threaded cgroup lists no processes.
        let threads = listed(cgroups.threads(&container.paths)).into_iter();
        processes = threads.map(|tid| Pid(tid.0)).collect();
    }
    processes.sort_unstable();
    let member = |pid: Pid| {
        let started = machine.thread(pid.main_thread()).ok()?.started;
        let pids = pids(machine, pid.main_thread());
        Some(Member { pid, pids, started })
    };
    let mut effort = Effort::of(SEARCH_TIME);
    let read = processes.iter().take_while(|_| effort.permits_step());
    let members: Vec<Member> = read.filter_map(|pid| member(*pid)).collect();
    if !effort.permits_step() {
        metrics::PARTIAL_READS.count();
    }
    members
}

fn listed<N: FromStr>(members: Result<Members<N>, ReadError>) -> Vec<N> {
    let mut effort = Effort::of(SEARCH_TIME);
    let members = members.into_iter().flatten();
    let members = members.take_while(|_| effort.permits_step());
    members.flatten().collect()
}

/// Returns whether the children of the process, but not itself, are in another pid namespace
/// (`pid_namespaces(7)`).
fn is_launcher(machine: &Machine, pid: Pid) -> bool {
    let namespace = |name: &str| namespace(machine, &pid.to_string(), name).ok();
    let (own, of_children) = (namespace("pid"), namespace("pid_for_children"));
    own.zip(of_children)
        .is_some_and(|(own, of_children)| own != of_children)
}

fn of_init(machine: &Machine, init: Pid) -> Option<Birth> {
    let started = machine.thread(init.main_thread()).ok()?.started;
    own_offset(machine, init).or(Some(Birth::Started(started)))
}

/// Returns the offset of the time namespace of a process; `None` for the time namespace of this
/// process.
fn own_offset(machine: &Machine, pid: Pid) -> Option<Birth> {
    let time = |place: &str| namespace(machine, place, "time");
    let mut tid = pid.main_thread();
    let mut own = time(&tid.to_string());
    if own.is_err() {
        // A main thread that has ended has no time namespace.
        let living = SeenTask::living(pid, machine).ok()?;
        (tid, own) = (living.tid, time(&living.place));
    }
    if own.ok()? == time("self").ok()? {
        return None;
    }
    let offsets = machine.proc_text(format!("{tid}/timens_offsets")).ok()?;
    parse::boottime_offset(&offsets).map(Birth::Offset)
}

fn kernel_clock(machine: &Machine, pid: Pid) -> Option<Birth> {
    machine.thread(pid.main_thread()).ok()?;
    own_offset(machine, pid).or(Some(Birth::Offset(0)))
}
