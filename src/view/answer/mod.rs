//! Answers: who asks, the limits of the container, the view, and the bytes.
//!
//! ```text
//! containers     thread, key or cgroup path -> Container
//! cached_facts   facts of the container and the machine, not older than the maximum age
//! clock, load    state that goes on from one read to the next
//! views          facts and state -> typed views, for every other user of the numbers
//! summary        the sizes and times of a container in one view, for lists of containers
//! nodes          the memory of the container divided among its nodes
//! bytes          view -> bytes, which are bytes that a kernel could have printed
//! calls          the same for the system calls sysinfo and sched_getaffinity
//! cacheable      the files that the kernel may cache
//! attributes     the same below /sys/devices/system
//! pressure       the cgroup's own pressure files, without a view
//! explain        formula and inputs of each line
//! persistence    state that the next daemon goes on with
//! ```
//!
//! An answer whose facts cannot be read falls back in steps: the present facts; the last good
//! facts; an error. The answer is never the host's bytes. Each fallback is counted, and logged once
//! for each container and cause.

mod answers;
mod attributes;
mod bytes;
mod cacheable;
mod cached_facts;
mod calls;
mod clock;
mod containers;
mod dated;
mod error;
mod explain;
mod layout;
mod load;
mod load_watch;
mod nodes;
mod persistence;
mod pressure;
mod saved_counters;
mod state;
mod summary;
mod views;

pub use answers::Answers;
pub use calls::{SYSTEM_CALLS, SystemCall};
pub use error::AnswerError;
pub use explain::{Explained, Input};
pub(crate) use layout::MIN_PAGE_SIZE;
pub use load::sample_loads;
