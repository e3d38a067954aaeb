//! A request at which a daemon hangs: its caller gets an error, and nobody else.

use super::Guest;
use crate::harness::{Daemon, field, wait_until};
use nix::{
    sys::{
        ptrace,
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use std::{
    fs,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

/// The watchdog of the daemons in seconds.
const WATCHDOG: &str = "2";
/// A file that the daemon answers on each read.
const FILE: &str = "/proc/vmstat";

/// Stops the next thread of a daemon that reads a file of the memory controller for a request, until the
/// daemon is killed: the daemon has identified the container of the request by then. The number of the
/// thread is sent when it stands.
fn stop_next_worker(pid: u32) -> Receiver<i32> {
    let (stopped, is_stopped) = channel();
    let (ready, is_ready) = channel();
    thread::spawn(move || {
        // All threads: a worker may be on its way from the answer before to its next request.
        let tids = fs::read_dir(format!("/proc/{pid}/task"))
            .unwrap()
            .map(|task| task.unwrap().file_name().to_str().unwrap().parse())
            .map(|tid| Pid::from_raw(tid.unwrap()));
        for tid in tids {
            ptrace::seize(tid, ptrace::Options::PTRACE_O_TRACESYSGOOD).unwrap();
            ptrace::interrupt(tid).unwrap();
            waitpid(tid, Some(WaitPidFlag::__WALL)).unwrap();
            ptrace::syscall(tid, None).unwrap();
        }
        ready.send(()).unwrap();
        let mut held = None;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        while let Ok(status) = waitpid(None, Some(flags)) {
            match status {
                WaitStatus::PtraceSyscall(tid) if held.is_none() && is_reading_memory(pid, tid) => {
                    held = Some(tid);
                    let _ = stopped.send(tid.as_raw());
                }
                WaitStatus::PtraceSyscall(tid) | WaitStatus::PtraceEvent(tid, ..)
                    if held != Some(tid) =>
                {
                    resume(tid, held, None);
                }
                WaitStatus::Stopped(tid, signal) => {
                    resume(tid, held, (signal != Signal::SIGTRAP).then_some(signal));
                }
                _ => {}
            }
        }
    });
    is_ready.recv().unwrap();
    is_stopped
}

/// Lets a thread go on to its next system call, or for good when another thread is held.
fn resume(tid: Pid, held: Option<Pid>, signal: Option<Signal>) {
    let _ = match held {
        Some(_) => ptrace::cont(tid, signal),
        None => ptrace::syscall(tid, signal),
    };
}

/// Returns whether the system call at which a thread stands reads a file of the memory controller.
fn is_reading_memory(pid: u32, tid: Pid) -> bool {
    ptrace::getregs(tid).is_ok_and(|registers| {
        let file = fs::read_link(format!("/proc/{pid}/fd/{}", registers.rdi));
        registers.orig_rax == libc::SYS_pread64.unsigned_abs()
            && file.is_ok_and(|file| file.to_string_lossy().contains("/memory."))
    })
}

/// Returns a daemon with a short watchdog, a guest that reads a file when it is told, and another one.
fn scene() -> (Daemon, Guest, Guest) {
    let daemon = Daemon::with(Daemon::new_mountpoint(), &["--watchdog", WATCHDOG]);
    let mut guests = [Guest::of(&daemon), Guest::of(&daemon)];
    for guest in &mut guests {
        assert!(guest.run(&format!("cat {FILE}")).contains("pgfault"));
    }
    let [hostile, victim] = guests;
    (daemon, hostile, victim)
}

/// Has the guest read the file while the worker that gets the request stops. Returns what it read.
fn read_that_hangs(daemon: &Daemon, guest: &mut Guest) -> String {
    // A daemon that has just started may lack threads, and a content of some milliseconds would be served again.
    thread::sleep(Duration::from_millis(200));
    let stopped = stop_next_worker(daemon.pid());
    let said = guest.run(&format!("cat {FILE}"));
    assert!(stopped.try_recv().is_ok(), "no request was stopped: {said}");
    said
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and x86_64"]
fn a_request_that_hangs_costs_its_caller_eio_and_a_victim_a_pause() {
    let (daemon, mut hostile, mut victim) = scene();
    let before = daemon.pid();
    let said = read_that_hangs(&daemon, &mut hostile);
    assert!(said.contains("Input/output error"), "{said}");
    let begun = Instant::now();
    assert_eq!(
        field(&victim.run("cat /proc/meminfo"), "MemTotal"),
        64 << 10
    );
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_ne!(daemon.pid(), before);
    // The next request is answered, and no other daemon died of the first one.
    let next = daemon.pid();
    assert!(hostile.run(&format!("cat {FILE}")).contains("pgfault"));
    thread::sleep(Duration::from_secs(3));
    assert_eq!(daemon.pid(), next);
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroups and x86_64"]
fn a_container_that_hangs_three_daemons_is_refused_its_direct_files_for_a_while() {
    let (daemon, mut hostile, mut victim) = scene();
    for _ in 0..3 {
        let said = read_that_hangs(&daemon, &mut hostile);
        assert!(said.contains("Input/output error"), "{said}");
        wait_until("the next daemon serves", || {
            victim.run(&format!("cat {FILE}")).contains("pgfault")
        });
    }
    let before = daemon.pid();
    let said = hostile.run(&format!("cat {FILE}"));
    assert!(said.contains("Input/output error"), "{said}");
    assert!(victim.run(&format!("cat {FILE}")).contains("pgfault"));
    assert_eq!(daemon.pid(), before);
}
