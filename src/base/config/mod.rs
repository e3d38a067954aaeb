//! The configuration that the host's administrator writes, `/etc/plimsoll/config.toml`.

mod parse;

pub use parse::parse;

use crate::base::paths::DEFAULT_MOUNTPOINT;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The configuration. A key that the file does not name has its default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The mount point of the daemon's view; `hook`, `attach`, `run` and `doctor` look there.
    #[serde(deserialize_with = "parse::absolute")]
    pub mountpoint: PathBuf,
    /// True to fail the start of a container that cannot get its view.
    pub require: bool,
    /// True to give a view also to containers whose limits leave them the whole machine.
    pub unlimited: bool,
    /// The longest delay of a container's start by a daemon that does not answer; never 0.
    #[serde(deserialize_with = "parse::some_time")]
    pub hook_timeout: Duration,
    /// The largest age of the facts in an answer; 0 for facts that are read anew for each answer.
    #[serde(deserialize_with = "parse::time")]
    pub max_age: Duration,
    /// The time after which the keeper replaces a silent daemon; 1 second or longer.
    #[serde(deserialize_with = "parse::seconds")]
    pub watchdog: Duration,
    /// The settings of `plimsoll runtime`.
    pub runtime: Runtime,
}

/// The settings of `plimsoll runtime`, the table `[runtime]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runtime {
    /// The path or name of the OCI runtime that creates the containers; empty for the first of runc
    /// and crun.
    pub path: PathBuf,
    /// True to give each container a time namespace, where the OCI runtime supports one.
    pub time_namespace: bool,
}

impl Default for Runtime {
    fn default() -> Runtime {
        Runtime {
            path: PathBuf::new(),
            time_namespace: true,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mountpoint: PathBuf::from(DEFAULT_MOUNTPOINT),
            require: false,
            unlimited: false,
            hook_timeout: Duration::from_secs(2),
            max_age: Duration::from_millis(10),
            watchdog: Duration::from_secs(10),
            runtime: Runtime::default(),
        }
    }
}

/// The reason for which a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file exists and cannot be read.
    #[error("cannot read {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file has a mistake.
    #[error("{}: {mistake}", path.display())]
    Mistaken {
        /// The file.
        path: PathBuf,
        /// The first mistake, with the number of its line.
        mistake: String,
    },
}

/// Reads the configuration file `path`; a file that does not exist has the defaults.
///
/// # Errors
/// When the file exists and cannot be read or has a mistake.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Config::default()),
        Err(source) => {
            let path = path.to_owned();
            return Err(ConfigError::Refused { path, source });
        }
    };
    parse(&text).map_err(|mistake| ConfigError::Mistaken {
        path: path.to_owned(),
        mistake,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_all_defaults() {
        let nowhere = Path::new("/nowhere/config.toml");
        assert_eq!(read(nowhere).unwrap(), Config::default());
    }

    #[test]
    fn the_example_says_the_defaults_and_names_every_key() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/config.toml");
        assert_eq!(read(&path).unwrap(), Config::default());
        // Every key stands in it as a comment, with its default.
        let text = fs::read_to_string(&path).unwrap();
        let is_key = |line: &&str| line.contains(" = ") && !line.starts_with("# ");
        let keys = text.lines().filter_map(|line| line.strip_prefix('#'));
        let keys: Vec<&str> = keys.filter(is_key).collect();
        assert_eq!(parse(&keys.join("\n")).unwrap(), Config::default());
        let said = parse("nothing = 1").unwrap_err();
        for name in said.split('`').skip(3).step_by(2) {
            let named = |key: &&str| key.split([' ', '.']).next() == Some(name);
            assert!(keys.iter().any(named), "{name} in {path:?}");
        }
    }
}
