//! The command line. Each subcommand parses its options, makes one call into a room, and prints the
//! result.

/// The logs of the program itself, and the exit status of its failures.
mod stderr;

/// The rights that a command needs.
mod rights;

/// `plimsoll attach` and `detach`: the served files in running containers.
///
/// Uses [`rights`].
mod attach;

/// `plimsoll daemon`: the host daemon.
///
/// Uses [`stderr`], [`rights`].
mod daemon;

/// `plimsoll demo`: the guided minute.
///
/// Uses [`rights`].
mod demo;

/// `plimsoll doctor`: the findings on this machine.
mod doctor;

/// `plimsoll generate`: man pages and shell completions.
mod generate;

/// `plimsoll hook`: the OCI hook.
mod hook;

/// `plimsoll install` and `uninstall`: the configurations of container engines.
///
/// Uses [`rights`].
mod install;

/// `plimsoll kept`: what `plimsoll run --keep` has kept.
///
/// Uses [`rights`].
mod kept;

/// `plimsoll nri`: the plugin of containerd and CRI-O.
///
/// Uses [`stderr`], [`rights`].
mod nri;
/// `plimsoll ps`: the containers of every engine.
mod ps;

/// `plimsoll repair`: the repair of mounts in containers.
mod repair;

/// `plimsoll run`: the bundled runtime.
mod run;

/// `plimsoll runtime`: the OCI runtime for engines without hooks.
///
/// Uses [`hook`].
mod runtime;

/// `plimsoll show`: one served file, or its explanation.
mod show;

/// `plimsoll status`: the state of the daemon.
mod status;

use std::{path::Path, process::ExitCode};

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
use stderr::{FAILURE_STATUS, logs};
use tracing::level_filters::LevelFilter;

use crate::base::output::complain;

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
    Kept(kept::Kept),
    Daemon(daemon::Daemon),
    Attach(attach::Attach),
    Detach(attach::Detach),
    Nri(nri::Nri),
    #[command(visible_alias = "list")]
    Ps(ps::Ps),
    Status(status::Status),
    Show(show::Show),
    Demo(demo::Demo),
    Doctor(doctor::Doctor),
    Generate(generate::Generate),
    Hook(hook::Hook),
    Repair(repair::Repair),
    Runtime(runtime::RuntimeCommand),
    Install(install::Install),
    Uninstall(install::Uninstall),
}

/// Runs the command line of this process, and returns its exit status. Prints an error as one line
/// on standard error.
#[must_use]
pub fn main() -> ExitCode {
    stderr::print_panics();
    if is_called_as_runtime() {
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        return exit_code(runtime::become_runtime(&args));
    }
    let command = match Cli::try_parse() {
        Ok(command) => command,
        Err(error) => return print_parse_error(&error),
    };
    let result = match command.command {
        Subcommand::Run(run) => {
            logs(LevelFilter::OFF);
            run.run()
        }
        Subcommand::Kept(kept) => {
            logs(LevelFilter::WARN);
            kept.run()
        }
        Subcommand::Daemon(daemon) => daemon.run(),
        Subcommand::Attach(attach) => attach.run(),
        Subcommand::Detach(detach) => detach.run(),
        Subcommand::Nri(nri) => nri.run(),
        Subcommand::Show(show) => {
            logs(LevelFilter::WARN);
            show.run().map(|()| 0)
        }
        Subcommand::Ps(ps) => {
            logs(LevelFilter::OFF);
            ps.run()
        }
        Subcommand::Status(status) => {
            logs(LevelFilter::OFF);
            status.run()
        }
        Subcommand::Demo(demo) => demo.run(),
        Subcommand::Doctor(doctor) => {
            logs(LevelFilter::OFF);
            doctor.run()
        }
        Subcommand::Generate(generate) => generate.run(&Cli::command()).map(|()| 0),
        // The hook logs nothing, so no environment variable can make it log.
        Subcommand::Hook(hook) => hook.run(),
        Subcommand::Repair(repair) => repair.run(),
        Subcommand::Runtime(runtime) => runtime.run(),
        Subcommand::Install(install) => install.run(),
        Subcommand::Uninstall(uninstall) => uninstall.run(),
    };
    exit_code(result)
}

/// Returns whether the program was called by the name that stands in an engine's configuration.
fn is_called_as_runtime() -> bool {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_name);
    name.is_some_and(|name| name == "plimsoll-runtime")
}

/// Prints an error, and returns the exit status of a result.
fn exit_code(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(FAILURE_STATUS)
        }
    }
}

/// Prints help on standard output, or a mistake as one line on standard error.
fn print_parse_error(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let printed = error.print();
            ExitCode::from(if printed.is_ok() { 0 } else { FAILURE_STATUS })
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(FAILURE_STATUS)
        }
        _ => {
            // The lines before the first empty line name the mistake; the rest is usage.
            let text = error.to_string();
            let lines = text.lines().take_while(|line| !line.is_empty());
            let lines: Vec<&str> = lines.map(str::trim).collect();
            let message = lines.join(" ");
            let message = message.strip_prefix("error: ").unwrap_or(&message);
            let hint = match (run::advice(error), suggestion(error)) {
                (Some(advice), _) => format!(": {advice}"),
                (None, Some(similar)) => format!(": did you mean {similar}?"),
                (None, None) => String::new(),
            };
            complain(&format!("{message}{hint} (see --help)"));
            ExitCode::from(FAILURE_STATUS)
        }
    }
}

/// Returns the words that are similar to a wrong one.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        ContextValue::Strings(words) if !words.is_empty() => Some(words.join(" or ")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{
        respawn::{self, DemoContainer, RepairTask, Respawn},
        units::{Bytes, Micros, Pid},
    };
    use std::{iter, time::Duration};

    #[test]
    fn no_line_of_a_help_text_is_longer_than_a_terminal_of_80_columns() {
        let program = Cli::command().term_width(80);
        for command in program.get_subcommands() {
            let mut command = command.clone().term_width(80);
            let notes = command.get_after_long_help().or(command.get_after_help());
            let notes = notes.map(ToString::to_string).unwrap_or_default();
            let help = command.render_long_help().to_string();
            for line in notes.lines().chain(help.lines()) {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }

    #[test]
    fn every_start_of_our_own_program_is_understood() {
        let (view, file) = (Path::new("/view"), Path::new("/file"));
        let points = [view.to_owned(), view.join("containers")];
        let starts = [
            Respawn::Repair(RepairTask::Remove { points: &points }),
            Respawn::Repair(RepairTask::Replace {
                view,
                points: &points,
            }),
            Respawn::Repair(RepairTask::Find),
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
            Respawn::DemoContainer(DemoContainer {
                name: "demo",
                memory: Bytes(6 << 20),
                cpus: 1,
                tree: respawn::OWN_TREE,
                program: file,
            }),
            Respawn::Probe { file },
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
                    | (Respawn::Repair(_), Subcommand::Repair(_))
                    | (Respawn::Hook { .. }, Subcommand::Hook(_))
                    | (Respawn::Probe { .. }, Subcommand::Status(_))
                    | (Respawn::DemoContainer(_), Subcommand::Run(_))
            );
            assert!(is_meant, "{start:?}");
        }
    }
}
