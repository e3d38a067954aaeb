//! Quantities that may not be mixed up.

mod bytes;
mod cpus;
mod limit;
mod time;

pub use bytes::{Bytes, SizeError};
pub use cpus::{CpuId, CpuSet};
pub use limit::Limit;
pub use time::{Micros, Ticks};
