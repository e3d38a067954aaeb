//! The machine and the time of a bench, for later readers of its numbers.

use serde::Serialize;
use std::{fs, process::Command};

/// The circumstances of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Model and number of CPUs, and memory.
    pub(crate) machine: String,
    /// Release of the kernel.
    pub(crate) kernel: String,
    /// The version of cgroups that holds the memory controller: `v1` or `v2`.
    pub(crate) cgroups: String,
    /// Day and minute, UTC.
    pub(crate) date: String,
    /// The command line of `cargo`.
    pub(crate) command: String,
    /// The version of lxcfs, if lxcfs is installed.
    pub(crate) lxcfs: Option<String>,
}

impl Machine {
    /// Describes this machine now. `bench` is the name of the bench.
    pub(crate) fn here(bench: &str) -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split(": ").nth(1));
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = super::harness::field(&read("/proc/meminfo"), "MemTotal") >> 20;
        let arguments: Vec<String> = std::env::args()
            .skip(1)
            .filter(|argument| argument != "--bench")
            .collect();
        Machine {
            machine: format!("{}, {cpus} CPUs, {memory} GiB", model.unwrap_or("CPU")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cgroups: if super::harness::is_v2() { "v2" } else { "v1" }.to_owned(),
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).unwrap_or_default(),
            command: format!("cargo bench --bench {bench} -- {}", arguments.join(" "))
                .trim_end_matches(" -- ")
                .to_owned(),
            lxcfs: output("lxcfs", &["--version"]),
        }
    }

    /// Prints the machine as lines.
    pub(crate) fn print(&self) {
        println!("machine  {}", self.machine);
        println!("kernel   {}, cgroup {}", self.kernel, self.cgroups);
        println!("date     {}", self.date);
        println!("command  {}", self.command);
        println!(
            "lxcfs    {}",
            self.lxcfs.as_deref().unwrap_or("not installed")
        );
    }
}

/// Returns the output of a program that succeeds, or none.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    // lxcfs prints its version to its standard error.
    let bytes = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&bytes)
        .trim()
        .trim_matches('"')
        .to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
