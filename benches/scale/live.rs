//! Real processes: many threads in one container, and many containers.

use super::{
    Options, Row, Running, least, must,
    support::{
        harness::{self, Cgroup, Daemon, children, plimsoll, read_line},
        short,
        world::World,
    },
};
use plimsoll::{
    base::paths::FS_TYPE,
    facts::container::Container,
    view::{answer::Answers, files::File},
};
use std::{
    fs,
    io::Read,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Instant,
};

/// Threads of one process: each takes four of the 65,530 mappings that a process may have.
const THREADS_PER_PROCESS: u32 = 10_000;
const STACK_BYTES: usize = 16 << 10;

/// Starts so many threads that sleep, writes a line, and ends at the end of the input.
pub(crate) fn sleep(threads: u32) {
    for _ in 0..threads {
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        thread.spawn(thread::park).unwrap();
    }
    println!("sleeping");
    let _ = std::io::stdin().read(&mut [0]);
}

/// Processes with sleeping threads.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start(cgroup: &Cgroup, threads: u32) -> Sleepers {
        let program = std::env::current_exe().unwrap();
        let mut processes = Vec::new();
        let mut rest = threads;
        while rest > 0 {
            let some = rest.min(THREADS_PER_PROCESS);
            rest -= some;
            let mut shell = Command::new("sh");
            shell.arg("-ec").arg(format!(
                "{} exec {} --sleep {some}",
                cgroup.join("$$"),
                program.display()
            ));
            shell.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = shell.spawn().unwrap();
            let line = read_line(process.stdout.as_mut().unwrap())
                .trim()
                .to_owned();
            assert_eq!(
                line, "sleeping",
                "of {threads} threads {rest} did not start"
            );
            processes.push(process);
        }
        Sleepers(processes)
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Measures a container with so many sleeping threads.
pub(crate) fn with_threads(
    world: &World,
    options: &Options,
    threads: u32,
) -> anyhow::Result<Vec<Row>> {
    let limited = world.cgroup.child(&harness::unique("threads"));
    limited.limit_memory(8 << 30);
    let sleepers = Sleepers::start(&limited, threads);
    let root = world.directory.path().join("root");
    let daemon = Daemon::start();
    let config = config_of(world, &daemon)?;
    let running = || Running::start(&limited, &root);
    let attach = |running: &Running| {
        let pid = running.0.id().to_string();
        must(
            plimsoll().args(["attach", "--pid", &pid, "--config", &config]),
            "",
        );
    };
    let mut rows = vec![(
        "attach beside the threads".to_owned(),
        least(options, running, attach),
    )];
    let fresh = || -> (Answers, Arc<Container>) {
        let answers = Answers::here().unwrap();
        let container = answers.container_at(&limited.path()).unwrap();
        (answers, container)
    };
    for file in [File::Loadavg, File::Stat, File::Meminfo, File::Uptime] {
        let read = |(answers, container): &(Answers, Arc<Container>)| {
            drop(answers.render(file, container).unwrap());
        };
        rows.push((
            format!("first read of {}", short(file.path())),
            least(options, fresh, read),
        ));
    }
    rows.push(("doctor".to_owned(), doctor(options, &config)));
    drop(sleepers);
    Ok(rows)
}

/// Measures so many containers of one process each, of an engine that nobody knows.
pub(crate) fn with_containers(
    world: &World,
    options: &Options,
    count: u32,
) -> anyhow::Result<Vec<Row>> {
    let daemon = Daemon::start();
    let config = config_of(world, &daemon)?;
    let containers: Vec<(Cgroup, Child)> = (0..count)
        .map(|_| {
            let cgroup = world.cgroup.child(&harness::unique("live"));
            cgroup.limit_memory(64 << 20);
            let child = container(&cgroup);
            (cgroup, child)
        })
        .collect();
    let attach = || {
        let mut attach = plimsoll();
        must(attach.args(["attach", "--all", "--config", &config]), "");
    };
    let detach = || {
        let mut detach = plimsoll();
        must(detach.args(["detach", "--all", "--config", &config]), "");
    };
    let first = least(options, detach, |()| attach());
    let again = least(options, || (), |()| attach());
    let doctor = doctor(options, &config);
    let begun = Instant::now();
    drop(daemon);
    let end = begun.elapsed().as_secs_f64() * 1000.0;
    let mut with_files = 0;
    for (_, mut child) in containers {
        with_files += usize::from(has_files(&child)?);
        child.kill()?;
        child.wait()?;
    }
    if with_files > 0 {
        println!("the end of the daemon did not reach {with_files} of {count} containers");
    }
    Ok(vec![
        ("attach --all, no container attached".to_owned(), first),
        ("attach --all, all attached".to_owned(), again),
        ("doctor, all attached".to_owned(), doctor),
        ("end of the daemon, all attached".to_owned(), end),
    ])
}

/// Returns whether a container that [`container`] started has Plimsoll's files.
fn has_files(child: &Child) -> anyhow::Result<bool> {
    // The command of the container is a child of unshare.
    let processes = children(child.id());
    let mounts = processes
        .iter()
        .map(|pid| fs::read_to_string(format!("/proc/{pid}/mounts")));
    let mounts: std::io::Result<String> = mounts.collect();
    Ok(mounts?.contains(FS_TYPE))
}

/// Starts a process in namespaces of its own.
fn container(cgroup: &Cgroup) -> Child {
    let mut shell = Command::new("sh");
    shell.arg("-ec").arg(format!(
        "{} exec unshare -p -m -u -f --kill-child --mount-proc --propagation private sh -ec 'echo runs; exec sleep 10000'",
        cgroup.join("$$")
    ));
    let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
    let line = read_line(child.stdout.as_mut().unwrap()).trim().to_owned();
    assert_eq!(line.trim(), "runs", "a container did not start");
    child
}

fn config_of(world: &World, daemon: &Daemon) -> anyhow::Result<String> {
    let path = world.directory.path().join("config.toml");
    let view = daemon.mountpoint.to_str().unwrap();
    fs::write(&path, format!("mountpoint = {view:?}\n"))?;
    Ok(path.to_str().unwrap().to_owned())
}

fn doctor(options: &Options, config: &str) -> f64 {
    let run = |(): &()| {
        let mut doctor = plimsoll();
        drop(
            doctor
                .args(["doctor", "--config", config])
                .output()
                .unwrap(),
        );
    };
    least(options, || (), run)
}
