//! The command line: each subcommand is one call into a room.

mod daemon;
mod show;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What is wrong with us, and not with the program that was to be run.
const FAILED: u8 = 125;

/// Shows every container its own machine.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Daemon(daemon::Daemon),
    Show(show::Show),
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Daemon(daemon) => daemon.run(),
        Command::Show(show) => show.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Logs what is as grave as `level`, or what `RUST_LOG` asks for.
fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

#[expect(
    clippy::print_stderr,
    reason = "this is where errors are told to the user"
)]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("plimsoll: {error:#}");
    ExitCode::from(FAILED)
}
