//! Reads the configuration file.

use super::{Config, parse};
use crate::base::{paths::CONFIG_FILE, sys::read_named};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The maximum length of a configuration, in bytes.
const MAX_TEXT: u64 = 1 << 20;

/// The reason for which a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file was named and does not exist.
    #[error("there is no configuration {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
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

/// Reads the configuration file `path`. Only [`CONFIG_FILE`] may be missing, and has the defaults then:
/// a wrong name must not switch off what the administrator has configured.
///
/// # Errors
/// When another file does not exist, or the file cannot be read or has a mistake.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    match read_there(path)? {
        Some(config) => Ok(config),
        None if path == Path::new(CONFIG_FILE) => Ok(Config::default()),
        None => Err(ConfigError::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Reads the configuration file `path`; a file that does not exist has the defaults.
///
/// # Errors
/// When the file exists and cannot be read or has a mistake.
pub fn read_if_there(path: &Path) -> Result<Config, ConfigError> {
    read_there(path).map(Option::unwrap_or_default)
}

/// Reads the configuration file `path`; `None` if the file does not exist.
fn read_there(path: &Path) -> Result<Option<Config>, ConfigError> {
    let text = match read_named(path, MAX_TEXT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(ConfigError::Refused { path, source });
        }
    };
    let config = parse(&text).map_err(|mistake| ConfigError::Mistaken {
        path: path.to_owned(),
        mistake,
    })?;
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_is_not_there_is_refused_if_it_was_named() {
        let nowhere = Path::new("/nowhere/config.toml");
        assert_eq!(read_if_there(nowhere).unwrap(), Config::default());
        let said = read(nowhere).unwrap_err().to_string();
        assert_eq!(said, "there is no configuration /nowhere/config.toml");
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
