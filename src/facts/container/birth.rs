//! The start of a container.

use super::{Birth, Container, namespace, pids};
use crate::{
    base::units::{Micros, Pid},
    facts::{
        cgroup::Layout,
        host::{Machine, parse},
    },
};

/// Returns the start of a container, and the init whose start that is, if there is one; `None` for a
/// container without processes. `known` is the result of the last call: as long as its init lives,
/// no other process is read.
#[must_use]
pub fn birth(
    container: &Container,
    cgroups: &Layout,
    machine: &Machine,
    known: Option<(Pid, Birth)>,
) -> Option<(Option<Pid>, Birth)> {
    if let Some(birth) = container.init.and_then(|init| of_process(machine, init)) {
        return Some((container.init, birth));
    }
    // The kernel may have reused the pid, but the new process has another start.
    if let Some((init, birth)) =
        known.filter(|(init, birth)| of_process(machine, *init) == Some(*birth))
    {
        return Some((Some(init), birth));
    }
    let processes = cgroups.processes(&container.paths).unwrap_or_default();
    // A container inside this one has an init too, but in a deeper pid namespace.
    let init = processes
        .iter()
        .map(|pid| (pids(machine, pid.main_thread()), *pid))
        .filter(|(pids, _)| pids.last() == Some(&Pid(1)))
        .min_by_key(|(pids, _)| pids.len());
    init.and_then(|(_, init)| Some((Some(init), of_process(machine, init)?)))
        .or_else(|| Some((None, oldest(machine, &processes)?)))
}

fn of_process(machine: &Machine, pid: Pid) -> Option<Birth> {
    let time = |pid: &str| namespace(machine, pid, "time").ok();
    if time(&pid.to_string()).is_some_and(|own| Some(own) != time("self")) {
        let offsets = machine.proc_text(format!("{pid}/timens_offsets")).ok()?;
        return parse::boottime_offset(&offsets).map(Birth::Offset);
    }
    let started = machine.process(pid).ok()?.started;
    Some(Birth::Started(started))
}

fn oldest(machine: &Machine, processes: &[Pid]) -> Option<Birth> {
    let births = processes.iter().filter_map(|pid| of_process(machine, *pid));
    births.min_by_key(|birth| match birth {
        Birth::Offset(offset) => Micros(offset.unsigned_abs()),
        Birth::Started(started) => *started,
    })
}
