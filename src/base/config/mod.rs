//! What the host's administrator has set, in `/etc/plimsoll/config.toml`.

mod parse;

pub use parse::parse;

use crate::base::paths::DEFAULT_MOUNTPOINT;
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything that can be set; what the file does not name has its default.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where the daemon serves, and where hook, `attach`, `run` and `doctor` find what it serves.
    #[serde(deserialize_with = "parse::absolute")]
    pub mountpoint: PathBuf,
    /// Whether a container that cannot have its view does not start.
    pub require: bool,
    /// Whether a container gets its view whose limits leave it the whole machine.
    pub unlimited: bool,
    /// How long a container's start may be held up by a daemon that does not answer.
    #[serde(deserialize_with = "parse::some_time")]
    pub hook_timeout: Duration,
    /// How old an answer may be when a reader is told it.
    #[serde(deserialize_with = "parse::time")]
    pub max_age: Duration,
    /// After how long a daemon that says nothing is replaced by its keeper.
    #[serde(deserialize_with = "parse::seconds")]
    pub watchdog: Duration,
    /// What `plimsoll runtime` does.
    pub runtime: Runtime,
}

/// What `plimsoll runtime` does, in the table `[runtime]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Runtime {
    /// The OCI runtime that it becomes, by path or by name; empty for the first of runc and crun.
    pub path: PathBuf,
    /// Whether a container gets a time namespace where that runtime has them.
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

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file says something that cannot be meant.
    #[error("{}: {mistake}", path.display())]
    Mistaken {
        /// The file.
        path: PathBuf,
        /// What, and in which line.
        mistake: String,
    },
}

/// The configuration in that file, or the defaults where there is no such file.
///
/// # Errors
/// When the file is there and cannot be read or understood.
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
