//! Quantities, each with a type of its own, so that two units cannot be mixed up.

mod bytes;
mod clocks;
mod count;
mod ids;
mod limit;
mod process;
mod time;

pub use bytes::{Bytes, SizeError};
pub use clocks::{Clocks, Offset};
pub use count::count;
pub use ids::{CpuId, CpuSet, Id, IdSet, NodeId, NodeSet};
pub use limit::Limit;
pub use process::{Key, Pid, Tid};
pub use time::{Micros, Ticks};
