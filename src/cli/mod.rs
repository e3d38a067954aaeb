//! The command line: each subcommand is one call into a room.

mod attach;
mod daemon;
mod doctor;
mod generate;
mod hook;
mod install;
mod run;
mod runtime;
mod show;

use std::{
    io::{IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};

/// Every container sees its own machine in /proc and /sys.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    Run(Box<run::Run>),
    Daemon(daemon::Daemon),
    Attach(attach::Attach),
    Detach(attach::Detach),
    Show(show::Show),
    Doctor(doctor::Doctor),
    Generate(generate::Generate),
    Hook(hook::Hook),
    Runtime(runtime::Runtime),
    Install(install::Install),
    Uninstall(install::Uninstall),
}

/// The status of an error of our own; a container's command has every other one.
const FAILURE_STATUS: u8 = 125;

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    if is_runtime() {
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        return ended(runtime::become_runtime(&args));
    }
    let command = match Cli::try_parse() {
        Ok(command) => command,
        Err(error) => return refused(&error),
    };
    let result = match command.command {
        Subcommand::Run(run) => {
            logs("off");
            run.run()
        }
        Subcommand::Daemon(daemon) => daemon.run(),
        Subcommand::Attach(attach) => attach.run(),
        Subcommand::Detach(detach) => detach.run(),
        Subcommand::Show(show) => {
            logs("warn");
            show.run().map(|()| 0)
        }
        Subcommand::Doctor(doctor) => {
            logs("off");
            doctor.run()
        }
        Subcommand::Generate(generate) => generate.run().map(|()| 0),
        // It logs nothing, so that no environment can have it do so.
        Subcommand::Hook(hook) => hook.run(),
        Subcommand::Runtime(runtime) => runtime.run(),
        Subcommand::Install(install) => install.run(),
        Subcommand::Uninstall(uninstall) => uninstall.run(),
    };
    ended(result)
}

/// Whether the program was called by the name that stands in an engine's configuration.
fn is_runtime() -> bool {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name == "plimsoll-runtime")
}

fn ended(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(FAILURE_STATUS)
        }
    }
}

/// Help goes to standard output; a mistake is one line on standard error.
fn refused(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let shown = error.print();
            ExitCode::from(if shown.is_ok() { 0 } else { FAILURE_STATUS })
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(FAILURE_STATUS)
        }
        _ => {
            // What stands before the first empty line is the mistake; the rest is usage.
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.is_empty());
            let said: Vec<&str> = lines.map(str::trim).collect();
            let said = said.join(" ");
            let said = said.strip_prefix("error: ").unwrap_or(&said);
            complain(&format!("{said} (see --help)"));
            ExitCode::from(FAILURE_STATUS)
        }
    }
}

/// One line on standard error, which may be gone.
fn complain(line: &str) {
    let line = line.replace('\n', " ");
    let _ = writeln!(std::io::stderr(), "plimsoll: {line}");
}

/// Logs go to standard error: what is as grave as `level`, or what `RUST_LOG` asks for.
fn logs(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        respawn::Respawn,
        units::{Micros, Pid},
    };
    use std::{iter, time::Duration};

    #[test]
    fn every_start_of_our_own_program_is_understood() {
        let (view, file) = (Path::new("/view"), Path::new("/file"));
        let starts = [
            Respawn::Keeper {
                mountpoint: view,
                daemon: Pid(7),
                watchdog: Duration::from_secs(10),
                max_age: Micros(10_000),
                configuration: file,
            },
            Respawn::EmbeddedDaemon { mountpoint: view },
            Respawn::AttachPending {
                view,
                configuration: file,
            },
            Respawn::Hook {
                view,
                timeout: Duration::from_secs(20),
                report: file,
            },
        ];
        for start in starts {
            let args = iter::once("plimsoll".into()).chain(start.args());
            let command = Cli::try_parse_from(args).unwrap();
            let is_meant = matches!(
                (start, command.command),
                (
                    Respawn::Keeper { .. } | Respawn::EmbeddedDaemon { .. },
                    Subcommand::Daemon(_)
                ) | (Respawn::AttachPending { .. }, Subcommand::Attach(_))
                    | (Respawn::Hook { .. }, Subcommand::Hook(_))
            );
            assert!(is_meant, "{start:?}");
        }
    }
}
