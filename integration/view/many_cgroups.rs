//! A container that makes more cgroups than one read may visit.

use crate::harness::Cgroup;
use plimsoll::{base::sys::thread_time, view::answer::Answers};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The number of cgroups, nested or side by side.
const MANY: usize = 3000;

/// Runs a script in Python in the directory `place`. A path may be too long for a system call.
fn python(place: &Path, script: &str) {
    let script = format!("import os\nos.chdir({place:?})\n{script}");
    let status = Command::new("python3").args(["-c", &script]).status();
    assert!(status.unwrap().success());
}

/// Returns the time of the first read of the load, and the part of a CPU that reads on and on cost.
fn cost_of_reads(cgroup: &Cgroup) -> (Duration, f64) {
    let answers = Answers::here().unwrap();
    let container = answers.container_at(&cgroup.path()).unwrap();
    let begun = Instant::now();
    let tasks = answers.loadavg(&container).unwrap().tasks;
    let first = begun.elapsed();
    // A load is of one task at least: that of the reader.
    assert_eq!(tasks.total, 1);
    let (begun, cpu) = (Instant::now(), thread_time());
    while begun.elapsed() < Duration::from_secs(4) {
        answers.container_at(&cgroup.path()).unwrap();
        answers.loadavg(&container).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let used = Duration::from_micros(thread_time().less(cpu).0);
    (first, used.as_secs_f64() / begun.elapsed().as_secs_f64())
}

#[test]
#[ignore = "needs root, cgroups, python3 and a real CPU"]
fn a_read_costs_a_bounded_time_however_many_cgroups_the_container_makes() {
    let nested = format!("for n in range({MANY}):\n  os.mkdir('d')\n  os.chdir('d')",);
    let flat = format!("for n in range({MANY}):\n  os.mkdir('f%d' % n)");
    let unnested = format!(
        "for n in range({MANY}): os.chdir('d')\nfor n in range({MANY}):\n  os.chdir('..')\n  os.rmdir('d')"
    );
    let unflat = format!("for n in range({MANY}): os.rmdir('f%d' % n)");
    for (make, remove) in [(nested, unnested), (flat, unflat)] {
        let cgroup = Cgroup::new();
        let directory = cgroup.directory("memory");
        python(&directory, &make);
        let (first, share) = cost_of_reads(&cgroup);
        python(&directory, &remove);
        assert!(first < Duration::from_millis(50), "{first:?}");
        assert!(share < 0.02, "{share}");
    }
}
