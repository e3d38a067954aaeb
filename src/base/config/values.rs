//! Pure. Parses single values of the configuration file, and refuses those out of range.

use serde::{Deserialize, Deserializer, de::Error};
use std::{path::PathBuf, time::Duration};

pub(super) fn absolute<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    match path.is_absolute() {
        true => Ok(path),
        false => Err(D::Error::custom(format!(
            "{} is no absolute path",
            path.display()
        ))),
    }
}

pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom(format!("\"{text}\" is no time like \"10ms\" or \"2s\"")))
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match time(from)? {
        time if time < Duration::from_secs(1) => {
            Err(D::Error::custom("the time must be 1s or longer"))
        }
        time => Ok(time),
    }
}

pub(super) fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    match time(from)? {
        Duration::ZERO => Err(D::Error::custom("the time must be longer than 0")),
        time => Ok(time),
    }
}

pub(super) fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let text = String::deserialize(from)?;
    let percent = text
        .strip_suffix('%')
        .and_then(|number| number.parse().ok());
    match percent {
        Some(percent) if percent > 0 => Ok(percent),
        _ => Err(D::Error::custom(format!(
            "\"{text}\" is no share of a CPU like \"10%\""
        ))),
    }
}
