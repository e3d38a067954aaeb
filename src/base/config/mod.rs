//! The configuration that the host's administrator writes, `/etc/plimsoll/config.toml`.

mod leave_out;
mod parse;
mod read;
mod settings;
mod values;

pub use leave_out::LeaveOut;
pub use parse::parse;
pub use read::{ConfigError, read, read_if_there};
pub use settings::{Config, RuntimeSettings};
pub use values::{
    HOOK_TIMEOUT_RANGE, MAX_AGE_RANGE, PAUSE_RANGE, TimeRange, WATCH_RANGE, WATCHDOG_RANGE,
};
