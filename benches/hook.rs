//! The cost of the hook: the time for which a runtime waits for `plimsoll hook`.
//!
//! `cargo bench --bench hook`, as root, where runc (or `--runtime crun`) and busybox are installed. Each container
//! is a real one of that runtime, with a limit of memory and of CPU time. Its hook is this bench, which passes the
//! state on to the program and measures the time from its start to its end. In the same place the bench measures
//! `plimsoll --version`, the cost of a start of the program. The bench prints the numbers, and fails if the median
//! of the hook is above `--max`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a bench that fails should fail loudly, and a bench prints numbers"
)]

#[allow(dead_code, reason = "each bench uses its part")]
mod support;
#[path = "hook/timed.rs"]
mod timed;

use anyhow::ensure;
use clap::Parser;
use serde_json::json;
use std::{fs, path::PathBuf, process::ExitCode};
use support::{
    harness::{self, oci::Bundle},
    histogram::{Counter, Histogram},
    machine::Machine,
    world::{World, enclosed},
};

/// Start containers, and measure the time of their hook
#[derive(Debug, Parser)]
#[command(name = "hook")]
struct Options {
    /// Number of containers
    #[arg(long, default_value_t = 200)]
    containers: usize,
    /// Runtime of the containers: runc or crun
    #[arg(long, default_value = "runc")]
    runtime: String,
    /// Program that is the hook (default: the one that was built with this bench)
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_plimsoll"))]
    program: PathBuf,
    /// Stage of the hook: createRuntime, as `plimsoll install` sets it, or createContainer
    #[arg(long, default_value = "createRuntime")]
    stage: String,
    /// Maximum of the median, in milliseconds
    #[arg(long, default_value_t = 5.0)]
    max: f64,
    /// Option that `cargo bench` adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    if let Some(status) = timed::run_if_hook() {
        return status;
    }
    let options = Options::parse();
    enclosed(|world| measure(world, &options))
}

fn measure(world: &World, options: &Options) -> anyhow::Result<()> {
    Machine::here("hook").print();
    let daemon = harness::Daemon::start();
    let notes = world.directory.path().join("times");
    let mut bundle = Bundle::new(&options.runtime).script("cat /proc/meminfo");
    let view = daemon.mountpoint.to_str().unwrap();
    bundle.config["hooks"] = json!({options.stage.as_str(): [{
        "path": std::env::current_exe()?,
        "args": timed::arguments(&options.program, &notes, &["--view", view, "--require", "--hook-timeout", "1m"]),
        "env": [],
    }]});
    for _ in 0..options.containers {
        let text = harness::stdout_of(&bundle.run());
        let total = harness::field(&text, "MemTotal");
        ensure!(
            total == 64 << 10,
            "a container sees {total} kB, not its limit: the hook had no effect"
        );
    }
    let text = fs::read_to_string(&notes)?;
    println!(
        "\n{} containers of {}, milliseconds",
        options.containers, options.runtime
    );
    println!("{:<20} {:>7} {:>7} {:>7}", "", "median", "p99", "max");
    row("plimsoll --version", &histogram(&text, timed::START));
    let hook = histogram(&text, timed::HOOK);
    row("plimsoll hook", &hook);
    let median = milliseconds(&hook, 0.5);
    ensure!(
        median <= options.max,
        "the median of the hook is {median:.2} ms, above {} ms",
        options.max
    );
    Ok(())
}

/// Returns the times of one of the two programs.
fn histogram(notes: &str, which: &str) -> Histogram {
    let mut counter = Counter::new();
    let own = notes.lines().filter_map(|line| line.strip_prefix(which));
    own.for_each(|nanos| counter.count(nanos.trim().parse().unwrap()));
    counter.histogram()
}

fn milliseconds(times: &Histogram, share: f64) -> f64 {
    times.quantile(share).unwrap() / 1000.0
}

fn row(name: &str, times: &Histogram) {
    let [median, p99] = [0.5, 0.99].map(|share| milliseconds(times, share));
    println!(
        "{name:<20} {median:>7.2} {p99:>7.2} {:>7.2}",
        times.max() / 1000.0
    );
}
