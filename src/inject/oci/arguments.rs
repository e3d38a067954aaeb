//! Pure. The command line of an OCI runtime, as far as it concerns us.
//!
//! runc and crun share a command line (`runc(8)`, `crun(1)`): global options, a command, its
//! options. The parser rewrites nothing: the real runtime gets every argument, known here or not.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

/// Global options with a value in the next argument.
const GLOBAL_WITH_VALUE: [&str; 8] = [
    "cgroup-manager",
    "config",
    "criu",
    "log",
    "log-format",
    "log-level",
    "root",
    "rootless",
];

/// Options of `create` and `run` with a value in the next argument, except those of the bundle.
const CREATE_WITH_VALUE: [&str; 3] = ["console-socket", "pid-file", "preserve-fds"];

/// Every command of runc and crun.
const COMMANDS: [&str; 20] = [
    "checkpoint",
    "create",
    "delete",
    "events",
    "exec",
    "features",
    "help",
    "init",
    "kill",
    "list",
    "mounts",
    "pause",
    "ps",
    "restore",
    "resume",
    "run",
    "spec",
    "start",
    "state",
    "update",
];

/// A call of an OCI runtime.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The configuration of the container that the call makes, relative to the working directory;
    /// `None` if the call makes none.
    pub configuration: Option<PathBuf>,
    /// The id of the container that the call makes.
    pub id: Option<String>,
    /// The log that the engine reads, if its lines are JSON.
    pub log: Option<PathBuf>,
}

impl Call {
    /// Parses the arguments of a runtime, without its name.
    #[must_use]
    pub fn parse(args: &[OsString]) -> Call {
        let (mut log, mut format) = (None, None);
        let mut rest = args.iter();
        let mut is_unknown = false;
        while let Some(arg) = rest.next() {
            let Some((name, value)) = option(arg) else {
                let making = [OsStr::new("create"), OsStr::new("run")];
                if making.contains(&arg.as_os_str()) {
                    let (configuration, id) = configuration(rest.as_slice());
                    let log = log.filter(|_| format == Some("json"));
                    return Call {
                        configuration: Some(configuration),
                        id,
                        log: log.map(PathBuf::from),
                    };
                }
                let is_command = COMMANDS.iter().any(|command| *command == arg);
                // An argument that is no command may be the value of an unknown option.
                if is_command || !is_unknown {
                    return Call::default();
                }
                is_unknown = false;
                continue;
            };
            is_unknown = value.is_none() && !GLOBAL_WITH_VALUE.contains(&name);
            let value = match value {
                None if GLOBAL_WITH_VALUE.contains(&name) => {
                    rest.next().and_then(|value| value.to_str())
                }
                value => value,
            };
            match name {
                "log" => log = value,
                "log-format" => format = value,
                _ => {}
            }
        }
        Call::default()
    }
}

/// Returns the configuration that `create` or `run` reads, and the id of the container, from the
/// arguments after that command.
fn configuration(args: &[OsString]) -> (PathBuf, Option<String>) {
    let (mut bundle, mut file) = (OsStr::new(""), OsStr::new("config.json"));
    let mut id = None;
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some((name, value)) = option(arg) else {
            // An unknown option may have its value in the next argument, and the id is the last one.
            id = arg.to_str().map(str::to_owned);
            continue;
        };
        let place = match name {
            "b" | "bundle" => &mut bundle,
            // An option of crun alone: another name for the configuration.
            "f" | "config" => &mut file,
            _ if CREATE_WITH_VALUE.contains(&name) && value.is_none() => {
                rest.next();
                continue;
            }
            // argp allows a short option with its value in one argument.
            _ => match (name.strip_prefix('b'), name.strip_prefix('f')) {
                _ if is_long(arg) || value.is_some() => continue,
                (Some(value), _) => {
                    bundle = OsStr::new(value);
                    continue;
                }
                (_, Some(value)) => {
                    file = OsStr::new(value);
                    continue;
                }
                _ => continue,
            },
        };
        match value {
            Some(value) => *place = OsStr::new(value),
            None => *place = rest.next().map_or(*place, OsString::as_os_str),
        }
    }
    (Path::new(bundle).join(file), id)
}

/// Returns the name of an option, and its value if that is in the same argument; `None` for an
/// argument without a dash.
fn option(arg: &OsStr) -> Option<(&str, Option<&str>)> {
    let name = arg.to_str()?.strip_prefix('-')?;
    // Options of Go programs may have one dash or two, however long their names are.
    let name = name.strip_prefix('-').unwrap_or(name);
    Some(match name.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (name, None),
    })
}

fn is_long(arg: &OsStr) -> bool {
    arg.to_str().is_some_and(|arg| arg.starts_with("--"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop, proptest};

    fn call(line: &str) -> Call {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        Call::parse(&args)
    }

    fn edited(line: &str) -> Option<PathBuf> {
        call(line).configuration
    }

    #[test]
    fn a_container_of_docker_is_found_with_its_log() {
        let call = call(
            "--root /var/run/docker/runtime-runc/moby --log /run/b/log.json --log-format json \
             --systemd-cgroup create --bundle /run/b --pid-file /run/b/init.pid ab12",
        );
        assert_eq!(call.configuration, Some("/run/b/config.json".into()));
        assert_eq!(call.log, Some("/run/b/log.json".into()));
        assert_eq!(call.id.as_deref(), Some("ab12"));
    }

    #[test]
    fn a_bundle_is_found_however_it_is_written() {
        let expected = Some(PathBuf::from("/b/config.json"));
        for bundle in [
            "-b /b",
            "-b=/b",
            "--bundle /b",
            "--bundle=/b",
            "-bundle /b",
            "-b/b",
        ] {
            assert_eq!(edited(&format!("create {bundle} ab12")), expected);
            assert_eq!(
                edited(&format!("--debug run --pid-file -b {bundle} ab12")),
                expected
            );
        }
    }

    #[test]
    fn a_bundle_that_is_not_named_is_the_working_directory() {
        assert_eq!(edited("run ab12"), Some("config.json".into()));
        assert_eq!(edited("run --no-pivot ab12"), Some("config.json".into()));
        assert_eq!(edited("run -f other.json ab12"), Some("other.json".into()));
    }

    #[test]
    fn every_other_call_passes() {
        for line in [
            "--version",
            "features",
            "--root /run/create start ab12",
            "--root create state create",
            "exec --process /p ab12",
            "delete --force create",
            "--log create kill run",
            "restore --bundle /b ab12",
            "init",
            "",
        ] {
            assert_eq!(call(line), Call::default(), "{line}");
        }
    }

    #[test]
    fn a_global_option_that_is_not_known_may_have_a_value() {
        let expected = Some(PathBuf::from("/b/config.json"));
        for option in [
            "--new",
            "--new=1",
            "--new 1",
            "-n 1",
            "--new 1 --systemd-cgroup",
        ] {
            assert_eq!(edited(&format!("{option} create -b /b ab12")), expected);
        }
        assert_eq!(edited("new create -b /b ab12"), None);
    }

    #[test]
    fn a_log_of_text_is_not_written_to() {
        assert_eq!(call("--log /l create ab12").log, None);
        assert_eq!(call("--log /l --log-format text create ab12").log, None);
    }

    proptest! {
        #[test]
        fn no_arguments_make_the_parser_panic(args in prop::collection::vec(any::<String>(), 0..6)) {
            let args: Vec<OsString> = args.into_iter().map(OsString::from).collect();
            let _ = Call::parse(&args);
        }
    }
}
