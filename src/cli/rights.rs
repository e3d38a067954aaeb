//! The rights that a command needs.

use anyhow::{Result, bail};
use nix::unistd::geteuid;

/// Makes sure that this process is root's. `what` is the subject of the message: "a daemon".
///
/// # Errors
/// For another user, with the way out.
pub(super) fn require_root(what: &str) -> Result<()> {
    match geteuid().is_root() {
        true => Ok(()),
        false => bail!("{what} needs root: run plimsoll with sudo"),
    }
}
